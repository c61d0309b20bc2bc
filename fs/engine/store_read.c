#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/escape.h"
#include "fs/base/strbuf.h"
#include "fs/engine/db.h"
#include "fs/engine/store_rows.h"

#define QUERY_RUN      "SELECT " RUN_COLUMNS " FROM run WHERE id = ?"
#define QUERY_LATEST   "SELECT run FROM latest WHERE folder = ?"
#define QUERY_PREVIOUS                                                                             \
	"SELECT id FROM run INDEXED BY run_folder WHERE place = 0 AND folder = ? AND id < ?"       \
	" ORDER BY id DESC LIMIT 1"
#define QUERY_RECENT                                                                               \
	"SELECT " RUN_COLUMNS " FROM run INDEXED BY run_shown WHERE place IN (0, 3) AND id < ?"    \
	" ORDER BY id DESC LIMIT ?"
#define QUERY_CHANGED                                                                              \
	"SELECT " RUN_COLUMNS " FROM run INDEXED BY run_version WHERE version > ?"                 \
	" ORDER BY version LIMIT ?"
#define QUERY_ACTIVE                                                                               \
	"SELECT " RUN_COLUMNS " FROM run INDEXED BY run_active"                                    \
	" WHERE state IN (1, 2, 3, 4, 7, 8, 9, 10, 11) AND id > ? ORDER BY id LIMIT ?"
#define QUERY_REMOVED                                                                              \
	"SELECT " RUN_COLUMNS " FROM run INDEXED BY run_place WHERE place = 1 AND id > ?"          \
	" ORDER BY id LIMIT ?"
#define QUERY_EVENTS                                                                               \
	"SELECT wall_ns, from_state, to_state, attempt, reason, id FROM event INDEXED BY event_run"    \
	" WHERE run = ? ORDER BY id DESC LIMIT ?"
#define QUERY_STAMPS                                                                               \
	"SELECT at FROM event INDEXED BY event_run WHERE run = ? ORDER BY id DESC LIMIT ?"
#define QUERY_ALERTS   "SELECT wall_ns, run, state, message FROM alert ORDER BY id"
#define QUERY_ATTEMPT                                                                              \
	"SELECT backend, state, external_id, started, ended, detail, cost_usd, token,"       \
	" ended_row, lost, cause, exit_code, signal, cpu_ns, max_rss FROM attempt"                 \
	" WHERE run = ? AND n = ?"
#define QUERY_ATTEMPTS "SELECT n FROM attempt WHERE run = ? ORDER BY n DESC LIMIT 1"
#define QUERY_COUNTS   "SELECT state, runs FROM count ORDER BY state"
#define QUERY_TRASH    "SELECT run FROM trash ORDER BY run LIMIT 1"
#define QUERY_LEFTOVER                                                                             \
	"SELECT run, attempt, backend, external_id, since_ns, tries FROM leftover"               \
	" INDEXED BY leftover_tries ORDER BY tries LIMIT ?"
/* CROSS JOIN: SQLite keeps the order of the two. The inner LIMIT bounds what one start looks at. */
#define QUERY_MEMORY                                                                               \
	"SELECT a.max_rss FROM (SELECT id, attempt FROM run INDEXED BY run_folder"                 \
	" WHERE place = 0 AND folder = ? ORDER BY id DESC LIMIT 20) r"                             \
	" CROSS JOIN attempt a ON a.run = r.id AND a.n = r.attempt WHERE a.max_rss > 0 LIMIT 5"
/* State 5: complete. */
#define QUERY_TIME                                                                                 \
	"SELECT started, ended FROM (SELECT state, started, ended"                                     \
	" FROM run INDEXED BY run_folder WHERE place = 0 AND folder = ? ORDER BY id DESC LIMIT 50)"    \
	" WHERE state = 5 AND started IS NOT NULL AND ended IS NOT NULL LIMIT 10"
#define QUERY_RAISED "SELECT 1 FROM raised WHERE run = ? AND attempt = ? AND what = ?"

