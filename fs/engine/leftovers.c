/*
 * Jobs of runs that are gone for good: their backends are told to forget them. Part of the housekeeping,
 * on a worker thread. As a rule they are asked before the run's files go, and again later where that
 * fails: a service that is away keeps neither the run nor the jobs of other services.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"
#include "fs/engine/internal.h"

#define PAGE	    64
#define PASS_NS	    (30 * NS_PER_S)		   /* calls of one pass end by then */
#define LAST_NS	    (10 * NS_PER_S)		   /* a call gets that much at least */
#define GIVE_UP_NS  (INT64_C(24) * 3600 * NS_PER_S)
#define GIVE_UP	    20				   /* and no fewer tries */

enum fate { UNTRIED, FAILED, FORGOTTEN };

struct pass {
	struct engine *e;
	int64_t until;
	bool away[BACKENDS_MAX]; /* did not answer: not asked again in this pass */
	struct leftover page[PAGE];
	enum fate fates[PAGE];
};

static void tell(const struct pass *p, const struct leftover *l, const char *what, const char *why)
{
	AUTO_BUF struct strbuf fields = STRBUF_INIT;

	strbuf_addf(&fields, "\"run_id\":%lld,\"attempt\":%d,\"backend\":\"", (long long)l->run,
		l->attempt);
	escape_json(&fields, l->backend, strlen(l->backend));
	strbuf_adds(&fields, "\",\"remote_id\":\"");
	escape_json(&fields, l->external_id, strlen(l->external_id));
	strbuf_adds(&fields, "\"");
	log_write(p->e->log, LOG_LEVEL_WARN, "purge", fields.err ? NULL : fields.buf, "%s: %s", what, why);
}

static int ask(const struct pass *p, const struct leftover *l, struct why *why)
{
	struct backend_handle b = {0};
	int rc = engine_backend_open(p->e, l->backend, &b, why);

	if (rc || !b.vt->purge)
		return rc;
	rc = b.vt->purge(b.conn, l->external_id, p->until, why);
	return rc == -EOPNOTSUPP ? 0 : rc;
}

static bool given_up(const struct leftover *l, int rc)
{
	return rc == -EINVAL || (l->tries + 1 >= GIVE_UP && clock_wall_ns() - l->since_ns > GIVE_UP_NS);
}

static enum fate forget(struct pass *p, const struct leftover *l)
{
	const struct engine_backend *b = engine_backend_named(p->e, l->backend);
	struct why why = {0};
	int rc;

	if (b && p->away[b - p->e->backends])
		return UNTRIED;
	rc = ask(p, l, &why);
	if (!rc)
		return FORGOTTEN;
	/* Any other error than these two may be the job's own. */
	if (b && rc != -EINVAL && rc != -EBUSY)
		p->away[b - p->e->backends] = true;
	if (given_up(l, rc)) {
		tell(p, l, "given up", why.err ? why_text(&why) : strerror(-rc));
		return FORGOTTEN;
	}
	if (!l->tries)
		tell(p, l, "to be tried again", why.err ? why_text(&why) : strerror(-rc));
	return FAILED;
}

/* One transaction a page: after a crash before it everything is asked again, which purge() stands. */
static int save(const struct pass *p, int n)
{
	struct store *s = p->e->store;
	int rc = store_begin(s);

	if (rc)
		return rc;
	for (int i = 0; i < n && !rc; i++) {
		if (p->fates[i] == FORGOTTEN)
			rc = store_finish_leftover(s, &p->page[i]);
		else if (p->fates[i] == FAILED)
			rc = store_keep_leftover(s, &p->page[i]);
	}
	return store_end(s, rc);
}

/* How many were forgotten of a page of n; a page that was not finished counts as no progress. */
static int do_page(struct pass *p, int n)
{
	int forgotten = 0, rc;

	for (int i = 0; i < n; i++) {
		p->fates[i] = clock_boot_ns() < p->until - LAST_NS ? forget(p, &p->page[i]) : UNTRIED;
		forgotten += p->fates[i] == FORGOTTEN;
	}
	rc = save(p, n);
	if (rc)
		log_write(p->e->log, LOG_LEVEL_WARN, "purge", NULL, "%s", strerror(-rc));
	return rc ? 0 : forgotten;
}

bool engine_forget_leftovers(struct engine *e)
{
	AUTO_FREE struct pass *p = calloc(1, sizeof(*p));
	int n = 0, forgotten = 0;

	if (!p)
		return false;
	p->e = e;
	p->until = clock_boot_ns() + PASS_NS;
	do {
		n = store_leftovers(e->store, p->page, PAGE);
		forgotten = n > 0 ? do_page(p, n) : 0;
	} while (n == PAGE && forgotten && clock_boot_ns() < p->until - LAST_NS);
	return n == PAGE && forgotten;
}
