/* The store: rows come back as written, names are free, and hot queries stay fast. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/db.h"
#include "fs/engine/store.h"
#include "tests/unit/folder.h"

struct fixture {
	struct folder folder;
	struct store *store;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->folder = folder_make();
	*state = f;
	return store_open(f->folder.path, 1, &f->store, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->store);
	io_remove_tree(AT_FDCWD, f->folder.path);
	close(f->folder.fd);
	free(f);
	return 0;
}

static struct run new_run(const char *name, enum run_place place)
{
	struct run r = {.incarnation = 1, .place = place, .progress = -1, .eta_ns = -1,
		.metric_value = NAN};

	snprintf(r.name, sizeof(r.name), "%s", name);
	snprintf(r.folder, sizeof(r.folder), "%s", name);
	r.created = stamp_now();
	return r;
}

static int64_t add(struct fixture *f, const char *name, enum run_state s)
{
	struct run r = new_run(name, PLACE_RUNS);

	r.state = s;
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, store_add_run(f->store, &r)), 0);
	return r.id;
}

static void round_trip(void **state)
{
	struct fixture *f = *state;
	struct run r = new_run("nb", PLACE_RUNS), got;

	r.state = RUN_RUNNING;
	r.kind = KIND_SCRIPT;
	strcpy(r.backend, "local");
	r.attempt = 3;
	r.progress = 0.25;
	r.eta_ns = INT64_MAX;
	r.detail = (char[]){"it's; DROP TABLE run;--"};
	r.started = stamp_now();
	r.metric_name = (char[]){"auc"};
	r.metric_value = 0.1;
	r.options = (char[]){"{}"};
	r.resting = true;
	r.lost = 2;
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, store_add_run(f->store, &r)), 0);
	assert_int_equal(store_read_run(f->store, r.id, &got), 0);
	assert_int_equal(got.state, RUN_RUNNING);
	assert_int_equal(got.version, store_version(f->store));
	assert_string_equal(got.detail, r.detail);
	assert_int_equal(got.eta_ns, INT64_MAX);
	assert_memory_equal(&got.started, &r.started, sizeof(got.started));
	assert_int_equal(got.ended.wall_ns, 0);
	assert_float_equal(got.metric_value, 0.1, 0);
	assert_null(got.external_id);
	assert_string_equal(got.error_context, "");
	assert_true(got.resting);
	assert_int_equal(got.lost, 2);
	run_release(&got);
	assert_int_equal(store_read_run(f->store, r.id + 1, &got), -ENOENT);
}

static void rolled_back(void **state)
{
	struct fixture *f = *state;
	struct run r = new_run("nb", PLACE_RUNS), got;
	int64_t version = store_version(f->store);

	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_add_run(f->store, &r), 0);
	assert_int_equal(store_end(f->store, -EINVAL), -EINVAL);
	assert_int_equal(store_read_run(f->store, r.id, &got), -ENOENT);
	assert_int_equal(store_version(f->store), version);
}

static void unique_names(void **state)
{
	struct fixture *f = *state;
	struct run r = new_run("nb", PLACE_RUNS);
	char name[256];

	add(f, "nb", RUN_COMPLETE);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, store_add_run(f->store, &r)), -EEXIST);
	for (int i = 2; i <= 200; i++) {
		char expected[32];

		assert_int_equal(store_begin(f->store), 0);
		assert_int_equal(store_free_name(f->store, PLACE_RUNS, "nb", 0, name), 0);
		snprintf(expected, sizeof(expected), "nb-%d", i);
		assert_string_equal(name, expected);
		r = new_run(name, PLACE_RUNS);
		r.state = RUN_COMPLETE;
		assert_int_equal(store_end(f->store, store_add_run(f->store, &r)), 0);
	}
}

static void ids_are_never_reused(void **state)
{
	struct fixture *f = *state;
	int64_t a = add(f, "a", RUN_COMPLETE), b;

	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, store_delete_run(f->store, a)), 0);
	assert_int_equal(store_next_trash(f->store), a);
	store_close(f->store);
	assert_int_equal(store_open(f->folder.path, 1, &f->store, NULL), 0);
	b = add(f, "b", RUN_COMPLETE);
	assert_true(b > a);
	assert_true(store_version(f->store) > 2);
}

static void reopened(void **state)
{
	struct fixture *f = *state;
	char installation[40];
	int rc;
	int64_t value, id = add(f, "a", RUN_COMPLETE);

	strcpy(installation, store_installation(f->store));
	assert_int_equal(strlen(installation), 32);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, store_put_answer(f->store, UINT64_MAX, 0, id)), 0);
	store_close(f->store);
	assert_int_equal(store_open(f->folder.path, 1, &f->store, NULL), 0);
	assert_string_equal(store_installation(f->store), installation);
	assert_false(store_rebooted(f->store));
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_answer(f->store, UINT64_MAX, &rc, &value), 1);
	assert_int_equal(value, id);
	assert_int_equal(store_answer(f->store, 5, &rc, &value), 0);
	store_end(f->store, -1);
	store_close(f->store);
	assert_int_equal(store_open(f->folder.path, 2, &f->store, NULL), 0);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_answer(f->store, UINT64_MAX, &rc, &value), 0);
	store_end(f->store, -1);
}

static void another_boot(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(db_exec(store_db(f->store), NULL, "UPDATE meta SET value = 'x' WHERE key = 'boot'",
				 ""), 0);
	store_close(f->store);
	assert_int_equal(store_open(f->folder.path, 1, &f->store, NULL), 0);
	assert_true(store_rebooted(f->store));
	store_close(f->store);
	assert_int_equal(store_open(f->folder.path, 1, &f->store, NULL), 0);
	assert_false(store_rebooted(f->store));
}

/* One written before leftovers were known: the runs stay, and what is deleted from now on is noted. */
static void an_older_schema(void **state)
{
	struct fixture *f = *state;
	struct attempt_row a = {.pub = {.n = 2, .backend = "local", .state = "complete", .external_id = (char[]){"7.2"}}};
	struct leftover left[2];
	int64_t id = add(f, "a", RUN_COMPLETE);

	a.pub.run = id;
	assert_int_equal(db_exec(store_db(f->store), NULL, "DROP TABLE leftover", ""), 0);
	assert_int_equal(db_exec(store_db(f->store), NULL, "ALTER TABLE event DROP COLUMN at", ""), 0);
	assert_int_equal(db_exec(store_db(f->store), NULL, "DROP TABLE object", ""), 0);
	assert_int_equal(db_exec(store_db(f->store), NULL, "ALTER TABLE run DROP COLUMN error_lines", ""), 0);
	assert_int_equal(db_exec(store_db(f->store), NULL, "PRAGMA user_version = 2", ""), 0);
	store_close(f->store);
	assert_int_equal(store_open(f->folder.path, 1, &f->store, NULL), 0);
	assert_int_equal(store_leftovers(f->store, left, 2), 0);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_put_attempt(f->store, &a), 0);
	assert_int_equal(store_end(f->store, store_delete_run(f->store, id)), 0);
	assert_int_equal(store_leftovers(f->store, left, 2), 1);
	assert_int_equal(left[0].run, id);
	assert_int_equal(left[0].attempt, 2);
	assert_string_equal(left[0].backend, "local");
	assert_string_equal(left[0].external_id, "7.2");
	assert_int_equal(left[0].tries, 0);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, store_keep_leftover(f->store, &left[0])), 0);
	assert_int_equal(store_leftovers(f->store, left, 2), 1);
	assert_int_equal(left[0].tries, 1);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, store_finish_leftover(f->store, &left[0])), 0);
	assert_int_equal(store_leftovers(f->store, left, 2), 0);
}

