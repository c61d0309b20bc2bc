#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/check.h"
#include "fs/engine/options.h"
#include "fs/engine/problem.h"
#include "fs/notebook/ipynb.h"
#include "tests/unit/folder.h"

struct fixture {
	struct folder folder;
	struct options o;
	struct problems problems;
};

static char *local_list[] = {(char[]){"local"}, NULL};
static char *kaggle_list[] = {(char[]){"kaggle"}, NULL};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->folder = folder_make();
	options_init(&f->o);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	problems_release(&f->problems);
	folder_finish(&f->folder);
	free(f);
	return 0;
}

static void check(struct fixture *f)
{
	struct why why = {0};

	problems_release(&f->problems);
	if (check_source(f->folder.fd, &f->o, &f->problems, &why))
		fail_msg("%s", why_text(&why));
}

static const struct problem *find(const struct fixture *f, const char *rule)
{
	for (size_t i = 0; i < f->problems.count; i++) {
		if (strcmp(f->problems.list[i].check, rule) == 0)
			return &f->problems.list[i];
	}
	return NULL;
}

/* Exactly one problem, of that rule, with a remedy. */
static const struct problem *expect_one(struct fixture *f, enum severity severity, const char *rule)
{
	check(f);
	if (f->problems.count != 1 || strcmp(f->problems.list[0].check, rule) != 0)
		fail_msg("%zu problems instead of %s: %s: %s", f->problems.count, rule,
			f->problems.count ? f->problems.list[0].check : "-",
			f->problems.count ? f->problems.list[0].what : "-");
	assert_int_equal(f->problems.list[0].severity, severity);
	assert_true(f->problems.list[0].what[0] && f->problems.list[0].fix[0]);
	return &f->problems.list[0];
}

static void expect_none(struct fixture *f)
{
	check(f);
	if (f->problems.count)
		fail_msg("%s: %s", f->problems.list[0].check, f->problems.list[0].what);
}

static void notebook(struct fixture *f, const char *source)
{
	struct json *root = json_object(), *cells = json_array(), *cell = json_object();
	struct strbuf text = STRBUF_INIT;

	f->o.kind = KIND_NOTEBOOK;
	f->o.main = (char *)"n.ipynb";
	f->o.backends = local_list;
	json_set_int(root, "nbformat", 4);
	json_set_text(cell, "cell_type", "code");
	json_set_text(cell, "source", source);
	json_append(cells, cell);
	json_set(root, "cells", cells);
	json_print(root, &text, true);
	folder_write(&f->folder, "n.ipynb", text.buf);
	strbuf_release(&text);
	json_free(root);
}

static void script(struct fixture *f, const char *source)
{
	f->o.kind = KIND_SCRIPT;
	f->o.main = (char *)"s.py";
	f->o.backends = local_list;
	folder_write(&f->folder, "s.py", source);
}

static void good_sources(void **state)
{
	struct fixture *f = *state;

	notebook(f, "import os\nprint('hello')\n%matplotlib inline\n!ls\n# /home/ann/x is only a comment\n");
	mkdirat(f->folder.fd, "lib", 0700);
	folder_write(&f->folder, "lib/helper.py", "x = 1\n");
	symlinkat("lib/helper.py", f->folder.fd, "helper.py");
	symlinkat("../n.ipynb", f->folder.fd, "lib/back");
	expect_none(f);
	script(f, "if 5 != 4:\n    print('x')\n");
	expect_none(f);
}

static void nothing_to_run(void **state)
{
	struct fixture *f = *state;

	f->o.missing = (char *)"several notebooks";
	assert_non_null(strstr(expect_one(f, PROBLEM_ERROR, "source.entry")->what, "several notebooks"));
}

