/*
 * Submission, status and end of runs on Kaggle: one push whatever becomes of the answer, nothing that is
 * said without evidence, nothing deleted that is not ours.
 */
#include "tests/unit/kaggle_fixture.h"

/* ---- Submitting ---- */

static void a_push_has_what_the_folder_says(void **state)
{
	struct kaggle_fixture *f = *state;
	struct kaggle_record r;

	f->job.limit_ns = 1800 * NS_PER_S;
	f->job.gpu = "T4";
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_ABSENT);
	assert_int_equal(kf_submit(f), 0);
	assert_string_equal(f->remote.buf, REMOTE);
	assert_int_equal(kg->saves, 1);
	assert_string_equal(kg->title, "Demo run");
	assert_int_equal(kg->session_seconds, 1800);
	assert_true(kg->is_private && kg->gpu && kg->internet && !kg->tpu);
	assert_string_equal(kg->machine, "NvidiaTeslaT4");
	assert_string_equal(kg->kernels[0].v[0].source, "print(1)\n# kexec.token: inst-1-1\n");
	kf_read(f, &r);
	assert_int_equal(r.version, 1);
	assert_int_equal(r.before, 0);
	assert_false(r.fresh);
	record_release(&r);
	assert_int_equal(kf_submit(f), 0); /* again: the first is found */
	assert_string_equal(f->remote.buf, REMOTE);
	assert_int_equal(kg->saves, 1);
}

static void a_session_always_has_an_end(void **state)
{
	struct kaggle_fixture *f = *state;

	folder_write(&f->folder, "source/kernel-metadata.json", "{\"id\": \"alice/demo-run\", \"enable_tpu\": \"true\"}");
	f->job.limit_ns = 360000 * NS_PER_S;
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kg->session_seconds, 9 * 3600);
	assert_true(kg->tpu);
}

static void without_an_id_the_slug_is_fresh(void **state)
{
	struct kaggle_fixture *f = *state;

	f->job.fresh_slug = true;
	assert_int_equal(kf_submit(f), 0);
	assert_memory_equal(f->remote.buf, "alice/kx-demo-", 14);
	assert_memory_equal(kg->title, "kx-demo-", 8);
	f->job.fresh_slug = false;
	f->job.token = "inst-2-1";
	unlinkat(f->folder.fd, "attempt/kaggle.json", 0);
	folder_write(&f->folder, "source/kernel-metadata.json", "{\"id\": \"bob/demo-run\"}");
	assert_int_equal(kf_submit(f), 0); /* somebody else's: a fork */
	assert_memory_equal(f->remote.buf, "alice/kx-demo-", 14);
	assert_int_equal(kg->saves, 2);
}

static void hostile_metadata_is_never_pushed(void **state)
{
	struct kaggle_fixture *f = *state;

	folder_write(&f->folder, "source/kernel-metadata.json", "{\"dataset_sources\": [\"titanic\"]}");
	assert_int_equal(kf_submit(f), -EINVAL);
	assert_non_null(strstr(f->why.text, "titanic"));
	assert_int_equal(kg->saves, 0);
}

static void a_lost_answer_is_adopted_once(void **state)
{
	struct kaggle_fixture *f = *state;

	kg->lose_reply = true;
	assert_int_equal(kf_submit(f), -EUCLEAN);
	assert_int_equal(f->remote.len, 0);
	kf_reopen(f);
	assert_int_equal(kf_find(f), 0);
	assert_string_equal(f->remote.buf, REMOTE);
	assert_int_equal(f->status.state, JOB_RUNNING);
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kg->saves, 1);
}

static void a_doubled_effect_is_one_run(void **state)
{
	struct kaggle_fixture *f = *state;

	kg->doubled = kg->lose_reply = true;
	assert_int_equal(kf_submit(f), -EUCLEAN);
	assert_int_equal(kf_find(f), 0);
	assert_string_equal(f->remote.buf, REMOTE);
	assert_int_equal(kg->cancels, 1); /* the other one */
	assert_int_equal(kg->kernels[0].v[1].session, KAGGLE_CANCELLED);
	assert_int_equal(kg->kernels[0].v[0].session, KAGGLE_RUNNING);
}

