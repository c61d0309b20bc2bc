#include "fs/base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/escape.h"
#include "fs/base/fault.h"
#include "fs/base/io_dir.h"
#include "fs/base/strbuf.h"

int io_open_dir(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int io_read_all(int fd, void *buf, size_t len)
{
	size_t got = 0;

	if (len > INT_MAX)
		return -EINVAL;
	while (got < len) {
		ssize_t n = read(fd, (char *)buf + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (int)got;
}

int io_write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/* O_NONBLOCK: opening a FIFO that a hostile tree holds must not wait for a writer. */
static int open_regular(int dirfd, const char *name, struct stat *st)
{
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int err;

	if (fd < 0)
		return -errno;
	if (fstat(fd, st))
		err = -errno;
	else if (S_ISDIR(st->st_mode))
		err = -EISDIR;
	else if (!S_ISREG(st->st_mode))
		err = -EINVAL;
	else
		return fd;
	close(fd);
	return err;
}

/* The size is not asked: the file may grow, and files of /proc have none. */
static int read_bounded(int fd, size_t max, struct strbuf *out)
{
	char chunk[32768];
	size_t got = 0;
	int n;

	do {
		n = io_read_all(fd, chunk, sizeof(chunk));
		if (n < 0)
			return n;
		if ((size_t)n > max - got)
			return -EFBIG;
		if (strbuf_add(out, chunk, (size_t)n))
			return out->err;
		got += (size_t)n;
	} while ((size_t)n == sizeof(chunk));
	return 0;
}

int io_read(int dirfd, const char *name, size_t max, struct strbuf *out)
{
	struct stat st = {0};
	AUTO_FD int fd = open_regular(dirfd, name, &st);
	size_t from = out->len;
	int r;

	if (fd < 0)
		return fd;
	if (st.st_size > 0 && (uint64_t)st.st_size > max)
		return -EFBIG;
	r = read_bounded(fd, max, out);
	if (r)
		strbuf_truncate(out, from);
	return r;
}

/* What is to be replaced: its name and the directory that this is in. */
struct place {
	int fd;
	const char *base;
};

/* ".<name>.tmp-<pid>-<random>", the name cut so that it fits. */
static void temporary_name(const char *base, char out[NAME_MAX + 1])
{
	char end[32];
	uint32_t r;
	size_t room;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r = (uint32_t)clock_boot_ns();
	snprintf(end, sizeof(end), ".tmp-%d-%08x", (int)getpid(), r);
	room = NAME_MAX - 1 - strlen(end);
	snprintf(out, NAME_MAX + 1, ".%.*s%s", (int)utf8_cut(base, strlen(base), room), base, end);
}

static int create_temporary(const struct place *p, char name[NAME_MAX + 1])
{
	for (int tries = 0; tries < 100; tries++) {
		int fd;

		temporary_name(p->base, name);
		fd = openat(
			p->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int fsync_file(int fd)
{
	int r = fault_point("io.fsync");

	if (r)
		return r;
	return fsync(fd) ? -errno : 0;
}

int io_fsync_dir(int dirfd)
{
	int r = fault_point("io.fsyncdir");

	if (r)
		return r;
	return fsync(dirfd) ? -errno : 0;
}

static int fill(int fd, const void *data, size_t len, mode_t mode, bool durable)
{
	int r = fault_point("io.write");

	if (r == 0)
		r = io_write_all(fd, data, len);
	if (r == 0 && fchmod(fd, mode & 07777))
		r = -errno;
	if (r == 0 && durable)
		r = fsync_file(fd);
	return r;
}

static int rename_in(const struct place *p, const char *temporary)
{
	int r = fault_point("io.rename");

	if (r)
		return r;
	return renameat(p->fd, temporary, p->fd, p->base) ? -errno : 0;
}

static int replace(const struct place *p, const void *data, size_t len, mode_t mode, bool durable)
{
	char temporary[NAME_MAX + 1];
	int fd = create_temporary(p, temporary);
	int r;

	if (fd < 0)
		return fd;
	r = fill(fd, data, len, mode, durable);
	if (close(fd) && r == 0)
		r = -errno;
	if (r == 0)
		r = rename_in(p, temporary);
	if (r) {
		unlinkat(p->fd, temporary, 0);
		return r;
	}
	return durable ? io_fsync_dir(p->fd) : 0;
}

static int replace_at(
	int dirfd, const char *name, const void *data, size_t len, mode_t mode, bool durable)
{
	struct place p;
	int r;

	p.fd = io_open_parent(dirfd, name, &p.base);
	if (p.fd < 0)
		return p.fd;
	r = replace(&p, data, len, mode, durable);
	close(p.fd);
	return r;
}

int io_write_durable(int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
	return replace_at(dirfd, name, data, len, mode, true);
}

int io_write_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode)
{
	return replace_at(dirfd, name, data, len, mode, false);
}

static int make_one(const char *path, mode_t mode)
{
	struct stat st;
	int err;

	if (mkdir(path, mode) == 0)
		return 0;
	err = -errno;
	/* An existing one may answer EROFS or EACCES instead of EEXIST. */
	if (stat(path, &st))
		return err;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int io_mkdir_path(const char *path, mode_t mode)
{
	AUTO_FREE char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	if (copy[0] == '\0')
		return -ENOENT;
	for (char *p = copy + 1; *p; p++) {
		int r;

		if (*p != '/' || p[-1] == '/')
			continue;
		*p = '\0';
		r = make_one(copy, mode);
		if (r)
			return r;
		*p = '/';
	}
	return make_one(copy, mode);
}
