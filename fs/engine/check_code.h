/* What can be seen in the text of a cell or a script without a Python interpreter. For check.c. */
#ifndef KEXEC_ENGINE_CHECK_CODE_H
#define KEXEC_ENGINE_CHECK_CODE_H

#include <stdbool.h>

#include "fs/base/strbuf.h"

struct options;
struct problems;

struct code {
	const char *file;    /* relative path */
	int cell;            /* 1-based; 0 = a script */
	const char *text;    /* borrowed, NUL-terminated */
	struct strbuf *seen; /* inputs of this file that were told already, one a line */
};

/* 0 or -ENOMEM. */
int check_code(const struct code *code, const struct options *o, struct problems *problems);
/* Does it use a library that can compute on a GPU, or say gpu or cuda? */
bool code_uses_gpu(const char *text);
/* The line (1-based) of the first merge-conflict marker, 0 where there is none. */
int code_conflict_line(const char *text);

#endif
