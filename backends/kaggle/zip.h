/* One file out of a zip archive in memory. The only user of libarchive. */
#ifndef KEXEC_BACKENDS_KAGGLE_ZIP_H
#define KEXEC_BACKENDS_KAGGLE_ZIP_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf;
struct why;

bool zip_is(const void *data, size_t len);
/* Append the first plain file of the archive. -E2BIG with why: it is over out's bound (archives can unpack to
 * a thousand times their size); -EPROTO: no archive, or nothing in it. */
int zip_one(const void *data, size_t len, struct strbuf *out, struct why *why);

#endif
