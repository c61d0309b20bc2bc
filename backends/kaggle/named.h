/* Things of Kaggle by name: named.c; sending a data set: send.c. */
#ifndef KEXEC_BACKENDS_KAGGLE_NAMED_H
#define KEXEC_BACKENDS_KAGGLE_NAMED_H

#include "backends/kaggle/kaggle.h"

extern const struct backend_objects kaggle_named;

/* As backend_objects.send. Zips of the folders in dirfd are put beside them: it is a copy for this purpose. */
int dataset_send(struct backend_conn *c, const struct object *o, int dirfd, const char *note, int64_t deadline_ns,
	struct why *why);

#endif
