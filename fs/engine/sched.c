#include "fs/engine/sched.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "fs/base/clock.h"

#define PUSH_SPACING_NS (NS_PER_S / 4)
#define HELD_TOLD 100 /* so many at the head of the queue are told why they wait: each is a commit */
#define DEADLINE_RETRY_NS (5 * NS_PER_S)
/* Everything is looked through at least this often: deadlines are wall-clock times, and a step that
 * said nothing about its next look is repeated. */
#define FREE_LOOK_NS (30 * NS_PER_S)

/*
 * One run with something to do. While `busy`, a worker is in its step: `again` then asks for one more
 * look right afterwards, so that news during a step is never lost.
 */
struct item {
	struct look look;
	int64_t version;
	enum run_state state;
	int64_t due;
	int64_t looked;
	int64_t answered_ns; /* when its backend last answered a question about it; 0: not in this process */
	bool busy, again;
	bool remote_step; /* counted in remote_busy */
	pthread_t worker; /* in whose step it is */
	bool allowed;   /* queued, and the allocation says start */
	enum fit told;  /* the reason for waiting that was told last */
	int priority;
	int64_t order;
	struct sched_need need;
	char backend[32];
	char *remote;
};

enum task_kind { TASK_STEP, TASK_HELD, TASK_HOUSEKEEP };
struct task {
	enum task_kind kind;
	int64_t run;
	enum fit fit;
};

struct sched {
	struct sched_setup setup;
	pthread_mutex_t lock;   /* guards everything below */
	pthread_cond_t work;    /* tasks, stopping */
	struct item **items;
	size_t count, cap;
	struct task *tasks;     /* a queue: [head, tail) */
	size_t head, tail, task_cap;
	bool reallocate;        /* who may start must be judged anew */
	bool stopping;
	bool housekeeping;
	int remote_busy;        /* items in a step, or handed out for one, that are not this machine's */
	int64_t housekeep_due;
	int wake_fd, timer_fd;
	pthread_t thread, workers[SCHED_WORKERS];
	int running;            /* threads started: the scheduler's first, then workers */
	int alive;              /* of them, not ended yet */
	pthread_cond_t ended;   /* CLOCK_MONOTONIC */
};

static void wake(struct sched *s)
{
	uint64_t one = 1;

	/* A full counter is a wake-up already. */
	if (write(s->wake_fd, &one, sizeof(one)) < 0)
		return;
}

/* Items are kept by run id, so that finding one among many thousands stays cheap. */
static size_t place_of(const struct sched *s, int64_t run)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->items[middle]->look.run < run)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct item *find_item(const struct sched *s, int64_t run)
{
	size_t i = place_of(s, run);

	return i < s->count && s->items[i]->look.run == run ? s->items[i] : NULL;
}

static struct item *add_item(struct sched *s, int64_t run)
{
	size_t i = place_of(s, run);
	struct item *item;

	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct item **items = realloc(s->items, cap * sizeof(*items));

		if (!items)
			return NULL;
		s->items = items;
		s->cap = cap;
	}
	item = calloc(1, sizeof(*item));
	if (!item)
		return NULL;
	item->look.run = run;
	memmove(&s->items[i + 1], &s->items[i], (s->count - i) * sizeof(*s->items));
	s->items[i] = item;
	s->count++;
	return item;
}

static void free_item(struct item *item)
{
	free(item->remote);
	free(item);
}

static void drop_item(struct sched *s, struct item *item)
{
	size_t i = place_of(s, item->look.run);

	memmove(&s->items[i], &s->items[i + 1], (s->count - i - 1) * sizeof(*s->items));
	s->count--;
	free_item(item);
}

static bool add_task(struct sched *s, struct task task)
{
	if (s->head == s->tail)
		s->head = s->tail = 0;
	if (s->tail == s->task_cap) {
		size_t cap = s->task_cap ? s->task_cap * 2 : 64;
		struct task *tasks = realloc(s->tasks, cap * sizeof(*tasks));

		if (!tasks)
			return false; /* the item stays due: tried again at the next wake-up */
		s->tasks = tasks;
		s->task_cap = cap;
	}
	s->tasks[s->tail++] = task;
	pthread_cond_signal(&s->work);
	return true;
}

