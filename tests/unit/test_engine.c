/* The engine as the mount uses it, with the scripted backend: what a run goes through. */
#include "tests/unit/engine_fixture.h"

#include "fs/base/cleanup.h"
#include "fs/base/json.h"

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fixture_init(f);
	*state = f;
	return fixture_start(f);
}

static int teardown(void **state)
{
	fixture_finish(*state);
	free(*state);
	return 0;
}

static void get(struct fixture *f, int64_t id, struct run *r)
{
	assert_int_equal(engine_run(f->engine, id, r), 0);
}

static void assert_name(struct fixture *f, int64_t id, const char *name)
{
	struct run r;

	get(f, id, &r);
	assert_string_equal(r.name, name);
	run_release(&r);
}

/* ---- Drafts ---- */

static void draft_names(void **state)
{
	struct fixture *f = *state;
	int64_t a, b, c, found;
	bool asked;
	char longest[256], too_long[257];

	assert_int_equal(engine_draft_make(f->engine, 0, "nb", &a), 0);
	assert_int_equal(engine_draft_make(f->engine, 0, "nb", &b), -EEXIST);
	assert_int_equal(engine_draft_make(f->engine, 0, "-nb", &b), -EINVAL);
	assert_int_equal(engine_draft_make(f->engine, 0, "n\377b", &b), -EILSEQ);
	assert_true(state_file(f, a, "source"));
	assert_name(f, a, "nb");
	assert_int_equal(engine_find_draft(f->engine, "nb", &found), 0);
	assert_int_equal(found, a);
	assert_int_equal(engine_find_latest(f->engine, "nb", &found), 0);
	assert_int_equal(found, a);

	assert_int_equal(engine_draft_make(f->engine, 0, ".tmp", &b), 0);
	assert_int_equal(engine_find(f->engine, PLACE_RUNS, ".tmp", &found), -ENOENT);
	assert_int_equal(engine_find_latest(f->engine, ".tmp", &found), -ENOENT);
	assert_int_equal(engine_draft_rename(f->engine, 0, b, "nb", &asked), -EEXIST);
	assert_int_equal(engine_draft_rename(f->engine, 0, b, "other", &asked), 0);
	assert_true(asked);
	assert_int_equal(engine_find(f->engine, PLACE_RUNS, "other", &found), 0);
	assert_int_equal(engine_draft_rename(f->engine, 0, b, "third", &asked), 0);
	assert_false(asked);
	assert_int_equal(engine_find(f->engine, PLACE_RUNS, "other", &found), -ENOENT);
	assert_int_equal(engine_find_latest(f->engine, "third", &found), 0);
	assert_int_equal(found, b);

	memset(longest, 'x', 255);
	longest[255] = '\0';
	memcpy(longest + 253, "\303\244", 2); /* the last character has two bytes */
	memset(too_long, 'x', 256);
	too_long[256] = '\0';
	assert_int_equal(engine_draft_make(f->engine, 0, too_long, &c), -ENAMETOOLONG);
	c = draft(f, longest, NULL);
	assert_int_equal(engine_submit(f->engine, c, NULL), 0);
	c = draft(f, longest, NULL);
	longest[253] = '-';
	longest[254] = '2';
	assert_name(f, c, longest);
}

static void draft_drop_and_note(void **state)
{
	struct fixture *f = *state;
	int64_t id, version, since = -1;
	struct run r;

	id = draft(f, "nb", NULL);
	assert_int_equal(engine_draft_note(f->engine, id, "receiving 3 files", false), 0);
	version = engine_version(f->engine);
	assert_int_equal(engine_draft_note(f->engine, id, "receiving 3 files", false), 0);
	assert_int_equal(engine_version(f->engine), version);
	assert_false(engine_draft_resting(f->engine, id, &since));
	assert_int_equal(engine_draft_note(f->engine, id, "nothing to run", true), 0);
	assert_true(engine_draft_resting(f->engine, id, &since));
	assert_in_range(since, 1, clock_boot_ns());
	assert_int_equal(engine_remove(f->engine, 0, id), -EBUSY);
	assert_int_equal(engine_rename(f->engine, 0, id, "x"), -EBUSY);
	assert_int_equal(engine_draft_drop(f->engine, 0, id), 0);
	assert_int_equal(engine_run(f->engine, id, &r), -ENOENT);
	WAIT_FOR(f, !state_file(f, id, "."));
	assert_int_equal(engine_draft_drop(f->engine, 0, id), -ENOENT);
}

