#include "backends/local/attend.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "backends/local/attempt.h"
#include "backends/local/cgroup.h"
#include "backends/local/descendants.h"
#include "backends/local/metric_file.h"
#include "backends/local/order.h"
#include "backends/local/pump.h"
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

#define TICK_NS       (1 * NS_PER_S)     /* wishes, samples of memory */
#define FAST_TICK_NS  (200 * NS_PER_MS)  /* with a memory limit to keep */
#define GRACE_NS      (5 * NS_PER_S)     /* between TERM and KILL */
#define END_LIMIT_NS  (30 * NS_PER_S)    /* to be rid of processes the kernel holds */
#define PROGRESS_NS   (250 * NS_PER_MS)
#define EVENT_MAX     65536
#define PIPE_BYTES    (1 << 20)
#define FULL_DISK     (1 << 20)
#define NEAR_LIMIT    9                  /* tenths of the memory */

enum { FD_SIGNAL, FD_OUT, FD_ERR, FD_EVENT, FD_COUNT };

struct attendance {
	int dirfd;
	const struct order *order;
	struct job_status *end;
	int fds[FD_COUNT];
	pid_t child;
	bool exited;               /* child has been waited for */
	int status;
	struct pump pump;
	struct metric_file *metrics;
	struct cgroup cgroup;
	struct strbuf event;       /* the unfinished line of the event pipe */
	bool started;              /* start.sh came to its end */
	char said[256];            /* the driver's own sentence about a failure */
	long cell, cells, done;
	bool progress_dirty;
	int64_t progress_at;
	int64_t begun_ns, tick_ns, next_tick;
	int64_t kill_at;           /* 0: nobody has been asked to end */
	int64_t max_rss;
	bool memory_told;          /* that the limit is near: who asks is to hear of it at once */
	long oom_kills;            /* of the machine, before */
};

/* ---- starting ---- */

static long machine_oom_kills(void)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	const char *line;

	if (io_read(AT_FDCWD, "/proc/vmstat", 1 << 20, &text) < 0)
		return 0;
	line = strstr(text.buf, "\noom_kill ");
	return line ? strtol(line + 10, NULL, 10) : 0;
}

/* The job goes first when memory runs out: not the daemon, not the user's session. */
static void prefer_for_oom(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	io_write_all(fd, "800", 3); /* refused where we are preferred even more already */
	close(fd);
}

static void become_job(const struct attendance *a, const int ends[3])
{
	sigset_t none;
	int null = open("/dev/null", O_RDONLY);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	prefer_for_oom();
	cgroup_enter(&a->cgroup);
	setsid(); /* a job that signals its own group must not reach us */
	if (dup2(null, 0) < 0 || dup2(ends[0], 1) < 0 || dup2(ends[1], 2) < 0 || dup2(ends[2], 3) < 0)
		_exit(126);
	close_range(4, ~0U, 0);
	execvpe(a->order->command.v[0], a->order->command.v, spawn_environment);
	dprintf(2, "%s: %s\n", a->order->command.v[0], strerror(errno));
	_exit(127);
}

