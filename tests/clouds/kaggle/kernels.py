"""kernels.KernelsApiService: notebooks and scripts, their versions and runs."""
import hashlib
import io
import json
import re
import zipfile

from clock import WEEK, iso
from reply import Refusal, Reply, need, number, page_of, redirect, text
from sessions import Link, Session, event_json
from storage import read_all
from world import our_token, slugify

LANGUAGES = ("python", "r", "rmarkdown", "julia")
TYPES = ("script", "notebook")
RETIRED = {"nvidiateslap100": "NvidiaTeslaT4", "tpuv38": "TpuV5E8", "tpu1vmv38": "TpuV5E8", "tpuv232": "",
           "tpuv2256": ""}
DENIED = "Permission 'kernels.get' was denied"
LARGEST_ZIP = 256 << 20
NO_KERNEL = ("ValueError: No kernel name found in notebook and no override provided.",)
PAPERMILL = "/usr/local/lib/python3.11/dist-packages/papermill"
NO_KERNEL_LOG = "\n".join([
    "Traceback (most recent call last):", f'  File "{PAPERMILL}/execute.py", line 93, in execute_notebook',
    f'  File "{PAPERMILL}/utils.py", line 92, in nb_kernel_name',
    "    raise ValueError(\"No kernel name found in notebook and no override provided.\")", *NO_KERNEL])


class Kernel:
    def __init__(self, world, owner, slug, title):
        self.world, self.id, self.owner, self.slug, self.title = world, world.number(), owner, slug, title
        self.language = self.kernel_type = ""
        self.is_private, self.versions = True, []
        self.stale = self.hidden = self.unlisted = 0

    def seen(self):
        """The versions that an answer may know of."""
        return self.versions[:-1] if self.stale > 0 else self.versions


class Version:
    def __init__(self, world, kernel, args):
        self.world, self.kernel, self.args = world, kernel, args
        self.number = len(kernel.versions) + 1
        self.text, self.language, self.kernel_type = args["text"], args["language"], args["kernelType"]
        self.token, self.timeout = our_token(self.text), number(args, "sessionTimeoutSeconds")
        self.machine, self.accelerator = shape_of(args)
        self.machine = world.modes["gives_machine"] or self.machine
        self.fault = NO_KERNEL_LOG if lacks_kernel(args) else None
        self.created, self.session, self.sources = world.clock.now(), None, {}

    def inputs(self):
        """(path below /kaggle/input, content) of every attached source, in the new layout and in the old."""
        found = []
        for new, old, files in self.input_trees():
            roots = {"both": (new, old), "new": (new,), "old": (old,)}[self.world.modes["layout"]]
            for name, content in files:
                if is_plain(name) and not isinstance(content, Link):
                    found += [(f"{root}/{name}", content) for root in roots]
        return list(dict(found).items())

    def input_trees(self):
        for dataset, version in self.sources.get("datasets", []):
            yield f"datasets/{dataset.owner}/{dataset.slug}", dataset.slug, list(version.files.items())
        for competition in self.sources.get("competitions", []):
            yield f"competitions/{competition.slug}", competition.slug, list(competition.files.items())
        for kernel, version in self.sources.get("kernels", []):
            yield f"notebooks/{kernel.owner}/{kernel.slug}", kernel.slug, version.session.outputs


def is_plain(name):
    return bool(name) and not name.startswith("/") and not any(p in ("", ".", "..") for p in name.split("/"))


def shape_of(args):
    """(machine shape, accelerator) as the service allots them, retired shapes replaced."""
    shape = text(args, "machineShape")
    shape = RETIRED.get(shape.lower(), shape)
    word = shape.lower()
    if word.startswith("tpu") or (args.get("enableTpu") and not word):
        return shape or "TpuV5E8", "tpu"
    if word.startswith(("nvidia", "gpu")) or (args.get("enableGpu") and not word):
        return shape or "NvidiaTeslaT4", "gpu"
    return shape, "cpu"


def lacks_kernel(args):
    if args["kernelType"] != "notebook":
        return False
    try:
        return not json.loads(args["text"])["metadata"]["kernelspec"]["name"]
    except (KeyError, TypeError):
        return True


# ---- Push ----

