/* How much at once, and how much a week: parallel_versions, quota_hours, and threads that submit together. */
#include "tests/unit/kaggle_fixture.h"

#include <inttypes.h>
#include <pthread.h>

#include "backends/kaggle/ledger.h"
#include "fs/engine/config.h"

static struct config config;
static struct kaggle_fixture fixture;

/* The next connection has these settings. */
static void configure(struct kaggle_fixture *f, const char *settings)
{
	json_free(config.backends);
	config.backends = json_parse(settings, strlen(settings), 1000, NULL);
	assert_non_null(config.backends);
	f->config = &config;
	kf_reopen(f);
}

/* The fixture's job becomes that of another run, whose attempt is in a folder of its own. */
static void another_run(struct kaggle_fixture *f, int n)
{
	static char token[32];
	char name[32];

	snprintf(token, sizeof(token), "inst-%d-1", n);
	snprintf(name, sizeof(name), "attempt-%d", n);
	assert_int_equal(mkdirat(f->folder.fd, name, 0755), 0);
	snprintf(f->directory, sizeof(f->directory), "%s/%s", f->folder.path, name);
	f->job.run = n;
	f->job.token = token;
}

static void own_slug(struct kaggle_fixture *f)
{
	f->job.fresh_slug = true;
}

/* ---- parallel_versions ---- */

static void so_many_versions_are_at_work_and_no_more(void **state)
{
	struct kaggle_fixture *f = *state;

	configure(f, "{\"kaggle\": {\"parallel_versions\": 2}}");
	assert_int_equal(kf_submit(f), 0);
	another_run(f, 2);
	assert_int_equal(kf_submit(f), 0);
	assert_string_equal(f->remote.buf, "alice/demo-run/v2");
	another_run(f, 3);
	assert_int_equal(kf_submit(f), -EAGAIN);
	assert_non_null(strstr(f->why.text, "2 versions of alice/demo-run"));
	assert_int_equal(kg->saves, 2);
	kf_session("alice/demo-run", 1, KAGGLE_COMPLETE, "");
	assert_int_equal(kf_submit(f), 0);
	assert_string_equal(f->remote.buf, "alice/demo-run/v3");
}

/* The one that is newest may have ended first. */
static void the_order_in_which_they_end_does_not_matter(void **state)
{
	struct kaggle_fixture *f = *state;

	configure(f, "{\"kaggle\": {\"parallel_versions\": 2}}");
	for (int n = 2; n <= 4; n++) {
		assert_int_equal(kf_submit(f), 0);
		kf_session("alice/demo-run", n - 1, n == 3 ? KAGGLE_COMPLETE : KAGGLE_RUNNING, "");
		another_run(f, n);
	}
	/* v1 and v3 run, v2 has ended */
	assert_int_equal(kf_submit(f), -EAGAIN);
	assert_int_equal(kg->saves, 3);
}

/* ---- Threads ---- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static bool inside, go_on;

static void hold(void)
{
	pthread_mutex_lock(&gate);
	inside = true;
	pthread_cond_broadcast(&change);
	while (!go_on)
		pthread_cond_wait(&change, &gate);
	pthread_mutex_unlock(&gate);
}

struct sender {
	struct job job;
	int rc;
	pthread_t thread;
};

static void *send_it(void *arg)
{
	struct sender *s = arg;
	AUTO_BUF struct strbuf remote = STRBUF_INIT;

	s->rc = kaggle_backend.submit(fixture.conn, &s->job, clock_boot_ns() + 60 * NS_PER_S, &remote, NULL);
	return NULL;
}

/* A thread that submits the fixture's job and is in the middle of SaveKernel on return. */
static void begin_sending(struct kaggle_fixture *f, struct sender *s)
{
	static char directory[300], token[32];

	snprintf(directory, sizeof(directory), "%s", f->directory);
	snprintf(token, sizeof(token), "%s", f->job.token);
	s->job = f->job;
	s->job.directory = directory;
	s->job.token = token;
	inside = go_on = false;
	kg->before_save = hold;
	assert_int_equal(pthread_create(&s->thread, NULL, send_it, s), 0);
	pthread_mutex_lock(&gate);
	while (!inside)
		pthread_cond_wait(&change, &gate);
	pthread_mutex_unlock(&gate);
	kg->before_save = NULL;
}

