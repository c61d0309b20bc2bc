#include "fs/base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/cleanup.h"

#define FAULT_BYTES 4096

struct fault_page {
	uint64_t count;
	uint64_t target;
	uint32_t action;
	uint32_t err;
	char name[64];
	char only[128];
};

enum { ACT_COUNT, ACT_KILL, ACT_FAIL };

/* Set once, before any thread starts; see the header. */
static struct fault_page *shared_page;

void fault_open(void)
{
	const char *path = secure_getenv("KEXEC_FAULT");
	AUTO_FD int fd = path && *path ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct stat st;
	void *page;

	if (shared_page || fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
		st.st_size < FAULT_BYTES)
		return;
	page = mmap(NULL, FAULT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page != MAP_FAILED)
		shared_page = page;
}

static int act(struct fault_page *page, const char *name)
{
	uint32_t err = __atomic_load_n(&page->err, __ATOMIC_RELAXED);

	strncpy(page->name, name, sizeof(page->name) - 1);
	page->name[sizeof(page->name) - 1] = '\0';
	switch (__atomic_load_n(&page->action, __ATOMIC_RELAXED)) {
	case ACT_KILL:
		kill(getpid(), SIGKILL);
		for (;;) /* another thread may be the first to meet the signal */
			pause();
	case ACT_FAIL:
		return err > 0 && err < 4096 ? -(int)err : -EIO;
	default:
		return 0;
	}
}

/* Does the name begin with one of the words of `only`? */
static bool is_meant(const char *only, const char *name)
{
	if (!*only)
		return true;
	for (size_t len; *only; only += len + (only[len] == ' ')) {
		len = strcspn(only, " ");
		if (len && strncmp(name, only, len) == 0)
			return true;
	}
	return false;
}

int fault_point(const char *name)
{
	struct fault_page *page = shared_page;

	if (!page || !is_meant(page->only, name))
		return 0;
	if (__atomic_add_fetch(&page->count, 1, __ATOMIC_SEQ_CST) !=
		__atomic_load_n(&page->target, __ATOMIC_SEQ_CST))
		return 0;
	return act(page, name);
}
