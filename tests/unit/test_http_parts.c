/* The parts of the HTTP client that need no connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>

#include <cmocka.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/http.h"
#include "fs/base/http_parts.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void test_url_check(void **state)
{
	static const struct {
		const char *url;
		int want;
	} cases[] = {
		{"https://www.kaggle.com/api/v1/x?y=z#w", 0},
		{"HTTPS://Example.COM", 0},
		{"https://example.com:8443/", 0},
		{"https://[2001:db8::1]/", 0},
		{"https://[2001:db8::1]:7/", 0},
		{"https://0x7f000001/", 0}, /* https goes anywhere */
		{"https://example.com/a@b", 0},
		{"https://example.com?q", 0},
		{"http://localhost/", 0},
		{"http://LOCALHOST:11434/v1", 0},
		{"http://127.0.0.1:80", 0},
		{"http://127.255.0.3/", 0},
		{"http://[::1]:9/", 0},
		{"http://[0:0::1]/", 0},
		{"http://example.com/", -EACCES},
		{"http://127.0.0.1.example.com/", -EACCES},
		{"http://localhost.example.com/", -EACCES},
		{"http://localhost./", -EACCES},
		{"http://128.0.0.1/", -EACCES},
		{"http://0.0.0.0/", -EACCES},
		{"http://127.1/", -EACCES},
		{"http://2130706433/", -EACCES},
		{"http://0177.0.0.1/", -EACCES},
		{"http://[::ffff:127.0.0.1]/", -EACCES},
		{"http://[::]/", -EACCES},
		{"ftp://example.com/", -EACCES},
		{"file:///etc/passwd", -EACCES},
		{"javascript:alert(1)", -EACCES},
		{"httpss://example.com/", -EACCES},
		{"https://user@example.com/", -EACCES},
		{"https://user:word@example.com/", -EACCES},
		{"https://@example.com/", -EACCES},
		{"http://localhost@example.com/", -EACCES},
		{"", -EINVAL},
		{"example.com", -EINVAL},
		{"//example.com/", -EINVAL},
		{"https:/example.com", -EINVAL},
		{"https:", -EINVAL},
		{"https://", -EINVAL},
		{"https:///x", -EINVAL},
		{"https://:80/", -EINVAL},
		{"https://example.com:/", -EINVAL},
		{"https://example.com:0/", -EINVAL},
		{"https://example.com:65536/", -EINVAL},
		{"https://example.com:+1/", -EINVAL},
		{"https://example.com:123456/", -EINVAL},
		{"https://exam ple.com/", -EINVAL},
		{" https://example.com/", -EINVAL},
		{"https://example.com/\n", -EINVAL},
		{"https://example.com/a b", -EINVAL},
		{"https://example.com/\x7f", -EINVAL},
		{"https://ex%61mple.com/", -EINVAL},
		{"https://example.com\\@evil.org/", -EACCES},
		{"https://example.com\\evil/", -EINVAL},
		{"https://ex\xc3\xa4mple.com/", -EINVAL},
		{"https://[::1/", -EINVAL},
		{"https://[::1]x/", -EINVAL},
		{"https://[::1%25eth0]/", -EINVAL},
		{"https://[]/", -EINVAL},
		{"https://[1.2.3.4]/", -EINVAL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct why why = {0};
		int r = http_url_check(cases[i].url, &why);

		if (r != cases[i].want)
			fail_msg("%s: %d instead of %d", cases[i].url, r, cases[i].want);
		assert_int_equal(why.err, -r);
		assert_int_equal(http_url_check(cases[i].url, NULL), r);
	}
}

static void test_url_too_long(void **state)
{
	char url[HTTP_URL_MAX + 1];

	memset(url, 'x', sizeof(url));
	memcpy(url, "https://h/", 10);
	url[HTTP_URL_MAX] = '\0';
	assert_int_equal(http_url_check(url, NULL), -EINVAL);
	url[HTTP_URL_MAX - 1] = '\0';
	assert_int_equal(http_url_check(url, NULL), 0);
	memset(url + 8, 'h', 256);
	url[8 + 256] = '/';
	assert_int_equal(http_url_check(url, NULL), -EINVAL);
}

