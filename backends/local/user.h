/* Who a job runs as: the daemon's own user, or, when that is root, somebody who is not. */
#ifndef KEXEC_BACKENDS_LOCAL_USER_H
#define KEXEC_BACKENDS_LOCAL_USER_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

struct argv;
struct why;

struct job_user {
	uid_t uid;
	gid_t gid;
	bool drop;            /* the daemon is root: change to uid before the job's first instruction */
	bool groups;          /* with that user's supplementary groups (video, render: the GPU) */
	char name[64];
	char home[PATH_MAX];  /* "" unknown */
};

/* `configured` may be NULL: then the user behind sudo, else nobody. Asking for root is -EINVAL. */
int job_user_find(const char *configured, struct job_user *out, struct why *why);
/* The front of a command that gives up every privilege: "setpriv … --". */
void job_user_command(const struct job_user *user, struct argv *out);

#endif
