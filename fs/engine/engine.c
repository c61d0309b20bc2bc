#include "fs/engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"
#include "fs/engine/internal.h"
#include "fs/engine/objects.h"

#define LOCK_WAIT_MS 5000
#define STOP_WAIT_NS (5 * NS_PER_S)
#define OBJECTS_WAIT_NS (2 * NS_PER_S) /* who waited for a part asks the next server */
#define LOAD_PAGE    64
#define FRESH_S      15

/* ---- Telling ---- */

void engine_tell(struct engine *e, unsigned what, const struct run *before, const struct run *after)
{
	struct change change = {.run = after->id, .what = what, .incarnation = after->incarnation,
		.state = after->state, .place = after->place, .name = after->name,
		.folder = after->folder};
	bool first = after->state == RUN_QUEUED || after->state == RUN_CONFIRM;
	struct sched_need need;

	change.old_place = before ? before->place : after->place;
	change.old_name = before ? before->name : after->name;
	if (first)
		engine_need(e, after, &need);
	sched_update(e->sched, after, first ? &need : NULL);
	if (e->sink.changed)
		e->sink.changed(e->sink.arg, &change);
}

bool engine_once(struct engine *e, uint64_t key, int *rc, int64_t *value)
{
	int got;

	*rc = store_begin(e->store);
	if (*rc)
		return true;
	got = store_answer(e->store, key, rc, value);
	if (got == 0)
		return false;
	store_end(e->store, -EALREADY); /* nothing was written */
	if (got < 0)
		*rc = got;
	return true;
}

bool engine_answered(struct engine *e, uint64_t key, int *result, int64_t *value)
{
	return store_answered(e->store, key, result, value);
}

/* ---- Backends ---- */

struct engine_backend *engine_backend_named(struct engine *e, const char *name)
{
	for (int i = 0; i < e->backend_count; i++) {
		if (strcmp(e->backends[i].vt->name, name) == 0)
			return &e->backends[i];
	}
	return NULL;
}

bool engine_backend_disabled(struct engine *e, const char *name, struct why *why)
{
	if (config_backend_enabled(e->config, name))
		return false;
	why_set(why, EACCES, _("The backend %s is switched off in the configuration (backends.%s.enabled)."),
		name, name);
	return true;
}

static void backend_news(void *arg, const char *remote_id, bool ended)
{
	struct engine_backend *b = arg;

	sched_news(b->engine->sched, b->vt->name, remote_id, ended);
}

static int wrap_backend(struct engine *e, struct engine_backend *b, struct backend_conn *conn)
{
	struct backend_handle plain = {b->vt, conn}, faulty;
	int rc = backend_fault(plain, &faulty);

	if (rc) {
		b->vt->close(conn);
		return rc;
	}
	rc = backend_trace(faulty, e->log, &b->handle);
	if (rc)
		faulty.vt->close(faulty.conn);
	return rc;
}

/* Lock held. */
static int try_open(struct engine *e, struct engine_backend *b)
{
	struct backend_setup setup = {.config = e->config, .log = e->log, .program = e->program,
		.state_path = e->state_path, .mountpoint = e->mountpoint,
		.state_dirfd = e->state_dirfd, .changed = backend_news, .arg = b};
	struct backend_conn *conn = NULL;
	int rc;

	memset(&b->trouble, 0, sizeof(b->trouble));
	b->tried_ns = clock_boot_ns();
	rc = b->vt->open(&setup, &conn, &b->trouble);
	if (!rc)
		rc = wrap_backend(e, b, conn);
	if (!rc) {
		b->open = true;
		return 0;
	}
	if (!b->trouble.err)
		why_set(&b->trouble, -rc, _("The backend %s cannot be used: %s."), b->vt->name,
			strerror(-rc));
	log_write(e->log, LOG_LEVEL_WARN, "backend.open", NULL, "%s", why_text(&b->trouble));
	return rc;
}

