/* What is run and where: the contract's order of kinds and backends. Used by options.c only. */
#ifndef KEXEC_ENGINE_ENTRY_H
#define KEXEC_ENGINE_ENTRY_H

#include <stdbool.h>

struct config;
struct metadata;
struct options;
struct problems;
struct why;

/* Fill kind and main of o, or `missing`. What kexec.json said stands in o already. */
int entry_find(int dirfd, const struct metadata *m, struct options *o, struct problems *problems,
	struct why *why);
/* Fill backends of o: its own without the unknown ones, else Kaggle's, else the configuration's. */
int entry_backends(const struct config *config, bool metadata, struct options *o, struct problems *problems);

#endif
