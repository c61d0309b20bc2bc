/* queue/: folders being written. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/engine/door.h"
#include "fs/engine/engine.h"
#include "fs/mount/drafts.h"
#include "fs/mount/mount.h"
#include "fs/mount/node_rows.h"

int queue_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	int64_t id;
	int r = engine_find_draft(c->mount->engine, name, &id);

	(void)dir;
	if (r == 0)
		*out = (struct ref){.row = N_DRAFT, .id = id};
	return r;
}

struct told {
	node_sink *sink;
	void *arg;
};

static int tell(void *arg, const struct engine_entry *e)
{
	struct told *t = arg;

	return t->sink(t->arg, e->name, (struct ref){.row = N_DRAFT, .id = e->id}, e->id,
		(struct child_facts){.mtime_ns = e->mtime_ns});
}

int queue_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg)
{
	struct told t = {sink, arg};

	(void)dir;
	return engine_list(c->mount->engine, LIST_DRAFTS, after, tell, &t);
}

int queue_make(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	struct mount *m = c->mount;
	int64_t id;
	int r = door_name_check(name);

	(void)dir;
	if (r == 0)
		r = engine_draft_make(m->engine, c->key, name, &id);
	if (r != 0)
		return r;
	char path[ENGINE_PATH_MAX];

	/* The state directory itself is closed to others; what users see is an ordinary folder. */
	fchmodat(m->state_dirfd, engine_source_path(path, id), 0755, 0);
	r = drafts_add(m, id);
	if (r != 0) {
		engine_draft_drop(m->engine, 0, id);
		return r;
	}
	struct shared_draft *slot;

	if (drafts_enter(c, id, &slot) == 0) {
		drafts_changed(c, slot);
		drafts_leave(c);
	}
	*out = (struct ref){.row = N_DRAFT, .id = id};
	return 0;
}

int draft_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	char buf[ENGINE_PATH_MAX];

	(void)c;
	snprintf(path, size, "%s", engine_source_path(buf, r.id));
	return 0;
}

static int see_any(void *arg, const struct io_entry *entry)
{
	(void)entry;
	*(bool *)arg = true;
	return 1;
}

/* Throw a draft away; with what is in it only where that is what was asked for. */
int draft_throw_away(const struct call *c, int64_t run, bool full)
{
	struct mount *m = c->mount;
	char path[ENGINE_PATH_MAX];
	bool any = false;

	pthread_rwlock_wrlock(&m->gate);
	bool frozen = drafts_frozen(m, run);

	if (!frozen && !full)
		io_walk(m->state_dirfd, engine_source_path(path, run), 1, see_any, &any);
	int rc = frozen ? -ENOENT : any ? -ENOTEMPTY : 0;

	if (rc == 0)
		rc = engine_draft_drop(m->engine, c->key, run);
	pthread_rwlock_unlock(&m->gate);
	if (rc == 0)
		drafts_forget(m, run);
	return rc;
}

int draft_drop(const struct call *c, struct ref dir, struct ref r)
{
	(void)dir;
	return draft_throw_away(c, r.id, false);
}

int draft_move(const struct call *c, struct ref r, struct ref from, struct ref to, const char *to_name)
{
	struct mount *m = c->mount;
	bool asked = false;
	int rc = door_name_check(to_name);

	(void)from;
	if (rc == 0 && to.row != N_QUEUE)
		rc = -EPERM;
	if (rc == 0 && drafts_frozen(m, r.id))
		rc = -ENOENT;
	if (rc == 0)
		rc = engine_draft_rename(m->engine, c->key, r.id, to_name, &asked);
	if (rc == 0 && asked)
		drafts_ask_and_wait(m, r.id);
	return rc;
}
