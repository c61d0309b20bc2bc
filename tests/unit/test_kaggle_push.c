/*
 * The pure parts of a push to Kaggle: names, the metadata of strangers, the text with its token, what may
 * be adopted, names of outputs, the ledger.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "backends/kaggle/ledger.h"
#include "backends/kaggle/metadata.h"
#include "backends/kaggle/name.h"
#include "backends/kaggle/slug.h"
#include "backends/kaggle/source.h"
#include "fs/base/cleanup.h"
#include "fs/base/json.h"
#include "fs/base/sha256.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

/* ---- Names ---- */

static void assert_slug(const char *title, const char *slug)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	assert_int_equal(kaggle_slug_of(title, &out), 0);
	assert_string_equal(out.buf, slug);
}

static void slugs_are_those_of_kaggle(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	assert_slug("Demo run v1.2 (final)!", "demo-run-v1-2-final");
	assert_slug("a__b  c", "a-b-c");
	assert_slug("\xc3\x89valuation mod\xc3\xa8le", "evaluation-modele");
	assert_slug("Stra\xc3\x9f" "e \xe2\x80\x94 2", "strasse-2");
	assert_slug("", "");
	assert_int_equal(kaggle_slug_of("\xe6\x97\xa5\xe6\x9c\xac", &out), -EILSEQ);
	assert_int_equal(kaggle_slug_of("a\xff", &out), -EILSEQ);
}

static void slugs_are_checked(void **state)
{
	assert_true(kaggle_slug_valid("demo-run"));
	assert_false(kaggle_slug_valid("demo"));
	assert_false(kaggle_slug_valid("demo--run"));
	assert_false(kaggle_slug_valid("-demo-run"));
	assert_false(kaggle_slug_valid("Demo-Run"));
	assert_false(kaggle_slug_valid("demo/run"));
	assert_false(kaggle_slug_valid("a23456789-123456789-123456789-123456789-123456789-1"));
	assert_true(kaggle_id_valid("alice/demo-run"));
	assert_false(kaggle_id_valid("alice/demo-run/3"));
	assert_false(kaggle_id_valid("../demo-run"));
	assert_false(kaggle_id_valid("/demo-run"));
	assert_false(kaggle_id_valid("demo-run"));
}

static void fresh_names_are_repeatable(void **state)
{
	static const char *const names[] = {"Titanic", "\xe6\x97\xa5\xe6\x9c\xac", "", "---", "a/../b",
		"a name that is very much longer than fifty characters altogether"};
	char a[KAGGLE_SLUG_MAX + 1], b[KAGGLE_SLUG_MAX + 1];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(kaggle_fresh_slug(names[i], "t-1-1", a), 0);
		assert_int_equal(kaggle_fresh_slug(names[i], "t-1-1", b), 0);
		assert_string_equal(a, b);
		assert_true(kaggle_slug_valid(a));
		assert_memory_equal(a, "kx-", 3);
		assert_int_equal(kaggle_fresh_slug(names[i], "t-1-2", b), 0);
		assert_string_not_equal(a, b);
	}
	assert_int_equal(kaggle_fresh_slug("Titanic", "t-1-1", a), 0);
	assert_memory_equal(a, "kx-titanic-", 11);
}

static void titles_give_their_slug(void **state)
{
	assert_string_equal(kaggle_title("demo-run", "Demo run"), "Demo run");
	assert_string_equal(kaggle_title("demo-run", "Another title"), "demo-run");
	assert_string_equal(kaggle_title("demo-run", "\xe6\x97\xa5\xe6\x9c\xac"), "demo-run");
	assert_string_equal(kaggle_title("demo-run", NULL), "demo-run");
}

static void remote_ids(void **state)
{
	static const char *const bad[] = {"", "a", "alice/demo-run", "alice/demo-run/3", "alice/demo-run/v0",
		"alice/demo-run/v-1", "alice/demo-run/v3x", "alice/demo-run/v99999999999999999999", "/v3",
		"../../etc/v3", "alice/x/y/v3", "alice,b/demo-run/v3"};
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct kaggle_remote r;

	assert_int_equal(kaggle_remote_parse("alice/demo-run/v3", &r), 0);
	assert_string_equal(r.slug, "alice/demo-run");
	assert_int_equal(r.version, 3);
	assert_int_equal(kaggle_remote_print(&r, &out), 0);
	assert_string_equal(out.buf, "alice/demo-run/v3");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(kaggle_remote_parse(bad[i], &r), -EINVAL);
}

