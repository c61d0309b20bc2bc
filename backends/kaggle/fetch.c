/* Signed URLs into files, and the calls that answer with a file. */
#include "backends/kaggle/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define RESTARTS_MAX 3
#define LISTINGS_MAX 3
#define ERROR_BYTES  65536 /* an answer that is an error after all is not longer */

struct fetch {
	const char *url;
	int64_t deadline_ns;
	struct partial part;
	int restarts;
};

int rpc_signed_url(const struct kaggle *k, const char *url, struct why *why)
{
	int r = http_url_check(url, why);

	if (r == 0 && strncasecmp(url, "https:", 6) != 0 && !k->loopback)
		r = why_set(why, EACCES, _("Kaggle named a URL that is not https; it was not used"));
	return r;
}

/* What a storage service says with a status. */
static int read_status(const struct http_response *response, struct rpc_news *news, struct why *why)
{
	int status = response->status;

	if (status == 200 || status == 206)
		return 0;
	news->retry_after_ns = response->retry_after_ns;
	if (status == 408 || status == 429 || status >= 500) {
		news->again = true;
		return why_set(why, EAGAIN, _("Kaggle's storage answered with HTTP %d"), status);
	}
	if (status == 400 || status == 401 || status == 403 || status == 404 || status == 410)
		return why_set(why, ESTALE, _("the URL of a file has expired (HTTP %d)"), status);
	return why_set(why, EPROTO, _("Kaggle's storage answered with HTTP %d"), status);
}

static int start_over(struct fetch *f, struct rpc_news *news, struct why *why)
{
	int r = partial_restart(&f->part);

	if (r)
		return why_set(why, -r, "%s: %s", f->part.name, strerror(-r));
	if (++f->restarts > RESTARTS_MAX)
		return why_set(why, EPROTO, _("Kaggle's storage does not go on where a file was cut"));
	news->at_once = true;
	return -EAGAIN;
}

static int too_big(const struct partial *p, struct why *why)
{
	return why_set(why, EFBIG, _("%s is larger than %lld bytes"), p->name, (long long)p->max);
}

/* Errors of the transport, of our disk and of the sink. */
static int failed(struct kaggle *k, struct fetch *f, int err, bool sent, int64_t had,
	struct rpc_news *news, struct why *why)
{
	if (err == -ERANGE)
		return start_over(f, news, why);
	if (err == -EFBIG)
		return too_big(&f->part, why);
	if (f->part.have > had) /* it goes on, if slowly */
		gate_open(k, RPC_STORAGE);
	if (!why->err)
		why_set(why, -err, "%s: %s", f->part.name, strerror(-err));
	return rpc_transport(err, sent, false, f->deadline_ns, news);
}

/* The service chose to send less than what was left. */
static int take_more(struct fetch *f, int64_t had, struct rpc_news *news, struct why *why)
{
	if (f->part.have == had)
		return start_over(f, news, why);
	news->at_once = true;
	return -EAGAIN;
}

static int read_response(struct fetch *f, const struct http_response *response, int64_t had,
	struct rpc_news *news, struct why *why)
{
	int r;

	if (response->status == 416 && f->part.have > 0)
		return start_over(f, news, why);
	r = read_status(response, news, why);
	if (r)
		return r;
	r = partial_begin(&f->part, response);
	if (r == -ERANGE)
		return start_over(f, news, why);
	if (r == 0 && !partial_whole(&f->part, response))
		return take_more(f, had, news, why);
	return r;
}

static int try_fetch(struct kaggle *k, void *arg, struct rpc_news *news, struct why *why)
{
	struct fetch *f = arg;
	char range[64], condition[160];
	const char *headers[4] = {"Accept-Encoding: identity"};
	struct http_request request = {.method = "GET", .url = f->url, .headers = headers,
		.follow = true, .max = SIZE_MAX, .deadline_ns = f->deadline_ns, .sink = partial_sink,
		.sink_arg = &f->part};
	struct http_response response = {0};
	int64_t had = f->part.have;
	struct why mine = {0};
	int r;

	if (had > 0 && f->part.etag[0]) {
		snprintf(range, sizeof(range), "Range: bytes=%lld-", (long long)had);
		snprintf(condition, sizeof(condition), "If-Range: %s", f->part.etag);
		headers[1] = range;
		headers[2] = condition;
	}
	f->part.begun = false;
	r = http_call(k->http, &request, &response, &mine);
	r = r ? failed(k, f, r, response.sent, had, news, &mine)
	      : read_response(f, &response, had, news, &mine);
	http_response_release(&response);
	if (r && mine.err)
		why_set(why, -r, "%s", mine.text);
	return r;
}

int kaggle_download(struct kaggle *k, const char *url, int dirfd, const char *name, int64_t max,
	int64_t deadline_ns, struct why *why)
{
	struct fetch f = {.url = url, .deadline_ns = deadline_ns, .part = {.fd = -1}};
	int r = rpc_signed_url(k, url, why);

	if (r == 0)
		r = partial_open(&f.part, dirfd, name, max, why);
	if (r == 0)
		r = rpc_repeat(k, RPC_STORAGE, deadline_ns, try_fetch, &f, why);
	if (r == 0)
		r = partial_finish(&f.part, why);
	else if (r == -EFBIG || f.part.have == 0)
		partial_drop(&f.part);
	partial_close(&f.part);
	return r;
}

