/* Jobs of the local backend: what they see, what they leave, and the pieces that bring it. */
#include "tests/unit/local_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/local/metric_file.h"
#include "backends/local/pump.h"
#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/metric_line.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

/* ---- pieces ---- */

static void test_metric_lines(void **state)
{
	static const char *const bad[] = {"", "metric", "metric a", "metric =1", "metric a=", "metric a=1x",
		"metric a=0x10", "metric a= 1", "metric a=1 step=", "metric a=1 step=-1",
		"metric a=1 step=1 more", "xmetric a=1", "metric a=1 b=2", "metric a=1 step=99999999999999999999",
		"metric a=1,2"};
	struct metric_line m;

	assert_true(metric_parse("metric loss=0.25 step=12", 24, &m));
	assert_string_equal(m.name, "loss");
	assert_true(m.value > 0.249 && m.value < 0.251);
	assert_int_equal(m.step, 12);
	assert_true(metric_parse("metric  auc=1e-3\r", 17, &m));
	assert_int_equal(m.step, -1);
	assert_true(metric_parse("metric loss=nan", 15, &m) && m.value != m.value);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (metric_parse(bad[i], strlen(bad[i]), &m))
			fail_msg("accepted: %s", bad[i]);
	assert_false(metric_parse("metric a\0b=1", 12, &m));
}

static void test_metric_file_counts_steps(void **state)
{
	struct fixture *f = *state;
	AUTO_FD int dir = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct metric_file *m;

	assert_int_equal(metric_file_open(dir, &m), 0);
	metric_file_line(m, "metric a=1", 10);
	metric_file_line(m, "metric a=0.1 step=5", 19);
	metric_file_line(m, "metric a=3", 10);
	metric_file_add(m, "b,\"c", 4, -1);
	metric_file_add(m, "no blanks", 4, -1);
	metric_file_close(m);
	AUTO_FREE char *csv = read_file(f->directory, ATTEMPT_METRICS);
	assert_string_equal(csv, "step,name,value\n0,a,1\n5,a,0.1\n6,a,3\n0,\"b,\"\"c\",4\n");
}

