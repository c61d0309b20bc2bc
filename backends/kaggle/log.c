/* The log: a stream of events while the run goes on, a stored document afterwards, from one address. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define METHOD     "GetKernelSessionLogsStream"
#define STORED_MAX ((size_t)64 << 20)
#define STREAM_MAX ((size_t)256 << 20)
#define FIRST_NS   (10 * NS_PER_S) /* an answer may take so long however soon idleness is */

struct stream {
	struct kaggle *k;
	const char *url;
	int64_t idle_ns, deadline_ns, last_ns;
	kaggle_log_event *event;
	void *arg;
	struct sse sse;
	struct strbuf stored;
	bool live, idle, ended;
	int err;   /* what the caller's function returned */
};

static bool enough(void *arg)
{
	struct stream *s = arg;
	int64_t limit = s->live || s->idle_ns > FIRST_NS ? s->idle_ns : FIRST_NS;

	s->idle = s->live && clock_boot_ns() - s->last_ns > limit;
	s->idle |= s->stored.len == 0 && clock_boot_ns() - s->last_ns > limit;
	return s->idle || atomic_load(&s->k->stopped);
}

static int pass_on(void *arg, const char *stream, double seconds, const char *text, size_t len)
{
	struct stream *s = arg;

	s->err = s->event(s->arg, stream, seconds, text, len);
	return s->err;
}

static int on_event(void *arg, const char *data, size_t len)
{
	struct stream *s = arg;
	int r = log_text_event(data, len, pass_on, s, &s->ended);

	s->last_ns = clock_boot_ns();
	return s->ended ? -EALREADY : r;
}

static int on_bytes(void *arg, const struct http_response *so_far, const void *data, size_t len)
{
	struct stream *s = arg;

	if (strcmp(so_far->content_type, "text/event-stream") != 0)
		return strbuf_add(&s->stored, data, len);
	if (!s->live)
		s->last_ns = clock_boot_ns();
	s->live = true;
	return sse_feed(&s->sse, data, len);
}

static int read_stored(struct stream *s, const struct http_response *response, struct why *why)
{
	struct answer a;
	int r;

	if (strcmp(response->content_type, "text/html") == 0)
		return why_set(why, EPROTO, _("Kaggle answered %s with a page instead of a log"), METHOD);
	r = answer_disguised(s->stored.buf, s->stored.len, &a);
	if (r)
		return rpc_say(METHOD, r, &a, why);
	r = log_text_read(s->stored.buf, s->stored.len, pass_on, s);
	s->ended = r == 0;
	return r;
}

static int read_refusal(const struct http_response *response, struct rpc_news *news, struct why *why)
{
	struct json *none = NULL;
	struct answer a;
	int r = answer_read(response->status, response->body.buf ? response->body.buf : "",
		response->body.len, false, &none, &a);

	json_free(none);
	news->again = a.again;
	news->retry_after_ns = response->retry_after_ns;
	return rpc_say(METHOD, r ? r : -EPROTO, &a, why);
}

/* How a call over the stream ended: events that were given stay given. */
static int conclude(struct stream *s, int r, const struct http_response *response,
	struct rpc_news *news, struct why *why)
{
	if (s->err)
		return s->err;
	if (s->ended || s->idle || (s->live && (r == 0 || r == -EPIPE || r == -ETIMEDOUT)))
		return 0;
	if (r == -EFBIG || r == -E2BIG)
		return why_set(why, EFBIG, _("the log is too long"));
	if (r)
		return rpc_transport(r, response->sent, false, s->deadline_ns, news);
	if (response->status != 200)
		return read_refusal(response, news, why);
	return s->live ? 0 : read_stored(s, response, why);
}

static int listen_to(struct stream *s, const char *header, struct rpc_news *news, struct why *why)
{
	static const char *const headers[] = {"Accept: text/event-stream, */*", NULL};
	struct http_options options = {.cancelled = enough, .arg = s};
	struct http_request request = {.method = "GET", .url = s->url, .headers = headers,
		.authorization = header, .follow = true, .max = STREAM_MAX,
		.deadline_ns = s->deadline_ns, .sink = on_bytes, .sink_arg = s};
	struct http_response response = {0};
	struct http *http;
	int r = http_new(&options, &http);

	if (r)
		return r;
	s->last_ns = clock_boot_ns();
	strbuf_reset(&s->stored);
	sse_release(&s->sse);
	s->sse = (struct sse){.event = on_event, .arg = s};
	r = http_call(http, &request, &response, why);
	r = conclude(s, r, &response, news, why);
	http_response_release(&response);
	http_free(http);
	return r;
}

static int try_log(struct kaggle *k, void *arg, struct rpc_news *news, struct why *why)
{
	struct stream *s = arg;
	char *header = NULL;
	int r = auth_header(k, s->deadline_ns, &header, why);

	if (r == 0)
		r = listen_to(s, header, news, why);
	auth_scrub(k, header, why);
	auth_forget(&header);
	return r;
}

static int make_url(const struct kaggle *k, const char *slug, int64_t version, struct strbuf *url,
	struct why *why)
{
	size_t owner_len;
	int r = rpc_split(slug, &owner_len, why);
	AUTO_FREE char *owner = r ? NULL : strndup(slug, owner_len);

	if (r || !owner)
		return r ? r : -ENOMEM;
	strbuf_addf(url, "%s/kernels/logs/stream/", k->base);
	http_escape(url, owner);
	strbuf_addch(url, '/');
	http_escape(url, slug + owner_len + 1);
	if (version > 0)
		strbuf_addf(url, "?versionLabel=v%lld", (long long)version);
	return url->err;
}

int kaggle_log(struct kaggle *k, const char *slug, int64_t version, int64_t idle_ns, int64_t deadline_ns,
	kaggle_log_event *event, void *arg, bool *ended, struct why *why)
{
	AUTO_BUF struct strbuf url = STRBUF_INIT;
	struct stream s = {.k = k, .idle_ns = idle_ns, .deadline_ns = deadline_ns, .event = event,
		.arg = arg};
	int r = make_url(k, slug, version, &url, why);

	*ended = false;
	s.url = url.buf;
	strbuf_init(&s.stored, STORED_MAX);
	if (r == 0)
		r = rpc_repeat(k, METHOD, deadline_ns, try_log, &s, why);
	*ended = s.ended;
	sse_release(&s.sse);
	strbuf_release(&s.stored);
	return r;
}
