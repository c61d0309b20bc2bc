#include "fs/base/svg.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"

#define MAX_SERIES    16
#define WIDTH         640
#define PLOT_LEFT     72
#define PLOT_RIGHT    624
#define PLOT_TOP      36
#define PLOT_BOTTOM   300
#define LEGEND_TOP    340
#define LEGEND_ROW    18
#define LEGEND_COLUMN 138 /* four to a row */
#define LEGEND_CELLS  16  /* width of a name; wide characters take two */
#define TITLE_CELLS   70
#define MAX_TICKS     12
#define MAX_POINTS    2000 /* of a series; more are thinned out, keeping lows and highs */

/* Eight colours, then the same dashed. The second set stands on a dark ground. */
static const char style[] =
	"<style>"
	"svg{font:12px sans-serif;background:#fff}"
	"text{fill:#222}.q{fill:#666}.t{font-size:14px;font-weight:bold}"
	".g{stroke:#ddd}.a{stroke:#888}"
	".l{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}"
	".d{stroke-dasharray:5 4}"
	".c0{stroke:#0072b2}.c1{stroke:#d55e00}.c2{stroke:#00805d}.c3{stroke:#b5518a}"
	".c4{stroke:#7a6a00}.c5{stroke:#2a8fc7}.c6{stroke:#6a3d9a}.c7{stroke:#a86f00}"
	"@media (prefers-color-scheme: dark){"
	"svg{background:#16181c}text{fill:#e6e6e6}.q{fill:#a0a0a0}.g{stroke:#33373d}.a{stroke:#777}"
	".c0{stroke:#4aa8e0}.c1{stroke:#ff8c42}.c2{stroke:#2ecc9a}.c3{stroke:#e58fc0}"
	".c4{stroke:#d6c44a}.c5{stroke:#8fd0f5}.c6{stroke:#b796e0}.c7{stroke:#f0b93a}"
	"}</style>\n";

struct axis {
	double min, max, step;
	int digits; /* of a label */
};

struct plot {
	struct strbuf *out;
	struct axis x, y;
};

static bool drawable(const struct svg_series *s, size_t i)
{
	return isfinite(s->x[i]) && isfinite(s->y[i]);
}

static void widen(struct axis *a, double v)
{
	a->min = v < a->min ? v : a->min;
	a->max = v > a->max ? v : a->max;
}

/* false: nothing can be drawn. */
static bool find_range(struct plot *p, const struct svg_series *series, size_t count)
{
	p->x = p->y = (struct axis){.min = INFINITY, .max = -INFINITY};
	for (size_t k = 0; k < count; k++)
		for (size_t i = 0; i < series[k].n; i++)
			if (drawable(&series[k], i)) {
				widen(&p->x, series[k].x[i]);
				widen(&p->y, series[k].y[i]);
			}
	return p->x.min <= p->x.max;
}

/* 1, 2 or 5 times a power of ten, not below v. */
static double round_step(double v)
{
	double base = pow(10, floor(log10(v)));
	double f = v / base;

	return (f <= 1 ? 1 : f <= 2 ? 2 : f <= 5 ? 5 : 10) * base;
}

/* Half of the range: the whole one may not be a finite double. */
static double half_range(const struct axis *a)
{
	return a->max / 2 - a->min / 2;
}

static void settle_axis(struct axis *a)
{
	double size = fmax(fabs(a->min), fabs(a->max));

	if (half_range(a) <= size * 1e-13 || half_range(a) < DBL_MIN * 1e3) {
		double pad = size > DBL_MIN * 1e6 ? size * 0.05 : 1;

		a->min = fmax(a->min - pad, -DBL_MAX);
		a->max = fmin(a->max + pad, DBL_MAX);
		size = fmax(fabs(a->min), fabs(a->max));
	}
	a->step = round_step(half_range(a) / 2.5);
	a->digits = 4;
	while (a->digits < 14 && a->step < size * pow(10, 1 - a->digits))
		a->digits++; /* neighbours on the axis must not read the same */
}

/* 0…1 from the low to the high end of the axis. */
static double position(const struct axis *a, double v)
{
	return (v / 2 - a->min / 2) / half_range(a);
}

static double to_x(const struct plot *p, double v)
{
	return PLOT_LEFT + position(&p->x, v) * (PLOT_RIGHT - PLOT_LEFT);
}

static double to_y(const struct plot *p, double v)
{
	return PLOT_BOTTOM - position(&p->y, v) * (PLOT_BOTTOM - PLOT_TOP);
}

/* Text for a person in at most `cells` columns, wide characters counted as two. */
static void add_short(struct strbuf *out, const char *text, size_t cells)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;
	size_t at = 0;

	escape_line(&line, text, strlen(text), 1024);
	while (at < line.len) {
		uint32_t code = 0;
		size_t n = utf8_decode(line.buf + at, line.len - at, &code);
		size_t width = code >= 0x1100 ? 2 : 1;

		if (n == 0 || width > cells)
			break;
		cells -= width;
		at += n;
	}
	escape_html(out, line.buf, at);
	if (at < line.len)
		strbuf_adds(out, "…");
}

static double first_tick(const struct axis *a)
{
	return ceil(a->min / a->step);
}

static double tick_value(const struct axis *a, double i)
{
	double v = i * a->step;

	return fabs(v) < a->step / 2 ? 0 : v;
}

