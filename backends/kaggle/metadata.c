#include "backends/kaggle/metadata.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/kaggle/slug.h"
#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define LIST_MAX   1000
#define SOURCE_MAX 255
#define TEXT_MAX   1000
#define SHOWN      100 /* bytes of a wrong value in a sentence */

struct reader {
	const struct json *root;
	struct strbuf *problems, *warnings;
	int err;
};

static void __attribute__((format(printf, 2, 3))) say(struct strbuf *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	strbuf_vaddf(out, fmt, ap);
	va_end(ap);
	strbuf_addch(out, '\n');
}

/* A hostile value made harmless for a sentence. */
struct shown {
	char text[SHOWN + 1];
};

static struct shown show(const char *value)
{
	AUTO_BUF struct strbuf line = STRBUF_INIT;
	struct shown out = {""};

	escape_line(&line, value, strlen(value), SHOWN);
	memcpy(out.text, line.buf, line.len);
	return out;
}

static bool said(const struct json *j)
{
	return json_type(j) != JSON_ABSENT && json_type(j) != JSON_NULL;
}

static void read_text(struct reader *r, const char *key, char **out)
{
	const struct json *j = json_get(r->root, key);
	const char *text = json_text(j);

	if (!said(j))
		return;
	if (!text || strlen(text) > TEXT_MAX) {
		say(r->problems, _("kernel-metadata.json: \"%s\" must be a short text"), key);
		return;
	}
	if (!*text)
		return;
	*out = strdup(text);
	if (!*out)
		r->err = -ENOMEM;
}

/* Booleans come as such or as texts, in any case. */
static void read_switch(struct reader *r, const char *key, int *out)
{
	const struct json *j = json_get(r->root, key);
	const char *text = json_text(j);

	if (!said(j))
		return;
	if (json_type(j) == JSON_BOOL)
		*out = json_bool(j, false);
	else if (text && (!strcasecmp(text, "true") || !strcasecmp(text, "false")))
		*out = !strcasecmp(text, "true");
	else
		say(r->problems, _("kernel-metadata.json: \"%s\" must be true or false"), key);
}

static void read_id(struct reader *r, struct kernel_metadata *m)
{
	read_text(r, "id", &m->id);
	/* The template of Kaggle's own client: nobody has filled it in. */
	if (m->id && strstr(m->id, "INSERT_")) {
		free(m->id);
		m->id = NULL;
	}
	if (m->id && !kaggle_id_valid(m->id)) {
		say(r->problems,
			_("kernel-metadata.json: \"id\" must be owner/slug, the slug 5 to 50 of a-z, 0-9 and "
			  "single -, not \"%s\""),
			show(m->id).text);
		free(m->id);
		m->id = NULL;
	}
	m->id_no = json_int(json_get(r->root, "id_no"), 0);
	if (m->id_no < 0 || (said(json_get(r->root, "id_no")) && m->id_no == 0 &&
				    json_number(json_get(r->root, "id_no"), -1) != 0)) {
		say(r->problems, _("kernel-metadata.json: \"id_no\" must be a whole number"));
		m->id_no = 0;
	}
}

static void read_title(struct reader *r, struct kernel_metadata *m)
{
	AUTO_BUF struct strbuf slug = STRBUF_INIT;

	read_text(r, "title", &m->title);
	if (!m->title)
		return;
	if (strlen(m->title) < KAGGLE_SLUG_MIN)
		say(r->warnings, _("kernel-metadata.json: \"title\" needs at least 5 characters: \"%s\""),
			show(m->title).text);
	else if (m->id && (kaggle_slug_of(m->title, &slug) || strcmp(slug.buf, strchr(m->id, '/') + 1) != 0))
		say(r->warnings,
			_("kernel-metadata.json: of the title \"%s\" Kaggle would make another slug than \"id\" "
			  "says; the slug is used as the title"),
			show(m->title).text);
}

/* ---- Sources ---- */

struct source_kind {
	const char *key, *prefixes[3];
	int min, max; /* parts between slashes */
};

static const struct source_kind kinds[] = {
	{"dataset_sources", {"datasets/"}, 2, 3},
	{"competition_sources", {"competitions/", "c/"}, 1, 1},
	{"kernel_sources", {"code/", "notebooks/"}, 2, 3},
	{"model_sources", {"models/"}, 2, 5},
	{"keywords", {NULL}, 1, 1},
};

static int count_parts(const char *source)
{
	int parts = 1;

	for (; *source; source++)
		parts += *source == '/';
	return parts;
}

/* What was pulled says "datasets/owner/slug": Kaggle then drops the source without a word. An owner may be
 * called "datasets" too: a prefix is one only where more parts follow than a source has at least. */
