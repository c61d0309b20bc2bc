/*
 * Pieces of the dashboard. Everything appends to `out`, whose sticky error is checked once by the
 * caller; all text that comes from runs is escaped and cut here. No state, any thread.
 */
#ifndef KEXEC_PAGE_PARTS_H
#define KEXEC_PAGE_PARTS_H

#include <stddef.h>
#include <stdint.h>

struct run;
struct stamp;
struct strbuf;

/* At most max bytes of hostile text as HTML, isolated from the reading direction around it. */
void put_text(struct strbuf *out, const char *text, size_t max);
/* href="runs/NAME/LEAF", percent-encoded, with a leading space; nothing for a name no folder can
 * have. */
void put_href(struct strbuf *out, const char *name, const char *leaf);
/* <time> with the moment for programs and, to the minute, for people. */
void put_time(struct strbuf *out, int64_t wall_ns);

/* A run that has not ended as a list item without its end tag: a curve may follow. */
void row_card(struct strbuf *out, const struct run *r, const struct stamp *now);
/* A run that ended at that time as a table row. */
void row_ended(struct strbuf *out, const struct run *r, int64_t ended_wall_ns);

#define SPARK_POINTS 100 /* at most */
/*
 * A small curve of one metric from the last `max` bytes of a metrics.csv, with its name and last
 * value: of `metric`, or of the first one in the file where that is NULL or not there. Nothing
 * where there is nothing to draw: a curve is an ornament, its absence no error.
 */
void spark_put(struct strbuf *out, int dirfd, const char *path, size_t max, const char *metric);

#endif
