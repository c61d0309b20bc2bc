/*
 * The local backend with real jobs: what they see, what they leave, how they end, and that none starts
 * twice whatever is killed when. This program is its own supervisor (`--supervise`), as kexecfs is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/backend.h"
#include "backends/local/attempt.h"
#include "backends/local/metric_file.h"
#include "backends/local/pump.h"
#include "backends/local/supervise.h"
#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/metric_line.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"

#define LONG_NS (120 * NS_PER_S)

struct fixture {
	char root[64], source[96], directory[96], state[96], mount[96], data[96];
	char program[PATH_MAX];
	int state_dirfd;
	struct config config;
	struct backend_setup setup;
	struct backend_conn *conn;
	struct job job;
	struct json *env, *datasets, *parameters;
	pthread_mutex_t lock;
	pthread_cond_t news;
	int changes, ends;
};

static int64_t soon(void)
{
	return clock_boot_ns() + LONG_NS;
}

static void pause_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

/* ---- files ---- */

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static char *read_file(const char *folder, const char *name)
{
	struct strbuf text;
	char path[PATH_MAX];

	strbuf_init(&text, (size_t)128 << 20);
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (io_read(AT_FDCWD, path, (size_t)128 << 20, &text) < 0 || strbuf_addch(&text, '\0')) {
		strbuf_release(&text);
		return NULL;
	}
	return strbuf_detach(&text, NULL);
}

static bool is_there(const char *folder, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return lstat(path, &st) == 0;
}

static void assert_has(const struct fixture *f, const char *name, const char *text)
{
	AUTO_FREE char *content = read_file(f->directory, name);

	if (!content || !strstr(content, text))
		fail_msg("%s lacks \"%s\": %.2000s", name, text, content ? content : "(no file)");
}

static void assert_lacks(const struct fixture *f, const char *name, const char *text)
{
	AUTO_FREE char *content = read_file(f->directory, name);

	if (content && strstr(content, text))
		fail_msg("%s holds \"%s\": %.2000s", name, text, content);
}

/* ---- the fixture ---- */

static void on_change(void *arg, const char *remote_id, bool ended)
{
	struct fixture *f = arg;

	pthread_mutex_lock(&f->lock);
	f->changes++;
	f->ends += ended;
	pthread_cond_broadcast(&f->news);
	pthread_mutex_unlock(&f->lock);
}

static void open_backend(struct fixture *f)
{
	struct why why = {0};

	if (backend_find("local")->open(&f->setup, &f->conn, &why))
		fail_msg("%s", why_text(&why));
}

static void reopen(struct fixture *f)
{
	backend_find("local")->close(f->conn);
	open_backend(f);
}

static void new_attempt(struct fixture *f, int attempt)
{
	snprintf(f->directory, sizeof(f->directory), "%s/state/attempt-%d", f->root, attempt);
	assert_int_equal(mkdir(f->directory, 0700), 0);
	f->job.attempt = attempt;
	f->job.directory = f->directory;
}

