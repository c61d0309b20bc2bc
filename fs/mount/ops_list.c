/* Listing directories. */
#include <errno.h>
#include <stdlib.h>

#include "fs/mount/nodes.h"
#include "fs/mount/ops_private.h"

struct listing {
	fuse_req_t req;
	const struct call *c;
	char *buf;
	size_t size, used;
	bool plus;
	uint64_t dir;  /* inode of the directory */
	bool passing;  /* its names are those of a generation that another one will follow */
};

/* Cookies 1 and 2 are `.` and `..`; children of synthetic directories follow, backing cookies are
 * larger than that by themselves. */
#define DOT     1
#define DOT_DOT 2

static int add(struct listing *l, const char *name, const struct fuse_entry_param *e, off_t cookie)
{
	char *at = l->buf + l->used;
	size_t room = l->size - l->used;
	size_t n = l->plus ? fuse_add_direntry_plus(l->req, at, room, name, e, cookie) :
		fuse_add_direntry(l->req, at, room, name, &e->attr, cookie);

	if (n > room)
		return 1;
	l->used += n;
	return 0;
}

static int add_dot(struct listing *l, const char *name, uint64_t ino, off_t cookie)
{
	struct fuse_entry_param e = {.attr = {.st_ino = ino, .st_mode = S_IFDIR}};

	return add(l, name, &e, cookie);
}

static int add_synthetic(void *arg, const char *name, struct ref child, int64_t cookie, struct child_facts facts)
{
	struct listing *l = arg;
	struct fuse_entry_param e = {.ino = ref_ino(child), .attr = {.st_ino = ref_ino(child)}};

	e.attr.st_mode = tree[child.row].mode;
	/* One that has vanished between listing and stat is simply left out. */
	if (l->plus && entry_of(l->c, child, l->dir, facts, &e) != 0)
		return 0;
	return add(l, name, &e, cookie + DOT_DOT);
}

static int add_file(void *arg, const char *name, const struct stat *st, off_t cookie)
{
	struct listing *l = arg;
	struct file_entry f = {.stat = *st};
	struct fuse_entry_param e = {.attr = *st};

	if (l->plus) {
		if (nodes_take(l->c->mount, l->dir, name, &f.ino) != 0)
			return 1;
		entry_of_file(&f, &e);
		if (l->passing)
			e.entry_timeout = 0;
	}
	int full = add(l, name, &e, cookie);

	if (full && l->plus)
		files_forget(l->c->mount, f.ino, 1); /* the kernel never heard of it */
	return full;
}

static int list_children(struct listing *l, off_t off)
{
	if (off < DOT && add_dot(l, ".", l->dir, DOT) != 0)
		return 0;
	uint64_t up = is_stored(l->dir) ? NODE_ROOT_INO : walk_parent_ino(ino_ref(l->dir));

	if (off < DOT_DOT && add_dot(l, "..", up, DOT_DOT) != 0)
		return 0;
	off = off > DOT_DOT ? off : 0;
	if (in_tree(l->dir))
		return files_list(l->c, l->dir, off, add_file, l);
	return walk_list(l->c, ino_ref(l->dir), off ? off - DOT_DOT : 0, add_synthetic, l);
}

/* `generation`: what op_opendir() saw. */
static void list_dir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus, uint64_t generation)
{
	struct call c = call_of(req);
	struct listing l = {.req = req, .c = &c, .size = size, .plus = plus, .buf = malloc(size)};
	int r = l.buf ? known(ino) : -ENOMEM;

	if (r == 0) {
		l.passing = is_brought(ino);
		l.dir = generation_of(ino, (unsigned)generation);
	}

	if (r == 0)
		r = list_children(&l, off);
	if (r != 0)
		reply_err(req, r);
	else
		fuse_reply_buf(req, l.buf, l.used);
	free(l.buf);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list_dir(req, ino, size, off, false, fi->fh);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	list_dir(req, ino, size, off, true, fi->fh);
}
