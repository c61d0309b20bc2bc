/*
 * The session of one server: INIT replayed, requests that a dead server left taken up again, and
 * threads that read from the kernel. See shared.h for what outlives them.
 */
#ifndef KEXEC_MOUNT_LOOP_H
#define KEXEC_MOUNT_LOOP_H

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>
#include "fs/mount/mount.h"

struct loop;

/* Make the session over FD_SESSION and answer (or repeat the answer to) INIT. */
int loop_open(struct mount *m, const struct fuse_lowlevel_ops *ops, struct loop **out);
/* Start the threads. `ended_fd` (an eventfd) is written when the kernel's side is gone. */
int loop_start(struct loop *l, int ended_fd);
/* Stop at a request boundary; requests not yet read stay with the kernel. */
void loop_drain(struct loop *l);
void loop_join(struct loop *l);
void loop_close(struct loop *l);

/* The request this thread has in hand: its unique number as received, and its bytes. */
uint64_t loop_unique(void);
const void *loop_message(size_t *len);
/* Had a dead server this request in hand? */
bool loop_again(void);
/* On kernels that do not send again: keep a parked request's bytes for the next server. */
void loop_keep_parked(struct mount *m);

#endif