#define LIST_COLUMNS "id, incarnation, state, changed_ns, "
#define LIST_OF_RUNS                                                                               \
	"SELECT " LIST_COLUMNS "name FROM run INDEXED BY run_place"                                \
	" WHERE place = 0 AND id > ? ORDER BY id LIMIT ?"
#define LIST_OF_REMOVED                                                                            \
	"SELECT " LIST_COLUMNS "name FROM run INDEXED BY run_place"                                \
	" WHERE place = 1 AND id > ? ORDER BY id LIMIT ?"
#define LIST_OF_DRAFTS                                                                             \
	"SELECT " LIST_COLUMNS "folder FROM run INDEXED BY run_draft"                              \
	" WHERE state = 0 AND id > ? ORDER BY id LIMIT ?"
#define LIST_OF_LATEST                                                                             \
	"SELECT r.id, r.incarnation, r.state, r.changed_ns, l.folder"                              \
	" FROM latest l INDEXED BY latest_run CROSS JOIN run r ON r.id = l.run"                    \
	" WHERE l.run > ? ORDER BY l.run LIMIT ?"

static const char *const list_queries[] = {
	[LIST_RUNS] = LIST_OF_RUNS,
	[LIST_REMOVED] = LIST_OF_REMOVED,
	[LIST_DRAFTS] = LIST_OF_DRAFTS,
	[LIST_LATEST] = LIST_OF_LATEST,
};

const char *const store_hot_queries[] = {QUERY_RUN, QUERY_LATEST, QUERY_PREVIOUS, QUERY_RECENT,
	QUERY_CHANGED, QUERY_ACTIVE, QUERY_REMOVED, QUERY_EVENTS, QUERY_STAMPS, QUERY_ALERTS, QUERY_ATTEMPT,
	QUERY_ATTEMPTS, QUERY_COUNTS, QUERY_TRASH, QUERY_LEFTOVER, QUERY_MEMORY, QUERY_FIND, QUERY_FIND_DRAFT,
	LIST_OF_RUNS, LIST_OF_REMOVED, LIST_OF_DRAFTS, LIST_OF_LATEST, NULL};

int store_select_run(struct db *db, int64_t id, struct run *out)
{
	struct db_query *q = db_query(db, QUERY_RUN, "i", id);
	int rc = q ? db_next(q) : db_error(db);

	memset(out, 0, sizeof(*out));
	if (rc == 1)
		rc = store_load_run(q, out);
	else if (rc == 0)
		rc = -ENOENT;
	db_done(q);
	return rc;
}

int store_read_run(struct store *s, int64_t id, struct run *out)
{
	struct db *db = store_reader(s);
	int rc;

	memset(out, 0, sizeof(*out));
	if (!db)
		return -EIO;
	rc = store_select_run(db, id, out);
	store_reader_done(s, db);
	return rc;
}

void attempt_row_release(struct attempt_row *a)
{
	attempt_release(&a->pub);
}

static int load_attempt(struct db_query *q, struct attempt_row *out)
{
	const char *external = db_text(q, 2), *detail = db_text(q, 5);

	snprintf(out->pub.backend, sizeof(out->pub.backend), "%s", db_text(q, 0));
	snprintf(out->pub.state, sizeof(out->pub.state), "%s", db_text(q, 1));
	out->pub.external_id = external ? strdup(external) : NULL;
	out->pub.started = store_stamp(db_text(q, 3));
	out->pub.ended = store_stamp(db_text(q, 4));
	out->pub.detail = strdup(detail ? detail : "");
	out->pub.cost_usd = db_real(q, 6);
	snprintf(out->token, sizeof(out->token), "%s", db_text(q, 7));
	out->ended_row = db_int(q, 8) != 0;
	out->lost = db_int(q, 9) != 0;
	out->end.state = out->ended_row ? JOB_ENDED : JOB_UNKNOWN;
	out->end.cause = (enum end_cause)db_int(q, 10);
	out->end.exit_code = (int)db_int(q, 11);
	out->end.signal = (int)db_int(q, 12);
	out->end.cpu_ns = db_int(q, 13);
	out->end.max_rss_bytes = db_int(q, 14);
	if ((unsigned)out->end.cause >= END_CAUSE_COUNT)
		return -EBADMSG;
	if (!out->pub.detail || (external && !out->pub.external_id))
		return -ENOMEM;
	snprintf(out->end.detail, sizeof(out->end.detail), "%s", out->pub.detail);
	return 0;
}

