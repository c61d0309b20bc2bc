/*
 * Calls over libcurl. Each call has a handle of its own from the pool, with the connections that
 * handle has kept; its transfer is driven here, so that the deadline, silence and the caller's wish
 * to stop are looked at ten times a second whatever libcurl waits for. Redirects are followed here
 * as well: what may be sent where is decided in one place, not by the habits of a library's
 * version. HTTP/1.1 only: a blocking call has one stream, and what was sent and what was not is
 * plain.
 */
#include "fs/base/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/http_curl.h"
#include "fs/base/http_parts.h"
#include "fs/base/i18n.h"
#include "fs/base/why.h"

#define REDIRECTS_MAX 5
#define SIDE_BODY_MAX ((size_t)64 << 10) /* of an answer that is not the one wanted */
#define BODY_MAX      ((size_t)16 << 20)
#define LOOK_MS       100

struct call {
	const struct library *lib;
	struct http *h;
	const struct http_request *request;
	struct http_response *out;
	struct why *why;
	struct line *line;
	struct http_url first, at; /* the origin asked for, and that of the exchange that runs */
	const char *method;
	size_t max;
	bool acted; /* a request that may change something was answered with a redirect */
	int hops;
	bool left; /* the first origin: its secrets stay there, even if the way leads back */
	/* Of the exchange that runs: */
	struct http_story story;
	struct curl_slist *headers;
	struct http_head head;
	bool follow;      /* the answer is a redirect that will be followed */
	size_t read;      /* of the request's body */
	size_t got;       /* of the response's */
	int64_t moved;    /* bytes in both directions when last looked at, */
	int64_t moved_ns; /* and when that number changed */
};

/* ---- What libcurl asks and tells during an exchange ---- */

static bool is_loopback(const struct sockaddr *addr)
{
	const struct sockaddr_in *four = (const void *)addr;
	const struct sockaddr_in6 *six = (const void *)addr;

	if (addr->sa_family == AF_INET)
		return ntohl(four->sin_addr.s_addr) >> 24 == 127;
	return addr->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

/* The address of the server, or of the proxy: plain http goes to neither elsewhere, whatever names
 * say. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *a)
{
	struct call *c = arg;

	if (!c->at.tls && !is_loopback(&a->addr)) {
		c->story.refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* The connection stands and the request goes out. A second time in one exchange means that libcurl
 * begins again after a kept connection proved dead; that is right for what only reads. */
static int on_ready(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct call *c = arg;

	if (c->story.sent && !http_next_method(c->method, 307))
		return CURL_PREREQFUNC_ABORT;
	c->story.sent = c->out->sent = true;
	return CURL_PREREQFUNC_OK;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
	struct call *c = arg;
	const struct http_request *q = c->request;
	size_t left = q->body_len - c->read, want = size * n < left ? size * n : left;
	ssize_t got = (ssize_t)want;

	if (want == 0)
		return 0;
	if (q->body)
		memcpy(to, (const char *)q->body + c->read, want);
	else
		got = pread(q->body_fd, to, want, q->body_offset + (off_t)c->read);
	if (got <= 0) { /* libcurl would wait for the rest of a file that became shorter */
		c->story.foreign = got < 0 ? -errno : -EIO;
		c->story.end = HTTP_FOREIGN;
		return CURL_READFUNC_ABORT;
	}
	c->read += (size_t)got;
	return (size_t)got;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct call *c = arg;

	if (http_head_line(&c->head, c->out, data, size * n)) {
		c->story.end = HTTP_GARBLED;
		return CURL_WRITEFUNC_ERROR;
	}
	c->story.head = c->head.done;
	c->follow = c->request->follow && c->hops < REDIRECTS_MAX && c->head.location[0] &&
		    http_next_method(c->method, c->head.status);
	return size * n;
}

static enum http_end keep(struct call *c, const char *data, size_t len)
{
	return strbuf_add(&c->out->body, data, len) ? HTTP_NO_MEMORY : HTTP_WHOLE;
}

/* Of what is not the wanted answer, a part is enough. */
static enum http_end keep_part(struct call *c, const char *data, size_t len)
{
	size_t room = SIDE_BODY_MAX - c->got, part = len < room ? len : room;
	enum http_end end = c->follow ? HTTP_WHOLE : keep(c, data, part);

	c->got += part;
	return end == HTTP_WHOLE && part < len ? HTTP_ENOUGH : end;
}

/* HTTP_WHOLE: it goes on. */
static enum http_end take_body(struct call *c, const char *data, size_t len)
{
	const struct http_request *q = c->request;

	if (c->follow || (q->sink && c->out->status / 100 != 2))
		return keep_part(c, data, len);
	if (len > c->story.max - c->got)
		return HTTP_TOO_LONG;
	c->got += len;
	if (!q->sink)
		return keep(c, data, len);
	c->story.foreign = q->sink(q->sink_arg, c->out, data, len);
	return c->story.foreign ? HTTP_FOREIGN : HTTP_WHOLE;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct call *c = arg;

	c->story.end = take_body(c, data, size * n);
	return c->story.end == HTTP_WHOLE ? size * n : CURL_WRITEFUNC_ERROR;
}

/* ---- Setting an exchange up ---- */

static void set_callbacks(struct call *c, CURL *e)
{
	c->lib->curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	c->lib->curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
	c->lib->curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_ready);
	c->lib->curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
	c->lib->curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	c->lib->curl_easy_setopt(e, CURLOPT_READDATA, c);
	c->lib->curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	c->lib->curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
	c->lib->curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	c->lib->curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
}

