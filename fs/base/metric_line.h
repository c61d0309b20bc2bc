/*
 * How a job reports a number: a line "metric name=value [step=N]" on its standard output. The
 * supervisor reads it while the job runs; kexec-train and the tests write it.
 */
#ifndef KEXEC_BASE_METRIC_LINE_H
#define KEXEC_BASE_METRIC_LINE_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf;

#define METRIC_NAME_MAX 63

struct metric_line {
	char name[METRIC_NAME_MAX + 1]; /* printable UTF-8 without blanks, '=' and control characters */
	double value;                   /* may be NaN or infinite: a diverged loss is news */
	long step;                      /* -1 = none given */
};

/* Does this line (no newline; one trailing \r is accepted) report a metric? Tolerates nothing else on
 * the line. Reads the whole line or returns false with out unspecified. */
bool metric_parse(const char *line, size_t len, struct metric_line *out);

/* May this be the name of a metric? */
bool metric_name_valid(const char *name, size_t len);

/* The shortest decimal text that reads back as the same double: "0.1", "nan", "-inf". */
int metric_print_value(struct strbuf *out, double value);

#endif
