/* What the ctl of a thing of a service says, and `adopt`: a version of a kernel that runs already becomes a run. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/io.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/engine/objects_private.h"
#include "fs/engine/options.h"
#include "fs/engine/problem.h"

#define TEMPORARY "adopt.part"
#define CALL_NS	  (10 * NS_PER_S) /* nobody is asked: the disk at most */

int engine_object_words(struct engine *e, int64_t id, struct strbuf *out)
{
	struct object_row row;
	int rc = store_read_object(e->store, id, &row);

	if (!rc)
		rc = object_sentence(e, id, out);
	if (rc)
		return rc;
	if (strcmp(row.kind, OBJECT_DATASET) == 0)
		return strbuf_addf(out, "upload [MESSAGE] - %s\n",
			_("send what lies in the folder: the data set is made, or gets its next version"));
	return strbuf_addf(out, "adopt - %s\n%s\n",
		_("its newest version becomes a run of this mount: it is watched, and its output is brought"),
		_("the service cannot be told to stop it from here: adopt it, and cancel the run"));
}

struct adoption {
	struct engine *e;
	struct object_row row;
	struct object_part part; /* the source that is there */
	struct options o;
	struct run r;
	struct attempt_row a;
	struct strbuf remote_id;
	int dirfd;               /* objects/<id> */
	struct why *why;
};

/* ---- The source ---- */

static int copy_source(struct adoption *d)
{
	char from[128];
	int rc = engine_object_path(d->e, d->row.id, "source", d->part.generation, from, sizeof(from));

	if (!rc)
		rc = io_remove_tree(d->dirfd, TEMPORARY);
	if (!rc)
		rc = io_copy_tree(d->e->state_dirfd, from, d->dirfd, TEMPORARY, d->why);
	if (!rc && syncfs(d->dirfd))
		rc = -errno;
	return rc;
}

static int read_source(struct adoption *d)
{
	AUTO_FD int source = io_open_dir(d->dirfd, TEMPORARY);
	AUTO_BUF struct strbuf text = STRBUF_INIT;
	struct problems problems = {0};
	struct json *j;
	int rc = source < 0 ? source : options_read(source, d->e->config, &d->o, &problems, d->why);

	problems_release(&problems);
	if (rc)
		return rc;
	if (d->o.kind == KIND_NONE)
		return why_set(d->why, EINVAL, _("%s gives no source back of which a run could be made."),
			d->row.backend);
	j = options_to_json(&d->o);
	rc = j ? json_print(j, &text, false) : -ENOMEM;
	json_free(j);
	d->r.options = rc ? NULL : strbuf_detach(&text, NULL);
	return rc ? rc : d->r.options ? 0 : -ENOMEM;
}

/* ---- The run ---- */

static void describe_run(struct adoption *d)
{
	const char *slash = strrchr(d->row.name, '/');
	struct run *r = &d->r;

	r->incarnation = 1;
	r->state = RUN_QUEUED;
	r->place = PLACE_RUNS;
	r->kind = d->o.kind;
	r->priority = d->o.priority;
	r->progress = -1;
	r->eta_ns = -1;
	r->metric_value = NAN;
	r->attempt = 1;
	r->created = r->submitted = r->started = r->answered = stamp_now();
	snprintf(r->backend, sizeof(r->backend), "%s", d->row.backend);
	snprintf(r->folder, sizeof(r->folder), "%s", slash ? slash + 1 : d->row.name);
}

static int place_files(struct adoption *d)
{
	char path[ENGINE_PATH_MAX];
	int rc = engine_make_run_dir(d->e, d->r.id);

	if (!rc && renameat(d->dirfd, TEMPORARY, d->e->state_dirfd, engine_source_path(path, d->r.id)))
		rc = -errno;
	if (!rc && mkdirat(d->e->state_dirfd, engine_run_file_path(path, d->r.id, "attempts"), 0700))
		rc = -errno;
	if (!rc && mkdirat(d->e->state_dirfd, engine_attempt_path(path, d->r.id, 1, NULL), 0700))
		rc = -errno;
	return rc;
}

