/* The backends that were built in: backend_list.h is written by backends/meson.build. */
#include "backends/backend.h"

#include <stddef.h>
#include <string.h>

const char *const end_cause_words[END_CAUSE_COUNT] = {
	[END_NONE] = "none",
	[END_OK] = "ok",
	[END_ERROR] = "error",
	[END_SIGNAL] = "signal",
	[END_TIME_LIMIT] = "time_limit",
	[END_MEMORY] = "memory",
	[END_CANCELLED] = "cancelled",
	[END_SETUP] = "setup",
	[END_DISK] = "disk",
};

#define X(name) extern const struct backend name##_backend;
#include "backend_list.h"
#undef X

static const struct backend *const backends[] = {
#define X(name) &name##_backend,
#include "backend_list.h"
#undef X
	NULL,
};

const struct backend *const *backend_all(void)
{
	return backends;
}

const struct backend *backend_find(const char *name)
{
	for (const struct backend *const *b = backends; *b; b++)
		if (!strcmp((*b)->name, name))
			return *b;
	return NULL;
}
