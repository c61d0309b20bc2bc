/* Drafts: folders in queue/ that are not submitted yet. Called by the mount's threads. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "fs/engine/door.h"
#include "fs/engine/internal.h"
#include "fs/engine/reserve.h"

/*
 * The directory of a new run is made inside the transaction that creates its row: before the commit,
 * so no run that can be seen lacks it, and under an id that no committed row ever had, so whatever is
 * already there is left from a crash before such a commit and may be cleared away. After a power cut
 * the row may be there and the (empty) directory not: engine_repair_drafts().
 */
int engine_make_run_dir(struct engine *e, int64_t run)
{
	char path[ENGINE_PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "runs/%lld", (long long)run);
	rc = io_remove_tree(e->state_dirfd, path);
	if (rc)
		return rc;
	if (mkdirat(e->state_dirfd, path, 0700) ||
		mkdirat(e->state_dirfd, engine_source_path(path, run), 0700))
		return -errno;
	return 0;
}

static int repair_draft(void *arg, const struct engine_entry *entry)
{
	struct engine *e = arg;
	char path[ENGINE_PATH_MAX];
	struct stat st;

	if (fstatat(e->state_dirfd, engine_source_path(path, entry->id), &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	snprintf(path, sizeof(path), "runs/%lld", (long long)entry->id);
	mkdirat(e->state_dirfd, path, 0700);
	mkdirat(e->state_dirfd, engine_source_path(path, entry->id), 0700);
	return 0;
}

int engine_repair_drafts(struct engine *e)
{
	return engine_list(e, LIST_DRAFTS, 0, repair_draft, e);
}

/* In a transaction: the place and name that follow from r->folder. */
static int name_draft(struct engine *e, struct run *r)
{
	int taken = store_folder_taken(e->store, r->folder, r->id);

	if (taken)
		return taken < 0 ? taken : -EEXIST;
	if (r->folder[0] == '.') {
		r->place = PLACE_STAGING;
		memcpy(r->name, r->folder, sizeof(r->name));
		return 0;
	}
	r->place = PLACE_RUNS;
	return store_free_name(e->store, PLACE_RUNS, r->folder, r->id, r->name);
}

static void set_folder(struct run *r, const char *folder)
{
	snprintf(r->folder, sizeof(r->folder), "%s", folder);
}

static int add_draft(struct engine *e, const char *folder, struct run *r)
{
	int rc;

	memset(r, 0, sizeof(*r));
	r->incarnation = 1;
	r->state = RUN_DRAFT;
	r->progress = -1;
	r->eta_ns = -1;
	r->metric_value = NAN;
	r->priority = 5;
	r->created = r->answered = stamp_now();
	set_folder(r, folder);
	rc = name_draft(e, r);
	if (!rc)
		rc = store_add_run(e->store, r);
	if (!rc)
		rc = engine_make_run_dir(e, r->id);
	return rc;
}

int engine_draft_make(struct engine *e, uint64_t key, const char *folder, int64_t *id)
{
	struct run r;
	int rc = door_name_check(folder);

	/* The last room is for what frees space and for runs that end, not for new folders. */
	if (!rc && disk_is_low(e->state_dirfd) && !engine_answered(e, key, &rc, id))
		rc = -ENOSPC;
	if (rc || engine_once(e, key, &rc, id))
		return rc;
	rc = add_draft(e, folder, &r);
	if (!rc)
		rc = store_put_answer(e->store, key, 0, r.id);
	rc = store_end(e->store, rc);
	if (rc)
		return rc;
	*id = r.id;
	engine_tell(e, CHANGE_NEW | CHANGE_STATE, NULL, &r);
	return 0;
}

/* In a transaction: the draft, -EBUSY when it has become something else. */
static int get_draft(struct engine *e, int64_t id, struct run *r)
{
	int rc = store_get_run(e->store, id, r);

	if (!rc && r->state != RUN_DRAFT) {
		run_release(r);
		return -EBUSY;
	}
	return rc;
}

static int rename_draft(struct engine *e, struct run *r, const char *folder)
{
	enum run_place place = r->place;
	int rc;

	set_folder(r, folder);
	rc = name_draft(e, r);
	if (rc)
		return rc;
	if (r->place != place)
		r->incarnation++;
	return store_put_run(e->store, r);
}

static unsigned moved(const struct run *before, const struct run *after)
{
	bool same = before->place == after->place && strcmp(before->name, after->name) == 0;

	return same ? CHANGE_STATE : CHANGE_STATE | CHANGE_NEW | CHANGE_GONE;
}

int engine_draft_rename(struct engine *e, uint64_t key, int64_t id, const char *folder, bool *asked)
{
	struct run r = {0}, before;
	int64_t value = 0;
	int rc = door_name_check(folder);

	*asked = false;
	if (rc)
		return rc;
	if (engine_once(e, key, &rc, &value)) {
		*asked = rc == 0 && value;
		return rc;
	}
	rc = get_draft(e, id, &r);
	before = r;
	if (!rc)
		rc = rename_draft(e, &r, folder);
	value = !rc && before.place == PLACE_STAGING && r.place == PLACE_RUNS;
	if (!rc)
		rc = store_put_answer(e->store, key, 0, value);
	rc = store_end(e->store, rc);
	if (!rc) {
		*asked = value;
		engine_tell(e, moved(&before, &r), &before, &r);
	}
	run_release(&r);
	return rc;
}

static int drop(struct engine *e, uint64_t key, int64_t id)
{
	struct run r = {0};
	int64_t value;
	int rc;

	if (engine_once(e, key, &rc, &value))
		return rc;
	rc = get_draft(e, id, &r);
	if (!rc)
		rc = store_delete_run(e->store, id);
	if (!rc)
		rc = store_put_answer(e->store, key, 0, 0);
	rc = store_end(e->store, rc);
	if (!rc) {
		engine_tell(e, CHANGE_GONE | CHANGE_UNQUEUED, &r, &r);
		sched_housekeep(e->sched);
	}
	run_release(&r);
	return rc;
}

int engine_draft_drop(struct engine *e, uint64_t key, int64_t id)
{
	int rc = drop(e, key, id);

	return store_made_room(e->store, rc) ? drop(e, key, id) : rc;
}

/* In a transaction. 1: nothing to write. */
static int note_draft(struct engine *e, int64_t id, const char *detail, bool resting, struct run *r)
{
	int rc = get_draft(e, id, r);

	if (rc)
		return rc;
	if (strcmp(r->detail, detail) == 0 && r->resting == resting)
		return 1;
	text_set(&r->detail, detail, DETAIL_MAX);
	if (resting && !r->resting)
		r->rested = stamp_now();
	r->resting = resting;
	r->answered = stamp_now();
	return store_put_run(e->store, r);
}

static int note(struct engine *e, int64_t id, const char *detail, bool resting)
{
	struct run r = {0};
	int rc = store_begin(e->store);

	if (rc)
		return rc;
	rc = store_end(e->store, note_draft(e, id, detail, resting, &r));
	if (!rc)
		engine_tell(e, CHANGE_STATE, &r, &r);
	run_release(&r);
	return rc == 1 ? 0 : rc;
}

int engine_draft_note(struct engine *e, int64_t id, const char *detail, bool resting)
{
	struct run r = {0};
	int rc = store_read_run(e->store, id, &r);
	bool same = !rc && r.state == RUN_DRAFT && strcmp(r.detail, detail) == 0 &&
		    r.resting == resting;

	run_release(&r);
	if (rc || same) /* the usual case takes no lock */
		return rc;
	rc = note(e, id, detail, resting);
	return store_made_room(e->store, rc) ? note(e, id, detail, resting) : rc;
}

bool engine_draft_resting(struct engine *e, int64_t id, int64_t *since_boot_ns)
{
	struct stamp now = stamp_now();
	struct run r;
	bool resting;

	if (store_read_run(e->store, id, &r))
		return false;
	resting = r.state == RUN_DRAFT && r.resting;
	/* From an earlier boot: long enough ago for everybody. */
	*since_boot_ns = strcmp(r.rested.boot_id, now.boot_id) == 0 ? r.rested.boot_ns : 0;
	run_release(&r);
	return resting;
}
