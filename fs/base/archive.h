/*
 * Zip archives: files put into one, and a file taken out of one that may be hostile. The only user of
 * libarchive, which is loaded when it is first needed (-ENOSYS: it is not installed).
 */
#ifndef KEXEC_BASE_ARCHIVE_H
#define KEXEC_BASE_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

struct strbuf;
struct why;

/*
 * Write the regular files `paths` (relative to dirfd, `count` of them, in this order) as a zip to out_fd.
 * The same files give the same bytes everywhere: no times, owners or modes go in. Links are followed, but
 * never out of dirfd. -ETIMEDOUT after deadline_ns (CLOCK_BOOTTIME), -EINVAL for what is no regular file.
 */
int archive_zip(int dirfd, const char *const *paths, size_t count, int out_fd, int64_t deadline_ns,
	struct why *why);

/*
 * Append the content of the first regular file whose name ends with `ending` (NULL: of any name). Names
 * lead nowhere: nothing is written to a disk. -EPROTO: not a zip, or a damaged one; -ENOENT: no such file
 * among the first 10,000; -EFBIG: it is over `max` bytes.
 */
int archive_unzip(const void *zip, size_t len, const char *ending, size_t max, struct strbuf *out,
	struct why *why);

#endif
