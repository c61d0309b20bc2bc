#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fs/base/json.h"
#include "fs/base/secret.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"
#include "fs/engine/options.h"
#include "fs/engine/problem.h"
#include "fs/engine/source.h"
#include "tests/unit/folder.h"

static const char *const backends[] = {"local", "kaggle", "colab", NULL};

struct fixture {
	struct folder folder, home;
	struct config config;
	struct options o;
	struct problems problems;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char path[300];

	f->folder = folder_make();
	f->home = folder_make();
	setenv("HOME", f->home.path, 1);
	unsetenv("KAGGLE_API_TOKEN");
	unsetenv("KAGGLE_USERNAME");
	unsetenv("KAGGLE_KEY");
	unsetenv("KAGGLE_CONFIG_DIR");
	unsetenv("XDG_CONFIG_HOME");
	snprintf(path, sizeof(path), "%s/config.json", f->home.path);
	assert_int_equal(config_load(path, &f->config, NULL), 0);
	f->config.known_backends = backends;
	options_init(&f->o);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	options_release(&f->o);
	problems_release(&f->problems);
	config_release(&f->config);
	folder_finish(&f->folder);
	folder_finish(&f->home);
	free(f);
	return 0;
}

static void read_again(struct fixture *f)
{
	struct why why = {0};

	options_release(&f->o);
	problems_release(&f->problems);
	assert_int_equal(options_read(f->folder.fd, &f->config, &f->o, &f->problems, &why), 0);
}

static void expect_entry(struct fixture *f, enum run_kind kind, const char *main)
{
	read_again(f);
	assert_string_equal(run_kind_words[f->o.kind], run_kind_words[kind]);
	if (main)
		assert_string_equal(f->o.main, main);
	assert_int_equal(f->o.missing != NULL, kind == KIND_NONE);
}

/* With this kexec.json there is one problem, whose sentence and remedy hold these words. */
static void expect_problem(struct fixture *f, const char *kexec, const char *what, const char *fix)
{
	folder_write(&f->folder, "kexec.json", kexec);
	read_again(f);
	if (f->problems.count != 1)
		fail_msg("%zu problems for %s", f->problems.count, kexec);
	if (!strstr(f->problems.list[0].what, what) || !strstr(f->problems.list[0].fix, fix))
		fail_msg("%s: %s -> %s", kexec, f->problems.list[0].what, f->problems.list[0].fix);
	assert_string_equal(f->problems.list[0].file, "kexec.json");
}

static void expect_good(struct fixture *f, const char *kexec)
{
	folder_write(&f->folder, "kexec.json", kexec);
	read_again(f);
	if (f->problems.count)
		fail_msg("%s: %s", kexec, f->problems.list[0].what);
}

static void defaults(void **state)
{
	struct fixture *f = *state;

	expect_entry(f, KIND_NONE, NULL);
	folder_write(&f->folder, "a.ipynb", "{}");
	expect_entry(f, KIND_NOTEBOOK, "a.ipynb");
	assert_int_equal(f->problems.count, 0);
	assert_string_equal(f->o.backends[0], "local");
	assert_null(f->o.backends[1]);
	assert_null(f->o.gpu);
	assert_true(f->o.internet);
	assert_int_equal(f->o.priority, 5);
	assert_int_equal(f->o.max_attempts, 1);
	assert_true(f->o.max_cost_usd < 0);
	assert_int_equal(f->o.attempt, 1);
	assert_null(f->o.named_files[0]);
	assert_false(f->o.bad_metadata);
}

