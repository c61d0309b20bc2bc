#include "backends/kaggle/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define PIECE       65536
#define ENTRIES_MAX 1000

bool zip_is(const void *data, size_t len)
{
	return len >= 4 && memcmp(data, "PK\003\004", 4) == 0;
}

static int bad(struct why *why)
{
	return why_set(why, EPROTO, _("the archive that Kaggle sent cannot be read"));
}

static int find_file(struct archive *a)
{
	struct archive_entry *entry;

	for (int i = 0; i < ENTRIES_MAX && archive_read_next_header(a, &entry) == ARCHIVE_OK; i++)
		if (archive_entry_filetype(entry) == AE_IFREG)
			return 0;
	return -EPROTO;
}

static int unpack(struct archive *a, struct strbuf *out, struct why *why)
{
	char piece[PIECE];

	for (;;) {
		la_ssize_t n = archive_read_data(a, piece, sizeof(piece));

		if (n == 0)
			return 0;
		if (n < 0)
			return bad(why);
		if (strbuf_add(out, piece, (size_t)n) == -E2BIG)
			return why_set(why, E2BIG, _("what is in the archive is over %zu bytes long"),
				out->max);
		if (out->err)
			return out->err;
	}
}

int zip_one(const void *data, size_t len, struct strbuf *out, struct why *why)
{
	struct archive *a = archive_read_new();
	int r;

	if (!a)
		return -ENOMEM;
	archive_read_support_format_zip(a);
	r = archive_read_open_memory(a, data, len) == ARCHIVE_OK && find_file(a) == 0
		? unpack(a, out, why)
		: bad(why);
	archive_read_free(a);
	return r;
}
