/*
 * Stored trees: real files under the state directory that users see below queue/<folder>/, source/,
 * output/, results/ and knowledge/. A node is a slot in the shared memory (parent, name, count);
 * there is no descriptor per node, so neither a restart of the server nor a huge tree matters.
 *
 * Names are resolved with openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS): nothing in a tree can lead
 * out of it. Backing files always have u+rw (directories u+rwx) so that a new server can open them
 * again; a mode that lacks these is kept in the extended attribute user.kexec.mode, marked by the
 * sticky bit of the backing file. Unlinked files live on in trash/ until the kernel forgets them.
 *
 * All functions: any FUSE thread, 0 or -errno. Those that change something are once-only per call key.
 */
#ifndef KEXEC_MOUNT_FILES_H
#define KEXEC_MOUNT_FILES_H

#include <sys/stat.h>
#include <sys/statvfs.h>
#include "fs/mount/mount.h"

struct file_entry {
	uint64_t ino;
	struct stat stat;
};

/* A server starts: finish renames that a dead server had begun; on a fresh connection empty trash/. */
void files_recover(struct mount *m, bool fresh);
void files_close_cached(struct mount *m);

/* The parent may be a stored node or the synthetic root of a tree. Success adds one lookup. */
int files_lookup(const struct call *c, uint64_t parent, const char *name, struct file_entry *out);
void files_forget(struct mount *m, uint64_t ino, uint64_t count);
int files_getattr(const struct call *c, uint64_t ino, struct stat *out);
int files_readlink(const struct call *c, uint64_t ino, char *buf, size_t size); /* length */

enum { FILE_SET_MODE = 1, FILE_SET_UID = 2, FILE_SET_GID = 4, FILE_SET_SIZE = 8, FILE_SET_ATIME = 16, FILE_SET_MTIME = 32 };
int files_setattr(const struct call *c, uint64_t ino, int set, const struct stat *want, struct stat *out);

/* *fh: 0, or the number under which a writer of a draft is known until files_release. */
int files_open(const struct call *c, uint64_t ino, int flags, uint64_t *fh);
int files_create(const struct call *c, uint64_t parent, const char *name, mode_t mode, int flags,
	struct file_entry *out, uint64_t *fh);
void files_release(const struct call *c, uint64_t ino, uint64_t fh);
/* At every close: was the writer killed by a signal? */
void files_flush(const struct call *c, uint64_t ino, uint64_t fh);
ssize_t files_read(const struct call *c, uint64_t ino, void *buf, size_t len, off_t at);
ssize_t files_write(const struct call *c, uint64_t ino, const void *buf, size_t len, off_t at);
int files_fsync(const struct call *c, uint64_t ino, bool data_only);
int files_allocate(const struct call *c, uint64_t ino, int mode, off_t at, off_t len);
off_t files_seek(const struct call *c, uint64_t ino, off_t at, int whence);

int files_mkdir(const struct call *c, uint64_t parent, const char *name, mode_t mode, struct file_entry *out);
int files_symlink(const struct call *c, uint64_t parent, const char *name, const char *target, struct file_entry *out);
int files_link(const struct call *c, uint64_t ino, uint64_t parent, const char *name, struct file_entry *out);
int files_unlink(const struct call *c, uint64_t parent, const char *name);
int files_rmdir(const struct call *c, uint64_t parent, const char *name);
int files_rename(const struct call *c, uint64_t parent, const char *name, uint64_t to, const char *to_name, unsigned flags);
/* mknod of anything but a regular file in a draft: -EPERM, and the draft is wounded. */
int files_mknod_refused(const struct call *c, uint64_t parent, const char *name);

/* Entries after the cookie `after` (0 = start); cookies are the backing directory's own. A nonzero
 * return of each ends the listing. */
int files_list(const struct call *c, uint64_t ino, off_t after,
	int (*each)(void *arg, const char *name, const struct stat *st, off_t cookie), void *arg);

/* The synthetic root of a tree that the inode is in (itself for a root). */
int files_root(struct mount *m, uint64_t ino, struct ref *out);
/* Path relative to the state directory, for EVENT paths and tests. */
int files_path(const struct call *c, uint64_t ino, char *path, size_t size);

#endif
