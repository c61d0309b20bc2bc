/*
 * What the store knows of itself: a few words in the table meta; and what a new boot of the machine
 * means to it. Private to the store.
 *
 * How old is what lies in removed/? While the machine is up, CLOCK_BOOTTIME says it, which nobody turns
 * and which runs on while the daemon is stopped. Over a time when the machine was off there is only the
 * wall clock: the first start in a new boot asks it once how long that was, and writes down when the
 * runs were removed in terms of the new boot. So a clock that is turned while the machine is up changes
 * nothing, in whatever way it is turned back.
 *
 * The wall clock may be wrong when it is asked. It is not believed where it went backwards, nor where it
 * was behind the store's own records when the machine went off (a machine without a battery that had not
 * heard the time). Then only the time that the new boot is up counts: late rather than too early. A
 * clock that is ahead when the machine is started cannot be told from a long time off.
 */
#ifndef KEXEC_ENGINE_META_H
#define KEXEC_ENGINE_META_H

#include <stdbool.h>
#include <stddef.h>
#include "fs/base/clock.h"

struct db;

/* The value of a key, "" when there is none. 0 or -errno. */
int meta_text(struct db *db, const char *key, char *out, size_t size);
int meta_put(struct db *db, const char *key, const char *value); /* in a transaction */

/* In a transaction, once at the start: is this another boot than when the store was last open? Then it
 * is remembered, and the runs in removed/ are moved into its time. */
int boot_load(struct db *db, const struct stamp *now, bool *rebooted);
/* In a transaction: what time it is, now and then and at the end. */
int boot_note(struct db *db, const struct stamp *now);

#endif