/* A request that came twice, because the server died between commit and reply, acts once. */
static void once_only(void **state)
{
	struct fixture *f = *state;
	int64_t a = 0, b = 0;
	bool asked = false;
	char *cancel[] = {(char[]){"cancel"}, NULL};

	assert_int_equal(engine_draft_make(f->engine, 11, ".nb", &a), 0);
	assert_int_equal(engine_draft_rename(f->engine, 12, a, "nb", &asked), 0);
	assert_true(asked);
	fixture_stop(f);
	assert_int_equal(fixture_start(f), 0);
	assert_int_equal(engine_draft_make(f->engine, 11, ".nb", &b), 0);
	assert_int_equal(a, b);
	asked = false;
	assert_int_equal(engine_draft_rename(f->engine, 12, a, "nb", &asked), 0);
	assert_true(asked);
	source_write(f, a, "main.py", "print(1)\n");
	source_write(f, a, "kexec.json", "{\"confirm\": true}");
	assert_int_equal(engine_submit(f->engine, a, NULL), 0);
	assert_int_equal(engine_command(f->engine, 13, a, 1, cancel, NULL), 0);
	assert_int_equal(state_of(f, a), RUN_CANCELLED);
	assert_int_equal(engine_command(f->engine, 13, a, 1, cancel, NULL), 0);
	assert_int_equal(engine_command(f->engine, 14, a, 1, cancel, NULL), -EBUSY);
	assert_int_equal(engine_remove(f->engine, 15, a), 0);
	assert_int_equal(engine_remove(f->engine, 15, a), 0);
	assert_int_equal(engine_restore(f->engine, 16, a, "back"), 0);
	assert_int_equal(engine_restore(f->engine, 16, a, "back"), 0);
	assert_name(f, a, "back");

	/* Another connection numbers its requests anew. */
	fixture_stop(f);
	f->connection = 8;
	assert_int_equal(fixture_start(f), 0);
	assert_int_equal(engine_draft_make(f->engine, 11, "new", &b), 0);
	assert_int_not_equal(a, b);
}

/* ---- The whole way ---- */

static void assert_events(struct fixture *f, int64_t id, const char *const *words)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	const char *line, *before = "draft";

	assert_int_equal(engine_events(f->engine, id, &text), 0);
	line = text.buf;
	for (; *words; words++) {
		size_t len = strcspn(line, "\n");
		struct json *j = json_parse(line, len, len, NULL);

		assert_non_null(j);
		assert_string_equal(json_text(json_get(j, "from")), before);
		assert_string_equal(json_text(json_get(j, "to")), *words);
		assert_non_null(json_text(json_get(j, "time")));
		assert_non_null(json_text(json_get(j, "run")));
		before = *words;
		json_free(j);
		line += len + 1;
	}
	assert_string_equal(line, "");
}

static void to_complete(void **state)
{
	struct fixture *f = *state;
	static const char *const words[] = {"queued", "submitting", "running", "collecting", "complete", NULL};
	AUTO_BUF struct strbuf line = STRBUF_INIT;
	struct attempt attempt;
	struct run r;
	int64_t id, found;

	script.hold = true;
	script.metrics = "step,name,value\n0,auc,0.5\n1,auc,0.75\n";
	id = submitted(f, "nb", "{\"metric\": {\"name\": \"auc\", \"goal\": \"max\"}}");
	wait_state(f, id, RUN_RUNNING);
	assert_int_equal(engine_find_draft(f->engine, "nb", &found), -ENOENT);
	get(f, id, &r);
	assert_int_equal(run_status_line(&r, &line), 0);
	assert_non_null(strstr(line.buf, "running 42% local 00:00:0"));
	assert_non_null(strstr(line.buf, "eta 00:16:40 cell 3 of 7 (at "));
	assert_int_equal(r.attempt, 1);
	script.hold = false;
	service_push(r.external_id, true);
	run_release(&r);
	wait_state(f, id, RUN_COMPLETE);
	assert_events(f, id, words);
	assert_int_equal(executions(f, id), 1);
	assert_true(state_file(f, id, "attempts/1/output/result.txt"));
	assert_true(state_file(f, id, "validation.txt"));
	assert_true(state_file(f, id, "validation.json"));
	assert_true(state_file(f, id, "changes"));
	assert_true(state_file(f, id, "report.md"));
	get(f, id, &r);
	assert_string_equal(r.metric_name, "auc");
	assert_float_equal(r.metric_value, 0.75, 0);
	assert_float_equal(r.cost_usd, 0.5, 0);
	run_release(&r);
	assert_int_equal(engine_attempt_count(f->engine, id), 1);
	assert_int_equal(engine_attempt(f->engine, id, 1, &attempt), 0);
	assert_string_equal(attempt.state, "complete");
	assert_string_equal(attempt.backend, "local");
	attempt_release(&attempt);
	assert_int_equal(engine_attempt(f->engine, id, 2, &attempt), -ENOENT);
}

