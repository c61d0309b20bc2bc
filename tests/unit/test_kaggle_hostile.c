/* A Kaggle that is not one: answers byte by byte as no honest service sends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "backends/kaggle/api.h"
#include "fake_kaggle.h"
#include "fs/base/archive.h"
#include "fs/base/cleanup.h"
#include "fs/base/why.h"

#define ANSWERS 8

/* Takes one connection after another: reads a request, gives the next answer, closes. */
struct world {
	struct fake home;
	struct kaggle *k;
	struct why why;
	int listener, port;
	pthread_t thread;
	struct strbuf answers[ANSWERS];
	struct strbuf requests[ANSWERS]; /* heads */
	int given;
	_Atomic int count; /* requests read; each before its answer is sent */
	char url[64];
};

static size_t body_length(const char *head)
{
	const char *at = strcasestr(head, "\r\nContent-Length:");

	return at ? strtoul(at + 17, NULL, 10) : 0;
}

static void read_request(int fd, struct strbuf *head)
{
	const char *end = NULL;
	char byte[4096];
	ssize_t n;

	while (!end && (n = read(fd, byte, sizeof(byte))) > 0) {
		strbuf_add(head, byte, (size_t)n);
		end = strstr(head->buf, "\r\n\r\n");
	}
	while (end && head->len - (size_t)(end + 4 - head->buf) < body_length(head->buf) &&
		(n = read(fd, byte, sizeof(byte))) > 0) {
		strbuf_add(head, byte, (size_t)n);
		end = strstr(head->buf, "\r\n\r\n");
	}
}

static void *serve(void *arg)
{
	struct world *w = arg;
	int fd;

	while ((fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		AUTO_BUF struct strbuf none = STRBUF_INIT;
		int n = w->count < w->given ? w->count : -1;

		read_request(fd, n >= 0 ? &w->requests[n] : &none);
		w->count++;
		if (n >= 0)
			io_write_all(fd, w->answers[n].buf, w->answers[n].len);
		close(fd);
	}
	return NULL;
}

/* What came with request i, which has been answered. */
static const char *seen(struct world *w, int i)
{
	assert_true(w->count > i);
	return w->requests[i].buf;
}

static void open_port(struct world *w)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(w->listener, 16), 0);
	assert_int_equal(getsockname(w->listener, (struct sockaddr *)&a, &len), 0);
	w->port = ntohs(a.sin_port);
	snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%d/api/v1", w->port);
}

static int begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	for (int i = 0; i < ANSWERS; i++) {
		strbuf_init(&w->answers[i], STRBUF_DEFAULT_MAX);
		strbuf_init(&w->requests[i], STRBUF_DEFAULT_MAX);
	}
	fake_surroundings(&w->home);
	open_port(w);
	setenv("KEXEC_KAGGLE_URL", w->url, 1);
	setenv("KAGGLE_USERNAME", "alice", 1);
	setenv("KAGGLE_KEY", ALICE_KEY, 1);
	assert_int_equal(kaggle_new(NULL, w->home.log, &w->k, &w->why), 0);
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	shutdown(w->listener, SHUT_RDWR);
	if (w->thread)
		pthread_join(w->thread, NULL);
	close(w->listener);
	for (int i = 0; i < ANSWERS; i++) {
		strbuf_release(&w->answers[i]);
		strbuf_release(&w->requests[i]);
	}
	kaggle_free(w->k);
	fake_leave(&w->home);
	free(w);
	return 0;
}

static void answer(struct world *w, const char *head, const void *body, size_t len)
{
	struct strbuf *a = &w->answers[w->given++];

	strbuf_addf(a, "HTTP/1.1 %s\r\nConnection: close\r\n", head);
	if (!strstr(head, "Content-Length"))
		strbuf_addf(a, "Content-Length: %zu\r\n", len);
	strbuf_adds(a, "\r\n");
	strbuf_add(a, body, len);
}

