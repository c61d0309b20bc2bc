/* What a new boot means to what lies in removed/: every way a wall clock may be wrong around it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fs/base/strbuf.h"
#include "fs/engine/db.h"
#include "fs/engine/meta.h"
#include "fs/engine/store_rows.h"
#include "tests/unit/folder.h"

#define HOUR (INT64_C(3600) * NS_PER_S)
#define DAY  (24 * HOUR)
#define T0   (INT64_C(1800000000) * NS_PER_S) /* in the year 2027 */

struct fixture {
	struct folder folder;
	struct store *store;
	struct db *db;
	int64_t run;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->folder = folder_make();
	assert_int_equal(store_open(f->folder.path, 1, &f->store, NULL), 0);
	f->db = store_db(f->store);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	folder_finish(&f->folder);
	free(f);
	return 0;
}

static struct stamp moment(char boot, int64_t boot_ns, int64_t wall_ns)
{
	return (struct stamp){.wall_ns = wall_ns, .boot_ns = boot_ns, .boot_id = {boot, '\0'}};
}

/* The machine is started: is it another boot to the store? */
static bool start(struct fixture *f, struct stamp now)
{
	bool rebooted = false;

	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, boot_load(f->db, &now, &rebooted)), 0);
	return rebooted;
}

static void note(struct fixture *f, struct stamp now)
{
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, boot_note(f->db, &now)), 0);
}

static void remove_run(struct fixture *f, struct stamp at)
{
	struct run r = {.place = PLACE_REMOVED, .state = RUN_COMPLETE, .folder = "x",
		.detail = strdup(""), .error_context = strdup(""), .next_step = strdup(""),
		.refusal = strdup(""), .removed = at};

	snprintf(r.name, sizeof(r.name), "x%d", (int)f->run);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, store_add_run(f->store, &r)), 0);
	f->run = r.id;
	run_release(&r);
}

static int64_t age(struct fixture *f, struct stamp now)
{
	struct stamp removed;
	struct run r;

	assert_int_equal(store_read_run(f->store, f->run, &r), 0);
	removed = r.removed;
	run_release(&r);
	assert_string_equal(removed.boot_id, now.boot_id);
	return stamp_since(&removed, &now);
}

/* Boot a begins at T0; something is removed in its second hour, and it is up for ten. */
static void first_boot(struct fixture *f)
{
	assert_true(start(f, moment('a', HOUR, T0 + HOUR)));
	assert_false(start(f, moment('a', HOUR, T0 + HOUR)));
	remove_run(f, moment('a', 2 * HOUR, T0 + 2 * HOUR));
	note(f, moment('a', 10 * HOUR, T0 + 10 * HOUR));
}

static void off_for_a_week(void **state)
{
	struct fixture *f = *state;

	first_boot(f);
	assert_true(start(f, moment('b', HOUR, T0 + 8 * DAY)));
	assert_int_equal(age(f, moment('b', HOUR, T0 + 8 * DAY)), 8 * DAY - 2 * HOUR);
	/* From here on only the boot clock counts. */
	assert_int_equal(age(f, moment('b', 2 * HOUR, T0 + 9000 * DAY)), 8 * DAY - HOUR);
	assert_int_equal(age(f, moment('b', 2 * HOUR, T0 - 9000 * DAY)), 8 * DAY - HOUR);
}

/* Turned while the machine was up, and right again before it went off. */
static void turned_forth_and_back(void **state)
{
	struct fixture *f = *state;

	assert_true(start(f, moment('a', HOUR, T0 + HOUR)));
	remove_run(f, moment('a', 2 * HOUR, T0 - 3650 * DAY));
	note(f, moment('a', 3 * HOUR, T0 + 3650 * DAY));
	note(f, moment('a', 10 * HOUR, T0 + 10 * HOUR));
	assert_true(start(f, moment('b', HOUR, T0 + DAY)));
	assert_int_equal(age(f, moment('b', HOUR, T0 + DAY)), DAY - 2 * HOUR);
}

/* Ahead when the machine went off: how long it was off is not known, so not long. */
static void ahead_at_the_end(void **state)
{
	struct fixture *f = *state;

	first_boot(f);
	note(f, moment('a', 10 * HOUR, T0 + 3650 * DAY));
	assert_true(start(f, moment('b', HOUR, T0 + 30 * DAY)));
	assert_int_equal(age(f, moment('b', HOUR, T0 + 30 * DAY)), 9 * HOUR);
	/* Until that year is reached only the time of being up counts, which goes on. */
	note(f, moment('b', 2 * HOUR, T0 + 30 * DAY + HOUR));
	assert_true(start(f, moment('c', HOUR, T0 + 33 * DAY)));
	assert_int_equal(age(f, moment('c', HOUR, T0 + 33 * DAY)), 11 * HOUR);
}

/* A machine without a battery: 1970 until it hears the time, and it went off before that. */
static void behind_its_own_records(void **state)
{
	struct fixture *f = *state;

	first_boot(f);
	assert_true(start(f, moment('b', HOUR, HOUR)));
	assert_int_equal(age(f, moment('b', HOUR, HOUR)), 9 * HOUR);
	note(f, moment('b', 2 * HOUR, 2 * HOUR));
	assert_true(start(f, moment('c', HOUR, T0 + DAY)));
	assert_int_equal(age(f, moment('c', HOUR, T0 + DAY)), 11 * HOUR);
	/* The time was heard: it is believed again. */
	note(f, moment('c', 2 * HOUR, T0 + DAY + HOUR));
	assert_true(start(f, moment('d', HOUR, T0 + 9 * DAY)));
	assert_int_equal(age(f, moment('d', HOUR, T0 + 9 * DAY)), 12 * HOUR + 8 * DAY - HOUR);
}

static void stamps_of_an_older_version(void **state)
{
	struct fixture *f = *state;
	struct stamp now = moment('c', HOUR, T0 + 8 * DAY);

	first_boot(f);
	remove_run(f, moment('z', 5 * HOUR, T0 + DAY));
	assert_true(start(f, now));
	assert_int_equal(age(f, now), 7 * DAY);
	remove_run(f, moment('z', 5 * HOUR, INT64_MAX));
	assert_true(start(f, moment('d', HOUR, T0)));
	assert_int_equal(age(f, moment('d', HOUR, T0)), 0);
}

static void values_are_kept(void **state)
{
	struct fixture *f = *state;
	char text[8];

	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(meta_text(f->db, "nothing", text, sizeof(text)), 0);
	assert_string_equal(text, "");
	assert_int_equal(meta_put(f->db, "k", "a long value"), 0);
	assert_int_equal(meta_text(f->db, "k", text, sizeof(text)), 0);
	assert_string_equal(text, "a long ");
	assert_int_equal(store_end(f->store, 0), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(off_for_a_week), T(turned_forth_and_back),
		T(ahead_at_the_end), T(behind_its_own_records), T(stamps_of_an_older_version),
		T(values_are_kept)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
