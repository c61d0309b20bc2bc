#include "fs/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io_dir.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define MAX_COPY_DEPTH 200 /* the copier recurses */
#define COPY_BUFFER    ((size_t)128 << 10)

struct copier {
	struct io_dir from, to;
	struct strbuf path; /* for the sentence of an error */
	struct why *why;
};

static int copy_failed(struct copier *c, int err)
{
	return why_set(c->why, -err, _("%s could not be copied: %s"), c->path.buf, strerror(-err));
}

/* setuid and setgid are dropped: a copy may belong to somebody else than the original. */
static mode_t kept_mode(mode_t mode)
{
	mode_t more = S_ISDIR(mode) ? 0700 : 0600;

	if (mode & 0111)
		more |= 0100;
	return (mode & 0777) | more;
}

static int keep_facts(int fd, const struct stat *st)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, st->st_mtim};

	if (fchmod(fd, kept_mode(st->st_mode)))
		return -errno;
	return futimens(fd, times) ? -errno : 0;
}

/* Bytes [*at, end) with plain reads and writes; *at is what was reached, less than end at EOF. */
static int copy_plain(int from, int to, off_t *at, off_t end)
{
	AUTO_FREE char *buf = malloc(COPY_BUFFER);

	if (!buf)
		return -ENOMEM;
	while (*at < end) {
		size_t want = end - *at < (off_t)COPY_BUFFER ? (size_t)(end - *at) : COPY_BUFFER;
		ssize_t n = pread(from, buf, want, *at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		for (ssize_t done = 0; done < n;) {
			ssize_t w = pwrite(to, buf + done, (size_t)(n - done), *at + done);

			if (w < 0 && errno == EINTR)
				continue;
			if (w <= 0)
				return w < 0 ? -errno : -EIO;
			done += w;
		}
		*at += n;
	}
	return 0;
}

static bool must_copy_plain(int err)
{
	return err == EXDEV || err == ENOSYS || err == EOPNOTSUPP || err == EINVAL ||
	       err == EPERM || err == EBADF;
}

static int copy_range(int from, int to, off_t *at, off_t end)
{
	while (*at < end) {
		off_t in = *at, out = *at;
		ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - *at), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && !must_copy_plain(errno))
			return -errno;
		if (n <= 0) /* 0 is also what some file systems say that cannot do it */
			return copy_plain(from, to, at, end);
		*at += n;
	}
	return 0;
}

/* The next run of data from `at` on; false when only a hole is left. */
static bool next_data(int fd, off_t at, off_t size, off_t *from, off_t *end)
{
	*from = lseek(fd, at, SEEK_DATA);
	if (*from < 0 && errno == ENXIO)
		return false;
	if (*from < at) { /* cannot tell holes */
		*from = at;
		*end = size;
		return true;
	}
	*end = lseek(fd, *from, SEEK_HOLE);
	if (*end <= *from || *end > size)
		*end = size;
	return *from < size;
}

/* A file that grows is copied up to the size it had; one that shrinks, up to where it ends. */
static int copy_bytes(int from, int to, off_t size)
{
	off_t at = 0, end;

	if (size == 0 || ioctl(to, FICLONE, from) == 0)
		return 0;
	while (next_data(from, at, size, &at, &end)) {
		int r = copy_range(from, to, &at, end);

		if (r)
			return r;
		if (at < end) {
			size = at;
			break;
		}
	}
	return ftruncate(to, size) ? -errno : 0;
}