static void test_redirect_check(void **state)
{
	struct http_url far, near;

	assert_int_equal(http_url_parse("https://example.com/", &far, NULL), 0);
	assert_int_equal(http_url_parse("https://localhost/", &near, NULL), 0);
	assert_int_equal(http_redirect_check(&far, "https://example.org/", NULL), 0);
	assert_int_equal(http_redirect_check(&near, "https://example.org/", NULL), 0);
	assert_int_equal(http_redirect_check(&near, "http://127.0.0.1/", NULL), 0);
	assert_int_equal(http_redirect_check(&far, "https://127.0.0.1/", NULL), -EACCES);
	assert_int_equal(http_redirect_check(&far, "http://localhost/", NULL), -EACCES);
	assert_int_equal(http_redirect_check(&far, "http://example.com/", NULL), -EACCES);
	assert_int_equal(http_redirect_check(&far, "/relative", NULL), -EINVAL);
	assert_false(http_same_origin(&far, &near));
	assert_true(http_url_parse("https://EXAMPLE.com:443/x", &near, NULL) == 0 &&
		    http_same_origin(&far, &near));
	assert_true(http_url_parse("https://example.com:444/", &near, NULL) == 0 &&
		    !http_same_origin(&far, &near));
	assert_true(http_url_parse("http://example.com:443/", &near, NULL) == 0 &&
		    !http_same_origin(&far, &near));
}

static void test_escape(void **state)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	http_escape(&out, "a-Z_0.9~/ %+&=?#\xc3\xa9\n");
	assert_string_equal(out.buf, "a-Z_0.9~%2F%20%25%2B%26%3D%3F%23%C3%A9%0A");
}

