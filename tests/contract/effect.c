/* What brings, ends or forgets a job: repeatable, whole or not at all, and of that job only. */
#include "tests/contract/cases.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/cleanup.h"
#include "fs/base/io.h"

/* ---- fetch ---- */

/* What a fetch that was killed may have left. */
static void leave_a_part(const struct attempt *a)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/output.part", a->directory);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/output.part/out.txt", a->directory);
	assert_int_equal(io_write_atomic(AT_FDCWD, path, "half", 4, 0600), 0);
}

static void fetch_is_whole_and_repeatable(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf once = STRBUF_INIT, twice = STRBUF_INIT;
	struct attempt a;

	run(w, &a, CONTRACT_WRITES);
	assert_false(is_there(&a, "output"));
	fetch(w, &a);
	assert_whole_output(&a);
	settle(w, &a);
	snapshot(w, &once);
	fetch(w, &a);
	world_reopen(w);
	fetch(w, &a);
	assert_whole_output(&a);
	snapshot(w, &twice);
	assert_string_equal(once.buf, twice.buf);
}

static void fetch_goes_on_after_a_crash(void **state)
{
	struct world *w = *state;
	struct attempt a;

	run(w, &a, CONTRACT_WRITES);
	leave_a_part(&a);
	fetch(w, &a);
	assert_whole_output(&a);
}

static void fetch_brings_what_a_failure_left(void **state)
{
	struct world *w = *state;
	struct attempt a;

	run(w, &a, CONTRACT_FAILS);
	fetch(w, &a);
	assert_file(&a, "output/partial.txt", CONTRACT_PARTIAL);
}

static void fetch_brings_nothing_before_the_end(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct job_status s;

	NEED(can(w, BACKEND_CANCEL));
	make(w, &a, CONTRACT_HANGS);
	submit(w, &a);
	wait_running(w, &a);
	assert_true(w->h.vt->fetch(w->h.conn, &a.job, a.id, soon(), NULL) < 0);
	assert_false(is_there(&a, "output") || is_there(&a, "output.part"));
	assert_int_equal(look(w, &a).state, JOB_RUNNING);
	assert_int_equal(w->h.vt->cancel(w->h.conn, a.id, soon(), NULL), 0);
	s = wait_end(w, &a);
	assert_end(&s, END_CANCELLED);
	fetch(w, &a);
}

static void fetch_of_nothing_leaves_nothing(void **state)
{
	struct world *w = *state;
	struct attempt a;

	make(w, &a, CONTRACT_WRITES);
	assert_true(w->h.vt->fetch(w->h.conn, &a.job, "contract-never-submitted", soon(), NULL) < 0);
	assert_false(is_there(&a, "output") || is_there(&a, "output.part"));
}

/* ---- logs ---- */

static void logs_are_whole(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf expected = STRBUF_INIT, log = STRBUF_INIT;
	struct attempt a;

	for (int i = 0; i < CONTRACT_LINES; i++)
		strbuf_addf(&expected, "line %d\n", i);
	make(w, &a, CONTRACT_WRITES);
	submit(w, &a);
	bring_log(w, &a); /* in the middle: nothing twice, nothing missing */
	wait_end(w, &a);
	bring_log(w, &a);
	bring_log(w, &a);
	world_reopen(w);
	bring_log(w, &a);
	read_file(&a, "log", &log);
	assert_non_null(strstr(log.buf, expected.buf));
	assert_null(strstr(strstr(log.buf, expected.buf) + 1, "line 0\n"));
}

static void logs_are_bounded(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf log = STRBUF_INIT;
	struct attempt a;
	struct job_status s = run(w, &a, CONTRACT_FLOODS);

	assert_end(&s, END_OK);
	bring_log(w, &a);
	bring_log(w, &a);
	read_file(&a, "log", &log);
	assert_true(log.len <= w->backend->log_max);
	assert_memory_equal(log.buf, "first\n", 6);
	assert_non_null(strstr(log.buf + log.len - 100, "the end\n"));
}

/* ---- cancel ---- */

