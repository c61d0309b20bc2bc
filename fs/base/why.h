/*
 * A reason that travels with an error.
 *
 * Functions return 0 (or a count) on success and a negative errno on failure. Where the errno alone
 * would leave a person guessing, the last argument is a `struct why *` that receives a sentence. It
 * may be NULL everywhere. Sentences are for people: they go through gettext (i18n.h).
 */
#ifndef KEXEC_BASE_WHY_H
#define KEXEC_BASE_WHY_H

struct why {
	int err;        /* positive errno, 0 = nothing was said */
	char text[600]; /* UTF-8, one line, NUL-terminated; cut at a character when too long */
};

/* Set the reason and return -err, so that callers can write `return why_set(why, EINVAL, ...)`. */
int why_set(struct why *why, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Put "text: " before the reason that is there; keeps err. No-op where nothing was said. */
void why_prefix(struct why *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The sentence; strerror of err where no sentence was given; "" for NULL or no error. */
const char *why_text(const struct why *why);

#endif
