/*
 * What the files of fs/mount/ share: one `struct mount` per server process. No libfuse type in here,
 * so that tests can drive nodes and files without a kernel.
 */
#ifndef KEXEC_MOUNT_MOUNT_H
#define KEXEC_MOUNT_MOUNT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "fs/mount/node.h"
#include "fs/mount/shared.h"

struct config;
struct drafts;
struct engine;
struct event;
struct log;
struct pages;
struct park;
struct snapshots;

#define FD_CACHE 64
#define CALLER_CACHE 64

/* What /proc said of a calling thread, believed for a tenth of a second. */
struct caller {
	pid_t tid, pid;
	uint64_t start;
	bool is_job;
	int64_t asked_ns;
};

struct fd_slot {
	uint64_t ino;
	int fd;          /* -1 = empty */
	bool writable;
	unsigned users;
	uint64_t used;   /* tick of last use */
};

struct mount {
	struct shared *shared;
	struct engine *engine;
	const struct config *config;
	struct log *log;
	const char *mountpoint;
	int state_dirfd;
	int session_fd;
	uid_t uid;               /* owner of synthetic nodes: who mounted */
	gid_t gid;
	int64_t started_wall_ns; /* mtime of what never changes */
	pthread_mutex_t nodes;   /* guards shared->node, bucket, free list */
	pthread_rwlock_t gate;   /* read: a draft is being changed; write: it is being frozen */
	pthread_mutex_t fds_lock;
	struct fd_slot fds[FD_CACHE];
	uint64_t fds_tick;
	pthread_mutex_t callers_lock;
	struct caller callers[CALLER_CACHE];
	struct drafts *drafts;
	struct event *event;
	struct pages *pages;
	struct park *park;
	struct snapshots *snapshots;
	pthread_mutex_t ctl_lock;
	char ctl_refusal[600];   /* of the daemon's own ctl */
};

/* Is the caller a process of a local job? Those may read but never change anything. */
bool call_is_job(const struct call *c);
/* The caller's process: 0, or -ESRCH when it cannot be seen. */
int call_process(const struct call *c, pid_t *pid, uint64_t *start);
/* The name that a supervisor of local jobs gives itself (prctl PR_SET_NAME): its descendants are jobs. */
#define SUPERVISOR_COMM "kexec-job"

#endif
