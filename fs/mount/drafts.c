#include "fs/mount/drafts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"
#include "fs/engine/door.h"
#include "fs/engine/engine.h"
#include "fs/mount/writers.h"

#define RETRY_NS   (5 * NS_PER_S) /* a submission that failed (disk full): tried again */
#define ASK_NS     (3 * NS_PER_S) /* who asks waits no longer; the submission goes on without them */
#define MAX_DEPTH  200
#define NEVER      INT64_MAX

struct drafts {
	pthread_mutex_t lock;      /* writers and wounds of all records, and `next` */
	pthread_cond_t wake, judged;
	pthread_t thread;
	bool stop, running;
	int64_t next[SHARED_DRAFTS]; /* CLOCK_BOOTTIME when the door looks at that record again */
	int64_t judged_change[SHARED_DRAFTS]; /* changed_ns of what the last verdict was about */
};

/* ---- Facts as they happen: FUSE threads ---- */

/* `lock` is held. The thread need not be woken when it is going to look anyway: it then sees the
 * newer change and waits on. */
static void look_at(struct mount *m, struct shared_draft *d, int64_t when)
{
	struct drafts *t = m->drafts;
	size_t i = (size_t)(d - m->shared->draft);

	if (when < t->next[i]) {
		t->next[i] = when;
		pthread_cond_signal(&t->wake);
	}
}

int drafts_enter(const struct call *c, int64_t run, struct shared_draft **slot)
{
	struct mount *m = c->mount;

	pthread_rwlock_rdlock(&m->gate);
	*slot = draft_slot(m->shared, run);
	if (*slot && !(atomic_load(&(*slot)->flags) & DRAFT_FROZEN))
		return 0;
	pthread_rwlock_unlock(&m->gate);
	*slot = NULL;
	return -EROFS;
}

void drafts_leave(const struct call *c)
{
	pthread_rwlock_unlock(&c->mount->gate);
}

void drafts_changed(const struct call *c, struct shared_draft *slot)
{
	struct drafts *t = c->mount->drafts;
	pid_t pid = 0;
	uint64_t start = 0;
	int64_t now = clock_boot_ns();

	if (call_process(c, &pid, &start) != 0)
		pid = 0;
	pthread_mutex_lock(&t->lock);
	atomic_store(&slot->changed_ns, now);
	atomic_fetch_and(&slot->flags, ~(uint32_t)DRAFT_INTERRUPTED);
	draft_writer(slot, pid, start);
	look_at(c->mount, slot, now + (int64_t)(c->mount->config->settle_exited_s * (double)NS_PER_S));
	pthread_mutex_unlock(&t->lock);
}

int drafts_add(struct mount *m, int64_t run)
{
	struct drafts *t = m->drafts;

	pthread_mutex_lock(&t->lock);
	struct shared_draft *d = draft_slot_new(m->shared, run);

	if (d) {
		atomic_store(&d->changed_ns, clock_boot_ns());
		look_at(m, d, clock_boot_ns() + NS_PER_S);
	}
	pthread_mutex_unlock(&t->lock);
	return d ? 0 : -ENOSPC;
}

void drafts_forget(struct mount *m, int64_t run)
{
	struct drafts *t = m->drafts;

	pthread_mutex_lock(&t->lock);
	struct shared_draft *d = draft_slot(m->shared, run);

	if (d) {
		t->next[d - m->shared->draft] = NEVER;
		atomic_store(&d->run, 0);
	}
	pthread_mutex_unlock(&t->lock);
}

/* Do something to a draft's record under the lock and have the door look at it. */
/* NOLINTBEGIN(bugprone-macro-parentheses): d is declared here */
#define WITH_DRAFT(m, run, d, action)                                                              \
	do {                                                                                       \
		pthread_mutex_lock(&(m)->drafts->lock);                                            \
		struct shared_draft *d = draft_slot((m)->shared, (run));                           \
		if (d) {                                                                           \
			action;                                                                    \
			look_at((m), d, clock_boot_ns());                                          \
		}                                                                                  \
		pthread_mutex_unlock(&(m)->drafts->lock);                                          \
	} while (0)
