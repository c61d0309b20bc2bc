/* The engine with the scripted backend: failures, refusals, doubt, restarts. */
#include "tests/unit/engine_cases.h"

static void failing_code(void **state)
{
	struct fixture *f = *state;
	static const char *const words[] = {"queued", "submitting", "running", "collecting", "failed", NULL};
	struct run r;
	int64_t id;

	script.failures = 1;
	script.hold = true;
	script.log = TRACEBACK("ValueError: wrong shape");
	id = submitted(f, "nb", "{\"on_error\": \"retry\"}");
	wait_state(f, id, RUN_RUNNING);
	script.hold = false;
	wait_state(f, id, RUN_FAILED);
	get(f, id, &r);
	assert_string_equal(r.error_class, "code");
	assert_non_null(strstr(r.error_context, "wrong shape"));
	assert_true(r.next_step[0]);
	run_release(&r);
	assert_events(f, id, words);
	assert_true(state_file(f, id, "report.md"));
	assert_int_equal(command(f, id, "retry", NULL), 0);
	wait_state(f, id, RUN_COMPLETE);
	get(f, id, &r);
	assert_string_equal(r.error_class, "");
	run_release(&r);
	assert_int_equal(executions(f, id), 2);
}

static void transient_failure(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.failures = 2;
	script.log = TRACEBACK("requests.exceptions.ConnectTimeout: timed out");
	id = submitted(f, "nb", "{\"retry\": {\"max_attempts\": 3, \"delay_seconds\": 0.01}}");
	wait_state(f, id, RUN_COMPLETE);
	assert_int_equal(executions(f, id), 3);
	assert_int_equal(engine_attempt_count(f->engine, id), 3);
}

static void missing_expectation(void **state)
{
	struct fixture *f = *state;
	int64_t id = submitted(f, "nb", "{\"expect\": [\"result.txt\", \"submission.csv\"]}");
	struct run r;

	wait_state(f, id, RUN_FAILED);
	get(f, id, &r);
	assert_non_null(strstr(r.error_context, "submission.csv"));
	run_release(&r);
	assert_int_equal(executions(f, id), 1);
}

static void deadline_over(void **state)
{
	struct fixture *f = *state;
	int64_t id = submitted(f, "nb", "{\"deadline\": \"2020-01-01T00:00:00Z\"}");
	struct run r;

	WAIT_FOR(f, state_of(f, id) == RUN_FAILED || state_of(f, id) == RUN_REJECTED);
	get(f, id, &r);
	if (r.state == RUN_FAILED)
		assert_string_equal(r.error_class, "time_limit");
	run_release(&r);
	assert_int_equal(executions(f, id), 0);
}

static void lost_once(void **state)
{
	struct fixture *f = *state;
	static const char *const words[] = {"queued", "submitting", "collecting", "retrying", "queued",
		"submitting", "collecting", "complete", NULL};
	int64_t id;

	script.lost = 1;
	id = submitted(f, "nb", "{\"retry\": {\"max_attempts\": 2, \"delay_seconds\": 0}}");
	wait_state(f, id, RUN_COMPLETE);
	assert_events(f, id, words);
	assert_int_equal(executions(f, id), 2);
}

static void lost_twice(void **state)
{
	struct fixture *f = *state;
	struct run r;
	int64_t id;

	script.lost = 5;
	id = submitted(f, "nb", "{\"retry\": {\"max_attempts\": 1, \"delay_seconds\": 0}}");
	wait_state(f, id, RUN_FAILED);
	get(f, id, &r);
	assert_string_equal(r.error_class, "infra");
	run_release(&r);
	assert_int_equal(executions(f, id), 2);
}

static void next_backend(void **state)
{
	struct fixture *f = *state;
	struct run r;
	int64_t id;

	script.submit_rc[0] = -EDQUOT;
	id = submitted(f, "nb", "{\"backend\": [\"kaggle\", \"local\"]}");
	wait_state(f, id, RUN_COMPLETE);
	get(f, id, &r);
	assert_string_equal(r.backend, "local");
	run_release(&r);
	assert_int_equal(executions(f, id), 1);
}

static void quota_waits(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.submit_rc[0] = -EDQUOT;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_WAITING);
	assert_int_equal(command(f, id, "cancel", NULL), 0);
	assert_int_equal(state_of(f, id), RUN_CANCELLED);
}

static void refused_job(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.submit_rc[0] = -EINVAL;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_FAILED);
	assert_int_equal(executions(f, id), 0);
}

/* The same answer again and again is one event, and asked for less and less often. */
static void busy_service(void **state)
{
	struct fixture *f = *state;
	static const char *const words[] = {"queued", "submitting", "waiting", "queued", "submitting",
		"running", "collecting", "complete", NULL};
	int64_t id, begun = clock_boot_ns();

	script.submit_rc[0] = script.submit_rc[1] = -EAGAIN;
	script.hold = true;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_RUNNING);
	script.hold = false;
	wait_state(f, id, RUN_COMPLETE);
	assert_in_range(clock_boot_ns() - begun, 5 * NS_PER_S, 30 * NS_PER_S); /* 2 s and 4 s */
	assert_events(f, id, words);
	assert_int_equal(executions(f, id), 1);
	assert_int_equal(engine_attempt_count(f->engine, id), 1);
}

