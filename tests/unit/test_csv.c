#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <errno.h>

#include <cmocka.h>

#include "fs/base/cleanup.h"
#include "fs/base/csv.h"
#include "fs/base/escape.h"

/* "[a|b][c]": what the reader makes of a text, "!" where it refuses. */
static void check(const char *text, size_t len, const char *want)
{
	AUTO_BUF struct strbuf got = STRBUF_INIT;
	struct csv_reader r;
	int n;

	csv_init(&r, text, len);
	while ((n = csv_next(&r)) > 0) {
		strbuf_addch(&got, '[');
		for (size_t i = 0; i < r.count; i++)
			strbuf_addf(&got, "%s%s", i ? "|" : "", csv_field(&r, i));
		strbuf_addch(&got, ']');
		assert_null(csv_field(&r, r.count));
	}
	if (n == -EINVAL)
		strbuf_addch(&got, '!');
	else
		assert_int_equal(n, 0);
	assert_int_equal(csv_next(&r), n); /* stays where it ended */
	csv_finish(&r);
	assert_string_equal(got.buf, want);
}

static void reads(const char *text, const char *want)
{
	check(text, strlen(text), want);
}

static void records(void **state)
{
	reads("", "");
	reads("a,b\nc,d\n", "[a|b][c|d]");
	reads("a,b\r\nc,d", "[a|b][c|d]");
	reads("a", "[a]");
	reads(",\n", "[|]");
	reads("a,\n", "[a|]");
	reads("\n\na", "[][][a]");
	reads("\xef\xbb\xbf"
	      "a,b",
		"[a|b]");
	reads(" a , b ", "[ a | b ]");
	reads("a\rb,c", "[a\rb|c]");
}

static void quotes(void **state)
{
	reads("\"a,b\",\"c\"\"d\",\"\"\n", "[a,b|c\"d|]");
	reads("\"x\r\ny\",z\r\n\"\"\"\"", "[x\r\ny|z][\"]");
	reads("\"a\"", "[a]");
	reads("\"a\"\r", "[a]");
}

static void refused(void **state)
{
	reads("\"a", "!");
	reads("ok\n\"a\n\"\"", "[ok]!");
	reads("a\"b", "!");
	reads("\"a\"b", "!");
	reads("\"a\" ,b", "!");
	reads("\"a\"\rb", "!");
	check("a,\0b", 4, "!");
	check("\"\0\"", 3, "!");
}

static void lines(void **state)
{
	const char *text = "a\n\"b\nb\nb\"\r\nc\nd\"";
	const size_t want[] = {1, 2, 5, 6};
	struct csv_reader r;

	csv_init(&r, text, strlen(text));
	for (int i = 0; i < 4; i++) {
		assert_int_equal(csv_next(&r), i < 3 ? 1 : -EINVAL);
		assert_int_equal(r.line, want[i]);
	}
	csv_finish(&r);
	csv_finish(&r); /* twice does no harm */
}

static void many_fields(void **state)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct csv_reader r;

	for (int i = 0; i < 100000; i++)
		strbuf_addf(&text, "%s%d", i ? "," : "", i);
	csv_init(&r, text.buf, text.len);
	assert_int_equal(csv_next(&r), 1);
	assert_int_equal(r.count, 100000);
	assert_string_equal(csv_field(&r, 0), "0");
	assert_string_equal(csv_field(&r, 99999), "99999");
	assert_int_equal(csv_next(&r), 0);
	csv_finish(&r);
}

/* What escape_csv() writes is read back as it was. */
static void round_trip(void **state)
{
	static const char *const fields[] = {
		"a", "", "x,y", "\"", "\r", "\n", "\r\n\",", "日本", "\xff", " "};
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct csv_reader r;

	for (size_t i = 0; i < 10; i++) {
		if (i)
			strbuf_addch(&text, ',');
		escape_csv(&text, fields[i], strlen(fields[i]));
	}
	strbuf_adds(&text, "\r\n");
	csv_init(&r, text.buf, text.len);
	assert_int_equal(csv_next(&r), 1);
	assert_int_equal(r.count, 10);
	for (size_t i = 0; i < 10; i++)
		assert_string_equal(csv_field(&r, i), fields[i]);
	csv_finish(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(quotes),
		cmocka_unit_test(refused),
		cmocka_unit_test(lines),
		cmocka_unit_test(many_fields),
		cmocka_unit_test(round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
