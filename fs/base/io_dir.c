#include "fs/base/io_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/io.h"

/* A subdirectory of the same mount. Bind mounts have the same st_dev, only openat2() sees them;
 * where it is not there (old kernels, system call filters) the device is compared. */
static int open_below(int dirfd, const char *name, int flags)
{
	struct open_how how = {
		.flags = (unsigned)(flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
		.resolve = RESOLVE_NO_XDEV | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
	struct stat st, above;

	if (fd >= 0)
		return fd;
	if (errno != ENOSYS && errno != EPERM && errno != EAGAIN)
		return -errno;
	fd = openat(dirfd, name, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || fstat(dirfd, &above) || st.st_dev != above.st_dev) {
		close(fd);
		return -EXDEV;
	}
	return fd;
}

/* u+rwx through the very directory that was opened: its name may be something else a moment later.
 */
static int open_forced(int dirfd, const char *name)
{
	AUTO_FD int path_fd = open_below(dirfd, name, O_PATH);
	char link[40];
	struct stat st;

	if (path_fd < 0)
		return path_fd;
	if (fstat(path_fd, &st))
		return -errno;
	if ((st.st_mode & 0700) != 0700) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
		if (chmod(link, (st.st_mode & 07777) | 0700))
			return -errno;
	}
	return open_below(dirfd, name, O_RDONLY);
}

static int remember(struct io_dir *d, const struct stat *st)
{
	if (d->depth == d->cap) {
		size_t cap = d->cap ? d->cap * 2 : 16;
		struct io_dir_id *ids = reallocarray(d->ids, cap, sizeof(*ids));

		if (!ids)
			return -ENOMEM;
		d->ids = ids;
		d->cap = cap;
	}
	d->ids[d->depth++] = (struct io_dir_id){st->st_dev, st->st_ino};
	return 0;
}

int io_dir_start(struct io_dir *d, int dirfd, const char *name)
{
	int fd = io_open_dir(dirfd, name);

	*d = (struct io_dir){.fd = fd};
	return fd < 0 ? fd : 0;
}

int io_dir_down(struct io_dir *d, const char *name, bool force)
{
	int fd = force ? open_forced(d->fd, name) : open_below(d->fd, name, O_RDONLY);
	struct stat st;
	int r;

	if (fd < 0)
		return fd;
	r = fstat(d->fd, &st) ? -errno : remember(d, &st);
	if (r) {
		close(fd);
		return r;
	}
	close(d->fd);
	d->fd = fd;
	return 0;
}

int io_dir_up(struct io_dir *d)
{
	const struct io_dir_id *id = &d->ids[d->depth - 1];
	int fd = openat(d->fd, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || st.st_dev != id->dev || st.st_ino != id->ino) {
		close(fd);
		return -ESTALE;
	}
	close(d->fd);
	d->fd = fd;
	d->depth--;
	return 0;
}

void io_dir_finish(struct io_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	free(d->ids);
	*d = (struct io_dir)IO_DIR_INIT;
}

int io_open_parent(int dirfd, const char *name, const char **base)
{
	const char *slash = strrchr(name, '/');
	AUTO_FREE char *folder = NULL;
	int fd;

	*base = slash ? slash + 1 : name;
	if (**base == '\0' || strcmp(*base, ".") == 0 || strcmp(*base, "..") == 0)
		return -EINVAL;
	if (strlen(*base) > NAME_MAX)
		return -ENAMETOOLONG;
	folder = slash ? strndup(name, (size_t)(slash - name) + 1) : strdup(".");
	if (!folder)
		return -ENOMEM;
	fd = openat(dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int read_names(DIR *dir, struct strbuf *names, size_t *count)
{
	for (;;) {
		const struct dirent *e;

		errno = 0;
		e = readdir(dir);
		if (!e)
			return errno ? -errno : names->err;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (strbuf_add(names, e->d_name, strlen(e->d_name) + 1))
			return names->err;
		(*count)++;
	}
}

int io_dir_list(int fd, struct strbuf *names, const char ***list, size_t *count)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	const char *p;
	int r;

	*list = NULL;
	*count = 0;
	if (!dir) {
		r = -errno;
		if (own >= 0)
			close(own);
		return r;
	}
	r = read_names(dir, names, count);
	closedir(dir);
	if (r)
		return r;
	*list = calloc(*count + 1, sizeof(**list));
	if (!*list)
		return -ENOMEM;
	p = names->buf;
	for (size_t i = 0; i < *count; i++, p += strlen(p) + 1)
		(*list)[i] = p;
	qsort(*list, *count, sizeof(**list), by_bytes);
	return 0;
}
