#include "fs/base/json_scan.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"

#define MAX_NUMBER_CHARS 63 /* cJSON's own buffer */

enum scan_result { SCAN_DONE, SCAN_VALUE, SCAN_OPENED, SCAN_CLOSED, SCAN_NEXT };

struct scan {
	const char *text;
	size_t len, at;
	size_t values;
	size_t keys;     /* keys seen so far */
	size_t stop_key; /* stop before this key (counted from 1; 0 = never) */
	int err;
	const char *problem;
	int depth;
	char open[JSON_MAX_DEPTH]; /* '{' or '[' */
};

static int scan_fail(struct scan *s, int err, const char *problem)
{
	s->err = err;
	s->problem = problem;
	return -err;
}

static int peek(const struct scan *s)
{
	return s->at < s->len ? (unsigned char)s->text[s->at] : -1;
}

static void skip_space(struct scan *s)
{
	while (s->at < s->len && s->text[s->at] && strchr(" \t\n\r", s->text[s->at]))
		s->at++;
}

static int hex4(const struct scan *s, size_t at, unsigned *out)
{
	*out = 0;
	if (s->len - at < 4)
		return -EINVAL;
	for (size_t i = 0; i < 4; i++) {
		char c = s->text[at + i];
		unsigned d;

		if (c >= '0' && c <= '9')
			d = (unsigned)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			d = (unsigned)((c | 0x20) - 'a' + 10);
		else
			return -EINVAL;
		*out = *out << 4 | d;
	}
	return 0;
}

/* After "\u". */
static int scan_unicode(struct scan *s)
{
	unsigned high, low;

	if (hex4(s, s->at, &high))
		return scan_fail(s, EINVAL, _("\\u needs four hexadecimal digits"));
	if (high == 0)
		return scan_fail(s, EINVAL, _("a NUL character is not accepted"));
	s->at += 4;
	if (high < 0xd800 || high > 0xdfff)
		return 0;
	if (high > 0xdbff || s->len - s->at < 6 || s->text[s->at] != '\\' ||
		s->text[s->at + 1] != 'u' || hex4(s, s->at + 2, &low) || low < 0xdc00 ||
		low > 0xdfff)
		return scan_fail(s, EINVAL, _("half of a surrogate pair"));
	s->at += 6;
	return 0;
}

static int scan_escape(struct scan *s)
{
	int c = peek(s);

	if (c <= 0 || !strchr("\"\\/bfnrtu", c))
		return scan_fail(s, EINVAL, _("unknown escape in a string"));
	s->at++;
	return c == 'u' ? scan_unicode(s) : 0;
}

/* At the opening quote. */
static int scan_string(struct scan *s)
{
	for (s->at++; s->at < s->len;) {
		unsigned char c = (unsigned char)s->text[s->at];
		uint32_t code;
		size_t n = 1;

		if (c == '"') {
			s->at++;
			return 0;
		}
		if (c < 0x20)
			return scan_fail(s, EINVAL, _("a control character inside a string"));
		if (c == '\\') {
			s->at++;
			if (scan_escape(s))
				return -EINVAL;
			continue;
		}
		if (c >= 0x80)
			n = utf8_decode(s->text + s->at, s->len - s->at, &code);
		if (n == 0)
			return scan_fail(s, EINVAL, _("not valid UTF-8"));
		s->at += n;
	}
	return scan_fail(s, EINVAL, _("a string that never ends"));
}

static size_t skip_digits(struct scan *s)
{
	size_t from = s->at;

	while (s->at < s->len && s->text[s->at] >= '0' && s->text[s->at] <= '9')
		s->at++;
	return s->at - from;
}

static int scan_number_text(struct scan *s)
{
	if (peek(s) == '-')
		s->at++;
	if (peek(s) == '0')
		s->at++;
	else if (skip_digits(s) == 0)
		return -EINVAL;
	if (peek(s) == '.') {
		s->at++;
		if (skip_digits(s) == 0)
			return -EINVAL;
	}
	if (peek(s) == 'e' || peek(s) == 'E') {
		s->at++;
		if (peek(s) == '+' || peek(s) == '-')
			s->at++;
		if (skip_digits(s) == 0)
			return -EINVAL;
	}
	return 0;
}

