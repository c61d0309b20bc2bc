/* Finding a Python that can run the job, as the user and in the sandbox that will run it. */
#ifndef KEXEC_BACKENDS_LOCAL_PYTHON_H
#define KEXEC_BACKENDS_LOCAL_PYTHON_H

#include <stdbool.h>

struct job_user;
struct pythons;
struct sandbox;
struct why;

/* What was tried is remembered (by path and modification time). `configured` may be NULL; where it is
 * not, it is the only candidate: a choice of the user is never replaced silently. All arguments are
 * borrowed until pythons_free(). Thread-safe. */
struct pythons *pythons_new(
	const struct sandbox *sandbox, const struct job_user *user, const char *configured);
void pythons_free(struct pythons *p); /* accepts NULL */

/* The path of a Python (for a notebook: one that imports nbclient, nbformat and ipykernel), which the
 * caller frees. -ENOENT with a sentence that says how to get one. Blocks while candidates are run. */
int pythons_find(struct pythons *p, bool notebook, char **out, struct why *why);

#endif
