/*
 * Housekeeping, on a worker thread: files of runs that are gone, and runs that were removed a week
 * ago. A purged run leaves its row and gets its id into the table `trash` in one transaction; its
 * files go afterwards, and what backends still have of it (leftovers.c). So a crash between the two leaves no half run to be seen, only files of an id
 * that nobody can name, and the next start goes on with them. And the reserve (reserve.h) is made again
 * once there is room, and a budget that runs out is told.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/fault.h"
#include "fs/base/io.h"
#include "fs/base/log.h"
#include "fs/engine/alerts.h"
#include "fs/engine/internal.h"
#include "fs/engine/objects.h"

#define PAGE	  16
#define PERIOD_NS (300 * NS_PER_S)  /* the disk may fill at any time */
#define RETRY_NS  (15 * NS_PER_S)
#define ROOM_NS	  (60 * NS_PER_S) /* without a reserve: is there room again? */

static int empty_one(struct engine *e, int64_t id)
{
	char path[ENGINE_PATH_MAX];
	int rc = fault_point("trash.remove");

	snprintf(path, sizeof(path), "runs/%lld", (long long)id);
	if (!rc)
		rc = io_remove_tree(e->state_dirfd, path);
	if (!rc)
		rc = store_begin(e->store);
	return rc ? rc : store_end(e->store, store_finish_trash(e->store, id));
}

static int empty_trash(struct engine *e)
{
	int64_t id;
	int rc = 0;

	while (!rc && (id = store_next_trash(e->store)))
		rc = empty_one(e, id);
	if (rc)
		log_write(e->log, LOG_LEVEL_WARN, "trash", NULL, "%s", strerror(-rc));
	return rc;
}

/* By the boot clock alone: what was removed before this boot was moved into its time (meta.h). */
static int purge_old(struct engine *e)
{
	struct stamp now = stamp_now();
	struct run page[PAGE];
	int64_t after = 0;
	int n;

	while ((n = store_removed(e->store, after, page, PAGE)) > 0) {
		for (int i = 0; i < n; i++) {
			after = page[i].id;
			if (page[i].removed.wall_ns &&
				stamp_since(&page[i].removed, &now) >= REMOVED_KEPT_NS)
				engine_purge(e, 0, page[i].id);
			run_release(&page[i]);
		}
	}
	return n;
}

int64_t engine_housekeep(void *arg)
{
	struct engine *e = arg;
	int old = purge_old(e);
	bool more = engine_forget_leftovers(e); /* before the files: a backend may look at them */
	int rc = empty_trash(e);
	bool reserve = store_reserve(e->store);

	objects_housekeep(e->objects);
	store_note_clock(e->store);
	alerts_disk(e);
	if (rc || old || more)
		return clock_boot_ns() + RETRY_NS;
	return clock_boot_ns() + (reserve ? PERIOD_NS : ROOM_NS);
}
