#include "fs/engine/db.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define BUSY_MS 5000

struct db_query {
	struct db *db;
	sqlite3_stmt *stmt;
	char *sql;
	struct db_query *next; /* in the bucket of the cache */
};

#define BUCKETS 64

struct db {
	sqlite3 *handle;
	int err;
	struct db_query *cache[BUCKETS];
};

static int map_error(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EAGAIN;
	case SQLITE_CONSTRAINT:
		return -EEXIST;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	default:
		return code == SQLITE_IOERR_NOMEM ? -ENOMEM : -EIO;
	}
}

/* SQLite calls only ENOSPC of a plain write SQLITE_FULL: a quota, and the shared memory file that cannot
 * grow, are I/O errors to it. */
static bool no_space(struct db *db, int code)
{
	int err = db->handle ? sqlite3_system_errno(db->handle) : 0;

	return (code & 0xff) == SQLITE_IOERR && (err == ENOSPC || err == EDQUOT);
}

static int note(struct db *db, int code)
{
	int rc = no_space(db, code) ? -ENOSPC : map_error(code);

	if (rc)
		db->err = rc;
	return rc;
}

int db_error(const struct db *db)
{
	return db->err ? db->err : -EIO;
}

int db_script(struct db *db, const char *sql, struct why *why)
{
	int rc = note(db, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));

	if (rc)
		why_set(why, -rc, _("The database answers: %s."), sqlite3_errmsg(db->handle));
	return rc;
}

/* synchronous=FULL: with WAL, NORMAL could lose the newest commits in a power cut, and a commit here
 * is a promise to a user. query_only keeps a reader from writing by mistake. */
static int configure(struct db *db, enum db_role role, struct why *why)
{
	sqlite3_busy_timeout(db->handle, BUSY_MS);
	sqlite3_extended_result_codes(db->handle, 1);
	if (role == DB_READER)
		return db_script(db, "PRAGMA query_only=1", why);
	/* It grows by whole chunks that are allocated at once, so a checkpoint on a full disk succeeds. */
	sqlite3_file_control(db->handle, NULL, SQLITE_FCNTL_CHUNK_SIZE, &(int){DB_CHUNK});
	return db_script(db,
		"PRAGMA journal_mode=WAL;"
		"PRAGMA synchronous=FULL;"
		"PRAGMA foreign_keys=ON;"
		"PRAGMA journal_size_limit=16777216",
		why);
}

int db_open(const char *path, enum db_role role, struct db **out, struct why *why)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	struct db *db = calloc(1, sizeof(*db));
	int rc;

	*out = NULL;
	if (!db)
		return why_set(why, ENOMEM, _("Out of memory."));
	if (role == DB_WRITER)
		flags |= SQLITE_OPEN_CREATE;
	rc = note(db, sqlite3_open_v2(path, &db->handle, flags, NULL));
	if (rc)
		why_set(why, -rc, _("%s cannot be opened: %s."), path,
			db->handle ? sqlite3_errmsg(db->handle) : strerror(-rc));
	else
		rc = configure(db, role, why);
	if (rc) {
		db_close(db);
		return rc;
	}
	*out = db;
	return 0;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	for (int i = 0; i < BUCKETS; i++) {
		while (db->cache[i]) {
			struct db_query *q = db->cache[i];

			db->cache[i] = q->next;
			sqlite3_finalize(q->stmt);
			free(q->sql);
			free(q);
		}
	}
	sqlite3_close(db->handle);
	free(db);
}

int db_begin(struct db *db, bool write)
{
	return db_exec(db, NULL, write ? "BEGIN IMMEDIATE" : "BEGIN", "");
}

int db_commit(struct db *db)
{
	int rc = db_exec(db, NULL, "COMMIT", "");

	if (rc)
		db_rollback(db);
	return rc;
}

void db_rollback(struct db *db)
{
	/* SQLite rolls back by itself after some errors; a second ROLLBACK would then only complain. */
	if (!sqlite3_get_autocommit(db->handle))
		db_exec(db, NULL, "ROLLBACK", "");
}

int db_checkpoint(struct db *db)
{
	return note(db, sqlite3_wal_checkpoint_v2(db->handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL,
				NULL));
}

static unsigned bucket_of(const char *sql)
{
	unsigned h = 5381;

	while (*sql)
		h = h * 33 + (unsigned char)*sql++;
	return h % BUCKETS;
}

static struct db_query *new_query(struct db *db, const char *sql)
{
	struct db_query *q = calloc(1, sizeof(*q));

