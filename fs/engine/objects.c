/* Who asks for a part, and the threads that bring it. */
#include "fs/engine/objects.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/engine/objects_private.h"

#define IN_VAIN_NS     (5 * NS_PER_S)	/* nothing is asked again sooner */
#define CALL_NS	       OBJECT_WAIT_NS
#define OUTPUT_NS      (900 * NS_PER_S) /* goes on when those who waited are gone: large files come in the end */
#define ACTIVITIES_MAX 256

/* ---- Names ---- */

static const struct backend_objects *objects_of(struct engine *e, const char *backend)
{
	const struct engine_backend *b = engine_backend_named(e, backend);

	return b ? b->vt->objects : NULL;
}

bool engine_has_objects(struct engine *e, const char *backend)
{
	return objects_of(e, backend) != NULL;
}

int engine_object_find(struct engine *e, const char *backend, const char *kind, const char *name, bool make,
	int64_t *id)
{
	const struct backend_objects *vt = objects_of(e, backend);
	int rc;

	if (!vt || strlen(name) >= OBJECT_NAME_MAX || !vt->valid(kind, name))
		return -ENOENT;
	rc = store_find_object(e->store, backend, kind, name, id);
	if (rc != -ENOENT || !make)
		return rc;
	rc = store_begin(e->store);
	if (rc)
		return rc;
	/* Somebody else may have been quicker. */
	if (store_find_object(e->store, backend, kind, name, id) != 0)
		rc = store_add_object(e->store, backend, kind, name, id);
	return store_end(e->store, rc);
}

int engine_object(struct engine *e, int64_t id, struct object_row *out)
{
	return store_read_object(e->store, id, out);
}

int engine_object_list(struct engine *e, const char *backend, const char *kind, int64_t after,
	int (*each)(void *arg, const struct object_row *row), void *arg)
{
	struct object_row row;
	int n;

	while ((n = store_objects(e->store, backend, kind, after, &row, 1)) == 1) {
		if (each(arg, &row))
			return 0;
		after = row.id;
	}
	return n;
}

/* ---- Activities. The lock is held. ---- */

static struct activity *find(const struct objects *o, int64_t id, const char *part)
{
	for (struct activity *a = o->list; a; a = a->next) {
		if (a->id == id && strcmp(a->part, part) == 0)
			return a;
	}
	return NULL;
}

/* The one that ended first makes room. */
static void forget_oldest(struct objects *o)
{
	struct activity **oldest = NULL;

	for (struct activity **at = &o->list; *at; at = &(*at)->next) {
		if ((*at)->state == DONE && (!oldest || (*at)->done_ns < (*oldest)->done_ns))
			oldest = at;
	}
	if (!oldest)
		return;
	struct activity *a = *oldest;

	*oldest = a->next;
	o->count--;
	free(a);
}

static struct activity *add(struct objects *o, int64_t id, const char *part)
{
	struct activity *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	if (o->count >= ACTIVITIES_MAX)
		forget_oldest(o);
	a->id = id;
	a->state = DONE;
	snprintf(a->part, sizeof(a->part), "%s", part);
	a->next = o->list;
	o->list = a;
	o->count++;
	return a;
}

/* The one that waits for longest: the list has the newest first. */
static struct activity *next_wanted(const struct objects *o)
{
	struct activity *last = NULL;

	for (struct activity *a = o->list; a; a = a->next) {
		if (a->state == WANTED)
			last = a;
	}
	return last;
}

/* ---- Bringing ---- */

struct errand {
	struct engine *e;
	struct object_row row;
	const char *part;
	int dirfd;      /* objects/<id> */
	char temporary[32];
};

static int64_t limit_of(const char *part)
{
	return clock_boot_ns() + (strcmp(part, "output") == 0 ? OUTPUT_NS : CALL_NS);
}

static int open_temporary(const struct errand *x)
{
	int rc = io_remove_tree(x->dirfd, x->temporary);

	if (!rc && mkdirat(x->dirfd, x->temporary, 0700))
		rc = -errno;
	return rc ? rc : io_open_dir(x->dirfd, x->temporary);
}

static int fetch(struct errand *x, const struct object_part *there, int into, struct strbuf *version,
	struct why *why)
{
	const struct object o = {.kind = x->row.kind, .name = x->row.name};
	struct backend_handle b = {0};
	int rc;

