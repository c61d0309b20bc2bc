/*
 * start.sh: what runs first as the job's user. The environment is set here, after every privilege is
 * gone and inside the sandbox, because variables that a submitted folder chooses (LD_PRELOAD) must not
 * reach the programs that build it, and because a command line can be read by everybody.
 */
#ifndef KEXEC_BACKENDS_LOCAL_SCRIPT_H
#define KEXEC_BACKENDS_LOCAL_SCRIPT_H

struct job;
struct job_user;
struct sandbox;
struct sandbox_job;
struct strbuf;

int script_print(const struct job *job, const struct sandbox *sandbox, const struct job_user *user,
	const struct sandbox_job *place, const char *python, struct strbuf *out);

#endif
