/* Server-sent events: lines, of which those that begin with "data:" count, and an empty one ends an
 * event. */
#include <errno.h>
#include <string.h>

#include "fs/base/http.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)
#define DATA_MAX_BYTES ((size_t)16 << 20)

static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, may stand before the first line */

static void begin(struct sse *s)
{
	if (s->line.buf)
		return;
	strbuf_init(&s->line, LINE_MAX_BYTES);
	strbuf_init(&s->data, DATA_MAX_BYTES);
}

/* As much of it as there is room for; what a line has beyond that is dropped. */
static int add_to_line(struct sse *s, const char *bytes, size_t len)
{
	size_t room = s->line.max - s->line.len;

	return strbuf_add(&s->line, bytes, len < room ? len : room);
}

static int end_event(struct sse *s)
{
	int r = s->any ? s->event(s->arg, s->data.buf, s->data.len) : 0;

	s->any = false;
	strbuf_reset(&s->data);
	return r;
}

static int add_data(struct sse *s, const char *value, size_t len)
{
	if (s->any)
		strbuf_addch(&s->data, '\n');
	s->any = true;
	strbuf_add(&s->data, value, len);
	return s->data.err == -E2BIG ? -EFBIG : s->data.err;
}

static int take_line(struct sse *s, const char *line, size_t len)
{
	if (len == 0)
		return end_event(s);
	if (len < 4 || memcmp(line, "data", 4) != 0)
		return 0;
	if (len == 4) /* a name alone is a field without a value */
		return add_data(s, "", 0);
	if (line[4] != ':')
		return 0;
	line += 5;
	len -= 5;
	return len > 0 && line[0] == ' ' ? add_data(s, line + 1, len - 1) : add_data(s, line, len);
}

static int end_line(struct sse *s)
{
	const char *line = s->line.buf;
	size_t len = s->line.len;
	int r;

	if (!s->begun && len >= 3 && memcmp(line, mark, 3) == 0) {
		line += 3;
		len -= 3;
	}
	s->begun = true;
	r = take_line(s, line, len);
	strbuf_reset(&s->line);
	return r;
}

int sse_feed(struct sse *s, const void *bytes, size_t len)
{
	const char *at = bytes, *end = at + len;
	int r = 0;

	begin(s);
	while (at < end && r == 0) {
		const char *from = at;

		if (s->after_cr && *at == '\n') /* the second half of one line end */
			from = ++at;
		s->after_cr = false;
		while (at < end && *at != '\n' && *at != '\r')
			at++;
		r = add_to_line(s, from, (size_t)(at - from));
		if (r || at == end)
			break;
		s->after_cr = *at++ == '\r';
		r = end_line(s);
	}
	return r;
}

void sse_release(struct sse *s)
{
	strbuf_release(&s->line);
	strbuf_release(&s->data);
	*s = (struct sse){.event = s->event, .arg = s->arg};
}
