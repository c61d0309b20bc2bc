/*
 * A control group (v2) for one job: an end that nothing escapes and, where the service manager has
 * delegated us some with controllers, limits that the kernel keeps. Without controllers the group still holds
 * the job together; memory is then watched by the supervisor alone. Where no group can be made all of
 * this does nothing.
 */
#ifndef KEXEC_BACKENDS_LOCAL_CGROUP_H
#define KEXEC_BACKENDS_LOCAL_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

struct cgroup {
	int parent, fd; /* fd <= 0: there is none */
	bool limits;    /* the kernel counts and limits here */
	char name[96];
};

/* The group of the attempt whose directory this is: the name is of this machine's only one. Best effort:
 * fewer limits, or none, or no group at all. memory_bytes 0: no limit. */
void cgroup_make(struct cgroup *g, int attempt_dirfd, const char *id, int64_t memory_bytes);
void cgroup_enter(const struct cgroup *g); /* in the child, before exec */
long cgroup_oom_kills(const struct cgroup *g);
void cgroup_kill(const struct cgroup *g); /* all that is in it */
void cgroup_remove(struct cgroup *g);
/* What a supervisor left that was killed: end what is in the group of that attempt, and remove it. */
void cgroup_forget(int attempt_dirfd, const char *id);

#endif
