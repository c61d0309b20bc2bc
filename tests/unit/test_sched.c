/* Who may start, what is tried again, and when a run is looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <stdlib.h>
#include <time.h>

#include "fs/engine/allocate.h"
#include "fs/engine/retry.h"
#include "fs/engine/sched.h"

#define GB (INT64_C(1) << 30)

static const struct capacity machine = {.jobs = 3, .memory_bytes = 16 * GB, .gpus = 1};

static void check(const struct capacity *used, struct demand *waiting, size_t n, const int64_t *runs,
	const enum fit *expected)
{
	enum fit fits[8];

	allocate(&machine, used, waiting, n, fits);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(waiting[i].run, runs[i]);
		assert_int_equal(fits[i], expected[i]);
	}
}

static void allocate_order(void **state)
{
	struct capacity none = {0};
	struct demand w[] = {{.run = 1, .priority = 5, .order = 10, .local = true},
		{.run = 2, .priority = 5, .order = 9, .local = true},
		{.run = 3, .priority = 9, .order = 11, .local = true},
		{.run = 4, .priority = 5, .order = 8, .local = true},
		{.run = 5, .priority = 0, .order = 1, .local = false}};

	check(&none, w, 5, (int64_t[]){3, 4, 2, 1, 5},
		(enum fit[]){FIT_START, FIT_START, FIT_START, FIT_JOBS, FIT_START});
}

static void allocate_memory(void **state)
{
	struct capacity used = {.jobs = 1, .memory_bytes = 10 * GB};
	struct demand w[] = {{.run = 1, .order = 1, .memory_bytes = 8 * GB, .local = true},
		{.run = 2, .order = 2, .memory_bytes = 1 * GB, .local = true},
		{.run = 3, .order = 3, .local = true}};
	struct capacity none = {0};
	struct demand huge[] = {{.run = 1, .memory_bytes = 64 * GB, .local = true},
		{.run = 2, .order = 2, .memory_bytes = 1 * GB, .local = true}};

	check(&used, w, 3, (int64_t[]){1, 2, 3}, (enum fit[]){FIT_MEMORY, FIT_BEHIND, FIT_START});
	/* Larger than the machine: alone, not never. */
	check(&none, huge, 2, (int64_t[]){1, 2}, (enum fit[]){FIT_START, FIT_MEMORY});
}

static void allocate_gpu(void **state)
{
	struct capacity none = {0};
	struct demand w[] = {{.run = 1, .order = 1, .gpu = true, .local = true},
		{.run = 2, .order = 2, .gpu = true, .local = true},
		{.run = 3, .order = 3, .local = true}};

	check(&none, w, 3, (int64_t[]){1, 2, 3}, (enum fit[]){FIT_START, FIT_GPU, FIT_START});
}

static void allocate_overflow(void **state)
{
	struct capacity none = {0};
	struct demand w[] = {{.run = 1, .order = 1, .memory_bytes = INT64_MAX, .local = true},
		{.run = 2, .order = 2, .memory_bytes = INT64_MAX, .local = true}};

	check(&none, w, 2, (int64_t[]){1, 2}, (enum fit[]){FIT_START, FIT_MEMORY});
}

