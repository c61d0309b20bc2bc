/* One call, and its repetitions. */
#include "backends/kaggle/rpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define UNREADABLE_MAX 3 /* a broken answer may be an accident; more of them are not */

/* ---- Repeating ---- */

/* An answer to the request itself, good or bad: the method is not shut. */
static bool was_heard(int r)
{
	return r == 0 || r == -ENOENT || r == -EACCES || r == -EINVAL || r == -EEXIST || r == -EDQUOT ||
	       r == -ESTALE;
}

int rpc_repeat(struct kaggle *k, const char *gate, int64_t deadline_ns, rpc_try *one, void *arg,
	struct why *why)
{
	int last = 0;

	for (int unreadable = 0;;) {
		struct rpc_news news = {.retry_after_ns = -1};
		struct why shut = {0};
		int64_t begun;
		int r = gate_pass(k, gate, deadline_ns, &shut);

		if (r == -EAGAIN && last)
			return last;
		if (r)
			return why_set(why, -r, "%s", shut.text);
		begun = clock_boot_ns();
		if (begun >= deadline_ns)
			return last ? last : why_set(why, ETIMEDOUT, _("no time was left to ask Kaggle"));
		r = one(k, arg, &news, why);
		unreadable += r == -EPROTO;
		if (news.at_once)
			continue;
		if (news.again)
			gate_shut(k, gate, begun, news.retry_after_ns);
		else if (was_heard(r))
			gate_open(k, gate);
		if (!news.again || unreadable >= UNREADABLE_MAX)
			return r;
		last = r;
	}
}

/* For a call that changes something, whatever was sent leaves a doubt. */
static int doubtful(int err, bool sent)
{
	if (!sent || err == -EUCLEAN)
		return err;
	return -EUCLEAN;
}

int rpc_transport(int err, bool sent, bool once, int64_t deadline_ns, struct rpc_news *news)
{
	bool late = clock_boot_ns() >= deadline_ns;

	if (once) {
		news->again = err == -EAGAIN || (err == -ETIMEDOUT && !late && !sent);
		return news->again ? -EAGAIN : doubtful(err, sent);
	}
	switch (err) {
	case -EAGAIN:
	case -EUCLEAN:
	case -EPIPE:
	case -ETIMEDOUT:
		news->again = !late;
		return late ? -ETIMEDOUT : -EAGAIN;
	case -EPROTO:
		news->again = !late;
		return err;
	case -EFBIG:
		return -EPROTO;
	}
	return err;
}

/* ---- One call ---- */

struct call {
	const struct rpc *rpc;
	struct strbuf body;
	struct json **out;
	bool refused; /* a 401 was answered with other credentials already */
};

int rpc_say(const char *method, int err, const struct answer *a, struct why *why)
{
	method = rpc_short(method);
	if (err == -EPROTO && a->words[0])
		return why_set(why, -err, _("Kaggle's answer to %s cannot be read: %s"), method, a->words);
	if (a->words[0])
		return why_set(why, -err, _("Kaggle answered %s with HTTP %d: %s"), method, a->status,
			a->words);
	if (a->status == 401)
		return why_set(why, -err, _("Kaggle does not take these credentials (%s, HTTP 401)"), method);
	return why_set(why, -err, _("Kaggle answered %s with HTTP %d and nothing readable"), method,
		a->status);
}

static int read_answer(struct kaggle *k, struct call *c, const char *header,
	const struct http_response *response, struct rpc_news *news, struct why *why)
{
	struct answer a;
	int r = answer_read(response->status, response->body.buf ? response->body.buf : "",
		response->body.len, c->rpc->once, c->out, &a);

	if (r == 0)
		return 0;
	rpc_say(c->rpc->method, r, &a, why);
	news->again = a.again;
	news->retry_after_ns = response->retry_after_ns;
	if (a.status == 401 && !c->rpc->own_header && !c->refused && auth_refused(k, header))
		c->refused = news->at_once = true;
	return r;
}