static void answer_text(struct world *w, const char *head, const char *body)
{
	answer(w, head, body, strlen(body));
}

static void go(struct world *w)
{
	assert_int_equal(pthread_create(&w->thread, NULL, serve, w), 0);
}

static void expect(int r, int want, const struct why *why)
{
	if (r != want)
		fail_msg("%d (%s), not %d", r, why_text(why), want);
}

static int download(struct world *w, int64_t max)
{
	return kaggle_download(w->k, w->url, w->home.homefd, "f", max, in_seconds(20), &w->why);
}

static void file_is(struct world *w, const char *want)
{
	AUTO_BUF struct strbuf file = STRBUF_INIT;

	assert_int_equal(io_read(w->home.homefd, "f", 1 << 20, &file), 0);
	assert_string_equal(file.buf, want);
}

/* ---- Downloads ---- */

static void test_rest_of_another_file(void **state)
{
	struct world *w = *state;

	answer_text(w, "200 OK\r\nETag: \"a\"\r\nContent-Length: 8", "aaaa");
	answer_text(w, "206 Partial Content\r\nETag: \"b\"\r\nContent-Range: bytes 4-7/8", "bbbb");
	answer_text(w, "200 OK\r\nETag: \"b\"", "bbbbbbbb");
	go(w);
	expect(download(w, 100), 0, &w->why);
	file_is(w, "bbbbbbbb");
	assert_non_null(strstr(seen(w, 1), "Range: bytes=4-"));
	assert_non_null(strstr(seen(w, 1), "If-Range: \"a\""));
	assert_null(strstr(seen(w, 2), "Range:"));
	assert_null(strstr(seen(w, 0), "Authorization"));
}

static void test_rest_in_pieces(void **state)
{
	struct world *w = *state;

	answer_text(w, "200 OK\r\nETag: \"a\"\r\nContent-Length: 9", "abc");
	answer_text(w, "206 Partial Content\r\nETag: \"a\"\r\nContent-Range: bytes 3-5/9", "def");
	answer_text(w, "206 Partial Content\r\nETag: \"a\"\r\nContent-Range: bytes 6-8/9", "ghi");
	go(w);
	expect(download(w, 100), 0, &w->why);
	file_is(w, "abcdefghi");
}

static void test_wrong_place(void **state)
{
	struct world *w = *state;

	answer_text(w, "200 OK\r\nETag: \"a\"\r\nContent-Length: 9", "abc");
	answer_text(w, "206 Partial Content\r\nETag: \"a\"\r\nContent-Range: bytes 0-8/9", "abcdefghi");
	answer_text(w, "200 OK\r\nETag: \"a\"\r\nContent-Length: 9", "abcd");
	answer_text(w, "416 Range Not Satisfiable", "");
	answer_text(w, "200 OK", "abcdefghi");
	go(w);
	expect(download(w, 100), 0, &w->why);
	file_is(w, "abcdefghi");
}

static void test_never_the_rest(void **state)
{
	struct world *w = *state;

	answer_text(w, "200 OK\r\nETag: \"a\"\r\nContent-Length: 9", "abc");
	for (int i = 0; i < 6; i++)
		answer_text(w, "206 Partial Content\r\nContent-Range: bytes 77-78/99", "xx");
	go(w);
	expect(download(w, 100), -EPROTO, &w->why);
	assert_int_equal(faccessat(w->home.homefd, "f", F_OK, 0), -1);
}

static void test_sizes_that_lie(void **state)
{
	struct world *w = *state;

	answer_text(w, "200 OK\r\nContent-Length: 99999999999", "abc");
	answer_text(w, "200 OK\r\nTransfer-Encoding: chunked\r\nX-Content-Length: 0", "4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n");
	go(w);
	expect(download(w, 1000), -EFBIG, &w->why);
	expect(download(w, 7), -EFBIG, &w->why);
}

