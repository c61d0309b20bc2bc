#include "fs/engine/meta.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/engine/db.h"
#include "fs/engine/store_rows.h"

#define PAGE    64
#define CENTURY (INT64_C(100) * 366 * 24 * 3600 * NS_PER_S) /* sums of two do not overflow */

int meta_text(struct db *db, const char *key, char *out, size_t size)
{
	struct db_query *q = db_query(db, "SELECT value FROM meta WHERE key = ?", "t", key);
	int rc = q ? db_next(q) : db_error(db);

	*out = '\0';
	if (rc == 1 && db_text(q, 0))
		snprintf(out, size, "%s", db_text(q, 0));
	db_done(q);
	return rc < 0 ? rc : 0;
}

int meta_put(struct db *db, const char *key, const char *value)
{
	return db_exec(db, NULL, "INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)", "tt", key,
		value);
}

/* ---- Boots ---- */

int boot_note(struct db *db, const struct stamp *now)
{
	char text[96];

	return meta_put(db, "clock", store_stamp_text(now, text));
}

static int load_clock(struct db *db, struct stamp *last)
{
	char text[96];
	int rc = meta_text(db, "clock", text, sizeof(text));

	*last = store_stamp(text);
	return rc;
}

/* The newest wall clock time of the boots before the one of `last`; from now on also that one's. */
static int load_newest(struct db *db, const struct stamp *last, int64_t *newest)
{
	char text[32];
	int rc = meta_text(db, "newest", text, sizeof(text));

	*newest = strtoll(text, NULL, 10);
	if (rc || last->wall_ns <= *newest)
		return rc;
	snprintf(text, sizeof(text), "%" PRId64, last->wall_ns);
	return meta_put(db, "newest", text);
}

/* How long ago `last` was, which is of an earlier boot. */
static int64_t since_last(const struct stamp *last, const struct stamp *now, int64_t newest)
{
	int64_t by_wall = stamp_since(last, now);
	bool believed = last->wall_ns >= newest && by_wall > now->boot_ns;

	if (!believed)
		return now->boot_ns;
	return by_wall < CENTURY ? by_wall : CENTURY;
}

static int64_t age_of(const struct stamp *removed, const struct stamp *last, const struct stamp *now,
	int64_t gap)
{
	bool known = last->wall_ns && strcmp(removed->boot_id, last->boot_id) == 0;
	int64_t age = stamp_since(removed, known ? last : now); /* !known: written by an older version */

	return (age < CENTURY ? age : CENTURY) + (known ? gap : 0);
}

struct removed {
	int64_t id;
	struct stamp at;
};

static int read_removed(struct db *db, int64_t after, struct removed *out, int max)
{
	struct db_query *q = db_query(db,
		"SELECT id, removed FROM run INDEXED BY run_place WHERE place = 1 AND id > ?"
		" ORDER BY id LIMIT ?", "ii", after, (int64_t)max);
	int rc = q ? 1 : db_error(db), n = 0;

	while (n < max && rc > 0 && (rc = db_next(q)) == 1) {
		out[n].id = db_int(q, 0);
		out[n++].at = store_stamp(db_text(q, 1));
	}
	db_done(q);
	return rc < 0 ? rc : n;
}

/* The same moment in the time of this boot: before it began, so its boot_ns may be negative. */
static int put_removed(struct db *db, struct removed *r, const struct stamp *now, int64_t age)
{
	char text[96];

	r->at.boot_ns = now->boot_ns - age;
	memcpy(r->at.boot_id, now->boot_id, sizeof(r->at.boot_id));
	return db_exec(db, NULL, "UPDATE run SET removed = ? WHERE id = ?", "ti",
		store_stamp_text(&r->at, text), r->id);
}

static int move_removed(struct db *db, const struct stamp *last, const struct stamp *now, int64_t newest)
{
	struct removed page[PAGE];
	int64_t gap = since_last(last, now, newest), after = 0;
	int rc = 0, n;

	while (!rc && (n = read_removed(db, after, page, PAGE)) > 0) {
		for (int i = 0; !rc && i < n; i++) {
			after = page[i].id;
			if (page[i].at.wall_ns)
				rc = put_removed(db, &page[i], now,
					age_of(&page[i].at, last, now, gap));
		}
	}
	return rc ? rc : n;
}

int boot_load(struct db *db, const struct stamp *now, bool *rebooted)
{
	struct stamp last;
	char before[40];
	int64_t newest = 0;
	int rc = meta_text(db, "boot", before, sizeof(before));

	*rebooted = strcmp(before, now->boot_id) != 0;
	if (rc || !*rebooted)
		return rc;
	rc = load_clock(db, &last);
	if (!rc)
		rc = load_newest(db, &last, &newest);
	if (!rc)
		rc = move_removed(db, &last, now, newest);
	if (!rc)
		rc = boot_note(db, now);
	return rc ? rc : meta_put(db, "boot", now->boot_id);
}
