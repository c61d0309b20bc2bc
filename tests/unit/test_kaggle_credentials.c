/* Who we are at Kaggle: which credentials are found, in which order, and where they must not show up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backends/kaggle/api.h"
#include "backends/kaggle/credentials.h"
#include "fake_kaggle.h"
#include "fs/base/cleanup.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"

struct world {
	struct fake fake;
	struct credentials_places places;
	struct why why;
};

static int bare(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	fake_surroundings(&w->fake);
	w->places.log = w->fake.log;
	*state = w;
	return 0;
}

static int bare_end(void **state)
{
	struct world *w = *state;

	fake_leave(&w->fake);
	free(w);
	return 0;
}

static int served(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	fake_start(&w->fake);
	*state = w;
	return 0;
}

static int served_end(void **state)
{
	struct world *w = *state;

	fake_no_leaks(&w->fake);
	fake_end(&w->fake);
	free(w);
	return 0;
}

static void expect(int r, int want, const struct why *why)
{
	if (r != want)
		fail_msg("%d (%s), not %d", r, why_text(why), want);
}

/* home/path, made with its folder. */
static void put_file(struct world *w, const char *path, const char *text, mode_t mode)
{
	char full[256], *slash;

	snprintf(full, sizeof(full), "%s/%s", w->fake.home, path);
	slash = strrchr(full, '/');
	*slash = '\0';
	assert_int_equal(io_mkdir_path(full, 0700), 0);
	*slash = '/';
	assert_int_equal(io_write_atomic(AT_FDCWD, full, text, strlen(text), mode), 0);
	assert_int_equal(chmod(full, mode), 0);
}

static void found(struct world *w, int nth, enum credentials_kind kind, const char *user,
	const char *secret)
{
	struct credentials c;

	expect(credentials_find(&w->places, nth, &c, &w->why), 0, &w->why);
	assert_int_equal(c.kind, kind);
	if (user)
		assert_string_equal(c.user, user);
	else
		assert_null(c.user);
	if (secret)
		assert_string_equal(c.secret, secret);
	credentials_release(&c);
	assert_null(c.secret);
}

static void not_found(struct world *w, int nth, int err)
{
	struct credentials c;

	w->why = (struct why){0};
	expect(credentials_find(&w->places, nth, &c, &w->why), err, &w->why);
	assert_true(w->why.text[0] != '\0');
	assert_null(c.secret);
}

static bool log_has(struct world *w, const char *text)
{
	AUTO_BUF struct strbuf log = STRBUF_INIT;
	int r = io_read(w->fake.homefd, "log", 1 << 20, &log);

	return r == 0 && strstr(log.buf, text);
}

/* ---- Where they are found ---- */

static void test_none(void **state)
{
	struct world *w = *state;

	not_found(w, 0, -ENOENT);
	assert_non_null(strstr(w->why.text, "KAGGLE_API_TOKEN"));
	assert_non_null(strstr(w->why.text, "/kaggle"));
}

static void test_order(void **state)
{
	struct world *w = *state;

	put_file(w, ".kaggle/credentials.json",
		"{\"refresh_token\":\"RRRRRR\",\"username\":\"erin\",\"scopes\":[\"a\"]}", 0600);
	found(w, 0, CREDENTIALS_LOGIN, "erin", NULL);
	put_file(w, ".kaggle/kaggle.json", "{\"username\":\"carol\",\"key\":\"" ALICE_KEY "\"}", 0600);
	found(w, 0, CREDENTIALS_KEY, "carol", ALICE_KEY);
	setenv("KAGGLE_USERNAME", "dave", 1);
	found(w, 0, CREDENTIALS_KEY, "dave", ALICE_KEY);
	setenv("KAGGLE_KEY", "fedcba98fedcba98fedcba98fedcba98", 1);
	found(w, 0, CREDENTIALS_KEY, "dave", "fedcba98fedcba98fedcba98fedcba98");
	put_file(w, ".kaggle/access_token.txt", "KGAT_text\r\n", 0600);
	found(w, 0, CREDENTIALS_TOKEN, NULL, "KGAT_text");
	put_file(w, ".kaggle/access_token", "  KGAT_file \n", 0600);
	found(w, 0, CREDENTIALS_TOKEN, NULL, "KGAT_file");
	setenv("KAGGLE_API_TOKEN", "KGAT_variable", 1);
	found(w, 0, CREDENTIALS_TOKEN, NULL, "KGAT_variable");
	found(w, 1, CREDENTIALS_TOKEN, NULL, "KGAT_file");
	found(w, 2, CREDENTIALS_KEY, "dave", NULL);
	found(w, 3, CREDENTIALS_LOGIN, "erin", NULL);
	not_found(w, 4, -ENOENT);
}