static void state_json_keys(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct json *j;
	struct run r;
	int64_t id = draft(f, "vix", "{\"feature\": \"f1\", \"attempt\": 3, \"confirm\": true}");

	get(f, id, &r);
	assert_int_equal(run_state_json(&r, &text), 0);
	run_release(&r);
	j = json_parse(text.buf, text.len, text.len, NULL);
	assert_non_null(j);
	assert_int_equal(json_type(json_get(j, "status")), JSON_ABSENT);
	json_free(j);

	assert_int_equal(engine_submit(f->engine, id, NULL), 0);
	strbuf_reset(&text);
	get(f, id, &r);
	assert_int_equal(run_state_json(&r, &text), 0);
	run_release(&r);
	j = json_parse(text.buf, text.len, text.len, NULL);
	assert_string_equal(json_text(json_get(j, "status")), "waiting_training");
	assert_string_equal(json_text(json_get(j, "resume_from")), "evaluator");
	assert_string_equal(json_text(json_get(j, "current_feature")), "f1");
	assert_int_equal(json_int(json_get(j, "current_attempt"), 0), 3);
	assert_int_equal(json_type(json_get(j, "kaggle_kernel")), JSON_NULL);
	assert_non_null(json_text(json_get(j, "submitted_at")));
	json_free(j);

	script.failures = 1;
	script.log = "Traceback (most recent call last):\n  File \"main.py\", line 1, in <module>\n"
		     "ModuleNotFoundError: No module named 'xgboost'\n";
	assert_int_equal(command(f, id, "confirm", NULL), 0);
	wait_state(f, id, RUN_FAILED);
	strbuf_reset(&text);
	get(f, id, &r);
	assert_int_equal(run_state_json(&r, &text), 0);
	run_release(&r);
	j = json_parse(text.buf, text.len, text.len, NULL);
	assert_string_equal(json_text(json_get(j, "status")), "in_progress");
	assert_string_equal(json_text(json_get(j, "resume_from")), "builder_model");
	assert_string_equal(json_text(json_get(j, "error_type")), "missing_dep");
	assert_non_null(strstr(json_text(json_get(j, "error_context")), "xgboost"));
	json_free(j);
}

static void rejected_and_names(void **state)
{
	struct fixture *f = *state;
	int64_t a = draft(f, "bad", "{\"kinf\": 1"), b, c;
	AUTO_BUF struct strbuf alerts = STRBUF_INIT;

	assert_int_equal(engine_submit(f->engine, a, NULL), 0);
	assert_int_equal(state_of(f, a), RUN_REJECTED);
	assert_int_equal(executions(f, a), 0);
	assert_int_equal(engine_submit(f->engine, a, NULL), -EBUSY);
	assert_int_equal(command(f, a, "retry", NULL), -EBUSY);
	assert_int_equal(engine_alerts(f->engine, &alerts), 0);
	assert_non_null(strstr(alerts.buf, "\"state\":\"rejected\""));

	b = submitted(f, "nb", "{\"name\": \"vix-1\"}");
	c = submitted(f, "nb", "{\"name\": \"vix-1\"}");
	assert_name(f, b, "vix-1");
	assert_name(f, c, "vix-1-2");
	wait_state(f, b, RUN_COMPLETE);
	wait_state(f, c, RUN_COMPLETE);
}

