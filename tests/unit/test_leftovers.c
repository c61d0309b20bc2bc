/* What backends still have of a run is forgotten when the run is gone for good, and nothing waits for it. */
#include "tests/unit/engine_fixture.h"

#include "fs/base/cleanup.h"
#include "fs/engine/store.h"

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fixture_init(f);
	assert_int_equal(fixture_start(f), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	fixture_finish(*state);
	free(*state);
	return 0;
}

static void restart(struct fixture *f)
{
	fixture_stop(f);
	assert_int_equal(fixture_start(f), 0);
}

/* Lines of the service's list that name the attempt of the run; attempt 0: any. */
static int purged(const struct fixture *f, int64_t run, int attempt)
{
	char path[400], line[200], part[64];
	int n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%.300s-service/purged", f->state);
	snprintf(part, sizeof(part), attempt ? "-%lld-%d\n" : "-%lld-", (long long)run, attempt);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		n += strstr(line, part) != NULL;
	if (file)
		fclose(file);
	return n;
}

static int purge_calls(void)
{
	pthread_mutex_lock(&script.lock);
	int n = script.purges;

	pthread_mutex_unlock(&script.lock);
	return n;
}

static int64_t removed_run(struct fixture *f, const char *folder)
{
	int64_t id = submitted(f, folder, NULL);

	wait_state(f, id, RUN_COMPLETE);
	assert_int_equal(engine_remove(f->engine, 0, id), 0);
	return id;
}

static void every_attempt_of_a_deleted_run(void **state)
{
	struct fixture *f = *state;
	int64_t kept = removed_run(f, "kept"), id;

	script.failures = 1;
	script.log = "NameError: name 'x' is not defined\n";
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_FAILED);
	assert_int_equal(command(f, id, "retry", NULL), 0);
	wait_state(f, id, RUN_COMPLETE);
	assert_int_equal(engine_remove(f->engine, 0, id), 0);
	assert_int_equal(executions(f, id), 2);
	assert_int_equal(purge_calls(), 0); /* it can still be brought back */

	assert_int_equal(engine_purge(f->engine, 0, id), 0);
	WAIT_FOR(f, purged(f, id, 1) == 1 && purged(f, id, 2) == 1);
	WAIT_FOR(f, !state_file(f, id, "."));
	assert_int_equal(purge_calls(), 2);
	assert_false(pthread_equal(script.purger, pthread_self()));
	assert_int_equal(purged(f, kept, 0), 0);
	restart(f);
	assert_int_equal(engine_purge(f->engine, 0, kept), 0);
	WAIT_FOR(f, purged(f, kept, 1) == 1);
	assert_int_equal(purge_calls(), 3); /* nobody is asked again */
}

/* As if it had been removed so many days ago. */
static void set_removed(struct fixture *f, int64_t id, int days)
{
	struct store *s;
	struct run r;

	assert_int_equal(store_open(f->state, f->connection, &s, NULL), 0);
	assert_int_equal(store_begin(s), 0);
	assert_int_equal(store_get_run(s, id, &r), 0);
	r.removed.wall_ns -= (int64_t)days * 24 * 3600 * NS_PER_S;
	r.removed.boot_ns -= (int64_t)days * 24 * 3600 * NS_PER_S;
	assert_int_equal(store_end(s, store_put_run(s, &r)), 0);
	run_release(&r);
	store_close(s);
}

static void after_seven_days(void **state)
{
	struct fixture *f = *state;
	int64_t young = removed_run(f, "young"), old = removed_run(f, "old");
	struct run r;

	fixture_stop(f);
	set_removed(f, young, 6);
	set_removed(f, old, 8);
	assert_int_equal(fixture_start(f), 0);
	WAIT_FOR(f, purged(f, old, 1) == 1);
	WAIT_FOR(f, engine_run(f->engine, old, &r) == -ENOENT && !state_file(f, old, "."));
	assert_int_equal(engine_run(f->engine, young, &r), 0);
	run_release(&r);
	assert_int_equal(purged(f, young, 0), 0);
	assert_int_equal(purge_calls(), 1);
}

/* The run goes all the same, and the service is asked again, by the next daemon too. */
static void a_service_that_is_away(void **state)
{
	struct fixture *f = *state;
	int64_t a = removed_run(f, "a"), b = removed_run(f, "b");
	struct run r;

	script.purge_errors = 1000;
	assert_int_equal(engine_purge(f->engine, 0, a), 0);
	assert_int_equal(engine_purge(f->engine, 0, b), 0);
	assert_int_equal(engine_run(f->engine, a, &r), -ENOENT);
	WAIT_FOR(f, purge_calls() >= 1 && !state_file(f, a, ".") && !state_file(f, b, "."));
	/* Two words that came together may have been one pass: what counts is that the next daemon asks, too. */
	int before = purge_calls();

	restart(f);
	WAIT_FOR(f, purge_calls() > before);
	assert_int_equal(purged(f, a, 0) + purged(f, b, 0), 0);
	pthread_mutex_lock(&script.lock);
	script.purge_errors = 0;
	pthread_mutex_unlock(&script.lock);
	restart(f);
	WAIT_FOR(f, purged(f, a, 1) == 1 && purged(f, b, 1) == 1);
}

/* More than are looked at together. */
static void many(void **state)
{
	struct fixture *f = *state;
	int64_t ids[70];
	char name[16];

	for (int i = 0; i < 70; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		ids[i] = removed_run(f, name);
	}
	for (int i = 0; i < 70; i++)
		assert_int_equal(engine_purge(f->engine, 0, ids[i]), 0);
	for (int i = 0; i < 70; i++)
		WAIT_FOR(f, purged(f, ids[i], 1) == 1);
	assert_int_equal(purge_calls(), 70);
}

/* A draft has no job, and a backend that is not there any more keeps nothing from going. */
static void nothing_to_ask(void **state)
{
	struct fixture *f = *state;
	int64_t id = removed_run(f, "nb");
	int64_t other = draft(f, "draft", NULL);

	assert_int_equal(engine_draft_drop(f->engine, 0, other), 0);
	WAIT_FOR(f, !state_file(f, other, "."));
	fixture_stop(f);
	script.open_fails = true;
	assert_int_equal(fixture_start(f), 0);
	assert_int_equal(engine_purge(f->engine, 0, id), 0);
	WAIT_FOR(f, !state_file(f, id, "."));
	assert_int_equal(purge_calls(), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {T(every_attempt_of_a_deleted_run), T(after_seven_days),
		T(a_service_that_is_away), T(many), T(nothing_to_ask)};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
