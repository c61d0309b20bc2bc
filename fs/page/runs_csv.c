/*
 * runs.csv: every run, draft, step and trial, oldest first. The engine lists the newest first and a
 * step is named after its parent, which is older: so rows are kept as text until all are there.
 */
#include "fs/page/page.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/strbuf.h"
#include "fs/engine/engine.h"

#define NESTING_MAX 8 /* plans in plans in … */

static const char header[] =
	"name,kind,backend,state,metric,value,cost_usd,progress,attempt,created,submitted,"
	"started,ended,elapsed_s,error_class,folder,parent\r\n";

struct row {
	int64_t id, parent;
	size_t name;   /* offset in text of the name, NUL-terminated */
	size_t fields; /* … of ",kind,…,folder," */
	size_t end;
};

struct table {
	struct strbuf text;
	struct row *rows;
	size_t count, cap;
	int err;
};

static void put_text(struct strbuf *out, const char *text)
{
	if (text)
		escape_csv(out, text, strlen(text));
	strbuf_addch(out, ',');
}

/* The fewest digits that read back as the same number; empty where there is none. */
static void put_number(struct strbuf *out, double value, bool known)
{
	char digits[32];
	int precision = 15;

	if (known && isfinite(value)) {
		do
			snprintf(digits, sizeof(digits), "%.*g", precision, value);
		while (strtod(digits, NULL) != value && ++precision <= 17);
		strbuf_adds(out, digits);
	}
	strbuf_addch(out, ',');
}

static void put_time(struct strbuf *out, const struct stamp *at)
{
	if (at->wall_ns)
		clock_rfc3339(out, at->wall_ns);
	strbuf_addch(out, ',');
}

/* To its end or, while it goes on, to its last news: like `status`, it changes with news only. */
static void put_elapsed(struct strbuf *out, const struct run *r)
{
	const struct stamp *to = r->ended.wall_ns ? &r->ended : &r->answered;
	bool known = r->started.wall_ns && to->wall_ns;

	put_number(out, known ? (double)stamp_since(&r->started, to) / NS_PER_S : 0, known);
}

static void put_fields(struct strbuf *out, const struct run *r)
{
	strbuf_addch(out, ',');
	put_text(out, r->kind == KIND_NONE ? NULL : run_kind_words[r->kind]);
	put_text(out, r->backend);
	put_text(out, run_state_words[r->state]);
	put_text(out, r->metric_name);
	put_number(out, r->metric_value, true);
	put_number(out, r->cost_usd, true);
	put_number(out, r->progress, r->progress >= 0);
	strbuf_addf(out, "%d,", r->attempt);
	put_time(out, &r->created);
	put_time(out, &r->submitted);
	put_time(out, &r->started);
	put_time(out, &r->ended);
	put_elapsed(out, r);
	put_text(out, r->error_class);
	put_text(out, r->folder);
}

static int gather(void *arg, const struct run *r)
{
	struct table *t = arg;

	if (r->place != PLACE_RUNS && r->place != PLACE_CHILD)
		return 0;
	if (t->count == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 256;
		struct row *more = reallocarray(t->rows, cap, sizeof(*more));
		if (!more) {
			t->err = -ENOMEM;
			return 1;
		}
		t->rows = more;
		t->cap = cap;
	}
	struct row *row = &t->rows[t->count++];
	*row = (struct row){.id = r->id,
		.parent = r->place == PLACE_CHILD ? r->parent : 0,
		.name = t->text.len};
	strbuf_add(&t->text, r->name, strlen(r->name) + 1);
	row->fields = t->text.len;
	put_fields(&t->text, r);
	row->end = t->text.len;
	t->err = t->text.err;
	return t->err < 0;
}

static int by_id(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static const struct row *row_find(const struct table *t, int64_t id)
{
	struct row key = {.id = id};

	return bsearch(&key, t->rows, t->count, sizeof(key), by_id);
}

/* plan/step; false where a parent is not listed: then neither is the step. */
static bool put_path(struct strbuf *out, const struct table *t, const struct row *row, int depth)
{
	if (row->parent) {
		const struct row *parent = row_find(t, row->parent);
		if (!parent || depth >= NESTING_MAX || !put_path(out, t, parent, depth + 1))
			return false;
		strbuf_addch(out, '/');
	}
	strbuf_adds(out, t->text.buf + row->name);
	return true;
}

static int write_rows(const struct table *t, struct strbuf *out)
{
	AUTO_BUF struct strbuf path = STRBUF_INIT;

	strbuf_adds(out, header);
	for (size_t i = 0; i < t->count && !out->err; i++) {
		const struct row *row = &t->rows[i];
		strbuf_reset(&path);
		if (!put_path(&path, t, row, 0))
			continue;
		if (path.err)
			return path.err;
		escape_csv(out, path.buf, path.len);
		strbuf_add(out, t->text.buf + row->fields, row->end - row->fields);
		if (row->parent) {
			const char *slash = strrchr(path.buf, '/');
			escape_csv(out, path.buf, (size_t)(slash - path.buf));
		}
		strbuf_adds(out, "\r\n");
	}
	return out->err;
}

int page_runs_csv(struct engine *e, struct strbuf *out)
{
	struct table t = {0};

	strbuf_init(&t.text, out->max);
	int r = engine_recent(e, SIZE_MAX / 2, gather, &t);
	if (r >= 0)
		r = t.err;
	if (r >= 0) {
		if (t.count > 1)
			qsort(t.rows, t.count, sizeof(*t.rows), by_id);
		r = write_rows(&t, out);
	}
	free(t.rows);
	strbuf_release(&t.text);
	return r;
}
