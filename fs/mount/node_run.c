/* runs/<run>/ and what is in it, status/, latest/, removed/. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/engine.h"
#include "fs/engine/metrics.h"
#include "fs/mount/drafts.h"
#include "fs/mount/mount.h"
#include "fs/mount/node_rows.h"

#define METRICS_MAX ((size_t)16 << 20)

static int load(const struct call *c, struct ref r, struct run *run)
{
	return engine_run(c->mount->engine, r.id, run);
}

static struct ref run_ref(const struct engine_entry *e, enum node_id row)
{
	return (struct ref){.row = (uint8_t)row, .inc = (uint16_t)e->incarnation, .id = e->id};
}

/* ---- Directories of runs ---- */

static int find_in(const struct call *c, enum run_place place, enum node_id row, const char *name, struct ref *out)
{
	struct run run = {0};
	int64_t id;
	int r = engine_find(c->mount->engine, place, name, &id);

	if (r == 0)
		r = engine_run(c->mount->engine, id, &run);
	if (r == 0)
		*out = (struct ref){.row = (uint8_t)row, .inc = (uint16_t)run.incarnation, .id = id};
	run_release(&run);
	return r;
}

struct told {
	node_sink *sink;
	void *arg;
	enum node_id row;
};

static int tell(void *arg, const struct engine_entry *e)
{
	struct told *t = arg;

	return t->sink(t->arg, e->name, run_ref(e, t->row), e->id,
		(struct child_facts){.mtime_ns = e->mtime_ns, .unsettled = e->state == RUN_DRAFT});
}

static int list_in(const struct call *c, enum engine_list list, enum node_id row, int64_t after, node_sink *sink, void *arg)
{
	struct told t = {sink, arg, row};

	return engine_list(c->mount->engine, list, after, tell, &t);
}

int runs_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	return find_in(c, dir.row == N_REMOVED ? PLACE_REMOVED : PLACE_RUNS, N_RUN, name, out);
}

bool run_unsettled(const struct call *c, struct ref r)
{
	struct run run = {0};
	bool draft = load(c, r, &run) == 0 && run.state == RUN_DRAFT;

	run_release(&run);
	return draft;
}

int runs_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg)
{
	return list_in(c, dir.row == N_REMOVED ? LIST_REMOVED : LIST_RUNS, N_RUN, after, sink, arg);
}

/* status/<run> is the same inode as runs/<run>/status. */
int status_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	(void)dir;
	return find_in(c, PLACE_RUNS, N_RUN_STATUS, name, out);
}

int status_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg)
{
	(void)dir;
	return list_in(c, LIST_RUNS, N_RUN_STATUS, after, sink, arg);
}

int latest_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	int64_t id;
	int r = engine_find_latest(c->mount->engine, name, &id);

	(void)dir;
	if (r == 0)
		*out = (struct ref){.row = N_LATEST_LINK, .id = id};
	return r;
}

int latest_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg)
{
	(void)dir;
	return list_in(c, LIST_LATEST, N_LATEST_LINK, after, sink, arg);
}

int latest_target(const struct call *c, struct ref r, struct strbuf *out)
{
	struct run run = {0};
	int rc = load(c, r, &run);

	if (rc == 0)
		strbuf_addf(out, "../runs/%s", run.name);
	run_release(&run);
	return rc;
}

int run_drop(const struct call *c, struct ref dir, struct ref r)
{
	if (dir.row == N_REMOVED)
		return engine_purge(c->mount->engine, c->key, r.id);
	return engine_remove(c->mount->engine, c->key, r.id);
}

int run_move_name(const struct call *c, struct ref r, struct ref from, struct ref to, const char *to_name)
{
	if (to.row != N_RUNS || (from.row != N_RUNS && from.row != N_REMOVED))
		return -EPERM;
	if (from.row == N_REMOVED)
		return engine_restore(c->mount->engine, c->key, r.id, to_name);
	return engine_rename(c->mount->engine, c->key, r.id, to_name);
}

/* ---- Files of a run ---- */

