"""blobs.BlobApiService and datasets.DatasetApiService. A dataset is ready some time after it was accepted."""
import io
import re
import tarfile
import zipfile

from clock import iso
from reply import Refusal, need, number, page_of, redirect, text
from storage import Bytes, read_all
from world import slugify

STEPS = ("NOT_YET_PERSISTED", "BLOBS_RECEIVED", "BLOBS_DECOMPRESSED", "BLOBS_COPIED_TO_SDS",
         "INDIVIDUAL_BLOBS_COMPRESSED")
DENIED = "Permission 'datasets.get' was denied"
PURPOSES = ("DATASET", "MODEL", "INBOX", "COMPETITION_SOLUTION")


class DatasetVersion:
    def __init__(self, number, files, created, ready_at, fails, notes):
        self.number, self.files, self.created, self.ready_at = number, files, created, ready_at
        self.fails, self.notes, self.status = fails, notes, STEPS[0]

    def settle(self, now):
        if self.status in ("READY", "FAILED", "DELETED"):
            return
        if now >= self.ready_at:
            self.status = "FAILED" if self.fails else "READY"
            return
        share = max(0.0, now - self.created) / max(self.ready_at - self.created, 1e-9)
        self.status = STEPS[min(int(share * len(STEPS)), len(STEPS) - 1)]


class Dataset:
    def __init__(self, world, owner, slug, title, spec):
        self.world, self.id, self.owner, self.slug, self.title = world, world.number(), owner, slug, title
        self.is_private = bool(spec.get("isPrivate", False))
        self.license, self.subtitle = spec.get("licenseName", ""), spec.get("subtitle", "")
        self.description, self.versions = spec.get("description", ""), []

    def add(self, files, notes, seconds):
        now = self.world.clock.now()
        version = DatasetVersion(len(self.versions) + 1, files, now, now + seconds,
                                 self.world.modes["dataset_fails"], notes)
        self.versions.append(version)
        version.settle(now)
        return version

    def settle(self, now):
        for version in self.versions:
            version.settle(now)

    def visible(self, user):
        return not self.is_private or (user is not None and user.slug == self.owner)

    def ready(self, number=None):
        """The newest version that can be mounted, or the one of that number."""
        self.settle(self.world.clock.now())
        found = [v for v in self.versions if v.status == "READY" and number in (None, v.number)]
        return found[-1] if found else None


# ---- Blobs ----

def start_upload(world, user, args):
    kind, name = need(args, "type", "name")
    if kind not in PURPOSES:
        raise Refusal(400, "Invalid blob type")
    size = number(args, "contentLength", 0)
    if size < 0:
        raise Refusal(400, "Invalid content length")
    token, url = world.storage.start(size, name, kind)
    return {"token": token, "createUrl": url}


# ---- Create ----

def create(world, user, args):
    title = need(args, "title")
    slug, owner = text(args, "slug") or slugify(title), text(args, "ownerSlug") or user.slug
    if owner != user.slug:
        raise Refusal(403, "Permission 'datasets.create' was denied")
    problem = problem_of(world, owner, slug, title, args)
    if problem:
        return answer(owner, slug, problem)
    files = collect(world, args)
    dataset = Dataset(world, owner, slug, title, args)
    world.datasets[owner, slug] = dataset
    version = dataset.add(files, "Initial release", world.modes["dataset_seconds"])
    note_effect(world, user, dataset, version)
    return answer(owner, slug, "")


def problem_of(world, owner, slug, title, args):
    if not 6 <= len(title) <= 50 or not 3 <= len(slug) <= 50 or not re.fullmatch(r"[a-z0-9-]+", slug):
        return "The dataset title must be between 6 and 50 characters, its slug between 3 and 50."
    if args.get("subtitle") and not 20 <= len(args["subtitle"]) <= 80:
        return "Subtitle length must be between 20 and 80 characters"
    taken = [d for d in world.datasets.values() if d.owner == owner and (d.title == title or d.slug == slug)]
    if taken or (owner, title) in world.used_titles:
        return f'The requested title "{title}" is already in use by a dataset. Please choose another title.'
    if not text(args, "licenseName"):
        return "A license is required."
    return ""


def answer(owner, slug, error):
    return {"ref": f"/{owner}/{slug}", "url": f"https://www.kaggle.com/datasets/{owner}/{slug}",
            "status": "error" if error else "ok", "error": error, "invalidTags": []}


def note_effect(world, user, dataset, version):
    world.effect("dataset", user, owner=dataset.owner, slug=dataset.slug, version=version.number,
                 private=dataset.is_private, notes=version.notes,
                 files={name: content.size for name, content in version.files.items()})


def collect(world, args, prefix=""):
    """The files of a request: tokens of finished uploads, by folder; archives are unpacked."""
    files = {}
    for spec in args.get("files") or []:
        upload = world.storage.claim(need(spec, "token"), "DATASET")
        upload["used"] = True
        files.update(unpacked(world, prefix + upload["name"], bytes(upload["data"])))
    for folder in args.get("directories") or []:
        files.update(collect(world, folder, prefix + need(folder, "name") + "/"))
    if not files and not prefix:
        raise Refusal(400, "A dataset needs at least one file")
    return files


def unpacked(world, name, data):
    """An archive becomes a folder of its name; anything else is itself."""
    if world.modes["unpack_archives"]:
        for ending, read in ((".zip", read_zip), (".tar", read_tar), (".tar.gz", read_tar)):
            if name.endswith(ending):
                inside = read(data)
                if inside is not None:
                    return {f"{name[:-len(ending)]}/{n}": Bytes(b) for n, b in inside}
    return {name: Bytes(data)}