	if (engine_backend_disabled(x->e, x->row.backend, why))
		return -EACCES;
	rc = engine_backend_open(x->e, x->row.backend, &b, why);
	if (rc || !b.vt->objects)
		return rc ? rc : -ENOENT;
	return b.vt->objects->fetch(b.conn, &o, x->part, there->version, into, limit_of(x->part), version, why);
}

static int bring_into(struct errand *x, int into, struct why *why)
{
	AUTO_BUF struct strbuf version = STRBUF_INIT;
	struct object_part there = {0};
	struct stat st;
	int rc = object_part_read(x->e, x->row.id, x->part, &there);

	if (!rc)
		rc = fetch(x, &there, into, &version, why);
	if (rc)
		return rc > 0 && there.generation ? 0 : rc > 0 ? -EPROTO : rc;
	if (fstatat(into, x->part, &st, AT_SYMLINK_NOFOLLOW) || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
		return -EPROTO;
	if (syncfs(into))
		return -errno;
	return object_part_publish(x->dirfd, x->temporary, x->part, version.buf, &there);
}

static int bring(struct errand *x, struct why *why)
{
	int rc = fault_point("object.fetch");
	AUTO_FD int dirfd = object_dir(x->e, x->row.id);
	AUTO_FD int into = -1;

	if (rc || dirfd < 0)
		return rc ? rc : dirfd;
	x->dirfd = dirfd;
	snprintf(x->temporary, sizeof(x->temporary), "%s.part", x->part);
	into = open_temporary(x);
	rc = into < 0 ? into : bring_into(x, into, why);
	io_remove_tree(dirfd, x->temporary);
	return rc;
}

static void use(struct engine *e, int64_t id)
{
	int rc = store_begin(e->store);

	if (!rc)
		store_end(e->store, store_use_object(e->store, id));
}

/* What a reader gets instead of it. */
static int answer_of(int rc)
{
	switch (rc) {
	case 0:
	case -ENOENT:
	case -EACCES:
	case -ENOSPC:
	case -EDQUOT:
	case -E2BIG:
		return rc;
	case -EINVAL:
		return -ENOENT;
	case -EPROTO:
		return -EIO;
	default:
		return -EAGAIN;
	}
}

static int run_errand(struct engine *e, int64_t id, const char *part)
{
	struct errand x = {.e = e, .part = part, .dirfd = -1};
	struct why why = {0};
	int rc = store_read_object(e->store, id, &x.row);

	if (rc)
		return rc;
	if (strcmp(part, OBJECT_UPLOAD) == 0) {
		rc = object_send(e, &x.row, &why);
	} else {
		rc = bring(&x, &why);
		use(e, id);
	}
	object_say(e, id, !rc ? "" : why.err ? why_text(&why) : strerror(-rc));
	return answer_of(rc);
}

static void *work(void *arg)
{
	struct objects *o = arg;
	struct activity *a;

	pthread_mutex_lock(&o->lock);
	while (!o->stop && (a = next_wanted(o))) {
		char part[sizeof(a->part)];
		int64_t id = a->id;

		memcpy(part, a->part, sizeof(part));
		a->state = DOING; /* stays in the list meanwhile */
		pthread_mutex_unlock(&o->lock);
		int rc = run_errand(o->e, id, part);

		pthread_mutex_lock(&o->lock);
		a->rc = rc;
		a->state = DONE;
		a->done_ns = clock_boot_ns();
	}
	o->threads--;
	pthread_cond_broadcast(&o->ended);
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

/* Lock held. A thread lives while there is something to do. */
static int start_thread(struct objects *o)
{
	pthread_t thread;

	if (!o->started || o->stop || o->threads >= OBJECT_THREADS)
		return 0;
	int rc = pthread_create(&thread, NULL, work, o);

	if (rc)
		return o->threads ? 0 : -rc;
	pthread_detach(thread);
	o->threads++;
	return 0;
}

/* ---- Asking ---- */

/* Lock held. 0: as it is, it will do; 1: it is on its way; -errno. */
static int want(struct objects *o, int64_t id, const char *part, bool there, int64_t fresh)
{
	struct activity *a = find(o, id, part);
	int64_t age = a && a->done_ns ? clock_boot_ns() - a->done_ns : INT64_MAX;

	if (a && a->state != DONE)
		return 1;
	if (a && a->rc && age < IN_VAIN_NS)
		return a->rc;
	if (a && !a->rc && there && age < fresh)
		return 0;
	if (!a)
		a = add(o, id, part);
	if (!a)
		return -ENOMEM;
	a->state = WANTED;
	int rc = start_thread(o);

	if (rc)
		a->state = DONE;
	return rc ? rc : 1;
}

bool object_busy(struct objects *o, int64_t id, const char *part)
{
	bool busy = false;

	pthread_mutex_lock(&o->lock);
	for (const struct activity *a = o->list; a && !busy; a = a->next)
		busy = a->id == id && a->state != DONE && (!part || strcmp(a->part, part) == 0);
	pthread_mutex_unlock(&o->lock);
	return busy;
}

int object_want(struct objects *o, int64_t id, const char *part)
{
	pthread_mutex_lock(&o->lock);
	struct activity *a = find(o, id, part);

	if (a && a->state == DONE)
		a->rc = 0; /* a failure a moment ago does not count */
	int rc = want(o, id, part, false, 0);

	pthread_mutex_unlock(&o->lock);
	return rc;
}

int engine_object_ask(struct engine *e, int64_t id, const char *part, struct object_wait *wait)
{
	struct object_row row;
	struct object_part there;
	int rc = store_read_object(e->store, id, &row);

	if (!rc)
		rc = object_part_read(e, id, part, &there);
	if (rc)
		return rc;
	pthread_mutex_lock(&e->objects->lock);
	rc = want(e->objects, id, part, there.generation > 0, engine_fresh_ns(e, row.backend));
	pthread_mutex_unlock(&e->objects->lock);
	*wait = (struct object_wait){.id = id, .until_ns = clock_boot_ns() + OBJECT_WAIT_NS};
	snprintf(wait->part, sizeof(wait->part), "%s", part);
	return rc;
}

int engine_object_ready(struct engine *e, const struct object_wait *wait)
{
	struct objects *o = e->objects;
	int rc = -EAGAIN; /* forgotten: too long ago */

	pthread_mutex_lock(&o->lock);
	const struct activity *a = find(o, wait->id, wait->part);

	if (a && a->state == DONE)
		rc = a->rc;
	else if (a && clock_boot_ns() < wait->until_ns)
		rc = 1;
	pthread_mutex_unlock(&o->lock);
	return rc;
}

/* ---- Beginning and end ---- */

int objects_open(struct engine *e, struct objects **out)
{
	struct objects *o = calloc(1, sizeof(*o));
	pthread_condattr_t attr;

	*out = o;
	if (!o)
		return -ENOMEM;
	o->e = e;
	pthread_mutex_init(&o->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&o->ended, &attr);
	pthread_condattr_destroy(&attr);
	if (mkdirat(e->state_dirfd, OBJECTS_DIR, 0700) && errno != EEXIST)
		return -errno;
	return 0;
}

static int take_up(void *arg, const struct object_row *row)
{
	struct objects *o = arg;

	if (object_upload_wanted(o->e, row->id))
		object_want(o, row->id, OBJECT_UPLOAD);
	return 0;
}

int objects_start(struct objects *o)
{
	int rc;

	pthread_mutex_lock(&o->lock);
	o->started = true;
	rc = next_wanted(o) ? start_thread(o) : 0; /* who came before the start */
	pthread_mutex_unlock(&o->lock);
	for (int i = 0; !rc && i < o->e->backend_count; i++) {
		if (o->e->backends[i].vt->objects)
			rc = engine_object_list(o->e, o->e->backends[i].vt->name, OBJECT_DATASET, 0, take_up, o);
	}
	return rc;
}

bool objects_stopping(struct objects *o, int wait_s)
{
	struct timespec ts;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += wait_s;
	pthread_mutex_lock(&o->lock);
	while (!o->stop && wait_s && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&o->ended, &o->lock, &ts);
	bool stop = o->stop;

	pthread_mutex_unlock(&o->lock);
	return stop;
}

bool objects_stop(struct objects *o, int64_t wait_ns)
{
	struct timespec ts;
	int rc = 0;

	if (!o)
		return true;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += wait_ns / NS_PER_S;
	pthread_mutex_lock(&o->lock);
	o->stop = true;
	pthread_cond_broadcast(&o->ended);
	while (o->threads && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&o->ended, &o->lock, &ts);
	bool done = o->threads == 0;

	pthread_mutex_unlock(&o->lock);
	return done;
}

void objects_close(struct objects *o)
{
	struct activity *next;

	if (!o)
		return;
	for (struct activity *a = o->list; a; a = next) {
		next = a->next;
		free(a);
	}
	pthread_cond_destroy(&o->ended);
	pthread_mutex_destroy(&o->lock);
	free(o);
}