/* What it may not do. Cookies, .netrc and authentication are off unless asked for. */
static int set_limits(const struct http *h, CURL *e)
{
	int bad = 0;

	h->lib.curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	h->lib.curl_easy_setopt(
		e, CURLOPT_QUICK_EXIT, 1L); /* no waiting for a name server past the deadline */
	h->lib.curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	h->lib.curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	h->lib.curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	h->lib.curl_easy_setopt(e, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	h->lib.curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	h->lib.curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	h->lib.curl_easy_setopt(
		e, CURLOPT_CONNECTTIMEOUT_MS, (long)(h->connect_ns / NS_PER_MS) + 1);
	bad |= h->lib.curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
	bad |= h->lib.curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") != CURLE_OK;
	bad |= h->lib.curl_easy_setopt(e, CURLOPT_USERAGENT, h->user_agent) != CURLE_OK;
	if (h->ca_file) {
		bad |= h->lib.curl_easy_setopt(e, CURLOPT_CAINFO, h->ca_file) != CURLE_OK;
		bad |= h->lib.curl_easy_setopt(e, CURLOPT_PROXY_CAINFO, h->ca_file) != CURLE_OK;
	}
	return bad ? -ENOMEM : 0;
}

/* A POST needs no method's name: with one, libcurl would use it for whatever follows. */
static int set_method(const struct call *c, CURL *e)
{
	bool reads = http_next_method(c->method, 307) != NULL;

	if (strcmp(c->method, "HEAD") == 0)
		c->lib->curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	else if (reads)
		c->lib->curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	if (reads)
		return 0;
	/* On a connection that was kept, a lost answer and a request that never arrived look the
	 * same, and libcurl would send it again. */
	c->lib->curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	if (strcmp(c->method, "DELETE") != 0 || c->request->body_len > 0) {
		c->lib->curl_easy_setopt(e, CURLOPT_POST, 1L);
		c->lib->curl_easy_setopt(
			e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->request->body_len);
	}
	if (strcmp(c->method, "POST") != 0 &&
		c->lib->curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, c->method))
		return -ENOMEM;
	return 0;
}

static int add_header(struct call *c, const char *header)
{
	struct curl_slist *longer = c->lib->curl_slist_append(c->headers, header);

	if (!longer)
		return -ENOMEM;
	c->headers = longer;
	return 0;
}

static int add_authorization(struct call *c)
{
	AUTO_BUF struct strbuf header = STRBUF_INIT;
	int r;

	if (!c->request->authorization || c->left)
		return 0;
	strbuf_adds(&header, "Authorization: ");
	strbuf_adds(&header, c->request->authorization);
	r = header.err ? header.err : add_header(c, header.buf);
	explicit_bzero(header.buf, header.len);
	return r;
}

