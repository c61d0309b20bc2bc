/*
 * Files: whole reads with a bound, durable writes, trees that may be hostile.
 *
 * "Durable" means: after return the content and the name are on disk (fsync of file and directory).
 * Every durable step passes fault_point() (fault.h), so that tests can kill or fail each one.
 * All functions work relative to a directory descriptor and never follow a symbolic link in the last
 * component; tree functions follow none at all.
 */
#ifndef KEXEC_BASE_IO_H
#define KEXEC_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct strbuf;
struct why;

/* Append a regular file; -EFBIG past max, -EISDIR, -EINVAL for devices and FIFOs, -ELOOP for a link. */
int io_read(int dirfd, const char *name, size_t max, struct strbuf *out);
int io_read_all(int fd, void *buf, size_t len);   /* bytes read (short only at EOF) or -errno */
int io_write_all(int fd, const void *buf, size_t len); /* 0 or -errno */
/* Replace name by data: temporary file, fsync, rename, fsync of the directory. A temporary that a crash
 * leaves is called ".<name>.tmp-<pid>-<random>". Fault points: io.write, io.fsync, io.rename, io.fsyncdir. */
int io_write_durable(int dirfd, const char *name, const void *data, size_t len, mode_t mode);
/* The same without any fsync: readers see the old or the new file, a power cut may lose it. */
int io_write_atomic(int dirfd, const char *name, const void *data, size_t len, mode_t mode);
int io_mkdir_path(const char *path, mode_t mode); /* mkdir -p; 0 when it is there */
int io_open_dir(int dirfd, const char *name);     /* O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC; fd or -errno */
int io_fsync_dir(int dirfd);
/* rm -rf that cannot be led astray: 0 also when absent. Directories without u+rwx are given these
 * first; mount points are not entered (-EXDEV). Any depth with one descriptor: going up is ".." checked
 * against where we came from (-ESTALE when somebody moved it). The first error ends it. */
int io_remove_tree(int dirfd, const char *name);
/* Copy a tree: regular files (sparse kept, reflink where possible), directories, symbolic links as
 * they are; everything else is skipped. Modes are kept with u+rwX added and setuid, setgid and sticky
 * dropped, times of change are kept. `to` must not exist (-EEXIST); it is gone again after a failure.
 * More than 200 levels: -ELOOP; mount points inside: -EXDEV. Not durable by itself. */
int io_copy_tree(int from_dirfd, const char *from, int to_dirfd, const char *to, struct why *why);

struct io_entry {
	const char *path; /* relative to the walked root, '/' separated */
	mode_t mode;
	int64_t size;
	int64_t mtime_ns;
	uint64_t ino;
};
/* Visit every entry below name (parents before children, names in byte order within a directory),
 * at most max_depth deep (deeper: -ELOOP). A nonzero return of visit ends the walk and is returned. */
int io_walk(int dirfd, const char *name, int max_depth,
	int (*visit)(void *arg, const struct io_entry *entry), void *arg);

#endif
