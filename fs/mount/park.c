#include "fs/mount/park.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/strbuf.h"
#include "fs/engine/engine.h"
#include "fs/mount/drafts.h"

#define REST_NS (10 * NS_PER_S) /* a draft that has been at rest for this long will not be submitted */
#define TICK_NS (500 * NS_PER_MS)
#define FRESH_TICK_NS (20 * NS_PER_MS) /* while somebody waits for news, two seconds at most */

struct parked {
	struct parked *next;
	struct mount *mount;
	fuse_req_t req;
	int64_t run;
	size_t size;      /* a read of `wait` */
	off_t at;
	bool opens;       /* an open of `status`, answered with `fi` */
	struct fuse_file_info fi;
	struct freshness fresh;
	park_answer *object; /* a thing of a service is waited for */
	struct object_wait wait;
	struct call call;
	void *data;
	int result;
	bool interrupted; /* before it was in the list */
};

struct park {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	struct parked *list;
	int opening; /* of the list: opens, and what waits for a service */
	bool stop;
};

bool park_ready(const struct call *c, int64_t id)
{
	struct mount *m = c->mount;
	struct run run = {0};
	int64_t since = 0;
	bool ready = true; /* a run that is gone will never end */

	if (engine_run(m->engine, id, &run) == 0)
		ready = run_state_final(run.state);
	if (run.state == RUN_DRAFT && !ready)
		ready = engine_draft_resting(m->engine, id, &since) && clock_boot_ns() - since >= REST_NS &&
			drafts_quiet(m, id, REST_NS);
	run_release(&run);
	return ready;
}

static void answer_open(struct parked *p)
{
	fuse_reply_open(p->req, &p->fi); /* a caller that was killed leaves nothing to release */
}

static void answer_read(struct parked *p)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;
	struct run run = {0};

	if (engine_run(p->mount->engine, p->run, &run) == 0)
		run_status_line(&run, &line);
	run_release(&run);
	size_t at = (size_t)p->at < line.len ? (size_t)p->at : line.len;
	size_t left = line.len - at;

	fuse_reply_buf(p->req, line.buf + at, left < p->size ? left : p->size);
}

static void answer(struct parked *p)
{
	if (p->object)
		p->object(&p->call, p->req, p->result, p->data);
	else if (p->opens)
		answer_open(p);
	else
		answer_read(p);
}

/* Is somebody at a terminal waiting for it to answer? */
static bool soon(const struct parked *p)
{
	return p->opens || p->object;
}

static void discard(struct parked *p)
{
	free(p->data);
	free(p);
}

/* `lock` is held. */
static void put(struct park *park, struct parked *p)
{
	p->next = park->list;
	park->list = p;
	park->opening += soon(p);
}

static struct parked *take(struct park *park, struct parked **at)
{
	struct parked *p = *at;

	*at = p->next;
	park->opening -= soon(p);
	return p;
}

/* libfuse calls this with the request's own lock held; whoever takes the entry out answers. */
static void interrupted(fuse_req_t req, void *data)
{
	struct parked *p = data;
	struct park *park = p->mount->park;
	bool mine = false;

	pthread_mutex_lock(&park->lock);
	for (struct parked **at = &park->list; *at; at = &(*at)->next) {
		if (*at != p)
			continue;
		take(park, at);
		mine = true;
		break;
	}
	p->interrupted = true;
	pthread_mutex_unlock(&park->lock);
	if (mine) {
		fuse_reply_err(req, EINTR);
		discard(p);
	}
}

/* Takes over what it is given, and the request in it. */
static void park(struct parked *given)
{
	struct park *park = given->mount->park;
	fuse_req_t req = given->req;
	struct parked *p = malloc(sizeof(*p));

	if (!p) {
		fuse_reply_err(req, ENOMEM);
		free(given->data);
		return;
	}
	*p = *given;
	/* Before it is in the list, so that nobody else can answer and free it meanwhile. */
	fuse_req_interrupt_func(req, interrupted, p);
	pthread_mutex_lock(&park->lock);
	bool late = p->interrupted;

	if (!late) {
		put(park, p);
		pthread_cond_signal(&park->wake);
	}
	pthread_mutex_unlock(&park->lock);
	if (late) {
		fuse_req_interrupt_func(req, NULL, NULL);
		fuse_reply_err(req, EINTR);
		discard(p);
	}
}

