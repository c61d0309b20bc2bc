#include "backends/kaggle/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kaggle/setup_code.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/notebook/ipynb.h"

#define SETUP_TAG     "kexec-setup" /* also the id of the cell */
#define TOKEN_COMMENT "# kexec.token: "

static void cleanup_json(struct json **j)
{
	json_free(*j);
}

static void cleanup_ipynb(struct ipynb **nb)
{
	ipynb_free(*nb);
}

#define AUTO_JSON  __attribute__((cleanup(cleanup_json)))
#define AUTO_IPYNB __attribute__((cleanup(cleanup_ipynb)))

/* ---- Notebooks ---- */

static bool is_setup(const struct json *cell)
{
	const struct json *tag = json_first(json_get(json_get(cell, "metadata"), "tags"));

	for (; tag; tag = json_next(tag)) {
		if (json_text(tag) && strcmp(json_text(tag), SETUP_TAG) == 0)
			return true;
	}
	return false;
}

static bool has_ids(const struct ipynb *nb)
{
	const struct json *root = ipynb_root(nb);
	int64_t major = json_int(json_get(root, "nbformat"), 4);

	return major > 4 || json_int(json_get(root, "nbformat_minor"), 0) >= 5;
}

static int set_new(struct json *object, const char *key, struct json *value)
{
	return value ? json_set(object, key, value) : -ENOMEM;
}

static struct json *setup_metadata(void)
{
	struct json *metadata = json_object(), *tags = json_array();

	if (metadata && tags && json_append_text(tags, SETUP_TAG) == 0 && json_set(metadata, "tags", tags) == 0)
		return metadata;
	json_free(metadata);
	return NULL;
}

static int add_setup(const struct ipynb *nb, const char *code, struct json *cells)
{
	struct json *cell = json_object();
	int err = json_set_text(cell, "cell_type", "code");

	if (!err && has_ids(nb))
		err = json_set_text(cell, "id", SETUP_TAG);
	if (!err)
		err = json_set_null(cell, "execution_count");
	if (!err)
		err = set_new(cell, "metadata", setup_metadata());
	if (!err)
		err = set_new(cell, "outputs", json_array());
	if (!err)
		err = json_set_text(cell, "source", code);
	if (!err)
		return json_append(cells, cell);
	json_free(cell);
	return err;
}

/* Kaggle answers 500 to a source that is a list; outputs would only make it large. */
static int add_cell(const struct ipynb *nb, size_t i, const struct json *old, struct json *cells)
{
	AUTO_BUF struct strbuf source = STRBUF_INIT;
	struct json *cell = json_copy(old);
	int err = cell ? ipynb_cell_source(nb, i, &source) : -ENOMEM;

	if (!err)
		err = json_set_text(cell, "source", source.buf);
	if (!err && ipynb_cell_is_code(nb, i))
		err = set_new(cell, "outputs", json_array());
	if (!err)
		return json_append(cells, cell);
	json_free(cell);
	return err;
}

static int make_cells(const struct ipynb *nb, const char *code, struct json *cells)
{
	const struct json *cell = json_first(json_get(ipynb_root(nb), "cells"));
	int err = *code ? add_setup(nb, code, cells) : 0;

	for (size_t i = 0; cell && !err; cell = json_next(cell), i++) {
		if (!is_setup(cell)) /* of a notebook that was pulled: another run's */
			err = add_cell(nb, i, cell, cells);
	}
	return err;
}

static struct json *with_token(const struct json *metadata, const char *token)
{
	struct json *copy = json_type(metadata) == JSON_OBJECT ? json_copy(metadata) : json_object();
	struct json *kexec = json_object();

	if (copy && kexec && json_set_text(kexec, "token", token) == 0) {
		if (json_set(copy, "kexec", kexec) == 0)
			return copy;
		kexec = NULL;
	}
	json_free(kexec);
	json_free(copy);
	return NULL;
}

