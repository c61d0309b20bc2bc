/* Who reads the status of a job on a service waits for news, a little, and not alone. */
#include "tests/unit/engine_fixture.h"

#include "fs/base/json.h"
#include "fs/engine/freshness.h"

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *settings = "{\"kaggle\": {\"freshness_seconds\": 1}}";

	fixture_init(f);
	f->config.poll_seconds = 3600; /* nothing but readers asks */
	f->config.backends = json_parse(settings, strlen(settings), 100, NULL);
	assert_non_null(f->config.backends);
	script.hold = true;
	*state = f;
	return fixture_start(f);
}

static int teardown(void **state)
{
	fixture_finish(*state);
	free(*state);
	return 0;
}

static int64_t running(struct fixture *f, const char *folder)
{
	int64_t id = submitted(f, folder, "{\"backend\": \"kaggle\"}");

	struct freshness ignored;

	wait_state(f, id, RUN_RUNNING);
	WAIT_FOR(f, !engine_refresh(f->engine, id, &ignored)); /* the answer itself counts a moment later */
	return id;
}

/* The last answer is older than the second that it counts. */
static bool stale(struct fixture *f, int64_t id, struct freshness *wait)
{
	bool waits = false;

	WAIT_FOR(f, (waits = engine_refresh(f->engine, id, wait)));
	return waits;
}

static void one_wait_for_all(void **state)
{
	struct fixture *f = *state;
	int64_t b = running(f, "b"), a = running(f, "a"); /* when a's answer is old, b's is too */
	struct freshness first, other;

	assert_true(stale(f, a, &first));
	WAIT_FOR(f, engine_fresh(f->engine, &first));
	/* Both were asked, so neither is worth a wait now. */
	assert_true(clock_boot_ns() < first.until_ns);
	assert_false(engine_refresh(f->engine, a, &other));
	assert_false(engine_refresh(f->engine, b, &other));
}

static void news_are_there_when_the_wait_ends(void **state)
{
	struct fixture *f = *state;
	int64_t a = running(f, "a");
	struct freshness wait;

	script.hold = false; /* it has ended, and nobody said so */
	assert_true(stale(f, a, &wait));
	WAIT_FOR(f, engine_fresh(f->engine, &wait));
	wait_state(f, a, RUN_COMPLETE);
	assert_false(engine_refresh(f->engine, a, &wait));
}

static void a_service_that_is_away_costs_one_wait(void **state)
{
	struct fixture *f = *state;
	int64_t b = running(f, "b"), a = running(f, "a"); /* when a's answer is old, b's is too */
	struct freshness wait, other;

	pthread_mutex_lock(&script.lock);
	script.poll_errors = 1000;
	pthread_mutex_unlock(&script.lock);
	assert_true(stale(f, a, &wait));
	assert_false(engine_fresh(f->engine, &wait));
	assert_true(engine_refresh(f->engine, b, &other)); /* while it lasts others wait along */
	assert_int_equal(other.until_ns, wait.until_ns);
	WAIT_FOR(f, engine_fresh(f->engine, &wait));
	assert_true(clock_boot_ns() >= wait.until_ns);
	assert_false(engine_refresh(f->engine, a, &other));
	assert_false(engine_refresh(f->engine, b, &other));
}

static void nobody_waits_for_this_machine(void **state)
{
	struct fixture *f = *state;
	int64_t id = submitted(f, "a", "{\"backend\": \"local\"}");
	struct freshness wait;

	wait_state(f, id, RUN_RUNNING);
	assert_false(engine_refresh(f->engine, id, &wait));
	assert_false(engine_refresh(f->engine, 4711, &wait));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_wait_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(news_are_there_when_the_wait_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(a_service_that_is_away_costs_one_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_waits_for_this_machine, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
