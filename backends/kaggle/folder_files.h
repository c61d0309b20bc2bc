/* The files of a submitted folder, as far as they travel. A submitted folder is hostile: links in it are
 * followed only where they stay inside. */
#ifndef KEXEC_BACKENDS_KAGGLE_FOLDER_FILES_H
#define KEXEC_BACKENDS_KAGGLE_FOLDER_FILES_H

#include <stddef.h>
#include <stdint.h>

struct strbuf;
struct why;

/* Append the regular file `path` of the folder. 0 or -errno (-EXDEV: a link leads out). */
int folder_files_read(const char *folder, const char *path, size_t max, struct strbuf *out);
/* A descriptor on such a file. */
int folder_files_open(int dirfd, const char *path);

/* What travels beside the entry file, sorted by name in byte order. */
struct file_list {
	char **paths;
	size_t count;
	int64_t bytes;
};

/* All regular files (and links to such inside the folder) but `main`, the two metadata files, `.git`,
 * `.env`, `__pycache__`, `.ipynb_checkpoints`, `.submit`, and what `.kexecignore` names: one pattern a
 * line as fnmatch(3) knows them, matched with the path and with each name in it; `#` begins a comment. */
int folder_files_list(const char *folder, const char *main, struct file_list *out, struct why *why);
void folder_files_release(struct file_list *list);

#endif
