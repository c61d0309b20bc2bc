/* Classification on what Python really prints (failures.py), on logs that only contain the words,
 * and on hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/classify.h"
#include "fs/engine/traceback.h"

#define PYTHON "/usr/bin/python3"

static struct classifier *rules;

static int open_rules(void **state)
{
	return classifier_open(NULL, &rules, NULL);
}

static int close_rules(void **state)
{
	classifier_close(rules);
	return 0;
}

/* A job that had the network. */
static void classify_text(const struct classifier *c, const struct job_status *end, const char *log,
	size_t log_len, const char *notebook, size_t notebook_len, struct diagnosis *out)
{
	struct classify_facts facts = {.end = end, .log = log, .log_len = log_len,
		.notebook = notebook, .notebook_len = notebook_len};

	classify(c, &facts, out);
}

static struct diagnosis judge_job(enum end_cause cause, const char *text, bool offline)
{
	struct job_status end = {
		.state = JOB_ENDED, .cause = cause, .exit_code = cause == END_OK ? 0 : 1};
	struct classify_facts facts = {
		.end = &end, .offline = offline, .log = text, .log_len = strlen(text)};
	struct diagnosis d;

	classify(rules, &facts, &d);
	return d;
}

static struct diagnosis judge(enum end_cause cause, const char *text)
{
	return judge_job(cause, text, false);
}

#define assert_class(d, word)                                                                      \
	do {                                                                                       \
		if (strcmp(error_class_words[(d).class], word))                                    \
			print_error("%s (%s: %s)\n", (d).rule, (d).exception, (d).message);        \
		assert_string_equal(error_class_words[(d).class], word);                           \
	} while (0)

/* stdout and stderr of a shell command, in the order they were written; its wait status. */
static int output_of(const char *command, struct strbuf *out)
{
	FILE *pipe = popen(command, "r");
	char piece[4096];
	size_t n;

	assert_non_null(pipe);
	while ((n = fread(piece, 1, sizeof piece, pipe)))
		strbuf_add(out, piece, n);
	return pclose(pipe);
}

/* Run a program whose text is given; its status as the supervisor would tell it. */
static struct diagnosis run_python(const char *program)
{
	AUTO_BUF struct strbuf log = STRBUF_INIT;
	char path[] = "/tmp/kexec-classify-XXXXXX", command[128];
	struct job_status end = {.state = JOB_ENDED};
	struct diagnosis d;
	int fd = mkstemp(path), status;

	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, program, strlen(program)), 0);
	close(fd);
	snprintf(command, sizeof command, "exec %s %s 2>&1", PYTHON, path);
	status = output_of(command, &log);
	unlink(path);
	end.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	end.cause = end.signal ? END_SIGNAL : end.exit_code ? END_ERROR : END_OK;
	classify_text(rules, &end, log.buf, log.len, NULL, 0, &d);
	return d;
}

static bool have(const char *file)
{
	return access(file, X_OK) == 0;
}

/* ---- every rule, on what Python prints ---- */

#define LINES_MAX 512
static bool hit[LINES_MAX];

static void note_rule(const struct diagnosis *d)
{
	unsigned line;

	if (sscanf(d->rule, "builtin:%u", &line) == 1 && line < LINES_MAX)
		hit[line] = true;
}

static unsigned judge_records(char *text)
{
	unsigned count = 0;
	char *record;

	strsep(&text, "\x1e");
	while ((record = strsep(&text, "\x1e"))) {
		char class[32], next[16], name[128];
		char *body = strchr(record, '\n');
		struct diagnosis d;

		if (sscanf(record, " %31s %15s %127s", class, next, name) != 3 || !body)
			break;
		d = judge_job(END_ERROR, body + 1, strcmp(class, "no_internet") == 0);
		if (strcmp(error_class_words[d.class], class))
			fail_msg("%s: %s instead of %s, by %s\n%s", name,
				error_class_words[d.class], class, d.rule, body);
		if (d.next != (next[0] == 'p'          ? NEXT_PERSON
				      : next[0] == 'r' ? NEXT_RETRY
						       : NEXT_BACKEND))
			fail_msg("%s: next step by %s\n%s", name, d.rule, body);
		assert_true(d.exception[0] != 0);
		assert_true(next_step_text(d.class, d.next)[0] != 0);
		note_rule(&d);
		count++;
	}
	return count;
}

