#include "fs/base/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <locale.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/i18n.h"
#include "fs/base/lazy.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define FUNCTIONS(X)                                                                               \
	X(archive_entry_clear)                                                                     \
	X(archive_entry_filetype) X(archive_entry_free) X(archive_entry_new) X(                    \
		archive_entry_pathname) X(archive_entry_set_filetype)                              \
		X(archive_entry_set_pathname) X(archive_entry_set_perm) X(                         \
			archive_entry_set_size) X(archive_errno) X(archive_read_data)              \
			X(archive_read_free) X(archive_read_new) X(archive_read_next_header) X(    \
				archive_read_open_memory) X(archive_read_support_format_zip)       \
				X(archive_write_close) X(archive_write_data) X(archive_write_free) \
					X(archive_write_header) X(archive_write_new)               \
						X(archive_write_open_fd)                           \
							X(archive_write_set_format_zip)
/* Only who packs or unpacks needs it and the fifteen libraries that it brings. */
struct library {
	FUNCTIONS(LAZY_MEMBER)
};

#define BLOCK       ((size_t)256 << 10)
#define ENTRIES_MAX 10000

static int load(struct library *lib, struct why *why)
{
	static const char *const names[] = {FUNCTIONS(LAZY_NAME) NULL};
	static const char *const files[] = {"libarchive.so.13", "libarchive.so", NULL};

	return lazy_load(files, names, (void **)lib, why);
}

/* libarchive marks names as UTF-8 only where the locale of the thread is: the daemon's may be C. */
static locale_t enter_utf8(void)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);

	return utf8 ? uselocale(utf8) : (locale_t)0;
}

static void leave_utf8(locale_t before)
{
	if (before)
		freelocale(uselocale(before));
}

/* ---- Making one ---- */

struct zip {
	struct library lib;
	struct archive *a;
	struct archive_entry *entry;
	int dirfd;
	char *block;
	int64_t deadline_ns;
};

static int write_failed(const struct zip *z, struct why *why)
{
	int err = z->lib.archive_errno(z->a);

	/* What libarchive calls "misc" is negative or above every errno. */
	if (err <= 0 || err >= 4096)
		err = EIO;
	return why_set(why, err, _("The zip file cannot be written: %s"), strerror(err));
}

static int open_file(const struct zip *z, const char *path, int64_t *size, struct why *why)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, z->dirfd, path, &how, sizeof(how));
	struct stat st;

	if (fd < 0)
		return why_set(why, errno, _("%s cannot be read: %s"), path, strerror(errno));
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*size = st.st_size;
		return fd;
	}
	close(fd);
	return why_set(why, EINVAL, _("%s is not a regular file"), path);
}

/* Exactly `size` bytes: that is what its header says already. */
static int copy_data(const struct zip *z, int fd, int64_t size, const char *path, struct why *why)
{
	while (size > 0) {
		size_t want = size < (int64_t)BLOCK ? (size_t)size : BLOCK;
		ssize_t n = read(fd, z->block, want);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return why_set(why, n < 0 ? errno : EIO, _("%s cannot be read: %s"), path,
				strerror(n < 0 ? errno : EIO));
		if (z->lib.archive_write_data(z->a, z->block, (size_t)n) != n)
			return write_failed(z, why);
		if (clock_boot_ns() > z->deadline_ns)
			return why_set(why, ETIMEDOUT, _("Packing the files took too long."));
		size -= n;
	}
	return 0;
}

static int add_file(const struct zip *z, const char *path, struct why *why)
{
	struct archive_entry *e = z->lib.archive_entry_clear(z->entry);
	int64_t size = 0;
	AUTO_FD int fd = open_file(z, path, &size, why);

	if (fd < 0)
		return fd;
	/* No time is set: the format then writes the first day of 1980, in every time zone. */
	z->lib.archive_entry_set_pathname(e, path);
	z->lib.archive_entry_set_filetype(e, AE_IFREG);
	z->lib.archive_entry_set_perm(e, 0644);
	z->lib.archive_entry_set_size(e, size);
	if (z->lib.archive_write_header(z->a, e) != ARCHIVE_OK)
		return write_failed(z, why);
	return copy_data(z, fd, size, path, why);
}