static void test_pump_is_bounded(void **state)
{
	struct fixture *f = *state;
	AUTO_FD int dir = open(f->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct pump p;

	assert_int_equal(pump_open(&p, dir, NULL), 0);
	p.head_max = 10;
	p.tail_max = 8;
	pump_add(&p, true, "0123456789abcdefgh", 18);
	pump_add(&p, true, "ijklmnopqrstuvwxyz", 18);
	pump_add(&p, true, "AB", 2);
	pump_finish(&p);
	AUTO_FREE char *log = read_file(f->directory, ATTEMPT_LOG);
	assert_true(!strncmp(log, "0123456789\n[kexec: ", 19));
	assert_non_null(strstr(log, "[kexec: 20 bytes left out]\nuvwxyzAB"));
	assert_string_equal(log + strlen(log) - 8, "uvwxyzAB");
}

static void test_remote_ids(void **state)
{
	assert_true(remote_id_valid("12.1"));
	assert_false(remote_id_valid("12"));
	assert_false(remote_id_valid("../etc"));
	assert_false(remote_id_valid("1.2/3"));
	assert_false(remote_id_valid(".1"));
	assert_false(remote_id_valid(""));
}

/* ---- scripts ---- */

static void test_script(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	write_file(f->source, "helper.txt", "unchanged");
	write_file(f->source, "data.txt", "before");
	s = run(f, "import os\n"
		   "open('out.csv', 'w').write('a,b\\n')\n"
		   "open('data.txt', 'a').write('after')\n"
		   "os.makedirs('sub/empty'); os.makedirs('__pycache__')\n"
		   "open('__pycache__/x.pyc', 'w')\n"
		   "print('hello'); print('metric auc=0.5 step=3'); print('metric auc=0.75')\n"
		   "import json; json.dump({'rows': 12, 'skip': 'text'}, open('metrics.json', 'w'))\n");
	assert_cause(f, &s, END_OK);
	assert_int_equal(s.exit_code, 0);
	assert_true(s.started.wall_ns > 0 && s.ended.wall_ns >= s.started.wall_ns);
	assert_true(s.max_rss_bytes > 0 && s.cpu_ns > 0);
	assert_has(f, ATTEMPT_LOG, "hello\n");
	assert_has(f, ATTEMPT_METRICS, "3,auc,0.5\n4,auc,0.75\n0,rows,12\n");
	assert_lacks(f, ATTEMPT_METRICS, "skip");
	fetch(f);
	assert_has(f, "output/out.csv", "a,b");
	assert_has(f, "output/data.txt", "beforeafter");
	assert_true(is_there(f->directory, "output/sub/empty"));
	assert_false(is_there(f->directory, "output/helper.txt"));
	assert_false(is_there(f->directory, "output/main.py"));
	assert_false(is_there(f->directory, "output/__pycache__"));
	assert_false(is_there(f->directory, ATTEMPT_WORK));
	assert_false(is_there(f->directory, ATTEMPT_BOX));
	fetch(f); /* again is nothing */
	AUTO_FREE char *source = read_file(f->source, "data.txt");
	assert_string_equal(source, "before");
}

static void test_failing_script(void **state)
{
	struct fixture *f = *state;
	struct job_status s = run(f, "import sys\nopen('partial', 'w')\nraise ValueError('no \\x1b[31mred')\n");

	assert_cause(f, &s, END_ERROR);
	assert_int_equal(s.exit_code, 1);
	assert_non_null(strstr(s.detail, "ValueError: no red"));
	fetch(f);
	assert_true(is_there(f->directory, "output/partial"));
}

static void test_signal(void **state)
{
	struct fixture *f = *state;
	struct job_status s = run(f, "import os\nos.kill(os.getpid(), 11)\n");

	assert_cause(f, &s, END_SIGNAL);
	assert_int_equal(s.signal, SIGSEGV);
}

static void test_environment(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	setenv("AWS_SECRET_ACCESS_KEY", "hunter2", 1);
	setenv("HTTPS_PROXY", "http://me:hunter2@proxy", 1);
	set_env(f, "{\"SEED\": 1, \"TEXT\": \"it's \\\"x\\\" $HOME\\n`id`\", \"bad name\": \"x\", "
		   "\"KEXEC_RUN\": \"fake\", \"LD_PRELOAD\": \"/nonexistent.so\"}");
	s = run(f, "import os\nfor k, v in sorted(os.environ.items()): print(repr(k), repr(v))\n"
		   "open(os.environ['HOME'] + '/writable', 'w')\n"
		   "print('uid', os.getuid(), 'groups', os.getgroups())\n"
		   "print([l for l in open('/proc/self/status') if 'NoNewPrivs' in l or 'CapEff' in l])\n");
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("HTTPS_PROXY");
	assert_cause(f, &s, END_OK);
	assert_lacks(f, ATTEMPT_LOG, "hunter2");
	assert_has(f, ATTEMPT_LOG, "'SEED' '1'");
	assert_has(f, ATTEMPT_LOG, "'TEXT' 'it\\'s \"x\" $HOME\\n`id`'");
	assert_has(f, ATTEMPT_LOG, "'KEXEC_RUN' 'run'");
	assert_has(f, ATTEMPT_LOG, "'KAGGLE_KERNEL_RUN_TYPE' 'Batch'");
	assert_lacks(f, ATTEMPT_LOG, "bad name");
	assert_lacks(f, ATTEMPT_LOG, "uid 0 ");
	assert_has(f, ATTEMPT_LOG, "NoNewPrivs:\\t1");
	assert_has(f, ATTEMPT_LOG, "CapEff:\\t0000000000000000");
}

static void test_sandbox(void **state)
{
	struct fixture *f = *state;
	struct job_status s;
	char script[2048], json[256];

	NEED_SANDBOX(f);
	write_file(f->data, "train.csv", "dataset");
	write_file(f->state, "secret", "state");
	write_file(f->mount, "secret", "mount");
	snprintf(json, sizeof(json), "{\"me/numbers\": \"%s\"}", f->data);
	f->job.datasets = f->datasets = json_parse(json, strlen(json), 1000, NULL);
	f->job.internet = false;
	snprintf(script, sizeof(script),
		"import os, socket\n"
		"print('cwd', os.getcwd())\n"
		"for p in ('/kaggle/input/numbers', '/kaggle/input/datasets/me/numbers'):\n"
		"    print(p, open(p + '/train.csv').read())\n"
		"for p in ('/kaggle/input/numbers/x', '/etc/x', '%s/x', '/run/kexec/x', '/usr/x', '/x'):\n"
		"    try: open(p, 'w'); print('BAD wrote', p)\n"
		"    except OSError: pass\n"
		"for p in ('%s', '%s'):\n"
		"    try: print('hidden', os.listdir(p))\n"
		"    except OSError: print('hidden []')\n"
		"for p in ('/tmp', '/dev/shm', '/kaggle/working'): open(p + '/mine', 'w')\n"
		"print('processes', len([p for p in os.listdir('/proc') if p.isdigit()]))\n"
		"a = socket.create_server(('127.0.0.1', 0)); b = socket.create_connection(a.getsockname())\n"
		"print('loopback works', os.listdir('/sys/class/net'))\n"
		"try: socket.create_connection(('1.1.1.1', 53), 3); print('BAD internet')\n"
		"except OSError as e: print('no internet')\n"
		"print('run', os.path.exists('/run/docker.sock'), os.path.exists('/run/dbus'))\n",
		f->source, f->state, f->mount);
	s = run(f, script);
	assert_cause(f, &s, END_OK);
	assert_lacks(f, ATTEMPT_LOG, "BAD");
	assert_has(f, ATTEMPT_LOG, "cwd /kaggle/working\n");
	assert_has(f, ATTEMPT_LOG, "/kaggle/input/numbers dataset\n");
	assert_has(f, ATTEMPT_LOG, "/kaggle/input/datasets/me/numbers dataset\n");
	assert_has(f, ATTEMPT_LOG, "hidden []\nhidden []\n");
	assert_has(f, ATTEMPT_LOG, "loopback works");
	assert_has(f, ATTEMPT_LOG, "no internet");
	assert_has(f, ATTEMPT_LOG, "run False False");
	fetch(f);
	assert_true(is_there(f->directory, "output/mine"));
}

static void assert_refused(struct fixture *f, const char *json)
{
	AUTO_BUF struct strbuf id = STRBUF_INIT, warnings = STRBUF_INIT;
	struct json *datasets = json_parse(json, strlen(json), 1000, NULL);
	struct why why = {0};

	assert_non_null(datasets);
	f->job.datasets = datasets;
	assert_int_equal(backend_find("local")->check(f->conn, &f->job, &warnings, &why), -EINVAL);
	assert_true(why.text[0]);
	assert_int_equal(backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL), -EINVAL);
	f->job.datasets = NULL;
	json_free(datasets);
}

