/* Two texts, parted by a NUL: applying the printed difference to the first must give the second. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/strbuf.h"
#include "fs/engine/textdiff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LETTERS_MAX 4096

/* Hostile bytes, all outputs bounded and clean. */
static void check_raw(const char *a, size_t a_len, const char *b, size_t b_len)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct textdiff counts;
	const size_t most = 4096;

	if (textdiff(a, a_len, b, b_len, most, &out, &counts))
		return;
	if (out.len > most + 200 || !utf8_valid(out.buf, out.len) ||
		memchr(out.buf, '\033', out.len))
		abort();
	if (a_len == b_len && memcmp(a, b, a_len) == 0 &&
		(counts.added || counts.removed || out.len))
		abort();
}

/* Each byte a line of four kinds: many equal lines, which is where differences go wrong. */
static void letters(const char *s, size_t len, struct strbuf *out)
{
	for (size_t i = 0; i < len && i < LETTERS_MAX; i++)
		strbuf_addf(out, "%c\n", 'a' + (s[i] & 3));
}

static void copy_lines(const char **from, size_t count, struct strbuf *out)
{
	while (count-- && **from) {
		strbuf_add(out, *from, 2);
		*from += 2;
	}
}

static void check_applies(const struct strbuf *a, const struct strbuf *b)
{
	AUTO_BUF struct strbuf hunks = STRBUF_INIT, made = STRBUF_INIT;
	struct textdiff counts;
	const char *at = a->buf, *line;

	if (textdiff(a->buf, a->len, b->buf, b->len, (size_t)1 << 20, &hunks, &counts))
		abort();
	for (line = hunks.buf; *line; line = strchr(line, '\n') + 1) {
		unsigned long from, len;

		if (sscanf(line, "@@ -%lu,%lu", &from, &len) == 2) {
			copy_lines(&at, from - (len > 0) - (size_t)(at - a->buf) / 2, &made);
			continue;
		}
		if (*line != '-')
			strbuf_add(&made, line + 1, 2);
		if (*line != '+' && memcmp(at, line + 1, 2))
			abort();
		at += *line == '+' ? 0 : 2;
	}
	strbuf_adds(&made, at);
	if (strcmp(made.buf, b->buf))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *a = size ? (const char *)data : "";
	const char *nul = size ? memchr(a, 0, size) : NULL;
	size_t a_len = nul ? (size_t)(nul - a) : size / 2;
	const char *b = a + a_len + (nul != NULL);
	size_t b_len = size - a_len - (nul != NULL);
	AUTO_BUF struct strbuf x = STRBUF_INIT, y = STRBUF_INIT;

	check_raw(a, a_len, b, b_len);
	letters(a, a_len, &x);
	letters(b, b_len, &y);
	check_applies(&x, &y);
	return 0;
}
