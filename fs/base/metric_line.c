#include "fs/base/metric_line.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/base/escape.h"
#include "fs/base/strbuf.h"

#define LINE_MAX_BYTES 256 /* prefix, name, value and step all fit */

bool metric_name_valid(const char *name, size_t len)
{
	if (!len || len > METRIC_NAME_MAX || !utf8_valid(name, len))
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c <= ' ' || c == '=' || c == 0x7f)
			return false;
	}
	return true;
}

/* strtod takes hexadecimal and leading blanks too; a metric is a plain decimal, nan or inf. */
static bool parse_value(const char *text, double *out)
{
	const char *digits = text + (*text == '-' || *text == '+');
	char *end;

	if (strcasecmp(digits, "nan") == 0 || strcasecmp(digits, "inf") == 0 ||
		strcasecmp(digits, "infinity") == 0) {
		*out = strtod(text, NULL);
		return true;
	}
	if (!*digits || digits[strspn(digits, "0123456789.eE+-")])
		return false;
	*out = strtod(text, &end);
	return end != text && !*end;
}

static bool parse_step(const char *text, long *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*out = strtol(text, &end, 10);
	return !errno && !*end;
}

bool metric_parse(const char *line, size_t len, struct metric_line *out)
{
	char text[LINE_MAX_BYTES + 1];
	char *words[4] = {NULL}, *at = text, *value;
	size_t count = 0;

	if (len && line[len - 1] == '\r')
		len--;
	if (len > LINE_MAX_BYTES || memchr(line, 0, len))
		return false;
	memcpy(text, line, len);
	text[len] = 0;
	for (char *word; (word = strsep(&at, " \t"));) {
		if (!*word)
			continue;
		if (count == 3)
			return false;
		words[count++] = word;
	}
	if (count < 2 || strcmp(words[0], "metric") || !(value = strchr(words[1], '=')))
		return false;
	*value++ = 0;
	if (!metric_name_valid(words[1], strlen(words[1])) || !parse_value(value, &out->value))
		return false;
	strcpy(out->name, words[1]);
	out->step = -1;
	return !words[2] || (!strncmp(words[2], "step=", 5) && parse_step(words[2] + 5, &out->step));
}

int metric_print_value(struct strbuf *out, double value)
{
	char text[40];

	if (isnan(value))
		return strbuf_adds(out, "nan");
	if (isinf(value))
		return strbuf_adds(out, value < 0 ? "-inf" : "inf");
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	return strbuf_adds(out, text);
}
