#include "backends/local/attempt.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/proc.h"
#include "fs/base/strbuf.h"

#define RESERVE_BYTES (16 << 10) /* end.json is far smaller */

/* ---- the lock ---- */

static struct flock whole_file(short type)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET};
}

int attempt_lock(int dirfd)
{
	struct flock lock = whole_file(F_WRLCK);
	int fd = openat(dirfd, ATTEMPT_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return fd;
	int err = errno == EAGAIN || errno == EACCES ? EBUSY : errno;

	close(fd);
	return -err;
}

int attempt_locked(int dirfd)
{
	struct flock lock = whole_file(F_WRLCK);
	AUTO_FD int fd = openat(dirfd, ATTEMPT_LOCK, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -errno;
	return lock.l_type != F_UNLCK;
}

/* ---- reading and writing the small files ---- */

/* The document, or NULL with *err -ENOENT, -EBADMSG or another. */
static struct json *read_json(int dirfd, const char *name, int *err)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct json *j;

	*err = io_read(dirfd, name, ATTEMPT_JSON_MAX, &text);
	if (*err < 0)
		return NULL;
	j = json_parse(text.buf, text.len, ATTEMPT_JSON_MAX, NULL);
	*err = j ? 0 : -EBADMSG;
	return j;
}

/* Takes the document. */
static int print_json(struct json *j, struct strbuf *out)
{
	int err = json_print(j, out, false);

	json_free(j);
	return err ? err : strbuf_addch(out, '\n');
}

/* Takes the document. */
static int write_json(int dirfd, const char *name, struct json *j, bool durable)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int err = print_json(j, &text);

	if (err)
		return err;
	return durable ? io_write_durable(dirfd, name, text.buf, text.len, 0600)
		       : io_write_atomic(dirfd, name, text.buf, text.len, 0600);
}

/* Microseconds: a JSON number is a double, and nanoseconds since 1970 do not fit one. */
static int set_stamp(struct json *object, const char *key, const struct stamp *s)
{
	struct json *j = json_object();
	int err;

	if (!j)
		return -ENOMEM;
	err = json_set_int(j, "wall_us", s->wall_ns / 1000);
	if (!err)
		err = json_set_int(j, "boot_us", s->boot_ns / 1000);
	if (!err)
		err = json_set_text(j, "boot_id", s->boot_id);
	if (err) {
		json_free(j);
		return err;
	}
	return json_set(object, key, j);
}

static struct stamp get_stamp(const struct json *j)
{
	struct stamp s = {0};
	const char *boot_id = json_text(json_get(j, "boot_id"));

	s.wall_ns = json_int(json_get(j, "wall_us"), 0) * 1000;
	s.boot_ns = json_int(json_get(j, "boot_us"), 0) * 1000;
	snprintf(s.boot_id, sizeof(s.boot_id), "%s", boot_id ? boot_id : "");
	return s;
}

int attempt_read_supervisor(int dirfd, struct attempt_supervisor *out)
{
	int err;
	struct json *j = read_json(dirfd, ATTEMPT_SUPERVISOR, &err);

	memset(out, 0, sizeof(*out));
	if (!j)
		return err;
	out->pid = (pid_t)json_int(json_get(j, "pid"), 0);
	out->start = (uint64_t)json_int(json_get(j, "start"), 0);
	out->started = get_stamp(json_get(j, "started"));
	json_free(j);
	return out->pid > 0 ? 0 : -EBADMSG;
}

int attempt_write_supervisor(int dirfd, const struct attempt_supervisor *s)
{
	struct json *j = json_object();

	if (!j)
		return -ENOMEM;
	if (json_set_int(j, "pid", s->pid) || json_set_int(j, "start", (int64_t)s->start) ||
		set_stamp(j, "started", &s->started)) {
		json_free(j);
		return -ENOMEM;
	}
	return write_json(dirfd, ATTEMPT_SUPERVISOR, j, true);
}

static struct json *end_json(const struct job_status *end)
{
	struct json *j = json_object();

	if (!j)
		return NULL;
	if (json_set_text(j, "cause", end_cause_words[end->cause]) ||
		json_set_int(j, "exit_code", end->exit_code) ||
		json_set_int(j, "signal", end->signal) ||
		json_set_number(j, "progress", end->progress) ||
		json_set_int(j, "cpu_us", end->cpu_ns / 1000) ||
		json_set_int(j, "max_rss_bytes", end->max_rss_bytes) ||
		json_set_text(j, "detail", end->detail) ||
		set_stamp(j, "started", &end->started) || set_stamp(j, "ended", &end->ended)) {
		json_free(j);
		return NULL;
	}
	return j;
}

