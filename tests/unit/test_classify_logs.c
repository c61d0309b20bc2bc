/* Logs in the shape of a service: those that papermill really left (tests/classify/record.py),
 * whole and cut; the lines that prove a class; the manual's example of rules of one's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/engine/classify.h"
#include "fs/engine/service_log.h"
#include "tests/unit/folder.h"

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

static void read_source(const char *path, struct strbuf *out)
{
	const char *source = getenv("KEXEC_SOURCE");
	char whole[4200];

	if (!source)
		skip();
	snprintf(whole, sizeof whole, "%s/%s", source, path);
	if (io_read(AT_FDCWD, whole, 4 << 20, out))
		fail_msg("%s cannot be read", whole);
}

/* ---- recorded logs ---- */

enum { LOG, CLASS, NEXT, OFFLINE, SAYS, SHOWS, COLUMNS };

static struct diagnosis judge(char *const row[COLUMNS], const char *log, size_t len)
{
	struct job_status end = {.state = JOB_ENDED, .cause = END_ERROR, .exit_code = 1};
	struct classify_facts facts = {.end = &end,
		.log = log,
		.log_len = len,
		.offline = strcmp(row[OFFLINE], "yes") == 0};
	struct diagnosis d;

	snprintf(end.detail, sizeof end.detail, "%s", row[SAYS]);
	classify(rules, &facts, &d);
	return d;
}

static void check_lines(const char *name, const char *pattern, const struct diagnosis *d)
{
	bool shown = false;
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	for (size_t i = 0; i < PROOF_LINES; i++) {
		size_t n = strnlen(d->proof[i], PROOF_LINE);
		assert_true(n < PROOF_LINE && utf8_valid(d->proof[i], n));
		assert_null(strpbrk(d->proof[i], "\n\r\033"));
		shown |= n && regexec(&re, d->proof[i], 0, NULL, 0) == 0;
	}
	regfree(&re);
	if (!shown)
		fail_msg("%s: no line with %s:\n%s\n%s\n%s\n%s\n%s", name, pattern, d->proof[0],
			d->proof[1], d->proof[2], d->proof[3], d->proof[4]);
}

static void check_row(char *const row[COLUMNS], const char *log, size_t len)
{
	static const char *const next[] = {"person", "retry", "backend"};
	struct diagnosis d = judge(row, log, len);

	if (strcmp(error_class_words[d.class], row[CLASS]))
		fail_msg("%s: %s instead of %s, by %s (%s: %s)", row[LOG],
			error_class_words[d.class], row[CLASS], d.rule, d.exception, d.message);
	assert_string_equal(next[d.next], row[NEXT]);
	check_lines(row[LOG], row[SHOWS], &d);
}

/* The tail that the engine reads begins in the middle of an event; as long as it has the last
 * traceback, it says as much. */
static void check_cut(char *const row[COLUMNS], const char *log, size_t len)
{
	const char *last = log, *at;

	while ((at = strstr(last + 1, "Traceback (most")))
		last = at;
	while (last > log && last[-1] != '\n') /* the event that has it is whole */
		last--;
	for (const char *from = log + 1; from < last - 5 && !row[SAYS][0]; from += 37)
		check_row(row, from, len - (size_t)(from - log));
	for (size_t to = 0; to < len; to += 101) {
		struct diagnosis d = judge(row, log, to);
		assert_int_not_equal(d.class, ERROR_NONE);
	}
}

static void check_recorded(char *line)
{
	AUTO_BUF struct strbuf log = STRBUF_INIT, plain = STRBUF_INIT;
	char *row[COLUMNS], path[300];

	for (int i = 0; i < COLUMNS; i++) {
		row[i] = strsep(&line, "\t");
		assert_non_null(row[i]);
	}
	snprintf(path, sizeof path, "tests/fuzz/corpus/classify/%s", row[LOG]);
	read_source(path, &log);
	check_row(row, log.buf, log.len);
	assert_true(service_log_text(log.buf, log.len, &plain));
	check_row(row, plain.buf, plain.len); /* as a backend hands it on */
	check_cut(row, log.buf, log.len);
}

static void recorded(void **state)
{
	AUTO_BUF struct strbuf list = STRBUF_INIT;
	unsigned count = 0;

	read_source("tests/classify/recorded.tsv", &list);
	for (char *line, *rest = list.buf; (line = strsep(&rest, "\n"));) {
		if (!*line || *line == '#')
			continue;
		check_recorded(line);
		count++;
	}
	assert_true(count > 25);
}

/* ---- what is a service's log, and what is not ---- */

static bool plain_is(const char *text, const char *expected)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	bool is = service_log_text(text, strlen(text), &out);

	if (is && expected)
		assert_string_equal(out.buf, expected);
	return is;
}