/* Another reason is another event; what a person does in between leaves a whole chain. */
static void busy_for_another_reason(void **state)
{
	struct fixture *f = *state;
	static const char *const words[] = {"queued", "submitting", "waiting", "queued", "submitting",
		"waiting", "cancelled", NULL};
	int64_t id;

	script.submit_rc[0] = -EAGAIN;
	script.submit_rc[1] = -EDQUOT;
	script.submit_rc[2] = -EAGAIN;
	id = submitted(f, "nb", NULL);
	WAIT_FOR(f, script_submits() == 2);
	wait_state(f, id, RUN_WAITING);
	assert_int_equal(command(f, id, "cancel", NULL), 0);
	assert_events(f, id, words);
}

static void doubtful_submission(void **state)
{
	struct fixture *f = *state;
	static const int answers[] = {-EUCLEAN, -ETIMEDOUT, -EIO};

	for (int effect = 0; effect < 2; effect++) {
		for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
			int64_t id;

			script.submits = 0;
			script.submit_rc[0] = answers[i];
			script.submit_effect = effect;
			id = submitted(f, "nb", NULL);
			wait_state(f, id, RUN_COMPLETE);
			assert_int_equal(executions(f, id), 1);
			assert_int_equal(engine_attempt_count(f->engine, id), 1);
			assert_int_equal(script.submits, effect ? 1 : 2);
		}
	}
}

static void no_evidence(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.submit_rc[0] = -EUCLEAN;
	script.find_unknown = true;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_UNKNOWN);
	assert_int_equal(script.submits, 1);
	script.find_unknown = false;
	assert_int_equal(command(f, id, "lookup", NULL), 0);
	wait_state(f, id, RUN_COMPLETE);
	assert_int_equal(executions(f, id), 1);
	assert_int_equal(script.submits, 2);
}

static void monitor_limit(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	f->config.monitor_hours = 0.0001;
	script.hold = true;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_UNKNOWN);
	assert_int_equal(script.submits, 1);
	script.hold = false;
	wait_state(f, id, RUN_COMPLETE);
	assert_int_equal(executions(f, id), 1);
}

static void backend_away(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.poll_errors = 2;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_COMPLETE);
	assert_int_equal(executions(f, id), 1);
}

static void backend_broken(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int64_t id;

	script.open_fails = true;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_WAITING);
	assert_int_equal(engine_backend_status(f->engine, "local", &text), 0);
	assert_non_null(strstr(text.buf, "no Python"));
	assert_int_equal(engine_backend_status(f->engine, "nothing", &text), -ENOENT);
	assert_string_equal(engine_backends(f->engine)[0], "local");
	assert_int_equal(command(f, id, "cancel", NULL), 0);
}

/* Nothing new goes to a backend that is switched off; the next one named is taken instead. */
static void backend_switched_off(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	static const char off[] = "{\"local\": {\"enabled\": false}}";
	struct run r;
	int64_t id;

	fixture_stop(f);
	f->config.backends = json_parse(off, strlen(off), sizeof(off), NULL);
	assert_int_equal(fixture_start(f), 0);
	assert_int_equal(engine_backend_status(f->engine, "local", &text), 0);
	assert_int_equal(strncmp(text.buf, "disabled: ", 10), 0);
	assert_string_equal(engine_backends(f->engine)[0], "local");
	id = submitted(f, "nb", "{\"backend\": \"local\"}");
	assert_int_equal(state_of(f, id), RUN_REJECTED);
	get(f, id, &r);
	assert_non_null(strstr(r.error_context, "switched off"));
	run_release(&r);
	assert_int_equal(executions(f, id), 0);
	id = submitted(f, "nb", "{\"backend\": [\"local\", \"kaggle\"]}");
	wait_state(f, id, RUN_COMPLETE);
	get(f, id, &r);
	assert_string_equal(r.backend, "kaggle");
	run_release(&r);
}

static void restart_while_running(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.hold = true;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_RUNNING);
	for (int i = 0; i < 3; i++) {
		fixture_stop(f);
		assert_int_equal(fixture_start(f), 0);
		wait_state(f, id, RUN_RUNNING);
	}
	fixture_stop(f);
	script.hold = false;
	assert_int_equal(fixture_start(f), 0);
	wait_state(f, id, RUN_COMPLETE);
	assert_int_equal(executions(f, id), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {T(failing_code), T(transient_failure),
		T(missing_expectation), T(deadline_over), T(lost_once), T(lost_twice),
		T(next_backend), T(quota_waits), T(refused_job), T(busy_service),
		T(busy_for_another_reason), T(doubtful_submission), T(no_evidence),
		T(monitor_limit), T(backend_away), T(backend_broken), T(backend_switched_off), T(restart_while_running)};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
