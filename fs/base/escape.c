#include "fs/base/escape.h"

#include <stdint.h>
#include <string.h>

#include "fs/base/strbuf.h"

#define REPLACEMENT 0xfffd

/* Length a lead byte announces and the payload bits in it; 0 for what cannot lead. */
static size_t lead_length(unsigned char c, uint32_t *bits)
{
	if (c < 0x80) {
		*bits = c;
		return 1;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		*bits = c & 0x1f;
		return 2;
	}
	if (c >= 0xe0 && c <= 0xef) {
		*bits = c & 0x0f;
		return 3;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		*bits = c & 0x07;
		return 4;
	}
	return 0;
}

size_t utf8_decode(const char *text, size_t len, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t c = 0;
	size_t n = len ? lead_length((unsigned char)text[0], &c) : 0;

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		unsigned char b = (unsigned char)text[i];

		if ((b & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (b & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code = c;
	return n;
}

bool utf8_valid(const char *text, size_t len)
{
	for (size_t at = 0; at < len;) {
		uint32_t code;
		size_t n = utf8_decode(text + at, len - at, &code);

		if (n == 0)
			return false;
		at += n;
	}
	return true;
}

size_t utf8_cut(const char *text, size_t len, size_t max)
{
	size_t n = len < max ? len : max, lead = n;
	uint32_t bits;

	while (lead > 0 && n - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
		lead--;
	if (lead == 0)
		return n;
	lead--;
	return lead_length((unsigned char)text[lead], &bits) > n - lead ? lead : n;
}

/* Characters one after another; every byte that is not part of one counts as U+FFFD. */
struct reader {
	const char *text;
	size_t len, at;
};

static bool next_code(struct reader *r, uint32_t *code)
{
	size_t n;

	if (r->at >= r->len)
		return false;
	n = utf8_decode(r->text + r->at, r->len - r->at, code);
	if (n == 0) {
		*code = REPLACEMENT;
		n = 1;
	}
	r->at += n;
	return true;
}

static size_t encode(char out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static void add_code(struct strbuf *out, uint32_t code)
{
	char utf8[4];

	strbuf_add(out, utf8, encode(utf8, code));
}

/* Most text is ASCII that needs nothing: a run of it, up to the first of `special`, goes over at
 * once. */
static void copy_run(struct reader *r, struct strbuf *out, const char *special)
{
	size_t from = r->at;

	while (r->at < r->len && r->text[r->at] >= 0x20 && r->text[r->at] < 0x7f &&
		!strchr(special, r->text[r->at]))
		r->at++;
	strbuf_add(out, r->text + from, r->at - from);
}

static bool xml_allows(uint32_t c)
{
	return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c != 0xfffe && c != 0xffff);
}

void escape_html(struct strbuf *out, const char *text, size_t len)
{
	struct reader r = {text, len, 0};
	uint32_t c;

	while (copy_run(&r, out, "&<>\"'"), next_code(&r, &c)) {
		switch (c) {
		case '&':
			strbuf_adds(out, "&amp;");
			break;
		case '<':
			strbuf_adds(out, "&lt;");
			break;
		case '>':
			strbuf_adds(out, "&gt;");
			break;
		case '"':
			strbuf_adds(out, "&quot;");
			break;
		case '\'':
			strbuf_adds(out, "&#39;");
			break;
		default:
			if (xml_allows(c))
				add_code(out, c);
		}
	}
}

static const char *short_escape(uint32_t c)
{
	switch (c) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '\n':
		return "\\n";
	case '\r':
		return "\\r";
	case '\t':
		return "\\t";
	case 0:
		return "\\ufffd";
	default:
		return NULL;
	}
}

void escape_json(struct strbuf *out, const char *text, size_t len)
{
	struct reader r = {text, len, 0};
	uint32_t c;

	while (copy_run(&r, out, "\"\\<>&"), next_code(&r, &c)) {
		const char *s = short_escape(c);

		if (s)
			strbuf_adds(out, s);
		else if (c < 0x20 || c == 0x7f || c == '<' || c == '>' || c == '&' || c == 0x2028 ||
			 c == 0x2029)
			strbuf_addf(out, "\\u%04x", (unsigned)c);
		else
			add_code(out, c);
	}
}

static bool csv_needs_quotes(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == ',' || text[i] == '"' || text[i] == '\n' || text[i] == '\r')
			return true;
	return false;
}

void escape_csv(struct strbuf *out, const char *text, size_t len)
{
	if (!csv_needs_quotes(text, len)) {
		strbuf_add(out, text, len);
		return;
	}
	strbuf_addch(out, '"');
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			strbuf_addch(out, '"');
		strbuf_addch(out, text[i]);
	}
	strbuf_addch(out, '"');
}

/* ECMA-48: ESC [ or U+009B, parameters, intermediates, one final byte. */
static void skip_csi(struct reader *r)
{
	while (r->at < r->len && r->text[r->at] >= 0x20 && r->text[r->at] <= 0x3f)
		r->at++;
	if (r->at < r->len && r->text[r->at] >= 0x40 && r->text[r->at] <= 0x7e)
		r->at++;
}

/* OSC, DCS, SOS, PM, APC: up to ST or BEL. One that never ends must not swallow a log: any other
 * control character ends it too and is read again. */
static void skip_string(struct reader *r)
{
	uint32_t c;

	while (r->at < r->len) {
		size_t before = r->at;

		next_code(r, &c);
		if (c == 0x07 || c == 0x9c)
			return;
		if (c == 0x1b && r->at < r->len && r->text[r->at] == '\\') {
			r->at++;
			return;
		}
		if (c < 0x20) {
			r->at = before;
			return;
		}
	}
}

static void skip_escape(struct reader *r)
{
	char c = (char)(r->at < r->len ? r->text[r->at] : '\0');

	if (c == '[') {
		r->at++;
		skip_csi(r);
	} else if (c != '\0' && strchr("]PX^_", c)) {
		r->at++;
		skip_string(r);
	} else {
		while (r->at < r->len && r->text[r->at] >= 0x20 && r->text[r->at] <= 0x2f)
			r->at++;
		if (r->at < r->len && r->text[r->at] >= 0x30 && r->text[r->at] <= 0x7e)
			r->at++;
	}
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

/* Controls that turn the direction of text: what is shown would not be what is there. */
static bool is_bidi(uint32_t c)
{
	return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* The next character that is not part of an ANSI sequence; controls are left to the caller. */
static bool next_shown(struct reader *r, uint32_t *code)
{
	while (next_code(r, code)) {
		if (*code == 0x1b)
			skip_escape(r);
		else if (*code == 0x9b)
			skip_csi(r);
		else if (*code == 0x90 || *code == 0x98 || (*code >= 0x9d && *code <= 0x9f))
			skip_string(r);
		else if (!is_bidi(*code))
			return true;
	}
	return false;
}

void escape_plain(struct strbuf *out, const char *text, size_t len)
{
	struct reader r = {text, len, 0};
	uint32_t c;

	while (copy_run(&r, out, ""), next_shown(&r, &c))
		if (!is_control(c) || c == '\n' || c == '\t')
			add_code(out, c);
}

/* White space of any kind as a space, other controls not at all. */
static bool next_of_line(struct reader *r, uint32_t *code)
{
	while (next_shown(r, code)) {
		if (*code == '\r' && r->at < r->len && r->text[r->at] == '\n')
			continue;
		if ((*code >= '\t' && *code <= '\r') || *code == 0x85 || *code == 0x2028 ||
			*code == 0x2029)
			*code = ' ';
		if (!is_control(*code))
			return true;
	}
	return false;
}

void escape_line(struct strbuf *out, const char *text, size_t len, size_t max)
{
	struct reader r = {text, len, 0};
	char utf8[4];
	uint32_t c;

	while (next_of_line(&r, &c)) {
		size_t n = encode(utf8, c);

		if (n > max)
			return;
		strbuf_add(out, utf8, n);
		max -= n;
	}
}

/*
 * '.', ')', '+', '-' and '=' mean something only at the start of a line (lists, rules, headings),
 * and prose is full of them, so they are escaped only there: as first character or after digits
 * only.
 */
static bool markdown_reads(uint32_t c, bool at_start, bool after_digits)
{
	if (c < 0x80 && c != 0 && strchr("\\`*_[]<>#|~&$", (int)c))
		return true;
	if (at_start && (c == '+' || c == '-' || c == '='))
		return true;
	return after_digits && (c == '.' || c == ')');
}

void escape_markdown(struct strbuf *out, const char *text, size_t len)
{
	struct reader r = {text, len, 0};
	bool at_start = true, digits = false;
	uint32_t c;

	while (next_of_line(&r, &c)) {
		bool url = c == ':' && r.at < len && text[r.at] == '/';

		if (at_start && c == ' ')
			continue; /* four would begin a code block */
		if (url || markdown_reads(c, at_start, digits))
			strbuf_addch(out, '\\');
		add_code(out, c);
		digits = (at_start || digits) && c >= '0' && c <= '9';
		at_start = false;
	}
}
