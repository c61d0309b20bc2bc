/*
 * A backend whose calls can be made to fail or to kill the process before the effect and after it,
 * for tests: the points are "<backend>.<entry>.before" and ".after". A failure after the effect is a
 * doubt (-EUCLEAN for submit: it happened, the answer was lost), which find() must clear up.
 */
#include "backends/backend.h"

#include <errno.h>
#include <stdio.h>
#include "backends/wrap.h"
#include "fs/base/fault.h"
#include "fs/base/i18n.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

static int point(const struct wrap_call *call, const char *when)
{
	char name[64];
	int err;

	snprintf(name, sizeof(name), "%s.%s.%s", call->w->vt.name, call->entry, when);
	err = fault_point(name);
	if (err < 0)
		why_set(call->why, -err, _("A fault was injected at %s."), name);
	return err;
}

static int before(struct wrap_call *call)
{
	return call->kind == WRAP_TELLS ? 0 : point(call, "before");
}

static int after(struct wrap_call *call, int err)
{
	if (err < 0 || call->kind != WRAP_ACTS)
		return err;
	err = point(call, "after");
	if (!err || !call->found)
		return err;
	strbuf_reset(call->found);
	return -EUCLEAN;
}

int backend_fault(struct backend_handle inner, struct backend_handle *out)
{
	return wrap(inner, before, after, NULL, out);
}
