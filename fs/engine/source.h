/*
 * Reading a folder that a stranger wrote: regular files only, no symbolic link is followed unless it
 * stays inside, nothing blocks (a FIFO, a device), everything is bounded.
 */
#ifndef KEXEC_ENGINE_SOURCE_H
#define KEXEC_ENGINE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct options;
struct problems;
struct strbuf;
struct why;

/* Append the regular file at a plain path (options_plain_path) below dirfd. A symbolic link as the last
 * part is followed where it stays inside the folder. -ENOENT, -EFBIG past max, -EINVAL not a regular
 * file, -EXDEV a link that leads out, -ENOMEM; why has the sentence. */
int source_read(int dirfd, const char *path, size_t max, struct strbuf *out, struct why *why);
/* Is there something of that name (a link counts as something)? */
bool source_exists(int dirfd, const char *path);
/* Does a link at `path` with this target stay inside the folder? Judged without following anything:
 * leading ".." parts are counted against the depth of `path`, later ones are refused because what
 * they leave may itself be a link. */
bool source_link_inside(const char *path, const char *target);
/* Data set folders that would show credentials or the configuration: removed from o, with a problem. */
int source_check_datasets(const struct config *config, struct options *o, struct problems *problems);

#endif