/* ends[i]: what the job writes to; fds: what we read. Above 3, so that dup2 overwrites none. */
static int make_pipe(struct attendance *a, int which, int *end)
{
	int p[2], high;

	if (pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	high = fcntl(p[1], F_DUPFD_CLOEXEC, 10);
	close(p[1]);
	a->fds[which] = p[0];
	*end = high;
	if (high < 0 || fcntl(p[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	fcntl(p[0], F_SETPIPE_SZ, PIPE_BYTES); /* fewer wake-ups; smaller where not allowed */
	return 0;
}

static int start(struct attendance *a)
{
	int ends[3] = {-1, -1, -1}, err = 0;

	for (int i = 0; i < 3 && !err; i++)
		err = make_pipe(a, FD_OUT + i, &ends[i]);
	if (!err) {
		a->child = fork();
		if (a->child == 0)
			become_job(a, ends);
		err = a->child < 0 ? -errno : 0;
	}
	for (int i = 0; i < 3; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	return err;
}

static int open_signals(struct attendance *a)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	a->fds[FD_SIGNAL] = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return a->fds[FD_SIGNAL] < 0 ? -errno : 0;
}

static int prepare(struct attendance *a)
{
	int err;

	for (int i = 0; i < FD_COUNT; i++)
		a->fds[i] = -1;
	strbuf_init(&a->event, EVENT_MAX);
	a->pump.fd = -1;
	a->begun_ns = clock_boot_ns();
	a->tick_ns = a->order->memory_bytes > 0 ? FAST_TICK_NS : TICK_NS;
	a->next_tick = a->begun_ns;
	a->oom_kills = machine_oom_kills();
	err = metric_file_open(a->dirfd, &a->metrics);
	if (!err)
		err = pump_open(&a->pump, a->dirfd, a->metrics);
	if (!err)
		err = open_signals(a);
	if (!err)
		cgroup_make(&a->cgroup, a->dirfd, a->order->id, a->order->memory_bytes);
	return err;
}

/* ---- progress ---- */

static double progress(const struct attendance *a)
{
	if (a->cells <= 0)
		return -1;
	return a->done >= a->cells ? 1 : (double)a->done / (double)a->cells;
}

static void write_progress(struct attendance *a, int64_t now)
{
	char detail[64] = "";

	if (!a->progress_dirty || now < a->progress_at)
		return;
	if (a->cells > 0)
		snprintf(detail, sizeof(detail), _("cell %ld of %ld"), a->cell, a->cells);
	attempt_write_progress(a->dirfd, &(struct attempt_progress){.progress = progress(a),
			.detail = detail, .cell = a->cell, .cells = a->cells,
			.max_rss_bytes = a->max_rss});
	a->progress_dirty = false;
	a->progress_at = now + PROGRESS_NS;
}

static long clamp_count(const struct json *j, long fallback)
{
	int64_t n = json_int(j, fallback);

	return n < 0 || n > 1000000 ? fallback : (long)n;
}

/* What the driver tells: nothing in it is trusted, the notebook can write there as well. */
static void take_event(struct attendance *a, const char *line, size_t len)
{
	struct json *j = json_parse(line, len, EVENT_MAX, NULL);
	const char *error = json_text(json_get(j, "error")), *name = json_text(json_get(j, "name"));
	const struct json *value = json_get(j, "value");

	a->started = a->started || json_bool(json_get(j, "started"), false);
	if (json_get(j, "cells")) {
		a->cells = clamp_count(json_get(j, "cells"), a->cells);
		a->cell = clamp_count(json_get(j, "cell"), a->cell);
		a->done = clamp_count(json_get(j, "done"), a->done);
		a->progress_dirty = true;
	}
	if (name && json_type(value) == JSON_NUMBER)
		metric_file_add(a->metrics, name, json_number(value, 0), -1);
	if (error) {
		AUTO_BUF struct strbuf text = STRBUF_INIT;

		escape_line(&text, error, strlen(error), sizeof(a->said) - 1);
		snprintf(a->said, sizeof(a->said), "%s", text.buf);
	}
	json_free(j);
}

static void add_events(struct attendance *a, const char *data, size_t len)
{
	while (len) {
		const char *end = memchr(data, '\n', len);
		size_t n = end ? (size_t)(end - data) : len;

		strbuf_add(&a->event, data, n);
		if (!end)
			return;
		if (!a->event.err) /* else longer than any of ours */
			take_event(a, a->event.buf, a->event.len);
		strbuf_reset(&a->event);
		data = end + 1;
		len -= n + 1;
	}
}

/* ---- ending it ---- */

static void ask_to_end(struct attendance *a, enum end_cause cause, int signal_number)
{
	if (a->kill_at || a->exited)
		return;
	a->end->cause = cause;
	a->end->signal = cause == END_SIGNAL ? signal_number : 0;
	a->kill_at = clock_boot_ns() + GRACE_NS;
	kill(descendants_main(a->child, a->order->namespaces ? 2 : 0), SIGTERM);
}

/* The largest process is what used the memory up; the driver above it can still save the notebook. */
static void end_for_memory(struct attendance *a, pid_t largest)
{
	if (a->exited || a->end->cause == END_MEMORY)
		return;
	a->end->cause = END_MEMORY;
	a->kill_at = clock_boot_ns() + GRACE_NS;
	if (largest > 0)
		kill(largest, SIGKILL);
}

static void check_memory(struct attendance *a)
{
	struct memory_use use;

	if (descendants_memory(&use) < 0)
		return;
	if (use.rss_bytes > a->max_rss)
		a->max_rss = use.rss_bytes;
	if (!a->memory_told && a->order->memory_bytes > 0 &&
		a->max_rss > a->order->memory_bytes / 10 * NEAR_LIMIT)
		a->memory_told = a->progress_dirty = true;
	if (a->order->memory_bytes > 0 && use.rss_bytes > a->order->memory_bytes &&
		descendants_pss() > a->order->memory_bytes)
		end_for_memory(a, use.largest);
}

/* Looking at all processes costs time on a large machine: at most a twentieth of it. */
static void tick(struct attendance *a)
{
	int64_t begun = clock_boot_ns(), took;

	check_memory(a);
	if (faccessat(a->dirfd, ATTEMPT_CANCEL, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		ask_to_end(a, END_CANCELLED, 0);
	if (a->order->limit_ns > 0 && begun - a->begun_ns >= a->order->limit_ns)
		ask_to_end(a, END_TIME_LIMIT, 0);
	took = clock_boot_ns() - begun;
	a->next_tick = begun + (took * 20 > a->tick_ns ? took * 20 : a->tick_ns);
}

static void take_signals(struct attendance *a)
{
	struct signalfd_siginfo info;

	while (read(a->fds[FD_SIGNAL], &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGTERM)
			continue;
		if (faccessat(a->dirfd, ATTEMPT_CANCEL, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			ask_to_end(a, END_CANCELLED, 0);
		else
			ask_to_end(a, END_SIGNAL, SIGTERM); /* the machine goes down, or an administrator */
	}
}

static void reap(struct attendance *a)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != a->child)
			continue;
		a->exited = true;
		a->status = status;
	}
}

/* ---- the loop ---- */

/* At most a few chunks at a time, so that a flood does not keep limits from being looked at. */
static void drain(struct attendance *a, int which)
{
	char chunk[131072];

	for (int i = 0; i < 16 && a->fds[which] >= 0; i++) {
		ssize_t n = read(a->fds[which], chunk, sizeof(chunk));

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			close(a->fds[which]);
			a->fds[which] = -1;
		} else if (which == FD_EVENT) {
			add_events(a, chunk, (size_t)n);
		} else {
			pump_add(&a->pump, which == FD_ERR, chunk, (size_t)n);
		}
	}
}

/* Of the time limit; far away without one, and once it was asked to end. */
static int64_t limit_moment(const struct attendance *a)
{
	return a->order->limit_ns > 0 && !a->kill_at ? a->begun_ns + a->order->limit_ns : INT64_MAX;
}

static int64_t next_moment(const struct attendance *a)
{
	int64_t next = a->next_tick;

	if (limit_moment(a) < next)
		next = limit_moment(a);
	if (a->kill_at && a->kill_at < next)
		next = a->kill_at;
	if (a->progress_dirty && a->progress_at < next)
		next = a->progress_at;
	return next;
}

static void wait_for_news(struct attendance *a)
{
	struct pollfd p[FD_COUNT];
	int64_t left = next_moment(a) - clock_boot_ns();

	for (int i = 0; i < FD_COUNT; i++)
		p[i] = (struct pollfd){.fd = a->fds[i], .events = POLLIN};
	poll(p, FD_COUNT, left > 0 ? (int)(left / NS_PER_MS) + 1 : 0);
}

static void attend_until_exit(struct attendance *a)
{
	while (!a->exited) {
		int64_t now;

		wait_for_news(a);
		take_signals(a);
		for (int i = FD_OUT; i < FD_COUNT; i++)
			drain(a, i);
		reap(a);
		now = clock_boot_ns();
		if (now >= a->next_tick || now >= limit_moment(a))
			tick(a);
		if (a->kill_at && now >= a->kill_at)
			break;
		write_progress(a, now);
	}
}

/* Everything of the job is gone, so what is in the pipes now is all there will ever be. */
static void finish_output(struct attendance *a)
{
	for (int i = FD_OUT; i < FD_COUNT; i++) {
		struct pollfd p = {.fd = a->fds[i], .events = POLLIN};

		while (p.fd >= 0 && poll(&p, 1, 0) > 0) {
			drain(a, i);
			p.fd = a->fds[i];
		}
	}
	a->progress_at = 0;
	write_progress(a, clock_boot_ns());
}

/* ---- what became of it ---- */

static bool disk_is_full(const struct attendance *a)
{
	struct statvfs st;

	return a->pump.disk_full ||
	       (fstatvfs(a->dirfd, &st) == 0 && (uint64_t)st.f_bavail * st.f_frsize < FULL_DISK);
}

static void set_detail(struct job_status *end, const char *text)
{
	snprintf(end->detail, sizeof(end->detail), "%s", text);
}

/* bwrap and sh say 128 + signal for a program that a signal ended. */
static void judge_exit(struct attendance *a)
{
	struct job_status *end = a->end;
	int code = WIFEXITED(a->status) ? WEXITSTATUS(a->status) : 128 + WTERMSIG(a->status);

	end->exit_code = code;
	if (code == 0)
		end->cause = END_OK;
	else if (!a->started || (a->order->notebook && code == 2))
		end->cause = END_SETUP;
	else if (cgroup_oom_kills(&a->cgroup) > 0 ||
		 ((code == 128 + SIGKILL || (a->order->notebook && code == 3)) &&
			 machine_oom_kills() > a->oom_kills))
		end->cause = END_MEMORY;
	else if (disk_is_full(a))
		end->cause = END_DISK;
	else if (code > 128 && code < 128 + NSIG) {
		end->cause = END_SIGNAL;
		end->signal = code - 128;
	} else
		end->cause = END_ERROR;
}

/* The driver's own sentence, else the last line of stderr. */
static void describe_failure(struct attendance *a)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;

	escape_line(&line, a->pump.error, a->pump.error_len, sizeof(a->end->detail) - 1);
	set_detail(a->end, *a->said ? a->said : line.buf);
}

static void describe(struct attendance *a)
{
	struct job_status *end = a->end;

	switch (end->cause) {
	case END_OK:
		set_detail(end, "");
		break;
	case END_CANCELLED:
		set_detail(end, _("Cancelled."));
		break;
	case END_TIME_LIMIT:
		snprintf(end->detail, sizeof(end->detail), _("The time limit of %lld s was reached."),
			(long long)(a->order->limit_ns / NS_PER_S));
		break;
	case END_MEMORY:
		if (a->order->memory_bytes > 0)
			snprintf(end->detail, sizeof(end->detail),
				_("Out of memory: it used more than %lld MiB."),
				(long long)(a->order->memory_bytes >> 20));
		else
			set_detail(end, _("Out of memory: the machine had no more."));
		break;
	case END_DISK:
		set_detail(end, _("The disk is full."));
		break;
	default:
		describe_failure(a);
	}
}

static void judge(struct attendance *a)
{
	struct rusage use;

	if (a->end->cause == END_NONE)
		judge_exit(a);
	else if (a->exited && WIFEXITED(a->status))
		a->end->exit_code = WEXITSTATUS(a->status);
	a->end->progress = progress(a);
	if (getrusage(RUSAGE_CHILDREN, &use) == 0) {
		a->end->cpu_ns = (use.ru_utime.tv_sec + use.ru_stime.tv_sec) * NS_PER_S +
				 (use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1000;
		if (use.ru_maxrss * 1024 > a->max_rss)
			a->max_rss = use.ru_maxrss * 1024;
	}
	a->end->max_rss_bytes = a->max_rss;
	describe(a);
}

static void import_metrics(struct attendance *a)
{
	AUTO_FD int work = io_open_dir(a->dirfd, ATTEMPT_WORK);

	metric_file_import(a->metrics, work);
}

static void finish(struct attendance *a)
{
	for (int i = 0; i < FD_COUNT; i++)
		if (a->fds[i] >= 0)
			close(a->fds[i]);
	if (a->pump.fd >= 0)
		pump_finish(&a->pump);
	metric_file_close(a->metrics);
	strbuf_release(&a->event);
	cgroup_remove(&a->cgroup);
}

/* Kill and wait for what is left; the child is among it when its time was over. */
static void end_everything(struct attendance *a)
{
	cgroup_kill(&a->cgroup);
	descendants_end(END_LIMIT_NS);
	finish_output(a);
}

void attend(int dirfd, const struct order *order, struct job_status *end)
{
	struct attendance a = {.dirfd = dirfd, .order = order, .end = end};
	int err = prepare(&a);

	if (!err)
		err = start(&a);
	if (!err) {
		attend_until_exit(&a);
		end_everything(&a);
		import_metrics(&a);
		judge(&a);
	} else {
		end->cause = err == -ENOSPC || err == -EDQUOT ? END_DISK : END_SETUP;
		snprintf(end->detail, sizeof(end->detail), _("The job could not be started: %s"),
			strerror(-err));
	}
	finish(&a);
}
