/* A strict reader of JSON text that builds nothing and does not recurse (for json.c only). */
#ifndef KEXEC_BASE_JSON_SCAN_H
#define KEXEC_BASE_JSON_SCAN_H

#include <stddef.h>

struct json_fault {
	size_t at;           /* byte where the problem is */
	int err;             /* EINVAL, or E2BIG past JSON_MAX_DEPTH or JSON_MAX_VALUES */
	const char *problem; /* sentence, translated, static */
};

/*
 * Is it exactly one value of RFC 8259 in valid UTF-8, without NULs (also escaped ones) and halves of
 * surrogate pairs, with numbers that are finite doubles of at most 63 characters? 0, or -errno with
 * the first fault. With stop_key n > 0 the n-th key of the text is such a fault: this is how a key is
 * found again in the text.
 */
int json_scan(const char *text, size_t len, size_t stop_key, struct json_fault *fault);

#endif
