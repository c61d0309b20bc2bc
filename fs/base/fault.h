/*
 * Faults on purpose. Every durable step of the product calls fault_point(); with KEXEC_FAULT unset
 * that is one load and a branch.
 *
 * KEXEC_FAULT=FILE names a file of 4096 bytes shared by all processes of a test (keeper, server,
 * supervisors): u64 count, u64 target, u32 action, u32 errno, char[64] for the name at the target, char[128]
 * of beginnings of names: only points of such names count (words with a space between; empty: all).
 * Each point adds 1 to count; the process that makes it equal to target acts: action 1 = SIGKILL
 * itself before the step, 2 = return -errno instead of the step, 0 = count only. One process-wide
 * pointer lives in fault.c: the only such state in the program, and only tests set it.
 */
#ifndef KEXEC_BASE_FAULT_H
#define KEXEC_BASE_FAULT_H

void fault_open(void);               /* once at the start of main() */
int fault_point(const char *name);   /* 0 = go on, negative errno = behave as if the step failed so */

#endif