static void kinds_in_order(void **state)
{
	struct fixture *f = *state;

	folder_write(&f->folder, "README.md", "");
	folder_write(&f->folder, ".hidden.ipynb", "");
	folder_write(&f->folder, "._a.ipynb", "");
	mkdirat(f->folder.fd, "dir.ipynb", 0700);
	expect_entry(f, KIND_NONE, NULL);
	folder_write(&f->folder, "u.py", "");
	expect_entry(f, KIND_SCRIPT, "u.py");
	folder_write(&f->folder, "v.py", "");
	expect_entry(f, KIND_NONE, NULL);
	assert_non_null(strstr(f->o.missing, "u.py"));
	folder_write(&f->folder, "main.py", "");
	expect_entry(f, KIND_SCRIPT, "main.py");
	folder_write(&f->folder, "b.ipynb", "");
	expect_entry(f, KIND_NOTEBOOK, "b.ipynb");
	folder_write(&f->folder, "a.ipynb", "");
	expect_entry(f, KIND_SCRIPT, "main.py");
	folder_write(&f->folder, "main.ipynb", "");
	expect_entry(f, KIND_NOTEBOOK, "main.ipynb");
	folder_write(&f->folder, "train.json", "{\"a\": 1}");
	expect_entry(f, KIND_NOTEBOOK, "main.ipynb");
	folder_write(&f->folder, "train.json", "{\"kexec\": 1}");
	expect_entry(f, KIND_TRAIN, "train.json");
	folder_write(&f->folder, "plan.json", "{\"kexec\": 1}");
	expect_entry(f, KIND_NONE, NULL);
	assert_non_null(strstr(f->o.missing, "plan.json, train.json"));
	folder_write(&f->folder, "kernel-metadata.json", "{\"code_file\": \"b.ipynb\", \"kernel_type\": \"notebook\"}");
	expect_entry(f, KIND_NOTEBOOK, "b.ipynb");
	folder_write(&f->folder, "kexec.json", "{\"main\": \"v.py\"}");
	expect_entry(f, KIND_SCRIPT, "v.py");
	folder_write(&f->folder, "kexec.json", "{\"kind\": \"plan\"}");
	expect_entry(f, KIND_PLAN, "plan.json");
	folder_write(&f->folder, "kexec.json", "{\"kind\": \"notebook\"}");
	expect_entry(f, KIND_NOTEBOOK, "b.ipynb");
	folder_write(&f->folder, "kexec.json", "{\"kind\": \"train\", \"main\": \"jobs/mine.json\"}");
	expect_entry(f, KIND_TRAIN, "jobs/mine.json");
}

static void several_notebooks_are_not_a_helper_script(void **state)
{
	struct fixture *f = *state;

	folder_write(&f->folder, "a.ipynb", "");
	folder_write(&f->folder, "b.ipynb", "");
	folder_write(&f->folder, "utils.py", "");
	expect_entry(f, KIND_NONE, NULL);
	assert_non_null(strstr(f->o.missing, "a.ipynb"));
	assert_non_null(strstr(f->o.missing, "kexec.json"));
}

static void a_broken_job_file_is_mentioned(void **state)
{
	struct fixture *f = *state;

	folder_write(&f->folder, "study.json", "{\"kexec\": 1,}");
	expect_entry(f, KIND_NONE, NULL);
	assert_non_null(strstr(f->o.missing, "study.json"));
	assert_int_equal(f->problems.count, 0);
}

static void named_files(void **state)
{
	struct fixture *f = *state;

	folder_write(&f->folder, "kernel-metadata.json", "{\"code_file\": \"sub/k.ipynb\"}");
	expect_entry(f, KIND_NOTEBOOK, "sub/k.ipynb"); /* not there yet, but known */
	assert_string_equal(f->o.named_files[0], "sub/k.ipynb");
	assert_null(f->o.named_files[1]);
	folder_write(&f->folder, "kexec.json", "{\"main\": \"t.py\"}");
	expect_entry(f, KIND_SCRIPT, "t.py");
	assert_string_equal(f->o.named_files[0], "t.py");
	assert_string_equal(f->o.named_files[1], "sub/k.ipynb");
	assert_null(f->o.named_files[2]);
}

static const char everything[] =
	"{ \"kind\": \"notebook\", \"main\": \"train.ipynb\", \"name\": \"vix-1\","
	"\"backend\": [\"kaggle\", \"local\"], \"gpu\": \"T4\", \"internet\": false,"
	"\"hours\": 1.5, \"max_hours\": 3, \"memory_gb\": 8, \"priority\": 7, \"deadline\": \"2026-11-30T00:00:00.5Z\","
	"\"max_cost_usd\": 2.0, \"env\": {\"SEED\": \"1\"}, \"parameters\": {\"lr\": 0.1, \"学習率\": [1, null]},"
	"\"datasets\": {\"owner/slug\": \"/data/here\"},"
	"\"retry\": {\"max_attempts\": 4, \"delay_seconds\": 6, \"backoff_multiplier\": 3}, \"on_error\": \"skip\","
	"\"confirm\": true, \"expect\": [\"submission.csv\"], \"metric\": {\"name\": \"cv_auc\", \"goal\": \"min\"},"
	"\"competition\": \"titanic\", \"feature\": \"vix\", \"attempt\": 2, \"parent\": \"vix-0\","
	"\"cv_scheme\": \"5fold\" }";

