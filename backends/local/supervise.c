#include "backends/local/supervise.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "backends/local/attempt.h"
#include "backends/local/attend.h"
#include "backends/local/order.h"
#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/proc.h"

#define END_TRIES     150             /* every 200 ms, where something else than the disk's space is wrong */
#define END_PAUSE_MAX (5 * NS_PER_S)

struct arguments {
	int dirfd, lock, report;
};

/* A process that nobody waits for and no terminal reaches. */
static void detach(void)
{
	sigset_t set;

	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (fork() > 0)
		_exit(0);
	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_NAME, "kexec-job");
	setlocale(LC_NUMERIC, "C"); /* metrics are read and written with a point */
	if (chdir("/") < 0)
		_exit(1);
}

/* Is fd the lock file of this attempt, handed over by submit()? */
static bool is_lock(int dirfd, int fd)
{
	struct stat a, b;

	return fd >= 0 && fstat(fd, &a) == 0 &&
	       fstatat(dirfd, ATTEMPT_LOCK, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

static int parse_fd(const char *text)
{
	char *end;
	long fd = strtol(text, &end, 10);

	return *end || fd < 3 || fd > 1000 || fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : (int)fd;
}

static int parse_arguments(int argc, char **argv, struct arguments *out)
{
	if (argc < 3)
		return -EINVAL;
	out->lock = argc > 3 ? parse_fd(argv[3]) : -1;
	out->report = argc > 4 ? parse_fd(argv[4]) : -1;
	out->dirfd = open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (out->dirfd < 0)
		return -errno;
	if (!is_lock(out->dirfd, out->lock))
		out->lock = attempt_lock(out->dirfd);
	return out->lock < 0 ? out->lock : 0;
}

/* After this the attempt counts as started. -EEXIST: it did before. */
static int record_start(int dirfd, struct attempt_supervisor *s)
{
	struct proc_info self;
	struct stat st;

	if (fstatat(dirfd, ATTEMPT_SUPERVISOR, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	if (errno != ENOENT)
		return -errno;
	s->pid = getpid();
	s->start = proc_read(s->pid, &self) == 0 ? self.start : 0;
	s->started = stamp_now();
	return attempt_write_supervisor(dirfd, s);
}

static bool full(int err)
{
	return err == -ENOSPC || err == -EDQUOT;
}

/*
 * The last act; without a record the job counts as lost. A disk that is full now has room as soon as
 * the daemon or the user makes some: that is waited for, however long, and the run still counts as
 * running, which it is in a way.
 */
static int record_end(int dirfd, const struct job_status *end)
{
	int64_t pause = 200 * NS_PER_MS;
	int err = fault_point("local.supervise.end");

	if (!err)
		err = attempt_write_end(dirfd, end);
	for (int i = 1; err && (full(err) || i < END_TRIES); i++) {
		const struct timespec t = {.tv_sec = pause / NS_PER_S, .tv_nsec = pause % NS_PER_S};

		nanosleep(&t, NULL);
		if (full(err) && pause < END_PAUSE_MAX)
			pause += pause / 4;
		err = fault_point("local.supervise.end");
		if (!err)
			err = attempt_write_end(dirfd, end);
	}
	return err;
}

static void end_with(struct job_status *end, enum end_cause cause, const char *sentence)
{
	end->cause = cause;
	snprintf(end->detail, sizeof(end->detail), "%s", sentence);
}

static bool cancelled(int dirfd)
{
	return faccessat(dirfd, ATTEMPT_CANCEL, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int supervise(const struct arguments *a, const struct order *order)
{
	struct attempt_supervisor self = {0};
	struct job_status end = {.exit_code = -1, .progress = -1};
	int err = fault_point("local.supervise.record");

	if (!err)
		err = record_start(a->dirfd, &self);
	if (err && faccessat(a->dirfd, ATTEMPT_SUPERVISOR, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return err; /* nothing is recorded: it may be submitted again */
	if (err == -EEXIST)
		return err;
	if (a->report >= 0) {
		/* A daemon that has gone meanwhile will look at the files. */
		io_write_all(a->report, "s", 1);
		close(a->report);
	}
	attempt_reserve(a->dirfd);
	end.started = self.started;
	if (err)
		end_with(&end, END_SETUP, _("The start could not be recorded on the disk."));
	else if (cancelled(a->dirfd))
		end_with(&end, END_CANCELLED, _("Cancelled before it started."));
	else if (order->setup_error)
		end_with(&end, END_SETUP, order->setup_error);
	else if (!(err = fault_point("local.supervise.start")))
		attend(a->dirfd, order, &end);
	else
		end_with(&end, END_SETUP, strerror(-err));
	end.ended = stamp_now();
	return record_end(a->dirfd, &end);
}

int supervise_main(int argc, char **argv)
{
	struct arguments a;
	struct order order;
	int err;

	fault_open();
	detach();
	err = parse_arguments(argc, argv, &a);
	if (!err)
		err = order_read(a.dirfd, &order);
	if (err) {
		fprintf(stderr, "supervise: %s\n", strerror(-err));
		return 1;
	}
	err = supervise(&a, &order);
	if (err)
		fprintf(stderr, "supervise: %s\n", strerror(-err));
	order_release(&order);
	return err ? 1 : 0;
}
