/*
 * What a job can see and touch. With bubblewrap (bwrap): a root file system of its own, in which the
 * machine is read-only, credentials, the state and the mount are covered, and these exist:
 *
 *   /kaggle/working            the job's working directory, writable
 *   /kaggle/input/<slug>       datasets, read-only; also /kaggle/input/datasets/<owner>/<slug>
 *   /run/kexec                 start.sh, driver.py, the notebook (read-only); home/ is writable
 *   /tmp /dev /proc /dev/shm   private
 *
 * with processes, IPC and, where asked for, the network apart. Without bwrap: the job's user, the
 * environment by allow-list and no_new_privs only; callers say so to the user.
 */
#ifndef KEXEC_BACKENDS_LOCAL_SANDBOX_H
#define KEXEC_BACKENDS_LOCAL_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/local/spawn.h"
#include "backends/local/user.h"

struct json;
struct strbuf;
struct why;

/* What this machine can do; immutable once it was opened and probed. */
struct sandbox {
	bool bwrap;          /* namespaces work */
	bool network;        /* network namespaces work too: `internet: false` can be kept */
	char problem[200];   /* what bwrap said when it does not work */
	struct argv homes;   /* of the users involved: their credentials are hidden */
	struct argv folders; /* hidden whole: the state, the configuration */
	char *mountpoint;    /* one more, kept apart: the daemon must never touch it itself, because it
	                      * would wait for its own answer */
};

/* The state and mountpoint are hidden besides the credentials of every user involved; each may be NULL.
 * Runs nothing and never touches the mount. */
int sandbox_open(struct sandbox *out, const struct job_user *user, const char *state_path,
	const char *mountpoint, const char *config_folder);
/* Find out whether bwrap works, by running it: some 30 ms, so not while the daemon starts. Once, before
 * anything below. */
void sandbox_probe(struct sandbox *s, const struct job_user *user);
void sandbox_release(struct sandbox *s);

struct sandbox_job {
	const char *work, *box;       /* absolute; box NULL for a probe */
	const struct json *datasets, *more_datasets; /* {"owner/slug": "/folder"} or NULL; the first wins */
	bool internet, gpu;
	int64_t memory_bytes;         /* bound of /dev/shm, 0 = none */
	long processes;               /* RLIMIT_NPROC, 0 = unchanged */
};

/* The command up to, not including, the program to run. Datasets that are not there or not allowed
 * are -EINVAL with a sentence. */
int sandbox_command(const struct sandbox *s, const struct job_user *user,
	const struct sandbox_job *job, struct argv *out, struct why *why);
/* Where the job sees its working directory and its box. */
const char *sandbox_work(const struct sandbox *s, const struct sandbox_job *job);
const char *sandbox_box(const struct sandbox *s, const struct sandbox_job *job);

#endif
