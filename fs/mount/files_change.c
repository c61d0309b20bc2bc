/*
 * Changes of stored trees that are not safe to do twice. Each is journalled in shared memory before
 * it acts; when the kernel sends it again, a finished one repeats its answer and a begun one looks at
 * its effect: the parent's lock in the kernel is still held, so an EEXIST (or ENOENT) can only be our
 * own doing.
 */
#include "fs/mount/files_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/fault.h"
#include "fs/base/io.h"
#include "fs/mount/drafts.h"
#include "fs/mount/nodes.h"

/* One change: what the journal keeps, and the arguments it does not need to keep. */
struct change_op {
	struct shared_journal rec;
	mode_t mode;
	int flags;           /* of open or rename */
	const char *target;  /* of a symbolic link */
	uint64_t source;     /* of a hard link */
};

typedef int effect_fn(const struct call *c, struct change_op *op);

/* Would this errno be the trace of our own earlier effect? */
static bool effect_is_there(uint32_t op, int r)
{
	if (op == JOP_UNLINK || op == JOP_RMDIR || op == JOP_RENAME)
		return r == -ENOENT;
	return r == -EEXIST;
}

static int once(const struct call *c, struct change_op *op, effect_fn *effect)
{
	bool again;
	struct shared_journal *j = journal_begin(c->mount->shared, c->key, &op->rec, &again);

	if (again && j->state == JOURNAL_DONE)
		return j->result;
	fault_point("journal.started");
	int r = effect(c, op);

	fault_point("journal.effect");
	if (again && effect_is_there(op->rec.op, r))
		r = 0;
	journal_done(j, r, op->rec.ino);
	fault_point("journal.done");
	return r;
}

static void op_names(struct change_op *op, uint32_t kind, uint64_t parent, const char *name)
{
	memset(op, 0, sizeof(*op));
	op->rec.op = kind;
	op->rec.parent = parent;
	snprintf(op->rec.name, sizeof(op->rec.name), "%s", name);
}

