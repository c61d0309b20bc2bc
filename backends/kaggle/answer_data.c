/* Answers about uploads, datasets and submissions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "backends/kaggle/answer.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/why.h"

int answer_upload(const struct json *j, const char **token, const char **url, struct why *why)
{
	*token = answer_text(json_get(j, "token"));
	*url = answer_text(json_get(j, "createUrl"));
	if (**token && **url)
		return 0;
	return why_set(why, EPROTO, _("Kaggle gave no place to upload to"));
}

/* Failures with words were seen before; here only what lacks the word of success is left. */
int answer_dataset_made(const struct json *j, struct why *why)
{
	const char *status = answer_text(json_get(j, "status"));

	if (strcasecmp(status, "ok") == 0)
		return 0;
	if (*status == '\0' && (answer_text(json_get(j, "ref"))[0] || answer_text(json_get(j, "url"))[0]))
		return 0;
	return why_set(why, EUCLEAN, _("Kaggle did not say whether the dataset was made"));
}

void answer_dataset_status(const struct json *j, char status[static 40])
{
	static const char *const words[] = {"NOT_YET_PERSISTED", "BLOBS_RECEIVED", "BLOBS_DECOMPRESSED",
		"BLOBS_COPIED_TO_SDS", "INDIVIDUAL_BLOBS_COMPRESSED", "READY", "FAILED", "DELETED",
		"REPROCESSING", NULL};
	int n = answer_enum(json_get(j, "status"), words);

	snprintf(status, 40, "%s", n < 0 ? "UNKNOWN" : words[n]);
}

int answer_submitted(const struct json *j, int64_t *ref, struct why *why)
{
	const char *message = answer_text(json_get(j, "message"));
	int err = answer_errno_of(message, -EINVAL);

	*ref = answer_int(json_get(j, "ref"), 0);
	if (*ref > 0 || strcasestr(message, "success"))
		return 0;
	*ref = 0;
	if (*message == '\0')
		return why_set(why, EUCLEAN, _("Kaggle did not say whether it took the submission"));
	return why_set(why, -err, _("Kaggle did not take the submission: %s"), message);
}