static void test_dates(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} cases[] = {
		{"Mon, 02 Jan 2006 15:04:05 GMT", 1136214245},
		{"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Thu, 29 Feb 2024 23:59:59 GMT", 1709251199},
		{"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799},
		{"Thu, 29 Feb 2023 00:00:00 GMT", -1},
		{"Mon, 31 Apr 2023 00:00:00 GMT", -1},
		{"Mon, 00 Jan 2006 15:04:05 GMT", -1},
		{"Mon, 02 Jan 1969 15:04:05 GMT", -1},
		{"Mon, 02 Jan 2006 24:04:05 GMT", -1},
		{"Mon, 02 Jan 2006 15:60:05 GMT", -1},
		{"Mon, 02 Jan 2006 15:04:05 UTC", -1},
		{"Mon, 02 jan 2006 15:04:05 GMT", -1},
		{"Xon, 02 Jan 2006 15:04:05 GMT", -1},
		{"Mon, 02 Jan 2006 15:04:05 GMT ", -1},
		{"Mon, -2 Jan 2006 15:04:05 GMT", -1},
		{"Mon; 02 Jan 2006 15:04:05 GMT", -1},
		{"Monday, 02-Jan-06 15:04:05 GMT", -1},
		{"", -1},
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		if (http_date(cases[i].text) != cases[i].want)
			fail_msg("%s: %lld", cases[i].text, (long long)http_date(cases[i].text));
}

static void test_retry_after(void **state)
{
	static const struct {
		const char *value;
		int64_t want_s;
	} cases[] = {
		{"0", 0},
		{"7", 7},
		{"0007", 7},
		{"86400", 86400},
		{"86401", 86400},
		{"99999999999999999999999999", 86400},
		{"Mon, 02 Jan 2006 15:04:05 GMT", 5},
		{"Mon, 02 Jan 2006 15:04:00 GMT", 0},
		{"Mon, 02 Jan 2006 14:04:00 GMT", 0},
		{"Fri, 31 Dec 9999 23:59:59 GMT", 86400},
		{"", -1},
		{"-1", -1},
		{"1.5", -1},
		{"7 ", -1},
		{"+7", -1},
		{"soon", -1},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t got = http_retry_after(cases[i].value, 1136214240);

		if (got != (cases[i].want_s < 0 ? -1 : cases[i].want_s * NS_PER_S))
			fail_msg("%s: %lld", cases[i].value, (long long)got);
	}
}

static void test_backoff(void **state)
{
	/* With no jitter taken off, and with all of it. */
	assert_int_equal(http_backoff_ns(1, 1000, 60000, -1, 0), 1000);
	assert_int_equal(http_backoff_ns(2, 1000, 60000, -1, 0), 2000);
	assert_int_equal(http_backoff_ns(7, 1000, 60000, -1, 0), 60000);
	assert_int_equal(http_backoff_ns(INT32_MAX, 1, INT64_MAX, -1, 0), INT64_MAX);
	assert_int_equal(http_backoff_ns(INT32_MAX, 0, INT64_MAX, -1, 0), 0);
	assert_int_equal(http_backoff_ns(-3, 1000, 500, -1, 0), 500);
	assert_int_equal(http_backoff_ns(3, 1000, -5, -1, 0), 0);
	assert_int_equal(http_backoff_ns(1, 1000, 60000, 5000, 0), 5000);
	assert_int_equal(http_backoff_ns(9, 1000, 60000, 61000, 3), 61000);
	for (uint64_t random = 0; random < 5000; random++) {
		int64_t wait =
			http_backoff_ns(3, 1000, 60000, -1, random * UINT64_C(0x9e3779b97f4a7c15));

		assert_in_range(wait, 2000, 4000);
	}
}

/* ---- Heads ---- */

static int feed_head(struct http_head *head, struct http_response *out, const char *const *lines)
{
	int r = 0;

	for (; r == 0 && *lines; lines++)
		r = http_head_line(head, out, *lines, strlen(*lines));
	return r;
}

static void test_head(void **state)
{
	static const char *const lines[] = {"HTTP/1.1 103 Hints\r\n", "etag: \"no\"\r\n", "\r\n",
		"HTTP/1.1 200\r\n", "CONTENT-TYPE: \t Application/JSON ;charset=x\t\r\n",
		"content-length:12\r\n", "Location: a\r\n", "Location: b\r\n",
		"Content-Range: bytes 0-4/9\r\n", "Accept-Ranges: none\r\n", " folded: line\r\n",
		"Retry-After: 3\r\n", "ETag: with \x01 control\r\n", "no colon\r\n",
		": no name\r\n", "Content-Lengthy: 99\r\n", "\r\n", "Trailer: ignored\r\n",
		"ETag: \"late\"\r\n", NULL};
	struct http_head head = {.now_s = 0};
	struct http_response out = {0};

	assert_int_equal(feed_head(&head, &out, lines), 0);
	assert_true(head.done);
	assert_int_equal(out.status, 200);
	assert_string_equal(out.content_type, "application/json");
	assert_int_equal(out.length, 12);
	assert_string_equal(head.location, "a");
	assert_string_equal(out.range, "bytes 0-4/9");
	assert_string_equal(out.etag, "");
	assert_int_equal(out.retry_after_ns, 3 * NS_PER_S);
	assert_false(out.ranges);
}

static void test_head_refused(void **state)
{
	static const char *const firsts[] = {"", "\r\n", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 20",
		"HTTP/1.1 2x0 OK", "HTTP/1.1 101 Switch", "HTTP/1.1 099 Low", "ICY 200 OK",
		"<html>"};

	for (size_t i = 0; i < COUNT(firsts); i++) {
		struct http_head head = {0};
		struct http_response out = {0};

		assert_int_equal(
			http_head_line(&head, &out, firsts[i], strlen(firsts[i])), -EPROTO);
	}
}

static void test_head_lengths(void **state)
{
	static const struct {
		const char *value;
		int64_t want;
	} cases[] = {{"0", 0}, {"999999999999999999", 999999999999999999},
		{"9999999999999999999", -1}, {"-1", -1}, {"1, 1", -1}, {"", -1}, {"0x10", -1}};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_head head = {0};
		struct http_response out = {0};
		char line[100];

		http_head_line(&head, &out, "HTTP/1.1 200 OK", 15);
		snprintf(line, sizeof(line), "Content-Length: %s\r\n", cases[i].value);
		http_head_line(&head, &out, line, strlen(line));
		assert_int_equal(out.length, cases[i].want);
	}
}

