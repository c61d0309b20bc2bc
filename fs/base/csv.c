#include "fs/base/csv.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void csv_init(struct csv_reader *r, const char *text, size_t len)
{
	*r = (struct csv_reader){.text = text, .len = len, .next_line = 1};
	/* Every field takes at most its bytes and one NUL, so this bound is never met. */
	strbuf_init(&r->fields, len < SIZE_MAX / 2 - 2 ? 2 * len + 2 : SIZE_MAX - 1);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r->at = 3;
}

void csv_finish(struct csv_reader *r)
{
	strbuf_release(&r->fields);
	free(r->starts);
	*r = (struct csv_reader){.fields = STRBUF_INIT};
}

static int start_field(struct csv_reader *r)
{
	if (r->count == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 16;
		size_t *starts = reallocarray(r->starts, cap, sizeof(*starts));

		if (!starts)
			return -ENOMEM;
		r->starts = starts;
		r->cap = cap;
	}
	r->starts[r->count++] = r->fields.len;
	return 0;
}

/* The bytes between quotes; *at is past the opening quote, then past the closing one. */
static int take_quoted(struct csv_reader *r, size_t *at)
{
	for (;;) {
		const char *from = r->text + *at;
		const char *quote = memchr(from, '"', r->len - *at);
		size_t n;

		if (!quote)
			return -EINVAL;
		n = (size_t)(quote - from);
		*at += n + 1;
		if (*at == r->len || r->text[*at] != '"')
			return strbuf_add(&r->fields, from, n);
		(*at)++;
		if (strbuf_add(&r->fields, from, n + 1)) /* with one quote of the pair */
			return -ENOMEM;
	}
}

static int take_bare(struct csv_reader *r, size_t *at)
{
	size_t from = *at;

	for (; *at < r->len; (*at)++) {
		char c = r->text[*at];

		if (c == ',' || c == '\n' ||
			(c == '\r' && *at + 1 < r->len && r->text[*at + 1] == '\n'))
			break;
		if (c == '"')
			return -EINVAL;
	}
	return strbuf_add(&r->fields, r->text + from, *at - from);
}

static int take_field(struct csv_reader *r, size_t *at)
{
	int err = start_field(r);

	if (err)
		return err;
	if (*at < r->len && r->text[*at] == '"') {
		(*at)++;
		err = take_quoted(r, at);
	} else {
		err = take_bare(r, at);
	}
	return err ? err : strbuf_addch(&r->fields, '\0');
}

/* After a field: 1 = another one follows, 0 = the record ends here, -EINVAL = neither. */
static int take_separator(const struct csv_reader *r, size_t *at)
{
	if (*at == r->len)
		return 0;
	if (r->text[*at] == ',') {
		(*at)++;
		return 1;
	}
	if (r->text[*at] == '\r' && (*at + 1 == r->len || r->text[*at + 1] == '\n'))
		(*at)++;
	if (*at == r->len)
		return 0;
	return r->text[(*at)++] == '\n' ? 0 : -EINVAL;
}

static size_t count_lines(const char *text, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

int csv_next(struct csv_reader *r)
{
	size_t at = r->at;
	int more = 1;

	strbuf_reset(&r->fields);
	r->count = 0;
	if (at == r->len)
		return 0;
	r->line = r->next_line;
	while (more) {
		int err = take_field(r, &at);

		more = err ? err : take_separator(r, &at);
		if (more < 0)
			break;
	}
	/* A field with a NUL would end early for whoever reads it. */
	if (more == 0 && memchr(r->text + r->at, '\0', at - r->at))
		more = -EINVAL;
	if (more < 0) {
		r->count = 0;
		return more;
	}
	r->next_line += count_lines(r->text + r->at, at - r->at);
	r->at = at;
	return 1;
}

const char *csv_field(const struct csv_reader *r, size_t i)
{
	return i < r->count ? r->fields.buf + r->starts[i] : NULL;
}
