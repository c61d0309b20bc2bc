#include "fs/engine/door.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "fs/base/clock.h"
#include "fs/base/escape.h"
#include "fs/base/i18n.h"

#define NAME_BYTES_MAX 255
/* While a writer lives its end is looked for this often: it is not told to anybody. */
#define RELOOK_NS (100 * NS_PER_MS)
/* A handle that is closed is a change and looked at then; this only heals a change that got lost. */
#define OPEN_RELOOK_NS NS_PER_S

static struct door_verdict wait_until(enum door_reason reason, int64_t next_ns)
{
	return (struct door_verdict){DOOR_WAIT, reason, next_ns};
}

/* Told at the next change, and only then. */
static struct door_verdict at_once(enum door_action action, enum door_reason reason)
{
	return (struct door_verdict){action, reason, INT64_MAX};
}

/* Somebody wants it now: settling, refusals and what the folder went through no longer matter. */
static struct door_verdict judge_asked(const struct door_facts *f)
{
	if (f->bad_metadata)
		return at_once(DOOR_REJECT, DOOR_BAD_METADATA);
	if (!f->runnable)
		return at_once(DOOR_REJECT, DOOR_NOT_RUNNABLE);
	return at_once(DOOR_SUBMIT, DOOR_OK);
}

/* What only a person or a further change heals: not a matter of time. */
static enum door_reason marred(const struct door_facts *f)
{
	if (f->refused)
		return DOOR_REFUSED;
	if (f->writer_killed)
		return DOOR_KILLED;
	return f->interrupted ? DOOR_INTERRUPTED : DOOR_OK;
}

/* Is the folder quiet for long enough? If not, *next_ns is when to look again. */
static bool settled(const struct door_facts *f, int64_t *next_ns)
{
	bool alive = f->writers_alive > 0;
	int64_t exited_at = f->changed_ns + f->settle_exited_ns;
	int64_t alive_at = f->changed_ns + f->settle_alive_ns;
	int64_t ready_at = alive || f->writers_unseen ? alive_at : exited_at;

	if (f->now_ns >= ready_at)
		return true;
	*next_ns = ready_at;
	/* The last writer may end before: then the shorter time counts. */
	if (alive && !f->writers_unseen) {
		int64_t look = f->now_ns >= exited_at ? f->now_ns + RELOOK_NS : exited_at;

		*next_ns = look < alive_at ? look : alive_at;
	}
	return false;
}

/* A quiet folder: is it complete, and is there something to run? */
static struct door_verdict judge_settled(const struct door_facts *f)
{
	if (f->explicit_only)
		return at_once(DOOR_REST, DOOR_EXPLICIT);
	if (f->temporary)
		return at_once(DOOR_REST, DOOR_TEMPORARY);
	if (f->bad_metadata)
		return at_once(DOOR_REJECT, DOOR_BAD_METADATA);
	if (!f->runnable)
		return at_once(DOOR_REST, DOOR_NOT_RUNNABLE);
	if (f->named_missing)
		return at_once(DOOR_REST, DOOR_NAMED_MISSING);
	return at_once(DOOR_SUBMIT, DOOR_OK);
}

struct door_verdict door_judge(const struct door_facts *f)
{
	int64_t next_ns = INT64_MAX;

	if (f->staging)
		return at_once(DOOR_REST, DOOR_STAGING);
	/* Also when asked: a file that is being written is never cut off in the middle. */
	if (f->open_writers > 0)
		return wait_until(DOOR_WRITING, f->now_ns + OPEN_RELOOK_NS);
	if (f->asked)
		return judge_asked(f);
	if (marred(f) != DOOR_OK)
		return at_once(DOOR_REST, marred(f));
	if (!settled(f, &next_ns))
		return wait_until(DOOR_SETTLING, next_ns);
	return judge_settled(f);
}

