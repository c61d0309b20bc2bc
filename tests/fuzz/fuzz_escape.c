/* Whatever goes in, what comes out is harmless where it goes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/base/escape.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

static void must_lack(const struct strbuf *out, const char *bytes)
{
	for (; *bytes; bytes++)
		must(!memchr(out->buf, *bytes, out->len));
}

static void check_json(const char *text, size_t len)
{
	struct strbuf out = STRBUF_INIT;
	struct json *j;

	strbuf_addch(&out, '"');
	escape_json(&out, text, len);
	strbuf_addch(&out, '"');
	must_lack(&out, "<>&\n");
	j = json_parse(out.buf, out.len, out.len, NULL);
	must(json_type(j) == JSON_TEXT);
	if (utf8_valid(text, len) && !memchr(text, 0, len))
		must(strlen(json_text(j)) == len && memcmp(json_text(j), text, len) == 0);
	json_free(j);
	strbuf_release(&out);
}

static void check_lines(const char *text, size_t len)
{
	struct strbuf out = STRBUF_INIT;

	escape_line(&out, text, len, len / 2);
	must(out.len <= len / 2 && utf8_valid(out.buf, out.len));
	must_lack(&out, "\x1b\n\r\t\x7f");
	strbuf_reset(&out);
	escape_markdown(&out, text, len);
	must(utf8_valid(out.buf, out.len));
	must_lack(&out, "\x1b\n\r\t\x7f");
	strbuf_reset(&out);
	escape_plain(&out, text, len);
	must(utf8_valid(out.buf, out.len));
	must_lack(&out, "\x1b\r\x7f\x08");
	strbuf_reset(&out);
	escape_html(&out, text, len);
	must(utf8_valid(out.buf, out.len));
	must_lack(&out, "<>\"'\x1b");
	strbuf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char *copy = strndup(text, size);
	int64_t ns;

	check_json(text, size);
	check_lines(text, size);
	must(utf8_cut(text, size, size / 2) <= size / 2);
	if (utf8_valid(text, size))
		must(utf8_valid(text, utf8_cut(text, size, size / 2)));
	clock_parse_rfc3339(copy, &ns);
	free(copy);
	return 0;
}
