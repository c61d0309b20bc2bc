/* The states of a run, the moves between them, and how a run is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/engine/run.h"

static void state_words(void **state)
{
	for (int i = 0; i < RUN_STATE_COUNT; i++) {
		assert_non_null(run_state_words[i]);
		assert_int_equal(run_state_parse(run_state_words[i]), i);
	}
	assert_int_equal(run_state_parse(""), -EINVAL);
	assert_int_equal(run_state_parse("Running"), -EINVAL);
}

static void moves(void **state)
{
	static const enum run_state way[] = {RUN_DRAFT, RUN_QUEUED, RUN_SUBMITTING, RUN_RUNNING,
		RUN_COLLECTING, RUN_COMPLETE};

	for (size_t i = 0; i + 1 < sizeof(way) / sizeof(way[0]); i++)
		assert_true(run_move_allowed(way[i], way[i + 1]));
	for (int s = 0; s < RUN_STATE_COUNT; s++) {
		assert_false(run_move_allowed(s, s));
		assert_false(run_move_allowed(s, RUN_DRAFT));
		assert_false(run_move_allowed(RUN_COMPLETE, s));
		assert_false(run_move_allowed(RUN_REJECTED, s));
		if (s != RUN_DRAFT)
			assert_false(run_move_allowed(s, RUN_REJECTED));
	}
	/* Never sent again without proof, never complete without collecting. */
	assert_false(run_move_allowed(RUN_UNKNOWN, RUN_QUEUED));
	assert_false(run_move_allowed(RUN_RUNNING, RUN_COMPLETE));
	assert_false(run_move_allowed(RUN_RUNNING, RUN_FAILED));
	assert_false(run_move_allowed(RUN_CANCELLING, RUN_RUNNING));
	assert_true(run_move_allowed(RUN_FAILED, RUN_QUEUED));
	assert_true(run_move_allowed(RUN_CANCELLED, RUN_QUEUED));
	assert_false(run_move_allowed((enum run_state)99, RUN_QUEUED));
	assert_false(run_move_allowed(RUN_QUEUED, (enum run_state)-1));
}

/* Every working state can end, and every state but draft can be reached from draft. */
static void nothing_is_a_trap(void **state)
{
	for (int s = 0; s < RUN_STATE_COUNT; s++) {
		unsigned reached = 1u << s, before = 0;
		bool ends = false;

		while (reached != before) {
			before = reached;
			for (int a = 0; a < RUN_STATE_COUNT; a++) {
				for (int b = 0; b < RUN_STATE_COUNT; b++) {
					if ((reached & (1u << a)) && run_move_allowed(a, b))
						reached |= 1u << b;
				}
			}
		}
		for (int t = 0; t < RUN_STATE_COUNT; t++)
			ends |= (reached & (1u << t)) && run_state_final(t);
		assert_true(ends);
		if (s == RUN_DRAFT)
			assert_int_equal(reached, (1u << RUN_STATE_COUNT) - 1);
	}
}

static struct run sample(enum run_state s)
{
	struct run r = {.id = 7, .name = "nb-2", .folder = "nb", .state = s, .kind = KIND_NOTEBOOK,
		.progress = -1, .eta_ns = -1, .metric_value = NAN, .priority = 5};

	r.created = stamp_now();
	return r;
}

static void status_line(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct run r = sample(RUN_DRAFT);
	char detail[] = "bad\033[31m\nnews";

	assert_int_equal(run_status_line(&r, &out), 0);
	assert_int_equal(strncmp(out.buf, "draft - - - (at ", 16), 0);
	assert_int_equal(out.buf[out.len - 1], '\n');

	strbuf_reset(&out);
	r = sample(RUN_RUNNING);
	strcpy(r.backend, "kaggle");
	r.progress = 7; /* hostile */
	r.eta_ns = 1000 * NS_PER_S;
	r.started = r.created;
	r.answered = r.started;
	r.answered.wall_ns += 723 * NS_PER_S;
	r.answered.boot_ns += 723 * NS_PER_S;
	r.detail = detail;
	assert_int_equal(run_status_line(&r, &out), 0);
	assert_int_equal(strncmp(out.buf, "running 100% kaggle 00:12:03 eta 00:16:40 bad", 45), 0);
	assert_null(strchr(out.buf, '\033'));
	assert_ptr_equal(strchr(out.buf, '\n'), out.buf + out.len - 1);
}

static struct json *state_of(const struct run *r)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct json *j;

	assert_int_equal(run_state_json(r, &out), 0);
	j = json_parse(out.buf, out.len, out.len, NULL);
	assert_non_null(j);
	return j;
}

static void state_json(void **state)
{
	struct run r = sample(RUN_COMPLETE);
	char options[] = "{\"feature\": \"vix\", \"attempt\": 2}", external[] = "me/vix/v2";
	struct json *j;

	r.options = options;
	r.external_id = external;
	strcpy(r.backend, "kaggle");
	j = state_of(&r);
	assert_string_equal(json_text(json_get(j, "state")), "complete");
	assert_string_equal(json_text(json_get(j, "status")), "in_progress");
	assert_string_equal(json_text(json_get(j, "resume_from")), "evaluator");
	assert_string_equal(json_text(json_get(j, "kaggle_kernel")), "me/vix");
	assert_string_equal(json_text(json_get(j, "current_feature")), "vix");
	assert_int_equal(json_int(json_get(j, "current_attempt"), 0), 2);
	assert_int_equal(json_type(json_get(j, "error_type")), JSON_NULL);
	assert_int_equal(json_type(json_get(json_get(j, "metric"), "value")), JSON_NULL);
	json_free(j);

	r.state = RUN_CANCELLED;
	j = state_of(&r);
	assert_string_equal(json_text(json_get(j, "resume_from")), "builder_model");
	json_free(j);

	r.options = (char[]){"not json"};
	r.state = RUN_UNKNOWN;
	j = state_of(&r);
	assert_string_equal(json_text(json_get(j, "status")), "waiting_training");
	assert_string_equal(json_text(json_get(j, "current_feature")), "nb");
	assert_int_equal(json_type(json_get(j, "options")), JSON_NULL);
	json_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(state_words), cmocka_unit_test(moves),
		cmocka_unit_test(nothing_is_a_trap), cmocka_unit_test(status_line),
		cmocka_unit_test(state_json)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
