/*
 * The memory that outlives the server: one sealed-size memfd, held by the keeper, mapped by every
 * server in turn and by the notifier. It survives SIGKILL, not a reboot; durable truth is on disk.
 *
 * Rules: each record is published by one atomic store, last; every number in it means the same to
 * every server (never a pointer, never a descriptor); locks are not in here, they belong to one server
 * process. A server that dies in the middle of an update leaves at worst a leaked slot.
 */
#ifndef KEXEC_MOUNT_SHARED_H
#define KEXEC_MOUNT_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARED_MAGIC   0x6b784653u
#define SHARED_VERSION 1u

#define SHARED_THREADS   4          /* FUSE threads of a server */
#define SHARED_BUFFER    ((1u << 20) + 8192u) /* one request: 1 MiB of data and its headers */
#define SHARED_JOURNAL   512
#define SHARED_HANDLES   65536
#define SHARED_DRAFTS    16384
#define SHARED_PARKED    4096
#define SHARED_POLLS     4096
#define SHARED_RING      4096       /* a power of two */
#define SHARED_NODES     (1u << 21)
#define SHARED_BUCKETS   (1u << 18)
#define SHARED_NAME      256        /* NAME_MAX and the NUL */
#define SHARED_WRITERS   8
#define SHARED_WOUNDS    8
#define SHARED_POISON    64

/* Bit 63 of a request's unique number says that the kernel sends it again. */
#define UNIQUE_RESEND (UINT64_C(1) << 63)
#define UNIQUE_KEY(u) ((u) & ~UNIQUE_RESEND)

enum journal_state { JOURNAL_FREE, JOURNAL_STARTED, JOURNAL_DONE };
enum journal_op { JOP_NONE, JOP_CREATE, JOP_MKDIR, JOP_SYMLINK, JOP_LINK, JOP_UNLINK, JOP_RMDIR, JOP_RENAME };

/* Once-only operations on stored trees (operations on the store journal themselves in its
 * transaction). Kept until the reply is out. */
struct shared_journal {
	uint32_t state, op;
	int32_t result;       /* errno of the answer, negative, once DONE */
	uint64_t parent, new_parent;
	uint64_t ino;         /* node created or moved */
	char name[SHARED_NAME], new_name[SHARED_NAME];
};

/* A file of a draft that is open for writing, from OPEN to RELEASE, keyed by the unique of OPEN (which
 * is its fh), so that a RELEASE that is sent again counts once. */
struct shared_handle {
	_Atomic uint64_t key;
	uint64_t ino;
	uint64_t draft;
};

enum draft_flags {
	DRAFT_FROZEN = 1 << 0,      /* submitted: writers get EROFS */
	DRAFT_ASKED = 1 << 1,       /* .submit, ctl, or renamed from a dot-name */
	DRAFT_INTERRUPTED = 1 << 2, /* was being written when the mount was lost */
	DRAFT_UNSEEN = 1 << 3,      /* a writer without a visible process */
	DRAFT_WOUNDS_LOST = 1 << 4, /* more wounds than are remembered: only a person heals it */
	DRAFT_KILLED = 1 << 5,      /* one of the wounds is a writer that died of a signal */
};

struct shared_writer {
	int32_t pid;
	uint64_t start;
};

struct shared_draft {
	_Atomic uint64_t run;       /* id, 0 = free */
	_Atomic int64_t changed_ns; /* CLOCK_BOOTTIME of the last mutating request */
	_Atomic uint32_t flags;
	_Atomic uint32_t open_writers;
	uint32_t writers;
	struct shared_writer writer[SHARED_WRITERS];
	uint32_t wounds;            /* names whose last write was refused or cut short */
	uint64_t wound[SHARED_WOUNDS];
};

/* A request that waits for something, in the form the kernel sent it. */
struct shared_parked {
	_Atomic uint64_t key;
	uint32_t len;
	_Atomic uint32_t interrupted;
	uint8_t message[128];
};

struct shared_poll {
	_Atomic uint64_t kh; /* the kernel's handle, 0 = free */
	uint64_t ino;
};

struct shared_poison {
	_Atomic uint64_t key;
	_Atomic uint32_t deaths;
};

enum event_kind { EVENT_INVAL_ENTRY, EVENT_INVAL_INODE, EVENT_TOUCH, EVENT_APPEAR, EVENT_VANISH };