void attempt_reserve(int dirfd)
{
	int fd = openat(dirfd, ATTEMPT_RESERVE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	if (posix_fallocate(fd, 0, RESERVE_BYTES))
		unlinkat(dirfd, ATTEMPT_RESERVE, 0);
	close(fd);
}

/* Not unlinked and written anew: others fill the disk, too, and would be faster. */
static int write_in_reserve(int dirfd, const struct strbuf *text)
{
	AUTO_FD int fd = openat(dirfd, ATTEMPT_RESERVE, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	int err;

	if (fd < 0 || text->len > RESERVE_BYTES)
		return -ENOSPC;
	err = io_write_all(fd, text->buf, text->len);
	if (!err && (ftruncate(fd, (off_t)text->len) < 0 || fsync(fd) < 0))
		err = -errno;
	if (!err && renameat(dirfd, ATTEMPT_RESERVE, dirfd, ATTEMPT_END) < 0)
		err = -errno;
	return err ? err : io_fsync_dir(dirfd);
}

int attempt_write_end(int dirfd, const struct job_status *end)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct json *j = end_json(end);
	int err = j ? print_json(j, &text) : -ENOMEM;

	if (!err)
		err = io_write_durable(dirfd, ATTEMPT_END, text.buf, text.len, 0600);
	if (err == -ENOSPC || err == -EDQUOT)
		err = write_in_reserve(dirfd, &text);
	if (!err)
		unlinkat(dirfd, ATTEMPT_RESERVE, 0);
	return err;
}

int attempt_write_progress(int dirfd, const struct attempt_progress *p)
{
	struct json *j = json_object();

	if (!j)
		return -ENOMEM;
	if (json_set_number(j, "progress", p->progress) || json_set_text(j, "detail", p->detail) ||
		json_set_int(j, "cell", p->cell) || json_set_int(j, "cells", p->cells) ||
		json_set_int(j, "max_rss_bytes", p->max_rss_bytes)) {
		json_free(j);
		return -ENOMEM;
	}
	return write_json(dirfd, ATTEMPT_PROGRESS, j, false);
}

/* ---- what they mean ---- */

static enum end_cause parse_cause(const char *word)
{
	for (int i = 0; word && i < END_CAUSE_COUNT; i++)
		if (!strcmp(word, end_cause_words[i]))
			return (enum end_cause)i;
	return END_ERROR;
}

static void set_detail(struct job_status *out, const struct json *text)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;
	const char *s = json_text(text);

	if (s)
		escape_line(&line, s, strlen(s), sizeof(out->detail) - 1);
	snprintf(out->detail, sizeof(out->detail), "%s", line.buf);
}

static int read_end(int dirfd, struct job_status *out)
{
	int err;
	struct json *j = read_json(dirfd, ATTEMPT_END, &err);

	if (!j)
		return err;
	out->state = JOB_ENDED;
	out->cause = parse_cause(json_text(json_get(j, "cause")));
	out->exit_code = (int)json_int(json_get(j, "exit_code"), -1);
	out->signal = (int)json_int(json_get(j, "signal"), 0);
	out->progress = json_number(json_get(j, "progress"), -1);
	out->cpu_ns = json_int(json_get(j, "cpu_us"), 0) * 1000;
	out->max_rss_bytes = json_int(json_get(j, "max_rss_bytes"), 0);
	out->started = get_stamp(json_get(j, "started"));
	out->ended = get_stamp(json_get(j, "ended"));
	set_detail(out, json_get(j, "detail"));
	json_free(j);
	return 0;
}

static void read_progress(int dirfd, struct job_status *out)
{
	int err;
	struct json *j = read_json(dirfd, ATTEMPT_PROGRESS, &err);
	int64_t elapsed = clock_boot_ns() - out->started.boot_ns;

	out->progress = json_number(json_get(j, "progress"), -1);
	out->max_rss_bytes = json_int(json_get(j, "max_rss_bytes"), 0);
	set_detail(out, json_get(j, "detail"));
	json_free(j);
	if (out->progress > 0.02 && out->progress <= 1 && elapsed > 0)
		out->eta_ns = (int64_t)((double)elapsed * (1 - out->progress) / out->progress);
}

static void status_clear(struct job_status *out)
{
	memset(out, 0, sizeof(*out));
	out->state = JOB_UNKNOWN;
	out->exit_code = -1;
	out->progress = -1;
	out->eta_ns = -1;
}

/* It was started and has no end. */
static int status_started(int dirfd, const struct attempt_supervisor *s, struct job_status *out)
{
	int locked = attempt_locked(dirfd);

	if (locked < 0)
		return locked;
	out->started = s->started;
	if (locked) {
		out->state = JOB_RUNNING;
		read_progress(dirfd, out);
		return 0;
	}
	/* It may have ended between the two looks. */
	if (read_end(dirfd, out) < 0)
		out->state = JOB_LOST;
	return 0;
}

int attempt_status(int dirfd, struct job_status *out)
{
	struct attempt_supervisor s;
	int locked, err;

	status_clear(out);
	/* First the lock, then the files: a lock that was free cannot have written what comes after. */
	locked = attempt_locked(dirfd);
	if (locked < 0)
		return locked;
	err = read_end(dirfd, out);
	if (err != -ENOENT)
		return err == -EBADMSG ? 0 : err; /* a damaged record: JOB_UNKNOWN */
	err = attempt_read_supervisor(dirfd, &s);
	if (!err || err == -EBADMSG)
		return status_started(dirfd, &s, out);
	if (err != -ENOENT)
		return err;
	out->state = locked ? JOB_PENDING : JOB_ABSENT;
	return 0;
}

void remote_id_format(char out[REMOTE_ID_MAX], int64_t run, int attempt)
{
	snprintf(out, REMOTE_ID_MAX, "%" PRId64 ".%d", run, attempt);
}

bool remote_id_valid(const char *remote_id)
{
	size_t run = strspn(remote_id, "0123456789");
	size_t attempt = remote_id[run] == '.' ? strspn(remote_id + run + 1, "0123456789") : 0;

	return run && attempt && !remote_id[run + 1 + attempt] && run + attempt + 2 < REMOTE_ID_MAX;
}
