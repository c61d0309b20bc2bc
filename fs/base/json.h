/*
 * JSON from hostile hands, and JSON of ours. Wraps cJSON, the only file that includes it is json.c.
 *
 * Parsing is bounded (bytes, nesting) and errors say line and column. A `struct json` is a node of a
 * document; children belong to their parent, only roots are freed. NULL is accepted wherever a node
 * is read and behaves as "absent", so paths can be chained: json_text(json_get(json_get(j, "a"), "b")).
 */
#ifndef KEXEC_BASE_JSON_H
#define KEXEC_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;
struct why;
struct strbuf;

enum json_type { JSON_ABSENT, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

#define JSON_MAX_DEPTH  200
#define JSON_MAX_VALUES 4000000 /* a value costs about 80 bytes of memory */

/* Parse exactly one value; trailing white space only. NULL on error (why: line, column, problem);
 * errno and why->err are EINVAL for bad text (strict RFC 8259), E2BIG past max_bytes, JSON_MAX_DEPTH
 * or JSON_MAX_VALUES, or ENOMEM. Numbers are doubles: out of range is an error. A UTF-8 BOM is skipped. NULs and
 * invalid UTF-8 are errors. Duplicate keys in one object are errors. */
struct json *json_parse(const char *text, size_t len, size_t max_bytes, struct why *why);
void json_free(struct json *root); /* accepts NULL */

enum json_type json_type(const struct json *j);
const struct json *json_get(const struct json *object, const char *key); /* exact, case-sensitive */
const struct json *json_first(const struct json *j); /* first child of an array or object */
const struct json *json_next(const struct json *child);
const char *json_key(const struct json *child); /* its key inside an object, else NULL */
size_t json_count(const struct json *j);
const char *json_text(const struct json *j);     /* NULL unless text */
double json_number(const struct json *j, double fallback);
int64_t json_int(const struct json *j, int64_t fallback); /* fallback unless a whole number in range */
bool json_bool(const struct json *j, bool fallback);

/* Building. Setters take the parent and return 0 or -ENOMEM (also for a NULL parent; -EINVAL for one
 * of the wrong type); a NULL text stores JSON null. Invalid UTF-8 is stored as U+FFFD. */
struct json *json_object(void);
struct json *json_array(void);
struct json *json_copy(const struct json *j); /* deep; a new root */
int json_set_text(struct json *object, const char *key, const char *text);
int json_set_number(struct json *object, const char *key, double value);
int json_set_int(struct json *object, const char *key, int64_t value);
int json_set_bool(struct json *object, const char *key, bool value);
int json_set_null(struct json *object, const char *key);
/* Takes ownership of value, also on failure; replaces an existing key. */
int json_set(struct json *object, const char *key, struct json *value);
int json_append(struct json *array, struct json *value); /* takes ownership, also on failure */
int json_insert(struct json *array, size_t index, struct json *value); /* the same; past the end appends */
int json_append_text(struct json *array, const char *text);
void json_remove(struct json *object, const char *key);

/* Append the text: one line, or indented by one tab a level (without a final newline). Numbers read
 * back as the same double, non-finite ones become null. 0 or -ENOMEM/-E2BIG. */
int json_print(const struct json *j, struct strbuf *out, bool pretty);

#endif