static bool has_work(enum run_state state)
{
	return state != RUN_DRAFT && !run_state_final(state);
}

/* Does it occupy this machine? A run that is being collected has no process any more. */
static bool holds_place(const struct item *item)
{
	switch (item->state) {
	case RUN_QUEUED:
		return item->allowed;
	case RUN_SUBMITTING:
	case RUN_RUNNING:
	case RUN_UNKNOWN:
	case RUN_CANCELLING:
		return true;
	default:
		return false;
	}
}

/* ---- Told by others ---- */

static int64_t boot_time_of(const struct stamp *due, int64_t now)
{
	struct stamp present;
	int64_t left;

	if (!due->wall_ns)
		return now;
	present = stamp_now();
	if (strcmp(present.boot_id, due->boot_id) == 0)
		return due->boot_ns;
	/* From before a reboot: what the wall clock says is left, within reason. */
	left = due->wall_ns - present.wall_ns;
	if (left < 0)
		left = 0;
	return now + (left > 3600 * NS_PER_S ? 3600 * NS_PER_S : left);
}

static void set_remote(struct item *item, const char *remote)
{
	if (item->remote && remote && strcmp(item->remote, remote) == 0)
		return;
	free(item->remote);
	item->remote = remote ? strdup(remote) : NULL;
}

static void refresh_item(struct sched *s, struct item *item, const struct run *run,
	const struct sched_need *need)
{
	int64_t now = clock_boot_ns();

	if (item->state != run->state || item->version == 0) {
		item->due = run->state == RUN_CONFIRM ? SCHED_NEVER : boot_time_of(&run->due, now);
		/* What the step itself did needs no second look. */
		if (item->busy && !pthread_equal(item->worker, pthread_self()))
			item->again = true;
		item->look.failures = 0;
		item->allowed = false;
		item->told = FIT_START;
	}
	item->state = run->state;
	item->version = run->version;
	item->priority = run->priority;
	item->order = run->queue_order;
	memcpy(item->backend, run->backend, sizeof(item->backend));
	set_remote(item, run->external_id);
	if (need)
		item->need = *need;
	s->reallocate = true;
}

void sched_update(struct sched *s, const struct run *run, const struct sched_need *need)
{
	struct item *item;

	pthread_mutex_lock(&s->lock);
	item = find_item(s, run->id);
	if (!item && has_work(run->state))
		item = add_item(s, run->id);
	if (item && run->version > item->version) {
		refresh_item(s, item, run, need);
		if (!has_work(item->state) && !item->busy)
			drop_item(s, item);
		wake(s);
	}
	pthread_mutex_unlock(&s->lock);
}

bool sched_knows(struct sched *s, int64_t run)
{
	bool known;

	pthread_mutex_lock(&s->lock);
	known = find_item(s, run) != NULL;
	pthread_mutex_unlock(&s->lock);
	return known;
}

static void poke(struct item *item, int64_t due)
{
	if (due < item->due)
		item->due = due;
	if (item->busy)
		item->again = true;
}

void sched_poke(struct sched *s, int64_t run, bool find_first)
{
	struct item *item;

	pthread_mutex_lock(&s->lock);
	item = find_item(s, run);
	if (item) {
		item->look.find_first |= find_first;
		poke(item, 0);
		wake(s);
	}
	pthread_mutex_unlock(&s->lock);
}

static void push(struct item *item, bool ended)
{
	item->look.pushed = true;
	poke(item, ended ? 0 : item->looked + PUSH_SPACING_NS);
}

void sched_news(struct sched *s, const char *backend, const char *remote_id, bool ended)
{
	bool found = false;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count; i++) {
		struct item *item = s->items[i];

		if (item->remote && strcmp(item->remote, remote_id) == 0 &&
			strcmp(item->backend, backend) == 0) {
			push(item, ended);
			found = true;
		}
	}
	for (size_t i = 0; !found && i < s->count; i++) {
		if (s->items[i]->busy && !s->items[i]->remote)
			push(s->items[i], ended);
	}
	wake(s);
	pthread_mutex_unlock(&s->lock);
}

