/* Between files.c, files_change.c and fd_cache.c only. */
#ifndef KEXEC_MOUNT_FILES_PRIVATE_H
#define KEXEC_MOUNT_FILES_PRIVATE_H

#include "fs/mount/files.h"

#define TRASH_DIR "trash"

/* A directory descriptor (O_PATH) and a name in it: what *at() calls take. */
struct place {
	int dirfd;
	char name[SHARED_NAME];
};

int place_of(const struct call *c, uint64_t ino, struct place *out);   /* a stored node */
int place_in(const struct call *c, uint64_t parent, const char *name, struct place *out);
void place_close(struct place *p);
int place_stat(const struct call *c, uint64_t root, const struct place *p, struct stat *out);
int place_set_mode(const struct place *p, mode_t mode);
/* Name of an unlinked node in trash/. */
void trash_name(uint64_t ino, char out[32]);

/* A change below `ino`: who may, and the draft it belongs to (NULL elsewhere). */
int change_begin(const struct call *c, uint64_t ino, struct shared_draft **slot);
/* err 0: the draft has changed; a refusal that loses data wounds `key`. Returns err. */
int change_end(const struct call *c, struct shared_draft *slot, int err, uint64_t key);
/* Make the writer known; within change_begin/change_end. */
int files_handle_add(const struct call *c, uint64_t ino, struct shared_draft *slot, uint64_t *fh);

int fd_take(const struct call *c, uint64_t ino, bool writable, int *fd); /* index >= 0 or -errno */
void fd_give(struct mount *m, int index, int fd);
void fd_forget(struct mount *m, uint64_t ino);

#endif