static void test_redirects(void **state)
{
	struct world *w = *state;

	answer_text(w, "302 Found\r\nLocation: http://192.0.2.1/x", "");
	answer_text(w, "302 Found\r\nLocation: file:///etc/passwd", "");
	go(w);
	assert_int_not_equal(download(w, 1000), 0);
	assert_int_not_equal(download(w, 1000), 0);
	assert_int_equal(faccessat(w->home.homefd, "f", F_OK, 0), -1);
}

/* ---- Calls ---- */

static void test_session_numbers(void **state)
{
	static const char *const bad[] = {"/kernels/output/download_zip/12x", "/kernels/output/download_zip/-5",
		"/kernels/output/download_zip/", "/kernels/output/download_zip/99999999999999999999",
		"/kernels/output/download_zip/0", "/kernels/other/7"};
	struct world *w = *state;
	char head[200];

	for (size_t i = 0; i < 6; i++) {
		snprintf(head, sizeof(head), "302 Found\r\nLocation: %s%s", w->url, bad[i]);
		answer_text(w, head, "");
	}
	snprintf(head, sizeof(head), "302 Found\r\nLocation: %s/kernels/output/download_zip/77", w->url);
	answer_text(w, head, "");
	answer_text(w, "200 OK", "{}");
	go(w);
	for (int i = 0; i < 6; i++)
		expect(kaggle_cancel_session(w->k, "alice/demo-run", 3, in_seconds(20), &w->why), -ENOENT,
			&w->why);
	assert_int_equal(w->count, 6);
	expect(kaggle_cancel_session(w->k, "alice/demo-run", 3, in_seconds(20), &w->why), 0, &w->why);
	assert_non_null(strstr(seen(w, 6), "GET /api/v1/kernels/output/download/alice/demo-run?versionNumber=3 "));
	assert_non_null(strstr(seen(w, 7), "{\"kernelSessionId\":77}"));
}

/* What is sent is what the official client sends: no defaults but those that it always sends. */
static void test_request_as_the_official_client(void **state)
{
	static const char *const datasets[] = {"alice/demo-data", NULL};
	struct world *w = *state;
	struct kaggle_push p = {.slug = "alice/demo-run", .title = "Demo run", .text = "x", .language = "python",
		.kernel_type = "script", .datasets = datasets, .is_private = true, .internet = true,
		.session_seconds = 600};
	struct kaggle_pushed pushed;

	answer_text(w, "200 OK", "{\"versionNumber\":1}");
	go(w);
	expect(kaggle_save_kernel(w->k, &p, in_seconds(20), &pushed, &w->why), 0, &w->why);
	kaggle_pushed_release(&pushed);
	assert_string_equal(strstr(seen(w, 0), "\r\n\r\n") + 4,
		"{\"slug\":\"alice/demo-run\",\"newTitle\":\"Demo run\",\"text\":\"x\",\"language\":\"python\","
		"\"kernelType\":\"script\",\"datasetDataSources\":[\"alice/demo-data\"],\"isPrivate\":true,"
		"\"enableGpu\":false,\"enableTpu\":false,\"enableInternet\":true,\"sessionTimeoutSeconds\":600}");
	assert_non_null(strstr(seen(w, 0), "POST /api/v1/kernels.KernelsApiService/SaveKernel HTTP/1.1\r\n"));
	assert_non_null(strstr(seen(w, 0),
		"Authorization: Basic YWxpY2U6MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\r\n"));
	assert_non_null(strstr(seen(w, 0), "User-Agent: kexec/"));
}

static int no_event(void *arg, const char *stream, double seconds, const char *text, size_t len)
{
	fail_msg("an event");
	return 0;
}

static void test_log_that_is_a_page(void **state)
{
	struct world *w = *state;
	bool ended = true;

	for (int i = 0; i < 3; i++)
		answer_text(w, "200 OK\r\nContent-Type: text/html; charset=utf-8", "<html>sign in</html>");
	go(w);
	expect(kaggle_log(w->k, "alice/demo-run", 1, NS_PER_S, in_seconds(20), no_event, NULL, &ended,
		       &w->why),
		-EPROTO, &w->why);
	assert_false(ended);
}