static void not_a_database(void **state)
{
	struct fixture *f = *state;
	struct why why = {0};

	store_close(f->store);
	f->store = NULL;
	unlinkat(f->folder.fd, "kexec.db-wal", 0);
	unlinkat(f->folder.fd, "kexec.db-shm", 0);
	folder_write(&f->folder, "kexec.db", "this is not a database, it only looks like a file\n");
	assert_int_equal(store_open(f->folder.path, 1, &f->store, &why), -EBADMSG);
	assert_true(why.text[0]);
}

static void alerts_are_bounded(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct run r = new_run("nb\n\"", PLACE_RUNS);
	int lines = 0;

	assert_int_equal(store_begin(f->store), 0);
	for (int i = 0; i < STORE_ALERTS_MAX + 10; i++) {
		char text[32];

		snprintf(text, sizeof(text), "alert %d", i);
		assert_int_equal(store_add_alert(f->store, &r, text), 0);
	}
	assert_int_equal(store_end(f->store, 0), 0);
	assert_int_equal(store_alerts(f->store, &out), 0);
	for (size_t i = 0; i < out.len; i++)
		lines += out.buf[i] == '\n';
	assert_int_equal(lines, STORE_ALERTS_MAX);
	assert_non_null(strstr(out.buf, "alert 1009"));
	assert_null(strstr(out.buf, "alert 9\""));
}

