#include "backends/kaggle/credentials.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/kaggle/credentials_file.h"
#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/secret.h"
#include "fs/base/why.h"
#include "fs/engine/config.h"

#define KEY_DIGITS 32

void credentials_wipe(char **text)
{
	if (*text)
		explicit_bzero(*text, strlen(*text));
	free(*text);
	*text = NULL;
}

#define AUTO_SECRET __attribute__((cleanup(credentials_wipe)))

void credentials_release(struct credentials *c)
{
	credentials_wipe(&c->user);
	credentials_wipe(&c->secret);
	credentials_wipe(&c->refresh);
	*c = (struct credentials){0};
}

static bool equal(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The token of a login comes and goes; what it is refreshed with says whose it is. */
bool credentials_equal(const struct credentials *a, const struct credentials *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == CREDENTIALS_LOGIN)
		return equal(a->refresh, b->refresh);
	return equal(a->secret, b->secret) &&
	       (a->kind == CREDENTIALS_TOKEN || equal(a->user, b->user));
}

static void encode(char *out, const unsigned char *in, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";

	for (size_t i = 0; i < len; i += 3) {
		unsigned v = (unsigned)in[i] << 16 | (i + 1 < len ? (unsigned)in[i + 1] << 8 : 0) |
			     (i + 2 < len ? in[i + 2] : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = digits[i + 1 < len ? v >> 6 & 63 : 64];
		*out++ = digits[i + 2 < len ? v & 63 : 64];
	}
	*out = '\0';
}

static char *basic(const char *user, const char *key)
{
	size_t len = strlen(user) + 1 + strlen(key);
	AUTO_SECRET char *pair = malloc(len + 1);
	char *out = malloc(sizeof("Basic ") + (len + 2) / 3 * 4);

	if (!pair || !out) {
		free(out);
		return NULL;
	}
	stpcpy(stpcpy(stpcpy(pair, user), ":"), key);
	encode(stpcpy(out, "Basic "), (const unsigned char *)pair, len);
	return out;
}

char *credentials_header(const struct credentials *c)
{
	char *out;

	if (!c->secret)
		return NULL;
	if (c->kind == CREDENTIALS_KEY)
		return basic(c->user, c->secret);
	out = malloc(sizeof("Bearer ") + strlen(c->secret));
	if (out)
		stpcpy(stpcpy(out, "Bearer "), c->secret);
	return out;
}

/* ---- Variables ---- */

static const char *configured(const struct config *config, const char *name)
{
	static const char *const keys[][2] = {{"KAGGLE_API_TOKEN", "api_token"},
		{"KAGGLE_USERNAME", "username"}, {"KAGGLE_KEY", "key"}};

	for (size_t i = 0; config && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i][0], name) == 0)
			return json_text(json_get(json_get(config->backends, "kaggle"), keys[i][1]));
	return NULL;
}

/* What is set nowhere, or to nothing, is NULL. */
static char *variable(const struct credentials_places *places, const char *name)
{
	const char *value = secrets_get(places->secrets, name);

	if (!value)
		value = configured(places->config, name);
	return value && *value ? strdup(value) : NULL;
}

/* ---- The forms ---- */

/* A header's value is one line of visible characters. */
static bool sane(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return false;
	return true;
}

static bool is_key(const char *text)
{
	size_t n = 0;

	while (isxdigit((unsigned char)text[n]))
		n++;
	return n == KEY_DIGITS && text[n] == '\0';
}

static char *take_text(const struct json *object, const char *key)
{
	const char *text = json_text(json_get(object, key));

	return text && *text ? strdup(text) : NULL;
}

/* A document of secrets leaves none behind. */
static void wipe_json(struct json *root)
{
	for (const struct json *c = json_first(root); c; c = json_next(c))
		if (json_text(c))
			explicit_bzero((char *)json_text(c), strlen(json_text(c)));
	json_free(root);
}

static int read_json(struct credentials_places *places, const char *dir, const char *name,
	struct json **out, struct why *why)
{
	AUTO_SECRET char *text = NULL;
	int r = credentials_file(places, dir, name, &text, why);

	if (r)
		return r;
	*out = json_parse(text, strlen(text), strlen(text), why);
	if (!*out) {
		why_prefix(why, "%s/%s", dir, name);
		return why ? -why->err : -EINVAL;
	}
	return 0;
}

/* kaggle.json under the variables: each of the two from where it is. */
static int name_and_key(struct credentials_places *places, char **user, char **key, struct why *why)
{
	char dir[PATH_MAX];
	struct json *file = NULL;
	int r = 0;

	*user = variable(places, "KAGGLE_USERNAME");
	*key = variable(places, "KAGGLE_KEY");
	credentials_dir(dir);
	if (!*user || !*key)
		r = read_json(places, dir, "kaggle.json", &file, why);
	if (!*user)
		*user = take_text(file, "username");
	if (!*key)
		*key = take_text(file, "key");
	wipe_json(file);
	return r == -ENOENT ? 0 : r;
}

/* A name with a colon would move the border between name and key. */
static int check_pair(const char *user, const char *key, struct why *why)
{
	if (!sane(user) || strchr(user, ':') || !sane(key))
		return why_set(why, EINVAL, _("the Kaggle user name or key holds characters that "
					      "none has"));
	return 0;
}

