/* What travels in bulk at Kaggle: downloads, uploads, logs, datasets, competitions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backends/kaggle/api.h"
#include "fake_kaggle.h"
#include "fs/base/cleanup.h"
#include "fs/base/why.h"

#define BIG 3000000

struct world {
	struct fake fake;
	struct kaggle *k;
	struct why why;
	char url[2048];
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

static void push(struct world *w, const char *run)
{
	static const struct kaggle_push script = {.slug = "alice/demo-run", .title = "Demo run",
		.text = "print('hi')\n", .language = "python", .kernel_type = "script"};
	struct kaggle_pushed pushed;
	char rule[4096];

	snprintf(rule, sizeof(rule), "{\"runs\":[%s]}", run);
	fake_script(&w->fake, rule);
	expect(kaggle_save_kernel(w->k, &script, in_seconds(30), &pushed, &w->why), 0, &w->why);
	kaggle_pushed_release(&pushed);
}

static void wait_for(struct world *w, enum kaggle_session want)
{
	enum kaggle_session got = KAGGLE_UNKNOWN;

	for (int64_t until = in_seconds(60); got != want && clock_boot_ns() < until; usleep(20000))
		expect(kaggle_status(w->k, "alice/demo-run", 1, in_seconds(30), &got, NULL, &w->why), 0,
			&w->why);
	assert_int_equal(got, want);
}

static int keep_url(void *arg, const char *name, const char *url)
{
	struct world *w = arg;

	snprintf(w->url, sizeof(w->url), "%s", url);
	return 0;
}

/* The URL of the one file of a run of that size. */
static void make_file(struct world *w, const char *file)
{
	char run[1000];

	snprintf(run, sizeof(run), "{\"queue_seconds\":0,\"log\":[],\"outputs\":[%s]}", file);
	push(w, run);
	wait_for(w, KAGGLE_COMPLETE);
	expect(kaggle_outputs(w->k, "alice/demo-run", 1, 1000, in_seconds(30), keep_url, w, NULL, &w->why), 0,
		&w->why);
	assert_true(w->url[0] != '\0');
}

static int download(struct world *w, const char *name, int64_t max)
{
	w->why = (struct why){0};
	return kaggle_download(w->k, w->url, w->fake.homefd, name, max, in_seconds(30), &w->why);
}

