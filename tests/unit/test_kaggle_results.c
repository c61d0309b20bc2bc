/*
 * What a run on Kaggle leaves: its log exactly once however often it is told, its outputs complete or
 * absent and never outside; and death and failure at every durable step of a whole run.
 */
#include "tests/unit/kaggle_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#include "fs/base/fault.h"

static void end_run(struct kaggle_fixture *f)
{
	kf_session("alice/demo-run", 1, KAGGLE_COMPLETE, "");
	assert_int_equal(kf_poll(f, REMOTE), 0);
}

/* ---- The log ---- */

static void say(const char *text, bool is_stderr)
{
	kg->is_stderr[kg->event_count] = is_stderr;
	kg->events[kg->event_count++] = text;
}

static void the_log_comes_once_however_often_it_is_told(void **state)
{
	struct kaggle_fixture *f = *state;

	assert_int_equal(kf_submit(f), 0);
	say("begin\n", false);
	say("metric loss=0.5\nmetric lo", false);
	assert_int_equal(kf_logs(f, REMOTE), 0);
	assert_string_equal(kf_text(f, "log"), "begin\nmetric loss=0.5\nmetric lo");
	assert_int_equal(kf_logs(f, REMOTE), 0);
	kf_reopen(f);
	say("ss=0.25\n", false);
	say("metric fake=1\n", true);
	kg->cut_after = 1; /* a connection that breaks */
	assert_int_equal(kf_logs(f, REMOTE), 0);
	assert_string_equal(kf_text(f, "metrics.csv"), "step,name,value\n0,loss,0.5\n");
	kg->cut_after = 0;
	kg->log_ended = true;
	end_run(f);
	assert_int_equal(kf_logs(f, REMOTE), 0);
	assert_string_equal(kf_text(f, "log"), "begin\nmetric loss=0.5\nmetric loss=0.25\nmetric fake=1\n");
	assert_string_equal(kf_text(f, "metrics.csv"), "step,name,value\n0,loss,0.5\n1,loss,0.25\n");
	say("never\n", false);
	assert_int_equal(kf_logs(f, REMOTE), 0);
	assert_null(strstr(kf_text(f, "log"), "never"));
}

static void what_a_crash_left_behind_the_record_is_cut_off(void **state)
{
	struct kaggle_fixture *f = *state;
	int fd;

	assert_int_equal(kf_submit(f), 0);
	say("one\n", false);
	assert_int_equal(kf_logs(f, REMOTE), 0);
	fd = openat(f->folder.fd, "attempt/log", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "tw", 2), 2);
	close(fd);
	say("two\n", false);
	assert_int_equal(kf_logs(f, REMOTE), 0);
	assert_string_equal(kf_text(f, "log"), "one\ntwo\n");
}

static void the_stored_log_is_enough(void **state)
{
	struct kaggle_fixture *f = *state;

	assert_int_equal(kf_submit(f), 0);
	say("one\n", false);
	assert_int_equal(kf_logs(f, REMOTE), 0);
	end_run(f);
	kg->event_count = 0;
	kg->stored_log = "one\ntwo\nmetric a=1\n";
	assert_int_equal(kf_fetch(f, REMOTE), 0);
	assert_string_equal(kf_text(f, "log"), "one\ntwo\nmetric a=1\n");
	assert_string_equal(kf_text(f, "metrics.csv"), "step,name,value\n0,a,1\n");
}

static void an_empty_stored_log_takes_nothing_away(void **state)
{
	struct kaggle_fixture *f = *state;

	assert_int_equal(kf_submit(f), 0);
	say("one\n", false);
	assert_int_equal(kf_logs(f, REMOTE), 0);
	end_run(f);
	kg->event_count = 0;
	kg->log_ended = true;
	assert_int_equal(kf_logs(f, REMOTE), 0);
	assert_int_equal(kf_fetch(f, REMOTE), 0);
	assert_string_equal(kf_text(f, "log"), "one\n");
}

/* ---- Outputs ---- */

