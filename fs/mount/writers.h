/* The record of one draft in shared memory: its writers and its wounds. Callers hold writers_lock. */
#ifndef KEXEC_MOUNT_WRITERS_H
#define KEXEC_MOUNT_WRITERS_H

#include "fs/mount/shared.h"
#include <sys/types.h>

struct shared_draft *draft_slot(struct shared *s, int64_t run);     /* NULL when unknown */
struct shared_draft *draft_slot_new(struct shared *s, int64_t run); /* NULL when all are taken */
/* Remember a writer; the dead make room; too many living ones count as unseen. pid 0: unseen. */
void draft_writer(struct shared_draft *d, pid_t pid, uint64_t start);
int draft_writers_alive(const struct shared_draft *d);
/* Count the open writers of every draft anew, from the table of handles: a server that dies between the two
 * changes of an open or a close leaves them apart. At the start of a server, before any request. */
void drafts_recount(struct shared *s);
void draft_wound(struct shared_draft *d, uint64_t key, bool killed);
void draft_heal(struct shared_draft *d, uint64_t key);

#endif
