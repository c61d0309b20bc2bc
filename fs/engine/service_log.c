#include "fs/engine/service_log.h"

#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

#define EVENT_MAX ((size_t)1 << 20)

static const char first_key[] = "{\"stream_name\"";

/* Bytes of the object that begins at `text`, its braces included; 0 where it does not end. */
static size_t object_length(const char *text, size_t len)
{
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			quoted = !quoted;
		else if (!quoted && text[i] == '}')
			return i + 1;
	}
	return 0;
}

static bool one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool only_between(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!one_of(text[i], "[], \t\r\n"))
			return false;
	return true;
}

static void add_event(const char *text, size_t len, struct strbuf *out)
{
	struct json *j = json_parse(text, len, EVENT_MAX, NULL);
	const char *data = json_text(json_get(j, "data"));

	if (data && json_text(json_get(j, "stream_name")))
		strbuf_adds(out, data);
	json_free(j);
}

/* The first event; a cut array begins in the middle of one. */
static const char *first_event(const char *text, size_t len)
{
	const char *at = memmem(text, len, first_key, sizeof first_key - 1);
	const char *bracket = memchr(text, '[', len);

	if (!at)
		return NULL;
	if (bracket && bracket < at && only_between(text, (size_t)(at - text)))
		return at;
	/* cut: the rest of an event, then the next one */
	for (; at; at = memmem(at + 1, len - (size_t)(at + 1 - text), first_key,
			   sizeof first_key - 1)) {
		const char *p = at;
		while (p > text && one_of(p[-1], ", \t\r\n"))
			p--;
		if (p > text && p < at && p[-1] == '}' && memchr(p, ',', (size_t)(at - p)))
			return at;
	}
	return NULL;
}

static bool read_events(const char *at, size_t len, struct strbuf *out)
{
	while (len) {
		const char *next = memchr(at, '{', len);
		size_t between = next ? (size_t)(next - at) : len, n;

		if (!only_between(at, between))
			return false;
		at += between;
		len -= between;
		n = object_length(at, len);
		if (!n) /* cut, or the end */
			return true;
		/* one that is no event, of a control that JSON forbids say, is passed over */
		add_event(at, n, out);
		at += n;
		len -= n;
	}
	return true;
}

bool service_log_text(const char *text, size_t len, struct strbuf *out)
{
	size_t before = out->len;
	const char *at = text && len ? first_event(text, len) : NULL;

	if (at && read_events(at, len - (size_t)(at - text), out) && !out->err && out->len > before)
		return true;
	if (!out->err)
		strbuf_truncate(out, before);
	return false;
}
