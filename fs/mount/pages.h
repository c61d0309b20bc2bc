/*
 * Large renderings (index.html, runs.csv): a file per version under pages/, renewed at most once a
 * second, so that a reader gets one version from its open to its last read, whatever server serves it.
 */
#ifndef KEXEC_MOUNT_PAGES_H
#define KEXEC_MOUNT_PAGES_H

#include "fs/mount/mount.h"

int pages_start(struct mount *m);
void pages_stop(struct mount *m);
/* The newest rendering of that row. */
int pages_current(const struct call *c, enum node_id row, uint64_t *version, int64_t *size, int64_t *mtime_ns);
ssize_t pages_read(const struct call *c, enum node_id row, uint64_t version, void *buf, size_t len, off_t at);

#endif
