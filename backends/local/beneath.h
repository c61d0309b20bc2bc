/* Paths in trees that somebody else made: no symbolic link on the way is followed, nothing leads out. */
#ifndef KEXEC_BACKENDS_LOCAL_BENEATH_H
#define KEXEC_BACKENDS_LOCAL_BENEATH_H

/* The directory that holds `path`, reached from root through real directories only, and the last
 * component (*base points into path). An O_PATH descriptor or -errno (-ELOOP: a link on the way). */
int beneath_parent(int root, const char *path, const char **base);

#endif
