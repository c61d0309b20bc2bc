#include "fs/base/why.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/escape.h"

/* Sentences quote what others wrote: controls become spaces and stray bytes '?', in place. */
static void make_one_line(char *text)
{
	size_t len = strlen(text);

	for (size_t at = 0; at < len;) {
		uint32_t code;
		size_t n = utf8_decode(text + at, len - at, &code);

		if (n == 0)
			text[at++] = '?';
		else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			for (; n > 0; n--)
				text[at++] = ' ';
		else
			at += n;
	}
}

/* The room is filled by vsnprintf(), which may have cut inside a character. */
static void settle(struct why *why)
{
	why->text[utf8_cut(why->text, strlen(why->text), sizeof(why->text) - 1)] = '\0';
	make_one_line(why->text);
}

int why_set(struct why *why, int err, const char *fmt, ...)
{
	va_list ap;

	err = abs(err);
	if (!why)
		return -err;
	why->err = err;
	va_start(ap, fmt);
	if (vsnprintf(why->text, sizeof(why->text), fmt, ap) < 0)
		why->text[0] = '\0';
	va_end(ap);
	settle(why);
	return -err;
}

void why_prefix(struct why *why, const char *fmt, ...)
{
	char old[sizeof(why->text)];
	va_list ap;
	size_t len;
	int n;

	if (!why || why->err == 0)
		return;
	snprintf(old, sizeof(old), "%s", why_text(why));
	va_start(ap, fmt);
	n = vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	if (n < 0)
		why->text[0] = '\0';
	len = strlen(why->text);
	snprintf(why->text + len, sizeof(why->text) - len, ": %s", old);
	settle(why);
}

const char *why_text(const struct why *why)
{
	if (!why || why->err == 0)
		return "";
	return why->text[0] ? why->text : strerror(why->err);
}
