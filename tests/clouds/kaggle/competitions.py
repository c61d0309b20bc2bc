"""competitions.CompetitionApiService."""
import csv
import io
import zipfile

from clock import from_iso, iso
from datasets import zip_of
from reply import Refusal, Reply, need, number, page_of, redirect, text
from storage import Bytes, read_all

DENIED = "Permission 'competitions.participate' was denied"


class Competition:
    def __init__(self, world, slug, spec):
        self.world, self.slug, self.id = world, slug, world.number()
        self.title = spec.get("title", slug.capitalize())
        self.deadline = spec.get("deadline", "2030-01-01T00:00:00Z")
        self.entered, self.daily = spec.get("entered", True), spec.get("daily", 10)
        self.kernels_only = spec.get("kernels_only", False)
        self.disabled = spec.get("disabled", False)
        self.files = {name: Bytes(body.encode()) for name, body in spec.get("files", {}).items()}
        self.solution = spec.get("solution", {})
        self.scores = spec.get("scores", True)
        self.board = [tuple(row) for row in spec.get("leaderboard", [])]

    def describe(self):
        return {"id": self.id, "ref": f"https://www.kaggle.com/competitions/{self.slug}", "title": self.title,
                "url": f"https://www.kaggle.com/competitions/{self.slug}", "deadline": self.deadline,
                "category": "Getting Started", "reward": "Knowledge", "teamCount": len(self.board),
                "userHasEntered": self.entered, "maxDailySubmissions": self.daily,
                "isKernelsSubmissionsOnly": self.kernels_only, "submissionsDisabled": self.disabled,
                "evaluationMetric": "Categorization Accuracy"}


class Submission:
    def __init__(self, world, contest, user, name, data, note):
        self.ref, self.contest, self.user, self.name = world.number(), contest, user, name
        self.data, self.note, self.at = data, note, world.clock.now()
        self.due = self.at + world.modes["score_seconds"]
        self.status, self.score, self.error = "PENDING", "", ""

    def settle(self, now):
        if self.status == "PENDING" and now >= self.due:
            self.score, self.error = judge(self.contest, self.data)
            self.status = "ERROR" if self.error else "COMPLETE"

    def describe(self):
        return {"ref": self.ref, "totalBytes": len(self.data), "date": iso(self.at), "description": self.note,
                "errorDescription": self.error, "fileName": self.name, "publicScore": self.score, "privateScore": "",
                "status": self.status, "submittedBy": self.user.name, "submittedByRef": self.user.slug,
                "teamName": self.user.name, "url": f"https://www.kaggle.com/submissions/{self.ref}/{self.ref}.raw"}


