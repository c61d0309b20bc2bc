/*
 * backends/kaggle/status and quota: what Kaggle says, and what our own runs have used.
 *
 * The ledger, state/kaggle/ledger, gets one line for each session with an accelerator that has ended:
 * remote id, accelerator, first and last second. Kaggle counts what other programs of its user used, too;
 * both figures are shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/kaggle/kaggle.h"
#include "backends/kaggle/ledger.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"

#define KEEP_NS	   (60 * NS_PER_S) /* so long an answer is shown */
#define ASK_NS	   (3 * NS_PER_S)  /* so long a reader waits for one */
#define WEEK_S	   INT64_C(604800)
#define LEDGER	   "ledger"
#define LEDGER_MAX ((size_t)16 << 20)

/* ---- The ledger ---- */

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

static double overlap(int64_t from, int64_t to, int64_t week)
{
	return to > week && to > from ? (double)(to - (from > week ? from : week)) : 0;
}

/* A line written twice (a crash between it and what it followed) counts once. */
static bool seen_before(const char *text, const char *line, size_t id_len)
{
	const char *at = text;

	while (at < line) {
		if (strncmp(at, line, id_len + 1) == 0)
			return true;
		at += strcspn(at, "\n") + 1;
	}
	return false;
}

void ledger_sum(const char *text, int64_t week, struct ledger_use *use)
{
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		int64_t from, to;
		char kind[8];
		int id_len = 0;

		if (sscanf(line, "%*s%n %7s %" SCNd64 " %" SCNd64, &id_len, kind, &from, &to) != 3)
			continue;
		if (to <= week || seen_before(text, line, (size_t)id_len))
			continue;
		if (strcmp(kind, "gpu") == 0)
			use->gpu_s += overlap(from, to, week);
		else if (strcmp(kind, "tpu") == 0)
			use->tpu_s += overlap(from, to, week);
	}
}

struct running {
	int64_t week, now;
	struct ledger_use *use;
};

static int add_running(void *arg, const char *remote_id, const struct kaggle_record *r)
{
	struct running *s = arg;
	double seconds = overlap(r->started.wall_ns / NS_PER_S, s->now, s->week);

	if (!r->accelerator || !r->started.wall_ns || r->ended.wall_ns)
		return 0;
	if (r->session_seconds && seconds > r->session_seconds)
		seconds = r->session_seconds;
	*(strcmp(r->accelerator, "gpu") ? &s->use->tpu_s : &s->use->gpu_s) += seconds;
	return 0;
}

static void own_use(const struct backend_conn *c, int64_t week, struct ledger_use *use)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct running running = {week, clock_wall_ns() / NS_PER_S, use};

	if (c->state < 0)
		return;
	if (io_read(c->state, LEDGER, LEDGER_MAX, &text) == 0)
		ledger_sum(text.buf, week, use);
	index_each(c, add_running, &running);
}

/* ---- The texts ---- */

static void print_kind(struct strbuf *out, const char *kind, double used, double reserved, double total)
{
	if (total < 0)
		return;
	used = used > 0 ? used : 0;
	reserved = reserved > 0 ? reserved : 0;
	strbuf_addf(out, "%s used %.2f h reserved %.2f h left %.2f h of %.2f h\n", kind, used / 3600,
		reserved / 3600, (total > used + reserved ? total - used - reserved : 0) / 3600, total / 3600);
}

static void print_quota(const struct backend_conn *c, const struct kaggle_quota *q, struct strbuf *out)
{
	int64_t now = clock_wall_ns() / NS_PER_S;
	struct ledger_use use = {0, 0};

	print_kind(out, "gpu", q->gpu_used_s, q->gpu_reserved_s, q->gpu_total_s);
	print_kind(out, "tpu", q->tpu_used_s, q->tpu_reserved_s, q->tpu_total_s);
	if (q->refresh_s) {
		strbuf_adds(out, "refresh ");
		clock_rfc3339(out, q->refresh_s * NS_PER_S);
		strbuf_adds(out, "\n");
	}
	own_use(c, (q->refresh_s ? q->refresh_s : now) - WEEK_S, &use);
	strbuf_addf(out, "own runs gpu %.2f h tpu %.2f h\n", use.gpu_s / 3600, use.tpu_s / 3600);
}

static void print_answered(struct strbuf *out, const char *user)
{
	strbuf_addf(out, "ok: user %s, answered ", user);
	clock_rfc3339(out, clock_wall_ns());
	strbuf_adds(out, "\n");
}

static int ask(struct backend_conn *c, struct kaggle_quota *q, struct strbuf *status, struct strbuf *quota)
{
	int64_t deadline = clock_boot_ns() + ASK_NS;
	struct why why = {0};
	struct kaggle *k = kaggle_client(c, &why);
	const char *user = k ? kaggle_owner(c, k, deadline, &why) : NULL;
	int err = user ? kaggle_get_quota(k, deadline, q, &why) : -EAGAIN;

	if (!k)
		strbuf_addf(status, "%s\n", why_text(&why));
	else if (err)
		strbuf_addf(status, "%s: %s\n", kaggle_denied(c, why.err ? -why.err : err) == -EACCES
			? "denied" : "unreachable", why_text(&why));
	else
		print_answered(status, user);
	if (!err)
		print_quota(c, q, quota);
	return err;
}

static void keep(char *at, size_t size, const struct strbuf *text)
{
	snprintf(at, size, "%s", text->buf);
}

static void renew(struct backend_conn *c)
{
	AUTO_BUF struct strbuf status = STRBUF_INIT, quota = STRBUF_INIT;
	struct kaggle_quota q = {-1, -1, -1, -1, -1, -1, 0};
	int err = ask(c, &q, &status, &quota);

	pthread_mutex_lock(&c->lock);
	keep(c->status, sizeof(c->status), &status);
	if (!err) {
		keep(c->quota, sizeof(c->quota), &quota);
		c->left = q;
	}
	c->described_ns = clock_boot_ns();
	c->describing = false;
	pthread_mutex_unlock(&c->lock);
}

int kaggle_describe(struct backend_conn *c, struct strbuf *status, struct strbuf *quota)
{
	bool mine;

	pthread_mutex_lock(&c->lock);
	mine = !c->describing && (!c->described_ns || clock_boot_ns() - c->described_ns > KEEP_NS);
	c->describing |= mine;
	pthread_mutex_unlock(&c->lock);
	if (mine)
		renew(c);
	pthread_mutex_lock(&c->lock);
	strbuf_adds(status, *c->status ? c->status : _("asking Kaggle; read it again\n"));
	strbuf_adds(quota, *c->quota ? c->quota : _("Kaggle has not said yet\n"));
	pthread_mutex_unlock(&c->lock);
	return status->err ? status->err : quota->err;
}
