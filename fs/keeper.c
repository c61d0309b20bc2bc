/*
 * The keeper: holds the session's descriptor and the shared memory, and starts the server again
 * whenever it has gone. No libfuse, no threads, no heap after the start; it never touches the mount,
 * since a path walk can block on its own dead server.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fs/mount/shared.h"
#include "fs/process.h"

#define EXIT_START_FAILED 3    /* of a server: it said why, another try would say the same */
#define END_PATIENCE_MS   5000 /* after SIGTERM: how long open files may hold the mount */

struct keeper {
	const struct start *start;
	struct shared *shared;
	pid_t server, notifier;
	int server_fd, notifier_fd, signal_fd; /* pidfds */
	int program_fd; /* what is running: a crash is answered with the same binary, whatever is installed now */
	bool was_ready;
	unsigned early_deaths;
	bool ending;
};

static int pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static bool connection_gone(void)
{
	struct pollfd p = {.fd = FD_SESSION};

	return poll(&p, 1, 0) > 0 && (p.revents & POLLERR);
}

void start_argv(const struct start *s, const char *mode, const char *extra, const char *argv[START_ARGC])
{
	int n = 0;

	argv[n++] = s->program;
	argv[n++] = mode;
	if (extra)
		argv[n++] = extra;
	argv[n++] = "--state";
	argv[n++] = s->state;
	if (s->config) {
		argv[n++] = "--config";
		argv[n++] = s->config;
	}
	if (s->user) {
		argv[n++] = "--user";
		argv[n++] = s->user;
	}
	argv[n++] = s->mountpoint;
	argv[n] = NULL;
}

static pid_t spawn(const struct keeper *k, const char *mode, int program_fd)
{
	const char *argv[START_ARGC];
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int fd = FD_SESSION; fd <= FD_LAST; fd++)
		fcntl(fd, F_SETFD, 0);
	fcntl(program_fd, F_SETFD, FD_CLOEXEC);
	start_argv(k->start, mode, NULL, argv);
	execveat(program_fd, "", (char *const *)argv, environ, AT_EMPTY_PATH);
	_exit(127);
}

/* A binary that cannot take over the shared memory must not replace one that can: its own word is asked
 * first. It writes to the log why not. */
