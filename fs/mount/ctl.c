#include "fs/mount/ctl.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/* The next word of *at is written to *to (quotes and backslashes taken away); false at the line's end. */
static int take_word(const char **at, const char *end, char **to, char **word)
{
	const char *p = *at;
	char quote = 0;

	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	*at = p;
	if (p == end || *p == '\n')
		return 0;
	*word = *to;
	for (; p < end && *p != '\n'; p++) {
		if (!quote && (*p == ' ' || *p == '\t' || *p == '\r'))
			break;
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			return -EINVAL;
		if (*p == '\\' && quote != '\'' && p + 1 < end && p[1] != '\n')
			*(*to)++ = *++p;
		else if (quote ? *p == quote : (*p == '\'' || *p == '"'))
			quote = (char)(quote ? 0 : *p);
		else
			*(*to)++ = *p;
	}
	if (quote)
		return -EINVAL;
	*(*to)++ = '\0';
	*at = p;
	return 1;
}

static int take_line(const char **at, const char *end, char **to, struct ctl_line *line)
{
	int r;

	line->argc = 0;
	for (;;) {
		char *word;

		r = take_word(at, end, to, &word);
		if (r <= 0)
			break;
		if (line->argc == CTL_MAX_WORDS)
			return -E2BIG;
		line->argv[line->argc++] = word;
	}
	line->argv[line->argc] = NULL;
	if (*at < end)
		(*at)++; /* the newline */
	return r;
}

int ctl_parse(const char *text, size_t len, struct ctl_words *out)
{
	const char *at = text, *end = text + len;
	char *to = out->text;

	out->lines = 0;
	if (len > CTL_MAX)
		return -E2BIG;
	while (at < end) {
		if (out->lines == CTL_MAX_LINES)
			return -E2BIG;
		int r = take_line(&at, end, &to, &out->line[out->lines]);

		if (r < 0)
			return r;
		if (out->line[out->lines].argc > 0)
			out->lines++;
	}
	return 0;
}
