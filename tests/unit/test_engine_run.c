/* The engine with the scripted backend: what a run goes through, and what a person hears of it. */
#include "tests/unit/engine_cases.h"

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

static int64_t eta_of(struct fixture *f, int64_t id)
{
	struct run r;
	int64_t eta;

	get(f, id, &r);
	eta = r.eta_ns;
	run_release(&r);
	return eta;
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {T(to_complete), T(state_json_keys),
		T(rejected_and_names), T(empty_folder_is_rejected), T(longer_than_expected),
		T(declared_hours_are_expected), T(near_the_memory_limit), T(disk_budget),
		T(report_tells_the_end)};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
