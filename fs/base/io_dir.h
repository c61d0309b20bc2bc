/*
 * A place in a tree that is walked up and down with one descriptor at a time (for io_*.c only).
 *
 * Going up opens ".." and checks that it is the directory we came from, so neither 10,000 levels nor
 * somebody who moves directories meanwhile lead anywhere else. Mount points are not entered.
 */
#ifndef KEXEC_BASE_IO_DIR_H
#define KEXEC_BASE_IO_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "fs/base/strbuf.h"

struct io_dir_id {
	dev_t dev;
	ino_t ino;
};

struct io_dir {
	int fd;
	struct io_dir_id *ids; /* of the directories above, the root first */
	size_t depth, cap;
};

#define IO_DIR_INIT {.fd = -1}
#define AUTO_IO_DIR __attribute__((cleanup(io_dir_finish)))

int io_dir_start(struct io_dir *d, int dirfd, const char *name);
/* Into a subdirectory. With `force`, one without u+rwx is given these first. -ENOTDIR or -ELOOP for
 * what is no directory, -EXDEV for a mount point. */
int io_dir_down(struct io_dir *d, const char *name, bool force);
int io_dir_up(struct io_dir *d); /* -ESTALE: moved meanwhile */
void io_dir_finish(struct io_dir *d);

/* The directory that the last component of name is directly in, and that component (*base points into
 * name). fd or -errno; -EINVAL where the last component is empty, "." or "..". */
int io_open_parent(int dirfd, const char *name, const char **base);

/* The names in fd except . and .., in byte order, one after another in *names, each with its NUL;
 * sorted pointers into it in *list, which the caller frees. */
int io_dir_list(int fd, struct strbuf *names, const char ***list, size_t *count);

#endif