def save_kernel(world, user, args):
    need(args, "text", "language", "kernelType")
    if args["language"] not in LANGUAGES or args["kernelType"] not in TYPES:
        raise Refusal(400, "Invalid language or kernel type")
    if args["kernelType"] == "notebook":
        check_notebook(args["text"])
    runs = text(args, "kernelExecutionType") != "QUICK_SAVE"
    full = busy(world, user, shape_of(args)[1]) if runs else None
    if full:
        return refused(full)
    kernel = find_or_make(world, user, args)
    if isinstance(kernel, str):
        return refused(kernel)
    if world.modes["empty_pushes"] > 0:
        world.modes["empty_pushes"] -= 1
        raise Refusal(500, "Internal Server Error")
    if kernel.kernel_type and kernel.kernel_type != args["kernelType"]:
        raise Refusal(400, "Kernel type cannot be changed")
    return saved(world, user, kernel, args, runs)


def check_notebook(source):
    try:
        notebook = json.loads(source)
        cells = notebook.get("cells", [])
        arrays = any(isinstance(c.get("source"), list) for c in cells)
    except (ValueError, AttributeError):
        raise Refusal(400, "Invalid notebook") from None
    if arrays:
        raise Refusal(500, "Internal Server Error")


def refused(message):
    return {"ref": "", "url": "", "error": message, "invalidTags": [], "invalidDatasetSources": [],
            "invalidCompetitionSources": [], "invalidKernelSources": [], "invalidModelSources": []}


def busy(world, user, accelerator):
    """Why the service takes no more for now."""
    now, slots = world.clock.now(), world.modes[f"{accelerator}_slots"]
    held = [s for s in world.sessions if s.user is user and s.accelerator == accelerator and s.holds_slot(now)]
    if len(held) >= slots:
        return f"Maximum batch {accelerator.upper()} session count of {slots} reached."
    if accelerator == "cpu":
        return None
    allowed = world.modes[f"{accelerator}_hours"]
    if world.hours(user, world.clock.week())[accelerator] >= allowed:
        return f"Maximum weekly {accelerator.upper()} quota of {allowed:.2f} hours reached."
    return None


def find_or_make(world, user, args):
    """The kernel a push is for, or the sentence that refuses it."""
    if args.get("id"):
        found = [k for k in world.kernels.values() if k.id == number(args, "id")]
        return found[0] if found and found[0].owner == user.slug else "Kernel not found"
    owner, slash, slug = need(args, "slug").partition("/")
    if not slash or "/" in slug or not re.fullmatch(r"[A-Za-z0-9-]+", slug):
        raise Refusal(400, "Invalid kernel slug")
    if owner.lower() != user.slug:
        return "Notebook not found"
    kernel = world.kernels.get((user.slug, slug.lower()))
    if kernel and not kernel.versions:
        return "Notebook not found"
    return kernel or make(world, user, slug.lower(), text(args, "newTitle"))


def make(world, user, slug, title):
    if not title:
        return "Notebook not found"
    if not 5 <= len(title) <= 50:
        raise Refusal(400, "Title must be between 5 and 50 characters")
    if world.modes["title_wins"]:
        slug = slugify(title) or slug
    if (user.slug, slug) in world.kernels:
        raise Refusal(409, f"A notebook with the title '{title}' already exists")
    kernel = Kernel(world, user.slug, slug, title)
    world.kernels[user.slug, slug] = kernel
    return kernel


def saved(world, user, kernel, args, runs):
    """A new version of it, and its run."""
    kernel.language, kernel.kernel_type = args["language"], args["kernelType"]
    kernel.title = text(args, "newTitle") or kernel.title
    kernel.is_private = args.get("isPrivate", True) is not False
    version = Version(world, kernel, args)
    invalid = attach(world, user, version)
    if runs and world.modes["push_cancels"]:
        cancel_all(kernel)
    kernel.versions.append(version)
    kernel.stale, kernel.hidden = world.modes["stale_calls"], world.modes["hidden_calls"]
    kernel.unlisted = world.modes["stale_list"]
    if runs:
        version.session = Session(world, user, version, world.behaviour(kernel.owner, kernel.slug, version.number))
        world.sessions.append(version.session)
    digest = hashlib.sha256(version.text.encode()).hexdigest()
    world.effect("push", user, owner=kernel.owner, slug=kernel.slug, version=version.number, token=version.token,
                 runs=runs, accelerator=version.accelerator, timeout=version.timeout, private=kernel.is_private,
                 sha256=digest, session=version.session.id if runs else None)
    ref = world.modes["ref"].format(owner=kernel.owner, slug=kernel.slug)
    return {"ref": ref, "url": f"https://www.kaggle.com/code/{kernel.owner}/{kernel.slug}",
            "versionNumber": version.number, "error": "", "kernelId": kernel.id,
            "invalidTags": [t for t in args.get("categoryIds") or [] if not re.fullmatch(r"[a-z0-9 -]+", t)], **invalid}


