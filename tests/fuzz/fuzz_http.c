/* What servers say: heads, events in any pieces, dates, and URLs. The first byte chooses the
 * pieces. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/base/http.h"
#include "fs/base/http_parts.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

static int gather(void *arg, const char *data, size_t len)
{
	must(data[len] == '\0' && !memchr(data, '\r', len));
	strbuf_add(arg, data, len);
	strbuf_addch(arg, '\n');
	return 0;
}

static void feed(struct strbuf *out, const char *text, size_t len, size_t piece)
{
	struct sse s = {.event = gather, .arg = out};

	for (size_t at = 0; at < len; at += piece)
		must(sse_feed(&s, text + at, len - at < piece ? len - at : piece) == 0);
	sse_release(&s);
}

/* However it is cut, the same events come. */
static void check_events(const char *text, size_t len, size_t piece)
{
	struct strbuf whole = STRBUF_INIT, pieces = STRBUF_INIT;

	feed(&whole, text, len, len ? len : 1);
	feed(&pieces, text, len, piece);
	must(whole.len == pieces.len && memcmp(whole.buf, pieces.buf, whole.len) == 0);
	strbuf_release(&whole);
	strbuf_release(&pieces);
}

static void check_head(const char *text, size_t len)
{
	struct http_head head = {.now_s = 1136214245};
	struct http_response out = {0};
	int r = 0;

	while (len > 0 && r == 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) + 1 : len;

		r = http_head_line(&head, &out, text, n);
		text += n;
		len -= n;
	}
	must(r == 0 || r == -EPROTO);
	must(!head.done || (out.status >= 200 && out.status <= 999));
	must(out.length >= -1 && out.modified >= -1 && out.retry_after_ns >= -1);
	must(!strpbrk(out.etag, "\r\n\x1b") && !strpbrk(head.location, "\r\n\x1b"));
}

static void check_url(const char *text)
{
	struct http_url at, far = {.tls = true, .port = 443, .host = "example.com"};
	struct why why = {0};
	int r = http_url_check(text, &why);

	must(r == 0 || r == -EINVAL || r == -EACCES);
	must(why.err == -r);
	if (r == 0) {
		must(http_url_parse(text, &at, NULL) == 0 && at.host[0] && (at.tls || at.loopback));
		must(at.port > 0 && at.port < 65536 && !strpbrk(at.host, "@/?#\\%"));
		must(http_redirect_check(&far, text, NULL) == (at.loopback ? -EACCES : 0));
	}
}

static void check_value(const char *text)
{
	struct strbuf out = STRBUF_INIT;
	int64_t ns = http_retry_after(text, 1136214245), s = http_date(text);

	must(ns >= -1 && ns <= 86400 * NS_PER_S && s >= -1);
	http_escape(&out, text);
	must(strspn(out.buf,
		     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%") ==
		out.len);
	strbuf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	char *copy;

	if (size == 0)
		return 0;
	size--;
	check_events(text, size, data[0] % 16 + 1);
	check_head(text, size);
	copy = strndup(text, size);
	check_url(copy);
	check_value(copy);
	free(copy);
	return 0;
}
