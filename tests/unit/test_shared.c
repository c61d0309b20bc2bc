/* The memory that outlives the server: journal, ring, polls, poison, drafts, nodes. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "fs/base/proc.h"
#include "fs/mount/nodes.h"
#include "fs/mount/writers.h"

struct fixture {
	int fd;
	struct mount m;
};

static int set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.fd = shared_create();
	f.m.shared = f.fd < 0 ? NULL : shared_map(f.fd);
	pthread_mutex_init(&f.m.nodes, NULL);
	*state = &f;
	return f.m.shared ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	shared_unmap(f->m.shared);
	close(f->fd);
	return 0;
}

static void layout_is_checked(void **state)
{
	struct fixture *f = *state;

	f->m.shared->version++;
	errno = 0;
	assert_null(shared_map(f->fd));
	assert_int_equal(errno, EPROTO);
}

static void journal_answers_again(void **state)
{
	struct fixture *f = *state;
	struct shared *s = f->m.shared;
	struct shared_journal fresh = {.op = JOP_MKDIR, .parent = 7, .name = "a"};
	bool again;
	struct shared_journal *j = journal_begin(s, 42, &fresh, &again);

	assert_false(again);
	assert_int_equal(j->state, JOURNAL_STARTED);
	/* the server dies here: the kernel sends the request again, with the mark */
	assert_ptr_equal(journal_begin(s, 42 | UNIQUE_RESEND, &fresh, &again), j);
	assert_true(again);
	assert_int_equal(j->state, JOURNAL_STARTED);
	journal_done(j, -ENOSPC, 9);
	j = journal_begin(s, 42 | UNIQUE_RESEND, &fresh, &again);
	assert_true(again);
	assert_int_equal(j->state, JOURNAL_DONE);
	assert_int_equal(j->result, -ENOSPC);
	journal_forget(s, 42 | UNIQUE_RESEND);
	journal_begin(s, 42, &fresh, &again);
	assert_false(again);
}

static void journal_gives_up_the_oldest(void **state)
{
	struct fixture *f = *state;
	struct shared_journal fresh = {.op = JOP_MKDIR};
	bool again;

	for (uint64_t i = 1; i <= SHARED_JOURNAL + 1; i++) {
		journal_begin(f->m.shared, i * 2, &fresh, &again);
		assert_false(again);
	}
	journal_begin(f->m.shared, 4, &fresh, &again);
	assert_true(again);
	journal_begin(f->m.shared, 2, &fresh, &again);
	assert_false(again);
}

static void ring_is_bounded_and_ordered(void **state)
{
	struct fixture *f = *state;
	struct shared_event e = {.kind = EVENT_TOUCH}, got;

	assert_false(ring_take(f->m.shared, &got));
	for (uint64_t i = 0; i < SHARED_RING; i++) {
		e.ino = i;
		assert_int_equal(ring_put(f->m.shared, &e), 0);
	}
	assert_int_equal(ring_put(f->m.shared, &e), -EAGAIN);
	for (uint64_t i = 0; i < SHARED_RING; i++) {
		assert_true(ring_take(f->m.shared, &got));
		assert_int_equal(got.ino, i);
	}
	assert_false(ring_take(f->m.shared, &got));
}

/* A server that died between taking a place and filling it must not stop the notifier for ever. */
static void ring_skips_a_hole(void **state)
{
	struct fixture *f = *state;
	struct shared_event e = {.kind = EVENT_TOUCH, .ino = 5}, got;

	atomic_fetch_add(&f->m.shared->ring_head, 1);
	assert_false(ring_take(f->m.shared, &got));
	assert_int_equal(ring_put(f->m.shared, &e), 0);
	assert_true(ring_take(f->m.shared, &got));
	assert_int_equal(got.ino, 5);
}

static bool is_seven(void *arg, uint64_t ino)
{
	(void)arg;
	return ino == 7;
}

static void count(void *arg, uint64_t kh)
{
	*(uint64_t *)arg += kh;
}

