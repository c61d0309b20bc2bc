#include "fs/engine/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/svg.h"

/*
 * No CSV reader here: no name that metric_parse() takes holds a newline, so a row is a line, and
 * one broken row costs one row. It is put back into the words it was reported with, and judged by
 * the same function.
 */
struct rows {
	const char *text;
	size_t len, at;
};

static struct rows rows_of(const char *csv, size_t len)
{
	return (struct rows){csv, len < METRICS_MAX_BYTES ? len : METRICS_MAX_BYTES, 0};
}

struct field {
	char text[64 + 1];
	size_t len;
};

/* The field at the front of the row, unquoted, and the comma behind it (not after the last one).
 * Longer ones than any step, name or value are refused. */
static bool take_field(const char **s, const char *end, bool last, struct field *out)
{
	const char *p = *s;
	bool quoted = p < end && *p == '"';

	out->len = 0;
	for (p += quoted; p < end; p++) {
		if (quoted && *p == '"' && (p + 1 == end || p[1] != '"'))
			break;
		if (!quoted && *p == ',')
			break;
		if (!*p || out->len == sizeof out->text - 1)
			return false;
		out->text[out->len++] = *p;
		p += quoted && *p == '"';
	}
	if (quoted && p++ >= end)
		return false;
	out->text[out->len] = 0;
	*s = p + 1;
	return last ? p == end : p < end && *p == ',';
}

static bool row_parse(const char *s, size_t len, struct metric_line *out)
{
	struct field step, name, value;
	const char *end = s + len;
	char line[224];
	int n;

	if (!take_field(&s, end, false, &step) || !take_field(&s, end, false, &name) ||
		!take_field(&s, end, true, &value))
		return false;
	/* a blank or an '=' would shift the words */
	if (strpbrk(name.text, " \t=") || strpbrk(value.text, " \t") || strpbrk(step.text, " \t"))
		return false;
	if (step.len && step.text[0] != '-')
		n = snprintf(line, sizeof line, "metric %s=%s step=%s", name.text, value.text,
			step.text);
	else
		n = snprintf(line, sizeof line, "metric %s=%s", name.text, value.text);
	return metric_parse(line, (size_t)n, out);
}

static bool next_row(struct rows *r, struct metric_line *out)
{
	while (r->at < r->len) {
		const char *start = r->text + r->at;
		const char *nl = memchr(start, '\n', r->len - r->at);
		size_t n = nl ? (size_t)(nl - start) : r->len - r->at;

		r->at += n + 1;
		if (!nl) /* still being written: "0.9" of "0.95" is no value */
			return false;
		if (n && start[n - 1] == '\r')
			n--;
		if (row_parse(start, n, out))
			return true;
	}
	return false;
}

int metrics_best(
	const char *csv, size_t len, const char *name, bool max, char name_out[64], double *value)
{
	struct rows rows = rows_of(csv, len);
	struct metric_line m;
	bool named = name != NULL, found = false;
	bool last = !named; /* nobody said whether more is better */

	name_out[0] = 0;
	if (named && strlen(name) < 64)
		memcpy(name_out, name, strlen(name) + 1);
	while (next_row(&rows, &m)) {
		if (!named) {
			memcpy(name_out, m.name, sizeof m.name);
			named = true;
		}
		if (!isfinite(m.value) || strcmp(name_out, m.name))
			continue;
		if (!found || last || (max ? m.value > *value : m.value < *value))
			*value = m.value;
		found = true;
	}
	return found ? 0 : -ENOENT;
}

/* ---- summary ---- */

/* Index of the name; `count` when it is new. Sixteen names at most: a search is cheap. */
static size_t find_name(const struct metric_summary *list, size_t count, const char *name)
{
	size_t i = 0;

	while (i < count && strcmp(list[i].name, name))
		i++;
	return i;
}

static void summary_add(struct metric_summary *s, double value)
{
	s->count++;
	s->last = value;
	if (!isfinite(value))
		return;
	if (!(s->min <= value))
		s->min = value;
	if (!(s->max >= value))
		s->max = value;
}

size_t metrics_summary(const char *csv, size_t len, struct metric_summary out[METRICS_SERIES])
{
	struct rows rows = rows_of(csv, len);
	struct metric_line m;
	size_t count = 0;

	while (next_row(&rows, &m)) {
		size_t i = find_name(out, count, m.name);
		if (i == METRICS_SERIES)
			continue;
		if (i == count) {
			out[count] = (struct metric_summary){.last = NAN, .min = NAN, .max = NAN};
			memcpy(out[count++].name, m.name, sizeof m.name);
		}
		summary_add(&out[i], m.value);
	}
	return count;
}

/* ---- curve ---- */

#define POINTS 1000

/*
 * One series, decimated while it is read: consecutive rows share a bucket, of which the lowest and
 * the highest point are kept in the order they came, so that a spike never disappears.
 */
struct curve {
	size_t total, seen; /* rows there are (known beforehand), rows read */
	double x[POINTS], y[POINTS];
	size_t n;
	double low_x, low_y, high_x, high_y;
	bool open; /* the bucket holds something */
};

static void put(struct curve *c, double x, double y)
{
	if (c->n < POINTS) {
		c->x[c->n] = x;
		c->y[c->n++] = y;
	}
}

static void close_bucket(struct curve *c)
{
	bool low_first = c->low_x <= c->high_x;

	if (!c->open)
		return;
	c->open = false;
	put(c, low_first ? c->low_x : c->high_x, low_first ? c->low_y : c->high_y);
	if (c->low_y < c->high_y)
		put(c, low_first ? c->high_x : c->low_x, low_first ? c->high_y : c->low_y);
}

static size_t bucket(const struct curve *c, size_t row)
{
	return row * (POINTS / 2) / c->total;
}

static void curve_add(struct curve *c, double x, double y)
{
	size_t row = c->seen++;

	if (c->total <= POINTS) {
		put(c, x, y);
		return;
	}
	if (row && bucket(c, row) != bucket(c, row - 1))
		close_bucket(c);
	if (!isfinite(y)) /* among thousands of points a gap would not be seen */
		return;
	if (!c->open || y < c->low_y) {
		c->low_x = x;
		c->low_y = y;
	}
	if (!c->open || y > c->high_y) {
		c->high_x = x;
		c->high_y = y;
	}
	c->open = true;
}

static void read_curves(const char *csv, size_t len, const struct metric_summary *names,
	size_t count, struct curve *curves)
{
	struct rows rows = rows_of(csv, len);
	struct metric_line m;

	while (next_row(&rows, &m)) {
		size_t i = find_name(names, count, m.name);
		if (i < count) /* without a step: the row's number within its series */
			curve_add(&curves[i], m.step >= 0 ? (double)m.step : (double)curves[i].seen,
				m.value);
	}
	for (size_t i = 0; i < count; i++)
		close_bucket(&curves[i]);
}

int metrics_svg(const char *csv, size_t len, const char *title, struct strbuf *out)
{
	struct metric_summary names[METRICS_SERIES];
	struct svg_series series[METRICS_SERIES];
	size_t count = metrics_summary(csv, len, names);
	AUTO_FREE struct curve *curves = calloc(count ? count : 1, sizeof *curves);

	if (!curves)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		curves[i].total = names[i].count;
	read_curves(csv, len, names, count, curves);
	for (size_t i = 0; i < count; i++)
		series[i] =
			(struct svg_series){names[i].name, curves[i].x, curves[i].y, curves[i].n};
	return svg_lines(out, title, series, count);
}
