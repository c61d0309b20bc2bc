#include "backends/kaggle/name.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "fs/base/escape.h"

#define PATH_BYTES 3000
#define PART_BYTES 255
#define DEPTH_MAX  32

static bool has_control(const char *name, size_t len)
{
	size_t n;

	for (size_t i = 0; i < len; i += n) {
		uint32_t code = 0;

		n = utf8_decode(name + i, len - i, &code);
		if (n == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0))
			return true;
	}
	return false;
}

const char *output_name_problem(const char *name)
{
	size_t len = strlen(name);
	int depth = 0;

	if (len == 0 || len > PATH_BYTES)
		return "no name, or one that is too long";
	if (name[0] == '/')
		return "an absolute path";
	if (!utf8_valid(name, len) || has_control(name, len))
		return "not UTF-8, or with control characters";
	for (const char *part = name; part; depth++) {
		size_t n = strcspn(part, "/");

		if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
			return "a path that leads out, or a part without a name";
		if (n > PART_BYTES)
			return "a part over 255 bytes";
		part = part[n] ? part + n + 1 : NULL;
	}
	return depth > DEPTH_MAX ? "too deep" : NULL;
}
