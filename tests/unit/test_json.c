#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <time.h>

#include <cmocka.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define ENOUGH ((size_t)64 << 20)

static struct json *parse(const char *text)
{
	struct why why = {0};
	struct json *j = json_parse(text, strlen(text), ENOUGH, &why);

	if (!j)
		fail_msg("%s: %s", text, why.text);
	return j;
}

/* Refused with this error, and the sentence holds these words. */
static void refuse_bytes(const char *text, size_t len, int err, const char *words)
{
	struct why why = {0};
	struct json *j;

	errno = 0;
	j = json_parse(text, len, ENOUGH, &why);
	if (j)
		fail_msg("accepted: %s", text);
	assert_int_equal(errno, err);
	assert_int_equal(why.err, err);
	if (!strstr(why.text, words))
		fail_msg("\"%s\" is not in \"%s\"", words, why.text);
	assert_null(json_parse(text, len, ENOUGH, NULL));
}

static void refuse(const char *text, const char *words)
{
	refuse_bytes(text, strlen(text), EINVAL, words);
}

static void prints(const struct json *j, const char *want)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	assert_int_equal(json_print(j, &out, false), 0);
	assert_string_equal(out.buf, want);
}

static void same(const char *text)
{
	struct json *j = parse(text);

	prints(j, text);
	json_free(j);
}

static void values(void **state)
{
	struct json *j =
		parse("\xef\xbb\xbf {\"a\": {\"b\": \"x\\u00e9\\ud83d\\ude00\\n\"}, \"n\": -1.5e2,"
		      "\"t\": true, \"z\": null, \"l\": [1, [], {}]}\n ");
	const struct json *l = json_get(j, "l");

	assert_string_equal(json_text(json_get(json_get(j, "a"), "b")), "xé😀\n");
	assert_true(json_number(json_get(j, "n"), 0) == -150);
	assert_int_equal(json_int(json_get(j, "n"), 0), -150);
	assert_true(json_bool(json_get(j, "t"), false));
	assert_int_equal(json_type(json_get(j, "z")), JSON_NULL);
	assert_int_equal(json_type(l), JSON_ARRAY);
	assert_int_equal(json_count(l), 3);
	assert_int_equal(json_count(j), 5);
	assert_string_equal(json_key(json_next(json_first(j))), "n");
	assert_null(json_key(json_first(l)));
	assert_int_equal(json_type(json_next(json_first(l))), JSON_ARRAY);
	assert_null(json_next(json_next(json_next(json_first(l)))));
	assert_null(json_get(j, "A")); /* exact */
	json_free(j);
}

static void absent(void **state)
{
	struct json *j = parse("[1]");

	assert_int_equal(json_type(NULL), JSON_ABSENT);
	assert_null(json_text(json_get(json_get(NULL, "a"), "b")));
	assert_null(json_get(j, "a"));
	assert_null(json_first(json_first(j)));
	assert_null(json_next(NULL));
	assert_null(json_key(NULL));
	assert_int_equal(json_count(NULL), 0);
	assert_int_equal(json_int(NULL, 7), 7);
	assert_true(json_number(NULL, 0.5) == 0.5);
	assert_true(json_bool(json_first(j), true)); /* a number is no truth value */
	json_free(NULL);
	json_free(j);
}

static void whole_numbers(void **state)
{
	struct json *j =
		parse("[9007199254740992, -9007199254740992, 9007199254740994, 1.5, \"1\", 1e3, "
		      "1e300]");
	const int64_t want[] = {9007199254740992, -9007199254740992, -1, -1, -1, 1000, -1};
	const struct json *n = json_first(j);

	for (size_t i = 0; i < 7; i++, n = json_next(n))
		assert_int_equal(json_int(n, -1), want[i]);
	json_free(j);
}