/* ---- Metadata ---- */

struct read {
	struct kernel_metadata m;
	struct strbuf problems, warnings;
};

static void read_metadata(struct read *r, const char *text)
{
	strbuf_init(&r->problems, 1 << 20);
	strbuf_init(&r->warnings, 1 << 20);
	assert_int_equal(kernel_metadata_parse(text, strlen(text), &r->m, &r->problems, &r->warnings), 0);
}

static void release(struct read *r)
{
	kernel_metadata_release(&r->m);
	strbuf_release(&r->problems);
	strbuf_release(&r->warnings);
}

static void every_field_is_mapped(void **state)
{
	struct read r;

	read_metadata(&r, "{\"id\": \"alice/demo-run\", \"id_no\": 42, \"title\": \"Demo run\", \"code_file\": \"a.py\","
		"\"language\": \"python\", \"kernel_type\": \"script\", \"is_private\": \"false\", \"enable_gpu\": \"TRUE\","
		"\"enable_tpu\": false, \"enable_internet\": \"true\", \"dataset_sources\": [\"a/b\", \"datasets/a/c\", \"a/b/3\"],"
		"\"competition_sources\": [\"titanic\", \"c/house-prices\", \"competitions/x\"],"
		"\"kernel_sources\": [\"bob/k\", \"code/bob/l\"], \"model_sources\": [\"models/g/m/pyTorch/2b/1\", \"g/m/f/v/1\"],"
		"\"keywords\": [\"beginner\"], \"docker_image\": \"img\", \"docker_image_pinning_type\": \"latest\","
		"\"machine_shape\": \"NvidiaTeslaT4\", \"something_new\": [1]}");
	assert_string_equal(r.problems.buf, "");
	assert_string_equal(r.warnings.buf, "");
	assert_string_equal(r.m.id, "alice/demo-run");
	assert_int_equal(r.m.id_no, 42);
	assert_string_equal(r.m.title, "Demo run");
	assert_int_equal(r.m.is_private, 0);
	assert_int_equal(r.m.gpu, 1);
	assert_int_equal(r.m.tpu, 0);
	assert_int_equal(r.m.internet, 1);
	assert_string_equal(r.m.sources.datasets[0], "a/b");
	assert_string_equal(r.m.sources.datasets[1], "a/c");
	assert_string_equal(r.m.sources.datasets[2], "a/b/3");
	assert_null(r.m.sources.datasets[3]);
	assert_string_equal(r.m.sources.competitions[1], "house-prices");
	assert_string_equal(r.m.sources.competitions[2], "x");
	assert_string_equal(r.m.sources.kernels[1], "bob/l");
	assert_string_equal(r.m.sources.models[0], "g/m/pyTorch/2b/1");
	assert_string_equal(r.m.sources.models[1], "g/m/f/v/1");
	assert_string_equal(r.m.sources.keywords[0], "beginner");
	assert_string_equal(r.m.machine_shape, "NvidiaTeslaT4");
	assert_string_equal(r.m.docker_pinning, "latest");
	release(&r);
}

static void expect_problem(const char *text, const char *words)
{
	struct read r;

	read_metadata(&r, text);
	if (!strstr(r.problems.buf, words))
		fail_msg("%s: \"%s\" is not in: %s", text, words, r.problems.buf);
	release(&r);
}

static void hostile_metadata_becomes_sentences(void **state)
{
	expect_problem("[1]", "one JSON object");
	expect_problem("{", "cannot be read");
	expect_problem("{\"id\": 3}", "\"id\"");
	expect_problem("{\"id\": \"../../etc/passwd\"}", "owner/slug");
	expect_problem("{\"id\": \"alice/x\"}", "5 to 50");
	expect_problem("{\"id\": \"alice/a b c d e\"}", "owner/slug");
	expect_problem("{\"id_no\": \"x\"}", "whole number");
	expect_problem("{\"id_no\": -3}", "whole number");
	expect_problem("{\"is_private\": \"maybe\"}", "true or false");
	expect_problem("{\"dataset_sources\": \"a/b\"}", "list");
	expect_problem("{\"dataset_sources\": [\"titanic\"]}", "with a slash");
	expect_problem("{\"dataset_sources\": [3]}", "short texts");
	expect_problem("{\"dataset_sources\": [\"a/../b/c/d\"]}", "no source");
	expect_problem("{\"dataset_sources\": [\"a//b\"]}", "no source");
	expect_problem("{\"competition_sources\": [\"x y\"]}", "no source");
	expect_problem("{\"kernel_sources\": [\"a/b\\n\\u001b[2J\"]}", "no source");
	expect_problem("{\"machine_shape\": {}}", "short text");
}

