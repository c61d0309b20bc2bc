/* Small charts as stand-alone SVG: no script, no external reference, dark and light by media query. */
#ifndef KEXEC_BASE_SVG_H
#define KEXEC_BASE_SVG_H

#include <stddef.h>

struct strbuf;

struct svg_series {
	const char *name;        /* escaped by the chart */
	const double *x, *y;     /* n values each; non-finite points break the line */
	size_t n;
};

/* A line chart with axes, ticks and a legend; at most 16 series; empty data gives a chart saying so. */
int svg_lines(struct strbuf *out, const char *title, const struct svg_series *series, size_t count);

#endif
