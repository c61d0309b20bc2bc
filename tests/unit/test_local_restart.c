/* The daemon goes and comes, or the supervisor is killed: jobs go on, are found, and run once. */
#include "tests/unit/local_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/strbuf.h"

static void test_pushes(void **state)
{
	struct fixture *f = *state;
	int changes;

	write_file(f->source, "main.py", "import time\nfor i in range(200):\n"
					 "    print('line', i, flush=True); time.sleep(0.01)\n");
	submit(f);
	pthread_mutex_lock(&f->lock);
	while (!f->ends)
		pthread_cond_wait(&f->news, &f->lock);
	changes = f->changes;
	pthread_mutex_unlock(&f->lock);
	assert_int_equal(poll_once(f).state, JOB_ENDED);
	assert_in_range(changes, 3, 25); /* 200 lines in 2 s are not 200 reports */
}

static void test_daemon_restart(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct job_status s;

	write_file(f->source, "main.py", "import time\nprint('up', flush=True)\n"
					 "time.sleep(3)\nprint('down')\n");
	submit(f);
	wait_log(f, "up");
	reopen(f);
	assert_int_equal(poll_once(f).state, JOB_RUNNING);
	assert_int_equal(backend_find("local")->find(f->conn, &f->job, soon(), &id, &s, NULL), 0);
	assert_string_equal(id.buf, remote_id(f));
	strbuf_reset(&id);
	assert_int_equal(backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL), 0);
	assert_int_equal(backend_find("local")->fetch(f->conn, &f->job, id.buf, soon(), NULL), -EBUSY);
	wait_news_of_end(f);
	s = poll_once(f);
	assert_cause(f, &s, END_OK);
	AUTO_FREE char *log = read_file(f->directory, ATTEMPT_LOG);
	assert_string_equal(log, "up\ndown\n"); /* once */
}

static void test_killed_supervisor(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct attempt_supervisor sup;
	AUTO_FD int dir = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	write_file(f->source, "main.py", "import time\nprint('up', flush=True)\ntime.sleep(600)\n");
	submit(f);
	wait_log(f, "up");
	assert_int_equal(attempt_read_supervisor(dir, &sup), 0);
	assert_int_equal(kill(sup.pid, SIGKILL), 0);
	assert_int_equal(wait_end(f).state, JOB_LOST);
	/* Submitting again is answered, not done. */
	assert_int_equal(backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL), 0);
	assert_int_equal(poll_once(f).state, JOB_LOST);
	wait_news_of_end(f);
	fetch(f);
}

/* Outside the attempt nothing remains of a job that was purged, not even what a crash left. */
static void test_purge_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct job_status s = run(f, "print(1)\n");
	char path[200];

	assert_cause(f, &s, END_OK);
	fetch(f);
	snprintf(path, sizeof(path), "%s/local/.%s.new", f->state, remote_id(f));
	assert_int_equal(symlink("/nowhere", path), 0);
	assert_int_equal(backend_find("local")->purge(f->conn, remote_id(f), soon(), NULL), 0);
	snprintf(path, sizeof(path), "%s/local", f->state);
	assert_int_equal(rmdir(path), 0); /* it is empty */
}

/* Another token in the same directory is somebody else's job. */
static void test_foreign_token(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct job_status s = run(f, "print(1)\n");

	assert_cause(f, &s, END_OK);
	f->job.token = "another";
	assert_int_equal(backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL), -EINVAL);
	assert_int_equal(backend_find("local")->find(f->conn, &f->job, soon(), &id, &s, NULL), -EINVAL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		LOCAL_TEST(test_pushes), LOCAL_TEST(test_daemon_restart),
		LOCAL_TEST(test_killed_supervisor), LOCAL_TEST(test_purge_leaves_nothing), LOCAL_TEST(test_foreign_token),
	};

	return local_main(argc, argv, "local_restart", tests, sizeof(tests) / sizeof(*tests));
}
