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
#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/http_parts.h"
#include "fs/base/i18n.h"
#include "fs/base/why.h"

#define IDLE_MAX      16
#define REDIRECTS_MAX 5
#define SIDE_BODY_MAX ((size_t)64 << 10) /* of an answer that is not the one wanted */
#define BODY_MAX      ((size_t)16 << 20)
#define LOOK_MS       100

struct line {
	CURLM *multi; /* keeps the connections */
	CURL *easy;
	struct http_url last; /* where it was used last */
	struct line *next;
};

struct http {
	pthread_mutex_t lock;
	struct line *idle; /* under lock, as idle_count */
	int idle_count;
	char *user_agent, *ca_file;
	int64_t connect_ns, stall_ns;
	bool (*cancelled)(void *arg);
	void *arg;
};

struct call {
	struct http *h;
	const struct http_request *request;
	struct http_response *out;
	struct why *why;
	struct line *line;
	struct http_url first, at; /* the origin asked for, and that of the exchange that runs */
	const char *method;
	size_t max;
	int hops;
	bool left;  /* the first origin: its secrets stay there, even if the way leads back */
	bool acted; /* a request that may change something was answered with a redirect */
	/* Of the exchange that runs: */
	struct curl_slist *headers;
	struct http_head head;
	bool sent;        /* a connection stood, and the request was begun */
	bool refused;     /* an address that plain http may not go to */
	bool follow;      /* the answer is a redirect that will be followed */
	bool cut;         /* as much came as is wanted */
	int err;          /* why a callback ended it */
	size_t read;      /* of the request's body */
	size_t got;       /* of the response's */
	int64_t moved;    /* bytes in both directions when last looked at, */
	int64_t moved_ns; /* and when that number changed */
};

/* ---- The pool ---- */

static void line_free(struct line *line)
{
	if (!line)
		return;
	curl_easy_cleanup(line->easy);
	curl_multi_cleanup(line->multi);
	free(line);
}

static struct line *line_new(void)
{
	struct line *line = calloc(1, sizeof(*line));

	if (!line)
		return NULL;
	line->multi = curl_multi_init();
	line->easy = curl_easy_init();
	if (line->multi && line->easy) {
		curl_multi_setopt(line->multi, CURLMOPT_MAXCONNECTS, 4L);
		return line;
	}
	line_free(line);
	return NULL;
}

/* One that was used for this origin before, else any, else a new one; NULL: no memory. */
static struct line *line_take(struct http *h, const struct http_url *at)
{
	struct line **place, *line;

	pthread_mutex_lock(&h->lock);
	for (place = &h->idle; *place; place = &(*place)->next)
		if (http_same_origin(&(*place)->last, at))
			break;
	if (!*place)
		place = &h->idle;
	line = *place;
	if (line) {
		*place = line->next;
		h->idle_count--;
	}
	pthread_mutex_unlock(&h->lock);
	return line ? line : line_new();
}

static void line_give(struct http *h, struct line *line)
{
	bool full;

	if (!line)
		return;
	pthread_mutex_lock(&h->lock);
	full = h->idle_count >= IDLE_MAX;
	if (!full) {
		line->next = h->idle;
		h->idle = line;
		h->idle_count++;
	}
	pthread_mutex_unlock(&h->lock);
	if (full)
		line_free(line);
}

static int copy_options(struct http *h, const struct http_options *o)
{
	h->connect_ns = o->connect_ns > 0 ? o->connect_ns : 10 * NS_PER_S;
	h->stall_ns = o->stall_ns > 0 ? o->stall_ns : 60 * NS_PER_S;
	h->cancelled = o->cancelled;
	h->arg = o->arg;
	h->user_agent = strdup(o->user_agent ? o->user_agent : "kexec/" KEXEC_VERSION);
	if (o->ca_file && access(o->ca_file, R_OK))
		return -errno;
	h->ca_file = o->ca_file ? strdup(o->ca_file) : NULL;
	if (!h->user_agent || (o->ca_file && !h->ca_file))
		return -ENOMEM;
	return strpbrk(h->user_agent, "\r\n") ? -EINVAL : 0;
}

int http_new(const struct http_options *options, struct http **out)
{
	static const struct http_options defaults;
	struct http *h;
	int r;

	*out = NULL;
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		return -ENOMEM;
	h = calloc(1, sizeof(*h));
	if (!h) {
		curl_global_cleanup();
		return -ENOMEM;
	}
	pthread_mutex_init(&h->lock, NULL);
	r = copy_options(h, options ? options : &defaults);
	if (r)
		http_free(h);
	else
		*out = h;
	return r;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	while (h->idle) {
		struct line *line = h->idle;

		h->idle = line->next;
		line_free(line);
	}
	pthread_mutex_destroy(&h->lock);
	free(h->user_agent);
	free(h->ca_file);
	free(h);
	curl_global_cleanup();
}

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
		c->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

