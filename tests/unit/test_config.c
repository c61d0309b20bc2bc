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
#include "tests/unit/folder.h"

struct fixture {
	struct folder folder;
	char path[300];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->folder = folder_make();
	snprintf(f->path, sizeof(f->path), "%s/config.json", f->folder.path);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	folder_finish(&f->folder);
	free(f);
	return 0;
}

static void expect_error(struct fixture *f, const char *text, const char *said)
{
	struct config c;
	struct why why = {0};

	folder_write(&f->folder, "config.json", text);
	assert_true(config_load(f->path, &c, &why) < 0);
	if (!strstr(why.text, said) || !strstr(why.text, f->path))
		fail_msg("%s: %s", text, why.text);
}

static struct config load(struct fixture *f, const char *text)
{
	struct config c;
	struct why why = {0};

	folder_write(&f->folder, "config.json", text);
	if (config_load(f->path, &c, &why))
		fail_msg("%s: %s", text, why_text(&why));
	return c;
}

static void defaults(void **state)
{
	struct fixture *f = *state;
	struct config c;

	assert_int_equal(config_load(f->path, &c, NULL), 0); /* no such file */
	assert_string_equal(c.default_backend, "local");
	assert_string_equal(c.known_backends[0], "local");
	assert_int_equal(c.submit, SUBMIT_SETTLED);
	assert_true(c.settle_exited_s == 1 && c.settle_alive_s == 5);
	assert_true(c.disk_bytes == 0 && c.disk_percent == 80);
	assert_int_equal(c.jobs_max, (int)sysconf(_SC_NPROCESSORS_ONLN));
	assert_true(c.jobs_memory_gb > 0.1);
	assert_true(c.jobs_gpus >= 0);
	assert_int_equal(c.poll_seconds, 60);
	assert_true(c.monitor_hours == 3);
	assert_int_equal(c.health_seconds, 300);
	assert_true(c.alerts_desktop);
	assert_false(c.state_on_fuse);
	assert_null(c.user);
	assert_null(c.language);
	assert_null(c.python);
	assert_string_equal(c.folder, f->folder.path);
	config_release(&c);
	config_release(&c); /* twice does no harm */
}

static void every_key(void **state)
{
	struct config c = load(*state,
		"{\"default_backend\": \"kaggle\", \"submit\": \"explicit\", \"settle_seconds\": {\"exited\": 0.1, \"alive\": 0.5},"
		"\"user\": \"ann\", \"language\": \"ja\", \"disk\": \"50 %\","
		"\"jobs\": {\"max\": 2, \"memory_gb\": 3.5, \"gpus\": 1}, \"python\": \"/usr/bin/python3\","
		"\"poll_seconds\": 5, \"monitor_hours\": 12, \"health_seconds\": 60, \"paid_health_seconds\": 300,"
		"\"history\": {\"remote\": null}, \"datasets\": {\"a/b\": \"/srv/b\"},"
		"\"budget\": {\"run_usd\": 1, \"day_usd\": 2, \"total_usd\": 3}, \"submission\": \"confirm\","
		"\"llm\": {\"provider\": \"openai\", \"url\": \"http://x/v1\", \"model\": \"m\", \"budget_usd\": 5},"
		"\"github\": {\"repository\": \"a/b\", \"public\": false}, \"alerts\": {\"desktop\": false, \"webhook\": null},"
		"\"state_on_fuse\": true, \"backends\": {\"kaggle\": {\"enabled\": true, \"anything\": [1]}}}");

	assert_string_equal(c.default_backend, "kaggle");
	assert_int_equal(c.submit, SUBMIT_EXPLICIT);
	assert_true(c.settle_exited_s == 0.1 && c.settle_alive_s == 0.5);
	assert_string_equal(c.user, "ann");
	assert_string_equal(c.language, "ja");
	assert_true(c.disk_percent == 50 && c.disk_bytes == 0);
	assert_int_equal(c.jobs_max, 2);
	assert_true(c.jobs_memory_gb == 3.5);
	assert_int_equal(c.jobs_gpus, 1);
	assert_string_equal(c.python, "/usr/bin/python3");
	assert_int_equal(c.poll_seconds, 5);
	assert_true(c.monitor_hours == 12);
	assert_int_equal(c.health_seconds, 60);
	assert_string_equal(json_text(json_get(c.datasets, "a/b")), "/srv/b");
	assert_false(c.alerts_desktop);
	assert_true(c.state_on_fuse);
	assert_non_null(json_get(c.backends, "kaggle"));
	assert_int_equal(json_int(json_get(json_get(c.rest, "budget"), "day_usd"), 0), 2);
	config_release(&c);
	c = load(*state, "{\"disk\": 5000000000, \"jobs\": {\"gpus\": \"all\"}, \"github\": false, \"user\": null}");
	assert_true(c.disk_bytes == INT64_C(5000000000));
	config_release(&c);
	c = load(*state, "");
	config_release(&c);
}

