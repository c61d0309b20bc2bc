#include "backends/local/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"

#define MAX_PROCESSES 4096
#define TEXT_MAX      (1 << 20)
#define EMPTY_NS      (2 * NS_PER_S) /* what was killed is gone by then */

/* These files take one write of the whole value; O_CREAT and rename, as usual elsewhere, do not apply. */
static int put(int dirfd, const char *name, const char *text)
{
	AUTO_FD int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Where the unified hierarchy is mounted: the mount point is the fifth field of its line. */
static bool find_mount(char out[PATH_MAX])
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	char *at, *line;

	if (io_read(AT_FDCWD, "/proc/self/mountinfo", TEXT_MAX, &text) < 0)
		return false;
	for (at = text.buf; (line = strsep(&at, "\n"));) {
		char root[256];

		if (!strstr(line, " - cgroup2 "))
			continue;
		if (sscanf(line, "%*s %*s %*s %255s %4095s", root, out) == 2 && !strcmp(root, "/"))
			return true;
	}
	return false;
}

static bool own_path(char *out, size_t size)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	char mount[PATH_MAX], *at, *line;

	if (!find_mount(mount) || io_read(AT_FDCWD, "/proc/self/cgroup", TEXT_MAX, &text) < 0)
		return false;
	for (at = text.buf; (line = strsep(&at, "\n"));)
		if (!strncmp(line, "0::/", 4))
			return snprintf(out, size, "%s%s", mount, line + 3) < (int)size;
	return false;
}

static bool has_controllers(int dirfd)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	put(dirfd, "cgroup.subtree_control", "+memory +pids");
	return io_read(dirfd, "cgroup.subtree_control", TEXT_MAX, &text) == 0 &&
	       strstr(text.buf, "memory") && strstr(text.buf, "pids");
}

/* systemd marks what it gave away; where it runs it is the only one that may make other groups. */
static bool is_delegated(const char *path)
{
	char value[8];

	return getxattr(path, "user.delegate", value, sizeof(value)) > 0 ||
	       getxattr(path, "trusted.delegate", value, sizeof(value)) > 0;
}

static bool systemd_runs(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

static int open_with_controllers(const char *path)
{
	int fd = is_delegated(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0 && !has_controllers(fd)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/*
 * Our own group cannot have both processes and children with limits, so for those it is usually the one
 * above. Without limits it can, and is ours to divide when it was given to us or when nobody manages them.
 */
static int open_parent(bool *limits)
{
	char own[2 * PATH_MAX], *slash;
	int fd;

	if (!own_path(own, sizeof(own)))
		return -1;
	fd = open_with_controllers(own);
	if (fd < 0 && (slash = strrchr(own, '/')) && slash != own) {
		*slash = 0;
		fd = open_with_controllers(own);
		*slash = '/';
	}
	*limits = fd >= 0;
	if (fd < 0 && (is_delegated(own) || !systemd_runs()))
		fd = open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd;
}

static void set_limits(int fd, int64_t memory_bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", MAX_PROCESSES);
	put(fd, "pids.max", text);
	if (memory_bytes <= 0)
		return;
	snprintf(text, sizeof(text), "%lld", (long long)memory_bytes);
	put(fd, "memory.max", text);
	put(fd, "memory.swap.max", "0"); /* absent without swap */
}

/* Two state directories on one machine both have a job 1.1. */
static int set_name(struct cgroup *g, int attempt_dirfd, const char *id)
{
	struct stat st;

	if (fstat(attempt_dirfd, &st) < 0)
		return -errno;
	snprintf(g->name, sizeof(g->name), "kexec-job-%.40s-%jx-%jx", id, (uintmax_t)st.st_dev,
		(uintmax_t)st.st_ino);
	return 0;
}

void cgroup_make(struct cgroup *g, int attempt_dirfd, const char *id, int64_t memory_bytes)
{
	*g = (struct cgroup){.parent = -1, .fd = -1};
	if (set_name(g, attempt_dirfd, id) < 0)
		return;
	g->parent = open_parent(&g->limits);
	if (g->parent < 0)
		return;
	if (mkdirat(g->parent, g->name, 0755) == 0 || errno == EEXIST)
		g->fd = io_open_dir(g->parent, g->name);
	if (g->fd >= 0 && g->limits)
		set_limits(g->fd, memory_bytes);
}

void cgroup_enter(const struct cgroup *g)
{
	if (g->fd > 0)
		put(g->fd, "cgroup.procs", "0");
}

long cgroup_oom_kills(const struct cgroup *g)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	const char *line;

	if (g->fd <= 0 || io_read(g->fd, "memory.events", TEXT_MAX, &text) < 0)
		return 0;
	line = strstr(text.buf, "oom_kill ");
	return line ? strtol(line + 9, NULL, 10) : 0;
}

void cgroup_kill(const struct cgroup *g)
{
	if (g->fd > 0)
		put(g->fd, "cgroup.kill", "1");
}

static bool is_empty(int events)
{
	char text[256];
	ssize_t n = pread(events, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = 0;
	return strstr(text, "populated 0") != NULL;
}

/* Those that were killed take a moment to go; the kernel tells when the last one has. */
static void wait_empty(const struct cgroup *g)
{
	AUTO_FD int events = openat(g->fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	int64_t until = clock_boot_ns() + EMPTY_NS, left;

	while (events >= 0 && !is_empty(events) && (left = until - clock_boot_ns()) > 0) {
		struct pollfd p = {.fd = events, .events = POLLPRI};

		poll(&p, 1, (int)(left / NS_PER_MS) + 1);
	}
}

void cgroup_remove(struct cgroup *g)
{
	if (g->fd > 0) {
		wait_empty(g);
		close(g->fd);
		unlinkat(g->parent, g->name, AT_REMOVEDIR);
	}
	if (g->parent > 0)
		close(g->parent);
	g->fd = g->parent = -1;
}

void cgroup_forget(int attempt_dirfd, const char *id)
{
	struct cgroup g = {.parent = -1, .fd = -1};

	if (set_name(&g, attempt_dirfd, id) < 0)
		return;
	g.parent = open_parent(&g.limits);
	if (g.parent >= 0)
		g.fd = io_open_dir(g.parent, g.name);
	cgroup_kill(&g);
	cgroup_remove(&g);
}
