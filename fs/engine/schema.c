#include "fs/engine/schema.h"

#include <stddef.h>

/*
 * Moments are texts "WALL_NS BOOT_NS BOOT_ID" (struct stamp). The numbers of states and places are
 * those of enum run_state and enum run_place, which therefore only ever grow at their ends.
 *
 * - `latest` and `count` are kept by triggers, so that no writer can forget them: listing latest/ and
 *   counting by state must not look at every run there is.
 * - run_active holds the states with something to do (not draft, not final), run_shown what runs.csv
 *   and the dashboard show. Partial indexes are used only by queries that repeat their condition.
 * - trash: runs that are gone, whose files are still to be deleted.
 */
static const char tables_1[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE run("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" version INTEGER NOT NULL,"
	" incarnation INTEGER NOT NULL,"
	" name TEXT NOT NULL,"
	" folder TEXT NOT NULL,"
	" place INTEGER NOT NULL,"
	" parent INTEGER NOT NULL,"
	" state INTEGER NOT NULL,"
	" kind INTEGER NOT NULL,"
	" backend TEXT NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" progress REAL,"
	" eta_ns INTEGER NOT NULL,"
	" detail TEXT NOT NULL,"
	" created TEXT,"
	" submitted TEXT,"
	" started TEXT,"
	" ended TEXT,"
	" answered TEXT,"
	" error_class TEXT NOT NULL,"
	" error_context TEXT NOT NULL,"
	" next_step TEXT NOT NULL,"
	" refusal TEXT NOT NULL,"
	" metric_name TEXT,"
	" metric_value REAL,"
	" cost_usd REAL NOT NULL,"
	" external_id TEXT,"
	" options TEXT,"
	" priority INTEGER NOT NULL,"
	" changed_ns INTEGER NOT NULL,"
	" queue_order INTEGER NOT NULL,"
	" due TEXT,"
	" resting INTEGER NOT NULL,"
	" rested TEXT,"
	" removed TEXT,"
	" lost INTEGER NOT NULL);"
	"CREATE UNIQUE INDEX run_name ON run(place, parent, name);"
	"CREATE UNIQUE INDEX run_draft_folder ON run(folder) WHERE state = 0;"
	"CREATE INDEX run_draft ON run(id) WHERE state = 0;"
	"CREATE INDEX run_place ON run(place);"
	"CREATE INDEX run_folder ON run(folder) WHERE place = 0;"
	"CREATE UNIQUE INDEX run_version ON run(version);"
	"CREATE INDEX run_active ON run(id) WHERE state IN (1, 2, 3, 4, 7, 8, 9, 10, 11);"
	"CREATE INDEX run_shown ON run(id) WHERE place IN (0, 3);"

	"CREATE TABLE attempt("
	" run INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,"
	" n INTEGER NOT NULL,"
	" backend TEXT NOT NULL,"
	" state TEXT NOT NULL,"
	" external_id TEXT,"
	" started TEXT,"
	" ended TEXT,"
	" detail TEXT NOT NULL,"
	" cost_usd REAL NOT NULL,"
	" token TEXT NOT NULL,"
	" ended_row INTEGER NOT NULL,"
	" lost INTEGER NOT NULL,"
	" cause INTEGER NOT NULL,"
	" exit_code INTEGER NOT NULL,"
	" signal INTEGER NOT NULL,"
	" cpu_ns INTEGER NOT NULL,"
	" max_rss INTEGER NOT NULL,"
	" PRIMARY KEY(run, n)) WITHOUT ROWID;"

	"CREATE TABLE event("
	" id INTEGER PRIMARY KEY,"
	" run INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,"
	" wall_ns INTEGER NOT NULL,"
	" from_state INTEGER NOT NULL,"
	" to_state INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" reason TEXT NOT NULL);"
	"CREATE INDEX event_run ON event(run);"

	"CREATE TABLE alert("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" wall_ns INTEGER NOT NULL,"
	" run TEXT NOT NULL,"
	" state INTEGER NOT NULL,"
	" message TEXT NOT NULL);"

	"CREATE TABLE answer("
	" connection INTEGER NOT NULL,"
	" unique_key INTEGER NOT NULL,"
	" errno INTEGER NOT NULL,"
	" value INTEGER NOT NULL,"
	" PRIMARY KEY(connection, unique_key)) WITHOUT ROWID;"

	"CREATE TABLE trash(run INTEGER PRIMARY KEY);";

static const char kept_by_triggers_1[] =
	"CREATE TABLE latest(folder TEXT PRIMARY KEY, run INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE UNIQUE INDEX latest_run ON latest(run);"
	"CREATE TRIGGER latest_insert AFTER INSERT ON run WHEN new.place = 0 BEGIN"
	" INSERT OR REPLACE INTO latest(folder, run) VALUES(new.folder, new.id);"
	"END;"
	"CREATE TRIGGER latest_update AFTER UPDATE ON run"
	" WHEN old.folder <> new.folder OR old.place <> new.place BEGIN"
	" DELETE FROM latest WHERE folder = old.folder;"
	" DELETE FROM latest WHERE folder = new.folder;"
	" INSERT OR REPLACE INTO latest(folder, run) SELECT folder, id FROM run INDEXED BY run_folder"
	"  WHERE place = 0 AND folder = old.folder ORDER BY id DESC LIMIT 1;"
	" INSERT OR REPLACE INTO latest(folder, run) SELECT folder, id FROM run INDEXED BY run_folder"
	"  WHERE place = 0 AND folder = new.folder ORDER BY id DESC LIMIT 1;"
	"END;"
	"CREATE TRIGGER latest_delete AFTER DELETE ON run WHEN old.place = 0 BEGIN"
	" DELETE FROM latest WHERE folder = old.folder;"
	" INSERT OR REPLACE INTO latest(folder, run) SELECT folder, id FROM run INDEXED BY run_folder"
	"  WHERE place = 0 AND folder = old.folder ORDER BY id DESC LIMIT 1;"
	"END;"

	"CREATE TABLE count(state INTEGER PRIMARY KEY, runs INTEGER NOT NULL);"
	"CREATE TRIGGER count_insert AFTER INSERT ON run WHEN new.place = 0 BEGIN"
	" INSERT OR IGNORE INTO count(state, runs) VALUES(new.state, 0);"
	" UPDATE count SET runs = runs + 1 WHERE state = new.state;"
	"END;"
	"CREATE TRIGGER count_update AFTER UPDATE ON run"
	" WHEN old.state <> new.state OR old.place <> new.place BEGIN"
	" UPDATE count SET runs = runs - 1 WHERE state = old.state AND old.place = 0;"
	" INSERT OR IGNORE INTO count(state, runs) VALUES(new.state, 0);"
	" UPDATE count SET runs = runs + 1 WHERE state = new.state AND new.place = 0;"
	"END;"
	"CREATE TRIGGER count_delete AFTER DELETE ON run WHEN old.place = 0 BEGIN"
	" UPDATE count SET runs = runs - 1 WHERE state = old.state;"
	"END;";

static const char *const version_1[] = {tables_1, kept_by_triggers_1, NULL};

/* Alerts that were raised and are not raised again; run 0 is the machine. */
static const char *const version_2[] = {
	"CREATE TABLE raised("
	" run INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" what TEXT NOT NULL,"
	" PRIMARY KEY(run, attempt, what)) WITHOUT ROWID;", NULL};

/* Jobs of runs that are gone, whose backends have not yet been told to forget them. */
static const char *const version_3[] = {
	"CREATE TABLE leftover("
	" run INTEGER NOT NULL,"
	" attempt INTEGER NOT NULL,"
	" backend TEXT NOT NULL,"
	" external_id TEXT NOT NULL,"
	" since_ns INTEGER NOT NULL,"
	" tries INTEGER NOT NULL,"
	" PRIMARY KEY(run, attempt)) WITHOUT ROWID;"
	"CREATE INDEX leftover_tries ON leftover(tries);", NULL};

/* When by both clocks (store_stamp_text): wall_ns alone cannot tell how long a state lasted. */
static const char *const version_4[] = {"ALTER TABLE event ADD COLUMN at TEXT;", NULL};

/* Things of services that somebody named in the mount: their numbers are inode numbers, never used again. */
static const char *const version_5[] = {
	"CREATE TABLE object("
	" id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" backend TEXT NOT NULL,"
	" kind TEXT NOT NULL,"
	" name TEXT NOT NULL,"
	" used_ns INTEGER NOT NULL,"
	" UNIQUE(backend, kind, name));", NULL};

/* The lines of the log that proved the class of an error. */
static const char *const version_6[] = {"ALTER TABLE run ADD COLUMN error_lines TEXT;", NULL};

const char *const *const schema_steps[] = {version_1, version_2, version_3, version_4, version_5,
	version_6};
