/* SHA-256. Pure; any thread. */
#ifndef KEXEC_BASE_SHA256_H
#define KEXEC_BASE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_HEX 65 /* 64 digits and a NUL */

struct sha256 {
	uint32_t state[8];
	uint64_t bytes;
	uint8_t block[64];
};

void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_hex(struct sha256 *s, char out[SHA256_HEX]); /* it must begin anew afterwards */
/* Of one piece. */
void sha256_hex_of(const void *data, size_t len, char out[SHA256_HEX]);

#endif