	if (!q || !(q->sql = strdup(sql))) {
		free(q);
		db->err = -ENOMEM;
		return NULL;
	}
	q->db = db;
	if (note(db, sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT, &q->stmt,
			     NULL))) {
		free(q->sql);
		free(q);
		return NULL;
	}
	return q;
}

struct db_query *db_prepare(struct db *db, const char *sql)
{
	struct db_query **bucket = &db->cache[bucket_of(sql)];
	struct db_query *q;

	for (q = *bucket; q; q = q->next) {
		if (strcmp(q->sql, sql) == 0)
			return q;
	}
	q = new_query(db, sql);
	if (q) {
		q->next = *bucket;
		*bucket = q;
	}
	return q;
}

void db_bind_int(struct db_query *q, int at, int64_t value)
{
	note(q->db, sqlite3_bind_int64(q->stmt, at, value));
}

void db_bind_real(struct db_query *q, int at, double value)
{
	note(q->db, sqlite3_bind_double(q->stmt, at, value));
}

void db_bind_text(struct db_query *q, int at, const char *text)
{
	note(q->db, sqlite3_bind_text(q->stmt, at, text, -1, SQLITE_STATIC));
}

static void bind_all(struct db_query *q, const char *types, va_list ap)
{
	for (int at = 1; types[at - 1]; at++) {
		switch (types[at - 1]) {
		case 'i':
			db_bind_int(q, at, va_arg(ap, int64_t));
			break;
		case 'r':
			db_bind_real(q, at, va_arg(ap, double));
			break;
		default:
			db_bind_text(q, at, va_arg(ap, const char *));
		}
	}
}

static struct db_query *begin_query(struct db *db, const char *sql, const char *types, va_list ap)
{
	struct db_query *q = db_prepare(db, sql);

	if (q)
		bind_all(q, types, ap);
	return q;
}

struct db_query *db_query(struct db *db, const char *sql, const char *types, ...)
{
	struct db_query *q;
	va_list ap;

	va_start(ap, types);
	q = begin_query(db, sql, types, ap);
	va_end(ap);
	return q;
}

int db_next(struct db_query *q)
{
	int code = sqlite3_step(q->stmt);

	if (code == SQLITE_ROW)
		return 1;
	return note(q->db, code);
}

int64_t db_int(struct db_query *q, int column)
{
	return sqlite3_column_int64(q->stmt, column);
}

double db_real(struct db_query *q, int column)
{
	if (sqlite3_column_type(q->stmt, column) == SQLITE_NULL)
		return NAN;
	return sqlite3_column_double(q->stmt, column);
}

const char *db_text(struct db_query *q, int column)
{
	return (const char *)sqlite3_column_text(q->stmt, column);
}

void db_done(struct db_query *q)
{
	if (!q)
		return;
	sqlite3_reset(q->stmt);
	sqlite3_clear_bindings(q->stmt);
}

int db_exec(struct db *db, int64_t *changed, const char *sql, const char *types, ...)
{
	struct db_query *q;
	va_list ap;
	int rc;

	va_start(ap, types);
	q = begin_query(db, sql, types, ap);
	va_end(ap);
	if (!q)
		return db_error(db);
	rc = db_next(q);
	db_done(q);
	if (rc < 0)
		return rc;
	if (changed)
		*changed = sqlite3_changes(db->handle);
	return 0;
}

int db_one(struct db *db, int64_t *value, const char *sql, const char *types, ...)
{
	struct db_query *q;
	va_list ap;
	int rc;

	va_start(ap, types);
	q = begin_query(db, sql, types, ap);
	va_end(ap);
	if (!q)
		return db_error(db);
	rc = db_next(q);
	if (rc == 1)
		*value = db_int(q, 0);
	db_done(q);
	if (rc < 0)
		return rc;
	return rc == 1 ? 0 : -ENOENT;
}

int64_t db_last_id(struct db *db)
{
	return sqlite3_last_insert_rowid(db->handle);
}

int db_plan(struct db *db, const char *sql, struct strbuf *out)
{
	struct strbuf text = STRBUF_INIT;
	sqlite3_stmt *stmt = NULL;
	int rc;

	strbuf_addf(&text, "EXPLAIN QUERY PLAN %s", sql);
	rc = note(db, sqlite3_prepare_v2(db->handle, text.buf, -1, &stmt, NULL));
	while (!rc && sqlite3_step(stmt) == SQLITE_ROW)
		strbuf_addf(out, "%s\n", (const char *)sqlite3_column_text(stmt, 3));
	sqlite3_finalize(stmt);
	strbuf_release(&text);
	return rc ? rc : out->err;
}
