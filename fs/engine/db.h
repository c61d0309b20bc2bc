/*
 * SQLite behind a small door: connections, cached statements, transactions, and its error codes as
 * errno. db.c is the only file of the program that includes sqlite3.h.
 *
 * A `struct db` is one connection and belongs to one thread at a time. Statements are cached by their
 * text, so the text of a hot query is a constant. A `struct db_query` is one use of a cached
 * statement: every one that was begun is ended with db_done(), and no statement is begun twice at the
 * same time on one connection.
 */
#ifndef KEXEC_ENGINE_DB_H
#define KEXEC_ENGINE_DB_H

#include <stdbool.h>
#include <stdint.h>

struct db;
struct db_query;
struct strbuf;
struct why;

enum db_role { DB_WRITER, DB_READER };

/* Open (the writer creates) the database file: WAL, synchronous=FULL, foreign keys, a busy timeout.
 * -EBADMSG: not a database, or damaged. */
int db_open(const char *path, enum db_role role, struct db **out, struct why *why);
void db_close(struct db *db); /* accepts NULL */

/* Several statements without parameters, not cached. */
int db_script(struct db *db, const char *sql, struct why *why);
int db_begin(struct db *db, bool write); /* BEGIN IMMEDIATE or BEGIN */
int db_commit(struct db *db);            /* after a failure the transaction has been rolled back */
void db_rollback(struct db *db);
#define DB_CHUNK (1 << 20) /* bytes that the file grows by at a time */
int db_checkpoint(struct db *db);        /* the journal's content to the database; outside a transaction */

/*
 * Begin a query. `types` has one letter a parameter: i int64_t, r double (NaN is NULL), t text (NULL
 * is NULL). NULL on failure, then db_error() has the errno. Texts are borrowed until db_done().
 */
struct db_query *db_query(struct db *db, const char *sql, const char *types, ...);
/* The same with parameters bound one by one; `at` counts from 1. */
struct db_query *db_prepare(struct db *db, const char *sql);
void db_bind_int(struct db_query *q, int at, int64_t value);
void db_bind_real(struct db_query *q, int at, double value);
void db_bind_text(struct db_query *q, int at, const char *text);
int db_next(struct db_query *q); /* 1 = a row, 0 = the end, -errno */
int64_t db_int(struct db_query *q, int column);
double db_real(struct db_query *q, int column);      /* NaN for NULL */
const char *db_text(struct db_query *q, int column); /* NULL for NULL; until the next db_next() */
void db_done(struct db_query *q);                    /* accepts NULL */
int db_error(const struct db *db); /* -errno of what failed last on this connection */

/* A statement without rows: 0 or -errno. `changed` (may be NULL): how many rows it changed. */
int db_exec(struct db *db, int64_t *changed, const char *sql, const char *types, ...);
/* The first column of the first row: 0, -ENOENT without a row, -errno. */
int db_one(struct db *db, int64_t *value, const char *sql, const char *types, ...);
int64_t db_last_id(struct db *db);

/* The lines of EXPLAIN QUERY PLAN, for the tests that hold the hot queries to their indexes. */
int db_plan(struct db *db, const char *sql, struct strbuf *out);

#endif