static void empty_folder_is_rejected(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	assert_int_equal(engine_draft_make(f->engine, 0, "empty", &id), 0);
	assert_int_equal(engine_submit(f->engine, id, NULL), 0);
	assert_int_equal(state_of(f, id), RUN_REJECTED);
}

/* ---- Words ---- */

static void words(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int64_t id = draft(f, "nb", "{\"confirm\": true}");

	assert_int_equal(engine_words(f->engine, id, &text), 0);
	assert_int_equal(strncmp(text.buf, "submit  ", 8), 0);
	assert_non_null(strstr(text.buf, "\ndrop  "));
	assert_int_equal(engine_submit(f->engine, id, NULL), 0);
	assert_int_equal(state_of(f, id), RUN_CONFIRM);
	assert_int_equal(command(f, id, "dance", NULL), -EINVAL);
	assert_int_equal(command(f, id, "priority", "ten"), -EINVAL);
	assert_int_equal(command(f, id, "priority", NULL), -EINVAL);
	assert_int_equal(command(f, id, "retry", NULL), -EBUSY);
	strbuf_reset(&text);
	assert_int_equal(engine_words(f->engine, id, &text), 0);
	assert_int_equal(strncmp(text.buf, "# retry is not possible while the run is confirm.\n", 50), 0);
	assert_non_null(strstr(text.buf, "\nconfirm  "));
	assert_non_null(strstr(text.buf, "\npriority N  "));
	assert_int_equal(command(f, id, "priority", "9"), 0);
	strbuf_reset(&text);
	assert_int_equal(engine_words(f->engine, id, &text), 0);
	assert_int_equal(strncmp(text.buf, "confirm  ", 9), 0);
	assert_int_equal(command(f, id, "confirm", NULL), 0);
	wait_state(f, id, RUN_COMPLETE);
	strbuf_reset(&text);
	assert_int_equal(engine_words(f->engine, id, &text), 0);
	assert_string_equal(text.buf, "");
	assert_int_equal(engine_command(f->engine, 0, 999, 1, (char *[]){(char[]){"cancel"}, NULL}, NULL),
		-ENOENT);
}

static void cancel_running(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.hold = true;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_RUNNING);
	assert_int_equal(engine_remove(f->engine, 0, id), -EBUSY);
	assert_int_equal(command(f, id, "cancel", NULL), 0);
	wait_state(f, id, RUN_CANCELLED);
	assert_true(state_file(f, id, "attempts/1/output/result.txt"));
	script.hold = false;
	assert_int_equal(command(f, id, "retry", NULL), 0);
	wait_state(f, id, RUN_COMPLETE);
	assert_int_equal(executions(f, id), 2);
	assert_int_equal(engine_attempt_count(f->engine, id), 2);
}

static void cancel_without_cancel(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.hold = script.no_cancel = true;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_RUNNING);
	assert_int_equal(command(f, id, "cancel", NULL), 0);
	assert_int_equal(state_of(f, id), RUN_CANCELLING);
	assert_int_equal(command(f, id, "cancel", NULL), -EBUSY);
	script.hold = false;
	wait_state(f, id, RUN_CANCELLED);
	assert_int_equal(executions(f, id), 1);
}

static void queue_order(void **state)
{
	struct fixture *f = *state;
	int64_t first, low, high;
	struct run r;

	fixture_stop(f);
	f->config.jobs_max = 1;
	assert_int_equal(fixture_start(f), 0);
	script.hold = true;
	first = submitted(f, "first", NULL);
	wait_state(f, first, RUN_RUNNING);
	low = submitted(f, "low", NULL);
	high = submitted(f, "high", "{\"priority\": 8}");
	get(f, low, &r);
	run_release(&r);
	/* Why it waits is said in its status. */
	WAIT_FOR(f, (get(f, low, &r), strstr(r.detail, "waits for a place") ? (run_release(&r), 1)
									       : (run_release(&r), 0)));
	assert_int_equal(command(f, first, "cancel", NULL), 0);
	wait_state(f, high, RUN_RUNNING);
	assert_int_equal(state_of(f, low), RUN_QUEUED);
	assert_int_equal(command(f, low, "cancel", NULL), 0);
	assert_int_equal(state_of(f, low), RUN_CANCELLED);
	assert_int_equal(executions(f, low), 0);
	script.hold = false;
	wait_state(f, high, RUN_COMPLETE);
}