static void shapes(void **state)
{
	static const char *const none[] = {"", "[]", "[", "{\"stream_name\":\"stderr\"}",
		"hello\n[{\"stream_name\":\"stderr\",\"time\":1,\"data\":\"x\"}]\n",
		"[{\"stream_name\":\"stderr\",\"time\":1,\"data\":\"x\"}]\nand more\n",
		"[1, 2, {\"stream_name\":\"stderr\",\"data\":\"x\"}]", "[{\"a\":1}]",
		"a } b , {\"stream_name\":\"stderr\",\"data\":\"x\"}\ntext"};

	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (plain_is(none[i], NULL))
			fail_msg("taken for a service's log: %s", none[i]);
	assert_true(plain_is("[{\"stream_name\":\"stdout\",\"time\":1,\"data\":\"a\\n\"}\n"
			     ",{\"stream_name\":\"stderr\",\"time\":2,\"data\":\"b}\\\"\\\\\"}\n]",
		"a\nb}\"\\"));
	assert_true(plain_is(" [ {\"stream_name\":\"stdout\",\"data\":\"a\"}", "a"));
	/* cut at both ends */
	assert_true(plain_is("l of it\"}\n,{\"stream_name\":\"stdout\",\"data\":\"a\"}\n"
			     ",{\"stream_name\":\"std",
		"a"));
	/* one that JSON does not allow costs itself */
	assert_true(plain_is("[{\"stream_name\":\"x\",\"data\":\"\\u0000\"},"
			     "{\"stream_name\":\"x\",\"data\":\"b\"}]",
		"b"));
}

/* A hostile log of brackets takes no time worth mentioning. */
static void hostile(void **state)
{
	static const char *const pieces[] = {"{\"stream_name\"", "},{\"stream_name\"", "[", "[{",
		"},   ", "[{\"stream_name\":\"\\", "{\"stream_name\":\"a\",\"data\":\"[{\"},"};

	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		AUTO_BUF struct strbuf text = STRBUF_INIT, out = STRBUF_INIT;

		while (text.len < 256 << 10)
			strbuf_adds(&text, pieces[i]);
		service_log_text(text.buf, text.len, &out);
	}
}

/* ---- the lines ---- */

static struct diagnosis of(enum end_cause cause, int sig, const char *log)
{
	struct job_status end = {.state = JOB_ENDED, .cause = cause, .signal = sig, .exit_code = 1};
	struct classify_facts facts = {.end = &end, .log = log, .log_len = strlen(log)};
	struct diagnosis d;

	classify(rules, &facts, &d);
	return d;
}

static void lines(void **state)
{
	struct diagnosis d = of(END_ERROR, 0,
		"Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    load()\n"
		"MemoryError: no room\n\n"
		"The above exception was the direct cause of the following exception:\n\n"
		"Traceback (most recent call last):\n  File \"a.py\", line 9, in <module>\n"
		"    raise RuntimeError(\"x\") from e\nRuntimeError: x\n");

	assert_int_equal(d.class, ERROR_OOM);
	assert_string_equal(d.proof[0], "File \"a.py\", line 3, in f");
	assert_string_equal(d.proof[1], "load()");
	assert_string_equal(d.proof[2], "MemoryError: no room");
	assert_string_equal(d.proof[3], "RuntimeError: x");
	d = of(END_SIGNAL, 9, "epoch 1\nsh: line 1:  7 x\nKilled\n");
	assert_int_equal(d.class, ERROR_OOM);
	assert_string_equal(d.proof[0], "Killed");
	assert_string_equal(d.proof[1], "");
	d = of(END_ERROR, 0, "one\nthe last words\n\n");
	assert_int_equal(d.class, ERROR_UNKNOWN);
	assert_string_equal(d.proof[0], "the last words");
	d = of(END_OK, 0, "fine\n");
	assert_string_equal(d.proof[0], "");
}

/* ---- rules of one's own: the manual's example ---- */

static void manual(void **state)
{
	AUTO_BUF struct strbuf readme = STRBUF_INIT;
	struct classifier *mine = NULL;
	struct job_status end = {.state = JOB_ENDED, .cause = END_ERROR, .exit_code = 1};
	struct classify_facts facts = {.end = &end,
		.log = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n"
		       "feed.errors.MarketClosed: opens at 9\n"};
	struct folder f;
	struct diagnosis d;
	char *start, *stop;

	read_source("README.md", &readme);
	start = strstr(readme.buf, "\ninfra\tfeed");
	assert_non_null(start);
	stop = strstr(++start, "```");
	assert_non_null(stop);
	*stop = '\0';
	f = folder_make();
	folder_write(&f, "classify.rules", start);
	assert_int_equal(classifier_open(f.path, &mine, NULL), 0);
	facts.log_len = strlen(facts.log);
	classify(mine, &facts, &d);
	assert_int_equal(d.class, ERROR_INFRA);
	assert_int_equal(d.next, NEXT_RETRY);
	assert_string_equal(d.rule, "user:1");
	end.detail[0] = '\0';
	snprintf(end.detail, sizeof end.detail,
		"the cluster is closed for maintenance until Monday");
	facts.log_len = 0;
	classify(mine, &facts, &d);
	assert_int_equal(d.class, ERROR_INFRA);
	assert_int_equal(d.next, NEXT_BACKEND);
	classifier_close(mine);
	folder_finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(recorded), cmocka_unit_test(shapes),
		cmocka_unit_test(hostile), cmocka_unit_test(lines), cmocka_unit_test(manual)};

	return cmocka_run_group_tests(tests, open_rules, close_rules);
}
