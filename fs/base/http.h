/*
 * HTTP for clients of web services: blocking calls with deadlines, over pooled connections. The only
 * user of libcurl, which is loaded by the first http_new().
 *
 * What it will not do, whoever asks: plain http anywhere but to loopback (and through no proxy that is
 * not on loopback), any scheme but http and https, certificates that do not verify, credentials to
 * another host, port or scheme than the first request's, bodies and headers without a bound. Nothing is
 * ever sent again by itself: whether a request may be repeated is the caller's to know. (But a GET or HEAD for
 * which a kept connection turns out to be closed goes over a new one.)
 *
 * Threads: one `struct http` serves any number of threads at once; a request and its response belong to
 * the calling thread. Times are CLOCK_BOOTTIME, durations ns.
 */
#ifndef KEXEC_BASE_HTTP_H
#define KEXEC_BASE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/clock.h"
#include "fs/base/strbuf.h"

struct why;

struct http; /* connections kept open, the proxy settings of the environment, limits */

struct http_options {
	const char *user_agent; /* NULL: "kexec/<version>" */
	const char *ca_file;    /* PEM; NULL: the system's */
	int64_t connect_ns;     /* limit for name, TCP and TLS; 0: 10 s */
	int64_t stall_ns;       /* no byte in either direction for this long ends a call; 0: 60 s */
	/* Asked about ten times a second during a call; true ends it with -ECANCELED. NULL: never. */
	bool (*cancelled)(void *arg);
	void *arg;
};

/* options NULL: all defaults. -ENOSYS: there is no libcurl, or one before 7.87; -ENOMEM; -EINVAL; what access(2)
 * says of ca_file. */
int http_new(const struct http_options *options, struct http **out);
void http_free(struct http *h); /* accepts NULL; no call may be running */

struct http_response {
	int status;              /* of the last response; 0: none came */
	bool sent;               /* a request (or a part of one) may have reached a server */
	struct strbuf body;      /* when no sink was given; NUL-terminated, may hold NULs before */
	char content_type[128];  /* without parameters, lower case; "" = none was sent */
	char location[4096];     /* where it was not followed, of any status, absolute; "" = none, or longer */
	char url[4096];          /* where the answer came from at last */
	char range[64];          /* "Range" (308 of a resumable upload) or "Content-Range" */
	char etag[128];
	int64_t retry_after_ns;  /* from Retry-After, seconds or HTTP-date; -1: none or unreadable; at most a day */
	int64_t length;          /* Content-Length; -1 unknown, or the body is compressed */
	int64_t modified;        /* Last-Modified in seconds since 1970; -1 unknown */
	bool ranges;             /* "Accept-Ranges: bytes" */
};

/* Receives the body of a final 2xx response piece by piece; the head is in `so_far`. 0 goes on, a negative
 * errno ends the call with it. Bodies of other statuses go to so_far->body instead (cut at 64 KiB). */
typedef int http_sink(void *arg, const struct http_response *so_far, const void *data, size_t len);

struct http_request {
	const char *method;         /* "GET", "POST", "PUT", "DELETE", "HEAD" */
	const char *url;
	/* The value of the Authorization header, e.g. "Bearer …"; NULL: none. Never logged, never in a
	 * message, and not sent to another origin after a redirect. */
	const char *authorization;
	const char *const *headers; /* "Name: value", NULL-terminated, or NULL; CR, LF are refused (-EINVAL) */
	const void *body;           /* or NULL */
	size_t body_len;
	int body_fd;                /* when body is NULL and body_len > 0: read from here, from body_offset on */
	int64_t body_offset;
	/* Follow up to 5 redirects; a POST becomes a GET, and where the body would have to be sent again (307, 308,
	 * PUT) the 3xx is the answer, as the sixth is. Other origins get only headers that hold no secrets (Accept,
	 * Range, If-…); no redirect leads from the network to this machine. */
	bool follow;
	size_t max;                 /* of the body, 0: 16 MiB; more is -EFBIG */
	int64_t deadline_ns;        /* CLOCK_BOOTTIME, INT64_MAX: none */
	http_sink *sink;            /* NULL: into response->body */
	void *sink_arg;
};

/*
 * Send one request and read its response. 0 when a whole response came, whatever its status. Else, with
 * a sentence in why that names the host but neither path, query nor any header:
 *   -EAGAIN     nothing was sent: name not found, refused, TLS not agreed, no network: safe to try again
 *   -EUCLEAN    sent (or partly sent), but no whole response head came: it may have taken effect
 *   -EPIPE      the head came and the body was cut short: response->status tells what happened
 *   -ETIMEDOUT  the deadline or a stall before anything was sent; after that it is -EUCLEAN or -EPIPE
 *   -EFBIG      the body is over `max`; -EACCES the URL, or one redirected to, is refused (see above) or its
 *               certificate is bad; -EPROTO not HTTP; -ECANCELED; -EINVAL; -ENOMEM; what the sink or read(2)
 *               of body_fd returned: response->sent tells whether anything was sent before
 * A POST that was answered with a redirect has been answered: what fails after that is -EPIPE.
 * `out` is filled as far as the response came, also on errors; release it in every case.
 */
int http_call(struct http *h, const struct http_request *request, struct http_response *out, struct why *why);
void http_response_release(struct http_response *r); /* empty after it; a zeroed one is fine */

/* May credentials be sent to this URL: https to anywhere, http to loopback by name (localhost) or literal
 * address only, no user:password@ part, no control characters? 0 or -EACCES/-EINVAL with why. Pure. */
int http_url_check(const char *url, struct why *why);

/* Percent-encode for one path segment or query value (RFC 3986 unreserved stays). */
void http_escape(struct strbuf *out, const char *text);

/* Backoff before try `n` (1 = after the first failure): exponential from base_ns, capped, with full jitter
 * in its upper half, never below retry_after_ns (-1 none). `random` is 64 random bits. Pure. */
int64_t http_backoff_ns(int n, int64_t base_ns, int64_t cap_ns, int64_t retry_after_ns, uint64_t random);

/* "Mon, 02 Jan 2006 15:04:05 GMT" or seconds to ns from now (wall clock `now_s`), -1 unreadable, clipped to
 * 0..1 day. Pure. */
int64_t http_retry_after(const char *value, int64_t now_s);

/*
 * Server-sent events (text/event-stream, WHATWG HTML 9.2), fed piece by piece; lines over 1 MiB are cut, an event
 * over 16 MiB is -EFBIG. `event` gets each event's data (lines joined by \n). Zero but for `event` and `arg`
 * before the first piece. Not thread-safe.
 */
struct sse {
	struct strbuf line, data;
	bool after_cr, any, begun;
	int (*event)(void *arg, const char *data, size_t len); /* 0 or -errno, which sse_feed returns */
	void *arg;
};
int sse_feed(struct sse *s, const void *bytes, size_t len);
void sse_release(struct sse *s);

#endif
