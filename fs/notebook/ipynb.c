#include "fs/notebook/ipynb.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define PARAMETERS_TAG "parameters"
#define INJECTED_TAG   "injected-parameters"
#define INJECTED_ID    "kexec-parameters"
#define ID_MAX         64

struct ipynb {
	struct json *root;
	const struct json **cells; /* into root, because a list is walked from its first member */
	size_t count;
	bool ids;                  /* nbformat 4.5 and later: cells have ids */
};

/* ---- Reading ---- */

static bool is_texts(const struct json *j)
{
	if (json_type(j) != JSON_ARRAY)
		return false;
	for (j = json_first(j); j; j = json_next(j)) {
		if (!json_text(j))
			return false;
	}
	return true;
}

/* Absent or of that type. */
static bool may_be(const struct json *j, enum json_type type)
{
	return json_type(j) == JSON_ABSENT || json_type(j) == type;
}

static int check_cell(const struct json *cell, size_t number, struct why *why)
{
	const struct json *source = json_get(cell, "source"), *metadata = json_get(cell, "metadata");
	const struct json *tags = json_get(metadata, "tags");

	if (json_type(cell) != JSON_OBJECT)
		return why_set(why, EINVAL, _("cell %zu is not an object"), number);
	if (!json_text(json_get(cell, "cell_type")))
		return why_set(why, EINVAL, _("cell %zu has no cell_type"), number);
	if (!may_be(source, JSON_TEXT) && !is_texts(source))
		return why_set(why, EINVAL, _("the source of cell %zu is neither a text nor a list of texts"),
			number);
	if (!may_be(metadata, JSON_OBJECT))
		return why_set(why, EINVAL, _("the metadata of cell %zu is not an object"), number);
	if (json_type(tags) != JSON_ABSENT && !is_texts(tags))
		return why_set(why, EINVAL, _("the tags of cell %zu are not a list of texts"), number);
	if (!may_be(json_get(cell, "outputs"), JSON_ARRAY))
		return why_set(why, EINVAL, _("the outputs of cell %zu are not a list"), number);
	return 0;
}

static int check_format(const struct json *root, struct why *why)
{
	const struct json *format = json_get(root, "nbformat");

	if (json_type(root) != JSON_OBJECT ||
		(json_type(format) == JSON_ABSENT && json_type(json_get(root, "cells")) == JSON_ABSENT))
		return why_set(why, EINVAL, _("it is JSON, but not a notebook"));
	if (json_int(format, -1) < 0)
		return why_set(why, EINVAL, _("nbformat, the version of the format, is not a whole number"));
	if (json_int(format, -1) < 4)
		return why_set(why, EINVAL,
			_("nbformat %d is too old: open it in Jupyter and save it, or run: jupyter nbconvert --to notebook --nbformat 4"),
			(int)json_int(format, -1));
	if (json_int(format, -1) > 4)
		return why_set(why, EINVAL, _("nbformat %lld is not known here, 4 is"),
			(long long)json_int(format, -1));
	return 0;
}

static int check_metadata(const struct json *root, struct why *why)
{
	const struct json *metadata = json_get(root, "metadata");
	const struct json *spec = json_get(metadata, "kernelspec"), *info = json_get(metadata, "language_info");

	if (!may_be(metadata, JSON_OBJECT))
		return why_set(why, EINVAL, _("the metadata of the notebook is not an object"));
	if (!may_be(spec, JSON_OBJECT) || !may_be(json_get(spec, "name"), JSON_TEXT) ||
		!may_be(json_get(spec, "language"), JSON_TEXT))
		return why_set(why, EINVAL, _("kernelspec in the metadata is not an object of texts"));
	if (!may_be(info, JSON_OBJECT) || !may_be(json_get(info, "name"), JSON_TEXT))
		return why_set(why, EINVAL, _("language_info in the metadata is not an object of texts"));
	return 0;
}

