/* The heads of requests and responses. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "fs/base/clock.h"
#include "fs/base/http.h"
#include "fs/base/http_parts.h"
#include "fs/base/i18n.h"
#include "fs/base/why.h"

#define HEAD_LINES_MAX 1000
#define HEAD_BYTES_MAX ((size_t)256 << 10)

/* ---- Responses ---- */

/* Whole or not at all: half an address or etag is worse than none. */
static void keep(char *to, size_t room, const char *value, size_t len)
{
	if (len >= room)
		len = 0;
	memcpy(to, value, len);
	to[len] = '\0';
}

static void take_content_type(struct http_head *head, struct http_response *out, const char *value)
{
	size_t len = strcspn(value, "; \t");

	keep(out->content_type, sizeof(out->content_type), value, len);
	for (char *c = out->content_type; *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c | 0x20);
}

static void take_location(struct http_head *head, struct http_response *out, const char *value)
{
	if (head->location[0] == '\0')
		keep(head->location, sizeof(head->location), value, strlen(value));
}

static void take_range(struct http_head *head, struct http_response *out, const char *value)
{
	keep(out->range, sizeof(out->range), value, strlen(value));
}

static void take_etag(struct http_head *head, struct http_response *out, const char *value)
{
	keep(out->etag, sizeof(out->etag), value, strlen(value));
}

static void take_retry_after(struct http_head *head, struct http_response *out, const char *value)
{
	out->retry_after_ns = http_retry_after(value, head->now_s);
}

static void take_length(struct http_head *head, struct http_response *out, const char *value)
{
	size_t n = strspn(value, "0123456789");

	out->length = n > 0 && n <= 18 && value[n] == '\0' ? strtoll(value, NULL, 10) : -1;
}

static void take_modified(struct http_head *head, struct http_response *out, const char *value)
{
	out->modified = http_date(value);
}

static void take_ranges(struct http_head *head, struct http_response *out, const char *value)
{
	out->ranges = strcasecmp(value, "bytes") == 0;
}

static void take_coding(struct http_head *head, struct http_response *out, const char *value)
{
	head->coded = head->coded || strcasecmp(value, "identity") != 0;
}

static const struct {
	const char *name;
	void (*take)(struct http_head *head, struct http_response *out, const char *value);
} fields[] = {
	{"Accept-Ranges", take_ranges},
	{"Content-Encoding", take_coding},
	{"Content-Length", take_length},
	{"Content-Range", take_range},
	{"Content-Type", take_content_type},
	{"ETag", take_etag},
	{"Last-Modified", take_modified},
	{"Location", take_location},
	{"Range", take_range},
	{"Retry-After", take_retry_after},
	{"Transfer-Encoding", take_coding},
};

static bool is_printable(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((unsigned char)text[i] < ' ' && text[i] != '\t') || text[i] == 0x7f)
			return false;
	return true;
}

static void take_field(
	struct http_head *head, struct http_response *out, const char *line, size_t len)
{
	const char *colon = memchr(line, ':', len);
	char value[HTTP_URL_MAX];
	size_t name, n;

	if (!colon || !is_printable(line, len))
		return;
	name = (size_t)(colon - line);
	n = len - name - 1;
	for (colon++; n > 0 && (*colon == ' ' || *colon == '\t'); colon++)
		n--;
	while (n > 0 && (colon[n - 1] == ' ' || colon[n - 1] == '\t'))
		n--;
	keep(value, sizeof(value), colon, n);
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
		if (strlen(fields[i].name) == name && strncasecmp(fields[i].name, line, name) == 0)
			fields[i].take(head, out, value);
}

/* What an earlier response said, of this call or this exchange, is no word of the new one. */
static void forget(struct http_head *head, struct http_response *out)
{
	head->location[0] = '\0';
	head->coded = false;
	out->content_type[0] = out->location[0] = out->range[0] = out->etag[0] = '\0';
	out->retry_after_ns = out->length = out->modified = -1;
	out->ranges = false;
}

static int begin_head(
	struct http_head *head, struct http_response *out, const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	size_t at = space ? (size_t)(space - line) + 1 : len;

	if (len < 5 || memcmp(line, "HTTP/", 5) != 0 || len - at < 3)
		return -EPROTO;
	for (size_t i = at; i < at + 3; i++)
		if (line[i] < '0' || line[i] > '9')
			return -EPROTO;
	head->status = (line[at] - '0') * 100 + (line[at + 1] - '0') * 10 + line[at + 2] - '0';
	/* 101 asks for another protocol, which was not offered. */
	if (head->status < 100 || head->status == 101)
		return -EPROTO;
	head->open = true;
	forget(head, out);
	return 0;
}

