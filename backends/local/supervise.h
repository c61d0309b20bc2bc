/*
 * The supervisor of one local job: `kexecfs --supervise DIRECTORY [LOCK_FD REPORT_FD]`.
 *
 * A process of its own that outlives the daemon. It runs what DIRECTORY/job.json orders at most once
 * (supervisor.json is on disk before the job starts, and its existence forbids a second start), watches
 * over limits and wishes, and writes end.json durably as its last act. LOCK_FD is the lock that submit()
 * took; without it the supervisor takes it itself. A byte in REPORT_FD says that supervisor.json is on
 * disk. See attempt.h for the files.
 */
#ifndef KEXEC_BACKENDS_LOCAL_SUPERVISE_H
#define KEXEC_BACKENDS_LOCAL_SUPERVISE_H

/* The whole life of the process, for main(): returns its exit status. */
int supervise_main(int argc, char **argv);

#endif