/* Does a backend hold its job, and is it one that has to be asked? */
static bool is_asked_for(const struct item *item)
{
	return item->need.fresh_ns > 0 && item->remote && item->state != RUN_QUEUED && holds_place(item);
}

static bool is_stale(const struct item *item, int64_t now)
{
	return is_asked_for(item) && now - item->answered_ns >= item->need.fresh_ns;
}

void sched_answered(struct sched *s, int64_t run)
{
	struct item *item;

	pthread_mutex_lock(&s->lock);
	item = find_item(s, run);
	if (item)
		item->answered_ns = clock_boot_ns();
	pthread_mutex_unlock(&s->lock);
}

bool sched_stale(struct sched *s, int64_t run, char *backend, int64_t *fresh_ns)
{
	const struct item *item;
	bool stale;

	pthread_mutex_lock(&s->lock);
	item = find_item(s, run);
	stale = item && is_stale(item, clock_boot_ns());
	if (stale) {
		memcpy(backend, item->backend, sizeof(item->backend));
		*fresh_ns = item->need.fresh_ns;
	}
	pthread_mutex_unlock(&s->lock);
	return stale;
}

void sched_refresh(struct sched *s, const char *backend)
{
	int64_t now = clock_boot_ns();

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count; i++)
		if (is_stale(s->items[i], now) && strcmp(s->items[i]->backend, backend) == 0 && !s->items[i]->busy)
			poke(s->items[i], 0);
	wake(s);
	pthread_mutex_unlock(&s->lock);
}

int sched_unanswered(struct sched *s, const char *backend, int64_t since_ns)
{
	int n = 0;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count; i++) {
		const struct item *item = s->items[i];

		n += is_asked_for(item) && since_ns - item->answered_ns >= item->need.fresh_ns &&
			strcmp(item->backend, backend) == 0;
	}
	pthread_mutex_unlock(&s->lock);
	return n;
}

void sched_housekeep(struct sched *s)
{
	pthread_mutex_lock(&s->lock);
	s->housekeep_due = 0;
	wake(s);
	pthread_mutex_unlock(&s->lock);
}