static void test_real_failures(void **state)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	char command[4200];
	const char *source = getenv("KEXEC_SOURCE");

	if (!have(PYTHON) || !source)
		skip();
	snprintf(command, sizeof command, PYTHON " '%s/tests/unit/failures.py'", source);
	assert_int_equal(output_of(command, &text), 0);
	assert_true(judge_records(text.buf) > 70);
}

/* The backend's own sentences have rules, but no exception. */
static void test_sentences(void **state)
{
	static const struct {
		const char *detail, *class;
		enum next_step next;
	} cases[] = {
		{"Maximum weekly GPU quota of 30.00 hours reached.", "quota", NEXT_BACKEND},
		{"Your notebook tried to use more time than is available", "time_limit",
			NEXT_PERSON},
		{"Your notebook was stopped because it exceeded the max allowed execution duration.",
			"time_limit", NEXT_PERSON},
		{"Your notebook tried to allocate more memory than is available. It has restarted.", "oom",
			NEXT_PERSON},
		{"Your notebook tried to use more disk space than is available.", "disk_full",
			NEXT_PERSON},
		{"DUE TO TIME LIMIT", "time_limit", NEXT_PERSON},
		{"Kaggle Error", "infra", NEXT_RETRY},
		{"Submission CSV Not Found", "code", NEXT_PERSON},
		{"403 - Forbidden - You must accept this competition's rules", "access", NEXT_PERSON},
		{"NoSuchKernel: no kernel named julia-1.9 is installed (installed: python3)",
			"kernelspec", NEXT_PERSON},
		{"Maximum batch GPU session count of 2 reached.", "quota", NEXT_BACKEND},
		{"slurm: NODE_FAIL", "infra", NEXT_RETRY},
		{"something nobody has seen", "unknown", NEXT_PERSON},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct job_status end = {.state = JOB_ENDED, .cause = END_ERROR, .exit_code = 1};
		struct diagnosis d;

		snprintf(end.detail, sizeof end.detail, "%s", cases[i].detail);
		classify_text(rules, &end, NULL, 0, NULL, 0, &d);
		assert_class(d, cases[i].class);
		assert_int_equal(d.next, cases[i].next);
		assert_string_equal(d.message, cases[i].detail);
		note_rule(&d);
	}
}

/* Comes after the two above: no built-in rule without a case that reaches it. */
static void test_every_rule_is_reached(void **state)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	char path[4200];
	const char *source = getenv("KEXEC_SOURCE");
	unsigned number = 0, missing = 0;

	if (!have(PYTHON) || !source || system(PYTHON " -c 'import pandas, sklearn' 2>/dev/null"))
		skip();
	snprintf(path, sizeof path, "%s/fs/engine/classify.rules", source);
	assert_int_equal(io_read(AT_FDCWD, path, 1 << 20, &text), 0);
	for (char *line, *rest = text.buf; (line = strsep(&rest, "\n"));) {
		number++;
		if (!*line || *line == '#' || (number < LINES_MAX && hit[number]))
			continue;
		print_error("no case reaches line %u: %.100s\n", number, line);
		missing++;
	}
	assert_int_equal(missing, 0);
}

/* ---- only the words ---- */

static void test_words_alone_prove_nothing(void **state)
{
	struct diagnosis d;

	if (!have(PYTHON))
		skip();
	d = run_python("print('MemoryError')\nraise ValueError('boom')\n");
	assert_class(d, "code");
	assert_string_equal(d.exception, "ValueError");
	assert_string_equal(d.rule, "end:exception");
	d = run_python("print('CUDA out of memory')\n");
	assert_class(d, "none");
	d = run_python(
		"print('MemoryError: x')\nprint('CUDA out of memory')\nimport sys; sys.exit(3)\n");
	assert_class(d, "unknown");
	d = run_python(
		"print('Traceback (most recent call last):')\nprint('MemoryError')\n{}['a']\n");
	assert_class(d, "code");
	assert_string_equal(d.exception, "KeyError");
	/* stdout of a pipe is flushed at exit, after the traceback: it is no part of the message */
	d = run_python(
		"print('CUDA out of memory. No module named torch')\nraise RuntimeError('boom')\n");
	assert_class(d, "code");
	/* a failure that was handled and printed, then another one */
	d = run_python("import traceback\ntry:\n  bytearray(1 << 62)\nexcept MemoryError:\n  "
		       "traceback.print_exc()\n"
		       "raise ValueError('later')\n");
	assert_class(d, "code");
	d = judge(END_ERROR, "Killed\n");
	assert_class(d, "unknown");
	d = judge(END_CANCELLED,
		"Traceback (most recent call last):\n  File \"a\", line 1\nMemoryError\n");
	assert_class(d, "none");
}