static void end_head(struct http_head *head, struct http_response *out)
{
	head->open = false;
	if (head->status < 200) /* the final one is still to come */
		return;
	head->done = true;
	out->status = head->status;
	if (head->coded)
		out->length = -1;
}

int http_head_line(struct http_head *head, struct http_response *out, const char *line, size_t len)
{
	head->bytes += len;
	if (++head->lines > HEAD_LINES_MAX || head->bytes > HEAD_BYTES_MAX)
		return -EPROTO;
	if (head->done) /* what follows a body: bounded, not read */
		return 0;
	while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r'))
		len--;
	if (!head->open)
		return begin_head(head, out, line, len);
	if (len == 0)
		end_head(head, out);
	else
		take_field(head, out, line, len);
	return 0;
}

/* ---- Requests ---- */

static bool is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] <= ' ' || (unsigned char)text[i] > 0x7e ||
			strchr("()<>@,;:\\\"/[]?={}", text[i]))
			return false;
	return len > 0;
}

bool http_header_is(const char *header, const char *name)
{
	size_t len = strlen(name);

	return strncasecmp(header, name, len) == 0 && header[len] == ':';
}

static bool is_one_of(const char *header, const char *const *names)
{
	for (; *names; names++)
		if (http_header_is(header, *names))
			return true;
	return false;
}

bool http_header_goes_on(const char *header, bool left, bool bare)
{
	/* Any other may hold a secret: X-Api-Key and its like have no common name. */
	static const char *const harmless[] = {"Accept", "Accept-Encoding", "Accept-Language",
		"If-Modified-Since", "If-None-Match", "If-Range", "Range", NULL};

	if (left && !is_one_of(header, harmless))
		return false;
	return !bare || strncasecmp(header, "Content-", 8) != 0;
}

/* "Name: value", and none that says where a message ends or who it is for: that is ours to say. */
static int check_header(const char *header, struct why *why)
{
	static const char *const ours[] = {"Connection", "Content-Length", "Expect", "Host", "TE",
		"Trailer", "Transfer-Encoding", "Upgrade", NULL};
	size_t name = strcspn(header, ":");
	const char *value;

	if (header[name] != ':' || !is_token(header, name))
		return why_set(why, EINVAL, _("a header of the request has no name"));
	value = header + name + 1;
	value += strspn(value, " \t");
	if (value[0] == '\0' || !is_printable(value, strlen(value)) || is_one_of(header, ours))
		return why_set(why, EINVAL, _("the header %.*s of the request cannot be sent"),
			name < 60 ? (int)name : 60, header);
	return 0;
}

static bool is_reading(const char *method)
{
	return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static bool is_method(const char *method)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "HEAD", NULL};

	for (int i = 0; methods[i]; i++)
		if (strcmp(method, methods[i]) == 0)
			return true;
	return false;
}

/* All of it: a file that is too short is found before anything is sent. */
static bool has_body(const struct http_request *q)
{
	struct stat st;

	if (q->body || q->body_len == 0)
		return true;
	return q->body_offset >= 0 && fstat(q->body_fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       st.st_size >= q->body_offset &&
	       (uint64_t)(st.st_size - q->body_offset) >= q->body_len;
}

int http_request_check(const struct http_request *request, struct why *why)
{
	const char *secret = request->authorization;
	int r = 0;

	if (!request->method || !request->url || !is_method(request->method))
		return why_set(why, EINVAL, _("the request has no method that is known"));
	if (request->body_len > 0 && is_reading(request->method))
		return why_set(why, EINVAL, _("a %s has no body"), request->method);
	if (!has_body(request))
		return why_set(why, EINVAL, _("the body of the request cannot be read"));
	if (secret && (secret[0] == '\0' || !is_printable(secret, strlen(secret))))
		return why_set(why, EINVAL,
			_("the credentials cannot be sent: there are control characters in them"));
	for (const char *const *h = request->headers; r == 0 && h && *h; h++)
		r = check_header(*h, why);
	return r;
}

const char *http_next_method(const char *method, int status)
{
	bool reads = is_reading(method);

	switch (status) {
	case 301:
	case 302:
		return reads ? method : strcmp(method, "POST") == 0 ? "GET" : NULL;
	case 303:
		return reads ? method : "GET";
	case 307:
	case 308: /* would send the body again */
		return reads ? method : NULL;
	default:
		return NULL;
	}
}
