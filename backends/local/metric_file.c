#include "backends/local/metric_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backends/local/attempt.h"
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/metric_line.h"
#include "fs/base/strbuf.h"

#define MAX_BYTES  (16 << 20)
#define MAX_IMPORT ((size_t)4 << 20)
#define SLOTS      4096 /* names whose steps are counted; a power of two */

struct slot {
	char name[METRIC_NAME_MAX + 1];
	long last;
};

struct metric_file {
	int dirfd, fd;
	size_t bytes, names;
	struct slot slots[SLOTS];
};

int metric_file_open(int dirfd, struct metric_file **out)
{
	struct metric_file *m = calloc(1, sizeof(*m));

	*out = m;
	if (!m)
		return -ENOMEM;
	m->dirfd = dirfd;
	m->fd = -1;
	return unlinkat(dirfd, ATTEMPT_METRICS, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* NULL when a hostile job uses more names than are counted. */
static struct slot *find_slot(struct metric_file *m, const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (const char *p = name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *s = &m->slots[(hash + i) % SLOTS];

		if (!strcmp(s->name, name))
			return s;
		if (*s->name)
			continue;
		if (m->names >= SLOTS / 2)
			return NULL;
		m->names++;
		strcpy(s->name, name);
		s->last = -1;
		return s;
	}
	return NULL;
}

static int write_record(struct metric_file *m, const struct strbuf *record)
{
	static const char header[] = "step,name,value\n";

	if (m->bytes + record->len + sizeof(header) > MAX_BYTES)
		return -EFBIG;
	if (m->fd < 0) {
		m->fd = openat(m->dirfd, ATTEMPT_METRICS,
			O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (m->fd < 0)
			return -errno;
		m->bytes = sizeof(header) - 1;
		if (io_write_all(m->fd, header, sizeof(header) - 1))
			return -EIO;
	}
	m->bytes += record->len;
	return io_write_all(m->fd, record->buf, record->len);
}

void metric_file_add(struct metric_file *m, const char *name, double value, long step)
{
	AUTO_BUF struct strbuf record = STRBUF_INIT;
	struct slot *slot;

	if (!metric_name_valid(name, strlen(name)))
		return;
	slot = find_slot(m, name);
	if (step < 0)
		step = slot && slot->last < LONG_MAX ? slot->last + 1 : 0;
	if (slot)
		slot->last = step;
	strbuf_addf(&record, "%ld,", step);
	escape_csv(&record, name, strlen(name));
	strbuf_addch(&record, ',');
	metric_print_value(&record, value);
	if (!strbuf_addch(&record, '\n'))
		write_record(m, &record);
}

void metric_file_line(struct metric_file *m, const char *line, size_t len)
{
	struct metric_line metric;

	if (len > 7 && !strncmp(line, "metric ", 7) && metric_parse(line, len, &metric))
		metric_file_add(m, metric.name, metric.value, metric.step);
}

static bool is_number(const struct json *j)
{
	return json_type(j) == JSON_NUMBER;
}

static void import_member(struct metric_file *m, const struct json *member)
{
	if (is_number(member))
		metric_file_add(m, json_key(member), json_number(member, 0), -1);
}

static void import_record(struct metric_file *m, const struct json *record)
{
	const char *name = json_text(json_get(record, "name"));
	const struct json *value = json_get(record, "value");

	if (name && is_number(value))
		metric_file_add(m, name, json_number(value, 0),
			(long)json_int(json_get(record, "step"), -1));
}

void metric_file_import(struct metric_file *m, int workfd)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct json *j;

	if (workfd < 0 || io_read(workfd, "metrics.json", MAX_IMPORT, &text) < 0)
		return;
	j = json_parse(text.buf, text.len, MAX_IMPORT, NULL);
	for (const struct json *child = json_first(j); child; child = json_next(child)) {
		if (json_type(j) == JSON_OBJECT)
			import_member(m, child);
		else
			import_record(m, child);
	}
	json_free(j);
}

void metric_file_close(struct metric_file *m)
{
	if (!m)
		return;
	if (m->fd >= 0) {
		fdatasync(m->fd);
		close(m->fd);
	}
	free(m);
}
