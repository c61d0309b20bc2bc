#include "fs/engine/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/escape.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/db.h"
#include "fs/engine/meta.h"
#include "fs/engine/reserve.h"
#include "fs/engine/schema.h"
#include "fs/engine/store_rows.h"

#define READERS_KEPT 8

struct store {
	char *path;
	int dirfd;
	uint64_t connection;
	char installation[33];
	bool rebooted;

	pthread_mutex_t write_lock; /* guards writer and pending */
	struct db *writer;
	int64_t pending; /* version reached in the open transaction */
	bool reserved;   /* the reserve is there, as far as is known */
	bool made_room;  /* a transaction failed for lack of space, and there is some since */
	_Atomic int64_t version;

	pthread_mutex_t pool_lock; /* guards the idle readers */
	struct db *idle[READERS_KEPT];
	int idle_count;
};

/* ---- Opening ---- */

static int run_step(struct db *db, int64_t version, struct why *why)
{
	int rc = 0;

	for (const char *const *script = schema_steps[version]; !rc && *script; script++)
		rc = db_script(db, *script, why);
	return rc;
}

static int migrate(struct db *db, struct why *why)
{
	int64_t version = 0;
	int rc = db_one(db, &version, "PRAGMA user_version", "");

	if (!rc && version > STORE_SCHEMA_VERSION)
		return why_set(why, EPROTONOSUPPORT,
			_("The state directory was written by a newer kexec (schema %" PRId64
			  "; this one knows %d)."),
			version, STORE_SCHEMA_VERSION);
	while (!rc && version < STORE_SCHEMA_VERSION) {
		char pragma[64];

		rc = run_step(db, version++, why);
		snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%" PRId64, version);
		if (!rc)
			rc = db_script(db, pragma, why);
	}
	return rc;
}

/* The installation's identity is made once: every token of a submission contains it. */
static int load_installation(struct store *s)
{
	unsigned char random[16];
	int rc = meta_text(s->writer, "installation", s->installation, sizeof(s->installation));

	if (rc || s->installation[0])
		return rc;
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(s->installation + 2 * i, 3, "%02x", random[i]);
	return meta_put(s->writer, "installation", s->installation);
}

static int load_boot(struct store *s)
{
	struct stamp now = stamp_now();

	return boot_load(s->writer, &now, &s->rebooted);
}

static int load_meta(struct store *s)
{
	int64_t version = 0;
	int rc = load_installation(s);

	if (!rc)
		rc = load_boot(s);
	if (!rc)
		rc = db_one(s->writer, &version, "SELECT value FROM meta WHERE key = 'version'", "");
	if (rc == -ENOENT)
		rc = 0;
	s->version = s->pending = version;
	if (!rc)
		rc = db_exec(s->writer, NULL, "DELETE FROM answer WHERE connection <> ?", "i",
			(int64_t)s->connection);
	return rc;
}

static int prepare_database(struct store *s, struct why *why)
{
	int rc = db_begin(s->writer, true);

	if (!rc)
		rc = migrate(s->writer, why);
	if (!rc)
		rc = load_meta(s);
	if (!rc)
		return db_commit(s->writer);
	db_rollback(s->writer);
	return rc;
}

/* The database gets its first chunk while there is space; later starts need not wait for the disk. */
static bool has_chunk(const struct store *s)
{
	struct stat st;

	return stat(s->path, &st) == 0 && st.st_size >= DB_CHUNK;
}