static void a_sentence_carries_no_control_characters(void **state)
{
	struct read r;

	read_metadata(&r, "{\"dataset_sources\": [\"x\\u001b[2J\\ny\"], \"id\": \"a\\rb\"}");
	for (const char *p = r.problems.buf; *p; p++)
		assert_true((unsigned char)*p >= ' ' || *p == '\n');
	assert_null(r.m.sources.datasets);
	assert_null(r.m.id);
	release(&r);
}

static void the_template_of_the_official_client_names_nothing(void **state)
{
	struct read r;

	read_metadata(&r, "{\"id\": \"alice/INSERT_KERNEL_SLUG_HERE\", \"title\": \"INSERT_TITLE_HERE\"}");
	assert_null(r.m.id);
	assert_string_equal(r.problems.buf, "");
	release(&r);
}

static void a_title_of_another_slug_is_a_warning(void **state)
{
	struct read r;

	read_metadata(&r, "{\"id\": \"alice/demo-run\", \"title\": \"Quite another\"}");
	assert_string_equal(r.problems.buf, "");
	assert_non_null(strstr(r.warnings.buf, "Quite another"));
	release(&r);
}

/* ---- Texts ---- */

static const char notebook[] =
	"{\"cells\": [{\"cell_type\": \"markdown\", \"metadata\": {}, \"source\": [\"# T\\n\", \"x\"]},"
	"{\"cell_type\": \"code\", \"execution_count\": 3, \"metadata\": {}, \"outputs\": [{\"output_type\": \"stream\","
	"\"name\": \"stdout\", \"text\": \"secret output\"}], \"source\": [\"a = 1\\n\", \"print(a)\"]}],"
	"\"metadata\": {\"language_info\": {\"name\": \"python\"}}, \"nbformat\": 4, \"nbformat_minor\": 5}";

static const struct source_extras plain = {.token = "inst-1-1", .name = "run"};

static void make_notebook(const char *text, const struct source_extras *x, struct strbuf *out)
{
	struct why why = {0};

	if (source_notebook(text, strlen(text), x, out, &why))
		fail_msg("%s", why_text(&why));
}

static void notebooks_are_what_kaggle_takes(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	char token[TOKEN_MAX];
	struct json *j;
	const struct json *cell;

	make_notebook(notebook, &plain, &out);
	assert_null(strstr(out.buf, "secret output"));
	j = json_parse(out.buf, out.len, 1 << 20, NULL);
	cell = json_next(json_first(json_get(j, "cells")));
	assert_string_equal(json_text(json_get(cell, "source")), "a = 1\nprint(a)");
	assert_int_equal(json_count(json_get(cell, "outputs")), 0);
	assert_int_equal(json_int(json_get(cell, "execution_count"), 0), 3);
	assert_string_equal(json_text(json_get(json_get(json_get(j, "metadata"), "kernelspec"), "name")), "python3");
	assert_string_equal(json_text(json_get(json_get(json_get(j, "metadata"), "language_info"), "name")), "python");
	assert_int_equal(source_token(out.buf, token), 0);
	assert_string_equal(token, "inst-1-1");
	json_free(j);
}

static void what_must_travel_comes_first_and_once(void **state)
{
	AUTO_BUF struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;
	struct json *env = json_object(), *parameters = json_object();
	struct source_extras x = plain;
	const struct json *cell;
	struct json *j;
	char token[TOKEN_MAX];

	json_set_text(env, "SEED", "1'; import os");
	json_set_number(parameters, "lr", 0.5);
	x.env = env;
	x.parameters = parameters;
	x.dataset = "alice/kx-0123";
	x.probe = "helper.py";
	make_notebook(notebook, &x, &first);
	x.token = "inst-2-1";
	make_notebook(first.buf, &x, &second); /* a fork of what was pulled */
	j = json_parse(second.buf, second.len, 1 << 20, NULL);
	assert_int_equal(json_count(json_get(j, "cells")), 4);
	cell = json_first(json_get(j, "cells"));
	assert_non_null(strstr(json_text(json_get(cell, "source")), "os.environ['SEED'] = '1\\'; import os'"));
	assert_non_null(strstr(json_text(json_get(cell, "source")), "_kexec_files('alice/kx-0123', 'helper.py')"));
	assert_non_null(strstr(json_text(json_get(json_next(cell), "source")), "lr = 0.5"));
	assert_int_equal(source_token(second.buf, token), 0);
	assert_string_equal(token, "inst-2-1");
	json_free(j);
	json_free(env);
	json_free(parameters);
}

