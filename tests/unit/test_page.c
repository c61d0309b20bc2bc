#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>
#include "tests/browser/fake_engine.h"
#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/csv.h"
#include "fs/base/io.h"
#include "fs/page/page.h"
#include "fs/page/parts.h"

static struct engine engine;
static char folder[] = "/tmp/kexec-page-XXXXXX";
static struct strbuf out = STRBUF_INIT;

static int fresh(void **state)
{
	(void)state;
	int dirfd = engine.dirfd;
	memset(&engine, 0, sizeof(engine));
	engine.dirfd = dirfd;
	strbuf_release(&out);
	return 0;
}

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	engine.dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return engine.dirfd < 0 ? -1 : 0;
}

static int drop_folder(void **state)
{
	(void)state;
	strbuf_release(&out);
	close(engine.dirfd);
	return io_remove_tree(AT_FDCWD, folder);
}

static const char *page(void)
{
	strbuf_release(&out);
	assert_int_equal(page_dashboard(&engine, &out), 0);
	return out.buf;
}

static size_t times(const char *text, const char *needle)
{
	size_t n = 0;

	for (; (text = strstr(text, needle)); text += strlen(needle))
		n++;
	return n;
}

static void has(const char *text, const char *needle)
{
	if (!strstr(text, needle))
		fail_msg("not in the page: %s", needle);
}

static void lacks(const char *text, const char *needle)
{
	const char *at = strstr(text, needle);

	if (at)
		fail_msg("in the page: %.80s", at);
}

/* ---- The page ---- */

static void test_empty(void **state)
{
	const char *html = page();

	assert_memory_equal(html, "<!doctype html>\n<html lang=\"en\"", 30);
	has(html, "No runs yet");
	has(html, "default-src 'none'; style-src 'sha256-");
	lacks(html, "unsafe-inline");
	lacks(html, "{{");
	lacks(html, "<table");
	lacks(html, " style=");
	assert_int_equal(times(html, "<script>"), 1);
	assert_int_equal(strcmp(html + strlen(html) - 8, "</html>\n"), 0);
}

static void test_groups(void **state)
{
	fake_add(&engine, "a-draft", RUN_DRAFT);
	fake_add(&engine, "a-done", RUN_COMPLETE);
	fake_add(&engine, "a-confirm", RUN_CONFIRM);
	fake_add(&engine, "a-running", RUN_RUNNING);
	fake_add(&engine, "a-queued", RUN_QUEUED);
	fake_add(&engine, "a-rejected", RUN_REJECTED);
	fake_add(&engine, "a-cancelled", RUN_CANCELLED);
	const char *html = page();

	has(html, "<title>1 running, 3 waiting, 1 failed – kexec</title>");
	has(html, "<b>1</b>running");
	has(html, "<b>3</b>waiting");
	has(html, "<b>2</b>finished");
	has(html, "<li class=\"bad\"><b>1</b>failed");
	/* A person's turn, then what moves, what waits, what is being written; then what has ended.
	 */
	static const char *const order[] = {"a-confirm", "a-running", "a-queued", "a-draft",
		"<table", "a-cancelled", "a-rejected", "a-done"};
	for (size_t i = 1; i < sizeof(order) / sizeof(order[0]); i++)
		assert_true(strstr(html, order[i - 1]) < strstr(html, order[i]));
	assert_int_equal(times(html, "data-run>"), 7);
}

static void test_only_top_runs(void **state)
{
	fake_add(&engine, "kept", RUN_COMPLETE);
	fake_add(&engine, "thrown-away", RUN_COMPLETE)->place = PLACE_REMOVED;
	fake_add(&engine, "a-step", RUN_RUNNING)->place = PLACE_CHILD;
	fake_add(&engine, ".staged", RUN_DRAFT)->place = PLACE_STAGING;
	const char *html = page();

	has(html, "kept");
	lacks(html, "thrown-away");
	lacks(html, "a-step");
	lacks(html, ".staged");
}

static void test_many(void **state)
{
	fake_add(&engine, "old-but-running", RUN_RUNNING);
	for (int i = 0; i < 1500; i++)
		fake_add(&engine, "done", i % 3 ? RUN_COMPLETE : RUN_FAILED);
	const char *html = page();

	has(html, "old-but-running");
	assert_int_equal(times(html, "<tr id="), 1000);
	has(html, "The newest 1000 of 1500 are shown");
	has(html, "<tr id=\"r1501\"");
	lacks(html, "<tr id=\"r501\"");
	assert_true(out.len < 1500000);
}

