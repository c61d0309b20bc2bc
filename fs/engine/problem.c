#include "fs/engine/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"

#define SENTENCE_MAX 1000
#define FILE_MAX     4096

static const char *const severity_words[] = {[PROBLEM_ERROR] = "error", [PROBLEM_WARNING] = "warning"};

/* What is kept of a text: one line of valid UTF-8 without terminal controls, because file names and
 * quoted source come from strangers and the files made of this are shown with cat. */
static char *one_line(const char *text, size_t max)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;

	escape_line(&line, text, strlen(text), max);
	return line.err ? NULL : strbuf_detach(&line, NULL);
}

static void problem_release(struct problem *p)
{
	free(p->check);
	free(p->file);
	free(p->what);
	free(p->fix);
}

static int grow(struct problems *p)
{
	size_t cap = p->cap ? p->cap * 2 : 8;
	struct problem *list;

	if (p->count < p->cap)
		return 0;
	list = reallocarray(p->list, cap, sizeof(*list));
	if (!list)
		return -ENOMEM;
	p->list = list;
	p->cap = cap;
	return 0;
}

static int append(struct problems *p, const struct problem *made)
{
	int err = made->check && made->file && made->what && made->fix ? grow(p) : -ENOMEM;

	if (!err)
		p->list[p->count++] = *made;
	return err;
}

int problems_add(struct problems *p, enum severity severity, const char *check, const char *file,
	int cell, int line, const char *fix, const char *what_fmt, ...)
{
	AUTO_BUF struct strbuf what = STRBUF_INIT;
	struct problem made = {.severity = severity, .line = line, .cell = cell};
	va_list ap;
	int err;

	if (p->count >= PROBLEMS_MAX) {
		p->more++;
		p->more_errors += severity == PROBLEM_ERROR;
		return 0;
	}
	va_start(ap, what_fmt);
	strbuf_vaddf(&what, what_fmt, ap);
	va_end(ap);
	made.check = strdup(check);
	made.file = one_line(file ? file : "", FILE_MAX);
	made.what = one_line(what.buf, SENTENCE_MAX);
	made.fix = one_line(fix ? fix : "", SENTENCE_MAX);
	err = append(p, &made);
	if (err)
		problem_release(&made);
	return err;
}

size_t problems_errors(const struct problems *p)
{
	size_t errors = p->more_errors;

	for (size_t i = 0; i < p->count; i++)
		errors += p->list[i].severity == PROBLEM_ERROR;
	return errors;
}

void problems_release(struct problems *p)
{
	for (size_t i = 0; i < p->count; i++)
		problem_release(&p->list[i]);
	free(p->list);
	memset(p, 0, sizeof(*p));
}

/* "error: train.ipynb, cell 3, line 2 (notebook.conflict)" and the sentences, indented. */
static void paragraph(const struct problem *one, struct strbuf *out)
{
	strbuf_addf(out, "%s: ", severity_words[one->severity]);
	if (one->file[0])
		strbuf_addf(out, "%s", one->file);
	if (one->cell > 0)
		strbuf_addf(out, _(", cell %d"), one->cell);
	if (one->line > 0)
		strbuf_addf(out, _(", line %d"), one->line);
	strbuf_addf(out, "%s(%s)\n  %s\n", one->file[0] ? " " : "", one->check, one->what);
	if (one->fix[0])
		strbuf_addf(out, "  -> %s\n", one->fix);
}

int problems_text(const struct problems *p, struct strbuf *out)
{
	if (!p->count)
		return strbuf_adds(out, "ok\n");
	for (size_t i = 0; i < p->count; i++) {
		if (i)
			strbuf_addch(out, '\n');
		paragraph(&p->list[i], out);
	}
	if (p->more) {
		strbuf_addch(out, '\n');
		strbuf_addf(out, _("and %zu more, of which %zu errors"), p->more, p->more_errors);
		strbuf_addch(out, '\n');
	}
	return out->err;
}

static struct json *problem_object(const struct problem *one)
{
	struct json *j = json_object();

	if (!j || json_set_text(j, "severity", severity_words[one->severity]) ||
		json_set_text(j, "check", one->check) || json_set_text(j, "file", one->file) ||
		json_set_int(j, "line", one->line) || json_set_int(j, "cell", one->cell) ||
		json_set_text(j, "what", one->what) || json_set_text(j, "fix", one->fix)) {
		json_free(j);
		return NULL;
	}
	return j;
}

static int fill_report(const struct problems *p, struct json *root)
{
	size_t errors = problems_errors(p);
	struct json *list = json_array();
	int err = list ? 0 : -ENOMEM;

	for (size_t i = 0; i < p->count && !err; i++) {
		struct json *one = problem_object(&p->list[i]);

		err = one ? json_append(list, one) : -ENOMEM;
	}
	if (err) {
		json_free(list);
		return err;
	}
	if (json_set_bool(root, "ok", errors == 0) || json_set_int(root, "errors", (int64_t)errors) ||
		json_set_int(root, "warnings", (int64_t)(p->count + p->more - errors)) ||
		json_set_int(root, "not_listed", (int64_t)p->more)) {
		json_free(list);
		return -ENOMEM;
	}
	return json_set(root, "problems", list);
}

int problems_json(const struct problems *p, struct strbuf *out)
{
	struct json *root = json_object();
	int err = root ? fill_report(p, root) : -ENOMEM;

	if (!err)
		err = json_print(root, out, true);
	if (!err)
		err = strbuf_addch(out, '\n');
	json_free(root);
	return err;
}
