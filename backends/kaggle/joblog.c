/*
 * The job's output into `log`, and its metrics into metrics.csv.
 *
 * Every connection tells it from the beginning. So many bytes as the record says are in the file already,
 * durably; the rest is appended, and what a crash left beyond the record is cut off first. Bytes, not
 * events, are counted: the stored log may be divided otherwise than the live one. Metrics are made anew
 * from the whole each time and replace the file when they are more.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/kaggle/kaggle.h"
#include "backends/kaggle/slug.h"
#include "backends/local/metric_file.h"
#include "backends/local/pump.h"
#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/io.h"

#define SCRATCH "scratch"
#define METRICS "metrics.csv"
/* The engine asks once a minute and other runs wait for their turn: a job that never stops talking is
 * listened to for so long, one that is silent for so long. */
#define LISTEN_NS (10 * NS_PER_S)
#define IDLE_NS	  (2 * NS_PER_S)

struct follower {
	struct pump pump;
	struct metric_file *metrics;
	size_t skip; /* bytes still to come that the file holds */
	int scratch;
};

static int take_event(void *arg, const char *stream, double seconds, const char *text, size_t len)
{
	struct follower *f = arg;
	bool is_stderr = strcmp(stream, "stderr") == 0;
	size_t known = len < f->skip ? len : f->skip;

	if (known)
		pump_seen(&f->pump, is_stderr, text, known);
	f->skip -= known;
	if (len > known)
		pump_add(&f->pump, is_stderr, text + known, len - known);
	return f->pump.disk_full ? -ENOSPC : 0;
}

static int open_scratch(int dirfd)
{
	if (mkdirat(dirfd, SCRATCH, 0700) < 0 && errno != EEXIST)
		return -errno;
	return io_open_dir(dirfd, SCRATCH);
}

static int begin(struct follower *f, int dirfd, const struct kaggle_record *r)
{
	int err;

	memset(f, 0, sizeof(*f));
	f->scratch = open_scratch(dirfd);
	if (f->scratch < 0)
		return f->scratch;
	err = metric_file_open(f->scratch, &f->metrics);
	if (!err)
		err = pump_open_at(&f->pump, dirfd, (size_t)r->log_bytes, f->metrics);
	f->skip = f->pump.head;
	if (err) {
		metric_file_close(f->metrics);
		close(f->scratch);
	}
	return err;
}

static int64_t size_of(int dirfd, const char *name)
{
	struct stat st;

	return fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -1 : st.st_size;
}

/* A connection that broke early knows fewer than are there. */
static void keep_metrics(struct follower *f, int dirfd)
{
	metric_file_close(f->metrics);
	if (size_of(f->scratch, METRICS) > size_of(dirfd, METRICS))
		renameat(f->scratch, METRICS, dirfd, METRICS);
	close(f->scratch);
}

static int finish(struct follower *f, int dirfd, struct kaggle_record *r, bool ended)
{
	int64_t head = (int64_t)f->pump.head;
	int err = 0;

	if (ended && !f->pump.disk_full)
		pump_finish(&f->pump);
	else
		err = pump_pause(&f->pump);
	keep_metrics(f, dirfd);
	if (err || (head == r->log_bytes && ended == r->log_done))
		return err;
	r->log_bytes = head;
	r->log_done = ended;
	err = fault_point("kaggle.log.before");
	return err ? err : record_write(dirfd, r);
}

static int follow(struct backend_conn *c, const char *remote_id, int dirfd, struct kaggle_record *r,
	int64_t deadline_ns, struct why *why)
{
	struct kaggle *k = kaggle_client(c, why);
	bool ended = false, over = r->ended.wall_ns != 0;
	int64_t listen = clock_boot_ns() + LISTEN_NS;
	struct kaggle_remote remote;
	struct follower f;
	int err = kaggle_remote_parse(remote_id, &remote), kept;

	if (!err)
		err = k ? begin(&f, dirfd, r) : -EAGAIN;
	if (err)
		return err;
	if (!over && listen < deadline_ns)
		deadline_ns = listen;
	err = kaggle_log(k, remote.slug, remote.version, IDLE_NS, deadline_ns, take_event, &f, &ended, why);
	/* Only the log of a job that is over is ever complete. */
	kept = finish(&f, dirfd, r, !err && ended && over);
	return err == -ETIMEDOUT && !over ? kept : err ? err : kept;
}

int kaggle_logs(struct backend_conn *c, const struct job *job, const char *remote_id, int64_t deadline_ns,
	struct why *why)
{
	AUTO_FD int dirfd = kaggle_open_attempt(job, why);
	struct kaggle_record r;
	int err = dirfd < 0 ? dirfd : record_read(dirfd, &r);

	if (err)
		return err;
	if (!r.log_done && !r.invalid)
		err = follow(c, remote_id, dirfd, &r, deadline_ns, why);
	record_release(&r);
	return err;
}

int kaggle_log_stored(int dirfd, const struct strbuf *text)
{
	struct kaggle_record r;
	struct follower f;
	int err = record_read(dirfd, &r);

	if (err)
		return err;
	/* Less than what was seen live says nothing new. */
	if (!r.log_done && (int64_t)text->len > r.log_bytes) {
		err = begin(&f, dirfd, &r);
		if (!err) {
			take_event(&f, "stdout", 0, text->buf, text->len);
			err = finish(&f, dirfd, &r, true);
		}
	}
	record_release(&r);
	return err;
}
