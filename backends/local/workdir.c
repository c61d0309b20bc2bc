#include "backends/local/workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/backend.h"
#include "backends/local/attempt.h"
#include "backends/local/beneath.h"
#include "backends/local/script.h"
#include "backends/local/user.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/notebook/ipynb.h"

#define LIST_MAX ((size_t)512 << 20)

static const unsigned char driver[] = {
#include "local_driver.inc"
};

/* ---- work.list: "size mtime inode type path\0" an entry ---- */

struct work_entry {
	int64_t size, mtime_ns;
	uint64_t ino;
	unsigned type; /* S_IFMT */
	const char *path;
};

struct work_list {
	struct strbuf text;
	struct work_entry *entries; /* by path */
	size_t count;
};

static int list_entry(void *arg, const struct io_entry *e)
{
	struct strbuf *out = arg;

	strbuf_addf(out, "%" PRId64 " %" PRId64 " %" PRIu64 " %o %s", e->size, e->mtime_ns, e->ino,
		(unsigned)(e->mode & S_IFMT), e->path);
	return strbuf_addch(out, '\0');
}

static int write_list(int dirfd)
{
	struct strbuf text;
	int err;

	strbuf_init(&text, LIST_MAX);
	err = io_walk(dirfd, ATTEMPT_WORK, WORK_MAX_DEPTH, list_entry, &text);
	if (!err)
		err = io_write_atomic(dirfd, ATTEMPT_LIST, text.buf, text.len, 0600);
	strbuf_release(&text);
	return err;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct work_entry *)a)->path, ((const struct work_entry *)b)->path);
}

static int parse_list(struct work_list *list)
{
	size_t cap = 0;

	for (size_t i = 0; i < list->text.len; i++)
		cap += !list->text.buf[i];
	list->entries = calloc(cap + 1, sizeof(*list->entries));
	if (!list->entries)
		return -ENOMEM;
	for (char *at = list->text.buf; list->count < cap; at += strlen(at) + 1) {
		struct work_entry *e = &list->entries[list->count++];
		int n = 0;

		if (sscanf(at, "%" SCNd64 " %" SCNd64 " %" SCNu64 " %o %n", &e->size, &e->mtime_ns,
			    &e->ino, &e->type, &n) < 4 || !n)
			return -EBADMSG;
		e->path = at + n;
	}
	qsort(list->entries, list->count, sizeof(*list->entries), by_path);
	return 0;
}

int work_list_load(int dirfd, struct work_list **out)
{
	struct work_list *list = calloc(1, sizeof(*list));
	int err;

	*out = NULL;
	if (!list)
		return -ENOMEM;
	strbuf_init(&list->text, LIST_MAX);
	err = io_read(dirfd, ATTEMPT_LIST, LIST_MAX, &list->text);
	if (!err || err == -ENOENT)
		err = parse_list(list);
	if (err) {
		work_list_free(list);
		return err;
	}
	*out = list;
	return 0;
}

void work_list_free(struct work_list *list)
{
	if (!list)
		return;
	free(list->entries);
	strbuf_release(&list->text);
	free(list);
}

bool work_list_same(const struct work_list *list, const struct io_entry *entry)
{
	const struct work_entry key = {.path = entry->path}, *e;

	e = bsearch(&key, list->entries, list->count, sizeof(key), by_path);
	if (!e || e->type != (entry->mode & S_IFMT))
		return false;
	/* A directory changes with every file in it; it counts as new only where it was not there. */
	return S_ISDIR(entry->mode) || (e->size == entry->size && e->mtime_ns == entry->mtime_ns &&
						e->ino == entry->ino);
}

/* ---- handing files to the job's user ---- */

struct owner {
	int dirfd;
	const struct job_user *user;
};