static void notebooks_that_cannot_be_read(void **state)
{
	struct fixture *f = *state;
	const struct problem *p;

	notebook(f, "");
	folder_write(&f->folder, "n.ipynb", "{\"cells\": [\n{\"cell_type\": \"code\"\n");
	p = expect_one(f, PROBLEM_ERROR, "notebook.json");
	assert_string_equal(p->file, "n.ipynb");
	assert_true(p->line >= 2);
	assert_non_null(strstr(p->what, "column"));
	folder_write(&f->folder, "n.ipynb", "{\"cells\": [\n<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> x\n]}");
	assert_int_equal(expect_one(f, PROBLEM_ERROR, "code.conflict")->line, 2);
	folder_write(&f->folder, "n.ipynb", "{\"worksheets\": [], \"nbformat\": 3}");
	assert_non_null(strstr(expect_one(f, PROBLEM_ERROR, "notebook.format")->what, "nbformat 3"));
	folder_write(&f->folder, "n.ipynb",
		"{\"cells\": [{\"cell_type\": \"code\"}], \"metadata\": {\"kernelspec\": {\"name\": \"ir\", \"language\": \"R\"}}, \"nbformat\": 4}");
	assert_non_null(strstr(expect_one(f, PROBLEM_ERROR, "notebook.kernel")->what, "R"));
	folder_write(&f->folder, "n.ipynb", "{\"cells\": [{\"cell_type\": \"markdown\"}], \"nbformat\": 4}");
	expect_one(f, PROBLEM_WARNING, "notebook.empty");
	folder_write(&f->folder, "n.ipynb", "");
	expect_one(f, PROBLEM_ERROR, "notebook.json");
	unlinkat(f->folder.fd, "n.ipynb", 0);
	mkdirat(f->folder.fd, "n.ipynb", 0700);
	expect_one(f, PROBLEM_ERROR, "source.entry");
	unlinkat(f->folder.fd, "n.ipynb", AT_REMOVEDIR);
	expect_one(f, PROBLEM_ERROR, "source.entry");
}

static void a_notebook_of_65_mebibytes(void **state)
{
	struct fixture *f = *state;
	int fd;

	notebook(f, "");
	fd = openat(f->folder.fd, "n.ipynb", O_WRONLY | O_CLOEXEC);
	assert_int_equal(ftruncate(fd, (off_t)IPYNB_MAX_BYTES + 1), 0); /* sparse: takes no disk */
	close(fd);
	assert_non_null(strstr(expect_one(f, PROBLEM_ERROR, "source.size")->fix, "clear"));
}

static void merge_conflicts(void **state)
{
	struct fixture *f = *state;
	const struct problem *p;

	notebook(f, "a = 1\n<<<<<<< HEAD\nb = 2\n=======\nb = 3\n>>>>>>> other\n");
	p = expect_one(f, PROBLEM_ERROR, "code.conflict");
	assert_int_equal(p->cell, 1);
	assert_int_equal(p->line, 2);
	notebook(f, ">>> doctest\n=======\nx <<<<<<< y\n");
	expect_none(f);
	script(f, "a\n>>>>>>> other\n");
	assert_int_equal(expect_one(f, PROBLEM_ERROR, "code.conflict")->line, 2);
}

static void installing_without_internet(void **state)
{
	static const char *const bad[] = {"!pip install x", "%pip  install -q x", "!conda install x",
		"os.system('pip3 install x')", "subprocess.run(['pip', 'install', 'x'])", "!python -m pip install x"};
	static const char *const good[] = {"!pip install --no-index --find-links=/w x", "!pip install ./wheel.whl",
		"!pip install /kaggle/working/x.whl", "!pip list", "# !pip install x", "pipeline.install()"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		notebook(f, bad[i]);
		f->o.internet = true;
		expect_none(f);
		f->o.internet = false;
		expect_one(f, PROBLEM_WARNING, "code.install");
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		notebook(f, good[i]);
		expect_none(f);
	}
}

static void input_paths(void **state)
{
	struct fixture *f = *state;
	char *inputs[] = {(char[]){"titanic"}, NULL};
	const char *source = "pd.read_csv('/kaggle/input/titanic/train.csv')\n"
		"pd.read_csv('/kaggle/input/titanic/test.csv')\nos.walk('/kaggle/input')\nos.walk('/kaggle/input/')\n";

	notebook(f, source);
	assert_non_null(strstr(expect_one(f, PROBLEM_WARNING, "code.input")->what, "titanic"));
	f->o.datasets = json_object();
	json_set_text(f->o.datasets, "c/titanic", f->folder.path);
	expect_none(f);
	json_set_text(f->o.datasets, "c/titanic", "/nonexistent/titanic");
	assert_non_null(strstr(expect_one(f, PROBLEM_WARNING, "code.input")->what, "does not exist"));
	json_free(f->o.datasets);
	f->o.datasets = NULL;
	f->o.inputs = inputs;
	expect_one(f, PROBLEM_WARNING, "code.input"); /* attached on Kaggle, but it runs here */
	f->o.backends = kaggle_list;
	expect_none(f);
	notebook(f, "open('/kaggle/input/competitions/titanic/x'), open('/kaggle/input/datasets/me/titanic/x')");
	f->o.backends = kaggle_list;
	expect_none(f);
	f->o.inputs = NULL;
	check(f);
	assert_int_equal(f->problems.count, 1); /* one slug, told once */
	f->o.inputs = NULL;
}

