/* Watching living jobs: one thread that says when a job has news, by looking at the files of its attempt
 * and through a pidfd of its supervisor. Nothing is lost with it: it can be armed again at any time. */
#ifndef KEXEC_BACKENDS_LOCAL_WATCH_H
#define KEXEC_BACKENDS_LOCAL_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct watch;

typedef void (*watch_changed)(void *arg, const char *remote_id, bool ended);

/* `changed` is called from the watch's own thread, without a lock held: at most four times a second a
 * job, and once with ended when end.json is there or the supervisor is gone. */
int watch_open(watch_changed changed, void *arg, struct watch **out);
/* pid 0: the supervisor is not known yet; a later call adds it. Repeatable. Thread-safe. */
int watch_add(struct watch *w, const char *remote_id, const char *directory, pid_t pid, uint64_t start);
/* Jobs that are being watched. */
int watch_count(struct watch *w);
void watch_close(struct watch *w); /* accepts NULL; no call of `changed` begins after it */

#endif