static void make_folder(char *out, size_t size, const struct fixture *f, const char *name, mode_t mode)
{
	snprintf(out, size, "%s/%s", f->root, name);
	assert_int_equal(mkdir(out, mode), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->root, "/var/tmp/kexec-test-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	assert_int_equal(chmod(f->root, 0755), 0);
	make_folder(f->source, sizeof(f->source), f, "source", 0755);
	make_folder(f->state, sizeof(f->state), f, "state", 0700);
	make_folder(f->mount, sizeof(f->mount), f, "mount", 0755);
	make_folder(f->data, sizeof(f->data), f, "data", 0755);
	f->state_dirfd = open(f->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(readlink("/proc/self/exe", f->program, sizeof(f->program) - 1) > 0);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->news, NULL);
	f->setup = (struct backend_setup){.config = &f->config, .program = f->program,
		.state_path = f->state, .mountpoint = f->mount, .state_dirfd = f->state_dirfd,
		.changed = on_change, .arg = f};
	f->job = (struct job){.run = 7, .token = "token-7", .name = "run", .kind = "script",
		.main = "main.py", .source = f->source, .internet = true};
	new_attempt(f, 1);
	open_backend(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	/* Where sanitizers say what they found in the supervisor. */
	assert_lacks(f, "supervisor.log", "Sanitizer");
	assert_lacks(f, "supervisor.log", "runtime error");
	backend_find("local")->close(f->conn);
	close(f->state_dirfd);
	io_remove_tree(AT_FDCWD, f->root);
	json_free(f->env);
	json_free(f->datasets);
	json_free(f->parameters);
	free(f);
	return 0;
}

static void set_env(struct fixture *f, const char *text)
{
	f->env = json_parse(text, strlen(text), 10000, NULL);
	assert_non_null(f->env);
	f->job.env = f->env;
}

/* ---- running ---- */

static void submit(struct fixture *f)
{
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct why why = {0};

	if (backend_find("local")->submit(f->conn, &f->job, soon(), &id, &why))
		fail_msg("submit: %s", why_text(&why));
	assert_true(remote_id_valid(id.buf));
}

static const char *remote_id(const struct fixture *f)
{
	static char id[REMOTE_ID_MAX];

	remote_id_format(id, f->job.run, f->job.attempt);
	return id;
}

static struct job_status poll_once(struct fixture *f)
{
	struct job_status status;

	assert_int_equal(
		backend_find("local")->poll(f->conn, remote_id(f), soon(), &status, NULL), 0);
	return status;
}

static struct job_status wait_end(struct fixture *f)
{
	int64_t until = soon();
	struct job_status status;

	for (;;) {
		status = poll_once(f);
		if (status.state == JOB_ENDED || status.state == JOB_LOST)
			return status;
		if (clock_boot_ns() > until)
			fail_msg("the job does not end");
		pause_ms(20);
	}
}

static void wait_log(struct fixture *f, const char *text)
{
	int64_t until = soon();

	for (;;) {
		AUTO_FREE char *log = read_file(f->directory, ATTEMPT_LOG);

		if (log && strstr(log, text))
			return;
		if (clock_boot_ns() > until)
			fail_msg("the log never says %s", text);
		pause_ms(20);
	}
}

static struct job_status run(struct fixture *f, const char *script)
{
	write_file(f->source, "main.py", script);
	submit(f);
	return wait_end(f);
}

static void fetch(struct fixture *f)
{
	struct why why = {0};

	if (backend_find("local")->fetch(f->conn, &f->job, remote_id(f), soon(), &why))
		fail_msg("fetch: %s", why_text(&why));
}

static void assert_cause(const struct fixture *f, const struct job_status *s, enum end_cause cause)
{
	AUTO_FREE char *log = read_file(f->directory, ATTEMPT_LOG);

	if (s->state != JOB_ENDED || s->cause != cause)
		fail_msg("state %d cause %s code %d signal %d detail \"%s\" log: %.3000s", s->state,
			end_cause_words[s->cause], s->exit_code, s->signal, s->detail, log ? log : "");
}

static bool sandboxed(struct fixture *f)
{
	AUTO_BUF struct strbuf status = STRBUF_INIT, quota = STRBUF_INIT;

	backend_find("local")->describe(f->conn, &status, &quota);
	assert_string_equal(quota.buf, "unlimited\n");
	return strstr(status.buf, "sandbox bwrap") != NULL;
}

#define NEED_SANDBOX(f)                                                                            \
	do {                                                                                       \
		if (!sandboxed(f))                                                                 \
			skip();                                                                    \
	} while (0)

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

/* ---- notebooks ---- */

static void write_notebook(struct fixture *f, const char *kernel, size_t count, const char *const *cells)
{
	struct json *nb = json_object(), *list = json_array(), *meta = json_object(), *spec;
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	for (size_t i = 0; i < count; i++) {
		struct json *cell = json_object();

		json_set_text(cell, "cell_type", "code");
		json_set_null(cell, "execution_count");
		json_set(cell, "metadata", json_object());
		json_set(cell, "outputs", json_array());
		json_set_text(cell, "source", cells[i]);
		json_append(list, cell);
	}
	if (kernel) {
		spec = json_object();
		json_set_text(spec, "name", kernel);
		json_set_text(spec, "display_name", kernel);
		json_set_text(spec, "language", strstr(kernel, "rlang") ? "R" : "python");
		json_set(meta, "kernelspec", spec);
	}
	json_set(nb, "cells", list);
	json_set(nb, "metadata", meta);
	json_set_int(nb, "nbformat", 4);
	json_set_int(nb, "nbformat_minor", 4);
	assert_int_equal(json_print(nb, &text, true), 0);
	json_free(nb);
	write_file(f->source, "nb.ipynb", text.buf);
	f->job.kind = "notebook";
	f->job.main = "nb.ipynb";
}

#define NOTEBOOK(f, kernel, ...)                                                                   \
	do {                                                                                       \
		const char *const cells_[] = {__VA_ARGS__};                                        \
		write_notebook(f, kernel, sizeof(cells_) / sizeof(*cells_), cells_);               \
	} while (0)

static void test_notebook(void **state)
{
	struct fixture *f = *state;
	struct job_status s;
	static const char parameters[] = "{\"lr\": 0.25}";

	f->job.internet = false;
	f->job.parameters = f->parameters = json_parse(parameters, strlen(parameters), 100, NULL);
	NOTEBOOK(f, NULL, "import os; print('lr is', lr); print('metric acc=0.5')",
		"from IPython.display import display\n"
		"display({'application/papermill.record+json': {'auc': 0.875}}, raw=True)\n"
		"display({'application/scrapbook.scrap.json+json': {'name': 'f1', 'data': 2}}, raw=True)",
		"open('sub.csv', 'w').write('1')\nprint(os.getcwd())\n6 * 7");
	submit(f);
	s = wait_end(f);
	assert_cause(f, &s, END_OK);
	assert_true(s.progress > 0.99);
	assert_has(f, ATTEMPT_LOG, "lr is 0.25\n");
	assert_has(f, ATTEMPT_LOG, "\n42\n");
	assert_has(f, ATTEMPT_METRICS, "0,acc,0.5\n0,auc,0.875\n0,f1,2\n");
	assert_has(f, ATTEMPT_PROGRESS, "cell 4 of 4");
	fetch(f);
	assert_has(f, "output/nb.ipynb", "lr is 0.25");
	assert_has(f, "output/nb.ipynb", "injected-parameters");
	assert_true(is_there(f->directory, "output/sub.csv"));
}

static void test_failing_notebook(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	NOTEBOOK(f, "some-venv", "print('first')", "import nothing_like_this", "print('never')");
	submit(f);
	s = wait_end(f);
	assert_cause(f, &s, END_ERROR);
	assert_int_equal(s.exit_code, 1);
	assert_string_equal(s.detail, "ModuleNotFoundError: No module named 'nothing_like_this'");
	assert_true(s.progress > 0.3 && s.progress < 0.7);
	assert_has(f, ATTEMPT_LOG, "some-venv is not installed");
	assert_has(f, ATTEMPT_LOG, "ModuleNotFoundError: No module named");
	assert_lacks(f, ATTEMPT_LOG, "\x1b[");
	assert_lacks(f, ATTEMPT_LOG, "never");
	fetch(f);
	assert_has(f, "output/nb.ipynb", "first");
	assert_has(f, "output/nb.ipynb", "ModuleNotFoundError");
}

static void test_missing_kernel(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	NOTEBOOK(f, "rlang", "print(1)");
	submit(f);
	s = wait_end(f);
	assert_cause(f, &s, END_SETUP);
	assert_non_null(strstr(s.detail, "rlang"));
}

static void test_dying_kernel(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	NOTEBOOK(f, "python3", "print('kept')", "import os; os._exit(1)");
	submit(f);
	s = wait_end(f);
	assert_cause(f, &s, END_ERROR);
	assert_int_equal(s.exit_code, 3);
	assert_non_null(strstr(s.detail, "DeadKernelError"));
	fetch(f);
	assert_has(f, "output/nb.ipynb", "kept");
}

static void test_damaged_notebook(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct why why = {0};

	write_file(f->source, "nb.ipynb", "{\"cells\": 1");
	f->job.kind = "notebook";
	f->job.main = "nb.ipynb";
	assert_int_equal(backend_find("local")->submit(f->conn, &f->job, soon(), &id, &why), -EINVAL);
	assert_true(why.text[0]);
}

/* ---- how jobs end ---- */

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

/* ---- the daemon goes and comes ---- */

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
	pthread_mutex_lock(&f->lock);
	while (!f->ends)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
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
	pthread_mutex_lock(&f->lock);
	while (!f->ends)
		pthread_cond_wait(&f->news, &f->lock);
	pthread_mutex_unlock(&f->lock);
	fetch(f);
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

/* ---- faults ---- */

struct fault_file {
	uint64_t count, target;
	uint32_t action, err;
	char name[64];
};

static struct fault_file *map_faults(const struct fixture *f)
{
	static char path[128]; /* the environment keeps it */
	struct fault_file *page;
	int fd;

	snprintf(path, sizeof(path), "%s/faults", f->root);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0 && ftruncate(fd, 4096) == 0);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(page, MAP_FAILED);
	close(fd);
	setenv("KEXEC_FAULT", path, 1);
	return page;
}

/* Executions are counted where no job can reach but by network: each connects here once. */
static int listen_here(char script[512])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 100), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(script, 512,
		"import socket\nsocket.create_connection(('127.0.0.1', %d)).close()\n"
		"open('out', 'w').write('out')\n",
		ntohs(a.sin_port));
	return fd;
}

