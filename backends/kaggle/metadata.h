/*
 * kernel-metadata.json as Kaggle's own client reads it, from hostile hands: bounded, typed, every field
 * mapped. What is wrong becomes a sentence, one a line. Pure.
 */
#ifndef KEXEC_BACKENDS_KAGGLE_METADATA_H
#define KEXEC_BACKENDS_KAGGLE_METADATA_H

#include <stddef.h>
#include <stdint.h>

struct strbuf;

#define METADATA_FILE  "kernel-metadata.json"
#define METADATA_BYTES ((size_t)1 << 20)

/* Texts are owned or NULL; -1 = not said; lists are NULL-terminated or NULL. */
struct metadata_lists {
	char **datasets, **competitions, **kernels, **models, **keywords;
};
struct kernel_metadata {
	char *id;                      /* "owner/slug", sound */
	int64_t id_no;                 /* 0: none */
	char *title, *language, *machine_shape, *docker_image, *docker_pinning;
	int is_private, gpu, tpu, internet;
	struct metadata_lists sources; /* as requests want them: without "datasets/", "c/" … in front */
};

/* 0 also where there were problems, after which nothing may be pushed; warnings are about what is made good
 * without doubt. What is wrong is left out. -ENOMEM. */
int kernel_metadata_parse(const char *text, size_t len, struct kernel_metadata *out, struct strbuf *problems,
	struct strbuf *warnings);
void kernel_metadata_init(struct kernel_metadata *m);
void kernel_metadata_release(struct kernel_metadata *m);
/* One more source, e.g. the data set of the folder's own files. 0 or -ENOMEM. */
int kernel_metadata_add(char ***list, const char *source);

#endif