static void a_push_that_never_came_is_sent_again_in_time(void **state)
{
	struct kaggle_fixture *f = *state;

	kg->reset_before = true;
	assert_int_equal(kf_submit(f), -EUCLEAN);
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_UNKNOWN);
	assert_int_equal(kf_submit(f), -EUCLEAN); /* not before it is proved */
	kf_age(f, 100);
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_UNKNOWN);
	kf_age(f, 30);
	kg->down = true;
	assert_int_equal(kf_find(f), -EAGAIN); /* no answer proves nothing */
	kg->down = false;
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_ABSENT);
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kg->saves, 1);
}

static void one_late_answer_is_no_proof(void **state)
{
	struct kaggle_fixture *f = *state;

	kg->reset_before = true;
	assert_int_equal(kf_submit(f), -EUCLEAN);
	kf_age(f, 3600);
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_UNKNOWN);
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_ABSENT);
}

static void a_listing_that_trails_leads_to_no_second_push(void **state)
{
	struct kaggle_fixture *f = *state;

	kg->masked = true;
	kg->lose_reply = true;
	assert_int_equal(kf_submit(f), -EUCLEAN);
	kg->stale = 1;
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_UNKNOWN);
	kf_age(f, 60);
	kg->stale = 1;
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_UNKNOWN);
	assert_int_equal(kf_find(f), 0);
	assert_string_equal(f->remote.buf, REMOTE);
	assert_int_equal(kg->saves, 1);
}

static void equal_cells_are_adopted_where_no_token_comes_back(void **state)
{
	struct kaggle_fixture *f = *state;

	kg->lose_reply = true;
	assert_int_equal(kf_submit(f), -EUCLEAN);
	kg->strip = 2;
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_UNKNOWN); /* nothing to compare */
	kg->strip = 1;
	assert_int_equal(kf_find(f), 0);
	assert_string_equal(f->remote.buf, REMOTE);
}

static void another_runs_equal_push_is_not_ours(void **state)
{
	static const char theirs[] = "print(1)\n# kexec.token: inst-9-1\n";
	struct kaggle_fixture *f = *state;
	struct stub_kernel *s;

	kg->reset_before = true;
	assert_int_equal(kf_submit(f), -EUCLEAN);
	s = stub_find("alice/demo-run", true);
	memcpy(s->v[0].source, theirs, sizeof(theirs));
	s->v[0].session = KAGGLE_RUNNING;
	s->versions = 1;
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_UNKNOWN);
	assert_int_equal(f->remote.len, 0);
}

static void refusals_leave_nothing_behind(void **state)
{
	static const int answers[][2] = {{-EAGAIN, -EAGAIN}, {-EDQUOT, -EDQUOT}, {-EACCES, -EACCES},
		{-EINVAL, -EINVAL}, {-ENOENT, -EINVAL}, {-EEXIST, -EINVAL}};
	struct kaggle_fixture *f = *state;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		kg->refuse = answers[i][0];
		assert_int_equal(kf_submit(f), answers[i][1]);
		assert_int_equal(kf_find(f), 0);
		assert_int_equal(f->status.state, JOB_ABSENT);
	}
	kg->refuse = -EPROTO; /* anything else may have happened */
	assert_int_equal(kf_submit(f), -EUCLEAN);
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_UNKNOWN);
	assert_int_equal(kg->saves, 0);
}

static void two_runs_of_a_slug_wait_for_each_other(void **state)
{
	struct kaggle_fixture *f = *state;

	assert_int_equal(kf_submit(f), 0);
	unlinkat(f->folder.fd, "attempt/kaggle.json", 0);
	f->job.token = "inst-2-1";
	assert_int_equal(kf_submit(f), -EAGAIN);
	assert_non_null(strstr(f->why.text, "Version 1 of alice/demo-run"));
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_ABSENT);
	kf_session("alice/demo-run", 1, KAGGLE_COMPLETE, "");
	assert_int_equal(kf_submit(f), 0);
	assert_string_equal(f->remote.buf, "alice/demo-run/v2");
}

static void inputs_that_were_not_taken_fail_loudly(void **state)
{
	struct kaggle_fixture *f = *state;

	strcpy(kg->invalid, "dataset bob/nothing is not there");
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kg->cancels, 1);
	kf_reopen(f);
	assert_int_equal(kf_poll(f, REMOTE), 0);
	assert_int_equal(f->status.state, JOB_ENDED);
	assert_int_equal(f->status.cause, END_SETUP);
	assert_string_equal(f->status.detail, "dataset bob/nothing is not there");
	assert_int_equal(kf_fetch(f, REMOTE), 0);
}

