/* Who is calling? The kernel tells a thread id; writers and jobs are processes. */
#include <errno.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/base/proc.h"
#include "fs/mount/mount.h"

#define BELIEVE_NS (100 * NS_PER_MS)
#define MAX_PARENTS 64

/* A job cannot leave its supervisor, which is a subreaper: the chain of parents leads to it. */
static bool below_supervisor(const struct proc_info *info)
{
	struct proc_info at = *info;

	for (int i = 0; i < MAX_PARENTS; i++) {
		if (strncmp(at.comm, SUPERVISOR_COMM, sizeof(at.comm)) == 0)
			return true;
		if (at.ppid <= 1 || proc_read(at.ppid, &at) != 0)
			return false;
	}
	return true; /* deeper than anything honest */
}

static int ask(pid_t tid, struct caller *out)
{
	struct proc_info info;
	int r = proc_read(tid, &info);

	if (r != 0)
		return r;
	*out = (struct caller){.tid = tid, .pid = info.pid, .start = info.start,
		.is_job = below_supervisor(&info), .asked_ns = clock_boot_ns()};
	return 0;
}

static int caller_of(const struct call *c, struct caller *out)
{
	struct mount *m = c->mount;
	struct caller *slot = &m->callers[(unsigned)c->pid % CALLER_CACHE];

	if (c->pid == 0)
		return -ESRCH;
	pthread_mutex_lock(&m->callers_lock);
	*out = *slot;
	pthread_mutex_unlock(&m->callers_lock);
	if (out->tid == c->pid && clock_boot_ns() - out->asked_ns < BELIEVE_NS)
		return 0;
	int r = ask(c->pid, out);

	if (r == 0) {
		pthread_mutex_lock(&m->callers_lock);
		*slot = *out;
		pthread_mutex_unlock(&m->callers_lock);
	}
	return r;
}

bool call_is_job(const struct call *c)
{
	struct caller who;

	return caller_of(c, &who) == 0 && who.is_job;
}

int call_process(const struct call *c, pid_t *pid, uint64_t *start)
{
	struct caller who;
	int r = caller_of(c, &who);

	if (r == 0) {
		*pid = who.pid;
		*start = who.start;
	}
	return r;
}