/* ---- Failure ---- */

#define TRACEBACK(error)                                                                           \
	"Traceback (most recent call last):\n  File \"main.py\", line 1, in <module>\n" error "\n"

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

/* ---- What a person hears of ---- */

static int alerts_with(struct fixture *f, const char *word)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int n = 0;

	assert_int_equal(engine_alerts(f->engine, &text), 0);
	for (const char *at = text.buf; at && (at = strstr(at, word)); at++)
		n++;
	return n;
}

static int64_t eta_of(struct fixture *f, int64_t id)
{
	struct run r;
	int64_t eta;

	get(f, id, &r);
	eta = r.eta_ns;
	run_release(&r);
	return eta;
}

static int64_t version_of(struct fixture *f, int64_t id)
{
	struct run r;
	int64_t version;

	get(f, id, &r);
	version = r.version;
	run_release(&r);
	return version;
}

/* Several looks at it: polls come every second. */
static void wait_looks(struct fixture *f, int64_t id, int looks)
{
	for (int i = 0; i < looks; i++) {
		int64_t before = version_of(f, id);

		WAIT_FOR(f, version_of(f, id) != before);
	}
}

/* The earlier runs of its folder say how long it should take: its ETA, and one alert beyond. */
static void longer_than_expected(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.silent = true;
	script.lasts_ns = 100 * NS_PER_S;
	for (int i = 0; i < 2; i++) {
		id = submitted(f, "nb", NULL);
		wait_state(f, id, RUN_COMPLETE);
	}
	script.hold = true;
	script.lasts_ns = 40 * NS_PER_S;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_RUNNING);
	assert_in_range(eta_of(f, id), 50 * NS_PER_S, 61 * NS_PER_S);
	wait_looks(f, id, 1);
	assert_int_equal(alerts_with(f, "longer than expected"), 0);
	script.lasts_ns = 151 * NS_PER_S;
	WAIT_FOR(f, alerts_with(f, "longer than expected") == 1);
	wait_looks(f, id, 2);
	assert_int_equal(alerts_with(f, "longer than expected"), 1);
	assert_true(eta_of(f, id) < 0);
	/* Not again by the next server. */
	fixture_stop(f);
	assert_int_equal(fixture_start(f), 0);
	wait_looks(f, id, 1);
	assert_int_equal(alerts_with(f, "longer than expected"), 1);
}

static void declared_hours_are_expected(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.silent = script.hold = true;
	script.lasts_ns = INT64_C(3300) * NS_PER_S; /* 55 minutes */
	id = submitted(f, "nb", "{\"hours\": 0.5}");
	WAIT_FOR(f, alerts_with(f, "longer than expected") == 1);
	assert_int_equal(state_of(f, id), RUN_RUNNING);
	assert_true(eta_of(f, id) < 0);
}

static void near_the_memory_limit(void **state)
{
	struct fixture *f = *state;
	int64_t id;

	script.hold = true;
	script.rss = INT64_C(960) << 20;
	id = submitted(f, "nb", "{\"memory_gb\": 1}");
	WAIT_FOR(f, alerts_with(f, "MiB of memory") == 1);
	wait_looks(f, id, 2);
	assert_int_equal(alerts_with(f, "MiB of memory"), 1);
	script.rss = INT64_C(900) << 20;
	id = submitted(f, "other", "{\"memory_gb\": 1}");
	wait_state(f, id, RUN_RUNNING);
	wait_looks(f, id, 1);
	assert_int_equal(alerts_with(f, "MiB of memory"), 1);
}

/* Housekeeping has looked at everything once more when the files of a dropped draft are gone. */
static bool draft_dropped(struct fixture *f)
{
	static int64_t id;
	bool gone;

	if (!id) {
		id = draft(f, "to-drop", NULL);
		assert_int_equal(engine_draft_drop(f->engine, 0, id), 0);
	}
	gone = !state_file(f, id, ".");
	if (gone)
		id = 0;
	return gone;
}

