#include "fs/base/sha256.h"

#include <nettle/sha2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct sha256 {
	struct sha256_ctx ctx;
};

struct sha256 *sha256_new(void)
{
	struct sha256 *s = malloc(sizeof(*s));

	if (s)
		nettle_sha256_init(&s->ctx);
	return s;
}

void sha256_add(struct sha256 *s, const void *data, size_t len)
{
	nettle_sha256_update(&s->ctx, len, data);
}

void sha256_hex(struct sha256 *s, char out[SHA256_HEX])
{
	uint8_t digest[SHA256_DIGEST_SIZE];

	nettle_sha256_digest(&s->ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

void sha256_free(struct sha256 *s)
{
	free(s);
}
