/*
 * Requests that wait. A read of `wait` is kept here until its run has ended or its draft has come to
 * rest, an open of `status` until the backend has answered or two seconds are over, what opens a thing of a
 * service until that was brought or a minute is over; they are answered by
 * whoever sees that; no thread blocks. The condition is a function of the request and of
 * durable state, so that a request that the kernel sends again after a restart waits on or is
 * answered as if nothing had happened.
 */
#ifndef KEXEC_MOUNT_PARK_H
#define KEXEC_MOUNT_PARK_H

#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>
#include "fs/engine/freshness.h"
#include "fs/engine/objects.h"
#include "fs/mount/mount.h"

int park_start(struct mount *m);
/* Its own thread ends, before the engine that it asks is closed; others may still call park_wake(). */
void park_halt(struct mount *m);
/*
 * After park_halt(); the threads of the loop and of the engine have ended. Nothing is answered any more;
 * what waits is sent again to the next server (or ends with the mount).
 */
void park_stop(struct mount *m);
/* Answer this read of runs/<run>/wait at once or later. Takes the request over. */
void park_wait(const struct call *c, fuse_req_t req, int64_t run, size_t size, off_t at);
/* Answer this open with `fi` when the run's backend has been heard or the wait is over. Takes it over. */
void park_open(const struct call *c, fuse_req_t req, int64_t run, const struct fuse_file_info *fi,
	const struct freshness *wait);
/*
 * Answer this request when a part of a thing of a service is there, or nobody waits for it any longer:
 * `answer_it` replies to req with the result (0 or -errno), in whatever thread. Takes req and data (free()) over.
 */
typedef void park_answer(const struct call *c, fuse_req_t req, int result, void *data);
void park_object(const struct call *c, fuse_req_t req, const struct object_wait *wait, park_answer *answer_it,
	void *data);
/* A run has changed: answer those whose time has come. Any thread, no lock held. */
void park_wake(struct mount *m, int64_t run);
/* Would a read of `wait` return now? */
bool park_ready(const struct call *c, int64_t run);

#endif