static void test_walk_ends(void **state)
{
	for (int i = 0; i < 2000; i++)
		fake_add(&engine, "done", RUN_COMPLETE);
	page();
	assert_int_equal(engine.walked, 1000);
}

static void test_last_ended_first(void **state)
{
	fake_add(&engine, "long-one", RUN_COMPLETE)->ended = fake_ago(10);
	fake_add(&engine, "short-one", RUN_COMPLETE)->ended = fake_ago(500);
	struct run *r = fake_add(&engine, "refused", RUN_REJECTED);
	r->answered = fake_ago(100);
	const char *html = page();

	assert_true(strstr(html, "long-one") < strstr(html, "refused"));
	assert_true(strstr(html, "refused") < strstr(html, "short-one"));
}

static void test_many_waiting(void **state)
{
	struct run *r = fake_add(&engine, "old-but-running", RUN_RUNNING);
	r->attempt = 1;
	for (int i = 0; i < 2500; i++)
		fake_add(&engine, "queued", RUN_QUEUED);
	const char *html = page();

	has(html, "old-but-running");
	assert_int_equal(times(html, "<li class=\"card\""), 501);
	has(html, "The newest 501 of 2501 are shown");
}

static void test_hostile(void **state)
{
	static char evil[] = "<script>alert(1)</script>\"'&\x01\xff{{js}}";
	struct run *r = fake_add(&engine, evil, RUN_FAILED);

	r->detail = r->error_context = r->next_step = r->metric_name = evil;
	r->metric_value = 1;
	snprintf(r->backend, sizeof(r->backend), "<script>");
	snprintf(r->error_class, sizeof(r->error_class), "<script>");
	r = fake_add(&engine, evil, RUN_RUNNING);
	r->detail = r->next_step = evil;
	snprintf(r->backend, sizeof(r->backend), "\"><script>");
	engine.alerts = "{\"run\":\"<script>\",\"message\":\"<script>\",\"time\":\"<script>\"}";
	const char *html = page();

	assert_int_equal(times(html, "<script"), 1);
	assert_int_equal(times(html, "</script"), 1);
	lacks(html, "\x01");
	lacks(html, "\xff");
	has(html, "href=\"runs/"
		  "%3Cscript%3Ealert%281%29%3C%2Fscript%3E%22%27%26%01%FF%7B%7Bjs%7D%7D/\"");
	has(html, "{{js}}</bdi>"); /* what fills a hole is not searched for holes */
}

static void test_names_that_climb(void **state)
{
	fake_add(&engine, "..", RUN_COMPLETE);
	fake_add(&engine, ".", RUN_COMPLETE);
	fake_add(&engine, "../../etc", RUN_COMPLETE);
	const char *html = page();

	lacks(html, "runs/../");
	lacks(html, "runs/./");
	has(html, "href=\"runs/..%2F..%2Fetc/\"");
}

static void test_long_text_is_cut(void **state)
{
	static char text[10001];
	struct run *r = fake_add(&engine, "long", RUN_FAILED);

	for (size_t i = 0; i + 3 <= 10000; i += 3)
		snprintf(text + i, 4, "日");
	r->detail = r->next_step = r->error_context = r->metric_name = text;
	r->metric_value = 0;
	page();
	assert_true(times(out.buf, "日") <= (300 + 300 + 600) / 3);
	has(out.buf, "日…</bdi>");
	lacks(out.buf, "\xef\xbf\xbd"); /* no character was cut in two */
}

static void test_values(void **state)
{
	struct run *r = fake_add(&engine, "odd", RUN_RUNNING);

	r->attempt = 2;
	r->progress = 7;
	r->started = fake_ago(3600);
	r->answered = fake_ago(120);
	r->eta_ns = 100 * NS_PER_S;
	fake_add(&engine, "nan", RUN_RUNNING)->progress = NAN;
	const char *html = page();

	has(html, "<b>100%</b>");
	has(html, "attempt 2");
	has(html, "data-elapsed=\"3600\">01:00:00");
	has(html, "00:00:00 left"); /* 100 s left, said 120 s ago */
	has(html, "last heard of");
	assert_int_equal(times(html, "<progress"), 1);
	lacks(html, "nan%");
}

