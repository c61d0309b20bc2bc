/* JSON values as Python source. What comes from a kexec.json stands in a cell afterwards, so a text must
 * never be able to end its quotes. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/escape.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/notebook/ipynb.h"

#define EXACT_INTEGER 9007199254740992.0 /* 2^53: further ones were rounded when they were read */

/* Line separators and what changes the direction of writing: valid in Python, but not to be seen. */
static bool invisible(uint32_t code)
{
	return (code >= 0x80 && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
		(code >= 0x200b && code <= 0x200f) || (code >= 0x202a && code <= 0x202e) ||
		(code >= 0x2060 && code <= 0x2069) || code == 0xfeff;
}

static void add_ascii(struct strbuf *out, unsigned char c)
{
	switch (c) {
	case '\\':
	case '\'':
		strbuf_addf(out, "\\%c", c);
		break;
	case '\n':
		strbuf_adds(out, "\\n");
		break;
	case '\r':
		strbuf_adds(out, "\\r");
		break;
	case '\t':
		strbuf_adds(out, "\\t");
		break;
	default:
		if (c < 0x20 || c == 0x7f)
			strbuf_addf(out, "\\x%02x", c);
		else
			strbuf_addch(out, (char)c);
	}
}

static void add_text(struct strbuf *out, const char *text)
{
	size_t left = strlen(text);

	strbuf_addch(out, '\'');
	while (left) {
		uint32_t code = 0xfffd;
		size_t n = utf8_decode(text, left, &code);

		if (n == 1)
			add_ascii(out, (unsigned char)*text);
		else if (n == 0 || invisible(code))
			strbuf_addf(out, "\\u%04x", n ? (unsigned)code : 0xfffdU);
		else
			strbuf_add(out, text, n);
		n += n == 0;
		text += n;
		left -= n;
	}
	strbuf_addch(out, '\'');
}

/* As repr() writes a float: the shortest digits that read back as the same number. */
static void add_float(struct strbuf *out, double value)
{
	char text[40];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	for (char *c = text; *c; c++) {
		if (!strchr("0123456789+-e", *c))
			*c = '.'; /* the decimal point of the user's locale */
	}
	strbuf_adds(out, text);
	if (!strpbrk(text, ".e"))
		strbuf_adds(out, ".0");
}

static void add_number(struct strbuf *out, double value)
{
	if (!isfinite(value))
		strbuf_adds(out, "None"); /* no JSON says it; json_print writes null too */
	else if (value == floor(value) && fabs(value) <= EXACT_INTEGER && !(value == 0 && signbit(value)))
		strbuf_addf(out, "%lld", (long long)value);
	else
		add_float(out, value);
}

static int add_value(struct strbuf *out, const struct json *value, int depth);

static int add_members(struct strbuf *out, const struct json *value, int depth)
{
	int err = 0;

	for (const struct json *m = json_first(value); m && !err; m = json_next(m)) {
		if (m != json_first(value))
			strbuf_adds(out, ", ");
		if (json_key(m)) {
			add_text(out, json_key(m));
			strbuf_adds(out, ": ");
		}
		err = add_value(out, m, depth + 1);
	}
	return err;
}

static int add_value(struct strbuf *out, const struct json *value, int depth)
{
	int err = depth > JSON_MAX_DEPTH ? -E2BIG : 0;

	switch (json_type(value)) {
	case JSON_BOOL:
		strbuf_adds(out, json_bool(value, false) ? "True" : "False");
		break;
	case JSON_NUMBER:
		add_number(out, json_number(value, 0));
		break;
	case JSON_TEXT:
		add_text(out, json_text(value));
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		strbuf_addch(out, json_type(value) == JSON_ARRAY ? '[' : '{');
		err = err ? err : add_members(out, value, depth);
		strbuf_addch(out, json_type(value) == JSON_ARRAY ? ']' : '}');
		break;
	default:
		strbuf_adds(out, "None");
	}
	return err ? err : out->err;
}

int python_literal(const struct json *value, struct strbuf *out)
{
	return add_value(out, value, 0);
}

static bool keyword(const char *name)
{
	static const char *const words[] = {"False", "None", "True", "and", "as", "assert", "async", "await",
		"break", "class", "continue", "def", "del", "elif", "else", "except", "finally", "for",
		"from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass",
		"raise", "return", "try", "while", "with", "yield", "__debug__"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(name, words[i]) == 0)
			return true;
	}
	return false;
}

bool python_identifier(const char *name)
{
	size_t left = strlen(name);
	const char *at = name;

	if (!left || left > 255 || (*name >= '0' && *name <= '9') || keyword(name))
		return false;
	while (left) {
		uint32_t code = 0;
		size_t n = utf8_decode(at, left, &code);
		bool ascii_word = (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
			(code >= 'a' && code <= 'z') || code == '_';

		/* Other alphabets are Python's to judge: nothing there ends a line or a name unseen. */
		if (n == 0 || (n == 1 ? !ascii_word : invisible(code) || code == 0xa0 || code == 0x3000))
			return false;
		at += n;
		left -= n;
	}
	return true;
}
