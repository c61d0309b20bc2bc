/* Ended runs between runs/ and removed/, their names, and their end. Called by the mount's threads. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/engine/door.h"
#include "fs/engine/internal.h"

/* In a transaction: an ended run that is in `place`, -EBUSY when it has not ended. */
static int get_ended(struct engine *e, int64_t id, enum run_place place, struct run *r)
{
	int rc = store_get_run(e->store, id, r);

	if (rc)
		return rc;
	if (r->place == place && run_state_final(r->state))
		return 0;
	rc = r->place == place ? -EBUSY : -ENOENT;
	run_release(r);
	return rc;
}

/* In a transaction: to another place under `name`; the directory there is a new one to the kernel. */
static int put_elsewhere(struct engine *e, struct run *r, enum run_place place, const char *name)
{
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->place = place;
	r->incarnation++;
	return store_put_run(e->store, r);
}

static int remove_run(struct engine *e, struct run *r)
{
	char name[RUN_NAME_MAX + 1];
	int rc = store_free_name(e->store, PLACE_REMOVED, r->name, r->id, name);

	if (rc)
		return rc;
	r->removed = stamp_now();
	return put_elsewhere(e, r, PLACE_REMOVED, name);
}

static int restore_run(struct engine *e, struct run *r, const char *name)
{
	int taken = store_name_taken(e->store, PLACE_RUNS, name, r->id);

	if (taken)
		return taken < 0 ? taken : -EEXIST;
	memset(&r->removed, 0, sizeof(r->removed));
	return put_elsewhere(e, r, PLACE_RUNS, name);
}

static int rename_run(struct engine *e, struct run *r, const char *name)
{
	int taken = store_name_taken(e->store, PLACE_RUNS, name, r->id);

	if (taken)
		return taken < 0 ? taken : -EEXIST;
	snprintf(r->name, sizeof(r->name), "%s", name);
	return store_put_run(e->store, r);
}

enum act { ACT_REMOVE, ACT_RESTORE, ACT_RENAME };

/* In a transaction; *before is for its place and name only. */
static int act_on(struct engine *e, enum act act, int64_t run, const char *name, struct run *r,
	struct run *before)
{
	int rc = get_ended(e, run, act == ACT_RESTORE ? PLACE_REMOVED : PLACE_RUNS, r);

	if (rc)
		return rc;
	*before = *r;
	switch (act) {
	case ACT_REMOVE:
		return remove_run(e, r);
	case ACT_RESTORE:
		return restore_run(e, r, name);
	default:
		return rename_run(e, r, name);
	}
}

static int try_once(struct engine *e, uint64_t key, enum act act, int64_t run, const char *name)
{
	struct run r = {0}, before = {0};
	int64_t value;
	int rc;

	if (engine_once(e, key, &rc, &value))
		return rc;
	rc = act_on(e, act, run, name, &r, &before);
	if (!rc)
		rc = store_put_answer(e->store, key, 0, 0);
	rc = store_end(e->store, rc);
	if (!rc)
		engine_tell(e, CHANGE_STATE | CHANGE_NEW | CHANGE_GONE, &before, &r);
	run_release(&r);
	return rc;
}

static int once(struct engine *e, uint64_t key, enum act act, int64_t run, const char *name)
{
	int rc = try_once(e, key, act, run, name);

	return store_made_room(e->store, rc) ? try_once(e, key, act, run, name) : rc;
}

/* A run's own name: as a folder's, and never hidden. */
static int check_name(const char *name)
{
	int rc = door_name_check(name);

	return !rc && name[0] == '.' ? -EINVAL : rc;
}

int engine_remove(struct engine *e, uint64_t key, int64_t run)
{
	return once(e, key, ACT_REMOVE, run, NULL);
}

int engine_restore(struct engine *e, uint64_t key, int64_t run, const char *name)
{
	int rc = check_name(name);

	return rc ? rc : once(e, key, ACT_RESTORE, run, name);
}

int engine_rename(struct engine *e, uint64_t key, int64_t run, const char *name)
{
	int rc = check_name(name);

	return rc ? rc : once(e, key, ACT_RENAME, run, name);
}

static int purge(struct engine *e, uint64_t key, int64_t run)
{
	struct run r = {0};
	int64_t value;
	int rc;

	if (engine_once(e, key, &rc, &value))
		return rc;
	rc = get_ended(e, run, PLACE_REMOVED, &r);
	if (!rc)
		rc = store_delete_run(e->store, run);
	if (!rc)
		rc = store_put_answer(e->store, key, 0, 0);
	rc = store_end(e->store, rc);
	if (!rc) {
		engine_tell(e, CHANGE_GONE, &r, &r);
		sched_housekeep(e->sched);
	}
	run_release(&r);
	return rc;
}

int engine_purge(struct engine *e, uint64_t key, int64_t run)
{
	int rc = purge(e, key, run);

	return store_made_room(e->store, rc) ? purge(e, key, run) : rc;
}
