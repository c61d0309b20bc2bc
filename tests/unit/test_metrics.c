#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/base/strbuf.h"
#include "fs/engine/metrics.h"

static bool parses(const char *line)
{
	struct metric_line m;
	return metric_parse(line, strlen(line), &m);
}

static void test_line(void **state)
{
	struct metric_line m;

	assert_true(metric_parse("metric loss=0.25 step=7", 23, &m));
	assert_string_equal(m.name, "loss");
	assert_true(m.value == 0.25);
	assert_int_equal(m.step, 7);
	assert_true(metric_parse("metric val/auc-1:x.y=-1e-3", 26, &m));
	assert_int_equal(m.step, -1);
	assert_true(parses("metric a=nan") && parses("metric a=-inf") && parses("metric a=1\r"));
	static const char *const bad[] = {"", "metric", "metric ", "metric a",
		"metric a=", "metric =1", "metric a=1 x", "metric a=1 step=", "metric a=1 step=x",
		"metric a=1 step=1 2", "xmetric a=1", "metric a=0x10", "metric a=1,5",
		"metric a=1e", "metric a=1 step=99999999999999999999", "Metric a=1",
		"metric a=nan(1)"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (parses(bad[i]))
			fail_msg("taken: %s", bad[i]);
}

static int best(const char *csv, const char *name, bool max, char out[64], double *v)
{
	return metrics_best(csv, strlen(csv), name, max, out, v);
}

static void test_best(void **state)
{
	static const char csv[] = "step,name,value\n1,loss,0.9\n1,auc,0.5\n2,loss,0.4\n2,auc,"
				  "nan\n3,loss,0.6\n3,auc,inf\n"
				  ",auc,0.7\n4,auc,0.6\n5,auc,0.99";
	char name[64];
	double v;

	assert_int_equal(best(csv, NULL, false, name, &v), 0);
	assert_string_equal(name, "loss");
	assert_true(v == 0.6); /* no goal is known: the last one */
	assert_int_equal(best(csv, "loss", false, name, &v), 0);
	assert_true(v == 0.4);
	assert_int_equal(best(csv, "loss", true, name, &v), 0);
	assert_true(v == 0.9);
	/* nan and infinities are never best; the last row is still being written */
	assert_int_equal(best(csv, "auc", true, name, &v), 0);
	assert_true(v == 0.7);
	assert_int_equal(best(csv, "none", true, name, &v), -ENOENT);
	assert_int_equal(best("", NULL, true, name, &v), -ENOENT);
	assert_int_equal(best("1,a,nan\n", "a", true, name, &v), -ENOENT);
	assert_int_equal(best("1,\"a,b\",2\n", "a,b", true, name, &v), 0);
	assert_true(v == 2);
}

static void test_summary(void **state)
{
	static const char csv[] = "step,name,value\r\n1,a,3\r\n2,a,1\r\n3,a,2\r\n1,b,"
				  "nan\r\ngarbage\r\n\"\r\n,,\r\n1,a\r\n1,a,x\r\n";
	struct metric_summary s[METRICS_SERIES];

	assert_int_equal(metrics_summary(csv, strlen(csv), s), 2);
	assert_string_equal(s[0].name, "a");
	assert_int_equal(s[0].count, 3);
	assert_true(s[0].last == 2 && s[0].min == 1 && s[0].max == 3);
	assert_string_equal(s[1].name, "b");
	assert_true(isnan(s[1].last) && isnan(s[1].min));
}

static size_t count_of(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, word)); p += strlen(word))
		n++;
	return n;
}

static void test_svg(void **state)
{
	struct strbuf csv = STRBUF_INIT, svg = STRBUF_INIT;

	assert_int_equal(metrics_svg("", 0, "empty", &svg), 0);
	assert_non_null(strstr(svg.buf, "<svg"));
	strbuf_reset(&svg);
	strbuf_adds(&csv, "step,name,value\n");
	for (int i = 0; i < 200000; i++)
		strbuf_addf(&csv, "%d,loss,%g\n", i, i == 123456 ? 1e6 : sin(i));
	assert_int_equal(metrics_svg(csv.buf, csv.len, "<script>&", &svg), 0);
	assert_null(strstr(svg.buf, "<script>"));
	assert_true(svg.len < 100000); /* decimated */
	assert_true(count_of(svg.buf, ",") < 3 * 1000 + 100);
	strbuf_release(&csv);
	strbuf_release(&svg);
}

static void test_hostile(void **state)
{
	static const char *const pieces[] = {"1,a,1\n", "\n", ",", "\"", "\"\"\"\"\n", "1,\"a", "a",
		"\0\0\n", "1,a,1e999\n", "-,a,1\n", "9223372036854775807,a,1\n",
		"\xff\xfe,\xff,1\n"};
	clock_t start = clock();

	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct strbuf csv = STRBUF_INIT, svg = STRBUF_INIT;
		char name[64];
		double v;

		while (csv.len < 2000000)
			strbuf_add(&csv, pieces[i], strlen(pieces[i]) ? strlen(pieces[i]) : 3);
		metrics_best(csv.buf, csv.len, NULL, true, name, &v);
		assert_int_equal(metrics_svg(csv.buf, csv.len, "x", &svg), 0);
		strbuf_release(&csv);
		strbuf_release(&svg);
	}
	/* a million names: the first ones are kept, the rest costs nothing */
	struct strbuf csv = STRBUF_INIT;
	struct metric_summary s[METRICS_SERIES];
	for (int i = 0; i < 1000000; i++)
		strbuf_addf(&csv, "1,n%d,1\n", i);
	assert_int_equal(metrics_summary(csv.buf, csv.len, s), METRICS_SERIES);
	assert_string_equal(s[15].name, "n15");
	strbuf_release(&csv);
	assert_true(clock() - start < 60 * CLOCKS_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_best),
		cmocka_unit_test(test_summary),
		cmocka_unit_test(test_svg),
		cmocka_unit_test(test_hostile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
