/*
 * One attempt on disk: the files in attempts/<n> through which the daemon and the supervisor know of
 * each other, and what they mean together.
 *
 *   lock             held (OFD write lock) from the moment submit() begins until the supervisor ends.
 *                    It is handed over with its descriptor, so there is no gap: whoever finds it free
 *                    knows that nobody prepares, starts or runs this attempt.
 *   job.json         what the supervisor is to run (durable, before it is started)
 *   supervisor.json  who supervises and since when (durable, before the job is started; never twice)
 *   progress.json    the latest progress (not durable)
 *   cancel           its existence asks for the end
 *   end.json         how it ended (durable, the supervisor's last act)
 *   .reserve         space for end.json, allocated before the job can fill the disk
 *   log metrics.csv  what the job said
 *   work/ box/       the job's private files while it lives; work.list what work/ held at the start
 *
 * No supervisor.json and a free lock: it never ran and never will by itself (JOB_ABSENT).
 */
#ifndef KEXEC_BACKENDS_LOCAL_ATTEMPT_H
#define KEXEC_BACKENDS_LOCAL_ATTEMPT_H

#include <sys/types.h>
#include "backends/backend.h"

#define ATTEMPT_LOCK       "lock"
#define ATTEMPT_JOB        "job.json"
#define ATTEMPT_SUPERVISOR "supervisor.json"
#define ATTEMPT_PROGRESS   "progress.json"
#define ATTEMPT_CANCEL     "cancel"
#define ATTEMPT_END        "end.json"
#define ATTEMPT_RESERVE    ".reserve"
#define ATTEMPT_LOG        "log"
#define ATTEMPT_METRICS    "metrics.csv"
#define ATTEMPT_WORK       "work"
#define ATTEMPT_BOX        "box"
#define ATTEMPT_LIST       "work.list"
#define ATTEMPT_OUTPUT     "output"
#define ATTEMPT_PART       "output.part"

/* Where the driver leaves the executed notebook, below box/. */
#define BOX_HOME     "home"
#define BOX_EXECUTED "home/.kexec-executed.ipynb"

/* Nothing of ours in an attempt is larger (job.json holds the user's env). */
#define ATTEMPT_JSON_MAX ((size_t)8 << 20)

struct attempt_supervisor {
	pid_t pid;
	uint64_t start; /* of the process, proc.h */
	struct stamp started;
};

/* Take the lock: a descriptor that holds it, -EBUSY where somebody else does, or -errno. */
int attempt_lock(int dirfd);
/* Is it held by anybody? 1, 0 or -errno. Asking never takes it. */
int attempt_locked(int dirfd);

/* 0, -ENOENT, or -EBADMSG where the file makes no sense. */
int attempt_read_supervisor(int dirfd, struct attempt_supervisor *out);
int attempt_write_supervisor(int dirfd, const struct attempt_supervisor *s);
/* Allocate the space that attempt_write_end() takes on a full disk. As good as it gets: no error. */
void attempt_reserve(int dirfd);
/* On a full disk the record is written into the reserve, whose blocks are there, and that renamed. */
int attempt_write_end(int dirfd, const struct job_status *end);
/* Without fsync: progress 0..1 or <0, detail may be "". */
struct attempt_progress {
	double progress;
	const char *detail;
	long cell, cells;
	int64_t max_rss_bytes;
};
int attempt_write_progress(int dirfd, const struct attempt_progress *p);

/* What is known. No effects. Always sets out; -errno only where the directory cannot be read. */
int attempt_status(int dirfd, struct job_status *out);

/* "12.1" */
#define REMOTE_ID_MAX 40
void remote_id_format(char out[REMOTE_ID_MAX], int64_t run, int attempt);
bool remote_id_valid(const char *remote_id);

#endif