static void test_token_in_a_file(void **state)
{
	struct world *w = *state;
	char path[128];

	put_file(w, "secret/token", "KGAT_elsewhere\n", 0600);
	snprintf(path, sizeof(path), "%s/secret/token", w->fake.home);
	setenv("KAGGLE_API_TOKEN", path, 1);
	found(w, 0, CREDENTIALS_TOKEN, NULL, "KGAT_elsewhere");
	put_file(w, "secret/token", "two words", 0600);
	not_found(w, 0, -EINVAL);
	assert_null(strstr(w->why.text, "two words"));
}

static void test_key_as_token(void **state)
{
	struct world *w = *state;

	setenv("KAGGLE_API_TOKEN", ALICE_KEY, 1);
	not_found(w, 0, -ENOENT);
	setenv("KAGGLE_USERNAME", "alice", 1);
	found(w, 0, CREDENTIALS_KEY, "alice", ALICE_KEY);
	unsetenv("KAGGLE_USERNAME");
	put_file(w, ".kaggle/kaggle.json", "{\"username\":\"carol\"}", 0600);
	found(w, 0, CREDENTIALS_KEY, "carol", ALICE_KEY);
	setenv("KAGGLE_USERNAME", "al:ice", 1);
	not_found(w, 0, -EINVAL);
}

static void test_folders(void **state)
{
	struct world *w = *state;
	char path[128];

	put_file(w, ".config/kaggle/kaggle.json", "{\"username\":\"xdg\",\"key\":\"k\"}", 0600);
	found(w, 0, CREDENTIALS_KEY, "xdg", "k");
	put_file(w, "own/kaggle.json", "{\"username\":\"own\",\"key\":\"k\"}", 0600);
	snprintf(path, sizeof(path), "%s/own", w->fake.home);
	setenv("KAGGLE_CONFIG_DIR", path, 1);
	found(w, 0, CREDENTIALS_KEY, "own", "k");
	unsetenv("KAGGLE_CONFIG_DIR");
	put_file(w, ".kaggle/kaggle.json", "{\"username\":\"home\",\"key\":\"k\"}", 0600);
	found(w, 0, CREDENTIALS_KEY, "home", "k");
}

static void test_modes(void **state)
{
	struct world *w = *state;

	put_file(w, ".kaggle/kaggle.json", "{\"username\":\"carol\",\"key\":\"k\"}", 0644);
	found(w, 0, CREDENTIALS_KEY, "carol", "k");
	assert_true(w->places.warned);
	assert_true(log_has(w, "kaggle.json can be read"));
	put_file(w, ".kaggle/kaggle.json", "{\"username\":\"carol\",\"key\":\"k\"}", 0602);
	not_found(w, 0, -EACCES);
	put_file(w, ".kaggle/kaggle.json", "{\"username\":", 0600);
	not_found(w, 0, -EINVAL);
	if (geteuid() == 0) {
		char path[128];

		put_file(w, ".kaggle/kaggle.json", "{\"username\":\"carol\",\"key\":\"k\"}", 0600);
		snprintf(path, sizeof(path), "%s/.kaggle/kaggle.json", w->fake.home);
		assert_int_equal(chown(path, 12345, 12345), 0);
		not_found(w, 0, -EACCES);
	}
}

static void test_odd_files(void **state)
{
	struct world *w = *state;
	char path[128];

	put_file(w, ".kaggle/x", "", 0600);
	snprintf(path, sizeof(path), "%s/.kaggle/access_token", w->fake.home);
	assert_int_equal(mkfifo(path, 0600), 0);
	not_found(w, 0, -EACCES);
	unlink(path);
	put_file(w, ".kaggle/access_token", " \n", 0600);
	not_found(w, 0, -ENOENT);
}

static void test_env_file_and_configuration(void **state)
{
	struct world *w = *state;
	struct config config = {.folder = w->fake.home};
	struct json *backends = json_object(), *own = json_object();

	w->places.config = &config;
	config.backends = backends;
	json_set_text(own, "username", "configured");
	json_set_text(own, "key", "k1");
	json_set(backends, "kaggle", own);
	found(w, 0, CREDENTIALS_KEY, "configured", "k1");
	put_file(w, ".env", "KAGGLE_USERNAME=envy\nKAGGLE_KEY='k2'\n", 0600);
	found(w, 0, CREDENTIALS_KEY, "envy", "k2");
	setenv("KAGGLE_KEY", "k3", 1);
	found(w, 0, CREDENTIALS_KEY, "envy", "k3");
	put_file(w, ".env", "KAGGLE_API_TOKEN=KGAT_env\n", 0644);
	not_found(w, 0, -EACCES);
	json_free(backends);
}

