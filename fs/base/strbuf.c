#include "fs/base/strbuf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shared by all empty buffers and never written: it is in use only while cap is 0. */
char strbuf_empty[1];

void strbuf_init(struct strbuf *sb, size_t max)
{
	*sb = (struct strbuf){.buf = strbuf_empty, .max = max};
}

void strbuf_release(struct strbuf *sb)
{
	if (sb->cap)
		free(sb->buf);
	strbuf_init(sb, STRBUF_DEFAULT_MAX);
}

void strbuf_reset(struct strbuf *sb)
{
	strbuf_truncate(sb, 0);
	sb->err = 0;
}

void strbuf_truncate(struct strbuf *sb, size_t len)
{
	if (len >= sb->len)
		return;
	sb->len = len;
	sb->buf[len] = '\0';
}

static int fail(struct strbuf *sb, int err)
{
	sb->err = err;
	return err;
}

int strbuf_reserve(struct strbuf *sb, size_t more)
{
	size_t need, cap;
	char *buf;

	if (sb->err)
		return sb->err;
	if (sb->len > sb->max || more > sb->max - sb->len || more >= SIZE_MAX - sb->len)
		return fail(sb, -E2BIG);
	need = sb->len + more + 1;
	if (need <= sb->cap)
		return 0;
	cap = sb->cap < SIZE_MAX / 2 ? sb->cap * 2 : need;
	if (cap > sb->max)
		cap = sb->max; /* need is at most max + 1 */
	if (cap < 64)
		cap = 64;
	if (cap < need)
		cap = need;
	buf = realloc(sb->cap ? sb->buf : NULL, cap);
	if (!buf)
		return fail(sb, -ENOMEM);
	buf[sb->len] = '\0';
	sb->buf = buf;
	sb->cap = cap;
	return 0;
}

char *strbuf_detach(struct strbuf *sb, size_t *len)
{
	char *buf;

	if (strbuf_reserve(sb, 0))
		return NULL;
	buf = sb->buf;
	if (len)
		*len = sb->len;
	strbuf_init(sb, STRBUF_DEFAULT_MAX);
	return buf;
}

int strbuf_add(struct strbuf *sb, const void *data, size_t len)
{
	uintptr_t from = (uintptr_t)data, own = (uintptr_t)sb->buf;
	int inside = sb->cap && from >= own && from < own + sb->cap;
	int r = strbuf_reserve(sb, len);

	if (r || len == 0)
		return r;
	if (inside) /* a part of the buffer itself, which may have moved */
		data = sb->buf + (from - own);
	memmove(sb->buf + sb->len, data, len);
	sb->len += len;
	sb->buf[sb->len] = '\0';
	return 0;
}

int strbuf_adds(struct strbuf *sb, const char *s)
{
	return strbuf_add(sb, s, strlen(s));
}

int strbuf_addch(struct strbuf *sb, char c)
{
	return strbuf_add(sb, &c, 1);
}

int strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = strbuf_vaddf(sb, fmt, ap);
	va_end(ap);
	return r;
}

int strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap)
{
	char small[256];
	va_list again;
	int n, r;

	if (sb->err)
		return sb->err;
	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, again);
	va_end(again);
	if (n < 0) /* beyond INT_MAX, or no memory for a wide field */
		return fail(sb, errno == ENOMEM ? -ENOMEM : -E2BIG);
	if ((size_t)n < sizeof(small))
		return strbuf_add(sb, small, (size_t)n);
	r = strbuf_reserve(sb, (size_t)n);
	if (r)
		return r;
	/* Arguments may not point into sb: it may just have moved. */
	vsnprintf(sb->buf + sb->len, (size_t)n + 1, fmt, ap);
	sb->len += (size_t)n;
	return 0;
}
