/* Making, moving and taking away names. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fs/engine/engine.h"
#include "fs/mount/event.h"
#include "fs/mount/ops_private.h"

static void reply_new(fuse_req_t req, int r, const struct file_entry *f)
{
	struct fuse_entry_param e;

	if (r != 0) {
		reply_err(req, r);
		return;
	}
	entry_of_file(f, &e);
	fuse_reply_entry(req, &e);
}

static int make_synthetic(const struct call *c, uint64_t parent, const char *name, struct fuse_entry_param *e)
{
	const struct node *dir = row_of(parent);
	struct ref child;
	uint32_t doing;
	int r;

	if (event_is_notifier(c, &doing)) {
		r = walk_find(c, ino_ref(parent), name, &child);
	} else if (call_is_job(c) || !dir->make) {
		return -EPERM;
	} else {
		r = dir->make(c, ino_ref(parent), name, &child);
	}
	return r == 0 ? entry_of(c, child, parent, facts_of(c, child), e) : r;
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct call c = call_of(req);
	struct fuse_entry_param e;
	struct file_entry f;
	int r;

	if (in_tree(parent)) {
		r = files_mkdir(&c, parent, name, mode, &f);
		reply_new(req, r, &f);
		return;
	}
	r = make_synthetic(&c, parent, name, &e);
	if (r != 0)
		reply_err(req, r);
	else
		fuse_reply_entry(req, &e);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct call c = call_of(req);
	struct file_entry f;
	uint64_t fh = 0;

	(void)rdev;
	if (!in_tree(parent))
		reply_err(req, -EPERM);
	else if (!S_ISREG(mode))
		reply_err(req, files_mknod_refused(&c, parent, name));
	else {
		int r = files_create(&c, parent, name, mode, O_EXCL, &f, &fh);

		if (r == 0)
			files_release(&c, f.ino, fh);
		reply_new(req, r, &f);
	}
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	struct call c = call_of(req);
	struct fuse_entry_param e;
	struct file_entry f;

	if (!in_tree(parent)) {
		reply_err(req, -EPERM);
		return;
	}
	int r = files_create(&c, parent, name, mode, fi->flags, &f, &fi->fh);

	if (r != 0) {
		reply_err(req, r);
		return;
	}
	entry_of_file(&f, &e);
	fi->noflush = fi->fh == 0;
	if (fuse_reply_create(req, &e, fi) == -ENOENT)
		files_release(&c, f.ino, fi->fh);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct call c = call_of(req);
	struct file_entry f;
	int r = in_tree(parent) ? files_symlink(&c, parent, name, target, &f) : -EPERM;

	reply_new(req, r, &f);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	struct call c = call_of(req);
	struct file_entry f;
	int r = !in_tree(parent) ? -EPERM : !in_tree(ino) ? -EXDEV : files_link(&c, ino, parent, name, &f);

	reply_new(req, r, &f);
}

/* Below an ended run, taking names away has no effect but succeeds: only so do `rm -r` and file managers reach
 * the rmdir of the run itself, which is what acts. */
static int take_from_run(const struct call *c, struct ref in_run)
{
	struct run run = {0};
	int r;

	if (call_is_job(c))
		return -EPERM;
	r = engine_run(c->mount->engine, in_run.id, &run);
	if (r == 0 && !run_state_final(run.state))
		r = -EBUSY;
	run_release(&run);
	return r;
}

/* The run whose directory, or part, `parent` is; false where names are really taken away. */
static bool of_frozen_run(const struct call *c, uint64_t parent, struct ref *out)
{
	if (is_stored(parent)) {
		if (files_root(c->mount, parent, out) != 0)
			return false;
	} else {
		*out = ino_ref(parent);
	}
	return row_of_run(out->row) && !(tree[out->row].flags & NODE_WRITABLE);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct call c = call_of(req);
	struct ref run;

	if (of_frozen_run(&c, parent, &run))
		reply_err(req, take_from_run(&c, run));
	else
		reply_err(req, in_tree(parent) ? files_unlink(&c, parent, name) : -EPERM);
}

/* A name that is not as expected may be our own doing: the kernel sends a request again when the server
 * that carried it out died before it answered. The store remembers. */
static int answered_before(const struct call *c, int r)
{
	int result;
	int64_t value;

	return engine_answered(c->mount->engine, c->key, &result, &value) ? result : r;
}

static int drop_synthetic(const struct call *c, uint64_t parent, const char *name)
{
	struct ref child;
	uint32_t doing;

	if (event_is_notifier(c, &doing))
		return 0;
	if (call_is_job(c))
		return -EPERM;
	int r = walk_find(c, ino_ref(parent), name, &child);

	if (r != 0)
		return answered_before(c, r);
	return tree[child.row].drop ? tree[child.row].drop(c, ino_ref(parent), child) : -EPERM;
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct call c = call_of(req);
	struct ref run;

	if (of_frozen_run(&c, parent, &run))
		reply_err(req, take_from_run(&c, run));
	else
		reply_err(req, in_tree(parent) ? files_rmdir(&c, parent, name) : drop_synthetic(&c, parent, name));
}

/* The name has gone: by our own doing? Then what followed from the move must follow again (a draft that
 * left staging is submitted): the row's function repeats its stored answer. */
static int moved_before(const struct call *c, uint64_t parent, uint64_t to, const char *to_name, int r)
{
	struct ref child;

	if (c->again && !in_tree(to) && walk_find(c, ino_ref(to), to_name, &child) == 0 && tree[child.row].move &&
		answered_before(c, r) == 0)
		/* It may have been submitted this very moment: the stored answer stands. */
		r = tree[child.row].move(c, child, ino_ref(parent), ino_ref(to), to_name);
	return r == 0 ? 0 : answered_before(c, r);
}

static int move_synthetic(const struct call *c, uint64_t parent, const char *name, uint64_t to, const char *to_name,
	unsigned flags)
{
	struct ref child, there;

	if (call_is_job(c))
		return -EPERM;
	int r = walk_find(c, ino_ref(parent), name, &child);

	if (r != 0)
		return moved_before(c, parent, to, to_name, r);
	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return -EINVAL;
	if (in_tree(to) || !tree[child.row].move)
		return -EPERM;
	if (walk_find(c, ino_ref(to), to_name, &there) == 0 && ref_ino(there) != ref_ino(child))
		return answered_before(c, -EEXIST);
	return tree[child.row].move(c, child, ino_ref(parent), ino_ref(to), to_name);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to, const char *to_name,
	unsigned flags)
{
	struct call c = call_of(req);
	struct ref run;
	int r;

	if (in_tree(parent) && in_tree(to))
		r = files_rename(&c, parent, name, to, to_name, flags);
	else if (in_tree(parent) || in_tree(to) || of_frozen_run(&c, parent, &run))
		r = -EPERM;
	else
		r = move_synthetic(&c, parent, name, to, to_name, flags);
	reply_err(req, r);
}