static void test_deep_answer(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf deep = STRBUF_INIT;
	struct kaggle_quota q;

	for (int i = 0; i < 100000; i++)
		strbuf_adds(&deep, "{\"a\":[");
	for (int i = 0; i < 3; i++)
		answer_text(w, "200 OK", deep.buf);
	go(w);
	expect(kaggle_get_quota(w->k, in_seconds(20), &q, &w->why), -EPROTO, &w->why);
}

/* 65 MiB of zeros in a small archive. */
static void test_leaderboard_bomb(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf zip = STRBUF_INIT, csv = STRBUF_INIT;
	AUTO_FD int big = openat(w->home.homefd, "board.csv", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	AUTO_FD int out = openat(w->home.homefd, "board.zip", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	const char *path = "board.csv";

	assert_int_equal(ftruncate(big, (off_t)65 << 20), 0);
	assert_int_equal(archive_zip(w->home.homefd, &path, 1, out, in_seconds(60), &w->why), 0);
	assert_int_equal(io_read(w->home.homefd, "board.zip", 1 << 20, &zip), 0);
	answer(w, "200 OK\r\nContent-Type: application/octet-stream", zip.buf, zip.len);
	answer(w, "200 OK", zip.buf, zip.len / 2);
	answer_text(w, "200 OK", "PK\003\004garbage");
	go(w);
	expect(kaggle_leaderboard(w->k, "titanic", in_seconds(60), &csv, &w->why), -EFBIG, &w->why);
	strbuf_reset(&csv);
	assert_int_not_equal(kaggle_leaderboard(w->k, "titanic", in_seconds(20), &csv, &w->why), 0);
	expect(kaggle_leaderboard(w->k, "titanic", in_seconds(20), &csv, &w->why), -EPROTO, &w->why);
}

static void test_upload_that_never_ends(void **state)
{
	struct world *w = *state;
	AUTO_BUF struct strbuf token = STRBUF_INIT;
	char body[200];

	assert_int_equal(io_write_atomic(w->home.homefd, "u", "0123456789", 10, 0600), 0);
	snprintf(body, sizeof(body), "{\"token\":\"T\",\"createUrl\":\"%s\"}", w->url);
	answer_text(w, "200 OK", body);
	/* More than the file has, going back, and nonsense: none of it moves the upload on. */
	answer_text(w, "308 Resume Incomplete\r\nRange: bytes=0-3", "");
	answer_text(w, "308 Resume Incomplete\r\nRange: bytes=0-99999", "");
	answer_text(w, "308 Resume Incomplete\r\nRange: bytes=5-7", "");
	answer_text(w, "308 Resume Incomplete\r\nRange: bytes=0-3", "");
	answer_text(w, "201 Created", "");
	go(w);
	expect(kaggle_upload(w->k, "DATASET", w->home.homefd, "u", NULL, in_seconds(30), &token, &w->why), 0,
		&w->why);
	assert_string_equal(token.buf, "T");
	assert_non_null(strstr(seen(w, 2), "Content-Range: bytes 4-9/10\r\n"));
	assert_string_equal(strstr(seen(w, 2), "\r\n\r\n") + 4, "456789");
	assert_null(strstr(seen(w, 3), "Content-Range"));
	assert_null(strstr(seen(w, 1), "Authorization"));
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_rest_of_another_file),
		T(test_rest_in_pieces),
		T(test_wrong_place),
		T(test_never_the_rest),
		T(test_sizes_that_lie),
		T(test_redirects),
		T(test_session_numbers),
		T(test_request_as_the_official_client),
		T(test_log_that_is_a_page),
		T(test_deep_answer),
		T(test_leaderboard_bomb),
		T(test_upload_that_never_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
