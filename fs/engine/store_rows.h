/* What store.c and store_read.c share: the columns of a run and the readers. Private to the two. */
#ifndef KEXEC_ENGINE_STORE_ROWS_H
#define KEXEC_ENGINE_STORE_ROWS_H

#include "fs/engine/store.h"

struct db_query;

/* The columns of table run after its id, in the order in which they are bound and read. */
#define RUN_FIELDS(X) X(version, F_INT64) RUN_FIELDS_AFTER_VERSION(X)
#define RUN_FIELDS_AFTER_VERSION(X)                                                                \
	X(incarnation, F_INT)                                                                      \
	X(name, F_CHARS)                                                                           \
	X(folder, F_CHARS)                                                                         \
	X(place, F_INT)                                                                            \
	X(parent, F_INT64)                                                                         \
	X(state, F_INT)                                                                            \
	X(kind, F_INT)                                                                             \
	X(backend, F_CHARS)                                                                        \
	X(attempt, F_INT)                                                                          \
	X(progress, F_REAL)                                                                        \
	X(eta_ns, F_INT64)                                                                         \
	X(detail, F_TEXT)                                                                          \
	X(created, F_STAMP)                                                                        \
	X(submitted, F_STAMP)                                                                      \
	X(started, F_STAMP)                                                                        \
	X(ended, F_STAMP)                                                                          \
	X(answered, F_STAMP)                                                                       \
	X(error_class, F_CHARS)                                                                    \
	X(error_context, F_TEXT)                                                                   \
	X(next_step, F_TEXT)                                                                       \
	X(refusal, F_TEXT)                                                                         \
	X(metric_name, F_MAYBE)                                                                    \
	X(metric_value, F_REAL)                                                                    \
	X(cost_usd, F_REAL)                                                                        \
	X(external_id, F_MAYBE)                                                                    \
	X(options, F_MAYBE)                                                                        \
	X(priority, F_INT)                                                                         \
	X(changed_ns, F_INT64)                                                                     \
	X(queue_order, F_INT64)                                                                    \
	X(due, F_STAMP)                                                                            \
	X(resting, F_BOOL)                                                                         \
	X(rested, F_STAMP)                                                                         \
	X(removed, F_STAMP)                                                                        \
	X(lost, F_INT)                                                                             \
	X(error_lines, F_MAYBE)

#define RUN_COLUMN_NAME(name, type) "," #name
#define RUN_COLUMNS		    "id" RUN_FIELDS(RUN_COLUMN_NAME)

/* INDEXED BY: the plan is part of the text, so no statistics can change it, and a query that its
 * index cannot serve fails at once instead of getting slow one day. */
#define QUERY_FIND                                                                                 \
	"SELECT id FROM run INDEXED BY run_name WHERE place = ? AND parent = 0 AND name = ?"
#define QUERY_FIND_DRAFT                                                                           \
	"SELECT id FROM run INDEXED BY run_draft_folder WHERE state = 0 AND folder = ?"

/* A connection for one read; NULL when none can be opened. */
struct db *store_reader(struct store *s);
void store_reader_done(struct store *s, struct db *db);

int store_load_run(struct db_query *q, struct run *out); /* the row that q is at */
int store_select_run(struct db *db, int64_t id, struct run *out);
/* A moment as text and back; NULL and a stamp of zeros mean never. */
const char *store_stamp_text(const struct stamp *stamp, char buf[96]);
struct stamp store_stamp(const char *text);

#endif
