/* Inside fs/base/http*.c: what needs no connection. All of it is pure. */
#ifndef KEXEC_BASE_HTTP_PARTS_H
#define KEXEC_BASE_HTTP_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_request;
struct http_response;
struct why;

#define HTTP_URL_MAX 4096 /* with the NUL */

/* Where a URL leads. What this reader accepts every reader understands in the same way: no escapes,
 * no numbers in other bases and nothing but ASCII in the host. */
struct http_url {
	bool tls, loopback;
	unsigned port;
	char host[256]; /* lower case, without brackets */
};

/* 0, -EINVAL (not a URL) or -EACCES (another scheme, a name or password). */
int http_url_parse(const char *url, struct http_url *out, struct why *why);
bool http_same_origin(const struct http_url *a, const struct http_url *b);
/* http_url_check(), and not from the network to a service of this machine, nor from https to http
 * over the network. */
int http_redirect_check(const struct http_url *from, const char *to, struct why *why);

/* "Mon, 02 Jan 2006 15:04:05 GMT" to seconds since 1970, -1 for anything else. */
int64_t http_date(const char *text);

/* The head of a response, read line by line. */
struct http_head {
	int64_t now_s; /* wall clock, for Retry-After */
	int status;
	bool open;  /* past a status line, before the empty line */
	bool done;  /* the empty line of a final response was seen */
	bool coded; /* the length told is not that of the body we will see */
	int lines;  /* of this and of interim heads and trailers */
	size_t bytes;
	char location[HTTP_URL_MAX]; /* as it was sent */
};

/* One line, with its line end or without. The status line empties what `out` knew of a response
 * before (but its body); the empty one sets out->status. -EPROTO when there are too many, or they
 * are no HTTP. */
int http_head_line(struct http_head *head, struct http_response *out, const char *line, size_t len);

/* How an exchange ended. */
enum http_end {
	HTTP_WHOLE,  /* by itself */
	HTTP_ENOUGH, /* as much came as is wanted */
	HTTP_LATE,
	HTTP_CANCELLED,
	HTTP_TOO_LONG,
	HTTP_GARBLED,
	HTTP_FOREIGN, /* the sink, or the reading of the body, did not go on */
	HTTP_NO_MEMORY,
	HTTP_NO_NAME,
	HTTP_NO_PROXY_NAME,
	HTTP_NO_TLS,
	HTTP_UNTRUSTED,
	HTTP_BAD_URL,
	HTTP_BROKEN, /* anything else */
};
struct http_story {
	enum http_end end;
	const char *host;
	bool sent;    /* a connection stood, and the request was begun */
	bool head;    /* a whole head came */
	bool acted;   /* before, a request that may change something was answered with a redirect */
	bool refused; /* an address that plain http may not go to */
	int foreign, os_err; /* a negative errno; a positive one */
	size_t max;
};
/* What http_call() returns, with its sentence. */
int http_verdict(const struct http_story *story, struct why *why);

/* Method, headers and body are such that they can be sent as they are: 0 or -EINVAL. */
int http_request_check(const struct http_request *request, struct why *why);
/* The method after a redirect with this status; NULL: it is not followed. */
const char *http_next_method(const char *method, int status);
/* May a header of the first request still be sent, after the way led to another origin (`left`),
 * and where its body is no longer sent (`bare`)? */
bool http_header_goes_on(const char *header, bool left, bool bare);
bool http_header_is(const char *header, const char *name);

#endif