/* Compressed bodies are asked for, but not where the caller counts bytes itself. */
static int set_headers(struct call *c, CURL *e)
{
	bool packed = true, typed = false;
	int r = add_authorization(c);

	for (const char *const *h = c->request->headers; r == 0 && h && *h; h++) {
		packed = packed && !http_header_is(*h, "Range") &&
			 !http_header_is(*h, "Accept-Encoding");
		typed = typed || http_header_is(*h, "Content-Type");
		if (http_header_goes_on(*h, c->left, c->method != c->request->method))
			r = add_header(c, *h);
	}
	if (r == 0)
		r = add_header(c, "Expect:"); /* a round trip, or a second's wait, for nothing */
	if (r == 0 && !typed)
		r = add_header(c, "Content-Type:");
	if (r == 0 && packed &&
		c->lib->curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip, deflate"))
		r = -ENOMEM;
	c->lib->curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
	return r;
}

static int set_up(struct call *c)
{
	CURL *e = c->line->easy;
	int r;

	c->lib->curl_easy_reset(e);
	set_callbacks(c, e);
	r = set_limits(c->h, e);
	if (r == 0)
		r = set_method(c, e);
	if (r == 0)
		r = set_headers(c, e);
	if (r == 0 && c->lib->curl_easy_setopt(e, CURLOPT_URL, c->out->url))
		r = -ENOMEM;
	return r;
}

/* ---- One exchange ---- */

static int64_t bytes_moved(const struct call *c)
{
	curl_off_t up = 0, down = 0;
	long head = 0, request = 0;

	c->lib->curl_easy_getinfo(c->line->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	c->lib->curl_easy_getinfo(c->line->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	c->lib->curl_easy_getinfo(c->line->easy, CURLINFO_HEADER_SIZE, &head);
	c->lib->curl_easy_getinfo(c->line->easy, CURLINFO_REQUEST_SIZE, &request);
	return up + down + head + request;
}

/* Must it end now? Else *wait_ms is until the next look. */
static enum http_end watch(struct call *c, int *wait_ms)
{
	int64_t now = clock_boot_ns(), moved = bytes_moved(c), left;

	if (c->h->cancelled && c->h->cancelled(c->h->arg))
		return HTTP_CANCELLED;
	if (now >= c->request->deadline_ns)
		return HTTP_LATE;
	if (moved != c->moved) {
		c->moved = moved;
		c->moved_ns = now;
	}
	left = c->request->deadline_ns - now;
	*wait_ms = left < LOOK_MS * NS_PER_MS ? (int)(left / NS_PER_MS) + 1 : LOOK_MS;
	return now - c->moved_ns >= c->h->stall_ns ? HTTP_LATE : HTTP_WHOLE;
}

static CURLcode result_of(const struct call *c)
{
	const CURLMsg *msg;
	int left;

	while ((msg = c->lib->curl_multi_info_read(c->line->multi, &left)))
		if (msg->msg == CURLMSG_DONE)
			return msg->data.result;
	return CURLE_OUT_OF_MEMORY; /* does not happen */
}

/* What libcurl says about the end of a transfer. */
static enum http_end end_of(const struct call *c, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return HTTP_WHOLE;
	case CURLE_COULDNT_RESOLVE_HOST:
		return HTTP_NO_NAME;
	case CURLE_COULDNT_RESOLVE_PROXY:
		return HTTP_NO_PROXY_NAME;
	case CURLE_SSL_CONNECT_ERROR:
		return HTTP_NO_TLS;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_CACERT_BADFILE:
		return HTTP_UNTRUSTED;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_LATE;
	case CURLE_URL_MALFORMAT:
		return HTTP_BAD_URL;
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return HTTP_GARBLED;
	case CURLE_OUT_OF_MEMORY: /* its word as well for a line of a head that has no end */
		return c->story.sent && !c->head.done ? HTTP_GARBLED : HTTP_NO_MEMORY;
	default:
		return HTTP_BROKEN;
	}
}

static enum http_end drive(struct call *c)
{
	int running = 1, wait_ms = 0;
	enum http_end end;

	while ((end = watch(c, &wait_ms)) == HTTP_WHOLE) {
		if (c->lib->curl_multi_perform(c->line->multi, &running))
			return HTTP_NO_MEMORY;
		if (!running)
			break;
		if (c->lib->curl_multi_poll(c->line->multi, NULL, 0, wait_ms, NULL))
			return HTTP_NO_MEMORY;
	}
	if (end != HTTP_WHOLE)
		return end;
	/* What a callback found is the cause of what libcurl says. */
	end = end_of(c, result_of(c));
	return c->story.end != HTTP_WHOLE ? c->story.end : end;
}

static void begin(struct call *c)
{
	c->lib->curl_slist_free_all(c->headers);
	c->headers = NULL;
	c->head = (struct http_head){.now_s = clock_wall_ns() / NS_PER_S};
	c->story = (struct http_story){.host = c->at.host, .acted = c->acted, .max = c->max};
	c->follow = false;
	c->read = c->got = 0;
	c->moved = 0;
	c->moved_ns = clock_boot_ns();
	c->line->last = c->at;
}

static int exchange(struct call *c)
{
	long os_err = 0;

	begin(c);
	if (set_up(c) || c->lib->curl_multi_add_handle(c->line->multi, c->line->easy)) {
		c->story.end = HTTP_NO_MEMORY;
		return http_verdict(&c->story, c->why);
	}
	c->story.end = drive(c);
	c->lib->curl_easy_getinfo(c->line->easy, CURLINFO_OS_ERRNO, &os_err);
	c->story.os_err = (int)os_err;
	c->lib->curl_multi_remove_handle(
		c->line->multi, c->line->easy); /* one that runs is cut off */
	return http_verdict(&c->story, c->why);
}

/* ---- Calls ---- */

/* Made absolute; "" where that cannot be done. */
static void settle_location(const struct call *c)
{
	CURLU *url = c->lib->curl_url();
	char *full = NULL;

	if (url && c->head.location[0] &&
		!c->lib->curl_url_set(url, CURLUPART_URL, c->out->url, 0) &&
		!c->lib->curl_url_set(url, CURLUPART_URL, c->head.location,
			CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE) &&
		!c->lib->curl_url_get(url, CURLUPART_URL, &full, 0) &&
		strlen(full) < sizeof(c->out->location))
		memcpy(c->out->location, full, strlen(full) + 1);
	c->lib->curl_free(full);
	c->lib->curl_url_cleanup(url);
}

/* 1: another exchange is due; 0: this was the answer. */
static int next(struct call *c)
{
	const char *method = http_next_method(c->method, c->head.status);
	int r;

	settle_location(c);
	if (!c->follow || !c->out->location[0])
		return 0;
	r = http_redirect_check(&c->at, c->out->location, c->why);
	if (r)
		return r;
	c->acted = c->acted || !http_next_method(c->method, 307);
	c->method = strcmp(method, c->method) == 0 ? c->method : method;
	memcpy(c->out->url, c->out->location, sizeof(c->out->url));
	http_url_parse(c->out->url, &c->at, NULL);
	c->left = c->left || !http_same_origin(&c->first, &c->at);
	c->hops++;
	return 1;
}

static int check(struct call *c)
{
	const struct http_request *q = c->request;
	int r = http_request_check(q, c->why);

	if (r == 0)
		r = http_url_check(q->url, c->why);
	if (r)
		return r;
	http_url_parse(q->url, &c->first, NULL);
	c->at = c->first;
	strcpy(c->out->url, q->url); /* its length was checked */
	return 0;
}

static void empty(struct http_response *out, size_t max)
{
	*out = (struct http_response){.retry_after_ns = -1, .length = -1, .modified = -1};
	strbuf_init(&out->body, max < SIDE_BODY_MAX ? SIDE_BODY_MAX : max);
}

int http_call(struct http *h, const struct http_request *request, struct http_response *out,
	struct why *why)
{
	struct call c = {.lib = &h->lib,
		.h = h,
		.request = request,
		.out = out,
		.why = why,
		.method = request->method};
	int r;

	c.max = request->max ? request->max : BODY_MAX;
	empty(out, c.max);
	r = check(&c);
	if (r)
		return r;
	c.line = http_line_take(h, &c.at);
	if (!c.line)
		return why_set(why, ENOMEM, _("out of memory"));
	do {
		r = exchange(&c);
		if (r == 0)
			r = next(&c);
	} while (r > 0);
	c.lib->curl_easy_reset(c.line->easy); /* it must not keep what points into this call */
	c.lib->curl_slist_free_all(c.headers);
	http_line_give(h, c.line);
	return r;
}

void http_response_release(struct http_response *r)
{
	strbuf_release(&r->body);
	empty(r, 0);
}
