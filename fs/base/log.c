#include "fs/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/escape.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

#define MAX_FILE    ((off_t)8 << 20)
#define MAX_LINE    8192
#define MAX_FIELDS  4096
#define MAX_EVENT   64
#define MAX_MESSAGE ((size_t)256 << 10)
#define OLD_FILES   4
#define MIN_SECRET  4 /* shorter ones are in every other word */

/* A secret as it stands in plain text and in the strings of JSON, where what is escaped depends on
 * who wrote it: escape_json() or json_print(). */
struct secret {
	struct secret *next;
	char *plain, *escaped, *printed;
};

struct log {
	enum log_level least;
	pthread_mutex_t lock; /* guards all below */
	int dirfd, fd;
	char *name;
	off_t size;
	bool torn; /* the last line was cut by a full disk */
	bool tty;  /* warnings go to stderr too */
	struct secret *secrets;
};

static const char *const level_words[] = {"debug", "info", "warn", "error"};

static int open_file(struct log *log)
{
	struct stat st;
	int fd = openat(log->dirfd, log->name,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	int err;

	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (err) {
		close(fd);
		return err;
	}
	if (log->fd >= 0)
		close(log->fd);
	log->fd = fd;
	log->size = st.st_size;
	return 0;
}

int log_open(int dirfd, const char *name, struct log **out)
{
	struct log *log = calloc(1, sizeof(*log));
	int r;

	if (!log)
		return -ENOMEM;
	pthread_mutex_init(&log->lock, NULL);
	log->fd = -1;
	log->tty = isatty(STDERR_FILENO);
	log->name = strdup(name);
	log->dirfd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = log->dirfd < 0 ? -errno : log->name ? open_file(log) : -ENOMEM;
	if (r) {
		log_close(log);
		return r;
	}
	*out = log;
	return 0;
}

void log_from(struct log *log, enum log_level least)
{
	log->least = least;
}

static void free_secret(struct secret *s)
{
	if (!s)
		return;
	free(s->plain);
	free(s->escaped);
	free(s->printed);
	free(s);
}

void log_close(struct log *log)
{
	if (!log)
		return;
	while (log->secrets) {
		struct secret *s = log->secrets;

		log->secrets = s->next;
		free_secret(s);
	}
	if (log->fd >= 0)
		close(log->fd);
	if (log->dirfd >= 0)
		close(log->dirfd);
	pthread_mutex_destroy(&log->lock);
	free(log->name);
	free(log);
}

static char *escaped_form(const char *text)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;

	escape_json(&out, text, strlen(text));
	return strbuf_detach(&out, NULL);
}

static char *printed_form(const char *text)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	struct json *list = json_array();
	int r = list ? json_append_text(list, text) : -ENOMEM;

	if (r == 0)
		r = json_print(json_first(list), &out, false);
	json_free(list);
	return r ? NULL : strndup(out.buf + 1, out.len - 2); /* without the quotes */
}

void log_secret(struct log *log, const char *secret)
{
	struct secret *s;

	if (!log || !secret || strlen(secret) < MIN_SECRET)
		return;
	s = calloc(1, sizeof(*s));
	if (!s)
		return;
	s->plain = strdup(secret);
	s->escaped = escaped_form(secret);
	s->printed = printed_form(secret);
	if (!s->plain || !s->escaped || !s->printed) {
		free_secret(s);
		return;
	}
	pthread_mutex_lock(&log->lock);
	s->next = log->secrets;
	log->secrets = s;
	pthread_mutex_unlock(&log->lock);
}

static size_t starts_with(const char *text, size_t len, const char *what)
{
	size_t n = strlen(what);

	return n <= len && memcmp(text, what, n) == 0 ? n : 0;
}

/* Bytes of the longest secret that begins here, 0 = none. */
static size_t secret_at(const struct log *log, const char *text, size_t len, bool in_json)
{
	size_t longest = 0;

	for (const struct secret *s = log->secrets; s; s = s->next) {
		const char *forms[] = {s->plain, s->escaped, s->printed};

		for (int i = in_json ? 1 : 0; i < (in_json ? 3 : 1); i++) {
			size_t n = starts_with(text, len, forms[i]);

			if (n > longest)
				longest = n;
		}
	}
	return longest;
}

static void add_hidden(const struct log *log, struct strbuf *out, const char *text, size_t len)
{
	size_t from = 0, at = 0;

	while (at < len) {
		size_t n = secret_at(log, text + at, len - at, false);

		if (n == 0) {
			at++;
			continue;
		}
		strbuf_add(out, text + from, at - from);
		strbuf_adds(out, "***");
		at += n;
		from = at;
	}
	strbuf_add(out, text + from, at - from);
}

/* The same inside the strings of JSON members: what stands outside of them is structure, and an
 * escape is one piece. */
