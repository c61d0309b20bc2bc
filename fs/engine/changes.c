#include "fs/engine/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/metric_line.h"
#include "fs/base/strbuf.h"
#include "fs/engine/textdiff.h"
#include "fs/notebook/ipynb.h"

#define CHANGES_MAX  ((size_t)256 << 10)  /* of the whole text, about */
#define FILE_MAX     ((size_t)64 << 10)   /* of one file's hunks */
#define TEXT_FILE    ((size_t)1 << 20)    /* larger ones are named with their sizes only */
#define NOTEBOOK_MAX ((size_t)16 << 20)   /* with its outputs; its source counts as text */
#define COMPARE_MAX  ((int64_t)512 << 20) /* bytes read to find out whether large files are equal  \
					   */
#define ENTRIES_MAX 20000
#define DEPTH_MAX   64
#define OPTIONS_MAX ((size_t)1 << 20)
#define VALUE_MAX   200

/* ---- the trees ---- */

struct entry {
	char *path;
	mode_t mode;
	int64_t size;
};

struct tree {
	int fd;
	struct entry *list;
	size_t count, cap;
	bool cut; /* it holds more than ENTRIES_MAX */
};

static int add_entry(void *arg, const struct io_entry *e)
{
	struct tree *t = arg;

	if (S_ISDIR(e->mode))
		return 0;
	if (t->count == ENTRIES_MAX) {
		t->cut = true;
		return 1;
	}
	if (t->count == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct entry *list = reallocarray(t->list, cap, sizeof *list);
		if (!list)
			return -ENOMEM;
		t->list = list;
		t->cap = cap;
	}
	t->list[t->count] = (struct entry){strdup(e->path), e->mode, e->size};
	return t->list[t->count++].path ? 0 : -ENOMEM;
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static void tree_release(struct tree *t)
{
	for (size_t i = 0; i < t->count; i++)
		free(t->list[i].path);
	free(t->list);
	if (t->fd >= 0)
		close(t->fd);
}

/* A source that is gone (the run was removed for good) is an empty one. */
static int tree_read(struct engine *e, int64_t run, struct tree *out)
{
	char path[ENGINE_PATH_MAX];
	int r;

	*out = (struct tree){
		.fd = io_open_dir(engine_state_dirfd(e), engine_source_path(path, run))};
	if (out->fd < 0)
		return out->fd == -ENOENT ? 0 : out->fd;
	r = io_walk(out->fd, ".", DEPTH_MAX, add_entry, out);
	if (r == -ELOOP)
		out->cut = true;
	if (r == 1 || r == -ELOOP)
		r = 0;
	qsort(out->list, out->count, sizeof *out->list, compare_entries);
	return r;
}

/* ---- is it the same? ---- */

struct changes {
	struct tree old, new;
	struct strbuf *out;
	struct strbuf diffs; /* shown below the list of files */
	int64_t budget;      /* bytes that may still be compared */
	size_t files;        /* that differ */
};

enum sameness { SAME, DIFFERENT, NOT_COMPARED };

static int same_content(int a, int b)
{
	static const size_t piece = 64 << 10;
	AUTO_FREE char *x = malloc(piece);
	AUTO_FREE char *y = malloc(piece);
	int n, m;

	if (!x || !y)
		return -ENOMEM;
	do {
		n = io_read_all(a, x, piece);
		m = io_read_all(b, y, piece);
		if (n < 0 || m < 0)
			return n < 0 ? n : m;
		if (n != m || memcmp(x, y, (size_t)n))
			return DIFFERENT;
	} while (n);
	return SAME;
}

static int same_link(const struct changes *c, const char *path)
{
	char a[PATH_MAX], b[PATH_MAX];
	ssize_t n = readlinkat(c->old.fd, path, a, sizeof a);
	ssize_t m = readlinkat(c->new.fd, path, b, sizeof b);

	if (n < 0 || m < 0)
		return NOT_COMPARED;
	return n == m && memcmp(a, b, (size_t)n) == 0 ? SAME : DIFFERENT;
}

static int same_file(struct changes *c, const struct entry *a, const struct entry *b)
{
	const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int r;

	if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
		return DIFFERENT;
	if (S_ISLNK(a->mode))
		return same_link(c, a->path);
	if (!S_ISREG(a->mode))
		return NOT_COMPARED;
	if (a->size != b->size)
		return DIFFERENT;
	if (a->size > c->budget)
		return NOT_COMPARED;
	c->budget -= a->size;
	AUTO_FD int x = openat(c->old.fd, a->path, flags);
	AUTO_FD int y = openat(c->new.fd, b->path, flags);
	if (x < 0 || y < 0)
		return NOT_COMPARED;
	r = same_content(x, y);
	return r == -ENOMEM ? r : r < 0 ? NOT_COMPARED : r;
}

/* ---- one changed file ---- */

static void add_path(struct strbuf *out, const char *path)
{
	escape_line(out, path, strlen(path), PATH_MAX);
}

static bool is_notebook(const char *path)
{
	size_t n = strlen(path);
	return n > 6 && strcmp(path + n - 6, ".ipynb") == 0;
}

/* The source of its cells as one text; false when it is no notebook that can be read. */
static bool flatten(const struct strbuf *json, struct strbuf *out)
{
	struct ipynb *nb = ipynb_parse(json->buf, json->len, NULL);
	size_t cells = nb ? ipynb_cells(nb) : 0;

	for (size_t i = 0; i < cells && !out->err; i++) {
		strbuf_adds(out, ipynb_cell_is_code(nb, i) ? "# %% code\n" : "# %% text\n");
		ipynb_cell_source(nb, i, out);
		strbuf_adds(out, "\n");
	}
	ipynb_free(nb);
	return nb && !out->err;
}

enum content { CONTENT_TEXT, CONTENT_OPAQUE };

/* What can be compared by lines. The larger a notebook's outputs, the less they matter. */
static enum content read_text(int fd, const struct entry *e, struct strbuf *out)
{
	AUTO_BUF struct strbuf raw = STRBUF_INIT;
	bool notebook = is_notebook(e->path);

	out->max = TEXT_FILE;
	if (!S_ISREG(e->mode) || io_read(fd, e->path, notebook ? NOTEBOOK_MAX : TEXT_FILE, &raw))
		return CONTENT_OPAQUE;
	if (notebook && flatten(&raw, out))
		return CONTENT_TEXT;
	strbuf_reset(out);
	if (raw.len > TEXT_FILE || memchr(raw.buf, 0, raw.len))
		return CONTENT_OPAQUE;
	return strbuf_add(out, raw.buf, raw.len) ? CONTENT_OPAQUE : CONTENT_TEXT;
}

static void note_sizes(struct strbuf *out, const struct entry *a, const struct entry *b)
{
	strbuf_addf(out, _(" (%lld bytes, before %lld)"), (long long)b->size, (long long)a->size);
}

static void add_hunks(struct changes *c, const struct entry *b, const struct strbuf *hunks)
{
	if (c->diffs.len >= CHANGES_MAX) {
		return; /* the list of files still names it */
	}
	strbuf_adds(&c->diffs, "\n--- a/");
	add_path(&c->diffs, b->path);
	strbuf_adds(&c->diffs, "\n+++ b/");
	add_path(&c->diffs, b->path);
	strbuf_addch(&c->diffs, '\n');
	strbuf_add(&c->diffs, hunks->buf, hunks->len);
}

static int add_difference(struct changes *c, const struct entry *a, const struct entry *b)
{
	AUTO_BUF struct strbuf x = STRBUF_INIT, y = STRBUF_INIT, hunks = STRBUF_INIT;
	struct textdiff counts;
	int r;

	if (read_text(c->old.fd, a, &x) == CONTENT_OPAQUE ||
		read_text(c->new.fd, b, &y) == CONTENT_OPAQUE) {
		note_sizes(c->out, a, b);
		return 0;
	}
	r = textdiff(x.buf, x.len, y.buf, y.len, FILE_MAX, &hunks, &counts);
	if (r == -E2BIG) {
		note_sizes(c->out, a, b);
		return 0;
	}
	if (r)
		return r;
	if (counts.added || counts.removed) {
		strbuf_addf(c->out, " (+%zu -%zu)", counts.added, counts.removed);
		add_hunks(c, b, &hunks);
	} else {
		strbuf_adds(c->out, is_notebook(b->path) ? _(" (outputs or metadata only)")
							 : _(" (line endings only)"));
	}
	return 0;
}

/* ---- the list of files ---- */

static void file_line(struct changes *c, const char *word, const char *path)
{
	if (!c->files++)
		strbuf_addf(c->out, "\n%s\n", _("Files"));
	strbuf_addf(c->out, "  %-8s ", word);
	add_path(c->out, path);
}

static void lone_file(struct changes *c, const char *word, const struct entry *e)
{
	file_line(c, word, e->path);
	strbuf_addf(c->out, _(" (%lld bytes)\n"), (long long)e->size);
}

static int pair_of_files(struct changes *c, const struct entry *a, const struct entry *b)
{
	int r = same_file(c, a, b);

	if (r <= SAME)
		return r;
	file_line(c, r == DIFFERENT ? "changed" : "unread", b->path);
	r = r == DIFFERENT ? add_difference(c, a, b) : 0;
	strbuf_addch(c->out, '\n');
	return r;
}

static int compare_trees(struct changes *c)
{
	size_t i = 0, j = 0;
	int r = 0;

	while (!r && (i < c->old.count || j < c->new.count)) {
		const struct entry *a = i < c->old.count ? &c->old.list[i] : NULL;
		const struct entry *b = j < c->new.count ? &c->new.list[j] : NULL;
		int order = !a ? 1 : !b ? -1 : strcmp(a->path, b->path);

		if (c->out->len > CHANGES_MAX) {
			strbuf_addf(c->out, "  %s\n", _("… further files are left out"));
			break;
		}
		if (a && order < 0)
			lone_file(c, "removed", a);
		else if (b && order > 0)
			lone_file(c, "added", b);
		else if (a && b)
			r = pair_of_files(c, a, b);
		i += order <= 0;
		j += order >= 0;
	}
	if (c->old.cut || c->new.cut)
		strbuf_addf(c->out, "  %s\n",
			_("The folder holds too many files; the first ones were compared."));
	return r;
}

/* ---- options ---- */

struct option_list {
	struct strbuf *out;
	size_t count;
};

static int print_value(const struct json *j, struct strbuf *out)
{
	if (!j)
		return strbuf_adds(out, "-");
	return json_print(j, out, false);
}

static int option_line(struct option_list *l, const char *prefix, const char *key,
	const struct json *old, const struct json *new)
{
	AUTO_BUF struct strbuf a = STRBUF_INIT, b = STRBUF_INIT;
	int r = print_value(old, &a);

	if (!r)
		r = print_value(new, &b);
	if (r || strcmp(a.buf, b.buf) == 0)
		return r;
	if (!l->count++)
		strbuf_addf(l->out, "\n%s\n", _("Options"));
	strbuf_adds(l->out, "  ");
	escape_line(l->out, prefix, strlen(prefix), VALUE_MAX);
	escape_line(l->out, key, strlen(key), VALUE_MAX);
	strbuf_adds(l->out, ": ");
	escape_line(l->out, a.buf, a.len, VALUE_MAX);
	strbuf_adds(l->out, " -> ");
	escape_line(l->out, b.buf, b.len, VALUE_MAX);
	return strbuf_addch(l->out, '\n');
}

static int compare_keys(
	struct option_list *l, const char *prefix, const struct json *old, const struct json *new);

/* Objects are compared by key, so that `env` shows the one variable that changed. */
static int compare_values(struct option_list *l, const char *prefix, const char *key,
	const struct json *old, const struct json *new)
{
	AUTO_BUF struct strbuf inner = STRBUF_INIT;

	if (*prefix || json_type(old) != JSON_OBJECT || json_type(new) != JSON_OBJECT)
		return option_line(l, prefix, key, old, new);
	strbuf_addf(&inner, "%s.", key);
	return inner.err ? inner.err : compare_keys(l, inner.buf, old, new);
}

static int compare_keys(
	struct option_list *l, const char *prefix, const struct json *old, const struct json *new)
{
	int r = 0;

	for (const struct json *a = json_first(old); a && !r; a = json_next(a))
		r = compare_values(l, prefix, json_key(a), a, json_get(new, json_key(a)));
	for (const struct json *b = json_first(new); b && !r; b = json_next(b))
		if (!json_get(old, json_key(b)))
			r = compare_values(l, prefix, json_key(b), NULL, b);
	return r;
}

static struct json *parse_options(const struct run *r)
{
	return r->options ? json_parse(r->options, strlen(r->options), OPTIONS_MAX, NULL) : NULL;
}

static int compare_options(
	const struct run *run, const struct run *previous, struct strbuf *out, size_t *count)
{
	struct option_list l = {.out = out};
	struct json *old = parse_options(previous), *new = parse_options(run);
	int r = compare_keys(&l, "", old, new);

	json_free(old);
	json_free(new);
	*count = l.count;
	return r;
}

/* ---- metric ---- */

static void add_metric(const struct run *run, const struct run *previous, struct strbuf *out)
{
	const char *name = run->metric_name ? run->metric_name : previous->metric_name;

	if (!name || !isfinite(previous->metric_value) || !previous->metric_name ||
		strcmp(name, previous->metric_name))
		return;
	strbuf_addf(out, "\n%s\n  ", _("Metric"));
	escape_line(out, name, strlen(name), VALUE_MAX);
	strbuf_adds(out, ": ");
	metric_print_value(out, previous->metric_value);
	strbuf_adds(out, " -> ");
	if (isfinite(run->metric_value))
		metric_print_value(out, run->metric_value);
	else
		strbuf_adds(out, "-");
	strbuf_addch(out, '\n');
}

/* ---- entry ---- */

static int add_files(struct engine *e, const struct run *run, const struct run *previous,
	struct strbuf *out, size_t *count)
{
	struct changes c = {.old.fd = -1,
		.new.fd = -1,
		.out = out,
		.diffs = STRBUF_INIT,
		.budget = COMPARE_MAX};
	int r = tree_read(e, previous->id, &c.old);

	if (!r)
		r = tree_read(e, run->id, &c.new);
	if (!r)
		r = compare_trees(&c);
	if (!r)
		r = c.diffs.err;
	if (!r)
		strbuf_add(out, c.diffs.buf, c.diffs.len);
	*count = c.files;
	strbuf_release(&c.diffs);
	tree_release(&c.old);
	tree_release(&c.new);
	return r;
}

int changes_render(
	struct engine *e, const struct run *r, const struct run *previous, struct strbuf *out)
{
	size_t options, files;
	int err;

	if (!previous) {
		strbuf_addf(out, "%s\n", _("first run of this name"));
		return out->err;
	}
	strbuf_adds(out, _("Compared with run "));
	escape_line(out, previous->name, strlen(previous->name), RUN_NAME_MAX);
	strbuf_addf(out, " (%s)\n", run_state_words[previous->state]);
	err = compare_options(r, previous, out, &options);
	if (err)
		return err;
	add_metric(r, previous, out);
	err = add_files(e, r, previous, out, &files);
	if (err)
		return err;
	if (!options && !files)
		strbuf_addf(out, "\n%s\n", _("Source and options are the same."));
	return out->err;
}
