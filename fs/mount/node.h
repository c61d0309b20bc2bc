/*
 * Nodes: what a row of the map (tree.c) can say, and how an inode number is made of it.
 *
 * Synthetic nodes need no table: the inode number packs row, incarnation, sub-index and store id.
 * Nodes of stored trees (queue/<folder>/…, source/, output/, results/) have bit 63 set and a slot in
 * the shared memory (files.h).
 */
#ifndef KEXEC_MOUNT_NODE_H
#define KEXEC_MOUNT_NODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mount;
struct run;
struct strbuf;
struct why;

enum node_id {
	N_ROOT,
	N_README, N_INDEX, N_RUNS_CSV, N_CTL, N_LOG, N_ALERTS,
	N_QUEUE, N_DRAFT,
	N_LATEST, N_LATEST_LINK,
	N_STATUS,
	N_RUNS, N_RUN,
	N_RUN_STATUS, N_RUN_STATE, N_RUN_CTL, N_RUN_WAIT, N_RUN_LOG, N_RUN_EVENTS, N_RUN_CHANGES,
	N_RUN_METRICS, N_RUN_CURVE, N_RUN_VALIDATION, N_RUN_VALIDATION_JSON, N_RUN_REPORT,
	N_RUN_SOURCE, N_RUN_ATTEMPTS, N_RUN_RESULTS,
	N_ATTEMPT, N_ATT_BACKEND, N_ATT_ID, N_ATT_STATUS, N_ATT_LOG, N_ATT_COST, N_ATT_SOURCE, N_ATT_OUTPUT,
	N_BACKENDS, N_BACKEND, N_BACK_STATUS, N_BACK_QUOTA, N_BACK_CONFIG, N_BACK_CTL, N_BACK_RUNS, N_BACK_RUN_LINK,
	N_KERNELS, N_OWNER, N_KERNEL, N_KERNEL_STATUS, N_KERNEL_LOG, N_KERNEL_SOURCE, N_KERNEL_OUTPUT, N_KERNEL_CTL,
	N_DATASETS, N_DATASET, N_DATASET_STATUS, N_DATASET_CTL,
	N_KNOWLEDGE,
	N_REMOVED,
	NODE_COUNT
};

struct ref {
	uint8_t row;   /* enum node_id */
	uint16_t inc;  /* incarnation of the run's directory; wide, since the kernel may long remember old ones. Of a
	                * NODE_ASKS tree: its generation, 0 where the newest is meant */
	uint16_t sub;  /* attempt number; 11 bits */
	int64_t id;    /* run id, backend index + 1, id of a thing of a service, 0 for fixed nodes; 28 bits */
};

#define NODE_STORED   (UINT64_C(1) << 63)
#define NODE_ROOT_INO UINT64_C(1)

static inline uint64_t ref_ino(struct ref r)
{
	if (r.row == N_ROOT)
		return NODE_ROOT_INO;
	return (uint64_t)r.row << 55 | (uint64_t)r.inc << 39 | (uint64_t)(r.sub & 0x7ff) << 28 |
		((uint64_t)r.id & 0xfffffffULL);
}

static inline struct ref ino_ref(uint64_t ino)
{
	struct ref r = {.row = (uint8_t)(ino >> 55 & 0xff), .inc = (uint16_t)(ino >> 39 & 0xffff),
		.sub = (uint16_t)(ino >> 28 & 0x7ff), .id = (int64_t)(ino & 0xfffffffULL)};

	if (ino == NODE_ROOT_INO)
		r.id = 0;
	return r;
}

/* One request as node functions see it. */
struct call {
	struct mount *mount;
	uint64_t key;  /* unique of the request without the resend bit: once-only key */
	bool again;    /* a dead server had it in hand: what it asks for may have been done */
	pid_t pid;     /* thread id of the caller, 0 unseen */
	uid_t uid;
	gid_t gid;
};

enum node_row_flags {
	NODE_HIDDEN = 1 << 0,    /* found by name, not listed */
	NODE_WAITS = 1 << 2,     /* a read is parked until the run has ended */
	NODE_TREE = 1 << 3,      /* root of a stored tree, see `backing` */
	NODE_WRITABLE = 1 << 4,  /* the stored tree may be changed through it (drafts, knowledge) */
	NODE_POLLS = 1 << 5,     /* poll(2): newer than at open */
	NODE_PAGE = 1 << 6,      /* large: a file per version under pages/ */
	NODE_SNAPSHOT = 1 << 8,  /* a reader gets one version from its beginning to its end (snapshots.h) */
	NODE_REFRESHES = 1 << 9, /* opening it asks the run's backend for news, and waits a moment (freshness.h) */
	NODE_ASKS = 1 << 10,     /* opening it has it brought from its service, and waits for that (objects.h) */
	NODE_STABLE = 1 << 7,    /* neither name nor attributes ever change by themselves */
};

/* Tell one child of a directory, in ascending `cookie` (its number among the directory's children, > 0);
 * nonzero from the sink stops the listing. */
struct child_facts {
	int64_t mtime_ns; /* 0: not known, walk_stat() finds it out */
	bool unsettled;   /* its name may change or go without the kernel's doing: a draft's run */
};
typedef int node_sink(void *arg, const char *name, struct ref child, int64_t cookie, struct child_facts facts);

struct node {
	uint8_t parent;
	const char *name;  /* NULL: many, named by `find` and `list` of the parent */
	mode_t mode;
	unsigned flags;
	const char *help;  /* one line for README and --tree; NULL: not told */
	/* Which functions a row has is its meaning; all return 0 or -errno. */
	int (*find)(const struct call *c, struct ref dir, const char *name, struct ref *out);
	bool (*unsettled)(const struct call *c, struct ref r); /* child_facts.unsettled of one found; NULL: never */
	int (*list)(const struct call *c, struct ref dir, int64_t after, node_sink *sink, void *arg);
	bool (*shown)(const struct call *c, struct ref r, const struct run *run); /* NULL: always */
	int (*render)(const struct call *c, struct ref r, struct strbuf *out);
	/* Path relative to the state directory of the file or tree behind it; -ENOENT: as if empty. */
	int (*backing)(const struct call *c, struct ref r, char *path, size_t size);
	int (*target)(const struct call *c, struct ref r, struct strbuf *out); /* symbolic links */
	int (*command)(const struct call *c, struct ref r, int argc, char *const argv[], struct why *why);
	void (*refused)(const struct call *c, struct ref r, const char *sentence); /* for `command` */
	int (*make)(const struct call *c, struct ref dir, const char *name, struct ref *out); /* mkdir in it */
	int (*drop)(const struct call *c, struct ref dir, struct ref r);                       /* rmdir of r */
	int (*move)(const struct call *c, struct ref r, struct ref from, struct ref to, const char *to_name);
};

extern const struct node tree[NODE_COUNT];

/* Does the row belong to a run (its id is a run id)? */
static inline bool row_of_run(unsigned row)
{
	return row == N_RUN || (row >= N_RUN_STATUS && row <= N_ATT_OUTPUT) || row == N_LATEST_LINK;
}

#endif
