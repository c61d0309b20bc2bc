/*
 * What is pushed: the user's notebook or script with what must travel inside it, and what can be read
 * back from it. Pure: text in, text out.
 */
#ifndef KEXEC_BACKENDS_KAGGLE_SOURCE_H
#define KEXEC_BACKENDS_KAGGLE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

struct json;
struct strbuf;
struct why;

#define TOKEN_MAX 120

/* What a job needs there and cannot get in another way. */
struct source_extras {
	const char *token;                    /* recognises the push: notebook metadata kexec.token, or a comment */
	const char *name;                     /* of the run, for KEXEC_RUN */
	const struct json *parameters, *env;  /* objects or NULL */
	const char *dataset;                  /* "owner/slug" with the folder's own files, or NULL */
	const char *probe;                    /* one file in it, by which it is found */
};

/* Outputs are emptied, sources are one text a cell, a kernel is named. -EINVAL with why: no notebook. */
int source_notebook(const char *text, size_t len, const struct source_extras *x, struct strbuf *out,
	struct why *why);
/* As it is, but for one line of set-up where something must travel, and a last comment with the token. */
int source_script(const char *text, size_t len, const struct source_extras *x, struct strbuf *out,
	struct why *why);

/* The token in a pushed source of either kind. 0 or -ENOENT. */
int source_token(const char *source, char token[TOKEN_MAX]);
/* Do two sources of one kind say the same, cell by cell or line by line? What services change in passing
 * (outputs, metadata, the end of the last line, our comment) does not count. */
bool source_same(const char *a, const char *b);

/* Where the one line may go into a script: after its first comments, docstring and __future__ imports. */
size_t source_script_place(const char *text, size_t len);

#endif