static void test_hostile_orders(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	char json[256];

	NEED_SANDBOX(f);
	write_file(f->source, "main.py", "print(1)\n");
	assert_refused(f, "{\"a/b\": \"/nonexistent\"}");
	assert_refused(f, "{\"a/b\": \"relative\"}");
	assert_refused(f, "{\"a/b\": 1}");
	assert_refused(f, "{\"../b\": \"/usr\"}");
	assert_refused(f, "{\"a/../b\": \"/usr\"}");
	assert_refused(f, "{\"a/b\": \"/\"}");
	snprintf(json, sizeof(json), "{\"a/b\": \"%s\"}", f->state);
	assert_refused(f, json);
	snprintf(json, sizeof(json), "{\"a/b\": \"%s\"}", f->root); /* holds the state */
	assert_refused(f, json);
	f->job.main = "../main.py";
	assert_int_equal(backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL), -EINVAL);
	f->job.main = "/etc/passwd";
	assert_int_equal(backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL), -EINVAL);
	f->job.main = "main.py";
	f->job.kind = "train";
	assert_int_equal(backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL), -EINVAL);
}

static void test_hostile_output(void **state)
{
	struct fixture *f = *state;
	struct job_status s;
	struct stat st;
	char path[PATH_MAX];

	s = run(f, "import os, sys\n"
		   "os.symlink('/etc/passwd', 'absolute'); os.symlink('../../..', 'up')\n"
		   "os.symlink('main.py', 'fine'); os.makedirs('d/e')\n"
		   "os.symlink('../fine', 'd/fine'); os.symlink('e/../../..', 'd/sly')\n"
		   "os.mkfifo('fifo'); open('suid', 'w').write('x'); os.chmod('suid', 0o6755)\n"
		   "open('closed', 'w').write('x'); os.chmod('closed', 0)\n"
		   "os.mkdir('shut'); open('shut/in', 'w').write('in'); os.chmod('shut', 0)\n"
		   "open('new\\nline', 'w'); open(b'bad\\xff', 'w')\n"
		   "p = os.open('.', os.O_RDONLY)\n"
		   "for i in range(400):\n"
		   "    os.mkdir('deep', dir_fd=p); q = os.open('deep', os.O_RDONLY, dir_fd=p)\n"
		   "    os.close(p); p = q\n"
		   "open('zz-last', 'w').write('last')\n");
	assert_cause(f, &s, END_OK);
	fetch(f);
	assert_false(is_there(f->directory, "output/absolute"));
	assert_false(is_there(f->directory, "output/up"));
	assert_false(is_there(f->directory, "output/d/sly"));
	assert_false(is_there(f->directory, "output/fifo"));
	assert_true(is_there(f->directory, "output/fine"));
	assert_true(is_there(f->directory, "output/d/fine"));
	assert_true(is_there(f->directory, "output/new\nline"));
	assert_has(f, "output/shut/in", "in");
	assert_has(f, "output/closed", "x");
	assert_has(f, "output/zz-last", "last");
	snprintf(path, sizeof(path), "%s/output/suid", f->directory);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(st.st_uid, geteuid());
	assert_false(is_there(f->directory, ATTEMPT_WORK));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		LOCAL_TEST(test_metric_lines), LOCAL_TEST(test_metric_file_counts_steps),
		LOCAL_TEST(test_pump_is_bounded), LOCAL_TEST(test_remote_ids),
		LOCAL_TEST(test_script), LOCAL_TEST(test_failing_script),
		LOCAL_TEST(test_signal), LOCAL_TEST(test_environment), LOCAL_TEST(test_sandbox),
		LOCAL_TEST(test_hostile_orders), LOCAL_TEST(test_hostile_output),
	};

	return local_main(argc, argv, "local", tests, sizeof(tests) / sizeof(*tests));
}
