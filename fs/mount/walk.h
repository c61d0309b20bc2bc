/*
 * Generic operations on synthetic nodes, driven by the rows of tree.c; they name no node. Any FUSE
 * thread; 0 or -errno. Trees (NODE_TREE) are handed to files.h by ops.c.
 */
#ifndef KEXEC_MOUNT_WALK_H
#define KEXEC_MOUNT_WALK_H

#include <sys/stat.h>
#include "fs/mount/node.h"

/* A child by name: a fixed row, else what `find` knows. */
int walk_find(const struct call *c, struct ref dir, const char *name, struct ref *out);
/* Children after the cookie `after` (0 = start): fixed rows, then what `list` tells. */
int walk_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg);
/* mtime_ns 0: found out. */
int walk_stat(const struct call *c, struct ref r, int64_t mtime_ns, struct stat *out);
/* Bytes read; pages (NODE_PAGE) by the version that open saw. */
ssize_t walk_read(const struct call *c, struct ref r, uint64_t version, void *buf, size_t len, off_t at);
int walk_target(const struct call *c, struct ref r, char *buf, size_t size);
/* One write to a file with `command`: whole lines, each a verb and its words; answered here. */
int walk_command(const struct call *c, struct ref r, const char *text, size_t len);
/* A number that grows when what the file tells grows or changes: for poll(2). */
uint64_t walk_version(const struct call *c, struct ref r);
ino_t walk_parent_ino(struct ref r);

#endif