static int from_pair(struct credentials_places *places, struct credentials *out, struct why *why)
{
	int r = name_and_key(places, &out->user, &out->secret, why);

	out->kind = CREDENTIALS_KEY;
	if (r)
		return r;
	if (!out->user || !out->secret)
		return -ENOENT;
	return check_pair(out->user, out->secret, why);
}

/* An old key where a token should be is still a key, once it is known whose. */
static int key_as_token(struct credentials_places *places, char **token, struct credentials *out,
	struct why *why)
{
	AUTO_SECRET char *other = NULL;
	int r = name_and_key(places, &out->user, &other, why);

	if (r)
		return r;
	if (!out->user)
		return -ENOENT;
	out->kind = CREDENTIALS_KEY;
	out->secret = move_ptr(*token);
	return check_pair(out->user, out->secret, why);
}

static int take_token(struct credentials_places *places, char **token, struct credentials *out,
	struct why *why)
{
	if (is_key(*token))
		return key_as_token(places, token, out, why);
	if (!sane(*token))
		return why_set(why, EINVAL, _("the Kaggle token holds characters that none has"));
	out->kind = CREDENTIALS_TOKEN;
	out->secret = move_ptr(*token);
	return 0;
}

static int from_file(struct credentials_places *places, const char *dir, const char *name,
	struct credentials *out, struct why *why)
{
	AUTO_SECRET char *token = NULL;
	int r = credentials_file(places, dir, name, &token, why);

	return r ? r : take_token(places, &token, out, why);
}

static int from_notebook(struct credentials_places *places, struct credentials *out, struct why *why)
{
	const char *path = getenv("KAGGLE_KERNEL_RUN_TYPE") ? getenv("KAGGLE_API_V1_TOKEN") : NULL;

	return path && *path ? from_file(places, NULL, path, out, why) : -ENOENT;
}

static int from_variable(struct credentials_places *places, struct credentials *out, struct why *why)
{
	AUTO_SECRET char *token = variable(places, "KAGGLE_API_TOKEN");
	struct stat st;

	if (!token)
		return -ENOENT;
	if (stat(token, &st) == 0)
		return from_file(places, NULL, token, out, why);
	return take_token(places, &token, out, why);
}

static int from_token_file(struct credentials_places *places, struct credentials *out, struct why *why)
{
	static const char *const names[] = {"access_token", "access_token.txt"};
	char dirs[2][PATH_MAX];
	int r = -ENOENT;

	credentials_dir(dirs[0]);
	credentials_home(dirs[1]);
	for (int i = 0; i < 4 && r == -ENOENT; i++) {
		credentials_release(out);
		r = from_file(places, dirs[i / 2], names[i % 2], out, why);
	}
	return r;
}

static int from_login(struct credentials_places *places, struct credentials *out, struct why *why)
{
	struct json *file = NULL;
	char dir[PATH_MAX];
	int r;

	credentials_home(dir);
	r = read_json(places, dir, "credentials.json", &file, why);
	if (r)
		return r;
	out->kind = CREDENTIALS_LOGIN;
	out->user = take_text(file, "username");
	out->secret = take_text(file, "access_token");
	out->refresh = take_text(file, "refresh_token");
	if (json_text(json_get(file, "access_token_expiration")) &&
		clock_parse_rfc3339(json_text(json_get(file, "access_token_expiration")),
			&out->expires_wall_ns) < 0)
		out->expires_wall_ns = 0;
	wipe_json(file);
	if (!out->refresh)
		return -ENOENT;
	if (!sane(out->refresh) || (out->secret && !sane(out->secret)))
		return why_set(why, EINVAL, _("the Kaggle token holds characters that none has"));
	return 0;
}

static int none(int nth, struct why *why)
{
	char dir[PATH_MAX];

	credentials_dir(dir);
	if (nth > 0)
		return why_set(why, ENOENT, _("no other Kaggle credentials are there"));
	return why_set(why, ENOENT,
		_("there are no Kaggle credentials: neither KAGGLE_API_TOKEN nor KAGGLE_USERNAME with "
		  "KAGGLE_KEY is set, and %s has no access_token, kaggle.json or credentials.json; make a "
		  "token at https://www.kaggle.com/settings and put it into %s/access_token (chmod 600)"),
		dir, dir);
}

static int find(struct credentials_places *places, int nth, struct credentials *out, struct why *why)
{
	static int (*const forms[])(struct credentials_places *, struct credentials *, struct why *) = {
		from_notebook, from_variable, from_token_file, from_pair, from_login};

	for (size_t i = 0, left = (size_t)nth; i < sizeof(forms) / sizeof(forms[0]); i++) {
		int r;

		*out = (struct credentials){0};
		r = forms[i](places, out, why);
		if (r == 0 && left == 0)
			return 0;
		credentials_release(out);
		if (r && r != -ENOENT)
			return r;
		left -= r == 0;
	}
	return none(nth, why);
}

int credentials_find(struct credentials_places *places, int nth, struct credentials *out, struct why *why)
{
	int r;

	*out = (struct credentials){0};
	r = secrets_open(places->config ? places->config->folder : NULL, &places->secrets, why);
	if (r)
		return r;
	r = find(places, nth, out, why);
	secrets_close(places->secrets);
	places->secrets = NULL;
	return r;
}