def read_zip(data):
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [(i.filename, archive.read(i)) for i in archive.infolist() if not i.is_dir() and tame(i.filename)]
    except zipfile.BadZipFile:
        return None


def read_tar(data):
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return [(m.name, archive.extractfile(m).read()) for m in archive if m.isfile() and tame(m.name)]
    except (tarfile.TarError, EOFError, OSError):
        return None


def tame(name):
    return not name.startswith("/") and ".." not in name.split("/")


def create_version(world, user, args):
    dataset = find(world, user, args)
    if dataset.owner != user.slug:
        raise Refusal(403, "Permission 'datasets.update' was denied")
    body = args.get("body") or {}
    files = collect(world, body)
    version = dataset.add(files, text(body, "versionNotes"), world.modes["dataset_seconds"])
    note_effect(world, user, dataset, version)
    if body.get("deleteOldVersions"):
        for old in dataset.versions[:-1]:
            old.status = "DELETED"
    return answer(dataset.owner, dataset.slug, "")


# ---- Ask ----

def find(world, user, args):
    owner, slug = need(args, "ownerSlug", "datasetSlug")
    dataset = world.datasets.get((owner, slug))
    if dataset is None or not dataset.visible(user):
        raise Refusal(403, DENIED)
    return dataset


def get_status(world, user, args):
    return {"status": find(world, user, args).versions[-1].status}


def shown(world, user, args):
    """(dataset, version) that can be read now."""
    dataset = find(world, user, args)
    version = dataset.ready(number(args, "datasetVersionNumber") or None)
    if version is None:
        raise Refusal(404, "Not found")
    return dataset, version


def describe(dataset):
    newest = dataset.versions[-1]
    total = sum(c.size for c in newest.files.values())
    return {"id": dataset.id, "ref": f"{dataset.owner}/{dataset.slug}", "title": dataset.title,
            "subtitle": dataset.subtitle, "ownerName": dataset.owner, "ownerRef": dataset.owner,
            "isPrivate": dataset.is_private, "licenseName": dataset.license, "description": dataset.description,
            "totalBytes": total, "lastUpdated": iso(newest.created), "currentVersionNumber": newest.number,
            "url": f"https://www.kaggle.com/datasets/{dataset.owner}/{dataset.slug}",
            "versions": [{"versionNumber": v.number, "creationDate": iso(v.created), "status": v.status,
                          "versionNotes": v.notes} for v in dataset.versions]}


def get(world, user, args):
    return describe(find(world, user, args))


def get_metadata(world, user, args):
    dataset = find(world, user, args)
    return {"info": {"datasetId": dataset.id, "datasetSlug": dataset.slug, "ownerUser": dataset.owner,
                     "title": dataset.title, "subtitle": dataset.subtitle, "description": dataset.description,
                     "isPrivate": dataset.is_private, "keywords": [], "licenses": [{"name": dataset.license}]}}


def list_datasets(world, user, args):
    group, owner, search = text(args, "group"), text(args, "user"), text(args, "search").lower()
    mine = group in ("DATASET_SELECTION_GROUP_MY", "DATASET_SELECTION_GROUP_MY_PRIVATE")
    found = [describe(d) for d in world.datasets.values() if d.visible(user)
             and (not mine or d.owner == user.slug) and owner in ("", d.owner)
             and search in d.title.lower() + d.slug]
    page, token = page_of(found, args, 200, 20)
    return {"datasets": page, "nextPageToken": token}


def list_files(world, user, args):
    dataset, version = shown(world, user, args)
    items = [{"ref": name, "datasetRef": f"{dataset.owner}/{dataset.slug}", "ownerRef": dataset.owner, "name": name,
              "totalBytes": content.size, "creationDate": iso(version.created), "fileType": ""}
             for name, content in sorted(version.files.items())]
    page, token = page_of(items, args, 200, 20)
    return {"datasetFiles": page, "nextPageToken": token, "errorMessage": ""}


def download(world, user, args):
    dataset, version = shown(world, user, args)
    name = text(args, "fileName")
    if not name:
        return redirect(world.storage.sign(zip_of(version.files), dataset.slug + ".zip", world.modes["url_seconds"]))
    if name not in version.files:
        raise Refusal(404, "Not found")
    return redirect(world.storage.sign(version.files[name], name, world.modes["url_seconds"]))


def zip_of(files):
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(name, read_all(content))
    return Bytes(body.getvalue())


def delete(world, user, args):
    dataset = find(world, user, args)
    if dataset.owner != user.slug:
        raise Refusal(403, "Permission 'datasets.delete' was denied")
    del world.datasets[dataset.owner, dataset.slug]
    if world.modes["titles_stay_used"]:
        world.used_titles.add((dataset.owner, dataset.title))
    world.effect("dataset-delete", user, owner=dataset.owner, slug=dataset.slug)
    return {}


BLOBS = {"StartBlobUpload": start_upload}
METHODS = {
    "CreateDataset": create, "CreateDatasetVersion": create_version, "GetDatasetStatus": get_status,
    "GetDataset": get, "GetDatasetMetadata": get_metadata, "ListDatasets": list_datasets,
    "ListDatasetFiles": list_files, "DownloadDataset": download, "DeleteDataset": delete,
}
ANONYMOUS = ("DownloadDataset", "ListDatasetFiles", "GetDatasetMetadata", "GetDataset", "GetDatasetStatus")