static void without_credentials_it_says_so(void **state)
{
	AUTO_BUF struct strbuf status = STRBUF_INIT, quota = STRBUF_INIT, warnings = STRBUF_INIT;
	struct kaggle_fixture *f = *state;

	kg->no_credentials = true;
	kf_reopen(f);
	assert_int_equal(kaggle_backend.describe(f->conn, &status, &quota), 0);
	assert_string_equal(status.buf, "no credentials: put a token there\n");
	assert_int_equal(kaggle_backend.check(f->conn, &f->job, &warnings, &f->why), -EINVAL);
	assert_int_equal(kf_submit(f), -EACCES);
	assert_non_null(strstr(f->why.text, "no credentials"));
}

/* ---- Status ---- */

static void poll_says_what_kaggle_says(void **state)
{
	static const struct {
		enum kaggle_session session;
		const char *failure;
		enum job_state state;
		enum end_cause cause;
	} cases[] = {
		{KAGGLE_QUEUED, "", JOB_PENDING, END_NONE}, {KAGGLE_RUNNING, "", JOB_RUNNING, END_NONE},
		{KAGGLE_CANCEL_REQUESTED, "", JOB_RUNNING, END_NONE}, {KAGGLE_COMPLETE, "", JOB_ENDED, END_OK},
		{KAGGLE_CANCELLED, "", JOB_ENDED, END_CANCELLED},
		{KAGGLE_CANCELLED, "Cancelled by alice.", JOB_ENDED, END_CANCELLED},
		{KAGGLE_CANCELLED, "It exceeded the max allowed execution duration.", JOB_ENDED, END_TIME_LIMIT}, {KAGGLE_ERROR, "", JOB_ENDED, END_ERROR},
		{KAGGLE_ERROR, "It exceeded the max allowed execution duration.", JOB_ENDED, END_TIME_LIMIT},
		{KAGGLE_ERROR, "Your notebook tried to allocate more memory than is available.", JOB_ENDED, END_MEMORY},
		{KAGGLE_ERROR, "Your notebook ran out of disk space", JOB_ENDED, END_DISK},
	};
	struct kaggle_fixture *f = *state;

	assert_int_equal(kf_submit(f), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		kf_session("alice/demo-run", 1, cases[i].session, cases[i].failure);
		assert_int_equal(kf_poll(f, REMOTE), 0);
		assert_int_equal(f->status.state, cases[i].state);
		assert_int_equal(f->status.cause, cases[i].cause);
		if (cases[i].failure[0])
			assert_string_equal(f->status.detail, cases[i].failure);
	}
}

static void the_start_is_remembered(void **state)
{
	struct kaggle_fixture *f = *state;
	int64_t started;

	kg->keep_queued = true;
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kf_poll(f, REMOTE), 0);
	assert_true(f->status.started.wall_ns == 0);
	kf_session("alice/demo-run", 1, KAGGLE_RUNNING, "");
	assert_int_equal(kf_poll(f, REMOTE), 0);
	started = f->status.started.wall_ns / 1000;
	assert_true(started > 0);
	kf_reopen(f);
	kf_session("alice/demo-run", 1, KAGGLE_COMPLETE, "");
	assert_int_equal(kf_poll(f, REMOTE), 0);
	assert_int_equal(f->status.started.wall_ns / 1000, started);
	started = f->status.ended.wall_ns / 1000;
	assert_int_equal(kf_poll(f, REMOTE), 0);
	assert_int_equal(f->status.ended.wall_ns / 1000, started);
}

