#include "fs/engine/options_fields.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"
#include "fs/engine/door.h"
#include "fs/notebook/ipynb.h"

#define WORD_MAX      255
#define PATH_BYTES    4095
#define EXPECT_MAX    1000
#define BACKENDS_MAX  16
#define INPUTS_MAX    1000
#define DATASETS_MAX  1000
#define ATTEMPTS_MAX  100
#define HOURS_MIN     0.001
#define HOURS_MAX     8760

#define AT(member) offsetof(struct options, member)
#define NOWHERE    .offset = FIELD_NOWHERE
#define END        {.key = NULL}

static const char *const on_error_words[] = {"stop", "skip", "retry", NULL};
static const char *const goal_words[] = {"min", "max", NULL};

static int replace_text(char **at, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

/* ---- kexec.json: keys with rules of their own ---- */

static int read_kind(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value), *near;
	const char *words[KIND_COUNT] = {NULL}; /* without KIND_NONE, which nobody may ask for */
	AUTO_BUF struct strbuf fix = STRBUF_INIT;

	for (int kind = KIND_NONE + 1; kind < KIND_COUNT; kind++) {
		words[kind - 1] = run_kind_words[kind];
		if (text && strcmp(text, run_kind_words[kind]) == 0) {
			*(enum run_kind *)at = (enum run_kind)kind;
			return 0;
		}
	}
	near = text ? nearest_word(text, words) : NULL;
	if (near)
		strbuf_addf(&fix, _("did you mean \"%s\"?"), near);
	fields_complain(sink, key, fix.buf, _("\"%s\" must be one of: %s"), key,
		"notebook, script, train, study, plan, spec");
	return 0;
}

static int write_kind(const void *at, const char *key, struct json *object)
{
	enum run_kind kind = *(const enum run_kind *)at;

	return kind == KIND_NONE ? 0 : json_set_text(object, key, run_kind_words[kind]);
}

static int write_text(const void *at, const char *key, struct json *object)
{
	const char *text = *(char *const *)at;

	return text ? json_set_text(object, key, text) : 0;
}

static int read_path(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	AUTO_FREE char *path = NULL;
	int err = fields_read_text(sink, key, value, 1, PATH_BYTES, &path);

	if (err || !path)
		return err;
	if (options_plain_path(path))
		return replace_text(at, path);
	fields_complain(sink, key, _("name a file inside the folder, for example \"train.ipynb\""),
		_("\"%s\" must be a path inside the folder, without \"..\", not \"%s\""), key, path);
	return 0;
}

static int read_name(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	AUTO_FREE char *name = NULL;
	int err = fields_read_text(sink, key, value, 1, WORD_MAX, &name);

	if (err || !name)
		return err;
	if (name[0] != '.' && door_name_check(name) == 0)
		return replace_text(at, name);
	fields_complain(sink, key, NULL,
		_("\"%s\" cannot name a run: no \"/\", no control characters, not beginning with \"-\" or \".\""),
		key);
	return 0;
}

static int read_backends(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	return fields_read_list(sink, key, value, BACKENDS_MAX, 31, at);
}

static int write_list(const void *at, const char *key, struct json *object)
{
	return fields_write_list(*(char **const *)at, key, object);
}

static int read_gpu(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	char **gpu = at;

	if (json_type(value) == JSON_TEXT)
		return fields_read_text(sink, key, value, 1, 64, gpu);
	if (json_type(value) != JSON_BOOL) {
		fields_wrong_type(sink, key, value, _("false, true or the name of a type"));
		return 0;
	}
	if (json_bool(value, false))
		return replace_text(gpu, "any");
	free(*gpu);
	*gpu = NULL;
	return 0;
}

static int read_deadline(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value);
	int64_t when;

	/* Microseconds, because that is what the time is written with again. */
	if (text && clock_parse_rfc3339(text, &when) == 0 && when > 0)
		*(int64_t *)at = when - when % 1000;
	else
		fields_complain(sink, key, _("write for example \"2026-11-30T00:00:00Z\""),
			_("\"%s\" must be a time with date and offset (RFC 3339)"), key);
	return 0;
}

static int write_deadline(const void *at, const char *key, struct json *object)
{
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	int64_t when = *(const int64_t *)at;

	if (!when)
		return 0;
	clock_rfc3339_micros(&text, when);
	return text.err ? text.err : json_set_text(object, key, text.buf);
}

/* Keep a copy of an object whose members were found good. */
static int keep_object(const struct json *value, bool good, struct json **at)
{
	struct json *copy;

	if (!good)
		return 0;
	copy = json_copy(value);
	if (!copy)
		return -ENOMEM;
	json_free(*at);
	*at = copy;
	return 0;
}

