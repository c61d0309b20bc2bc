/*
 * The difference of two texts by lines, as `diff -u` prints it. Bounded: past DIFF_EDITS edits the
 * middle counts as replaced as a whole, which is a valid difference, only not the shortest one.
 */
#ifndef KEXEC_ENGINE_TEXTDIFF_H
#define KEXEC_ENGINE_TEXTDIFF_H

#include <stddef.h>

struct strbuf;

#define DIFF_EDITS 2000
#define DIFF_LINES 100000 /* of both texts together */

struct textdiff {
	size_t removed, added; /* lines */
};

/*
 * Append hunks (no "---" header) to out, at most about max_bytes; a sentence tells when some are
 * left out. Controls and ANSI sequences are removed, lines cut. Line endings (\r\n) are not
 * compared. 0, -E2BIG (more than DIFF_LINES; nothing was appended) or -ENOMEM.
 */
int textdiff(const char *a, size_t a_len, const char *b, size_t b_len, size_t max_bytes,
	struct strbuf *out, struct textdiff *counts);

#endif