/* Names in the home folder besides the log. */
static int files_left(struct world *w)
{
	DIR *d = opendir(w->fake.home);
	int n = 0;

	for (struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		     strncmp(e->d_name, "log", 3) != 0;
	closedir(d);
	return n;
}

static void check_big(struct world *w, const char *name)
{
	AUTO_BUF struct strbuf file = STRBUF_INIT;

	assert_int_equal(io_read(w->fake.homefd, name, BIG, &file), 0);
	assert_int_equal(file.len, BIG);
	for (size_t i = 0; i < file.len; i++)
		if (file.buf[i] != "0123456789abcde\n"[i % 16])
			fail_msg("wrong byte at %zu", i);
}

/* ---- Downloads ---- */

static void test_resumed(void **state)
{
	struct world *w = *state;

	make_file(w, "{\"name\":\"big\",\"size\":3000000}");
	fake_script(&w->fake, "{\"reset\":[\"log\"],\"faults\":[{\"method\":\"Storage\",\"kind\":\"truncate\","
			      "\"bytes\":1000001,\"times\":2}]}");
	expect(download(w, "big", BIG), 0, &w->why);
	check_big(w, "big");
	assert_int_equal(fake_calls(&w->fake, "Storage"), 3);
	assert_int_equal(files_left(w), 1);
}

/* What one call left the next one goes on with, if nothing else has taken its place. */
static void test_resumed_by_the_next_call(void **state)
{
	struct world *w = *state;

	make_file(w, "{\"name\":\"big\",\"size\":3000000}");
	fake_script(&w->fake, "{\"faults\":[{\"method\":\"Storage\",\"kind\":\"truncate\",\"bytes\":1000001,"
			      "\"nth\":1},{\"method\":\"Storage\",\"kind\":\"status\",\"code\":403,\"nth\":2}]}");
	expect(download(w, "big", BIG), -ESTALE, &w->why);
	assert_int_equal(faccessat(w->fake.homefd, "big", F_OK, 0), -1);
	expect(download(w, "big", BIG), 0, &w->why);
	check_big(w, "big");
	assert_int_equal(files_left(w), 1);
}

static void test_too_large(void **state)
{
	struct world *w = *state;

	make_file(w, "{\"name\":\"big\",\"size\":3000000}");
	expect(download(w, "big", BIG - 1), -EFBIG, &w->why);
	assert_int_equal(files_left(w), 0);
	expect(download(w, "big", BIG), 0, &w->why);
}

static void test_empty_file(void **state)
{
	struct world *w = *state;
	struct stat st;

	make_file(w, "{\"name\":\"nothing\",\"text\":\"\"}");
	expect(download(w, "nothing", 0), 0, &w->why);
	assert_int_equal(fstatat(w->fake.homefd, "nothing", &st, 0), 0);
	assert_int_equal(st.st_size, 0);
}

static void test_expired(void **state)
{
	struct world *w = *state;

	make_file(w, "{\"name\":\"big\",\"size\":100}");
	fake_script(&w->fake, "{\"clock\":{\"step\":800000}}");
	expect(download(w, "big", BIG), -ESTALE, &w->why);
	assert_null(strstr(w->why.text, "X-Goog"));
	assert_int_equal(files_left(w), 0);
}

static void test_bad_urls_and_names(void **state)
{
	struct world *w = *state;

	make_file(w, "{\"name\":\"big\",\"size\":100}");
	expect(download(w, "a/b", BIG), -EINVAL, &w->why);
	expect(download(w, "..", BIG), -EINVAL, &w->why);
	expect(download(w, "", BIG), -EINVAL, &w->why);
	assert_int_equal(mkdirat(w->fake.homefd, "folder", 0700), 0);
	expect(download(w, "folder", BIG), -EISDIR, &w->why);
	snprintf(w->url, sizeof(w->url), "http://192.0.2.1/x");
	expect(download(w, "x", BIG), -EACCES, &w->why);
	snprintf(w->url, sizeof(w->url), "file:///etc/passwd");
	assert_int_not_equal(download(w, "x", BIG), 0);
}

/* With the API in the network, no URL may lead to this machine. */
static void test_no_loopback_from_the_network(void **state)
{
	struct world *w = *state;
	struct kaggle *k;

	make_file(w, "{\"name\":\"big\",\"size\":100}");
	setenv("KEXEC_KAGGLE_URL", "https://api.example/v1", 1);
	expect(kaggle_new(NULL, NULL, &k, &w->why), 0, &w->why);
	expect(kaggle_download(k, w->url, w->fake.homefd, "x", BIG, in_seconds(5), &w->why), -EACCES,
		&w->why);
	kaggle_free(k);
}

struct names {
	int count;
	char last[100];
};

static int count_names(void *arg, const char *name, const char *url)
{
	struct names *n = arg;

	n->count++;
	snprintf(n->last, sizeof(n->last), "%s", name);
	return 0;
}

static void test_pages(void **state)
{
	struct world *w = *state;
	struct names n = {0};

	make_file(w, "{\"count\":450,\"text\":\"x\"}");
	expect(kaggle_outputs(w->k, "alice/demo-run", 0, 450, in_seconds(30), count_names, &n, NULL,
		       &w->why),
		0, &w->why);
	assert_int_equal(n.count, 450);
	assert_string_equal(n.last, "out/f449.txt");
	expect(kaggle_outputs(w->k, "alice/demo-run", 0, 449, in_seconds(30), count_names, &n, NULL,
		       &w->why),
		-E2BIG, &w->why);
	fake_script(&w->fake, "{\"faults\":[{\"method\":\"ListKernelSessionOutput\",\"kind\":\"garbage\","
			      "\"body\":\"{\\\"nextPageToken\\\":\\\"p0z\\\"}\"}]}");
	expect(kaggle_outputs(w->k, "alice/demo-run", 0, 449, in_seconds(30), count_names, &n, NULL,
		       &w->why),
		-EPROTO, &w->why);
}

/* ---- Logs ---- */

struct heard {
	struct strbuf out, err;
	int events;
};

static int hear(void *arg, const char *stream, double seconds, const char *text, size_t len)
{
	struct heard *h = arg;

	h->events++;
	assert_true(seconds >= 0);
	return strbuf_add(strcmp(stream, "stderr") == 0 ? &h->err : &h->out, text, len);
}

static int stop_at_first(void *arg, const char *stream, double seconds, const char *text, size_t len)
{
	return -EXDEV;
}

static void test_live_log(void **state)
{
	struct world *w = *state;
	struct heard h = {STRBUF_INIT, STRBUF_INIT, 0};
	bool ended = true;

	push(w, "{\"queue_seconds\":0,\"run_seconds\":1000,\"log\":[[0,\"one\"],[0,\"stderr\",\"two\"],"
		"[900,\"three\"]]}");
	wait_for(w, KAGGLE_RUNNING);
	expect(kaggle_log(w->k, "alice/demo-run", 1, NS_PER_S / 2, in_seconds(30), hear, &h, &ended,
		       &w->why),
		0, &w->why);
	assert_false(ended);
	assert_string_equal(h.out.buf, "one\n");
	assert_string_equal(h.err.buf, "two\n");
	expect(kaggle_log(w->k, "alice/demo-run", 1, NS_PER_S, in_seconds(30), stop_at_first, NULL, &ended,
		       &w->why),
		-EXDEV, &w->why);
	fake_script(&w->fake, "{\"clock\":{\"step\":2000}}");
	expect(kaggle_log(w->k, "alice/demo-run", 1, NS_PER_S, in_seconds(30), hear, &h, &ended, &w->why),
		0, &w->why);
	assert_true(ended);
	assert_string_equal(h.out.buf, "one\none\nthree\n");
	strbuf_release(&h.out);
	strbuf_release(&h.err);
}

static void test_log_until_the_end(void **state)
{
	struct world *w = *state;
	struct heard h = {STRBUF_INIT, STRBUF_INIT, 0};
	bool ended = false;

	push(w, "{\"queue_seconds\":0,\"run_seconds\":1.5,\"log\":[[0,\"one\"],[1,\"two\"]]}");
	wait_for(w, KAGGLE_RUNNING);
	expect(kaggle_log(w->k, "alice/demo-run", 1, 20 * NS_PER_S, in_seconds(30), hear, &h, &ended,
		       &w->why),
		0, &w->why);
	assert_true(ended);
	assert_string_equal(h.out.buf, "one\ntwo\n");
	strbuf_release(&h.out);
	strbuf_release(&h.err);
}

static void test_cut_log(void **state)
{
	struct world *w = *state;
	struct heard h = {STRBUF_INIT, STRBUF_INIT, 0};
	bool ended = true;

	push(w, "{\"queue_seconds\":0,\"run_seconds\":1000,\"cut_after\":[1],\"log\":[[0,\"one\"],"
		"[0,\"two\"]]}");
	wait_for(w, KAGGLE_RUNNING);
	expect(kaggle_log(w->k, "alice/demo-run", 1, 20 * NS_PER_S, in_seconds(30), hear, &h, &ended,
		       &w->why),
		0, &w->why);
	assert_false(ended);
	assert_string_equal(h.out.buf, "one\n");
	strbuf_release(&h.out);
	strbuf_release(&h.err);
}

static void test_refused_log(void **state)
{
	struct world *w = *state;
	struct heard h = {STRBUF_INIT, STRBUF_INIT, 0};
	bool ended = true;

	expect(kaggle_log(w->k, "alice/nowhere-x", 1, NS_PER_S, in_seconds(30), hear, &h, &ended, &w->why),
		-EACCES, &w->why);
	assert_false(ended);
	push(w, "{\"queue_seconds\":0,\"log\":[[0,\"one\"]]}");
	wait_for(w, KAGGLE_COMPLETE);
	fake_script(&w->fake, "{\"faults\":[{\"method\":\"LogStream\",\"kind\":\"garbage\",\"nth\":1,"
			      "\"body\":\"{\\\"code\\\":404,\\\"message\\\":\\\"no log\\\"}\"},"
			      "{\"method\":\"LogStream\",\"kind\":\"status\",\"code\":503,\"nth\":2}]}");
	expect(kaggle_log(w->k, "alice/demo-run", 1, NS_PER_S, in_seconds(30), hear, &h, &ended, &w->why),
		-ENOENT, &w->why);
	expect(kaggle_log(w->k, "alice/demo-run", 1, NS_PER_S, in_seconds(30), hear, &h, &ended, &w->why),
		0, &w->why);
	assert_string_equal(h.out.buf, "one\n");
	strbuf_release(&h.out);
	strbuf_release(&h.err);
}

/* ---- Uploads and datasets ---- */

static void write_big(struct world *w, const char *name, size_t size)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	while (text.len < size)
		strbuf_addch(&text, "0123456789abcde\n"[text.len % 16]);
	assert_int_equal(io_write_durable(w->fake.homefd, name, text.buf, text.len, 0600), 0);
}

