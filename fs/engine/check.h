/* The checks before submission: everything that can be known to be wrong before anything runs. */
#ifndef KEXEC_ENGINE_CHECK_H
#define KEXEC_ENGINE_CHECK_H

struct options;
struct problems;
struct why;

/*
 * Check the frozen source at dirfd. Errors reject the run, warnings do not. Rules (each has an id):
 * notebook readable and nbformat 4, kernel known to be Python, code cells compile-checkable facts
 * (merge-conflict markers, unbalanced magic), entry file present and regular, named files present,
 * symbolic links that lead out of the folder, input paths /kaggle/input/<slug> not mapped by datasets
 * (warning), absolute paths of the author's home (warning), GPU asked for and CPU-only code (warning),
 * sizes, file names that cannot be kept, `expect` paths that leave the folder.
 * 0, or -errno when the folder could not be read.
 */
int check_source(int dirfd, const struct options *options, struct problems *problems, struct why *why);

#endif
