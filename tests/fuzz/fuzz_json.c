/* What the parser takes prints as text that it takes again and that prints the same. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const struct json *j, int depth)
{
	if (depth > JSON_MAX_DEPTH)
		abort();
	json_int(j, 0);
	json_number(j, 0);
	json_bool(j, false);
	if (json_text(j) && json_type(j) != JSON_TEXT)
		abort();
	for (const struct json *c = json_first(j); c; c = json_next(c)) {
		/* Only the first of equal keys could be found. */
		if (json_type(j) == JSON_OBJECT && json_count(j) < 100 &&
			json_get(j, json_key(c)) != c)
			abort();
		visit(c, depth + 1);
	}
}

static void check_again(const struct json *j, bool pretty)
{
	struct strbuf one = STRBUF_INIT, two = STRBUF_INIT;
	struct json *again;

	if (json_print(j, &one, pretty))
		abort();
	again = json_parse(one.buf, one.len, one.len, NULL);
	if (!again || json_print(again, &two, pretty) || strcmp(one.buf, two.buf) != 0)
		abort();
	json_free(again);
	strbuf_release(&one);
	strbuf_release(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct why why = {0};
	struct json *j = json_parse((const char *)data, size, 1 << 20, &why);

	if (!j) {
		if (why.err == ENOMEM || why.err == 0 || why.text[0] == '\0')
			abort();
		return 0;
	}
	visit(j, 0);
	check_again(j, false);
	check_again(j, true);
	json_free(j);
	return 0;
}
