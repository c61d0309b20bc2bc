/* Cleanup attributes: what a scope owns is released on every way out of it. */
#ifndef KEXEC_BASE_CLEANUP_H
#define KEXEC_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define AUTO_FREE __attribute__((cleanup(cleanup_free)))
#define AUTO_FD   __attribute__((cleanup(cleanup_fd)))
#define AUTO_BUF  __attribute__((cleanup(strbuf_release)))

/* Hand a pointer over: the variable is NULL afterwards. */
#define move_ptr(p)                                                                                \
	__extension__({                                                                            \
		__typeof__(p) *p_ = &(p);                                                          \
		__typeof__(p) v_ = *p_;                                                            \
		*p_ = NULL;                                                                        \
		v_;                                                                                \
	})

#endif
