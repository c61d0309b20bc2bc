/* One folder a process for targets that read files; gone at exit. */
#ifndef KEXEC_TESTS_FUZZ_SCRATCH_H
#define KEXEC_TESTS_FUZZ_SCRATCH_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/base/io.h"

static char scratch_path[] = "/tmp/kexec-fuzz-XXXXXX";

static inline void scratch_remove(void)
{
	io_remove_tree(AT_FDCWD, scratch_path);
}

static inline int scratch_open(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	if (!mkdtemp(scratch_path))
		abort();
	atexit(scratch_remove);
	fd = open(scratch_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

static inline void scratch_write(const char *name, const uint8_t *data, size_t size)
{
	int fd = openat(scratch_open(), name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || io_write_all(fd, data, size))
		abort();
	close(fd);
}

#endif
