/* A folder for one test, below TMPDIR, gone afterwards. */
#ifndef KEXEC_TESTS_UNIT_FOLDER_H
#define KEXEC_TESTS_UNIT_FOLDER_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/io.h"

struct folder {
	char path[256];
	int fd;
};

static inline struct folder folder_make(void)
{
	const char *tmp = getenv("TMPDIR");
	struct folder f;

	snprintf(f.path, sizeof(f.path), "%.200s/kexec-test-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(f.path))
		abort();
	f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f.fd < 0)
		abort();
	return f;
}

static inline void folder_write(const struct folder *f, const char *name, const char *text)
{
	int fd = openat(f->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || io_write_all(fd, text, strlen(text)))
		abort();
	close(fd);
}

static inline void folder_finish(struct folder *f)
{
	close(f->fd);
	if (io_remove_tree(AT_FDCWD, f->path))
		abort();
}

#endif
