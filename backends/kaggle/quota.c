/*
 * backends.kaggle.quota_hours: so many hours of GPU a week and no more, by our own books.
 *
 * What a session may still take is counted in full from the moment its push is announced, also while nobody
 * knows whether Kaggle took it: until its remote id is known, state/kaggle/gpu,<token> leads to its attempt.
 * Whatever of this cannot be read could hide a session, so then nothing is allowed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/kaggle/kaggle.h"
#include "backends/kaggle/ledger.h"
#include "backends/kaggle/slug.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"

#define WEEK_S INT64_C(604800)

struct books {
	struct backend_conn *c;
	struct strbuf ledger;
	int64_t week; /* its first second */
	double gpu_s;
};

/* Where Kaggle has not said when its week begins, the last seven days hold at least all of it. */
static int64_t week_began(struct backend_conn *c)
{
	int64_t now = clock_wall_ns() / NS_PER_S, refresh;

	pthread_mutex_lock(&c->lock);
	refresh = c->left.refresh_s;
	pthread_mutex_unlock(&c->lock);
	return refresh ? now - ((now - refresh) % WEEK_S + WEEK_S) % WEEK_S : now - WEEK_S;
}

static double session_use(const struct kaggle_record *r, int64_t week)
{
	int64_t from = r->started.wall_ns / NS_PER_S, to = r->ended.wall_ns / NS_PER_S;

	if (!from)
		return r->session_seconds;
	return ledger_overlap(from, to ? to : from + r->session_seconds, week);
}

static bool is_gpu(const struct kaggle_record *r)
{
	return r->accelerator && strcmp(r->accelerator, "gpu") == 0;
}

/* One that has ended and is not in the ledger, because something happened in between, counts here. */
static int add_session(void *arg, const char *remote_id, const struct kaggle_record *r)
{
	struct books *b = arg;

	if (is_gpu(r) && !ledger_has(b->ledger.buf, remote_id))
		b->gpu_s += session_use(r, b->week);
	return 0;
}

static int add_announced(void *arg, const char *name, const struct kaggle_record *r)
{
	struct books *b = arg;
	AUTO_BUF struct strbuf remote_id = STRBUF_INIT;
	struct kaggle_remote remote = {.version = r->version};
	struct index_entry e;

	if (r->intended && r->version) {
		snprintf(remote.slug, sizeof(remote.slug), "%s", r->slug);
		if (kaggle_remote_print(&remote, &remote_id) == 0 && index_get(b->c, remote_id.buf, &e) == 0) {
			index_entry_release(&e);
			return index_forget_announced(b->c, name); /* counted as a session */
		}
	}
	if (!r->intended)
		return index_forget_announced(b->c, name);
	b->gpu_s += session_use(r, b->week);
	return 0;
}

static int read_books(struct books *b)
{
	struct ledger_use use = {0, 0};
	int err = b->c->state < 0 ? -ENOENT : ledger_read(b->c, &b->ledger);

	if (!err)
		err = ledger_sound(b->ledger.buf) ? 0 : -EBADMSG;
	if (!err)
		err = index_audit(b->c, add_session, add_announced, b);
	ledger_sum(b->ledger.buf, b->week, &use);
	b->gpu_s += use.gpu_s;
	return err;
}

int quota_allows(struct backend_conn *c, const struct push *p, struct why *why)
{
	struct books b = {.c = c, .week = week_began(c)};
	double limit = c->quota_hours, asked = p->request.session_seconds / 3600.0;
	int err;

	if (!p->request.gpu || limit < 0)
		return 0;
	strbuf_init(&b.ledger, LEDGER_MAX);
	err = read_books(&b);
	strbuf_release(&b.ledger);
	if (err)
		return why_set(why, EDQUOT, _("What Kaggle runs used this week cannot be told (state/kaggle: %s), so none"
			" with a GPU is sent while \"quota_hours\" is set."), strerror(-err));
	if (b.gpu_s / 3600 + asked <= limit)
		return 0;
	return why_set(why, EDQUOT, _("\"quota_hours\" allows %.1f h of GPU a week: %.1f h are used or under way,"
		" and this run may take %.1f h."), limit, b.gpu_s / 3600, asked);
}

int quota_note(struct backend_conn *c, const struct job *job, const struct push *p)
{
	return p->request.gpu && c->quota_hours >= 0 ? index_announce(c, job->directory, &p->record) : 0;
}