static void outputs_are_complete_or_absent(void **state)
{
	struct kaggle_fixture *f = *state;

	assert_int_equal(kf_submit(f), 0);
	end_run(f);
	kf_file("submission.csv", "id\n1\n", 0);
	kf_file("sub/deep/a.txt", "a", 0);
	kf_file("empty", "", 0);
	kg->down = true;
	assert_int_equal(kf_fetch(f, REMOTE), -EAGAIN);
	assert_string_equal(kf_text(f, "output/submission.csv"), "(none)");
	kg->down = false;
	kg->expire = 2; /* lists whose URLs are too old */
	assert_int_equal(kf_fetch(f, REMOTE), 0);
	assert_string_equal(kf_text(f, "output/submission.csv"), "id\n1\n");
	assert_string_equal(kf_text(f, "output/sub/deep/a.txt"), "a");
	assert_string_equal(kf_text(f, "output/empty"), "");
	assert_string_equal(kf_text(f, "output.refused"), "(none)");
	assert_int_not_equal(faccessat(f->folder.fd, "attempt/output.part", F_OK, 0), 0);
	assert_int_not_equal(faccessat(f->folder.fd, "attempt/scratch", F_OK, 0), 0);
	assert_int_equal(kg->downloads, 3);
	assert_int_equal(kf_fetch(f, REMOTE), 0);
	assert_int_equal(kg->downloads, 3);
}

static void a_fetch_goes_on_where_it_was_cut(void **state)
{
	struct kaggle_fixture *f = *state;

	assert_int_equal(kf_submit(f), 0);
	end_run(f);
	kf_file("a", "1", 0);
	kf_file("b", "2", 0);
	kf_file("c", "3", INT64_MAX);
	assert_int_equal(kf_fetch(f, REMOTE), -ENOSPC);
	assert_non_null(strstr(f->why.text, "no room for the output file c"));
	assert_int_equal(kg->downloads, 2);
	assert_string_equal(kf_text(f, "output/a"), "(none)");
	kf_reopen(f);
	kg->files[2].announced = 0;
	assert_int_equal(kf_fetch(f, REMOTE), 0);
	assert_int_equal(kg->downloads, 3);
	assert_string_equal(kf_text(f, "output/a"), "1");
	assert_string_equal(kf_text(f, "output/c"), "3");
}

static int count_entry(void *arg, const struct io_entry *e)
{
	++*(int *)arg;
	return 0;
}

