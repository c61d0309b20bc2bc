/* What our own sessions with an accelerator used, from the text of the ledger. Pure. */
#ifndef KEXEC_BACKENDS_KAGGLE_LEDGER_H
#define KEXEC_BACKENDS_KAGGLE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_MAX ((size_t)16 << 20)

struct ledger_use {
	double gpu_s, tpu_s;
};

/* Adds what lies after `week` (seconds since 1970). Lines that cannot be read are left out. */
void ledger_sum(const char *text, int64_t week, struct ledger_use *use);
bool ledger_sound(const char *text); /* can every line be read? */
bool ledger_has(const char *text, const char *remote_id);
/* How many of the seconds from `from` to `to` lie after `week`. */
double ledger_overlap(int64_t from, int64_t to, int64_t week);

#endif
