#include "backends/local/user.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "backends/local/spawn.h"
#include "fs/base/i18n.h"
#include "fs/base/why.h"

#define NOBODY 65534

static void fill(struct job_user *out, const struct passwd *pw)
{
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	snprintf(out->name, sizeof(out->name), "%s", pw->pw_name);
	snprintf(out->home, sizeof(out->home), "%s", pw->pw_dir);
}

/* By name, or by uid where name is NULL. 0, -ENOENT or another. */
static int look_up(const char *name, uid_t uid, struct job_user *out)
{
	char buf[16384];
	struct passwd pw, *found = NULL;
	int err = name ? getpwnam_r(name, &pw, buf, sizeof(buf), &found)
		       : getpwuid_r(uid, &pw, buf, sizeof(buf), &found);

	if (!found)
		return err ? -err : -ENOENT;
	fill(out, found);
	return 0;
}

static int find_unprivileged(struct job_user *out)
{
	out->uid = geteuid();
	out->gid = getegid();
	if (look_up(NULL, out->uid, out) < 0)
		snprintf(out->name, sizeof(out->name), "%u", (unsigned)out->uid);
	return 0;
}

/* SUDO_UID comes from whoever started the daemon, root here, so it may be believed. */
static void find_behind_sudo(struct job_user *out)
{
	const char *text = getenv("SUDO_UID");
	unsigned long uid = text ? strtoul(text, NULL, 10) : 0;

	if (uid > 0 && uid < NOBODY && look_up(NULL, (uid_t)uid, out) == 0) {
		out->groups = true;
		return;
	}
	*out = (struct job_user){.uid = NOBODY, .gid = NOBODY, .drop = true, .name = "nobody"};
}

int job_user_find(const char *configured, struct job_user *out, struct why *why)
{
	memset(out, 0, sizeof(*out));
	if (geteuid() != 0)
		return find_unprivileged(out);
	out->drop = true;
	if (!configured) {
		find_behind_sudo(out);
		return 0;
	}
	if (look_up(configured, 0, out) < 0)
		return why_set(why, EINVAL, _("The configured user %s does not exist."), configured);
	if (out->uid == 0)
		return why_set(why, EINVAL, _("Jobs never run as root: configure another user."));
	out->groups = out->uid != NOBODY;
	return 0;
}

void job_user_command(const struct job_user *user, struct argv *out)
{
	argv_add(out, "setpriv");
	if (user->drop) {
		argv_addf(out, "--reuid=%u", (unsigned)user->uid);
		argv_addf(out, "--regid=%u", (unsigned)user->gid);
		argv_add(out, user->groups ? "--init-groups" : "--clear-groups");
		argv_addv(out, "--inh-caps=-all", "--bounding-set=-all", NULL);
	}
	argv_addv(out, "--no-new-privs", "--", NULL);
}
