/*
 * The words that can be written to a run's ctl. The table says which are valid when; each is one
 * transaction, after which the scheduler is told. Called by the mount's threads.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/engine/internal.h"

#define IN(state) (1u << RUN_##state)
#define REFUSAL_MAX 500

struct wish {
	struct engine *e;
	uint64_t key;
	int64_t run;
	enum run_state state; /* as it was when the word was checked */
	char *const *argv;    /* its arguments, without the verb */
	struct why *why;
};

struct verb {
	const char *word, *args, *help;
	unsigned states;
	int argc; /* arguments after the verb */
	int (*act)(const struct wish *w);
};

static void clear_due(struct run *r)
{
	memset(&r->due, 0, sizeof(r->due));
}

static void edit_cancelled(struct run *r, void *arg)
{
	text_set(&r->detail, _("cancelled before it was sent"), DETAIL_MAX);
	clear_due(r);
	r->ended = stamp_now();
}

static void edit_cancelling(struct run *r, void *arg)
{
	text_set(&r->detail, _("asked to end; it may go on for a moment"), DETAIL_MAX);
	clear_due(r);
}

static bool never_sent(enum run_state s)
{
	return s == RUN_QUEUED || s == RUN_WAITING || s == RUN_CONFIRM || s == RUN_RETRYING;
}

static int act_cancel(const struct wish *w)
{
	bool at_once = never_sent(w->state);
	struct move m = {.run = w->run, .from = w->state, .key = w->key,
		.to = at_once ? RUN_CANCELLED : RUN_CANCELLING, .reason = "cancel",
		.edit = at_once ? edit_cancelled : edit_cancelling};

	return engine_move(w->e, &m, NULL);
}

/* The next attempt starts with a clean slate; what the last one cost stays counted. */
static void edit_again(struct run *r, void *arg)
{
	static const struct stamp never;

	text_set(&r->detail, "", DETAIL_MAX);
	text_set(&r->error_context, "", CONTEXT_MAX);
	free(r->error_lines);
	r->error_lines = NULL;
	text_set(&r->next_step, "", DETAIL_MAX);
	r->error_class[0] = '\0';
	free(r->external_id);
	r->external_id = NULL;
	r->started = r->ended = never;
	r->progress = -1;
	r->eta_ns = -1;
	clear_due(r);
}

static int act_queue(const struct wish *w)
{
	struct move m = {.run = w->run, .from = w->state, .to = RUN_QUEUED, .key = w->key,
		.reason = w->state == RUN_CONFIRM ? "confirm" : "retry", .edit = edit_again};

	return engine_move(w->e, &m, NULL);
}

static void edit_priority(struct run *r, void *arg)
{
	r->priority = *(const int *)arg;
}

static int act_priority(const struct wish *w)
{
	const char *text = w->argv[0];
	int priority = text[0] - '0';
	struct move m = {.run = w->run, .from = w->state, .to = w->state, .key = w->key,
		.edit = edit_priority, .arg = &priority};

	if (strlen(text) != 1 || priority < 0 || priority > 9)
		return why_set(w->why, EINVAL, _("A priority is a number from 0 to 9."));
	return engine_move(w->e, &m, NULL);
}

static int act_lookup(const struct wish *w)
{
	sched_poke(w->e->sched, w->run, true);
	return 0;
}

#define WORKING                                                                                    \
	(IN(QUEUED) | IN(WAITING) | IN(CONFIRM) | IN(RETRYING) | IN(SUBMITTING) | IN(RUNNING) |    \
		IN(UNKNOWN) | IN(COLLECTING))

/* submit and drop have no act: the mount, which owns the folders in queue/, carries them out. */
static const struct verb verbs[] = {
	{"submit", "", N_("submit this folder now"), IN(DRAFT), 0, NULL},
	{"drop", "", N_("throw this draft away"), IN(DRAFT), 0, NULL},
	{"confirm", "", N_("let it start"), IN(CONFIRM), 0, act_queue},
	{"cancel", "", N_("end it"), WORKING, 0, act_cancel},
	{"retry", "", N_("run it again, as its next attempt"), IN(FAILED) | IN(CANCELLED), 0,
		act_queue},
	{"priority", " N", N_("0 to 9, higher starts first"), WORKING | IN(CANCELLING), 1,
		act_priority},
	{"lookup", "", N_("ask the backend now what became of it"), IN(UNKNOWN) | IN(RUNNING), 0,
		act_lookup},
};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *find_verb(const char *word)
{
	for (size_t i = 0; i < VERBS; i++) {
		if (strcmp(verbs[i].word, word) == 0)
			return &verbs[i];
	}
	return NULL;
}

