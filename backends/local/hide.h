/* The list of what no job may see: credentials in the homes of the users involved. */
#ifndef KEXEC_BACKENDS_LOCAL_HIDE_H
#define KEXEC_BACKENDS_LOCAL_HIDE_H

struct argv;

/* Add the real path of `path` where it exists; NULL and relative paths are skipped. */
void hide_add(struct argv *out, const char *path);
/* Everything below this home that usually holds credentials. */
void hide_home(struct argv *out, const char *home);
/* Files that the daemon's environment names as credentials. */
void hide_environment(struct argv *out);

#endif
