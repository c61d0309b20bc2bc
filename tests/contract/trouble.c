/* Ids that nobody gave out, deadlines that are over, and faults at every step. */
#include "tests/contract/cases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"

/* ---- strange ids ---- */

#define LONG_ID 10000

static void assert_nothing_known(struct world *w, const struct attempt *never, const char *id)
{
	struct job_status s = {.state = JOB_UNKNOWN, .progress = -1};
	int rc = w->h.vt->poll(w->h.conn, id, soon(), &s, NULL);

	assert_true(rc <= 0);
	if (!rc)
		assert_true(s.state == JOB_ABSENT || s.state == JOB_UNKNOWN);
	assert_true(w->h.vt->fetch(w->h.conn, &never->job, id, soon(), NULL) < 0);
	if (w->h.vt->logs)
		assert_true(w->h.vt->logs(w->h.conn, &never->job, id, soon(), NULL) <= 0);
	if (w->h.vt->cancel)
		assert_true(w->h.vt->cancel(w->h.conn, id, soon(), NULL) <= 0);
	if (w->h.vt->purge)
		assert_true(w->h.vt->purge(w->h.conn, id, soon(), NULL) <= 0);
}

/* A job that has ended lies below the root: whoever reaches it through a path tells of it or removes it. */
static void strange_ids_reach_nothing(void **state)
{
	static const char *const ids[] = {"", ".", "..", "../x", "../attempt-1", "../../state/attempt-1",
		"/etc/passwd", "a/b", "\n", "\x01\x02\x1b[31m", "%s%n%s", "\xff\xfe", "-1", "0",
		"99999999999999999999.1", "1.99999999999999999999", "'; DROP TABLE run; --", "a b", "id?x=1&y#z",
		"contract-never-submitted"};
	struct world *w = *state;
	AUTO_BUF struct strbuf before = STRBUF_INIT, after = STRBUF_INIT;
	AUTO_FREE char *longest = malloc(LONG_ID + 1);
	struct attempt a, never;
	struct job_status s = run(w, &a, CONTRACT_WRITES), again;

	make(w, &never, CONTRACT_WRITES);
	settle(w, &a);
	snapshot(w, &before);
	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		assert_nothing_known(w, &never, ids[i]);
	assert_nothing_known(w, &never, a.directory);
	memset(longest, '1', LONG_ID);
	longest[LONG_ID] = 0;
	assert_nothing_known(w, &never, longest);
	for (int i = 1; i < LONG_ID; i += 2)
		longest[i] = '/';
	assert_nothing_known(w, &never, longest);
	snapshot(w, &after);
	assert_string_equal(before.buf, after.buf);
	again = look(w, &a);
	assert_same(&s, &again);
	assert_int_equal(find(w, &never), JOB_ABSENT);
	assert_int_equal(executions(w), 1);
}

/* ---- deadlines ---- */

static void assert_late(int rc)
{
	if (rc && rc != -ETIMEDOUT)
		fail_msg("after its deadline a call answers %s", strerror(-rc));
}

/* Done, or not: find() says which, and then it is done once. */
static void late_submit_is_no_doubt(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct attempt a;
	struct job_status s;

	make(w, &a, CONTRACT_WRITES);
	assert_late(w->h.vt->submit(w->h.conn, &a.job, past(), &id, NULL));
	s = recover(w, &a);
	assert_end(&s, END_OK);
	assert_int_equal(executions(w), 1);
}

static void late_calls_end(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct attempt a;
	struct job_status s = run(w, &a, CONTRACT_WRITES), late = {.progress = -1};

	assert_late(w->h.vt->find(w->h.conn, &a.job, past(), &id, &late, NULL));
	assert_late(w->h.vt->poll(w->h.conn, a.id, past(), &late, NULL));
	assert_late(w->h.vt->fetch(w->h.conn, &a.job, a.id, past(), NULL));
	if (is_there(&a, "output"))
		assert_whole_output(&a);
	fetch(w, &a);
	assert_whole_output(&a);
	if (w->h.vt->logs)
		assert_late(w->h.vt->logs(w->h.conn, &a.job, a.id, past(), NULL));
	if (can(w, BACKEND_CANCEL))
		assert_late(w->h.vt->cancel(w->h.conn, a.id, past(), NULL));
	late = look(w, &a);
	assert_same(&s, &late);
	if (w->h.vt->purge)
		assert_late(w->h.vt->purge(w->h.conn, a.id, past(), NULL));
}

static void late_cancel_can_be_repeated(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct job_status s;

	NEED(can(w, BACKEND_CANCEL));
	make(w, &a, CONTRACT_HANGS);
	submit(w, &a);
	wait_running(w, &a);
	assert_late(w->h.vt->cancel(w->h.conn, a.id, past(), NULL));
	assert_int_equal(w->h.vt->cancel(w->h.conn, a.id, soon(), NULL), 0);
	s = wait_end(w, &a);
	assert_end(&s, END_CANCELLED);
}

/* ---- faults (of the wrapper for them): each step of a call fails in turn, until the call passes fewer ---- */

/* These answers mean that it surely was not taken: the engine submits again without asking. */
static bool surely_not_taken(int rc)
{
	return rc == -EAGAIN || rc == -EDQUOT || rc == -EACCES || rc == -EINVAL;
}