static bool valid_now(const struct verb *v, const struct run *r)
{
	return r->place != PLACE_REMOVED && (v->states & (1u << r->state));
}

static int refuse_state(const struct run *r, const char *word, struct why *why)
{
	if (r->place == PLACE_REMOVED)
		return why_set(why, EBUSY, _("%s is not possible: the run is in removed/."), word);
	return why_set(why, EBUSY, _("%s is not possible while the run is %s."), word,
		run_state_words[r->state]);
}

static int judge(const struct run *r, int argc, char *const argv[], const struct verb **out,
	struct why *why)
{
	const struct verb *v = argc > 0 ? find_verb(argv[0]) : NULL;

	if (!v)
		return why_set(why, EINVAL, _("Unknown word: %s."), argc > 0 ? argv[0] : "");
	if (!valid_now(v, r))
		return refuse_state(r, v->word, why);
	if (argc - 1 != v->argc)
		return why_set(why, EINVAL, _("Write it so: %s%s"), v->word, v->args);
	*out = v;
	return 0;
}

static int try_command(struct engine *e, uint64_t key, int64_t run, int argc, char *const argv[],
	struct why *why)
{
	const struct verb *v = NULL;
	struct wish wish = {.e = e, .key = key, .run = run, .argv = argv + 1, .why = why};
	struct run r;
	int rc = store_read_run(e->store, run, &r);

	if (rc)
		return rc;
	rc = judge(&r, argc, argv, &v, why);
	wish.state = r.state;
	run_release(&r);
	if (rc)
		return rc;
	return v && v->act ? v->act(&wish) : 0;
}

int engine_command(struct engine *e, uint64_t key, int64_t run, int argc, char *const argv[],
	struct why *why)
{
	struct why own = {0};
	int64_t value;
	int rc, rooms = 0;

	if (!why)
		why = &own;
	/* Before the state is checked: the word itself may have led to another one. */
	if (key && engine_answered(e, key, &rc, &value))
		return rc;
	/* -ESTALE: the state changed between the check and the transaction; check again. */
	do {
		rc = try_command(e, key, run, argc, argv, why);
	} while (rc == -ESTALE || (store_made_room(e->store, rc) && rooms++ == 0));
	if (rc == -EINVAL || rc == -EBUSY)
		engine_refusal(e, run, why_text(why));
	else if (!rc)
		engine_refusal(e, run, "");
	return rc;
}

/* ---- What ctl says ---- */

static int put_refusal(struct engine *e, int64_t run, const char *sentence, struct run *r)
{
	int rc = store_get_run(e->store, run, r);

	if (rc)
		return rc;
	text_set(&r->refusal, sentence, REFUSAL_MAX);
	return store_put_run(e->store, r);
}

int engine_refusal(struct engine *e, int64_t run, const char *sentence)
{
	struct run r = {0};
	int rc = store_read_run(e->store, run, &r);
	bool same = !rc && strcmp(r.refusal, sentence) == 0;

	run_release(&r);
	if (rc || same)
		return rc;
	rc = store_begin(e->store);
	if (rc)
		return rc;
	rc = store_end(e->store, put_refusal(e, run, sentence, &r));
	if (!rc)
		engine_tell(e, CHANGE_STATE, &r, &r);
	run_release(&r);
	return rc;
}

int engine_words(struct engine *e, int64_t run, struct strbuf *out)
{
	struct run r;
	int rc = store_read_run(e->store, run, &r);

	if (rc)
		return rc;
	if (*r.refusal) {
		strbuf_adds(out, "# "); /* never taken for a word */
		escape_line(out, r.refusal, strlen(r.refusal), REFUSAL_MAX);
		strbuf_addch(out, '\n');
	}
	for (size_t i = 0; i < VERBS; i++) {
		if (valid_now(&verbs[i], &r))
			strbuf_addf(out, "%s%s  %s\n", verbs[i].word, verbs[i].args,
				_(verbs[i].help));
	}
	run_release(&r);
	return out->err;
}
