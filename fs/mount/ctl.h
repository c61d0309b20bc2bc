/* Control words: lines of words, quoted as in the simple form of the shell. Pure. */
#ifndef KEXEC_MOUNT_CTL_H
#define KEXEC_MOUNT_CTL_H

#include <stddef.h>

#define CTL_MAX       4096 /* bytes in one write */
#define CTL_MAX_LINES 64
#define CTL_MAX_WORDS 16

struct ctl_line {
	int argc;
	char *argv[CTL_MAX_WORDS + 1]; /* into `text` of ctl_words, NULL-terminated */
};

struct ctl_words {
	char text[CTL_MAX + 1];
	struct ctl_line line[CTL_MAX_LINES];
	int lines; /* without empty ones */
};

/* 0; -E2BIG too long or too many; -EINVAL a NUL, a control character or an open quote. */
int ctl_parse(const char *text, size_t len, struct ctl_words *out);

#endif
