/* A control group (v2) for one job, where the service manager has delegated us some: limits that the
 * kernel keeps, and an end that nothing escapes. Everywhere else all of this does nothing. */
#ifndef KEXEC_BACKENDS_LOCAL_CGROUP_H
#define KEXEC_BACKENDS_LOCAL_CGROUP_H

#include <stdint.h>

struct cgroup {
	int parent, fd; /* fd <= 0: there is none */
	char name[64];
};

/* memory_bytes 0: no limit. Best effort: nothing is made where a controller is missing. */
void cgroup_make(struct cgroup *g, const char *id, int64_t memory_bytes);
void cgroup_enter(const struct cgroup *g); /* in the child, before exec */
long cgroup_oom_kills(const struct cgroup *g);
void cgroup_kill(const struct cgroup *g);
void cgroup_remove(struct cgroup *g);

#endif