static void disk_budget(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf big = STRBUF_INIT;
	int64_t id;

	for (int i = 0; i < 9 << 16; i++)
		strbuf_adds(&big, "0123456789abcdef");
	fixture_stop(f);
	f->config.disk_bytes = 16 << 20; /* with the database and its reserve below its 80 % */
	assert_int_equal(fixture_start(f), 0);
	id = draft(f, "nb", NULL);
	assert_int_equal(alerts_with(f, "state directory"), 0);
	for (int i = 0; i < 2; i++) { /* once a crossing */
		source_write(f, id, "big", big.buf);
		for (int looks = 0; looks < 2; looks++) {
			fixture_stop(f);
			assert_int_equal(fixture_start(f), 0);
			WAIT_FOR(f, alerts_with(f, "state directory") == i + 1);
		}
		source_write(f, id, "big", "");
		fixture_stop(f);
		assert_int_equal(fixture_start(f), 0);
		WAIT_FOR(f, draft_dropped(f));
	}
	assert_int_equal(alerts_with(f, "state directory"), 2);
}

/* The report is written before the last move, and tells it. */
static void report_tells_the_end(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	char path[ENGINE_PATH_MAX];
	int64_t id = submitted(f, "nb", NULL);

	wait_state(f, id, RUN_COMPLETE);
	assert_int_equal(io_read(f->state_fd, engine_run_file_path(path, id, "report.md"), 1 << 20,
				 &text), 0);
	assert_non_null(strstr(text.buf, "| 1 | local | complete |"));
	assert_non_null(strstr(text.buf, " | collecting |"));
	assert_non_null(strstr(text.buf, " | complete | "));
	assert_null(strstr(text.buf, "local | collecting"));
	script.submit_rc[script.submits] = -EINVAL;
	id = submitted(f, "nb", NULL);
	wait_state(f, id, RUN_FAILED);
	strbuf_reset(&text);
	assert_int_equal(io_read(f->state_fd, engine_run_file_path(path, id, "report.md"), 1 << 20,
				 &text), 0);
	assert_non_null(strstr(text.buf, "| 1 | local | failed |"));
	assert_non_null(strstr(text.buf, " | failed | "));
}

/* ---- Doubt ---- */

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

/* ---- Restart ---- */

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

/* ---- Places ---- */

static int collect_names(void *arg, const struct engine_entry *entry)
{
	strcat(arg, entry->name);
	strcat(arg, " ");
	return 0;
}

static const char *names(struct fixture *f, enum engine_list list, char out[1000])
{
	*out = '\0';
	assert_int_equal(engine_list(f->engine, list, 0, collect_names, out), 0);
	return out;
}

static const struct seen *last_seen(struct fixture *f, int64_t id, unsigned what)
{
	for (int i = f->seen_count - 1; i >= 0 && i > f->seen_count - CHANGES_KEPT; i--) {
		const struct seen *s = &f->seen[i % CHANGES_KEPT];

		if (s->run == id && (s->what & what))
			return s;
	}
	fail_msg("no such change");
	return NULL;
}

