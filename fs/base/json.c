#include "fs/base/json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/json_scan.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

/* cJSON sees only what json_scan() has read: it recurses, takes most of what only looks like JSON
 * and cuts strings at an escaped NUL. */

#define MAX_WHOLE   9007199254740992.0 /* 2^53: every whole number up to it is a double */
#define LINEAR_KEYS 16                 /* up to here comparing all pairs is faster than sorting */

/* Lines and columns from 1, columns in characters. */
static void locate(const char *text, size_t at, size_t *line, size_t *column)
{
	*line = 1;
	*column = 1;
	for (size_t i = 0; i < at; i++) {
		if (text[i] == '\n') {
			(*line)++;
			*column = 1;
		} else if (((unsigned char)text[i] & 0xc0) != 0x80) {
			(*column)++;
		}
	}
}

static void say(struct why *why, const char *text, size_t at, int err, const char *problem)
{
	size_t line, column;

	locate(text, at, &line, &column);
	why_set(why, err, _("line %zu, column %zu: %s"), line, column, problem);
}

static int by_key(const void *a, const void *b)
{
	return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

static int few_keys_twice(const cJSON *object, const cJSON **twice)
{
	const cJSON *a, *b;

	cJSON_ArrayForEach(a, object) for (b = object->child; b != a;
					   b = b->next) if (strcmp(a->string, b->string) == 0)
	{
		*twice = a;
		return 0;
	}
	return 0;
}

static int many_keys_twice(const cJSON *object, size_t count, const cJSON **twice)
{
	AUTO_FREE const cJSON **all = malloc(count * sizeof(cJSON *));
	const cJSON *child;
	size_t n = 0;

	if (!all)
		return -ENOMEM;
	cJSON_ArrayForEach(child, object) all[n++] = child;
	qsort(all, n, sizeof(cJSON *), by_key);
	for (size_t i = 1; i < n && !*twice; i++)
		if (strcmp(all[i - 1]->string, all[i]->string) == 0)
			*twice = all[i];
	return 0;
}

/* The first node found whose key its object has already; at most JSON_MAX_DEPTH levels. */
static int find_twice(const cJSON *node, const cJSON **twice)
{
	const cJSON *child;
	size_t count = 0;
	int r = 0;

	cJSON_ArrayForEach(child, node) count++;
	if (cJSON_IsObject(node) && count > LINEAR_KEYS)
		r = many_keys_twice(node, count, twice);
	else if (cJSON_IsObject(node))
		r = few_keys_twice(node, twice);
	for (child = node->child; child && r == 0 && !*twice; child = child->next)
		if (child->child)
			r = find_twice(child, twice);
	return r;
}

/* The how-manieth key of the text belongs to this node? Keys are counted as the scanner meets them.
 */
static bool count_keys(const cJSON *parent, const cJSON *node, size_t *count)
{
	const cJSON *child;

	cJSON_ArrayForEach(child, parent)
	{
		if (child->string)
			(*count)++;
		if (child == node || count_keys(child, node, count))
			return true;
	}
	return false;
}

static int check_keys(const char *text, size_t len, const cJSON *root, struct why *why)
{
	AUTO_BUF struct strbuf problem = STRBUF_INIT;
	struct json_fault fault = {0};
	const cJSON *twice = NULL;
	size_t key = 0;
	int r = find_twice(root, &twice);

	if (r)
		return why_set(why, -r, _("out of memory"));
	if (!twice)
		return 0;
	count_keys(root, twice, &key);
	json_scan(text, len, key, &fault);
	strbuf_addf(&problem, _("the key \"%.100s\" is there twice"), twice->string);
	say(why, text, fault.at, EINVAL, problem.buf);
	return -EINVAL;
}

static cJSON *parse_scanned(const char *text, size_t len, struct why *why)
{
	cJSON *root = cJSON_ParseWithLengthOpts(text, len, NULL, 0);
	int r;

	if (!root) {
		errno = ENOMEM; /* the text is right: the scanner has read it */
		why_set(why, ENOMEM, _("out of memory"));
		return NULL;
	}
	r = check_keys(text, len, root, why);
	if (r) {
		cJSON_Delete(root);
		errno = -r;
		return NULL;
	}
	return root;
}

struct json *json_parse(const char *text, size_t len, size_t max_bytes, struct why *why)
{
	struct json_fault fault;

	if (len > max_bytes) {
		why_set(why, E2BIG, _("longer than %zu bytes"), max_bytes);
		errno = E2BIG;
		return NULL;
	}
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	if (json_scan(text, len, 0, &fault)) {
		say(why, text, fault.at, fault.err, fault.problem);
		errno = fault.err;
		return NULL;
	}
	return (struct json *)parse_scanned(text, len, why);
}

static cJSON *node(struct json *j)
{
	return (cJSON *)j;
}

static const cJSON *cnode(const struct json *j)
{
	return (const cJSON *)j;
}

void json_free(struct json *root)
{
	cJSON_Delete(node(root));
}

enum json_type json_type(const struct json *j)
{
	const cJSON *n = cnode(j);

	if (cJSON_IsNull(n))
		return JSON_NULL;
	if (cJSON_IsBool(n))
		return JSON_BOOL;
	if (cJSON_IsNumber(n))
		return JSON_NUMBER;
	if (cJSON_IsString(n))
		return JSON_TEXT;
	if (cJSON_IsArray(n))
		return JSON_ARRAY;
	return cJSON_IsObject(n) ? JSON_OBJECT : JSON_ABSENT;
}

static bool is_container(const cJSON *n)
{
	return cJSON_IsArray(n) || cJSON_IsObject(n);
}

const struct json *json_get(const struct json *object, const char *key)
{
	if (!cJSON_IsObject(cnode(object)))
		return NULL;
	return (const struct json *)cJSON_GetObjectItemCaseSensitive(cnode(object), key);
}

const struct json *json_first(const struct json *j)
{
	return is_container(cnode(j)) ? (const struct json *)cnode(j)->child : NULL;
}

const struct json *json_next(const struct json *child)
{
	return child ? (const struct json *)cnode(child)->next : NULL;
}

const char *json_key(const struct json *child)
{
	return child ? cnode(child)->string : NULL;
}

size_t json_count(const struct json *j)
{
	return is_container(cnode(j)) ? (size_t)cJSON_GetArraySize(cnode(j)) : 0;
}

const char *json_text(const struct json *j)
{
	return cJSON_IsString(cnode(j)) ? cnode(j)->valuestring : NULL;
}

double json_number(const struct json *j, double fallback)
{
	return cJSON_IsNumber(cnode(j)) ? cnode(j)->valuedouble : fallback;
}

static bool is_whole(double v)
{
	return v >= -MAX_WHOLE && v <= MAX_WHOLE && v == floor(v);
}

int64_t json_int(const struct json *j, int64_t fallback)
{
	if (!cJSON_IsNumber(cnode(j)) || !is_whole(cnode(j)->valuedouble))
		return fallback;
	return (int64_t)cnode(j)->valuedouble;
}

bool json_bool(const struct json *j, bool fallback)
{
	return cJSON_IsBool(cnode(j)) ? cJSON_IsTrue(cnode(j)) : fallback;
}

struct json *json_object(void)
{
	return (struct json *)cJSON_CreateObject();
}

struct json *json_array(void)
{
	return (struct json *)cJSON_CreateArray();
}

struct json *json_copy(const struct json *j)
{
	cJSON *copy = j ? cJSON_Duplicate(cnode(j), 1) : NULL;

	if (copy) { /* a root has no key */
		cJSON_free(copy->string);
		copy->string = NULL;
	}
	return (struct json *)copy;
}

/* A heap copy that is valid UTF-8; what cJSON does not check would be printed as it is. */
static char *valid_copy(const char *text)
{
	AUTO_BUF struct strbuf out = STRBUF_INIT;
	size_t len = strlen(text);

	if (utf8_valid(text, len))
		return strdup(text);
	for (size_t at = 0; at < len;) {
		uint32_t code;
		size_t n = utf8_decode(text + at, len - at, &code);

		strbuf_add(&out, n ? text + at : "\xef\xbf\xbd", n ? n : 3);
		at += n ? n : 1;
	}
	return strbuf_detach(&out, NULL);
}

static struct json *text_node(const char *text)
{
	AUTO_FREE char *valid = text ? valid_copy(text) : NULL;

	if (!text)
		return (struct json *)cJSON_CreateNull();
	return valid ? (struct json *)cJSON_CreateString(valid) : NULL;
}

int json_set_text(struct json *object, const char *key, const char *text)
{
	return json_set(object, key, text_node(text));
}

int json_set_number(struct json *object, const char *key, double value)
{
	return json_set(object, key, (struct json *)cJSON_CreateNumber(value));
}

int json_set_int(struct json *object, const char *key, int64_t value)
{
	return json_set_number(object, key, (double)value);
}

int json_set_bool(struct json *object, const char *key, bool value)
{
	return json_set(object, key, (struct json *)cJSON_CreateBool(value));
}

int json_set_null(struct json *object, const char *key)
{
	return json_set(object, key, (struct json *)cJSON_CreateNull());
}

/* Takes over value and key. */
static int put(cJSON *object, char *key, cJSON *value)
{
	cJSON *old = cJSON_GetObjectItemCaseSensitive(object, key);

	cJSON_free(value->string);
	value->string = key;
	/* The array functions leave the key alone and cannot fail here. */
	if (old)
		cJSON_ReplaceItemViaPointer(object, old, value);
	else
		cJSON_AddItemToArray(object, value);
	return 0;
}

int json_set(struct json *object, const char *key, struct json *value)
{
	char *own = value && object ? valid_copy(key) : NULL;

	if (own && cJSON_IsObject(node(object)))
		return put(node(object), own, node(value));
	json_free(value);
	free(own);
	return own ? -EINVAL : -ENOMEM;
}

int json_append(struct json *array, struct json *value)
{
	return json_insert(array, SIZE_MAX, value);
}

/* By hand: cJSON_InsertItemInArray() of Debian 12 (1.7.15-1+deb12u4) inserts only at the beginning
 * and refuses every other place. */
static void link_before(cJSON *array, cJSON *after, cJSON *value)
{
	value->next = after;
	value->prev = after->prev; /* the first child's prev is the last one */
	if (after == array->child)
		array->child = value;
	else
		after->prev->next = value;
	after->prev = value;
}

int json_insert(struct json *array, size_t index, struct json *value)
{
	cJSON *after;

	if (!array || !value || !cJSON_IsArray(node(array))) {
		int err = array && value ? -EINVAL : -ENOMEM;

		json_free(value);
		return err;
	}
	after = index > INT_MAX ? NULL : cJSON_GetArrayItem(node(array), (int)index);
	if (after)
		link_before(node(array), after, node(value));
	else
		cJSON_AddItemToArray(node(array), node(value));
	return 0;
}

int json_append_text(struct json *array, const char *text)
{
	return json_append(array, text_node(text));
}

void json_remove(struct json *object, const char *key)
{
	if (cJSON_IsObject(node(object)))
		cJSON_DeleteItemFromObjectCaseSensitive(node(object), key);
}

static void print_text(struct strbuf *out, const char *text)
{
	strbuf_addch(out, '"');
	for (const char *p = text; *p; p++) {
		size_t plain = 0;

		while ((unsigned char)p[plain] >= 0x20 && p[plain] != '"' && p[plain] != '\\')
			plain++;
		strbuf_add(out, p, plain);
		p += plain;
		if (*p == '\0')
			break;
		if (*p == '"' || *p == '\\')
			strbuf_addf(out, "\\%c", *p);
		else if (*p == '\n')
			strbuf_adds(out, "\\n");
		else if (*p == '\t')
			strbuf_adds(out, "\\t");
		else
			strbuf_addf(out, "\\u%04x", (unsigned)*p);
	}
	strbuf_addch(out, '"');
}

/* The shortest of 15 to 17 digits that reads back as the same double. */
static void print_number(struct strbuf *out, double v)
{
	char text[40];

	if (!isfinite(v)) {
		strbuf_adds(out, "null");
		return;
	}
	if (is_whole(v) && !(v == 0 && signbit(v))) {
		strbuf_addf(out, "%lld", (long long)v);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	strbuf_adds(out, v == 0 ? "-0.0" : text);
}

static void print_break(struct strbuf *out, bool pretty, int level)
{
	if (!pretty)
		return;
	strbuf_addch(out, '\n');
	for (int i = 0; i < level; i++)
		strbuf_addch(out, '\t');
}

static void print_node(struct strbuf *out, const cJSON *n, bool pretty, int level);

static void print_children(struct strbuf *out, const cJSON *n, bool pretty, int level)
{
	const cJSON *child;

	strbuf_addch(out, cJSON_IsObject(n) ? '{' : '[');
	cJSON_ArrayForEach(child, n)
	{
		if (child != n->child)
			strbuf_addch(out, ',');
		print_break(out, pretty, level + 1);
		if (cJSON_IsObject(n)) {
			print_text(out, child->string);
			strbuf_adds(out, pretty ? ": " : ":");
		}
		print_node(out, child, pretty, level + 1);
	}
	if (n->child)
		print_break(out, pretty, level);
	strbuf_addch(out, cJSON_IsObject(n) ? '}' : ']');
}

static void print_node(struct strbuf *out, const cJSON *n, bool pretty, int level)
{
	if (out->err)
		return;
	if (is_container(n))
		print_children(out, n, pretty, level);
	else if (cJSON_IsString(n))
		print_text(out, n->valuestring);
	else if (cJSON_IsNumber(n))
		print_number(out, n->valuedouble);
	else if (cJSON_IsBool(n))
		strbuf_adds(out, cJSON_IsTrue(n) ? "true" : "false");
	else
		strbuf_adds(out, "null");
}

int json_print(const struct json *j, struct strbuf *out, bool pretty)
{
	print_node(out, cnode(j), pretty, 0);
	return out->err;
}
