#include "backends/local/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backends/local/attempt.h"
#include "backends/local/metric_file.h"
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"

static const char full_notice[] = "\n[kexec: the log is full; its end follows when the job has ended]\n";

int pump_open(struct pump *p, int dirfd, struct metric_file *metrics)
{
	memset(p, 0, sizeof(*p));
	p->metrics = metrics;
	p->head_max = PUMP_HEAD;
	p->tail_max = PUMP_TAIL;
	p->fd = openat(dirfd, ATTEMPT_LOG,
		O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	return p->fd < 0 ? -errno : 0;
}

/* ---- lines ---- */

/* A flood has hundreds of millions of lines: next to nothing may be done for each. */
static void line_done(struct pump *p, bool is_stderr, const char *text, size_t len)
{
	if (!is_stderr) {
		if (len && *text == 'm')
			metric_file_line(p->metrics, text, len);
		return;
	}
	for (size_t i = 0; i < len; i++) {
		if (text[i] == ' ' || text[i] == '\t')
			continue;
		p->error_len = len < sizeof(p->error) ? len : sizeof(p->error);
		memcpy(p->error, text, p->error_len);
		return;
	}
}

static void keep_part(struct pump_line *line, const char *data, size_t len)
{
	size_t room = sizeof(line->text) - line->len;

	line->overlong = line->overlong || len > room;
	memcpy(line->text + line->len, data, len < room ? len : room);
	line->len += len < room ? len : room;
}

static void kept_done(struct pump *p, bool is_stderr, struct pump_line *line)
{
	if (!line->overlong || is_stderr)
		line_done(p, is_stderr, line->text, line->len);
	line->len = 0;
	line->overlong = false;
}

/* A carriage return ends a line too: progress bars live on one. */
static void split_lines(struct pump *p, bool is_stderr, const char *data, size_t len)
{
	struct pump_line *line = is_stderr ? &p->err : &p->out;

	while (len) {
		size_t n = 0;

		while (n < len && data[n] != '\n' && data[n] != '\r')
			n++;
		if (n == len) {
			keep_part(line, data, n);
			return;
		}
		if (line->len) {
			keep_part(line, data, n);
			kept_done(p, is_stderr, line);
		} else {
			line_done(p, is_stderr, data, n);
		}
		data += n + 1;
		len -= n + 1;
	}
}

/* ---- the file ---- */

static void write_log(struct pump *p, const char *data, size_t len)
{
	int err = io_write_all(p->fd, data, len);

	if (err == -ENOSPC || err == -EDQUOT)
		p->disk_full = true;
}

static void write_text(struct pump *p, const char *text)
{
	write_log(p, text, strlen(text));
}

static void add_head(struct pump *p, const char *data, size_t len)
{
	write_log(p, data, len);
	p->head += len;
	if (p->head == p->head_max)
		write_text(p, full_notice);
}

/* Exactly p->head bytes, and the notice behind a full head. */
static int cut(struct pump *p)
{
	size_t notice = p->head == p->head_max ? sizeof(full_notice) - 1 : 0, have;
	struct stat st;

	if (fstat(p->fd, &st) < 0)
		return -errno;
	have = (size_t)st.st_size;
	if (have < p->head) {
		p->head = have;
		return 0;
	}
	if (have > p->head + notice)
		return ftruncate(p->fd, (off_t)(p->head + notice)) < 0 ? -errno : 0;
	return io_write_all(p->fd, full_notice + (have - p->head), notice - (have - p->head));
}

int pump_open_at(struct pump *p, int dirfd, size_t head, struct metric_file *metrics)
{
	int err;

	memset(p, 0, sizeof(*p));
	p->metrics = metrics;
	p->head_max = PUMP_HEAD;
	p->tail_max = PUMP_TAIL;
	p->head = head < PUMP_HEAD ? head : PUMP_HEAD;
	p->fd = openat(dirfd, ATTEMPT_LOG, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (p->fd < 0)
		return -errno;
	err = cut(p);
	if (err) {
		close(p->fd);
		p->fd = -1;
	}
	return err;
}

void pump_seen(struct pump *p, bool is_stderr, const char *data, size_t len)
{
	split_lines(p, is_stderr, data, len);
}

static void add_tail(struct pump *p, const char *data, size_t len)
{
	if (!p->ring && !(p->ring = malloc(p->tail_max))) {
		p->tail_bytes += len;
		return;
	}
	if (len > p->tail_max) { /* only its end can stay */
		p->tail_bytes += len - p->tail_max;
		data += len - p->tail_max;
		len = p->tail_max;
	}
	while (len) {
		size_t at = p->tail_bytes % p->tail_max;
		size_t n = len < p->tail_max - at ? len : p->tail_max - at;

		memcpy(p->ring + at, data, n);
		p->tail_bytes += n;
		data += n;
		len -= n;
	}
}

void pump_add(struct pump *p, bool is_stderr, const char *data, size_t len)
{
	size_t room = p->head_max - p->head, n = len < room ? len : room;

	split_lines(p, is_stderr, data, len);
	if (n)
		add_head(p, data, n);
	if (len > n)
		add_tail(p, data + n, len - n);
}

static void write_tail(struct pump *p)
{
	char text[100];
	size_t at = p->tail_bytes % p->tail_max;

	if (p->tail_bytes <= p->tail_max) {
		write_log(p, p->ring, (size_t)p->tail_bytes);
		return;
	}
	snprintf(text, sizeof(text), "[kexec: %" PRIu64 " bytes left out]\n", p->tail_bytes - p->tail_max);
	write_text(p, text);
	write_log(p, p->ring + at, p->tail_max - at);
	write_log(p, p->ring, at);
}

void pump_finish(struct pump *p)
{
	if (p->out.len)
		kept_done(p, false, &p->out);
	if (p->err.len)
		kept_done(p, true, &p->err);
	if (p->ring)
		write_tail(p);
	free(p->ring);
	p->ring = NULL;
	fdatasync(p->fd);
	close(p->fd);
	p->fd = -1;
}

int pump_pause(struct pump *p)
{
	int err = fdatasync(p->fd) < 0 ? -errno : 0;

	free(p->ring);
	p->ring = NULL;
	close(p->fd);
	p->fd = -1;
	return err ? err : p->disk_full ? -ENOSPC : 0;
}
