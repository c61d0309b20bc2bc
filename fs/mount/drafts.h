/*
 * Drafts: who writes into a folder in queue/, when it last changed, what was refused; and the thread
 * that asks the door (engine/door.h) and submits. The facts live in shared memory: a restart of the
 * server forgets none of them.
 */
#ifndef KEXEC_MOUNT_DRAFTS_H
#define KEXEC_MOUNT_DRAFTS_H

#include "fs/mount/mount.h"

/* fresh: first server of this connection; drafts found in the store were interrupted. */
int drafts_start(struct mount *m, bool fresh);
void drafts_stop(struct mount *m);

/* Begin and end a change below a draft: takes the gate for reading. -EROFS once it is frozen or gone,
 * -EPERM for a job's process. *slot is valid until drafts_leave(). */
int drafts_enter(const struct call *c, int64_t run, struct shared_draft **slot);
void drafts_leave(const struct call *c);
/* The change happened: time, writer. Within enter/leave. */
void drafts_changed(const struct call *c, struct shared_draft *slot);

int drafts_add(struct mount *m, int64_t run);       /* at mkdir */
void drafts_forget(struct mount *m, int64_t run);   /* dropped or submitted and no writer holds it */
void drafts_ask(struct mount *m, int64_t run);      /* submit at once */
/* The same, and wait until it has been submitted or judged otherwise, at most a few seconds: who asked
 * finds the name free when the call returns. */
void drafts_ask_and_wait(struct mount *m, int64_t run);
/* Has the door judged the draft as it is now, is nothing asked of it, and is its last change quiet_ns ago? */
bool drafts_quiet(struct mount *m, int64_t run, int64_t quiet_ns);
bool drafts_frozen(struct mount *m, int64_t run);
/* `key` names a file (see file_key in files.c): its last write was refused or its writer was killed. */
void drafts_wound(struct mount *m, int64_t run, uint64_t key, bool killed);
void drafts_heal(struct mount *m, int64_t run, uint64_t key); /* written anew from its beginning */
void drafts_open(struct mount *m, int64_t run, int delta);  /* handles open for writing */

#endif
