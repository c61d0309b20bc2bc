/* The calls of Kaggle's API against a service that behaves and misbehaves like the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backends/kaggle/api.h"
#include "fake_kaggle.h"
#include "fs/base/cleanup.h"
#include "fs/base/why.h"

struct world {
	struct fake fake;
	struct kaggle *k;
	struct why why;
};

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	fake_start(&w->fake);
	assert_int_equal(kaggle_new(NULL, w->fake.log, &w->k, &w->why), 0);
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	fake_no_leaks(&w->fake);
	kaggle_free(w->k);
	fake_end(&w->fake);
	free(w);
	return 0;
}

static void expect(int r, int want, const struct why *why)
{
	if (r != want)
		fail_msg("%d (%s), not %d", r, why_text(why), want);
}

static const struct kaggle_push script = {.slug = "alice/demo-run", .title = "Demo run",
	.text = "print('hi')\n", .language = "python", .kernel_type = "script", .is_private = true,
	.session_seconds = 600};

static int64_t push(struct world *w, const char *run)
{
	struct kaggle_pushed pushed;
	char rule[4096];
	int64_t version;

	snprintf(rule, sizeof(rule), "{\"runs\":[%s]}", run);
	fake_script(&w->fake, rule);
	expect(kaggle_save_kernel(w->k, &script, in_seconds(30), &pushed, &w->why), 0, &w->why);
	version = pushed.version;
	assert_null(pushed.invalid);
	kaggle_pushed_release(&pushed);
	return version;
}

static void wait_for(struct world *w, enum kaggle_session want)
{
	enum kaggle_session got = KAGGLE_UNKNOWN;
	int64_t end_ns = in_seconds(60);

	while (got != want && clock_boot_ns() < end_ns) {
		expect(kaggle_status(w->k, "alice/demo-run", 0, in_seconds(30), &got, NULL, &w->why), 0,
			&w->why);
		usleep(20000);
	}
	assert_int_equal(got, want);
}

struct files {
	int count;
	char first[100], url[2048];
};

static int note_file(void *arg, const char *name, const char *url)
{
	struct files *f = arg;

	if (f->count++ == 0) {
		snprintf(f->first, sizeof(f->first), "%s", name);
		snprintf(f->url, sizeof(f->url), "%s", url);
	}
	return 0;
}

static struct files list(struct world *w, struct strbuf *log)
{
	struct files f = {0};

	expect(kaggle_outputs(w->k, "alice/demo-run", 1, 1000, in_seconds(30), note_file, &f, log,
		       &w->why),
		0, &w->why);
	return f;
}

static void read_home(struct world *w, const char *name, struct strbuf *out)
{
	strbuf_reset(out);
	assert_int_equal(io_read(w->fake.homefd, name, 64 << 20, out), 0);
}

/* ---- A run's life ---- */

static void test_life(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf log = STRBUF_INIT, file = STRBUF_INIT;
	struct kaggle_kernel kernel;
	struct files f;

	assert_string_equal(kaggle_user(w->k, in_seconds(30), &w->why), "alice");
	assert_int_equal(push(w, "{\"outputs\":[{\"name\":\"sub/out.csv\",\"text\":\"a,b\\n1,2\\n\"}],"
				 "\"log\":[[0.1,\"one\"],[0.2,\"stderr\",\"two\"]],\"run_seconds\":0.3}"), 1);
	wait_for(w, KAGGLE_COMPLETE);
	f = list(w, &log);
	assert_int_equal(f.count, 1);
	assert_string_equal(f.first, "sub/out.csv");
	assert_string_equal(log.buf, "one\ntwo\n");
	expect(kaggle_download(w->k, f.url, w->fake.homefd, "out.csv", 100, in_seconds(30), &w->why), 0,
		&w->why);
	read_home(w, "out.csv", &file);
	assert_string_equal(file.buf, "a,b\n1,2\n");
	expect(kaggle_get_kernel(w->k, "alice/demo-run", 1, in_seconds(30), &kernel, &w->why), 0, &w->why);
	assert_string_equal(kernel.source, "print('hi')\n");
	assert_string_equal(kernel.slug, "alice/demo-run");
	assert_int_equal(kernel.version, 1);
	assert_true(kernel.is_private);
	kaggle_kernel_release(&kernel);
	expect(kaggle_delete_kernel(w->k, "alice/demo-run", in_seconds(30), &w->why), 0, &w->why);
	expect(kaggle_get_kernel(w->k, "alice/demo-run", 0, in_seconds(30), &kernel, &w->why), -EACCES,
		&w->why);
}