static void test_request_check(void **state)
{
	static const char *const bad[] = {"X", ": x", "X:", "X: ", "X Y: z", "X: a\r\nY: b",
		"X: a\nb", "X\r\n: y", "Host: other", "content-length: 3",
		"Transfer-Encoding: chunked", "Connection: close", "X: \x01"};
	static const char *const good[] = {
		"X: y", "X:y", "X-Api-Key: a\tb", "Content-Type: x", "X: \xc3\xa9"};
	struct http_request q = {.method = "POST", .url = "https://x/"};
	const char *headers[2] = {NULL, NULL};

	q.headers = headers;
	for (size_t i = 0; i < COUNT(bad); i++) {
		headers[0] = bad[i];
		if (http_request_check(&q, NULL) != -EINVAL)
			fail_msg("accepted: %s", bad[i]);
	}
	for (size_t i = 0; i < COUNT(good); i++) {
		headers[0] = good[i];
		assert_int_equal(http_request_check(&q, NULL), 0);
	}
	q.authorization = "Bearer a\r\nX: y";
	assert_int_equal(http_request_check(&q, NULL), -EINVAL);
	q.authorization = NULL;
	q.body = "words";
	q.body_len = 5;
	assert_int_equal(http_request_check(&q, NULL), 0);
	q.method = "GET";
	assert_int_equal(http_request_check(&q, NULL), -EINVAL);
	q.method = "get";
	assert_int_equal(http_request_check(&q, NULL), -EINVAL);
}

/* ---- What it comes to ---- */

/* sent, head, acted: each way to end, at each stage. */
static void test_verdict(void **state)
{
	static const struct {
		enum http_end end;
		int unsent, sent, headed, acted_unsent, acted_sent;
	} cases[] = {
		{HTTP_BROKEN, -EAGAIN, -EUCLEAN, -EPIPE, -EPIPE, -EPIPE},
		{HTTP_NO_NAME, -EAGAIN, -EUCLEAN, -EPIPE, -EPIPE, -EPIPE},
		{HTTP_NO_PROXY_NAME, -EAGAIN, -EUCLEAN, -EPIPE, -EPIPE, -EPIPE},
		{HTTP_NO_TLS, -EAGAIN, -EUCLEAN, -EPIPE, -EPIPE, -EPIPE},
		{HTTP_LATE, -ETIMEDOUT, -EUCLEAN, -EPIPE, -EPIPE, -EPIPE},
		{HTTP_WHOLE, -EAGAIN, -EUCLEAN, 0, -EPIPE, -EPIPE},
		{HTTP_GARBLED, -EAGAIN, -EPROTO, -EPROTO, -EPIPE, -EPROTO},
		{HTTP_UNTRUSTED, -EACCES, -EUCLEAN, -EPIPE, -EACCES, -EPIPE},
		{HTTP_BAD_URL, -EINVAL, -EUCLEAN, -EPIPE, -EINVAL, -EPIPE},
		{HTTP_ENOUGH, 0, 0, 0, 0, 0},
		{HTTP_CANCELLED, -ECANCELED, -ECANCELED, -ECANCELED, -ECANCELED, -ECANCELED},
		{HTTP_TOO_LONG, -EFBIG, -EFBIG, -EFBIG, -EFBIG, -EFBIG},
		{HTTP_NO_MEMORY, -ENOMEM, -ENOMEM, -ENOMEM, -ENOMEM, -ENOMEM},
		{HTTP_FOREIGN, -ENOSPC, -ENOSPC, -ENOSPC, -ENOSPC, -ENOSPC},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct http_story s = {
			.end = cases[i].end, .host = "h.example", .foreign = -ENOSPC};
		struct why why = {0};

		assert_int_equal(http_verdict(&s, &why), cases[i].unsent);
		assert_int_equal(why.err, -cases[i].unsent);
		s.acted = true;
		assert_int_equal(http_verdict(&s, NULL), cases[i].acted_unsent);
		s.sent = true;
		assert_int_equal(http_verdict(&s, NULL), cases[i].acted_sent);
		s.acted = false;
		assert_int_equal(http_verdict(&s, NULL), cases[i].sent);
		s.head = true;
		assert_int_equal(http_verdict(&s, NULL), cases[i].headed);
	}
	assert_int_equal(
		http_verdict(&(struct http_story){.end = HTTP_BROKEN, .host = "h", .refused = true},
			NULL),
		-EACCES);
}

