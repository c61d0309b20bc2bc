/* Who may send when. Limits are unpublished and per method, and what Retry-After says is at times too
 * short: so each method has a gate for all threads, which stays shut longer after each failure. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/clock.h"
#include "fs/base/i18n.h"
#include "fs/base/why.h"

#define FIRST_NS (NS_PER_S / 2)
#define CAP_NS   (60 * NS_PER_S)
#define SLICE_NS (NS_PER_S / 2)
/* Those who waited at a gate go through it one after another. */
#define SPACING_NS (50 * NS_PER_MS)

static uint64_t random64(void)
{
	uint64_t v;

	if (getrandom(&v, sizeof(v), 0) != (ssize_t)sizeof(v))
		v = (uint64_t)clock_boot_ns() * UINT64_C(0x9e3779b97f4a7c15);
	return v;
}

/* With the lock held. Slices, because conditions know no clock that goes on in a suspend. */
static int sleep_locked(struct kaggle *k, int64_t until_ns)
{
	while (!atomic_load(&k->stopped)) {
		int64_t left = until_ns - clock_boot_ns();
		struct timespec end;

		if (left <= 0)
			return 0;
		if (left > SLICE_NS)
			left = SLICE_NS;
		clock_gettime(CLOCK_MONOTONIC, &end);
		left += end.tv_nsec;
		end.tv_sec += left / NS_PER_S;
		end.tv_nsec = left % NS_PER_S;
		pthread_cond_timedwait(&k->wake, &k->lock, &end);
	}
	return -ECANCELED;
}

int rpc_sleep(struct kaggle *k, int64_t until_ns)
{
	int r;

	pthread_mutex_lock(&k->lock);
	r = sleep_locked(k, until_ns);
	pthread_mutex_unlock(&k->lock);
	return r;
}

const char *rpc_short(const char *method)
{
	const char *slash = strrchr(method, '/');

	return slash ? slash + 1 : method;
}

static struct gate *find(struct kaggle *k, const char *name)
{
	for (int i = 0; i < RPC_GATES; i++)
		if (strcmp(k->gates[i].name, name) == 0)
			return &k->gates[i];
	return NULL;
}

/* A new one takes the place of the one that has been open longest. */
static struct gate *make(struct kaggle *k, const char *name)
{
	struct gate *g = find(k, name), *oldest = &k->gates[0];

	if (g)
		return g;
	for (int i = 1; i < RPC_GATES; i++)
		if (k->gates[i].until_ns < oldest->until_ns)
			oldest = &k->gates[i];
	*oldest = (struct gate){0};
	snprintf(oldest->name, sizeof(oldest->name), "%s", name);
	return oldest;
}

static int too_late(const char *name, int64_t left_ns, struct why *why)
{
	return why_set(why, EAGAIN, _("Kaggle wants no %s for another %lld s"), rpc_short(name),
		(long long)((left_ns + NS_PER_S - 1) / NS_PER_S));
}

int gate_pass(struct kaggle *k, const char *name, int64_t deadline_ns, struct why *why)
{
	struct gate *g;
	int r = 0;

	pthread_mutex_lock(&k->lock);
	while (r == 0 && (g = find(k, name)) && g->until_ns > clock_boot_ns()) {
		if (g->until_ns >= deadline_ns)
			r = too_late(name, g->until_ns - clock_boot_ns(), why);
		else
			r = sleep_locked(k, g->until_ns);
	}
	g = find(k, name);
	if (r == 0 && g && g->failures > 0)
		g->until_ns = clock_boot_ns() + SPACING_NS;
	if (atomic_load(&k->stopped))
		r = why_set(why, ECANCELED, _("the Kaggle client is being closed"));
	pthread_mutex_unlock(&k->lock);
	return r;
}

void gate_shut(struct kaggle *k, const char *name, int64_t begun_ns, int64_t retry_after_ns)
{
	struct gate *g;
	int64_t until;

	pthread_mutex_lock(&k->lock);
	g = make(k, name);
	if (begun_ns >= g->shut_ns) {
		g->failures++;
		g->shut_ns = clock_boot_ns();
	}
	until = clock_boot_ns() +
		http_backoff_ns(g->failures, FIRST_NS, CAP_NS, retry_after_ns, random64());
	if (until > g->until_ns)
		g->until_ns = until;
	pthread_mutex_unlock(&k->lock);
}

void gate_open(struct kaggle *k, const char *name)
{
	struct gate *g;

	pthread_mutex_lock(&k->lock);
	g = find(k, name);
	if (g)
		*g = (struct gate){0};
	pthread_mutex_unlock(&k->lock);
}

static bool named(const struct gate *g, const char *method)
{
	return strcmp(method, "*") == 0 || strcmp(g->name, method) == 0 ||
	       strcmp(rpc_short(g->name), method) == 0;
}

int64_t kaggle_retry_ns(struct kaggle *k, const char *method)
{
	int64_t left = 0, now = clock_boot_ns();

	pthread_mutex_lock(&k->lock);
	for (int i = 0; i < RPC_GATES; i++)
		if (k->gates[i].name[0] && named(&k->gates[i], method) &&
			k->gates[i].until_ns - now > left)
			left = k->gates[i].until_ns - now;
	pthread_mutex_unlock(&k->lock);
	return left;
}