/* ---- where and what ---- */

static void test_place_and_message(void **state)
{
	struct diagnosis d;

	if (!have(PYTHON))
		skip();
	d = run_python("def f():\n\tint('x')\n\nf()\n");
	assert_string_equal(d.exception, "ValueError");
	assert_string_equal(d.message, "invalid literal for int() with base 10: 'x'");
	assert_non_null(strstr(d.where, "kexec-classify-"));
	assert_string_equal(strrchr(d.where, ':'), ":2");
	/* the program's own line, not the library's */
	d = run_python("import json\n\njson.loads('{')\n");
	assert_string_equal(d.exception, "json.decoder.JSONDecodeError");
	assert_string_equal(strrchr(d.where, ':'), ":3");
	/* the main file does not parse: Python prints no header */
	d = run_python("x = 1\ndef f(:\n");
	assert_string_equal(d.exception, "SyntaxError");
	assert_string_equal(strrchr(d.where, ':'), ":2");
	assert_class(d, "code");
	d = run_python("raise ValueError('first\\nsecond\\nthird')\n");
	assert_string_equal(d.message, "first second third");
	d = run_python("raise ValueError('x' * 100000)\n");
	assert_int_equal(strlen(d.message), sizeof d.message - 1);
	d = run_python("raise SystemExit(3)\n");
	assert_class(d, "unknown");
}

static void test_aside(void **state)
{
	struct diagnosis d;

	if (!have(PYTHON))
		skip();
	d = run_python("class A:\n  def __del__(self):\n    import no_such_module\na = A()\nraise "
		       "ValueError('main')\n");
	assert_string_equal(d.exception, "ValueError");
	d = run_python("import threading\ndef f(): raise MemoryError\nt = "
		       "threading.Thread(target=f)\nt.start()\nt.join()\n"
		       "{}['x']\n");
	assert_string_equal(d.exception, "KeyError");
	/* nothing else is known: the thread's counts */
	d = run_python("import threading, sys\ndef f(): raise MemoryError\nt = "
		       "threading.Thread(target=f)\nt.start()\nt.join()\n"
		       "sys.exit(1)\n");
	assert_string_equal(d.exception, "MemoryError");
	d = run_python("raise ExceptionGroup('several', [MemoryError(), ValueError('last')])\n");
	assert_int_not_equal(d.class, ERROR_UNKNOWN);
}

static void test_prefixed_and_progress(void **state)
{
	struct diagnosis d =
		judge(END_ERROR, "[rank0]: Traceback (most recent call last):\n"
				 "[rank0]:   File \"/w/train.py\", line 7, in <module>\n"
				 "[rank0]:     main()\n"
				 "[rank0]: torch.OutOfMemoryError: CUDA out of memory.\n");
	assert_class(d, "oom");
	assert_string_equal(d.where, "/w/train.py:7");
	d = judge(END_ERROR,
		" 50%|#####     |\r 60%|######    |\rTraceback (most recent call last):\n"
		"  File \"a.py\", line 1, in <module>\nModuleNotFoundError: No module named 'x'\n");
	assert_class(d, "missing_dep");
	d = judge(END_ERROR, "/usr/bin/python3: No module named lightgbm\n");
	assert_class(d, "missing_dep");
	assert_string_equal(d.message, "No module named lightgbm");
}

/* ---- how it ended ---- */

static struct diagnosis judge_signal(int sig, const char *text)
{
	struct job_status end = {
		.state = JOB_ENDED, .cause = END_SIGNAL, .signal = sig, .exit_code = -1};
	struct diagnosis d;

	classify_text(rules, &end, text, strlen(text), NULL, 0, &d);
	return d;
}