static void check_everything(const struct options *o)
{
	assert_int_equal(o->kind, KIND_NOTEBOOK);
	assert_string_equal(o->main, "train.ipynb");
	assert_string_equal(o->name, "vix-1");
	assert_string_equal(o->backends[0], "kaggle");
	assert_string_equal(o->backends[1], "local");
	assert_null(o->backends[2]);
	assert_string_equal(o->gpu, "T4");
	assert_false(o->internet);
	assert_true(o->hours == 1.5 && o->max_hours == 3 && o->memory_gb == 8 && o->max_cost_usd == 2);
	assert_int_equal(o->priority, 7);
	assert_true(o->deadline_ns == INT64_C(1795996800500000000));
	assert_string_equal(json_text(json_get(o->env, "SEED")), "1");
	assert_true(json_number(json_get(o->parameters, "lr"), 0) == 0.1);
	assert_string_equal(json_text(json_get(o->datasets, "owner/slug")), "/data/here");
	assert_int_equal(o->max_attempts, 4);
	assert_true(o->delay_seconds == 6 && o->backoff_multiplier == 3);
	assert_int_equal(o->on_error, ON_ERROR_SKIP);
	assert_true(o->confirm);
	assert_string_equal(o->expect[0], "submission.csv");
	assert_string_equal(o->metric_name, "cv_auc");
	assert_false(o->metric_max);
	assert_string_equal(o->competition, "titanic");
	assert_string_equal(o->feature, "vix");
	assert_int_equal(o->attempt, 2);
	assert_string_equal(o->parent, "vix-0");
	assert_string_equal(o->cv_scheme, "5fold");
}

static void round_trip(const struct options *o, struct strbuf *first, struct strbuf *second)
{
	struct json *j = options_to_json(o), *parsed, *again;
	struct options back;
	struct why why = {0};

	assert_non_null(j);
	assert_int_equal(json_print(j, first, false), 0);
	parsed = json_parse(first->buf, first->len, 1 << 20, &why);
	assert_non_null(parsed);
	if (options_from_json(parsed, &back, &why))
		fail_msg("%s", why_text(&why));
	again = options_to_json(&back);
	assert_int_equal(json_print(again, second, false), 0);
	assert_string_equal(first->buf, second->buf);
	assert_int_equal(back.kind, o->kind);
	assert_int_equal(back.max_attempts, o->max_attempts);
	assert_true(back.deadline_ns == o->deadline_ns);
	assert_true(back.max_cost_usd == o->max_cost_usd);
	assert_true(back.hours == o->hours && back.memory_gb == o->memory_gb);
	if (o->parameters && o->env)
		check_everything(&back);
	options_release(&back);
	json_free(j);
	json_free(parsed);
	json_free(again);
}

static void every_key_and_back(void **state)
{
	struct fixture *f = *state;
	struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;

	folder_write(&f->folder, "kernel-metadata.json",
		"{\"id\": \"me/kernel\", \"dataset_sources\": [\"a/titles\", \"datasets/b/rows\", \"c/cols/3\"],"
		"\"competition_sources\": [\"titanic\"], \"code_file\": \"train.ipynb\"}");
	expect_good(f, everything);
	check_everything(&f->o);
	assert_string_equal(f->o.kernel_id, "me/kernel");
	assert_string_equal(f->o.inputs[0], "titles");
	assert_string_equal(f->o.inputs[1], "rows");
	assert_string_equal(f->o.inputs[2], "cols");
	assert_string_equal(f->o.inputs[3], "titanic");
	assert_null(f->o.inputs[4]);
	round_trip(&f->o, &first, &second);
	assert_non_null(strstr(first.buf, "\"kernel_id\":\"me/kernel\""));
	strbuf_release(&first);
	strbuf_release(&second);
	unlinkat(f->folder.fd, "kernel-metadata.json", 0);
	expect_good(f, "{}"); /* nothing runnable: every default */
	round_trip(&f->o, &first, &second);
	strbuf_release(&first);
	strbuf_release(&second);
}

