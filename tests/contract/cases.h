/* The cases by subject; contract.c runs them. */
#ifndef KEXEC_TESTS_CONTRACT_CASES_H
#define KEXEC_TESTS_CONTRACT_CASES_H

#include "tests/contract/world.h"

struct contract_case {
	const char *name;
	void (*run)(void **state);
};

/* Each ends with an entry without a name. */
extern const struct contract_case contract_submit_cases[];  /* submit, find, check */
extern const struct contract_case contract_answer_cases[];  /* poll, describe, threads, connections */
extern const struct contract_case contract_effect_cases[];  /* fetch, logs, cancel, purge */
extern const struct contract_case contract_trouble_cases[]; /* deadlines, strange ids */
extern const struct contract_case contract_fault_cases[];   /* for the wrapper of faults only */
extern const struct contract_case contract_trace_cases[];   /* for the tracing wrapper only */

#endif