static void silence_is_no_end(void **state)
{
	struct kaggle_fixture *f = *state;

	kg->keep_queued = true;
	assert_int_equal(kf_submit(f), 0);
	kg->status_err = -ENOENT;
	assert_int_equal(kf_poll(f, REMOTE), 0);
	assert_int_equal(f->status.state, JOB_PENDING); /* just pushed */
	kf_age(f, 61);
	kg->status_err = -EACCES;
	assert_int_equal(kf_poll(f, REMOTE), 0);
	assert_int_equal(f->status.state, JOB_UNKNOWN);
	assert_non_null(strstr(f->status.detail, "00:00:0"));
	kg->status_err = 0;
	kf_session("alice/demo-run", 1, KAGGLE_NEW, "");
	assert_int_equal(kf_poll(f, REMOTE), 0);
	assert_int_equal(f->status.state, JOB_UNKNOWN);
	kg->down = true;
	assert_int_equal(kf_poll(f, REMOTE), -EAGAIN);
	assert_int_equal(kf_poll(f, "../../x/v1"), -EINVAL);
}

static void a_refused_cancel_is_told(void **state)
{
	struct kaggle_fixture *f = *state;

	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kf_poll(f, REMOTE), 0);
	kg->refuse_cancel = true;
	assert_int_equal(kaggle_backend.cancel(f->conn, REMOTE, INT64_MAX, &f->why), -EACCES);
	assert_non_null(strstr(f->why.text, "bill until"));
	kg->refuse_cancel = false;
	assert_int_equal(kaggle_backend.cancel(f->conn, REMOTE, INT64_MAX, &f->why), 0);
	assert_int_equal(kf_poll(f, REMOTE), 0);
	assert_int_equal(f->status.cause, END_CANCELLED);
	assert_int_equal(kaggle_backend.cancel(f->conn, REMOTE, INT64_MAX, &f->why), 0);
	assert_int_equal(kg->cancels, 1);
}

/* ---- Data sets, quota, purge ---- */

static void helpers_travel_once(void **state)
{
	struct kaggle_fixture *f = *state;
	char first[400];

	mkdirat(f->folder.fd, "source/data", 0755);
	folder_write(&f->folder, "source/helper.py", "X = 1\n");
	folder_write(&f->folder, "source/data/a.csv", "1\n");
	folder_write(&f->folder, "source/.env", "SECRET=1\n");
	folder_write(&f->folder, "source/notes.txt", "ignore me\n");
	folder_write(&f->folder, "source/.kexecignore", "# comment\n*.txt\n");
	kg->dataset_waits = 2;
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kg->uploads, 1);
	assert_int_equal(kg->creates, 1);
	assert_memory_equal(kg->datasets, "alice/kx-", 9);
	snprintf(first, sizeof(first), "%s", kg->datasets);
	assert_non_null(memmem(kg->zip, kg->zip_len, "data/a.csv", 10));
	assert_null(memmem(kg->zip, kg->zip_len, ".env", 4));
	assert_null(memmem(kg->zip, kg->zip_len, "notes.txt", 9));
	assert_null(memmem(kg->zip, kg->zip_len, "main.py", 7));
	assert_non_null(strstr(kg->kernels[0].v[0].source, "_kexec_files"));
	kf_session("alice/demo-run", 1, KAGGLE_COMPLETE, "");
	unlinkat(f->folder.fd, "attempt/kaggle.json", 0);
	f->job.token = "inst-2-1";
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kg->uploads, 1); /* the same content */
	assert_string_equal(kg->datasets, first);
	kf_session("alice/demo-run", 2, KAGGLE_COMPLETE, "");
	folder_write(&f->folder, "source/helper.py", "X = 2\n");
	unlinkat(f->folder.fd, "attempt/kaggle.json", 0);
	f->job.token = "inst-3-1";
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kg->uploads, 2);
	assert_string_not_equal(kg->datasets, first);
}

static void files_that_kaggle_is_still_taking_in_are_waited_for(void **state)
{
	struct kaggle_fixture *f = *state;

	folder_write(&f->folder, "source/helper.py", "X = 1\n");
	kg->dataset_waits = 1000;
	strbuf_reset(&f->remote);
	assert_int_equal(kaggle_backend.submit(f->conn, &f->job, clock_boot_ns() + 20 * NS_PER_S, &f->remote, &f->why),
		-EAGAIN);
	assert_non_null(strstr(f->why.text, "BLOBS_RECEIVED"));
	assert_int_equal(kg->saves, 0);
	assert_int_equal(kf_find(f), 0);
	assert_int_equal(f->status.state, JOB_ABSENT);
	strcpy(kg->dataset_status, "FAILED");
	assert_int_equal(kf_submit(f), -EINVAL);
}

