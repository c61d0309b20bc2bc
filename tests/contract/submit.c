/* Starting: exactly once, whatever is repeated, lost or asked in between. */
#include "tests/contract/cases.h"

#include <errno.h>
#include <string.h>

#include "fs/base/cleanup.h"

static void submitting_again_starts_nothing(void **state)
{
	struct world *w = *state;
	struct attempt a;

	make(w, &a, CONTRACT_WRITES);
	submit(w, &a);
	submit(w, &a); /* asserts the same id */
	wait_end(w, &a);
	submit(w, &a);
	world_reopen(w);
	submit(w, &a);
	assert_int_equal(look(w, &a).state, JOB_ENDED);
	assert_int_equal(executions(w), 1);
}

static void another_token_is_another_job(void **state)
{
	struct world *w = *state;
	struct attempt a, b;

	make(w, &a, CONTRACT_WRITES);
	make(w, &b, CONTRACT_WRITES);
	submit(w, &a);
	submit(w, &b);
	assert_string_not_equal(a.id, b.id);
	wait_end(w, &a);
	wait_end(w, &b);
	assert_int_equal(executions(w), 2);
}

static void find_knows_what_was_submitted(void **state)
{
	struct world *w = *state;
	struct attempt a, never;

	make(w, &a, CONTRACT_WRITES);
	make(w, &never, CONTRACT_WRITES);
	assert_int_equal(find(w, &a), JOB_ABSENT);
	assert_int_equal(find(w, &a), JOB_ABSENT);
	submit(w, &a);
	assert_int_not_equal(find(w, &a), JOB_ABSENT);
	world_reopen(w);
	assert_int_not_equal(find(w, &a), JOB_ABSENT);
	wait_end(w, &a);
	assert_int_equal(find(w, &a), JOB_ENDED);
	world_reopen(w);
	assert_int_equal(find(w, &a), JOB_ENDED);
	assert_int_equal(find(w, &never), JOB_ABSENT);
	assert_int_equal(executions(w), 1);
}

/* find() brings the id to who never heard it from submit(). */
static void find_brings_the_id(void **state)
{
	struct world *w = *state;
	struct attempt a;
	char id[sizeof(a.id)];

	run(w, &a, CONTRACT_WRITES);
	memcpy(id, a.id, sizeof(id));
	a.id[0] = 0;
	assert_int_equal(find(w, &a), JOB_ENDED);
	assert_string_equal(a.id, id);
}

struct sender {
	struct world *w;
	struct attempt *a;
	int rc, done;
};

static void *send_it(void *arg)
{
	struct sender *s = arg;
	struct strbuf id = STRBUF_INIT;

	s->rc = s->w->h.vt->submit(s->w->h.conn, &s->a->job, soon(), &id, NULL);
	strbuf_release(&id);
	__atomic_store_n(&s->done, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* What was seen once is never absent again, not even for a moment in the middle of submit(). */
static void find_never_forgets_while_submitting(void **state)
{
	struct world *w = *state;
	struct attempt a;
	struct sender sender = {.w = w, .a = &a};
	bool seen = false;
	pthread_t thread;

	make(w, &a, CONTRACT_WRITES);
	assert_int_equal(pthread_create(&thread, NULL, send_it, &sender), 0);
	while (!__atomic_load_n(&sender.done, __ATOMIC_SEQ_CST)) {
		bool absent = find(w, &a) == JOB_ABSENT;

		assert_false(absent && seen);
		seen = seen || !absent;
		pause_ms(1);
	}
	pthread_join(thread, NULL);
	assert_int_equal(sender.rc, 0);
	assert_int_not_equal(find(w, &a), JOB_ABSENT);
	wait_end(w, &a);
	assert_int_equal(executions(w), 1);
}

static void find_is_not_sure_in_doubt(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct job_status status = {.progress = -1};
	struct attempt a;
	int rc;

	NEED(w->backend->doubt);
	make(w, &a, CONTRACT_WRITES);
	w->backend->doubt(w->service, &a.job, true);
	rc = w->h.vt->find(w->h.conn, &a.job, soon(), &id, &status, NULL);
	w->backend->doubt(w->service, &a.job, false);
	assert_true(rc <= 0);
	if (!rc)
		assert_int_not_equal(status.state, JOB_ABSENT);
	assert_int_equal(find(w, &a), JOB_ABSENT);
	submit(w, &a);
	wait_end(w, &a);
	assert_int_equal(executions(w), 1);
}

static void check_starts_nothing(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf warnings = STRBUF_INIT;
	struct attempt a;
	struct why why = {0};

	NEED(w->h.vt->check);
	make(w, &a, CONTRACT_WRITES);
	for (int i = 0; i < 2; i++)
		if (w->h.vt->check(w->h.conn, &a.job, &warnings, &why))
			fail_msg("check: %s", why_text(&why));
	assert_int_equal(find(w, &a), JOB_ABSENT);
	assert_int_equal(executions(w), 0);
}

/* -EINVAL with a sentence, before anything has happened. */
static void wrong_jobs_are_refused(void **state)
{
	static const char *const mains[] = {"../main.py", "/etc/passwd", "", "a/../../main.py", "a//b", "."};
	struct world *w = *state;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct attempt a;

	make(w, &a, CONTRACT_WRITES);
	const char *kind = a.job.kind, *main_file = a.job.main;

	for (size_t i = 0; i < sizeof(mains) / sizeof(*mains); i++) {
		struct why why = {0};

		a.job.main = mains[i];
		assert_int_equal(w->h.vt->submit(w->h.conn, &a.job, soon(), &text, &why), -EINVAL);
		assert_true(why.text[0]);
		if (w->h.vt->check)
			assert_int_equal(w->h.vt->check(w->h.conn, &a.job, &text, NULL), -EINVAL);
	}
	a.job.main = main_file;
	a.job.kind = "nothing of that kind";
	assert_int_equal(w->h.vt->submit(w->h.conn, &a.job, soon(), &text, NULL), -EINVAL);
	assert_int_equal(text.len, 0);
	a.job.kind = kind;
	assert_int_equal(find(w, &a), JOB_ABSENT);
	assert_int_equal(executions(w), 0);
	submit(w, &a);
	wait_end(w, &a);
	assert_int_equal(executions(w), 1);
}

#define CASE(f) {#f, f}

const struct contract_case contract_submit_cases[] = {CASE(submitting_again_starts_nothing),
	CASE(another_token_is_another_job), CASE(find_knows_what_was_submitted),
	CASE(find_brings_the_id), CASE(find_never_forgets_while_submitting),
	CASE(find_is_not_sure_in_doubt), CASE(check_starts_nothing), CASE(wrong_jobs_are_refused), {0}};
