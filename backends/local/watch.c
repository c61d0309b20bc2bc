/*
 * News of living jobs, for the daemon. The end comes from the supervisor's pidfd at once; growth of the
 * log, progress and metrics is looked for four times a second while there is a job. Not inotify: a
 * process that is killed with inotify watches takes 10 ms and more to be gone, and while the server dies
 * everybody who uses the mount waits.
 */
#include "backends/local/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "backends/local/attempt.h"
#include "fs/base/clock.h"
#include "fs/base/proc.h"

#define INTERVAL_NS (250 * NS_PER_MS) /* between two looks at the files of one job */
#define REST_MS     50                /* the thread wakes this often at most */

struct job_watch {
	struct job_watch *next;
	char remote_id[REMOTE_ID_MAX];
	int dirfd, pidfd; /* of the attempt, of its supervisor; -1 none */
	bool dirty, ended;
	int64_t next_look;
	uint64_t seen; /* what the files looked like, see look_of() */
};

struct watch {
	watch_changed changed;
	void *arg;
	int epoll, wake;
	pthread_t thread;
	pthread_mutex_t lock; /* of the list; never held during `changed` */
	struct job_watch *jobs;
	bool stop;
};

/* ---- with the lock held ---- */

static struct job_watch *find_id(const struct watch *w, const char *remote_id)
{
	for (struct job_watch *j = w->jobs; j; j = j->next)
		if (!strcmp(j->remote_id, remote_id))
			return j;
	return NULL;
}

static uint64_t look_of_file(int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return ((uint64_t)st.st_ino * 31 + (uint64_t)st.st_size) * 31 + (uint64_t)st.st_mtim.tv_nsec + 1;
}

/* A number that changes when anything that readers see has changed. */
static uint64_t look_of(int dirfd)
{
	static const char *const names[] = {ATTEMPT_LOG, ATTEMPT_METRICS, ATTEMPT_PROGRESS, ATTEMPT_SUPERVISOR};
	uint64_t look = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		look = look * 1000003 + look_of_file(dirfd, names[i]);
	return look;
}

