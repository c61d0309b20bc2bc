#include "fs/engine/textdiff.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"

#define CONTEXT  ((size_t)3)
#define LINE_CUT 400

struct line {
	const char *at;
	size_t len;
	size_t index; /* among the lines of both texts */
};

/* Both texts' lines, a's first. Equal lines have equal ids. */
struct text_pair {
	struct line *lines;
	int *ids;
	bool *changed; /* removed (a) or added (b) */
	size_t a, b;   /* number of lines of each */
};

/* ---- lines and ids ---- */

static size_t count_lines(const char *s, size_t len)
{
	size_t n = 0;

	for (const char *p = s; len && (p = memchr(p, '\n', len - (size_t)(p - s))); p++)
		n++;
	return n + (len && s[len - 1] != '\n');
}

static void split(const char *s, size_t len, struct line *out, size_t index)
{
	size_t at = 0;

	while (at < len) {
		const char *nl = memchr(s + at, '\n', len - at);
		size_t end = nl ? (size_t)(nl - s) : len;
		size_t n = end - at;

		if (n && s[at + n - 1] == '\r')
			n--;
		*out++ = (struct line){s + at, n, index++};
		at = end + 1;
	}
}

static int compare_lines(const void *x, const void *y)
{
	const struct line *a = x, *b = y;

	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->at, b->at, a->len);
}

/* By sorting, not hashing: nobody can choose lines that make it slow. */
static int assign_ids(struct text_pair *p)
{
	size_t n = p->a + p->b;
	AUTO_FREE struct line *sorted = malloc((n + 1) * sizeof *sorted);
	int id = 0;

	if (!sorted)
		return -ENOMEM;
	memcpy(sorted, p->lines, n * sizeof *sorted);
	qsort(sorted, n, sizeof *sorted, compare_lines);
	for (size_t i = 0; i < n; i++) {
		id += i && compare_lines(&sorted[i - 1], &sorted[i]) != 0;
		p->ids[sorted[i].index] = id;
	}
	return 0;
}

static void pair_release(struct text_pair *p)
{
	free(p->lines);
	free(p->ids);
	free(p->changed);
}

static int pair_init(struct text_pair *p, const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t n;

	*p = (struct text_pair){.a = count_lines(a, a_len), .b = count_lines(b, b_len)};
	n = p->a + p->b;
	if (n > DIFF_LINES)
		return -E2BIG;
	p->lines = calloc(n + 1, sizeof *p->lines);
	p->ids = calloc(n + 1, sizeof *p->ids);
	p->changed = calloc(n + 1, sizeof *p->changed);
	if (!p->lines || !p->ids || !p->changed)
		return -ENOMEM;
	split(a, a_len, p->lines, 0);
	split(b, b_len, p->lines + p->a, p->a);
	return assign_ids(p);
}

/* ---- Myers' O(ND) ---- */

struct span {
	const int *a, *b; /* ids */
	bool *del, *add;
	long n, m;
};

/* The furthest x on diagonal k after d edits, for every d: rows of d + 1 values, k = -d, -d + 2 …
 * d. */
static int *reached(int *trace, long d, long k)
{
	return &trace[d * (d + 1) / 2 + (k + d) / 2];
}

static bool goes_down(int *trace, long d, long k)
{
	return k == -d || (k != d && *reached(trace, d - 1, k - 1) < *reached(trace, d - 1, k + 1));
}

static long snake(const struct span *s, long x, long k)
{
	while (x < s->n && x - k < s->m && s->a[x] == s->b[x - k])
		x++;
	return x;
}

/* One round; true when the end of both was reached. */
static bool advance(const struct span *s, int *trace, long d)
{
	for (long k = -d; k <= d; k += 2) {
		long x = 0;

		if (d)
			x = goes_down(trace, d, k) ? *reached(trace, d - 1, k + 1)
						   : *reached(trace, d - 1, k - 1) + 1;
		x = snake(s, x, k);
		*reached(trace, d, k) = (int)x;
		if (x >= s->n && x - k >= s->m)
			return true;
	}
	return false;
}

static void walk_back(const struct span *s, int *trace, long d)
{
	long k = s->n - s->m;

	for (; d > 0; d--) {
		bool down = goes_down(trace, d, k);
		long before = down ? k + 1 : k - 1;
		long x = *reached(trace, d - 1, before);

		if (down)
			s->add[x - before] = true;
		else
			s->del[x] = true;
		k = before;
	}
}

static int find_edits(const struct span *s)
{
	long most = s->n + s->m < DIFF_EDITS ? s->n + s->m : DIFF_EDITS;
	AUTO_FREE int *trace = NULL;

	if (s->n && s->m) {
		trace = malloc((size_t)((most + 1) * (most + 2) / 2) * sizeof *trace);
		if (!trace)
			return -ENOMEM;
		for (long d = 0; d <= most; d++) {
			if (advance(s, trace, d)) {
				walk_back(s, trace, d);
				return 0;
			}
		}
	}
	memset(s->del, true, (size_t)s->n);
	memset(s->add, true, (size_t)s->m);
	return 0;
}

