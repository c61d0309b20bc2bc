/* Reading: what the mount and the pages ask of the store. Rows are read in pages, so that no
 * connection and no lock is held while a callback runs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/engine/internal.h"

#define LIST_PAGE 128
#define RUN_PAGE  32

int engine_run(struct engine *e, int64_t id, struct run *out)
{
	return store_read_run(e->store, id, out);
}

int engine_find(struct engine *e, enum run_place place, const char *name, int64_t *id)
{
	return store_find(e->store, place, name, id);
}

int engine_find_draft(struct engine *e, const char *folder, int64_t *id)
{
	return store_find_draft(e->store, folder, id);
}

int engine_find_latest(struct engine *e, const char *folder, int64_t *id)
{
	return store_find_latest(e->store, folder, id);
}

int engine_list(struct engine *e, enum engine_list list, int64_t after,
	int (*each)(void *arg, const struct engine_entry *entry), void *arg)
{
	struct store_entry *page = malloc(LIST_PAGE * sizeof(*page));
	int n = page ? LIST_PAGE : -ENOMEM;

	while (n == LIST_PAGE) {
		n = store_list(e->store, list, after, page, LIST_PAGE);
		for (int i = 0; i < n; i++) {
			after = page[i].e.id;
			if (each(arg, &page[i].e))
				n = 0;
		}
	}
	free(page);
	return n < 0 ? n : 0;
}

/* Give the runs of a page to `each`; true to go on. Releases them all. */
static bool give_runs(struct run *page, int n, int (*each)(void *arg, const struct run *r), void *arg)
{
	bool on = true;

	for (int i = 0; i < n; i++) {
		if (on && each(arg, &page[i]))
			on = false;
		run_release(&page[i]);
	}
	return on;
}

int engine_recent(struct engine *e, size_t limit, int (*each)(void *arg, const struct run *r), void *arg)
{
	struct run page[RUN_PAGE];
	int64_t before = INT64_MAX;
	int n = RUN_PAGE;

	while (limit && n == RUN_PAGE) {
		n = store_recent(e->store, before, page,
			limit < RUN_PAGE ? (int)limit : RUN_PAGE);
		if (n <= 0)
			return n;
		limit -= (size_t)n;
		before = page[n - 1].id;
		if (!give_runs(page, n, each, arg))
			return 0;
	}
	return 0;
}

int engine_changed_since(struct engine *e, int64_t version, int (*each)(void *arg, const struct run *r),
	void *arg)
{
	struct run page[RUN_PAGE];
	int n = RUN_PAGE;

	while (n == RUN_PAGE) {
		n = store_changed_since(e->store, version, page, RUN_PAGE);
		if (n <= 0)
			return n;
		version = page[n - 1].version;
		if (!give_runs(page, n, each, arg))
			return 0;
	}
	return 0;
}

int engine_counts(struct engine *e, int64_t counts[RUN_STATE_COUNT])
{
	return store_counts(e->store, counts);
}

int64_t engine_version(struct engine *e)
{
	return store_version(e->store);
}

int engine_event_stamps(struct engine *e, int64_t run, struct stamp *out, int max)
{
	return store_event_stamps(e->store, run, out, max);
}

int engine_events(struct engine *e, int64_t run, struct strbuf *out)
{
	return store_events(e->store, run, out);
}

int engine_alerts(struct engine *e, struct strbuf *out)
{
	return store_alerts(e->store, out);
}

int engine_attempt(struct engine *e, int64_t run, int n, struct attempt *out)
{
	struct attempt_row row;
	int rc = store_read_attempt(e->store, run, n, &row);

	if (rc)
		memset(out, 0, sizeof(*out));
	else
		*out = row.pub;
	return rc;
}

void attempt_release(struct attempt *a)
{
	free(a->external_id);
	free(a->detail);
	memset(a, 0, sizeof(*a));
}

int engine_attempt_count(struct engine *e, int64_t run)
{
	return store_attempt_count(e->store, run);
}