static void test_ends(void **state)
{
	static const char handled[] =
		"Traceback (most recent call last):\n  File \"a.py\", line 3, in f\nKeyError: 1\n";
	struct job_status lost = {.state = JOB_LOST};
	struct diagnosis d;

	d = judge(END_MEMORY, handled);
	assert_class(d, "oom");
	assert_string_equal(d.rule, "end:memory");
	assert_string_equal(d.where, "a.py:3");
	d = judge(END_TIME_LIMIT, handled);
	assert_class(d, "time_limit");
	d = judge(END_DISK, "");
	assert_class(d, "disk_full");
	d = judge(END_SETUP, "");
	assert_class(d, "infra");
	d = judge(END_SETUP, "Traceback (most recent call last):\n  File \"d.py\", line 3, in f\n"
			     "ModuleNotFoundError: No module named 'ipykernel'\n");
	assert_class(d, "missing_dep");
	classify_text(rules, &lost, handled, strlen(handled), NULL, 0, &d);
	assert_class(d, "infra");
	assert_int_equal(d.next, NEXT_RETRY);
	d = judge_signal(SIGKILL, handled);
	assert_class(d, "infra");
	d = judge_signal(SIGKILL, "epoch 1\nKilled\n");
	assert_class(d, "oom");
	d = judge_signal(
		SIGABRT, "terminate called after throwing an instance of 'std::bad_alloc'\n");
	assert_class(d, "oom");
	d = judge_signal(SIGSEGV, "");
	assert_class(d, "code");
	d = judge(END_ERROR, "training\nDeadKernelError: Kernel died\n");
	assert_class(d, "kernel_died");
	assert_int_equal(d.next, NEXT_PERSON);
	d = judge(END_ERROR, "terminate called after throwing an instance of "
			     "'std::bad_alloc'\nDeadKernelError: Kernel died\n");
	assert_class(d, "oom");
	d = judge(END_ERROR, "last words\n\n");
	assert_class(d, "unknown");
	assert_string_equal(d.message, "last words");
}

/* ---- notebooks ---- */

static const char notebook_format[] =
	"{\"nbformat\":4,\"nbformat_minor\":5,\"metadata\":{},\"cells\":["
	"{\"cell_type\":\"markdown\",\"id\":\"a\",\"metadata\":{},\"source\":\"# hi\"},"
	"{\"cell_type\":\"code\",\"id\":\"b\",\"metadata\":{},\"execution_count\":1,\"source\":"
	"\"x\",\"outputs\":["
	"{\"output_type\":\"error\",\"ename\":\"%s\",\"evalue\":\"%s\",\"traceback\":[%s]}]}]}";

static struct diagnosis judge_notebook(
	const char *ename, const char *evalue, const char *traceback, const char *log)
{
	AUTO_BUF struct strbuf nb = STRBUF_INIT;
	struct job_status end = {.state = JOB_ENDED, .cause = END_ERROR, .exit_code = 1};
	struct diagnosis d;

	strbuf_addf(&nb, notebook_format, ename, evalue, traceback);
	classify_text(rules, &end, log, strlen(log), nb.buf, nb.len, &d);
	return d;
}

static void test_notebook(void **state)
{
	struct diagnosis d = judge_notebook("ModuleNotFoundError", "No module named 'lightgbm'",
		"\"\\u001b[0;31m-----\\u001b[0m\","
		"\"\\u001b[0;31mModuleNotFoundError\\u001b[0m   Traceback (most recent call "
		"last)\","
		"\"Cell \\u001b[0;32mIn [1], line 2\\u001b[0m\\n\\u001b[0;32m----> 2\\u001b[0m "
		"import lightgbm\\n\","
		"\"\\u001b[0;31mModuleNotFoundError\\u001b[0m: No module named 'lightgbm'\"",
		"MemoryError\n");
	assert_class(d, "missing_dep");
	assert_string_equal(d.exception, "ModuleNotFoundError");
	assert_string_equal(d.message, "No module named 'lightgbm'");
	assert_string_equal(d.where, "cell 2, line 2");
	/* no traceback was kept: the record is enough */
	d = judge_notebook("MemoryError", "", "", "");
	assert_class(d, "oom");
	assert_string_equal(d.where, "cell 2");
	d = judge_notebook("\\u001b[31mEvil\\u0007", "a\\nb\\u001b]0;title\\u0007", "\"x\"", "");
	assert_class(d, "code");
	assert_null(strchr(d.exception, '\033'));
	assert_null(strchr(d.message, '\n'));
	assert_null(strchr(d.message, '\033'));
}

