/* Names and link targets from strangers: every judge of a name, over any bytes. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/engine/config.h"
#include "fs/engine/door.h"
#include "fs/engine/options.h"
#include "fs/engine/source.h"
#include "fs/notebook/ipynb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const words[] = {"kind", "main", "backoff_multiplier", NULL};
	char *name = malloc(size + 1);
	int verdict;

	memcpy(name, data, size);
	name[size] = '\0';
	verdict = door_name_check(name);
	if (verdict == 0 && (!name[0] || name[0] == '-' || strchr(name, '/') || strchr(name, '\n')))
		abort();
	if (verdict != 0 && verdict != -EILSEQ && verdict != -EINVAL && verdict != -ENAMETOOLONG)
		abort();
	door_temporary_name(name);
	nearest_word(name, words);
	if (options_plain_path(name) && (name[0] == '/' || strstr(name, "//") || strcmp(name, "..") == 0))
		abort();
	if (source_link_inside("a/b", name) && (name[0] == '/' || strncmp(name, "../../", 6) == 0))
		abort();
	if (python_identifier(name) && strpbrk(name, " =\n\r;#'\"\\()"))
		abort();
	free(name);
	return 0;
}