static int print_notebook(const struct ipynb *nb, const struct source_extras *x, const char *code,
	struct strbuf *out)
{
	AUTO_JSON struct json *root = json_copy(ipynb_root(nb));
	struct json *cells = json_array();
	int err = root && cells ? make_cells(nb, code, cells) : -ENOMEM;

	if (err) {
		json_free(cells);
		return err;
	}
	err = json_set(root, "cells", cells);
	if (!err)
		err = set_new(root, "metadata", with_token(json_get(root, "metadata"), x->token));
	return err ? err : json_print(root, out, false);
}

int source_notebook(const char *text, size_t len, const struct source_extras *x, struct strbuf *out,
	struct why *why)
{
	AUTO_IPYNB struct ipynb *nb = ipynb_parse(text, len, why);
	AUTO_BUF struct strbuf code = STRBUF_INIT;
	struct source_extras there = *x;
	int err;

	if (!nb)
		return why && why->err ? -why->err : -EINVAL;
	err = json_count(x->parameters) ? ipynb_inject(nb, x->parameters, why) : 0;
	there.parameters = NULL; /* they have a cell of their own */
	if (!err)
		err = ipynb_ensure_kernel(nb);
	if (!err)
		err = setup_code(&there, &code);
	return err ? err : print_notebook(nb, x, code.buf, out);
}

/* ---- Scripts ---- */

static size_t line_end(const char *text, size_t len, size_t at)
{
	const char *newline = memchr(text + at, '\n', len - at);

	return newline ? (size_t)(newline - text) + 1 : len;
}