void park_wait(const struct call *c, fuse_req_t req, int64_t run, size_t size, off_t at)
{
	park(&(struct parked){.mount = c->mount, .req = req, .run = run, .size = size, .at = at});
	/* The run may have ended between the caller's look and the list. */
	park_wake(c->mount, run);
}

void park_open(const struct call *c, fuse_req_t req, int64_t run, const struct fuse_file_info *fi,
	const struct freshness *wait)
{
	park(&(struct parked){.mount = c->mount, .req = req, .run = run, .opens = true, .fi = *fi,
		.fresh = *wait});
}

void park_object(const struct call *c, fuse_req_t req, const struct object_wait *wait, park_answer *answer_it, void *data)
{
	park(&(struct parked){.mount = c->mount, .req = req, .object = answer_it, .wait = *wait, .call = *c, .data = data});
}

static bool is_ready(const struct call *c, struct parked *p)
{
	if (p->object) {
		p->result = engine_object_ready(c->mount->engine, &p->wait);
		return p->result <= 0;
	}
	return p->opens ? engine_fresh(c->mount->engine, &p->fresh) : park_ready(c, p->run);
}

/* Take out the entries of `run` (0: any) that are ready. */
static struct parked *take_ready(struct mount *m, int64_t run)
{
	struct park *park = m->park;
	struct call c = {.mount = m};
	struct parked *ready = NULL;

	pthread_mutex_lock(&park->lock);
	for (struct parked **at = &park->list; *at;) {
		struct parked *p = *at;

		if ((run != 0 && p->run != run) || !is_ready(&c, p)) {
			at = &p->next;
			continue;
		}
		take(park, at);
		p->next = ready;
		ready = p;
	}
	pthread_mutex_unlock(&park->lock);
	return ready;
}

void park_wake(struct mount *m, int64_t run)
{
	struct parked *p, *next;

	if (!m->park)
		return;
	for (p = take_ready(m, run); p; p = next) {
		next = p->next;
		/* Waits for a running interrupted(), which finds the entry gone and leaves it to us. */
		fuse_req_interrupt_func(p->req, NULL, NULL);
		answer(p);
		discard(p);
	}
}

/* Drafts come to rest and waits for news end by time alone, so while anything waits somebody must look. */
static void *tick(void *arg)
{
	struct mount *m = arg;
	struct park *park = m->park;

	pthread_mutex_lock(&park->lock);
	while (!park->stop) {
		struct timespec ts;

		if (!park->list) {
			pthread_cond_wait(&park->wake, &park->lock);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &ts);
		int64_t until = (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec +
			(park->opening ? FRESH_TICK_NS : TICK_NS);

		ts = (struct timespec){.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
		if (pthread_cond_timedwait(&park->wake, &park->lock, &ts) != ETIMEDOUT)
			continue;
		pthread_mutex_unlock(&park->lock);
		park_wake(m, 0);
		pthread_mutex_lock(&park->lock);
	}
	pthread_mutex_unlock(&park->lock);
	return NULL;
}

int park_start(struct mount *m)
{
	struct park *park = calloc(1, sizeof(*park));
	pthread_condattr_t attr;

	if (!park)
		return -ENOMEM;
	pthread_mutex_init(&park->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&park->wake, &attr);
	pthread_condattr_destroy(&attr);
	m->park = park;
	return -pthread_create(&park->thread, NULL, tick, m);
}

void park_halt(struct mount *m)
{
	struct park *park = m->park;

	if (!park)
		return;
	pthread_mutex_lock(&park->lock);
	park->stop = true;
	pthread_cond_signal(&park->wake);
	pthread_mutex_unlock(&park->lock);
	pthread_join(park->thread, NULL);
}

void park_stop(struct mount *m)
{
	struct park *park = m->park;

	if (!park)
		return;
	while (park->list) {
		struct parked *p = take(park, &park->list);

		fuse_req_interrupt_func(p->req, NULL, NULL);
		fuse_reply_none(p->req); /* sends nothing, frees the request */
		discard(p);
	}
	m->park = NULL;
	pthread_cond_destroy(&park->wake);
	pthread_mutex_destroy(&park->lock);
	free(park);
}
