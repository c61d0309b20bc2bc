#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/strbuf.h"

typedef void (*escaper)(struct strbuf *out, const char *text, size_t len);

static void check(escaper f, const char *text, const char *want)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	f(&out, text, strlen(text));
	assert_string_equal(out.buf, want);
}

static void check_line(const char *text, size_t max, const char *want)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	strbuf_adds(&out, ">");
	escape_line(&out, text, strlen(text), max);
	assert_string_equal(out.buf + 1, want);
}

static void html(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	check(escape_html, "<script>alert(\"a\" & 'b')</script>",
		"&lt;script&gt;alert(&quot;a&quot; &amp; &#39;b&#39;)&lt;/script&gt;");
	check(escape_html, "日本\xff語\x01\x1b[0m\n", "日本\xef\xbf\xbd語[0m\n");
	check(escape_html, "\xef\xbf\xbe|\xef\xbf\xbf", "|"); /* U+FFFE, U+FFFF */
	escape_html(&out, "a\0b", 3);
	assert_int_equal(out.len, 2);
}

static void json(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	check(escape_json, "a\"b\\c\n\r\t\x01\x7f", "a\\\"b\\\\c\\n\\r\\t\\u0001\\u007f");
	check(escape_json, "</script>&", "\\u003c/script\\u003e\\u0026");
	check(escape_json, "\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029");
	check(escape_json, "\xc0\x80\xed\xa0\x80",
		"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	check(escape_json, "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
	escape_json(&out, "\0", 1);
	assert_string_equal(out.buf, "\\ufffd");
}

static void csv(void **state)
{
	check(escape_csv, "plain =1+1 'x'", "plain =1+1 'x'");
	check(escape_csv, "", "");
	check(escape_csv, "a,b", "\"a,b\"");
	check(escape_csv, "say \"x\"", "\"say \"\"x\"\"\"");
	check(escape_csv, "a\nb\r", "\"a\nb\r\"");
	check(escape_csv, "\xff", "\xff");
}

static void markdown(void **state)
{
	check(escape_markdown, "cv_auc *0.91* [x](http://e) `c` <b> # | \\",
		"cv\\_auc \\*0.91\\* \\[x\\](http\\://e) \\`c\\` \\<b\\> \\# \\| \\\\");
	check(escape_markdown, "1. one\n2) two", "1\\. one 2) two");
	check(escape_markdown, "- item - x", "\\- item - x");
	check(escape_markdown, "    code", "code");
	check(escape_markdown, "===", "\\===");
	check(escape_markdown, "\x1b[31mred\x1b[0m", "red");
	check(escape_markdown, "12a. x", "12a. x");
}

static void line(void **state)
{
	check_line("a\nb\tc\r\nd", 100, "a b c d");
	check_line("\x1b[1;31mred\x1b[0m \x1b]0;title\x07x\x1b]8;;http://e\x1b\\y", 100, "red xy");
	check_line("\xc2\x9b"
		   "31mred",
		100, "red");
	check_line("日本語", 7, "日本");
	check_line("日本語", 2, "");
	check_line("abc", 0, "");
	check_line("\x1b[", 100, "");
	check_line("\x1b", 100, "");
	check_line("a\xe2\x80\xaegnp.exe", 100, "agnp.exe"); /* U+202E turns the direction */
	check_line("x\x08\x7f\x80y", 100, "x\xef\xbf\xbdy");
	check_line("\x1b(Ba", 100, "a");
}

static void unfinished_sequence_hides_one_line_at_most(void **state)
{
	check(escape_plain, "a\x1b]0;never ends\nthe log goes on", "a\nthe log goes on");
	check(escape_plain, "a\x1bPq\x1b[31mb\n", "ab\n");
	check(escape_plain, "a\x1b[12\nb", "a\nb");
}

static void plain(void **state)
{
	check(escape_plain, "a\tb\nc\r\n\x1b[2Kd\x00", "a\tb\nc\nd");
	check(escape_plain, "50%|###| \r100%", "50%|###| 100%");
	check(escape_plain, "\x1b[38;5;196mx\x1b[m", "x");
	check(escape_plain, "caf\xe9", "caf\xef\xbf\xbd");
}

static void valid(void **state)
{
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("a\0b", 3));
	assert_true(utf8_valid("\xf4\x8f\xbf\xbf", 4));
	assert_false(utf8_valid("\xf4\x90\x80\x80", 4)); /* past U+10FFFF */
	assert_false(utf8_valid("\xc0\xaf", 2));         /* overlong / */
	assert_false(utf8_valid("\xe0\x80\xaf", 3));
	assert_false(utf8_valid("\xed\xa0\x80", 3)); /* surrogate */
	assert_false(utf8_valid("\xe3\x81", 2));     /* ends inside */
	assert_false(utf8_valid("\x80", 1));
	assert_false(utf8_valid("\xff", 1));
}

static void cut(void **state)
{
	const char *text = "aé日😀"; /* 1 + 2 + 3 + 4 bytes */
	const size_t want[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10, 10};

	for (size_t max = 0; max < 13; max++)
		assert_int_equal(utf8_cut(text, 10, max), want[max]);
	assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80", 5, 5), 5);
	assert_int_equal(utf8_cut("a\xe3\x81", 3, 10), 1);
	assert_int_equal(utf8_cut("", 0, 10), 0);
}

static void decode(void **state)
{
	uint32_t c;

	assert_int_equal(utf8_decode("😀x", 5, &c), 4);
	assert_int_equal(c, 0x1f600);
	assert_int_equal(utf8_decode("", 0, &c), 0);
	assert_int_equal(utf8_decode("\xf0\x9f\x98", 3, &c), 0);
}

/* All pairs of bytes, after each of some beginnings: the result is always valid and bounded. */
static void any_bytes(void **state)
{
	static const char *const heads[] = {
		"", "\x1b", "\x1b[", "\x1b]", "\xe3", "\xf0\x9f", "\\u"};
	static const escaper all[] = {escape_html, escape_json, escape_markdown, escape_plain};
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	char text[8];

	for (size_t h = 0; h < sizeof(heads) / sizeof(*heads); h++)
		for (unsigned v = 0; v < 65536; v++) {
			size_t n = strlen(heads[h]);

			memcpy(text, heads[h], n);
			text[n++] = (char)(v >> 8);
			text[n++] = (char)v;
			for (size_t f = 0; f < 4; f++) {
				strbuf_reset(&out);
				all[f](&out, text, n);
				assert_true(utf8_valid(out.buf, out.len));
			}
			strbuf_reset(&out);
			escape_line(&out, text, n, 3);
			assert_true(out.len <= 3 && utf8_valid(out.buf, out.len));
			assert_null(memchr(out.buf, '\n', out.len));
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(html),
		cmocka_unit_test(json),
		cmocka_unit_test(csv),
		cmocka_unit_test(markdown),
		cmocka_unit_test(line),
		cmocka_unit_test(unfinished_sequence_hides_one_line_at_most),
		cmocka_unit_test(plain),
		cmocka_unit_test(valid),
		cmocka_unit_test(cut),
		cmocka_unit_test(decode),
		cmocka_unit_test(any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