static int executions(int listener)
{
	int n = 0, fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		n++;
		close(fd);
	}
	return n;
}

/* The daemon's part in a process of its own, which a fault may kill. */
static void in_daemon(struct fixture *f, int (*part)(struct fixture *f))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		fault_open();
		/* Threads do not survive a fork: this process opens the backend for itself. */
		if (backend_find("local")->open(&f->setup, &f->conn, NULL))
			_exit(1);
		part(f);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static int submit_part(struct fixture *f)
{
	AUTO_BUF struct strbuf id = STRBUF_INIT;

	return backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL);
}

static int fetch_part(struct fixture *f)
{
	return backend_find("local")->fetch(f->conn, &f->job, remote_id(f), soon(), NULL);
}

/* What the engine does after a doubt: ask, and submit only where it is sure that nothing happened. */
static enum job_state recover(struct fixture *f)
{
	int64_t until = soon();

	for (;;) {
		AUTO_BUF struct strbuf id = STRBUF_INIT;
		struct job_status s = {0};

		assert_int_equal(backend_find("local")->find(f->conn, &f->job, soon(), &id, &s, NULL), 0);
		if (s.state == JOB_ENDED || s.state == JOB_LOST)
			return s.state;
		assert_int_not_equal(s.state, JOB_UNKNOWN);
		if (s.state == JOB_ABSENT)
			backend_find("local")->submit(f->conn, &f->job, soon(), &id, NULL);
		if (clock_boot_ns() > until)
			fail_msg("no end after a fault");
		pause_ms(10);
	}
}