int store_read_attempt(struct store *s, int64_t run, int n, struct attempt_row *out)
{
	struct db *db = store_reader(s);
	struct db_query *q;
	int rc;

	memset(out, 0, sizeof(*out));
	out->pub.run = run;
	out->pub.n = n;
	if (!db)
		return -EIO;
	q = db_query(db, QUERY_ATTEMPT, "ii", run, (int64_t)n);
	rc = q ? db_next(q) : db_error(db);
	if (rc == 1)
		rc = load_attempt(q, out);
	else if (rc == 0)
		rc = -ENOENT;
	db_done(q);
	store_reader_done(s, db);
	if (rc)
		attempt_row_release(out);
	return rc;
}

/* One number by one query on a connection of the pool. */
#define READ_ONE(s, value, ...)                                                                    \
	__extension__({                                                                            \
		struct db *db_ = store_reader(s);                                                  \
		int rc_ = db_ ? db_one(db_, value, __VA_ARGS__) : -EIO;                            \
		if (db_)                                                                           \
			store_reader_done(s, db_);                                                 \
		rc_;                                                                               \
	})

int store_attempt_count(struct store *s, int64_t run)
{
	int64_t n = 0;
	int rc = READ_ONE(s, &n, QUERY_ATTEMPTS, "i", run);

	if (rc)
		return rc == -ENOENT ? 0 : rc;
	return (int)n;
}

int store_find(struct store *s, enum run_place place, const char *name, int64_t *id)
{
	return READ_ONE(s, id, QUERY_FIND, "it", (int64_t)place, name);
}

int store_find_draft(struct store *s, const char *folder, int64_t *id)
{
	return READ_ONE(s, id, QUERY_FIND_DRAFT, "t", folder);
}

int store_find_latest(struct store *s, const char *folder, int64_t *id)
{
	return READ_ONE(s, id, QUERY_LATEST, "t", folder);
}

int store_find_previous(struct store *s, const char *folder, int64_t before, int64_t *id)
{
	return READ_ONE(s, id, QUERY_PREVIOUS, "ti", folder, before);
}

int64_t store_next_trash(struct store *s)
{
	int64_t id = 0;

	return READ_ONE(s, &id, QUERY_TRASH, "") ? 0 : id;
}

int store_leftovers(struct store *s, struct leftover *out, int max)
{
	struct db *db = store_reader(s);
	struct db_query *q;
	int n = 0, rc;

	if (!db)
		return -EIO;
	q = db_query(db, QUERY_LEFTOVER, "i", (int64_t)max);
	rc = q ? 1 : db_error(db);
	while (rc > 0 && n < max && (rc = db_next(q)) == 1) {
		struct leftover *l = &out[n++];

		l->run = db_int(q, 0);
		l->attempt = (int)db_int(q, 1);
		snprintf(l->backend, sizeof(l->backend), "%s", db_text(q, 2));
		snprintf(l->external_id, sizeof(l->external_id), "%s", db_text(q, 3));
		l->since_ns = db_int(q, 4);
		l->tries = (int)db_int(q, 5);
	}
	db_done(q);
	store_reader_done(s, db);
	return rc < 0 ? rc : n;
}

