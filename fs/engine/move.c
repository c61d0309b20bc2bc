#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/base/escape.h"
#include "fs/base/log.h"
#include "fs/base/strbuf.h"
#include "fs/engine/internal.h"

void text_set(char **slot, const char *text, size_t max)
{
	char *copy = strndup(text, utf8_cut(text, strlen(text), max));

	if (!copy)
		return;
	free(*slot);
	*slot = copy;
}

static void log_move(struct engine *e, const struct run *r, enum run_state from, const char *reason)
{
	AUTO_BUF struct strbuf fields = STRBUF_INIT;

	strbuf_adds(&fields, "\"run\":\"");
	escape_json(&fields, r->name, strlen(r->name));
	strbuf_addf(&fields, "\",\"id\":%lld,\"from\":\"%s\",\"to\":\"%s\",\"attempt\":%d",
		(long long)r->id, run_state_words[from], run_state_words[r->state], r->attempt);
	log_write(e->log, LOG_LEVEL_INFO, "run.state", fields.buf, "%s", reason);
}

/* In a transaction: the run as it is now, or -ESTALE. */
static int read_expected(struct engine *e, const struct move *m, struct run *r)
{
	int rc = store_get_run(e->store, m->run, r);

	if (!rc && r->state != m->from) {
		run_release(r);
		return -ESTALE;
	}
	return rc;
}

static int write_move(struct engine *e, const struct move *m, struct run *r, bool *told)
{
	int rc = 0;

	*told = m->to != m->from;
	if (m->edit)
		m->edit(r, m->arg);
	if (m->attempt)
		rc = store_put_attempt(e->store, m->attempt);
	if (!rc && m->to == m->from)
		rc = store_put_run(e->store, r);
	else if (!rc && m->again)
		rc = run_move_again(e->store, r, m->to, m->reason ? m->reason : "", told);
	else if (!rc)
		rc = run_move(e->store, r, m->to, m->reason ? m->reason : "");
	if (!rc && m->stays)
		rc = run_tell_passed(e->store, r);
	if (!rc)
		rc = store_put_answer(e->store, m->key, 0, 0);
	return rc;
}

int engine_move(struct engine *e, const struct move *m, struct run *after)
{
	struct run r = {0}, before;
	bool told = false;
	int64_t value;
	int rc;

	if (engine_once(e, m->key, &rc, &value)) {
		if (!rc && after)
			rc = store_read_run(e->store, m->run, after);
		return rc;
	}
	rc = read_expected(e, m, &r);
	if (!rc) {
		before = r; /* for its arrays only: the texts belong to r */
		rc = write_move(e, m, &r, &told);
	}
	rc = store_end(e->store, rc);
	if (!rc) {
		if (told)
			log_move(e, &r, m->from, m->reason ? m->reason : "");
		engine_tell(e, CHANGE_STATE | m->also, &before, &r);
	}
	if (!rc && after)
		*after = r;
	else
		run_release(&r);
	return rc;
}