static int scan_number(struct scan *s)
{
	char number[MAX_NUMBER_CHARS + 1];
	size_t from = s->at, len;

	if (scan_number_text(s))
		return scan_fail(s, EINVAL, _("not a number"));
	len = s->at - from;
	if (len <= MAX_NUMBER_CHARS) {
		memcpy(number, s->text + from, len);
		number[len] = '\0';
		if (isfinite(strtod(number, NULL)))
			return SCAN_VALUE;
	}
	s->at = from;
	return scan_fail(s, EINVAL,
		len > MAX_NUMBER_CHARS ? _("a number with too many digits")
				       : _("a number out of range"));
}

static int scan_word(struct scan *s)
{
	static const char *const words[] = {"true", "false", "null"};

	for (size_t i = 0; i < 3; i++) {
		size_t n = strlen(words[i]);

		if (s->len - s->at >= n && memcmp(s->text + s->at, words[i], n) == 0) {
			s->at += n;
			return SCAN_VALUE;
		}
	}
	if (s->at == s->len)
		return scan_fail(s, EINVAL, _("the text ends too early"));
	return scan_fail(s, EINVAL, _("a value was expected here"));
}

/* "key": up to the value. */
static int scan_key(struct scan *s)
{
	skip_space(s);
	if (s->at == s->len)
		return scan_fail(s, EINVAL, _("the text ends too early"));
	if (peek(s) != '"')
		return scan_fail(s, EINVAL, _("a key in quotes was expected here"));
	if (++s->keys == s->stop_key)
		return scan_fail(s, EINVAL, "");
	if (scan_string(s))
		return -EINVAL;
	skip_space(s);
	if (peek(s) != ':')
		return scan_fail(s, EINVAL, _("':' was expected here"));
	s->at++;
	return SCAN_NEXT;
}

static int scan_open(struct scan *s, char open)
{
	if (s->depth == JSON_MAX_DEPTH)
		return scan_fail(s, E2BIG, _("nested too deeply"));
	s->at++;
	skip_space(s);
	if (peek(s) == (open == '{' ? '}' : ']')) {
		s->at++;
		return SCAN_VALUE;
	}
	s->open[s->depth++] = open;
	if (open == '{' && scan_key(s) < 0)
		return -s->err;
	return SCAN_OPENED;
}

static int scan_value(struct scan *s)
{
	int c;

	skip_space(s);
	if (++s->values > JSON_MAX_VALUES)
		return scan_fail(s, E2BIG, _("too many values"));
	c = peek(s);
	if (c == '{' || c == '[')
		return scan_open(s, (char)c);
	if (c == '"')
		return scan_string(s) ? -s->err : SCAN_VALUE;
	if (c == '-' || (c >= '0' && c <= '9'))
		return scan_number(s);
	return scan_word(s);
}

/* After a value: what does the container it is in go on with? */
static int scan_after(struct scan *s)
{
	char open;
	int c;

	if (s->depth == 0)
		return SCAN_DONE;
	open = s->open[s->depth - 1];
	skip_space(s);
	c = peek(s);
	if (c == (open == '{' ? '}' : ']')) {
		s->at++;
		s->depth--;
		return SCAN_CLOSED;
	}
	if (c < 0)
		return scan_fail(s, EINVAL, _("the text ends too early"));
	if (c != ',')
		return scan_fail(s, EINVAL,
			open == '{' ? _("',' or '}' was expected here")
				    : _("',' or ']' was expected here"));
	s->at++;
	return open == '{' ? scan_key(s) : SCAN_NEXT;
}

static int read_document(struct scan *s)
{
	int r;

	do {
		r = scan_value(s);
		if (r == SCAN_VALUE)
			do
				r = scan_after(s);
			while (r == SCAN_CLOSED);
	} while (r == SCAN_OPENED || r == SCAN_NEXT);
	if (r < 0)
		return r;
	skip_space(s);
	if (s->at < s->len)
		return scan_fail(s, EINVAL, _("text after the end of the value"));
	return 0;
}

int json_scan(const char *text, size_t len, size_t stop_key, struct json_fault *fault)
{
	struct scan s = {.text = text, .len = len, .stop_key = stop_key};
	int r = read_document(&s);

	*fault = (struct json_fault){.at = s.at, .err = s.err, .problem = s.problem};
	return r;
}
