/*
 * Members of a JSON object read into a struct by a table: one row a key. What is wrong (type, range,
 * a key nobody knows) is told to a sink as a sentence with its remedy; the member then keeps the value
 * it had. JSON null is the same as leaving the key out. The same table writes the object again.
 */
#ifndef KEXEC_ENGINE_FIELDS_H
#define KEXEC_ENGINE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>

struct json;

/* Who hears what is wrong. `key` is the path of the member ("retry.delay_seconds"). Texts are borrowed. */
struct fields_sink {
	void (*complain)(void *arg, const char *key, const char *what, const char *fix);
	void *arg;
};

enum field_type {
	FIELD_TEXT,   /* char *: one line without controls, min to max bytes */
	FIELD_BOOL,   /* bool */
	FIELD_INT,    /* int, min to max */
	FIELD_NUMBER, /* double, min to max; a value outside means "none" and is not written */
	FIELD_WORD,   /* int or enum: the index in words */
	FIELD_OBJECT, /* struct json *: an object, copied */
	FIELD_OWN,    /* read() and write() below */
};

#define FIELD_NOWHERE ((size_t)-1) /* as offset: checked, not stored */

struct field {
	const char *key;
	enum field_type type;
	size_t offset;
	double min, max;
	const char *const *words; /* NULL-terminated */
	/* FIELD_OWN. `key` is the path, `at` the member inside the target (the target itself for
	 * FIELD_NOWHERE). 0, also when it complained, or -ENOMEM. write may be NULL: never written. */
	int (*read)(const struct fields_sink *sink, const char *key, const struct json *value, void *at);
	int (*write)(const void *at, const char *key, struct json *object);
};

enum fields_flags { FIELDS_UNKNOWN_OK = 1 << 0 }; /* keys that no row names are not a problem */

/* `fields` ends with a row whose key is NULL; `prefix` is "" or "retry.". 0 or -ENOMEM. */
int fields_read(const struct fields_sink *sink, const char *prefix, const struct field *fields,
	const struct json *object, void *target, unsigned flags);
int fields_write(const struct field *fields, const void *target, struct json *object);

void fields_complain(const struct fields_sink *sink, const char *key, const char *fix,
	const char *what_fmt, ...) __attribute__((format(printf, 4, 5)));
/* "must be a number, not a list" in one place. */
void fields_wrong_type(const struct fields_sink *sink, const char *key, const struct json *value,
	const char *wanted);
/* Replace *at by a copy of a checked text. The same rules as FIELD_TEXT. */
int fields_read_text(const struct fields_sink *sink, const char *key, const struct json *value,
	size_t min, size_t max, char **at);
/* A list of texts, or one text as a list of one: NULL-terminated, replaces *at. */
int fields_read_list(const struct fields_sink *sink, const char *key, const struct json *value,
	size_t max_items, size_t max, char ***at);
int fields_write_list(char *const *list, const char *key, struct json *object);
void fields_free_list(char ***list);

#endif
