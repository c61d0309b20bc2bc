/* What Kaggle's answers mean, also those that it should not give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include <cmocka.h>

#include "backends/kaggle/answer.h"
#include "fs/base/cleanup.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

static struct json *parse(const char *text)
{
	struct json *j = json_parse(text, strlen(text), strlen(text), NULL);

	if (!j)
		fail_msg("%s", text);
	return j;
}

/* ---- Success and failure ---- */

static void test_errors(void **state)
{
	static const struct {
		int status;
		const char *body;
		int read, once;      /* for a call that reads, and for one that is sent once */
		const char *words;
	} cases[] = {
		{200, "{}", 0, 0, ""},
		{200, "{\"error\":\"\",\"errors\":[],\"code\":0}", 0, 0, ""},
		{200, "{\"message\":\"Successfully submitted\"}", 0, 0, ""},
		{200, "{\"error\":{}}", 0, 0, ""},
		{429, "{\"code\":429,\"message\":\"TooManyRequests\"}", -EAGAIN, -EAGAIN, "TooManyRequests"},
		{429, "", -EAGAIN, -EUCLEAN, ""},
		{429, "{\"error\":{\"code\":429,\"message\":\"Too many\",\"status\":\"RESOURCE_EXHAUSTED\"}}",
			-EAGAIN, -EAGAIN, "Too many"},
		{200, "{\"code\":403,\"message\":\"Permission 'x' was denied\"}", -EACCES, -EACCES,
			"Permission 'x' was denied"},
		{200, "{\"code\":\"404\",\"message\":\"m\"}", -ENOENT, -ENOENT, "m"},
		{200, "{\"error\":\"Maximum batch GPU session count of 2 reached.\"}", -EAGAIN, -EAGAIN,
			"Maximum batch GPU session count of 2 reached."},
		{200, "{\"error\":\"Maximum weekly GPU quota of 30.00 hours reached.\"}", -EDQUOT, -EDQUOT,
			NULL},
		{200, "{\"error\":\"Notebook not found\"}", -ENOENT, -ENOENT, NULL},
		{200, "{\"error\":\"Something else\"}", -EINVAL, -EINVAL, "Something else"},
		{200, "{\"errorMessage\":\"cannot\"}", -EINVAL, -EINVAL, "cannot"},
		{200, "{\"errors\":[\"Permission 'x' was denied\"],\"error\":{\"code\":7,\"details\":[]},"
		      "\"wasSuccessful\":false}", -EACCES, -EACCES, "Permission 'x' was denied"},
		{200, "{\"error\":{\"code\":14}}", -EAGAIN, -EUCLEAN, ""},
		{200, "{\"error\":{\"code\":99999999999}}", -EINVAL, -EINVAL, ""},
		{200, "{\"code\":-5,\"error\":{\"code\":-1}}", -EINVAL, -EINVAL, ""},
		{401, "{\"code\":401,\"message\":\"Unauthorized\"}", -EACCES, -EACCES, NULL},
		{403, "<html>no</html>", -EACCES, -EACCES, ""},
		{404, "gone\x1b[31m\nfor good", -ENOENT, -ENOENT, "gone for good"},
		{400, "{\"message\":\"You have reached your maximum number of submissions (5) for today.\"}",
			-EDQUOT, -EDQUOT, NULL},
		{400, "{}", -EINVAL, -EINVAL, ""},
		{409, "{\"message\":\"title\"}", -EEXIST, -EEXIST, NULL},
		{408, "", -EAGAIN, -EUCLEAN, ""},
		{500, "{\"code\":500,\"message\":\"Internal\"}", -EAGAIN, -EUCLEAN, "Internal"},
		{502, "<html>Bad Gateway</html>", -EAGAIN, -EUCLEAN, ""},
		{503, "", -EAGAIN, -EUCLEAN, ""},
		{302, "", -EPROTO, -EUCLEAN, ""},
		{200, "", -EPROTO, -EUCLEAN, ""},
		{200, "<html>", -EPROTO, -EUCLEAN, NULL},
		{200, "{\"status\":\"RUNN", -EPROTO, -EUCLEAN, NULL},
		{200, "[]", -EPROTO, -EUCLEAN, ""},
		{200, "\"text\"", -EPROTO, -EUCLEAN, ""},
		{200, "{\"a\":1,\"a\":2}", -EPROTO, -EUCLEAN, NULL},
		{200, "{}{}", -EPROTO, -EUCLEAN, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int once = 0; once < 2; once++) {
			struct json *j = NULL;
			struct answer a;
			int want = once ? cases[i].once : cases[i].read;
			int r = answer_read(cases[i].status, cases[i].body, strlen(cases[i].body), once, &j, &a);

			if (r != want || (j != NULL) != (want == 0))
				fail_msg("%s: %d", cases[i].body, r);
			if (cases[i].words)
				assert_string_equal(a.words, cases[i].words);
			assert_false(once && r == -EUCLEAN && a.again && a.status != 429);
			json_free(j);
		}
}

static void test_long_words_are_cut(void **state)
{
	AUTO_BUF struct strbuf body = STRBUF_INIT;
	struct json *j;
	struct answer a;

	strbuf_adds(&body, "{\"message\":\"");
	for (int i = 0; i < 10000; i++)
		strbuf_adds(&body, "あ");
	strbuf_adds(&body, "\"}");
	assert_int_equal(answer_read(400, body.buf, body.len, false, &j, &a), -EINVAL);
	assert_true(strlen(a.words) > 200 && strlen(a.words) < ANSWER_WORDS);
}

static void test_errors_that_look_like_files(void **state)
{
	static const struct {
		const char *body;
		int err;
	} cases[] = {{"{\"code\":403,\"message\":\"rules\"}", -EACCES}, {"{\"a\":1}", 0}, {"", 0}, {"[1]", 0},
		{"{\"code\":403}", 0}, {"a,b\n", 0},
		{"{\"message\":\"m\",\"code\":500,\"a\":1,\"b\":2,\"c\":3}", 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer a;

		assert_int_equal(answer_disguised(cases[i].body, strlen(cases[i].body), &a), cases[i].err);
	}
}

/* ---- Values ---- */

static void test_values(void **state)
{
	struct json *j = parse("{\"a\":\"71094.4s\",\"b\":\"3600s\",\"c\":5,\"d\":\"x\",\"e\":\"-5s\",\"f\":\"1e999s\","
			       "\"g\":\"0x10s\",\"h\":\"12\",\"i\":\"12a\",\"j\":\"99999999999999999999\",\"k\":1.5,"
			       "\"l\":\"9007199254740993\",\"m\":-1,\"n\":\"nan\",\"o\":\"5ss\"}");
	static const struct {
		const char *key;
		double seconds;
		int64_t number;
	} cases[] = {{"a", 71094.4, -7}, {"b", 3600, -7}, {"c", 5, 5}, {"d", -1, -7}, {"e", -1, -7},
		{"f", -1, -7}, {"g", -1, -7}, {"h", 12, 12}, {"i", -1, -7}, {"j", 1e20, -7}, {"k", 1.5, -7},
		{"l", 9007199254740993.0, INT64_C(9007199254740993)}, {"m", -1, -1}, {"n", -1, -7},
		{"o", -1, -7}, {"absent", -1, -7}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct json *v = json_get(j, cases[i].key);

		if (answer_seconds(v) != cases[i].seconds || answer_int(v, -7) != cases[i].number)
			fail_msg("%s: %g %lld", cases[i].key, answer_seconds(v), (long long)answer_int(v, -7));
	}
	json_free(j);
}

static void test_session(void **state)
{
	static const struct {
		const char *body;
		enum kaggle_session want;
	} cases[] = {{"{}", KAGGLE_QUEUED}, {"{\"status\":null}", KAGGLE_QUEUED},
		{"{\"status\":\"RUNNING\"}", KAGGLE_RUNNING}, {"{\"status\":\"running\"}", KAGGLE_RUNNING},
		{"{\"status\":\"cancelAcknowledged\"}", KAGGLE_CANCELLED},
		{"{\"status\":\"CANCEL_REQUESTED\"}", KAGGLE_CANCEL_REQUESTED},
		{"{\"status\":\"newScript\"}", KAGGLE_NEW}, {"{\"status\":2}", KAGGLE_COMPLETE},
		{"{\"status\":\"3\"}", KAGGLE_ERROR}, {"{\"status\":7}", KAGGLE_UNKNOWN},
		{"{\"status\":-1}", KAGGLE_UNKNOWN}, {"{\"status\":\"DONE\"}", KAGGLE_UNKNOWN},
		{"{\"status\":\"\"}", KAGGLE_UNKNOWN}, {"{\"status\":{}}", KAGGLE_UNKNOWN}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json *j = parse(cases[i].body);

		if (answer_session(j, NULL) != cases[i].want)
			fail_msg("%s", cases[i].body);
		json_free(j);
	}
}

static void test_pushed(void **state)
{
	struct kaggle_pushed p;
	struct json *j = parse("{\"versionNumber\":\"3\",\"kernelId\":4242,\"invalidDatasetSources\":[\"a/b\",\"c\\n/d\"],"
			       "\"invalidModelSources\":[\"m\"],\"invalidKernelSources\":[],\"invalidTags\":[\"t\"]}");

	assert_int_equal(answer_pushed(j, &p, NULL), 0);
	assert_int_equal(p.version, 3);
	assert_int_equal(p.kernel_id, 4242);
	assert_string_equal(p.invalid, "dataset a/b, c /d; model m");
	kaggle_pushed_release(&p);
	json_free(j);
	j = parse("{\"versionNumber\":-3}");
	assert_int_equal(answer_pushed(j, &p, NULL), -EUCLEAN);
	json_free(j);
	j = parse("{}");
	assert_int_equal(answer_pushed(j, &p, NULL), 0);
	assert_true(p.version == 0 && !p.invalid);
	json_free(j);
}

static void test_kernel(void **state)
{
	static const struct {
		const char *body, *slug;
		int r;
	} cases[] = {{"{\"metadata\":{\"ref\":\"alice/x\",\"currentVersionNumber\":3}}", "alice/x", 0},
		{"{\"metadata\":{\"ref\":\"/alice/x\"}}", "alice/x", 0},
		{"{\"metadata\":{\"ref\":\"/code/alice/x\"},\"blob\":{\"source\":\"s\"}}", "alice/x", 0},
		{"{\"metadata\":{\"ref\":\"code/x\"}}", "code/x", 0},
		{"{\"metadata\":{},\"blob\":{\"slug\":\"y\"}}", "y", 0}, {"{\"metadata\":{}}", "", 0},
		{"{}", NULL, -EPROTO}, {"{\"metadata\":[]}", NULL, -EPROTO},
		{"{\"metadata\":{\"id\":-1}}", NULL, -EPROTO}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json *j = parse(cases[i].body);
		struct kaggle_kernel kernel;

		assert_int_equal(answer_kernel(j, &kernel), cases[i].r);
		if (cases[i].r == 0)
			assert_string_equal(kernel.slug, cases[i].slug);
		kaggle_kernel_release(&kernel);
		json_free(j);
	}
}

static void test_quota(void **state)
{
	struct kaggle_quota q;
	struct json *j = parse("{\"quotaRefreshTime\":\"2026-10-24T00:00:00.123456Z\",\"gpuQuota\":{\"timeUsed\":"
			       "\"71094.4s\",\"totalTimeAllowed\":\"108000s\"}}");

	answer_quota(j, &q);
	assert_true(q.gpu_used_s == 71094.4 && q.gpu_reserved_s == 0 && q.gpu_total_s == 108000);
	assert_true(q.tpu_used_s < 0 && q.tpu_total_s < 0);
	assert_int_equal(q.refresh_s, 1792800000);
	json_free(j);
	j = parse("{\"quotaRefreshTime\":\"soon\",\"gpuQuota\":{\"timeUsed\":\"lots\"}}");
	answer_quota(j, &q);
	assert_true(q.gpu_used_s < 0 && q.gpu_total_s < 0 && q.refresh_s == 0);
	json_free(j);
}

static int take_file(void *arg, const char *name, const char *url)
{
	return strcmp(name, "stop") == 0 ? -EXDEV : 0;
}

static void test_outputs(void **state)
{
	static const struct {
		const char *body;
		int r;
	} cases[] = {{"{}", 0}, {"{\"files\":[{\"fileName\":\"a\",\"url\":\"u\"}]}", 0},
		{"{\"files\":[{\"fileName\":\"a\"}]}", -EPROTO}, {"{\"files\":[1]}", -EPROTO},
		{"{\"files\":\"x\"}", 0}, {"{\"files\":[{\"fileName\":\"stop\",\"url\":\"u\"}]}", -EXDEV},
		{"{\"files\":[{\"fileName\":\"a\",\"url\":\"u\"},{\"fileName\":\"b\",\"url\":\"u\"},"
		 "{\"fileName\":\"c\",\"url\":\"u\"}]}", -E2BIG}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json *j = parse(cases[i].body);
		const char *next;
		size_t count = 0;

		assert_int_equal(answer_outputs(j, 2, &count, take_file, NULL, &next, NULL), cases[i].r);
		assert_string_equal(next, "");
		json_free(j);
	}
}

static void test_data(void **state)
{
	static const struct {
		const char *body;
		int upload, dataset, submitted;
	} cases[] = {{"{}", -EPROTO, -EUCLEAN, -EUCLEAN},
		{"{\"token\":\"t\",\"createUrl\":\"u\",\"status\":\"OK\",\"ref\":5}", 0, 0, 0},
		{"{\"token\":\"t\",\"ref\":\"/a/b\"}", -EPROTO, 0, -EUCLEAN},
		{"{\"createUrl\":\"u\",\"status\":\"bad\",\"message\":\"Successfully submitted to X\"}", -EPROTO,
			-EUCLEAN, 0},
		{"{\"message\":\"Could not find provided notebook\"}", -EPROTO, -EUCLEAN, -ENOENT},
		{"{\"message\":\"no\",\"ref\":0}", -EPROTO, -EUCLEAN, -EINVAL}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json *j = parse(cases[i].body);
		const char *token, *url;
		int64_t ref;

		assert_int_equal(answer_upload(j, &token, &url, NULL), cases[i].upload);
		assert_int_equal(answer_dataset_made(j, NULL), cases[i].dataset);
		assert_int_equal(answer_submitted(j, &ref, NULL), cases[i].submitted);
		json_free(j);
	}
}

static void test_dataset_status(void **state)
{
	static const char *const cases[][2] = {{"{}", "NOT_YET_PERSISTED"}, {"{\"status\":\"ready\"}", "READY"},
		{"{\"status\":5}", "READY"}, {"{\"status\":\"Blobs_Received\"}", "BLOBS_RECEIVED"},
		{"{\"status\":\"what\"}", "UNKNOWN"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json *j = parse(cases[i][0]);
		char status[40];

		answer_dataset_status(j, status);
		assert_string_equal(status, cases[i][1]);
		json_free(j);
	}
}

/* ---- Logs ---- */

static int hear(void *arg, const char *stream, double seconds, const char *text, size_t len)
{
	struct strbuf *out = arg;

	return strbuf_addf(out, "[%c%g]%.*s", stream[3], seconds, (int)len, text);
}

static void test_stored_logs(void **state)
{
	static const char *const cases[][2] = {{"", ""}, {"[]", ""},
		{"[{\"stream_name\":\"stdout\",\"time\":1.5,\"data\":\"hi\\n\"}\n,{\"stream_name\":\"stderr\","
		 "\"time\":2,\"data\":\"no\"}]", "[o1.5]hi\n[e2]no"},
		{"[{\"stream_name\":\"stdout\",\"time\":1,\"data\":\"one\"},{\"stream_name\":\"std", "[o1]one"},
		{"[{\"data\":\"a } b\"},{\"data\":\"c } d", "[o0]a } b"}, {"plain\ntext", "[o0]plain\ntext"},
		{"[INFO] starting", "[o0][INFO] starting"}, {"[1, 2]", "[o0][1, 2]"}, {"{\"a\":1}", "[o0]{\"a\":1}"},
		{"[{\"time\":-1,\"data\":\"x\",\"stream_name\":\"evil\"},{},{\"data\":5}]", "[o0]x"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF struct strbuf out = STRBUF_INIT;

		assert_int_equal(log_text_read(cases[i][0], strlen(cases[i][0]), hear, &out), 0);
		assert_string_equal(out.buf, cases[i][1]);
	}
}

static void test_live_lines(void **state)
{
	static const char *const cases[][2] = {{"END_OF_LOG", "!"}, {"", ""},
		{"{\"stream_name\":\"stderr\",\"time\":1.25,\"data\":\"x\"}", "[e1.25]x"},
		{"not json", "[o0]not json[o0]\n"}, {"END_OF_LOGS", "[o0]END_OF_LOGS[o0]\n"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_BUF struct strbuf out = STRBUF_INIT;
		bool ended = false;

		assert_int_equal(log_text_event(cases[i][0], strlen(cases[i][0]), hear, &out, &ended), 0);
		if (ended)
			strbuf_adds(&out, "!");
		assert_string_equal(out.buf, cases[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_long_words_are_cut),
		cmocka_unit_test(test_errors_that_look_like_files),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_pushed),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_outputs),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_dataset_status),
		cmocka_unit_test(test_stored_logs),
		cmocka_unit_test(test_live_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