static void faults_of_submit(void **state)
{
	struct world *w = *state;
	bool reached = true;
	unsigned n = 0;

	while (reached) {
		AUTO_BUF struct strbuf id = STRBUF_INIT;
		struct attempt a;
		struct job_status s;
		int rc, before = executions(w);

		make(w, &a, CONTRACT_WRITES);
		world_arm(w, ++n);
		rc = w->h.vt->submit(w->h.conn, &a.job, soon(), &id, NULL);
		reached = world_passed(w) >= n;
		world_arm(w, 0);
		assert_true(rc || reached || id.len);
		if (surely_not_taken(rc))
			assert_int_equal(find(w, &a), JOB_ABSENT);
		s = recover(w, &a);
		assert_end(&s, END_OK);
		assert_int_equal(executions(w), before + 1);
	}
	print_message("%u faults of submit\n", n - 1);
	assert_true(n > 2); /* before and after it at least */
}

static void faults_of_fetch(void **state)
{
	struct world *w = *state;
	bool reached = true;
	unsigned n = 0;

	while (reached) {
		struct attempt a;
		int rc;

		run(w, &a, CONTRACT_WRITES);
		world_arm(w, ++n);
		rc = w->h.vt->fetch(w->h.conn, &a.job, a.id, soon(), NULL);
		reached = world_passed(w) >= n;
		world_arm(w, 0);
		if (!rc || is_there(&a, "output"))
			assert_file(&a, "output/out.txt", CONTRACT_OUT);
		fetch(w, &a);
		assert_whole_output(&a);
	}
	print_message("%u faults of fetch\n", n - 1);
	assert_true(n > 2);
}

static void faults_of_cancel(void **state)
{
	struct world *w = *state;
	bool reached = true;
	unsigned n = 0;

	NEED(can(w, BACKEND_CANCEL));
	while (reached) {
		struct attempt a;
		struct job_status s;

		make(w, &a, CONTRACT_HANGS);
		submit(w, &a);
		wait_running(w, &a);
		world_arm(w, ++n);
		w->h.vt->cancel(w->h.conn, a.id, soon(), NULL);
		reached = world_passed(w) >= n;
		world_arm(w, 0);
		assert_int_equal(w->h.vt->cancel(w->h.conn, a.id, soon(), NULL), 0);
		s = wait_end(w, &a);
		assert_end(&s, END_CANCELLED);
	}
	print_message("%u faults of cancel\n", n - 1);
	assert_true(n > 2);
}

static void faults_of_purge(void **state)
{
	struct world *w = *state;
	bool reached = true;
	unsigned n = 0;

	NEED(w->h.vt->purge);
	while (reached) {
		struct attempt a;

		run(w, &a, CONTRACT_WRITES);
		world_arm(w, ++n);
		w->h.vt->purge(w->h.conn, a.id, soon(), NULL);
		reached = world_passed(w) >= n;
		world_arm(w, 0);
		assert_int_equal(w->h.vt->purge(w->h.conn, a.id, soon(), NULL), 0);
	}
	print_message("%u faults of purge\n", n - 1);
	assert_true(n > 2);
}

/* ---- the wrappers ---- */

/* They keep the shape: what is optional and absent inside is absent outside. */
static void wrappers_keep_the_shape(void **state)
{
	struct world *w = *state;
	const struct backend *in = w->backend->vt, *out = w->h.vt;

	assert_string_equal(out->name, in->name);
	assert_int_equal(out->caps, in->caps);
	assert_int_equal(out->api, in->api);
	assert_int_equal(!out->logs, !in->logs);
	assert_int_equal(!out->cancel, !in->cancel);
	assert_int_equal(!out->check, !in->check);
	assert_int_equal(!out->purge, !in->purge);
}

/* One line a call, with the errno and the sentence, and whatever the id holds. */
static void trace_tells_every_call(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf log = STRBUF_INIT;
	struct attempt a, calls = {0};

	run(w, &a, CONTRACT_WRITES);
	fetch(w, &a);
	w->h.vt->fetch(w->h.conn, &a.job, "\"quoted\"\n", soon(), NULL);
	snprintf(calls.directory, sizeof(calls.directory), "%s", w->root);
	read_file(&calls, "calls", &log);
	assert_non_null(strstr(log.buf, "\"entry\":\"submit\",\"ms\":"));
	assert_non_null(strstr(log.buf, "\"entry\":\"poll\",\"ms\":"));
	assert_non_null(strstr(log.buf, "\"state\":\"ended\",\"cause\":\"ok\""));
	assert_non_null(strstr(log.buf, "\"entry\":\"fetch\",\"ms\":"));
	assert_non_null(strstr(log.buf, "\\\"quoted\\\"\\n"));
}

#define CASE(f) {#f, f}

const struct contract_case contract_trouble_cases[] = {CASE(strange_ids_reach_nothing),
	CASE(late_submit_is_no_doubt), CASE(late_calls_end), CASE(late_cancel_can_be_repeated),
	CASE(wrappers_keep_the_shape), {0}};
const struct contract_case contract_fault_cases[] = {CASE(faults_of_submit), CASE(faults_of_fetch),
	CASE(faults_of_cancel), CASE(faults_of_purge), {0}};
const struct contract_case contract_trace_cases[] = {CASE(trace_tells_every_call), {0}};