static void one_start_fault(struct fixture *f, struct fault_file *page, int listener, unsigned action)
{
	enum job_state end;
	int ran;

	in_daemon(f, submit_part);
	if (page->count < page->target) /* the supervisor's points come later */
		for (int i = 0; i < 3000 && page->count < page->target; i++) {
			struct job_status s = {0};
			AUTO_BUF struct strbuf id = STRBUF_INIT;

			backend_find("local")->find(f->conn, &f->job, soon(), &id, &s, NULL);
			if (s.state == JOB_ENDED || s.state == JOB_LOST || s.state == JOB_ABSENT)
				break;
			pause_ms(10);
		}
	end = recover(f);
	ran = executions(listener);
	if (ran > 1 || (end == JOB_ENDED && action == 1 && ran != 1))
		fail_msg("fault %llu (%s): %d executions, state %d", (unsigned long long)page->target,
			page->name, ran, end);
}

static void test_faults_of_starting(void **state)
{
	struct fixture *f = *state;
	struct fault_file *page = map_faults(f);
	char script[512];
	int listener = listen_here(script), points = 0, attempt = 100;

	write_file(f->source, "main.py", script);
	for (unsigned action = 1; action <= 2; action++) {
		bool reached = true;

		for (uint64_t target = 1; reached; target++) {
			*page = (struct fault_file){.target = target, .action = action, .err = ENOSPC};
			new_attempt(f, attempt++);
			one_start_fault(f, page, listener, action);
			reached = page->count >= target;
			points += reached;
		}
	}
	print_message("%d faults of starting\n", points);
	assert_true(points > 40);
	unsetenv("KEXEC_FAULT");
	munmap(page, 4096);
	close(listener);
}