static void from_json_refuses(void **state)
{
	struct why why = {0};
	struct json *j = json_object();
	struct options o;

	json_set_text(j, "priority", "high");
	assert_int_equal(options_from_json(j, &o, &why), -EINVAL);
	assert_non_null(strstr(why.text, "priority"));
	options_release(&o);
	assert_int_equal(options_from_json(NULL, &o, &why), -EINVAL);
	options_release(&o);
	json_free(j);
}

static void every_wrong_value_is_told(void **state)
{
	struct fixture *f = *state;

	folder_write(&f->folder, "a.ipynb", "{}");
	expect_problem(f, "{\"prority\": 3}", "unknown key \"prority\"", "\"priority\"");
	expect_problem(f, "{\"retry\": {\"max_atempts\": 3}}", "retry.max_atempts", "\"max_attempts\"");
	expect_problem(f, "{\"zzzzzzzz\": 3}", "unknown key", "known keys: kind, main");
	expect_problem(f, "{\"kind\": \"notbook\"}", "must be one of", "\"notebook\"");
	expect_problem(f, "{\"kind\": 3}", "must be one of", "");
	expect_problem(f, "{\"kind\": \"-\"}", "must be one of", "");
	expect_problem(f, "{\"main\": \"../x.py\"}", "inside the folder", "train.ipynb");
	expect_problem(f, "{\"main\": \"/etc/x.py\"}", "inside the folder", "");
	expect_problem(f, "{\"main\": \"a/./x.py\"}", "inside the folder", "");
	expect_problem(f, "{\"main\": \"\"}", "bytes", "");
	expect_problem(f, "{\"main\": [\"a\"]}", "must be a text, not a list", "");
	expect_problem(f, "{\"name\": \"a/b\"}", "cannot name a run", "");
	expect_problem(f, "{\"name\": \".a\"}", "cannot name a run", "");
	expect_problem(f, "{\"name\": \"a\\nb\"}", "control", "");
	expect_problem(f, "{\"backend\": \"kagle\"}", "no backend \"kagle\"", "\"kaggle\"");
	expect_problem(f, "{\"backend\": []}", "empty list", "");
	expect_problem(f, "{\"backend\": {\"a\": 1}}", "a text or a list of texts", "");
	expect_problem(f, "{\"backend\": [1]}", "must be a text", "");
	expect_problem(f, "{\"gpu\": 1}", "false, true or the name", "");
	expect_problem(f, "{\"internet\": \"yes\"}", "true or false, not a text", "");
	expect_problem(f, "{\"hours\": 0}", "between", "");
	expect_problem(f, "{\"hours\": \"1\"}", "must be a number, not a text", "");
	expect_problem(f, "{\"max_hours\": -1}", "between", "");
	expect_problem(f, "{\"memory_gb\": 1e9}", "between", "");
	expect_problem(f, "{\"priority\": 10}", "between 0 and 9", "");
	expect_problem(f, "{\"priority\": 1.5}", "whole number", "");
	expect_problem(f, "{\"deadline\": \"tomorrow\"}", "RFC 3339", "2026");
	expect_problem(f, "{\"deadline\": 5}", "RFC 3339", "");
	expect_problem(f, "{\"max_cost_usd\": -0.5}", "between", "");
	expect_problem(f, "{\"env\": {\"SEED\": 1}}", "\"SEED\" must be a text", "quotes");
	expect_problem(f, "{\"env\": {\"A B\": \"1\"}}", "cannot name an environment", "");
	expect_problem(f, "{\"env\": []}", "an object, not a list", "");
	expect_problem(f, "{\"parameters\": {\"a b\": 1}}", "no Python name", "");
	expect_problem(f, "{\"parameters\": {\"x=1;import os\": 1}}", "no Python name", "");
	expect_problem(f, "{\"parameters\": {\"class\": 1}}", "no Python name", "");
	expect_problem(f, "{\"datasets\": {\"a/b\": \"data\"}}", "absolute", "whole/path");
	expect_problem(f, "{\"datasets\": {\"a/b\": \"/data/../etc\"}}", "absolute", "");
	expect_problem(f, "{\"datasets\": {\"../b\": \"/data\"}}", "cannot name a data set", "");
	expect_problem(f, "{\"retry\": 3}", "an object, not a number", "");
	expect_problem(f, "{\"retry\": {\"max_attempts\": 0}}", "retry.max_attempts", "");
	expect_problem(f, "{\"on_error\": \"retyr\"}", "stop, skip, retry", "\"retry\"");
	expect_problem(f, "{\"confirm\": 1}", "true or false", "");
	expect_problem(f, "{\"expect\": 1}", "list of texts", "");
	expect_problem(f, "{\"metric\": {\"goal\": \"max\"}}", "needs \"name\"", "");
	expect_problem(f, "{\"metric\": {\"name\": \"a\", \"goal\": \"up\"}}", "max, min", "");
	expect_problem(f, "{\"attempt\": 0}", "between", "");
	expect_problem(f, "{\"competition\": true}", "must be a text, not true or false", "");
	expect_problem(f, "{\n\n \"parent\": 3}", "parent", "");
	assert_int_equal(f->problems.list[0].line, 3);
	assert_false(f->o.bad_metadata);
}