def cancel_all(kernel):
    for version in kernel.versions:
        if version.session and version.session.active():
            version.session.cancel()


def attach(world, user, version):
    """Resolves the sources; the answer names those that are not valid, which are left out."""
    args, invalid = version.args, {}
    for field, kind, find in (("DatasetSources", "datasets", find_dataset), ("CompetitionSources", "competitions", find_contest),
                              ("KernelSources", "kernels", find_kernel), ("ModelSources", "models", find_model)):
        wanted = args.get(field[0].lower() + field[1:].replace("Sources", "DataSources")) or []
        found = [(ref, find(world, user, version, str(ref))) for ref in wanted]
        version.sources[kind] = [thing for _, thing in found if thing]
        invalid[f"invalid{field}"] = [ref for ref, thing in found if not thing]
    return invalid


def find_dataset(world, user, _, ref):
    parts = ref.split("/")
    dataset = world.datasets.get(tuple(parts[:2])) if len(parts) in (2, 3) else None
    if dataset is None or not dataset.visible(user):
        return None
    wanted = int(parts[2]) if len(parts) == 3 and parts[2].isdigit() else None
    version = dataset.ready(wanted)
    return (dataset, version) if version else None


def find_contest(world, _, __, ref):
    contest = world.competitions.get(ref)
    return contest if contest and contest.entered else None


def find_kernel(world, user, version, ref):
    kernel = world.kernels.get(tuple(ref.split("/")))
    if kernel is None or kernel is version.kernel or not visible(kernel, user):
        return None
    done = [v for v in kernel.versions if v.session and v.session.status == "COMPLETE"]
    return (kernel, done[-1]) if done else None


def find_model(_, __, ___, ref):
    return ref if re.fullmatch(r"[\w.-]+/[\w.-]+/[\w.-]+/[\w.-]+/\d+", ref) else None


# ---- Asking about one ----

def visible(kernel, user):
    return not kernel.is_private or (user is not None and kernel.owner == user.slug)


def find(world, user, args, owner="userName"):
    """The kernel that a request names. A wrong name is masked as a missing permission."""
    name, slug = need(args, owner, "kernelSlug")
    kernel = world.kernels.get((str(name).lower(), str(slug).lower()))
    if kernel is None or not visible(kernel, user):
        raise Refusal(403, DENIED)
    if kernel.hidden > 0:
        kernel.hidden -= 1
        raise Refusal(world.modes["hidden_code"], DENIED if world.modes["hidden_code"] == 403 else "Not found")
    return kernel


def pick(kernel, args):
    """The version that a request means: `v<N>`, or the newest."""
    versions = kernel.seen()
    kernel.stale = max(0, kernel.stale - 1)
    label = text(args, "versionLabel")
    if label and not kernel.world.modes["ignore_version"]:
        match = re.fullmatch(r"v(\d+)", label)
        versions = [v for v in versions if match and v.number == int(match[1])]
    if not versions:
        raise Refusal(404, "Not found")
    return versions[-1]


def with_session(world, user, args):
    kernel = find(world, user, args)
    version = pick(kernel, args)
    return version, version.session


def get_status(world, user, args):
    _, session = with_session(world, user, args)
    if session is None:
        return {"status": "NEW_SCRIPT"}
    answer = {"status": styled(session.status, world.modes["status_style"])}
    if session.status == "QUEUED" and world.modes["omit_queued"]:
        answer = {}
    if session.failure:
        answer["failureMessage"] = session.failure
    return answer


STATUSES = ("QUEUED", "RUNNING", "COMPLETE", "ERROR", "CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED", "NEW_SCRIPT")


def styled(status, style):
    """The spellings that have been seen."""
    if style == "number":
        return STATUSES.index(status) if status in STATUSES else status
    if style == "lower":
        return status.lower()
    words = status.lower().split("_")
    return words[0] + "".join(w.capitalize() for w in words[1:]) if style == "camel" else status


def get_kernel(world, user, args):
    kernel = find(world, user, args)
    version = pick(kernel, args)
    source, mode = version.text, world.modes["source"]
    if mode == "none":
        source = ""
    elif mode == "stale":
        older = [v.text for v in kernel.versions if v.number == version.number - 1]
        source = older[0] if older else ""
    blob = {"source": source, "language": version.language, "kernelType": version.kernel_type, "slug": kernel.slug}
    return {"metadata": metadata(world, kernel, version, version), "blob": blob}