static void assert_script(const char *text, const char *expected)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	assert_int_equal(source_script(text, strlen(text), &plain, &out, NULL), 0);
	assert_string_equal(out.buf, expected);
}

static void scripts_stay_as_they_are(void **state)
{
	assert_script("print(1)\n", "print(1)\n# kexec.token: inst-1-1\n");
	assert_script("print(1)", "print(1)\n# kexec.token: inst-1-1\n");
	assert_script("", "# kexec.token: inst-1-1\n");
	assert_script("if 1:\r\n\tx = '''\r\n'''\r\n", "if 1:\r\n\tx = '''\r\n'''\r\n# kexec.token: inst-1-1\n");
}

static void assert_place(const char *before, const char *after)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	strbuf_addf(&text, "%s%s", before, after);
	if (source_script_place(text.buf, text.len) != strlen(before))
		fail_msg("%zu instead of %zu in: %s", source_script_place(text.buf, text.len), strlen(before), text.buf);
}

static void set_up_goes_where_python_allows_it(void **state)
{
	assert_place("", "import a\n");
	assert_place("#!/usr/bin/python3\n# -*- coding: utf-8 -*-\n\n", "import a\n");
	assert_place("\"\"\"Doc\nstring \\\"\"\"\n\"\"\"\n", "import a\n");
	assert_place("'doc'  # why\n", "x = 1\n");
	assert_place("r'''doc'''\nfrom __future__ import annotations\n", "x = 1\n");
	assert_place("# a\nfrom __future__ import (annotations, # (\n\tdivision)\n\nfrom __future__ import print_function\n",
		"import x\n");
	assert_place("from __future__ import \\\n  annotations\n", "x\n");
	assert_place("", "'a' + 'b'\n");
	assert_place("", "\"\"\"never ends\n");
	assert_place("\xef\xbb\xbf", "import a\n");
	assert_place("'doc'", "");
	assert_place("from __future__ import x", "");
}

static void a_script_gets_one_line_more(void **state)
{
	static const char text[] = "'doc'\nfrom __future__ import annotations\nprint(1)\n";
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct json *env = json_object();
	struct source_extras x = plain;

	json_set_text(env, "A", "b");
	x.env = env;
	assert_int_equal(source_script(text, strlen(text), &x, &out, NULL), 0);
	assert_non_null(strstr(out.buf, "annotations\nexec('import os\\n"));
	assert_non_null(strstr(out.buf, ")  # kexec\nprint(1)\n# kexec.token: inst-1-1\n"));
	json_free(env);
}

static void tokens_are_read_from_strangers(void **state)
{
	AUTO_BUF struct strbuf long_one = STRBUF_INIT;
	char token[TOKEN_MAX];

	assert_int_equal(source_token("", token), -ENOENT);
	assert_int_equal(source_token("{}", token), -ENOENT);
	assert_int_equal(source_token("{\"metadata\": {\"kexec\": {\"token\": 3}}}", token), -ENOENT);
	assert_int_equal(source_token("{\"metadata\": {\"kexec\": 3}}", token), -ENOENT);
	assert_int_equal(source_token("x = '# kexec.token: a'\n", token), -ENOENT);
	assert_int_equal(source_token("# kexec.token: a\nx\n# kexec.token: b\r\n", token), 0);
	assert_string_equal(token, "b");
	strbuf_adds(&long_one, "# kexec.token: ");
	for (int i = 0; i < 500; i++)
		strbuf_addch(&long_one, 'a');
	assert_int_equal(source_token(long_one.buf, token), -ENOENT);
}