/* ---- Plans: they use an index, sort nothing, and no statistics change that ---- */

static void check_plans(struct store *s)
{
	for (const char *const *query = store_hot_queries; *query; query++) {
		AUTO_BUF struct strbuf plan = STRBUF_INIT;

		assert_int_equal(db_plan(store_db(s), *query, &plan), 0);
		if (strstr(plan.buf, "TEMP B-TREE"))
			fail_msg("sorts: %s\n%s", *query, plan.buf);
		/* alert, count, trash and leftover are small tables read whole, in the order of a key. */
		if (strstr(plan.buf, "SCAN") && !strstr(plan.buf, "SCAN alert") &&
			!strstr(plan.buf, "SCAN count") && !strstr(plan.buf, "SCAN trash") &&
			!strstr(plan.buf, "SCAN leftover") &&
			!strstr(plan.buf, "SCAN r\n"))
			fail_msg("scans: %s\n%s", *query, plan.buf);
		if (strstr(plan.buf, "SCAN r\n") && !strstr(plan.buf, "(subquery"))
			assert_non_null(strstr(*query, "LIMIT 20) r"));
	}
}

/* 100,000 runs by SQL of our own: states and folders as skewed as they can be. */
static const char fill[] =
	"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
	" INSERT INTO run(version, incarnation, name, folder, place, parent, state, kind, backend,"
	" attempt, eta_ns, detail, error_class, error_context, next_step, refusal, cost_usd, priority,"
	" changed_ns, queue_order, resting, lost)"
	" SELECT 1000000 + i, 1, 'nb-' || i, CASE WHEN i % 10 THEN 'nb' ELSE 'f' || i END, 0, 0, 5, 1,"
	" 'local', 1, -1, '', '', '', '', '', 0, 5, 0, i, 0, 0 FROM n";

static int64_t milliseconds(int64_t since)
{
	return (clock_boot_ns() - since) / NS_PER_MS;
}

static void many_runs(void **state)
{
	struct fixture *f = *state;
	struct store_entry *page = calloc(128, sizeof(*page));
	int64_t counts[RUN_STATE_COUNT], after = 0, start, id;
	char name[256];
	int n, total = 0, latest = 0;

	check_plans(f->store);
	assert_int_equal(db_begin(store_db(f->store), true), 0);
	assert_int_equal(db_script(store_db(f->store), fill, NULL), 0);
	assert_int_equal(db_commit(store_db(f->store)), 0);
	assert_int_equal(db_script(store_db(f->store), "ANALYZE", NULL), 0);
	check_plans(f->store);

	start = clock_boot_ns();
	store_close(f->store);
	assert_int_equal(store_open(f->folder.path, 1, &f->store, NULL), 0);
	assert_in_range(milliseconds(start), 0, 1000); /* 5 ms where nothing else runs */

	start = clock_boot_ns();
	while ((n = store_list(f->store, LIST_RUNS, after, page, 128)) > 0) {
		total += n;
		after = page[n - 1].e.id;
	}
	assert_int_equal(total, 100000);
	print_message("listed in %d ms\n", (int)milliseconds(start));
	for (after = 0; (n = store_list(f->store, LIST_LATEST, after, page, 128)) > 0; latest += n)
		after = page[n - 1].e.id;
	assert_int_equal(latest, 10001);

	start = clock_boot_ns();
	assert_int_equal(store_counts(f->store, counts), 0);
	assert_int_equal(counts[RUN_COMPLETE], 100000);
	assert_int_equal(store_find_latest(f->store, "nb", &id), 0);
	assert_int_equal(store_find(f->store, PLACE_RUNS, "nb-5", &id), 0);
	assert_int_equal(store_find_previous(f->store, "nb", 50000, &id), 0);
	assert_int_equal(store_mean_memory(f->store, "nb"), 0);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_free_name(f->store, PLACE_RUNS, "nb", 0, name), 0);
	store_end(f->store, -1);
	add(f, "one more", RUN_DRAFT);
	assert_in_range(milliseconds(start), 0, 1000);
	free(page);
}

