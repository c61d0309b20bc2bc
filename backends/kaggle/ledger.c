/*
 * The ledger, state/kaggle/ledger: one line for each session with an accelerator that has ended: remote id,
 * accelerator, first and last second.
 */
#include "backends/kaggle/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/kaggle/kaggle.h"
#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"

#define LEDGER "ledger"

void ledger_add(const struct backend_conn *c, const char *remote_id, const struct kaggle_record *r)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;
	AUTO_FD int fd = -1;

	if (!r->accelerator || c->state < 0)
		return;
	strbuf_addf(&line, "%s %s %" PRId64 " %" PRId64 "\n", remote_id, r->accelerator,
		r->started.wall_ns / NS_PER_S, r->ended.wall_ns / NS_PER_S);
	fd = openat(c->state, LEDGER, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd >= 0 && !line.err && io_write_all(fd, line.buf, line.len) == 0)
		fdatasync(fd);
}

int ledger_read(const struct backend_conn *c, struct strbuf *out)
{
	int err = io_read(c->state, LEDGER, LEDGER_MAX, out);

	return err == -ENOENT ? 0 : err;
}

double ledger_overlap(int64_t from, int64_t to, int64_t week)
{
	return to > week && to > from ? (double)(to - (from > week ? from : week)) : 0;
}

/* One line: where its remote id ends, what was used, and when. */
static bool read_line(const char *line, int *id_len, char kind[static 8], int64_t *from, int64_t *to)
{
	*id_len = 0;
	return sscanf(line, "%*[^ \n]%n %7[a-z] %" SCNd64 " %" SCNd64, id_len, kind, from, to) == 3;
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return *line ? line + 1 : line;
}

bool ledger_sound(const char *text)
{
	int64_t from, to;
	char kind[8];
	int id_len;

	for (const char *line = text; *line; line = next_line(line)) {
		if (!read_line(line, &id_len, kind, &from, &to))
			return false;
	}
	return true;
}

/* Is there a line of this id before `end`? */
static bool has_before(const char *text, const char *end, const char *id, size_t id_len)
{
	for (const char *line = text; *line && line < end; line = next_line(line)) {
		if (strncmp(line, id, id_len) == 0 && line[id_len] == ' ')
			return true;
	}
	return false;
}

bool ledger_has(const char *text, const char *remote_id)
{
	return has_before(text, text + strlen(text), remote_id, strlen(remote_id));
}

/* A line written twice (a crash between it and what it followed) counts once. */
void ledger_sum(const char *text, int64_t week, struct ledger_use *use)
{
	for (const char *line = text; *line; line = next_line(line)) {
		int64_t from, to;
		char kind[8];
		int id_len;

		if (!read_line(line, &id_len, kind, &from, &to) || to <= week ||
			has_before(text, line, line, (size_t)id_len))
			continue;
		if (strcmp(kind, "gpu") == 0)
			use->gpu_s += ledger_overlap(from, to, week);
		else if (strcmp(kind, "tpu") == 0)
			use->tpu_s += ledger_overlap(from, to, week);
	}
}
