/*
 * One binary, five processes. The keeper (keeper.c) holds the session and starts the server
 * (server.c), which is replaced whenever it dies, and the notifier (mount/notifier.c). A supervisor
 * (backends/local) belongs to one job. The command itself (main.c) checks, mounts and becomes the keeper.
 *
 * Descriptors have the same numbers in keeper, server and notifier.
 */
#ifndef KEXEC_PROCESS_H
#define KEXEC_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct why;

enum {
	FD_SESSION = 200, /* /dev/fuse; high, so that no inherited descriptor has one of these numbers */
	FD_SHARED,       /* memfd of mount/shared.h */
	FD_LOCK,         /* flock on STATE/lock: nobody else may use this state while any of us lives */
	FD_KEEPER,       /* read end of a pipe that only the keeper can write: EOF = the keeper is gone */
	FD_BELL,         /* eventfd: there is something in the ring */
	FD_READY,        /* pipe to the command that started us: 'R' or a sentence; gone afterwards */
	FD_LAST = FD_READY, /* the last that server and notifier inherit */
	FD_LIFE,         /* the keeper's end of FD_KEEPER; never written */
};

struct start {
	const char *program;    /* absolute path of kexecfs */
	const char *state;      /* absolute */
	const char *config;     /* path or NULL */
	const char *mountpoint; /* absolute */
	const char *user;       /* -o user=, or NULL */
};

/* argv for one of our processes: mode is "--server", "--notifier", "--keeper" or "--compatible". */
#define START_ARGC 16
void start_argv(const struct start *s, const char *mode, const char *extra, const char *argv[START_ARGC]);

int keeper_main(const struct start *s, pid_t adopted); /* adopted: a living server's pid, or 0 */
int server_main(const struct start *s);
int compatible_main(const struct start *s); /* 0: this binary can take over the shared memory at FD_SHARED */

/* mount/session.c: getting and ending the kernel's side, without libfuse. */
struct mount_options {
	bool allow_other;
};
int session_mount(const char *mountpoint, const struct mount_options *o, int *fd, struct why *why);
int session_unmount(const char *mountpoint); /* lazily; runs fusermount3 where we are not root */
/* A dead mount of ours at that place (ENOTCONN, type fuse.kexecfs) is taken away. */
int session_clean_stale(const char *mountpoint, struct why *why);

#endif