/* NOLINTEND(bugprone-macro-parentheses) */

void drafts_ask(struct mount *m, int64_t run)
{
	WITH_DRAFT(m, run, d, atomic_fetch_or(&d->flags, DRAFT_ASKED));
}

/* `lock` is held. Wait for a condition variable that runs on CLOCK_MONOTONIC; a suspend only makes us
 * look late once. False when the time is over. */
static bool wait_until(struct drafts *t, pthread_cond_t *cond, int64_t boot_ns)
{
	struct timespec ts;
	int64_t left = boot_ns - clock_boot_ns();

	if (boot_ns == NEVER)
		return pthread_cond_wait(cond, &t->lock) == 0;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	left += (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
	ts = (struct timespec){.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
	return pthread_cond_timedwait(cond, &t->lock, &ts) == 0;
}

void drafts_ask_and_wait(struct mount *m, int64_t run)
{
	struct drafts *t = m->drafts;
	int64_t until = clock_boot_ns() + ASK_NS;

	drafts_ask(m, run);
	pthread_mutex_lock(&t->lock);
	for (;;) {
		struct shared_draft *d = draft_slot(m->shared, run);

		/* Open writers are not waited for: the door looks again when they have closed. */
		if (!d || t->stop || atomic_load(&d->open_writers) > 0 || !wait_until(t, &t->judged, until))
			break;
	}
	pthread_mutex_unlock(&t->lock);
}

bool drafts_quiet(struct mount *m, int64_t run, int64_t quiet_ns)
{
	struct drafts *t = m->drafts;
	bool quiet = true;

	pthread_mutex_lock(&t->lock);
	const struct shared_draft *d = draft_slot(m->shared, run);

	if (d) {
		int64_t changed = atomic_load(&d->changed_ns);

		quiet = !(atomic_load(&d->flags) & (DRAFT_ASKED | DRAFT_FROZEN)) &&
			t->judged_change[d - m->shared->draft] == changed && clock_boot_ns() - changed >= quiet_ns;
	}
	pthread_mutex_unlock(&t->lock);
	return quiet;
}

void drafts_wound(struct mount *m, int64_t run, uint64_t key, bool killed)
{
	WITH_DRAFT(m, run, d, draft_wound(d, key, killed));
}

void drafts_heal(struct mount *m, int64_t run, uint64_t key)
{
	WITH_DRAFT(m, run, d, draft_heal(d, key));
}

void drafts_open(struct mount *m, int64_t run, int delta)
{
	WITH_DRAFT(m, run, d, atomic_fetch_add(&d->open_writers, (uint32_t)delta));
}

bool drafts_frozen(struct mount *m, int64_t run)
{
	struct shared_draft *d = draft_slot(m->shared, run);

	return !d || (atomic_load(&d->flags) & DRAFT_FROZEN);
}

/* ---- The door thread ---- */

static void facts_of_record(struct mount *m, const struct shared_draft *d, const struct run *run, struct door_facts *f)
{
	uint32_t flags = atomic_load(&d->flags);

	*f = (struct door_facts){
		.now_ns = clock_boot_ns(),
		.changed_ns = atomic_load(&d->changed_ns),
		.staging = run->folder[0] == '.',
		.asked = flags & DRAFT_ASKED,
		.explicit_only = m->config->submit == SUBMIT_EXPLICIT,
		.open_writers = (int)atomic_load(&d->open_writers),
		.writers_alive = draft_writers_alive(d),
		.writers_unseen = flags & DRAFT_UNSEEN,
		.refused = (d->wounds > 0 && !(flags & DRAFT_KILLED)) || (flags & DRAFT_WOUNDS_LOST),
		.writer_killed = flags & DRAFT_KILLED,
		.interrupted = flags & DRAFT_INTERRUPTED,
		.runnable = true, /* until the folder has been read */
		.settle_exited_ns = (int64_t)(m->config->settle_exited_s * (double)NS_PER_S),
		.settle_alive_ns = (int64_t)(m->config->settle_alive_s * (double)NS_PER_S),
	};
}

static int see_temporary(void *arg, const struct io_entry *entry)
{
	const char *base = strrchr(entry->path, '/');

	if (!door_temporary_name(base ? base + 1 : entry->path))
		return 0;
	*(bool *)arg = true;
	return 1;
}

/* The expensive facts: only asked when the cheap ones would let it through. `detail` receives what a
 * person must know of them: what is missing. */
static void facts_of_folder(struct mount *m, int64_t id, struct door_facts *f, struct strbuf *detail)
{
	char path[ENGINE_PATH_MAX];
	struct options options;
	struct problems problems = {0};
	AUTO_FD int dir = io_open_dir(m->state_dirfd, engine_source_path(path, id));

	f->runnable = false;
	if (dir < 0)
		return;
	io_walk(dir, ".", MAX_DEPTH, see_temporary, &f->temporary);
	if (options_read(dir, m->config, &options, &problems, NULL) != 0)
		return;
	f->runnable = options.kind != KIND_NONE;
	if (options.missing)
		strbuf_adds(detail, options.missing);
	f->bad_metadata = options.bad_metadata;
	for (char **name = options.named_files; name && *name; name++) {
		if (faccessat(dir, *name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		f->named_missing = true;
		strbuf_addf(detail, "%s%s", detail->len ? ", " : "", *name);
	}
	options_release(&options);
	problems_release(&problems);
}

/* Nobody may change the folder from here on. False when somebody did since the facts were taken. */
static bool freeze(struct mount *m, struct shared_draft *d, const struct door_facts *f)
{
	pthread_rwlock_wrlock(&m->gate);
	bool same = atomic_load(&d->changed_ns) == f->changed_ns &&
		(int)atomic_load(&d->open_writers) == f->open_writers;

	if (same)
		atomic_fetch_or(&d->flags, DRAFT_FROZEN);
	pthread_rwlock_unlock(&m->gate);
	return same;
}

static int take_out_submit(struct mount *m, int64_t id)
{
	char path[ENGINE_PATH_MAX];
	AUTO_FD int dir = io_open_dir(m->state_dirfd, engine_source_path(path, id));

	if (dir < 0)
		return dir;
	return unlinkat(dir, ".submit", 0) == 0 || errno == ENOENT ? 0 : -errno;
}

static int64_t submit(struct mount *m, struct shared_draft *d, const struct door_facts *f)
{
	int64_t id = (int64_t)atomic_load(&d->run);
	struct why why = {0};

	if (!freeze(m, d, f))
		return clock_boot_ns();
	int r = take_out_submit(m, id);

	if (r == 0)
		r = engine_submit(m->engine, id, &why);
	if (r == 0) {
		drafts_forget(m, id);
		return NEVER;
	}
	log_write(m->log, LOG_LEVEL_ERROR, "submit.failed", NULL, "run %lld: %s", (long long)id,
		why.err ? why_text(&why) : strerror(-r));
	atomic_fetch_and(&d->flags, ~(uint32_t)DRAFT_FROZEN);
	engine_draft_note(m->engine, id, why.err ? why_text(&why) : strerror(-r), true);
	return clock_boot_ns() + RETRY_NS;
}

static void note(struct mount *m, int64_t id, const struct door_verdict *v, const char *detail)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;

	strbuf_adds(&text, door_reason_text(v->reason));
	if (*detail && (v->reason == DOOR_NOT_RUNNABLE || v->reason == DOOR_NAMED_MISSING))
		strbuf_addf(&text, ": %s", detail);
	engine_draft_note(m->engine, id, text.buf, v->action == DOOR_REST);
}

/* Look at one draft; when to look again. Runs without the lock. */
static int64_t judge(struct mount *m, struct shared_draft *d)
{
	int64_t id = (int64_t)atomic_load(&d->run);
	struct door_facts f;
	struct run run = {0};

	if (id == 0)
		return NEVER;
	if (engine_run(m->engine, id, &run) != 0 || run.state != RUN_DRAFT) {
		run_release(&run);
		drafts_forget(m, id);
		return NEVER;
	}
	pthread_mutex_lock(&m->drafts->lock);
	facts_of_record(m, d, &run, &f);
	pthread_mutex_unlock(&m->drafts->lock);
	run_release(&run);
	struct door_verdict v = door_judge(&f);
	AUTO_BUF struct strbuf detail = STRBUF_INIT;

	if (v.action != DOOR_WAIT) {
		facts_of_folder(m, id, &f, &detail);
		v = door_judge(&f);
	}
	if (v.action == DOOR_SUBMIT || v.action == DOOR_REJECT)
		return submit(m, d, &f);
	note(m, id, &v, detail.buf);
	pthread_mutex_lock(&m->drafts->lock);
	m->drafts->judged_change[d - m->shared->draft] = f.changed_ns;
	pthread_mutex_unlock(&m->drafts->lock);
	return v.action == DOOR_REST ? NEVER : v.next_ns;
}

/* `lock` is held; index of the draft that is due first. */
static size_t first_due(const struct drafts *t)
{
	size_t best = 0;

	for (size_t i = 1; i < SHARED_DRAFTS; i++)
		if (t->next[i] < t->next[best])
			best = i;
	return best;
}

static void *door_thread(void *arg)
{
	struct mount *m = arg;
	struct drafts *t = m->drafts;

	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		size_t i = first_due(t);

		if (t->next[i] > clock_boot_ns()) {
			wait_until(t, &t->wake, t->next[i]);
			continue;
		}
		t->next[i] = NEVER; /* a change from now on sets it again */
		pthread_mutex_unlock(&t->lock);
		int64_t next = judge(m, &m->shared->draft[i]);

		pthread_mutex_lock(&t->lock);
		if (next < t->next[i])
			t->next[i] = next;
		pthread_cond_broadcast(&t->judged);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* ---- Start ---- */

static int adopt(void *arg, const struct engine_entry *entry)
{
	struct mount *m = arg;
	struct shared_draft *d = draft_slot_new(m->shared, entry->id);

	if (d) {
		atomic_store(&d->changed_ns, clock_boot_ns());
		atomic_fetch_or(&d->flags, DRAFT_INTERRUPTED);
	}
	return d ? 0 : 1;
}

/* A submission that a dead server had begun is judged again: nothing but the flag says it began. */
static void thaw(struct mount *m)
{
	for (size_t i = 0; i < SHARED_DRAFTS; i++) {
		struct shared_draft *d = &m->shared->draft[i];

		if (atomic_load(&d->run) == 0)
			continue;
		atomic_fetch_and(&d->flags, ~(uint32_t)DRAFT_FROZEN);
		atomic_store(&d->changed_ns, clock_boot_ns());
		m->drafts->next[i] = clock_boot_ns();
	}
}

int drafts_start(struct mount *m, bool fresh)
{
	struct drafts *t = calloc(1, sizeof(*t));
	pthread_condattr_t attr;

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->wake, &attr);
	pthread_cond_init(&t->judged, &attr);
	pthread_condattr_destroy(&attr);
	for (size_t i = 0; i < SHARED_DRAFTS; i++)
		t->next[i] = NEVER;
	m->drafts = t;
	if (fresh)
		engine_list(m->engine, LIST_DRAFTS, 0, adopt, m);
	drafts_recount(m->shared);
	thaw(m);
	int r = pthread_create(&t->thread, NULL, door_thread, m);

	t->running = r == 0;
	return -r;
}

void drafts_stop(struct mount *m)
{
	struct drafts *t = m->drafts;

	if (!t)
		return;
	if (t->running) {
		pthread_mutex_lock(&t->lock);
		t->stop = true;
		pthread_cond_signal(&t->wake);
		pthread_cond_broadcast(&t->judged);
		pthread_mutex_unlock(&t->lock);
		pthread_join(t->thread, NULL);
	}
	pthread_cond_destroy(&t->wake);
	pthread_cond_destroy(&t->judged);
	pthread_mutex_destroy(&t->lock);
	free(t);
	m->drafts = NULL;
}