static void test_outcomes(void **state)
{
	struct run *r = fake_add(&engine, "bad", RUN_FAILED);

	snprintf(r->error_class, sizeof(r->error_class), "oom");
	r->error_context = (char *)"MemoryError";
	r->next_step = (char *)"Give it more memory.";
	fake_add(&engine, "good", RUN_COMPLETE);
	fake_add(&engine, "refused", RUN_REJECTED);
	fake_add(&engine, "stopped", RUN_CANCELLED)->detail = (char *)"by the user";
	const char *html = page();

	has(html, "<code>oom</code> <bdi>Give it more "
		  "memory.</bdi></summary><p><bdi>MemoryError</bdi></p>");
	has(html, "href=\"runs/bad/report.md\"");
	has(html, "href=\"runs/good/results/\"");
	has(html, "href=\"runs/refused/validation.txt\"");
	has(html, "<bdi>by the user</bdi>");
	lacks(html, "runs/bad/results/");
}

static void test_alerts(void **state)
{
	AUTO_BUF struct strbuf lines = STRBUF_INIT;

	fake_add(&engine, "x", RUN_COMPLETE);
	for (int i = 0; i < 30; i++)
		strbuf_addf(&lines,
			"{\"time\":\"2026-11-20T14:03:12Z\",\"run\":\"x\",\"message\":\"alert "
			"%d.\"}\n",
			i);
	strbuf_adds(&lines, "torn {\n[]\n\n{\"message\":7}\n");
	engine.alerts = lines.buf;
	const char *html = page();

	has(html, "Alerts</h2>");
	has(html, "alert 29.");
	has(html, "alert 10.");
	lacks(html, "alert 9.");
	assert_true(strstr(html, "alert 29.") < strstr(html, "alert 28."));
	assert_true(strstr(html, "alert 27.") < strstr(html, "Earlier"));
	assert_true(strstr(html, "Earlier") < strstr(html, "alert 26."));
	engine.alerts = "\n\nnot json\n";
	lacks(page(), "Alerts</h2>");
}

static void test_errors_reach_the_caller(void **state)
{
	fake_add(&engine, "x", RUN_COMPLETE);
	engine.fail_recent = -EIO;
	assert_int_equal(page_dashboard(&engine, &out), -EIO);
	assert_int_equal(page_runs_csv(&engine, &out), -EIO);
	engine.fail_recent = 0;
	engine.fail_counts = -ENOMEM;
	assert_int_equal(page_dashboard(&engine, &out), -ENOMEM);
	engine.fail_counts = 0;
	engine.fail_alerts = -EIO;
	assert_int_equal(page_dashboard(&engine, &out), -EIO);
	engine.fail_alerts = 0;
	strbuf_release(&out);
	strbuf_init(&out, 4000);
	assert_int_equal(page_dashboard(&engine, &out), -E2BIG);
	strbuf_release(&out);
	strbuf_init(&out, 100);
	assert_int_equal(page_runs_csv(&engine, &out), -E2BIG);
}

/* ---- Curves ---- */

static const char *spark(const char *text, size_t len, size_t max, const char *metric)
{
	assert_int_equal(io_write_atomic(engine.dirfd, "metrics.csv", text, len, 0644), 0);
	strbuf_release(&out);
	spark_put(&out, engine.dirfd, "metrics.csv", max, metric);
	assert_int_equal(out.err, 0);
	return out.buf;
}

static const char *spark_text(const char *text, const char *metric)
{
	return spark(text, strlen(text), 1 << 18, metric);
}

static void test_curve(void **state)
{
	const char *svg =
		spark_text("step,name,value\n0,loss,1\n0,acc,5\n1,loss,3\n2,loss,2\n", NULL);

	has(svg, "<polyline points=\"0,30 50,0 100,15\"/>");
	has(svg, "<bdi>loss</bdi><b>2</b>");
	has(spark_text("0,loss,1\n1,acc,5\n2,acc,6\n", "acc"), "<bdi>acc</bdi><b>6</b>");
	has(spark_text("0,loss,1\n1,loss,1\n", "absent"), "points=\"0,15 100,15\"");
}

