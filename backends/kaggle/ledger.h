/* What our own sessions with an accelerator used, from the text of the ledger. Pure. */
#ifndef KEXEC_BACKENDS_KAGGLE_LEDGER_H
#define KEXEC_BACKENDS_KAGGLE_LEDGER_H

#include <stdint.h>

struct ledger_use {
	double gpu_s, tpu_s;
};

/* Adds what lies after `week` (seconds since 1970). */
void ledger_sum(const char *text, int64_t week, struct ledger_use *use);

#endif
