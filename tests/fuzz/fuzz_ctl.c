/* Control words from anybody who may write. Every word must lie inside the text and end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount/ctl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ctl_words words;

	if (ctl_parse((const char *)data, size, &words) != 0)
		return 0;
	for (int i = 0; i < words.lines; i++)
		for (int k = 0; k < words.line[i].argc; k++) {
			const char *word = words.line[i].argv[k];

			if (word < words.text || word + strlen(word) >= words.text + sizeof(words.text))
				abort();
		}
	return 0;
}