static int make_dataset(struct world *w, const char *token)
{
	const char *tokens[] = {token, NULL};
	const struct kaggle_dataset d = {
		.slug = "alice/demo-data", .title = "Demo data", .notes = "again", .tokens = tokens};

	return kaggle_dataset_create(w->k, &d, in_seconds(30), &w->why);
}

static void wait_for_dataset(struct world *w)
{
	char status[40] = "";

	for (int64_t until = in_seconds(60); strcmp(status, "READY") != 0 && clock_boot_ns() < until;
		usleep(50000))
		expect(kaggle_dataset_status(w->k, "alice/demo-data", in_seconds(30), status, &w->why), 0,
			&w->why);
	assert_string_equal(status, "READY");
}

static void test_upload_resumes(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf token = STRBUF_INIT;

	write_big(w, "up.bin", BIG);
	fake_script(&w->fake, "{\"faults\":[{\"method\":\"PUT\",\"kind\":\"status\",\"code\":503,"
			      "\"store\":1000000,\"nth\":1},{\"method\":\"PUT\",\"kind\":\"reset\","
			      "\"store\":1500000,\"nth\":3}]}");
	expect(kaggle_upload(w->k, "DATASET", w->fake.homefd, "up.bin", "data.bin", in_seconds(60), &token,
		       &w->why),
		0, &w->why);
	assert_int_equal(fake_calls(&w->fake, "StartBlobUpload"), 1);
	assert_int_equal(fake_calls(&w->fake, "PUT"), 5);
	expect(make_dataset(w, token.buf), 0, &w->why);
	wait_for_dataset(w);
}

