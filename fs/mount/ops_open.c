/* Open files: reading, writing, waiting, poll(2). */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "fs/mount/ops_private.h"
#include "fs/mount/node_rows.h"
#include "fs/mount/pages.h"

static int open_synthetic(const struct call *c, uint64_t ino, struct fuse_file_info *fi)
{
	const struct node *n = row_of(ino);
	int64_t size, mtime_ns;

	if ((fi->flags & O_ACCMODE) != O_RDONLY && !n->command)
		return -EACCES;
	/* What a run's state changes goes through the page cache with attributes that are asked for at each
	 * read: so it is new at each read. Words and waiting cannot be cached, and versions must not mix in
	 * one reader. (Mapping works all the same: see allow_mapping in loop.c.) */
	fi->direct_io = n->command || (n->flags & (NODE_WAITS | NODE_PAGE | NODE_SNAPSHOT));
	fi->noflush = 1;
	fi->nonseekable = n->flags & NODE_WAITS ? 1 : 0;
	if (n->flags & NODE_PAGE)
		return pages_current(c, ino_ref(ino).row, &fi->fh, &size, &mtime_ns);
	if (n->flags & NODE_POLLS)
		fi->fh = walk_version(c, ino_ref(ino));
	return 0;
}

/* Does who opens this want fresher news than there are? */
static bool asks_first(const struct call *c, uint64_t ino, struct freshness *wait)
{
	return !in_tree(ino) && (row_of(ino)->flags & NODE_REFRESHES) &&
		engine_refresh(c->mount->engine, ino_ref(ino).id, wait);
}

static void park_fresh(const struct call *c, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi,
	const struct freshness *wait)
{
	loop_keep_parked(c->mount);
	park_open(c, req, ino_ref(ino).id, fi, wait);
}

static void answer_open(const struct call *c, fuse_req_t req, int result, void *data)
{
	(void)c;
	if (result)
		reply_err(req, result);
	else
		fuse_reply_open(req, data);
}

static void open_brought(const struct call *c, fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi)
{
	struct fuse_file_info *copy = malloc(sizeof(*copy));

	if (copy)
		*copy = *fi;
	if (copy)
		object_ask(c, req, ino, NULL, answer_open, copy);
	else
		reply_err(req, -ENOMEM);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call c = call_of(req);
	struct freshness wait;
	int r = known(ino);

	if (r == 0 && in_tree(ino)) {
		r = files_open(&c, ino, fi->flags, &fi->fh);
		fi->noflush = fi->fh == 0;
	} else if (r == 0) {
		r = open_synthetic(&c, ino, fi);
	}
	if (r != 0)
		reply_err(req, r);
	else if (!in_tree(ino) && (row_of(ino)->flags & NODE_ASKS))
		open_brought(&c, req, ino, fi);
	else if (asks_first(&c, ino, &wait))
		park_fresh(&c, req, ino, fi, &wait);
	else if (fuse_reply_open(req, fi) == -ENOENT && in_tree(ino))
		files_release(&c, ino, fi->fh); /* the caller was killed meanwhile: no release will come */
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call c = call_of(req);

	if (in_tree(ino))
		files_release(&c, ino, fi->fh);
	reply_err(req, 0);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call c = call_of(req);

	if (in_tree(ino))
		files_flush(&c, ino, fi->fh);
	reply_err(req, 0);
}