static void polls_are_told_once(void **state)
{
	struct fixture *f = *state;
	uint64_t sum = 0;

	polls_add(f->m.shared, 100, 7);
	polls_add(f->m.shared, 100, 7);
	polls_add(f->m.shared, 200, 8);
	polls_take(f->m.shared, is_seven, count, &sum);
	assert_int_equal(sum, 100);
	polls_take(f->m.shared, is_seven, count, &sum);
	assert_int_equal(sum, 100);
}

static void poison_is_counted(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(poison_count(f->m.shared, 6, false), 0);
	assert_int_equal(poison_count(f->m.shared, 6, true), 1);
	assert_int_equal(poison_count(f->m.shared, 6 | UNIQUE_RESEND, true), 2);
	assert_int_equal(poison_count(f->m.shared, 6, false), 2);
	poison_forget(f->m.shared, 6);
	assert_int_equal(poison_count(f->m.shared, 6, false), 0);
}

static void drafts_know_their_writers(void **state)
{
	struct fixture *f = *state;
	struct shared_draft *d = draft_slot_new(f->m.shared, 11);
	struct proc_info me;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	struct proc_info its;

	assert_int_equal(proc_read(child, &its), 0);
	assert_int_equal(proc_read(getpid(), &me), 0);
	assert_ptr_equal(draft_slot(f->m.shared, 11), d);
	assert_null(draft_slot(f->m.shared, 12));
	draft_writer(d, me.pid, me.start);
	draft_writer(d, me.pid, me.start);
	draft_writer(d, child, its.start);
	assert_int_equal(d->writers, 2);
	waitpid(child, NULL, 0);
	assert_int_equal(draft_writers_alive(d), 1);
	assert_false(atomic_load(&d->flags) & DRAFT_UNSEEN);
	draft_writer(d, 0, 0);
	assert_true(atomic_load(&d->flags) & DRAFT_UNSEEN);
}

/* A server died between a handle and its count, in either order, or with a handle just claimed. */
static void open_writers_are_counted_anew(void **state)
{
	struct fixture *f = *state;
	struct shared *s = f->m.shared;
	struct shared_draft *a = draft_slot_new(s, 7), *b = draft_slot_new(s, 8);

	atomic_store(&a->open_writers, 3);
	atomic_store(&s->handle[5].key, 100);
	s->handle[5].draft = 8;
	atomic_store(&s->handle[6].key, 102);
	s->handle[6].draft = 8;
	atomic_store(&s->handle[7].key, 104);
	s->handle[7].draft = 9; /* submitted meanwhile */
	atomic_store(&s->handle[8].key, UINT64_MAX);
	drafts_recount(s);
	assert_int_equal(atomic_load(&a->open_writers), 0);
	assert_int_equal(atomic_load(&b->open_writers), 2);
	assert_int_equal(atomic_load(&s->handle[8].key), 0);
	assert_int_equal(atomic_load(&s->handle[7].key), 104);
}

static void the_dead_make_room(void **state)
{
	struct fixture *f = *state;
	struct shared_draft *d = draft_slot_new(f->m.shared, 3);

	for (int i = 0; i < 100; i++) /* pids that are not: start times of long ago */
		draft_writer(d, 4000000 + i, 1);
	assert_true(d->writers <= SHARED_WRITERS);
	assert_false(atomic_load(&d->flags) & DRAFT_UNSEEN);
}

static void wounds_heal_one_by_one(void **state)
{
	struct fixture *f = *state;
	struct shared_draft *d = draft_slot_new(f->m.shared, 3);

	draft_wound(d, 100, false);
	draft_wound(d, 200, true);
	draft_wound(d, 200, true);
	assert_int_equal(d->wounds, 2);
	draft_heal(d, 300);
	assert_int_equal(d->wounds, 2);
	draft_heal(d, 200);
	assert_true(atomic_load(&d->flags) & DRAFT_KILLED); /* another wound is open */
	draft_heal(d, 100);
	assert_int_equal(d->wounds, 0);
	assert_false(atomic_load(&d->flags) & DRAFT_KILLED);
	for (uint64_t i = 1; i <= SHARED_WOUNDS + 1; i++)
		draft_wound(d, i, false);
	assert_true(atomic_load(&d->flags) & DRAFT_WOUNDS_LOST);
}