static void test_faults_of_collecting(void **state)
{
	struct fixture *f = *state;
	struct fault_file *page;
	struct job_status s;
	bool reached = true;
	int points = 0;

	for (uint64_t target = 1; reached; target++) {
		new_attempt(f, 200 + points);
		s = run(f, "import os\nos.makedirs('a/b')\nfor i in range(5): open(f'a/b/{i}', 'w').write('x')\n"
			   "open('main.py', 'a').write('#')\n");
		assert_cause(f, &s, END_OK);
		page = map_faults(f);
		*page = (struct fault_file){.target = target, .action = 1 + target % 2, .err = EIO};
		in_daemon(f, fetch_part);
		reached = page->count >= target;
		points += reached;
		unsetenv("KEXEC_FAULT");
		munmap(page, 4096);
		fetch(f);
		assert_true(is_there(f->directory, "output/a/b/4") && is_there(f->directory, "output/main.py"));
		assert_false(is_there(f->directory, ATTEMPT_WORK) || is_there(f->directory, ATTEMPT_PART));
	}
	print_message("%d faults of collecting\n", points);
	assert_true(points >= 10);
}

/* ---- the wrappers ---- */

static void test_wrappers(void **state)
{
	struct fixture *f = *state;
	struct backend_handle h = {backend_find("local"), f->conn};
	AUTO_BUF struct strbuf status = STRBUF_INIT, quota = STRBUF_INIT;
	struct job_status s;

	assert_int_equal(backend_fault(h, &h), 0);
	assert_int_equal(backend_trace(h, NULL, &h), 0);
	assert_string_equal(h.vt->name, "local");
	assert_null(h.vt->logs);
	assert_int_equal(h.vt->describe(h.conn, &status, &quota), 0);
	assert_int_equal(h.vt->poll(h.conn, "99.1", soon(), &s, NULL), 0);
	assert_int_equal(s.state, JOB_UNKNOWN);
	assert_int_equal(h.vt->poll(h.conn, "../x", soon(), &s, NULL), -EINVAL);
	h.vt->close(h.conn);
	open_backend(f);
	assert_null(backend_find("nothing"));
	assert_ptr_equal(backend_all()[0], backend_find("local"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(test_metric_lines), T(test_metric_file_counts_steps), T(test_pump_is_bounded),
		T(test_remote_ids), T(test_script), T(test_failing_script), T(test_signal),
		T(test_environment), T(test_sandbox), T(test_hostile_orders), T(test_hostile_output),
		T(test_notebook), T(test_failing_notebook), T(test_missing_kernel), T(test_dying_kernel),
		T(test_damaged_notebook), T(test_cancel), T(test_cancel_a_deaf_job), T(test_time_limit),
		T(test_memory_limit), T(test_memory_of_a_kernel), T(test_flood), T(test_fork_bomb),
		T(test_leftovers), T(test_pushes), T(test_daemon_restart), T(test_killed_supervisor),
		T(test_foreign_token), T(test_faults_of_starting), T(test_faults_of_collecting),
		T(test_wrappers),
	};

	if (argc > 1 && !strcmp(argv[1], "--supervise"))
		return supervise_main(argc, argv);
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
