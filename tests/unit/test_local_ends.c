/* How local jobs end: cancelled, over a limit, flooding, forking, leaving processes behind. */
#include "tests/unit/local_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "backends/local/pump.h"

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	NOTEBOOK(f, "python3", "print('saved')", "import time\nprint('asleep', flush=True)\ntime.sleep(600)");
	submit(f);
	wait_log(f, "asleep");
	assert_int_equal(backend_find("local")->cancel(f->conn, remote_id(f), soon(), NULL), 0);
	s = wait_end(f);
	assert_cause(f, &s, END_CANCELLED);
	assert_int_equal(backend_find("local")->cancel(f->conn, remote_id(f), soon(), NULL), 0);
	fetch(f);
	assert_has(f, "output/nb.ipynb", "saved"); /* SIGTERM leaves time for what was done */
}

static void test_cancel_a_deaf_job(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	write_file(f->source, "main.py", "import signal, subprocess, time\n"
					 "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
					 "subprocess.Popen(['setsid', 'sleep', '600'])\n"
					 "print('deaf', flush=True)\ntime.sleep(600)\n");
	submit(f);
	wait_log(f, "deaf");
	assert_int_equal(backend_find("local")->cancel(f->conn, remote_id(f), soon(), NULL), 0);
	s = wait_end(f);
	assert_cause(f, &s, END_CANCELLED);
	assert_true(stamp_since(&s.started, &s.ended) < 30 * NS_PER_S);
}

static void test_time_limit(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	f->job.limit_ns = NS_PER_S;
	s = run(f, "import time\nprint('metric a=1')\ntime.sleep(600)\n");
	assert_cause(f, &s, END_TIME_LIMIT);
	assert_has(f, ATTEMPT_METRICS, "0,a,1");
}

static void test_memory_limit(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	f->job.memory_bytes = 150 << 20;
	s = run(f, "import time\nx = bytearray(400 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\n"
		   "time.sleep(600)\n");
	assert_cause(f, &s, END_MEMORY);
	assert_true(s.max_rss_bytes > 150 << 20);
}

static void test_memory_of_a_kernel(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	f->job.memory_bytes = 400 << 20;
	NOTEBOOK(f, "python3", "print('kept')",
		"import time\nx = bytearray(900 << 20)\nfor i in range(0, len(x), 4096): x[i] = 1\n"
		"time.sleep(600)");
	submit(f);
	s = wait_end(f);
	assert_cause(f, &s, END_MEMORY);
	fetch(f);
	assert_has(f, "output/nb.ipynb", "kept");
}

/* A gigabyte of output costs neither disk nor time. */
static void test_flood(void **state)
{
	struct fixture *f = *state;
	struct job_status s;
	struct stat st;
	char path[PATH_MAX];

	s = run(f, "import os\nb = b'y\\n' * 500000\nfor i in range(1024): os.write(1, b)\n"
		   "print('the end')\n");
	assert_cause(f, &s, END_OK);
	snprintf(path, sizeof(path), "%s/log", f->directory);
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, PUMP_HEAD, PUMP_HEAD + PUMP_TAIL + 1000);
	assert_has(f, ATTEMPT_LOG, "bytes left out]");
	assert_has(f, ATTEMPT_LOG, "y\nthe end\n");
}

static void test_fork_bomb(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	f->job.limit_ns = 3 * NS_PER_S;
	s = run(f, "import os, time\nprint('boom', flush=True)\n"
		   "while True:\n"
		   "    try:\n"
		   "        os.fork()\n"
		   "    except OSError:\n"
		   "        time.sleep(0.05)\n");
	if (s.cause != END_MEMORY) /* a small machine may run out of that first */
		assert_true(s.cause == END_TIME_LIMIT || s.cause == END_SIGNAL);
	assert_true(stamp_since(&s.started, &s.ended) < 60 * NS_PER_S);
}

/* What a job leaves running ends with it. */
static void test_leftovers(void **state)
{
	struct fixture *f = *state;
	struct job_status s = run(f, "import subprocess\n"
				     "subprocess.Popen(['setsid', 'sh', '-c', 'sleep 4321 & sleep 4322'])\n");

	assert_cause(f, &s, END_OK);
	assert_true(stamp_since(&s.started, &s.ended) < 20 * NS_PER_S);
	assert_int_equal(WEXITSTATUS(system("grep -lsa 'sleep.432[12]' /proc/[0-9]*/cmdline "
					    "| grep -v self >/dev/null")), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		LOCAL_TEST(test_cancel), LOCAL_TEST(test_cancel_a_deaf_job),
		LOCAL_TEST(test_time_limit), LOCAL_TEST(test_memory_limit),
		LOCAL_TEST(test_memory_of_a_kernel), LOCAL_TEST(test_flood),
		LOCAL_TEST(test_fork_bomb), LOCAL_TEST(test_leftovers),
	};

	return local_main(argc, argv, "local_ends", tests, sizeof(tests) / sizeof(*tests));
}