/* The connection stands and the request goes out. A second time in one exchange means that libcurl
 * begins again after a kept connection proved dead; that is right for what only reads. */
static int on_ready(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct call *c = arg;

	if (c->sent && !http_next_method(c->method, 307))
		return CURL_PREREQFUNC_ABORT;
	c->sent = c->out->sent = true;
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
		c->err = got < 0 ? -errno : -EIO;
		return CURL_READFUNC_ABORT;
	}
	c->read += (size_t)got;
	return (size_t)got;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct call *c = arg;

	c->err = http_head_line(&c->head, c->out, data, size * n);
	c->follow = c->request->follow && c->hops < REDIRECTS_MAX && c->head.location[0] &&
		    http_next_method(c->method, c->head.status);
	return c->err ? CURL_WRITEFUNC_ERROR : size * n;
}

/* Of what is not the wanted answer, a part is enough. */
static int keep_side_body(struct call *c, const char *data, size_t len)
{
	size_t room = SIDE_BODY_MAX - c->got;

	c->cut = len > room;
	len = c->cut ? room : len;
	c->got += len;
	return c->follow ? 0 : strbuf_add(&c->out->body, data, len);
}

static int keep_body(struct call *c, const char *data, size_t len)
{
	const struct http_request *q = c->request;

	if (c->follow || (q->sink && c->out->status / 100 != 2))
		return keep_side_body(c, data, len);
	if (len > c->max - c->got)
		return -EFBIG;
	c->got += len;
	return q->sink ? q->sink(q->sink_arg, c->out, data, len)
		       : strbuf_add(&c->out->body, data, len);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct call *c = arg;

	c->err = keep_body(c, data, size * n);
	return c->err || c->cut ? CURL_WRITEFUNC_ERROR : size * n;
}

/* ---- Setting an exchange up ---- */

static void set_callbacks(struct call *c, CURL *e)
{
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, c);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_ready);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, c);
	curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(e, CURLOPT_READDATA, c);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
}

/* What it may not do. Cookies, .netrc and authentication are off unless asked for. */
static int set_limits(const struct http *h, CURL *e)
{
	int bad = 0;

	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(
		e, CURLOPT_QUICK_EXIT, 1L); /* no waiting for a name server past the deadline */
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(e, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)(h->connect_ns / NS_PER_MS) + 1);
	bad |= curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
	bad |= curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") != CURLE_OK;
	bad |= curl_easy_setopt(e, CURLOPT_USERAGENT, h->user_agent) != CURLE_OK;
	if (h->ca_file) {
		bad |= curl_easy_setopt(e, CURLOPT_CAINFO, h->ca_file) != CURLE_OK;
		bad |= curl_easy_setopt(e, CURLOPT_PROXY_CAINFO, h->ca_file) != CURLE_OK;
	}
	return bad ? -ENOMEM : 0;
}

/* A POST needs no method's name: with one, libcurl would use it for whatever follows. */
static int set_method(const struct call *c, CURL *e)
{
	bool reads = http_next_method(c->method, 307) != NULL;

	if (strcmp(c->method, "HEAD") == 0)
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	else if (reads)
		curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	if (reads)
		return 0;
	/* On a connection that was kept, a lost answer and a request that never arrived look the
	 * same, and libcurl would send it again. */
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	if (strcmp(c->method, "DELETE") != 0 || c->request->body_len > 0) {
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->request->body_len);
	}
	if (strcmp(c->method, "POST") != 0 && curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, c->method))
		return -ENOMEM;
	return 0;
}

static bool goes_along(const struct call *c, const char *header)
{
	if (c->left && !http_header_is_public(header))
		return false;
	return c->method == c->request->method || !http_header_is_of_body(header);
}

static int add_header(struct call *c, const char *header)
{
	struct curl_slist *longer = curl_slist_append(c->headers, header);

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
		if (goes_along(c, *h))
			r = add_header(c, *h);
	}
	if (r == 0)
		r = add_header(c, "Expect:"); /* a round trip, or a second's wait, for nothing */
	if (r == 0 && !typed)
		r = add_header(c, "Content-Type:");
	if (r == 0 && packed && curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip, deflate"))
		r = -ENOMEM;
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
	return r;
}