static bool is_object(const struct fields_sink *sink, const char *key, const struct json *value)
{
	if (json_type(value) == JSON_OBJECT)
		return true;
	fields_wrong_type(sink, key, value, _("an object"));
	return false;
}

static bool env_name(const char *name)
{
	if (!isalpha((unsigned char)*name) && *name != '_')
		return false;
	for (; *name; name++) {
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	}
	return true;
}

static int read_env(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	bool good = is_object(sink, key, value);

	for (const struct json *m = good ? json_first(value) : NULL; m; m = json_next(m)) {
		if (!env_name(json_key(m))) {
			fields_complain(sink, key, NULL,
				_("\"%s\" cannot name an environment variable: letters, digits and _ only"),
				json_key(m));
			good = false;
		} else if (!json_text(m)) {
			fields_complain(sink, key, _("put the value in quotes"),
				_("the environment variable \"%s\" must be a text"), json_key(m));
			good = false;
		}
	}
	return keep_object(value, good, at);
}

static int read_parameters(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	bool good = is_object(sink, key, value);

	for (const struct json *m = good ? json_first(value) : NULL; m; m = json_next(m)) {
		if (python_identifier(json_key(m)))
			continue;
		fields_complain(sink, key, NULL, _("\"%s\" cannot name a parameter: it is no Python name"),
			json_key(m));
		good = false;
	}
	return keep_object(value, good, at);
}

static int read_datasets(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	bool good = is_object(sink, key, value);

	if (good && json_count(value) > DATASETS_MAX) {
		fields_complain(sink, key, NULL, _("\"%s\" has %zu entries, at most %zu are taken"), key,
			json_count(value), (size_t)DATASETS_MAX);
		return 0;
	}
	for (const struct json *m = good ? json_first(value) : NULL; m; m = json_next(m)) {
		struct why why = {0};

		if (options_dataset_check(json_key(m), json_text(m), &why) == 0)
			continue;
		fields_complain(sink, key, _("write \"owner/slug\": \"/whole/path\", without \"..\""), "%s", why.text);
		good = false;
	}
	return keep_object(value, good, at);
}

static int write_object(const void *at, const char *key, struct json *object)
{
	const struct json *value = *(struct json *const *)at;
	struct json *copy = value ? json_copy(value) : NULL;

	if (!value)
		return 0;
	return copy ? json_set(object, key, copy) : -ENOMEM;
}

static int read_expect(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	return fields_read_list(sink, key, value, EXPECT_MAX, PATH_BYTES, at);
}

/* ---- Objects inside kexec.json ---- */

static int read_inside(const struct fields_sink *sink, const char *key, const struct field *fields,
	const struct json *value, void *target)
{
	AUTO_BUF struct strbuf prefix = STRBUF_INIT;

	strbuf_addf(&prefix, "%s.", key);
	return prefix.err ? prefix.err : fields_read(sink, prefix.buf, fields, value, target, 0);
}

static int write_inside(const struct field *fields, const void *target, const char *key, struct json *object)
{
	struct json *inner = json_object();
	int err = inner ? fields_write(fields, target, inner) : -ENOMEM;

	if (err) {
		json_free(inner);
		return err;
	}
	return json_set(object, key, inner);
}

static const struct field retry_fields[] = {
	{"max_attempts", FIELD_INT, AT(max_attempts), 1, ATTEMPTS_MAX},
	{"delay_seconds", FIELD_NUMBER, AT(delay_seconds), 0, 7 * 86400},
	{"backoff_multiplier", FIELD_NUMBER, AT(backoff_multiplier), 1, 100},
	END,
};

static int read_retry(const struct fields_sink *sink, const char *key, const struct json *value, void *target)
{
	struct options *o = target;

	if (!is_object(sink, key, value))
		return 0;
	o->max_attempts = OPTIONS_RETRY_ATTEMPTS;
	return read_inside(sink, key, retry_fields, value, o);
}

static int write_retry(const void *target, const char *key, struct json *object)
{
	return write_inside(retry_fields, target, key, object);
}

static int read_slug(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value);

	if (text && strcmp(text, "fresh") == 0)
		*(bool *)at = true;
	else
		fields_complain(sink, key, _("leave it out to use the id of kernel-metadata.json"),
			_("\"%s\" must be one of: %s"), key, "fresh");
	return 0;
}

static int write_slug(const void *at, const char *key, struct json *object)
{
	return *(const bool *)at ? json_set_text(object, key, "fresh") : 0;
}

