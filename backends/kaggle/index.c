/*
 * From a version of a kernel to its attempt: state/kaggle/<owner>,<slug>,v<N> is a link to the directory
 * (a comma stands in no name of Kaggle's). poll() and purge() are given the remote id only.
 */
#include "backends/kaggle/kaggle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/kaggle/slug.h"
#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/io.h"
#include "fs/base/io_dir.h"
#include "fs/base/strbuf.h"

#define FOLDER   "kaggle"
#define NAME_LEN (KAGGLE_NAME_MAX + 24)

int index_open(int state_dirfd)
{
	if (mkdirat(state_dirfd, FOLDER, 0700) < 0 && errno != EEXIST)
		return -errno;
	return io_open_dir(state_dirfd, FOLDER);
}

/* "owner/slug/v3" and "owner,slug,v3". */
static int other_name(const char *from, char old, char new, char out[NAME_LEN])
{
	size_t len = strlen(from);

	if (len >= NAME_LEN)
		return -EINVAL;
	for (size_t i = 0; i <= len; i++)
		out[i] = from[i] == old ? new : from[i];
	return 0;
}

static int link_name(const char *remote_id, char out[NAME_LEN])
{
	struct kaggle_remote remote;
	int err = kaggle_remote_parse(remote_id, &remote);

	return err ? err : other_name(remote_id, '/', ',', out);
}

int index_put(const struct backend_conn *c, const char *remote_id, const char *directory)
{
	char name[NAME_LEN], temporary[NAME_LEN + 8], there[PATH_MAX];
	int err = link_name(remote_id, name);
	ssize_t n;

	if (err || c->state < 0)
		return err;
	n = readlinkat(c->state, name, there, sizeof(there) - 1);
	if (n > 0 && (size_t)n == strlen(directory) && memcmp(there, directory, (size_t)n) == 0)
		return 0;
	err = fault_point("kaggle.index");
	if (err)
		return err;
	snprintf(temporary, sizeof(temporary), ".%s.new", name);
	unlinkat(c->state, temporary, 0);
	if (symlinkat(directory, c->state, temporary) < 0 || renameat(c->state, temporary, c->state, name) < 0)
		return -errno;
	return io_fsync_dir(c->state);
}

static int open_link(int state, const char *name)
{
	char path[PATH_MAX];
	ssize_t n = readlinkat(state, name, path, sizeof(path) - 1);
	int fd;

	if (n < 0)
		return -errno;
	path[n] = '\0';
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int index_find(const struct backend_conn *c, const char *remote_id)
{
	char name[NAME_LEN];
	int err = link_name(remote_id, name);

	if (err)
		return err;
	return c->state < 0 ? -ENOENT : open_link(c->state, name);
}

int index_remove(const struct backend_conn *c, const char *remote_id)
{
	char name[NAME_LEN];
	int err = link_name(remote_id, name);

	if (err || c->state < 0)
		return err;
	return unlinkat(c->state, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int visit_one(const struct backend_conn *c, const char *name,
	int (*visit)(void *arg, const char *remote_id, const struct kaggle_record *r), void *arg)
{
	char remote_id[NAME_LEN];
	struct kaggle_remote remote;
	struct kaggle_record r;
	int result = 0;

	if (other_name(name, ',', '/', remote_id) || kaggle_remote_parse(remote_id, &remote))
		return 0; /* the ledger, marks of data sets, a temporary name */
	AUTO_FD int dirfd = open_link(c->state, name);

	if (dirfd >= 0 && record_read(dirfd, &r) == 0) {
		result = visit(arg, remote_id, &r);
		record_release(&r);
	}
	return result;
}

int index_each(const struct backend_conn *c,
	int (*visit)(void *arg, const char *remote_id, const struct kaggle_record *r), void *arg)
{
	AUTO_BUF struct strbuf names = STRBUF_INIT;
	AUTO_FREE const char **list = NULL;
	size_t count = 0;
	int err = c->state < 0 ? 0 : io_dir_list(c->state, &names, &list, &count);

	for (size_t i = 0; i < count && !err; i++)
		err = visit_one(c, list[i], visit, arg);
	return err;
}
