/* Attending one running job: output, progress, limits, wishes, until nothing of it is left. */
#ifndef KEXEC_BACKENDS_LOCAL_ATTEND_H
#define KEXEC_BACKENDS_LOCAL_ATTEND_H

struct job_status;
struct order;

/* Start what is ordered in the attempt dirfd and stay until it has ended; fills end (cause, exit code,
 * use, detail; not the stamps). The process must be a subreaper, single-threaded, with SIGCHLD and
 * SIGTERM blocked. Never fails: what cannot be started ended with END_SETUP. */
void attend(int dirfd, const struct order *order, struct job_status *end);

#endif