/* What is equal at both ends needs no search. */
static int mark_changes(struct text_pair *p)
{
	const int *a = p->ids, *b = p->ids + p->a;
	size_t front = 0, back = 0, least = p->a < p->b ? p->a : p->b;

	while (front < least && a[front] == b[front])
		front++;
	while (back < least - front && a[p->a - 1 - back] == b[p->b - 1 - back])
		back++;
	return find_edits(
		&(struct span){a + front, b + front, p->changed + front, p->changed + p->a + front,
			(long)(p->a - front - back), (long)(p->b - front - back)});
}

/* ---- hunks ---- */

struct hunk {
	size_t a, b, a_end, b_end;
};

static void print_line(struct strbuf *out, char mark, const struct line *line)
{
	size_t n = utf8_cut(line->at, line->len, LINE_CUT);

	strbuf_addch(out, mark);
	escape_plain(out, line->at, n);
	strbuf_adds(out, n < line->len ? " …\n" : "\n");
}

static void print_hunk(const struct text_pair *p, const struct hunk *h, struct strbuf *out)
{
	size_t i = h->a, j = h->b;

	strbuf_addf(out, "@@ -%zu,%zu +%zu,%zu @@\n", h->a + (h->a_end > h->a), h->a_end - h->a,
		h->b + (h->b_end > h->b), h->b_end - h->b);
	while (i < h->a_end || j < h->b_end) {
		if (i < h->a_end && p->changed[i]) {
			print_line(out, '-', &p->lines[i++]);
		} else if (j < h->b_end && p->changed[p->a + j]) {
			print_line(out, '+', &p->lines[p->a + j++]);
		} else {
			print_line(out, ' ', &p->lines[i++]);
			j++;
		}
	}
}

static bool change_at(const struct text_pair *p, size_t i, size_t j)
{
	return (i < p->a && p->changed[i]) || (j < p->b && p->changed[p->a + j]);
}

static void skip_changes(const struct text_pair *p, size_t *i, size_t *j)
{
	while (*i < p->a && p->changed[*i])
		(*i)++;
	while (*j < p->b && p->changed[p->a + *j])
		(*j)++;
}

/* From the first change at or after (i, j) to where more than two contexts of equal lines follow.
 */
static bool next_hunk(const struct text_pair *p, size_t *i, size_t *j, struct hunk *h)
{
	size_t equal = 0, lead;

	for (lead = 0; *i < p->a && !change_at(p, *i, *j); lead++, (*i)++, (*j)++)
		;
	if (!change_at(p, *i, *j))
		return false;
	lead = lead < CONTEXT ? lead : CONTEXT;
	*h = (struct hunk){.a = *i - lead, .b = *j - lead};
	while (change_at(p, *i, *j)) {
		skip_changes(p, i, j);
		for (equal = 0; *i < p->a && equal <= 2 * CONTEXT && !change_at(p, *i, *j);
			equal++, (*i)++, (*j)++)
			;
		if (equal > 2 * CONTEXT)
			break;
	}
	*i -= equal;
	*j -= equal;
	equal = equal < CONTEXT ? equal : CONTEXT;
	h->a_end = *i + equal;
	h->b_end = *j + equal;
	return true;
}

static void print_hunks(const struct text_pair *p, size_t max_bytes, struct strbuf *out)
{
	size_t i = 0, j = 0, start = out->len;
	struct hunk h;

	while (next_hunk(p, &i, &j, &h)) {
		size_t before = out->len;

		/* one hunk may be a whole file: it is printed apart only to be measured */
		print_hunk(p, &h, out);
		if (out->len - start <= max_bytes)
			continue;
		if (before == start)
			before = start + utf8_cut(out->buf + start, out->len - start, max_bytes);
		strbuf_truncate(out, before);
		if (before > start && out->buf[before - 1] != '\n')
			strbuf_addch(out, '\n');
		strbuf_addf(out, "%s\n", _("… further differences are left out"));
		return;
	}
}

int textdiff(const char *a, size_t a_len, const char *b, size_t b_len, size_t max_bytes,
	struct strbuf *out, struct textdiff *counts)
{
	struct text_pair p;
	int r = pair_init(&p, a, a_len, b, b_len);

	*counts = (struct textdiff){0};
	if (!r)
		r = mark_changes(&p);
	if (!r) {
		for (size_t i = 0; i < p.a; i++)
			counts->removed += p.changed[i];
		for (size_t j = 0; j < p.b; j++)
			counts->added += p.changed[p.a + j];
		print_hunks(&p, max_bytes, out);
		r = out->err;
	}
	pair_release(&p);
	return r;
}
