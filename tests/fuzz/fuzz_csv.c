/* Records that were read, written again, read the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/csv.h"
#include "fs/base/escape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int print_all(const char *text, size_t len, struct strbuf *out)
{
	struct csv_reader r;
	size_t line = 0;
	int n;

	csv_init(&r, text, len);
	while ((n = csv_next(&r)) > 0) {
		if (r.line <= line || r.at > len || r.count == 0)
			abort();
		line = r.line;
		for (size_t i = 0; i < r.count; i++) {
			const char *field = csv_field(&r, i);

			if (i)
				strbuf_addch(out, ',');
			/* A field at the start may look like a byte order mark. */
			if (out->len == 0)
				strbuf_adds(out, "\"\",");
			escape_csv(out, field, strlen(field));
		}
		strbuf_adds(out, "\r\n");
	}
	csv_finish(&r);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct strbuf one = STRBUF_INIT, two = STRBUF_INIT;

	if (print_all((const char *)data, size, &one) == 0) {
		if (print_all(one.buf, one.len, &two))
			abort();
		/* The second text has one more mark, in front of what the first mark was read as.
		 */
		if (one.len && strcmp(one.buf + 3, two.buf + 4) != 0)
			abort();
	}
	strbuf_release(&one);
	strbuf_release(&two);
	return 0;
}