static void values_that_are_fine(void **state)
{
	struct fixture *f = *state;

	folder_write(&f->folder, "a.ipynb", "{}");
	expect_good(f, "{\"gpu\": true}");
	assert_string_equal(f->o.gpu, "any");
	expect_good(f, "{\"gpu\": false, \"hours\": null, \"name\": null}");
	assert_null(f->o.gpu);
	expect_good(f, "{\"on_error\": \"retry\"}");
	assert_int_equal(f->o.max_attempts, 3);
	expect_good(f, "{\"retry\": {\"delay_seconds\": 0}}");
	assert_int_equal(f->o.max_attempts, 3);
	expect_good(f, "{\"retry\": {\"max_attempts\": 1}, \"on_error\": \"retry\"}");
	assert_int_equal(f->o.max_attempts, 1);
	expect_good(f, "{\"backend\": [\"local\", \"local\"]}");
	assert_null(f->o.backends[1]);
	expect_good(f, "\xef\xbb\xbf{\"expect\": \"one.csv\"}");
	assert_string_equal(f->o.expect[0], "one.csv");
}

static void unreadable_documents(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "3", "{\"a\": 1, \"a\": 2}", "{\"a\": \xff}", "{} x"};
	struct fixture *f = *state;
	char *big = malloc((2 << 20) + 1);

	folder_write(&f->folder, "a.ipynb", "{}");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect_problem(f, bad[i], "kexec.json cannot be read", "");
		assert_true(f->o.bad_metadata);
		assert_string_equal(f->o.backends[0], "local"); /* usable as far as it could be read */
	}
	memset(big, ' ', 2 << 20);
	big[2 << 20] = '\0';
	expect_problem(f, big, "larger", "");
	free(big);
	unlinkat(f->folder.fd, "kexec.json", 0);
	symlinkat("/etc/passwd", f->folder.fd, "kexec.json");
	read_again(f);
	assert_true(f->o.bad_metadata && f->problems.count == 1);
	unlinkat(f->folder.fd, "kexec.json", 0);
	assert_int_equal(mkfifoat(f->folder.fd, "kexec.json", 0600), 0);
	read_again(f); /* does not wait for a writer */
	assert_true(f->o.bad_metadata && f->problems.count == 1);
	unlinkat(f->folder.fd, "kexec.json", 0);
	folder_write(&f->folder, "kernel-metadata.json", "{\"id\": ");
	read_again(f);
	assert_true(f->o.bad_metadata && f->problems.count == 1);
	assert_string_equal(f->problems.list[0].file, "kernel-metadata.json");
}