/* The caller owns what it makes: only root can give a file away, only root needs to. */
static int give_to_caller(const struct call *c, const struct place *p)
{
	if (geteuid() != 0 || (c->uid == 0 && c->gid == 0))
		return 0;
	return fchownat(p->dirfd, p->name, c->uid, c->gid, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

static int finish_new(const struct call *c, const struct place *p, mode_t mode)
{
	mode_t need = S_ISDIR(mode) ? 0700 : 0600;
	int r = give_to_caller(c, p);

	return r == 0 && (mode & need) != need ? place_set_mode(p, mode) : r;
}

/* Run the whole of a change that makes a name: gate, journal, effect, draft facts, entry. */
static int make(const struct call *c, struct change_op *op, effect_fn *effect, struct file_entry *out,
	uint64_t *fh)
{
	struct shared_draft *slot;
	uint64_t key = nodes_name_key(op->rec.parent, op->rec.name);
	int r = change_begin(c, op->rec.parent, &slot);

	if (r != 0)
		return r;
	r = once(c, op, effect);
	if (r == 0)
		r = files_lookup(c, op->rec.parent, op->rec.name, out);
	if (r == 0 && fh) {
		*fh = 0;
		if (slot)
			r = files_handle_add(c, out->ino, slot, fh);
	}
	if (r == 0 && slot)
		drafts_heal(c->mount, (int64_t)atomic_load(&slot->run), key);
	return change_end(c, slot, r, key);
}

static int create_effect(const struct call *c, struct change_op *op)
{
	struct place p;
	int r = place_in(c, op->rec.parent, op->rec.name, &p);

	if (r != 0)
		return r;
	int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | (op->flags & (O_EXCL | O_TRUNC));
	struct stat st;
	bool was = fstatat(p.dirfd, p.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	int fd = openat(p.dirfd, p.name, flags, (op->mode & 07777) | 0600);

	if (fd < 0)
		r = -errno;
	else
		close(fd);
	if (r == 0 && !was)
		r = finish_new(c, &p, S_IFREG | (op->mode & 07777));
	place_close(&p);
	return r;
}

/* `.submit` at the top of a draft is a word, not a file of it (drafts.c takes it out again). */
static void look_for_submit(const struct call *c, uint64_t parent, const char *name)
{
	struct ref dir = ino_ref(parent);

	if (!(parent & NODE_STORED) && dir.row == N_DRAFT && strcmp(name, ".submit") == 0)
		drafts_ask(c->mount, dir.id);
}

int files_create(const struct call *c, uint64_t parent, const char *name, mode_t mode, int flags,
	struct file_entry *out, uint64_t *fh)
{
	struct change_op op;

	op_names(&op, JOP_CREATE, parent, name);
	op.mode = mode;
	op.flags = flags;
	int r = make(c, &op, create_effect, out, fh);

	if (r == 0)
		look_for_submit(c, parent, name);
	return r;
}

static int mkdir_effect(const struct call *c, struct change_op *op)
{
	struct place p;
	int r = place_in(c, op->rec.parent, op->rec.name, &p);

	if (r != 0)
		return r;
	if (mkdirat(p.dirfd, p.name, (op->mode & 07777) | 0700) != 0)
		r = -errno;
	else
		r = finish_new(c, &p, S_IFDIR | (op->mode & 07777));
	place_close(&p);
	return r;
}

int files_mkdir(const struct call *c, uint64_t parent, const char *name, mode_t mode, struct file_entry *out)
{
	struct change_op op;

	op_names(&op, JOP_MKDIR, parent, name);
	op.mode = mode;
	return make(c, &op, mkdir_effect, out, NULL);
}

static int symlink_effect(const struct call *c, struct change_op *op)
{
	struct place p;
	int r = place_in(c, op->rec.parent, op->rec.name, &p);

	if (r != 0)
		return r;
	r = symlinkat(op->target, p.dirfd, p.name) == 0 ? give_to_caller(c, &p) : -errno;
	place_close(&p);
	return r;
}

int files_symlink(const struct call *c, uint64_t parent, const char *name, const char *target, struct file_entry *out)
{
	struct change_op op;

	op_names(&op, JOP_SYMLINK, parent, name);
	op.target = target;
	return make(c, &op, symlink_effect, out, NULL);
}

static int link_effect(const struct call *c, struct change_op *op)
{
	struct place from, to;
	int r = place_of(c, op->source, &from);

	if (r != 0)
		return r;
	r = place_in(c, op->rec.parent, op->rec.name, &to);
	if (r == 0) {
		r = linkat(from.dirfd, from.name, to.dirfd, to.name, 0) == 0 ? 0 : -errno;
		place_close(&to);
	}
	place_close(&from);
	return r;
}

int files_link(const struct call *c, uint64_t ino, uint64_t parent, const char *name, struct file_entry *out)
{
	struct change_op op;
	struct ref from, to;
	int r = files_root(c->mount, ino, &from);

	if (r == 0)
		r = files_root(c->mount, parent, &to);
	if (r != 0)
		return r;
	if (ref_ino(from) != ref_ino(to))
		return -EXDEV;
	op_names(&op, JOP_LINK, parent, name);
	op.source = ino;
	return make(c, &op, link_effect, out, NULL);
}

/* ---- Taking names away ---- */

static int trash_open(const struct call *c)
{
	int fd = io_open_dir(c->mount->state_dirfd, TRASH_DIR);

	if (fd == -ENOENT && mkdirat(c->mount->state_dirfd, TRASH_DIR, 0700) == 0)
		fd = io_open_dir(c->mount->state_dirfd, TRASH_DIR);
	return fd;
}

/* A file that the kernel knows may be open: it goes to trash/ under its number until forgotten. */
static int unlink_effect(const struct call *c, struct change_op *op)
{
	struct place p;
	uint64_t ino;
	char trash[32];
	int r = place_in(c, op->rec.parent, op->rec.name, &p);

	if (r != 0)
		return r;
	if (nodes_find(c->mount, op->rec.parent, op->rec.name, &ino) == 0) {
		int dir = trash_open(c);

		trash_name(ino, trash);
		if (dir >= 0)
			r = renameat(p.dirfd, p.name, dir, trash) == 0 ? 0 : -errno;
		else
			r = dir;
		if (dir >= 0)
			close(dir);
		if (r == 0)
			nodes_detach(c->mount, op->rec.parent, op->rec.name);
	} else if (unlinkat(p.dirfd, p.name, 0) != 0) {
		r = -errno;
	}
	place_close(&p);
	return r;
}

static int rmdir_effect(const struct call *c, struct change_op *op)
{
	struct place p;
	int r = place_in(c, op->rec.parent, op->rec.name, &p);

	if (r != 0)
		return r;
	r = unlinkat(p.dirfd, p.name, AT_REMOVEDIR) == 0 ? 0 : -errno;
	if (r == 0)
		nodes_detach(c->mount, op->rec.parent, op->rec.name);
	place_close(&p);
	return r;
}

static int take_away(const struct call *c, uint32_t kind, uint64_t parent, const char *name, effect_fn *effect)
{
	struct change_op op;
	struct shared_draft *slot;
	int r = change_begin(c, parent, &slot);

	if (r != 0)
		return r;
	op_names(&op, kind, parent, name);
	r = once(c, &op, effect);
	return change_end(c, slot, r, nodes_name_key(parent, name));
}

int files_unlink(const struct call *c, uint64_t parent, const char *name)
{
	return take_away(c, JOP_UNLINK, parent, name, unlink_effect);
}

int files_rmdir(const struct call *c, uint64_t parent, const char *name)
{
	return take_away(c, JOP_RMDIR, parent, name, rmdir_effect);
}

int files_mknod_refused(const struct call *c, uint64_t parent, const char *name)
{
	struct shared_draft *slot;
	int r = change_begin(c, parent, &slot);

	if (r != 0)
		return r;
	if (slot) {
		int64_t run = (int64_t)atomic_load(&slot->run);

		drafts_changed(c, slot);
		drafts_leave(c);
		drafts_wound(c->mount, run, nodes_name_key(parent, name), false);
	}
	return -EPERM;
}

/* ---- Renames ---- */

/* A file that is renamed over may be open: keep it in trash/ under its number. */
static void keep_replaced(const struct call *c, const struct place *to, uint64_t ino)
{
	int dir = trash_open(c);
	char name[32];

	if (dir < 0)
		return;
	trash_name(ino, name);
	linkat(to->dirfd, to->name, dir, name, 0); /* a directory cannot be: it must be empty anyway */
	close(dir);
}

static int rename_effect(const struct call *c, struct change_op *op)
{
	struct place from, to;
	uint64_t replaced;
	int r = place_in(c, op->rec.parent, op->rec.name, &from);

	if (r != 0)
		return r;
	r = place_in(c, op->rec.new_parent, op->rec.new_name, &to);
	if (r != 0) {
		place_close(&from);
		return r;
	}
	struct stat st;

	if (!(op->flags & RENAME_NOREPLACE) && fstatat(from.dirfd, from.name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		nodes_find(c->mount, op->rec.new_parent, op->rec.new_name, &replaced) == 0)
		keep_replaced(c, &to, replaced);
	r = renameat2(from.dirfd, from.name, to.dirfd, to.name, (unsigned)op->flags) == 0 ? 0 : -errno;
	if (r == 0)
		nodes_move(c->mount, op->rec.parent, op->rec.name, op->rec.new_parent, op->rec.new_name);
	place_close(&from);
	place_close(&to);
	return r;
}

int files_rename(const struct call *c, uint64_t parent, const char *name, uint64_t to, const char *to_name, unsigned flags)
{
	struct change_op op;
	struct shared_draft *slot;
	struct ref a, b;
	int r = files_root(c->mount, parent, &a);

	if (r == 0)
		r = files_root(c->mount, to, &b);
	if (r != 0)
		return r;
	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return -EINVAL;
	if (ref_ino(a) != ref_ino(b))
		return -EXDEV;
	r = change_begin(c, parent, &slot);
	if (r != 0)
		return r;
	op_names(&op, JOP_RENAME, parent, name);
	op.rec.new_parent = to;
	snprintf(op.rec.new_name, sizeof(op.rec.new_name), "%s", to_name);
	op.flags = (int)flags;
	r = once(c, &op, rename_effect);
	if (r == 0 && slot)
		drafts_heal(c->mount, (int64_t)atomic_load(&slot->run), nodes_name_key(to, to_name));
	r = change_end(c, slot, r, nodes_name_key(to, to_name));
	if (r == 0)
		look_for_submit(c, to, to_name);
	return r;
}

/* ---- A new server ---- */

static bool name_is_there(const struct call *c, uint64_t parent, const char *name)
{
	struct place p;
	struct stat st;
	bool there;

	if (place_in(c, parent, name, &p) != 0)
		return false;
	there = fstatat(p.dirfd, p.name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	place_close(&p);
	return there;
}

/* The dead server may have renamed or unlinked the file without moving its node: do that now, before
 * any request meets a node that points to nothing. */
static void finish_one(const struct call *c, const struct shared_journal *j)
{
	uint64_t ino;

	if (j->state != JOURNAL_STARTED || name_is_there(c, j->parent, j->name))
		return;
	if (nodes_find(c->mount, j->parent, j->name, &ino) != 0)
		return; /* the node had been moved as well */
	if (j->op == JOP_RENAME && name_is_there(c, j->new_parent, j->new_name))
		nodes_move(c->mount, j->parent, j->name, j->new_parent, j->new_name);
	else if (j->op == JOP_UNLINK || j->op == JOP_RMDIR)
		nodes_detach(c->mount, j->parent, j->name);
}

void files_recover(struct mount *m, bool fresh)
{
	struct call c = {.mount = m};

	if (fresh) {
		io_remove_tree(m->state_dirfd, TRASH_DIR);
		mkdirat(m->state_dirfd, TRASH_DIR, 0700);
		return;
	}
	for (size_t i = 0; i < SHARED_JOURNAL; i++) {
		uint64_t key = atomic_load(&m->shared->journal_key[i]);

		if (key == UINT64_MAX)
			atomic_store(&m->shared->journal_key[i], 0);
		else if (key != 0)
			finish_one(&c, &m->shared->journal[i]);
	}
}