static int read_goal(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value);

	if (text && (strcmp(text, goal_words[0]) == 0 || strcmp(text, goal_words[1]) == 0))
		*(bool *)at = strcmp(text, goal_words[1]) == 0;
	else
		fields_complain(sink, key, NULL, _("\"%s\" must be one of: %s"), key, "max, min");
	return 0;
}

static int write_goal(const void *at, const char *key, struct json *object)
{
	return json_set_text(object, key, goal_words[*(const bool *)at]);
}

static const struct field metric_fields[] = {
	{"name", FIELD_TEXT, AT(metric_name), 1, WORD_MAX},
	{"goal", FIELD_OWN, AT(metric_max), .read = read_goal, .write = write_goal},
	END,
};

static int read_metric(const struct fields_sink *sink, const char *key, const struct json *value, void *target)
{
	if (!is_object(sink, key, value))
		return 0;
	if (json_type(json_get(value, "name")) == JSON_ABSENT)
		fields_complain(sink, key, NULL, _("\"%s\" needs \"name\", the metric as it is printed"), key);
	return read_inside(sink, key, metric_fields, value, target);
}

static int write_metric(const void *target, const char *key, struct json *object)
{
	const struct options *o = target;

	return o->metric_name ? write_inside(metric_fields, target, key, object) : 0;
}

const struct field kexec_fields[] = {
	{"kind", FIELD_OWN, AT(kind), .read = read_kind, .write = write_kind},
	{"main", FIELD_OWN, AT(main), .read = read_path, .write = write_text},
	{"name", FIELD_OWN, AT(name), .read = read_name, .write = write_text},
	{"backend", FIELD_OWN, AT(backends), .read = read_backends, .write = write_list},
	{"gpu", FIELD_OWN, AT(gpu), .read = read_gpu, .write = write_text},
	{"internet", FIELD_BOOL, AT(internet)},
	{"slug", FIELD_OWN, AT(fresh_slug), .read = read_slug, .write = write_slug},
	{"hours", FIELD_NUMBER, AT(hours), HOURS_MIN, HOURS_MAX},
	{"max_hours", FIELD_NUMBER, AT(max_hours), HOURS_MIN, HOURS_MAX},
	{"memory_gb", FIELD_NUMBER, AT(memory_gb), 0.01, 65536},
	{"priority", FIELD_INT, AT(priority), 0, 9},
	{"deadline", FIELD_OWN, AT(deadline_ns), .read = read_deadline, .write = write_deadline},
	{"max_cost_usd", FIELD_NUMBER, AT(max_cost_usd), 0, 1e6},
	{"env", FIELD_OWN, AT(env), .read = read_env, .write = write_object},
	{"parameters", FIELD_OWN, AT(parameters), .read = read_parameters, .write = write_object},
	{"datasets", FIELD_OWN, AT(datasets), .read = read_datasets, .write = write_object},
	{"retry", FIELD_OWN, NOWHERE, .read = read_retry, .write = write_retry},
	{"on_error", FIELD_WORD, AT(on_error), .words = on_error_words},
	{"confirm", FIELD_BOOL, AT(confirm)},
	{"expect", FIELD_OWN, AT(expect), .read = read_expect, .write = write_list},
	{"metric", FIELD_OWN, NOWHERE, .read = read_metric, .write = write_metric},
	{"competition", FIELD_TEXT, AT(competition), 1, WORD_MAX},
	{"feature", FIELD_TEXT, AT(feature), 1, WORD_MAX},
	{"attempt", FIELD_INT, AT(attempt), 1, 1000000},
	{"parent", FIELD_TEXT, AT(parent), 1, WORD_MAX},
	{"cv_scheme", FIELD_TEXT, AT(cv_scheme), 1, WORD_MAX},
	END,
};

static int read_names(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	return fields_read_list(sink, key, value, (size_t)INPUTS_MAX * 4, PATH_BYTES, at);
}

const struct field resolved_fields[] = {
	{"kernel_id", FIELD_TEXT, AT(kernel_id), 1, PATH_BYTES},
	{"missing", FIELD_TEXT, AT(missing), 0, PATH_BYTES},
	{"named_files", FIELD_OWN, AT(named_files), .read = read_names, .write = write_list},
	{"inputs", FIELD_OWN, AT(inputs), .read = read_names, .write = write_list},
	END,
};

/* ---- kernel-metadata.json ---- */

#undef AT
#define AT(member) offsetof(struct metadata, member)