/* cells again from root, after reading and after a cell was put in. */
static int index_cells(struct ipynb *nb)
{
	const struct json *cells = json_get(nb->root, "cells");
	size_t count = json_count(cells), i = 0;
	const struct json **list = calloc(count + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	for (const struct json *cell = json_first(cells); cell && i < count; cell = json_next(cell))
		list[i++] = cell;
	free(nb->cells);
	nb->cells = list;
	nb->count = i;
	return 0;
}

static int check(struct ipynb *nb, struct why *why)
{
	int err = check_format(nb->root, why);

	if (!err)
		err = check_metadata(nb->root, why);
	if (!err && json_type(json_get(nb->root, "cells")) != JSON_ARRAY)
		err = why_set(why, EINVAL, _("it has no list of cells"));
	if (!err && index_cells(nb))
		err = why_set(why, ENOMEM, "%s", strerror(ENOMEM));
	for (size_t i = 0; !err && i < nb->count; i++)
		err = check_cell(nb->cells[i], i + 1, why);
	nb->ids = json_int(json_get(nb->root, "nbformat_minor"), 0) >= 5;
	return err;
}

struct ipynb *ipynb_parse(const char *text, size_t len, struct why *why)
{
	struct ipynb *nb;
	int err;

	if (len > IPYNB_MAX_BYTES) {
		why_set(why, E2BIG,
			_("the notebook has %zu MiB, at most %zu are taken: clear its outputs before submitting"),
			len >> 20, IPYNB_MAX_BYTES >> 20);
		return NULL;
	}
	nb = calloc(1, sizeof(*nb));
	if (!nb) {
		why_set(why, ENOMEM, "%s", strerror(ENOMEM));
		return NULL;
	}
	nb->root = json_parse(text, len, IPYNB_MAX_BYTES, why);
	err = nb->root ? check(nb, why) : -EINVAL;
	if (!err)
		return nb;
	ipynb_free(nb);
	return NULL;
}

void ipynb_free(struct ipynb *nb)
{
	if (!nb)
		return;
	json_free(nb->root);
	free(nb->cells);
	free(nb);
}

size_t ipynb_cells(const struct ipynb *nb)
{
	return nb->count;
}

bool ipynb_cell_is_code(const struct ipynb *nb, size_t i)
{
	const char *type = i < nb->count ? json_text(json_get(nb->cells[i], "cell_type")) : NULL;

	return type && strcmp(type, "code") == 0;
}

/* A text, or a list of texts with `between` them. What is of another type counts as empty. */
static int add_joined(const struct json *j, const char *between, struct strbuf *out)
{
	if (json_text(j))
		return strbuf_adds(out, json_text(j));
	for (const struct json *m = json_type(j) == JSON_ARRAY ? json_first(j) : NULL; m; m = json_next(m)) {
		if (m != json_first(j))
			strbuf_adds(out, between);
		if (json_text(m))
			strbuf_adds(out, json_text(m));
	}
	return out->err;
}

int ipynb_cell_source(const struct ipynb *nb, size_t i, struct strbuf *out)
{
	return i < nb->count ? add_joined(json_get(nb->cells[i], "source"), "", out) : -ENOENT;
}

static const struct json *kernelspec(const struct ipynb *nb)
{
	return json_get(json_get(nb->root, "metadata"), "kernelspec");
}

const char *ipynb_kernel(const struct ipynb *nb)
{
	const char *name = json_text(json_get(kernelspec(nb), "name"));

	return name && name[0] ? name : NULL;
}

/* Kernels whose notebooks often name no language. */
static const char *language_of_kernel(const char *kernel)
{
	static const struct {
		const char *prefix, *language;
	} known[] = {
		{"ir", "R"}, {"julia", "julia"}, {"xcpp", "c++"}, {"bash", "bash"}, {"javascript", "javascript"},
		{"deno", "typescript"}, {"octave", "octave"}, {"matlab", "matlab"}, {"scala", "scala"},
		{"rust", "rust"}, {"sas", "sas"}, {".net", "c#"},
	};

	for (size_t i = 0; kernel && i < sizeof(known) / sizeof(known[0]); i++) {
		size_t n = strlen(known[i].prefix);

		/* "ir" and "ir4", not "iris": what follows is a version. */
		if (strncasecmp(kernel, known[i].prefix, n) == 0 && !isalpha((unsigned char)kernel[n]))
			return known[i].language;
	}
	return "python";
}

const char *ipynb_language(const struct ipynb *nb)
{
	const char *spec = json_text(json_get(kernelspec(nb), "language"));
	const char *info = json_text(json_get(json_get(json_get(nb->root, "metadata"), "language_info"), "name"));

	if (spec && spec[0])
		return spec;
	return info && info[0] ? info : language_of_kernel(ipynb_kernel(nb));
}

const struct json *ipynb_root(const struct ipynb *nb)
{
	return nb->root;
}

static bool has_tag(const struct json *cell, const char *tag)
{
	const struct json *t = json_first(json_get(json_get(cell, "metadata"), "tags"));

	for (; t; t = json_next(t)) {
		if (json_text(t) && strcmp(json_text(t), tag) == 0)
			return true;
	}
	return false;
}

/* ---- Writing ---- */

/* The document is ours to change; json.h hands out its parts as const. */
static struct json *writable(const struct json *j)
{
	return (struct json *)j;
}

static int parameters_source(const struct json *parameters, struct strbuf *out, struct why *why)
{
	int err = 0;

	strbuf_adds(out, "# Parameters\n");
	for (const struct json *m = json_first(parameters); m && !err; m = json_next(m)) {
		if (!python_identifier(json_key(m)))
			return why_set(why, EINVAL, _("\"%s\" cannot name a parameter: it is no Python name"),
				json_key(m));
		strbuf_addf(out, "%s = ", json_key(m));
		err = python_literal(m, out);
		strbuf_addch(out, '\n');
	}
	err = err ? err : out->err;
	return err ? why_set(why, -err, _("the parameters are too large")) : 0;
}

static bool id_taken(const struct ipynb *nb, const char *id, const struct json *except)
{
	for (size_t i = 0; i < nb->count; i++) {
		const char *other = json_text(json_get(nb->cells[i], "id"));

		if (nb->cells[i] != except && other && strcmp(other, id) == 0)
			return true;
	}
	return false;
}

/* A number that follows no INJECTED_ID in the notebook: found in one pass, however many there are. */
static long free_number(const struct ipynb *nb)
{
	const size_t n = strlen(INJECTED_ID "-");
	long highest = 1;

	for (size_t i = 0; i < nb->count; i++) {
		const char *id = json_text(json_get(nb->cells[i], "id"));

		if (id && strncmp(id, INJECTED_ID "-", n) == 0 && strlen(id) <= n + 9 && atol(id + n) > highest)
			highest = atol(id + n);
	}
	return highest + 1;
}

/* nbformat 4.5 demands an id that no other cell has; before there must be none. */
static int set_id(const struct ipynb *nb, struct json *cell)
{
	char id[ID_MAX + 1] = INJECTED_ID;
	const char *own = json_text(json_get(cell, "id"));

	if (!nb->ids) {
		json_remove(cell, "id");
		return 0;
	}
	if (own && own[0] && strlen(own) <= ID_MAX && !id_taken(nb, own, cell))
		return 0;
	if (id_taken(nb, id, cell))
		snprintf(id, sizeof(id), INJECTED_ID "-%ld", free_number(nb));
	return json_set_text(cell, "id", id);
}

static int set_metadata(struct json *cell)
{
	struct json *metadata = json_object(), *tags = json_array();

	if (!metadata || !tags || json_append_text(tags, INJECTED_TAG)) {
		json_free(metadata);
		json_free(tags);
		return -ENOMEM;
	}
	if (json_set(metadata, "tags", tags)) {
		json_free(metadata);
		return -ENOMEM;
	}
	return json_set(cell, "metadata", metadata);
}

/* Make cell the injected one, whatever it was. */
static int fill_cell(const struct ipynb *nb, struct json *cell, const char *source)
{
	struct json *outputs = json_array();
	int err = outputs ? json_set_text(cell, "cell_type", "code") : -ENOMEM;

	if (err) {
		json_free(outputs);
		return err;
	}
	err = json_set(cell, "outputs", outputs);
	if (!err)
		err = set_id(nb, cell);
	if (!err)
		err = json_set_null(cell, "execution_count");
	if (!err)
		err = set_metadata(cell);
	return err ? err : json_set_text(cell, "source", source);
}

static int insert_cell(struct ipynb *nb, size_t at, const char *source)
{
	struct json *cell = json_object();
	int err = cell ? fill_cell(nb, cell, source) : -ENOMEM;

	if (err) {
		json_free(cell);
		return err;
	}
	err = json_insert(writable(json_get(nb->root, "cells")), at, cell);
	return err ? err : index_cells(nb);
}

/* The first code cell with that tag, count where there is none. */
static size_t find_tag(const struct ipynb *nb, const char *tag)
{
	for (size_t i = 0; i < nb->count; i++) {
		if (ipynb_cell_is_code(nb, i) && has_tag(nb->cells[i], tag))
			return i;
	}
	return nb->count;
}

int ipynb_inject(struct ipynb *nb, const struct json *parameters, struct why *why)
{
	AUTO_BUF struct strbuf source = STRBUF_INIT;
	size_t injected = find_tag(nb, INJECTED_TAG), defaults = find_tag(nb, PARAMETERS_TAG);
	int err;

	if (json_type(parameters) != JSON_ABSENT && json_type(parameters) != JSON_OBJECT)
		return why_set(why, EINVAL, _("the parameters are not an object"));
	err = parameters_source(parameters, &source, why);
	if (err)
		return err;
	if (injected < nb->count)
		err = fill_cell(nb, writable(nb->cells[injected]), source.buf);
	else
		err = insert_cell(nb, defaults < nb->count ? defaults + 1 : 0, source.buf);
	return err ? why_set(why, -err, "%s", strerror(-err)) : 0;
}

static struct json *python_kernelspec(void)
{
	struct json *spec = json_object();

	if (!spec || json_set_text(spec, "display_name", "Python 3") ||
		json_set_text(spec, "language", "python") || json_set_text(spec, "name", "python3")) {
		json_free(spec);
		return NULL;
	}
	return spec;
}

int ipynb_ensure_kernel(struct ipynb *nb)
{
	struct json *spec;
	int err = 0;

	if (ipynb_kernel(nb))
		return 0;
	if (json_type(json_get(nb->root, "metadata")) == JSON_ABSENT)
		err = json_set(nb->root, "metadata", json_object());
	spec = err ? NULL : python_kernelspec();
	if (!spec)
		return -ENOMEM;
	return json_set(writable(json_get(nb->root, "metadata")), "kernelspec", spec);
}

int ipynb_print(const struct ipynb *nb, struct strbuf *out)
{
	return json_print(nb->root, out, true);
}

/* ---- Executed notebooks ---- */

static char *plain(const struct json *j, const char *between)
{
	AUTO_BUF struct strbuf raw = STRBUF_INIT, clean = STRBUF_INIT;

	if (add_joined(j, between, &raw))
		return NULL;
	escape_plain(&clean, raw.buf, raw.len);
	return clean.err ? NULL : strbuf_detach(&clean, NULL);
}

static const struct json *error_output(const struct json *cell)
{
	const struct json *output = json_first(json_get(cell, "outputs"));

	for (; output; output = json_next(output)) {
		const char *type = json_text(json_get(output, "output_type"));

		if (type && strcmp(type, "error") == 0)
			return output;
	}
	return NULL;
}

int ipynb_find_error(const struct ipynb *nb, struct ipynb_error *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < nb->count; i++) {
		const struct json *output = error_output(nb->cells[i]);

		if (!output || !ipynb_cell_is_code(nb, i) || has_tag(nb->cells[i], "raises-exception"))
			continue;
		out->cell = i + 1;
		out->ename = plain(json_get(output, "ename"), "");
		out->evalue = plain(json_get(output, "evalue"), "");
		out->traceback = plain(json_get(output, "traceback"), "\n");
		if (out->ename && out->evalue && out->traceback)
			return 0;
		ipynb_error_release(out);
		return -ENOMEM;
	}
	return -ENOENT;
}

void ipynb_error_release(struct ipynb_error *e)
{
	free(e->ename);
	free(e->evalue);
	free(e->traceback);
	memset(e, 0, sizeof(*e));
}