/* A run that has ended tells the same line for as long as it stays so: a shell reads it byte by byte. */
static void read_wait(const struct call *c, fuse_req_t req, uint64_t ino, size_t size, off_t off, int flags)
{
	int64_t run = ino_ref(ino).id;

	if (off == 0 && (flags & O_NONBLOCK) && !park_ready(c, run)) {
		reply_err(req, -EAGAIN);
		return;
	}
	loop_keep_parked(c->mount);
	park_wait(c, req, run, size, off);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct call c = call_of(req);

	if (!in_tree(ino) && (row_of(ino)->flags & NODE_WAITS)) {
		read_wait(&c, req, ino, size, off, fi->flags);
		return;
	}
	char *buf = malloc(size);
	ssize_t n = !buf ? -ENOMEM : in_tree(ino) ? files_read(&c, ino, buf, size, off) :
		walk_read(&c, ino_ref(ino), fi->fh, buf, size, off);

	if (n < 0)
		reply_err(req, (int)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
	free(buf);
}

struct words {
	uint64_t ino;
	size_t len;
	char text[];
};

static void answer_words(const struct call *c, fuse_req_t req, int result, void *data)
{
	const struct words *w = data;

	if (result == 0)
		result = walk_command(c, ino_ref(w->ino), w->text, w->len);
	if (result < 0)
		reply_err(req, result);
	else
		fuse_reply_write(req, w->len);
}

/* A word for which something must be brought first? Then it is answered when that is there. */
static bool words_ask(const struct call *c, fuse_req_t req, uint64_t ino, const char *buf, size_t size)
{
	const char *part = in_tree(ino) || call_is_job(c) ? NULL : object_part_for(ino_ref(ino), buf, size);
	struct words *w = part ? malloc(sizeof(*w) + size) : NULL;

	if (!w)
		return false;
	w->ino = ino;
	w->len = size;
	memcpy(w->text, buf, size);
	object_ask(c, req, ino, part, answer_words, w);
	return true;
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct call c = call_of(req);
	ssize_t n;

	(void)fi;
	if (words_ask(&c, req, ino, buf, size))
		return;
	if (in_tree(ino))
		n = files_write(&c, ino, buf, size, off);
	else if (call_is_job(&c))
		n = -EPERM;
	else
		n = row_of(ino)->command ? walk_command(&c, ino_ref(ino), buf, size) : -EACCES;
	if (n < 0)
		reply_err(req, (int)n);
	else
		fuse_reply_write(req, in_tree(ino) ? (size_t)n : size);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct call c = call_of(req);

	(void)fi;
	reply_err(req, in_tree(ino) ? files_fsync(&c, ino, datasync) : 0);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len, struct fuse_file_info *fi)
{
	struct call c = call_of(req);

	(void)fi;
	reply_err(req, in_tree(ino) ? files_allocate(&c, ino, mode, off, len) : -EPERM);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence, struct fuse_file_info *fi)
{
	struct call c = call_of(req);
	off_t at = in_tree(ino) ? files_seek(&c, ino, off, whence) : -EINVAL;

	(void)fi;
	if (at < 0)
		reply_err(req, (int)at);
	else
		fuse_reply_lseek(req, at);
}

/* Newer than when this descriptor was opened (which is what fh says)? */
static unsigned poll_events(const struct call *c, uint64_t ino, uint64_t fh)
{
	const struct node *n = row_of(ino);

	if (n->flags & NODE_WAITS)
		return park_ready(c, ino_ref(ino).id) ? POLLIN | POLLRDNORM : 0;
	if (walk_version(c, ino_ref(ino)) != fh)
		return POLLIN | POLLRDNORM | POLLPRI | POLLERR;
	return POLLIN | POLLRDNORM;
}

void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct fuse_pollhandle *ph)
{
	struct call c = call_of(req);
	size_t len;
	const struct fuse_in_header *in = loop_message(&len);

	if (in_tree(ino) || !(row_of(ino)->flags & (NODE_POLLS | NODE_WAITS))) {
		if (ph)
			fuse_pollhandle_destroy(ph);
		fuse_reply_poll(req, POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
		return;
	}
	if (ph) {
		/* The kernel's number of the handle, which libfuse hides, outlives this server. */
		polls_add(c.mount->shared, ((const struct fuse_poll_in *)(in + 1))->kh, ino);
		fuse_pollhandle_destroy(ph);
	}
	fuse_reply_poll(req, poll_events(&c, ino, fi->fh));
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct call c = call_of(req);
	struct statvfs st;

	(void)ino;
	if (fstatvfs(c.mount->state_dirfd, &st) != 0)
		reply_err(req, -errno);
	else {
		st.f_namemax = 255;
		fuse_reply_statfs(req, &st);
	}
}
