#include "fs/engine/outcome.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/engine/retry.h"

static bool enabled(const struct step *st, const char *name)
{
	return engine_backend_named(st->e, name) && !engine_backend_disabled(st->e, name, NULL);
}

bool outcome_next_backend(const struct step *st, char out[32])
{
	char **name = st->o.backends;

	while (name && *name && strcmp(*name, st->r.backend) != 0)
		name++;
	while (name && *name && *++name) {
		if (enabled(st, *name)) {
			snprintf(out, 32, "%s", *name);
			return true;
		}
	}
	return false;
}

void outcome_context(struct outcome *out, const char *sentence)
{
	size_t len = utf8_cut(sentence, strlen(sentence), sizeof(out->diagnosis.message) - 1);

	memcpy(out->diagnosis.message, sentence, len);
	out->diagnosis.message[len] = '\0';
}

static void retry_after(const struct step *st, struct outcome *out)
{
	uint64_t random = 0;
	int64_t delay;

	if (getrandom(&random, sizeof(random), 0) < 0)
		random = 0; /* only the jitter */
	delay = retry_delay_ns(st->o.delay_seconds, st->o.backoff_multiplier, st->a.pub.n, random);
	out->due = stamp_now();
	out->due.wall_ns += delay;
	out->due.boot_ns += delay;
}

void outcome_of_failure(const struct step *st, struct outcome *out)
{
	char other[32];
	struct retry_facts facts = {.class = out->diagnosis.class, .next = out->diagnosis.next,
		.lost = out->lost, .lost_before = st->r.lost, .attempts = st->a.pub.n,
		.max_attempts = st->o.max_attempts, .on_error = st->o.on_error,
		.more_backends = outcome_next_backend(st, other)};

	out->to = RUN_RETRYING;
	switch (retry_judge(&facts)) {
	case RETRY_OTHER:
		memcpy(out->backend, other, sizeof(out->backend));
		out->diagnosis.next = NEXT_BACKEND;
		break;
	case RETRY_SAME:
		retry_after(st, out);
		out->diagnosis.next = NEXT_RETRY;
		break;
	default:
		out->to = RUN_FAILED;
		out->diagnosis.next = NEXT_PERSON;
	}
}

static void write_proof(struct run *r, const struct diagnosis *d)
{
	AUTO_BUF struct strbuf lines = STRBUF_INIT;

	for (size_t i = 0; i < PROOF_LINES && d->proof[i][0]; i++)
		strbuf_addf(&lines, "%s%s", i ? "\n" : "", d->proof[i]);
	free(r->error_lines);
	r->error_lines = lines.len && !lines.err ? strdup(lines.buf) : NULL;
}

static void write_error(struct run *r, const struct outcome *o)
{
	const struct diagnosis *d = &o->diagnosis;
	char context[sizeof(d->exception) + sizeof(d->message) + sizeof(d->where) + 16];

	snprintf(context, sizeof(context), "%s%s%s%s%s%s", d->exception, d->exception[0] ? ": " : "",
		d->message, d->where[0] ? " (" : "", d->where, d->where[0] ? ")" : "");
	snprintf(r->error_class, sizeof(r->error_class), "%s", error_class_words[d->class]);
	text_set(&r->error_context, context, CONTEXT_MAX);
	write_proof(r, d);
	text_set(&r->next_step, next_step_text(d->class, d->next), DETAIL_MAX);
	snprintf(context, sizeof(context), "%s: %s", r->error_class, r->error_context);
	text_set(&r->detail, context, DETAIL_MAX);
}

void outcome_edit(struct run *r, void *arg)
{
	const struct outcome *o = arg;

	r->due = o->due;
	r->eta_ns = -1;
	r->lost += o->lost;
	if (o->backend[0])
		memcpy(r->backend, o->backend, sizeof(r->backend));
	if (o->metric_name[0]) {
		text_set(&r->metric_name, o->metric_name, sizeof(o->metric_name));
		r->metric_value = o->metric_value;
	}
	if (!r->ended.wall_ns)
		r->ended = stamp_now();
	if (o->diagnosis.class != ERROR_NONE)
		write_error(r, o);
	else
		text_set(&r->detail, o->to == RUN_CANCELLED ? _("cancelled") : "", DETAIL_MAX);
	if (o->to == RUN_COMPLETE)
		r->progress = 1;
}
