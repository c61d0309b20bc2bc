/*
 * Other processes, through /proc. A process is known by pid and start time (field 22 of
 * /proc/PID/stat, clock ticks since boot) and, across reboots, the boot id (clock.h).
 */
#ifndef KEXEC_BASE_PROC_H
#define KEXEC_BASE_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_info {
	pid_t pid;           /* process (thread group) id */
	pid_t ppid;
	char state;          /* R S D Z X … */
	uint64_t start;      /* clock ticks since boot */
	unsigned flags;      /* PF_* of the kernel */
	int exit_code;       /* wait status of a dying process, 0 where not permitted */
	uint64_t rss_bytes;
	uint64_t cpu_ns;     /* user + system, with waited-for children */
	char comm[16];
};

int proc_read(pid_t pid_or_tid, struct proc_info *out); /* 0 or -ESRCH; a tid gives its process */
bool proc_alive(pid_t pid, uint64_t start);             /* that very process, zombies are dead */
/* Is ancestor (pid, start) among the parents of pid (or pid itself)? At most 64 steps. */
bool proc_descends(pid_t pid, pid_t ancestor, uint64_t ancestor_start);

#endif
