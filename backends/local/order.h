/* job.json: what submit() orders the supervisor to run. Everything is decided there; the supervisor
 * only carries it out. */
#ifndef KEXEC_BACKENDS_LOCAL_ORDER_H
#define KEXEC_BACKENDS_LOCAL_ORDER_H

#include <stdbool.h>
#include <stdint.h>
#include "backends/local/spawn.h"

struct order {
	char *id, *token, *main;
	struct argv command;    /* the whole of it, sandbox first */
	bool namespaces;        /* the job's main process is two generations below what is started */
	bool notebook;          /* exit statuses are the driver's */
	int64_t limit_ns, memory_bytes;
	char *setup_error;      /* not NULL: end with this sentence without running anything */
};

int order_write(int dirfd, const struct order *o); /* durable */
int order_read(int dirfd, struct order *out);      /* 0, -ENOENT, -EBADMSG */
void order_release(struct order *o);

#endif