static void add_hidden_json(const struct log *log, struct strbuf *out, const char *text, size_t len)
{
	bool inside = false;

	for (size_t at = 0; at < len;) {
		size_t n = inside ? secret_at(log, text + at, len - at, true) : 0;
		size_t step = inside && text[at] == '\\' && at + 1 < len ? 2 : 1;

		if (n) {
			strbuf_adds(out, "***");
			at += n;
			continue;
		}
		if (text[at] == '"')
			inside = !inside;
		strbuf_add(out, text + at, step);
		at += step;
	}
}

/* The largest n <= max at which no escape and no character of a JSON string is cut. */
static size_t cut_escaped(const char *text, size_t len, size_t max)
{
	size_t at = 0, last = 0;

	if (len <= max)
		return len;
	while (at <= max) {
		uint32_t code;
		size_t n = utf8_decode(text + at, len - at, &code);

		last = at;
		if (text[at] == '\\')
			at += text[at + 1] == 'u' ? 6 : 2;
		else
			at += n ? n : 1;
	}
	return last;
}

/* `"message":"…"}` and the newline, in what is left of the line. */
static void add_message(struct strbuf *line, const struct strbuf *message)
{
	AUTO_BUF struct strbuf escaped = STRBUF_INIT;
	size_t used;

	strbuf_adds(line, "\"message\":\"");
	escape_json(&escaped, message->buf, message->len);
	used = line->len + strlen("\"}\n");
	strbuf_add(line, escaped.buf,
		cut_escaped(escaped.buf, escaped.len, used < MAX_LINE ? MAX_LINE - used : 0));
	strbuf_adds(line, "\"}\n");
}

static void make_line(struct log *log, struct strbuf *line, enum log_level level, const char *event,
	const char *fields, const struct strbuf *message)
{
	AUTO_BUF struct strbuf own = STRBUF_INIT;

	strbuf_adds(line, "{\"time\":\"");
	clock_rfc3339_micros(line, clock_wall_ns());
	strbuf_addf(line, "\",\"level\":\"%s\",\"event\":\"", level_words[level]);
	escape_json(line, event, utf8_cut(event, strlen(event), MAX_EVENT));
	strbuf_adds(line, "\",");
	if (fields && *fields)
		add_hidden_json(log, &own, fields, strlen(fields));
	if (own.err || own.len > MAX_FIELDS)
		strbuf_adds(line, "\"fields\":\"too long\","); /* cut members would not be JSON */
	else if (own.len)
		strbuf_addf(line, "%s,", own.buf);
	add_message(line, message);
}

static void rotate(struct log *log)
{
	AUTO_BUF struct strbuf from = STRBUF_INIT, to = STRBUF_INIT;

	for (int i = OLD_FILES; i > 0; i--) {
		strbuf_reset(&from);
		strbuf_reset(&to);
		strbuf_addf(&to, "%s.%d", log->name, i);
		strbuf_adds(&from, log->name);
		if (i > 1)
			strbuf_addf(&from, ".%d", i - 1);
		renameat(log->dirfd, from.buf, log->dirfd, to.buf);
	}
	open_file(log); /* where that fails the old file goes on */
}

/* One write(2) a line, so that a reader never sees half of one. */
static void put_line(struct log *log, const struct strbuf *line)
{
	ssize_t n;

	if (line->err)
		return;
	if (log->size > 0 && log->size + (off_t)line->len > MAX_FILE)
		rotate(log);
	if (log->torn && write(log->fd, "\n", 1) != 1)
		return;
	log->torn = false;
	do
		n = write(log->fd, line->buf, line->len);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		log->size += n;
		log->torn = (size_t)n < line->len;
	}
}

static void show(enum log_level level, const char *event, const struct strbuf *message)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;

	strbuf_addf(&line, "kexecfs: %s: ", level_words[level]);
	escape_line(&line, event, strlen(event), MAX_EVENT);
	strbuf_adds(&line, ": ");
	escape_line(&line, message->buf, message->len, MAX_LINE);
	strbuf_addch(&line, '\n');
	io_write_all(STDERR_FILENO, line.buf, line.len);
}

void log_write(struct log *log, enum log_level level, const char *event, const char *fields,
	const char *fmt, ...)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT, raw = STRBUF_INIT, message = STRBUF_INIT;
	va_list ap;

	if (!log || level < log->least)
		return;
	strbuf_init(&raw, MAX_MESSAGE);
	va_start(ap, fmt);
	if (strbuf_vaddf(&raw, fmt, ap)) {
		strbuf_reset(&raw);
		strbuf_adds(&raw, "(message too long)");
	}
	va_end(ap);
	pthread_mutex_lock(&log->lock);
	add_hidden(log, &message, raw.buf, raw.len);
	make_line(log, &line, level, event, fields, &message);
	put_line(log, &line);
	pthread_mutex_unlock(&log->lock);
	if (log->tty && level >= LOG_LEVEL_WARN)
		show(level, event, &message);
}
