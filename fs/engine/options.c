#include "fs/engine/options.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"
#include "fs/engine/entry.h"
#include "fs/engine/options_fields.h"
#include "fs/engine/source.h"

#define DOCUMENT_MAX     ((size_t)1 << 20)
#define DATASET_NAME_MAX 255

const char *const run_kind_words[KIND_COUNT] = {
	[KIND_NONE] = "-",         [KIND_NOTEBOOK] = "notebook", [KIND_SCRIPT] = "script",
	[KIND_TRAIN] = "train",    [KIND_STUDY] = "study",       [KIND_PLAN] = "plan",
	[KIND_SPEC] = "spec",
};

void options_init(struct options *o)
{
	*o = (struct options){
		.internet = true,
		.priority = 5,
		.max_cost_usd = -1,
		.max_attempts = 1,
		.delay_seconds = 5,
		.backoff_multiplier = 2,
		.metric_max = true,
		.attempt = 1,
	};
}

void options_release(struct options *o)
{
	char *const texts[] = {o->main, o->name, o->gpu, o->metric_name, o->competition, o->feature,
		o->parent, o->cv_scheme, o->kernel_id, o->missing};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	fields_free_list(&o->backends);
	fields_free_list(&o->expect);
	fields_free_list(&o->named_files);
	fields_free_list(&o->inputs);
	json_free(o->env);
	json_free(o->parameters);
	json_free(o->datasets);
	options_init(o);
}

const char *options_next_part(const char *part)
{
	const char *slash = strchr(part, '/');

	return slash ? slash + 1 : NULL;
}

bool options_plain_path(const char *path)
{
	size_t len = strlen(path);

	if (len == 0 || len >= PATH_MAX || !utf8_valid(path, len))
		return false;
	for (const char *part = path; part; part = options_next_part(part)) {
		size_t n = strcspn(part, "/");

		if (n == 0 || (n == 1 && part[0] == '.') || (n == 2 && part[0] == '.' && part[1] == '.'))
			return false;
	}
	return true;
}

/* No ".." part, though a slash at the end or two in a row do no harm in a path of the user's own. */
static bool absolute_path(const char *path)
{
	size_t len = path ? strlen(path) : 0;

	if (len == 0 || len >= PATH_MAX || path[0] != '/' || !utf8_valid(path, len))
		return false;
	for (const char *part = path + 1; part; part = options_next_part(part)) {
		if (strcspn(part, "/") == 2 && part[0] == '.' && part[1] == '.')
			return false;
	}
	return true;
}

int options_dataset_check(const char *name, const char *folder, struct why *why)
{
	if (!options_plain_path(name) || strlen(name) > DATASET_NAME_MAX)
		return why_set(why, EINVAL, _("\"%s\" cannot name a data set"), name);
	if (!absolute_path(folder))
		return why_set(why, EINVAL, _("the folder of data set \"%s\" must be an absolute path"), name);
	return 0;
}

/* ---- Reading the two documents ---- */

struct document {
	const char *file;  /* "kexec.json" */
	struct strbuf text;
	struct json *root; /* NULL: absent or unreadable */
	struct problems *problems;
	int err;           /* sticky: adding a problem failed */
};

/* The line on which a key stands first: good enough to find it, 0 when it is not there as such. */
static int line_of_key(const struct strbuf *text, const char *path)
{
	AUTO_BUF struct strbuf quoted = STRBUF_INIT;
	const char *dot = strrchr(path, '.'), *found;
	int line = 1;

	strbuf_addf(&quoted, "\"%s\"", dot ? dot + 1 : path);
	found = quoted.err ? NULL : strstr(text->buf, quoted.buf);
	for (const char *p = text->buf; found && p < found; p++)
		line += *p == '\n';
	return found ? line : 0;
}

static void keep_problem(void *arg, const char *key, const char *what, const char *fix)
{
	struct document *d = arg;
	/* A hostile document may hold 100,000 mistakes: beyond those that are kept no line is looked for. */
	int line = d->problems->count < PROBLEMS_MAX ? line_of_key(&d->text, key) : 0;
	int err = problems_add(d->problems, PROBLEM_ERROR, "options.value", d->file, 0, line, fix, "%s", what);

	if (err)
		d->err = err;
}