/* For the notifier process: what the kernel and inotify watchers are to be told. */
struct shared_event {
	_Atomic uint64_t seq; /* position + 1 once published */
	uint32_t kind;
	uint64_t ino;         /* the directory for entry events */
	uint64_t child;       /* VANISH: what the name was */
	char name[SHARED_NAME];
	char path[SHARED_NAME + 64]; /* relative to the mount, for TOUCH, APPEAR, VANISH */
};

enum node_flags { NODE_USED = 1, NODE_DETACHED = 2 /* unlinked, lives in trash while referenced */ };

/* A node of a stored tree that the kernel knows. */
struct shared_node {
	uint64_t parent;  /* inode: another stored node or the synthetic root of the tree */
	uint64_t root;    /* inode of the tree's synthetic root */
	uint64_t lookups; /* the kernel's references; drifts only upwards over deaths */
	uint32_t generation;
	uint32_t next;    /* hash chain, or free list; slot + 1, 0 = end */
	uint32_t flags;
	char name[SHARED_NAME];
};

struct shared {
	uint32_t magic, version;
	uint64_t size;
	uint64_t connection;       /* random id of this FUSE connection; scopes journal keys */
	uint32_t init_len, init_reply_len;
	uint8_t init[256], init_reply[256];
	int32_t resend;            /* 1: the kernel can send again, 0: it cannot (or a test says so) */
	_Atomic uint32_t servers;  /* how many servers have started; the first finds 0 */
	_Atomic uint32_t ready;    /* this server answers requests; the keeper resets it */
	_Atomic int32_t notifier_tid;
	_Atomic uint32_t notifier_doing; /* enum event_kind of the system call it is in */
	_Atomic uint64_t notifier_child;  /* `child` of the event it carries out */
	_Atomic int64_t version_told; /* engine version up to which events were queued */
	_Atomic uint32_t stopping;
	uint32_t node_free;        /* slot + 1 */
	uint32_t node_top;         /* slots ever used */
	_Atomic uint64_t ring_head, ring_tail;
	/* Keys apart from the records: every reply looks for its own. Unique without the resend bit, 0 =
	 * free, all ones = being filled. */
	_Atomic uint64_t journal_key[SHARED_JOURNAL];
	struct shared_journal journal[SHARED_JOURNAL];
	struct shared_poison poison[SHARED_POISON];
	struct shared_poll poll[SHARED_POLLS];
	struct shared_parked parked[SHARED_PARKED];
	struct shared_draft draft[SHARED_DRAFTS];
	struct shared_handle handle[SHARED_HANDLES];
	struct shared_event ring[SHARED_RING];
	uint32_t bucket[SHARED_BUCKETS]; /* slot + 1 */
	struct shared_node node[SHARED_NODES];
	/* page aligned, populated before use: a receive buffer that faults at SIGKILL loses a request */
	uint8_t buffer[SHARED_THREADS][SHARED_BUFFER] __attribute__((aligned(4096)));
};

/* Keeper: make the memfd. fd or -errno. */
int shared_create(void);
/* Map it; checks magic and version (a server that does not know the layout refuses). NULL on error. */
struct shared *shared_map(int fd);
void shared_unmap(struct shared *s);

/* ---- Journal (any FUSE thread). ---- */
/* The record of this key, or a fresh one in state STARTED that `fill` has described before it was
 * published. *again tells which. Never NULL: when all are taken the oldest is given up. */
struct shared_journal *journal_begin(struct shared *s, uint64_t unique, const struct shared_journal *fresh, bool *again);
void journal_done(struct shared_journal *j, int result, uint64_t ino);
/* The reply is out. Called from the reply hook with every unique. */
void journal_forget(struct shared *s, uint64_t unique);

/* ---- Ring (any thread puts; the notifier takes). ---- */
/* 0, or -EAGAIN when the notifier is that far behind (the event is dropped: only a watcher misses it). */
int ring_put(struct shared *s, const struct shared_event *event);
bool ring_take(struct shared *s, struct shared_event *out);

/* ---- Polls, poison. ---- */
void polls_add(struct shared *s, uint64_t kh, uint64_t ino);
/* Call `tell` for every handle whose inode satisfies `match`, and forget it. */
void polls_take(struct shared *s, bool (*match)(void *arg, uint64_t ino), void (*tell)(void *arg, uint64_t kh), void *arg);
/* Count a death with this request in hand; how many there are now. */
unsigned poison_count(struct shared *s, uint64_t unique, bool add);
void poison_forget(struct shared *s, uint64_t unique);

#endif