static void hostile_names_stay_outside(void **state)
{
	static const char *const bad[] = {"../up", "/etc/kexec-test", "a/../../up", "line\nbreak", "x//y"};
	struct kaggle_fixture *f = *state;
	char part[300];
	int count = 0;

	assert_int_equal(kf_submit(f), 0);
	end_run(f);
	kf_file("good", "1", 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		kf_file(bad[i], "x", 0);
	memset(part, 'n', 256);
	part[256] = '\0';
	kf_file(part, "x", 0);
	kf_file("good/below", "x", 0); /* below a file */
	kf_file("dir/a", "1", 0);
	kf_file("dir", "x", 0); /* where a folder is */
	kf_file("Good", "2", 0);
	kf_file("good", "again", 0);
	assert_int_equal(kf_fetch(f, REMOTE), 0);
	assert_string_equal(kf_text(f, "output/good"), "1");
	assert_string_equal(kf_text(f, "output/Good"), "2");
	assert_int_equal(io_walk(f->folder.fd, "attempt/output", 10, count_entry, &count), 0);
	assert_int_equal(count, 4); /* good, Good, dir, dir/a */
	assert_string_equal(kf_text(f, "up"), "(none)");
	assert_non_null(strstr(kf_text(f, "output.refused"), "../up: a path that leads out"));
	assert_non_null(strstr(kf_text(f, "output.refused"), "/etc/kexec-test: an absolute path"));
	assert_non_null(strstr(kf_text(f, "output.refused"), "good/below: a file and a folder"));
	assert_non_null(strstr(kf_text(f, "output.refused"), "line break: not UTF-8, or with control"));
}

static void too_many_files_are_told(void **state)
{
	struct kaggle_fixture *f = *state;

	assert_int_equal(kf_submit(f), 0);
	end_run(f);
	kf_file("a", "1", 0);
	kg->extra_files = 100000;
	assert_int_equal(kf_fetch(f, REMOTE), -E2BIG);
	assert_non_null(strstr(f->why.text, "100000"));
	kg->extra_files = 300;
	assert_int_equal(kf_fetch(f, REMOTE), 0);
	assert_string_equal(kf_text(f, "output/many/299"), "1");
}

static void files_that_only_came_along_are_no_output(void **state)
{
	struct kaggle_fixture *f = *state;

	mkdirat(f->folder.fd, "source/data", 0755);
	folder_write(&f->folder, "source/data/x.csv", "3\n");
	folder_write(&f->folder, "source/train.csv", "1,2\n");
	folder_write(&f->folder, "source/model.txt", "old");
	assert_int_equal(kf_submit(f), 0);
	end_run(f);
	kf_file("train.csv", "1,2\n", 0);
	kf_file("data/x.csv", "3\n", 0);
	kf_file("model.txt", "new", 0);
	assert_int_equal(kf_fetch(f, REMOTE), 0);
	assert_int_not_equal(faccessat(f->folder.fd, "attempt/output/data", F_OK, 0), 0);
	assert_string_equal(kf_text(f, "output/train.csv"), "(none)");
	assert_string_equal(kf_text(f, "output/model.txt"), "new");
}

/* ---- Death at every step ---- */

struct fault_page {
	uint64_t count, target;
	uint32_t action, err;
	char name[64];
};

static struct fault_page *open_page(struct kaggle_fixture *f, char path[300])
{
	struct fault_page *page;
	int fd;

	snprintf(path, 300, "%.200s/fault", f->folder.path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 4096), 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	close(fd);
	return page;
}

/* Until there is a remote id, as the engine does it: find() first, submit() only what is absent. */
static void send_as_the_engine(struct kaggle_fixture *f)
{
	for (int tries = 0; tries < 30; tries++) {
		if (kf_find(f)) /* a failed call is made again */
			continue;
		if (f->remote.len)
			return;
		if (f->status.state == JOB_ABSENT && kf_submit(f) == 0)
			return;
		if (f->status.state == JOB_UNKNOWN)
			kf_age(f, 130);
	}
	_exit(7);
}

static void work(struct kaggle_fixture *f)
{
	int tries = 0;

	send_as_the_engine(f);
	kf_logs(f, REMOTE);
	kf_session("alice/demo-run", 1, KAGGLE_COMPLETE, "");
	do {
		if (kf_poll(f, REMOTE) == 0 && f->status.state == JOB_ENDED && kf_logs(f, REMOTE) == 0 &&
			kf_fetch(f, REMOTE) == 0)
			return;
	} while (tries++ < 10);
	_exit(8);
}

static int in_child(struct kaggle_fixture *f)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		fault_open();
		work(f);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_done(struct kaggle_fixture *f, int point, const char *name)
{
	if (kg->saves != 1)
		fail_msg("point %d (%s): pushed %d times", point, name, kg->saves);
	assert_string_equal(kf_text(f, "log"), "one\nmetric a=1\n");
	assert_string_equal(kf_text(f, "metrics.csv"), "step,name,value\n0,a,1\n");
	assert_string_equal(kf_text(f, "output/x/result.txt"), "r");
	assert_string_equal(kf_text(f, "output/b"), "2");
	assert_non_null(strstr(kf_text(f, "output.refused"), "../up"));
	assert_int_not_equal(faccessat(f->folder.fd, "attempt/output.part", F_OK, 0), 0);
}

/* One round with the fault at `point`; false when there is no such point any more. */
static bool round_at(int point, uint32_t action, uint32_t err)
{
	struct kaggle_fixture f;
	struct fault_page *page;
	char path[300], name[64];
	bool met;
	int status;

	kf_init(&f);
	folder_write(&f.folder, "source/helper.py", "X = 1\n");
	say("one\n", false);
	say("metric a=1\n", false);
	kg->log_ended = true;
	kf_file("x/result.txt", "r", 0);
	kf_file("../up", "x", 0);
	kf_file("b", "2", 0);
	page = open_page(&f, path);
	page->target = (uint64_t)point;
	page->action = action;
	page->err = err;
	setenv("KEXEC_FAULT", path, 1);
	status = in_child(&f);
	met = page->count >= (uint64_t)point;
	snprintf(name, sizeof(name), "%s", page->name);
	unsetenv("KEXEC_FAULT");
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && action == 1)
		status = in_child(&f);
	if (status)
		fail_msg("point %d (%s): the child ended with %x", point, name, (unsigned)status);
	assert_done(&f, point, name);
	munmap(page, 4096);
	kf_finish(&f);
	return met;
}

static void everywhere(uint32_t action, uint32_t err, const char *what)
{
	int point = 1;

	while (point < 400 && round_at(point, action, err))
		point++;
	print_message("%s at %d points\n", what, point - 1);
	assert_in_range(point, 25, 399);
}

static void killed_everywhere(void **state)
{
	everywhere(1, 0, "killed");
}

static void full_disk_everywhere(void **state)
{
	everywhere(2, ENOSPC, "disk full");
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
		TEST(the_log_comes_once_however_often_it_is_told),
		TEST(what_a_crash_left_behind_the_record_is_cut_off), TEST(the_stored_log_is_enough),
		TEST(an_empty_stored_log_takes_nothing_away), TEST(outputs_are_complete_or_absent),
		TEST(a_fetch_goes_on_where_it_was_cut), TEST(hostile_names_stay_outside),
		TEST(too_many_files_are_told), TEST(files_that_only_came_along_are_no_output),
		cmocka_unit_test(killed_everywhere), cmocka_unit_test(full_disk_everywhere)};

	stub_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