/* Behind blank lines and comments. */
static size_t skip_comments(const char *text, size_t len, size_t at)
{
	while (at < len) {
		size_t i = at;

		while (i < len && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\f'))
			i++;
		if (i < len && text[i] != '\n' && text[i] != '#')
			return at;
		at = line_end(text, len, at);
	}
	return at;
}

/* Behind a string literal at `at`, 0 where there is none or it does not end. */
static size_t skip_string(const char *text, size_t len, size_t at)
{
	size_t i = at, marks;
	char mark;

	if (i < len && strchr("rRuU", text[i]) && text[i])
		i++;
	if (i >= len || (text[i] != '"' && text[i] != '\''))
		return 0;
	mark = text[i];
	marks = i + 2 < len && text[i + 1] == mark && text[i + 2] == mark ? 3 : 1;
	for (i += marks; i < len; i++) {
		if (text[i] == '\\')
			i++;
		else if (text[i] == '\n' && marks == 1)
			return 0;
		else if (text[i] == mark && (marks == 1 || (i + 2 < len && text[i + 1] == mark && text[i + 2] == mark)))
			return i + marks;
	}
	return 0;
}

/* A docstring with nothing but a comment behind it on its line. */
static size_t skip_docstring(const char *text, size_t len, size_t at)
{
	size_t end = skip_string(text, len, at);

	for (size_t i = end; end && i < len; i++) {
		if (text[i] == '\n' || text[i] == '#')
			break;
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
			return at;
	}
	return end ? line_end(text, len, end) : at;
}

/* One statement `from __future__ import …`, over several lines in parentheses or after backslashes. */
static size_t skip_future(const char *text, size_t len, size_t at)
{
	static const char word[] = "from __future__ ";
	bool open = false;

	if (len - at < sizeof(word) - 1 || memcmp(text + at, word, sizeof(word) - 1) != 0)
		return at;
	for (size_t i = at; i < len; i++) {
		if (text[i] == '(')
			open = true;
		else if (text[i] == ')')
			open = false;
		else if (text[i] == '#')
			i = line_end(text, len, i) - 2;
		else if (text[i] == '\\' && i + 1 < len && (text[i + 1] == '\n' || text[i + 1] == '\r'))
			i += text[i + 1] == '\r' ? 2 : 1;
		else if (text[i] == '\n' && !open)
			return i + 1;
	}
	return len;
}

size_t source_script_place(const char *text, size_t len)
{
	size_t at = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0, next;

	at = skip_comments(text, len, at);
	at = skip_docstring(text, len, at);
	for (;;) {
		size_t statement = skip_comments(text, len, at);

		next = skip_future(text, len, statement);
		if (next == statement)
			return at;
		at = next;
	}
}

/* One line, so that numbers of lines in tracebacks are off by one only. */
static int one_line(const char *code, struct strbuf *out)
{
	struct json *array = json_array();
	int err = json_append_text(array, code);

	strbuf_adds(out, "exec(");
	if (!err)
		err = python_literal(json_first(array), out);
	strbuf_adds(out, ")  # kexec\n");
	json_free(array);
	return err;
}

int source_script(const char *text, size_t len, const struct source_extras *x, struct strbuf *out,
	struct why *why)
{
	AUTO_BUF struct strbuf code = STRBUF_INIT;
	size_t place = source_script_place(text, len);
	int err = setup_code(x, &code);

	if (err)
		return err;
	strbuf_add(out, text, place);
	if (code.len && place && text[place - 1] != '\n')
		strbuf_addch(out, '\n');
	if (code.len)
		err = one_line(code.buf, out);
	strbuf_add(out, text + place, len - place);
	if (out->len && out->buf[out->len - 1] != '\n')
		strbuf_addch(out, '\n');
	strbuf_addf(out, TOKEN_COMMENT "%s\n", x->token);
	return err ? err : out->err;
}

/* ---- Reading back ---- */

static int keep_token(const char *text, size_t len, char token[TOKEN_MAX])
{
	if (len == 0 || len >= TOKEN_MAX)
		return -ENOENT;
	memcpy(token, text, len);
	token[len] = '\0';
	return 0;
}

/* The last line that is our comment. */
static const char *token_line(const char *source)
{
	const char *found = NULL, *at = source;

	while ((at = strstr(at, TOKEN_COMMENT)) != NULL) {
		if (at == source || at[-1] == '\n')
			found = at;
		at += sizeof(TOKEN_COMMENT) - 1;
	}
	return found;
}

int source_token(const char *source, char token[TOKEN_MAX])
{
	AUTO_JSON struct json *root = json_parse(source, strlen(source), IPYNB_MAX_BYTES, NULL);
	const char *text = json_text(json_get(json_get(json_get(root, "metadata"), "kexec"), "token"));
	const char *line = root ? NULL : token_line(source);

	if (text)
		return keep_token(text, strlen(text), token);
	if (!line)
		return -ENOENT;
	line += sizeof(TOKEN_COMMENT) - 1;
	return keep_token(line, strcspn(line, "\r\n"), token);
}

static bool same_cell(const struct ipynb *a, const struct ipynb *b, size_t i)
{
	AUTO_BUF struct strbuf x = STRBUF_INIT, y = STRBUF_INIT;

	return ipynb_cell_is_code(a, i) == ipynb_cell_is_code(b, i) && !ipynb_cell_source(a, i, &x) &&
	       !ipynb_cell_source(b, i, &y) && strcmp(x.buf, y.buf) == 0;
}

static bool same_notebooks(const struct ipynb *a, const struct ipynb *b)
{
	if (ipynb_cells(a) != ipynb_cells(b))
		return false;
	for (size_t i = 0; i < ipynb_cells(a); i++) {
		if (!same_cell(a, b, i))
			return false;
	}
	return true;
}

/* Without our comment and white space at the end. */
static size_t script_len(const char *text)
{
	const char *line = token_line(text);
	size_t len = line ? (size_t)(line - text) : strlen(text);

	while (len && strchr(" \t\r\n", text[len - 1]))
		len--;
	return len;
}

bool source_same(const char *a, const char *b)
{
	AUTO_IPYNB struct ipynb *x = ipynb_parse(a, strlen(a), NULL);
	AUTO_IPYNB struct ipynb *y = ipynb_parse(b, strlen(b), NULL);

	if (x || y)
		return x && y && same_notebooks(x, y);
	return script_len(a) > 0 && script_len(a) == script_len(b) && memcmp(a, b, script_len(a)) == 0;
}
