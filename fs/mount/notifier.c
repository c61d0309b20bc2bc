/*
 * The notifier process. What it does can wait for the mount itself: dropping a directory entry takes
 * locks that a request in flight holds, and the operations that make inotify events are ordinary
 * system calls on the mount. So nobody waits for this process: not the server (which must answer it),
 * not the keeper (which must restart the server).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/mount/event.h"
#include "fs/process.h"

static void inval_entry(uint64_t dir, const char *name)
{
	struct fuse_notify_inval_entry_out out = {.parent = dir, .namelen = (uint32_t)strlen(name)};
	struct fuse_out_header header = {.len = (uint32_t)(sizeof(header) + sizeof(out) + strlen(name) + 1),
		.error = FUSE_NOTIFY_INVAL_ENTRY};
	struct iovec iov[] = {{&header, sizeof(header)}, {&out, sizeof(out)}, {(void *)(uintptr_t)name, strlen(name) + 1}};

	(void)!writev(FD_SESSION, iov, 3); /* ENOENT: the kernel did not have it */
}

static void inval_inode(uint64_t ino)
{
	struct {
		struct fuse_out_header header;
		struct fuse_notify_inval_inode_out out;
	} msg = {{sizeof(msg), FUSE_NOTIFY_INVAL_INODE, 0}, {.ino = ino}};

	(void)!write(FD_SESSION, &msg, sizeof(msg));
}

static void carry_out(struct shared *s, const char *mountpoint, const struct shared_event *e)
{
	char path[4096 + sizeof(e->path)];

	snprintf(path, sizeof(path), "%s/%s", mountpoint, e->path);
	atomic_store(&s->notifier_child, e->child);
	atomic_store(&s->notifier_doing, e->kind);
	switch ((enum event_kind)e->kind) {
	case EVENT_INVAL_ENTRY:
		inval_entry(e->ino, e->name);
		break;
	case EVENT_INVAL_INODE:
		inval_inode(e->ino);
		break;
	case EVENT_TOUCH:
		utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
		break;
	case EVENT_APPEAR:
		mkdir(path, 0755);
		break;
	case EVENT_VANISH:
		inval_entry(e->ino, e->name); /* the real one, which may be held */
		rmdir(path);
		break;
	}
}

int notifier_main(const char *mountpoint)
{
	struct shared *s = shared_map(FD_SHARED);
	struct pollfd fds[] = {{.fd = FD_BELL, .events = POLLIN}, {.fd = FD_KEEPER, .events = POLLIN}};
	struct shared_event e;
	uint64_t rings;

	if (!s)
		return 1;
	prctl(PR_SET_NAME, "kexec-notify");
	atomic_store(&s->notifier_tid, (int32_t)gettid());
	for (;;) {
		while (!atomic_load(&s->stopping) && ring_take(s, &e))
			carry_out(s, mountpoint, &e);
		if (poll(fds, 2, 1000) < 0 && errno != EINTR)
			return 1;
		if (fds[1].revents & (POLLHUP | POLLERR))
			return 0;
		if (fds[0].revents & POLLIN)
			(void)!read(FD_BELL, &rings, sizeof(rings));
	}
}