/* A real kernel, where there is one. */
static void test_real_notebook(void **state)
{
	static const char program[] =
		PYTHON " -W ignore - 2>/dev/null <<'END'\n"
		       "import nbformat, nbclient, sys\n"
		       "v4 = nbformat.v4\n"
		       "nb = v4.new_notebook(cells=[v4.new_markdown_cell('# hi'),\n"
		       "  v4.new_code_cell('def f():\\n    try:\\n        import no_such_module\\n "
		       "   except ImportError as e:\\n"
		       "        raise RuntimeError(\"wrapped\") from e'),\n"
		       "  v4.new_code_cell('x = 1\\n\\nf()')])\n"
		       "try:\n    nbclient.NotebookClient(nb, kernel_name='python3', "
		       "timeout=60).execute()\n"
		       "except nbclient.exceptions.CellExecutionError as problem:\n    log = "
		       "str(problem)\n"
		       "print(log)\nprint('\\x1e')\nprint(nbformat.writes(nb))\n"
		       "END";
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct job_status end = {.state = JOB_ENDED, .cause = END_ERROR, .exit_code = 1};
	struct diagnosis d;
	char *notebook;

	if (!have(PYTHON) || system(PYTHON " -c 'import nbclient, ipykernel' 2>/dev/null"))
		skip();
	assert_int_equal(output_of(program, &out), 0);
	notebook = strchr(out.buf, '\x1e');
	assert_non_null(notebook);
	*notebook++ = 0;
	classify_text(rules, &end, out.buf, strlen(out.buf), NULL, 0, &d);
	assert_class(d, "missing_dep");
	assert_string_equal(d.where, "In [1], line 3");
	classify_text(rules, &end, out.buf, strlen(out.buf), notebook, strlen(notebook), &d);
	assert_class(d, "missing_dep");
	assert_string_equal(d.exception, "ModuleNotFoundError");
	assert_string_equal(d.where, "cell 3, line 3");
}

/* ---- rules of the user ---- */

struct folder {
	char path[40];
};

static struct folder user_rules(const char *text)
{
	struct folder f = {"/tmp/kexec-rules-XXXXXX"};

	assert_non_null(mkdtemp(f.path));
	AUTO_FD int dir = open(f.path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	assert_int_equal(io_write_atomic(dir, "classify.rules", text, strlen(text), 0600), 0);
	return f;
}

static int open_user(const char *text, struct classifier **out, struct why *why)
{
	struct folder f = user_rules(text);
	int r = classifier_open(f.path, out, why);

	assert_int_equal(io_remove_tree(AT_FDCWD, f.path), 0);
	return r;
}

static void test_user_rules(void **state)
{
	struct classifier *c;
	struct job_status end = {.state = JOB_ENDED, .cause = END_ERROR, .exit_code = 1};
	struct diagnosis d;
	static const char text[] =
		"Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n"
		"mylib.errors.Busy: try again\n";

	assert_int_equal(open_user("# mine\n\ninfra\tBusy\ttry\tretry\n", &c, NULL), 0);
	classify_text(c, &end, text, strlen(text), NULL, 0, &d);
	assert_string_equal(d.rule, "user:3");
	assert_class(d, "infra");
	assert_int_equal(d.next, NEXT_RETRY);
	classifier_close(c);
	assert_int_equal(
		open_user("quota\tmylib[.]errors[.]Busy\t\tbackend\ta[.]py\n", &c, NULL), 0);
	classify_text(c, &end, text, strlen(text), NULL, 0, &d);
	assert_class(d, "quota");
	classifier_close(c);
	/* absent folder and file */
	assert_int_equal(classifier_open("/nonexistent/kexec", &c, NULL), 0);
	classifier_close(c);
}

static void test_bad_user_rules(void **state)
{
	static const struct {
		const char *text, *line;
	} cases[] = {
		{"oom\tX\ty\n", "line 1"},
		{"\n\nnonsense\tX\ty\tretry\n", "line 3"},
		{"none\tX\ty\tretry\n", "line 1"},
		{"oom\tX\ty\tlater\n", "line 1"},
		{"oom\t(X\ty\tretry\n", "line 1"},
		{"oom\tX\t(a)\\1\tretry\n", "line 1"},
		{"oom\tX\t((a{1,255}){1,255}){1,255}\tretry\n", "line 1"},
		{"oom\tX\ta{99999999999999999999}\tretry\n", "line 1"},
		{"oom\tX\ty\tretry\tz\tmore\n", "line 1"},
		{"oom\tX\ty\tretry\t[\n", "line 1"},
	};
	AUTO_BUF struct strbuf many = STRBUF_INIT;
	struct classifier *c;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct why why = {0};
		assert_int_equal(open_user(cases[i].text, &c, &why), -EINVAL);
		assert_null(c);
		if (!strstr(why_text(&why), cases[i].line))
			fail_msg("%zu: %s", i, why_text(&why));
	}
	for (int i = 0; i < 201; i++)
		strbuf_adds(&many, "oom\tX\ty\tretry\n");
	assert_int_equal(open_user(many.buf, &c, NULL), -EINVAL);
	strbuf_reset(&many);
	strbuf_adds(&many, "oom\tX\t");
	for (int i = 0; i < 1100; i++)
		strbuf_addch(&many, 'y');
	strbuf_adds(&many, "\tretry\n");
	assert_int_equal(open_user(many.buf, &c, NULL), -EINVAL);
}