static void add_x_ticks(const struct plot *p)
{
	double first = first_tick(&p->x);

	for (int i = 0; i < MAX_TICKS && (first + i) * p->x.step <= p->x.max; i++) {
		double v = tick_value(&p->x, first + i);
		double x = to_x(p, v);

		strbuf_addf(
			p->out, "<path class=\"g\" d=\"M%.1f %dV%d\"/>", x, PLOT_TOP, PLOT_BOTTOM);
		strbuf_addf(p->out,
			"<text class=\"q\" x=\"%.1f\" y=\"%d\" "
			"text-anchor=\"middle\">%.*g</text>\n",
			x, PLOT_BOTTOM + 18, p->x.digits, v);
	}
}

static void add_y_ticks(const struct plot *p)
{
	double first = first_tick(&p->y);

	for (int i = 0; i < MAX_TICKS && (first + i) * p->y.step <= p->y.max; i++) {
		double v = tick_value(&p->y, first + i);
		double y = to_y(p, v);

		strbuf_addf(
			p->out, "<path class=\"g\" d=\"M%d %.1fH%d\"/>", PLOT_LEFT, y, PLOT_RIGHT);
		strbuf_addf(p->out,
			"<text class=\"q\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.*g</text>\n",
			PLOT_LEFT - 6, y + 4, p->y.digits, v);
	}
}

static void add_class(struct strbuf *out, size_t k)
{
	strbuf_addf(out, "class=\"l c%zu%s\"", k % 8, k >= 8 ? " d" : "");
}

/* The first point of a stretch also as a line of no length: round caps make a dot of it. */
static void add_point(const struct plot *p, const struct svg_series *s, size_t i, bool *drawing)
{
	if (!drawable(s, i)) {
		*drawing = false;
		return;
	}
	strbuf_addf(p->out, *drawing ? "L%.1f %.1f" : "M%.1f %.1fh0", to_x(p, s->x[i]),
		to_y(p, s->y[i]));
	*drawing = true;
}

/* Of the points [from, to) the lowest and the highest, in their order. */
static void add_extremes(
	const struct plot *p, const struct svg_series *s, size_t from, size_t to, bool *drawing)
{
	size_t low = to, high = to;

	for (size_t i = from; i < to; i++) {
		if (!drawable(s, i))
			continue;
		if (low == to || s->y[i] < s->y[low])
			low = i;
		if (high == to || s->y[i] > s->y[high])
			high = i;
	}
	if (low == to) {
		*drawing = false;
		return;
	}
	add_point(p, s, low < high ? low : high, drawing);
	if (low != high)
		add_point(p, s, low < high ? high : low, drawing);
}

static void add_line(const struct plot *p, const struct svg_series *s, size_t k)
{
	size_t bucket = s->n > MAX_POINTS ? s->n / (MAX_POINTS / 2) + 1 : 1;
	bool drawing = false;

	strbuf_adds(p->out, "<path ");
	add_class(p->out, k);
	strbuf_adds(p->out, " d=\"");
	for (size_t i = 0; i < s->n; i += bucket) {
		size_t end = s->n - i < bucket ? s->n : i + bucket;

		if (bucket == 1)
			add_point(p, s, i, &drawing);
		else
			add_extremes(p, s, i, end, &drawing);
	}
	strbuf_adds(p->out, "\"/>\n");
}

static void add_legend(struct strbuf *out, const struct svg_series *series, size_t count)
{
	for (size_t k = 0; k < count; k++) {
		size_t x = PLOT_LEFT + k % 4 * LEGEND_COLUMN;
		size_t y = LEGEND_TOP + k / 4 * LEGEND_ROW;

		strbuf_adds(out, "<path ");
		add_class(out, k);
		strbuf_addf(
			out, " d=\"M%zu %zuh18\"/><text x=\"%zu\" y=\"%zu\">", x, y, x + 24, y + 4);
		add_short(out, series[k].name ? series[k].name : "", LEGEND_CELLS);
		strbuf_adds(out, "</text>\n");
	}
}

static void add_opening(struct strbuf *out, const char *title, size_t count)
{
	size_t rows = (count + 3) / 4;

	strbuf_addf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %zu\" "
		"role=\"img\">\n<title>",
		WIDTH, LEGEND_TOP - LEGEND_ROW / 2 + rows * LEGEND_ROW);
	add_short(out, title, 1024);
	strbuf_adds(out, "</title>\n");
	strbuf_adds(out, style);
	strbuf_addf(out, "<text class=\"t\" x=\"%d\" y=\"22\">", PLOT_LEFT);
	add_short(out, title, TITLE_CELLS);
	strbuf_adds(out, "</text>\n");
}

int svg_lines(struct strbuf *out, const char *title, const struct svg_series *series, size_t count)
{
	struct plot p = {.out = out};

	if (count > MAX_SERIES)
		count = MAX_SERIES;
	add_opening(out, title ? title : "", count);
	if (find_range(&p, series, count)) {
		settle_axis(&p.x);
		settle_axis(&p.y);
		add_x_ticks(&p);
		add_y_ticks(&p);
		for (size_t k = 0; k < count; k++)
			add_line(&p, &series[k], k);
	} else {
		strbuf_addf(out, "<text class=\"q\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">",
			(PLOT_LEFT + PLOT_RIGHT) / 2, (PLOT_TOP + PLOT_BOTTOM) / 2);
		escape_html(out, _("no data yet"), strlen(_("no data yet")));
		strbuf_adds(out, "</text>\n");
	}
	strbuf_addf(out, "<path class=\"a\" fill=\"none\" d=\"M%d %dV%dH%d\"/>\n", PLOT_LEFT,
		PLOT_TOP, PLOT_BOTTOM, PLOT_RIGHT);
	add_legend(out, series, count);
	strbuf_adds(out, "</svg>\n");
	return out->err;
}
