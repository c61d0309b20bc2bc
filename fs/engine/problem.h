/* What checks before submission found: validation.txt and validation.json are made of these. */
#ifndef KEXEC_ENGINE_PROBLEM_H
#define KEXEC_ENGINE_PROBLEM_H

#include <stddef.h>

struct strbuf;

enum severity { PROBLEM_ERROR, PROBLEM_WARNING };

struct problem {
	enum severity severity;
	char *check;  /* stable id of the rule, e.g. "notebook.json"; never translated */
	char *file;   /* relative path or "" */
	int line;     /* 1-based; for a notebook the line inside cell `cell`; 0 = unknown */
	int cell;     /* 1-based code or markdown cell, 0 = not a cell */
	char *what;   /* sentence, translated */
	char *fix;    /* what to do, translated */
};

struct problems {
	struct problem *list;
	size_t count, cap;
	size_t more, more_errors; /* beyond PROBLEMS_MAX: counted, not kept */
};

#define PROBLEMS_MAX 200

/* Zero-initialise a struct problems. Texts are copied, made one line and safe for a terminal. Sentences
 * are those that _() gave. 0 or -ENOMEM. */
int problems_add(struct problems *p, enum severity severity, const char *check, const char *file,
	int cell, int line, const char *fix, const char *what_fmt, ...)
	__attribute__((format(printf, 8, 9)));
size_t problems_errors(const struct problems *p); /* how many reject the run */
void problems_release(struct problems *p);
/* validation.txt ("ok" line or one paragraph a problem) and validation.json. */
int problems_text(const struct problems *p, struct strbuf *out);
int problems_json(const struct problems *p, struct strbuf *out);

#endif
