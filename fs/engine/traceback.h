/*
 * Python tracebacks in the tail of a log: arbitrary bytes in, the chain of exceptions that ended
 * the program out. Reads what CPython prints, what IPython prints (also inside nbclient's and
 * papermill's errors), exception groups, and lines that a launcher prefixed ("[rank0]: ").
 *
 * The last traceback counts. Tracebacks that Python prints without ending the program ("Exception
 * ignored in", of a thread, of a logging handler …) count only where there is no other.
 */
#ifndef KEXEC_ENGINE_TRACEBACK_H
#define KEXEC_ENGINE_TRACEBACK_H

#include <stdbool.h>
#include <stddef.h>
#include "fs/base/strbuf.h"

#define TB_TAIL    ((size_t)256 << 10) /* bytes of the text that are looked at */
#define TB_LINKS   16                  /* of a chain: the last ones are kept */
#define TB_FRAMES  64                  /* of a link: the first and the last ones are kept */
#define TB_FIRSTS  8
#define TB_TYPE    128
#define TB_MESSAGE 1024

struct tb_text { /* a piece of the traceback's text */
	const char *at;
	size_t len;
};

struct tb_frame {
	struct tb_text file, func, source; /* source: the line that was running */
	long line;                         /* 0 = unknown */
	long cell;                         /* In [n] of a notebook, 0 = a file */
};

enum tb_relation { TB_NONE, TB_CONTEXT /* "During handling" */, TB_CAUSE /* raise … from */ };

struct tb_link {
	enum tb_relation relation; /* to the link before */
	char type[TB_TYPE];        /* as printed, dotted or not */
	char message[TB_MESSAGE];  /* one line; may end in unrelated output that followed it */
	char first[TB_MESSAGE];    /* its first line: what rules read */
	size_t seen;               /* frames there were */
	struct tb_frame frames[TB_FRAMES];
};

struct traceback {
	struct strbuf text;    /* cleaned: UTF-8, no ANSI, '\r' as '\n' */
	struct tb_link *links; /* in the order of printing: the last one ended the program */
	size_t count;
};

/* 0, -ENOENT when there is none, -ENOMEM. `out` is to be released after 0 only. */
int traceback_find(const char *text, size_t len, struct traceback *out);
void traceback_release(struct traceback *tb);

size_t tb_frames(const struct tb_link *link); /* that were kept */
/* The i-th kept frame, outermost first. */
const struct tb_frame *tb_frame(const struct tb_link *link, size_t i);
/* The innermost frame that is the program's own (no installed package); else the innermost; or
 * NULL. */
const struct tb_frame *tb_own_frame(const struct tb_link *link);
/* Was links[i] raised by the very `except` block that handled links[i-1], or with `from`? Then the
 * earlier one is the reason of the later; otherwise it only happened before (a probed import). */
bool tb_follows(const struct traceback *tb, size_t i);
/* "file:line" or "In [3], line 2" of the own frame; "" unknown. */
void tb_where(const struct tb_link *link, char *out, size_t size);

#endif
