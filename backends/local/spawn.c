#include "backends/local/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fs/base/clock.h"
#include "fs/base/strbuf.h"

#define OUTPUT_CHUNK 4096

char *const spawn_environment[] = {
	(char[]){"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	(char[]){"LANG=C.UTF-8"},
	NULL,
};

/* ---- argument vectors ---- */

static int grow(struct argv *a)
{
	size_t cap = a->cap ? a->cap * 2 : 32;
	char **v = realloc(a->v, cap * sizeof(*v));

	if (!v)
		return a->err = -ENOMEM;
	a->v = v;
	a->cap = cap;
	return 0;
}

static void add_owned(struct argv *a, char *text)
{
	if (!text)
		a->err = -ENOMEM;
	if (!a->err && a->n + 2 > a->cap)
		grow(a);
	if (a->err) {
		free(text);
		return;
	}
	a->v[a->n++] = text;
	a->v[a->n] = NULL;
}

void argv_add(struct argv *a, const char *text)
{
	add_owned(a, strdup(text));
}

void argv_addf(struct argv *a, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	add_owned(a, text);
}

void argv_addv(struct argv *a, ...)
{
	va_list ap;

	va_start(ap, a);
	for (const char *text; (text = va_arg(ap, const char *));)
		argv_add(a, text);
	va_end(ap);
}

void argv_release(struct argv *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->v[i]);
	free(a->v);
	*a = (struct argv){0};
}

/* ---- processes ---- */

static int set_attributes(posix_spawnattr_t *attr, short flags)
{
	sigset_t all, none;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	err = posix_spawnattr_setsigmask(attr, &none);
	if (!err)
		err = posix_spawnattr_setsigdefault(attr, &all);
	if (!err)
		err = posix_spawnattr_setflags(
			attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | flags));
	return err;
}

static int set_files(posix_spawn_file_actions_t *files, int out_fd)
{
	int err = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);

	if (!err)
		err = posix_spawn_file_actions_adddup2(files, out_fd, 1);
	if (!err)
		err = posix_spawn_file_actions_adddup2(files, out_fd, 2);
	return err;
}

/* Descriptors above any target, so that one dup2 does not overwrite the source of the next. */
static int raise_fds(const struct spawn_fds *fds, size_t count, int *high)
{
	for (size_t i = 0; i < count; i++) {
		high[i] = fcntl(fds[i].from, F_DUPFD_CLOEXEC, 10);
		if (high[i] < 0)
			return errno;
	}
	return 0;
}

static pid_t spawn(char *const argv[], short flags, posix_spawn_file_actions_t *files,
	char *const environment[])
{
	posix_spawnattr_t attr;
	pid_t pid = -1;
	int err = posix_spawnattr_init(&attr);

	if (err)
		return -err;
	err = set_attributes(&attr, flags);
	if (!err)
		err = posix_spawnp(&pid, argv[0], files, &attr, argv, environment);
	posix_spawnattr_destroy(&attr);
	return err ? -err : pid;
}

/* The clean environment, the language of its sentences and the faults of a test. */
static int own_environment(struct argv *out)
{
	static const char *const names[] = {"LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "KEXEC_FAULT"};

	argv_add(out, spawn_environment[0]);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (getenv(names[i]))
			argv_addf(out, "%s=%s", names[i], getenv(names[i]));
	return out->err;
}

static pid_t spawn_with(char *const argv[], int err_fd, const struct spawn_fds *fds, size_t count,
	char *const environment[])
{
	posix_spawn_file_actions_t files;
	int high[2] = {-1, -1}, next = 3;
	int err = count > 2 ? E2BIG : posix_spawn_file_actions_init(&files);
	pid_t pid = -1;

	if (err)
		return -err;
	err = raise_fds(fds, count, high);
	if (!err)
		err = set_files(&files, err_fd);
	for (size_t i = 0; i < count && !err; i++) {
		err = posix_spawn_file_actions_adddup2(&files, high[i], fds[i].to);
		next = fds[i].to >= next ? fds[i].to + 1 : next;
	}
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(&files, next);
	if (!err)
		pid = spawn(argv, POSIX_SPAWN_SETSID, &files, environment);
	posix_spawn_file_actions_destroy(&files);
	for (size_t i = 0; i < count; i++)
		if (high[i] >= 0)
			close(high[i]);
	return err ? -err : pid;
}

pid_t spawn_detached(char *const argv[], int err_fd, const struct spawn_fds *fds, size_t count)
{
	struct argv environment = {0};
	int err = own_environment(&environment);
	pid_t pid = err ? err : spawn_with(argv, err_fd, fds, count, environment.v);

	argv_release(&environment);
	return pid;
}

static pid_t spawn_to_pipe(char *const argv[], int out_fd)
{
	posix_spawn_file_actions_t files;
	int err = posix_spawn_file_actions_init(&files);
	pid_t pid = -1;

	if (err)
		return -err;
	err = set_files(&files, out_fd);
	if (!err)
		err = posix_spawn_file_actions_addclosefrom_np(&files, 3);
	if (!err)
		pid = spawn(argv, POSIX_SPAWN_SETSID, &files, spawn_environment);
	posix_spawn_file_actions_destroy(&files);
	return err ? -err : pid;
}

static int left_ms(int64_t deadline_ns)
{
	int64_t left = (deadline_ns - clock_boot_ns()) / NS_PER_MS;

	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

/* Read to the end; what does not fit is read and dropped, so that the writer never blocks. */
static int read_output(int fd, int64_t deadline_ns, struct strbuf *output)
{
	char chunk[OUTPUT_CHUNK];
	struct pollfd p = {.fd = fd, .events = POLLIN};

	for (;;) {
		int n = poll(&p, 1, left_ms(deadline_ns));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && clock_boot_ns() >= deadline_ns)
			return -ETIMEDOUT;
		if (n <= 0)
			continue;
		ssize_t got = read(fd, chunk, sizeof(chunk));

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return 0;
		if (got > 0 && output)
			strbuf_add(output, chunk, (size_t)got);
	}
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int spawn_run(char *const argv[], int64_t deadline_ns, struct strbuf *output)
{
	int ends[2], status, err;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = spawn_to_pipe(argv, ends[1]);
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return (int)pid;
	}
	err = read_output(ends[0], deadline_ns, output);
	if (err < 0)
		kill(-pid, SIGKILL); /* it leads its own session, so its group is its own too */
	close(ends[0]);
	status = wait_for(pid);
	return err < 0 ? err : status;
}
