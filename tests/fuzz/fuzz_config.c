/* Any bytes as the configuration: taken, or refused with a sentence; shown without secrets. */
#include <string.h>

#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct config *c)
{
	for (const struct json *m = json_first(c->backends); m; m = json_next(m)) {
		struct strbuf out = STRBUF_INIT;
		int err = config_print_backend(c, json_key(m), &out);
		struct json *j = err ? NULL : json_parse(out.buf, out.len, (size_t)64 << 20, NULL);

		if (!err && !j)
			abort();
		json_free(j);
		strbuf_release(&out);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[sizeof(scratch_path) + 16];
	struct config c;
	struct why why = {0};

	scratch_write("config.json", data, size);
	snprintf(path, sizeof(path), "%s/config.json", scratch_path);
	if (config_load(path, &c, &why)) {
		if (!why.err || !why.text[0])
			abort();
		return 0;
	}
	if (c.jobs_max < 1 || c.poll_seconds < 1 || !(c.monitor_hours > 0) || !c.default_backend ||
		c.settle_alive_s < c.settle_exited_s)
		abort();
	show(&c);
	config_release(&c);
	return 0;
}