int store_list(struct store *s, enum engine_list list, int64_t after, struct store_entry *out, int max)
{
	struct db *db = store_reader(s);
	struct db_query *q;
	int n = 0, rc = 1;

	if (!db)
		return -EIO;
	q = db_query(db, list_queries[list], "ii", after, (int64_t)max);
	if (!q)
		rc = db_error(db);
	while (rc > 0 && n < max && (rc = db_next(q)) == 1) {
		struct store_entry *entry = &out[n++];

		entry->e.id = db_int(q, 0);
		entry->e.incarnation = (unsigned)db_int(q, 1);
		entry->e.state = (enum run_state)db_int(q, 2);
		entry->e.mtime_ns = db_int(q, 3);
		snprintf(entry->name, sizeof(entry->name), "%s", db_text(q, 4));
		entry->e.name = entry->name;
	}
	db_done(q);
	store_reader_done(s, db);
	return rc < 0 ? rc : n;
}

static int read_runs(struct store *s, const char *sql, int64_t bound, struct run *out, int max)
{
	struct db *db = store_reader(s);
	struct db_query *q;
	int n = 0, rc = 1;

	if (!db)
		return -EIO;
	q = db_query(db, sql, "ii", bound, (int64_t)max);
	if (!q)
		rc = db_error(db);
	while (rc > 0 && n < max && (rc = db_next(q)) == 1) {
		rc = store_load_run(q, &out[n]);
		if (rc)
			break;
		n++;
		rc = 1;
	}
	db_done(q);
	store_reader_done(s, db);
	if (rc >= 0)
		return n;
	while (n > 0)
		run_release(&out[--n]);
	return rc;
}

int store_recent(struct store *s, int64_t before, struct run *out, int max)
{
	return read_runs(s, QUERY_RECENT, before, out, max);
}

int store_changed_since(struct store *s, int64_t version, struct run *out, int max)
{
	return read_runs(s, QUERY_CHANGED, version, out, max);
}

int store_active(struct store *s, int64_t after, struct run *out, int max)
{
	return read_runs(s, QUERY_ACTIVE, after, out, max);
}

int store_removed(struct store *s, int64_t after, struct run *out, int max)
{
	return read_runs(s, QUERY_REMOVED, after, out, max);
}

int store_counts(struct store *s, int64_t counts[RUN_STATE_COUNT])
{
	struct db *db = store_reader(s);
	struct db_query *q;
	int rc;

	memset(counts, 0, sizeof(*counts) * RUN_STATE_COUNT);
	if (!db)
		return -EIO;
	q = db_query(db, QUERY_COUNTS, "");
	rc = q ? 1 : db_error(db);
	while (rc > 0 && (rc = db_next(q)) == 1) {
		int64_t state = db_int(q, 0);

		if (state >= 0 && state < RUN_STATE_COUNT)
			counts[state] = db_int(q, 1);
	}
	db_done(q);
	store_reader_done(s, db);
	return rc;
}

/* ---- JSON lines ---- */

static void json_field(struct strbuf *out, const char *key, const char *text)
{
	strbuf_addf(out, ",\"%s\":\"", key);
	escape_json(out, text, strlen(text));
	strbuf_addch(out, '"');
}

static const char *state_word(int64_t state)
{
	return state >= 0 && state < RUN_STATE_COUNT ? run_state_words[state] : "-";
}

static void event_line(struct db_query *q, const char *name, struct strbuf *out)
{
	strbuf_adds(out, "{\"time\":\"");
	clock_rfc3339_micros(out, db_int(q, 0));
	strbuf_addch(out, '"');
	json_field(out, "run", name);
	json_field(out, "from", state_word(db_int(q, 1)));
	json_field(out, "to", state_word(db_int(q, 2)));
	strbuf_addf(out, ",\"attempt\":%d", (int)db_int(q, 3));
	json_field(out, "reason", db_text(q, 4));
	strbuf_adds(out, "}\n");
}

/* The newest lines were read newest first: put them in order, line by line. */
static void reverse_lines(const struct strbuf *lines, struct strbuf *out)
{
	size_t end = lines->len;

	while (end) {
		size_t start = end - 1;

		while (start && lines->buf[start - 1] != '\n')
			start--;
		strbuf_add(out, lines->buf + start, end - start);
		end = start;
	}
}