/* Absent: 0 with root NULL. Unreadable: a problem and root NULL. */
static int document_read(struct document *d, int dirfd, bool *bad)
{
	struct why why = {0};
	int err = source_read(dirfd, d->file, DOCUMENT_MAX, &d->text, &why);

	if (err == -ENOENT)
		return 0;
	if (err == -ENOMEM)
		return err;
	if (!err) {
		d->root = json_parse(d->text.buf, d->text.len, DOCUMENT_MAX, &why);
		if (json_type(d->root) == JSON_OBJECT)
			return 0;
		if (d->root)
			why_set(&why, EINVAL, _("it must be one JSON object"));
		json_free(d->root);
		d->root = NULL;
	}
	*bad = true;
	return problems_add(d->problems, PROBLEM_ERROR, "options.json", d->file, 0, 0,
		_("correct it, or remove it to use the defaults"), _("%s cannot be read: %s"), d->file,
		why_text(&why));
}

static void document_release(struct document *d)
{
	strbuf_release(&d->text);
	json_free(d->root);
}

static int document_fields(struct document *d, const struct field *fields, void *target, unsigned flags)
{
	const struct fields_sink sink = {keep_problem, d};
	int err = d->root ? fields_read(&sink, "", fields, d->root, target, flags) : 0;

	return err ? err : d->err;
}

static bool says(const struct document *d, const char *key)
{
	enum json_type type = json_type(json_get(d->root, key));

	return type != JSON_ABSENT && type != JSON_NULL;
}

/* ---- What follows from them ---- */

static int count_parts(const char *path)
{
	int parts = 1;

	for (; *path; path++)
		parts += *path == '/';
	return parts;
}

/* The folder under /kaggle/input that a source gets: "slug", "owner/slug", "owner/slug/3". Metadata that
 * was pulled may say "datasets/owner/slug" or "c/slug" as well. */
static char *input_name(const char *source)
{
	static const struct {
		const char *prefix;
		int min, max; /* parts of the whole, so that an owner may be called "c" */
	} groups[] = {{"datasets/", 3, 4}, {"code/", 3, 4}, {"models/", 3, 6}, {"competitions/", 2, 2}, {"c/", 2, 2}};
	int parts = count_parts(source);
	const char *slash;

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		size_t n = strlen(groups[i].prefix);

		if (strncmp(source, groups[i].prefix, n) == 0 && parts >= groups[i].min && parts <= groups[i].max) {
			source += n;
			break;
		}
	}
	slash = strchr(source, '/');
	if (slash)
		source = slash + 1;
	return strndup(source, strcspn(source, "/"));
}

static size_t list_count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static int add_inputs(char **out, size_t *count, char *const *sources)
{
	for (; sources && *sources; sources++) {
		char *name = input_name(*sources);

		if (!name)
			return -ENOMEM;
		if (name[0])
			out[(*count)++] = name;
		else
			free(name); /* "owner/" */
	}
	return 0;
}

static int keep_inputs(struct options *o, const struct metadata *m)
{
	char *const *const lists[] = {m->datasets, m->competitions, m->kernels, m->models};
	size_t total = 0, count = 0;
	int err = 0;

	for (size_t i = 0; i < 4; i++)
		total += list_count(lists[i]);
	if (!total)
		return 0;
	o->inputs = calloc(total + 1, sizeof(*o->inputs));
	if (!o->inputs)
		return -ENOMEM;
	for (size_t i = 0; i < 4 && !err; i++)
		err = add_inputs(o->inputs, &count, lists[i]);
	return err;
}

/* kexec.json goes before the metadata, the metadata before the defaults. */
static int apply_metadata(struct options *o, struct metadata *m, const struct document *kexec)
{
	if (!says(kexec, "internet") && m->internet >= 0)
		o->internet = m->internet;
	if (!says(kexec, "gpu") && (m->gpu > 0 || m->gpu_shape)) {
		o->gpu = strdup("any");
		if (!o->gpu)
			return -ENOMEM;
	}
	if (m->id && m->id[0]) {
		o->kernel_id = m->id;
		m->id = NULL;
	}
	return keep_inputs(o, m);
}

/* Every file that the metadata names must be there before the folder counts as complete. */
static int keep_named_files(struct options *o, const char *main, const char *code_file)
{
	size_t count = 0;

	o->named_files = calloc(3, sizeof(*o->named_files));
	if (!o->named_files)
		return -ENOMEM;
	if (main && !(o->named_files[count++] = strdup(main)))
		return -ENOMEM;
	if (code_file && (!main || strcmp(main, code_file) != 0) &&
		!(o->named_files[count++] = strdup(code_file)))
		return -ENOMEM;
	return 0;
}