static void metadata_of_kaggle(void **state)
{
	struct fixture *f = *state;

	folder_write(&f->folder, "a.py", "");
	folder_write(&f->folder, "kernel-metadata.json",
		"{\"code_file\": \"./a.py\", \"kernel_type\": \"script\", \"language\": \"python\", \"enable_gpu\": \"true\","
		"\"enable_internet\": false, \"title\": \"A title\", \"something_new\": 3, \"keywords\": []}");
	expect_entry(f, KIND_SCRIPT, "a.py");
	assert_int_equal(f->problems.count, 0);
	assert_string_equal(f->o.gpu, "any");
	assert_false(f->o.internet);
	assert_false(f->o.fresh_slug);
	folder_write(&f->folder, "kernel-metadata.json",
		"{\"code_file\": \"a.py\", \"machine_shape\": \"NvidiaTeslaT4\", \"enable_internet\": false}");
	read_again(f);
	assert_string_equal(f->o.gpu, "any"); /* the newer way to ask for one */
	folder_write(&f->folder, "kernel-metadata.json",
		"{\"code_file\": \"a.py\", \"machine_shape\": \"TpuV5E8\", \"enable_internet\": false}");
	read_again(f);
	assert_null(f->o.gpu);
	folder_write(&f->folder, "kexec.json",
		"{\"gpu\": false, \"internet\": true, \"slug\": \"fresh\"}");
	read_again(f);
	assert_null(f->o.gpu);
	assert_true(f->o.internet);
	assert_true(f->o.fresh_slug);
	unlinkat(f->folder.fd, "kexec.json", 0);
	folder_write(&f->folder, "kernel-metadata.json",
		"{\"code_file\": \"../a.py\", \"kernel_type\": \"thing\", \"language\": 3, \"enable_gpu\": \"maybe\","
		"\"dataset_sources\": \"a/b\", \"id_no\": \"x\", \"is_private\": 7}");
	read_again(f);
	assert_int_equal(f->problems.count, 7);
	folder_write(&f->folder, "kernel-metadata.json", "{\"code_file\": \"a.r\", \"kernel_type\": \"script\", \"language\": \"r\"}");
	expect_entry(f, KIND_NONE, NULL);
	assert_int_equal(problems_errors(&f->problems), 1);
	folder_write(&f->folder, "kernel-metadata.json", "{\"code_file\": \"a.py\", \"kernel_type\": \"notebook\"}");
	read_again(f);
	assert_int_equal(f->problems.count, 1);
	assert_string_equal(f->problems.list[0].check, "options.kind");
}

static void backend_in_order(void **state)
{
	static const char *const local_only[] = {"local", NULL};
	static const char kaggle_off[] = "{\"kaggle\": {\"enabled\": false}}";
	struct fixture *f = *state;

	folder_write(&f->folder, "a.py", "");
	folder_write(&f->folder, "kernel-metadata.json", "{\"code_file\": \"a.py\"}");
	read_again(f);
	assert_string_equal(f->o.backends[0], "local"); /* no credentials */
	setenv("KAGGLE_USERNAME", "me", 1);
	read_again(f);
	assert_string_equal(f->o.backends[0], "local"); /* half of them */
	setenv("KAGGLE_KEY", "k", 1);
	read_again(f);
	assert_string_equal(f->o.backends[0], "kaggle");
	unsetenv("KAGGLE_KEY");
	assert_int_equal(secrets_open(f->home.path, &f->config.secrets, NULL), 0);
	assert_null(f->config.secrets);
	folder_write(&f->home, ".env", "KAGGLE_KEY=k\n"); /* the other half beside the configuration */
	assert_int_equal(secrets_open(f->home.path, &f->config.secrets, NULL), 0);
	read_again(f);
	assert_string_equal(f->o.backends[0], "kaggle");
	f->config.backends = json_parse(kaggle_off, strlen(kaggle_off), sizeof(kaggle_off), NULL);
	assert_non_null(f->config.backends);
	read_again(f);
	assert_string_equal(f->o.backends[0], "local"); /* switched off */
	json_free(f->config.backends);
	f->config.backends = NULL;
	secrets_close(f->config.secrets);
	f->config.secrets = NULL;
	mkdirat(f->home.fd, ".kaggle", 0700);
	folder_write(&f->home, ".kaggle/kaggle.json", "{}"); /* no good: the backend says why */
	read_again(f);
	assert_string_equal(f->o.backends[0], "kaggle");
	folder_write(&f->home, ".kaggle/kaggle.json",
		"{\"username\": \"me\", \"key\": \"0123456789abcdef0123456789abcdef\"}");
	read_again(f);
	assert_string_equal(f->o.backends[0], "kaggle");
	f->config.known_backends = local_only; /* not built in */
	read_again(f);
	assert_string_equal(f->o.backends[0], "local");
	assert_int_equal(f->problems.count, 0);
	f->config.known_backends = backends;
	unlinkat(f->folder.fd, "kernel-metadata.json", 0);
	read_again(f);
	assert_string_equal(f->o.backends[0], "local"); /* no metadata */
	free(f->config.default_backend);
	f->config.default_backend = strdup("colab");
	read_again(f);
	assert_string_equal(f->o.backends[0], "colab");
	folder_write(&f->folder, "kexec.json", "{\"backend\": \"local\"}");
	read_again(f);
	assert_string_equal(f->o.backends[0], "local");
	unlinkat(f->folder.fd, "kexec.json", 0);
	free(f->config.default_backend);
	f->config.default_backend = strdup("colb");
	read_again(f);
	assert_int_equal(problems_errors(&f->problems), 1);
	assert_non_null(strstr(f->problems.list[0].fix, "colab"));
	assert_non_null(f->o.backends[0]);
}