/* ---- Base URL ---- */

static void test_base_url(void **state)
{
	struct world *w = *state;
	struct kaggle *k;

	setenv("KAGGLE_API_TOKEN", "KGAT_x", 1);
	setenv("KEXEC_KAGGLE_URL", "http://kaggle.example/v1", 1);
	expect(kaggle_new(NULL, NULL, &k, &w->why), -EACCES, &w->why);
	assert_null(k);
	setenv("KEXEC_KAGGLE_URL", "https://kaggle.example/v1?x=1", 1);
	expect(kaggle_new(NULL, NULL, &k, &w->why), -EINVAL, &w->why);
	unsetenv("KEXEC_KAGGLE_URL");
	setenv("KAGGLE_API_ENVIRONMENT", "MARS", 1);
	expect(kaggle_new(NULL, NULL, &k, &w->why), -EINVAL, &w->why);
	setenv("KAGGLE_API_ENVIRONMENT", "PROD", 1);
	expect(kaggle_new(NULL, NULL, &k, &w->why), 0, &w->why);
	kaggle_free(k);
	unsetenv("KAGGLE_API_TOKEN");
	expect(kaggle_new(NULL, NULL, &k, &w->why), -ENOENT, &w->why);
}

/* ---- With a service ---- */

static struct kaggle *client(struct world *w)
{
	struct kaggle *k;

	expect(kaggle_new(NULL, w->fake.log, &k, &w->why), 0, &w->why);
	return k;
}

static void is_alice(struct world *w, struct kaggle *k)
{
	struct kaggle_quota q;
	const char *user = kaggle_user(k, in_seconds(20), &w->why);

	if (!user)
		fail_msg("%s", w->why.text);
	assert_string_equal(user, "alice");
	expect(kaggle_get_quota(k, in_seconds(20), &q, &w->why), 0, &w->why);
}

static void test_token_is_asked_about_once(void **state)
{
	struct world *w = *state;
	struct kaggle *k = client(w);

	is_alice(w, k);
	is_alice(w, k);
	assert_int_equal(fake_calls(&w->fake, "IntrospectToken"), 1);
	kaggle_free(k);
}

static void test_fall_through(void **state)
{
	struct world *w = *state;
	struct kaggle *k;

	setenv("KAGGLE_API_TOKEN", "KGAT_unknown", 1);
	setenv("KAGGLE_USERNAME", "alice", 1);
	setenv("KAGGLE_KEY", ALICE_KEY, 1);
	k = client(w);
	is_alice(w, k);
	kaggle_free(k);
	unsetenv("KAGGLE_KEY");
	k = client(w);
	assert_null(kaggle_user(k, in_seconds(20), &w->why));
	assert_int_equal(w->why.err, EACCES);
	kaggle_free(k);
}

static void test_login(void **state)
{
	struct world *w = *state;
	struct kaggle *k;

	unsetenv("KAGGLE_API_TOKEN");
	put_file(w, ".kaggle/credentials.json",
		"{\"refresh_token\":\"" ALICE_REFRESH "\",\"access_token\":\"old\",\"access_token_expiration\":"
		"\"2020-01-01T00:00:00+00:00\",\"username\":\"alice\"}",
		0600);
	k = client(w);
	is_alice(w, k);
	assert_int_equal(fake_calls(&w->fake, "GenerateAccessToken"), 1);
	/* The service has forgotten the token before its time: another one is fetched. */
	fake_script(&w->fake, "{\"clock\":{\"step\":90000}}");
	is_alice(w, k);
	assert_int_equal(fake_calls(&w->fake, "GenerateAccessToken"), 2);
	kaggle_free(k);
	assert_false(log_has(w, ALICE_REFRESH));
	assert_false(log_has(w, "KGAT_"));
}

