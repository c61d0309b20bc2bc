/* Asking: true, repeatable, without effects, from any thread and over any connection. */
#include "tests/contract/cases.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/cleanup.h"

/* ---- poll ---- */

static void poll_tells_a_good_end(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct job_status s = run(w, &a, CONTRACT_WRITES), again = look(w, &a);

	assert_end(&s, END_OK);
	if (w->backend->knows_exit)
		assert_int_equal(s.exit_code, 0);
	assert_int_equal(s.signal, 0);
	assert_same(&s, &again);
	world_reopen(w);
	again = look(w, &a);
	assert_same(&s, &again);
}

static void poll_tells_a_failure(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct job_status s = run(w, &a, CONTRACT_FAILS), again = look(w, &a);

	assert_end(&s, END_ERROR);
	if (w->backend->knows_exit)
		assert_int_equal(s.exit_code, 3);
	assert_int_not_equal(s.exit_code, 0);
	assert_same(&s, &again);
}

static void poll_tells_a_signal(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct job_status s = run(w, &a, CONTRACT_DIES);

	assert_end(&s, w->backend->knows_exit ? END_SIGNAL : END_ERROR);
	if (w->backend->knows_exit)
		assert_int_equal(s.signal, SIGSEGV);
}

/* Asking changes nothing: neither where the files are nor how the job goes on. */
static void poll_has_no_effect(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf before = STRBUF_INIT, after = STRBUF_INIT;
	struct attempt a, b;

	run(w, &a, CONTRACT_WRITES);
	make(w, &b, CONTRACT_WRITES);
	settle(w, &a);
	snapshot(w, &before);
	for (int i = 0; i < 20; i++) {
		look(w, &a);
		find(w, &a);
		find(w, &b);
	}
	snapshot(w, &after);
	assert_string_equal(before.buf, after.buf);
	assert_int_equal(executions(w), 1);
}

/* ---- connections ---- */

static void jobs_outlive_the_connection(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct job_status s;

	w->h.vt->close(NULL);
	make(w, &a, CONTRACT_WRITES);
	submit(w, &a);
	world_reopen(w);
	s = wait_end(w, &a);
	assert_end(&s, END_OK);
	fetch(w, &a);
	assert_whole_output(&a);
	assert_int_equal(executions(w), 1);
}

static bool pushed(struct world *w, const struct attempt *a)
{
	bool found = false;

	for (int i = 0; i < w->ends; i++)
		found = found || !strcmp(w->ended[i], a->id);
	return found;
}

static void assert_pushed(struct world *w, const struct attempt *a)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 120;
	pthread_mutex_lock(&w->lock);
	while (!rc && !pushed(w, a))
		rc = pthread_cond_timedwait(&w->news, &w->lock, &until);
	pthread_mutex_unlock(&w->lock);
	assert_int_equal(rc, 0);
	assert_int_equal(look(w, a).state, JOB_ENDED);
}

/* Also of a job that this connection only found. */
static void ends_are_pushed(void **state)
{
	struct world *w = *state;
	struct attempt a, b;

	NEED(can(w, BACKEND_PUSHES));
	make(w, &a, CONTRACT_WRITES);
	submit(w, &a);
	assert_pushed(w, &a);
	NEED(can(w, BACKEND_CANCEL));
	make(w, &b, CONTRACT_HANGS);
	submit(w, &b);
	world_reopen(w);
	wait_running(w, &b);
	assert_int_equal(w->h.vt->cancel(w->h.conn, b.id, soon(), NULL), 0);
	assert_pushed(w, &b);
}

/* ---- describe ---- */

static void describe_is_one_line(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 2; i++) {
		AUTO_BUF struct strbuf status = STRBUF_INIT, quota = STRBUF_INIT;

		assert_int_equal(w->h.vt->describe(w->h.conn, &status, &quota), 0);
		assert_true(status.len > 1 && quota.len > 0);
		assert_ptr_equal(strchr(status.buf, '\n'), status.buf + status.len - 1);
		assert_int_equal(quota.buf[quota.len - 1], '\n');
		assert_null(strpbrk(status.buf, "\033\r\t"));
	}
	assert_int_equal(executions(w), 0);
}

/* ---- threads ---- */

#define THREADS 4

struct worker {
	struct world *w;
	struct attempt *shared, *own;
	const char *trouble; /* of a thread other than the test's, which cannot fail it */
};

/* Doubts are cleared up as the engine does. True: submitted or found. */
static bool send_until_known(struct world *w, const struct job *job)
{
	for (int64_t until = soon(); clock_boot_ns() < until; pause_ms(5)) {
		struct strbuf id = STRBUF_INIT;
		struct job_status s;
		int rc = w->h.vt->submit(w->h.conn, job, soon(), &id, NULL);
		bool known = !rc && id.len;

		if (rc)
			known = !w->h.vt->find(w->h.conn, job, soon(), &id, &s, NULL) && id.len;
		strbuf_release(&id);
		if (known)
			return true;
	}
	return false;
}

static const char *ask_everything(struct world *w, const struct attempt *a)
{
	struct strbuf id = STRBUF_INIT, quota = STRBUF_INIT;
	struct job_status s;
	const char *trouble = NULL;

	if (w->h.vt->find(w->h.conn, &a->job, soon(), &id, &s, NULL) || !id.len)
		trouble = "find";
	else if (w->h.vt->poll(w->h.conn, id.buf, soon(), &s, NULL))
		trouble = "poll";
	strbuf_reset(&id);
	if (w->h.vt->describe(w->h.conn, &id, &quota))
		trouble = "describe";
	strbuf_release(&id);
	strbuf_release(&quota);
	return trouble;
}

static void *work(void *arg)
{
	struct worker *k = arg;

	if (!send_until_known(k->w, &k->shared->job) || !send_until_known(k->w, &k->own->job))
		k->trouble = "submit";
	for (int i = 0; i < 10 && !k->trouble; i++) {
		k->trouble = ask_everything(k->w, k->shared);
		if (!k->trouble)
			k->trouble = ask_everything(k->w, k->own);
	}
	return NULL;
}

static void threads_share_a_connection(void **state)
{
	struct world *w = *state;
	struct attempt shared, own[THREADS];
	struct worker workers[THREADS];
	pthread_t threads[THREADS];
	struct job_status s;

	make(w, &shared, CONTRACT_WRITES);
	for (int i = 0; i < THREADS; i++) {
		make(w, &own[i], CONTRACT_WRITES);
		workers[i] = (struct worker){.w = w, .shared = &shared, .own = &own[i]};
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < THREADS; i++) {
		if (workers[i].trouble)
			fail_msg("thread %d: %s", i, workers[i].trouble);
		find(w, &own[i]);
		s = wait_end(w, &own[i]);
		assert_end(&s, END_OK);
	}
	find(w, &shared);
	s = wait_end(w, &shared);
	assert_end(&s, END_OK);
	assert_int_equal(executions(w), THREADS + 1);
}

#define CASE(f) {#f, f}

const struct contract_case contract_answer_cases[] = {CASE(poll_tells_a_good_end),
	CASE(poll_tells_a_failure), CASE(poll_tells_a_signal), CASE(poll_has_no_effect),
	CASE(jobs_outlive_the_connection), CASE(ends_are_pushed), CASE(describe_is_one_line),
	CASE(threads_share_a_connection), {0}};