static void test_dataset_life(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf token = STRBUF_INIT;
	const char *tokens[] = {NULL, NULL};
	struct kaggle_dataset d = {.slug = "alice/demo-data", .notes = "again", .tokens = tokens};
	char status[40];

	expect(kaggle_dataset_status(w->k, "alice/demo-data", in_seconds(30), status, &w->why), -EACCES,
		&w->why);
	write_big(w, "a.csv", 0);
	expect(kaggle_upload(w->k, "DATASET", w->fake.homefd, "a.csv", NULL, in_seconds(60), &token,
		       &w->why),
		0, &w->why);
	expect(make_dataset(w, token.buf), 0, &w->why);
	wait_for_dataset(w);
	strbuf_reset(&token);
	write_big(w, "a.csv", 1000);
	expect(kaggle_upload(w->k, "DATASET", w->fake.homefd, "a.csv", NULL, in_seconds(60), &token,
		       &w->why),
		0, &w->why);
	tokens[0] = token.buf;
	expect(kaggle_dataset_version(w->k, &d, in_seconds(30), &w->why), 0, &w->why);
	/* A token is used once, and the service says so. */
	assert_int_not_equal(kaggle_dataset_version(w->k, &d, in_seconds(30), &w->why), 0);
	assert_int_not_equal(w->why.err, EUCLEAN);
	expect(kaggle_dataset_delete(w->k, "alice/demo-data", in_seconds(30), &w->why), 0, &w->why);
}

