#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/notebook/ipynb.h"
#include "tests/unit/folder.h"

static struct ipynb *parse(const char *text)
{
	struct why why = {0};
	struct ipynb *nb = ipynb_parse(text, strlen(text), &why);

	if (!nb)
		fail_msg("%s: %s", text, why_text(&why));
	return nb;
}

static struct json *json(const char *text)
{
	struct json *j = json_parse(text, strlen(text), 1 << 20, NULL);

	assert_non_null(j);
	return j;
}

static void expect_source(const struct ipynb *nb, size_t i, const char *wanted)
{
	struct strbuf source = STRBUF_INIT;

	assert_int_equal(ipynb_cell_source(nb, i, &source), 0);
	assert_string_equal(source.buf, wanted);
	strbuf_release(&source);
}

#define HEAD45 "\"nbformat\": 4, \"nbformat_minor\": 5"
#define HEAD44 "\"nbformat\": 4, \"nbformat_minor\": 4"

static void reads_cells(void **state)
{
	struct ipynb *nb = parse("{\"cells\": [{\"cell_type\": \"markdown\", \"source\": \"# t\", \"metadata\": {}},"
		"{\"cell_type\": \"code\", \"source\": [\"a = 1\\n\", \"b\"], \"metadata\": {}, \"outputs\": []},"
		"{\"cell_type\": \"code\"}, {\"cell_type\": \"raw\", \"source\": []}],"
		"\"metadata\": {\"kernelspec\": {\"name\": \"py39\", \"language\": \"python\"}}, " HEAD45 "}");

	assert_int_equal(ipynb_cells(nb), 4);
	assert_false(ipynb_cell_is_code(nb, 0));
	assert_true(ipynb_cell_is_code(nb, 1));
	assert_false(ipynb_cell_is_code(nb, 4));
	expect_source(nb, 0, "# t");
	expect_source(nb, 1, "a = 1\nb");
	expect_source(nb, 2, "");
	assert_string_equal(ipynb_kernel(nb), "py39");
	assert_string_equal(ipynb_language(nb), "python");
	assert_int_equal(ipynb_ensure_kernel(nb), 0);
	assert_string_equal(ipynb_kernel(nb), "py39");
	ipynb_free(nb);
}

static void languages(void **state)
{
	static const struct {
		const char *metadata, *language;
	} cases[] = {
		{"{}", "python"},
		{"{\"language_info\": {\"name\": \"R\"}}", "R"},
		{"{\"kernelspec\": {\"name\": \"ir\"}}", "R"},
		{"{\"kernelspec\": {\"name\": \"iris-env\"}}", "python"},
		{"{\"kernelspec\": {\"name\": \"julia-1.9\"}}", "julia"},
		{"{\"kernelspec\": {\"name\": \"ir\", \"language\": \"python\"}}", "python"},
		{"{\"kernelspec\": {\"name\": \"conda-root-py\"}}", "python"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[300];
		struct ipynb *nb;

		snprintf(text, sizeof(text), "{\"cells\": [], \"metadata\": %s, " HEAD45 "}", cases[i].metadata);
		nb = parse(text);
		assert_string_equal(ipynb_language(nb), cases[i].language);
		ipynb_free(nb);
	}
}

static void adds_a_kernel_where_none_is(void **state)
{
	static const char *const without[] = {
		"{\"cells\": [], " HEAD45 "}",
		"{\"cells\": [], \"metadata\": {}, " HEAD45 "}",
		"{\"cells\": [], \"metadata\": {\"kernelspec\": {}, \"kaggle\": {\"isGpuEnabled\": true}}, " HEAD45 "}",
		"{\"cells\": [], \"metadata\": {\"kernelspec\": {\"name\": \"\"}}, " HEAD45 "}",
	};

	for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
		struct ipynb *nb = parse(without[i]);

		assert_null(ipynb_kernel(nb));
		assert_int_equal(ipynb_ensure_kernel(nb), 0);
		assert_string_equal(ipynb_kernel(nb), "python3");
		assert_string_equal(ipynb_language(nb), "python");
		if (i == 2)
			assert_true(json_bool(json_get(json_get(json_get(ipynb_root(nb), "metadata"), "kaggle"),
				"isGpuEnabled"), false));
		ipynb_free(nb);
	}
}