static int copy_file(struct copier *c, const char *name, const char *as)
{
	AUTO_FD int from =
		openat(c->from.fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	AUTO_FD int to = -1;
	struct stat st;
	int r;

	if (from < 0 || fstat(from, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return 0; /* became something else since it was looked at */
	to = openat(c->to.fd, as, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	r = copy_bytes(from, to, st.st_size);
	return r ? r : keep_facts(to, &st);
}

static int copy_link(struct copier *c, const char *name, const char *as)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(c->from.fd, name, target, sizeof(target));

	if (n < 0)
		return errno == EINVAL ? 0 : -errno;
	if ((size_t)n == sizeof(target))
		return -ENAMETOOLONG;
	target[n] = '\0';
	return symlinkat(target, c->to.fd, as) ? -errno : 0;
}

static int copy_entry(struct copier *c, const char *name, const char *as);

static int copy_children(struct copier *c)
{
	AUTO_BUF struct strbuf names = STRBUF_INIT;
	AUTO_FREE const char **list = NULL;
	size_t count, before = c->path.len;
	int r = io_dir_list(c->from.fd, &names, &list, &count);

	if (r)
		return copy_failed(c, r);
	for (size_t i = 0; i < count && r == 0; i++) {
		strbuf_addch(&c->path, '/');
		strbuf_adds(&c->path, list[i]);
		r = copy_entry(c, list[i], list[i]);
		strbuf_truncate(&c->path, before);
	}
	return r;
}

/* Both sides are in the new directory; back to their parents. */
static int finish_dir(struct copier *c)
{
	struct stat st;
	int r = fstat(c->from.fd, &st) ? -errno : keep_facts(c->to.fd, &st);

	if (r == 0)
		r = io_dir_up(&c->from);
	if (r == 0)
		r = io_dir_up(&c->to);
	return r ? copy_failed(c, r) : 0;
}

static int copy_dir(struct copier *c, const char *name, const char *as)
{
	int r;

	if (c->from.depth >= MAX_COPY_DEPTH)
		return copy_failed(c, -ELOOP);
	r = io_dir_down(&c->from, name, false);
	if (r == 0 && mkdirat(c->to.fd, as, 0700))
		r = -errno;
	if (r == 0)
		r = io_dir_down(&c->to, as, false);
	if (r)
		return copy_failed(c, r);
	r = copy_children(c);
	return r ? r : finish_dir(c);
}

static int copy_entry(struct copier *c, const char *name, const char *as)
{
	struct stat st;
	int r;

	if (fstatat(c->from.fd, name, &st, AT_SYMLINK_NOFOLLOW))
		r = errno == ENOENT ? 0 : -errno; /* gone since it was listed */
	else if (S_ISDIR(st.st_mode))
		return copy_dir(c, name, as);
	else if (S_ISREG(st.st_mode))
		r = copy_file(c, name, as);
	else if (S_ISLNK(st.st_mode))
		r = copy_link(c, name, as);
	else
		r = 0; /* devices, sockets and FIFOs are skipped */
	return r ? copy_failed(c, r) : 0;
}

/* A directory: the walk begins in it, so that it may also be "." or a mount point. */
static int copy_root_dir(struct copier *c, int to_parent, const char *as)
{
	struct stat st;
	int r;

	if (mkdirat(to_parent, as, 0700))
		return copy_failed(c, -errno);
	r = io_dir_start(&c->to, to_parent, as);
	if (r)
		return copy_failed(c, r);
	r = copy_children(c);
	if (r == 0 && fstat(c->from.fd, &st))
		r = copy_failed(c, -errno);
	if (r == 0) {
		r = keep_facts(c->to.fd, &st);
		r = r ? copy_failed(c, r) : 0;
	}
	if (r)
		io_remove_tree(to_parent, as);
	return r;
}

/* Anything else, seen from the directory it is in. */
static int copy_root_other(struct copier *c, int from_dirfd, const char *from, const char *as)
{
	struct stat st;
	const char *base;
	int fd = io_open_parent(from_dirfd, from, &base);

	if (fd < 0)
		return copy_failed(c, fd);
	c->from.fd = fd;
	if (fstatat(fd, base, &st, AT_SYMLINK_NOFOLLOW))
		return copy_failed(c, -errno);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return copy_failed(c, -EINVAL);
	return copy_entry(c, base, as);
}

int io_copy_tree(int from_dirfd, const char *from, int to_dirfd, const char *to, struct why *why)
{
	struct copier c = {.from = IO_DIR_INIT, .to = IO_DIR_INIT, .path = STRBUF_INIT, .why = why};
	const char *as;
	AUTO_FD int parent = io_open_parent(to_dirfd, to, &as);
	int r;

	strbuf_adds(&c.path, from);
	if (parent < 0) {
		r = why_set(why, -parent, _("%s could not be opened: %s"), to, strerror(-parent));
	} else if (io_dir_start(&c.from, from_dirfd, from) == 0) {
		r = copy_root_dir(&c, parent, as);
	} else {
		c.to.fd = fcntl(parent, F_DUPFD_CLOEXEC, 0);
		r = copy_root_other(&c, from_dirfd, from, as);
	}
	io_dir_finish(&c.from);
	io_dir_finish(&c.to);
	strbuf_release(&c.path);
	return r;
}
