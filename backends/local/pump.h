/*
 * A job's output on its way to the file `log`: the first 48 MiB as they come, so that readers can
 * follow; after that only the last 16 MiB are kept, in memory, and added at the end with a line that
 * says how much is missing. So a job that floods costs neither disk nor time. Lines of stdout are looked
 * at for metrics.
 */
#ifndef KEXEC_BACKENDS_LOCAL_PUMP_H
#define KEXEC_BACKENDS_LOCAL_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUMP_HEAD ((size_t)48 << 20)
#define PUMP_TAIL ((size_t)16 << 20)
#define PUMP_LINE 4096 /* longer lines are no metrics and no messages */

struct metric_file;

struct pump_line {
	char text[PUMP_LINE];
	size_t len;
	bool overlong;
};

struct pump {
	int fd;
	struct metric_file *metrics;
	size_t head;               /* bytes of the file so far */
	size_t head_max, tail_max; /* PUMP_HEAD, PUMP_TAIL; smaller in tests */
	uint64_t tail_bytes;       /* that went to the ring, overwritten ones included */
	char *ring;
	bool disk_full;            /* a write failed with ENOSPC or EDQUOT */
	struct pump_line out, err;
	char error[256];           /* the last line of stderr that is not blank, as it came, cut */
	size_t error_len;
};

/* Opens `log` below dirfd anew. `metrics` is borrowed. */
int pump_open(struct pump *p, int dirfd, struct metric_file *metrics);
/* The same for a log that is read again from its beginning: `log` holds the first `head` bytes already. What
 * a crash left beyond them is cut off; where it holds less, p->head says from where on it is wanted. */
int pump_open_at(struct pump *p, int dirfd, size_t head, struct metric_file *metrics);
/* Output that the file holds already: looked at for metrics only. */
void pump_seen(struct pump *p, bool is_stderr, const char *data, size_t len);
void pump_add(struct pump *p, bool is_stderr, const char *data, size_t len);
/* The tail and the last unfinished lines; the file is on disk afterwards. */
void pump_finish(struct pump *p);
/* Closed without them: more will come. What was added is on disk afterwards; 0 or -errno. */
int pump_pause(struct pump *p);

#endif