/* ---- Time ---- */

static struct stamp moment(int64_t boot_s, int64_t wall_s)
{
	struct stamp s = stamp_now();

	s.boot_ns = boot_s * NS_PER_S;
	s.wall_ns += wall_s * NS_PER_S;
	return s;
}

static void add_complete(struct fixture *f, const char *name, struct stamp started, struct stamp ended)
{
	struct run r = new_run(name, PLACE_RUNS);

	r.state = RUN_COMPLETE;
	snprintf(r.folder, sizeof(r.folder), "nb");
	r.started = started;
	r.ended = ended;
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_end(f->store, store_add_run(f->store, &r)), 0);
}

/* Ten seconds and twenty, whatever the clock on the wall did meanwhile. */
static void a_turned_clock_changes_no_mean(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store_mean_time(f->store, "nb"), 0);
	add_complete(f, "on", moment(100, 0), moment(110, 315576000));
	add_complete(f, "back", moment(200, 0), moment(220, -315576000));
	assert_int_equal(store_mean_time(f->store, "nb"), 15 * NS_PER_S);
}

static void moments_of_events(void **state)
{
	struct fixture *f = *state;
	struct stamp at[3], before = stamp_now();
	struct run r;
	int64_t id = add(f, "nb", RUN_QUEUED);

	assert_int_equal(store_event_stamps(f->store, id, at, 3), 0);
	assert_int_equal(store_begin(f->store), 0);
	assert_int_equal(store_get_run(f->store, id, &r), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(store_add_event(f->store, &r, RUN_DRAFT, ""), 0);
	assert_int_equal(db_exec(store_db(f->store), NULL,
		"UPDATE event SET at = NULL WHERE id = (SELECT max(id) FROM event)", ""), 0);
	assert_int_equal(store_end(f->store, 0), 0);
	run_release(&r);
	assert_int_equal(store_event_stamps(f->store, id, at, 3), 3);
	assert_true(at[0].boot_ns >= before.boot_ns && at[1].boot_ns >= at[0].boot_ns);
	assert_string_equal(at[0].boot_id, before.boot_id);
	assert_int_equal(at[2].wall_ns, 0); /* of an older version */
}

/* ---- Many threads ---- */

static void *write_some(void *arg)
{
	struct fixture *f = arg;

	for (int i = 0; i < 20; i++) {
		struct run r = new_run("x", PLACE_RUNS);
		int rc = store_begin(f->store);

		r.state = RUN_COMPLETE;
		if (!rc)
			rc = store_free_name(f->store, PLACE_RUNS, "x", 0, r.name);
		if (!rc)
			rc = store_add_run(f->store, &r);
		if (store_end(f->store, rc))
			return arg;
	}
	return NULL;
}

static void *read_some(void *arg)
{
	struct fixture *f = arg;
	int64_t counts[RUN_STATE_COUNT], last = 0;

	for (int i = 0; i < 200; i++) {
		if (store_counts(f->store, counts) || counts[RUN_COMPLETE] < last)
			return arg;
		last = counts[RUN_COMPLETE];
	}
	return NULL;
}

static void many_threads(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[6];
	int64_t counts[RUN_STATE_COUNT];

	for (int i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? read_some : write_some, f), 0);
	for (int i = 0; i < 6; i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(store_counts(f->store, counts), 0);
	assert_int_equal(counts[RUN_COMPLETE], 60);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {T(round_trip), T(rolled_back), T(unique_names),
		T(ids_are_never_reused), T(reopened), T(another_boot), T(an_older_schema), T(not_a_database), T(alerts_are_bounded),
		T(a_turned_clock_changes_no_mean), T(moments_of_events), T(many_runs), T(many_threads)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
