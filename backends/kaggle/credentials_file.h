/* Files with credentials, and where they are (for credentials.c only). */
#ifndef KEXEC_BACKENDS_KAGGLE_CREDENTIALS_FILE_H
#define KEXEC_BACKENDS_KAGGLE_CREDENTIALS_FILE_H

#include <limits.h>

struct credentials_places;
struct why;

/* "~/.kaggle"; "" without a home. */
void credentials_home(char out[static PATH_MAX]);
/* Where kaggle.json is: $KAGGLE_CONFIG_DIR, else ~/.kaggle where it exists, else the XDG one. */
void credentials_dir(char out[static PATH_MAX]);

/* The text of dir/name (dir NULL: of the path `name`), without blanks around it, on the heap:
 * credentials_wipe() it. -ENOENT: absent or empty. -EACCES with why: others can write it, or it is not
 * ours. Symbolic links are followed: secrets are mounted that way, and the checks are of what is read. */
int credentials_file(struct credentials_places *places, const char *dir, const char *name, char **text,
	struct why *why);

#endif
