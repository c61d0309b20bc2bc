/* The rows of things of services by name: part of the store (store.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/engine/db.h"
#include "fs/engine/objects.h"
#include "fs/engine/store.h"
#include "fs/engine/store_rows.h"

int store_add_object(struct store *s, const char *backend, const char *kind, const char *name, int64_t *id)
{
	int rc = db_exec(store_db(s), NULL, "INSERT INTO object(backend, kind, name, used_ns) VALUES(?, ?, ?, ?)",
		"ttti", backend, kind, name, clock_wall_ns());

	if (!rc)
		*id = db_last_id(store_db(s));
	return rc;
}

int store_use_object(struct store *s, int64_t id)
{
	return db_exec(store_db(s), NULL, "UPDATE object SET used_ns = ? WHERE id = ?", "ii", clock_wall_ns(), id);
}

int store_drop_object(struct store *s, int64_t id)
{
	return db_exec(store_db(s), NULL, "DELETE FROM object WHERE id = ?", "i", id);
}

static int read_number(struct store *s, int64_t *out, const char *sql, const char *a, const char *b, const char *c)
{
	struct db *db = store_reader(s);
	int rc = db ? db_one(db, out, sql, c ? "ttt" : "tt", a, b, c) : -EIO;

	if (db)
		store_reader_done(s, db);
	return rc;
}

int store_find_object(struct store *s, const char *backend, const char *kind, const char *name, int64_t *id)
{
	return read_number(s, id, "SELECT id FROM object WHERE backend = ? AND kind = ? AND name = ?", backend,
		kind, name);
}

int64_t store_run_of_job(struct store *s, const char *backend, const char *external_id)
{
	int64_t run = 0;

	return read_number(s, &run, "SELECT run FROM attempt WHERE backend = ? AND external_id = ?", backend,
		       external_id, NULL)
		? 0
		: run;
}

static void load(struct db_query *q, struct object_row *out)
{
	out->id = db_int(q, 0);
	snprintf(out->backend, sizeof(out->backend), "%s", db_text(q, 1));
	snprintf(out->kind, sizeof(out->kind), "%s", db_text(q, 2));
	snprintf(out->name, sizeof(out->name), "%s", db_text(q, 3));
}

int store_read_object(struct store *s, int64_t id, struct object_row *out)
{
	struct db *db = store_reader(s);
	struct db_query *q;
	int rc;

	if (!db)
		return -EIO;
	q = db_query(db, "SELECT id, backend, kind, name FROM object WHERE id = ?", "i", id);
	rc = q ? db_next(q) : db_error(db);
	if (rc == 1)
		load(q, out);
	db_done(q);
	store_reader_done(s, db);
	return rc < 0 ? rc : rc ? 0 : -ENOENT;
}

int store_objects(struct store *s, const char *backend, const char *kind, int64_t after, struct object_row *out,
	int max)
{
	struct db *db = store_reader(s);
	struct db_query *q;
	int n = 0, rc;

	if (!db)
		return -EIO;
	q = db_query(db, "SELECT id, backend, kind, name FROM object WHERE backend = ? AND kind = ? AND id > ?"
		" ORDER BY id LIMIT ?", "ttii", backend, kind, after, (int64_t)max);
	rc = q ? 1 : db_error(db);
	while (rc > 0 && n < max && (rc = db_next(q)) == 1)
		load(q, &out[n++]);
	db_done(q);
	store_reader_done(s, db);
	return rc < 0 ? rc : n;
}

int store_old_objects(struct store *s, const char *but, int64_t before_ns, int64_t *ids, int max)
{
	struct db *db = store_reader(s);
	struct db_query *q;
	int n = 0, rc;

	if (!db)
		return -EIO;
	q = db_query(db, "SELECT id FROM object WHERE kind <> ? AND used_ns < ? ORDER BY used_ns LIMIT ?", "tii", but,
		before_ns, (int64_t)max);
	rc = q ? 1 : db_error(db);
	while (rc > 0 && n < max && (rc = db_next(q)) == 1)
		ids[n++] = db_int(q, 0);
	db_done(q);
	store_reader_done(s, db);
	return rc < 0 ? rc : n;
}
