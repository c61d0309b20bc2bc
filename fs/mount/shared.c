#include "fs/mount/shared.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int shared_create(void)
{
	int fd = memfd_create("kexec-shared", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(struct shared)) != 0 ||
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (s == MAP_FAILED) {
		int err = errno;

		close(fd);
		return -err;
	}
	s->magic = SHARED_MAGIC;
	s->version = SHARED_VERSION;
	s->size = sizeof(*s);
	do {
		if (getrandom(&s->connection, sizeof(s->connection), 0) != sizeof(s->connection))
			s->connection = (uint64_t)getpid() << 32 | (uint64_t)time(NULL);
		s->connection &= INT64_MAX; /* SQLite's integers are signed */
	} while (s->connection == 0);
	munmap(s, sizeof(*s));
	return fd;
}

struct shared *shared_map(int fd)
{
	struct shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (s == MAP_FAILED)
		return NULL;
	if (s->magic != SHARED_MAGIC || s->version != SHARED_VERSION || s->size != sizeof(*s)) {
		munmap(s, sizeof(*s));
		errno = EPROTO;
		return NULL;
	}
	return s;
}

void shared_unmap(struct shared *s)
{
	if (s)
		munmap(s, sizeof(*s));
}

static int journal_find(struct shared *s, uint64_t key)
{
	for (int i = 0; i < SHARED_JOURNAL; i++)
		if (atomic_load_explicit(&s->journal_key[i], memory_order_acquire) == key)
			return i;
	return -1;
}

/* The index of a record that nobody finds until its key is set. When all are taken, the oldest request
 * is the one whose reply was most likely written by a server that died right after. */
static int journal_claim(struct shared *s)
{
	for (;;) {
		uint64_t least = UINT64_MAX;
		int oldest = -1;

		for (int i = 0; i < SHARED_JOURNAL; i++) {
			uint64_t k = 0;

			if (atomic_compare_exchange_strong(&s->journal_key[i], &k, UINT64_MAX))
				return i;
			if (k < least) {
				least = k;
				oldest = i;
			}
		}
		if (oldest >= 0 && atomic_compare_exchange_strong(&s->journal_key[oldest], &least, UINT64_MAX))
			return oldest;
	}
}

struct shared_journal *journal_begin(struct shared *s, uint64_t unique, const struct shared_journal *fresh, bool *again)
{
	uint64_t key = UNIQUE_KEY(unique);
	int i = journal_find(s, key);

	*again = i >= 0;
	if (i >= 0)
		return &s->journal[i];
	i = journal_claim(s);
	struct shared_journal *j = &s->journal[i];

	j->state = JOURNAL_STARTED;
	j->op = fresh->op;
	j->result = 0;
	j->parent = fresh->parent;
	j->new_parent = fresh->new_parent;
	j->ino = fresh->ino;
	memcpy(j->name, fresh->name, sizeof(j->name));
	memcpy(j->new_name, fresh->new_name, sizeof(j->new_name));
	atomic_store_explicit(&s->journal_key[i], key, memory_order_release);
	return j;
}

void journal_done(struct shared_journal *j, int result, uint64_t ino)
{
	j->result = result;
	j->ino = ino;
	atomic_thread_fence(memory_order_release);
	j->state = JOURNAL_DONE;
}

void journal_forget(struct shared *s, uint64_t unique)
{
	int i = journal_find(s, UNIQUE_KEY(unique));

	if (i >= 0)
		atomic_store_explicit(&s->journal_key[i], 0, memory_order_release);
}

int ring_put(struct shared *s, const struct shared_event *event)
{
	uint64_t at;

	do {
		at = atomic_load(&s->ring_head);
		if (at - atomic_load(&s->ring_tail) >= SHARED_RING)
			return -EAGAIN;
	} while (!atomic_compare_exchange_weak(&s->ring_head, &at, at + 1));
	struct shared_event *e = &s->ring[at & (SHARED_RING - 1)];

	e->kind = event->kind;
	e->ino = event->ino;
	e->child = event->child;
	memcpy(e->name, event->name, sizeof(e->name));
	memcpy(e->path, event->path, sizeof(e->path));
	atomic_store_explicit(&e->seq, at + 1, memory_order_release);
	return 0;
}

/*
 * A server that dies between taking a position and publishing it leaves a hole. The notifier skips a
 * hole only when something behind it is published and a new server has begun, which it cannot see
 * here; so it skips when a later event is there: at worst one event of a racing thread is lost, and
 * events are hints.
 */
bool ring_take(struct shared *s, struct shared_event *out)
{
	for (;;) {
		uint64_t at = atomic_load(&s->ring_tail);

		if (at == atomic_load(&s->ring_head))
			return false;
		struct shared_event *e = &s->ring[at & (SHARED_RING - 1)];
		bool there = atomic_load_explicit(&e->seq, memory_order_acquire) == at + 1;

		if (there) {
			out->kind = e->kind;
			out->ino = e->ino;
			out->child = e->child;
			memcpy(out->name, e->name, sizeof(out->name));
			memcpy(out->path, e->path, sizeof(out->path));
		} else if (at + 1 == atomic_load(&s->ring_head)) {
			return false;
		}
		atomic_store(&s->ring_tail, at + 1);
		if (there)
			return true;
	}
}

void polls_add(struct shared *s, uint64_t kh, uint64_t ino)
{
	size_t start = (size_t)(kh % SHARED_POLLS);

	for (size_t i = 0; i < SHARED_POLLS; i++)
		if (atomic_load(&s->poll[i].kh) == kh)
			return;
	for (size_t n = 0; n < SHARED_POLLS; n++) {
		struct shared_poll *p = &s->poll[(start + n) % SHARED_POLLS];
		uint64_t none = 0;

		if (atomic_compare_exchange_strong(&p->kh, &none, UINT64_MAX)) {
			p->ino = ino;
			atomic_store_explicit(&p->kh, kh, memory_order_release);
			return;
		}
	}
}

void polls_take(struct shared *s, bool (*match)(void *arg, uint64_t ino), void (*tell)(void *arg, uint64_t kh), void *arg)
{
	for (size_t i = 0; i < SHARED_POLLS; i++) {
		uint64_t kh = atomic_load_explicit(&s->poll[i].kh, memory_order_acquire);

		if (kh == 0 || kh == UINT64_MAX || !match(arg, s->poll[i].ino))
			continue;
		if (atomic_compare_exchange_strong(&s->poll[i].kh, &kh, 0))
			tell(arg, kh);
	}
}

unsigned poison_count(struct shared *s, uint64_t unique, bool add)
{
	uint64_t key = UNIQUE_KEY(unique);

	for (size_t i = 0; i < SHARED_POISON; i++)
		if (atomic_load(&s->poison[i].key) == key)
			return add ? atomic_fetch_add(&s->poison[i].deaths, 1) + 1 : atomic_load(&s->poison[i].deaths);
	if (!add)
		return 0;
	struct shared_poison *p = &s->poison[key % SHARED_POISON];

	atomic_store(&p->deaths, 1);
	atomic_store(&p->key, key);
	return 1;
}

void poison_forget(struct shared *s, uint64_t unique)
{
	for (size_t i = 0; i < SHARED_POISON; i++)
		if (atomic_load(&s->poison[i].key) == UNIQUE_KEY(unique))
			atomic_store(&s->poison[i].key, 0);
}
