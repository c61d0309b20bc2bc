/*
 * The door: is a draft to be submitted? A pure function of facts; it asks nothing and waits for
 * nothing, so its tests are a table. mount/drafts.c gathers the facts and acts on the verdict.
 */
#ifndef KEXEC_ENGINE_DOOR_H
#define KEXEC_ENGINE_DOOR_H

#include <stdbool.h>
#include <stdint.h>

struct door_facts {
	int64_t now_ns;           /* CLOCK_BOOTTIME, as all times here */
	int64_t changed_ns;       /* last mutating request below the folder, or its mkdir */
	bool staging;             /* name begins with a dot */
	bool asked;               /* `.submit` is there, `submit` was written to ctl, or renamed from a dot-name */
	bool explicit_only;       /* configuration "submit": "explicit" */
	int open_writers;         /* handles open for writing below it */
	int writers_alive;        /* processes that wrote and still live */
	bool writers_unseen;      /* a writer whose process cannot be seen (pid 0) */
	bool refused;             /* a call below it was refused since the last `heal` */
	bool writer_killed;       /* a writer died of a signal with a file open */
	bool interrupted;         /* was being written when the mount was lost */
	bool runnable;            /* an entry point was found */
	bool bad_metadata;        /* kexec.json or kernel-metadata.json cannot be parsed */
	bool named_missing;       /* a file that the metadata names is absent */
	bool temporary;           /* a copier's or editor's temporary name is there */
	int64_t settle_exited_ns; /* 1 s */
	int64_t settle_alive_ns;  /* 5 s */
};

enum door_action {
	DOOR_WAIT,   /* look again at next_ns, or at the next change */
	DOOR_REST,   /* will not be submitted by itself; `reason` says why */
	DOOR_SUBMIT,
	DOOR_REJECT, /* asked for, or settled with unreadable metadata: becomes a run in state rejected */
};

enum door_reason {
	DOOR_OK, DOOR_WRITING, DOOR_SETTLING, DOOR_STAGING, DOOR_EXPLICIT, DOOR_REFUSED, DOOR_KILLED,
	DOOR_INTERRUPTED, DOOR_NOT_RUNNABLE, DOOR_BAD_METADATA, DOOR_NAMED_MISSING, DOOR_TEMPORARY,
	DOOR_REASON_COUNT
};

struct door_verdict {
	enum door_action action;
	enum door_reason reason;
	int64_t next_ns; /* DOOR_WAIT: when to look again; INT64_MAX = only at a change */
};

struct door_verdict door_judge(const struct door_facts *facts);
const char *door_reason_text(enum door_reason reason); /* translated sentence for status */
/* Is it a temporary name of a copier or editor (.x.part, .goutputstream-…, rsync's .NAME.XXXXXX,
 * vim's .NAME.swp and 4913, .~lock.…#, NAME~, .nfs…)? Base name only. */
bool door_temporary_name(const char *name);
/* Names of folders in queue/: 0, -EILSEQ (not UTF-8), -EINVAL (control characters, leading '-',
 * "." ".." or empty), -ENAMETOOLONG (over 255 bytes). */
int door_name_check(const char *name);

#endif
