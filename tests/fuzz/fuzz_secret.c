/* Any bytes as .env: taken, or refused with a sentence that holds nothing of them. */
#include <string.h>

#include "fs/base/secret.h"
#include "fs/base/why.h"
#include "tests/fuzz/scratch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"A", "B", "KAGGLE_KEY", "Z_", ""};
	struct secrets *s = NULL;
	struct why why = {0};

	clearenv(); /* it would go before the file */
	scratch_write(".env", data, size);
	if (secrets_open(scratch_path, &s, &why)) {
		if (s || !why.err || !why.text[0])
			abort();
		return 0;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = secrets_get(s, names[i]);

		if (value && (!*value || strlen(value) >= size))
			abort();
	}
	secrets_close(s);
	return 0;
}