static void every_mistake_is_told(void **state)
{
	struct fixture *f = *state;

	expect_error(f, "{", "line 1");
	expect_error(f, "[]", "one JSON object");
	expect_error(f, "{\"defualt_backend\": \"local\"}", "did you mean \"default_backend\"");
	expect_error(f, "{\"jobs\": {\"memory\": 1}}", "jobs.memory");
	expect_error(f, "{\"settle_seconds\": {\"existed\": 1}}", "did you mean \"exited\"");
	expect_error(f, "{\"alerts\": {\"webhok\": 1}}", "\"webhook\"");
	expect_error(f, "{\"qqqqqqqqqqq\": 1}", "known keys");
	expect_error(f, "{\"submit\": \"explict\"}", "\"explicit\"");
	expect_error(f, "{\"settle_seconds\": 3}", "an object, not a number");
	expect_error(f, "{\"settle_seconds\": {\"exited\": -1}}", "between");
	expect_error(f, "{\"settle_seconds\": {\"exited\": 9}}", "shorter");
	expect_error(f, "{\"language\": \"de\"}", "en, ja");
	expect_error(f, "{\"disk\": 80}", "80%");
	expect_error(f, "{\"disk\": \"101%\"}", "disk");
	expect_error(f, "{\"disk\": \"80\"}", "disk");
	expect_error(f, "{\"disk\": \"nan%\"}", "disk");
	expect_error(f, "{\"jobs\": {\"max\": 0}}", "jobs.max");
	expect_error(f, "{\"jobs\": {\"max\": 1.5}}", "whole number");
	expect_error(f, "{\"jobs\": {\"gpus\": \"two\"}}", "jobs.gpus");
	expect_error(f, "{\"poll_seconds\": 0}", "poll_seconds");
	expect_error(f, "{\"monitor_hours\": \"3\"}", "a number, not a text");
	expect_error(f, "{\"paid_health_seconds\": 60}", "between 300");
	expect_error(f, "{\"datasets\": {\"a/b\": \"here\"}}", "absolute");
	expect_error(f, "{\"datasets\": []}", "an object");
	expect_error(f, "{\"budget\": {\"run_usd\": -1}}", "budget.run_usd");
	expect_error(f, "{\"submission\": \"auto\"}", "manual, confirm, automatic");
	expect_error(f, "{\"llm\": {\"provider\": \"antropic\"}}", "\"anthropic\"");
	expect_error(f, "{\"github\": true}", "an object");
	expect_error(f, "{\"backends\": {\"x\": 3}}", "backends.x");
	expect_error(f, "{\"backends\": {\"x\": {\"enabled\": \"no\"}}}", "backends.x.enabled");
	expect_error(f, "{\"user\": \"a\\nb\"}", "control");
	expect_error(f, "{\"python\": \"\"}", "bytes");
}

static void others_must_not_read_it(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} cases[] = {{0600, true}, {0400, true}, {0640, true}, {0440, true}, {0644, false}, {0660, false},
		{0604, false}, {0602, false}, {0777, false}};
	struct fixture *f = *state;

	folder_write(&f->folder, "config.json", "{}");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config c;
		struct why why = {0};
		int err;

		assert_int_equal(chmod(f->path, cases[i].mode), 0);
		err = config_load(f->path, &c, &why);
		if (cases[i].good) {
			assert_int_equal(err, 0);
			config_release(&c);
			continue;
		}
		assert_int_equal(err, -EACCES);
		assert_non_null(strstr(why.text, "chmod 600"));
		assert_non_null(strstr(why.text, f->path));
	}
}

static void what_is_no_file_is_refused(void **state)
{
	struct fixture *f = *state;
	struct config c;
	struct why why = {0};
	char *big = malloc((2 << 20) + 1);

	assert_int_equal(mkfifo(f->path, 0600), 0);
	assert_int_equal(config_load(f->path, &c, &why), -EINVAL); /* and does not wait */
	unlink(f->path);
	mkdir(f->path, 0700);
	assert_true(config_load(f->path, &c, &why) < 0);
	rmdir(f->path);
	memset(big, ' ', 2 << 20);
	big[2 << 20] = '\0';
	folder_write(&f->folder, "config.json", big);
	assert_int_equal(config_load(f->path, &c, &why), -EFBIG);
	free(big);
}

static void found_where_xdg_says(void **state)
{
	struct fixture *f = *state;
	struct config c;

	setenv("XDG_CONFIG_HOME", f->folder.path, 1);
	mkdirat(f->folder.fd, "kexec", 0700);
	folder_write(&f->folder, "kexec/config.json", "{\"poll_seconds\": 7}");
	assert_int_equal(config_load(NULL, &c, NULL), 0);
	assert_int_equal(c.poll_seconds, 7);
	config_release(&c);
	setenv("XDG_CONFIG_HOME", "relative", 1); /* the specification says: ignore it */
	setenv("HOME", f->folder.path, 1);
	mkdirat(f->folder.fd, ".config", 0700);
	mkdirat(f->folder.fd, ".config/kexec", 0700);
	folder_write(&f->folder, ".config/kexec/config.json", "{\"poll_seconds\": 8}");
	assert_int_equal(config_load(NULL, &c, NULL), 0);
	assert_int_equal(c.poll_seconds, 8);
	assert_non_null(strstr(c.folder, "/.config/kexec"));
	config_release(&c);
}

