/* What only one thread of a connection may be at: a push from the look for it to its record, a kernel from
 * the question for its newest version to the push of the next. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "backends/kaggle/kaggle.h"

#define SLICE_NS (NS_PER_S / 5) /* conditions know no clock that goes on in a suspend */

static bool taken(const struct backend_conn *c, const char *key)
{
	for (const struct claim *at = c->claims; at; at = at->next) {
		if (strcmp(at->key, key) == 0)
			return true;
	}
	return false;
}

static void wait_a_slice(struct backend_conn *c)
{
	struct timespec end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += SLICE_NS;
	end.tv_sec += end.tv_nsec / NS_PER_S;
	end.tv_nsec %= NS_PER_S;
	pthread_cond_timedwait(&c->dropped, &c->lock, &end);
}

int claim_take(struct backend_conn *c, struct claim *claim, const char *key, int64_t deadline_ns)
{
	bool busy;

	pthread_mutex_lock(&c->lock);
	while ((busy = taken(c, key)) && clock_boot_ns() < deadline_ns)
		wait_a_slice(c);
	if (!busy) {
		*claim = (struct claim){key, c->claims};
		c->claims = claim;
	}
	pthread_mutex_unlock(&c->lock);
	return busy ? -ETIMEDOUT : 0;
}

void claim_drop(struct backend_conn *c, const struct claim *claim)
{
	struct claim **at = &c->claims;

	pthread_mutex_lock(&c->lock);
	while (*at != claim)
		at = &(*at)->next;
	*at = claim->next;
	pthread_cond_broadcast(&c->dropped);
	pthread_mutex_unlock(&c->lock);
}