static void home_paths(void **state)
{
	static const char *const bad[] = {"open('/home/ann/x.csv')", "p = '/Users/ann/x'",
		"open(r'C:\\Users\\ann\\x')", "open('C:/Users/ann/x')"};
	static const char *const good[] = {"open('data/home/ann/x')", "get('https://x.org/home/ann/x')",
		"open('/home/')", "open('/home')", "f'{root}/home/x/y'"};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		script(f, bad[i]);
		expect_one(f, PROBLEM_WARNING, "code.home");
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		script(f, good[i]);
		expect_none(f);
	}
}

static void gpu_without_a_use(void **state)
{
	static const char *const uses[] = {"import torch", "from tensorflow import keras", "XGBClassifier(device='cuda')",
		"LGBMClassifier(device='gpu')", "tree_method='gpu_hist'", "!nvidia-smi", "import cupy as cp", "import jax.numpy"};
	struct fixture *f = *state;

	notebook(f, "import sklearn\n# import torch\nmytorches = 1\n");
	expect_none(f);
	f->o.gpu = (char *)"T4";
	expect_one(f, PROBLEM_WARNING, "code.gpu");
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++) {
		notebook(f, uses[i]);
		expect_none(f);
	}
	notebook(f, "import model\n");
	mkdirat(f->folder.fd, "pkg", 0700);
	folder_write(&f->folder, "pkg/model.py", "import torch\n");
	expect_none(f);
	f->o.gpu = NULL;
}

static void magics(void **state)
{
	struct fixture *f = *state;

	notebook(f, "\n%%bash\nls\n");
	expect_none(f);
	notebook(f, "x = 1\n%%bash\nls\n");
	assert_int_equal(expect_one(f, PROBLEM_WARNING, "code.magic")->line, 2);
	script(f, "import os\n!ls\n");
	assert_int_equal(expect_one(f, PROBLEM_WARNING, "code.magic")->line, 2);
}

static void scripts(void **state)
{
	struct fixture *f = *state;
	int fd;

	script(f, "  \n\n");
	expect_one(f, PROBLEM_WARNING, "script.empty");
	script(f, "x = '\xff'\n");
	expect_one(f, PROBLEM_ERROR, "script.encoding");
	script(f, "#!/usr/bin/python3\n# -*- coding: latin-1 -*-\nx = '\xff'\n");
	expect_none(f);
	script(f, "x");
	fd = openat(f->folder.fd, "s.py", O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "\0y", 2), 2);
	close(fd);
	expect_one(f, PROBLEM_ERROR, "script.binary");
}

static void links_that_lead_out(void **state)
{
	struct fixture *f = *state;

	script(f, "x = 1\n");
	symlinkat("/etc/passwd", f->folder.fd, "out");
	assert_string_equal(expect_one(f, PROBLEM_ERROR, "source.link")->file, "out");
	unlinkat(f->folder.fd, "out", 0);
	mkdirat(f->folder.fd, "d", 0700);
	symlinkat("../../x", f->folder.fd, "d/out");
	expect_one(f, PROBLEM_ERROR, "source.link");
	unlinkat(f->folder.fd, "d/out", 0);
	symlinkat("nowhere", f->folder.fd, "d/dangling");
	expect_one(f, PROBLEM_WARNING, "source.link");
	unlinkat(f->folder.fd, "d/dangling", 0);
	unlinkat(f->folder.fd, "s.py", 0);
	symlinkat("/etc/passwd", f->folder.fd, "s.py");
	check(f);
	assert_int_equal(problems_errors(&f->problems), 2);
	assert_non_null(find(f, "source.link"));
	assert_non_null(find(f, "source.entry"));
}

static void names_and_types(void **state)
{
	struct fixture *f = *state;

	script(f, "x = 1\n");
	folder_write(&f->folder, "caf\xe9.txt", "");
	expect_one(f, PROBLEM_ERROR, "source.name");
	unlinkat(f->folder.fd, "caf\xe9.txt", 0);
	assert_int_equal(mkfifoat(f->folder.fd, "fifo", 0600), 0);
	expect_one(f, PROBLEM_ERROR, "source.type");
	unlinkat(f->folder.fd, "fifo", 0);
	mkdirat(f->folder.fd, ".git", 0700); /* kept, never sent: not our business */
	symlinkat("/outside", f->folder.fd, ".git/link");
	folder_write(&f->folder, ".git/caf\xe9", "");
	expect_none(f);
}

