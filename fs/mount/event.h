/*
 * What changed, told to everybody who is interested: parked readers, poll(2), and through the
 * notifier process the kernel's caches and inotify watchers.
 */
#ifndef KEXEC_MOUNT_EVENT_H
#define KEXEC_MOUNT_EVENT_H

#include "fs/engine/engine.h"
#include "fs/mount/mount.h"

/* The engine's sink; arg is the struct mount. */
void event_changed(void *arg, const struct change *change);
/* A new server: tell again what a dead one may not have told. */
void event_catch_up(struct mount *m, bool fresh);
/* The mount's own: a name in a directory that the kernel may have cached is not what it was. */
void event_entry(struct mount *m, uint64_t dir, const char *name);
/* Is this call the notifier's, who only announces? */
bool event_is_notifier(const struct call *c, uint32_t *doing);

/* The notifier process: takes the ring until the keeper is gone. */
int notifier_main(const char *mountpoint);

#endif
