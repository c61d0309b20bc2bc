#include "backends/local/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"

#define MAX_PROCESSES 4096
#define TEXT_MAX      (1 << 20)

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

/* systemd marks what it gave away; anywhere else it is the only one that may make groups. */
static bool is_delegated(const char *path)
{
	char value[8];

	return getxattr(path, "user.delegate", value, sizeof(value)) > 0 ||
	       getxattr(path, "trusted.delegate", value, sizeof(value)) > 0;
}

/* Our own group cannot have both processes and children with limits, so usually it is the one above. */
static int open_parent(void)
{
	char path[2 * PATH_MAX];

	if (!own_path(path, sizeof(path)))
		return -1;
	for (int level = 0; level < 2; level++) {
		char *slash = strrchr(path, '/');
		int fd;

		if (is_delegated(path)) {
			fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (fd >= 0 && has_controllers(fd))
				return fd;
			if (fd >= 0)
				close(fd);
		}
		if (!slash || slash == path)
			return -1;
		*slash = 0;
	}
	return -1;
}

static int set_limits(int fd, int64_t memory_bytes)
{
	char text[32];
	int err;

	snprintf(text, sizeof(text), "%d", MAX_PROCESSES);
	err = put(fd, "pids.max", text);
	if (err || memory_bytes <= 0)
		return err;
	snprintf(text, sizeof(text), "%lld", (long long)memory_bytes);
	err = put(fd, "memory.max", text);
	put(fd, "memory.swap.max", "0"); /* absent without swap */
	return err;
}

void cgroup_make(struct cgroup *g, const char *id, int64_t memory_bytes)
{
	g->fd = -1;
	g->parent = open_parent();
	if (g->parent < 0)
		return;
	snprintf(g->name, sizeof(g->name), "kexec-job-%s", id);
	if (mkdirat(g->parent, g->name, 0755) == 0 || errno == EEXIST)
		g->fd = io_open_dir(g->parent, g->name);
	if (g->fd >= 0 && set_limits(g->fd, memory_bytes) < 0)
		cgroup_remove(g);
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

void cgroup_remove(struct cgroup *g)
{
	if (g->fd > 0) {
		close(g->fd);
		unlinkat(g->parent, g->name, AT_REMOVEDIR);
	}
	if (g->parent > 0)
		close(g->parent);
	g->fd = g->parent = -1;
}
