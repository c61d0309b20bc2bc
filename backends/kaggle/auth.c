/* The Authorization header of the moment. A bearer token says not whose it is, so the service is asked
 * once; one that it does not know gives way to the next credentials, as with the official client. A login's
 * token is refreshed when it has run out, in memory: the file is the official client's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/cleanup.h"
#include "fs/base/clock.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define EARLY_NS    (60 * NS_PER_S) /* a token that ends during a call is of no use */
#define SHORTEST_S  300.0
#define LONGEST_S   (366 * 86400.0)
#define SHORT       6 /* shorter texts are no secrets, and would blot out words */

void auth_forget(char **header)
{
	credentials_wipe(header);
}

/* With the lock held, or before threads are there. */
static void hide(struct kaggle *k)
{
	char *header = credentials_header(&k->who);

	log_secret(k->log, k->who.secret);
	log_secret(k->log, k->who.refresh);
	log_secret(k->log, header ? strchr(header, ' ') + 1 : NULL);
	auth_forget(&header);
}

static bool login_expired(const struct credentials *c)
{
	return c->kind == CREDENTIALS_LOGIN &&
	       (!c->secret || c->expires_wall_ns - EARLY_NS < clock_wall_ns());
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static struct credentials copy_of(const struct credentials *c)
{
	return (struct credentials){.kind = c->kind,
		.user = copy(c->user),
		.secret = copy(c->secret),
		.refresh = copy(c->refresh),
		.expires_wall_ns = c->expires_wall_ns};
}

static void take(struct kaggle *k, struct credentials *found, int candidate)
{
	credentials_release(&k->who);
	k->who = *found;
	k->candidate = candidate;
	k->known = k->who.user && !login_expired(&k->who);
	hide(k);
}

static void take_first(struct kaggle *k, struct credentials *found)
{
	credentials_release(&k->first);
	k->first = copy_of(found);
	take(k, found, 0);
}

int auth_find(struct kaggle *k, struct why *why)
{
	struct credentials found;
	int r = credentials_find(&k->places, 0, &found, why);

	if (r == 0)
		take_first(k, &found);
	return r;
}

void auth_release(struct kaggle *k)
{
	credentials_release(&k->who);
	credentials_release(&k->first);
	while (k->names) {
		struct auth_name *n = k->names;

		k->names = n->next;
		free(n);
	}
}

/* ---- Asking the service, without the lock ---- */

static int introspect(struct kaggle *k, const char *token, char **user, int64_t deadline_ns,
	struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	struct json *answer = NULL;
	char *header = credentials_header(
		&(struct credentials){.kind = CREDENTIALS_TOKEN, .secret = (char *)token});
	int r;

	rpc_put(&body, "token", token);
	r = body.err || !header ? -ENOMEM
				: rpc_call(k,
					  &(struct rpc){.method = "security.OAuthService/IntrospectToken",
						  .request = body.json,
						  .header = header,
						  .own_header = true,
						  .deadline_ns = deadline_ns},
					  &answer, why);
	if (r == 0 && (!json_bool(json_get(answer, "active"), false) ||
			      answer_text(json_get(answer, "username"))[0] == '\0'))
		r = why_set(why, EACCES, _("Kaggle says that the token is not valid (any more)"));
	if (r == 0) {
		*user = strdup(answer_text(json_get(answer, "username")));
		r = *user ? 0 : -ENOMEM;
	}
	json_free(answer);
	auth_forget(&header);
	return r;
}

static int take_refreshed(const struct json *answer, struct credentials *c, struct why *why)
{
	const char *token = answer_text(json_get(answer, "token"));
	double seconds = answer_seconds(json_get(answer, "expiresIn"));

	if (*token == '\0' || strpbrk(token, " \t\r\n"))
		return why_set(why, EACCES, _("Kaggle gave no token for the login"));
	/* One that is over at once would be asked for without end; should it really be, its refusal tells. */
	if (!(seconds >= SHORTEST_S && seconds <= LONGEST_S))
		seconds = SHORTEST_S;
	c->secret = strdup(token);
	c->expires_wall_ns = clock_wall_ns() + (int64_t)(seconds * (double)NS_PER_S);
	if (!c->user && answer_text(json_get(answer, "userName"))[0])
		c->user = strdup(answer_text(json_get(answer, "userName")));
	return c->secret ? 0 : -ENOMEM;
}

static int refresh(struct kaggle *k, struct credentials *c, int64_t deadline_ns, struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	struct json *answer = NULL;
	int r;

	rpc_put(&body, "refreshToken", c->refresh);
	rpc_put(&body, "apiVersion", "API_VERSION_V1");
	rpc_put(&body, "expirationDuration", "43200s");
	r = body.err ? body.err
		     : rpc_call(k,
			       &(struct rpc){.method = "users.AccountService/GenerateAccessToken",
				       .request = body.json,
				       .own_header = true,
				       .deadline_ns = deadline_ns},
			       &answer, why);
	credentials_wipe(&c->secret);
	if (r == 0)
		r = take_refreshed(answer, c, why);
	rpc_json_wipe(answer);
	return r;
}

static int ask(struct kaggle *k, struct credentials *c, int64_t deadline_ns, struct why *why)
{
	int r = login_expired(c) ? refresh(k, c, deadline_ns, why) : 0;

	if (r == 0 && !c->user && c->kind != CREDENTIALS_KEY)
		r = introspect(k, c->secret, &c->user, deadline_ns, why);
	return r;
}

/* A refusal is not the end where other credentials are there. Holds the lock; true: ask again. */
static bool go_on_to_next(struct kaggle *k, int err)
{
	struct credentials found;
	int next = k->candidate + 1;

	if (err != -EACCES && err != -EINVAL && err != -ENOENT)
		return false;
	if (credentials_find(&k->places, next, &found, NULL) < 0)
		return false;
	log_write(k->log, LOG_LEVEL_INFO, "credentials", NULL,
		"Kaggle does not take these credentials; the next ones are tried");
	take(k, &found, next);
	return true;
}

/* With the lock, given up while the service is asked: the others wait for the answer. */
static int ask_unlocked(struct kaggle *k, int64_t deadline_ns, struct why *why)
{
	struct credentials c = copy_of(&k->who);
	int r;

	k->asking = true;
	pthread_mutex_unlock(&k->lock);
	r = ask(k, &c, deadline_ns, why);
	pthread_mutex_lock(&k->lock);
	k->asking = false;
	pthread_cond_broadcast(&k->wake);
	if (r == 0 && credentials_equal(&c, &k->who)) {
		int candidate = k->candidate;

		take(k, &c, candidate);
		k->known = true;
		return 0;
	}
	if (r < 0 && credentials_equal(&c, &k->who) && go_on_to_next(k, r))
		r = 0;
	credentials_release(&c);
	return r;
}

static int wait_for_answer(struct kaggle *k, int64_t deadline_ns, struct why *why)
{
	int64_t until = clock_boot_ns() + NS_PER_S / 10;

	if (atomic_load(&k->stopped))
		return why_set(why, ECANCELED, _("the Kaggle client is being closed"));
	if (clock_boot_ns() >= deadline_ns)
		return why_set(why, ETIMEDOUT, _("Kaggle has not said in time whose token it is"));
	pthread_mutex_unlock(&k->lock);
	rpc_sleep(k, until);
	pthread_mutex_lock(&k->lock);
	return 0;
}

/* With the lock: until `who` can be used. */
static int settle(struct kaggle *k, int64_t deadline_ns, struct why *why)
{
	int r = 0;

	while (r == 0 && (!k->known || login_expired(&k->who))) {
		if (k->asking)
			r = wait_for_answer(k, deadline_ns, why);
		else
			r = ask_unlocked(k, deadline_ns, why);
	}
	return r;
}

int auth_header(struct kaggle *k, int64_t deadline_ns, char **out, struct why *why)
{
	int r;

	pthread_mutex_lock(&k->lock);
	r = settle(k, deadline_ns, why);
	*out = r == 0 ? credentials_header(&k->who) : NULL;
	pthread_mutex_unlock(&k->lock);
	return r == 0 && !*out ? -ENOMEM : r;
}

bool auth_refused(struct kaggle *k, const char *header)
{
	char *now;
	bool again;

	pthread_mutex_lock(&k->lock);
	now = credentials_header(&k->who);
	again = now && strcmp(now, header) != 0;
	if (!again && k->who.kind == CREDENTIALS_LOGIN) {
		k->who.expires_wall_ns = 0;
		again = true;
	}
	pthread_mutex_unlock(&k->lock);
	auth_forget(&now);
	return again;
}

static const char *keep_name(struct kaggle *k, const char *user)
{
	struct auth_name *n;

	for (n = k->names; n; n = n->next)
		if (strcmp(n->name, user) == 0)
			return n->name;
	n = malloc(sizeof(*n) + strlen(user) + 1);
	if (!n)
		return NULL;
	stpcpy(n->name, user);
	n->next = k->names;
	k->names = n;
	return n->name;
}

const char *kaggle_user(struct kaggle *k, int64_t deadline_ns, struct why *why)
{
	const char *name = NULL;

	pthread_mutex_lock(&k->lock);
	if (settle(k, deadline_ns, why) == 0)
		name = keep_name(k, k->who.user);
	pthread_mutex_unlock(&k->lock);
	auth_scrub(k, NULL, why);
	return name;
}

bool kaggle_reload(struct kaggle *k)
{
	struct credentials found;
	bool differs;

	if (credentials_find(&k->places, 0, &found, NULL) < 0)
		return false;
	pthread_mutex_lock(&k->lock);
	differs = !credentials_equal(&found, &k->first);
	if (differs)
		take_first(k, &found);
	pthread_mutex_unlock(&k->lock);
	if (!differs)
		credentials_release(&found);
	return differs;
}

/* ---- What services repeat ---- */

static void blot(char *text, const char *secret)
{
	size_t len = secret ? strlen(secret) : 0, end;
	char *at;

	if (len < SHORT)
		return;
	while ((at = strstr(text, secret))) {
		memset(at, '*', 3);
		memmove(at + 3, at + len, strlen(at + len) + 1);
	}
	end = strlen(text);
	for (size_t n = len < end ? len : end; n >= SHORT; n--)
		if (memcmp(text + end - n, secret, n) == 0) {
			memset(text + end - n, '*', n);
			return;
		}
}

static void blot_header(char *text, const char *header)
{
	blot(text, header ? strchr(header, ' ') + 1 : NULL);
}

void auth_scrub_text(struct kaggle *k, const char *header, char *text)
{
	char *now;

	pthread_mutex_lock(&k->lock);
	now = credentials_header(&k->who);
	blot(text, k->who.secret);
	blot(text, k->who.refresh);
	pthread_mutex_unlock(&k->lock);
	blot_header(text, now);
	blot_header(text, header);
	auth_forget(&now);
}

void auth_scrub(struct kaggle *k, const char *header, struct why *why)
{
	if (why && why->err)
		auth_scrub_text(k, header, why->text);
}