int store_events(struct store *s, int64_t run, struct strbuf *out)
{
	AUTO_BUF struct strbuf lines = STRBUF_INIT;
	struct run r;
	struct db *db;
	struct db_query *q;
	int rc = store_read_run(s, run, &r);

	if (rc)
		return rc;
	db = store_reader(s);
	q = db ? db_query(db, QUERY_EVENTS, "ii", run, (int64_t)STORE_EVENTS_MAX) : NULL;
	rc = q ? 1 : -EIO;
	while (rc > 0 && (rc = db_next(q)) == 1)
		event_line(q, r.name, &lines);
	db_done(q);
	if (db)
		store_reader_done(s, db);
	run_release(&r);
	reverse_lines(&lines, out);
	if (rc)
		return rc;
	return lines.err ? lines.err : out->err;
}

int store_event_stamps(struct store *s, int64_t run, struct stamp *out, int max)
{
	struct db *db = store_reader(s);
	struct db_query *q = db ? db_query(db, QUERY_STAMPS, "ii", run, (int64_t)max) : NULL;
	int n = 0, rc = q ? 1 : -EIO;

	while (n < max && rc > 0 && (rc = db_next(q)) == 1)
		out[n++] = store_stamp(db_text(q, 0));
	db_done(q);
	if (db)
		store_reader_done(s, db);
	for (int i = 0; i < n / 2; i++) {
		struct stamp newer = out[i];

		out[i] = out[n - 1 - i];
		out[n - 1 - i] = newer;
	}
	return rc < 0 ? rc : n;
}

int store_alerts(struct store *s, struct strbuf *out)
{
	struct db *db = store_reader(s);
	struct db_query *q = db ? db_query(db, QUERY_ALERTS, "") : NULL;
	int rc = q ? 1 : -EIO;

	while (rc > 0 && (rc = db_next(q)) == 1) {
		strbuf_adds(out, "{\"time\":\"");
		clock_rfc3339_micros(out, db_int(q, 0));
		strbuf_addch(out, '"');
		json_field(out, "run", db_text(q, 1));
		json_field(out, "state", state_word(db_int(q, 2)));
		json_field(out, "message", db_text(q, 3));
		strbuf_adds(out, "}\n");
	}
	db_done(q);
	if (db)
		store_reader_done(s, db);
	return rc ? rc : out->err;
}

int64_t store_mean_memory(struct store *s, const char *folder)
{
	struct db *db = store_reader(s);
	struct db_query *q = db ? db_query(db, QUERY_MEMORY, "t", folder) : NULL;
	int64_t sum = 0, n = 0;

	while (q && db_next(q) == 1) {
		sum += db_int(q, 0) / 8; /* an eighth, so that no sum of hostile figures overflows */
		n++;
	}
	db_done(q);
	if (db)
		store_reader_done(s, db);
	return n ? sum / n * 8 : 0;
}

int64_t store_mean_time(struct store *s, const char *folder)
{
	struct db *db = store_reader(s);
	struct db_query *q = db ? db_query(db, QUERY_TIME, "t", folder) : NULL;
	int64_t sum = 0, n = 0;

	while (q && db_next(q) == 1) {
		struct stamp started = store_stamp(db_text(q, 0)), ended = store_stamp(db_text(q, 1));
		int64_t took = stamp_since(&started, &ended);

		/* Nothing is known of one during which the machine was started anew and its clock set
		 * back; ten of these never overflow. */
		if (took > 0 && took < INT64_MAX / 16) {
			sum += took;
			n++;
		}
	}
	db_done(q);
	if (db)
		store_reader_done(s, db);
	return n ? sum / n : 0;
}

bool store_raised(struct store *s, int64_t run, int attempt, const char *what)
{
	struct db *db = store_reader(s);
	int64_t one = 0;
	bool raised = db && db_one(db, &one, QUERY_RAISED, "iit", run, (int64_t)attempt, what) == 0;

	if (db)
		store_reader_done(s, db);
	return raised;
}
