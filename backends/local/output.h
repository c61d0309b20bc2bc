/* What a job left: everything new or changed in work/, and the executed notebook. */
#ifndef KEXEC_BACKENDS_LOCAL_OUTPUT_H
#define KEXEC_BACKENDS_LOCAL_OUTPUT_H

struct why;

/* Move it into output/ of this attempt, complete or not at all; then remove work/ and box/. Files are
 * renamed, not copied, however large. `main` (relative, checked) is the name of the executed notebook.
 * Only regular files, directories and symbolic links that stay inside are taken; owner and modes are
 * made ours. Repeatable after a crash at any step; 0 when it was done before. The job must have ended
 * and nothing of it may live. */
int output_collect(int dirfd, const char *main, struct why *why);

#endif
