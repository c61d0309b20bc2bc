/* Credentials from .env and the environment: what is read, what is refused, and that no text leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "fs/base/secret.h"
#include "fs/base/why.h"
#include "tests/unit/folder.h"

#define CANARY "hunter2-canary"

static int setup(void **state)
{
	struct folder *f = malloc(sizeof(*f));

	*f = folder_make();
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	folder_finish(*state);
	free(*state);
	return 0;
}

static void put(struct folder *f, const void *text, size_t len)
{
	int fd = openat(f->fd, ".env", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, text, len), 0);
	assert_int_equal(fchmod(fd, 0600), 0);
	close(fd);
}

/* What A is after reading this text; NULL for nowhere. The caller frees. */
static char *read_a(struct folder *f, const char *text)
{
	struct secrets *s = NULL;
	struct why why = {0};
	const char *value;
	char *copy;

	put(f, text, strlen(text));
	if (secrets_open(f->path, &s, &why))
		fail_msg("%s: %s", text, why_text(&why));
	value = secrets_get(s, "A");
	copy = value ? strdup(value) : NULL;
	secrets_close(s);
	return copy;
}

static void expect(struct folder *f, const char *text, const char *value)
{
	char *got = read_a(f, text);

	if (value && got)
		assert_string_equal(got, value);
	else
		assert_ptr_equal(got, value);
	free(got);
}

static void values(void **state)
{
	struct folder *f = *state;

	expect(f, "A=x", "x");
	expect(f, "A=x\n", "x");
	expect(f, "\n\n# A=no\n  A = x y \t\n", "x y");
	expect(f, "\xEF\xBB\xBF" "A=x\r\nB=y\r\n", "x");
	expect(f, "A=x\nA=z\n", "z");
	expect(f, "export A=x", "x");
	expect(f, "export\tA=x", "x");
	expect(f, "exported=1\nA=x", "x");
	expect(f, "export=1\nA=x", "x");
	expect(f, "A=", NULL);
	expect(f, "A=\"\"", NULL);
	expect(f, "A=# nothing", NULL);
	expect(f, "AA=x\nBA=y\n_A=z\na=q", NULL);
	expect(f, "A=x # said", "x");
	expect(f, "A=x#y", "x#y");
	expect(f, "A=a=b==", "a=b==");
	expect(f, "A='x # y'", "x # y");
	expect(f, "A='$B \\n \"q\"' # said", "$B \\n \"q\"");
	expect(f, "A=\"x # y\" # said", "x # y");
	expect(f, "A=\"l1\\nl2\\t\\\"q\\\" \\\\ \\$B \\`c\\`\"", "l1\nl2\t\"q\" \\ $B `c`");
	expect(f, "A=$(rm -rf /) `id` ${B}", "$(rm -rf /) `id` ${B}");
	expect(f, "A=\xE6\x97\xA5\xE6\x9C\xAC", "\xE6\x97\xA5\xE6\x9C\xAC");
}

/* Refused, with the line's number and without its text. */
static void refuse(struct folder *f, const char *text, size_t len, int err, const char *says)
{
	struct secrets *s = (void *)f;
	struct why why = {0};

	put(f, text, len);
	assert_int_equal(secrets_open(f->path, &s, &why), -err);
	assert_null(s);
	assert_non_null(strstr(why_text(&why), says));
	assert_non_null(strstr(why_text(&why), "/.env"));
	assert_null(strstr(why_text(&why), CANARY));
}

static void lines_that_cannot_be_understood(void **state)
{
	static const char *const bad[] = {CANARY, "=" CANARY, "1A=" CANARY, "A B=" CANARY, "A-B=" CANARY,
		"export " CANARY, "A='" CANARY, "A=\"" CANARY, "A=\"" CANARY "\\", "A=\"" CANARY "\\q\"",
		"A='" CANARY "' x", "A=\"" CANARY "\"x", "A=it's" CANARY, "A=" CANARY "\x1b[31m",
		"A=" CANARY "\rB=x", "A=\x7f" CANARY, "\xE6\x97\xA5=" CANARY};
	struct folder *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[200];

		snprintf(text, sizeof(text), "OK=1\n# said\n%s\nLAST=1\n", bad[i]);
		refuse(f, text, strlen(text), EINVAL, "line 3");
	}
}

