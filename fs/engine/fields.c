#include "fs/engine/fields.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/engine/config.h"

#define WORDS_MAX   64
#define UNKNOWN_MAX 50 /* further unknown keys of one object are not told: somebody plays */

void fields_complain(const struct fields_sink *sink, const char *key, const char *fix,
	const char *what_fmt, ...)
{
	AUTO_BUF struct strbuf what = STRBUF_INIT;
	va_list ap;

	va_start(ap, what_fmt);
	strbuf_vaddf(&what, what_fmt, ap);
	va_end(ap);
	sink->complain(sink->arg, key, what.buf, fix ? fix : "");
}

static const char *type_name(const struct json *value)
{
	switch (json_type(value)) {
	case JSON_BOOL:
		return _("true or false");
	case JSON_NUMBER:
		return _("a number");
	case JSON_TEXT:
		return _("a text");
	case JSON_ARRAY:
		return _("a list");
	case JSON_OBJECT:
		return _("an object");
	default:
		return "null";
	}
}

void fields_wrong_type(const struct fields_sink *sink, const char *key, const struct json *value,
	const char *wanted)
{
	fields_complain(sink, key, NULL, _("\"%s\" must be %s, not %s"), key, wanted, type_name(value));
}

static bool has_control(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

int fields_read_text(const struct fields_sink *sink, const char *key, const struct json *value,
	size_t min, size_t max, char **at)
{
	const char *text = json_text(value);
	char *copy;

	if (!text) {
		fields_wrong_type(sink, key, value, _("a text"));
		return 0;
	}
	if (strlen(text) < min || strlen(text) > max) {
		fields_complain(sink, key, NULL, _("\"%s\" must have %zu to %zu bytes, it has %zu"), key, min,
			max, strlen(text));
		return 0;
	}
	if (has_control(text)) {
		fields_complain(sink, key, NULL, _("\"%s\" holds control characters"), key);
		return 0;
	}
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

void fields_free_list(char ***list)
{
	for (char **item = *list; item && *item; item++)
		free(*item);
	free(*list);
	*list = NULL;
}

/* One more checked text at the end of list; not there when it was complained about. */
static int add_item(const struct fields_sink *sink, const char *key, const struct json *item,
	size_t max, char **list, size_t *count)
{
	char *text = NULL;
	int err = fields_read_text(sink, key, item, 1, max, &text);

	if (!err && text)
		list[(*count)++] = text;
	return err;
}

int fields_read_list(const struct fields_sink *sink, const char *key, const struct json *value,
	size_t max_items, size_t max, char ***at)
{
	bool many = json_type(value) == JSON_ARRAY;
	size_t count = 0, wanted = many ? json_count(value) : 1;
	char **list;
	int err = 0;

	if (!many && !json_text(value)) {
		fields_wrong_type(sink, key, value, _("a text or a list of texts"));
		return 0;
	}
	if (wanted > max_items) {
		fields_complain(sink, key, NULL, _("\"%s\" has %zu entries, at most %zu are taken"), key,
			wanted, max_items);
		return 0;
	}
	list = calloc(wanted + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	if (!many)
		err = add_item(sink, key, value, max, list, &count);
	for (const struct json *item = many ? json_first(value) : NULL; item && !err; item = json_next(item))
		err = add_item(sink, key, item, max, list, &count);
	if (err || count < wanted) { /* half a list would be another list */
		fields_free_list(&list);
		return err;
	}
	fields_free_list(at);
	*at = list;
	return 0;
}

int fields_write_list(char *const *list, const char *key, struct json *object)
{
	struct json *array;
	int err = 0;

	if (!list)
		return 0;
	array = json_array();
	if (!array)
		return -ENOMEM;
	for (; *list && !err; list++)
		err = json_append_text(array, *list);
	if (err) {
		json_free(array);
		return err;
	}
	return json_set(object, key, array);
}

static void read_number(const struct fields_sink *sink, const char *key, const struct field *f,
	const struct json *value, void *at)
{
	double number = json_number(value, 0);
	bool whole = f->type == FIELD_INT;

	if (json_type(value) != JSON_NUMBER) {
		fields_wrong_type(sink, key, value, whole ? _("a whole number") : _("a number"));
	} else if (!(number >= f->min && number <= f->max)) {
		fields_complain(sink, key, NULL, _("\"%s\" must be between %.10g and %.10g, it is %.10g"), key,
			f->min, f->max, number);
	} else if (whole && json_int(value, INT64_MIN) == INT64_MIN) {
		fields_complain(sink, key, NULL, _("\"%s\" must be a whole number, it is %.10g"), key, number);
	} else if (at && whole) {
		*(int *)at = (int)number;
	} else if (at) {
		*(double *)at = number;
	}
}

static void list_words(struct strbuf *out, const char *const *words)
{
	for (size_t i = 0; words[i]; i++)
		strbuf_addf(out, "%s%s", i ? ", " : "", words[i]);
}

static void read_word(const struct fields_sink *sink, const char *key, const struct field *f,
	const struct json *value, void *at)
{
	AUTO_BUF struct strbuf all = STRBUF_INIT, fix = STRBUF_INIT;
	const char *text = json_text(value), *near;

	for (int i = 0; text && f->words[i]; i++) {
		if (strcmp(text, f->words[i]) == 0) {
			if (at)
				memcpy(at, &i, sizeof(i));
			return;
		}
	}
	list_words(&all, f->words);
	if (!text) {
		fields_complain(sink, key, NULL, _("\"%s\" must be one of: %s"), key, all.buf);
		return;
	}
	near = nearest_word(text, f->words);
	if (near)
		strbuf_addf(&fix, _("did you mean \"%s\"?"), near);
	fields_complain(sink, key, fix.buf, _("\"%s\" must be one of: %s; it is \"%s\""), key, all.buf, text);
}

static int read_object(const struct fields_sink *sink, const char *key, const struct json *value,
	struct json **at)
{
	struct json *copy;

	if (json_type(value) != JSON_OBJECT) {
		fields_wrong_type(sink, key, value, _("an object"));
		return 0;
	}
	if (!at)
		return 0;
	copy = json_copy(value);
	if (!copy)
		return -ENOMEM;
	json_free(*at);
	*at = copy;
	return 0;
}

static int read_unstored_text(const struct fields_sink *sink, const char *key, const struct field *f,
	const struct json *value)
{
	AUTO_FREE char *text = NULL;

	return fields_read_text(sink, key, value, (size_t)f->min, (size_t)f->max, &text);
}

static int read_member(const struct fields_sink *sink, const char *key, const struct field *f,
	const struct json *value, void *target)
{
	void *at = f->offset == FIELD_NOWHERE ? NULL : (char *)target + f->offset;

	switch (f->type) {
	case FIELD_TEXT:
		if (!at)
			return read_unstored_text(sink, key, f, value);
		return fields_read_text(sink, key, value, (size_t)f->min, (size_t)f->max, at);
	case FIELD_BOOL:
		if (json_type(value) != JSON_BOOL)
			fields_wrong_type(sink, key, value, _("true or false"));
		else if (at)
			*(bool *)at = json_bool(value, false);
		return 0;
	case FIELD_INT:
	case FIELD_NUMBER:
		read_number(sink, key, f, value, at);
		return 0;
	case FIELD_WORD:
		read_word(sink, key, f, value, at);
		return 0;
	case FIELD_OBJECT:
		return read_object(sink, key, value, at);
	case FIELD_OWN:
		return f->read(sink, key, value, at ? at : target);
	}
	return 0;
}

static const struct field *find_field(const struct field *fields, const char *key)
{
	for (; fields->key; fields++) {
		if (strcmp(fields->key, key) == 0)
			return fields;
	}
	return NULL;
}

static void unknown_key(const struct fields_sink *sink, const char *path, const char *key,
	const struct field *fields)
{
	AUTO_BUF struct strbuf fix = STRBUF_INIT;
	const char *words[WORDS_MAX + 1] = {NULL};
	const char *near;

	for (size_t i = 0; i < WORDS_MAX && fields[i].key; i++)
		words[i] = fields[i].key;
	near = nearest_word(key, words);
	if (near) {
		strbuf_addf(&fix, _("did you mean \"%s\"?"), near);
	} else {
		strbuf_adds(&fix, _("known keys: "));
		list_words(&fix, words);
	}
	fields_complain(sink, path, fix.buf, _("unknown key \"%s\""), path);
}

int fields_read(const struct fields_sink *sink, const char *prefix, const struct field *fields,
	const struct json *object, void *target, unsigned flags)
{
	AUTO_BUF struct strbuf path = STRBUF_INIT;
	int err = 0, unknown = 0;

	for (const struct json *m = json_first(object); m && !err; m = json_next(m)) {
		const char *key = json_key(m);
		const struct field *f = key ? find_field(fields, key) : NULL;

		strbuf_reset(&path);
		strbuf_addf(&path, "%s%s", prefix, key ? key : "");
		if (path.err)
			err = path.err;
		else if (!f && !(flags & FIELDS_UNKNOWN_OK) && unknown++ < UNKNOWN_MAX)
			unknown_key(sink, path.buf, key ? key : "", fields);
		else if (f && json_type(m) != JSON_NULL)
			err = read_member(sink, path.buf, f, m, target);
	}
	return err;
}

static int write_number(const struct field *f, double number, struct json *object)
{
	if (!(number >= f->min && number <= f->max))
		return 0;
	if (f->type == FIELD_INT)
		return json_set_int(object, f->key, (int64_t)number);
	return json_set_number(object, f->key, number);
}

static int write_object(const struct field *f, const struct json *value, struct json *object)
{
	struct json *copy = value ? json_copy(value) : NULL;

	if (!value)
		return 0;
	return copy ? json_set(object, f->key, copy) : -ENOMEM;
}

static int write_member(const struct field *f, const void *target, struct json *object)
{
	const void *at = f->offset == FIELD_NOWHERE ? target : (const char *)target + f->offset;
	int index;

	if (f->type == FIELD_OWN)
		return f->write ? f->write(at, f->key, object) : 0;
	if (f->offset == FIELD_NOWHERE)
		return 0;
	switch (f->type) {
	case FIELD_TEXT:
		return *(char *const *)at ? json_set_text(object, f->key, *(char *const *)at) : 0;
	case FIELD_BOOL:
		return json_set_bool(object, f->key, *(const bool *)at);
	case FIELD_INT:
		return write_number(f, *(const int *)at, object);
	case FIELD_NUMBER:
		return write_number(f, *(const double *)at, object);
	case FIELD_WORD:
		memcpy(&index, at, sizeof(index));
		return json_set_text(object, f->key, f->words[index]);
	default:
		return write_object(f, *(struct json *const *)at, object);
	}
}

int fields_write(const struct field *fields, const void *target, struct json *object)
{
	int err = 0;

	for (; fields->key && !err; fields++)
		err = write_member(fields, target, object);
	return err;
}
