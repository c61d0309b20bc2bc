/* metrics.csv of an attempt: "step,name,value", written by the supervisor while the job runs. */
#ifndef KEXEC_BACKENDS_LOCAL_METRIC_FILE_H
#define KEXEC_BACKENDS_LOCAL_METRIC_FILE_H

#include <stddef.h>

struct metric_file;

/* Replaces what is there; the file appears with the first metric. Bounded to 16 MiB. */
int metric_file_open(int dirfd, struct metric_file **out);
/* step -1: one more than the last of that name, starting at 0. Names that are none are dropped. */
void metric_file_add(struct metric_file *m, const char *name, double value, long step);
/* A line of output; nothing where it is no metric line. */
void metric_file_line(struct metric_file *m, const char *line, size_t len);
/* metrics.json as a job may leave it: {"name": number, …} or [{"name", "value", "step"}, …]. */
void metric_file_import(struct metric_file *m, int workfd);
void metric_file_close(struct metric_file *m); /* accepts NULL; what was written is on disk then */

#endif