static const char *without_prefix(const struct source_kind *kind, const char *source)
{
	int parts = count_parts(source);

	for (size_t i = 0; i < 3 && kind->prefixes[i]; i++) {
		size_t n = strlen(kind->prefixes[i]);

		if (strncmp(source, kind->prefixes[i], n) == 0 && parts > kind->min)
			return source + n;
	}
	return source;
}

static bool plain(const char *source)
{
	bool empty = true;

	for (; *source; source++) {
		if ((unsigned char)*source <= ' ' || *source == 0x7f || (empty && *source == '/'))
			return false;
		empty = *source == '/';
	}
	return !empty;
}

int kernel_metadata_add(char ***list, const char *source)
{
	size_t n = 0;
	char **more;

	while (*list && (*list)[n])
		n++;
	more = reallocarray(*list, n + 2, sizeof(*more));
	if (!more)
		return -ENOMEM;
	*list = more;
	more[n + 1] = NULL;
	more[n] = strdup(source);
	return more[n] ? 0 : -ENOMEM;
}

static void read_source(struct reader *r, const struct source_kind *kind, const struct json *j, char ***out)
{
	const char *text = json_text(j), *source = text;
	bool free_text = !kind->prefixes[0];
	int parts;

	if (!text || strlen(text) > SOURCE_MAX) {
		say(r->problems, _("kernel-metadata.json: \"%s\" must hold short texts only"), kind->key);
		return;
	}
	if (!free_text)
		source = without_prefix(kind, text);
	parts = count_parts(source);
	if (!free_text && (!plain(source) || parts > kind->max))
		say(r->problems, _("kernel-metadata.json: \"%s\" holds \"%s\", which is no source"), kind->key,
			show(text).text);
	else if (!free_text && parts < kind->min)
		say(r->problems, _("kernel-metadata.json: \"%s\" holds \"%s\": a source is owner/name, with a slash"),
			kind->key, show(text).text);
	else if (kernel_metadata_add(out, source))
		r->err = -ENOMEM;
}

static void read_sources(struct reader *r, const struct source_kind *kind, char ***out)
{
	const struct json *list = json_get(r->root, kind->key);
	size_t n = 0;

	if (!said(list))
		return;
	if (json_type(list) != JSON_ARRAY || json_count(list) > LIST_MAX) {
		say(r->problems, _("kernel-metadata.json: \"%s\" must be a list of at most 1000 texts"), kind->key);
		return;
	}
	for (const struct json *j = json_first(list); j && !r->err && n < LIST_MAX; j = json_next(j), n++)
		read_source(r, kind, j, out);
}

/* ---- All of it ---- */

static void read_all(struct reader *r, struct kernel_metadata *m)
{
	char ***const lists[] = {&m->sources.datasets, &m->sources.competitions, &m->sources.kernels,
		&m->sources.models, &m->sources.keywords};

	read_id(r, m);
	read_title(r, m);
	read_text(r, "language", &m->language);
	read_text(r, "machine_shape", &m->machine_shape);
	read_text(r, "docker_image", &m->docker_image);
	read_text(r, "docker_image_pinning_type", &m->docker_pinning);
	read_switch(r, "is_private", &m->is_private);
	read_switch(r, "enable_gpu", &m->gpu);
	read_switch(r, "enable_tpu", &m->tpu);
	read_switch(r, "enable_internet", &m->internet);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		read_sources(r, &kinds[i], lists[i]);
}

int kernel_metadata_parse(const char *text, size_t len, struct kernel_metadata *out, struct strbuf *problems,
	struct strbuf *warnings)
{
	struct reader r = {.problems = problems, .warnings = warnings};
	struct why why = {0};
	struct json *root = json_parse(text, len, METADATA_BYTES, &why);

	kernel_metadata_init(out);
	if (json_type(root) == JSON_OBJECT) {
		r.root = root;
		read_all(&r, out);
	} else if (root) {
		say(problems, _("kernel-metadata.json must be one JSON object"));
	} else {
		say(problems, _("kernel-metadata.json cannot be read: %s"), why_text(&why));
	}
	json_free(root);
	if (r.err)
		return r.err;
	return problems->err ? problems->err : warnings->err;
}

void kernel_metadata_init(struct kernel_metadata *m)
{
	*m = (struct kernel_metadata){.is_private = -1, .gpu = -1, .tpu = -1, .internet = -1};
}

static void free_list(char **list)
{
	for (char **at = list; at && *at; at++)
		free(*at);
	free(list);
}

void kernel_metadata_release(struct kernel_metadata *m)
{
	free(m->id);
	free(m->title);
	free(m->language);
	free(m->machine_shape);
	free(m->docker_image);
	free(m->docker_pinning);
	free_list(m->sources.datasets);
	free_list(m->sources.competitions);
	free_list(m->sources.kernels);
	free_list(m->sources.models);
	free_list(m->sources.keywords);
	kernel_metadata_init(m);
}
