/*
 * metrics.csv (step,name,value) as the supervisor wrote it: the last value, the curve. The file may
 * be in the middle of being written or come from a hostile job: rows that are none are skipped. All
 * of this is linear in the length of the file.
 */
#ifndef KEXEC_ENGINE_METRICS_H
#define KEXEC_ENGINE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include "fs/base/metric_line.h"

struct strbuf;

#define METRICS_MAX_BYTES ((size_t)16 << 20) /* more of a file is not read */
#define METRICS_SERIES    16                 /* names that are shown: the first ones in the file */

/* The value to show for `name`: the best finite one by its goal. NULL: the last one of the first name in
 * the file, since nobody said whether more is better. 0, or -ENOENT when the name has no finite value. */
int metrics_best(
	const char *csv, size_t len, const char *name, bool max, char name_out[64], double *value);
/* curve.svg: every series of the file (the first METRICS_SERIES names), decimated to at most 1,000
 * points each so that peaks stay. 0, -ENOMEM or -E2BIG. */
int metrics_svg(const char *csv, size_t len, const char *title, struct strbuf *out);

struct metric_summary {
	char name[64];
	size_t count; /* rows */
	double last, min,
		max; /* last may be nan or infinite; min, max: of finite values, else NaN */
};
/* One entry a name, in the order of the file; how many were filled. */
size_t metrics_summary(const char *csv, size_t len, struct metric_summary out[METRICS_SERIES]);

#endif