static void datasets_merge_and_never_show_credentials(void **state)
{
	struct fixture *f = *state;
	char text[2000];

	f->config.datasets = json_object();
	json_set_text(f->config.datasets, "a/one", "/srv/one");
	json_set_text(f->config.datasets, "a/two", "/srv/two");
	folder_write(&f->folder, "a.py", "");
	expect_good(f, "{\"datasets\": {\"a/two\": \"/mine/two\", \"a/three\": \"/mine/three\"}}");
	assert_string_equal(json_text(json_get(f->o.datasets, "a/one")), "/srv/one");
	assert_string_equal(json_text(json_get(f->o.datasets, "a/two")), "/mine/two");
	assert_string_equal(json_text(json_get(f->o.datasets, "a/three")), "/mine/three");
	mkdirat(f->home.fd, ".ssh", 0700);
	mkdirat(f->home.fd, "data", 0700);
	symlinkat(".ssh", f->home.fd, "innocent");
	snprintf(text, sizeof(text),
		"{\"datasets\": {\"x/a\": \"%s/.ssh\", \"x/b\": \"%s\", \"x/c\": \"/\", \"x/d\": \"%s/innocent\","
		"\"x/e\": \"%s/.kaggle/deeper\", \"x/f\": \"%s/data\"}}",
		f->home.path, f->home.path, f->home.path, f->home.path, f->home.path);
	/* the configuration of this test lies in the home folder itself: so does everything below it */
	free(f->config.folder);
	f->config.folder = strdup("/nonexistent/config");
	folder_write(&f->folder, "kexec.json", text);
	read_again(f);
	assert_int_equal(problems_errors(&f->problems), 5);
	assert_int_equal(json_count(f->o.datasets), 3);
	assert_non_null(json_text(json_get(f->o.datasets, "x/f")));
}

/* Whatever the configuration and the metadata say must come back from the store. */
static void odd_values_survive_the_store(void **state)
{
	struct fixture *f = *state;
	struct strbuf first = STRBUF_INIT, second = STRBUF_INIT;

	f->config.datasets = json_object();
	json_set_text(f->config.datasets, "a/one", "/srv//one/");
	folder_write(&f->folder, "a\x1b[31m.ipynb", "{}");
	folder_write(&f->folder, "b.ipynb", "{}");
	folder_write(&f->folder, "kernel-metadata.json", "{\"dataset_sources\": [\"owner/\", \"x\"], \"id\": \"\"}");
	expect_good(f, "{\"env\": {\"A\": \"line\\nline\\u0007\"}}");
	assert_int_equal(f->o.kind, KIND_NONE);
	assert_null(strchr(f->o.missing, 0x1b));
	assert_string_equal(f->o.inputs[0], "x");
	assert_null(f->o.kernel_id);
	round_trip(&f->o, &first, &second);
	strbuf_release(&first);
	strbuf_release(&second);
}

/* 100,000 mistakes in one document do not take minutes. */
static void a_flood_of_mistakes_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct strbuf text = STRBUF_INIT;

	strbuf_adds(&text, "{");
	for (int i = 0; i < 40000; i++)
		strbuf_addf(&text, "\"backof_mu%d\":1,", i);
	strbuf_adds(&text, "\"hours\": 2}");
	folder_write(&f->folder, "kexec.json", text.buf);
	read_again(f);
	assert_in_range(problems_errors(&f->problems), 1, 100);
	assert_true(f->o.hours == 2);
	strbuf_reset(&text);
	strbuf_adds(&text, "{\"env\": {");
	for (int i = 0; i < 40000; i++)
		strbuf_addf(&text, "\"%d\":1,", i);
	strbuf_adds(&text, "\"A\": 2}}");
	folder_write(&f->folder, "kexec.json", text.buf);
	read_again(f);
	assert_int_equal(f->problems.count, PROBLEMS_MAX);
	assert_int_equal(problems_errors(&f->problems), 40001);
	strbuf_release(&text);
}