static void remove_and_restore(void **state)
{
	struct fixture *f = *state;
	int64_t a = submitted(f, "nb", NULL), b, found;
	const struct seen *s;
	char list[1000];
	struct run r;
	unsigned before;

	wait_state(f, a, RUN_COMPLETE);
	s = last_seen(f, a, CHANGE_UNQUEUED);
	assert_string_equal(s->folder, "nb");
	get(f, a, &r);
	before = r.incarnation;
	run_release(&r);
	assert_int_equal(engine_remove(f->engine, 0, a), 0);
	s = last_seen(f, a, CHANGE_NEW | CHANGE_GONE);
	assert_int_equal(s->what & (CHANGE_NEW | CHANGE_GONE), CHANGE_NEW | CHANGE_GONE);
	assert_int_equal(s->old_place, PLACE_RUNS);
	assert_int_equal(s->place, PLACE_REMOVED);
	get(f, a, &r);
	assert_true(r.incarnation > before);
	run_release(&r);
	assert_int_equal(engine_find_latest(f->engine, "nb", &found), -ENOENT);
	assert_int_equal(command(f, a, "retry", NULL), -EBUSY);

	b = submitted(f, "nb", NULL);
	wait_state(f, b, RUN_COMPLETE);
	assert_int_equal(engine_restore(f->engine, 0, a, "nb"), -EEXIST);
	assert_int_equal(engine_remove(f->engine, 0, b), 0);
	assert_string_equal(names(f, LIST_REMOVED, list), "nb nb-2 ");
	assert_int_equal(engine_restore(f->engine, 0, b, "nb"), 0);
	assert_int_equal(engine_restore(f->engine, 0, a, ".hidden"), -EINVAL);
	assert_int_equal(engine_restore(f->engine, 0, a, "a"), 0);
	assert_string_equal(names(f, LIST_RUNS, list), "a nb ");
	assert_string_equal(names(f, LIST_LATEST, list), "nb ");
	assert_int_equal(engine_find_latest(f->engine, "nb", &found), 0);
	assert_int_equal(found, b);

	assert_int_equal(engine_rename(f->engine, 0, a, "nb"), -EEXIST);
	assert_int_equal(engine_rename(f->engine, 0, a, "first"), 0);
	s = last_seen(f, a, CHANGE_NEW);
	assert_string_equal(s->old_name, "a");
	assert_string_equal(s->name, "first");
	assert_int_equal(engine_purge(f->engine, 0, a), -ENOENT);
	assert_int_equal(engine_remove(f->engine, 0, a), 0);
	assert_int_equal(engine_purge(f->engine, 0, a), 0);
	assert_int_equal(engine_run(f->engine, a, &r), -ENOENT);
	WAIT_FOR(f, !state_file(f, a, "."));
}

static int count_runs(void *arg, const struct run *r)
{
	(*(int *)arg)++;
	return 0;
}

static void lists_and_counts(void **state)
{
	struct fixture *f = *state;
	int64_t counts[RUN_STATE_COUNT], ids[40], version;
	int n = 0;

	version = engine_version(f->engine);
	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "d%d", i);
		ids[i] = draft(f, name, NULL);
	}
	assert_int_equal(engine_counts(f->engine, counts), 0);
	assert_int_equal(counts[RUN_DRAFT], 40);
	assert_int_equal(engine_changed_since(f->engine, version, count_runs, &n), 0);
	assert_int_equal(n, 40);
	n = 0;
	assert_int_equal(engine_recent(f->engine, 35, count_runs, &n), 0);
	assert_int_equal(n, 35);
	assert_int_equal(engine_submit(f->engine, ids[0], NULL), 0);
	wait_state(f, ids[0], RUN_COMPLETE);
	assert_int_equal(engine_counts(f->engine, counts), 0);
	assert_int_equal(counts[RUN_DRAFT], 39);
	assert_int_equal(counts[RUN_COMPLETE], 1);
}

static void one_engine_a_state(void **state)
{
	struct fixture *f = *state;
	struct why why = {0};
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	/* POSIX locks do not conflict inside one process; the database's newer version does. */
	fixture_stop(f);
	strbuf_addf(&text, "sqlite3 %s/kexec.db 'PRAGMA user_version=99'", f->state);
	if (system(text.buf))
		skip();
	assert_int_equal(fixture_start(f), -EPROTONOSUPPORT);
	(void)why;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {T(draft_names), T(draft_drop_and_note), T(once_only),
		T(to_complete), T(state_json_keys), T(rejected_and_names), T(empty_folder_is_rejected),
		T(words), T(cancel_running), T(cancel_without_cancel), T(queue_order), T(failing_code),
		T(transient_failure), T(missing_expectation), T(deadline_over), T(lost_once),
		T(lost_twice), T(next_backend), T(quota_waits), T(refused_job), T(busy_service), T(busy_for_another_reason),
		T(longer_than_expected), T(declared_hours_are_expected), T(near_the_memory_limit),
		T(disk_budget), T(report_tells_the_end),
		T(doubtful_submission), T(no_evidence), T(monitor_limit), T(backend_away),
		T(backend_broken), T(restart_while_running), T(remove_and_restore),
		T(lists_and_counts), T(one_engine_a_state)};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
