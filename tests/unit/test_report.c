/* report.md and `changes`, over a store that is a few variables of this file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/engine/report.h"
#include "fs/engine/textdiff.h"

/* ---- the store ---- */

struct engine {
	char path[40];
	int dirfd;
	char *events;
	struct attempt attempts[4];
	int attempt_count;
};

int engine_events(struct engine *e, int64_t run, struct strbuf *out)
{
	return strbuf_adds(out, e->events);
}

/* As in a store written by an older version: the wall clock times are all there is. */
int engine_event_stamps(struct engine *e, int64_t run, struct stamp *out, int max)
{
	return 0;
}

int engine_attempt_count(struct engine *e, int64_t run)
{
	return e->attempt_count;
}

int engine_attempt(struct engine *e, int64_t run, int n, struct attempt *out)
{
	if (n < 1 || n > e->attempt_count)
		return -ENOENT;
	*out = e->attempts[n - 1];
	out->detail = strdup(out->detail ? out->detail : "");
	return out->detail ? 0 : -ENOMEM;
}

void attempt_release(struct attempt *a)
{
	free(a->detail);
	a->detail = NULL;
}

const char *engine_source_path(char *buf, int64_t run)
{
	snprintf(buf, ENGINE_PATH_MAX, "runs/%lld/source", (long long)run);
	return buf;
}

const char *engine_attempt_path(char *buf, int64_t run, int n, const char *name)
{
	snprintf(buf, ENGINE_PATH_MAX, "runs/%lld/attempts/%d%s%s", (long long)run, n,
		name ? "/" : "", name ? name : "");
	return buf;
}

int engine_state_dirfd(struct engine *e)
{
	return e->dirfd;
}

const struct config *engine_config(struct engine *e)
{
	return NULL;
}

/* ---- fixtures ---- */

