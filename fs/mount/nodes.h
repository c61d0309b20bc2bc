/*
 * The node table of stored trees in shared memory: number -> (parent, name, lookup count). Locks by
 * itself (mount.nodes). See files.h for what nodes are.
 */
#ifndef KEXEC_MOUNT_NODES_H
#define KEXEC_MOUNT_NODES_H

#include "fs/mount/mount.h"

/* The node of that name, made if need be, with one lookup more. -ENFILE when the table is full. */
int nodes_take(struct mount *m, uint64_t parent, const char *name, uint64_t *ino);
/* The same without making or counting: -ENOENT. */
int nodes_find(struct mount *m, uint64_t parent, const char *name, uint64_t *ino);
/* Give lookups back; *gone when the last went, *detached when it was an unlinked file. */
void nodes_drop(struct mount *m, uint64_t ino, uint64_t count, bool *gone, bool *detached);
/* Where it is: parent and name, or *detached. -ESTALE when the kernel should not know it. */
int nodes_where(struct mount *m, uint64_t ino, uint64_t *parent, char name[SHARED_NAME], bool *detached);
/* Path below the tree's root, without a leading '/', "" for the root itself. */
int nodes_path(struct mount *m, uint64_t ino, char *path, size_t size, uint64_t *root, bool *detached);
/* After a rename of the file itself: the node moves, a node that stood there is detached. */
void nodes_move(struct mount *m, uint64_t parent, const char *name, uint64_t to, const char *to_name);
void nodes_detach(struct mount *m, uint64_t parent, const char *name);
uint64_t nodes_name_key(uint64_t parent, const char *name); /* 64-bit hash, never 0 */

#endif