static void hostile_documents_get_a_sentence(void **state)
{
	static const struct {
		const char *text, *said;
	} cases[] = {
		{"", ""},
		{"{\"cells\": [", "line 1"},
		{"{\n\"cells\": [}\n", "line 2"},
		{"[]", "not a notebook"},
		{"null", "not a notebook"},
		{"{}", "not a notebook"},
		{"{\"kexec\": 1}", "not a notebook"},
		{"{\"cells\": []}", "nbformat"},
		{"{\"cells\": [], \"nbformat\": \"4\"}", "nbformat"},
		{"{\"cells\": [], \"nbformat\": 4.5}", "nbformat"},
		{"{\"worksheets\": [], \"nbformat\": 3}", "nbformat 3 is too old"},
		{"{\"cells\": [], \"nbformat\": 5}", "nbformat 5"},
		{"{\"cells\": [], \"nbformat\": 1e300}", "nbformat"},
		{"{\"nbformat\": 4}", "no list of cells"},
		{"{\"cells\": {}, \"nbformat\": 4}", "no list of cells"},
		{"{\"cells\": null, \"nbformat\": 4}", "no list of cells"},
		{"{\"cells\": [3], \"nbformat\": 4}", "cell 1 is not an object"},
		{"{\"cells\": [{}], \"nbformat\": 4}", "cell_type"},
		{"{\"cells\": [{\"cell_type\": []}], \"nbformat\": 4}", "cell_type"},
		{"{\"cells\": [{\"cell_type\": \"code\", \"source\": 3}], \"nbformat\": 4}", "source of cell 1"},
		{"{\"cells\": [{\"cell_type\": \"code\", \"source\": [\"a\", 3]}], \"nbformat\": 4}", "source of cell 1"},
		{"{\"cells\": [{\"cell_type\": \"code\", \"source\": {\"a\": \"b\"}}], \"nbformat\": 4}", "source of cell 1"},
		{"{\"cells\": [{\"cell_type\": \"code\", \"metadata\": []}], \"nbformat\": 4}", "metadata of cell 1"},
		{"{\"cells\": [{\"cell_type\": \"code\", \"metadata\": {\"tags\": \"x\"}}], \"nbformat\": 4}", "tags of cell 1"},
		{"{\"cells\": [{\"cell_type\": \"code\", \"metadata\": {\"tags\": [1]}}], \"nbformat\": 4}", "tags of cell 1"},
		{"{\"cells\": [{\"cell_type\": \"code\", \"outputs\": {}}], \"nbformat\": 4}", "outputs of cell 1"},
		{"{\"cells\": [], \"metadata\": [], \"nbformat\": 4}", "metadata of the notebook"},
		{"{\"cells\": [], \"metadata\": {\"kernelspec\": \"python3\"}, \"nbformat\": 4}", "kernelspec"},
		{"{\"cells\": [], \"metadata\": {\"kernelspec\": {\"name\": 3}}, \"nbformat\": 4}", "kernelspec"},
		{"{\"cells\": [], \"metadata\": {\"language_info\": 3}, \"nbformat\": 4}", "language_info"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct why why = {0};

		if (ipynb_parse(cases[i].text, strlen(cases[i].text), &why))
			fail_msg("taken: %s", cases[i].text);
		if (!why.err || !why.text[0] || !strstr(why.text, cases[i].said))
			fail_msg("%s: %s", cases[i].text, why_text(&why));
	}
}

static void too_large_and_too_deep(void **state)
{
	struct why why = {0};
	size_t deep = 100000;
	char *text = malloc(deep);

	assert_null(ipynb_parse("", IPYNB_MAX_BYTES + 1, &why)); /* not one byte of it is read */
	assert_int_equal(why.err, E2BIG);
	assert_non_null(strstr(why.text, "64"));
	memset(text, '[', deep);
	assert_null(ipynb_parse(text, deep, &why));
	assert_true(why.err == E2BIG || why.err == EINVAL);
	free(text);
}

static void inject(struct ipynb *nb, const char *parameters)
{
	struct json *j = json(parameters);
	struct why why = {0};

	if (ipynb_inject(nb, j, &why))
		fail_msg("%s", why_text(&why));
	json_free(j);
}

static const struct json *cell(const struct ipynb *nb, size_t i)
{
	const struct json *c = json_first(json_get(ipynb_root(nb), "cells"));

	while (i--)
		c = json_next(c);
	return c;
}

static void injects_after_the_parameters_cell(void **state)
{
	struct ipynb *nb = parse("{\"cells\": [{\"cell_type\": \"code\", \"id\": \"a\", \"source\": \"import x\"},"
		"{\"cell_type\": \"code\", \"id\": \"b\", \"source\": \"lr = 1\", \"metadata\": {\"tags\": [\"z\", \"parameters\"]}},"
		"{\"cell_type\": \"code\", \"id\": \"c\", \"source\": \"fit()\"}], " HEAD45 "}");

	inject(nb, "{\"lr\": 0.1, \"name\": \"it's\"}");
	assert_int_equal(ipynb_cells(nb), 4);
	expect_source(nb, 1, "lr = 1");
	expect_source(nb, 2, "# Parameters\nlr = 0.1\nname = 'it\\'s'\n");
	expect_source(nb, 3, "fit()");
	assert_true(ipynb_cell_is_code(nb, 2));
	assert_string_equal(json_text(json_get(cell(nb, 2), "id")), "kexec-parameters");
	assert_string_equal(json_text(json_first(json_get(json_get(cell(nb, 2), "metadata"), "tags"))),
		"injected-parameters");
	assert_int_equal(json_type(json_get(cell(nb, 2), "execution_count")), JSON_NULL);
	assert_int_equal(json_type(json_get(cell(nb, 2), "outputs")), JSON_ARRAY);
	inject(nb, "{\"lr\": 2}"); /* again: replaced, not added */
	assert_int_equal(ipynb_cells(nb), 4);
	expect_source(nb, 2, "# Parameters\nlr = 2\n");
	assert_string_equal(json_text(json_get(cell(nb, 2), "id")), "kexec-parameters");
	ipynb_free(nb);
}

static void injects_first_where_no_cell_is_tagged(void **state)
{
	struct ipynb *nb = parse("{\"cells\": [{\"cell_type\": \"markdown\", \"source\": \"t\","
		"\"metadata\": {\"tags\": [\"parameters\"]}}, {\"cell_type\": \"code\", \"source\": \"x\"}], " HEAD44 "}");

	inject(nb, "{\"a\": [1, {\"b\": null}]}");
	assert_int_equal(ipynb_cells(nb), 3);
	expect_source(nb, 0, "# Parameters\na = [1, {'b': None}]\n");
	assert_int_equal(json_type(json_get(cell(nb, 0), "id")), JSON_ABSENT); /* forbidden before 4.5 */
	ipynb_free(nb);
	nb = parse("{\"cells\": [], \"nbformat\": 4}");
	inject(nb, "{}");
	assert_int_equal(ipynb_cells(nb), 1);
	expect_source(nb, 0, "# Parameters\n");
	ipynb_free(nb);
}

static void injected_ids_are_unique(void **state)
{
	struct ipynb *nb = parse("{\"cells\": [{\"cell_type\": \"code\", \"id\": \"kexec-parameters\", \"source\": \"x\"},"
		"{\"cell_type\": \"code\", \"id\": \"kexec-parameters-7\", \"source\": \"x\"},"
		"{\"cell_type\": \"code\", \"id\": \"kexec-parameters-99999999999999999999\", \"source\": \"x\"}], " HEAD45 "}");

	inject(nb, "{\"a\": 1}");
	assert_string_equal(json_text(json_get(cell(nb, 0), "id")), "kexec-parameters-8");
	ipynb_free(nb);
}

static void refuses_what_is_no_name(void **state)
{
	static const char *const bad[] = {"{\"a b\": 1}", "{\"\": 1}", "{\"1a\": 1}", "{\"a\\nimport os\": 1}",
		"{\"a=1#\": 1}", "{\"None\": 1}", "{\"for\": 1}", "{\"a\\u2028b\": 1}", "{\"a\\u3000b\": 1}", "[1]"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ipynb *nb = parse("{\"cells\": [], \"nbformat\": 4}");
		struct json *j = json(bad[i]);
		struct why why = {0};

		assert_int_equal(ipynb_inject(nb, j, &why), -EINVAL);
		assert_true(why.text[0]);
		assert_int_equal(ipynb_cells(nb), 0);
		json_free(j);
		ipynb_free(nb);
	}
	assert_true(python_identifier("学習率"));
	assert_true(python_identifier("_a9"));
	assert_false(python_identifier("a\xff"));
}

static void prints_what_it_read(void **state)
{
	static const char text[] = "{\"cells\": [{\"cell_type\": \"code\", \"source\": [\"a\\n\"], \"x\": 1.5}], "
		"\"metadata\": {\"colab\": {\"y\": [true]}}, " HEAD45 "}";
	struct ipynb *nb = parse(text), *again;
	struct strbuf out = STRBUF_INIT, twice = STRBUF_INIT;

	assert_int_equal(ipynb_print(nb, &out), 0);
	again = parse(out.buf);
	assert_int_equal(ipynb_print(again, &twice), 0);
	assert_string_equal(out.buf, twice.buf);
	assert_true(json_number(json_get(cell(again, 0), "x"), 0) == 1.5);
	strbuf_release(&out);
	strbuf_release(&twice);
	ipynb_free(nb);
	ipynb_free(again);
}

static void finds_the_failing_cell(void **state)
{
	struct ipynb_error e;
	struct ipynb *nb = parse("{\"cells\": [{\"cell_type\": \"markdown\", \"outputs\": [{\"output_type\": \"error\"}]},"
		"{\"cell_type\": \"code\", \"metadata\": {\"tags\": [\"raises-exception\"]},"
		" \"outputs\": [{\"output_type\": \"error\", \"ename\": \"Expected\"}]},"
		"{\"cell_type\": \"code\", \"outputs\": [3, {\"output_type\": 7}, {\"output_type\": \"stream\"},"
		" {\"output_type\": \"error\", \"ename\": \"ValueError\", \"evalue\": \"\\u001b[31mbad\\u001b[0m\","
		"  \"traceback\": [\"\\u001b[0;31mTraceback\\u001b[0m\", \"line 2\", 5]}]}], " HEAD45 "}");

	assert_int_equal(ipynb_find_error(nb, &e), 0);
	assert_int_equal(e.cell, 3);
	assert_string_equal(e.ename, "ValueError");
	assert_string_equal(e.evalue, "bad");
	assert_string_equal(e.traceback, "Traceback\nline 2\n");
	ipynb_error_release(&e);
	ipynb_free(nb);
	nb = parse("{\"cells\": [{\"cell_type\": \"code\", \"outputs\": [{\"output_type\": \"error\", \"ename\": {},"
		"\"evalue\": [\"a\", \"b\"], \"traceback\": \"x\"}]}], \"nbformat\": 4}");
	assert_int_equal(ipynb_find_error(nb, &e), 0);
	assert_string_equal(e.ename, "");
	assert_string_equal(e.evalue, "ab");
	assert_string_equal(e.traceback, "x");
	ipynb_error_release(&e);
	ipynb_free(nb);
	nb = parse("{\"cells\": [{\"cell_type\": \"code\", \"outputs\": []}], \"nbformat\": 4}");
	assert_int_equal(ipynb_find_error(nb, &e), -ENOENT);
	ipynb_error_release(&e);
	ipynb_free(nb);
}

static void expect_literal(const char *value, const char *wanted)
{
	struct json *j = json(value);
	struct strbuf out = STRBUF_INIT;

	assert_int_equal(python_literal(j, &out), 0);
	assert_string_equal(out.buf, wanted);
	strbuf_release(&out);
	json_free(j);
}

static void literals(void **state)
{
	struct strbuf out = STRBUF_INIT;

	expect_literal("null", "None");
	expect_literal("true", "True");
	expect_literal("false", "False");
	expect_literal("3", "3");
	expect_literal("-9007199254740992", "-9007199254740992");
	expect_literal("0.1", "0.1");
	expect_literal("-0.0", "-0.0");
	expect_literal("1e300", "1e+300");
	expect_literal("1e16", "1e+16");
	expect_literal("3.141592653589793", "3.141592653589793");
	expect_literal("\"a'b\\\"c\\\\\"", "'a\\'b\"c\\\\'");
	expect_literal("\"\\n\\r\\t\\u0001\\u007f\\u2028\\u202e\\u0085\"", "'\\n\\r\\t\\x01\\x7f\\u2028\\u202e\\u0085'");
	expect_literal("\"\\ud83d\\ude00 学\"", "'\xf0\x9f\x98\x80 学'");
	expect_literal("[]", "[]");
	expect_literal("{\"a\": [1, 2.5], \"b'\": {}}", "{'a': [1, 2.5], 'b\\'': {}}");
	assert_int_equal(python_literal(NULL, &out), 0);
	assert_string_equal(out.buf, "None");
	strbuf_release(&out);
}

/* The judge is Python: ast.literal_eval of the literal equals json.loads of the JSON. */
static void python_reads_the_same(void **state)
{
	static const char *const values[] = {
		"{\"a\": [1, 2.5, -0.0, 1e-320, 1.7976931348623157e308, null, true], \"\": \"\"}",
		"\"'''\\\"\\\"\\\"\\\\'\\\\\\\\n\\u0000x\"",
		"\"\\u0001\\u0002\\u001b[31m\\u007f\\u0080\\u009f\\u2028\\u2029\\u202e\\ufeff\"",
		"\"\\\\\"", "\"\\\\'\"", "\"{x} %s $(rm) `id`\"",
		"[0.1, 0.2, 0.30000000000000004, 123456789.123456789, 5e-324, 9007199254740991]",
		"[[[[[[[[[[[[[[[[[[[[\"deep\"]]]]]]]]]]]]]]]]]]]]",
		"\"学習 \\ud83d\\ude00 \\u00e9\"",
	};
	struct folder f = folder_make();
	struct strbuf lines = STRBUF_INIT;
	char command[600];

	if (access("/usr/bin/python3", X_OK) != 0) {
		folder_finish(&f);
		skip();
	}
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct json *j = json_parse(values[i], strlen(values[i]), 1 << 20, NULL);

		if (!j) /* an escaped NUL is refused when it is read */
			continue;
		assert_int_equal(python_literal(j, &lines), 0);
		strbuf_addf(&lines, "\n%s\n", values[i]);
		json_free(j);
	}
	folder_write(&f, "lines", lines.buf);
	snprintf(command, sizeof(command),
		"/usr/bin/python3 -c 'import ast, json, sys\n"
		"rows = open(sys.argv[1], encoding=\"utf-8\", newline=\"\\n\").read().split(\"\\n\")\n"
		"assert len(rows) == 17, len(rows)\n"
		"for a, b in zip(rows[0::2], rows[1::2]):\n"
		"    x, y = ast.literal_eval(a), json.loads(b)\n"
		"    assert x == y and repr(x) == repr(y), (a, b)\n' %s/lines", f.path);
	assert_int_equal(system(command), 0);
	strbuf_release(&lines);
	folder_finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_cells),
		cmocka_unit_test(languages),
		cmocka_unit_test(adds_a_kernel_where_none_is),
		cmocka_unit_test(hostile_documents_get_a_sentence),
		cmocka_unit_test(too_large_and_too_deep),
		cmocka_unit_test(injects_after_the_parameters_cell),
		cmocka_unit_test(injects_first_where_no_cell_is_tagged),
		cmocka_unit_test(injected_ids_are_unique),
		cmocka_unit_test(refuses_what_is_no_name),
		cmocka_unit_test(prints_what_it_read),
		cmocka_unit_test(finds_the_failing_cell),
		cmocka_unit_test(literals),
		cmocka_unit_test(python_reads_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