static int tell_backend(struct adoption *d)
{
	const struct object o = {.kind = d->row.kind, .name = d->row.name};
	struct backend_handle b = {0};
	AUTO_FREE char *directory = NULL;
	struct job job = {.run = d->r.id, .attempt = 1, .token = d->a.token};
	char path[ENGINE_PATH_MAX];
	int rc = engine_backend_open(d->e, d->row.backend, &b, d->why);

	if (rc)
		return rc;
	if (!b.vt->objects || !b.vt->objects->adopt)
		return -EOPNOTSUPP;
	if (asprintf(&directory, "%s/%s", d->e->state_path, engine_attempt_path(path, d->r.id, 1, NULL)) < 0) {
		directory = NULL;
		return -ENOMEM;
	}
	snprintf(d->a.token, sizeof(d->a.token), "%s-%" PRId64 "-1", store_installation(d->e->store), d->r.id);
	job.directory = directory;
	return b.vt->objects->adopt(b.conn, &o, d->part.version, &job, clock_boot_ns() + CALL_NS, &d->remote_id,
		d->why);
}

static int not_yet_a_run(struct adoption *d)
{
	struct run known = {0};
	int64_t run = store_run_of_job(d->e->store, d->row.backend, d->remote_id.buf);

	if (!run || store_read_run(d->e->store, run, &known))
		return 0;
	why_set(d->why, EEXIST, _("%s is the run %s already."), d->remote_id.buf, known.name);
	run_release(&known);
	return -EEXIST;
}

static int add_attempt(struct adoption *d)
{
	struct attempt_row *a = &d->a;

	a->pub.run = d->r.id;
	a->pub.n = 1;
	a->pub.started = d->r.started;
	a->pub.external_id = d->remote_id.buf; /* borrowed */
	a->end.exit_code = -1;
	snprintf(a->pub.backend, sizeof(a->pub.backend), "%s", d->row.backend);
	snprintf(a->pub.state, sizeof(a->pub.state), "%s", run_state_words[RUN_RUNNING]);
	d->r.external_id = strdup(d->remote_id.buf);
	return d->r.external_id ? store_put_attempt(d->e->store, a) : -ENOMEM;
}

/*
 * In a transaction, files included: a run that can be seen has them, and what a crash before the commit
 * leaves lies under an id that no row has. It is never in a state from which something would be sent:
 * the job's id is committed with the row.
 */
static int make_run(struct adoption *d)
{
	int rc = store_free_name(d->e->store, PLACE_RUNS, d->r.folder, 0, d->r.name);

	if (!rc)
		rc = store_add_run(d->e->store, &d->r);
	if (!rc)
		rc = place_files(d);
	if (!rc)
		rc = tell_backend(d);
	if (!rc)
		rc = d->remote_id.err ? d->remote_id.err : not_yet_a_run(d);
	if (!rc)
		rc = fault_point("object.adopt");
	if (!rc)
		rc = add_attempt(d);
	if (!rc)
		rc = store_add_event(d->e->store, &d->r, RUN_DRAFT, "adopt");
	if (!rc)
		rc = run_move(d->e->store, &d->r, RUN_SUBMITTING, "");
	if (!rc)
		rc = run_move(d->e->store, &d->r, RUN_RUNNING, "");
	return rc;
}

static void show_run(struct adoption *d)
{
	struct sched_need need;

	engine_need(d->e, &d->r, &need);
	sched_update(d->e->sched, &d->r, &need);
	engine_tell(d->e, CHANGE_NEW | CHANGE_STATE, NULL, &d->r);
}

static int adopt(struct adoption *d, uint64_t key)
{
	int64_t value = 0;
	int rc = copy_source(d);

	if (!rc)
		rc = read_source(d);
	if (rc)
		return rc;
	describe_run(d);
	if (engine_once(d->e, key, &rc, &value))
		return rc;
	rc = make_run(d);
	if (!rc)
		rc = store_put_answer(d->e->store, key, 0, d->r.id);
	rc = store_end(d->e->store, rc);
	if (!rc)
		show_run(d);
	return rc;
}

int engine_object_adopt(struct engine *e, uint64_t key, int64_t id, struct why *why)
{
	AUTO_FD int dirfd = object_dir(e, id);
	struct adoption d = {.e = e, .dirfd = dirfd, .why = why, .remote_id = STRBUF_INIT};
	int rc = dirfd < 0 ? dirfd : store_read_object(e->store, id, &d.row);

	if (!rc)
		rc = object_part_read(e, id, "source", &d.part);
	if (!rc && !d.part.generation)
		rc = -EAGAIN;
	if (rc)
		return rc;
	options_init(&d.o);
	rc = adopt(&d, key);
	if (rc && why && !why->err)
		why_set(why, -rc, _("It cannot be adopted: %s"), strerror(-rc));
	io_remove_tree(dirfd, TEMPORARY);
	options_release(&d.o);
	run_release(&d.r);
	strbuf_release(&d.remote_id);
	object_say(e, id, rc && why ? why_text(why) : "");
	return rc;
}