static void secrets_are_never_shown(void **state)
{
	struct strbuf out = STRBUF_INIT;
	struct config c = load(*state,
		"{\"backends\": {\"kaggle\": {\"api_key\": \"SEKRET\", \"Token\": {\"a\": \"SEKRET\"}, \"x\": {\"my_password\": \"SEKRET\"},"
		"\"clientSecret\": 7, \"credentials\": [\"SEKRET\"], \"list\": [{\"key\": \"SEKRET\"}],"
		"\"url\": \"https://ann:SEKRET@host/p?k=SEKRET\", \"endpoint\": \"https://host/p?q=SEKRET@x\", \"freshness_seconds\": 20}, \"colab\": {}},"
		"\"llm\": {\"provider\": \"openai\", \"api_key\": \"SEKRET\"}, \"github\": {\"token\": \"SEKRET\"}}");
	const struct json *shown;

	assert_int_equal(config_print_backend(&c, "kaggle", &out), 0);
	assert_null(strstr(out.buf, "SEKRET"));
	assert_null(strstr(out.buf, "7"));
	shown = json_parse(out.buf, out.len, 1 << 20, NULL);
	assert_non_null(shown);
	assert_string_equal(json_text(json_get(shown, "api_key")), "***");
	assert_string_equal(json_text(json_get(shown, "url")), "https://***@host/p?***");
	assert_int_equal(json_int(json_get(shown, "freshness_seconds"), 0), 20);
	assert_true(json_bool(json_get(shown, "enabled"), false));
	json_free((struct json *)shown);
	strbuf_reset(&out);
	assert_int_equal(config_print_backend(&c, "local", &out), 0);
	assert_null(strstr(out.buf, "SEKRET"));
	assert_non_null(strstr(out.buf, "\"jobs\""));
	strbuf_reset(&out);
	assert_int_equal(config_print_backend(&c, "nobody", &out), 0);
	strbuf_release(&out);
	config_release(&c);
}

/* An .env that cannot be taken stops the load as a mistake in the configuration does. */
static void env_beside_it(void **state)
{
	struct folder f = folder_make();
	struct why why = {0};
	struct config c;
	char path[300];

	snprintf(path, sizeof(path), "%s/config.json", f.path);
	folder_write(&f, ".env", "KEXEC_TEST_TOKEN=t0ps3cret\n");
	assert_int_equal(config_load(path, &c, NULL), 0);
	assert_string_equal(secrets_get(c.secrets, "KEXEC_TEST_TOKEN"), "t0ps3cret");
	config_release(&c);
	assert_null(c.secrets);
	folder_write(&f, "config.json", "{\"backends\": {\"local\": {\"enabled\": false}, \"x\": {}}}");
	assert_int_equal(config_load(path, &c, NULL), 0);
	assert_false(config_backend_enabled(&c, "local"));
	assert_true(config_backend_enabled(&c, "x"));
	assert_true(config_backend_enabled(&c, "kaggle"));
	config_release(&c);
	assert_int_equal(fchmodat(f.fd, ".env", 0644, 0), 0);
	assert_int_equal(config_load(path, &c, &why), -EACCES);
	assert_non_null(strstr(why_text(&why), "chmod 600"));
	assert_null(strstr(why_text(&why), "t0ps3cret"));
	folder_finish(&f);
}

static void nearest(void **state)
{
	static const char *const words[] = {"kind", "main", "name", "backend", "backoff_multiplier", NULL};
	static const char *const empty[] = {NULL};
	char longer[100];

	assert_string_equal(nearest_word("knid", words), "kind");
	assert_string_equal(nearest_word("Kind", words), "kind");
	assert_string_equal(nearest_word("mian", words), "main");
	assert_string_equal(nearest_word("bakcends", words), "backend");
	assert_string_equal(nearest_word("backof_multipler", words), "backoff_multiplier");
	assert_string_equal(nearest_word("backoffmultiply", words), "backoff_multiplier");
	assert_null(nearest_word("zebra", words));
	assert_null(nearest_word("", words));
	assert_null(nearest_word("x", words));
	assert_null(nearest_word("kind", empty));
	memset(longer, 'k', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_null(nearest_word(longer, words));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults),
		TEST(every_key),
		TEST(every_mistake_is_told),
		TEST(others_must_not_read_it),
		TEST(what_is_no_file_is_refused),
		TEST(found_where_xdg_says),
		TEST(secrets_are_never_shown),
		cmocka_unit_test(env_beside_it),
		cmocka_unit_test(nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