static void test_reload(void **state)
{
	struct world *w = *state;
	struct kaggle_quota q;
	struct kaggle *k;

	setenv("KAGGLE_API_TOKEN", ALICE_KEY, 1);
	setenv("KAGGLE_USERNAME", "bob", 1);
	k = client(w);
	expect(kaggle_get_quota(k, in_seconds(20), &q, &w->why), -EACCES, &w->why);
	assert_false(kaggle_reload(k));
	setenv("KAGGLE_API_TOKEN", ALICE_TOKEN, 1);
	assert_true(kaggle_reload(k));
	is_alice(w, k);
	assert_false(kaggle_reload(k));
	kaggle_free(k);
}

static void test_localhost_through_a_proxy(void **state)
{
	struct world *w = *state;
	struct kaggle *k;
	char proxy[64];

	unsetenv("KEXEC_KAGGLE_URL");
	setenv("KAGGLE_API_ENVIRONMENT", "LOCALHOST", 1);
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", w->fake.port);
	setenv("http_proxy", proxy, 1);
	k = client(w);
	is_alice(w, k);
	kaggle_free(k);
	unsetenv("http_proxy");
}

/* ---- Secrets ---- */

static const char *const secrets[] = {ALICE_TOKEN, ALICE_KEY,
	"YWxpY2U6MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" /* alice:key */, ALICE_REFRESH};

/* Neither in the sentence nor, whoever writes what is in use there, in the log. */
static void no_secret(struct world *w, const struct why *why, const char *in_use)
{
	log_write(w->fake.log, LOG_LEVEL_WARN, "test", NULL, "%s and %s", in_use, why->text);
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		assert_null(strstr(why->text, secrets[i]));
		assert_false(log_has(w, secrets[i]));
	}
}

/* A service that repeats what it was sent, in every place where words are taken from. */
static void test_secrets_show_up_nowhere(void **state)
{
	static const char *const shapes[] = {"code", "error", "text"};
	struct world *w = *state;

	for (size_t i = 0; i < 12; i++) {
		struct kaggle_quota q;
		struct kaggle *k;
		char text[400];

		unsetenv("KAGGLE_API_TOKEN");
		setenv("KAGGLE_USERNAME", "alice", 1);
		setenv("KAGGLE_KEY", ALICE_KEY, 1);
		put_file(w, ".kaggle/credentials.json",
			"{\"refresh_token\":\"" ALICE_REFRESH "\",\"username\":\"alice\"}", 0600);
		if (i / 3 == 0)
			setenv("KAGGLE_API_TOKEN", ALICE_TOKEN, 1);
		if (i / 3 == 3)
			unsetenv("KAGGLE_KEY");
		snprintf(text, sizeof(text),
			"{\"reset\":[\"faults\"],\"faults\":[{\"method\":\"*\",\"kind\":\"status\",\"code\":400,"
			"\"message\":\"you said %s\",\"shape\":\"%s\"}]}",
			secrets[i / 3], shapes[i % 3]);
		fake_script(&w->fake, text);
		k = client(w);
		w->why = (struct why){0};
		assert_int_not_equal(kaggle_get_quota(k, in_seconds(20), &q, &w->why), 0);
		no_secret(w, &w->why, secrets[i / 3]);
		kaggle_free(k);
	}
}

/* What is too long is cut, and a piece of a secret is one too. */
static void test_half_a_secret(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct kaggle *k = client(w);

	for (int room = 250; room < 330; room++) {
		struct kaggle_quota q;

		strbuf_reset(&text);
		strbuf_adds(&text, "{\"reset\":[\"faults\"],\"faults\":[{\"method\":\"*\",\"kind\":\"status\","
				   "\"code\":403,\"message\":\"");
		for (int i = 0; i < room; i++)
			strbuf_addch(&text, '.');
		strbuf_adds(&text, ALICE_TOKEN "\"}]}");
		if (room == 250)
			is_alice(w, k);
		fake_script(&w->fake, text.buf);
		expect(kaggle_get_quota(k, in_seconds(20), &q, &w->why), -EACCES, &w->why);
		assert_null(strstr(w->why.text, "KGAT_0"));
	}
	kaggle_free(k);
}

#define B(f) cmocka_unit_test_setup_teardown(f, bare, bare_end)
#define S(f) cmocka_unit_test_setup_teardown(f, served, served_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		B(test_none),
		B(test_order),
		B(test_token_in_a_file),
		B(test_key_as_token),
		B(test_folders),
		B(test_modes),
		B(test_odd_files),
		B(test_env_file_and_configuration),
		B(test_base_url),
		S(test_token_is_asked_about_once),
		S(test_fall_through),
		S(test_login),
		S(test_reload),
		S(test_localhost_through_a_proxy),
		S(test_secrets_show_up_nowhere),
		S(test_half_a_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
