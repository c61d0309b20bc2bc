/* SHA-256 of what comes piece by piece. The only user of nettle. */
#ifndef KEXEC_BASE_SHA256_H
#define KEXEC_BASE_SHA256_H

#include <stddef.h>

#define SHA256_HEX 65 /* 64 digits and a NUL */

struct sha256;

struct sha256 *sha256_new(void); /* NULL: out of memory */
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_hex(struct sha256 *s, char out[SHA256_HEX]); /* begins anew afterwards */
void sha256_free(struct sha256 *s);                      /* accepts NULL */

#endif
