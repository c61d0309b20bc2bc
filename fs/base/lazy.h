/*
 * Libraries that are loaded when they are first needed. A server that was killed is back in about five
 * milliseconds; linked as usual, libcurl and its thirty libraries alone would double that, also for those who
 * never use a service.
 *
 * The user of a library lists its functions once, as an X macro over their names:
 *
 *	#define FUNCTIONS(X) X(curl_easy_init) X(curl_easy_cleanup)
 *	struct api { FUNCTIONS(LAZY_MEMBER) };
 *	static const char *const names[] = {FUNCTIONS(LAZY_NAME) NULL};
 *	static const char *const files[] = {"libcurl.so.4", "libcurl-gnutls.so.4", NULL};
 *	struct api api;
 *	int r = lazy_load(files, names, (void **)&api, &why);
 *	api.curl_easy_init();
 */
#ifndef KEXEC_BASE_LAZY_H
#define KEXEC_BASE_LAZY_H

struct why;

#define LAZY_MEMBER(name) __typeof__(&(name)) name; /* NOLINT(bugprone-macro-parentheses): a declaration */
#define LAZY_NAME(name)	  #name,

/* Load the first of `files` that is there and put the addresses of `names` (both NULL-terminated) into table,
 * in order. The library stays until the process ends; any thread, any number of times. 0, or -ENOSYS with a
 * sentence that names the file or function that is missing. */
int lazy_load(const char *const *files, const char *const *names, void **table, struct why *why);

#endif
