#include "fs/engine/freshness.h"

#include "fs/base/clock.h"
#include "fs/engine/internal.h"

#define IN_VAIN_NS (30 * NS_PER_S)

/* The reader that finds the last wait over starts the next one; who comes while it lasts waits along. */
static bool join(struct engine_backend *b, int64_t now, struct freshness *out)
{
	out->since_ns = atomic_load(&b->asked_ns);
	out->until_ns = out->since_ns + FRESHNESS_WAIT_NS;
	return out->since_ns && now < out->until_ns && sched_unanswered(b->engine->sched, b->vt->name, out->since_ns) > 0;
}

static bool start(struct engine_backend *b, int64_t now, int64_t fresh_ns, struct freshness *out)
{
	int64_t free_ns = atomic_load(&b->next_wait_ns);

	if (now < free_ns || !atomic_compare_exchange_strong(&b->next_wait_ns, &free_ns, now + fresh_ns))
		return false;
	atomic_store(&b->asked_ns, now);
	out->since_ns = now;
	out->until_ns = now + FRESHNESS_WAIT_NS;
	sched_refresh(b->engine->sched, b->vt->name);
	return true;
}

bool engine_refresh(struct engine *e, int64_t run, struct freshness *out)
{
	char name[32];
	int64_t fresh_ns, now = clock_boot_ns();

	if (!sched_stale(e->sched, run, name, &fresh_ns))
		return false;
	struct engine_backend *b = engine_backend_named(e, name);

	if (!b)
		return false;
	out->backend = (int)(b - e->backends);
	return start(b, now, fresh_ns, out) || join(b, now, out);
}

bool engine_fresh(struct engine *e, const struct freshness *f)
{
	struct engine_backend *b = &e->backends[f->backend];

	if (sched_unanswered(e->sched, b->vt->name, f->since_ns) == 0)
		return true;
	if (clock_boot_ns() < f->until_ns)
		return false;
	int64_t next = f->since_ns + IN_VAIN_NS;

	if (atomic_load(&b->next_wait_ns) < next)
		atomic_store(&b->next_wait_ns, next);
	return true;
}