static void test_not_a_file(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf token = STRBUF_INIT;

	assert_int_equal(symlinkat("/etc/passwd", w->fake.homefd, "link"), 0);
	expect(kaggle_upload(w->k, "DATASET", w->fake.homefd, "link", NULL, in_seconds(5), &token, &w->why),
		-ELOOP, &w->why);
	assert_int_equal(fake_calls(&w->fake, "StartBlobUpload"), 0);
}

/* ---- Competitions ---- */

static void test_submit(void **state)
{
	struct world *w = *state;
	int64_t ref = 0;
	int left = -1;

	fake_script(&w->fake, "{\"competitions\":{\"daily-one\":{\"daily\":1}}}");
	write_big(w, "sub.csv", 100);
	expect(kaggle_submissions_left(w->k, "daily-one", in_seconds(30), &left, &w->why), 0, &w->why);
	assert_int_equal(left, 1);
	expect(kaggle_submit_file(w->k, "daily-one", w->fake.homefd, "sub.csv", "first", in_seconds(30),
		       &ref, &w->why),
		0, &w->why);
	assert_true(ref > 0);
	fake_script(&w->fake, "{\"modes\":{\"omit_defaults\":true}}");
	expect(kaggle_submissions_left(w->k, "daily-one", in_seconds(30), &left, &w->why), 0, &w->why);
	assert_int_equal(left, 0);
	expect(kaggle_submit_file(w->k, "daily-one", w->fake.homefd, "sub.csv", "second", in_seconds(30),
		       &ref, &w->why),
		-EDQUOT, &w->why);
	expect(kaggle_submit_file(w->k, "closed-shop", w->fake.homefd, "sub.csv", "x", in_seconds(30), &ref,
		       &w->why),
		-EACCES, &w->why);
	expect(kaggle_submit_kernel(w->k, "titanic", "alice/none-there", 1, "sub.csv", "x", in_seconds(30),
		       &ref, &w->why),
		-ENOENT, &w->why);
	assert_int_equal(fake_effects(&w->fake, "submission"), 1);
}

static void test_submission_is_sent_once(void **state)
{
	struct world *w = *state;
	int64_t ref;

	write_big(w, "sub.csv", 100);
	fake_script(&w->fake, "{\"faults\":[{\"method\":\"CreateSubmission\",\"kind\":\"reset\","
			      "\"when\":\"after\"}]}");
	expect(kaggle_submit_file(w->k, "titanic", w->fake.homefd, "sub.csv", "first", in_seconds(30), &ref,
		       &w->why),
		-EUCLEAN, &w->why);
	assert_int_equal(fake_calls(&w->fake, "CreateSubmission"), 1);
	assert_int_equal(fake_effects(&w->fake, "submission"), 1);
}

