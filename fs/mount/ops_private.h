/* Between ops.c, ops_list.c, ops_open.c and ops_names.c only: the FUSE operations and what they share. */
#ifndef KEXEC_MOUNT_OPS_PRIVATE_H
#define KEXEC_MOUNT_OPS_PRIVATE_H

#include <errno.h>
#include "fs/mount/files.h"
#include "fs/mount/loop.h"
#include "fs/mount/ops.h"
#include "fs/mount/park.h"
#include "fs/mount/walk.h"

static inline struct call call_of(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct call){.mount = fuse_req_userdata(req), .key = UNIQUE_KEY(loop_unique()),
		.again = loop_again(), .pid = ctx->pid, .uid = ctx->uid, .gid = ctx->gid};
}

static inline bool is_stored(uint64_t ino)
{
	return ino & NODE_STORED;
}

static inline const struct node *row_of(uint64_t ino)
{
	return &tree[ino_ref(ino).row];
}

/* Is it in a stored tree, the root of the tree included? */
static inline bool in_tree(uint64_t ino)
{
	return is_stored(ino) || (row_of(ino)->flags & NODE_TREE);
}

static inline int known(uint64_t ino)
{
	return is_stored(ino) || ino_ref(ino).row < NODE_COUNT ? 0 : -ESTALE;
}

/* The root of a tree that is brought from a service when it is opened? */
static inline bool is_brought(uint64_t ino)
{
	return !is_stored(ino) && (row_of(ino)->flags & NODE_ASKS) && (row_of(ino)->flags & NODE_TREE);
}

/* What is in such a tree has a generation of it as its parent; other directories are themselves. */
static inline uint64_t generation_of(uint64_t ino, unsigned generation)
{
	struct ref r = ino_ref(ino);

	if (!is_brought(ino) || r.inc)
		return ino;
	r.inc = (uint16_t)generation;
	return ref_ino(r);
}

static inline void reply_err(fuse_req_t req, int r)
{
	fuse_reply_err(req, r < 0 ? -r : 0);
}

/* The entry of a synthetic node below the directory `parent`. */
int entry_of(const struct call *c, struct ref r, uint64_t parent, struct child_facts facts, struct fuse_entry_param *e);
/* What is known of one that was looked up. */
struct child_facts facts_of(const struct call *c, struct ref r);
void entry_of_file(const struct file_entry *f, struct fuse_entry_param *e);

/*
 * ops_object.c: have the part brought that `ino` shows (or `part`, where given) and call `answer` with the
 * result, now or when that is known. Takes req and data (free()) over.
 */
void object_ask(const struct call *c, fuse_req_t req, uint64_t ino, const char *part, park_answer *answer, void *data);
/* The newest generation of what `ino` shows, 0 none. */
unsigned object_generation(const struct call *c, uint64_t ino);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi);
void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to, const char *to_name,
	unsigned flags);

#endif