static int set_up(struct call *c)
{
	CURL *e = c->line->easy;
	int r;

	curl_easy_reset(e);
	set_callbacks(c, e);
	r = set_limits(c->h, e);
	if (r == 0)
		r = set_method(c, e);
	if (r == 0)
		r = set_headers(c, e);
	if (r == 0 && curl_easy_setopt(e, CURLOPT_URL, c->out->url))
		r = -ENOMEM;
	return r;
}

/* ---- One exchange ---- */

static int64_t bytes_moved(const struct call *c)
{
	curl_off_t up = 0, down = 0;
	long head = 0, request = 0;

	curl_easy_getinfo(c->line->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	curl_easy_getinfo(c->line->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	curl_easy_getinfo(c->line->easy, CURLINFO_HEADER_SIZE, &head);
	curl_easy_getinfo(c->line->easy, CURLINFO_REQUEST_SIZE, &request);
	return up + down + head + request;
}

/* Why the transfer must end now, or 0; then *wait_ms is until the next look. */
static int watch(struct call *c, int *wait_ms)
{
	int64_t now = clock_boot_ns(), moved = bytes_moved(c), left;

	if (c->h->cancelled && c->h->cancelled(c->h->arg))
		return -ECANCELED;
	if (now >= c->request->deadline_ns)
		return -ETIMEDOUT;
	if (moved != c->moved) {
		c->moved = moved;
		c->moved_ns = now;
	}
	left = c->request->deadline_ns - now;
	*wait_ms = left < LOOK_MS * NS_PER_MS ? (int)(left / NS_PER_MS) + 1 : LOOK_MS;
	return now - c->moved_ns >= c->h->stall_ns ? -ETIMEDOUT : 0;
}

static CURLcode result_of(CURLM *multi)
{
	const CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(multi, &left)))
		if (msg->msg == CURLMSG_DONE)
			return msg->data.result;
	return CURLE_OUT_OF_MEMORY; /* does not happen */
}

static int drive(struct call *c, CURLcode *code)
{
	int running = 1, wait_ms = 0, r;

	while ((r = watch(c, &wait_ms)) == 0) {
		if (curl_multi_perform(c->line->multi, &running))
			return -ENOMEM;
		if (!running)
			break;
		if (curl_multi_poll(c->line->multi, NULL, 0, wait_ms, NULL))
			return -ENOMEM;
	}
	if (r == 0)
		*code = result_of(c->line->multi);
	return r;
}

/* ---- What an exchange came to ---- */

static int lost(struct call *c, const char *reason)
{
	if (c->head.done || c->acted)
		return why_set(
			c->why, EPIPE, _("the answer of %s was cut short: %s"), c->at.host, reason);
	return why_set(c->why, EUCLEAN,
		_("%s did not answer, and the request may have taken effect: %s"), c->at.host,
		reason);
}

static int late(struct call *c)
{
	if (c->sent || c->acted)
		return lost(c, _("it took too long"));
	return why_set(c->why, ETIMEDOUT, _("%s was not reached in time"), c->at.host);
}

static int not_http(struct call *c)
{
	return why_set(c->why, EPROTO, _("what %s answers is not proper HTTP"), c->at.host);
}

/* Ended by us: a callback, or the watch. */
static int ended(struct call *c, int err)
{
	switch (err) {
	case -ETIMEDOUT:
		return late(c);
	case -ECANCELED:
		return why_set(c->why, ECANCELED, _("the request to %s was given up"), c->at.host);
	case -EFBIG:
		return why_set(c->why, EFBIG, _("the answer of %s is longer than %zu bytes"),
			c->at.host, c->max);
	case -EPROTO:
		return not_http(c);
	case -ENOMEM:
		return why_set(c->why, ENOMEM, _("out of memory"));
	default:
		return why_set(c->why, -err, _("the exchange with %s was ended: %s"), c->at.host,
			strerror(-err));
	}
}

static int untrusted(struct call *c)
{
	return why_set(
		c->why, EACCES, _("the certificate of %s could not be verified"), c->at.host);
}

static const char *why_unreached(const struct call *c, CURLcode code)
{
	long err = 0;

	switch (code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		return _("its address cannot be found");
	case CURLE_COULDNT_RESOLVE_PROXY:
		return _("the address of the proxy cannot be found");
	case CURLE_SSL_CONNECT_ERROR:
		return _("no secure connection can be agreed");
	default:
		curl_easy_getinfo(c->line->easy, CURLINFO_OS_ERRNO, &err);
		return err ? strerror((int)err) : _("the connection was not made");
	}
}

