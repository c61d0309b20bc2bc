/* Competitions: files, leaderboards, submissions. */
#include <errno.h>
#include <string.h>

#include "backends/kaggle/rpc.h"
#include "fs/base/archive.h"
#include "fs/base/cleanup.h"
#include "fs/base/i18n.h"
#include "fs/base/json.h"
#include "fs/base/strbuf.h"
#include "fs/base/why.h"

#define SERVICE "competitions.CompetitionApiService/"
#define LEADERBOARD_MAX ((size_t)64 << 20)

int kaggle_submissions_left(struct kaggle *k, const char *competition, int64_t deadline_ns, int *left,
	struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	struct json *answer = NULL;
	int64_t n;
	int r;

	rpc_put(&body, "competitionName", competition);
	r = rpc_send(k, SERVICE "GetSubmissionLimits", &body, false, deadline_ns, &answer, why);
	n = answer_int(json_get(answer, "numAllowedNow"), 0);
	json_free(answer);
	*left = n < 0 ? 0 : n > 1000 ? 1000 : (int)n;
	return r;
}

static int submit(struct kaggle *k, const char *method, struct rpc_body *b, int64_t deadline_ns,
	int64_t *ref, struct why *why)
{
	struct json *answer = NULL;
	int r = rpc_send(k, method, b, true, deadline_ns, &answer, why);

	*ref = 0;
	if (r == 0)
		r = answer_submitted(answer, ref, why);
	auth_scrub(k, NULL, why);
	json_free(answer);
	return r;
}

static int upload(struct kaggle *k, const char *competition, int dirfd, const char *name,
	int64_t deadline_ns, struct strbuf *token, struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();

	rpc_put(&body, "competitionName", competition);
	rpc_put(&body, "fileName", name);
	return rpc_upload(k, SERVICE "StartSubmissionUpload", &body, dirfd, name, deadline_ns, token, why);
}

int kaggle_submit_file(struct kaggle *k, const char *competition, int dirfd, const char *name,
	const char *description, int64_t deadline_ns, int64_t *ref, struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	AUTO_BUF struct strbuf token = STRBUF_INIT;
	int r = upload(k, competition, dirfd, name, deadline_ns, &token, why);

	*ref = 0;
	if (r)
		return r;
	rpc_put(&body, "competitionName", competition);
	rpc_put(&body, "blobFileTokens", token.buf);
	rpc_put(&body, "submissionDescription", description);
	return submit(k, SERVICE "CreateSubmission", &body, deadline_ns, ref, why);
}

int kaggle_submit_kernel(struct kaggle *k, const char *competition, const char *slug, int64_t version,
	const char *file, const char *description, int64_t deadline_ns, int64_t *ref, struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	int r;

	*ref = 0;
	rpc_put(&body, "competitionName", competition);
	r = rpc_put_slug(&body, "kernelOwner", "kernelSlug", slug, why);
	rpc_put_int(&body, "kernelVersion", version);
	rpc_put(&body, "fileName", file);
	rpc_put(&body, "submissionDescription", description);
	return r ? r : submit(k, SERVICE "CreateCodeSubmission", &body, deadline_ns, ref, why);
}

/* ---- Files ---- */

int kaggle_leaderboard(struct kaggle *k, const char *competition, int64_t deadline_ns,
	struct strbuf *csv, struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	AUTO_BUF struct strbuf raw = STRBUF_INIT;
	struct rpc call = {.method = SERVICE "DownloadLeaderboard", .request = body.json,
		.deadline_ns = deadline_ns};
	int r;

	rpc_put(&body, "competitionName", competition);
	r = body.err ? body.err : rpc_file_text(k, &call, &raw, why);
	if (r)
		return r;
	if (raw.len < 4 || memcmp(raw.buf, "PK\003\004", 4) != 0)
		return strbuf_add(csv, raw.buf, raw.len);
	return archive_unzip(raw.buf, raw.len, ".csv", LEADERBOARD_MAX, csv, why);
}

int kaggle_competition_file(struct kaggle *k, const char *competition, const char *file, int dirfd,
	const char *name, int64_t max, int64_t deadline_ns, struct why *why)
{
	AUTO_BODY struct rpc_body body = rpc_body_new();
	struct rpc call = {.method = file ? SERVICE "DownloadDataFile" : SERVICE "DownloadDataFiles",
		.request = body.json, .deadline_ns = deadline_ns};

	rpc_put(&body, "competitionName", competition);
	rpc_put(&body, "fileName", file);
	return body.err ? body.err : rpc_file(k, &call, dirfd, name, max, why);
}