/* ---- Server-sent events ---- */

struct events {
	struct strbuf all; /* each event in brackets */
	int count, answer;
};

static int note(void *arg, const char *data, size_t len)
{
	struct events *e = arg;

	assert_int_equal(data[len], '\0');
	strbuf_addch(&e->all, '[');
	strbuf_add(&e->all, data, len);
	strbuf_addch(&e->all, ']');
	e->count++;
	return e->answer;
}

static const struct {
	const char *text, *want;
} streams[] = {
	{"data: a\n\n", "[a]"},
	{"data:a\r\rdata: b\r\n\r\n", "[a][b]"},
	{"data: a\ndata: b\n\n", "[a\nb]"},
	{"data\ndata\n\n", "[\n]"},
	{"data\n\n", "[]"},
	{"data:  two\n\n", "[ two]"},
	{": comment\nevent: x\nid: 3\nretry: 5\n\n", ""},
	{"event: message_start\ndata: {\"x\":1}\n\n", "[{\"x\":1}]"},
	{"data: never ended\n", ""},
	{"data: never ended", ""},
	{"datax: no\nDATA: no\n data: no\ndat: no\n\n", ""},
	{"\xef\xbb\xbf"
	 "data: mark\n\n\xef\xbb\xbf"
	 "data: no mark\n\n",
		"[mark]"},
	{"\n\n\r\n\r\rdata: a\n\n\n\n", "[a]"},
	{"data: a\r\n\r\ndata: [DONE]\r\n\r\n", "[a][[DONE]]"},
	{"data: a\n\r\ndata: b\r\r\n", "[a][b]"},
};

static void test_sse(void **state)
{
	for (size_t i = 0; i < COUNT(streams); i++)
		for (size_t piece = 1; piece < 9; piece++) {
			struct events e = {.all = STRBUF_INIT};
			struct sse s = {.event = note, .arg = &e};
			size_t len = strlen(streams[i].text);

			for (size_t at = 0; at < len; at += piece)
				assert_int_equal(sse_feed(&s, streams[i].text + at,
							 len - at < piece ? len - at : piece),
					0);
			assert_string_equal(e.all.buf, streams[i].want);
			sse_release(&s);
			strbuf_release(&e.all);
		}
}

static void test_sse_bounds(void **state)
{
	struct events e = {.all = STRBUF_INIT};
	struct sse s = {.event = note, .arg = &e};
	size_t len = (size_t)3 << 20;
	char *text = malloc(len);
	int r = 0;

	memset(text, 'x', len);
	for (size_t i = 0; i < 6; i++)
		text[i] = "data: "[i];
	assert_int_equal(sse_feed(&s, text, len), 0);
	assert_int_equal(sse_feed(&s, "\n\n", 2), 0);
	assert_int_equal(e.count, 1);
	assert_int_equal(e.all.len, (1 << 20) - 6 + 2); /* cut */
	text[len - 1] = '\n';
	for (int i = 0; i < 20 && r == 0; i++)
		r = sse_feed(&s, text, len);
	assert_int_equal(r, -EFBIG);
	sse_release(&s);
	e.answer = -ECANCELED;
	assert_int_equal(sse_feed(&s, "data: a\n\ndata: b\n\n", 18), -ECANCELED);
	assert_int_equal(e.count, 2);
	sse_release(&s);
	sse_release(&s);
	strbuf_release(&e.all);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url_check),
		cmocka_unit_test(test_url_too_long),
		cmocka_unit_test(test_redirect_check),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_backoff),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_head_refused),
		cmocka_unit_test(test_head_lengths),
		cmocka_unit_test(test_request_check),
		cmocka_unit_test(test_verdict),
		cmocka_unit_test(test_sse),
		cmocka_unit_test(test_sse_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
