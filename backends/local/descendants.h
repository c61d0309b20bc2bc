/* The processes of a job, found through /proc: how much memory they use, which is the main one, and
 * the end of all of them. The supervisor is a subreaper, so everything the job starts stays below it. */
#ifndef KEXEC_BACKENDS_LOCAL_DESCENDANTS_H
#define KEXEC_BACKENDS_LOCAL_DESCENDANTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct memory_use {
	int64_t rss_bytes;  /* all processes together, shared pages counted more than once */
	pid_t largest;      /* 0 none */
};

/* Of everything below this process. 0 or -errno. */
int descendants_memory(struct memory_use *out);
/* The same in proportional set size (shared pages counted once), dearer; -errno where unreadable. */
int64_t descendants_pss(void);
/* `levels` generations below child, the eldest of each: the program inside bwrap. child where none. */
pid_t descendants_main(pid_t child, int levels);
/* Kill all of it and wait until it is gone, at most limit_ns. True when nothing is left. */
bool descendants_end(int64_t limit_ns);
/* Threads of this user in the whole system, as RLIMIT_NPROC counts them. */
long user_threads(uid_t uid);

#endif