static void bounds(void **state)
{
	struct folder *f = *state;
	size_t huge = (size_t)10 << 20;
	char *text = malloc(huge + 1), *got;

	assert_non_null(text);
	refuse(f, "A=x\0" CANARY "\n", sizeof("A=x\0" CANARY "\n") - 1, EINVAL, "NUL");
	refuse(f, "\0", 1, EINVAL, "NUL");
	memset(text, 'x', huge);
	memcpy(text, "A=", 2);
	refuse(f, text, huge, EFBIG, "64 KiB");
	refuse(f, text, SECRET_FILE_MAX + 1, EFBIG, "64 KiB");
	text[SECRET_FILE_MAX] = '\0';
	got = read_a(f, text);
	assert_int_equal(strlen(got), SECRET_FILE_MAX - 2);
	free(got);
	memset(text, 'N', SECRET_NAME_MAX + 1);
	snprintf(text + SECRET_NAME_MAX + 1, 100, "=%s", CANARY);
	refuse(f, text, strlen(text), EINVAL, "line 1");
	expect(f, text + 1, NULL);
	text[0] = '\0';
	for (int i = 0, at = 0; i <= SECRETS_MAX; i++)
		at += sprintf(text + at, "A%d=%s\n", i, CANARY);
	refuse(f, text, strlen(text), E2BIG, "512");
	free(text);
}

static void rights(void **state)
{
	static const mode_t open_to[] = {0640, 0620, 0604, 0602, 0601, 0666};
	struct folder *f = *state;
	struct secrets *s = NULL;
	struct why why = {0};

	for (size_t i = 0; i < sizeof(open_to) / sizeof(open_to[0]); i++) {
		put(f, "A=" CANARY, strlen("A=" CANARY));
		assert_int_equal(fchmodat(f->fd, ".env", open_to[i], 0), 0);
		assert_int_equal(secrets_open(f->path, &s, &why), -EACCES);
		assert_non_null(strstr(why_text(&why), "chmod 600"));
		assert_null(strstr(why_text(&why), CANARY));
	}
	assert_int_equal(fchmodat(f->fd, ".env", 0400, 0), 0);
	assert_int_equal(secrets_open(f->path, &s, NULL), 0);
	assert_string_equal(secrets_get(s, "A"), CANARY);
	secrets_close(s);
}

static void what_is_no_file(void **state)
{
	struct folder *f = *state;
	struct secrets *s = NULL;

	assert_int_equal(secrets_open(f->path, &s, NULL), 0);
	assert_null(s);
	assert_int_equal(secrets_open(NULL, &s, NULL), 0);
	assert_int_equal(secrets_open("/nonexistent/folder", &s, NULL), 0);
	assert_int_equal(mkdirat(f->fd, ".env", 0700), 0);
	assert_int_equal(secrets_open(f->path, &s, NULL), -EINVAL);
	assert_int_equal(unlinkat(f->fd, ".env", AT_REMOVEDIR), 0);
	assert_int_equal(mkfifoat(f->fd, ".env", 0600), 0);
	assert_int_equal(secrets_open(f->path, &s, NULL), -EINVAL); /* and does not hang */
	assert_int_equal(unlinkat(f->fd, ".env", 0), 0);
	assert_int_equal(symlinkat("/dev/zero", f->fd, ".env"), 0);
	assert_int_equal(secrets_open(f->path, &s, NULL), -EINVAL);
	assert_null(s);
}

static void environment_first(void **state)
{
	struct folder *f = *state;
	struct secrets *s = NULL;

	put(f, "KEXEC_TEST_SECRET=file\n", strlen("KEXEC_TEST_SECRET=file\n"));
	assert_int_equal(secrets_open(f->path, &s, NULL), 0);
	assert_string_equal(secrets_get(s, "KEXEC_TEST_SECRET"), "file");
	assert_null(secrets_get(NULL, "KEXEC_TEST_SECRET"));
	setenv("KEXEC_TEST_SECRET", "", 1);
	assert_string_equal(secrets_get(s, "KEXEC_TEST_SECRET"), "file");
	setenv("KEXEC_TEST_SECRET", "environment", 1);
	assert_string_equal(secrets_get(s, "KEXEC_TEST_SECRET"), "environment");
	assert_string_equal(secrets_get(NULL, "KEXEC_TEST_SECRET"), "environment");
	unsetenv("KEXEC_TEST_SECRET");
	secrets_close(s);
	secrets_close(NULL);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(values), T(lines_that_cannot_be_understood), T(bounds),
		T(rights), T(what_is_no_file), T(environment_first)};

	unsetenv("A");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