def metadata(world, kernel, version, newest):
    session, args = version.session, version.args
    user = world.users.get(kernel.owner)
    lists = ("categoryIds", "datasetDataSources", "kernelDataSources", "competitionDataSources", "modelDataSources")
    fields = {"id": kernel.id, "ref": f"{kernel.owner}/{kernel.slug}", "title": kernel.title,
              "author": user.name if user else kernel.owner, "slug": kernel.slug,
              "lastRunTime": iso(session.pushed_at if session else version.created), "language": version.language,
              "kernelType": version.kernel_type, "isPrivate": kernel.is_private,
              "enableGpu": version.accelerator == "gpu", "enableTpu": version.accelerator == "tpu",
              "enableInternet": bool(args.get("enableInternet")), "totalVotes": 0,
              "currentVersionNumber": newest.number, "dockerImage": text(args, "dockerImage"),
              "machineShape": version.machine}
    return {**fields, **{name: args.get(name) or [] for name in lists}}


def list_kernels(world, user, args):
    if number(args, "pageSize", 20) > world.modes["list_max"]:
        raise Refusal(500, "Internal Server Error")
    group, owner, search = text(args, "group"), text(args, "user"), text(args, "search").lower()
    found = []
    for kernel in world.kernels.values():
        if kernel.unlisted > 0:
            kernel.unlisted -= 1
            shown = kernel.versions[:-1]
        else:
            shown = kernel.versions
        mine = kernel.owner == user.slug
        wanted = mine if group == "PROFILE" and not owner else visible(kernel, user)
        if shown and wanted and owner in ("", kernel.owner) and search in kernel.title.lower() + kernel.slug:
            found.append((kernel, shown[-1]))
    found.sort(key=lambda pair: pair[1].created, reverse=True)
    offset_args = paged(args)
    page, token = page_of(found, offset_args, world.modes["list_max"], 20)
    return {"kernels": [metadata(world, k, v, v) for k, v in page], "nextPageToken": token}


def paged(args):
    """The old way of paging (page 1, 2, …) as a token."""
    page, size = number(args, "page"), number(args, "pageSize") or 20
    if page > 1 and not args.get("pageToken"):
        return {**args, "pageToken": f"p{(page - 1) * size}z"}
    return args


# ---- Output and log ----

def list_output(world, user, args):
    version, session = with_session(world, user, args)
    outputs = session.outputs if session and not session.active() else []
    largest = max(world.modes["page_max"], 500 if len(outputs) > 10000 else 0)
    page, token = page_of(outputs, args, largest, world.modes["page_default"])
    seconds = session.behaviour.get("url_seconds", world.modes["url_seconds"]) if session else 0
    files = [{"url": world.storage.sign(content, name, seconds), "fileName": name} for name, content in page]
    return {"files": files, "log": log_of(world, session), "nextPageToken": token}


def log_of(world, session):
    if session is None or (session.active() and not world.modes["live_log_in_output"]):
        return ""
    return session.stored_log()


def list_files(world, user, args):
    version, session = with_session(world, user, args)
    outputs = session.outputs if session and not session.active() else []
    page, token = page_of(outputs, args, world.modes["page_max"], 20)
    return {"files": [{"name": n, "size": c.size, "creationDate": iso(session.ended_at)} for n, c in page],
            "nextPageToken": token}


def download_output(world, user, args):
    """DownloadKernelOutput: one file."""
    wanted = need(args, "filePath")
    kernel = find(world, user, args, "ownerSlug")
    label = {"versionLabel": f"v{number(args, 'versionNumber')}"} if args.get("versionNumber") else {}
    session = pick(kernel, label).session
    for name, content in session.outputs if session else []:
        if name == wanted:
            return redirect(world.storage.sign(content, name, world.modes["url_seconds"]))
    raise Refusal(404, "Not found")


def session_of(world, user, args):
    wanted = number(args, "kernelSessionId")
    for session in world.sessions:
        if session.id == wanted:
            if session.user is not user:
                raise Refusal(403, "Permission 'kernelSessions.get' was denied")
            return session
    raise Refusal(404, "Not found")


