#include "fs/base/lazy.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

#include "fs/base/i18n.h"
#include "fs/base/why.h"

static void *open_first(const char *const *files)
{
	void *library = NULL;

	for (; *files && !library; files++)
		library = dlopen(*files, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	return library;
}

int lazy_load(const char *const *files, const char *const *names, void **table, struct why *why)
{
	void *library = open_first(files);

	if (!library)
		return why_set(why, ENOSYS, _("The library %s cannot be loaded; kexecfs --doctor tells how to get it."),
			files[0]);
	for (size_t i = 0; names[i]; i++) {
		table[i] = dlsym(library, names[i]);
		if (!table[i])
			return why_set(why, ENOSYS, _("The library %s has no function %s: it is too old."), files[0],
				names[i]);
	}
	return 0;
}
