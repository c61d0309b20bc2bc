#include "fs/base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/io_dir.h"
#include "fs/base/strbuf.h"

#define MAX_WALK_DEPTH 1000 /* io_walk() recurses */
#define MAX_REFILLS    100000
#define MAX_PENDING    ((size_t)4 << 20) /* bytes of names kept from one reading of a directory */

/*
 * Removing. No recursion and one open directory. Entering one unlinks its files and pushes the
 * names of its subdirectories; on the stack each level is an empty name (the directory we are in,
 * whose own name lies below) and what is left to do in it above. Directories are not tried with
 * rmdir before: for a full one that costs the kernel a walk over all it has cached below.
 */
struct remover {
	struct io_dir dir;
	struct strbuf stack; /* names, each with its NUL */
	int refills;         /* directories somebody filled while we emptied them */
};

static int push(struct remover *r, const char *name)
{
	return strbuf_add(&r->stack, name, strlen(name) + 1);
}

static size_t top(const struct remover *r)
{
	size_t at = r->stack.len - 1;

	while (at > 0 && r->stack.buf[at - 1] != '\0')
		at--;
	return at;
}

static void pop(struct remover *r)
{
	strbuf_truncate(&r->stack, top(r));
}

/* A file is gone afterwards, what may be a directory is on the stack. */
static int remove_or_push(struct remover *r, const char *name, bool directory)
{
	if (directory)
		return push(r, name);
	if (unlinkat(r->dir.fd, name, 0) == 0 || errno == ENOENT)
		return 0;
	/* EPERM is also for directories; for other things entering will tell. */
	return errno == EISDIR || errno == EPERM ? push(r, name) : -errno;
}

static int remove_listed(struct remover *r, DIR *dir)
{
	size_t before = r->stack.len;
	int err = 0;

	/* What is left out here is found when the directory turns out not to be empty. */
	while (err == 0 && r->stack.len - before < MAX_PENDING) {
		const struct dirent *e;

		errno = 0;
		e = readdir(dir);
		if (!e)
			return -errno;
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			err = remove_or_push(r, e->d_name, e->d_type == DT_DIR);
	}
	return err;
}

static int remove_content(struct remover *r)
{
	int own = openat(r->dir.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	int err;

	if (!dir) {
		err = -errno;
		if (own >= 0)
			close(own);
		return err;
	}
	err = remove_listed(r, dir);
	closedir(dir);
	return err;
}

/* The directory on top of the stack, or what has taken its place since it was listed. */
static int enter(struct remover *r)
{
	const char *name = r->stack.buf + top(r);
	int err = io_dir_down(&r->dir, name, true);

	if (err == -ENOTDIR || err == -ELOOP)
		err = unlinkat(r->dir.fd, name, 0) ? -errno : -ENOENT;
	if (err == -ENOENT) {
		pop(r);
		return 0;
	}
	if (err == 0)
		err = push(r, "");
	return err ? err : remove_content(r);
}

/* Everything in it is done. Where somebody has filled it meanwhile its name stays and is entered
 * again. */
static int leave(struct remover *r)
{
	int err = io_dir_up(&r->dir);

	if (err)
		return err;
	pop(r);
	if (unlinkat(r->dir.fd, r->stack.buf + top(r), AT_REMOVEDIR) == 0 || errno == ENOENT)
		pop(r);
	else if ((errno != ENOTEMPTY && errno != EEXIST) || ++r->refills > MAX_REFILLS)
		return -errno;
	return 0;
}

static int remove_below(struct remover *r, const char *name)
{
	int err = remove_or_push(r, name, false);

	while (err == 0 && r->stack.len > 0)
		err = r->stack.buf[top(r)] == '\0' ? leave(r) : enter(r);
	return err;
}

int io_remove_tree(int dirfd, const char *name)
{
	struct remover r = {.dir = IO_DIR_INIT};
	const char *base;
	int err = io_open_parent(dirfd, name, &base);

	if (err < 0)
		return err == -ENOENT ? 0 : err;
	r.dir.fd = err;
	strbuf_init(&r.stack, (size_t)1 << 30);
	err = remove_below(&r, base);
	io_dir_finish(&r.dir);
	strbuf_release(&r.stack);
	return err;
}

/* Walking. */
struct walker {
	struct io_dir dir;
	struct strbuf path;
	size_t max_depth;
	int (*visit)(void *arg, const struct io_entry *entry);
	void *arg;
};

static int walk_here(struct walker *w);

static int walk_entry(struct walker *w, const char *name)
{
	struct io_entry entry;
	struct stat st;
	int r;

	if (fstatat(w->dir.fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno; /* gone since it was listed */
	entry = (struct io_entry){
		.path = w->path.buf,
		.mode = st.st_mode,
		.size = st.st_size,
		.mtime_ns = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec,
		.ino = st.st_ino,
	};
	r = w->visit(w->arg, &entry);
	if (r || !S_ISDIR(st.st_mode))
		return r;
	r = io_dir_down(&w->dir, name, false);
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0; /* replaced since it was listed */
	if (r)
		return r;
	r = walk_here(w);
	return r ? r : io_dir_up(&w->dir);
}

static int walk_here(struct walker *w)
{
	AUTO_BUF struct strbuf names = STRBUF_INIT;
	AUTO_FREE const char **list = NULL;
	size_t count, before = w->path.len;
	int r = io_dir_list(w->dir.fd, &names, &list, &count);

	if (r == 0 && count > 0 && w->dir.depth >= w->max_depth)
		return -ELOOP;
	for (size_t i = 0; i < count && r == 0; i++) {
		if (before > 0)
			strbuf_addch(&w->path, '/');
		r = strbuf_adds(&w->path, list[i]);
		if (r == 0)
			r = walk_entry(w, list[i]);
		strbuf_truncate(&w->path, before);
	}
	return r;
}

int io_walk(int dirfd, const char *name, int max_depth,
	int (*visit)(void *arg, const struct io_entry *entry), void *arg)
{
	struct walker w = {.path = STRBUF_INIT, .dir = IO_DIR_INIT, .visit = visit, .arg = arg};
	int r;

	if (max_depth < 1)
		return -EINVAL;
	w.max_depth = max_depth < MAX_WALK_DEPTH ? (size_t)max_depth : MAX_WALK_DEPTH;
	r = io_dir_start(&w.dir, dirfd, name);
	if (r == 0)
		r = walk_here(&w);
	io_dir_finish(&w.dir);
	strbuf_release(&w.path);
	return r;
}
