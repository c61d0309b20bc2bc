/* `kexecfs --doctor`: what works on this machine, what is missing, and how to get it. */
#ifndef KEXEC_DOCTOR_H
#define KEXEC_DOCTOR_H

/* Prints to stdout, one line a finding ("ok", "missing" or "warn"). 0 when runs can run here, else 1.
 * config and state may be NULL for the defaults. */
int doctor(const char *config, const char *state, const char *program);

#endif
