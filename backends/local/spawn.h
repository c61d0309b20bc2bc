/* Starting helper programs from a process with threads: argument vectors, short commands with a
 * deadline. Everything goes through posix_spawn, nothing of ours runs between fork and exec. */
#ifndef KEXEC_BACKENDS_LOCAL_SPAWN_H
#define KEXEC_BACKENDS_LOCAL_SPAWN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct strbuf;

/* A growing, NULL-terminated argument vector that owns its texts. Zero initialisation is valid; `err`
 * is sticky, so a caller adds many times and checks once. */
struct argv {
	char **v;
	size_t n, cap;
	int err;
};

void argv_add(struct argv *a, const char *text);
void argv_addf(struct argv *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Several at once: argv_addv(a, "--tmpfs", path, NULL). */
void argv_addv(struct argv *a, ...) __attribute__((sentinel));
void argv_release(struct argv *a);

/* What helpers get to see of our environment: PATH and a UTF-8 locale. */
extern char *const spawn_environment[];

struct spawn_fds {
	int from, to; /* descriptor `from` of ours appears as `to`; to is 3 or 4 */
};

/* Start argv[0] (looked up in PATH) in a session of its own, with /dev/null as stdin, the
 * descriptor `err_fd` as stdout and stderr, the `count` descriptors handed on and no others.
 * The pid or -errno. */
pid_t spawn_detached(char *const argv[], int err_fd, const struct spawn_fds *fds, size_t count);

/* Run a short command to its end: output (stdout and stderr together) is appended as far as it fits.
 * Its exit status 0..255, 128 + signal, -ETIMEDOUT (it was killed with its group) or -errno. */
int spawn_run(char *const argv[], int64_t deadline_ns, struct strbuf *output);

#endif
