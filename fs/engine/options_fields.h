/* The keys of kexec.json and kernel-metadata.json as tables. Used by options.c only. */
#ifndef KEXEC_ENGINE_OPTIONS_FIELDS_H
#define KEXEC_ENGINE_OPTIONS_FIELDS_H

#include "fs/engine/fields.h"
#include "fs/engine/options.h"

enum metadata_language { LANGUAGE_PYTHON, LANGUAGE_OTHER };

/* What kernel-metadata.json says. Texts are owned; -1 = not said. */
struct metadata {
	bool present;
	char *id, *code_file;
	enum run_kind kind;
	int language; /* enum metadata_language */
	int gpu, internet;
	bool gpu_shape; /* the machine that it names has a GPU */
	char **datasets, **competitions, **kernels, **models;
};

extern const struct field kexec_fields[];    /* into struct options; what a user may write */
extern const struct field resolved_fields[]; /* into struct options; what only options_to_json writes */
extern const struct field metadata_fields[]; /* into struct metadata */

void metadata_release(struct metadata *m);

#endif
