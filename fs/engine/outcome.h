/* What comes of an attempt that has ended, and how it is written into the run. Worker threads. */
#ifndef KEXEC_ENGINE_OUTCOME_H
#define KEXEC_ENGINE_OUTCOME_H

#include "fs/engine/internal.h"

struct outcome {
	enum run_state to;         /* complete, failed, retrying, cancelled */
	struct diagnosis diagnosis; /* class ERROR_NONE: no error */
	bool lost;
	struct stamp due;          /* retrying: not before */
	char backend[32];          /* retrying: "" = the same */
	char metric_name[64];      /* "" none */
	double metric_value;
};

/* A failed attempt: failed, or retrying by the policy of retry.h. */
void outcome_of_failure(const struct step *st, struct outcome *out);
/* Is a later backend of the run's list enabled? Its name. */
bool outcome_next_backend(const struct step *st, char out[32]);
void outcome_edit(struct run *r, void *arg); /* struct outcome; for step_move() */
void outcome_context(struct outcome *out, const char *sentence);

#endif
