/*
 * The private files of a job, made before it starts and taken away after its output was collected:
 *
 *   work/      a copy of the source, the job's working directory
 *   work.list  what work/ held at the start, so that only what is new or changed is output
 *   box/       start.sh (environment and command), driver.py, notebook.ipynb; home/ and tmp/ are the job's
 */
#ifndef KEXEC_BACKENDS_LOCAL_WORKDIR_H
#define KEXEC_BACKENDS_LOCAL_WORKDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct io_entry;
struct job;
struct job_user;
struct sandbox;
struct sandbox_job;
struct why;

/* Deeper trees, and longer paths, are neither copied back nor listed. */
#define WORK_MAX_DEPTH 100
#define WORK_MAX_PATH  3500

/* Make them anew (what an interrupted call left is removed first). `python` is the interpreter. Not
 * durable: before supervisor.json exists they can be made again. */
int workdir_prepare(int dirfd, const struct job *job, const struct sandbox *sandbox,
	const struct job_user *user, const struct sandbox_job *place, const char *python,
	struct why *why);
void workdir_remove(int dirfd);

/* What work/ held at the start. */
struct work_list;
int work_list_load(int dirfd, struct work_list **out); /* a missing list is an empty one */
void work_list_free(struct work_list *list);           /* accepts NULL */
/* Is this entry there as it was at the start? */
bool work_list_same(const struct work_list *list, const struct io_entry *entry);

#endif