static int read_code_file(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value);

	/* Kaggle's own client accepts "./train.ipynb". */
	if (text && strncmp(text, "./", 2) == 0 && options_plain_path(text + 2))
		return replace_text(at, text + 2);
	return read_path(sink, key, value, at);
}

static int read_kernel_type(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value);

	if (text && strcmp(text, "notebook") == 0)
		*(enum run_kind *)at = KIND_NOTEBOOK;
	else if (text && strcmp(text, "script") == 0)
		*(enum run_kind *)at = KIND_SCRIPT;
	else
		fields_complain(sink, key, NULL, _("\"%s\" must be one of: %s"), key, "notebook, script");
	return 0;
}

static int read_language(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value);

	if (!text)
		fields_wrong_type(sink, key, value, _("a text"));
	else if (strcmp(text, "python") != 0)
		fields_complain(sink, key, _("rewrite it in Python"),
			_("only Python can be run here; \"%s\" is \"%s\""), key, text);
	*(int *)at = text && strcmp(text, "python") == 0 ? LANGUAGE_PYTHON : LANGUAGE_OTHER;
	return 0;
}

/* Kaggle's client writes booleans, its users texts. */
static int read_switch(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value);

	if (json_type(value) == JSON_BOOL)
		*(int *)at = json_bool(value, false);
	else if (text && (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0))
		*(int *)at = strcasecmp(text, "true") == 0;
	else
		fields_wrong_type(sink, key, value, _("true or false"));
	return 0;
}

static int check_switch(const struct fields_sink *sink, const char *key, const struct json *value, void *target)
{
	int ignored;

	return read_switch(sink, key, value, &ignored);
}

/* The newer way to ask for a GPU: "NvidiaTeslaT4". */
static int read_shape(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	const char *text = json_text(value);

	if (!text || strlen(text) > WORD_MAX)
		fields_wrong_type(sink, key, value, _("a text"));
	else
		*(bool *)at = strncasecmp(text, "nvidia", 6) == 0 || strncasecmp(text, "gpu", 3) == 0;
	return 0;
}

static int check_number(const struct fields_sink *sink, const char *key, const struct json *value, void *target)
{
	if (json_type(value) != JSON_NUMBER)
		fields_wrong_type(sink, key, value, _("a number"));
	return 0;
}

static int read_sources(const struct fields_sink *sink, const char *key, const struct json *value, void *at)
{
	if (json_type(value) != JSON_ARRAY) {
		fields_wrong_type(sink, key, value, _("a list of texts"));
		return 0;
	}
	return fields_read_list(sink, key, value, INPUTS_MAX, WORD_MAX, at);
}

static int check_sources(const struct fields_sink *sink, const char *key, const struct json *value, void *target)
{
	char **ignored = NULL;
	int err = read_sources(sink, key, value, &ignored);

	fields_free_list(&ignored);
	return err;
}

const struct field metadata_fields[] = {
	{"id", FIELD_TEXT, AT(id), 0, WORD_MAX},
	{"id_no", FIELD_OWN, NOWHERE, .read = check_number},
	{"title", FIELD_TEXT, NOWHERE, 0, WORD_MAX},
	{"code_file", FIELD_OWN, AT(code_file), .read = read_code_file},
	{"kernel_type", FIELD_OWN, AT(kind), .read = read_kernel_type},
	{"language", FIELD_OWN, AT(language), .read = read_language},
	{"is_private", FIELD_OWN, NOWHERE, .read = check_switch},
	{"enable_gpu", FIELD_OWN, AT(gpu), .read = read_switch},
	{"enable_tpu", FIELD_OWN, NOWHERE, .read = check_switch},
	{"enable_internet", FIELD_OWN, AT(internet), .read = read_switch},
	{"dataset_sources", FIELD_OWN, AT(datasets), .read = read_sources},
	{"competition_sources", FIELD_OWN, AT(competitions), .read = read_sources},
	{"kernel_sources", FIELD_OWN, AT(kernels), .read = read_sources},
	{"model_sources", FIELD_OWN, AT(models), .read = read_sources},
	{"keywords", FIELD_OWN, NOWHERE, .read = check_sources},
	{"docker_image", FIELD_TEXT, NOWHERE, 0, PATH_BYTES},
	{"docker_image_pinning_type", FIELD_TEXT, NOWHERE, 0, WORD_MAX},
	{"machine_shape", FIELD_OWN, AT(gpu_shape), .read = read_shape},
	END,
};

void metadata_release(struct metadata *m)
{
	free(m->id);
	free(m->code_file);
	fields_free_list(&m->datasets);
	fields_free_list(&m->competitions);
	fields_free_list(&m->kernels);
	fields_free_list(&m->models);
}