static void test_leaderboard(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf csv = STRBUF_INIT;

	expect(kaggle_leaderboard(w->k, "titanic", in_seconds(30), &csv, &w->why), 0, &w->why);
	assert_true(strncmp(csv.buf, "TeamId,TeamName,", 16) == 0);
	assert_non_null(strstr(csv.buf, "名無し"));
	expect(kaggle_leaderboard(w->k, "nowhere", in_seconds(30), &csv, &w->why), -EACCES, &w->why);
}

static void test_competition_files(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf file = STRBUF_INIT;

	expect(kaggle_competition_file(w->k, "titanic", "train.csv", w->fake.homefd, "t.csv", BIG,
		       in_seconds(30), &w->why),
		0, &w->why);
	assert_int_equal(io_read(w->fake.homefd, "t.csv", BIG, &file), 0);
	assert_true(strncmp(file.buf, "PassengerId,Survived,Sex\n1,", 27) == 0);
	strbuf_reset(&file);
	expect(kaggle_competition_file(w->k, "titanic", NULL, w->fake.homefd, "all.zip", BIG,
		       in_seconds(30), &w->why),
		0, &w->why);
	assert_int_equal(io_read(w->fake.homefd, "all.zip", BIG, &file), 0);
	assert_memory_equal(file.buf, "PK\003\004", 4);
	expect(kaggle_competition_file(w->k, "titanic", "none.csv", w->fake.homefd, "n", BIG,
		       in_seconds(30), &w->why),
		-ENOENT, &w->why);
	expect(kaggle_competition_file(w->k, "titanic", "train.csv", w->fake.homefd, "n", 10,
		       in_seconds(30), &w->why),
		-EFBIG, &w->why);
	assert_int_equal(files_left(w), 2);
}

/* The URL expires between the redirect and the download: another one is asked for. Bytes may also come at
 * once, and an error may look like a file. */
static void test_competition_file_faults(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf file = STRBUF_INIT;

	fake_script(&w->fake, "{\"faults\":[{\"method\":\"Storage\",\"kind\":\"status\",\"code\":403,"
			      "\"nth\":1},{\"method\":\"DownloadDataFile\",\"kind\":\"garbage\",\"nth\":3,"
			      "\"body\":\"a,b\\n\",\"type\":\"text/csv\"},"
			      "{\"method\":\"DownloadDataFile\",\"kind\":\"garbage\",\"nth\":4,"
			      "\"body\":\"{\\\"code\\\":403,\\\"message\\\":\\\"rules\\\"}\"}]}");
	expect(kaggle_competition_file(w->k, "titanic", "train.csv", w->fake.homefd, "a", BIG,
		       in_seconds(30), &w->why),
		0, &w->why);
	assert_int_equal(fake_calls(&w->fake, "DownloadDataFile"), 2);
	expect(kaggle_competition_file(w->k, "titanic", "train.csv", w->fake.homefd, "b", BIG,
		       in_seconds(30), &w->why),
		0, &w->why);
	assert_int_equal(io_read(w->fake.homefd, "b", BIG, &file), 0);
	assert_string_equal(file.buf, "a,b\n");
	expect(kaggle_competition_file(w->k, "titanic", "train.csv", w->fake.homefd, "c", BIG,
		       in_seconds(30), &w->why),
		-EACCES, &w->why);
	assert_non_null(strstr(w->why.text, "rules"));
	assert_int_equal(files_left(w), 2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_resumed),
		T(test_resumed_by_the_next_call),
		T(test_too_large),
		T(test_empty_file),
		T(test_expired),
		T(test_bad_urls_and_names),
		T(test_no_loopback_from_the_network),
		T(test_pages),
		T(test_live_log),
		T(test_log_until_the_end),
		T(test_cut_log),
		T(test_refused_log),
		T(test_upload_resumes),
		T(test_dataset_life),
		T(test_not_a_file),
		T(test_submit),
		T(test_submission_is_sent_once),
		T(test_leaderboard),
		T(test_competition_files),
		T(test_competition_file_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