/* Nothing was sent. */
static int unreached(struct call *c, CURLcode code)
{
	if (c->refused)
		return why_set(c->why, EACCES,
			_("plain http to %s would leave this machine; if a proxy is set, add %s to "
			  "no_proxy"),
			c->at.host, c->at.host);
	switch (code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
	case CURLE_SSL_INVALIDCERTSTATUS:
	case CURLE_SSL_CACERT_BADFILE:
		return untrusted(c);
	case CURLE_OPERATION_TIMEDOUT:
		return late(c);
	case CURLE_OUT_OF_MEMORY:
		return ended(c, -ENOMEM);
	case CURLE_URL_MALFORMAT:
		return why_set(c->why, EINVAL, _("this is not a URL that can be used"));
	default:
		break;
	}
	if (c->acted)
		return lost(c, why_unreached(c, code));
	return why_set(
		c->why, EAGAIN, _("%s cannot be reached: %s"), c->at.host, why_unreached(c, code));
}

static int broken(struct call *c, CURLcode code)
{
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return late(c);
	case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9 */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return not_http(c);
	case CURLE_OUT_OF_MEMORY: /* what libcurl calls a line of a head that has no end */
		return c->head.done ? ended(c, -ENOMEM) : not_http(c);
	default:
		return lost(c, _("the connection ended"));
	}
}

static int verdict(struct call *c, int r, CURLcode code)
{
	if (r || c->err)
		return ended(c, r ? r : c->err);
	if (c->cut || (code == CURLE_OK && c->head.done))
		return 0;
	if (!c->sent)
		return unreached(c, code);
	return broken(c, code == CURLE_OK ? CURLE_GOT_NOTHING : code);
}

static void begin(struct call *c)
{
	curl_slist_free_all(c->headers);
	c->headers = NULL;
	c->head = (struct http_head){.now_s = clock_wall_ns() / NS_PER_S};
	c->sent = c->refused = c->follow = c->cut = false;
	c->err = 0;
	c->read = c->got = 0;
	c->moved = 0;
	c->moved_ns = clock_boot_ns();
	c->line->last = c->at;
}

static int exchange(struct call *c)
{
	CURLcode code = CURLE_OK;
	int r;

	begin(c);
	r = set_up(c);
	if (r == 0 && curl_multi_add_handle(c->line->multi, c->line->easy))
		r = -ENOMEM;
	if (r)
		return ended(c, r);
	r = drive(c, &code);
	r = verdict(c, r, code);
	curl_multi_remove_handle(c->line->multi, c->line->easy); /* one that runs is cut off */
	return r;
}

/* ---- Calls ---- */

/* Made absolute; "" where that cannot be done. */
static void settle_location(const struct call *c)
{
	CURLU *url = curl_url();
	char *full = NULL;

	if (url && c->head.location[0] && !curl_url_set(url, CURLUPART_URL, c->out->url, 0) &&
		!curl_url_set(url, CURLUPART_URL, c->head.location,
			CURLU_NON_SUPPORT_SCHEME | CURLU_URLENCODE) &&
		!curl_url_get(url, CURLUPART_URL, &full, 0) &&
		strlen(full) < sizeof(c->out->location))
		memcpy(c->out->location, full, strlen(full) + 1);
	curl_free(full);
	curl_url_cleanup(url);
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

static int check_body_file(const struct http_request *q, struct why *why)
{
	struct stat st;

	if (q->body || q->body_len == 0)
		return 0;
	if (fstat(q->body_fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= q->body_offset &&
		(uint64_t)(st.st_size - q->body_offset) >= q->body_len)
		return 0;
	return why_set(why, EINVAL, _("the body of the request cannot be read"));
}

static int check(struct call *c)
{
	const struct http_request *q = c->request;
	int r = http_request_check(q, c->why);

	if (r == 0)
		r = http_url_check(q->url, c->why);
	if (r == 0)
		r = check_body_file(q, c->why);
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
	struct call c = {
		.h = h, .request = request, .out = out, .why = why, .method = request->method};
	int r;

	c.max = request->max ? request->max : BODY_MAX;
	empty(out, c.max);
	r = check(&c);
	if (r)
		return r;
	c.line = line_take(h, &c.at);
	if (!c.line)
		return why_set(why, ENOMEM, _("out of memory"));
	do {
		r = exchange(&c);
		if (r == 0)
			r = next(&c);
	} while (r > 0);
	curl_easy_reset(c.line->easy); /* it must not keep what points into this call */
	curl_slist_free_all(c.headers);
	line_give(h, c.line);
	return r;
}

void http_response_release(struct http_response *r)
{
	strbuf_release(&r->body);
	empty(r, 0);
}