/* A thread's last act; lock held. */
static void *end_thread(struct sched *s)
{
	s->alive--;
	pthread_cond_signal(&s->ended);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- Scheduler thread ---- */

/* `tell`: its place in the queue is near enough that somebody may want to know why it waits. */
static void judge_one(struct sched *s, struct item *item, enum fit fit, bool tell)
{
	item->allowed = fit == FIT_START;
	if (tell && fit != item->told && !item->allowed &&
		add_task(s, (struct task){.kind = TASK_HELD, .run = item->look.run, .fit = fit}))
		item->told = fit;
}

static void add_use(struct capacity *used, const struct item *item)
{
	if (!item->need.local || !holds_place(item))
		return;
	used->jobs++;
	used->gpus += item->need.gpu;
	used->memory_bytes += item->need.memory_bytes;
}

/* Judge anew who may start. Scheduler thread, lock held. */
static void judge_queue(struct sched *s)
{
	struct capacity used = {0};
	struct demand *waiting = malloc((s->count + 1) * sizeof(*waiting));
	enum fit *fits = malloc((s->count + 1) * sizeof(*fits));
	size_t n = 0;

	for (size_t i = 0; waiting && fits && i < s->count; i++) {
		struct item *item = s->items[i];

		add_use(&used, item);
		if (item->state != RUN_QUEUED || item->allowed)
			continue;
		waiting[n++] = (struct demand){.run = item->look.run, .priority = item->priority,
			.order = item->order, .memory_bytes = item->need.memory_bytes,
			.gpu = item->need.gpu, .local = item->need.local};
	}
	if (n)
		allocate(&s->setup.capacity, &used, waiting, n, fits);
	for (size_t i = 0; i < n; i++)
		judge_one(s, find_item(s, waiting[i].run), fits[i], i < HELD_TOLD);
	s->reallocate = !waiting || !fits;
	free(waiting);
	free(fits);
}

static bool past_deadline(const struct item *item, int64_t wall)
{
	return item->need.deadline_ns && wall >= item->need.deadline_ns &&
	       (item->state == RUN_QUEUED || item->state == RUN_WAITING ||
		       item->state == RUN_CONFIRM || item->state == RUN_RETRYING);
}

static bool ready(const struct item *item, int64_t now, int64_t wall)
{
	if (item->busy)
		return false;
	if (past_deadline(item, wall) && item->looked + DEADLINE_RETRY_NS < now)
		return true;
	if (item->state == RUN_QUEUED)
		return item->allowed && item->due <= now;
	return item->due <= now;
}

/* A service that hangs keeps some of the workers, never all. The end of a step wakes the scheduler. */
static bool waits_for_worker(const struct sched *s, const struct item *item)
{
	return !item->need.local && s->remote_busy >= SCHED_REMOTE;
}

static void start_step(struct sched *s, struct item *item)
{
	item->busy = add_task(s, (struct task){.kind = TASK_STEP, .run = item->look.run});
	item->remote_step = item->busy && !item->need.local;
	s->remote_busy += item->remote_step;
}

/* Hand out what is due; returns when the next thing is. Scheduler thread, lock held. */
static int64_t hand_out(struct sched *s)
{
	int64_t now = clock_boot_ns(), wall = clock_wall_ns(), next = now + FREE_LOOK_NS;

	for (size_t i = 0; i < s->count; i++) {
		struct item *item = s->items[i];

		if (waits_for_worker(s, item))
			continue;
		if (ready(item, now, wall))
			start_step(s, item);
		if (item->busy || (item->state == RUN_QUEUED && !item->allowed))
			continue;
		if (item->due < next)
			next = item->due;
	}
	if (!s->housekeeping && s->housekeep_due <= now)
		s->housekeeping = add_task(s, (struct task){.kind = TASK_HOUSEKEEP});
	if (!s->housekeeping && s->housekeep_due < next)
		next = s->housekeep_due;
	return next > now + NS_PER_MS ? next : now + NS_PER_MS;
}

static void sleep_until(struct sched *s, int64_t boot_ns)
{
	struct itimerspec at = {.it_value = {.tv_sec = boot_ns / NS_PER_S,
		.tv_nsec = boot_ns % NS_PER_S}};
	struct pollfd fds[2] = {{.fd = s->wake_fd, .events = POLLIN},
		{.fd = s->timer_fd, .events = POLLIN}};
	uint64_t drop;

	timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
	if (poll(fds, 2, -1) < 0)
		return;
	if (read(s->wake_fd, &drop, sizeof(drop)) < 0 && errno != EAGAIN)
		return;
	if (read(s->timer_fd, &drop, sizeof(drop)) < 0 && errno != EAGAIN)
		return;
}

static void *scheduler_main(void *arg)
{
	struct sched *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		int64_t next;

		if (s->reallocate)
			judge_queue(s);
		next = hand_out(s);
		pthread_mutex_unlock(&s->lock);
		sleep_until(s, next);
		pthread_mutex_lock(&s->lock);
	}
	return end_thread(s);
}

/* ---- Worker threads ---- */

static void end_step(struct sched *s, const struct look *look)
{
	struct item *item = find_item(s, look->run);

	if (!item)
		return;
	item->busy = false;
	s->remote_busy -= item->remote_step;
	item->remote_step = false;
	item->looked = clock_boot_ns();
	if (!has_work(item->state)) {
		drop_item(s, item);
		s->reallocate = true;
		return;
	}
	/* A find_first or push that came during the step still stands. */
	item->look.failures = look->failures;
	item->look.doubts = look->doubts;
	item->look.put_off = look->put_off;
	item->look.find_first = look->find_first || (item->again && item->look.find_first);
	item->look.pushed = item->look.pushed && item->again;
	if (item->state == RUN_QUEUED && item->allowed) {
		item->allowed = false; /* it did not start after all: let it be judged again */
		s->reallocate = true;
	}
	if (look->next_ns >= 0)
		item->due = look->next_ns;
	if (item->again)
		item->due = item->look.pushed ? item->looked + PUSH_SPACING_NS / 4 : 0;
	item->again = false;
}

