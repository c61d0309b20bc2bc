/* A notebook (nbformat 4) as a document: read, checked, parameters put in. Knows no runs. */
#ifndef KEXEC_NOTEBOOK_IPYNB_H
#define KEXEC_NOTEBOOK_IPYNB_H

#include <stdbool.h>
#include <stddef.h>

struct json;
struct strbuf;
struct why;

#define IPYNB_MAX_BYTES ((size_t)64 << 20) /* larger notebooks are refused with a sentence */

struct ipynb; /* opaque, owns its document */

/* NULL with why: not JSON (line, column), nested too deep, too large, nbformat 3 or older or not a
 * notebook. */
struct ipynb *ipynb_parse(const char *text, size_t len, struct why *why);
void ipynb_free(struct ipynb *nb);
size_t ipynb_cells(const struct ipynb *nb);
bool ipynb_cell_is_code(const struct ipynb *nb, size_t i);
int ipynb_cell_source(const struct ipynb *nb, size_t i, struct strbuf *out); /* lines joined */
const char *ipynb_kernel(const struct ipynb *nb);   /* kernelspec name or NULL */
const char *ipynb_language(const struct ipynb *nb); /* "python" where unsaid */
const struct json *ipynb_root(const struct ipynb *nb);
/* As papermill: a code cell tagged injected-parameters after the one tagged parameters, else first;
 * an earlier injected cell is replaced. Cell ids only where nbformat_minor >= 5. */
int ipynb_inject(struct ipynb *nb, const struct json *parameters, struct why *why);
/* Insert a python3 kernelspec where there is none. */
int ipynb_ensure_kernel(struct ipynb *nb);
int ipynb_print(const struct ipynb *nb, struct strbuf *out);
/* A value as a Python literal: None, True, 'text' with escapes, lists, dicts. */
int python_literal(const struct json *value, struct strbuf *out);
/* May it stand left of `=`? ASCII letters, digits, _ and any other alphabet; no keyword. */
bool python_identifier(const char *name);

/* The failing cell of an executed notebook. 0, or -ENOENT when no cell failed. */
struct ipynb_error {
	size_t cell;          /* 1-based */
	char *ename, *evalue; /* ANSI removed */
	char *traceback;      /* lines joined, ANSI removed */
};
int ipynb_find_error(const struct ipynb *nb, struct ipynb_error *out);
void ipynb_error_release(struct ipynb_error *e);

#endif
