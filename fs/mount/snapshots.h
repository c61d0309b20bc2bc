/*
 * One version a reader: `status` and `state.json` change at any moment, and a program may read them in
 * pieces. Who reads from the beginning gets the newest, who reads on gets the rest of what it began.
 *
 * Kept in this server's memory by (node, reader's thread), the 256 used last: a new server, or a reader
 * that comes back much later, goes on in the newest.
 */
#ifndef KEXEC_MOUNT_SNAPSHOTS_H
#define KEXEC_MOUNT_SNAPSHOTS_H

#include "fs/mount/mount.h"

struct snapshots;

int snapshots_start(struct mount *m);
void snapshots_stop(struct mount *m);
/* Remember what this caller began to read. */
void snapshots_keep(const struct call *c, uint64_t ino, const char *text, size_t len);
/* The rest of it from `at` into buf: bytes, or -ENOENT when nothing is remembered. */
ssize_t snapshots_read(const struct call *c, uint64_t ino, void *buf, size_t len, off_t at);

#endif
