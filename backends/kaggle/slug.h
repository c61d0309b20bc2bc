/* Names on Kaggle: slugs, titles, and the id of one version of a kernel. Pure. */
#ifndef KEXEC_BACKENDS_KAGGLE_SLUG_H
#define KEXEC_BACKENDS_KAGGLE_SLUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

#define KAGGLE_SLUG_MIN  5
#define KAGGLE_SLUG_MAX  50
#define KAGGLE_OWNER_MAX 100
#define KAGGLE_NAME_MAX  (KAGGLE_OWNER_MAX + 1 + KAGGLE_SLUG_MAX + 1) /* "owner/slug" */

/* The slug that Kaggle makes of a title: lower case, accents folded, runs of anything else as one '-'.
 * -EILSEQ: a letter of which we do not know what Kaggle makes. */
int kaggle_slug_of(const char *title, struct strbuf *out);
/* 5 to 50 characters a-z, 0-9, '-', and what Kaggle itself would make of them is the same. */
bool kaggle_slug_valid(const char *slug);
bool kaggle_owner_valid(const char *owner, size_t len);
/* "owner/slug" with both parts sound? They are put into requests and file names. */
bool kaggle_id_valid(const char *id);

/* A name for what has none: "kx-<the run's name in ASCII>-<8 digits of the token>". The same for the same
 * arguments, so that a repeated submission finds the first. */
int kaggle_fresh_slug(const char *name, const char *token, char out[KAGGLE_SLUG_MAX + 1]);
/* A title of which Kaggle makes this slug: `wanted` (may be NULL) where it does, else the slug. */
const char *kaggle_title(const char *slug, const char *wanted);

/* "owner/slug/v3", taken apart. */
struct kaggle_remote {
	char slug[KAGGLE_NAME_MAX]; /* "owner/slug" */
	int64_t version;
};
int kaggle_remote_parse(const char *remote_id, struct kaggle_remote *out); /* 0 or -EINVAL */
int kaggle_remote_print(const struct kaggle_remote *r, struct strbuf *out);

#endif
