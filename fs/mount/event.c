#include "fs/mount/event.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/fault.h"
#include "fs/mount/park.h"
#include "fs/mount/shared.h"
#include "fs/process.h"

static void put(struct mount *m, struct shared_event *e)
{
	uint64_t one = 1;

	if (ring_put(m->shared, e) == 0 && write(FD_BELL, &one, sizeof(one)) < 0)
		return; /* the notifier looks again by itself */
}

static void tell(struct mount *m, enum event_kind kind, uint64_t dir, const char *folder, const char *name, const char *leaf)
{
	struct shared_event e = {.kind = kind, .ino = dir};

	snprintf(e.name, sizeof(e.name), "%s", name);
	snprintf(e.path, sizeof(e.path), "%s/%s%s", folder, name, leaf);
	put(m, &e);
}

/* The directory that the notifier takes away is a stand-in: who holds the real one must go on getting
 * EROFS, and the kernel answers ENOENT for all that is done in a directory that was taken away. */
#define GHOST 0xffff

static void tell_vanished(struct mount *m, const struct change *c)
{
	struct shared_event e = {.kind = EVENT_VANISH, .ino = ref_ino((struct ref){.row = N_QUEUE}),
		.child = ref_ino((struct ref){.row = N_DRAFT, .inc = GHOST, .id = c->run})};

	snprintf(e.name, sizeof(e.name), "%s", c->folder);
	snprintf(e.path, sizeof(e.path), "queue/%s", c->folder);
	put(m, &e);
}

void event_entry(struct mount *m, uint64_t dir, const char *name)
{
	tell(m, EVENT_INVAL_ENTRY, dir, "", name, "");
}

static const char *place_folder(enum run_place p)
{
	return p == PLACE_REMOVED ? "removed" : "runs";
}

static uint64_t place_ino(enum run_place p)
{
	return ref_ino((struct ref){.row = p == PLACE_REMOVED ? N_REMOVED : N_RUNS});
}

static bool listed(enum run_place p)
{
	return p == PLACE_RUNS || p == PLACE_REMOVED;
}

static bool of_run(void *arg, uint64_t ino)
{
	const int64_t *run = arg;
	struct ref r = ino_ref(ino);

	return !(ino & NODE_STORED) && row_of_run(r.row) && r.id == *run;
}

/* Does not wait for anything in the mount: the kernel only wakes sleepers. */
static void wake_poll(void *arg, uint64_t kh)
{
	const int *fd = arg;
	struct {
		struct fuse_out_header header;
		struct fuse_notify_poll_wakeup_out out;
	} msg = {{sizeof(msg), FUSE_NOTIFY_POLL, 0}, {kh}};

	(void)!write(*fd, &msg, sizeof(msg));
}

struct poll_target {
	int64_t run; /* first: of_run reads it */
	int fd;
};

static bool match_target(void *arg, uint64_t ino)
{
	struct poll_target *t = arg;

	return of_run(&t->run, ino);
}

static void wake_target(void *arg, uint64_t kh)
{
	struct poll_target *t = arg;

	wake_poll(&t->fd, kh);
}

void event_changed(void *arg, const struct change *c)
{
	struct mount *m = arg;
	struct poll_target target = {c->run, m->session_fd};
	struct ref run = {.row = N_RUN, .inc = (uint16_t)c->incarnation, .id = c->run};

	if ((c->what & CHANGE_GONE) && listed(c->old_place) && c->old_name)
		tell(m, EVENT_INVAL_ENTRY, place_ino(c->old_place), place_folder(c->old_place), c->old_name, "");
	if ((c->what & CHANGE_UNQUEUED) && c->folder)
		tell_vanished(m, c);
	if ((c->what & CHANGE_NEW) && listed(c->place))
		tell(m, EVENT_APPEAR, place_ino(c->place), place_folder(c->place), c->name, "");
	if ((c->what & CHANGE_STATE) && listed(c->place)) {
		struct shared_event e = {.kind = EVENT_INVAL_INODE, .ino = ref_ino(run)};

		put(m, &e);
		tell(m, EVENT_TOUCH, 0, place_folder(c->place), c->name, "/status");
	}
	polls_take(m->shared, match_target, wake_target, &target);
	if (c->what & (CHANGE_STATE | CHANGE_GONE))
		park_wake(m, c->run);
}

static int tell_again(void *arg, const struct run *r)
{
	struct mount *m = arg;
	struct change c = {.run = r->id, .what = CHANGE_STATE, .incarnation = r->incarnation, .state = r->state,
		.place = r->place, .name = r->name, .folder = r->folder};

	event_changed(m, &c);
	if (r->state != RUN_DRAFT && r->folder[0])
		event_entry(m, ref_ino((struct ref){.row = N_QUEUE}), r->folder);
	atomic_store(&m->shared->version_told, r->version);
	return 0;
}

static bool any(void *arg, uint64_t ino)
{
	(void)arg;
	(void)ino;
	return true;
}

void event_catch_up(struct mount *m, bool fresh)
{
	if (!fresh)
		engine_changed_since(m->engine, atomic_load(&m->shared->version_told), tell_again, m);
	atomic_store(&m->shared->version_told, engine_version(m->engine));
	/* Sleepers in poll(2) ask again, and are then known to this server. */
	polls_take(m->shared, any, wake_poll, &m->session_fd);
}

bool event_is_notifier(const struct call *c, uint32_t *doing)
{
	if (c->pid == 0 || c->pid != atomic_load(&c->mount->shared->notifier_tid))
		return false;
	*doing = atomic_load(&c->mount->shared->notifier_doing);
	fault_point("notifier.waits"); /* the death of the server while the notifier waits for it */
	return true;
}
