#include "fs/base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/io.h"

/* Fields of /proc/PID/stat counted from 1, as in proc(5). */
enum {
	STAT_STATE = 3,
	STAT_PPID = 4,
	STAT_FLAGS = 9,
	STAT_UTIME = 14,
	STAT_CSTIME = 17,
	STAT_THREADS = 20,
	STAT_START = 22,
	STAT_RSS = 24,
	STAT_EXIT_CODE = 52,
	STAT_FIELDS
};

struct stat_line {
	char comm[16];
	char state;
	long long value[STAT_FIELDS]; /* numbers from STAT_PPID on */
};

static int read_file(pid_t pid, const char *file, char *buf, size_t size)
{
	char path[64];
	AUTO_FD int fd = -1;
	int n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -ESRCH : io_read_all(fd, buf, size - 1);
	if (n <= 0)
		return -ESRCH;
	buf[n] = '\0';
	return 0;
}

/* The name in parentheses may hold anything, also ") Z 1": the last ')' ends it. */
static int parse_stat(const char *text, struct stat_line *out)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	const char *p;
	size_t len;

	memset(out, 0, sizeof(*out));
	if (!open || !close || close < open || close[1] != ' ' || close[2] == '\0')
		return -ESRCH;
	len = (size_t)(close - open - 1);
	memcpy(out->comm, open + 1, len < sizeof(out->comm) ? len : sizeof(out->comm) - 1);
	out->state = close[2];
	p = close + 3;
	for (int i = STAT_PPID; i < STAT_FIELDS; i++) {
		char *end;

		out->value[i] = (long long)strtoull(p, &end, 10);
		if (end == p)
			return i > STAT_RSS ? 0 : -ESRCH; /* exit_code came with Linux 3.5 */
		p = end;
	}
	return 0;
}

static int read_stat(pid_t pid, struct stat_line *out)
{
	char text[1024];
	int r = read_file(pid, "stat", text, sizeof(text));

	return r ? r : parse_stat(text, out);
}

static pid_t read_tgid(pid_t tid)
{
	char text[4096];
	const char *line;

	if (read_file(tid, "status", text, sizeof(text)))
		return -1;
	line = strstr(text, "\nTgid:");
	return line ? (pid_t)strtol(line + 6, NULL, 10) : -1;
}

static uint64_t cpu_ns(const struct stat_line *s)
{
	long tick = sysconf(_SC_CLK_TCK);
	uint64_t ticks = 0;

	for (int i = STAT_UTIME; i <= STAT_CSTIME; i++)
		ticks += (uint64_t)s->value[i];
	return ticks * (uint64_t)(NS_PER_S / (tick > 0 ? tick : 100));
}

/* The task asked for, and the leader of its process (the same line for a process id). */
static int read_both(pid_t id, pid_t *tgid, struct stat_line *task, struct stat_line *leader)
{
	if (id <= 0)
		return -ESRCH;
	*tgid = read_tgid(id);
	if (*tgid <= 0 || read_stat(id, task))
		return -ESRCH;
	if (*tgid == id)
		*leader = *task;
	else if (read_stat(*tgid, leader))
		return -ESRCH;
	return 0;
}

int proc_read(pid_t pid_or_tid, struct proc_info *out)
{
	struct stat_line task, leader;
	pid_t tgid;
	int r = read_both(pid_or_tid, &tgid, &task, &leader);

	if (r)
		return r;
	*out = (struct proc_info){
		.pid = tgid,
		.ppid = (pid_t)leader.value[STAT_PPID],
		.state = task.state,
		.start = (uint64_t)leader.value[STAT_START],
		.flags = (unsigned)task.value[STAT_FLAGS],
		.exit_code = (int)task.value[STAT_EXIT_CODE],
		.rss_bytes = (uint64_t)leader.value[STAT_RSS] * (uint64_t)sysconf(_SC_PAGESIZE),
		.cpu_ns = cpu_ns(&leader),
	};
	memcpy(out->comm, leader.comm, sizeof(out->comm));
	return 0;
}

/* A leader that ended before its other threads shows Z, but the process is at work. */
static bool dead(const struct stat_line *s)
{
	return s->state == 'X' || s->state == 'x' ||
	       (s->state == 'Z' && s->value[STAT_THREADS] <= 1);
}

bool proc_alive(pid_t pid, uint64_t start)
{
	struct stat_line task, leader;
	pid_t tgid;

	if (read_both(pid, &tgid, &task, &leader) || tgid != pid)
		return false;
	return (uint64_t)leader.value[STAT_START] == start && !dead(&leader);
}

bool proc_descends(pid_t pid, pid_t ancestor, uint64_t ancestor_start)
{
	struct proc_info p;

	for (int step = 0; step < 64; step++) {
		if (proc_read(pid, &p))
			return false;
		if (p.pid == ancestor)
			return p.start == ancestor_start;
		pid = p.ppid;
	}
	return false;
}