static void cells_are_compared(void **state)
{
	AUTO_BUF struct strbuf ours = STRBUF_INIT;
	char other[sizeof(notebook)];

	make_notebook(notebook, &plain, &ours);
	assert_true(source_same(ours.buf, notebook)); /* no token, outputs there, sources in lists */
	memcpy(other, notebook, sizeof(notebook));
	*strstr(other, "= 1") = '+';
	assert_false(source_same(ours.buf, other));
	assert_false(source_same(ours.buf, "{\"cells\": [], \"metadata\": {}, \"nbformat\": 4, \"nbformat_minor\": 5}"));
	assert_false(source_same(ours.buf, ""));
	assert_false(source_same("", ""));
	assert_true(source_same("print(1)\n# kexec.token: a\n", "print(1)"));
	assert_true(source_same("print(1)\r\n", "print(1)\n# kexec.token: b"));
	assert_false(source_same("print(1)\n", "print(2)\n"));
	assert_false(source_same("print(1)\n", notebook));
}

/* ---- Outputs, ledger, digest ---- */

static void names_that_lead_out_are_refused(void **state)
{
	static const char *const bad[] = {"", "/etc/passwd", "..", "../x", "a/../../x", "a/..", "./a", "a//b", "a/",
		"a\nb", "a\x1b[2J", "\xff", "\xc2\x85"};
	static const char *const good[] = {"a", "a/b.csv", "..a", "a..", "\xe6\x97\xa5.csv", "a b", "-rf", "a\\b", ".hidden"};
	char part[300], deep[200];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(output_name_problem(bad[i]));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(output_name_problem(good[i]));
	memset(part, 'a', 256);
	part[256] = '\0';
	assert_non_null(output_name_problem(part));
	part[255] = '\0';
	assert_null(output_name_problem(part));
	for (size_t i = 0; i < sizeof(deep) - 1; i++)
		deep[i] = i % 2 ? '/' : 'a';
	deep[sizeof(deep) - 1] = '\0';
	deep[sizeof(deep) - 2] = 'a';
	assert_non_null(output_name_problem(deep));
}

static void the_ledger_counts_each_session_once(void **state)
{
	struct ledger_use use = {0, 0};

	ledger_sum("a/b/v1 gpu 1000 4600\na/b/v1 gpu 1000 4700\nnonsense\na/b/v11 gpu 5000 8600\n"
		   "a/b/v2 tpu 100 200\na/b/v3 tpu 9000 9100\na/b/v4 gpu 9 x", 2800, &use);
	assert_int_equal((int)use.gpu_s, 1800 + 3600);
	assert_int_equal((int)use.tpu_s, 100);
}

static void sha256_is_the_standards(void **state)
{
	char hex[SHA256_HEX], again[SHA256_HEX];
	char block[1000];
	struct sha256 s;

	sha256_hex_of("", 0, hex);
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_hex_of("abc", 3, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
	assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	sha256_begin(&s);
	memset(block, 'a', sizeof(block));
	for (int i = 0; i < 1000; i++)
		sha256_add(&s, block, sizeof(block));
	sha256_hex(&s, hex);
	assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
	for (size_t len = 0; len < 200; len++) { /* however it is divided */
		sha256_hex_of(block, len, hex);
		sha256_begin(&s);
		for (size_t i = 0; i < len; i += 7)
			sha256_add(&s, block, len - i < 7 ? len - i : 7);
		sha256_hex(&s, again);
		assert_string_equal(hex, again);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slugs_are_those_of_kaggle), cmocka_unit_test(slugs_are_checked),
		cmocka_unit_test(fresh_names_are_repeatable), cmocka_unit_test(titles_give_their_slug),
		cmocka_unit_test(remote_ids), cmocka_unit_test(every_field_is_mapped),
		cmocka_unit_test(hostile_metadata_becomes_sentences),
		cmocka_unit_test(a_sentence_carries_no_control_characters),
		cmocka_unit_test(the_template_of_the_official_client_names_nothing),
		cmocka_unit_test(a_title_of_another_slug_is_a_warning),
		cmocka_unit_test(notebooks_are_what_kaggle_takes),
		cmocka_unit_test(what_must_travel_comes_first_and_once),
		cmocka_unit_test(scripts_stay_as_they_are),
		cmocka_unit_test(set_up_goes_where_python_allows_it),
		cmocka_unit_test(a_script_gets_one_line_more), cmocka_unit_test(tokens_are_read_from_strangers),
		cmocka_unit_test(cells_are_compared), cmocka_unit_test(names_that_lead_out_are_refused),
		cmocka_unit_test(the_ledger_counts_each_session_once),
		cmocka_unit_test(sha256_is_the_standards)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
