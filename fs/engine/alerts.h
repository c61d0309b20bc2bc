/* What a person should hear of while a run goes on: it takes too long, it nears its memory limit; and of
 * the disk. Each is raised once: for an attempt, or for a crossing of the threshold. Worker threads. */
#ifndef KEXEC_ENGINE_ALERTS_H
#define KEXEC_ENGINE_ALERTS_H

#include "fs/engine/internal.h"

#define ALERT_LATE   1.5 /* times the expected time */
#define ALERT_MEMORY 0.9 /* of the run's limit */
#define ALERT_DISK   0.8 /* of the budget of the state directory */

/* How long such a run takes: the mean of the last complete ones of its folder, else the `hours` it
 * declares. 0 unknown. */
int64_t alerts_expected_ns(const struct step *st);
/* Fill status->eta_ns where the backend does not know it: from the progress, else from earlier runs. */
void alerts_eta(const struct step *st, struct job_status *status);
/* News of a job that lives or has just ended: raise what is due. */
void alerts_news(const struct step *st, const struct job_status *status);
/* Is the state directory above its threshold? Looks at its files only when the file system is so full
 * that it can be. */
void alerts_disk(struct engine *e);

#endif