static void test_curve_of_nothing(void **state)
{
	static const char *const texts[] = {"", "step,name,value\n", "1,loss,1\n", "\"", "a,b\n",
		"\n\n\n", "1,loss,nan\n2,loss,inf\n3,loss,x\n4,loss,\n", "1,\"loss,1\n2,loss,2",
		"1,,1\n2,,2\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_string_equal(spark_text(texts[i], NULL), "");
	assert_string_equal(spark("1,a\0b,1\n2,a\0b,2\n", 16, 100, NULL), "");
}

static void test_curve_keeps_peaks(void **state)
{
	AUTO_BUF struct strbuf csv = STRBUF_INIT;

	for (int i = 0; i < 20000; i++)
		strbuf_addf(&csv, "%d,loss,%d\n", i, i == 7777 ? 1000 : i % 2);
	const char *svg = spark(csv.buf, csv.len, 1 << 20, NULL);
	assert_int_equal(times(svg, ","), SPARK_POINTS - 1); /* 49 pairs and the last */
	assert_int_equal(times(svg, ",0 "), 1);              /* the one peak, at the top */
	has(svg, "<b>1</b>");
	svg = spark(csv.buf, csv.len, 300, NULL); /* the tail only: no peak, and no half line */
	assert_true(times(svg, ",") > 10 && times(svg, ",") < 40);
	has(svg, "<b>1</b>");
}

static void test_curve_of_extremes(void **state)
{
	const char *svg = spark_text("0,x,1e308\n1,x,-1e308\n2,x,5e-324\n", NULL);

	has(svg, "points=\"0,0 50,30 100,15\"");
	lacks(svg, "inf");
	lacks(svg, "nan");
}

static void test_curve_of_no_file(void **state)
{
	assert_int_equal(io_write_atomic(engine.dirfd, "real", "0,x,1\n1,x,2\n", 12, 0644), 0);
	assert_int_equal(symlinkat("real", engine.dirfd, "link"), 0);
	assert_int_equal(mkfifoat(engine.dirfd, "fifo", 0600), 0);
	strbuf_release(&out);
	spark_put(&out, engine.dirfd, "link", 1000, NULL);
	spark_put(&out, engine.dirfd, "fifo", 1000, NULL);
	spark_put(&out, engine.dirfd, ".", 1000, NULL);
	spark_put(&out, engine.dirfd, "absent", 1000, NULL);
	assert_string_equal(out.buf, "");
	spark_put(&out, engine.dirfd, "real", 1000, NULL);
	has(out.buf, "polyline");
}

/* ---- runs.csv ---- */

static struct csv_reader reader;

static void csv_open(void)
{
	strbuf_release(&out);
	assert_int_equal(page_runs_csv(&engine, &out), 0);
	csv_init(&reader, out.buf, out.len);
	assert_int_equal(csv_next(&reader), 1);
}

static void csv_row(size_t field, const char *want)
{
	assert_int_equal(csv_next(&reader), 1);
	assert_non_null(csv_field(&reader, 16));
	assert_null(csv_field(&reader, 17));
	assert_string_equal(csv_field(&reader, field), want);
}

static void csv_end(void)
{
	assert_int_equal(csv_next(&reader), 0);
	csv_finish(&reader);
}

static void test_csv_header(void **state)
{
	assert_int_equal(page_runs_csv(&engine, &out), 0);
	assert_string_equal(out.buf,
		"name,kind,backend,state,metric,value,cost_usd,progress,attempt,created,"
		"submitted,started,ended,elapsed_s,error_class,folder,parent\r\n");
}

static void test_csv_values(void **state)
{
	int64_t parsed;
	struct run *r = fake_add(&engine, "=cmd,\"x\"\nnew line", RUN_FAILED);

	r->metric_name = (char *)"<b>,";
	r->metric_value = 0.1;
	r->cost_usd = 1.0 / 3;
	r->progress = 0.5;
	r->attempt = 3;
	r->started = fake_ago(12.5);
	r->ended = r->started;
	r->ended.wall_ns += 2500 * NS_PER_MS;
	r->ended.boot_ns += 2500 * NS_PER_MS;
	snprintf(r->error_class, sizeof(r->error_class), "oom");
	csv_open();
	csv_row(0, "=cmd,\"x\"\nnew line"); /* for programs: unchanged */
	static const char *const want[] = {
		"notebook", "local", "failed", "<b>,", "0.1", "0.3333333333333333", "0.5", "3"};
	for (size_t i = 0; i < 8; i++)
		assert_string_equal(csv_field(&reader, i + 1), want[i]);
	for (size_t i = 9; i < 13; i++)
		assert_int_equal(clock_parse_rfc3339(csv_field(&reader, i), &parsed), 0);
	assert_int_equal(parsed / NS_PER_S, r->ended.wall_ns / NS_PER_S);
	assert_string_equal(csv_field(&reader, 13), "2.5");
	assert_string_equal(csv_field(&reader, 14), "oom");
	assert_string_equal(csv_field(&reader, 15), "=cmd,\"x\"\nnew line");
	assert_string_equal(csv_field(&reader, 16), "");
	csv_end();
}

static void test_csv_unknowns_are_empty(void **state)
{
	struct run *r = fake_add(&engine, "d", RUN_DRAFT);

	r->kind = KIND_NONE;
	r->submitted.wall_ns = 0;
	csv_open();
	csv_row(3, "draft");
	static const size_t empty[] = {1, 2, 4, 5, 7, 10, 11, 12, 13, 14, 16};
	for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
		assert_string_equal(csv_field(&reader, empty[i]), "");
	csv_end();
}

static void test_csv_numbers_survive(void **state)
{
	static const double values[] = {
		0.1, 1e-308, 5e-324, 123456789.123456789, -0.0, 1e22, 2.0 / 3, 1};
	size_t n = sizeof(values) / sizeof(values[0]);

	for (size_t i = 0; i < n; i++)
		fake_add(&engine, "x", RUN_COMPLETE)->metric_value = values[i];
	csv_open();
	for (size_t i = 0; i < n; i++) {
		csv_row(0, "x");
		assert_true(strtod(csv_field(&reader, 5), NULL) == values[i]);
	}
	assert_string_equal(csv_field(&reader, 5), "1");
	csv_end();
}

static void test_csv_order_and_nesting(void **state)
{
	int64_t plan = fake_add(&engine, "plan", RUN_RUNNING)->id;
	struct run *r = fake_add(&engine, "step, one", RUN_COMPLETE);
	r->place = PLACE_CHILD;
	r->parent = plan;
	struct run *deep = fake_add(&engine, "trial", RUN_COMPLETE);
	deep->place = PLACE_CHILD;
	deep->parent = r->id;
	r = fake_add(&engine, "gone", RUN_COMPLETE);
	r->place = PLACE_REMOVED;
	struct run *orphan = fake_add(&engine, "orphan", RUN_COMPLETE);
	orphan->place = PLACE_CHILD;
	orphan->parent = r->id;
	struct run *loop = fake_add(&engine, "its own parent", RUN_COMPLETE);
	loop->place = PLACE_CHILD;
	loop->parent = loop->id;
	fake_add(&engine, ".staged", RUN_DRAFT)->place = PLACE_STAGING;
	fake_add(&engine, "newest", RUN_QUEUED);
	csv_open();
	csv_row(0, "plan");
	csv_row(0, "plan/step, one");
	assert_string_equal(csv_field(&reader, 16), "plan");
	csv_row(0, "plan/step, one/trial");
	assert_string_equal(csv_field(&reader, 16), "plan/step, one");
	csv_row(0, "newest");
	assert_string_equal(csv_field(&reader, 16), "");
	csv_end();
}

#define CASE(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_empty),
		CASE(test_groups),
		CASE(test_only_top_runs),
		CASE(test_many),
		CASE(test_walk_ends),
		CASE(test_many_waiting),
		CASE(test_last_ended_first),
		CASE(test_hostile),
		CASE(test_names_that_climb),
		CASE(test_long_text_is_cut),
		CASE(test_values),
		CASE(test_outcomes),
		CASE(test_alerts),
		CASE(test_errors_reach_the_caller),
		CASE(test_curve),
		CASE(test_curve_of_nothing),
		CASE(test_curve_keeps_peaks),
		CASE(test_curve_of_extremes),
		CASE(test_curve_of_no_file),
		CASE(test_csv_header),
		CASE(test_csv_values),
		CASE(test_csv_unknowns_are_empty),
		CASE(test_csv_numbers_survive),
		CASE(test_csv_order_and_nesting),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
