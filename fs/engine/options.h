/*
 * What a submitted folder says about itself: kexec.json, kernel-metadata.json and the files present,
 * resolved to one answer. Pure: reads a directory, touches no store.
 */
#ifndef KEXEC_ENGINE_OPTIONS_H
#define KEXEC_ENGINE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "fs/engine/problem.h"

struct config;
struct json;
struct why;

enum run_kind { KIND_NONE, KIND_NOTEBOOK, KIND_SCRIPT, KIND_TRAIN, KIND_STUDY, KIND_PLAN, KIND_SPEC, KIND_COUNT };
extern const char *const run_kind_words[KIND_COUNT]; /* "-", "notebook", "script", ... */

#define OPTIONS_RETRY_ATTEMPTS 3 /* where retrying is asked for without a number */

enum on_error { ON_ERROR_STOP, ON_ERROR_SKIP, ON_ERROR_RETRY };

struct options {
	enum run_kind kind;     /* KIND_NONE: nothing runnable, see `missing` */
	char *main;             /* entry file, relative to the folder */
	char *name;             /* wanted run name or NULL */
	char **backends;        /* NULL-terminated, at least one, in order of preference */
	char *gpu;              /* NULL = none, "any" or a type name */
	bool internet;
	double hours;           /* wall limit of an attempt; 0 = none given */
	double max_hours;       /* monitor limit; 0 = the configuration's */
	double memory_gb;       /* 0 = none given */
	int priority;           /* 0-9, default 5 */
	int64_t deadline_ns;    /* wall clock; 0 = none */
	double max_cost_usd;    /* <0 = none given */
	struct json *env;       /* object of texts or NULL */
	struct json *parameters; /* object or NULL */
	struct json *datasets;  /* object owner/slug -> folder, config's and the folder's merged, or NULL */
	int max_attempts;       /* 1 unless on_error is retry or `retry` is given (then 3) */
	double delay_seconds;   /* 5 */
	double backoff_multiplier; /* 2 */
	enum on_error on_error;
	bool confirm;
	char **expect;          /* NULL-terminated or NULL */
	char *metric_name;      /* or NULL */
	bool metric_max;        /* goal */
	char *competition, *feature, *parent, *cv_scheme; /* or NULL */
	int attempt;            /* the user's own count, default 1 */
	bool fresh_slug;        /* "slug": "fresh": a new name on a service, whatever the metadata says */
	char *kernel_id;        /* "owner/slug" of kernel-metadata.json or NULL */
	char *missing;          /* why nothing is runnable (translated sentence) or NULL */
	char **named_files;     /* NULL-terminated: files that the metadata names; may be absent yet */
	char **inputs;          /* NULL-terminated or NULL: names under /kaggle/input that it attaches */
	bool bad_metadata;      /* kexec.json or kernel-metadata.json cannot be parsed (not in to_json) */
};

/*
 * Read the folder at dirfd. Problems (bad JSON, unknown keys, wrong types) go to `problems`; the
 * result is usable as far as it could be read. 0, or -errno when the folder cannot be read at all.
 * The order of kinds and backends is the contract's (README of the mount: "The door").
 */
int options_read(int dirfd, const struct config *config, struct options *out,
	struct problems *problems, struct why *why);
void options_init(struct options *o); /* every default; nothing allocated */
void options_release(struct options *o); /* o is as after options_init() */
/* One JSON object with every option as resolved, for state.json and `changes`; and back. */
struct json *options_to_json(const struct options *o);
/* Either leaves `out` to be released, also on failure; -EINVAL says which key is wrong. */
int options_from_json(const struct json *j, struct options *out, struct why *why);

/* Is it a plain relative path: no leading '/', no empty, "." or ".." part, at most 4095 bytes? */
bool options_plain_path(const char *path);
const char *options_next_part(const char *part); /* behind the next '/', NULL at the last part */
/* A data set ("owner/slug", "owner/slug/3" or a competition's "slug") and its folder (NULL: not a text).
 * 0, or -EINVAL with why. */
int options_dataset_check(const char *name, const char *folder, struct why *why);

#endif
