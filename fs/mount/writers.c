#include "fs/mount/writers.h"

#include <string.h>

#include "fs/base/proc.h"

struct shared_draft *draft_slot(struct shared *s, int64_t run)
{
	if (run <= 0)
		return NULL;
	for (size_t n = 0; n < SHARED_DRAFTS; n++) {
		struct shared_draft *d = &s->draft[((size_t)run + n) % SHARED_DRAFTS];

		if (atomic_load_explicit(&d->run, memory_order_acquire) == (uint64_t)run)
			return d;
	}
	return NULL;
}

struct shared_draft *draft_slot_new(struct shared *s, int64_t run)
{
	struct shared_draft *d = draft_slot(s, run);

	for (size_t n = 0; !d && n < SHARED_DRAFTS; n++) {
		struct shared_draft *at = &s->draft[((size_t)run + n) % SHARED_DRAFTS];

		if (atomic_load(&at->run) == 0)
			d = at;
	}
	if (!d)
		return NULL;
	if (atomic_load(&d->run) == 0) {
		atomic_store(&d->changed_ns, 0);
		atomic_store(&d->flags, 0);
		atomic_store(&d->open_writers, 0);
		d->writers = 0;
		d->wounds = 0;
		atomic_store_explicit(&d->run, (uint64_t)run, memory_order_release);
	}
	return d;
}

static void drop_dead(struct shared_draft *d)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < d->writers; i++)
		if (proc_alive(d->writer[i].pid, d->writer[i].start))
			d->writer[kept++] = d->writer[i];
	d->writers = kept;
}

void draft_writer(struct shared_draft *d, pid_t pid, uint64_t start)
{
	if (pid == 0) {
		atomic_fetch_or(&d->flags, DRAFT_UNSEEN);
		return;
	}
	for (uint32_t i = 0; i < d->writers; i++)
		if (d->writer[i].pid == pid && d->writer[i].start == start)
			return;
	if (d->writers == SHARED_WRITERS)
		drop_dead(d);
	if (d->writers == SHARED_WRITERS) {
		atomic_fetch_or(&d->flags, DRAFT_UNSEEN);
		return;
	}
	d->writer[d->writers] = (struct shared_writer){.pid = pid, .start = start};
	d->writers++;
}

int draft_writers_alive(const struct shared_draft *d)
{
	int alive = 0;

	for (uint32_t i = 0; i < d->writers; i++)
		alive += proc_alive(d->writer[i].pid, d->writer[i].start);
	return alive;
}

void drafts_recount(struct shared *s)
{
	for (size_t i = 0; i < SHARED_DRAFTS; i++)
		if (atomic_load(&s->draft[i].run) != 0)
			atomic_store(&s->draft[i].open_writers, 0);
	for (size_t i = 0; i < SHARED_HANDLES; i++) {
		struct shared_handle *h = &s->handle[i];
		uint64_t key = atomic_load(&h->key);

		if (key == UINT64_MAX)
			atomic_store(&h->key, 0); /* claimed, but never given out */
		else if (key != 0) {
			struct shared_draft *d = draft_slot(s, (int64_t)h->draft);

			if (d)
				atomic_fetch_add(&d->open_writers, 1);
		}
	}
}

void draft_wound(struct shared_draft *d, uint64_t key, bool killed)
{
	if (killed)
		atomic_fetch_or(&d->flags, DRAFT_KILLED);
	for (uint32_t i = 0; i < d->wounds; i++)
		if (d->wound[i] == key)
			return;
	if (d->wounds == SHARED_WOUNDS) {
		atomic_fetch_or(&d->flags, DRAFT_WOUNDS_LOST);
		return;
	}
	d->wound[d->wounds] = key;
	d->wounds++;
}

void draft_heal(struct shared_draft *d, uint64_t key)
{
	for (uint32_t i = 0; i < d->wounds; i++) {
		if (d->wound[i] != key)
			continue;
		d->wound[i] = d->wound[d->wounds - 1];
		d->wounds--;
		break;
	}
	if (d->wounds == 0)
		atomic_fetch_and(&d->flags, ~(uint32_t)DRAFT_KILLED);
}