/* ---- hostile bytes ---- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void repeat(struct strbuf *out, const char *s, size_t bytes)
{
	while (out->len < bytes)
		strbuf_adds(out, s);
}

static void test_hostile(void **state)
{
	static const char *const pieces[] = {
		"Traceback (most recent call last):\n",
		"Traceback (most recent call last)",
		"Traceback (most recent call last):\n  File \"a\", line 99999999999999999999, in "
		"b\nX: y\n\n"
		"During handling of the above exception, another exception occurred:\n\n",
		"  File \"a\", line 1, in b\n",
		"E   Traceback (most recent call last)\nCell In[1], line 1\n\nE: x\n\nThe above "
		"exception was the direct "
		"cause of the following exception:\n\n",
		"\x1b[31m\xff\xfe\r\n\"\"\"\n",
		"a.a.a.a.a.a.a.a: ",
		"\xf0\x9f\x98\x80",
	};
	double start = seconds();

	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		AUTO_BUF struct strbuf text = STRBUF_INIT;
		struct diagnosis d;

		repeat(&text, pieces[i], 300000);
		d = judge(END_ERROR, text.buf);
		assert_true(memchr(d.message, 0, sizeof d.message) != NULL);
		assert_int_not_equal(d.class, ERROR_NONE);
		strbuf_adds(&text, "\nTraceback (most recent call last):\n  File \"z.py\", line 5, "
				   "in <module>\nKeyError: 'end'\n");
		d = judge(END_ERROR, text.buf);
		assert_string_equal(d.exception, "KeyError");
	}
	assert_true(seconds() - start < 20);
}

/* The tail may begin and end anywhere. */
static void test_cut_anywhere(void **state)
{
	static const char text[] =
		"noise\nTraceback (most recent call last):\n  File \"a.py\", line 3, in f\n    "
		"g()\n"
		"MemoryError: big\n\nThe above exception was the direct cause of the following "
		"exception:\n\n"
		"Traceback (most recent call last):\n  File \"a.py\", line 9, in <module>\n"
		"    raise RuntimeError(1) from e\nRuntimeError: 1\n";

	for (size_t from = 0; from < sizeof text; from++) {
		for (size_t to = from; to < sizeof text; to += 7) {
			AUTO_FREE char *copy = malloc(to - from + 1);
			struct job_status end = {
				.state = JOB_ENDED, .cause = END_ERROR, .exit_code = 1};
			struct diagnosis d;

			memcpy(copy, text + from, to - from);
			classify_text(rules, &end, copy, to - from, NULL, 0, &d);
			assert_true(d.class == ERROR_OOM || d.class == ERROR_CODE ||
				    d.class == ERROR_UNKNOWN);
		}
	}
}

static void test_frames_kept(void **state)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct traceback tb;

	strbuf_adds(&text, "Traceback (most recent call last):\n");
	for (int i = 1; i <= 1000; i++)
		strbuf_addf(
			&text, "  File \"f%d.py\", line %d, in f\n    call()\n    ^^^^^^\n", i, i);
	strbuf_adds(&text, "RecursionError: deep\n");
	assert_int_equal(traceback_find(text.buf, text.len, &tb), 0);
	assert_int_equal(tb.count, 1);
	assert_int_equal(tb.links[0].seen, 1000);
	assert_int_equal(tb_frames(&tb.links[0]), TB_FRAMES);
	for (size_t i = 0; i < TB_FRAMES; i++)
		assert_int_equal(tb_frame(&tb.links[0], i)->line,
			i < TB_FIRSTS ? i + 1 : 1000 - TB_FRAMES + i + 1);
	assert_null(tb_frame(&tb.links[0], TB_FRAMES));
	traceback_release(&tb);
	assert_int_equal(traceback_find("", 0, &tb), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_failures),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_every_rule_is_reached),
		cmocka_unit_test(test_words_alone_prove_nothing),
		cmocka_unit_test(test_place_and_message),
		cmocka_unit_test(test_aside),
		cmocka_unit_test(test_prefixed_and_progress),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_notebook),
		cmocka_unit_test(test_real_notebook),
		cmocka_unit_test(test_user_rules),
		cmocka_unit_test(test_bad_user_rules),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_frames_kept),
	};
	return cmocka_run_group_tests(tests, open_rules, close_rules);
}
