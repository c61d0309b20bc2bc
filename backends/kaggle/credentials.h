/*
 * Who we are at Kaggle: every form that its official client reads, in its order.
 *
 *   1. a token: KAGGLE_API_TOKEN (itself, or the path of a file), access_token, access_token.txt
 *   2. name and key: KAGGLE_USERNAME and KAGGLE_KEY over kaggle.json; KAGGLE_API_TOKEN when it is such a
 *      key (32 hexadecimal digits) and a name is known
 *   3. what `kaggle auth login` left: credentials.json
 *
 * Variables come from the environment, else from the .env beside the configuration, else from
 * backends.kaggle (api_token, username, key). Files are in $KAGGLE_CONFIG_DIR, ~/.kaggle, or
 * $XDG_CONFIG_HOME/kaggle. A file that others can read is used with one warning in the log; one that others
 * can write, or that is not ours, is not used.
 */
#ifndef KEXEC_BACKENDS_KAGGLE_CREDENTIALS_H
#define KEXEC_BACKENDS_KAGGLE_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

struct config;
struct log;
struct secrets;
struct why;

enum credentials_kind { CREDENTIALS_TOKEN, CREDENTIALS_KEY, CREDENTIALS_LOGIN };

struct credentials {
	enum credentials_kind kind;
	char *user;    /* NULL: only the service knows */
	char *secret;  /* token or key; NULL: a login without a token */
	char *refresh; /* of a login */
	int64_t expires_wall_ns; /* of a login's token, 0: unknown */
};

struct credentials_places {
	const struct config *config; /* borrowed */
	struct log *log;             /* borrowed */
	bool warned;                 /* about files that others can read */
	struct secrets *secrets;     /* .env, while it is looked for */
};

/* The nth (from 0) of those that are there. -ENOENT with why: no more, and where was looked. Others with
 * why where something is there that cannot be used. */
int credentials_find(struct credentials_places *places, int nth, struct credentials *out, struct why *why);
void credentials_release(struct credentials *c); /* wiped first */
bool credentials_equal(const struct credentials *a, const struct credentials *b);
/* "Bearer …" or "Basic …", on the heap; NULL without memory or secret. */
char *credentials_header(const struct credentials *c);
void credentials_wipe(char **text); /* wiped, freed, NULL */

#endif
