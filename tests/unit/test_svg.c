#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <float.h>
#include <math.h>
#include <errno.h>

#include <cmocka.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/strbuf.h"
#include "fs/base/svg.h"

static size_t occurrences(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

/* Enough of XML for what the chart writes: tags balance, attributes are quoted, nothing foreign. */
static void check_document(const struct strbuf *svg)
{
	const char *open_tags[8] = {NULL};
	int depth = 0;

	assert_int_equal(svg->err, 0);
	assert_true(utf8_valid(svg->buf, svg->len));
	for (const char *p = svg->buf; (p = strchr(p, '<')); p++) {
		const char *end = strchr(p, '>');

		assert_non_null(end);
		if (p[1] == '/') {
			assert_true(depth > 0);
			const char *open = open_tags[--depth];

			assert_memory_equal(open + 1, p + 2, (size_t)(end - p - 2));
		} else if (end[-1] != '/') {
			assert_true(depth < 8);
			open_tags[depth++] = p;
		}
	}
	assert_int_equal(depth, 0);
	assert_null(strstr(svg->buf, "<script"));
	assert_null(strstr(svg->buf, "nan"));
	assert_null(strstr(svg->buf, "inf"));
	assert_null(strstr(svg->buf, "href"));
	assert_non_null(strstr(svg->buf, "prefers-color-scheme: dark"));
	assert_non_null(strstr(svg->buf, "viewBox"));
}

/* All numbers of path data lie in the plot. */
static void check_points(const char *svg)
{
	for (const char *p = svg; (p = strstr(p, " d=\"M")); p++) {
		const char *end = strchr(p + 4, '"');

		for (const char *q = p + 4; q < end;) {
			if ((*q >= '0' && *q <= '9') || *q == '-') {
				char *after;
				double v = strtod(q, &after);

				assert_true(v >= 0 && v <= 640);
				q = after;
			} else {
				q++;
			}
		}
	}
}

static void draw(struct strbuf *out, const double *x, const double *y, size_t n)
{
	struct svg_series s = {"s", x, y, n};

	assert_int_equal(svg_lines(out, "t", &s, 1), 0);
	check_document(out);
	check_points(out->buf);
}

static void simple(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	const double x[] = {0, 1, 2}, y[] = {10, 20, 15};

	draw(&out, x, y, 3);
	assert_non_null(strstr(out.buf, "M72.0 300.0h0L348.0 36.0L624.0 168.0"));
	assert_non_null(strstr(out.buf, ">20</text>"));
	assert_non_null(strstr(out.buf, ">0.5</text>"));
}

static void empty(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	const double nan_[] = {NAN, INFINITY}, y[] = {1, 2};

	assert_int_equal(svg_lines(&out, "t", NULL, 0), 0);
	check_document(&out);
	assert_non_null(strstr(out.buf, "no data yet"));
	strbuf_reset(&out);
	draw(&out, nan_, y, 2);
	assert_non_null(strstr(out.buf, "no data yet"));
}

static void hostile_text(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	const double v[] = {1, 2};
	struct svg_series s = {"\"><script>alert(1)</script>\x01\xff", v, v, 2};

	assert_int_equal(svg_lines(&out, "</text><script>x\n\x1b[31m", &s, 1), 0);
	check_document(&out);
	assert_non_null(strstr(out.buf, "&lt;/text&gt;&lt;script&gt;x"));
	strbuf_reset(&out);
	s.name = NULL;
	assert_int_equal(svg_lines(&out, NULL, &s, 1), 0);
	check_document(&out);
}

static void long_names_are_cut(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	const double v[] = {1, 2};
	struct svg_series s[] = {
		{"abcdefghijklmnopqrstuvwxyz", v, v, 2}, {"学習率学習率学習率", v, v, 2}};

	assert_int_equal(svg_lines(&out, "t", s, 2), 0);
	assert_non_null(strstr(out.buf, ">abcdefghijklmnop…<"));
	assert_non_null(strstr(out.buf, ">学習率学習率学習…<"));
}

static void breaks(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	const double x[] = {0, 1, 2, 3, 4}, y[] = {1, 2, NAN, 4, INFINITY};

	draw(&out, x, y, 5);
	assert_int_equal(occurrences(out.buf, "h0"), 2);
}

static void hard_ranges(void **state)
{
	const double pairs[][2] = {{0, 0}, {1, 1}, {-5, -5}, {-DBL_MAX, DBL_MAX},
		{DBL_MAX, DBL_MAX}, {-DBL_MAX, -DBL_MAX}, {5e-324, 1e-323}, {0, 5e-324},
		{DBL_MIN, 2 * DBL_MIN}, {1e16, 1e16 + 2}, {1, 1 + DBL_EPSILON}, {1e-300, 1e300},
		{-1e-9, 1e-9}, {123456, 123457}, {0, DBL_MAX}};
	const double x[] = {0, 1};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		AUTO_BUF struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;

		draw(&a, x, pairs[i], 2);
		draw(&b, pairs[i], x, 2);
		assert_true(a.len < 8192);
	}
}

static void labels_differ(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	const double x[] = {0, 1}, y[] = {123456, 123457};

	draw(&out, x, y, 2);
	assert_int_equal(occurrences(out.buf, ">123456</text>"), 1);
	assert_int_equal(
		occurrences(out.buf, ">123456.5</text>") + occurrences(out.buf, ">123456.4</text>"),
		1);
}

static void many_points_are_thinned(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	size_t n = 300000;
	AUTO_FREE double *x = calloc(n, sizeof(double)), *y = calloc(n, sizeof(double));

	for (size_t i = 0; i < n; i++) {
		x[i] = (double)i;
		y[i] = sin((double)i / 1000);
	}
	y[123457] = 50; /* a single peak stays visible */
	draw(&out, x, y, n);
	assert_true(out.len < 64000);
	assert_non_null(strstr(out.buf, " 36.0L"));
}

static void sixteen_series(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct svg_series s[20];
	const double v[] = {1, 2};

	for (int i = 0; i < 20; i++)
		s[i] = (struct svg_series){"name", v, v, 2};
	assert_int_equal(svg_lines(&out, "t", s, 20), 0);
	check_document(&out);
	check_points(out.buf);
	assert_int_equal(occurrences(out.buf, ">name</text>"), 16);
}

static void bounded(void **state)
{
	struct strbuf out;

	strbuf_init(&out, 500);
	assert_int_equal(svg_lines(&out, "t", NULL, 0), -E2BIG);
	strbuf_release(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(simple),
		cmocka_unit_test(empty),
		cmocka_unit_test(hostile_text),
		cmocka_unit_test(long_names_are_cut),
		cmocka_unit_test(breaks),
		cmocka_unit_test(hard_ranges),
		cmocka_unit_test(labels_differ),
		cmocka_unit_test(many_points_are_thinned),
		cmocka_unit_test(sixteen_series),
		cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
