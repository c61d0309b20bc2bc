#include "backends/kaggle/slug.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/sha256.h"
#include "fs/base/strbuf.h"

#define FRESH       "kx-"
#define HASH_DIGITS 8

/* Latin-1 and Latin Extended-A without their accents, as slug libraries fold them. "" separates. */
static const char *const folded[] = {
	/* U+00C0 */ "a", "a", "a", "a", "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i", "i",
	"d", "n", "o", "o", "o", "o", "o", "", "o", "u", "u", "u", "u", "y", "th", "ss",
	"a", "a", "a", "a", "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i", "i",
	"d", "n", "o", "o", "o", "o", "o", "", "o", "u", "u", "u", "u", "y", "th", "y",
	/* U+0100 */ "a", "a", "a", "a", "a", "a", "c", "c", "c", "c", "c", "c", "c", "c", "d", "d",
	"d", "d", "e", "e", "e", "e", "e", "e", "e", "e", "e", "e", "g", "g", "g", "g",
	"g", "g", "g", "g", "h", "h", "h", "h", "i", "i", "i", "i", "i", "i", "i", "i",
	"i", "i", "ij", "ij", "j", "j", "k", "k", "k", "l", "l", "l", "l", "l", "l", "l",
	"l", "l", "l", "n", "n", "n", "n", "n", "n", "n", "ng", "ng", "o", "o", "o", "o",
	"o", "o", "oe", "oe", "r", "r", "r", "r", "r", "r", "s", "s", "s", "s", "s", "s",
	"s", "s", "t", "t", "t", "t", "t", "t", "u", "u", "u", "u", "u", "u", "u", "u",
	"u", "u", "u", "u", "w", "w", "y", "y", "y", "z", "z", "z", "z", "z", "z", "s",
};

/* What one character adds to a slug: letters and digits, "" for what separates, NULL for unknown. */
static const char *slug_part(uint32_t code, char ascii[2])
{
	if (code < 0x80) {
		ascii[0] = (char)tolower((int)code);
		ascii[1] = '\0';
		return isalnum((int)code) ? ascii : "";
	}
	if (code >= 0xC0 && code < 0xC0 + sizeof(folded) / sizeof(folded[0]))
		return folded[code - 0xC0];
	if (code < 0xC0 || (code >= 0x2000 && code < 0x2070) || code == 0x3000)
		return ""; /* signs, dashes, quotation marks, spaces */
	return NULL;
}

static int add_slug(const char *title, bool skip_unknown, struct strbuf *out)
{
	size_t len = strlen(title), n;
	bool gap = false;
	char ascii[2];

	for (size_t i = 0; i < len; i += n) {
		uint32_t code = 0;
		const char *part;

		n = utf8_decode(title + i, len - i, &code);
		part = n ? slug_part(code, ascii) : NULL;
		if (!n)
			n = 1;
		if (!part && !skip_unknown)
			return -EILSEQ;
		if (!part || !*part) {
			gap = true;
			continue;
		}
		if (gap && out->len)
			strbuf_addch(out, '-');
		gap = false;
		strbuf_adds(out, part);
	}
	return out->err;
}

int kaggle_slug_of(const char *title, struct strbuf *out)
{
	return add_slug(title, false, out);
}

bool kaggle_slug_valid(const char *slug)
{
	AUTO_BUF struct strbuf again = STRBUF_INIT;
	size_t len = strlen(slug);

	return len >= KAGGLE_SLUG_MIN && len <= KAGGLE_SLUG_MAX && !kaggle_slug_of(slug, &again) &&
	       strcmp(again.buf, slug) == 0;
}

bool kaggle_owner_valid(const char *owner, size_t len)
{
	if (len == 0 || len > KAGGLE_OWNER_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)owner[i];

		if (!(c < 0x80 && isalnum(c)) && c != '-' && c != '_')
			return false;
	}
	return true;
}

bool kaggle_id_valid(const char *id)
{
	const char *slash = strchr(id, '/');

	return slash && kaggle_owner_valid(id, (size_t)(slash - id)) && kaggle_slug_valid(slash + 1);
}

int kaggle_fresh_slug(const char *name, const char *token, char out[KAGGLE_SLUG_MAX + 1])
{
	size_t room = KAGGLE_SLUG_MAX - strlen(FRESH) - 1 - HASH_DIGITS;
	AUTO_BUF struct strbuf slug = STRBUF_INIT;
	char hash[SHA256_HEX];
	int err = add_slug(name, true, &slug);

	if (err)
		return err;
	if (slug.len > room)
		strbuf_truncate(&slug, room);
	while (slug.len && slug.buf[slug.len - 1] == '-')
		strbuf_truncate(&slug, slug.len - 1);
	sha256_hex_of(token, strlen(token), hash);
	snprintf(out, KAGGLE_SLUG_MAX + 1, FRESH "%.*s%s%.*s", (int)room, slug.buf, slug.len ? "-" : "",
		HASH_DIGITS, hash);
	return 0;
}

const char *kaggle_title(const char *slug, const char *wanted)
{
	AUTO_BUF struct strbuf made = STRBUF_INIT;
	size_t len = wanted ? strlen(wanted) : 0;

	if (len < KAGGLE_SLUG_MIN || len > KAGGLE_SLUG_MAX || kaggle_slug_of(wanted, &made) ||
		strcmp(made.buf, slug) != 0)
		return slug;
	return wanted;
}

int kaggle_remote_parse(const char *remote_id, struct kaggle_remote *out)
{
	const char *version = strrchr(remote_id, '/');
	size_t len = version ? (size_t)(version - remote_id) : 0;
	char *end;

	if (!version || len >= sizeof(out->slug) || version[1] != 'v' || version[2] < '1' || version[2] > '9')
		return -EINVAL;
	memcpy(out->slug, remote_id, len);
	out->slug[len] = '\0';
	errno = 0;
	out->version = strtoll(version + 2, &end, 10);
	return errno || *end || !kaggle_id_valid(out->slug) ? -EINVAL : 0;
}

int kaggle_remote_print(const struct kaggle_remote *r, struct strbuf *out)
{
	return strbuf_addf(out, "%s/v%" PRId64, r->slug, r->version);
}
