/* Any bytes as kexec.json, kernel-metadata.json or a job file (the first byte says which): read, and
 * what was resolved goes to JSON and back unchanged. */
#include <string.h>

#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/check.h"
#include "fs/engine/config.h"
#include "fs/engine/options.h"
#include "fs/engine/problem.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct options *o)
{
	struct json *j = options_to_json(o), *again;
	struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
	struct options back;
	struct why why = {0};

	if (!j || options_from_json(j, &back, &why))
		abort();
	again = options_to_json(&back);
	if (json_print(j, &a, false) || json_print(again, &b, false) || strcmp(a.buf, b.buf) != 0)
		abort();
	options_release(&back);
	json_free(j);
	json_free(again);
	strbuf_release(&a);
	strbuf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"kexec.json", "kernel-metadata.json", "train.json"};
	static const char *const backends[] = {"local", "kaggle", NULL};
	const struct config config = {.known_backends = backends, .monitor_hours = 3};
	const char *name = names[size ? data[0] % 3 : 0];
	struct problems problems = {0};
	struct strbuf text = STRBUF_INIT;
	struct options o;
	struct why why = {0};

	scratch_write("a.py", (const uint8_t *)"x", 1);
	scratch_write(name, data + (size > 0), size - (size > 0));
	if (options_read(scratch_open(), &config, &o, &problems, &why) || !o.backends || !o.backends[0])
		abort();
	if ((o.kind == KIND_NONE) != (o.missing != NULL) || (o.kind != KIND_NONE && !o.main))
		abort();
	round_trip(&o);
	if (check_source(scratch_open(), &o, &problems, &why) || problems_text(&problems, &text) ||
		problems_json(&problems, &text))
		abort();
	strbuf_release(&text);
	problems_release(&problems);
	options_release(&o);
	unlinkat(scratch_open(), name, 0);
	return 0;
}