static void cancel_ends_a_job(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct job_status s, again;

	NEED(can(w, BACKEND_CANCEL));
	make(w, &a, CONTRACT_HANGS);
	submit(w, &a);
	wait_running(w, &a);
	assert_int_equal(w->h.vt->cancel(w->h.conn, a.id, soon(), NULL), 0);
	assert_int_equal(w->h.vt->cancel(w->h.conn, a.id, soon(), NULL), 0);
	s = wait_end(w, &a);
	assert_end(&s, END_CANCELLED);
	assert_int_equal(w->h.vt->cancel(w->h.conn, a.id, soon(), NULL), 0);
	world_reopen(w);
	assert_int_equal(w->h.vt->cancel(w->h.conn, a.id, soon(), NULL), 0);
	again = look(w, &a);
	assert_same(&s, &again);
	assert_int_equal(find(w, &a), JOB_ENDED);
	submit(w, &a); /* answered, not done again */
	assert_true(executions(w) <= 1);
}

/* It may not even have begun. */
static void cancel_right_after_submit(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct job_status s;

	NEED(can(w, BACKEND_CANCEL));
	make(w, &a, CONTRACT_HANGS);
	submit(w, &a);
	assert_int_equal(w->h.vt->cancel(w->h.conn, a.id, soon(), NULL), 0);
	s = wait_end(w, &a);
	assert_end(&s, END_CANCELLED);
}

static void cancel_of_an_ended_job_changes_nothing(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct job_status s, again;

	NEED(can(w, BACKEND_CANCEL));
	s = run(w, &a, CONTRACT_WRITES);
	assert_int_equal(w->h.vt->cancel(w->h.conn, a.id, soon(), NULL), 0);
	again = look(w, &a);
	assert_end(&again, END_OK);
	assert_same(&s, &again);
	fetch(w, &a);
	assert_whole_output(&a);
}

static void cancel_is_there_or_says_so(void **state)
{
	struct world *w = *state;

	if (can(w, BACKEND_CANCEL))
		assert_non_null(w->h.vt->cancel);
	else if (w->h.vt->cancel)
		assert_int_equal(w->h.vt->cancel(w->h.conn, "any", soon(), NULL), -EOPNOTSUPP);
}

/* ---- purge ---- */

static void purge_forgets_one_job(void **state)
{
	struct world *w = *state;
	struct attempt a, b;
	struct job_status s, again, gone = {.progress = -1};

	NEED(w->h.vt->purge);
	run(w, &a, CONTRACT_WRITES);
	s = run(w, &b, CONTRACT_WRITES);
	fetch(w, &a);
	for (int i = 0; i < 2; i++)
		assert_int_equal(w->h.vt->purge(w->h.conn, a.id, soon(), NULL), 0);
	world_reopen(w);
	assert_int_equal(w->h.vt->purge(w->h.conn, a.id, soon(), NULL), 0);
	if (!w->h.vt->poll(w->h.conn, a.id, soon(), &gone, NULL))
		assert_true(gone.state == JOB_ABSENT || gone.state == JOB_UNKNOWN);
	assert_whole_output(&a); /* what was brought is the user's */
	again = look(w, &b);
	assert_same(&s, &again);
	assert_int_equal(find(w, &b), JOB_ENDED);
	fetch(w, &b);
	assert_whole_output(&b);
	assert_int_equal(executions(w), 2);
}

static void purge_spares_what_runs(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct job_status s;

	NEED(w->h.vt->purge && can(w, BACKEND_CANCEL));
	make(w, &a, CONTRACT_HANGS);
	submit(w, &a);
	wait_running(w, &a);
	assert_true(w->h.vt->purge(w->h.conn, a.id, soon(), NULL) < 0);
	assert_int_equal(look(w, &a).state, JOB_RUNNING);
	assert_int_equal(w->h.vt->cancel(w->h.conn, a.id, soon(), NULL), 0);
	s = wait_end(w, &a);
	assert_end(&s, END_CANCELLED);
	assert_int_equal(w->h.vt->purge(w->h.conn, a.id, soon(), NULL), 0);
}

#define CASE(f) {#f, f}

const struct contract_case contract_effect_cases[] = {CASE(fetch_is_whole_and_repeatable),
	CASE(fetch_goes_on_after_a_crash), CASE(fetch_brings_what_a_failure_left),
	CASE(fetch_brings_nothing_before_the_end), CASE(fetch_of_nothing_leaves_nothing),
	CASE(logs_are_whole), CASE(logs_are_bounded), CASE(cancel_ends_a_job),
	CASE(cancel_right_after_submit), CASE(cancel_of_an_ended_job_changes_nothing),
	CASE(cancel_is_there_or_says_so), CASE(purge_forgets_one_job), CASE(purge_spares_what_runs), {0}};