static void nested_too_deep(void **state)
{
	struct fixture *f = *state;
	int fd = dup(f->folder.fd);

	script(f, "x = 1\n");
	for (int i = 0; i < 150; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "d", 0700), 0);
		next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	close(fd);
	expect_one(f, PROBLEM_ERROR, "source.depth");
}

static void what_the_options_name(void **state)
{
	char *named[] = {(char[]){"s.py"}, (char[]){"sub/absent.py"}, NULL};
	char *expected[] = {(char[]){"out/submission.csv"}, (char[]){"../../etc/cron.d/x"}, (char[]){"/abs"}, NULL};
	struct fixture *f = *state;

	script(f, "x = 1\n");
	f->o.named_files = named;
	assert_string_equal(expect_one(f, PROBLEM_ERROR, "source.named")->file, "sub/absent.py");
	f->o.named_files = NULL;
	f->o.expect = expected;
	check(f);
	assert_int_equal(f->problems.count, 2);
	assert_non_null(find(f, "source.expect"));
	f->o.expect = NULL;
	f->o.main = (char *)"../s.py";
	expect_one(f, PROBLEM_ERROR, "source.entry");
}

static void job_files(void **state)
{
	struct fixture *f = *state;

	f->o.kind = KIND_TRAIN;
	f->o.main = (char *)"train.json";
	folder_write(&f->folder, "train.json", "{\"kexec\": 1}");
	expect_none(f);
	folder_write(&f->folder, "train.json", "[]");
	expect_one(f, PROBLEM_ERROR, "job.json");
	folder_write(&f->folder, "train.json", "{\n\n,}");
	assert_int_equal(expect_one(f, PROBLEM_ERROR, "job.json")->line, 3);
}

/* ---- The list itself ---- */

static void problems_are_bounded_and_safe(void **state)
{
	struct problems p = {0};
	struct strbuf text = STRBUF_INIT, json_text_ = STRBUF_INIT;
	struct json *j;

	assert_int_equal(problems_text(&p, &text), 0);
	assert_string_equal(text.buf, "ok\n");
	for (int i = 0; i < 300; i++)
		assert_int_equal(problems_add(&p, i % 2 ? PROBLEM_WARNING : PROBLEM_ERROR, "x.y",
			"a\x1b[31m\nb\xff", 2, 3, i ? NULL : "do \"this\"", "number %d <\n>", i), 0);
	assert_int_equal(p.count, PROBLEMS_MAX);
	assert_int_equal(p.more, 100);
	assert_int_equal(problems_errors(&p), 150);
	strbuf_reset(&text);
	assert_int_equal(problems_text(&p, &text), 0);
	assert_null(strchr(text.buf, '\x1b'));
	assert_non_null(strstr(text.buf, "and 100 more"));
	assert_non_null(strstr(text.buf, "cell 2, line 3"));
	assert_int_equal(problems_json(&p, &json_text_), 0);
	j = json_parse(json_text_.buf, json_text_.len, 1 << 24, NULL);
	assert_non_null(j);
	assert_false(json_bool(json_get(j, "ok"), true));
	assert_int_equal(json_int(json_get(j, "errors"), 0), 150);
	assert_int_equal(json_int(json_get(j, "warnings"), 0), 150);
	assert_int_equal(json_count(json_get(j, "problems")), PROBLEMS_MAX);
	assert_string_equal(json_text(json_get(json_first(json_get(j, "problems")), "fix")), "do \"this\"");
	json_free(j);
	strbuf_release(&text);
	strbuf_release(&json_text_);
	problems_release(&p);
	assert_int_equal(problems_errors(&p), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good_sources),
		TEST(nothing_to_run),
		TEST(notebooks_that_cannot_be_read),
		TEST(a_notebook_of_65_mebibytes),
		TEST(merge_conflicts),
		TEST(installing_without_internet),
		TEST(input_paths),
		TEST(home_paths),
		TEST(gpu_without_a_use),
		TEST(magics),
		TEST(scripts),
		TEST(links_that_lead_out),
		TEST(names_and_types),
		TEST(nested_too_deep),
		TEST(what_the_options_name),
		TEST(job_files),
		cmocka_unit_test(problems_are_bounded_and_safe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