static void end_sending(struct sender *s)
{
	pthread_mutex_lock(&gate);
	go_on = true;
	pthread_cond_broadcast(&change);
	pthread_mutex_unlock(&gate);
	pthread_join(s->thread, NULL);
}

static void two_threads_do_not_push_to_one_kernel_at_once(void **state)
{
	struct kaggle_fixture *f = *state;
	struct sender first;

	begin_sending(f, &first);
	another_run(f, 2);
	assert_int_equal(kf_submit(f), -EAGAIN);
	assert_non_null(strstr(f->why.text, "alice/demo-run"));
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_ABSENT);
	end_sending(&first);
	assert_int_equal(first.rc, 0);
	assert_int_equal(kg->saves, 1);
	assert_int_equal(kf_submit(f), -EAGAIN); /* at work now */
	kf_session("alice/demo-run", 1, KAGGLE_COMPLETE, "");
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kg->saves, 2);
}

static void another_kernel_does_not_wait(void **state)
{
	struct kaggle_fixture *f = *state;
	struct sender first;

	begin_sending(f, &first);
	another_run(f, 2);
	own_slug(f);
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kg->saves, 1);
	end_sending(&first);
	assert_int_equal(first.rc, 0);
	assert_int_equal(kg->saves, 2);
}

/* Whoever asks for the same attempt meanwhile is answered when it is known, or not at all. */
static void one_attempt_is_submitted_by_one_thread(void **state)
{
	struct kaggle_fixture *f = *state;
	struct sender first;

	begin_sending(f, &first);
	assert_int_equal(kaggle_backend.find(f->conn, &f->job, clock_boot_ns(), &f->remote, &f->status, NULL), -ETIMEDOUT);
	assert_int_equal(f->status.state, JOB_UNKNOWN);
	assert_int_equal(kaggle_backend.submit(f->conn, &f->job, clock_boot_ns() + NS_PER_MS, &f->remote, NULL),
		-ETIMEDOUT);
	end_sending(&first);
	assert_int_equal(kf_submit(f), 0);
	assert_string_equal(f->remote.buf, REMOTE);
	assert_int_equal(kg->saves, 1);
}

/* ---- quota_hours ---- */

#define HOURS(n) ((int64_t)(n) * 3600 * NS_PER_S)

static void gpu_job(struct kaggle_fixture *f, int hours)
{
	f->job.gpu = "any";
	f->job.limit_ns = HOURS(hours);
	own_slug(f);
}

static void write_ledger(struct kaggle_fixture *f, int64_t hours_ago, int64_t hours, const char *more)
{
	char text[300];
	int64_t from = clock_wall_ns() / NS_PER_S - hours_ago * 3600;

	snprintf(text, sizeof(text), "alice/older-run/v1 gpu %" PRId64 " %" PRId64 "\n%s", from,
		from + hours * 3600, more);
	folder_write(&f->folder, "kaggle/ledger", text);
}

static void a_push_that_could_pass_the_cap_is_not_sent(void **state)
{
	struct kaggle_fixture *f = *state;

	configure(f, "{\"kaggle\": {\"quota_hours\": 10}}");
	write_ledger(f, 20, 4, "");
	gpu_job(f, 7);
	assert_int_equal(kf_submit(f), -EDQUOT);
	assert_non_null(strstr(f->why.text, "allows 10.0 h"));
	assert_non_null(strstr(f->why.text, "4.0 h are used"));
	assert_non_null(strstr(f->why.text, "7.0 h."));
	assert_int_equal(kg->saves + kg->uploads, 0);
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_ABSENT);
	gpu_job(f, 6);
	assert_int_equal(kf_submit(f), 0);
	another_run(f, 2);
	gpu_job(f, 1);
	assert_int_equal(kf_submit(f), -EDQUOT); /* the other may take all its 6 h */
	f->job.gpu = NULL;
	assert_int_equal(kf_submit(f), 0); /* no GPU, no cap */
}

static void last_weeks_hours_do_not_count(void **state)
{
	struct kaggle_fixture *f = *state;

	configure(f, "{\"kaggle\": {\"quota_hours\": 10}}");
	write_ledger(f, 192, 9, "");
	gpu_job(f, 10);
	assert_int_equal(kf_submit(f), 0);
}