def download_zip(world, user, args):
    session = session_of(world, user, args)
    if sum(content.size for _, content in session.outputs) > LARGEST_ZIP:
        raise Refusal(500, "Internal Server Error")
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in session.outputs:
            info = zipfile.ZipInfo(name)
            if isinstance(content, Link):
                info.external_attr = 0o120777 << 16
            archive.writestr(info, read_all(content))
    return Reply(200, body.getvalue(), "application/zip")


def output_redirect(world, user, owner, slug, query, base):
    """GET kernels/output/download/OWNER/SLUG: the one place where a session's id can be seen."""
    kernel = find(world, user, {"userName": owner, "kernelSlug": slug})
    label = {"versionLabel": "v" + query["versionNumber"]} if query.get("versionNumber") else {}
    session = pick(kernel, label).session
    if session is None or not world.modes["session_redirect"]:
        raise Refusal(404, "Not found")
    return redirect(f"{base}/kernels/output/download_zip/{session.id}")


def stream_log(world, user, args):
    """The live log as server-sent events, or the stored log of a session that is over."""
    if args.get("kernelSessionId"):
        session = session_of(world, user, args)
    else:
        session = with_session(world, user, args)[1]
    if session is None:
        raise Refusal(404, "Not found")
    if not session.active():
        return Reply(200, session.stored_log().encode(), "application/json")
    cuts, session.streams = session.behaviour["cut_after"], session.streams + 1
    cut = cuts[session.streams - 1] if session.streams <= len(cuts) else None
    return Reply(200, LogStream(world, session, cut), "text/event-stream")


class LogStream:
    """Events from the beginning on; None from `next_piece` means nothing yet, b"" the end, Cut that it breaks off."""

    def __init__(self, world, session, cut):
        self.world, self.session, self.cut, self.sent, self.ended = world, session, cut, 0, False

    def next_piece(self):
        with self.world.lock:
            self.world.settle()
            events, active = self.session.log_now(), self.session.active()
        if self.cut is not None and self.sent >= self.cut:
            raise Cut
        if self.sent < len(events):
            self.sent += 1
            return f"data: {event_json(events[self.sent - 1])}\n\n".encode()
        if active:
            return None
        if self.ended:
            return b""
        self.ended = True
        return b"data: END_OF_LOG\n\n"


class Cut(Exception):
    """The load balancer has had enough of this stream."""


# ---- Cancel, delete, quota ----

def cancel_session(world, user, args):
    need(args, "kernelSessionId")
    if world.modes["cancel"] == "denied":
        raise Refusal(403, "Permission 'kernelSessions.cancel' was denied")
    session = session_of(world, user, args)
    if world.modes["cancel"] == "message" or not session.active():
        return {"errorMessage": "The session cannot be cancelled"}
    session.cancel()
    world.effect("cancel", user, session=session.id, slug=session.version.kernel.slug, version=session.version.number)
    return {}


def delete_kernel(world, user, args):
    kernel = find(world, user, args)
    if kernel.owner != user.slug:
        raise Refusal(403, "Permission 'kernels.delete' was denied")
    if world.modes["delete_stops"]:
        cancel_all(kernel)
    del world.kernels[kernel.owner, kernel.slug]
    world.effect("delete", user, owner=kernel.owner, slug=kernel.slug, versions=len(kernel.versions))
    return {}


def get_quota(world, user, _):
    since = world.clock.week()
    used = world.hours(user, since)
    ever = {s.accelerator for s in world.sessions if s.user is user}
    answer = {"quotaRefreshTime": iso(since + WEEK)}
    for name in world.modes["quota_parts"]:
        kind = name[:3]
        total = world.modes[f"{kind}_hours"] * 3600
        answer[name] = {"timeUsed": duration(used[kind] * 3600), "timeReserved": "0s", "totalTimeAllowed": duration(total),
                        "minimumTimeAllowed": duration(total), "isPayToScaleEnabled": False, "hasEverRun": kind in ever}
    return answer


def duration(seconds):
    return f"{seconds:.1f}s" if seconds % 1 else f"{int(seconds)}s"


METHODS = {
    "SaveKernel": save_kernel, "GetKernelSessionStatus": get_status, "GetKernel": get_kernel,
    "ListKernels": list_kernels, "ListKernelSessionOutput": list_output, "ListKernelFiles": list_files,
    "DownloadKernelOutput": download_output, "DownloadKernelOutputZip": download_zip,
    "GetKernelSessionLogsStream": stream_log, "CancelKernelSession": cancel_session, "DeleteKernel": delete_kernel,
    "GetAcceleratorQuotaStatistics": get_quota,
}
