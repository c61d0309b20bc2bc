/*
 * The user's configuration: ~/.config/kexec/config.json (0600, or 0640 and narrower for its owner;
 * anything wider is refused), every key optional, defaults below. Read once at start; immutable after.
 */
#ifndef KEXEC_ENGINE_CONFIG_H
#define KEXEC_ENGINE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

struct json;
struct secrets;
struct strbuf;
struct why;

enum submit_mode { SUBMIT_SETTLED, SUBMIT_EXPLICIT };

struct config {
	char *default_backend;      /* "local" */
	enum submit_mode submit;
	double settle_exited_s;     /* 1 */
	double settle_alive_s;      /* 5 */
	char *user;                 /* who runs jobs when root mounts; NULL: SUDO_UID's user, else nobody */
	char *language;             /* "en", "ja" or NULL */
	int64_t disk_bytes;         /* budget of the state directory; 0 = disk_percent of the file system */
	double disk_percent;        /* 80 */
	int jobs_max;               /* local runs at once; default the number of cores */
	double jobs_memory_gb;      /* default 80 % of RAM */
	int jobs_gpus;              /* default: /dev/nvidia[0-9]* counted */
	char *python;               /* NULL: find one */
	int poll_seconds;           /* 60 */
	double monitor_hours;       /* 3 */
	int health_seconds;         /* 300 */
	struct json *datasets;      /* {"owner/slug": "/folder"} or NULL */
	bool alerts_desktop;
	bool state_on_fuse;         /* allow state on a FUSE file system */
	struct json *backends;      /* backends.<name> objects as written (may hold secrets) or NULL */
	struct json *rest;          /* the whole document, for later capabilities */
	const char *const *known_backends; /* words of the backends built in, NULL-terminated, borrowed:
	                             * "local" after config_load(), the server puts the registry's here;
	                             * NULL: any name is taken */
	char *folder;               /* directory the file is (or would be) in: error rules, prompts, .env */
	struct secrets *secrets;    /* of .env there (secret.h); NULL: none */
};

/* path NULL: $XDG_CONFIG_HOME/kexec/config.json, else ~/.config/kexec/config.json; a missing file is
 * all defaults. Unknown keys are errors that name the nearest known key. 0 or -errno with why. */
int config_load(const char *path, struct config *out, struct why *why);
void config_release(struct config *c);
/* Does the user want this backend? True unless backends.<name>.enabled is false. */
bool config_backend_enabled(const struct config *c, const char *backend);
/* JSON of what applies to one backend, secrets replaced by "***" (any key containing key, token,
 * secret, password, credential). For backends/<name>/config.json. */
int config_print_backend(const struct config *c, const char *backend, struct strbuf *out);

/* Of `words` (NULL-terminated) the nearest to word by edit distance, NULL when none is near. */
const char *nearest_word(const char *word, const char *const *words);

#endif