static int setup(void **state)
{
	struct engine *e = calloc(1, sizeof *e);

	setenv("TZ", "UTC", 1);
	strcpy(e->path, "/tmp/kexec-report-XXXXXX");
	assert_non_null(mkdtemp(e->path));
	e->dirfd = open(e->path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	e->events = strdup("");
	*state = e;
	return e->dirfd < 0;
}

static int teardown(void **state)
{
	struct engine *e = *state;

	io_remove_tree(AT_FDCWD, e->path);
	close(e->dirfd);
	free(e->events);
	free(e);
	return 0;
}

static void write_bytes(struct engine *e, const char *name, const void *data, size_t len)
{
	char path[4096], *slash;

	snprintf(path, sizeof path, "%s/%s", e->path, name);
	slash = strrchr(path, '/');
	*slash = 0;
	assert_int_equal(io_mkdir_path(path, 0700), 0);
	*slash = '/';
	AUTO_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(io_write_all(fd, data, len), 0);
}

static void write_text(struct engine *e, const char *name, const char *text)
{
	write_bytes(e, name, text, strlen(text));
}

#define T0 INT64_C(1795183200000000000) /* 2026-11-20 14:00:00 UTC */

static struct stamp at(int64_t seconds)
{
	struct stamp s = {.wall_ns = T0 + seconds * NS_PER_S, .boot_ns = seconds * NS_PER_S + 1};

	strcpy(s.boot_id, "boot");
	return s;
}

static char empty[] = "";

static struct run ended(enum run_state state)
{
	struct run r = {.id = 1,
		.state = state,
		.kind = KIND_NOTEBOOK,
		.progress = -1,
		.eta_ns = -1,
		.detail = empty,
		.error_context = empty,
		.next_step = empty,
		.refusal = empty,
		.metric_value = NAN};

	strcpy(r.name, "vix-1");
	strcpy(r.folder, "vix");
	strcpy(r.backend, "local");
	r.submitted = at(0);
	r.started = at(120);
	r.ended = at(600);
	return r;
}

static void set_events(struct engine *e, const char *text)
{
	free(e->events);
	e->events = strdup(text);
}

static void set_attempt(
	struct engine *e, int n, const char *state, int from, int to, const char *detail)
{
	struct attempt *a = &e->attempts[n - 1];

	*a = (struct attempt){.run = 1,
		.n = n,
		.detail = (char *)(uintptr_t)detail,
		.started = at(from),
		.ended = at(to)};
	strcpy(a->backend, "local");
	snprintf(a->state, sizeof a->state, "%s", state);
	e->attempt_count = n;
}

static char *render(struct engine *e, const struct run *r)
{
	struct strbuf out = STRBUF_INIT;

	assert_int_equal(report_render(e, r, NULL, &out), 0);
	assert_true(utf8_valid(out.buf, out.len));
	return strbuf_detach(&out, NULL);
}

/* cmocka cuts long messages: the text goes out before. */
static void assert_has(const char *text, const char *word)
{
	if (strstr(text, word))
		return;
	fputs(text, stderr);
	fail_msg("\"%s\" is not there", word);
}

static void assert_lacks(const char *text, const char *word)
{
	if (!strstr(text, word))
		return;
	fputs(text, stderr);
	fail_msg("\"%s\" is there", word);
}

/* ---- report ---- */

static const char traceback[] =
	"Traceback (most recent call last):\n  File \"/w/train.py\", line 3, in <module>\n"
	"    import lightgbm\nModuleNotFoundError: No module named 'lightgbm'\n";

static void test_complete_after_a_retry(void **state)
{
	struct engine *e = *state;
	struct run r = ended(RUN_COMPLETE);
	AUTO_FREE char *again = NULL;

	set_events(e, "{\"time\":\"2026-11-20T14:00:00Z\",\"run\":\"vix-1\",\"from\":\"draft\","
		      "\"to\":\"queued\",\"attempt\":0,"
		      "\"reason\":\"submitted\"}\n"
		      "{\"time\":\"2026-11-20T14:02:00Z\",\"from\":\"queued\",\"to\":\"running\","
		      "\"attempt\":1,\"reason\":\"\"}\n"
		      "not json\n{}\n"
		      "{\"time\":\"2026-11-20T14:10:00Z\",\"from\":\"running\",\"to\":\"complete\","
		      "\"attempt\":2,\"reason\":\"\"}\n");
	set_attempt(e, 1, "failed", 0, 60, "exit status 1");
	set_attempt(e, 2, "complete", 120, 600, "");
	write_text(e, "runs/1/attempts/1/log", traceback);
	write_text(e, "runs/1/attempts/2/metrics.csv",
		"step,name,value\n1,auc,0.5\n2,auc,0.75\n3,auc,0.625\n");
	write_text(e, "runs/1/attempts/2/output/submission.csv", "id,y\n");
	write_text(e, "runs/1/attempts/2/output/plots/a.png", "png");
	r.attempt = 2;
	r.metric_name = (char *)(uintptr_t) "auc";
	r.metric_value = 0.75;
	AUTO_FREE char *text = render(e, &r);
	assert_has(text, "# vix-1\n");
	assert_has(text, "- State: complete");
	assert_has(text, "- Metric: auc = 0.75");
	assert_has(text, "| 2026-11-20 14:00:00 | queued | 00:02:00 | - | submitted |");
	assert_has(text, "| running | 00:08:00 | 1 |");
	assert_has(text, "| complete | - | 2 |");
	assert_has(text, "| 1 | local | failed |");
	assert_has(text, "- Class: `missing_dep`");
	assert_has(text, "- Where: /w/train.py:3");
	assert_has(text, "- What was done: tried again as attempt 2, after 00:01:00");
	assert_has(text, "| auc | 3 | 0.625 | 0.5 | 0.75 |");
	assert_has(text, "- submission.csv (5 B)");
	assert_has(text, "- plots/a.png (3 B)");
	assert_has(text, "%pip install lightgbm");
	assert_has(text, "keep `retry`");
	again = render(e, &r);
	assert_string_equal(text, again);
}

static void test_failed(void **state)
{
	struct engine *e = *state;
	struct run r = ended(RUN_FAILED);

	set_attempt(e, 1, "failed", 120, 600, "");
	write_text(e, "runs/1/attempts/1/log", "working\n");
	write_text(e, "runs/1/attempts/1/end.json",
		"{\"cause\":\"memory\",\"exit_code\":-1,\"signal\":9,\"max_rss_bytes\":2147483648,"
		"\"detail\":\"over 2 GB\"}");
	r.attempt = 1;
	strcpy(r.error_class, "oom");
	r.error_context = (char *)(uintptr_t) "the memory limit was passed";
	r.next_step = (char *)(uintptr_t) "Back to a person.";
	r.options = (char *)(uintptr_t) "{\"memory_gb\":2,\"hours\":1}";
	AUTO_FREE char *text = render(e, &r);
	assert_has(text, "- Class: `oom`");
	assert_has(text, "- How the process ended: over 2 GB");
	assert_has(text, "- What happens next: Back to a person.");
	assert_has(text, "`memory_gb` in kexec.json was 2");
	assert_has(text, "2.0 GiB");
	assert_has(text, "None was reported.");
}

static void test_never_started(void **state)
{
	struct run r = ended(RUN_FAILED);

	strcpy(r.error_class, "time_limit");
	r.error_context = (char *)(uintptr_t) "the deadline passed";
	r.started = r.ended = (struct stamp){0};
	AUTO_FREE char *text = render(*state, &r);
	assert_has(text, "It was never started.");
	assert_has(text, "- Message: the deadline passed");
	assert_has(text, "No state change was recorded.");
}

/* A job can name and print what it likes. */
static void test_hostile_report(void **state)
{
	struct engine *e = *state;
	struct run r = ended(RUN_FAILED);
	char name[64];

	strcpy(r.name, "x](javascript:alert(1))|\n## Evil\x1b[31m<img src=x>");
	strcpy(r.folder, "\xff\xfe");
	set_attempt(e, 1, "failed", 0, 1, "a | b\n# c");
	r.attempt = 1;
	strcpy(r.error_class, "code");
	write_text(e, "runs/1/attempts/1/log",
		"Traceback (most recent call last):\n  File \"<b>.py\", line 1, in x\nValueError: "
		"<script>`|[a](b)\x1b]0;t\x07\n");
	write_text(e, "runs/1/attempts/1/metrics.csv", "1,a|b,1\n1,<b>,2\n\"\n");
	write_text(e, "runs/1/attempts/1/end.json", "{\"cause\":7,\"detail\":[]}");
	write_text(e, "runs/1/attempts/1/output/\n# x|<i>", "");
	for (int i = 0; i < 250; i++) {
		snprintf(name, sizeof name, "runs/1/attempts/1/output/f%03d", i);
		write_text(e, name, "");
	}
	AUTO_FREE char *text = render(e, &r);
	assert_lacks(text, "\n## Evil");
	assert_lacks(text, "\n# c");
	assert_null(strchr(text, '\033'));
	for (const char *p = text; (p = strpbrk(p, "<")); p++)
		assert_true(p > text && p[-1] == '\\');
	assert_has(text, "251 files");
	assert_has(text, "and 51 more");
}

/* Neither a FIFO nor a link in the attempt's folder is read. */
static void test_traps(void **state)
{
	struct engine *e = *state;
	struct run r = ended(RUN_FAILED);

	set_attempt(e, 1, "failed", 0, 1, "");
	r.attempt = 1;
	r.options = (char *)(uintptr_t) "{\"main\":\"nb.ipynb\"}";
	write_text(e, "secret",
		"Traceback (most recent call last):\n  File \"a\", line 1, in b\nKeyError: "
		"'secret'\n");
	write_text(e, "runs/1/attempts/1/output/x", "");
	assert_int_equal(mkfifoat(e->dirfd, "runs/1/attempts/1/metrics.csv", 0600), 0);
	assert_int_equal(mkfifoat(e->dirfd, "runs/1/attempts/1/output/nb.ipynb", 0600), 0);
	assert_int_equal(symlinkat("../../../secret", e->dirfd, "runs/1/attempts/1/log"), 0);
	AUTO_FREE char *text = render(e, &r);
	assert_lacks(text, "secret");
}

static void test_lessons(void **state)
{
	struct engine *e = *state;
	struct run r = ended(RUN_COMPLETE);

	set_events(e, "{\"time\":\"2026-11-20T14:00:00Z\",\"to\":\"queued\"}\n"
		      "{\"time\":\"2026-11-20T15:00:00Z\",\"to\":\"running\"}\n"
		      "{\"time\":\"2026-11-20T15:08:00Z\",\"to\":\"complete\"}\n");
	set_attempt(e, 1, "complete", 120, 600, "");
	r.attempt = 1;
	r.options = (char *)(uintptr_t) "{\"hours\":10}";
	AUTO_FREE char *text = render(e, &r);
	assert_has(text, "It used 1 % of its `hours`");
	assert_has(text, "It waited longer than it ran: 01:00:00.");
	r.options = (char *)(uintptr_t) "{";
	set_events(e, "");
	AUTO_FREE char *quiet = render(e, &r);
	assert_has(quiet, "Nothing to change.");
}

/* ---- line differences ---- */

static char *diff(const char *a, const char *b)
{
	struct strbuf out = STRBUF_INIT;
	struct textdiff counts;

	assert_int_equal(textdiff(a, strlen(a), b, strlen(b), 64 << 10, &out, &counts), 0);
	return strbuf_detach(&out, NULL);
}

static void test_diff(void **state)
{
	AUTO_FREE char *same = diff("a\nb\n", "a\r\nb");
	AUTO_FREE char *all = diff("", "a\nb\n");
	AUTO_FREE char *one = diff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n");
	AUTO_FREE char *two =
		diff("a\n1\n2\n3\n4\n5\n6\n7\n8\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\n8\nB\n");
	AUTO_FREE char *text = diff("x\x1b[31m\ty\n", "x\n");

	assert_string_equal(same ? same : "", "");
	assert_string_equal(all, "@@ -0,0 +1,2 @@\n+a\n+b\n");
	assert_string_equal(one, "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
	assert_string_equal(
		two, "@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -7,4 +7,4 @@\n 6\n 7\n 8\n-b\n+B\n");
	assert_string_equal(text, "@@ -1,1 +1,1 @@\n-x\ty\n+x\n");
}

/* Whatever is printed, applying it to the old text gives the new one. */
static void apply(const char *a, const char *hunks, struct strbuf *out)
{
	size_t line = 0;

	while (*hunks) {
		unsigned long from, len;
		const char *next = strchr(hunks, '\n');

		assert_non_null(next);
		if (sscanf(hunks, "@@ -%lu,%lu", &from, &len) == 2) {
			for (; line + (len > 0) < from; line++) {
				const char *nl = strchr(a, '\n');
				strbuf_add(out, a, (size_t)(nl + 1 - a));
				a = nl + 1;
			}
		} else {
			if (*hunks != '-')
				strbuf_add(out, hunks + 1, (size_t)(next - hunks));
			if (*hunks != '+') {
				assert_memory_equal(a, hunks + 1, (size_t)(next - hunks));
				a = strchr(a, '\n') + 1;
				line++;
			}
		}
		hunks = next + 1;
	}
	strbuf_adds(out, a);
}

static void test_diff_applies(void **state)
{
	uint32_t seed = 12345;

	for (int round = 0; round < 2000; round++) {
		struct strbuf a = STRBUF_INIT, b = STRBUF_INIT, made = STRBUF_INIT;

		for (int i = 0; i < 30; i++) {
			seed = seed * 1664525 + 1013904223;
			if (seed >> 30)
				strbuf_addf(&a, "%c\n", 'a' + (int)(seed >> 16) % 4);
			seed = seed * 1664525 + 1013904223;
			if (seed >> 30)
				strbuf_addf(&b, "%c\n", 'a' + (int)(seed >> 16) % 4);
		}
		AUTO_FREE char *hunks = diff(a.buf, b.buf);
		apply(a.buf, hunks ? hunks : "", &made);
		assert_string_equal(made.buf, b.buf);
		strbuf_release(&a);
		strbuf_release(&b);
		strbuf_release(&made);
	}
}

/* ---- changes ---- */

static struct run previous_run(void)
{
	struct run r = ended(RUN_COMPLETE);

	r.id = 2;
	strcpy(r.name, "vix-0");
	return r;
}

static char *changes(struct engine *e, const struct run *r, const struct run *previous)
{
	struct strbuf out = STRBUF_INIT;

	assert_int_equal(changes_render(e, r, previous, &out), 0);
	assert_true(utf8_valid(out.buf, out.len));
	return strbuf_detach(&out, NULL);
}

static void test_changes(void **state)
{
	struct engine *e = *state;
	struct run r = ended(RUN_QUEUED), previous = previous_run();

	write_text(e, "runs/1/source/train.py", "import os\nlr = 0.2\n");
	write_text(e, "runs/2/source/train.py", "import os\nlr = 0.1\n");
	write_text(e, "runs/1/source/lib/new.py", "x\n");
	write_text(e, "runs/2/source/old.py", "x\n");
	write_text(e, "runs/1/source/same.py", "x\n");
	write_text(e, "runs/2/source/same.py", "x\n");
	write_bytes(e, "runs/1/source/w.bin", "\0\1", 2);
	write_bytes(e, "runs/2/source/w.bin", "\0\2", 2);
	r.options = (char *)(uintptr_t) "{\"hours\":2,\"env\":{\"SEED\":\"2\",\"A\":\"1\"},\"gpu\":"
					"\"T4\"}";
	previous.options = (char *)(uintptr_t) "{\"hours\":1,\"env\":{\"SEED\":\"1\",\"A\":\"1\"},"
					       "\"priority\":5}";
	previous.metric_name = r.metric_name = (char *)(uintptr_t) "auc";
	previous.metric_value = 0.5;
	AUTO_FREE char *text = changes(e, &r, &previous);
	assert_has(text, "Compared with run vix-0 (complete)\n");
	assert_has(text, "  hours: 1 -> 2\n");
	assert_has(text, "  env.SEED: \"1\" -> \"2\"\n");
	assert_has(text, "  gpu: - -> \"T4\"\n");
	assert_has(text, "  priority: 5 -> -\n");
	assert_lacks(text, "env.A");
	assert_has(text, "  added    lib/new.py (2 bytes)\n");
	assert_has(text, "  removed  old.py (2 bytes)\n");
	assert_has(text, "  changed  train.py (+1 -1)\n");
	assert_has(text, "  changed  w.bin (2 bytes, before 2)\n");
	assert_lacks(text, "same.py");
	assert_has(text, "--- a/train.py\n+++ b/train.py\n@@ -1,2 +1,2 @@\n import os\n-lr = "
			 "0.1\n+lr = 0.2\n");
	assert_has(text, "  auc: 0.5 -> -\n");
}

static void test_no_changes(void **state)
{
	struct engine *e = *state;
	struct run r = ended(RUN_QUEUED), previous = previous_run();

	AUTO_FREE char *first = changes(e, &r, NULL);
	assert_string_equal(first, "first run of this name\n");
	write_text(e, "runs/1/source/a.py", "x\n");
	write_text(e, "runs/2/source/a.py", "x\n");
	AUTO_FREE char *text = changes(e, &r, &previous);
	assert_has(text, "Source and options are the same.");
	/* the previous source was removed for good */
	previous.id = 77;
	AUTO_FREE char *gone = changes(e, &r, &previous);
	assert_has(gone, "  added    a.py");
}

#define NOTEBOOK(source, output)                                                                   \
	"{\"nbformat\":4,\"nbformat_minor\":5,\"metadata\":{},\"cells\":[{\"cell_type\":\"code\"," \
	"\"id\":\"a\",\"metadata\":{},"                                                            \
	"\"execution_count\":1,\"source\":[" source                                                \
	"],\"outputs\":[{\"output_type\":\"stream\",\"name\":\"stdout\",\"text\":\"" output        \
	"\"}]}]}"

static void test_notebooks(void **state)
{
	struct engine *e = *state;
	struct run r = ended(RUN_QUEUED), previous = previous_run();

	write_text(e, "runs/1/source/a.ipynb", NOTEBOOK("\"x = 1\\n\", \"y = 3\"", "new"));
	write_text(e, "runs/2/source/a.ipynb", NOTEBOOK("\"x = 1\\n\", \"y = 2\"", "old"));
	write_text(e, "runs/1/source/b.ipynb", NOTEBOOK("\"x\"", "new"));
	write_text(e, "runs/2/source/b.ipynb", NOTEBOOK("\"x\"", "old"));
	write_text(e, "runs/1/source/c.ipynb", "{broken\n");
	write_text(e, "runs/2/source/c.ipynb", "{Broken\n");
	AUTO_FREE char *text = changes(e, &r, &previous);
	assert_has(text, "  changed  a.ipynb (+1 -1)\n");
	assert_has(text, " x = 1\n-y = 2\n+y = 3\n");
	assert_lacks(text, "old");
	assert_has(text, "  changed  b.ipynb (outputs or metadata only)\n");
	assert_has(text, "-{Broken\n+{broken\n");
}

static void test_hostile_changes(void **state)
{
	struct engine *e = *state;
	struct run r = ended(RUN_QUEUED), previous = previous_run();
	struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;

	for (int i = 0; i < 40000; i++) {
		strbuf_addf(&a, "old %d\n", i);
		strbuf_addf(&b, "new %d\n", i);
	}
	for (int i = 0; i < 12; i++) {
		char name[64];
		snprintf(name, sizeof name, "runs/1/source/big%02d.py", i);
		write_text(e, name, b.buf);
		name[5] = '2';
		write_text(e, name, a.buf);
	}
	strbuf_release(&a);
	strbuf_release(&b);
	write_text(e, "runs/1/source/evil\n--- a\x1b[31m", "x");
	write_text(e, "runs/1/source/\xff\xfe", "x");
	write_text(e, "secret", "the secret\n");
	write_text(e, "runs/2/source/link", "x");
	assert_int_equal(symlinkat("../../../secret", e->dirfd, "runs/1/source/link"), 0);
	assert_int_equal(symlinkat("/etc", e->dirfd, "runs/1/source/dir"), 0);
	assert_int_equal(symlinkat("one", e->dirfd, "runs/2/source/moved"), 0);
	assert_int_equal(symlinkat("two", e->dirfd, "runs/1/source/moved"), 0);
	r.options = (char *)(uintptr_t) "[1,2";
	previous.options = (char *)(uintptr_t) "{\"a\\nb\\u001b\":\"\\u001b[31m\\n\"}";
	AUTO_FREE char *text = changes(e, &r, &previous);
	assert_true(strlen(text) < 600000);
	assert_null(strchr(text, '\033'));
	assert_lacks(text, "the secret");
	assert_lacks(text, "\n--- a ");
	assert_has(text, "changed  big11.py (+40000 -40000)");
	assert_has(text, "further differences are left out");
	assert_has(text, "changed  moved");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_complete_after_a_retry),
		CASE(test_failed),
		CASE(test_never_started),
		CASE(test_hostile_report),
		CASE(test_traps),
		CASE(test_lessons),
		CASE(test_diff),
		CASE(test_diff_applies),
		CASE(test_changes),
		CASE(test_no_changes),
		CASE(test_notebooks),
		CASE(test_hostile_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
