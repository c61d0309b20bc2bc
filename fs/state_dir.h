/* The state directory: where it is, whether it may be there, and that nobody else uses it. */
#ifndef KEXEC_STATE_DIR_H
#define KEXEC_STATE_DIR_H

#include <stdbool.h>

struct why;

/* $XDG_STATE_HOME/kexec, else ~/.local/state/kexec. The caller frees; NULL with why when there is no home. */
char *state_dir_default(struct why *why);
/* What people call the network file system (or FUSE) with that f_type of statfs(2); NULL for others. */
const char *state_dir_network(long type);
/* Owner, rights and file system, of the directory or, where it is not there (`exists` is false), of the
 * folder above that it will be made in. Changes nothing. */
int state_dir_check(const char *path, bool fuse_allowed, bool *exists, struct why *why);
/* Make it (0700), check owner and file system. Network file systems are refused: they lose or delay
 * what SQLite needs to be there at once; FUSE too unless allowed. */
int state_dir_prepare(const char *path, bool fuse_allowed, struct why *why);
/* Lock it for the life of the descriptor (and of its copies in our other processes). fd or -errno. */
int state_dir_lock(const char *path, struct why *why);

#endif