const char *door_reason_text(enum door_reason reason)
{
	static const char *const texts[DOOR_REASON_COUNT] = {
		[DOOR_OK] = N_("complete"),
		[DOOR_WRITING] = N_("receiving: a file is open for writing"),
		[DOOR_SETTLING] = N_("receiving: waiting until nothing changes any more"),
		[DOOR_STAGING] = N_("a name with a leading dot is never submitted: rename it"),
		[DOOR_EXPLICIT] = N_("waits for the word submit (the configuration says \"explicit\")"),
		[DOOR_REFUSED] = N_("a call in it was refused, so it may be incomplete: copy it again or write submit to ctl"),
		[DOOR_KILLED] = N_("its writer was killed, so it may be incomplete: copy it again or write submit to ctl"),
		[DOOR_INTERRUPTED] = N_("the mount was lost while it was written, so it may be incomplete: copy it again or write submit to ctl"),
		[DOOR_NOT_RUNNABLE] = N_("nothing runnable is in it yet"),
		[DOOR_BAD_METADATA] = N_("kexec.json or kernel-metadata.json cannot be read"),
		[DOOR_NAMED_MISSING] = N_("a file that kexec.json or kernel-metadata.json names is not there yet"),
		[DOOR_TEMPORARY] = N_("an editor's or copier's temporary file is in it: close it or remove it"),
	};

	return (unsigned)reason < DOOR_REASON_COUNT ? _(texts[reason]) : "";
}

/* ---- Names ---- */

static bool starts(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool ends(const char *name, const char *suffix)
{
	size_t len = strlen(name), n = strlen(suffix);

	return len > n && strcmp(name + len - n, suffix) == 0;
}

/*
 * rsync's .NAME.XXXXXX: six random letters and digits. What looks like a word (".env.sample",
 * ".app.Config") or a date (".log.202401") is somebody's own file: holding that back would keep a folder
 * from ever being submitted, while missing one of rsync's (1 in 90) is made good by the open handle
 * and the settle time.
 */
static bool rsync_name(const char *name)
{
	const char *dot = strrchr(name, '.'), *random = dot ? dot + 1 : "";
	int upper = 0, lower = 0, digits = 0;

	if (name[0] != '.' || dot - name < 2 || strlen(random) != 6)
		return false;
	for (const char *c = random; *c; c++) {
		upper += *c >= 'A' && *c <= 'Z';
		lower += *c >= 'a' && *c <= 'z';
		digits += *c >= '0' && *c <= '9';
	}
	if (upper + lower + digits != 6 || digits == 6 || lower == 6 || upper == 6)
		return false;
	return !(lower == 5 && random[0] >= 'A' && random[0] <= 'Z');
}

/* vim's .NAME.swp, .swo, ... .swa, and .swx while it probes. */
static bool vim_swap(const char *name)
{
	size_t len = strlen(name);

	return name[0] == '.' && len > 5 && starts(name + len - 4, ".sw") && name[len - 1] >= 'a' &&
		name[len - 1] <= 'z';
}

/* .nfs and 16 or more hexadecimal digits: a file that was removed while open. */
static bool nfs_name(const char *name)
{
	return starts(name, ".nfs") && strlen(name) >= 12 &&
		name[4 + strspn(name + 4, "0123456789abcdefABCDEF")] == '\0';
}

/* NAME~ is not here: it is a backup that editors leave on purpose, copied with the folder it is in, and
 * would hold it back for ever; while an editor makes one, the settle time runs anew. */
bool door_temporary_name(const char *name)
{
	return (name[0] == '.' && ends(name, ".part")) || ends(name, ".filepart") ||
		starts(name, ".goutputstream-") || starts(name, ".~") || starts(name, ".#") ||
		strcmp(name, "4913") == 0 || vim_swap(name) || nfs_name(name) || rsync_name(name);
}

/* C0, DEL, and C1 as UTF-8 writes it (0xC2 0x80-0x9F). */
static bool has_control(const char *name)
{
	for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
		if (*c < 0x20 || *c == 0x7f || (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f))
			return true;
	}
	return false;
}

int door_name_check(const char *name)
{
	size_t len = strlen(name);

	if (len > NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	if (!utf8_valid(name, len))
		return -EILSEQ;
	if (len == 0 || name[0] == '-' || strchr(name, '/') || strcmp(name, ".") == 0 ||
		strcmp(name, "..") == 0 || has_control(name))
		return -EINVAL;
	return 0;
}
