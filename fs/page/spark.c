/* The curve on a card: the tail of metrics.csv, its peaks kept, as one SVG polyline. */
#include "fs/page/parts.h"

#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "fs/base/cleanup.h"
#include "fs/base/csv.h"
#include "fs/base/io.h"
#include "fs/base/strbuf.h"

#define NAME_MAX_BYTES 64
#define WIDTH          100
#define HEIGHT         30

struct curve {
	char name[NAME_MAX_BYTES + 1];
	double *values;
	size_t count, cap;
};

/* The last `max` bytes, from the beginning of a line on. */
static int read_tail(int dirfd, const char *path, size_t max, struct strbuf *out)
{
	/* O_NONBLOCK: should something else than a file lie there, nobody waits for it. */
	AUTO_FD int fd = openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return -1;
	size_t len = (uintmax_t)st.st_size < max ? (size_t)st.st_size : max;
	bool cut = (uintmax_t)st.st_size > max;
	if (cut && lseek(fd, st.st_size - (off_t)len, SEEK_SET) < 0)
		return -1;
	if (strbuf_reserve(out, len) < 0)
		return -1;
	int got = io_read_all(fd, out->buf, len);
	if (got <= 0)
		return -1;
	out->buf[got] = '\0';
	out->len = (size_t)got;
	if (!cut)
		return 0;
	const char *line = memchr(out->buf, '\n', out->len);
	if (!line)
		return -1;
	size_t skip = (size_t)(line + 1 - out->buf);
	memmove(out->buf, out->buf + skip, out->len - skip + 1);
	out->len -= skip;
	return 0;
}

static bool number(const char *text, double *out)
{
	char *end;

	*out = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(*out);
}

static bool add(struct curve *c, double value)
{
	if (c->count == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 256;
		double *more = reallocarray(c->values, cap, sizeof(*more));
		if (!more)
			return false;
		c->values = more;
		c->cap = cap;
	}
	c->values[c->count++] = value;
	return true;
}

/* Values of `name`; an empty c->name takes the first that has a number (the header has none). */
static void collect(struct curve *c, const struct strbuf *text)
{
	struct csv_reader reader;
	double value;

	csv_init(&reader, text->buf, text->len);
	while (csv_next(&reader) > 0) {
		const char *name = csv_field(&reader, 1), *field = csv_field(&reader, 2);
		if (!field || !*name || strlen(name) > NAME_MAX_BYTES || !number(field, &value))
			continue;
		if (!c->name[0])
			strcpy(c->name, name);
		if (strcmp(c->name, name) == 0 && !add(c, value))
			break;
	}
	csv_finish(&reader);
}

/* Thin in place to the lowest and the highest value of each stretch, in their order, and the last
 * one: so a single spike stays visible, which an average or every n-th value would lose. */
static void thin(struct curve *c)
{
	size_t stretches = (SPARK_POINTS - 1) / 2, kept = 0;
	double last = c->values[c->count - 1];

	if (c->count <= SPARK_POINTS)
		return;
	for (size_t s = 0; s < stretches; s++) {
		size_t from = c->count * s / stretches, to = c->count * (s + 1) / stretches;
		size_t low = from, high = from;
		for (size_t i = from + 1; i < to; i++) {
			if (c->values[i] < c->values[low])
				low = i;
			if (c->values[i] > c->values[high])
				high = i;
		}
		double first = c->values[low < high ? low : high];
		double second = c->values[low < high ? high : low];
		c->values[kept++] = first;
		c->values[kept++] = second;
	}
	c->values[kept++] = last;
	c->count = kept;
}

static void draw(struct strbuf *out, const struct curve *c)
{
	double low = c->values[0], high = low;

	for (size_t i = 1; i < c->count; i++) {
		low = fmin(low, c->values[i]);
		high = fmax(high, c->values[i]);
	}
	/* Halves: the difference of two finite numbers may not be finite. */
	double range = high / 2 - low / 2;
	strbuf_adds(out, "<polyline points=\"");
	for (size_t i = 0; i < c->count; i++) {
		double share = range > 0 ? (c->values[i] / 2 - low / 2) / range : 0.5;
		strbuf_addf(out, "%s%.4g,%.4g", i ? " " : "",
			(double)i * WIDTH / (double)(c->count - 1), HEIGHT * (1 - share));
	}
	strbuf_adds(out, "\"/>");
}

void spark_put(struct strbuf *out, int dirfd, const char *path, size_t max, const char *metric)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct curve c = {0};

	if (read_tail(dirfd, path, max, &text) < 0)
		return;
	if (metric && *metric && strlen(metric) <= NAME_MAX_BYTES)
		strcpy(c.name, metric);
	collect(&c, &text);
	if (c.count == 0 && c.name[0]) {
		c.name[0] = '\0';
		collect(&c, &text);
	}
	if (c.count > 1) {
		double last = c.values[c.count - 1];
		thin(&c);
		strbuf_addf(out,
			"<div class=\"curve\"><svg viewBox=\"0 0 %d %d\""
			" preserveAspectRatio=\"none\" aria-hidden=\"true\">",
			WIDTH, HEIGHT);
		draw(out, &c);
		strbuf_adds(out, "</svg><span>");
		put_text(out, c.name, NAME_MAX_BYTES);
		strbuf_addf(out, "<b>%.6g</b></span></div>", last);
	}
	free(c.values);
}
