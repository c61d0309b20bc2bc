/* The table of operations; looking up, and attributes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/mount/event.h"
#include "fs/mount/ops_private.h"

#define LONG 86400.0 /* seconds: what changes only through the mount, or is invalidated exactly */

/* How long the kernel may believe the attributes. What a run's state changes is asked for each time; the
 * directories of runs are invalidated by event.c. */
static double attr_timeout(uint64_t ino)
{
	return is_stored(ino) || (row_of(ino)->flags & NODE_STABLE) ? LONG : 0;
}

/* And a name. Those that come and go with a run's state, drafts, and what is listed in a second place
 * (status/) are asked for each time. */
static double name_timeout(uint64_t ino, uint64_t parent, struct child_facts facts)
{
	const struct node *n = row_of(ino);

	if (facts.unsettled)
		return 0;
	if (n->flags & NODE_STABLE)
		return LONG;
	return S_ISREG(n->mode) && !n->shown && ino_ref(parent).row == n->parent ? LONG : 0;
}

struct child_facts facts_of(const struct call *c, struct ref r)
{
	return (struct child_facts){.unsettled = tree[r.row].unsettled && tree[r.row].unsettled(c, r)};
}

static int stat_node(const struct call *c, uint64_t ino, int64_t mtime_ns, struct stat *st)
{
	int r = known(ino);

	if (r != 0)
		return r;
	if (in_tree(ino) && !is_brought(ino))
		return files_getattr(c, ino, st);
	return walk_stat(c, ino_ref(ino), mtime_ns, st);
}

int entry_of(const struct call *c, struct ref r, uint64_t parent, struct child_facts facts, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = ref_ino(r);
	int rc = stat_node(c, e->ino, facts.mtime_ns, &e->attr);

	e->entry_timeout = name_timeout(e->ino, parent, facts);
	e->attr_timeout = attr_timeout(e->ino);
	return rc;
}

void entry_of_file(const struct file_entry *f, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = f->ino;
	e->attr = f->stat;
	e->entry_timeout = e->attr_timeout = LONG;
}

/* The directory that has just gone, as it was. */
static int ghost_of(const struct call *c, struct fuse_entry_param *e)
{
	memset(e, 0, sizeof(*e));
	e->ino = atomic_load(&c->mount->shared->notifier_child);
	e->attr = (struct stat){.st_ino = e->ino, .st_mode = S_IFDIR | 0755, .st_nlink = 1, .st_uid = c->mount->uid,
		.st_gid = c->mount->gid};
	return e->ino ? 0 : -ENOENT;
}

static int look_up(const struct call *c, uint64_t parent, const char *name, struct fuse_entry_param *e)
{
	struct file_entry f;
	struct ref child;
	uint32_t doing;
	int r;

	if (strlen(name) > 255)
		return -ENAMETOOLONG;
	r = known(parent);
	if (r != 0)
		return r;
	if (in_tree(parent)) {
		r = files_lookup(c, generation_of(parent, object_generation(c, parent)), name, &f);
		if (r == 0)
			entry_of_file(&f, e);
		if (is_brought(parent))
			e->entry_timeout = 0; /* the next generation has others */
		return r;
	}
	r = walk_find(c, ino_ref(parent), name, &child);
	if (row_of(parent)->list && ino_ref(parent).row != N_ROOT && event_is_notifier(c, &doing)) {
		/* For the sake of those who watch, the notifier makes a directory that is already there, and takes
		 * away one that has gone. */
		if (doing == EVENT_APPEAR)
			return -ENOENT;
		if (doing == EVENT_VANISH)
			return r == 0 ? -ENOENT : ghost_of(c, e);
	}
	return r == 0 ? entry_of(c, child, parent, facts_of(c, child), e) : r;
}

static void reply_lookup(const struct call *c, fuse_req_t req, uint64_t parent, const char *name)
{
	struct fuse_entry_param e;
	int r = look_up(c, parent, name, &e);

	if (r != 0)
		reply_err(req, r);
	else
		fuse_reply_entry(req, &e);
}

struct lookup {
	uint64_t parent;
	char name[256];
};

static void answer_lookup(const struct call *c, fuse_req_t req, int result, void *data)
{
	const struct lookup *l = data;

	if (result)
		reply_err(req, result);
	else
		reply_lookup(c, req, l->parent, l->name);
}