static void test_absent_status_is_queued(void **state)
{
	struct world *w = *state;
	enum kaggle_session session;

	push(w, "{\"queue_seconds\":1000,\"log\":[]}");
	expect(kaggle_status(w->k, "alice/demo-run", 1, in_seconds(30), &session, NULL, &w->why), 0,
		&w->why);
	assert_int_equal(session, KAGGLE_QUEUED);
	expect(kaggle_status(w->k, "alice/demo-run", 2, in_seconds(30), &session, NULL, &w->why), -ENOENT,
		&w->why);
	expect(kaggle_status(w->k, "alice/other-one", 1, in_seconds(30), &session, NULL, &w->why), -EACCES,
		&w->why);
}

static void test_failure_text(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	enum kaggle_session session;

	push(w, "{\"queue_seconds\":0,\"log\":[],\"status\":\"ERROR\",\"failure_message\":\"too\\nlong\"}");
	wait_for(w, KAGGLE_ERROR);
	expect(kaggle_status(w->k, "alice/demo-run", 1, in_seconds(30), &session, &text, &w->why), 0,
		&w->why);
	assert_string_equal(text.buf, "too long");
}

static void test_cancel(void **state)
{
	struct world *w = *state;

	push(w, "{\"queue_seconds\":0,\"run_seconds\":1000,\"cancel_seconds\":0.1,\"log\":[]}");
	wait_for(w, KAGGLE_RUNNING);
	expect(kaggle_cancel_session(w->k, "alice/demo-run", 1, in_seconds(30), &w->why), 0, &w->why);
	wait_for(w, KAGGLE_CANCELLED);
}

static void test_cancel_that_cannot_be(void **state)
{
	struct world *w = *state;

	push(w, "{\"queue_seconds\":0,\"run_seconds\":1000,\"log\":[]}");
	fake_script(&w->fake, "{\"modes\":{\"session_redirect\":false}}");
	expect(kaggle_cancel_session(w->k, "alice/demo-run", 1, in_seconds(30), &w->why), -ENOENT, &w->why);
	fake_script(&w->fake, "{\"modes\":{\"session_redirect\":true,\"cancel\":\"message\"}}");
	expect(kaggle_cancel_session(w->k, "alice/demo-run", 1, in_seconds(30), &w->why), -EINVAL, &w->why);
	/* A redirect to anywhere else names no session. */
	fake_script(&w->fake, "{\"faults\":[{\"method\":\"OutputDownload\",\"kind\":\"redirect\","
			      "\"to\":\"https://example.com/v1/kernels/output/download_zip/7\"}]}");
	expect(kaggle_cancel_session(w->k, "alice/demo-run", 1, in_seconds(30), &w->why), -ENOENT, &w->why);
	assert_int_equal(fake_calls(&w->fake, "CancelKernelSession"), 1);
}

static void test_quota(void **state)
{
	struct world *w = *state;
	struct kaggle_quota q;

	expect(kaggle_get_quota(w->k, in_seconds(30), &q, &w->why), 0, &w->why);
	assert_true(q.gpu_total_s == 30 * 3600 && q.gpu_used_s == 0 && q.tpu_total_s == 20 * 3600);
	assert_true(q.refresh_s > 0);
}

static void test_list(void **state)
{
	struct world *w = *state;
	struct json *request = json_object(), *answer;

	json_set_text(request, "group", "EVERYONE");
	expect(kaggle_list(w->k, "kernels.KernelsApiService/ListKernels", request, in_seconds(30), &answer,
		       &w->why),
		0, &w->why);
	assert_int_equal(json_count(json_get(answer, "kernels")), 1);
	json_free(answer);
	json_free(request);
}

/* ---- Refused pushes ---- */

static int push_again(struct world *w, const struct kaggle_push *p, struct kaggle_pushed *out)
{
	w->why = (struct why){0};
	return kaggle_save_kernel(w->k, p, in_seconds(20), out, &w->why);
}

static void test_push_words(void **state)
{
	struct world *w = *state;
	struct kaggle_push other = script;
	struct kaggle_pushed pushed;

	fake_script(&w->fake, "{\"modes\":{\"cpu_slots\":0}}");
	expect(push_again(w, &script, &pushed), -EAGAIN, &w->why);
	assert_non_null(strstr(w->why.text, "session count of 0 reached"));
	fake_script(&w->fake, "{\"modes\":{\"cpu_slots\":5,\"gpu_hours\":0}}");
	other.gpu = true;
	expect(push_again(w, &other, &pushed), -EDQUOT, &w->why);
	other = script;
	other.slug = "bob/public-demo";
	expect(push_again(w, &other, &pushed), -ENOENT, &w->why);
	other.slug = "no-slash";
	expect(push_again(w, &other, &pushed), -EINVAL, &w->why);
	assert_int_equal(fake_effects(&w->fake, "push"), 0);
}