static void bad_text(void **state)
{
	static const char *const bad[] = {"", " ", "{", "[", "\"", "[1,]", "{\"a\":1,}", "{a:1}",
		"{\"a\"}", "{\"a\" 1}", "{\"a\":}", "[1 2]", "[1}", "{\"a\":1]", "]", ",", "nul",
		"True", "NaN", "Infinity", "-", "01", "+1", "1.", ".5", "1e", "1e+", "0x10", "1 2",
		"{} x", "[] []", "// c\n1", "'a'", "\"\\x\"", "\"\\u12\"", "\"\\u123g\"", "\"\\",
		"\"a\nb\"", "\"\t\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"",
		"\"\\u0000\"", "[1\v]", "\302\2401", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"",
		"1e999", "-1e999"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refuse(bad[i], "line 1, column ");
}

static void says_where(void **state)
{
	refuse("{\n  \"日本\": tru\n}", "line 2, column 9");
	refuse("[1, 2", "line 1, column 6");
	refuse("[1]\n\nx", "line 3, column 1");
	refuse("{\"a\": 1 \"b\": 2}", "line 1, column 9");
}

static void nul_bytes(void **state)
{
	refuse_bytes("\"a\0b\"", 5, EINVAL, "control character");
	refuse_bytes("1\0", 2, EINVAL, "after the end");
	refuse_bytes("\0", 1, EINVAL, "line 1, column 1");
}

static void number_length(void **state)
{
	char text[100];
	struct json *j;

	memset(text, '1', sizeof(text));
	text[1] = '.';
	text[63] = '\0';
	j = parse(text);
	assert_true(fabs(json_number(j, 0) - 1.1111111) < 1e-6);
	json_free(j);
	text[63] = '1';
	text[64] = '\0';
	refuse(text, "too many digits");
}

static void nest(struct strbuf *out, size_t depth)
{
	for (size_t i = 0; i < depth; i++)
		strbuf_adds(out, i % 2 ? "{\"k\":" : "[");
	strbuf_addch(out, '1');
	while (depth-- > 0)
		strbuf_addch(out, depth % 2 ? '}' : ']');
}

static void depth(void **state)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	nest(&text, JSON_MAX_DEPTH);
	same(text.buf);
	strbuf_reset(&text);
	nest(&text, JSON_MAX_DEPTH + 1);
	refuse_bytes(text.buf, text.len, E2BIG, "nested");
	strbuf_reset(&text);
	for (int i = 0; i < 1000000; i++)
		strbuf_addch(&text, '[');
	refuse_bytes(text.buf, text.len, E2BIG, "nested");
}

static void too_long(void **state)
{
	struct why why = {0};

	errno = 0;
	assert_null(json_parse("[1, 2]", 6, 5, &why));
	assert_int_equal(errno, E2BIG);
	assert_int_equal(why.err, E2BIG);
}

static void too_many_values(void **state)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	strbuf_addch(&text, '[');
	for (int i = 0; i < JSON_MAX_VALUES; i++)
		strbuf_adds(&text, "1,");
	strbuf_adds(&text, "1]");
	refuse_bytes(text.buf, text.len, E2BIG, "too many");
}

static void duplicate_keys(void **state)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	refuse("{\"a\": 1, \"b\": 2,\n \"a\": 3}", "line 2, column 2");
	refuse("{\"a\": 1, \"\\u0061\": 2}", "\"a\"");
	refuse("[{\"x\": {\"y\": 1}}, {\"q\": [{\"y\": 1, \"y\": 2}]}]", "column 35");
	same("[{\"a\":1},{\"a\":2}]");
	same("{\"a\":{\"a\":1},\"A\":1,\"\":2}");
	strbuf_adds(&text, "{");
	for (int i = 0; i < 40; i++)
		strbuf_addf(&text, "\"key%d\":%d,\n", i, i);
	strbuf_adds(&text, "\"key17\":0}");
	refuse(text.buf, "key17");
}

/* Comparing all pairs of 200,000 keys would take minutes. */
static void many_keys(void **state)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int64_t start = clock_boot_ns();
	struct json *j;

	strbuf_adds(&text, "{");
	for (int i = 0; i < 200000; i++)
		strbuf_addf(&text, "%s\"%d\":0", i ? "," : "", i);
	strbuf_adds(&text, "}");
	j = parse(text.buf);
	assert_int_equal(json_count(j), 200000);
	assert_true(clock_boot_ns() - start < 20 * NS_PER_S);
	json_free(j);
}

static void building(void **state)
{
	struct json *j = json_object(), *list = json_array();

	assert_int_equal(json_set_text(j, "t", "a\"\\\n\x01</x>é"), 0);
	assert_int_equal(json_set_text(j, "null", NULL), 0);
	assert_int_equal(json_set_int(j, "i", 9007199254740991), 0);
	assert_int_equal(json_set_number(j, "d", 0.1), 0);
	assert_int_equal(json_set_bool(j, "b", true), 0);
	assert_int_equal(json_set_null(j, "z"), 0);
	assert_int_equal(json_append_text(list, "two"), 0);
	assert_int_equal(json_insert(list, 0, json_object()), 0);
	assert_int_equal(json_insert(list, 99, json_array()), 0);
	assert_int_equal(json_set(j, "l", list), 0);
	prints(j, "{\"t\":\"a\\\"\\\\\\n\\u0001</"
		  "x>é\",\"null\":null,\"i\":9007199254740991,\"d\":0.1,"
		  "\"b\":true,\"z\":null,\"l\":[{},\"two\",[]]}");
	assert_int_equal(json_set_int(j, "t", 1), 0); /* keeps its place */
	json_remove(j, "l");
	json_remove(j, "not there");
	prints(j, "{\"t\":1,\"null\":null,\"i\":9007199254740991,\"d\":0.1,\"b\":true,\"z\":null}");
	json_free(j);
}