int run_status_render(const struct call *c, struct ref r, struct strbuf *out)
{
	struct run run = {0};
	int rc = load(c, r, &run);

	if (rc == 0)
		rc = run_status_line(&run, out);
	run_release(&run);
	return rc;
}

int run_state_render(const struct call *c, struct ref r, struct strbuf *out)
{
	struct run run = {0};
	int rc = load(c, r, &run);

	if (rc == 0)
		rc = run_state_json(&run, out);
	run_release(&run);
	return rc;
}

int run_ctl_render(const struct call *c, struct ref r, struct strbuf *out)
{
	struct run run = {0};
	int rc = engine_words(c->mount->engine, r.id, out);

	if (rc == 0 && load(c, r, &run) == 0 && run_state_final(run.state))
		strbuf_addf(out, "# %s\n", _("A run is removed whole, with rmdir or rm -r of its directory; taking away "
			"single files in it has no effect."));
	run_release(&run);
	return rc;
}

/* `submit` and `drop` concern the folder, which is the mount's; all other words are the engine's. */
static bool folder_word(const char *word)
{
	return strcmp(word, "submit") == 0 || strcmp(word, "drop") == 0;
}

static int draft_command(const struct call *c, int64_t run, int argc, char *const argv[], struct why *why)
{
	if (argc != 1)
		return why_set(why, EINVAL, _("`%s` takes no argument"), argv[0]);
	if (strcmp(argv[0], "drop") == 0)
		return draft_throw_away(c, run, true);
	drafts_ask_and_wait(c->mount, run);
	return 0;
}

int run_ctl_command(const struct call *c, struct ref r, int argc, char *const argv[], struct why *why)
{
	struct run run = {0};
	int rc = load(c, r, &run);
	bool draft = rc == 0 && run.state == RUN_DRAFT;

	run_release(&run);
	if (c->again && !draft && argc == 1 && folder_word(argv[0]))
		return 0; /* it was a draft when the word was taken the first time */
	if (rc != 0)
		return rc;
	if (draft && folder_word(argv[0]))
		return draft_command(c, r.id, argc, argv, why);
	return engine_command(c->mount->engine, c->key, r.id, argc, argv, why);
}

void run_ctl_refused(const struct call *c, struct ref r, const char *sentence)
{
	engine_refusal(c->mount->engine, r.id, sentence);
}

int run_wait_render(const struct call *c, struct ref r, struct strbuf *out)
{
	(void)c;
	(void)r;
	(void)out; /* its size is not known before it is read */
	return 0;
}

int run_events_render(const struct call *c, struct ref r, struct strbuf *out)
{
	return engine_events(c->mount->engine, r.id, out);
}

/* Path of a file of the current attempt. */
static int attempt_file(const struct call *c, struct ref r, const char *name, char *path, size_t size)
{
	struct run run = {0};
	char buf[ENGINE_PATH_MAX];
	int rc = load(c, r, &run);

	if (rc == 0 && run.attempt == 0)
		rc = -ENOENT;
	if (rc == 0)
		snprintf(path, size, "%s", engine_attempt_path(buf, r.id, run.attempt, name));
	run_release(&run);
	return rc;
}

int run_log_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	return attempt_file(c, r, "log", path, size);
}

int run_metrics_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	return attempt_file(c, r, "metrics.csv", path, size);
}

int run_results_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	return attempt_file(c, r, "output", path, size);
}

int run_curve_render(const struct call *c, struct ref r, struct strbuf *out)
{
	AUTO_BUF struct strbuf csv = STRBUF_INIT;
	struct run run = {0};
	char path[512];
	int rc = load(c, r, &run);

	if (rc == 0 && attempt_file(c, r, "metrics.csv", path, sizeof(path)) == 0)
		io_read(c->mount->state_dirfd, path, METRICS_MAX, &csv);
	if (rc == 0)
		rc = metrics_svg(csv.buf, csv.len, run.name, out);
	run_release(&run);
	return rc;
}

static int run_file(struct ref r, const char *name, char *path, size_t size)
{
	char buf[ENGINE_PATH_MAX];

	snprintf(path, size, "%s", engine_run_file_path(buf, r.id, name));
	return 0;
}