static void purge_deletes_what_kexec_made_and_nothing_else(void **state)
{
	struct kaggle_fixture *f = *state;

	folder_write(&f->folder, "source/helper.py", "X = 1\n");
	assert_int_equal(kf_submit(f), 0);
	kf_session("alice/demo-run", 1, KAGGLE_COMPLETE, "");
	unlinkat(f->folder.fd, "attempt/kaggle.json", 0);
	f->job.token = "inst-2-1";
	f->job.fresh_slug = true;
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kaggle_backend.purge(f->conn, f->remote.buf, INT64_MAX, &f->why), -EBUSY);
	kg->kernels[1].v[0].session = KAGGLE_COMPLETE;
	assert_int_equal(kaggle_backend.purge(f->conn, REMOTE, INT64_MAX, &f->why), 0);
	assert_int_equal(kg->kernel_deletes, 0); /* the user's own */
	assert_int_equal(kg->dataset_deletes, 0); /* the other run has it, too */
	io_remove_tree(f->folder.fd, "attempt"); /* the engine's files are gone first */
	assert_int_equal(kaggle_backend.purge(f->conn, f->remote.buf, INT64_MAX, &f->why), 0);
	assert_int_equal(kg->kernel_deletes, 1);
	assert_int_equal(kg->dataset_deletes, 1);
	assert_int_equal(kaggle_backend.purge(f->conn, f->remote.buf, INT64_MAX, &f->why), 0);
	assert_int_equal(kaggle_backend.purge(f->conn, "alice/other-run/v3", INT64_MAX, &f->why), 0);
	assert_int_equal(kg->kernel_deletes, 1);
}

static void quota_is_kaggles_and_ours(void **state)
{
	AUTO_BUF struct strbuf status = STRBUF_INIT, quota = STRBUF_INIT, warnings = STRBUF_INIT;
	struct kaggle_fixture *f = *state;

	kg->quota_left_s = 3600;
	f->job.gpu = "any";
	assert_int_equal(kf_submit(f), 0);
	assert_int_equal(kf_poll(f, REMOTE), 0);
	assert_int_equal(kaggle_backend.describe(f->conn, &status, &quota), 0);
	assert_memory_equal(status.buf, "ok: user alice, answered 2", 26);
	assert_non_null(strstr(quota.buf, "gpu used 1.00 h reserved 0.00 h left 1.00 h of 2.00 h\nrefresh 2"));
	assert_non_null(strstr(quota.buf, "\nown runs gpu 0.00 h tpu 0.00 h\n"));
	assert_int_equal(kaggle_backend.check(f->conn, &f->job, &warnings, &f->why), 0);
	assert_non_null(strstr(warnings.buf, "1.0 h are left"));
	kg->down = true;
	strbuf_reset(&status);
	assert_int_equal(kaggle_backend.describe(f->conn, &status, &quota), 0);
	assert_memory_equal(status.buf, "ok: user alice", 14); /* remembered for a minute */
}

static int setup(void **state)
{
	static struct kaggle_fixture f;

	kf_init(&f);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	kf_finish(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_push_has_what_the_folder_says), TEST(a_session_always_has_an_end),
		TEST(without_an_id_the_slug_is_fresh), TEST(hostile_metadata_is_never_pushed),
		TEST(a_lost_answer_is_adopted_once), TEST(a_doubled_effect_is_one_run),
		TEST(a_push_that_never_came_is_sent_again_in_time), TEST(one_late_answer_is_no_proof),
		TEST(a_listing_that_trails_leads_to_no_second_push),
		TEST(equal_cells_are_adopted_where_no_token_comes_back),
		TEST(another_runs_equal_push_is_not_ours), TEST(refusals_leave_nothing_behind),
		TEST(two_runs_of_a_slug_wait_for_each_other), TEST(inputs_that_were_not_taken_fail_loudly),
		TEST(without_credentials_it_says_so), TEST(poll_says_what_kaggle_says),
		TEST(the_start_is_remembered), TEST(silence_is_no_end), TEST(a_refused_cancel_is_told),
		TEST(helpers_travel_once), TEST(files_that_kaggle_is_still_taking_in_are_waited_for),
		TEST(purge_deletes_what_kexec_made_and_nothing_else), TEST(quota_is_kaggles_and_ours)};

	stub_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