int engine_backend_open(struct engine *e, const char *name, struct backend_handle *out, struct why *why)
{
	struct engine_backend *b = engine_backend_named(e, name);
	int rc = 0;

	if (!b)
		return why_set(why, ENOENT, _("There is no backend called %s."), name);
	pthread_mutex_lock(&b->lock);
	if (!b->open && (!b->tried_ns || clock_boot_ns() - b->tried_ns >= BACKEND_REOPEN_NS))
		try_open(e, b);
	if (b->open)
		*out = b->handle;
	else
		rc = why_set(why, b->trouble.err, "%s", why_text(&b->trouble));
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static void list_backends(struct engine *e, const struct backend *const *all)
{
	for (; *all && e->backend_count < BACKENDS_MAX; all++) {
		struct engine_backend *b = &e->backends[e->backend_count];

		b->engine = e;
		b->vt = *all;
		pthread_mutex_init(&b->lock, NULL);
		e->names[e->backend_count++] = (*all)->name;
	}
}

const char *const *engine_backends(struct engine *e)
{
	return e->names;
}

static int describe(struct engine *e, const char *backend, struct strbuf *status, struct strbuf *quota)
{
	struct backend_handle handle = {0};
	struct why why = {0};
	int rc;

	if (!engine_backend_named(e, backend))
		return -ENOENT;
	if (engine_backend_disabled(e, backend, &why)) {
		strbuf_addf(status, "disabled: %s\n", why_text(&why));
		return status->err;
	}
	rc = engine_backend_open(e, backend, &handle, &why);
	if (!rc && handle.vt)
		return handle.vt->describe(handle.conn, status, quota);
	strbuf_addf(status, "unavailable: %s\n", why_text(&why));
	return status->err;
}

int engine_backend_status(struct engine *e, const char *backend, struct strbuf *out)
{
	AUTO_BUF struct strbuf quota = STRBUF_INIT;

	return describe(e, backend, out, &quota);
}

int engine_backend_quota(struct engine *e, const char *backend, struct strbuf *out)
{
	AUTO_BUF struct strbuf status = STRBUF_INIT;

	return describe(e, backend, &status, out);
}

/* ---- Opening ---- */

/* Two processes on one state directory would run everything twice. A POSIX lock goes with its process,
 * so a server that was killed leaves none behind; the wait is for one that is just ending. */
static int lock_state(struct engine *e, struct why *why)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};

	e->lock_fd = openat(e->state_dirfd, "engine.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		0600);
	if (e->lock_fd < 0)
		return why_set(why, errno, _("%s cannot be written: %s."), e->state_path,
			strerror(errno));
	for (int waited = 0; fcntl(e->lock_fd, F_SETLK, &lock); waited += 10) {
		if (errno != EAGAIN && errno != EACCES)
			return why_set(why, errno, _("%s cannot be locked: %s."), e->state_path,
				strerror(errno));
		if (waited >= LOCK_WAIT_MS)
			return why_set(why, EBUSY, _("Another kexecfs works on %s."),
				e->state_path);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int64_t gigabytes(double gb)
{
	if (!(gb > 0))
		return 0;
	return gb < 1e9 ? (int64_t)(gb * 1073741824.0) : INT64_MAX / 2;
}

/* backends.<name>.freshness_seconds, which the configuration has checked; a second at least. */
int64_t engine_fresh_ns(const struct engine *e, const char *backend)
{
	double s = json_number(json_get(json_get(e->config->backends, backend), "freshness_seconds"), FRESH_S);

	return (int64_t)((s < 1 ? 1 : s) * (double)NS_PER_S);
}

/* What it declares; else the mean of what the last runs of its folder took. */
void engine_need(struct engine *e, const struct run *r, struct sched_need *out)
{
	struct engine_backend *b = engine_backend_named(e, r->backend);
	struct json *json = r->options ? json_parse(r->options, strlen(r->options),
						 strlen(r->options), NULL) : NULL;
	struct options o;

	memset(out, 0, sizeof(*out));
	out->local = !b || !(b->vt->caps & BACKEND_NETWORK);
	out->fresh_ns = b && !(b->vt->caps & BACKEND_PUSHES) ? engine_fresh_ns(e, b->vt->name) : 0;
	options_init(&o);
	if (json && options_from_json(json, &o, NULL) == 0) {
		out->gpu = o.gpu && e->config->jobs_gpus > 0;
		out->deadline_ns = o.deadline_ns;
		out->memory_bytes = gigabytes(o.memory_gb);
	}
	if (out->local && !out->memory_bytes)
		out->memory_bytes = store_mean_memory(e->store, r->folder);
	options_release(&o);
	json_free(json);
}

static bool has_been_sent(enum run_state state)
{
	return state == RUN_SUBMITTING || state == RUN_RUNNING || state == RUN_UNKNOWN ||
	       state == RUN_CANCELLING || state == RUN_COLLECTING;
}

/* Every run with something to do becomes an item. What may have been sent is asked for by its token
 * before anything else: the workers do it, a start waits for no backend. */
static int load_active(struct engine *e)
{
	struct run page[LOAD_PAGE];
	int64_t after = 0;
	int n;

	while ((n = store_active(e->store, after, page, LOAD_PAGE)) > 0) {
		for (int i = 0; i < n; i++) {
			struct sched_need need;

			engine_need(e, &page[i], &need);
			sched_update(e->sched, &page[i], &need);
			if (has_been_sent(page[i].state))
				sched_poke(e->sched, page[i].id, true);
			after = page[i].id;
			run_release(&page[i]);
		}
	}
	return n;
}

static int open_sched(struct engine *e)
{
	struct sched_setup setup = {.step = engine_step, .held = engine_held,
		.housekeep = engine_housekeep, .arg = e,
		.capacity = {.jobs = e->config->jobs_max > 0 ? e->config->jobs_max : 1,
			.memory_bytes = gigabytes(e->config->jobs_memory_gb),
			.gpus = e->config->jobs_gpus}};

	if (!setup.capacity.memory_bytes)
		setup.capacity.memory_bytes = INT64_MAX / 2;
	return sched_open(&setup, &e->sched);
}

static int copy_setup(struct engine *e, const struct engine_setup *setup)
{
	e->state_dirfd = setup->state_dirfd;
	e->config = setup->config;
	e->log = setup->log;
	e->sink = setup->sink;
	e->state_path = strdup(setup->state_path);
	e->mountpoint = strdup(setup->mountpoint);
	e->program = strdup(setup->program ? setup->program : "");
	list_backends(e, setup->backends ? setup->backends : backend_all());
	return e->state_path && e->mountpoint && e->program ? 0 : -ENOMEM;
}

/* Compiling the rules takes longer than all the rest of a start, which users of the mount wait for when
 * the server has died: they are compiled when a run has failed. Only somebody's own rules are looked at
 * now, so that a mistake in them is told at the mount. */
static int check_own_rules(struct engine *e, struct why *why)
{
	AUTO_FREE char *path = NULL;

	if (!e->config->folder)
		return 0;
	if (asprintf(&path, "%s/classify.rules", e->config->folder) < 0)
		return -ENOMEM;
	if (access(path, F_OK) != 0)
		return 0;
	return classifier_open(e->config->folder, &e->classifier, why);
}

const struct classifier *engine_classifier(struct engine *e)
{
	pthread_mutex_lock(&e->classifier_lock);
	if (!e->classifier && classifier_open(e->config->folder, &e->classifier, NULL) != 0)
		classifier_open(NULL, &e->classifier, NULL);
	pthread_mutex_unlock(&e->classifier_lock);
	return e->classifier;
}

static int open_parts(struct engine *e, const struct engine_setup *setup, struct why *why)
{
	int rc = copy_setup(e, setup);

	if (!rc)
		rc = lock_state(e, why);
	if (!rc && mkdirat(e->state_dirfd, "runs", 0700) && errno != EEXIST)
		rc = why_set(why, errno, _("%s cannot be written: %s."), e->state_path,
			strerror(errno));
	if (!rc)
		rc = store_open(e->state_path, setup->connection, &e->store, why);
	if (!rc)
		rc = check_own_rules(e, why);
	if (!rc)
		rc = open_sched(e);
	if (!rc)
		rc = objects_open(e, &e->objects);
	if (!rc && store_rebooted(e->store))
		rc = engine_repair_drafts(e);
	if (!rc)
		rc = load_active(e);
	return rc;
}

int engine_start(struct engine *e)
{
	int rc = sched_start(e->sched);

	return rc ? rc : objects_start(e->objects);
}

/* After its threads have ended. */
static void release_engine(struct engine *e)
{
	/* Backends first: until they are closed their threads may still tell the scheduler news. */
	for (int i = 0; i < e->backend_count; i++) {
		if (e->backends[i].open)
			e->backends[i].handle.vt->close(e->backends[i].handle.conn);
		pthread_mutex_destroy(&e->backends[i].lock);
	}
	sched_close(e->sched);
	objects_close(e->objects);
	classifier_close(e->classifier);
	pthread_mutex_destroy(&e->classifier_lock);
	store_close(e->store);
	if (e->lock_fd >= 0)
		close(e->lock_fd);
	free(e->state_path);
	free(e->mountpoint);
	free(e->program);
	free(e);
}

/* Both are stopped, whether or not the first one has ended. */
static bool stop_threads(struct engine *e)
{
	bool ended = !e->sched || sched_stop(e->sched, STOP_WAIT_NS);

	return objects_stop(e->objects, OBJECTS_WAIT_NS) && ended;
}

int engine_open(const struct engine_setup *setup, struct engine **out, struct why *why)
{
	struct engine *e = calloc(1, sizeof(*e));
	int rc;

	*out = NULL;
	if (!e)
		return why_set(why, ENOMEM, _("Out of memory."));
	e->lock_fd = -1;
	pthread_mutex_init(&e->classifier_lock, NULL);
	rc = open_parts(e, setup, why);
	if (!rc) {
		*out = e;
		return 0;
	}
	if (why && !why->err)
		why_set(why, -rc, _("The engine cannot start: %s."), strerror(-rc));
	if (stop_threads(e))
		release_engine(e);
	return rc;
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	/* A worker that a service keeps waiting still uses all of this: then the process ends with it. */
	if (stop_threads(e)) {
		store_note_clock(e->store);
		release_engine(e);
	} else {
		log_write(e->log, LOG_LEVEL_WARN, "engine.close", NULL,
			"a call to a backend did not return in time");
	}
}

/* ---- Paths ---- */

const char *engine_source_path(char *buf, int64_t run)
{
	return engine_run_file_path(buf, run, "source");
}

const char *engine_run_file_path(char *buf, int64_t run, const char *name)
{
	snprintf(buf, ENGINE_PATH_MAX, "runs/%" PRId64 "/%s", run, name);
	return buf;
}

const char *engine_attempt_path(char *buf, int64_t run, int n, const char *name)
{
	snprintf(buf, ENGINE_PATH_MAX, "runs/%" PRId64 "/attempts/%d%s%s", run, n, name ? "/" : "",
		name ? name : "");
	return buf;
}

int engine_state_dirfd(struct engine *e)
{
	return e->state_dirfd;
}

const struct config *engine_config(struct engine *e)
{
	return e->config;
}