/* Files that the engine writes whole, under the name of their row. */
int run_written_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	(void)c;
	return run_file(r, tree[r.row].name, path, size);
}

int run_source_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	char buf[ENGINE_PATH_MAX];

	(void)c;
	snprintf(path, size, "%s", engine_source_path(buf, r.id));
	return 0;
}

/* ---- What is there in which state ---- */

bool run_shown_submitted(const struct call *c, struct ref r, const struct run *run)
{
	(void)c;
	(void)r;
	return run->state != RUN_DRAFT;
}

bool run_shown_ended(const struct call *c, struct ref r, const struct run *run)
{
	(void)c;
	(void)r;
	return run_state_final(run->state);
}

bool run_shown_complete(const struct call *c, struct ref r, const struct run *run)
{
	(void)c;
	(void)r;
	return run->state == RUN_COMPLETE;
}

bool run_shown_attempted(const struct call *c, struct ref r, const struct run *run)
{
	(void)c;
	(void)r;
	return run->attempt > 0;
}

/* ---- attempts/<n>/ ---- */

static int attempt_number(const char *name)
{
	char *end;
	long n = strtol(name, &end, 10);

	return name[0] >= '1' && name[0] <= '9' && *end == '\0' && n < 0x7ff ? (int)n : -1;
}

int attempts_find(const struct call *c, struct ref dir, const char *name, struct ref *out)
{
	int n = attempt_number(name);

	if (n < 1 || n > engine_attempt_count(c->mount->engine, dir.id))
		return -ENOENT;
	*out = dir;
	out->row = N_ATTEMPT;
	out->sub = (uint16_t)n;
	return 0;
}

int attempts_list(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg)
{
	int count = engine_attempt_count(c->mount->engine, dir.id);

	for (int n = (int)after + 1; n <= count; n++) {
		struct ref r = dir;
		char name[16];

		r.row = N_ATTEMPT;
		r.sub = (uint16_t)n;
		snprintf(name, sizeof(name), "%d", n);
		if (sink(arg, name, r, n, (struct child_facts){0}) != 0)
			break;
	}
	return 0;
}

int attempt_render(const struct call *c, struct ref r, struct strbuf *out)
{
	struct attempt a = {0};
	int rc = engine_attempt(c->mount->engine, r.id, r.sub, &a);

	if (rc != 0)
		return rc;
	switch (r.row) {
	case N_ATT_BACKEND:
		strbuf_addf(out, "%s\n", a.backend);
		break;
	case N_ATT_ID:
		strbuf_addf(out, "%s\n", a.external_id ? a.external_id : "-");
		break;
	case N_ATT_COST:
		strbuf_addf(out, "%.4f\n", a.cost_usd);
		break;
	default:
		strbuf_addf(out, "%s %s\n", a.state, a.detail && a.detail[0] ? a.detail : "-");
	}
	attempt_release(&a);
	return out->err;
}

int attempt_log_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	char buf[ENGINE_PATH_MAX];

	(void)c;
	snprintf(path, size, "%s", engine_attempt_path(buf, r.id, r.sub, "log"));
	return 0;
}

int attempt_source_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	char buf[ENGINE_PATH_MAX];

	(void)c;
	snprintf(path, size, "%s", engine_attempt_path(buf, r.id, r.sub, "sent"));
	return 0;
}

int attempt_output_backing(const struct call *c, struct ref r, char *path, size_t size)
{
	char buf[ENGINE_PATH_MAX];

	(void)c;
	snprintf(path, size, "%s", engine_attempt_path(buf, r.id, r.sub, "output"));
	return 0;
}

/* A tree of an attempt is there once its directory is. */
bool attempt_shown_tree(const struct call *c, struct ref r, const struct run *run)
{
	char path[512];
	int fd;

	(void)run;
	if (tree[r.row].backing(c, r, path, sizeof(path)) != 0)
		return false;
	fd = io_open_dir(c->mount->state_dirfd, path);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}