int store_open(const char *directory, uint64_t connection, struct store **out, struct why *why)
{
	struct store *s = calloc(1, sizeof(*s));
	int rc;

	*out = NULL;
	if (!s || asprintf(&s->path, "%s/kexec.db", directory) < 0) {
		free(s);
		return why_set(why, ENOMEM, _("Out of memory."));
	}
	s->connection = connection;
	pthread_mutex_init(&s->write_lock, NULL);
	pthread_mutex_init(&s->pool_lock, NULL);
	s->dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rc = s->dirfd < 0 ? -errno : 0;
	if (!rc && disk_is_low(s->dirfd))
		reserve_give_up(s->dirfd); /* opening writes, too */
	if (!rc)
		rc = db_open(s->path, DB_WRITER, &s->writer, why);
	if (!rc)
		rc = prepare_database(s, why);
	if (!rc && !has_chunk(s))
		db_checkpoint(s->writer);
	if (!rc)
		s->reserved = reserve_make(s->dirfd) == 1;
	if (rc) {
		if (why && !why->err)
			why_set(why, -rc, _("%s cannot be used: %s."), s->path, strerror(-rc));
		store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

int store_note_clock(struct store *s)
{
	struct stamp now = stamp_now();
	int rc = store_begin(s);

	return rc ? rc : store_end(s, boot_note(s->writer, &now));
}

void store_close(struct store *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->idle_count; i++)
		db_close(s->idle[i]);
	db_close(s->writer);
	if (s->dirfd >= 0)
		close(s->dirfd);
	pthread_mutex_destroy(&s->write_lock);
	pthread_mutex_destroy(&s->pool_lock);
	free(s->path);
	free(s);
}

const char *store_installation(const struct store *s)
{
	return s->installation;
}

bool store_rebooted(const struct store *s)
{
	return s->rebooted;
}

int64_t store_version(struct store *s)
{
	return s->version;
}

struct db *store_db(struct store *s)
{
	return s->writer;
}

/* ---- Readers ---- */

struct db *store_reader(struct store *s)
{
	struct db *db = NULL;

	pthread_mutex_lock(&s->pool_lock);
	if (s->idle_count)
		db = s->idle[--s->idle_count];
	pthread_mutex_unlock(&s->pool_lock);
	if (!db)
		db_open(s->path, DB_READER, &db, NULL);
	return db;
}

void store_reader_done(struct store *s, struct db *db)
{
	pthread_mutex_lock(&s->pool_lock);
	if (s->idle_count < READERS_KEPT) {
		s->idle[s->idle_count++] = db;
		db = NULL;
	}
	pthread_mutex_unlock(&s->pool_lock);
	db_close(db);
}

/* ---- Transactions ---- */

/* What is in the journal goes to the database, so that the journal starts from its beginning again and
 * needs no new space. Lock held. */
static bool make_room(struct store *s)
{
	bool freed = reserve_give_up(s->dirfd);

	s->reserved = false;
	return db_checkpoint(s->writer) == 0 || freed;
}

bool store_made_room(struct store *s, int rc)
{
	bool made;

	if (!disk_full_error(rc))
		return false;
	pthread_mutex_lock(&s->write_lock);
	made = s->made_room;
	s->made_room = false;
	pthread_mutex_unlock(&s->write_lock);
	return made;
}

int store_begin(struct store *s)
{
	int rc;

	pthread_mutex_lock(&s->write_lock);
	/* Before it fails, where the file system says how much is left; a quota is only felt. */
	if (s->reserved && disk_is_low(s->dirfd)) {
		reserve_give_up(s->dirfd);
		s->reserved = false;
	}
	rc = db_begin(s->writer, true);
	if (rc) {
		if (disk_full_error(rc))
			s->made_room = make_room(s);
		pthread_mutex_unlock(&s->write_lock);
		return rc;
	}
	s->pending = s->version;
	return 0;
}

static int commit(struct store *s)
{
	int rc = fault_point("store.commit");

	if (!rc && s->pending != s->version)
		rc = db_exec(s->writer, NULL,
			"INSERT OR REPLACE INTO meta(key, value) VALUES('version', ?)", "i",
			s->pending);
	return rc ? rc : db_commit(s->writer);
}

int store_end(struct store *s, int rc)
{
	if (!rc)
		rc = commit(s);
	if (rc)
		db_rollback(s->writer);
	else
		s->version = s->pending;
	if (disk_full_error(rc))
		s->made_room = make_room(s);
	else if (!rc && !s->reserved)
		s->reserved = reserve_make(s->dirfd) == 1;
	pthread_mutex_unlock(&s->write_lock);
	return rc;
}

bool store_reserve(struct store *s)
{
	bool reserved;

	pthread_mutex_lock(&s->write_lock);
	if (!s->reserved)
		s->reserved = reserve_make(s->dirfd) == 1;
	reserved = s->reserved;
	pthread_mutex_unlock(&s->write_lock);
	return reserved;
}

static int read_answer(struct store *s, struct db *db, uint64_t key, int *rc, int64_t *value)
{
	struct db_query *q = db_query(db,
		"SELECT errno, value FROM answer WHERE connection = ? AND unique_key = ?", "ii",
		(int64_t)s->connection, (int64_t)key);
	int got = q ? db_next(q) : db_error(db);

	if (got == 1) {
		*rc = -(int)db_int(q, 0);
		*value = db_int(q, 1);
	}
	db_done(q);
	return got;
}

int store_answer(struct store *s, uint64_t key, int *rc, int64_t *value)
{
	return key ? read_answer(s, s->writer, key, rc, value) : 0;
}

bool store_answered(struct store *s, uint64_t key, int *rc, int64_t *value)
{
	struct db *db = key ? store_reader(s) : NULL;
	bool answered = db && read_answer(s, db, key, rc, value) == 1;

	if (db)
		store_reader_done(s, db);
	return answered;
}

int store_put_answer(struct store *s, uint64_t key, int rc, int64_t value)
{
	if (!key)
		return 0;
	return db_exec(s->writer, NULL,
		"INSERT INTO answer(connection, unique_key, errno, value) VALUES(?, ?, ?, ?)", "iiii",
		(int64_t)s->connection, (int64_t)key, (int64_t)-rc, value);
}

/* ---- Rows of runs ---- */

enum field_type { F_INT64, F_INT, F_BOOL, F_REAL, F_CHARS, F_TEXT, F_MAYBE, F_STAMP };

struct field {
	enum field_type type;
	size_t offset, size;
};

#define FIELD(name, type) {type, offsetof(struct run, name), sizeof(((struct run *)0)->name)},
static const struct field run_fields[] = {RUN_FIELDS(FIELD)};
#define RUN_FIELD_COUNT (sizeof(run_fields) / sizeof(run_fields[0]))

/* Enumerations are stored through int. */
_Static_assert(sizeof(enum run_state) == sizeof(int), "enum size");

const char *store_stamp_text(const struct stamp *stamp, char buf[96])
{
	if (!stamp->wall_ns)
		return NULL;
	snprintf(buf, 96, "%" PRId64 " %" PRId64 " %s", stamp->wall_ns, stamp->boot_ns,
		stamp->boot_id);
	return buf;
}

struct stamp store_stamp(const char *text)
{
	struct stamp stamp = {0};

	if (text && sscanf(text, "%" SCNd64 " %" SCNd64 " %39s", &stamp.wall_ns, &stamp.boot_ns,
			    stamp.boot_id) < 2)
		memset(&stamp, 0, sizeof(stamp));
	return stamp;
}

static void bind_field(struct db_query *q, int at, const struct field *f, const struct run *r,
	char buf[96])
{
	const char *p = (const char *)r + f->offset;
	const char *text;

	switch (f->type) {
	case F_INT64:
		db_bind_int(q, at, *(const int64_t *)p);
		break;
	case F_INT:
		db_bind_int(q, at, *(const int *)p);
		break;
	case F_BOOL:
		db_bind_int(q, at, *(const bool *)p);
		break;
	case F_REAL:
		db_bind_real(q, at, *(const double *)p);
		break;
	case F_CHARS:
		db_bind_text(q, at, p);
		break;
	case F_TEXT:
		text = *(const char *const *)p;
		db_bind_text(q, at, text ? text : "");
		break;
	case F_MAYBE:
		db_bind_text(q, at, *(const char *const *)p);
		break;
	case F_STAMP:
		db_bind_text(q, at, store_stamp_text((const struct stamp *)p, buf));
	}
}

static int load_text(char **out, const char *text, bool always)
{
	if (!text && !always)
		return 0;
	*out = strdup(text ? text : "");
	return *out ? 0 : -ENOMEM;
}

static int load_field(struct db_query *q, int column, const struct field *f, struct run *r)
{
	char *p = (char *)r + f->offset;

	switch (f->type) {
	case F_INT64:
		*(int64_t *)p = db_int(q, column);
		return 0;
	case F_INT:
		*(int *)p = (int)db_int(q, column);
		return 0;
	case F_BOOL:
		*(bool *)p = db_int(q, column) != 0;
		return 0;
	case F_REAL:
		*(double *)p = db_real(q, column);
		return 0;
	case F_CHARS:
		snprintf(p, f->size, "%s", db_text(q, column) ? db_text(q, column) : "");
		return 0;
	case F_STAMP:
		*(struct stamp *)p = store_stamp(db_text(q, column));
		return 0;
	default:
		return load_text((char **)p, db_text(q, column), f->type == F_TEXT);
	}
}

int store_load_run(struct db_query *q, struct run *out)
{
	int rc = 0;

	memset(out, 0, sizeof(*out));
	out->id = db_int(q, 0);
	for (size_t i = 0; !rc && i < RUN_FIELD_COUNT; i++)
		rc = load_field(q, (int)i + 1, &run_fields[i], out);
	if (!rc && ((unsigned)out->state >= RUN_STATE_COUNT || (unsigned)out->kind >= KIND_COUNT ||
			   (unsigned)out->place > PLACE_CHILD))
		rc = -EBADMSG;
	if (isnan(out->progress))
		out->progress = -1;
	if (rc)
		run_release(out);
	return rc;
}

/* Runs an INSERT or UPDATE whose parameters are all fields in order, then the id. */
static int write_run(struct store *s, const char *sql, struct run *r)
{
	char stamps[RUN_FIELD_COUNT][96];
	struct db_query *q = db_prepare(s->writer, sql);
	int rc;

	if (!q)
		return db_error(s->writer);
	r->version = s->pending + 1;
	r->changed_ns = clock_wall_ns();
	for (size_t i = 0; i < RUN_FIELD_COUNT; i++)
		bind_field(q, (int)i + 1, &run_fields[i], r, stamps[i]);
	if (r->id)
		db_bind_int(q, (int)RUN_FIELD_COUNT + 1, r->id);
	rc = db_next(q);
	db_done(q);
	if (rc < 0)
		return rc;
	s->pending++;
	return 0;
}

#define COLUMN(name, type)   "," #name
#define PARAMETER(name, type) ",?"
/* "?" for version, which is the first field, then the others. */
#define RUN_COLUMN_LIST "version" RUN_FIELDS_AFTER_VERSION(COLUMN)
#define RUN_PARAMETERS	"?" RUN_FIELDS_AFTER_VERSION(PARAMETER)

int store_add_run(struct store *s, struct run *r)
{
	int rc;

	r->id = 0;
	rc = write_run(s, "INSERT INTO run(" RUN_COLUMN_LIST ") VALUES(" RUN_PARAMETERS ")", r);
	if (!rc)
		r->id = db_last_id(s->writer);
	return rc;
}

int store_put_run(struct store *s, struct run *r)
{
	return write_run(s,
		"UPDATE run SET (" RUN_COLUMN_LIST ") = (" RUN_PARAMETERS ") WHERE id = ?", r);
}

int store_get_run(struct store *s, int64_t id, struct run *out)
{
	return store_select_run(s->writer, id, out);
}

int store_delete_run(struct store *s, int64_t id)
{
	int64_t changed = 0;
	int rc = db_exec(s->writer, NULL, "INSERT OR IGNORE INTO trash(run) VALUES(?)", "i", id);

	if (!rc)
		rc = db_exec(s->writer, NULL,
			"INSERT OR IGNORE INTO leftover(run, attempt, backend, external_id, since_ns, tries)"
			" SELECT run, n, backend, external_id, ?, 0 FROM attempt"
			" WHERE run = ? AND external_id IS NOT NULL", "ii", clock_wall_ns(), id);
	if (!rc)
		rc = db_exec(s->writer, NULL, "DELETE FROM raised WHERE run = ?", "i", id);
	if (!rc)
		rc = db_exec(s->writer, &changed, "DELETE FROM run WHERE id = ?", "i", id);
	if (!rc && !changed)
		return -ENOENT;
	s->pending++;
	return rc;
}

int store_finish_trash(struct store *s, int64_t id)
{
	return db_exec(s->writer, NULL, "DELETE FROM trash WHERE run = ?", "i", id);
}

int store_finish_leftover(struct store *s, const struct leftover *l)
{
	return db_exec(s->writer, NULL, "DELETE FROM leftover WHERE run = ? AND attempt = ?", "ii",
		l->run, (int64_t)l->attempt);
}

int store_keep_leftover(struct store *s, const struct leftover *l)
{
	return db_exec(s->writer, NULL,
		"UPDATE leftover SET tries = tries + 1 WHERE run = ? AND attempt = ?", "ii", l->run,
		(int64_t)l->attempt);
}

/* ---- Events, alerts, attempts ---- */

int store_add_event(struct store *s, const struct run *r, enum run_state from, const char *reason)
{
	struct stamp now = stamp_now();
	char at[96];

	return db_exec(s->writer, NULL,
		"INSERT INTO event(run, wall_ns, from_state, to_state, attempt, reason, at)"
		" VALUES(?, ?, ?, ?, ?, ?, ?)",
		"iiiiitt", r->id, now.wall_ns, (int64_t)from, (int64_t)r->state,
		(int64_t)r->attempt, reason, store_stamp_text(&now, at));
}

int store_last_event(struct store *s, int64_t run, enum run_state *to, char **reason)
{
	struct db_query *q = db_query(s->writer,
		"SELECT to_state, reason FROM event INDEXED BY event_run WHERE run = ?"
		" ORDER BY id DESC LIMIT 1", "i", run);
	int rc = q ? db_next(q) : db_error(s->writer);

	*reason = NULL;
	if (rc == 1) {
		*to = (enum run_state)db_int(q, 0);
		*reason = strdup(db_text(q, 1) ? db_text(q, 1) : "");
		rc = *reason ? 0 : -ENOMEM;
	} else if (!rc) {
		rc = -ENOENT;
	}
	db_done(q);
	return rc;
}

int store_add_alert(struct store *s, const struct run *r, const char *text)
{
	int rc = db_exec(s->writer, NULL,
		"INSERT INTO alert(wall_ns, run, state, message) VALUES(?, ?, ?, ?)", "itit",
		clock_wall_ns(), r->name, (int64_t)r->state, text);

	if (rc)
		return rc;
	return db_exec(s->writer, NULL, "DELETE FROM alert WHERE id <= ?", "i",
		db_last_id(s->writer) - STORE_ALERTS_MAX);
}

int store_raise(struct store *s, const struct run *r, int attempt, const char *what, const char *text)
{
	int64_t fresh = 0;
	int rc = db_exec(s->writer, &fresh,
		"INSERT OR IGNORE INTO raised(run, attempt, what) VALUES(?, ?, ?)", "iit", r->id,
		(int64_t)attempt, what);

	return rc || !fresh ? rc : store_add_alert(s, r, text);
}

int store_lower(struct store *s, int64_t run, int attempt, const char *what)
{
	return db_exec(s->writer, NULL, "DELETE FROM raised WHERE run = ? AND attempt = ? AND what = ?",
		"iit", run, (int64_t)attempt, what);
}

int store_put_attempt(struct store *s, const struct attempt_row *a)
{
	struct db_query *q = db_prepare(s->writer,
		"INSERT OR REPLACE INTO attempt(run, n, backend, state, external_id, started, ended,"
		" detail, cost_usd, token, ended_row, lost, cause, exit_code, signal, cpu_ns,"
		" max_rss) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	char started[96], ended[96];
	int rc;

	if (!q)
		return db_error(s->writer);
	db_bind_int(q, 1, a->pub.run);
	db_bind_int(q, 2, a->pub.n);
	db_bind_text(q, 3, a->pub.backend);
	db_bind_text(q, 4, a->pub.state);
	db_bind_text(q, 5, a->pub.external_id);
	db_bind_text(q, 6, store_stamp_text(&a->pub.started, started));
	db_bind_text(q, 7, store_stamp_text(&a->pub.ended, ended));
	db_bind_text(q, 8, a->pub.detail ? a->pub.detail : "");
	db_bind_real(q, 9, a->pub.cost_usd);
	db_bind_text(q, 10, a->token);
	db_bind_int(q, 11, a->ended_row);
	db_bind_int(q, 12, a->lost);
	db_bind_int(q, 13, a->end.cause);
	db_bind_int(q, 14, a->end.exit_code);
	db_bind_int(q, 15, a->end.signal);
	db_bind_int(q, 16, a->end.cpu_ns);
	db_bind_int(q, 17, a->end.max_rss_bytes);
	rc = db_next(q);
	db_done(q);
	return rc < 0 ? rc : 0;
}

/* ---- Names ---- */

int store_name_taken(struct store *s, enum run_place place, const char *name, int64_t self)
{
	int64_t id;
	int rc = db_one(s->writer, &id, QUERY_FIND, "it", (int64_t)place, name);

	if (rc == -ENOENT)
		return 0;
	return rc ? rc : id != self;
}

int store_folder_taken(struct store *s, const char *folder, int64_t self)
{
	int64_t id;
	int rc = db_one(s->writer, &id, QUERY_FIND_DRAFT, "t", folder);

	if (rc == -ENOENT)
		return 0;
	return rc ? rc : id != self;
}

static void numbered_name(const char *base, int64_t number, char out[RUN_NAME_MAX + 1])
{
	char suffix[24] = "";
	size_t len = strlen(base), cut;

	if (number > 1)
		snprintf(suffix, sizeof(suffix), "-%" PRId64, number);
	cut = utf8_cut(base, len, RUN_NAME_MAX - strlen(suffix));
	memcpy(out, base, cut);
	strcpy(out + cut, suffix);
}

/*
 * The smallest free number among the first ones; beyond them galloping and bisecting, because the
 * hundred-thousandth copy of one folder must not ask for each of its predecessors.
 */
int store_free_name(struct store *s, enum run_place place, const char *base, int64_t self,
	char out[RUN_NAME_MAX + 1])
{
	int64_t taken = 0, probe = 1, free_one = 0;

	for (;;) {
		int rc;

		numbered_name(base, probe, out);
		rc = store_name_taken(s, place, out, self);
		if (rc < 0)
			return rc;
		if (rc)
			taken = probe;
		else
			free_one = probe;
		if (free_one == taken + 1)
			break;
		if (free_one)
			probe = taken + (free_one - taken) / 2;
		else
			probe = taken < 16 ? taken + 1 : taken * 2;
		if (probe > INT64_MAX / 4)
			return -ENOSPC;
	}
	numbered_name(base, free_one, out);
	return 0;
}