static void retry_table(void **state)
{
	static const struct {
		struct retry_facts f;
		enum retry_verdict verdict;
	} rows[] = {
		{{.class = ERROR_CODE, .attempts = 1, .max_attempts = 1}, RETRY_NO},
		{{.class = ERROR_CODE, .attempts = 1, .max_attempts = 3, .on_error = ON_ERROR_RETRY}, RETRY_NO},
		{{.class = ERROR_UNKNOWN, .attempts = 1, .max_attempts = 3, .on_error = ON_ERROR_RETRY}, RETRY_SAME},
		{{.class = ERROR_UNKNOWN, .attempts = 3, .max_attempts = 3, .on_error = ON_ERROR_RETRY}, RETRY_NO},
		{{.class = ERROR_UNKNOWN, .attempts = 1, .max_attempts = 3}, RETRY_NO},
		{{.class = ERROR_NETWORK_TIMEOUT, .attempts = 1, .max_attempts = 3}, RETRY_SAME},
		{{.class = ERROR_NETWORK_TIMEOUT, .attempts = 1, .max_attempts = 1}, RETRY_NO},
		{{.class = ERROR_QUOTA, .attempts = 1, .max_attempts = 1, .more_backends = true}, RETRY_OTHER},
		{{.class = ERROR_OOM, .next = NEXT_BACKEND, .attempts = 1, .max_attempts = 1, .more_backends = true}, RETRY_OTHER},
		{{.class = ERROR_CODE, .attempts = 1, .max_attempts = 3, .more_backends = true}, RETRY_NO},
		{{.class = ERROR_INFRA, .lost = true, .attempts = 1, .max_attempts = 1}, RETRY_SAME},
		{{.class = ERROR_INFRA, .lost = true, .lost_before = 1, .attempts = 2, .max_attempts = 1}, RETRY_NO},
		{{.class = ERROR_INFRA, .lost = true, .lost_before = 1, .attempts = 2, .max_attempts = 3}, RETRY_SAME},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(retry_judge(&rows[i].f), rows[i].verdict);
}

static void retry_delays(void **state)
{
	assert_int_equal(retry_delay_ns(5, 2, 1, 0), 4 * NS_PER_S);
	assert_in_range(retry_delay_ns(5, 2, 1, UINT64_MAX), 59 * NS_PER_S / 10, 6 * NS_PER_S);
	assert_int_equal(retry_delay_ns(5, 2, 3, 0), 16 * NS_PER_S);
	assert_true(retry_delay_ns(1e300, 1e300, 100, UINT64_MAX) <= 3600 * NS_PER_S * 12 / 10);
	assert_int_equal(retry_delay_ns(0, 2, 3, 7), 0);
	assert_int_equal(retry_delay_ns(-1, 2, 3, 7), 0);
}

/* ---- The threads ---- */

struct log {
	struct sched *sched;
	pthread_mutex_t lock;
	pthread_cond_t news;
	int steps[10], running, most, helds, parallel[10];
	int64_t next_ns;
	bool block;
};

static void step(void *arg, struct look *look)
{
	struct log *log = arg;

	pthread_mutex_lock(&log->lock);
	log->steps[look->run]++;
	assert_int_equal(log->parallel[look->run]++, 0); /* never twice at once for one run */
	if (++log->running > log->most)
		log->most = log->running;
	pthread_cond_broadcast(&log->news);
	while (log->block)
		pthread_cond_wait(&log->news, &log->lock);
	log->running--;
	log->parallel[look->run]--;
	look->next_ns = log->next_ns;
	pthread_cond_broadcast(&log->news);
	pthread_mutex_unlock(&log->lock);
}

static void held(void *arg, int64_t run, const char *why)
{
	struct log *log = arg;

	pthread_mutex_lock(&log->lock);
	log->helds++;
	pthread_cond_broadcast(&log->news);
	pthread_mutex_unlock(&log->lock);
}

static int64_t housekeep(void *arg)
{
	return SCHED_NEVER;
}

static void log_open(struct log *log, int jobs)
{
	struct sched_setup setup = {.capacity = {.jobs = jobs, .memory_bytes = GB}, .step = step,
		.held = held, .housekeep = housekeep, .arg = log};

	memset(log, 0, sizeof(*log));
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->news, NULL);
	log->next_ns = SCHED_NEVER;
	assert_int_equal(sched_open(&setup, &log->sched), 0);
	assert_int_equal(sched_start(log->sched), 0);
}

static void log_close_sched(struct log *log)
{
	assert_true(sched_stop(log->sched, 5 * NS_PER_S));
	sched_close(log->sched);
}

static void wait_steps(struct log *log, int run, int count)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	pthread_mutex_lock(&log->lock);
	while (log->steps[run] < count)
		assert_int_equal(pthread_cond_timedwait(&log->news, &log->lock, &end), 0);
	pthread_mutex_unlock(&log->lock);
}

static void wait_forgotten(struct log *log, int64_t run)
{
	const struct timespec moment = {.tv_nsec = NS_PER_MS};
	int64_t end = clock_boot_ns() + 20 * NS_PER_S;

	while (sched_knows(log->sched, run)) {
		assert_true(clock_boot_ns() < end);
		nanosleep(&moment, NULL);
	}
}

