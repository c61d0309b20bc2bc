/* What is written once about an ended run: report.md, and `changes` at submission. */
#ifndef KEXEC_ENGINE_REPORT_H
#define KEXEC_ENGINE_REPORT_H

#include "fs/engine/engine.h"

/* The move that ends the run and is not stored yet: the report is on disk before it can be seen. */
struct report_last {
	enum run_state from;
	const char *reason;
	const struct attempt *attempt; /* as it will be, NULL when it has none */
};

/* summary, time of each step (from the run's events), attempts, errors and what was done about them,
 * metrics, files left, lessons (rules: from the diagnosis). Markdown; hostile text escaped.
 * `r` is the run as it will be after `last`; NULL: everything is stored. */
int report_render(struct engine *e, const struct run *r, const struct report_last *last,
	struct strbuf *out);
/* `changes`: what differs from the previous run of that folder name: unified-style source diff
 * (bounded; notebooks by cell source), options, metric. "first run of this name" where there is none. */
int changes_render(struct engine *e, const struct run *r, const struct run *previous, struct strbuf *out);

#endif
