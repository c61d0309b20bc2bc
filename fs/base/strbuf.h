/*
 * A growing byte string with a maximum.
 *
 * `buf` is never NULL and always NUL-terminated. Adding past `max` or out of memory sets the sticky
 * `err` (a negative errno: -E2BIG or -ENOMEM) and keeps what was there; so a caller may add many
 * times and check once at the end. Not thread-safe. Zero initialisation is not valid: use
 * STRBUF_INIT or strbuf_init().
 */
#ifndef KEXEC_BASE_STRBUF_H
#define KEXEC_BASE_STRBUF_H

#include <stdarg.h>
#include <stddef.h>

struct strbuf {
	char *buf;
	size_t len; /* bytes, without the NUL */
	size_t cap;
	size_t max; /* len never exceeds this */
	int err;    /* 0, -E2BIG or -ENOMEM; sticky */
};

#define STRBUF_DEFAULT_MAX ((size_t)64 << 20)
extern char strbuf_empty[1];
#define STRBUF_INIT {.buf = strbuf_empty, .max = STRBUF_DEFAULT_MAX}

void strbuf_init(struct strbuf *sb, size_t max);
void strbuf_release(struct strbuf *sb);             /* frees; sb is as after STRBUF_INIT */
void strbuf_reset(struct strbuf *sb);               /* len 0, err 0, keeps the memory */
char *strbuf_detach(struct strbuf *sb, size_t *len); /* the caller frees, sb is as after STRBUF_INIT;
                                                      * NULL when err or OOM: sb is kept */
int strbuf_add(struct strbuf *sb, const void *data, size_t len);
int strbuf_adds(struct strbuf *sb, const char *s);
int strbuf_addch(struct strbuf *sb, char c);
int strbuf_addf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list ap);
void strbuf_truncate(struct strbuf *sb, size_t len);
int strbuf_reserve(struct strbuf *sb, size_t more); /* room for `more` bytes past len */

#endif