def judge(contest, data):
    """(score, error) of a file: the share of right answers, where there is a solution."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error):
        return "", "Could not parse the submission file"
    if not contest.solution:
        return ("0.5" if contest.scores else ""), ""
    wanted = contest.solution
    if not rows or len(rows[0]) < 2:
        return "", "Submission must have an id and a value column"
    got = {r[0]: r[1] for r in rows[1:] if len(r) >= 2}
    if len(rows) - 1 != len(wanted):
        return "", f"Submission must have {len(wanted)} rows"
    if set(got) != set(wanted):
        return "", "Submission contains ids that are not expected"
    right = sum(got[key] == str(value) for key, value in wanted.items())
    return (f"{right / len(wanted):.5f}" if contest.scores else ""), ""


# ---- Ask ----

def find(world, args, name="competitionName"):
    contest = world.competitions.get(need(args, name))
    if contest is None:
        raise Refusal(403, DENIED)
    return contest


def list_all(world, user, args):
    search = text(args, "search").lower()
    entered = text(args, "group") == "COMPETITION_LIST_TAB_ENTERED"
    found = [c.describe() for c in world.competitions.values()
             if search in c.slug + c.title.lower() and (c.entered or not entered)]
    page, token = page_of(found, args, 200, 20)
    return {"competitions": page, "nextPageToken": token}


def get(world, user, args):
    return find(world, args).describe()


def list_files(world, user, args):
    contest = find(world, args)
    items = [{"ref": name, "name": name, "totalBytes": body.size, "creationDate": "2012-09-28T00:00:00Z"}
             for name, body in contest.files.items()]
    page, token = page_of(items, args, 200, 20)
    return {"files": page, "nextPageToken": token}


def joined(world, args):
    contest = find(world, args)
    if not contest.entered:
        raise Refusal(403, DENIED)
    return contest


def download_file(world, user, args):
    contest, name = joined(world, args), need(args, "fileName")
    if name not in contest.files:
        raise Refusal(404, "Not found")
    body = contest.files[name]
    if world.modes["zip_single_files"]:
        return redirect(world.storage.sign(zip_of({name: body}), name + ".zip", world.modes["url_seconds"]))
    return redirect(world.storage.sign(body, name, world.modes["url_seconds"]))


def download_files(world, user, args):
    contest = joined(world, args)
    return redirect(world.storage.sign(zip_of(contest.files), contest.slug + ".zip", world.modes["url_seconds"]))


# ---- Leaderboard ----

def board_of(world, contest):
    best = {}
    for s in world.submissions:
        if s.contest is contest and s.status == "COMPLETE" and s.score:
            best[s.user.slug] = max(best.get(s.user.slug, ("", 0.0)), (s.score, s.at))
    rows = [(name, score, "2026-10-21T07:28:00Z") for name, score in contest.board]
    rows += [(world.users[slug].name, score, iso(at)) for slug, (score, at) in best.items()]
    rows.sort(key=lambda row: float(row[1]), reverse=True)
    return [{"teamId": n, "teamName": name, "submissionDate": date, "score": str(score)}
            for n, (name, score, date) in enumerate(rows, 1)]


def leaderboard(world, user, args):
    page, token = page_of(board_of(world, find(world, args)), args, 200, 50)
    return {"submissions": page, "nextPageToken": token}


def download_leaderboard(world, user, args):
    contest = find(world, args)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["TeamId", "TeamName", "SubmissionDate", "Score"])
    for row in board_of(world, contest):
        writer.writerow([row["teamId"], row["teamName"], row["submissionDate"], row["score"]])
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{contest.slug}-publicleaderboard.csv", table.getvalue())
    return Reply(200, body.getvalue(), "application/octet-stream")


# ---- Submit ----

def mine(world, user, contest):
    return [s for s in world.submissions if s.user is user and s.contest is contest]


def list_submissions(world, user, args):
    contest = find(world, args)
    found = sorted(mine(world, user, contest), key=lambda s: s.at, reverse=True)
    page, token = page_of([s.describe() for s in found], args, 200, 20)
    return {"submissions": page, "nextPageToken": token}


def get_submission(world, user, args):
    for s in world.submissions:
        if s.ref == number(args, "ref") and s.user is user:
            return s.describe()
    raise Refusal(404, "Not found")


def today(world, user, contest):
    """Submissions since 00:00 UTC; those that failed in scoring do not count."""
    midnight = world.clock.now() // 86400 * 86400
    return [s for s in mine(world, user, contest) if s.at >= midnight and s.status != "ERROR"]


def limits(world, user, args):
    contest = find(world, args)
    used = len(today(world, user, contest))
    return {"numToday": used, "numTotal": len(mine(world, user, contest)),
            "numAllowedNow": max(0, contest.daily - used), "limitedByTotal": False}


def start_upload(world, user, args):
    joined(world, args)
    name = need(args, "fileName")
    token, url = world.storage.start(number(args, "contentLength"), name, "SUBMISSION")
    return {"token": token, "createUrl": url}


def may_submit(world, user, args):
    contest = joined(world, args)
    if contest.disabled or world.clock.now() > from_iso(contest.deadline):
        raise Refusal(400, "Submissions are not allowed for this competition")
    if len(today(world, user, contest)) >= contest.daily:
        raise Refusal(400, f"You have reached your maximum number of submissions ({contest.daily}) for today.")
    return contest


def create(world, user, args):
    contest = may_submit(world, user, args)
    if contest.kernels_only:
        raise Refusal(400, "This competition only accepts submissions from notebooks")
    upload = world.storage.claim(need(args, "blobFileTokens"), "SUBMISSION")
    upload["used"] = True
    return submit(world, user, contest, upload["name"], bytes(upload["data"]), args)


def create_code(world, user, args):
    contest = may_submit(world, user, args)
    owner, slug, name = need(args, "kernelOwner", "kernelSlug", "fileName")
    kernel = world.kernels.get((owner, slug))
    wanted = number(args, "kernelVersion")
    for version in kernel.versions if kernel and kernel.owner == user.slug else []:
        session = version.session
        if version.number != wanted or not session or session.status != "COMPLETE":
            continue
        if world.clock.now() < session.ended_at + world.modes["submit_lag"]:
            continue
        for output, content in session.outputs:
            if output == name:
                return submit(world, user, contest, name, read_all(content), args)
        raise Refusal(400, f"Could not find file {name} in the output of the notebook")
    raise Refusal(400, "Could not find provided notebook")


def submit(world, user, contest, name, data, args):
    submission = Submission(world, contest, user, name, data, text(args, "submissionDescription"))
    world.submissions.append(submission)
    world.effect("submission", user, competition=contest.slug, ref=submission.ref, file=name, bytes=len(data),
                 description=submission.note)
    return {"message": f"Successfully submitted to {contest.title}", "ref": submission.ref}


METHODS = {
    "ListCompetitions": list_all, "GetCompetition": get, "ListDataFiles": list_files,
    "DownloadDataFile": download_file, "DownloadDataFiles": download_files, "GetLeaderboard": leaderboard,
    "DownloadLeaderboard": download_leaderboard, "ListSubmissions": list_submissions,
    "GetSubmission": get_submission, "GetSubmissionLimits": limits, "StartSubmissionUpload": start_upload,
    "CreateSubmission": create, "CreateCodeSubmission": create_code,
}
