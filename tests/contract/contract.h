/*
 * What backends/backend.h promises, as cases that every backend passes: a program a backend, which says how
 * its service is started and how jobs are made (this header) and leaves the rest to contract_main().
 * Every case runs on the bare backend and through the wrappers trace and fault.
 */
#ifndef KEXEC_TESTS_CONTRACT_H
#define KEXEC_TESTS_CONTRACT_H

#include <stdbool.h>
#include <stddef.h>

#include "backends/backend.h"

/* Every job adds one to executions() before it does anything else. */
enum contract_kind {
	CONTRACT_WRITES, /* prints "line 0" … "line 199", leaves the files below, ends well */
	CONTRACT_FAILS,  /* prints "before", leaves partial.txt, ends with exit code 3 */
	CONTRACT_DIES,   /* of SIGSEGV */
	CONTRACT_HANGS,  /* prints "up", leaves partial.txt, and goes on for ten minutes */
	CONTRACT_FLOODS, /* prints "first", 200 MB of lines of one letter, "the end"; ends well */
};

/* CONTRACT_WRITES leaves these, and nothing else that is checked. */
#define CONTRACT_OUT      "forty-two\n" /* out.txt */
#define CONTRACT_DEEP     "deep\n"      /* sub/deep.txt */
#define CONTRACT_PATTERN  100000        /* pattern.bin: so many bytes, the i-th is i modulo 251 */
#define CONTRACT_PARTIAL  "partial\n"   /* partial.txt */
#define CONTRACT_LINES    200

struct contract_backend {
	const struct backend *vt;
	/* A service without any job, whose files may be below root; fills setup->config. 0 or a reason to
	 * skip everything (-errno). */
	int (*start)(const char *root, struct backend_setup *setup, void **service);
	void (*stop)(void *service);
	/* Put what the job runs into the folder `source`; fill job->kind and job->main. False: this service
	 * cannot have such a job, its cases are skipped. */
	bool (*make_job)(void *service, enum contract_kind kind, const char *source, struct job *job);
	int (*executions)(void *service); /* since the start */
	/* Optional: from `on` to off the service cannot prove that it did not get the job, which it did not. */
	void (*doubt)(void *service, const struct job *job, bool on);
	/* Optional: has what looks after this job, which has ended, gone as well? It may still tidy up. */
	bool (*settled)(void *service, const struct job *job);
	bool knows_exit;  /* exit codes and signals come back */
	size_t log_max;   /* bytes: attempts/<n>/log never grows beyond */
};

/* The exit status. argv[1], if any, selects cases by name with * as a wildcard. */
int contract_main(const struct contract_backend *backend, int argc, char **argv);

#endif
