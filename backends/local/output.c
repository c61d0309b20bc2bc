#include "backends/local/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/local/attempt.h"
#include "backends/local/beneath.h"
#include "backends/local/workdir.h"
#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define MAX_PRUNES 1000 /* branches that are too deep, removed one by one */

/* ---- paths in trees that a job made ---- */

/* Every directory on the way to path, below root. */
static int make_parents(int root, const char *path)
{
	char part[PATH_MAX];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		const char *base;

		if ((size_t)(slash - path) >= sizeof(part))
			return -ENAMETOOLONG;
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		AUTO_FD int dir = beneath_parent(root, part, &base);

		if (dir < 0)
			return dir;
		if (mkdirat(dir, base, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

/* ---- what is taken ---- */

struct collector {
	int work, part; /* descriptors of work/ and output.part/ */
	const struct work_list *before;
	char deepest[WORK_MAX_PATH + NAME_MAX + 2]; /* visited last: where a walk that is too deep was */
};

/* Left by Python and Jupyter themselves, of no use to anybody. */
static bool is_litter(const char *path)
{
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += *at == '/';
		size_t n = strcspn(at, "/");

		if ((n == 11 && !strncmp(at, "__pycache__", n)) ||
			(n == 18 && !strncmp(at, ".ipynb_checkpoints", n)))
			return true;
	}
	return false;
}

/* Does a link at path stay below the root? ".." only in front: behind a name that is itself a link it
 * would go up from somewhere else. */
static bool link_stays(const char *path, const char *target)
{
	int depth = 0;
	bool down = false;

	for (const char *p = path; *p; p++)
		depth += *p == '/';
	if (!*target || *target == '/')
		return false;
	for (const char *at = target; *at; at += strspn(at, "/")) {
		size_t n = strcspn(at, "/");
		bool up = n == 2 && !strncmp(at, "..", 2);

		if (up && (down || --depth < 0))
			return false;
		down = down || (!up && !(n == 1 && *at == '.'));
		at += n;
	}
	return true;
}

static bool link_is_harmless(const struct collector *c, const char *path)
{
	char target[PATH_MAX];
	const char *base;
	AUTO_FD int dir = beneath_parent(c->work, path, &base);
	ssize_t n = dir < 0 ? -1 : readlinkat(dir, base, target, sizeof(target) - 1);

	if (n < 0)
		return false;
	target[n] = 0;
	return link_stays(path, target);
}

static int move(const struct collector *c, const char *path)
{
	const char *base, *to_base;
	AUTO_FD int from = beneath_parent(c->work, path, &base);
	int err = from < 0 ? from : fault_point("local.output.move");

	if (!err)
		err = make_parents(c->part, path);
	if (err)
		return err;
	AUTO_FD int to = beneath_parent(c->part, path, &to_base);

	if (to < 0)
		return to;
	return renameat(from, base, to, to_base) < 0 ? -errno : 0;
}

static int take_directory(const struct collector *c, const struct io_entry *e)
{
	const char *base;
	AUTO_FD int in = beneath_parent(c->work, e->path, &base);
	int err = 0;

	/* The walk goes down next, and a rename needs w and x. */
	if (in >= 0 && (e->mode & 0700) != 0700 && fchmodat(in, base, 0755, 0) < 0)
		return -errno;
	if (work_list_same(c->before, e) || is_litter(e->path))
		return 0;
	err = make_parents(c->part, e->path);
	if (err)
		return err;
	AUTO_FD int to = beneath_parent(c->part, e->path, &base);

	if (to < 0)
		return to;
	return mkdirat(to, base, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int take_entry(void *arg, const struct io_entry *e)
{
	struct collector *c = arg;

	if (strlen(e->path) > WORK_MAX_PATH) {
		snprintf(c->deepest, sizeof(c->deepest), "%s", e->path);
		return -ELOOP;
	}
	snprintf(c->deepest, sizeof(c->deepest), "%s", e->path);
	if (S_ISDIR(e->mode))
		return take_directory(c, e);
	if (is_litter(e->path) || work_list_same(c->before, e))
		return 0;
	if (S_ISREG(e->mode) || (S_ISLNK(e->mode) && link_is_harmless(c, e->path)))
		return move(c, e->path);
	return 0; /* sockets, FIFOs, links that lead out */
}

/* Remove the branch of work/ that goes down too far: from half the allowed depth on. */
static int prune(const struct collector *c)
{
	char path[sizeof(c->deepest)];
	int depth = 0;
	size_t i;

	for (i = 0; i < WORK_MAX_PATH / 2 && c->deepest[i]; i++)
		if (c->deepest[i] == '/' && ++depth == WORK_MAX_DEPTH / 2)
			break;
	while (c->deepest[i] && c->deepest[i] != '/')
		i++;
	snprintf(path, sizeof(path), "%.*s", (int)i, c->deepest);
	return io_remove_tree(c->work, path);
}

static int take_all(struct collector *c, int dirfd)
{
	int err = -ELOOP;

	for (int i = 0; i < MAX_PRUNES && err == -ELOOP; i++) {
		c->deepest[0] = 0;
		err = io_walk(dirfd, ATTEMPT_WORK, WORK_MAX_DEPTH, take_entry, c);
		if (err == -ELOOP && prune(c) < 0)
			break;
	}
	return err;
}

/* ---- the executed notebook ---- */

static int take_executed(int dirfd, int part, const char *main)
{
	struct stat st;
	const char *base;
	int err;

	if (fstatat(dirfd, ATTEMPT_BOX "/" BOX_HOME, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	if (fstatat(dirfd, ATTEMPT_BOX "/" BOX_EXECUTED, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISREG(st.st_mode))
		return 0;
	err = make_parents(part, main);
	if (err)
		return err;
	AUTO_FD int to = beneath_parent(part, main, &base);

	if (to < 0)
		return to;
	if (fstatat(to, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
		io_remove_tree(to, base);
	return renameat(dirfd, ATTEMPT_BOX "/" BOX_EXECUTED, to, base) < 0 ? -errno : 0;
}

/* ---- making it ours ---- */

/* Owner first: chown clears set-user-ID, and what is left of the mode is set after it. */
static int sanitise(void *arg, const struct io_entry *e)
{
	int part = *(int *)arg;
	const char *base;
	char proc[40];
	AUTO_FD int dir = beneath_parent(part, e->path, &base);
	AUTO_FD int fd = dir < 0 ? -1 : openat(dir, base, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return dir < 0 ? dir : -errno;
	if (geteuid() == 0 && fchownat(fd, "", 0, 0, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (S_ISLNK(e->mode))
		return 0;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return chmod(proc, S_ISDIR(e->mode) ? 0755 : 0644 | (e->mode & 0111)) < 0 ? -errno : 0;
}

/* One syncfs instead of an fsync for each of what may be thousands of files. */
static int publish(int dirfd, int part)
{
	int err = fault_point("local.output.sync");

	if (!err && syncfs(part) < 0)
		err = -errno;
	if (!err)
		err = fault_point("local.output.rename");
	if (!err && renameat(dirfd, ATTEMPT_PART, dirfd, ATTEMPT_OUTPUT) < 0)
		err = -errno;
	return err ? err : io_fsync_dir(dirfd);
}

static int collect(int dirfd, int part, const char *main, const struct work_list *before)
{
	struct collector c = {.part = part, .before = before};
	struct stat st;
	int err = 0;

	if (fstatat(dirfd, ATTEMPT_WORK, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		AUTO_FD int work = io_open_dir(dirfd, ATTEMPT_WORK);

		c.work = work;
		err = work < 0 ? work : take_all(&c, dirfd);
	}
	if (!err)
		err = fault_point("local.output.executed");
	if (!err)
		err = take_executed(dirfd, part, main);
	if (!err)
		err = io_walk(dirfd, ATTEMPT_PART, WORK_MAX_DEPTH + 1, sanitise, &part);
	return err ? err : publish(dirfd, part);
}

int output_collect(int dirfd, const char *main, struct why *why)
{
	struct work_list *before = NULL;
	struct stat st;
	int err = 0;

	if (fstatat(dirfd, ATTEMPT_OUTPUT, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		err = work_list_load(dirfd, &before);
		if (!err && mkdirat(dirfd, ATTEMPT_PART, 0755) < 0 && errno != EEXIST)
			err = -errno;
		AUTO_FD int part = err ? -1 : io_open_dir(dirfd, ATTEMPT_PART);

		if (!err)
			err = part < 0 ? part : collect(dirfd, part, main, before);
		work_list_free(before);
	}
	if (err)
		return why_set(why, -err, _("The output could not be collected: %s"), strerror(-err));
	err = fault_point("local.output.remove");
	if (!err)
		workdir_remove(dirfd);
	return err;
}
