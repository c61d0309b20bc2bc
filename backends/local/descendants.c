#include "backends/local/descendants.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/io.h"
#include "fs/base/proc.h"
#include "fs/base/strbuf.h"

struct table {
	struct proc_info *v;
	bool *below;
	size_t n, cap;
};

static void table_release(struct table *t)
{
	free(t->v);
	free(t->below);
}

#define AUTO_TABLE __attribute__((cleanup(table_release)))

static int add(struct table *t, pid_t pid)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 256;
		struct proc_info *v = realloc(t->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		t->v = v;
		t->cap = cap;
	}
	if (proc_read(pid, &t->v[t->n]) == 0)
		t->n++;
	return 0;
}

static int by_pid(const void *a, const void *b)
{
	pid_t x = ((const struct proc_info *)a)->pid, y = ((const struct proc_info *)b)->pid;

	return (x > y) - (x < y);
}

static long find(const struct table *t, pid_t pid)
{
	struct proc_info key = {.pid = pid};
	const struct proc_info *hit = bsearch(&key, t->v, t->n, sizeof(key), by_pid);

	return hit ? hit - t->v : -1;
}

/* A child may have a smaller pid than its parent, so marks spread until nothing changes. */
static int mark(struct table *t, pid_t root)
{
	bool changed = true;

	t->below = calloc(t->n + 1, sizeof(bool));
	if (!t->below)
		return -ENOMEM;
	while (changed) {
		changed = false;
		for (size_t i = 0; i < t->n; i++) {
			long parent = t->below[i] ? -1 : find(t, t->v[i].ppid);

			if (!t->below[i] &&
				(t->v[i].ppid == root || (parent >= 0 && t->below[parent])))
				changed = t->below[i] = true;
		}
	}
	return 0;
}

static int scan(struct table *t)
{
	DIR *dir = opendir("/proc");
	int err = 0;

	*t = (struct table){0};
	if (!dir)
		return -errno;
	for (struct dirent *e; !err && (e = readdir(dir));)
		if (isdigit((unsigned char)*e->d_name))
			err = add(t, (pid_t)atoi(e->d_name));
	closedir(dir);
	if (err)
		return err;
	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), by_pid);
	return mark(t, getpid());
}

int descendants_memory(struct memory_use *out)
{
	AUTO_TABLE struct table t;
	uint64_t most = 0;
	int err = scan(&t);

	*out = (struct memory_use){0};
	for (size_t i = 0; i < t.n && !err; i++) {
		if (!t.below[i])
			continue;
		out->rss_bytes += (int64_t)t.v[i].rss_bytes;
		if (t.v[i].rss_bytes > most) {
			most = t.v[i].rss_bytes;
			out->largest = t.v[i].pid;
		}
	}
	return err;
}

static int64_t read_pss(pid_t pid)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	char path[64];
	const char *line;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	if (io_read(AT_FDCWD, path, 65536, &text) < 0 || !(line = strstr(text.buf, "\nPss:")))
		return -1;
	return (int64_t)strtoll(line + 5, NULL, 10) * 1024;
}

int64_t descendants_pss(void)
{
	AUTO_TABLE struct table t;
	int64_t sum = 0;
	int err = scan(&t);

	for (size_t i = 0; i < t.n && !err; i++) {
		int64_t pss = t.below[i] ? read_pss(t.v[i].pid) : 0;

		/* One that cannot be read counts whole; one that is gone counts nothing. */
		sum += pss >= 0 ? pss : (int64_t)t.v[i].rss_bytes;
	}
	return err ? err : sum;
}

/* The first one that is left: orphans of the job come below bwrap as well, but later. */
static const struct proc_info *eldest_child(const struct table *t, pid_t parent)
{
	const struct proc_info *eldest = NULL;

	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].ppid == parent && t->v[i].state != 'Z' &&
			(!eldest || t->v[i].start < eldest->start))
			eldest = &t->v[i];
	return eldest;
}

pid_t descendants_main(pid_t child, int levels)
{
	AUTO_TABLE struct table t;
	pid_t at = child;

	if (scan(&t))
		return child;
	for (int level = 0; level < levels; level++) {
		const struct proc_info *next = eldest_child(&t, at);

		if (!next)
			return child;
		at = next->pid;
	}
	return at;
}

static size_t signal_all(int signal)
{
	AUTO_TABLE struct table t;
	size_t count = 0;

	if (scan(&t))
		return 0;
	for (size_t i = 0; i < t.n; i++) {
		if (!t.below[i])
			continue;
		count++;
		kill(t.v[i].pid, signal);
	}
	return count;
}

bool descendants_end(int64_t limit_ns)
{
	const struct timespec pause = {.tv_nsec = 5 * NS_PER_MS};
	int64_t until = clock_boot_ns() + limit_ns;

	/* Stopped first: one that forks faster than we kill would otherwise win for a while. */
	for (size_t before = 0, now; (now = signal_all(SIGSTOP)) > before;)
		before = now;
	for (;;) {
		pid_t pid;

		signal_all(SIGKILL);
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 && errno == ECHILD)
			return true;
		if (clock_boot_ns() > until)
			return false;
		nanosleep(&pause, NULL);
	}
}

long user_threads(uid_t uid)
{
	DIR *dir = opendir("/proc");
	long count = 0;

	if (!dir)
		return 0;
	for (struct dirent *e; (e = readdir(dir));) {
		char path[300];
		struct stat st;

		if (!isdigit((unsigned char)*e->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/task", e->d_name);
		if (fstatat(dirfd(dir), path, &st, 0) == 0 && st.st_uid == uid && st.st_nlink > 2)
			count += (long)st.st_nlink - 2;
	}
	closedir(dir);
	return count;
}
