/* Between the files objects*.c only. */
#ifndef KEXEC_ENGINE_OBJECTS_PRIVATE_H
#define KEXEC_ENGINE_OBJECTS_PRIVATE_H

#include <pthread.h>

#include "fs/engine/internal.h"
#include "fs/engine/objects.h"

#define OBJECTS_DIR	"objects"
#define OBJECT_DATASET	"dataset" /* the kind of which things belong to the user: never dropped */
#define OBJECT_FILES	"files"
#define OBJECT_UPLOAD	"upload"  /* as a part: sending it */
#define OBJECT_THREADS	4

/* What was asked for, is being done, or was done a while ago. */
struct activity {
	struct activity *next;
	int64_t id;
	char part[16];
	enum { WANTED, DOING, DONE } state;
	int rc;              /* DONE */
	int64_t done_ns;     /* boot time */
};

struct objects {
	struct engine *e;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t ended; /* a thread has, or all are to end */
	struct activity *list;
	int count, threads;
	bool stop, started;
};

/* objects_files.c: what lies in objects/<id>/. */
int object_dir(struct engine *e, int64_t id); /* made if need be; a descriptor or -errno */
struct object_part {
	unsigned generation; /* 0: never brought */
	char version[64];
};
int object_part_read(struct engine *e, int64_t id, const char *part, struct object_part *out);
/* Make what lies in the folder `temporary` of dirfd the next generation. */
int object_part_publish(int dirfd, const char *temporary, const char *part, const char *version,
	const struct object_part *before);
/* The sentence of the last failure, "" none; and as the first line of ctl. */
void object_say(struct engine *e, int64_t id, const char *sentence);
int object_sentence(struct engine *e, int64_t id, struct strbuf *out);

/* objects_send.c */
bool object_upload_wanted(struct engine *e, int64_t id);
int object_send(struct engine *e, const struct object_row *row, struct why *why);

/* objects.c: is the end wanted, now or within so many seconds? */
bool objects_stopping(struct objects *o, int wait_s);
/* Is anything of it being done? */
bool object_busy(struct objects *o, int64_t id, const char *part);
/* Have it done, now or as soon as a thread is free. 1, or -errno. */
int object_want(struct objects *o, int64_t id, const char *part);

#endif
