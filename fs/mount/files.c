#include "fs/mount/files_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/base/proc.h"
#include "fs/mount/drafts.h"
#include "fs/mount/nodes.h"

#define MODE_XATTR "user.kexec.mode"

/* ---- Where things are ---- */

static int open_beneath(int dirfd, const char *path)
{
	struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	long fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int root_path(const struct call *c, uint64_t root, char *path, size_t size)
{
	struct ref r = ino_ref(root);

	if (r.row >= NODE_COUNT || !tree[r.row].backing)
		return -ENOTDIR;
	return tree[r.row].backing(c, r, path, size);
}

int files_root(struct mount *m, uint64_t ino, struct ref *out)
{
	if (ino & NODE_STORED) {
		char rest[4096];
		bool detached;
		int r = nodes_path(m, ino, rest, sizeof(rest), &ino, &detached);

		if (r != 0)
			return r;
	}
	*out = ino_ref(ino);
	return out->row < NODE_COUNT ? 0 : -ESTALE;
}

int files_path(const struct call *c, uint64_t ino, char *path, size_t size)
{
	char rest[4096];
	uint64_t root;
	bool detached;
	int r = nodes_path(c->mount, ino, rest, sizeof(rest), &root, &detached);

	if (r != 0)
		return r;
	if (detached)
		return -ENOENT;
	r = root_path(c, root, path, size);
	if (r != 0)
		return r;
	size_t len = strlen(path);

	if (rest[0] && (size_t)snprintf(path + len, size - len, "/%s", rest) >= size - len)
		return -ENAMETOOLONG;
	return 0;
}

int place_in(const struct call *c, uint64_t parent, const char *name, struct place *out)
{
	char path[PATH_MAX];
	int r;

	if (strlen(name) >= sizeof(out->name))
		return -ENAMETOOLONG;
	r = files_path(c, parent, path, sizeof(path));
	if (r != 0)
		return r;
	out->dirfd = open_beneath(c->mount->state_dirfd, path);
	if (out->dirfd < 0)
		return out->dirfd;
	snprintf(out->name, sizeof(out->name), "%s", name);
	return 0;
}

void trash_name(uint64_t ino, char out[32])
{
	snprintf(out, 32, "%016llx", (unsigned long long)ino);
}

int place_of(const struct call *c, uint64_t ino, struct place *out)
{
	char name[SHARED_NAME];
	uint64_t parent;
	bool detached;
	int r;

	if (!(ino & NODE_STORED)) /* the root of a tree: "." in itself */
		return place_in(c, ino, ".", out);
	r = nodes_where(c->mount, ino, &parent, name, &detached);
	if (r != 0)
		return r;
	if (!detached)
		return place_in(c, parent, name, out);
	out->dirfd = open_beneath(c->mount->state_dirfd, TRASH_DIR);
	if (out->dirfd < 0)
		return out->dirfd;
	trash_name(ino, out->name);
	return 0;
}

void place_close(struct place *p)
{
	close(p->dirfd);
}

/* ---- Modes ---- */

static mode_t mode_needed(mode_t mode)
{
	return S_ISDIR(mode) ? 0700 : 0600;
}

static mode_t kept_mode(const struct place *p, const struct stat *st)
{
	char text[16] = "";
	int fd = openat(p->dirfd, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : fgetxattr(fd, MODE_XATTR, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	return n > 0 ? (st->st_mode & S_IFMT) | ((mode_t)strtoul(text, NULL, 8) & 07777) : st->st_mode;
}

/* Only regular files, directories and links are ever shown with what they are; a device that a hostile
 * job left cannot be opened through the mount (nodev, and ours are regular files). */
int place_stat(const struct call *c, uint64_t root, const struct place *p, struct stat *out)
{
	struct ref r = ino_ref(root);

	if (fstatat(p->dirfd, p->name, out, AT_SYMLINK_NOFOLLOW) != 0)
		return -errno;
	if ((out->st_mode & S_ISVTX) && (S_ISREG(out->st_mode) || S_ISDIR(out->st_mode)))
		out->st_mode = kept_mode(p, out);
	if (!(tree[r.row].flags & NODE_WRITABLE)) {
		/* As submitted or left, on what behaves as a read-only file system (EROFS). Directories keep
		 * u+w in what is shown, so that `rm -r` of a run reaches us. */
		if (S_ISDIR(out->st_mode))
			out->st_mode |= 0700;
		out->st_uid = c->mount->uid;
		out->st_gid = c->mount->gid;
	}
	out->st_dev = 0;
	return 0;
}

int place_set_mode(const struct place *p, mode_t mode)
{
	mode_t backing = (mode & 07777) | mode_needed(mode);
	char text[16];
	int r = 0;
	int fd = openat(p->dirfd, p->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return errno == ELOOP ? 0 : -errno; /* modes of symbolic links mean nothing */
	snprintf(text, sizeof(text), "%o", (unsigned)(mode & 07777));
	if (backing != (mode & 07777) || (mode & S_ISVTX)) {
		if (fsetxattr(fd, MODE_XATTR, text, strlen(text), 0) == 0)
			backing |= S_ISVTX;
		else
			backing = mode & 07777; /* no extended attributes here: the plain mode */
	}
	if (fchmod(fd, backing) != 0)
		r = -errno;
	close(fd);
	return r;
}

/* ---- Who may change what ---- */

int change_begin(const struct call *c, uint64_t ino, struct shared_draft **slot)
{
	struct ref root;
	int r = files_root(c->mount, ino, &root);

	*slot = NULL;
	if (r != 0)
		return r;
	if (!(tree[root.row].flags & NODE_WRITABLE))
		return -EROFS;
	if (call_is_job(c))
		return -EPERM;
	return root.row == N_DRAFT ? drafts_enter(c, root.id, slot) : 0;
}

static bool loses_data(int err)
{
	switch (-err) {
	case ENOSPC:
	case EDQUOT:
	case EIO:
	case EFBIG:
	case ENAMETOOLONG:
	case ENOMEM:
	case ENFILE:
	case EMFILE:
		return true;
	default:
		return false;
	}
}

int change_end(const struct call *c, struct shared_draft *slot, int err, uint64_t key)
{
	if (!slot)
		return err;
	int64_t run = (int64_t)atomic_load(&slot->run);

	if (err >= 0)
		drafts_changed(c, slot);
	drafts_leave(c);
	if (err < 0 && loses_data(err))
		drafts_wound(c->mount, run, key, false);
	return err;
}

static uint64_t file_key(struct mount *m, uint64_t ino)
{
	char name[SHARED_NAME];
	uint64_t parent;
	bool detached;

	if (nodes_where(m, ino, &parent, name, &detached) != 0)
		return 1;
	return nodes_name_key(parent, name);
}

/* ---- Reading ---- */

int files_lookup(const struct call *c, uint64_t parent, const char *name, struct file_entry *out)
{
	struct place p;
	struct ref root;
	int r = files_root(c->mount, parent, &root);

	if (r == 0)
		r = place_in(c, parent, name, &p);
	if (r != 0)
		return r;
	r = place_stat(c, ref_ino(root), &p, &out->stat);
	place_close(&p);
	if (r == 0)
		r = nodes_take(c->mount, parent, name, &out->ino);
	return r;
}

void files_forget(struct mount *m, uint64_t ino, uint64_t count)
{
	bool gone, detached;
	char name[32];

	nodes_drop(m, ino, count, &gone, &detached);
	if (!gone)
		return;
	fd_forget(m, ino);
	if (detached) {
		int fd = open_beneath(m->state_dirfd, TRASH_DIR);

		trash_name(ino, name);
		if (fd >= 0) {
			unlinkat(fd, name, 0);
			close(fd);
		}
	}
}

int files_getattr(const struct call *c, uint64_t ino, struct stat *out)
{
	struct place p;
	struct ref root;
	int r = files_root(c->mount, ino, &root);

	if (r == 0)
		r = place_of(c, ino, &p);
	if (r != 0)
		return r;
	r = place_stat(c, ref_ino(root), &p, out);
	place_close(&p);
	return r;
}

int files_readlink(const struct call *c, uint64_t ino, char *buf, size_t size)
{
	struct place p;
	int r = place_of(c, ino, &p);

	if (r != 0)
		return r;
	ssize_t n = readlinkat(p.dirfd, p.name, buf, size);

	r = n < 0 ? -errno : (int)n;
	place_close(&p);
	return r;
}

ssize_t files_read(const struct call *c, uint64_t ino, void *buf, size_t len, off_t at)
{
	int fd;
	int i = fd_take(c, ino, false, &fd);

	if (i < 0)
		return i;
	ssize_t n = pread(fd, buf, len, at);

	if (n < 0)
		n = -errno;
	fd_give(c->mount, i, fd);
	return n;
}

off_t files_seek(const struct call *c, uint64_t ino, off_t at, int whence)
{
	int fd;
	int i = fd_take(c, ino, false, &fd);

	if (i < 0)
		return i;
	off_t n = lseek(fd, at, whence);

	if (n < 0)
		n = -errno;
	fd_give(c->mount, i, fd);
	return n;
}

static int list_dir(const struct call *c, uint64_t root, DIR *dir, off_t after,
	int (*each)(void *, const char *, const struct stat *, off_t), void *arg)
{
	struct dirent *d;

	if (after)
		seekdir(dir, after);
	while ((d = readdir(dir)) != NULL) {
		struct stat st;
		struct place p = {.dirfd = dirfd(dir)};

		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		snprintf(p.name, sizeof(p.name), "%s", d->d_name);
		if (place_stat(c, root, &p, &st) != 0)
			continue; /* gone meanwhile */
		if (each(arg, d->d_name, &st, telldir(dir)) != 0)
			break;
	}
	return 0;
}

int files_list(const struct call *c, uint64_t ino, off_t after,
	int (*each)(void *arg, const char *name, const struct stat *st, off_t cookie), void *arg)
{
	struct place p;
	struct ref root;
	int r = files_root(c->mount, ino, &root);

	if (r == 0)
		r = place_in(c, ino, ".", &p);
	if (r != 0)
		return r;
	int fd = openat(p.dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	r = dir ? 0 : -errno;
	if (dir) {
		r = list_dir(c, ref_ino(root), dir, after, each, arg);
		closedir(dir);
	} else if (fd >= 0) {
		close(fd);
	}
	place_close(&p);
	return r;
}

/* ---- Open files of drafts ---- */

static struct shared_handle *handle_find(struct shared *s, uint64_t key)
{
	size_t start = (size_t)(key / 2 % SHARED_HANDLES);

	for (size_t n = 0; n < SHARED_HANDLES; n++) {
		struct shared_handle *h = &s->handle[(start + n) % SHARED_HANDLES];

		if (atomic_load(&h->key) == key)
			return h;
	}
	return NULL;
}

/* A writer of a draft is known from OPEN to RELEASE. Called within change_begin/change_end. */
static int handle_add(const struct call *c, uint64_t ino, struct shared_draft *slot, uint64_t *fh)
{
	struct shared *s = c->mount->shared;
	size_t start = (size_t)(c->key / 2 % SHARED_HANDLES);

	*fh = c->key;
	for (size_t n = 0; n < SHARED_HANDLES; n++) {
		struct shared_handle *h = &s->handle[(start + n) % SHARED_HANDLES];
		uint64_t none = 0;

		if (atomic_load(&h->key) == c->key)
			return 0; /* OPEN was sent again */
		if (!atomic_compare_exchange_strong(&h->key, &none, UINT64_MAX))
			continue;
		h->ino = ino;
		h->draft = atomic_load(&slot->run);
		atomic_store(&h->key, c->key);
		drafts_open(c->mount, (int64_t)h->draft, 1);
		return 0;
	}
	return -ENFILE;
}

static int truncate_backing(const struct call *c, uint64_t ino, off_t size)
{
	int fd;
	int i = fd_take(c, ino, true, &fd);
	int r = 0;

	if (i < 0)
		return i;
	if (ftruncate(fd, size) != 0)
		r = -errno;
	fd_give(c->mount, i, fd);
	return r;
}

int files_open(const struct call *c, uint64_t ino, int flags, uint64_t *fh)
{
	struct shared_draft *slot;
	int r;

	*fh = 0;
	if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC))
		return 0;
	r = change_begin(c, ino, &slot);
	if (r != 0)
		return r;
	uint64_t key = file_key(c->mount, ino);

	if (slot)
		r = handle_add(c, ino, slot, fh);
	if (r == 0 && (flags & O_TRUNC)) {
		r = truncate_backing(c, ino, 0);
		if (r == 0 && slot)
			drafts_heal(c->mount, (int64_t)atomic_load(&slot->run), key);
	}
	if (r != 0)
		files_release(c, ino, *fh); /* the kernel sends none for an OPEN that failed */
	return change_end(c, slot, r, key);
}

/* Once the handle is in the table a RELEASE will come; on failure of CREATE none does. */
int files_handle_add(const struct call *c, uint64_t ino, struct shared_draft *slot, uint64_t *fh)
{
	return handle_add(c, ino, slot, fh);
}

void files_release(const struct call *c, uint64_t ino, uint64_t fh)
{
	struct shared_handle *h = fh ? handle_find(c->mount->shared, fh) : NULL;

	(void)ino;
	if (!h)
		return;
	uint64_t draft = h->draft;

	if (atomic_compare_exchange_strong(&h->key, &fh, 0))
		drafts_open(c->mount, (int64_t)draft, -1);
}

/*
 * close(2) of a dying process reaches us while the process is still there: its exit code tells
 * whether a signal ended it. A file that was open for writing then is cut short.
 */
void files_flush(const struct call *c, uint64_t ino, uint64_t fh)
{
	struct proc_info info;
	struct ref root;

	if (fh == 0 || c->pid == 0 || proc_read(c->pid, &info) != 0 || (info.exit_code & 0x7f) == 0)
		return;
	if (files_root(c->mount, ino, &root) == 0 && root.row == N_DRAFT)
		drafts_wound(c->mount, root.id, file_key(c->mount, ino), true);
}

ssize_t files_write(const struct call *c, uint64_t ino, const void *buf, size_t len, off_t at)
{
	struct shared_draft *slot;
	int fd;
	ssize_t n = change_begin(c, ino, &slot);

	if (n != 0)
		return n;
	int i = fd_take(c, ino, true, &fd);

	n = i < 0 ? i : pwrite(fd, buf, len, at);
	if (i >= 0) {
		if (n < 0)
			n = -errno;
		fd_give(c->mount, i, fd);
	}
	/* A short write means that the disk filled in the middle: the caller will be told on its next. */
	int r = change_end(c, slot, n < 0 ? (int)n : 0, file_key(c->mount, ino));

	return r < 0 ? r : n;
}

int files_fsync(const struct call *c, uint64_t ino, bool data_only)
{
	int fd, r = 0;
	int i = fd_take(c, ino, false, &fd);

	if (i < 0)
		return i;
	if ((data_only ? fdatasync(fd) : fsync(fd)) != 0)
		r = -errno;
	fd_give(c->mount, i, fd);
	return r;
}

int files_allocate(const struct call *c, uint64_t ino, int mode, off_t at, off_t len)
{
	struct shared_draft *slot;
	int fd;
	int r = change_begin(c, ino, &slot);

	if (r != 0)
		return r;
	int i = fd_take(c, ino, true, &fd);

	r = i < 0 ? i : 0;
	if (i >= 0) {
		if (fallocate(fd, mode, at, len) != 0)
			r = -errno;
		fd_give(c->mount, i, fd);
	}
	return change_end(c, slot, r, file_key(c->mount, ino));
}

static int set_owner(const struct place *p, int set, const struct stat *want)
{
	uid_t uid = set & FILE_SET_UID ? want->st_uid : (uid_t)-1;
	gid_t gid = set & FILE_SET_GID ? want->st_gid : (gid_t)-1;

	if (!(set & (FILE_SET_UID | FILE_SET_GID)))
		return 0;
	return fchownat(p->dirfd, p->name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

static int set_times(const struct place *p, int set, const struct stat *want)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};

	if (set & FILE_SET_ATIME)
		t[0] = want->st_atim;
	if (set & FILE_SET_MTIME)
		t[1] = want->st_mtim;
	if (!(set & (FILE_SET_ATIME | FILE_SET_MTIME)))
		return 0;
	return utimensat(p->dirfd, p->name, t, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : -errno;
}

static int set_all(const struct call *c, uint64_t ino, int set, const struct stat *want)
{
	struct place p;
	struct stat now;
	int r = place_of(c, ino, &p);

	if (r != 0)
		return r;
	if (fstatat(p.dirfd, p.name, &now, AT_SYMLINK_NOFOLLOW) != 0)
		r = -errno;
	if (r == 0 && (set & FILE_SET_SIZE))
		r = truncate_backing(c, ino, want->st_size);
	if (r == 0)
		r = set_owner(&p, set, want);
	if (r == 0 && (set & FILE_SET_MODE))
		r = place_set_mode(&p, (now.st_mode & S_IFMT) | (want->st_mode & 07777));
	if (r == 0)
		r = set_times(&p, set, want);
	place_close(&p);
	return r;
}

int files_setattr(const struct call *c, uint64_t ino, int set, const struct stat *want, struct stat *out)
{
	struct shared_draft *slot;
	int r = change_begin(c, ino, &slot);

	if (r != 0)
		return r;
	uint64_t key = file_key(c->mount, ino);

	r = set_all(c, ino, set, want);
	if (r == 0 && slot && (set & FILE_SET_SIZE) && want->st_size == 0)
		drafts_heal(c->mount, (int64_t)atomic_load(&slot->run), key);
	r = change_end(c, slot, r, key);
	return r == 0 ? files_getattr(c, ino, out) : r;
}
