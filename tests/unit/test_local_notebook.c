/* Notebooks through Jupyter's own kernel. */
#include "tests/unit/local_fixture.h"

#include <errno.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

static void test_notebook(void **state)
{
	struct fixture *f = *state;
	struct job_status s;
	static const char parameters[] = "{\"lr\": 0.25}";

	f->job.internet = false;
	f->job.parameters = f->parameters = json_parse(parameters, strlen(parameters), 100, NULL);
	NOTEBOOK(f, NULL, "import os; print('lr is', lr); print('metric acc=0.5')",
		"from IPython.display import display\n"
		"display({'application/papermill.record+json': {'auc': 0.875}}, raw=True)\n"
		"display({'application/scrapbook.scrap.json+json': {'name': 'f1', 'data': 2}}, raw=True)",
		"open('sub.csv', 'w').write('1')\nprint(os.getcwd())\n6 * 7");
	submit(f);
	s = wait_end(f);
	assert_cause(f, &s, END_OK);
	assert_true(s.progress > 0.99);
	assert_has(f, ATTEMPT_LOG, "lr is 0.25\n");
	assert_has(f, ATTEMPT_LOG, "\n42\n");
	assert_has(f, ATTEMPT_METRICS, "0,acc,0.5\n0,auc,0.875\n0,f1,2\n");
	assert_has(f, ATTEMPT_PROGRESS, "cell 4 of 4");
	fetch(f);
	assert_has(f, "output/nb.ipynb", "lr is 0.25");
	assert_has(f, "output/nb.ipynb", "injected-parameters");
	assert_true(is_there(f->directory, "output/sub.csv"));
}

static void test_failing_notebook(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	NOTEBOOK(f, "some-venv", "print('first')", "import nothing_like_this", "print('never')");
	submit(f);
	s = wait_end(f);
	assert_cause(f, &s, END_ERROR);
	assert_int_equal(s.exit_code, 1);
	assert_string_equal(s.detail, "ModuleNotFoundError: No module named 'nothing_like_this'");
	assert_true(s.progress > 0.3 && s.progress < 0.7);
	assert_has(f, ATTEMPT_LOG, "some-venv is not installed");
	assert_has(f, ATTEMPT_LOG, "ModuleNotFoundError: No module named");
	assert_lacks(f, ATTEMPT_LOG, "\x1b[");
	assert_lacks(f, ATTEMPT_LOG, "never");
	fetch(f);
	assert_has(f, "output/nb.ipynb", "first");
	assert_has(f, "output/nb.ipynb", "ModuleNotFoundError");
}

static void test_missing_kernel(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	NOTEBOOK(f, "rlang", "print(1)");
	submit(f);
	s = wait_end(f);
	assert_cause(f, &s, END_SETUP);
	assert_non_null(strstr(s.detail, "rlang"));
}

static void test_dying_kernel(void **state)
{
	struct fixture *f = *state;
	struct job_status s;

	NOTEBOOK(f, "python3", "print('kept')", "import os; os._exit(1)");
	submit(f);
	s = wait_end(f);
	assert_cause(f, &s, END_ERROR);
	assert_int_equal(s.exit_code, 3);
	assert_non_null(strstr(s.detail, "DeadKernelError"));
	fetch(f);
	assert_has(f, "output/nb.ipynb", "kept");
}

static void test_damaged_notebook(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF struct strbuf id = STRBUF_INIT;
	struct why why = {0};

	write_file(f->source, "nb.ipynb", "{\"cells\": 1");
	f->job.kind = "notebook";
	f->job.main = "nb.ipynb";
	assert_int_equal(backend_find("local")->submit(f->conn, &f->job, soon(), &id, &why), -EINVAL);
	assert_true(why.text[0]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		LOCAL_TEST(test_notebook), LOCAL_TEST(test_failing_notebook),
		LOCAL_TEST(test_missing_kernel), LOCAL_TEST(test_dying_kernel),
		LOCAL_TEST(test_damaged_notebook),
	};

	return local_main(argc, argv, "local_notebook", tests, sizeof(tests) / sizeof(*tests));
}