static void a_folder_never_widens(void **state)
{
	struct fixture *f = *state;

	folder_write(&f->folder, "a.py", "");
	folder_write(&f->folder, "kexec.json", "{\"max_hours\": 10}");
	read_again(f);
	assert_true(f->o.max_hours == f->config.monitor_hours);
	assert_int_equal(f->problems.count, 1);
	assert_int_equal(problems_errors(&f->problems), 0);
}

static void plain_paths_and_links(void **state)
{
	assert_true(options_plain_path("a"));
	assert_true(options_plain_path("a/b.c"));
	assert_true(options_plain_path("...a/..b"));
	assert_false(options_plain_path(""));
	assert_false(options_plain_path("/a"));
	assert_false(options_plain_path("a/"));
	assert_false(options_plain_path("a//b"));
	assert_false(options_plain_path("a/.."));
	assert_false(options_plain_path("a/../b"));
	assert_false(options_plain_path("./a"));
	assert_false(options_plain_path("a\xff"));
	assert_true(source_link_inside("l", "a"));
	assert_true(source_link_inside("d/l", "../a"));
	assert_true(source_link_inside("d/e/l", "../../a/b"));
	assert_true(source_link_inside("d/l", "./x/./y"));
	assert_false(source_link_inside("l", "../a"));
	assert_false(source_link_inside("d/l", "../../a"));
	assert_false(source_link_inside("d/l", "/a"));
	/* what is left by the second part may be a link itself */
	assert_false(source_link_inside("d/l", "x/../../a"));
	assert_false(source_link_inside("d/l", "x/../a"));
}

static void links_are_followed_inside_only(void **state)
{
	struct fixture *f = *state;
	struct strbuf text = STRBUF_INIT;
	struct why why = {0};

	mkdirat(f->folder.fd, "d", 0700);
	folder_write(&f->folder, "real", "yes");
	symlinkat("../real", f->folder.fd, "d/good");
	symlinkat("../../real", f->folder.fd, "d/bad");
	symlinkat("/etc/passwd", f->folder.fd, "d/abs");
	symlinkat("loop", f->folder.fd, "loop");
	symlinkat("d", f->folder.fd, "dir");
	assert_int_equal(source_read(f->folder.fd, "d/good", 100, &text, &why), 0);
	assert_string_equal(text.buf, "yes");
	assert_int_equal(source_read(f->folder.fd, "d/bad", 100, &text, &why), -EXDEV);
	assert_int_equal(source_read(f->folder.fd, "d/abs", 100, &text, &why), -EXDEV);
	assert_int_equal(source_read(f->folder.fd, "loop", 100, &text, &why), -ELOOP);
	assert_true(source_read(f->folder.fd, "dir/good", 100, &text, &why) < 0);
	assert_int_equal(source_read(f->folder.fd, "none/x", 100, &text, &why), -ENOENT);
	assert_true(source_read(f->folder.fd, "d", 100, &text, &why) < 0);
	assert_int_equal(source_read(f->folder.fd, "real", 2, &text, &why), -EFBIG);
	assert_true(source_exists(f->folder.fd, "d/bad"));
	assert_false(source_exists(f->folder.fd, "nope"));
	strbuf_release(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults),
		TEST(kinds_in_order),
		TEST(several_notebooks_are_not_a_helper_script),
		TEST(a_broken_job_file_is_mentioned),
		TEST(named_files),
		TEST(every_key_and_back),
		TEST(from_json_refuses),
		TEST(every_wrong_value_is_told),
		TEST(values_that_are_fine),
		TEST(unreadable_documents),
		TEST(metadata_of_kaggle),
		TEST(backend_in_order),
		TEST(datasets_merge_and_never_show_credentials),
		TEST(odd_values_survive_the_store),
		TEST(a_flood_of_mistakes_is_bounded),
		TEST(a_folder_never_widens),
		TEST(plain_paths_and_links),
		TEST(links_are_followed_inside_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