static void test_sources_not_taken(void **state)
{
	struct world *w = *state;
	const char *const datasets[] = {"bob/penguins", "bob/none", NULL};
	const char *const competitions[] = {"closed-shop", NULL};
	struct kaggle_push p = script;
	struct kaggle_pushed pushed;

	p.datasets = datasets;
	p.competitions = competitions;
	expect(push_again(w, &p, &pushed), 0, &w->why);
	assert_string_equal(pushed.invalid, "dataset bob/none; competition closed-shop");
	assert_int_equal(pushed.version, 1);
	kaggle_pushed_release(&pushed);
}

/* Whatever happens to it, a push is sent once. */
static void test_push_is_sent_once(void **state)
{
	static const struct {
		const char *fault;
		int err, effects;
	} cases[] = {
		{"\"kind\":\"status\",\"code\":500,\"when\":\"after\"", -EUCLEAN, 1},
		{"\"kind\":\"status\",\"code\":502,\"shape\":\"html\"", -EUCLEAN, 0},
		{"\"kind\":\"status\",\"code\":429,\"shape\":\"empty\"", -EUCLEAN, 0},
		{"\"kind\":\"status\",\"code\":429,\"shape\":\"error\",\"message\":\"Too many requests\","
		 "\"retry_after\":0", -EAGAIN, 0},
		{"\"kind\":\"reset\",\"when\":\"after\"", -EUCLEAN, 1},
		{"\"kind\":\"truncate\",\"bytes\":5", -EUCLEAN, 1},
		{"\"kind\":\"garbage\",\"body\":\"<html>\",\"type\":\"text/html\"", -EUCLEAN, 0},
		{"\"kind\":\"status\",\"code\":400,\"message\":\"Invalid\"", -EINVAL, 0},
		{"\"kind\":\"status\",\"code\":403,\"http\":200,\"message\":\"no\"", -EACCES, 0},
		{"\"kind\":\"status\",\"code\":409,\"message\":\"title\"", -EEXIST, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = *state;
		struct kaggle_pushed pushed;
		char text[400];

		snprintf(text, sizeof(text),
			"{\"reset\":[\"log\",\"faults\"],\"modes\":{\"cpu_slots\":99},"
			"\"faults\":[{\"method\":\"SaveKernel\",%s}]}",
			cases[i].fault);
		fake_script(&w->fake, text);
		while (kaggle_retry_ns(w->k, "SaveKernel") > 0)
			usleep(20000);
		expect(push_again(w, &script, &pushed), cases[i].err, &w->why);
		assert_true(w->why.text[0] != '\0');
		assert_int_equal(fake_calls(&w->fake, "SaveKernel"), 1);
		assert_int_equal(fake_effects(&w->fake, "push"), cases[i].effects);
	}
}

/* ---- Repetitions ---- */

static int ask_status(struct world *w, int seconds)
{
	enum kaggle_session session;

	w->why = (struct why){0};
	return kaggle_status(w->k, "alice/demo-run", 1, in_seconds(seconds), &session, NULL, &w->why);
}

static void test_reads_are_repeated(void **state)
{
	static const char *const faults[] = {
		"\"kind\":\"status\",\"code\":502,\"shape\":\"html\",\"times\":2",
		"\"kind\":\"status\",\"code\":429,\"shape\":\"error\",\"retry_after\":0,\"times\":2",
		"\"kind\":\"reset\",\"times\":2", "\"kind\":\"truncate\",\"bytes\":3,\"times\":2",
		"\"kind\":\"garbage\",\"body\":\"{\",\"times\":2"};
	struct world *w = *state;

	push(w, "{\"queue_seconds\":1000,\"log\":[]}");
	fake_script(&w->fake, "{\"modes\":{\"omit_queued\":false}}");
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		char text[300];

		snprintf(text, sizeof(text),
			"{\"reset\":[\"log\",\"faults\"],\"faults\":[{\"method\":\"GetKernelSessionStatus\",%s}]}",
			faults[i]);
		fake_script(&w->fake, text);
		expect(ask_status(w, 30), 0, &w->why);
		assert_int_equal(fake_calls(&w->fake, "GetKernelSessionStatus"), 3);
		assert_int_equal(kaggle_retry_ns(w->k, "*"), 0);
	}
}

