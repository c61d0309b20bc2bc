/* Open backing files, a few at a time: a READ or WRITE names a node, never a descriptor. */
#include "fs/mount/files_private.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int find(struct mount *m, uint64_t ino, bool writable)
{
	for (int i = 0; i < FD_CACHE; i++)
		if (m->fds[i].fd >= 0 && m->fds[i].ino == ino && (m->fds[i].writable || !writable))
			return i;
	return -1;
}

/* The slot to reuse: empty, else the one unused for longest; -1 when all are in use. */
static int victim(struct mount *m)
{
	int best = -1;

	for (int i = 0; i < FD_CACHE; i++) {
		if (m->fds[i].fd < 0)
			return i;
		if (m->fds[i].users == 0 && (best < 0 || m->fds[i].used < m->fds[best].used))
			best = i;
	}
	return best;
}

static int open_backing(const struct call *c, uint64_t ino, bool writable)
{
	struct place p;
	int r = place_of(c, ino, &p);

	if (r != 0)
		return r;
	/* O_NONBLOCK: a FIFO that got into an output must not block a thread. */
	r = openat(p.dirfd, p.name, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (r < 0)
		r = -errno;
	place_close(&p);
	return r;
}

/* An uncached descriptor has index FD_CACHE; fd_give closes it. */
int fd_take(const struct call *c, uint64_t ino, bool writable, int *fd)
{
	struct mount *m = c->mount;

	pthread_mutex_lock(&m->fds_lock);
	int i = find(m, ino, writable);

	if (i >= 0) {
		m->fds[i].users++;
		m->fds[i].used = ++m->fds_tick;
		*fd = m->fds[i].fd;
	}
	pthread_mutex_unlock(&m->fds_lock);
	if (i >= 0)
		return i;
	*fd = open_backing(c, ino, writable);
	if (*fd < 0)
		return *fd;
	pthread_mutex_lock(&m->fds_lock);
	i = victim(m);
	if (i >= 0) {
		if (m->fds[i].fd >= 0)
			close(m->fds[i].fd);
		m->fds[i] = (struct fd_slot){.ino = ino, .fd = *fd, .writable = writable, .users = 1,
			.used = ++m->fds_tick};
	}
	pthread_mutex_unlock(&m->fds_lock);
	return i >= 0 ? i : FD_CACHE;
}

void fd_give(struct mount *m, int index, int fd)
{
	if (index == FD_CACHE) {
		close(fd);
		return;
	}
	pthread_mutex_lock(&m->fds_lock);
	m->fds[index].users--;
	/* Forgotten while in use: fd_forget left the closing to the last user. */
	if (m->fds[index].users == 0 && m->fds[index].ino == 0) {
		close(m->fds[index].fd);
		m->fds[index].fd = -1;
	}
	pthread_mutex_unlock(&m->fds_lock);
}

void fd_forget(struct mount *m, uint64_t ino)
{
	pthread_mutex_lock(&m->fds_lock);
	for (int i = 0; i < FD_CACHE; i++) {
		if (m->fds[i].fd < 0 || m->fds[i].ino != ino)
			continue;
		m->fds[i].ino = 0;
		if (m->fds[i].users == 0) {
			close(m->fds[i].fd);
			m->fds[i].fd = -1;
		}
	}
	pthread_mutex_unlock(&m->fds_lock);
}

void files_close_cached(struct mount *m)
{
	for (int i = 0; i < FD_CACHE; i++) {
		if (m->fds[i].fd >= 0)
			close(m->fds[i].fd);
		m->fds[i].fd = -1;
	}
}
