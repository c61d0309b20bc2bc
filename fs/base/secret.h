/*
 * Credentials by the name of their variable: from the environment, else from the file `.env` in the
 * folder of the configuration. Never from a folder that somebody submits.
 *
 * `.env` has one NAME=VALUE a line, as shells and the services' own tools write it: blank lines and
 * lines that begin with # count for nothing, `export ` may stand before a name, CR before the end of a
 * line is dropped. A value is bare (to the end of the line, or a # after white space), in '…' (as it
 * is), or in "…" with the escapes \n \r \t \" \\ \$ \`. Nothing is expanded or run. Of two lines of the
 * same name the last one counts. What cannot be understood is an error, with the number of its line and
 * never its text.
 *
 * Only its owner may have rights to the file. What is read lives in one piece of memory that is wiped
 * before it is freed; nothing here writes it anywhere, and callers must not either (log_secret() covers
 * what slips through).
 */
#ifndef KEXEC_BASE_SECRET_H
#define KEXEC_BASE_SECRET_H

struct secrets;
struct why;

#define SECRET_FILE_MAX 65536 /* bytes of .env */
#define SECRET_NAME_MAX 128   /* bytes of a name */
#define SECRETS_MAX	512   /* lines with a name */

/* Read FOLDER/.env; none there (or no folder: NULL) is no error. -EACCES: somebody else's or open to
 * others; -EFBIG; -EINVAL: not a regular file, or a line that cannot be understood. */
int secrets_open(const char *folder, struct secrets **out, struct why *why);
/* The value, borrowed until secrets_close() or the next setenv(3); NULL when it is nowhere or empty.
 * `s` may be NULL: the environment alone. Any thread. */
const char *secrets_get(const struct secrets *s, const char *name);
void secrets_close(struct secrets *s); /* wipes; accepts NULL */

#endif