static int give_entry(void *arg, const struct io_entry *e)
{
	const struct owner *o = arg;

	if (fchownat(o->dirfd, e->path, o->user->uid, o->user->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int give_tree(int dirfd, const char *name, const struct job_user *user)
{
	AUTO_FD int fd = io_open_dir(dirfd, name);
	struct owner o = {fd, user};

	if (fd < 0)
		return fd;
	if (!user->drop)
		return 0;
	if (fchown(fd, user->uid, user->gid) < 0)
		return -errno;
	return io_walk(dirfd, name, WORK_MAX_DEPTH, give_entry, &o);
}

static int give_file(int dirfd, const char *name, const struct job_user *user)
{
	if (user->drop && fchownat(dirfd, name, user->uid, user->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

/* ---- box/ ---- */

static int make_box(int dirfd, const struct job_user *user)
{
	int err = 0;

	if (mkdirat(dirfd, ATTEMPT_BOX, 0755) < 0 || mkdirat(dirfd, ATTEMPT_BOX "/home", 0700) < 0 ||
		mkdirat(dirfd, ATTEMPT_BOX "/tmp", 0700) < 0)
		return -errno;
	/* The daemon's umask is not ours to choose; the job's user must be able to enter. */
	if (fchmodat(dirfd, ATTEMPT_BOX, 0755, 0) < 0 || fchmodat(dirfd, ATTEMPT_BOX "/tmp", 01777, 0) < 0)
		return -errno;
	err = give_file(dirfd, ATTEMPT_BOX "/home", user);
	return err ? err : give_file(dirfd, ATTEMPT_BOX "/tmp", user);
}

/* The daemon may be root and the folder anybody's: links on the way to the notebook are not followed. */
static int read_main(const struct job *job, struct strbuf *out, struct why *why)
{
	AUTO_FD int source = open(job->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const char *base;
	int err = source < 0 ? -errno : 0;
	AUTO_FD int parent = err ? -1 : beneath_parent(source, job->main, &base);

	if (!err)
		err = parent < 0 ? parent : io_read(parent, base, IPYNB_MAX_BYTES, out);
	return err ? why_set(why, -err, _("%s cannot be read: %s"), job->main, strerror(-err)) : 0;
}

/* The notebook with its parameters put in. A damaged one is the job's fault: -EINVAL. */
static int write_notebook(int box, const struct job *job, struct why *why)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT, out = STRBUF_INIT;
	struct ipynb *nb;
	int err = read_main(job, &text, why);

	if (err)
		return err;
	nb = ipynb_parse(text.buf, text.len, why);
	if (!nb)
		return -EINVAL;
	err = job->parameters ? ipynb_inject(nb, job->parameters, why) : 0;
	if (!err)
		err = ipynb_ensure_kernel(nb);
	if (!err)
		err = ipynb_print(nb, &out);
	ipynb_free(nb);
	return err ? err : io_write_atomic(box, "notebook.ipynb", out.buf, out.len, 0644);
}

/* start.sh holds the user's env, so nobody but the job's user reads it. */
static int write_start(int box, const struct job *job, const struct sandbox *sandbox,
	const struct job_user *user, const struct sandbox_job *place, const char *python)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int err = script_print(job, sandbox, user, place, python, &text);

	if (!err)
		err = io_write_atomic(box, "start.sh", text.buf, text.len, 0400);
	return err ? err : give_file(box, "start.sh", user);
}

static int fill_box(int dirfd, const struct job *job, const struct sandbox *sandbox,
	const struct job_user *user, const struct sandbox_job *place, const char *python,
	struct why *why)
{
	AUTO_FD int box = io_open_dir(dirfd, ATTEMPT_BOX);
	int err;

	if (box < 0)
		return box;
	if (!strcmp(job->kind, "notebook")) {
		err = io_write_atomic(box, "driver.py", driver, sizeof(driver), 0644);
		if (!err)
			err = write_notebook(box, job, why);
		if (err)
			return err;
	}
	return write_start(box, job, sandbox, user, place, python);
}

/* ---- all of it ---- */

static int copy_source(int dirfd, const struct job *job, const struct job_user *user, struct why *why)
{
	int err = io_copy_tree(AT_FDCWD, job->source, dirfd, ATTEMPT_WORK, why);

	if (!err && fchmodat(dirfd, ATTEMPT_WORK, 0755, 0) < 0)
		err = -errno;
	return err ? err : give_tree(dirfd, ATTEMPT_WORK, user);
}

int workdir_prepare(int dirfd, const struct job *job, const struct sandbox *sandbox,
	const struct job_user *user, const struct sandbox_job *place, const char *python,
	struct why *why)
{
	int err;

	workdir_remove(dirfd);
	err = copy_source(dirfd, job, user, why);
	if (!err)
		err = write_list(dirfd);
	if (!err)
		err = make_box(dirfd, user);
	if (!err)
		err = fill_box(dirfd, job, sandbox, user, place, python, why);
	if (err && why && !why->err)
		why_set(why, -err, _("The working directory could not be made: %s"), strerror(-err));
	return err;
}

void workdir_remove(int dirfd)
{
	io_remove_tree(dirfd, ATTEMPT_WORK);
	io_remove_tree(dirfd, ATTEMPT_BOX);
	io_remove_tree(dirfd, ATTEMPT_LIST);
}