static bool has_ended(int dirfd)
{
	struct stat st;

	return dirfd < 0 || fstat(dirfd, &st) < 0 || st.st_nlink == 0 ||
	       fstatat(dirfd, ATTEMPT_END, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void look_at(struct job_watch *j, int64_t now)
{
	if (j->ended || now < j->next_look)
		return;
	uint64_t look = look_of(j->dirfd);

	j->next_look = now + INTERVAL_NS;
	j->ended = has_ended(j->dirfd);
	j->dirty = j->dirty || j->ended || look != j->seen;
	j->seen = look;
}

static void mark_gone(struct watch *w, int pidfd)
{
	for (struct job_watch *j = w->jobs; j; j = j->next)
		if (j->pidfd == pidfd)
			j->dirty = j->ended = true;
}

static void forget(struct watch *w, struct job_watch *gone)
{
	struct job_watch **at = &w->jobs;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	if (gone->dirfd >= 0)
		close(gone->dirfd);
	if (gone->pidfd >= 0)
		close(gone->pidfd);
	free(gone);
}

/* One report that is due now: its id and whether the job has ended. */
static bool take_due(struct watch *w, int64_t now, char id[REMOTE_ID_MAX], bool *ended)
{
	for (struct job_watch *j = w->jobs; j; j = j->next) {
		look_at(j, now);
		if (!j->dirty)
			continue;
		snprintf(id, REMOTE_ID_MAX, "%s", j->remote_id);
		*ended = j->ended;
		j->dirty = false;
		if (j->ended)
			forget(w, j);
		return true;
	}
	return false;
}

/* Milliseconds until the next look; -1 without jobs. */
static int until_due(const struct watch *w, int64_t now)
{
	int64_t least = -1;

	for (const struct job_watch *j = w->jobs; j; j = j->next) {
		int64_t left = j->dirty || j->ended || j->next_look <= now ? 0 : j->next_look - now;

		if (least < 0 || left < least)
			least = left;
	}
	return least < 0 ? -1 : (int)(least / NS_PER_MS) + 1;
}

/* ---- the thread ---- */

static void report_due(struct watch *w)
{
	char id[REMOTE_ID_MAX];
	bool ended, due, stop;

	do {
		pthread_mutex_lock(&w->lock);
		stop = w->stop;
		due = !stop && take_due(w, clock_boot_ns(), id, &ended);
		pthread_mutex_unlock(&w->lock);
		if (due)
			w->changed(w->arg, id, ended);
	} while (due);
}

static void take_event(struct watch *w, const struct epoll_event *e)
{
	uint64_t count;

	if (e->data.fd == w->wake) {
		while (read(w->wake, &count, sizeof(count)) < 0 && errno == EINTR)
			;
	} else {
		pthread_mutex_lock(&w->lock);
		mark_gone(w, e->data.fd);
		pthread_mutex_unlock(&w->lock);
	}
}

static void *watch_thread(void *arg)
{
	struct watch *w = arg;
	struct epoll_event events[16];

	for (;;) {
		struct pollfd rest = {.fd = w->wake, .events = POLLIN};
		int timeout, n;
		bool stop;

		pthread_mutex_lock(&w->lock);
		timeout = until_due(w, clock_boot_ns());
		stop = w->stop;
		pthread_mutex_unlock(&w->lock);
		if (stop)
			return NULL;
		n = epoll_wait(w->epoll, events, 16, timeout);
		for (int i = 0; i < n; i++)
			take_event(w, &events[i]);
		report_due(w);
		poll(&rest, 1, REST_MS);
	}
}

/* ---- any thread ---- */

static int epoll_add(struct watch *w, int fd)
{
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static void wake(struct watch *w)
{
	uint64_t one = 1;

	while (write(w->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

int watch_open(watch_changed changed, void *arg, struct watch **out)
{
	struct watch *w = calloc(1, sizeof(*w));
	int err = 0;

	*out = NULL;
	if (!w)
		return -ENOMEM;
	w->changed = changed;
	w->arg = arg;
	pthread_mutex_init(&w->lock, NULL);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (w->epoll < 0 || w->wake < 0)
		err = -errno;
	if (!err)
		err = epoll_add(w, w->wake);
	if (!err)
		err = -pthread_create(&w->thread, NULL, watch_thread, w);
	if (!err) {
		*out = w;
		return 0;
	}
	close(w->epoll);
	close(w->wake);
	free(w);
	return err;
}

static struct job_watch *add_new(struct watch *w, const char *remote_id, const char *directory)
{
	struct job_watch *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	snprintf(j->remote_id, sizeof(j->remote_id), "%s", remote_id);
	j->dirty = true; /* it may have changed before the watch was set */
	j->pidfd = -1;
	j->dirfd = open(directory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	j->next = w->jobs;
	w->jobs = j;
	return j;
}

/* A supervisor that is gone by now has ended; its pidfd tells when it ends later. */
static void add_process(struct watch *w, struct job_watch *j, pid_t pid, uint64_t start)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	j->dirty = true;
	if (fd < 0 || !proc_alive(pid, start)) {
		j->ended = true;
		if (fd >= 0)
			close(fd);
		return;
	}
	j->pidfd = fd;
	if (epoll_add(w, fd) < 0) {
		close(fd);
		j->pidfd = -1;
	}
}

int watch_add(struct watch *w, const char *remote_id, const char *directory, pid_t pid, uint64_t start)
{
	struct job_watch *j;

	pthread_mutex_lock(&w->lock);
	j = find_id(w, remote_id);
	bool fresh = !j;

	if (!j)
		j = add_new(w, remote_id, directory);
	int err = j ? 0 : -ENOMEM;

	if (j && pid > 0 && j->pidfd < 0 && !j->ended) {
		add_process(w, j, pid, start);
		fresh = true;
	}
	pthread_mutex_unlock(&w->lock);
	if (fresh)
		wake(w);
	return err;
}

int watch_count(struct watch *w)
{
	int n = 0;

	pthread_mutex_lock(&w->lock);
	for (const struct job_watch *j = w->jobs; j; j = j->next)
		n++;
	pthread_mutex_unlock(&w->lock);
	return n;
}

void watch_close(struct watch *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_mutex_unlock(&w->lock);
	wake(w);
	pthread_join(w->thread, NULL);
	while (w->jobs)
		forget(w, w->jobs);
	close(w->epoll);
	close(w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
