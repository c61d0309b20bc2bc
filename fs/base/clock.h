/*
 * Time. Moments that people see come from CLOCK_REALTIME; durations and "when next" from
 * CLOCK_BOOTTIME, so that a wall clock that jumps changes no state. A `struct stamp` carries both and
 * the boot it belongs to, so that it can be stored and compared after a reboot.
 */
#ifndef KEXEC_BASE_CLOCK_H
#define KEXEC_BASE_CLOCK_H

#include <stdint.h>

struct strbuf;

struct stamp {
	int64_t wall_ns; /* CLOCK_REALTIME; 0 = never */
	int64_t boot_ns; /* CLOCK_BOOTTIME of the boot below */
	char boot_id[40]; /* /proc/sys/kernel/random/boot_id, without the newline */
};

int64_t clock_wall_ns(void);
int64_t clock_boot_ns(void);
void clock_boot_id(char out[40]);
struct stamp stamp_now(void);
/* Nanoseconds from a to b: by boot time within one boot, else by wall time, never negative. */
int64_t stamp_since(const struct stamp *a, const struct stamp *b);

/* "2026-11-20T14:03:12+09:00" in local time; "2026-11-20T14:03:12.123456+09:00" with micros. */
void clock_rfc3339(struct strbuf *out, int64_t wall_ns);
void clock_rfc3339_micros(struct strbuf *out, int64_t wall_ns);
/* "2026-11-20 14:03:12", local time, for people. */
void clock_local(struct strbuf *out, int64_t wall_ns);
/* "00:12:03"; hours may exceed 99. */
void clock_hms(struct strbuf *out, int64_t duration_ns);
/* RFC 3339 (with offset or Z) to wall_ns; -EINVAL. */
int clock_parse_rfc3339(const char *text, int64_t *wall_ns);

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

#endif
