/*
 * What a version left, into output/: complete or not there at all.
 *
 * Each file is brought into scratch/ and, when it is whole and on disk, renamed to its place below
 * output.part/; so what stands there is complete, and a fetch that is interrupted goes on with the rest.
 * At the end output.part/ becomes output/. Names come from strangers: one that does not stay below is left
 * out and said in output.refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "backends/kaggle/folder_files.h"
#include "backends/kaggle/kaggle.h"
#include "backends/kaggle/name.h"
#include "backends/kaggle/slug.h"
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/sha256.h"
#include "fs/base/strbuf.h"

#define OUTPUT	     "output"
#define PART	     "output.part"
#define REFUSED	     "output.refused"
#define SCRATCH	     "scratch"
#define FILES_MAX    100000
#define LOG_MAX	     ((size_t)64 << 20)
#define REFUSED_MAX  1000
#define RESERVE      (INT64_C(256) << 20) /* of the disk stays free for the daemon itself */
#define STALE_MAX    5 /* times in a row that a fresh list is expired before a file was brought */

struct fetcher {
	struct kaggle *k;
	int part, scratch;
	int source;            /* the submitted folder, where its files travelled along; or -1 */
	int64_t deadline_ns;
	char current[SHA256_HEX]; /* the file's name in scratch/: one of its own, so that a piece is gone on with */
	int brought;           /* files, since the list was made */
	size_t refused;
	struct strbuf notes;
	struct why *why;
};

/* ---- One file ---- */

static void refuse(struct fetcher *f, const char *name, const char *reason)
{
	if (f->refused++ >= REFUSED_MAX)
		return;
	escape_line(&f->notes, name, strlen(name), 500);
	strbuf_addf(&f->notes, ": %s\n", reason);
}

static int64_t room(const struct fetcher *f)
{
	struct statvfs st;
	int64_t free_bytes;

	if (fstatvfs(f->part, &st) < 0)
		return 0;
	free_bytes = (int64_t)st.f_bavail * (int64_t)st.f_frsize;
	return free_bytes > RESERVE ? free_bytes - RESERVE : 0;
}

static int too_large(struct fetcher *f, const char *name)
{
	AUTO_BUF struct strbuf shown = STRBUF_INIT;

	escape_line(&shown, name, strlen(name), 200);
	return why_set(f->why, ENOSPC, _("The disk has no room for the output file %s: only %lld MB may be "
					  "used."), shown.buf, (long long)(room(f) >> 20));
}

static bool same_content(int a, int b)
{
	char x[16384], y[16384];
	struct stat sa, sb;

	if (fstat(a, &sa) < 0 || fstat(b, &sb) < 0 || sa.st_size != sb.st_size)
		return false;
	for (;;) {
		int n = io_read_all(a, x, sizeof(x));

		if (n < 0 || io_read_all(b, y, sizeof(y)) != n || memcmp(x, y, (size_t)n) != 0)
			return false;
		if (n == 0)
			return true;
	}
}

/* A file of the folder itself, put beside the job by the set-up code and not changed: no output. */
static bool came_along(const struct fetcher *f, const char *name)
{
	AUTO_FD int ours = f->source < 0 ? -1 : folder_files_open(f->source, name);
	AUTO_FD int got = ours < 0 ? -1 : folder_files_open(f->scratch, f->current);

	return got >= 0 && same_content(ours, got);
}

/* The directory that name is to be in, made; fd or -errno. Nothing below output.part is a link: we alone
 * made it. */
static int open_place(const struct fetcher *f, const char *name, const char **base)
{
	int fd = fcntl(f->part, F_DUPFD_CLOEXEC, 3);
	const char *slash;

	for (*base = name; fd >= 0 && (slash = strchr(*base, '/')); *base = slash + 1) {
		char part[256];
		int next;

		snprintf(part, sizeof(part), "%.*s", (int)(slash - *base), *base);
		if (mkdirat(fd, part, 0755) < 0 && errno != EEXIST)
			next = -errno;
		else
			next = io_open_dir(fd, part);
		close(fd);
		fd = next;
	}
	return fd < 0 && fd != -1 ? fd : fd < 0 ? -errno : fd;
}

static int put_in_place(const struct fetcher *f, const char *name)
{
	const char *base;
	int err = fault_point("kaggle.output.place");
	AUTO_FD int place = err ? -1 : open_place(f, name, &base);

	if (err || place < 0)
		return err ? err : place;
	return renameat(f->scratch, f->current, place, base) < 0 ? -errno : 0;
}

static int bring(struct fetcher *f, const char *name, const char *url)
{
	int err = fault_point("kaggle.output.before");

	sha256_hex_of(name, strlen(name), f->current);
	if (!err)
		err = kaggle_download(f->k, url, f->scratch, f->current, room(f), f->deadline_ns, f->why);
	if (err == -EFBIG)
		err = too_large(f, name);
	if (err)
		return err;
	f->brought++;
	if (came_along(f, name))
		return unlinkat(f->scratch, f->current, 0) < 0 ? -errno : 0;
	return put_in_place(f, name);
}