static void tell(struct log *log, int64_t run, int64_t version, enum run_state state, int64_t due_in)
{
	struct run r = {.id = run, .version = version, .state = state, .priority = 5, .queue_order = run,
		.backend = "local", .external_id = (char[]){"job"}};
	struct sched_need need = {.local = true};

	if (due_in) {
		r.due = stamp_now();
		r.due.boot_ns += due_in;
		r.due.wall_ns += due_in;
	}
	sched_update(log->sched, &r, &need);
}

static void looks(void **state)
{
	struct log log;

	log_open(&log, 2);
	tell(&log, 1, 1, RUN_RUNNING, 0);
	wait_steps(&log, 1, 1);
	sched_poke(log.sched, 1, false);
	wait_steps(&log, 1, 2);
	sched_news(log.sched, "local", "job", true);
	wait_steps(&log, 1, 3);
	sched_news(log.sched, "kaggle", "job", true); /* somebody else's */
	tell(&log, 1, 2, RUN_COLLECTING, 0);
	wait_steps(&log, 1, 4);
	tell(&log, 1, 1, RUN_RUNNING, 0); /* old news */
	tell(&log, 1, 3, RUN_COMPLETE, 0);
	wait_forgotten(&log, 1); /* the fourth step may still be ending */
	sched_poke(log.sched, 1, true); /* no effect */
	tell(&log, 2, 4, RUN_RETRYING, 300 * NS_PER_MS);
	assert_int_equal(log.steps[2], 0);
	wait_steps(&log, 2, 1);
	log_close_sched(&log);
}

static void news_during_a_step(void **state)
{
	struct log log;

	log_open(&log, 2);
	log.block = true;
	tell(&log, 1, 1, RUN_RUNNING, 0);
	wait_steps(&log, 1, 1);
	sched_poke(log.sched, 1, false);
	pthread_mutex_lock(&log.lock);
	log.block = false;
	pthread_cond_broadcast(&log.news);
	pthread_mutex_unlock(&log.lock);
	wait_steps(&log, 1, 2);
	log_close_sched(&log);
}

static void places(void **state)
{
	struct log log;
	struct timespec end;

	log_open(&log, 2);
	log.block = true;
	for (int i = 1; i <= 4; i++)
		tell(&log, i, i, RUN_QUEUED, 0);
	wait_steps(&log, 1, 1);
	wait_steps(&log, 2, 1);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	pthread_mutex_lock(&log.lock);
	while (log.helds < 2)
		assert_int_equal(pthread_cond_timedwait(&log.news, &log.lock, &end), 0);
	assert_int_equal(log.steps[3] + log.steps[4], 0);
	pthread_mutex_unlock(&log.lock);
	tell(&log, 1, 10, RUN_CANCELLED, 0);
	pthread_mutex_lock(&log.lock);
	log.block = false;
	pthread_cond_broadcast(&log.news);
	pthread_mutex_unlock(&log.lock);
	wait_steps(&log, 3, 1);
	log_close_sched(&log);
}

static void stuck_worker(void **state)
{
	struct log *log = calloc(1, sizeof(*log));

	log_open(log, 2);
	log->block = true;
	tell(log, 1, 1, RUN_RUNNING, 0);
	wait_steps(log, 1, 1);
	assert_false(sched_stop(log->sched, 50 * NS_PER_MS));
	pthread_mutex_lock(&log->lock);
	log->block = false;
	pthread_cond_broadcast(&log->news);
	while (log->running)
		pthread_cond_wait(&log->news, &log->lock);
	pthread_mutex_unlock(&log->lock);
	log_close_sched(log);
	free(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(allocate_order),
		cmocka_unit_test(allocate_memory), cmocka_unit_test(allocate_gpu),
		cmocka_unit_test(allocate_overflow), cmocka_unit_test(retry_table),
		cmocka_unit_test(retry_delays), cmocka_unit_test(looks),
		cmocka_unit_test(news_during_a_step), cmocka_unit_test(places),
		cmocka_unit_test(stuck_worker)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
