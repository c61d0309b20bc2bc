#include "fs/engine/alerts.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"

#define PROGRESS_MIN 0.02 /* less says nothing about the rest */
#define WALK_DEPTH   250

/* ---- Raising ---- */

/* The usual case, raised before, takes no lock. */
static void raise_alert(struct engine *e, const struct run *r, int attempt, const char *what,
	const char *sentence)
{
	int rc;

	if (store_raised(e->store, r->id, attempt, what))
		return;
	rc = store_begin(e->store);
	if (!rc)
		rc = store_end(e->store, store_raise(e->store, r, attempt, what, sentence));
	if (rc)
		log_write(e->log, LOG_LEVEL_WARN, "alert", NULL, "not stored: %s", sentence);
}

/* ---- Time ---- */

static int64_t elapsed_ns(const struct step *st, const struct job_status *status)
{
	const struct stamp *from = status->started.wall_ns ? &status->started : &st->r.started;
	struct stamp to = status->ended.wall_ns ? status->ended : stamp_now();

	return from->wall_ns ? stamp_since(from, &to) : 0;
}

int64_t alerts_expected_ns(const struct step *st)
{
	int64_t mean = store_mean_time(st->e->store, st->r.folder);

	if (mean > 0)
		return mean;
	return st->o.hours > 0 && st->o.hours < 1e6 ? (int64_t)(st->o.hours * 3600e9) : 0;
}

void alerts_eta(const struct step *st, struct job_status *status)
{
	int64_t elapsed, expected;

	if (status->eta_ns >= 0 || status->state != JOB_RUNNING)
		return;
	elapsed = elapsed_ns(st, status);
	if (status->progress > PROGRESS_MIN && status->progress <= 1 && elapsed > 0) {
		status->eta_ns = (int64_t)((double)elapsed * (1 / status->progress - 1));
		return;
	}
	/* Only what was measured: `hours` is a limit, and nobody runs until then. */
	expected = store_mean_time(st->e->store, st->r.folder);
	if (expected > elapsed)
		status->eta_ns = expected - elapsed;
}

static void raise_late(const struct step *st, const struct job_status *status)
{
	AUTO_BUF struct strbuf took = STRBUF_INIT, usual = STRBUF_INIT;
	int64_t elapsed = elapsed_ns(st, status), expected = alerts_expected_ns(st);
	char sentence[200];

	if (expected <= 0 || (double)elapsed <= ALERT_LATE * (double)expected)
		return;
	clock_hms(&took, elapsed);
	clock_hms(&usual, expected);
	if (took.err || usual.err)
		return;
	snprintf(sentence, sizeof(sentence), _("It takes longer than expected: %s so far, %s expected."),
		took.buf, usual.buf);
	raise_alert(st->e, &st->r, st->a.pub.n, "late", sentence);
}

/* ---- Memory ---- */

static void raise_memory(const struct step *st, const struct job_status *status)
{
	double limit = st->o.memory_gb * 1073741824.0;
	char sentence[200];

	if (!(limit > 0) || (double)status->max_rss_bytes <= ALERT_MEMORY * limit)
		return;
	snprintf(sentence, sizeof(sentence), _("It used %lld MiB of memory; its limit is %lld MiB."),
		(long long)(status->max_rss_bytes >> 20), (long long)(limit / 1048576));
	raise_alert(st->e, &st->r, st->a.pub.n, "memory", sentence);
}

void alerts_news(const struct step *st, const struct job_status *status)
{
	raise_late(st, status);
	raise_memory(st, status);
}

/* ---- Disk ---- */

struct usage {
	int dirfd;
	double bytes;
};

static int add_entry(void *arg, const struct io_entry *entry)
{
	struct usage *u = arg;
	struct stat st;

	if (fstatat(u->dirfd, entry->path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		u->bytes += (double)st.st_blocks * 512;
	return 0;
}

/* A tree that changes under the walk gives a smaller figure: the next look has another. */
static double used_bytes(struct engine *e)
{
	struct usage u = {.dirfd = e->state_dirfd};

	io_walk(e->state_dirfd, ".", WALK_DEPTH, add_entry, &u);
	return u.bytes;
}

void alerts_disk(struct engine *e)
{
	struct run machine = {.name = "-", .state = RUN_STATE_COUNT};
	struct statvfs st;
	double budget, used;
	char sentence[300];

	if (fstatvfs(e->state_dirfd, &st) || !st.f_blocks)
		return;
	budget = e->config->disk_bytes > 0
			 ? (double)e->config->disk_bytes
			 : (double)st.f_blocks * (double)st.f_frsize * e->config->disk_percent / 100;
	used = (double)(st.f_blocks - st.f_bfree) * (double)st.f_frsize;
	if (used > ALERT_DISK * budget)
		used = used_bytes(e);
	if (used <= ALERT_DISK * budget) {
		if (store_raised(e->store, 0, 0, "disk") && store_begin(e->store) == 0)
			store_end(e->store, store_lower(e->store, 0, 0, "disk"));
		return;
	}
	snprintf(sentence, sizeof(sentence),
		_("The state directory uses %.0f MiB of the %.0f MiB that \"disk\" allows: remove runs."),
		used / 1048576, budget / 1048576);
	raise_alert(e, &machine, 0, "disk", sentence);
}