static int take_file(void *arg, const char *name, const char *url)
{
	struct fetcher *f = arg;
	const char *reason = output_name_problem(name);
	struct stat st;
	int there;

	if (reason) {
		refuse(f, name, reason);
		return 0;
	}
	if (clock_boot_ns() > f->deadline_ns)
		return -ETIMEDOUT;
	there = fstatat(f->part, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	if (there == -ENOENT)
		return bring(f, name, url);
	if (there == -ENOTDIR || (!there && S_ISDIR(st.st_mode))) {
		refuse(f, name, "a file and a folder of one name");
		return 0;
	}
	return there; /* here since an earlier try, or named twice */
}

/* ---- All of them ---- */

static int list_and_take(struct fetcher *f, const struct kaggle_remote *remote, struct strbuf *log)
{
	int stale = 0, err;

	do {
		f->brought = 0;
		f->refused = 0;
		strbuf_reset(&f->notes);
		strbuf_reset(log);
		err = kaggle_outputs(f->k, remote->slug, remote->version, FILES_MAX, f->deadline_ns, take_file, f,
			log, f->why);
		stale = f->brought ? 0 : stale + 1;
	} while (err == -ESTALE && stale < STALE_MAX);
	if (err == -E2BIG)
		why_set(f->why, E2BIG, _("The job left over %d files; only so many are taken."), FILES_MAX);
	return err == -ESTALE ? -EAGAIN : err;
}

static int write_notes(const struct fetcher *f, int dirfd)
{
	return f->notes.len ? io_write_durable(dirfd, REFUSED, f->notes.buf, f->notes.len, 0644) : 0;
}

static int publish(int dirfd, int part)
{
	int err = fault_point("kaggle.output.sync");

	if (!err && syncfs(part) < 0)
		err = -errno;
	if (!err)
		err = fault_point("kaggle.output.rename");
	if (!err && renameat(dirfd, PART, dirfd, OUTPUT) < 0)
		err = -errno;
	return err ? err : io_fsync_dir(dirfd);
}

static int open_made(int dirfd, const char *name, mode_t mode)
{
	if (mkdirat(dirfd, name, mode) < 0 && errno != EEXIST)
		return -errno;
	return io_open_dir(dirfd, name);
}

static int fetch(struct fetcher *f, const struct job *job, int dirfd, const struct kaggle_record *r,
	const char *remote_id)
{
	AUTO_BUF struct strbuf log = STRBUF_INIT;
	struct kaggle_remote remote;
	int err = kaggle_remote_parse(remote_id, &remote);

	strbuf_init(&log, LOG_MAX);
	if (r->dataset)
		f->source = open(job->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (!err && !r->invalid) /* what began without its inputs left nothing that means anything */
		err = list_and_take(f, &remote, &log);
	if (!err && log.len)
		err = kaggle_log_stored(dirfd, &log);
	if (!err)
		err = write_notes(f, dirfd);
	if (!err)
		err = publish(dirfd, f->part);
	if (f->source >= 0)
		close(f->source);
	return err;
}

static int fetch_into(struct backend_conn *c, const struct job *job, const char *remote_id, int dirfd,
	int64_t deadline_ns, struct why *why)
{
	AUTO_FD int part = open_made(dirfd, PART, 0755);
	AUTO_FD int scratch = open_made(dirfd, SCRATCH, 0700);
	struct fetcher f = {.k = kaggle_client(c, why), .part = part, .scratch = scratch, .source = -1,
		.deadline_ns = deadline_ns, .why = why};
	struct kaggle_record r;
	int err = part < 0 ? part : scratch < 0 ? scratch : f.k ? record_read(dirfd, &r) : -EAGAIN;

	if (err)
		return err;
	strbuf_init(&f.notes, 1 << 20);
	err = kaggle_denied(c, fetch(&f, job, dirfd, &r, remote_id));
	strbuf_release(&f.notes);
	record_release(&r);
	return err;
}

int kaggle_fetch(struct backend_conn *c, const struct job *job, const char *remote_id, int64_t deadline_ns,
	struct why *why)
{
	AUTO_FD int dirfd = kaggle_open_attempt(job, why);
	struct stat st;
	int err = dirfd < 0 ? dirfd : 0;

	if (!err && fstatat(dirfd, OUTPUT, &st, AT_SYMLINK_NOFOLLOW) < 0)
		err = fetch_into(c, job, remote_id, dirfd, deadline_ns, why);
	if (err)
		return why && why->err ? err
				       : why_set(why, -err, _("The output could not be brought: %s"), strerror(-err));
	io_remove_tree(dirfd, SCRATCH);
	return 0;
}