static void inserting(void **state)
{
	struct json *list = json_array();

	for (int i = 0; i < 3; i++)
		assert_int_equal(json_append(list, json_array()), 0);
	assert_int_equal(json_insert(list, 0, parse("\"first\"")), 0);
	assert_int_equal(json_insert(list, 2, parse("\"middle\"")), 0);
	assert_int_equal(json_insert(list, 4, parse("\"before last\"")), 0);
	assert_int_equal(json_insert(list, 6, parse("\"last\"")), 0);
	assert_int_equal(json_append_text(list, "appended"), 0);
	prints(list, "[\"first\",[],\"middle\",[],\"before last\",[],\"last\",\"appended\"]");
	json_free(list);
}

static void building_fails(void **state)
{
	struct json *j = json_array();

	assert_int_equal(json_set_int(NULL, "a", 1), -ENOMEM);
	assert_int_equal(json_set(json_first(j) ? j : NULL, "a", json_array()), -ENOMEM);
	assert_int_equal(json_set_int(j, "a", 1), -EINVAL);
	assert_int_equal(json_append(NULL, json_array()), -ENOMEM);
	assert_int_equal(json_append(j, NULL), -ENOMEM);
	json_remove(NULL, "a");
	json_free(j);
}

static void hostile_text_prints_valid(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct json *j = json_object(), *again;

	assert_int_equal(json_set_text(j, "k\xff",
				 "\xed\xa0\x80"
				 "a\xf0"),
		0);
	assert_int_equal(json_print(j, &out, true), 0);
	again = parse(out.buf);
	assert_string_equal(json_text(json_get(again, "k\xef\xbf\xbd")),
		"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
		"a\xef\xbf\xbd");
	json_free(again);
	json_free(j);
}

static void copies(void **state)
{
	struct json *j = parse("{\"a\":{\"b\":[1,\"x\"]}}"), *list = json_array();
	struct json *copy = json_copy(json_get(j, "a"));

	assert_null(json_key(copy));
	assert_null(json_copy(NULL));
	json_free(j);
	assert_int_equal(json_append(list, copy), 0);
	assert_null(json_key(json_first(list)));
	prints(list, "[{\"b\":[1,\"x\"]}]");
	json_free(list);
}

static void pretty(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct json *j = parse("{\"a\":[1,{\"b\":null}],\"c\":[],\"d\":{}}");

	strbuf_adds(&out, ">");
	assert_int_equal(json_print(j, &out, true), 0);
	assert_string_equal(out.buf,
		">{\n\t\"a\": [\n\t\t1,\n\t\t{\n\t\t\t\"b\": null\n\t\t}\n\t],\n"
		"\t\"c\": [],\n\t\"d\": {}\n}");
	json_free(j);
}

static void bounded_print(void **state)
{
	struct json *j = parse("[1,2,3,4,5]");
	struct strbuf out;

	strbuf_init(&out, 5);
	assert_int_equal(json_print(j, &out, false), -E2BIG);
	assert_true(out.len <= 5);
	strbuf_release(&out);
	json_free(j);
}

static void doubles_survive(void **state)
{
	const double all[] = {0.1, 1.0 / 3, DBL_MAX, DBL_MIN, 5e-324, -0.0, 1e22,
		123456789.123456789, 9007199254740994.0, 2.2250738585072011e-308, -1e-7};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		AUTO_BUF struct strbuf out = STRBUF_INIT;
		struct json *object = json_object(), *again;
		double v;

		json_set_number(object, "v", all[i]);
		json_print(object, &out, false);
		again = parse(out.buf);
		v = json_number(json_get(again, "v"), NAN);
		assert_memory_equal(&v, &all[i], sizeof(v));
		json_free(again);
		json_free(object);
	}
}

static void non_finite_is_null(void **state)
{
	struct json *j = json_object();

	json_set_number(j, "a", NAN);
	json_set_number(j, "b", -INFINITY);
	prints(j, "{\"a\":null,\"b\":null}");
	assert_int_equal(json_int(json_get(j, "a"), 5), 5);
	json_free(j);
}

static void round_trips(void **state)
{
	same("[]");
	same("{}");
	same("null");
	same("\"\"");
	same("[true,false,null,-1,0,0.5]");
	same("{\"a b\":[[[]]],\"\\\"\":\"\\\\\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(absent),
		cmocka_unit_test(whole_numbers),
		cmocka_unit_test(bad_text),
		cmocka_unit_test(says_where),
		cmocka_unit_test(nul_bytes),
		cmocka_unit_test(number_length),
		cmocka_unit_test(depth),
		cmocka_unit_test(too_long),
		cmocka_unit_test(too_many_values),
		cmocka_unit_test(duplicate_keys),
		cmocka_unit_test(many_keys),
		cmocka_unit_test(building),
		cmocka_unit_test(inserting),
		cmocka_unit_test(building_fails),
		cmocka_unit_test(hostile_text_prints_valid),
		cmocka_unit_test(copies),
		cmocka_unit_test(pretty),
		cmocka_unit_test(bounded_print),
		cmocka_unit_test(doubles_survive),
		cmocka_unit_test(non_finite_is_null),
		cmocka_unit_test(round_trips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