static void do_step(struct sched *s, int64_t run)
{
	struct item *item = find_item(s, run);
	struct look look;

	if (!item)
		return;
	item->again = false;
	item->worker = pthread_self();
	item->due = clock_boot_ns() + FREE_LOOK_NS;
	look = item->look;
	item->look.find_first = item->look.pushed = false;
	look.next_ns = -1;
	pthread_mutex_unlock(&s->lock);
	s->setup.step(s->setup.arg, &look);
	pthread_mutex_lock(&s->lock);
	end_step(s, &look);
	wake(s);
}

static void do_housekeep(struct sched *s)
{
	int64_t next;

	s->housekeep_due = SCHED_NEVER;
	pthread_mutex_unlock(&s->lock);
	next = s->setup.housekeep(s->setup.arg);
	pthread_mutex_lock(&s->lock);
	s->housekeeping = false;
	if (next < s->housekeep_due)
		s->housekeep_due = next;
	wake(s);
}

static void do_task(struct sched *s, const struct task *task)
{
	switch (task->kind) {
	case TASK_STEP:
		do_step(s, task->run);
		break;
	case TASK_HOUSEKEEP:
		do_housekeep(s);
		break;
	case TASK_HELD:
		pthread_mutex_unlock(&s->lock);
		s->setup.held(s->setup.arg, task->run, fit_text(task->fit));
		pthread_mutex_lock(&s->lock);
	}
}

static void *worker_main(void *arg)
{
	struct sched *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stopping) {
		struct task task;

		if (s->head == s->tail) {
			pthread_cond_wait(&s->work, &s->lock);
			continue;
		}
		task = s->tasks[s->head++];
		do_task(s, &task);
	}
	return end_thread(s);
}

/* ---- Life ---- */

int sched_open(const struct sched_setup *setup, struct sched **out)
{
	struct sched *s = calloc(1, sizeof(*s));
	pthread_condattr_t monotonic;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->setup = *setup;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	if (s->wake_fd < 0 || s->timer_fd < 0) {
		int rc = -errno;

		sched_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

static int start_thread(struct sched *s, pthread_t *thread, void *(*main)(void *))
{
	int rc;

	pthread_mutex_lock(&s->lock);
	rc = pthread_create(thread, NULL, main, s);
	if (!rc) {
		s->running++;
		s->alive++;
	}
	pthread_mutex_unlock(&s->lock);
	return -rc;
}

int sched_start(struct sched *s)
{
	int rc = start_thread(s, &s->thread, scheduler_main);

	for (int i = 0; !rc && i < SCHED_WORKERS; i++)
		rc = start_thread(s, &s->workers[i], worker_main);
	return rc;
}

/* Lock held: until every thread has ended, or the time is over. */
static bool wait_for_threads(struct sched *s, int64_t wait_ns)
{
	struct timespec until;
	int64_t end;

	clock_gettime(CLOCK_MONOTONIC, &until);
	end = until.tv_sec * NS_PER_S + until.tv_nsec + wait_ns;
	until.tv_sec = end / NS_PER_S;
	until.tv_nsec = end % NS_PER_S;
	while (s->alive && pthread_cond_timedwait(&s->ended, &s->lock, &until) == 0)
		;
	return s->alive == 0;
}

bool sched_stop(struct sched *s, int64_t wait_ns)
{
	bool all;

	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_broadcast(&s->work);
	wake(s);
	all = wait_for_threads(s, wait_ns);
	pthread_mutex_unlock(&s->lock);
	for (int i = 0; all && i < s->running; i++)
		pthread_join(i ? s->workers[i - 1] : s->thread, NULL);
	if (all)
		s->running = 0;
	return all;
}

void sched_close(struct sched *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		free_item(s->items[i]);
	free(s->items);
	free(s->tasks);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->work);
	pthread_cond_destroy(&s->ended);
	free(s);
}