static int merge_datasets(struct options *o, const struct config *config)
{
	int err = 0;

	if (!o->datasets && config->datasets)
		o->datasets = json_object();
	if (!o->datasets)
		return config->datasets ? -ENOMEM : 0;
	for (const struct json *m = json_first(config->datasets); m && !err; m = json_next(m)) {
		if (json_type(json_get(o->datasets, json_key(m))) == JSON_ABSENT)
			err = json_set_text(o->datasets, json_key(m), json_text(m));
	}
	return err;
}

/* A folder narrows what the configuration allows, it never widens it. */
static int narrow(struct options *o, const struct config *config, struct document *kexec)
{
	double wanted = o->max_hours;

	if (config->monitor_hours <= 0 || wanted <= config->monitor_hours)
		return 0;
	o->max_hours = config->monitor_hours;
	return problems_add(kexec->problems, PROBLEM_WARNING, "options.narrowed", kexec->file, 0,
		line_of_key(&kexec->text, "max_hours"), _("raise monitor_hours in the configuration"),
		_("max_hours is %g, but the configuration's monitor_hours is %g, which applies"), wanted,
		config->monitor_hours);
}

static int resolve(int dirfd, const struct config *config, struct options *o, struct metadata *m,
	struct document *kexec, struct why *why)
{
	AUTO_FREE char *named_main = o->main ? strdup(o->main) : NULL;
	int err = 0;

	if (o->main && !named_main)
		return -ENOMEM;
	if (!says(kexec, "retry") && o->on_error == ON_ERROR_RETRY)
		o->max_attempts = OPTIONS_RETRY_ATTEMPTS;
	err = entry_find(dirfd, m, o, kexec->problems, why);
	if (!err)
		err = keep_named_files(o, named_main, m->code_file);
	if (!err)
		err = apply_metadata(o, m, kexec);
	if (!err)
		err = entry_backends(config, m->present, o, kexec->problems);
	if (!err)
		err = merge_datasets(o, config);
	if (!err)
		err = source_check_datasets(config, o, kexec->problems);
	return err ? err : narrow(o, config, kexec);
}

int options_read(int dirfd, const struct config *config, struct options *out,
	struct problems *problems, struct why *why)
{
	struct document kexec = {.file = "kexec.json", .text = STRBUF_INIT, .problems = problems};
	struct document kaggle = {.file = "kernel-metadata.json", .text = STRBUF_INIT, .problems = problems};
	struct metadata m = {.gpu = -1, .internet = -1};
	int err;

	options_init(out);
	err = document_read(&kexec, dirfd, &out->bad_metadata);
	if (!err)
		err = document_read(&kaggle, dirfd, &out->bad_metadata);
	m.present = kaggle.root != NULL;
	if (!err)
		err = document_fields(&kexec, kexec_fields, out, 0);
	if (!err)
		err = document_fields(&kaggle, metadata_fields, &m, FIELDS_UNKNOWN_OK);
	if (!err)
		err = resolve(dirfd, config, out, &m, &kexec, why);
	metadata_release(&m);
	document_release(&kexec);
	document_release(&kaggle);
	if (err) {
		options_release(out);
		if (!why || !why->err)
			why_set(why, -err, _("the folder cannot be read: %s"), strerror(-err));
	}
	return err;
}

/* ---- As JSON and back ---- */

struct json *options_to_json(const struct options *o)
{
	struct json *j = json_object();

	if (!j || fields_write(kexec_fields, o, j) || fields_write(resolved_fields, o, j)) {
		json_free(j);
		return NULL;
	}
	return j;
}

struct first_problem {
	struct why *why;
	bool found;
};

static void keep_first(void *arg, const char *key, const char *what, const char *fix)
{
	struct first_problem *first = arg;

	if (!first->found)
		why_set(first->why, EINVAL, "%s", what);
	first->found = true;
}

int options_from_json(const struct json *j, struct options *out, struct why *why)
{
	struct first_problem first = {.why = why};
	const struct fields_sink sink = {keep_first, &first};
	int err;

	options_init(out);
	if (json_type(j) != JSON_OBJECT)
		return why_set(why, EINVAL, _("it must be one JSON object"));
	/* Two tables of one object: each leaves the other's keys alone. */
	err = fields_read(&sink, "", kexec_fields, j, out, FIELDS_UNKNOWN_OK);
	if (!err)
		err = fields_read(&sink, "", resolved_fields, j, out, FIELDS_UNKNOWN_OK);
	if (err)
		return why_set(why, -err, "%s", strerror(-err));
	return first.found ? -EINVAL : 0;
}
