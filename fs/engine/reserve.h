/*
 * Room for the store on a full disk: a file of RESERVE_BYTES in the state directory, allocated while
 * there is space and given up when there is none. What a user does to free space (rm, cancel) and how
 * runs end are transactions, and a transaction needs a little room itself.
 */
#ifndef KEXEC_ENGINE_RESERVE_H
#define KEXEC_ENGINE_RESERVE_H

#include <stdbool.h>
#include <stdint.h>

#define RESERVE_NAME   "reserve"
#define RESERVE_BYTES  (INT64_C(4) << 20)
#define RESERVE_AT     (INT64_C(64) << 20) /* it is made where so much is free; less on a small disk */
#define RESERVE_LOW    (INT64_C(1) << 20)  /* with less left the disk counts as full */

/* ENOSPC and its relatives. */
bool disk_full_error(int rc);
/* Is less than RESERVE_LOW left there? False where that cannot be found out. */
bool disk_is_low(int state_dirfd);
/* Make it where it is missing and there is room: 1 it is there, 0 not now, or -errno. */
int reserve_make(int state_dirfd);
/* True when there was one: there is room now. */
bool reserve_give_up(int state_dirfd);

#endif