static int write_files(
	const struct zip *z, const char *const *paths, size_t count, int out_fd, struct why *why)
{
	int err = 0;

	if (!z->a || !z->entry || !z->block)
		return -ENOMEM;
	if (z->lib.archive_write_set_format_zip(z->a) != ARCHIVE_OK ||
		z->lib.archive_write_open_fd(z->a, out_fd) != ARCHIVE_OK)
		return write_failed(z, why);
	for (size_t i = 0; i < count && !err; i++)
		err = add_file(z, paths[i], why);
	if (!err && z->lib.archive_write_close(z->a) != ARCHIVE_OK)
		err = write_failed(z, why);
	return err;
}

int archive_zip(int dirfd, const char *const *paths, size_t count, int out_fd, int64_t deadline_ns,
	struct why *why)
{
	struct zip z = {.dirfd = dirfd, .deadline_ns = deadline_ns};
	int err = load(&z.lib, why);
	locale_t before;

	if (err)
		return err;
	before = enter_utf8();
	z.a = z.lib.archive_write_new();
	z.entry = z.lib.archive_entry_new();
	z.block = malloc(BLOCK);
	err = write_files(&z, paths, count, out_fd, why);
	if (z.entry)
		z.lib.archive_entry_free(z.entry);
	if (z.a)
		z.lib.archive_write_free(z.a);
	free(z.block);
	leave_utf8(before);
	return err;
}

/* ---- Reading one ---- */

static int damaged(struct why *why)
{
	return why_set(why, EPROTO, _("The zip file is damaged, or it is none."));
}

static bool wanted(const struct library *lib, struct archive_entry *e, const char *ending)
{
	const char *name = lib->archive_entry_pathname(e);
	size_t n = ending ? strlen(ending) : 0, len = name ? strlen(name) : 0;

	if (!name || lib->archive_entry_filetype(e) != AE_IFREG)
		return false;
	return !ending || (len >= n && strcmp(name + len - n, ending) == 0);
}

static int read_data(const struct library *lib, struct archive *a, size_t max, struct strbuf *out,
	struct why *why)
{
	size_t begin = out->len;
	char block[16384];

	for (;;) {
		la_ssize_t n = lib->archive_read_data(a, block, sizeof(block));

		if (n < 0)
			return damaged(why);
		if (n == 0)
			return 0;
		if ((size_t)n > max - (out->len - begin))
			return why_set(
				why, EFBIG, _("A file in the zip file is over %zu bytes."), max);
		if (strbuf_add(out, block, (size_t)n))
			return out->err;
	}
}

static int find_file(
	const struct library *lib, struct archive *a, const char *ending, struct why *why)
{
	struct archive_entry *e;

	for (int i = 0; i < ENTRIES_MAX; i++) {
		int rc = lib->archive_read_next_header(a, &e);

		if (rc == ARCHIVE_EOF)
			break;
		if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
			return damaged(why);
		if (wanted(lib, e, ending))
			return 0;
	}
	return why_set(why, ENOENT, _("The zip file does not hold the file that was looked for."));
}

int archive_unzip(const void *zip, size_t len, const char *ending, size_t max, struct strbuf *out,
	struct why *why)
{
	struct library lib;
	struct archive *a;
	locale_t before;
	int err = load(&lib, why);

	if (err)
		return err;
	before = enter_utf8();
	a = lib.archive_read_new();
	err = a ? 0 : -ENOMEM;
	if (!err && (lib.archive_read_support_format_zip(a) != ARCHIVE_OK ||
			    lib.archive_read_open_memory(a, zip, len) != ARCHIVE_OK))
		err = damaged(why);
	if (!err)
		err = find_file(&lib, a, ending, why);
	if (!err)
		err = read_data(&lib, a, max, out, why);
	if (a)
		lib.archive_read_free(a);
	leave_utf8(before);
	return err;
}
