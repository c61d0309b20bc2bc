/* Any bytes as a notebook: read, changed, printed, checked. What was printed must be read again. */
#include <string.h>

#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/check_code.h"
#include "fs/engine/options.h"
#include "fs/engine/problem.h"
#include "fs/notebook/ipynb.h"
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_cells(const struct ipynb *nb)
{
	struct strbuf seen = STRBUF_INIT;
	struct problems problems = {0};
	struct options o;

	options_init(&o);
	o.internet = false;
	for (size_t i = 0; i < ipynb_cells(nb); i++) {
		struct strbuf source = STRBUF_INIT;
		struct code code = {.file = "x", .cell = 1, .seen = &seen};

		if (ipynb_cell_source(nb, i, &source))
			abort();
		code.text = source.buf;
		check_code(&code, &o, &problems);
		code.cell = 0;
		check_code(&code, &o, &problems);
		code_uses_gpu(source.buf);
		strbuf_release(&source);
	}
	problems_release(&problems);
	options_release(&o);
	strbuf_release(&seen);
}

static void print_and_read(const struct ipynb *nb)
{
	struct strbuf out = STRBUF_INIT;
	struct ipynb *again;

	if (ipynb_print(nb, &out))
		abort();
	again = ipynb_parse(out.buf, out.len, NULL);
	if (!again || ipynb_cells(again) != ipynb_cells(nb))
		abort();
	ipynb_free(again);
	strbuf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char parameters[] = "{\"a\": [1, \"x'\\n\", {\"b\": null}]}";
	struct why why = {0};
	struct ipynb *nb = ipynb_parse((const char *)data, size, &why);
	struct json *j = json_parse(parameters, strlen(parameters), 1000, NULL);
	struct ipynb_error e;
	size_t cells;

	if (nb) {
		cells = ipynb_cells(nb);
		check_cells(nb);
		if (!ipynb_language(nb) || ipynb_ensure_kernel(nb) || !ipynb_kernel(nb))
			abort();
		ipynb_find_error(nb, &e);
		ipynb_error_release(&e);
		if (ipynb_inject(nb, j, &why) || ipynb_cells(nb) > cells + 1)
			abort();
		cells = ipynb_cells(nb);
		if (ipynb_inject(nb, j, &why) || ipynb_cells(nb) != cells)
			abort();
		print_and_read(nb);
		ipynb_free(nb);
	} else if (!why.err || !why.text[0]) {
		abort();
	}
	json_free(j);
	return 0;
}