/* A name in a folder that was never opened, as in `cat …/output/result.csv`. */
static void look_up_first(const struct call *c, fuse_req_t req, uint64_t parent, const char *name)
{
	struct lookup *l = malloc(sizeof(*l));

	if (!l || strlen(name) >= sizeof(l->name)) {
		reply_err(req, l ? -ENAMETOOLONG : -ENOMEM);
		free(l);
		return;
	}
	l->parent = parent;
	snprintf(l->name, sizeof(l->name), "%s", name);
	object_ask(c, req, parent, NULL, answer_lookup, l);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct call c = call_of(req);

	if (known(parent) == 0 && is_brought(parent) && !object_generation(&c, parent))
		look_up_first(&c, req, parent, name);
	else
		reply_lookup(&c, req, parent, name);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	if (is_stored(ino))
		files_forget(fuse_req_userdata(req), ino, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *list)
{
	for (size_t i = 0; i < count; i++)
		if (is_stored(list[i].ino))
			files_forget(fuse_req_userdata(req), list[i].ino, list[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call c = call_of(req);
	struct stat st;
	int r = stat_node(&c, ino, 0, &st);

	(void)fi;
	if (r != 0)
		reply_err(req, r);
	else
		fuse_reply_attr(req, &st, attr_timeout(ino));
}

static int wanted(int to_set, struct stat *want)
{
	int set = 0;

	if (to_set & FUSE_SET_ATTR_MODE)
		set |= FILE_SET_MODE;
	if (to_set & FUSE_SET_ATTR_UID)
		set |= FILE_SET_UID;
	if (to_set & FUSE_SET_ATTR_GID)
		set |= FILE_SET_GID;
	if (to_set & FUSE_SET_ATTR_SIZE)
		set |= FILE_SET_SIZE;
	if (to_set & FUSE_SET_ATTR_ATIME)
		set |= FILE_SET_ATIME;
	if (to_set & FUSE_SET_ATTR_MTIME)
		set |= FILE_SET_MTIME;
	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		want->st_atim.tv_nsec = UTIME_NOW;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		want->st_mtim.tv_nsec = UTIME_NOW;
	return set;
}

/* Synthetic files keep nothing of what is set: a truncation of a word file is what shells do before
 * they write, and the notifier only announces. */
static int set_synthetic(const struct call *c, uint64_t ino, int to_set)
{
	uint32_t doing;
	int harmless = FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |
		FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_CTIME;

	if (event_is_notifier(c, &doing))
		return 0;
	return row_of(ino)->command && !(to_set & ~harmless) ? 0 : -EPERM;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	struct call c = call_of(req);
	struct stat st;
	int r = known(ino);

	(void)fi;
	if (r == 0 && in_tree(ino)) {
		int set = wanted(to_set, attr);

		r = files_setattr(&c, ino, set, attr, &st);
	} else if (r == 0) {
		r = set_synthetic(&c, ino, to_set);
		if (r == 0)
			r = stat_node(&c, ino, 0, &st);
	}
	if (r != 0)
		reply_err(req, r);
	else
		fuse_reply_attr(req, &st, attr_timeout(ino));
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct call c = call_of(req);
	char buf[4097];
	int r = is_stored(ino) ? files_readlink(&c, ino, buf, sizeof(buf) - 1) :
		row_of(ino)->target ? walk_target(&c, ino_ref(ino), buf, sizeof(buf) - 1) : -EINVAL;

	if (r < 0) {
		reply_err(req, r);
		return;
	}
	buf[r] = '\0';
	fuse_reply_readlink(req, buf);
}
/* A pure function of what the kernel offers: every server of a mount answers the same. */
static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	(void)userdata;
	conn->max_write = 1 << 20;
	conn->max_read = 1 << 20;
	conn->max_readahead = 1 << 20;
	conn->want |= conn->capable & (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_AUTO_INVAL_DATA |
		FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
	/* Links in latest/ change what they point to: no caching of targets. */
	conn->want &= ~(unsigned)(FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
		FUSE_CAP_SPLICE_MOVE);
}

const struct fuse_lowlevel_ops kexec_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.create = op_create,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.statfs = op_statfs,
	.fallocate = op_fallocate,
	.lseek = op_lseek,
	.poll = op_poll,
};