static void what_ended_early_gives_its_hours_back(void **state)
{
	struct kaggle_fixture *f = *state;

	configure(f, "{\"kaggle\": {\"quota_hours\": 10}}");
	gpu_job(f, 10);
	assert_int_equal(kf_submit(f), 0);
	kg->kernels[0].v[0].session = KAGGLE_COMPLETE;
	assert_int_equal(kf_poll(f, f->remote.buf), 0);
	assert_int_equal(f->status.state, JOB_ENDED);
	another_run(f, 2);
	gpu_job(f, 9);
	assert_int_equal(kf_submit(f), 0);
}

/* Until Kaggle has shown whether it took the push its hours are spoken for, also after a restart. */
static void a_push_in_doubt_counts(void **state)
{
	struct kaggle_fixture *f = *state;
	char first[300];

	configure(f, "{\"kaggle\": {\"quota_hours\": 10}}");
	gpu_job(f, 10);
	kg->reset_before = true;
	assert_int_equal(kf_submit(f), -EUCLEAN);
	strcpy(first, f->directory);
	kf_reopen(f);
	another_run(f, 2);
	assert_int_equal(kf_submit(f), -EDQUOT);
	strcpy(f->directory, first);
	f->job.token = "inst-1-1";
	kf_age(f, 130);
	for (int i = 0; i < 2; i++)
		assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_ABSENT);
	another_run(f, 3);
	assert_int_equal(kf_submit(f), 0);
	another_run(f, 4);
	assert_int_equal(kf_submit(f), -EDQUOT);
	assert_non_null(strstr(f->why.text, "10.0 h are used")); /* once, though announced and known */
	assert_int_equal(kg->saves, 1);
}

static void two_threads_share_one_cap(void **state)
{
	struct kaggle_fixture *f = *state;
	struct sender first;

	configure(f, "{\"kaggle\": {\"quota_hours\": 10}}");
	gpu_job(f, 6);
	begin_sending(f, &first);
	another_run(f, 2);
	assert_int_equal(kf_submit(f), -EDQUOT);
	end_sending(&first);
	assert_int_equal(first.rc, 0);
	assert_int_equal(kg->saves, 1);
}

static void books_that_cannot_be_read_allow_nothing(void **state)
{
	struct kaggle_fixture *f = *state;

	configure(f, "{\"kaggle\": {\"quota_hours\": 30}}");
	write_ledger(f, 20, 1, "alice/torn-run/v1 gp");
	gpu_job(f, 1);
	assert_int_equal(kf_submit(f), -EDQUOT);
	assert_non_null(strstr(f->why.text, "cannot be told"));
	write_ledger(f, 20, 1, "");
	assert_int_equal(kf_submit(f), 0);
	folder_write(&f->folder, "attempt/kaggle.json", "{");
	another_run(f, 2);
	assert_int_equal(kf_submit(f), -EDQUOT);
	assert_non_null(strstr(f->why.text, "cannot be told"));
	assert_int_equal(kg->saves, 1);
}

/* ---- Outputs ---- */

static void inputs_that_did_not_change_leave_no_empty_folder(void **state)
{
	struct kaggle_fixture *f = *state;

	mkdirat(f->folder.fd, "source/data", 0755);
	folder_write(&f->folder, "source/data/in.csv", "1,2\n");
	kf_file("data/in.csv", "1,2\n", 0);
	kf_file("made/out.csv", "3\n", 0);
	assert_int_equal(kf_submit(f), 0);
	kf_session("alice/demo-run", 1, KAGGLE_COMPLETE, "");
	assert_int_equal(kf_fetch(f, REMOTE), 0);
	assert_string_equal(kf_text(f, "output/made/out.csv"), "3\n");
	assert_int_equal(faccessat(f->folder.fd, "attempt/output/data", F_OK, 0), -1);
}

static int setup(void **state)
{
	kf_init(&fixture);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	kf_finish(*state);
	json_free(config.backends);
	config.backends = NULL;
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(so_many_versions_are_at_work_and_no_more), TEST(the_order_in_which_they_end_does_not_matter),
		TEST(two_threads_do_not_push_to_one_kernel_at_once), TEST(another_kernel_does_not_wait),
		TEST(one_attempt_is_submitted_by_one_thread), TEST(a_push_that_could_pass_the_cap_is_not_sent),
		TEST(last_weeks_hours_do_not_count), TEST(what_ended_early_gives_its_hours_back),
		TEST(a_push_in_doubt_counts), TEST(two_threads_share_one_cap),
		TEST(books_that_cannot_be_read_allow_nothing),
		TEST(inputs_that_did_not_change_leave_no_empty_folder)};

	stub_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