/* Far longer than the caller has time: it is told at once, and nobody else sends either. */
static void test_gate(void **state)
{
	struct world *w = *state;
	int64_t begun = clock_boot_ns();

	push(w, "{\"queue_seconds\":1000,\"log\":[]}");
	fake_script(&w->fake, "{\"reset\":[\"log\"],\"faults\":[{\"method\":\"GetKernelSessionStatus\","
			      "\"kind\":\"status\",\"code\":429,\"retry_date\":3600,\"times\":1}]}");
	expect(ask_status(w, 60), -EAGAIN, &w->why);
	expect(ask_status(w, 60), -EAGAIN, &w->why);
	assert_true(clock_boot_ns() - begun < 30 * NS_PER_S);
	assert_int_equal(fake_calls(&w->fake, "GetKernelSessionStatus"), 1);
	assert_true(kaggle_retry_ns(w->k, "GetKernelSessionStatus") > 3500 * NS_PER_S);
	assert_true(kaggle_retry_ns(w->k, "*") > 3500 * NS_PER_S);
	assert_int_equal(kaggle_retry_ns(w->k, "SaveKernel"), 0);
	assert_int_equal(list(w, NULL).count, 0);
}

/* A Retry-After that is too short does not make a fast loop. */
static void test_short_retry_after_grows(void **state)
{
	struct world *w = *state;
	int calls;

	push(w, "{\"queue_seconds\":1000,\"log\":[]}");
	fake_script(&w->fake, "{\"reset\":[\"log\"],\"faults\":[{\"method\":\"GetKernelSessionStatus\","
			      "\"kind\":\"status\",\"code\":429,\"retry_after\":0}]}");
	expect(ask_status(w, 4), -EAGAIN, &w->why);
	calls = fake_calls(&w->fake, "GetKernelSessionStatus");
	if (calls < 3 || calls > 6)
		fail_msg("%d calls in 4 s", calls);
}

static void *ask_in_thread(void *arg)
{
	struct world *w = arg;
	enum kaggle_session session;

	return kaggle_status(w->k, "alice/demo-run", 1, in_seconds(60), &session, NULL, NULL) ? w : NULL;
}

/* Eight threads and one limit: each failure counts once, and all get through. */
static void test_threads_share_a_gate(void **state)
{
	struct world *w = *state;
	pthread_t threads[8];
	void *failed;

	push(w, "{\"queue_seconds\":1000,\"log\":[]}");
	fake_script(&w->fake, "{\"reset\":[\"log\"],\"faults\":[{\"method\":\"GetKernelSessionStatus\","
			      "\"kind\":\"status\",\"code\":429,\"times\":8}]}");
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, ask_in_thread, w);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(fake_calls(&w->fake, "GetKernelSessionStatus"), 16);
}

static void *stop_soon(void *arg)
{
	struct world *w = arg;

	while (fake_calls(&w->fake, "GetKernelSessionStatus") == 0)
		usleep(10000);
	kaggle_stop(w->k);
	return NULL;
}

static void test_stop(void **state)
{
	struct world *w = *state;
	int64_t begun = clock_boot_ns();
	pthread_t thread;

	push(w, "{\"queue_seconds\":1000,\"log\":[]}");
	fake_script(&w->fake, "{\"reset\":[\"log\"],\"faults\":[{\"method\":\"GetKernelSessionStatus\","
			      "\"kind\":\"status\",\"code\":503,\"retry_after\":100}]}");
	pthread_create(&thread, NULL, stop_soon, w);
	expect(ask_status(w, 600), -ECANCELED, &w->why);
	pthread_join(thread, NULL);
	assert_true(clock_boot_ns() - begun < 60 * NS_PER_S);
}

static void test_no_service(void **state)
{
	struct world *w = *state;
	struct kaggle *k;
	struct kaggle_quota q;

	setenv("KEXEC_KAGGLE_URL", "http://127.0.0.1:1/api/v1", 1);
	setenv("KAGGLE_USERNAME", "alice", 1);
	setenv("KAGGLE_API_TOKEN", ALICE_KEY, 1);
	expect(kaggle_new(NULL, NULL, &k, &w->why), 0, &w->why);
	expect(kaggle_get_quota(k, in_seconds(1), &q, &w->why), -EAGAIN, &w->why);
	assert_true(kaggle_retry_ns(k, "*") > 0);
	kaggle_free(k);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_life),
		T(test_absent_status_is_queued),
		T(test_failure_text),
		T(test_cancel),
		T(test_cancel_that_cannot_be),
		T(test_quota),
		T(test_list),
		T(test_push_words),
		T(test_sources_not_taken),
		T(test_push_is_sent_once),
		T(test_reads_are_repeated),
		T(test_gate),
		T(test_short_retry_after_grows),
		T(test_threads_share_a_gate),
		T(test_stop),
		T(test_no_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