/* ---- Calls that answer with a file ---- */

struct ask {
	const struct rpc *rpc;
	struct strbuf body;
	struct partial *part;     /* the bytes go there */
	struct strbuf *text;      /* or there */
	char location[4096];      /* or are to be had there */
};

/* An error can hide in what looks like the file. */
static int unmask(struct ask *q, const struct http_response *response, struct why *why)
{
	char text[ERROR_BYTES];
	const char *bytes = response->body.buf;
	size_t len = response->body.len;
	struct answer a;
	int r;

	if (strcmp(response->content_type, "application/json") != 0)
		return 0;
	if (q->part) {
		ssize_t n = q->part->have < ERROR_BYTES ? pread(q->part->fd, text, ERROR_BYTES, 0) : 0;

		bytes = text;
		len = n > 0 ? (size_t)n : 0;
	}
	r = len > 0 && len < ERROR_BYTES ? answer_disguised(bytes, len, &a) : 0;
	return r ? rpc_say(q->rpc->method, r, &a, why) : 0;
}

static int take_answer(struct ask *q, const struct http_response *response, struct rpc_news *news,
	struct why *why)
{
	struct json *none = NULL;
	struct answer a;
	int r;

	if (response->status == 200 && q->part) {
		r = partial_begin(q->part, response);
		return r ? r : unmask(q, response, why);
	}
	if (response->status == 200) {
		r = unmask(q, response, why);
		return r ? r : strbuf_add(q->text, response->body.buf, response->body.len);
	}
	if (response->status / 100 == 3 && response->location[0]) {
		memcpy(q->location, response->location, sizeof(q->location));
		return 0;
	}
	r = answer_read(response->status, response->body.buf ? response->body.buf : "",
		response->body.len, false, &none, &a);
	json_free(none);
	r = r ? r : -EPROTO;
	news->again = a.again;
	news->retry_after_ns = response->retry_after_ns;
	return rpc_say(q->rpc->method, r, &a, why);
}

static int exchange(struct kaggle *k, struct ask *q, const char *header, struct rpc_news *news,
	struct why *why)
{
	static const char *const headers[] = {
		"Content-Type: application/json", "Accept-Encoding: identity", NULL};
	AUTO_BUF struct strbuf url = STRBUF_INIT;
	struct http_request request = {.method = "POST", .headers = headers, .authorization = header,
		.body = q->body.buf, .body_len = q->body.len, .follow = !q->part,
		.max = q->part ? SIZE_MAX : RPC_ANSWER_MAX, .deadline_ns = q->rpc->deadline_ns,
		.sink = q->part ? partial_sink : NULL, .sink_arg = q->part};
	struct http_response response = {0};
	int r = strbuf_addf(&url, "%s/%s", k->base, q->rpc->method);

	request.url = url.buf;
	if (q->part)
		q->part->begun = false;
	if (r == 0)
		r = http_call(k->http, &request, &response, why);
	if (r == -EFBIG && q->part)
		r = too_big(q->part, why);
	else if (r)
		r = rpc_transport(r, response.sent, false, q->rpc->deadline_ns, news);
	else
		r = take_answer(q, &response, news, why);
	http_response_release(&response);
	auth_scrub(k, header, why);
	return r;
}

static int try_ask(struct kaggle *k, void *arg, struct rpc_news *news, struct why *why)
{
	struct ask *q = arg;
	char *header = NULL;
	int r = auth_header(k, q->rpc->deadline_ns, &header, why);

	if (r == 0)
		r = exchange(k, q, header, news, why);
	auth_forget(&header);
	return r;
}

static int ask(struct kaggle *k, struct ask *q, struct why *why)
{
	struct why mine = {0};
	int r = json_print(q->rpc->request, &q->body, false);

	q->location[0] = '\0';
	if (r == 0)
		r = rpc_repeat(k, q->rpc->method, q->rpc->deadline_ns, try_ask, q, &mine);
	strbuf_release(&q->body);
	if (r && mine.err)
		why_set(why, -r, "%s", mine.text);
	return r;
}

/* The bytes themselves, or where they are: *elsewhere. */
static int ask_for_file(struct kaggle *k, struct ask *q, int dirfd, const char *name, int64_t max,
	struct why *why)
{
	struct partial part;
	int r = partial_open(&part, dirfd, name, max, why);

	q->part = &part;
	if (r == 0)
		r = ask(k, q, why);
	if (r == 0 && q->location[0] == '\0')
		r = partial_finish(&part, why);
	else if (r && (part.begun || part.have == 0))
		partial_drop(&part);
	partial_close(&part);
	q->part = NULL;
	return r;
}

int rpc_file(struct kaggle *k, const struct rpc *call, int dirfd, const char *name, int64_t max,
	struct why *why)
{
	int r = -ESTALE;

	for (int i = 0; i < LISTINGS_MAX && r == -ESTALE; i++) {
		struct ask q = {.rpc = call, .body = STRBUF_INIT};

		r = ask_for_file(k, &q, dirfd, name, max, why);
		if (r == 0 && q.location[0])
			r = kaggle_download(k, q.location, dirfd, name, max, call->deadline_ns, why);
	}
	return r;
}

int rpc_file_text(struct kaggle *k, const struct rpc *call, struct strbuf *out, struct why *why)
{
	struct ask q = {.rpc = call, .body = STRBUF_INIT, .text = out};

	return ask(k, &q, why);
}
