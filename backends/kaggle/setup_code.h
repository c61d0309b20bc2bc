/* The Python that runs before the user's first line: environment, and the folder's own files. Pure. */
#ifndef KEXEC_BACKENDS_KAGGLE_SETUP_CODE_H
#define KEXEC_BACKENDS_KAGGLE_SETUP_CODE_H

struct source_extras;
struct strbuf;

/* Appends nothing where nothing must travel. 0 or -errno. */
int setup_code(const struct source_extras *x, struct strbuf *out);

#endif