#define ROOT 77u

static void nodes_have_paths(void **state)
{
	struct fixture *f = *state;
	uint64_t dir, file, again, root;
	char path[256];
	bool detached;

	assert_int_equal(nodes_take(&f->m, ROOT, "dir", &dir), 0);
	assert_int_equal(nodes_take(&f->m, dir, "file", &file), 0);
	assert_int_equal(nodes_take(&f->m, dir, "file", &again), 0);
	assert_int_equal(file, again);
	assert_int_equal(nodes_path(&f->m, file, path, sizeof(path), &root, &detached), 0);
	assert_string_equal(path, "dir/file");
	assert_int_equal(root, ROOT);
	assert_int_equal(nodes_path(&f->m, file, path, 6, &root, &detached), -ENAMETOOLONG);
	assert_int_equal(nodes_path(&f->m, ROOT, path, sizeof(path), &root, &detached), 0);
	assert_string_equal(path, "");
}

static void nodes_are_freed_upwards(void **state)
{
	struct fixture *f = *state;
	uint64_t dir, file, other;
	bool gone, detached;

	nodes_take(&f->m, ROOT, "dir", &dir);
	nodes_take(&f->m, dir, "file", &file);
	nodes_drop(&f->m, dir, 1, &gone, &detached); /* its child still holds it */
	assert_int_equal(nodes_find(&f->m, ROOT, "dir", &other), 0);
	nodes_drop(&f->m, file, 1, &gone, &detached);
	assert_true(gone);
	assert_int_equal(nodes_find(&f->m, ROOT, "dir", &other), -ENOENT);
	nodes_take(&f->m, ROOT, "dir", &other);
	assert_true(other != dir && other != file); /* a slot is used again under another number */
}

static void a_rename_moves_the_node(void **state)
{
	struct fixture *f = *state;
	uint64_t a, b, file, root;
	char path[256];
	bool detached;

	nodes_take(&f->m, ROOT, "a", &a);
	nodes_take(&f->m, ROOT, "b", &b);
	nodes_take(&f->m, a, "file", &file);
	nodes_move(&f->m, ROOT, "a", b, "sub");
	assert_int_equal(nodes_path(&f->m, file, path, sizeof(path), &root, &detached), 0);
	assert_string_equal(path, "b/sub/file");
	assert_int_equal(nodes_find(&f->m, ROOT, "a", &root), -ENOENT);
}

static void a_replaced_node_is_detached(void **state)
{
	struct fixture *f = *state;
	uint64_t old, new, found, root;
	char path[256];
	bool gone, detached;

	nodes_take(&f->m, ROOT, "old", &old);
	nodes_take(&f->m, ROOT, "new", &new);
	nodes_move(&f->m, ROOT, "new", ROOT, "old");
	assert_int_equal(nodes_find(&f->m, ROOT, "old", &found), 0);
	assert_int_equal(found, new);
	nodes_path(&f->m, old, path, sizeof(path), &root, &detached);
	assert_true(detached);
	nodes_drop(&f->m, old, 1, &gone, &detached);
	assert_true(gone && detached);
	assert_int_equal(nodes_find(&f->m, ROOT, "old", &found), 0);
}

static void many_nodes(void **state)
{
	struct fixture *f = *state;
	uint64_t ino, same;
	char name[32];

	for (int i = 0; i < 50000; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		assert_int_equal(nodes_take(&f->m, ROOT, name, &ino), 0);
		assert_int_equal(nodes_find(&f->m, ROOT, name, &same), 0);
		assert_int_equal(ino, same);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(layout_is_checked), TEST(journal_answers_again), TEST(journal_gives_up_the_oldest),
		TEST(ring_is_bounded_and_ordered), TEST(ring_skips_a_hole), TEST(polls_are_told_once),
		TEST(poison_is_counted), TEST(drafts_know_their_writers),
		TEST(open_writers_are_counted_anew), TEST(the_dead_make_room),
		TEST(wounds_heal_one_by_one), TEST(nodes_have_paths), TEST(nodes_are_freed_upwards),
		TEST(a_rename_moves_the_node), TEST(a_replaced_node_is_detached), TEST(many_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
