/* The words of the classes, and what is said to happen next. */
#include "fs/engine/classify.h"
#include "fs/base/i18n.h"

const char *const error_class_words[ERROR_CLASS_COUNT] = {"none", "oom", "missing_dep",
	"dataset_missing", "pandas_compat", "network_timeout", "yfinance", "quota", "time_limit",
	"infra", "code", "gpu", "kernel_died", "kernelspec", "no_internet", "access", "disk_full",
	"data", "unknown"};

static const char *advice(enum error_class class)
{
	switch (class) {
	case ERROR_OOM:
		return N_("Back to a person: use a smaller model or smaller batches, or raise "
			  "memory_gb.");
	case ERROR_MISSING_DEP:
		return N_("Back to a person: add the missing package.");
	case ERROR_DATASET_MISSING:
		return N_("Back to a person: correct the data set's name or path, or map it with "
			  "datasets.");
	case ERROR_PANDAS_COMPAT:
		return N_("Back to a person: replace what newer pandas or NumPy removed.");
	case ERROR_NETWORK_TIMEOUT:
		return N_("Back to a person: a service could not be reached; the same code may "
			  "work later.");
	case ERROR_YFINANCE:
		return N_("Back to a person: correct how prices are fetched (symbol, dates, "
			  "columns).");
	case ERROR_QUOTA:
		return N_("Back to a person: the allowance is used up.");
	case ERROR_TIME_LIMIT:
		return N_("Back to a person: make it faster or raise hours.");
	case ERROR_INFRA:
		return N_("Back to a person: the machine failed it; see the log.");
	case ERROR_CODE:
		return N_("Back to a person: correct the program.");
	case ERROR_GPU:
		return N_("Back to a person: ask for a GPU that there is and that the installed "
			  "libraries know.");
	case ERROR_KERNEL_DIED:
		return N_("Back to a person: the kernel died without an exception, most often for "
			  "want of memory: make the model smaller.");
	case ERROR_KERNELSPEC:
		return N_("Back to a person: name a kernel in the notebook "
			  "(metadata.kernelspec.name, python3).");
	case ERROR_NO_INTERNET:
		return N_("Back to a person: it ran without the internet: switch it on, or bring "
			  "what it needs as a data set.");
	case ERROR_ACCESS:
		return N_("Back to a person: accept the rules, add the secret or give the "
			  "permission; the code may stay.");
	case ERROR_DISK_FULL:
		return N_("Back to a person: write less, or delete what is no longer needed.");
	case ERROR_DATA:
		return N_("Back to a person: the data are not as the program expects: compare "
			  "columns, shapes and gaps.");
	default:
		return N_("Back to a person: the reason is not known; read the log.");
	}
}

const char *next_step_text(enum error_class class, enum next_step next)
{
	if (class == ERROR_NONE)
		return "";
	if (next == NEXT_BACKEND)
		return _("Another backend is tried, where one is allowed.");
	if (next == NEXT_RETRY && class == ERROR_NETWORK_TIMEOUT)
		return _("The same code is worth another try: a service could not be reached.");
	if (next == NEXT_RETRY)
		return _("The same code is worth another try.");
	return _(advice(class));
}
