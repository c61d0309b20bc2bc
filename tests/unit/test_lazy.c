/* Libraries that are loaded when needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "fs/base/lazy.h"
#include "fs/base/why.h"

#define FUNCTIONS(X) X(cos) X(hypot)
struct api {
	FUNCTIONS(LAZY_MEMBER)
};
static const char *const names[] = {FUNCTIONS(LAZY_NAME) NULL};

static void functions_are_found(void **state)
{
	const char *const files[] = {"libsurely-absent.so.9", "libm.so.6", NULL};
	struct api api;

	assert_int_equal(lazy_load(files, names, (void **)&api, NULL), 0);
	assert_true(api.cos(0) == 1);
	assert_true(api.hypot(3, 4) == 5);
}

static void what_is_missing_is_named(void **state)
{
	const char *const none[] = {"libsurely-absent.so.9", NULL}, *const libm[] = {"libm.so.6", NULL};
	const char *const unknown[] = {"cos", "cosinus", NULL};
	void *table[2];
	struct why why = {0};

	assert_int_equal(lazy_load(none, names, table, &why), -ENOSYS);
	assert_non_null(strstr(why_text(&why), "libsurely-absent.so.9"));
	assert_int_equal(lazy_load(libm, unknown, table, &why), -ENOSYS);
	assert_non_null(strstr(why_text(&why), "cosinus"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(functions_are_found),
		cmocka_unit_test(what_is_missing_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