static bool compatible(const struct keeper *k, int program_fd)
{
	int status;
	pid_t pid = spawn(k, "--compatible", program_fd);

	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* SIGHUP: what is installed at the path now becomes what runs. The server stops at a request boundary,
 * the next one is started. */
static void upgrade(struct keeper *k)
{
	int fd = open(k->start->program, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (!compatible(k, fd)) {
		close(fd);
		return;
	}
	close(k->program_fd);
	k->program_fd = fd;
	kill(k->server, SIGUSR1);
}

static void start_notifier(struct keeper *k)
{
	k->notifier = spawn(k, "--notifier", k->program_fd);
	k->notifier_fd = k->notifier > 0 ? pidfd(k->notifier) : -1;
}

static void start_server(struct keeper *k)
{
	k->server = spawn(k, "--server", k->program_fd);
	k->server_fd = k->server > 0 ? pidfd(k->server) : -1;
}

/* Back off only when servers die before they are ready: a death under load is answered at once. */
static void wait_before_restart(struct keeper *k)
{
	k->was_ready |= atomic_load(&k->shared->ready) != 0;
	k->early_deaths = atomic_exchange(&k->shared->ready, 0) ? 0 : k->early_deaths + 1;
	if (k->early_deaths < 4)
		return;
	unsigned shift = k->early_deaths - 4 < 6 ? k->early_deaths - 4 : 6;
	struct timespec pause = {.tv_sec = (50L << shift) / 1000, .tv_nsec = (50L << shift) % 1000 * 1000000};

	nanosleep(&pause, NULL);
}

/* True when the mount is to end. */
static bool server_died(struct keeper *k)
{
	int status = 0;
	pid_t pid = waitpid(k->server, &status, 0); /* ECHILD for an adopted one */

	close(k->server_fd);
	if (connection_gone() || k->ending)
		return true;
	bool refused = pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_START_FAILED;

	if (refused && !k->was_ready && !atomic_load(&k->shared->ready))
		return true;
	wait_before_restart(k);
	start_server(k);
	return false;
}

static void unmount(const struct keeper *k)
{
	pid_t pid = fork(); /* not ours to wait in a path walk */

	if (pid == 0)
		_exit(session_unmount(k->start->mountpoint) == 0 ? 0 : 1);
}

static void take_signal(struct keeper *k)
{
	struct signalfd_siginfo si;

	if (read(k->signal_fd, &si, sizeof(si)) != sizeof(si))
		return;
	switch (si.ssi_signo) {
	case SIGHUP:
		upgrade(k);
		break;
	default:
		if (k->ending)
			kill(k->server, SIGKILL); /* the second time: at once */
		k->ending = true;
		atomic_store(&k->shared->stopping, 1);
		unmount(k);
	}
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int watch(struct keeper *k)
{
	int patience = END_PATIENCE_MS;

	for (;;) {
		struct pollfd fds[] = {{.fd = k->server_fd, .events = POLLIN}, {.fd = k->signal_fd, .events = POLLIN},
			{.fd = k->notifier_fd, .events = POLLIN}};
		int n = poll(fds, 3, k->ending ? 100 : -1);

		if (n < 0 && errno != EINTR)
			return 1;
		if (k->ending && (connection_gone() || (patience -= 100) <= 0))
			return 0;
		if (n > 0 && fds[1].revents)
			take_signal(k);
		if (n > 0 && fds[0].revents && server_died(k))
			return k->was_ready || atomic_load(&k->shared->ready) ? 0 : 1;
		if (n > 0 && fds[2].revents) {
			waitpid(k->notifier, NULL, 0);
			close(k->notifier_fd);
			start_notifier(k);
		}
	}
}

/* The first message of a connection is INIT; it is kept for every server to come, and never answered
 * here. Protocol knowledge ends with this read. */
static int keep_init(struct shared *s)
{
	uint8_t message[16384];
	ssize_t n;

	do {
		n = read(FD_SESSION, message, sizeof(message));
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n < (ssize_t)(sizeof(struct fuse_in_header) + 16) || n > (ssize_t)sizeof(s->init))
		return -EPROTO;
	memcpy(s->init, message, (size_t)n);
	s->init_len = (uint32_t)n;
	/* FUSE_HAS_RESEND is bit 39 of the flags: bit 7 of flags2 (protocol 7.36 and later). */
	uint32_t flags2 = 0;

	if (n >= (ssize_t)(sizeof(struct fuse_in_header) + 20))
		memcpy(&flags2, message + sizeof(struct fuse_in_header) + 16, sizeof(flags2));
	s->resend = (flags2 & 1u << 7) && !getenv("KEXEC_NO_RESEND");
	return 0;
}

/* Wait for what is ours, so that nothing of us is left when the command returns. */
static void end(struct keeper *k)
{
	struct pollfd fds[] = {{.fd = k->server_fd, .events = POLLIN}};

	atomic_store(&k->shared->stopping, 1);
	if (k->server > 0 && poll(fds, 1, 6000) == 0)
		kill(k->server, SIGKILL);
	close(FD_LIFE); /* the notifier ends */
	if (k->notifier > 0) {
		struct pollfd p = {.fd = k->notifier_fd, .events = POLLIN};

		if (poll(&p, 1, 1000) == 0)
			kill(k->notifier, SIGKILL);
	}
}

/* The number stays taken, so that it never means another file in a later server. */
static void let_ready_go(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, FD_READY);
		close(null);
	}
}

static int make_life_line(void)
{
	int line[2];

	if (pipe2(line, O_CLOEXEC) != 0 || dup2(line[0], FD_KEEPER) < 0 || dup3(line[1], FD_LIFE, O_CLOEXEC) < 0)
		return -errno;
	close(line[0]);
	close(line[1]);
	return 0;
}

int keeper_main(const struct start *s, pid_t adopted)
{
	struct keeper k = {.start = s, .shared = shared_map(FD_SHARED), .server_fd = -1, .notifier_fd = -1};

	if (!k.shared)
		return 1;
	prctl(PR_SET_NAME, "kexec-keeper");
	k.signal_fd = open_signals();
	k.program_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	if (!adopted && (make_life_line() != 0 || keep_init(k.shared) != 0))
		return 1;
	if (adopted) {
		k.server = adopted;
		k.server_fd = pidfd(adopted);
		k.was_ready = true;
	}
	if (k.server_fd < 0)
		start_server(&k);
	let_ready_go(); /* the server has it */
	start_notifier(&k);
	int rc = watch(&k);

	if (rc != 0 && !connection_gone())
		session_unmount(s->mountpoint);
	end(&k);
	return rc;
}