static int exchange(struct kaggle *k, struct call *c, const char *header, struct rpc_news *news,
	struct why *why)
{
	static const char *const headers[] = {"Content-Type: application/json", NULL};
	AUTO_BUF struct strbuf url = STRBUF_INIT;
	struct http_response response = {0};
	struct http_request request = {.method = "POST", .headers = headers, .authorization = header,
		.body = c->body.buf, .body_len = c->body.len, .max = RPC_ANSWER_MAX,
		.deadline_ns = c->rpc->deadline_ns};
	int r = strbuf_addf(&url, "%s/%s", k->base, c->rpc->method);

	request.url = url.buf;
	if (r == 0)
		r = http_call(k->http, &request, &response, why);
	if (r)
		r = rpc_transport(r, response.sent, c->rpc->once, c->rpc->deadline_ns, news);
	else
		r = read_answer(k, c, header, &response, news, why);
	if (response.body.len)
		explicit_bzero(response.body.buf, response.body.len);
	http_response_release(&response);
	auth_scrub(k, header, why);
	return r;
}

static int try_call(struct kaggle *k, void *arg, struct rpc_news *news, struct why *why)
{
	struct call *c = arg;
	char *header = NULL;
	int r;

	if (c->rpc->own_header)
		return exchange(k, c, c->rpc->header, news, why);
	r = auth_header(k, c->rpc->deadline_ns, &header, why);
	if (r == 0)
		r = exchange(k, c, header, news, why);
	auth_forget(&header);
	return r;
}

/* What changes something is sent once: here news->again says only that the gate is to be shut. */
static int try_once(struct kaggle *k, void *arg, struct rpc_news *news, struct why *why)
{
	struct call *c = arg;
	int64_t begun = clock_boot_ns();
	int r = try_call(k, arg, news, why);

	if (news->again || news->retry_after_ns >= 0)
		gate_shut(k, c->rpc->method, begun, news->retry_after_ns);
	news->again = false;
	return r;
}

int rpc_call(struct kaggle *k, const struct rpc *rpc, struct json **out, struct why *why)
{
	struct call c = {.rpc = rpc, .out = out, .body = STRBUF_INIT};
	struct why mine = {0};
	int r = rpc->request ? json_print(rpc->request, &c.body, false) : strbuf_adds(&c.body, "{}");

	*out = NULL;
	if (r == 0)
		r = rpc_repeat(k, rpc->method, rpc->deadline_ns, rpc->once ? try_once : try_call, &c, &mine);
	if (r && mine.err)
		why_set(why, -r, "%s", mine.text);
	explicit_bzero(c.body.buf, c.body.len);
	strbuf_release(&c.body);
	return r;
}

/* ---- GET with our credentials ---- */

struct get {
	const char *path, *gate;
	int64_t deadline_ns;
	struct http_response *out;
	bool refused;
};

static int try_get(struct kaggle *k, void *arg, struct rpc_news *news, struct why *why)
{
	struct get *g = arg;
	AUTO_BUF struct strbuf url = STRBUF_INIT;
	struct http_request request = {.method = "GET", .deadline_ns = g->deadline_ns};
	struct json *none;
	char *header = NULL;
	struct answer a;
	int r = auth_header(k, g->deadline_ns, &header, why);

	strbuf_addf(&url, "%s%s", k->base, g->path);
	http_response_release(g->out);
	request.url = url.buf;
	request.authorization = header;
	if (r == 0)
		r = http_call(k->http, &request, g->out, why);
	if (r && header)
		r = rpc_transport(r, g->out->sent, false, g->deadline_ns, news);
	if (r == 0 && g->out->status >= 400) {
		r = answer_read(g->out->status, g->out->body.buf ? g->out->body.buf : "",
			g->out->body.len, false, &none, &a);
		rpc_say(g->gate, r, &a, why);
		news->again = a.again;
		news->retry_after_ns = g->out->retry_after_ns;
		if (a.status == 401 && !g->refused && auth_refused(k, header))
			g->refused = news->at_once = true;
	}
	auth_scrub(k, header, why);
	auth_forget(&header);
	return r;
}

int rpc_get(struct kaggle *k, const char *path, const char *gate, int64_t deadline_ns,
	struct http_response *out, struct why *why)
{
	struct get g = {.path = path, .gate = gate, .deadline_ns = deadline_ns, .out = out};

	return rpc_repeat(k, gate, deadline_ns, try_get, &g, why);
}
