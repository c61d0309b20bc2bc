#!/usr/bin/python3
"""The fake service by itself: what the official client cannot show."""
import http.client
import json
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from harness import Service, notebook  # noqa: E402
from tap import check, has, run_file, same  # noqa: E402

NEVER = {"queue_seconds": 0, "run_seconds": 10**6, "log": []}


# ---- The wire ----

def both_prefixes(s):
    """both prefixes and absolute-form request lines lead to the same service"""
    for prefix in ("/v1", "/api/v1", "http://localhost/api/v1", "http://api.kaggle.example/v1"):
        same(s.call("ListKernels", {"group": "PROFILE"}, prefix=prefix).status, 200, prefix)


def unknown_rpc(s):
    """an unknown RPC, a GET of an RPC and a wrong prefix are 404"""
    same(s.call("MakeCoffee").status, 404)
    same(s.ask("GET", "/v1/kernels.KernelsApiService/ListKernels", headers=s.authorization("alice")).status, 404)
    same(s.call("ListKernels", prefix="/v2").status, 404)
    same(s.call("SaveKernel", service="datasets.DatasetApiService").status, 404)


def unauthorized(s):
    """without valid credentials: 401 in the service's words"""
    answer = s.call("ListKernels", user=None)
    same((answer.status, answer.json), (401, {"code": 401, "message": "Unauthorized"}))
    bad = {"Authorization": "Bearer KGAT_wrong", "Content-Type": "application/json"}
    same(s.ask("POST", "/v1/kernels.KernelsApiService/ListKernels", "{}", bad).status, 401)
    same(s.ask("GET", "/v1/kernels/logs/stream/bob/public-demo").status, 401)


def bearer_only(s):
    """a legacy key can be refused where a bearer token is not"""
    s.script({"modes": {"bearer_only": ["ListKernels"]}})
    path = "/v1/kernels.KernelsApiService/ListKernels"
    same(s.ask("POST", path, "{}", s.authorization("alice", "Basic")).status, 401)
    same(s.ask("POST", path, "{}", s.authorization("alice")).status, 200)


def missing_fields(s):
    """missing fields and bodies that are not JSON objects: 400"""
    same(s.call("SaveKernel", {"slug": "alice/abcde"}).status, 400)
    same(s.call("GetKernelSessionStatus", {"userName": "alice"}).status, 400)
    for body in ("{", "[]", "1", '"x"'):
        same(s.ask("POST", "/v1/kernels.KernelsApiService/ListKernels", body, s.authorization("alice")).status, 400, body)


def expired_token(s):
    """an access token ends with its time"""
    s.clock(speed=0)
    answer = s.call("GenerateAccessToken", {"refreshToken": "refresh-alice-1", "expirationDuration": "60s"}, user=None)
    token = answer.json["token"]
    same(answer.json["userName"], "alice")
    check(s.call("IntrospectToken", {"token": token}, user=None).json["active"], "it is good now")
    s.clock(step=61)
    same(s.call("IntrospectToken", {"token": token}, user=None).json, {"active": False})
    same(s.call("GenerateAccessToken", {"refreshToken": "wrong"}, user=None).status, 401)


def defaults_left_out(s):
    """fields that equal their default can be left out of every answer"""
    s.script({"modes": {"omit_defaults": True}, "runs": [NEVER]})
    answer = s.push("left-out").json
    check("error" not in answer and "invalidTags" not in answer, f"no empty fields: {answer}")
    same(answer["versionNumber"], 1)
    check("nextPageToken" not in s.call("ListKernels", {"group": "PROFILE"}).json, "no empty token")


# ---- Kernels ----

def version_labels(s):
    """v2 is a version, 2 is 404, slug/2 is 403, v9 is 404"""
    s.script({"default_run": {"queue_seconds": 0, "run_seconds": 0, "log": []}})
    s.push("many-versions")
    s.push("many-versions", text="print(2)\n")
    for slug, label, status in (("many-versions", "v2", 200), ("many-versions", "2", 404), ("many-versions/2", "", 403),
                                ("many-versions", "v9", 404), ("many-verzions", "v1", 403)):
        args = {"userName": "alice", "kernelSlug": slug, "versionLabel": label}
        same(s.call("GetKernelSessionStatus", args).status, status, f"{slug} {label}")


def old_versions_run_on(s):
    """a push does not stop the version that runs"""
    s.script({"runs": [NEVER]})
    s.push("twice-pushed")
    s.push("twice-pushed", text="print(2)\n")
    same([s.status("twice-pushed", v) for v in (1, 2)], ["RUNNING", "RUNNING"])
    s.script({"modes": {"push_cancels": True}})
    s.push("twice-pushed", text="print(3)\n")
    same(s.status("twice-pushed", 1), "CANCEL_REQUESTED")


def array_source(s):
    """a cell whose source is an array: 500, and nothing is saved"""
    book = notebook("x")
    book["cells"][0]["source"] = ["x\n"]
    same(s.push("array-source", json.dumps(book), kernelType="notebook").status, 500)
    same(s.push("array-source", "{", kernelType="notebook").status, 400)
    same(s.effects(), [])


def title_wins(s):
    """a new kernel is made under the slug of its title; an existing title clashes"""
    s.script({"runs": [NEVER]})
    has(s.push("own-words", newTitle="Évaluation  modèle v1.2").json["url"], "/alice/evaluation-modele-v1-2")
    same(s.push("own-words", newTitle="Évaluation modèle v1.2").status, 409)
    same(s.call("GetKernel", {"userName": "alice", "kernelSlug": "own-words"}).status, 403)


def others_kernels(s):
    """somebody else's: private is masked, public is readable, neither can be pushed to or deleted"""
    same(s.call("GetKernel", {"userName": "bob", "kernelSlug": "secret-demo"}).status, 403)
    public = {"userName": "bob", "kernelSlug": "public-demo"}
    same(s.call("GetKernel", public).json["blob"]["source"], "print('from bob')\n")
    same(s.call("DeleteKernel", public).status, 403)
    same(s.push("bob/public-demo").json["error"], "Notebook not found")
    same(s.push("whatever", id=999999).json["error"], "Kernel not found")


def quick_save(s):
    """QUICK_SAVE stores a version and does not run it"""
    same(s.push("only-saved", kernelExecutionType="QUICK_SAVE").json["versionNumber"], 1)
    same(s.status("only-saved"), "NEW_SCRIPT")
    same([e["runs"] for e in s.effects("push")], [False])


def unsaved_draft(s):
    """a push that made the title and stored nothing: 500, then 404, then not found"""
    s.script({"modes": {"empty_pushes": 1}})
    same(s.push("half-made").status, 500)
    same(s.call("GetKernel", {"userName": "alice", "kernelSlug": "half-made"}).status, 404)
    same(s.push("half-made").json["error"], "Notebook not found")
    same(s.effects("push"), [])


def source_given_back(s):
    """GetKernel gives the source of a version; in other modes none, or that of the version before"""
    s.script({"runs": [NEVER]})
    s.push("source-back", "print(1)\n# kexec token: tok_1\n")
    s.push("source-back", "print(2)\n# kexec token: tok_2\n")
    get = {"userName": "alice", "kernelSlug": "source-back"}
    same(s.call("GetKernel", get).json["metadata"]["currentVersionNumber"], 2)
    has(s.call("GetKernel", {**get, "versionLabel": "v1"}).json["blob"]["source"], "print(1)")
    for mode, wanted in (("full", "print(2)"), ("stale", "print(1)")):
        s.script({"modes": {"source": mode}})
        has(s.call("GetKernel", get).json["blob"]["source"], wanted)
    s.script({"modes": {"source": "none"}})
    same(s.call("GetKernel", get).json["blob"]["source"], "")
    same([e["token"] for e in s.effects("push")], ["tok_1", "tok_2"])


def stale_and_hidden(s):
    """after a push a kernel can be hidden for some calls, then described as it was before"""
    s.script({"default_run": NEVER})
    s.push("slow-news")
    s.script({"modes": {"hidden_calls": 1, "hidden_code": 403, "stale_calls": 2, "stale_list": 1}})
    s.push("slow-news", "print(2)\n")
    get = {"userName": "alice", "kernelSlug": "slow-news"}
    same(s.call("GetKernel", get).status, 403)
    same([s.call("GetKernel", get).json["metadata"]["currentVersionNumber"] for _ in range(3)], [1, 1, 2])
    listed = [s.call("ListKernels", {"group": "PROFILE"}).json["kernels"][0]["currentVersionNumber"] for _ in range(2)]
    same(listed, [1, 2])


def wrong_answers(s):
    """what the service gets wrong: another version's status, another machine, odd spellings"""
    s.script({"runs": [{**NEVER, "version": 2}, {"log": [], "queue_seconds": 0}], "modes": {"gives_machine": "None"}})
    s.push("odd-answers", machineShape="NvidiaTeslaT4")
    s.push("odd-answers", "print(2)\n")
    same(s.status("odd-answers", 1), "COMPLETE")
    same(s.call("GetKernel", {"userName": "alice", "kernelSlug": "odd-answers"}).json["metadata"]["machineShape"], "None")
    s.script({"modes": {"ignore_version": True}})
    same(s.status("odd-answers", 1), "RUNNING")
    for style, wanted in (("lower", "running"), ("camel", "running"), ("number", 1)):
        s.script({"modes": {"status_style": style}})
        same(s.status("odd-answers"), wanted, style)


def invalid_sources(s):
    """invalid sources are named, the version is there, the valid ones are attached"""
    answer = s.push("sources-here", datasetDataSources=["bob/penguins", "datasets/bob/penguins", "bob/none"],
                    competitionDataSources=["titanic", "closed-shop"], kernelDataSources=["bob/public-demo"],
                    modelDataSources=["google/gemma/pyTorch/2b/1", "gemma"]).json
    same(answer["versionNumber"], 1)
    same(answer["invalidDatasetSources"], ["datasets/bob/penguins", "bob/none"])
    same(answer["invalidCompetitionSources"], ["closed-shop"])
    same((answer["invalidKernelSources"], answer["invalidModelSources"]), (["bob/public-demo"], ["gemma"]))


def unready_dataset(s):
    """a dataset that is not READY yet is an invalid source"""
    s.clock(speed=0)
    s.script({"runs": [NEVER], "datasets": {"alice/slow-data": {"files": {"a": "1"}, "seconds": 60, "isPrivate": True}}})
    same(s.push("uses-slow", datasetDataSources=["alice/slow-data"]).json["invalidDatasetSources"], ["alice/slow-data"])
    status = {"ownerSlug": "alice", "datasetSlug": "slow-data"}
    same(s.call("GetDatasetStatus", status).json, {"status": "NOT_YET_PERSISTED"})
    s.clock(step=60)
    same(s.call("GetDatasetStatus", status).json, {"status": "READY"})
    same(s.push("uses-slow", datasetDataSources=["alice/slow-data"]).json["invalidDatasetSources"], [])


def kernel_output_as_input(s):
    """a kernel's output is another kernel's input; its own is not"""
    s.push("makes-file", "open('made.txt', 'w').write('made')\n")
    s.until("makes-file", "COMPLETE")
    code = ("import os\nroot = '/kaggle/input' if os.path.isdir('/kaggle/input') else os.environ['KAGGLE_FAKE_INPUT']\n"
            "for p in 'notebooks/alice/makes-file', 'makes-file':\n    print(open(f'{root}/{p}/made.txt').read())\n")
    same(s.push("reads-file", code, kernelDataSources=["alice/makes-file"]).json["invalidKernelSources"], [])
    s.until("reads-file", "COMPLETE", "ERROR")
    output = s.call("ListKernelSessionOutput", {"userName": "alice", "kernelSlug": "reads-file"}).json
    same([e["data"] for e in json.loads(output["log"])], ["made\n", "made\n"])
    own = s.push("makes-file", "1\n", kernelDataSources=["alice/makes-file"]).json
    same(own["invalidKernelSources"], ["alice/makes-file"])


# ---- Time ----

def stepped_clock(s):
    """a stepped clock: queued, running, complete, and its hours in the ledger"""
    s.clock(speed=0, set="2026-10-21T12:00:00Z")
    s.script({"runs": [{"queue_seconds": 60, "run_seconds": 7200, "log": [[0, "begin"], [7199, "end"]]}]})
    s.push("by-steps", enableGpu=True)
    same(s.call("GetKernelSessionStatus", {"userName": "alice", "kernelSlug": "by-steps"}).json, {})
    s.clock(step=61)
    same(s.status("by-steps"), "RUNNING")
    s.clock(step=3599)
    quota = s.call("GetAcceleratorQuotaStatistics").json
    same((quota["gpuQuota"]["timeUsed"], quota["quotaRefreshTime"]), ("3600s", "2026-10-24T00:00:00.000Z"))
    s.clock(step=86400)
    same(s.status("by-steps"), "COMPLETE")
    log = s.log()
    same((log["hours"]["gpu"], log["sessions"][0]["seconds"]), (2.0, 7200.0))
    s.clock(step=3 * 86400)
    same(s.call("GetAcceleratorQuotaStatistics").json["gpuQuota"]["timeUsed"], "0s")


def fast_clock(s):
    """a fast clock: an hour in a second"""
    s.clock(speed=7200)
    s.script({"runs": [{"queue_seconds": 60, "run_seconds": 3600, "log": []}]})
    began = time.monotonic()
    s.push("fast-hours")
    s.until("fast-hours", "COMPLETE")
    check(time.monotonic() - began < 20, "it took far less than an hour")


def session_limit(s):
    """a session ends at its own time limit, and at the service's twelve hours"""
    s.clock(speed=0)
    s.script({"runs": [NEVER]})
    s.push("short-limit", sessionTimeoutSeconds=600)
    s.push("long-limit", sessionTimeoutSeconds=10**6)
    s.clock(step=601)
    answer = s.call("GetKernelSessionStatus", {"userName": "alice", "kernelSlug": "short-limit"}).json
    same(answer["status"], "ERROR")
    has(answer["failureMessage"], "exceeded the max allowed execution duration")
    same(s.status("long-limit"), "RUNNING")
    s.clock(step=12 * 3600)
    same([x["seconds"] for x in s.log()["sessions"]], [600.0, 43200.0])


def weekly_quota(s):
    """thirty hours of GPU a week, refused by an error in an HTTP 200, and new on Saturday"""
    s.clock(speed=0, set="2026-10-17T00:00:00Z")
    s.script({"default_run": {"queue_seconds": 0, "run_seconds": 10 * 3600, "log": []}})
    for n in range(3):
        s.push(f"gpu-eater-{n}", enableGpu=True)
        s.clock(step=11 * 3600)
    refused = s.push("gpu-eater-3", enableGpu=True)
    same((refused.status, refused.json["error"]), (200, "Maximum weekly GPU quota of 30.00 hours reached."))
    same(s.push("cpu-eater").json["error"], "")
    s.clock(set="2026-10-24T00:00:01Z")
    same(s.push("gpu-eater-3", enableGpu=True).json["error"], "")


def slots(s):
    """two GPU sessions at once; an ended one may hold its slot for a while"""
    s.clock(speed=0)
    s.script({"default_run": {"queue_seconds": 0, "run_seconds": 100, "log": []}, "modes": {"slot_lag": 50}})
    for n in (1, 2):
        same(s.push(f"slot-user-{n}", machineShape="NvidiaTeslaT4").json["error"], "")
    full = "Maximum batch GPU session count of 2 reached."
    for step, error in ((99, full), (10, full), (50, "")):
        s.clock(step=step)
        same(s.push("slot-user-3", machineShape="NvidiaTeslaT4").json["error"], error, str(step))
    same(s.push("tpu-user", enableTpu=True).json["error"], "")
    same(s.push("tpu-user-2", enableTpu=True).json["error"], "Maximum batch TPU session count of 1 reached.")


def cancel(s):
    """a session's id comes only from the redirect; cancelling takes its time, and may be denied"""
    s.clock(speed=0)
    s.script({"runs": [NEVER]})
    check("kernelSessionId" not in s.push("cancel-me").body.decode(), "no push gives it")
    s.clock(step=1)
    path = "/v1/kernels/output/download/alice/cancel-me?versionNumber=1"
    answer = s.ask("GET", path, headers=s.authorization("alice"))
    same(answer.status, 302)
    has(answer.headers["Location"], f"http://127.0.0.1:{s.port}/v1/kernels/output/download_zip/")
    session = {"kernelSessionId": int(answer.headers["Location"].rpartition("/")[2])}
    s.script({"modes": {"cancel": "denied"}})
    same(s.call("CancelKernelSession", session).status, 403)
    s.script({"modes": {"cancel": "ok"}})
    same(s.call("CancelKernelSession", session, user="bob").status, 403)
    same(s.call("CancelKernelSession", {"kernelSessionId": 1}).status, 404)
    same(s.call("CancelKernelSession", session).json, {})
    same(s.status("cancel-me"), "CANCEL_REQUESTED")
    s.clock(step=6)
    same(s.status("cancel-me"), "CANCEL_ACKNOWLEDGED")
    has(s.call("CancelKernelSession", session).json["errorMessage"], "cannot")
    same(s.log()["sessions"][0]["seconds"], 6.0)


def delete(s):
    """a deleted kernel is gone with its versions, and its session runs on unless the mode says otherwise"""
    s.script({"runs": [NEVER]})
    s.push("delete-me")
    same(s.call("DeleteKernel", {"userName": "alice", "kernelSlug": "delete-me"}).json, {})
    same(s.call("GetKernel", {"userName": "alice", "kernelSlug": "delete-me"}).status, 403)
    check(s.log()["sessions"][0]["ended"] is None, "it is still billed")
    same([e["effect"] for e in s.effects()], ["push", "delete"])
    s.push("delete-me")
    s.script({"modes": {"delete_stops": True}})
    s.call("DeleteKernel", {"userName": "alice", "kernelSlug": "delete-me"})
    same(s.log()["sessions"][1]["status"] in ("CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED"), True, "it is stopped")


def really_runs(s):
    """pushed code really runs, without the credentials and the proxies of whoever started the fake"""
    code = ("import os, sys\nprint(sorted(k for k in os.environ if 'proxy' in k.lower() or 'TOKEN' in k))\n"
            "print('to stderr', file=sys.stderr)\nos.symlink('/etc/passwd', 'link')\nos.makedirs('a/b')\n"
            "open('a/b/c.txt', 'w').write('c')\nsys.exit(3)\n")
    s.push("really-runs", code)
    same(s.until("really-runs", "ERROR", "COMPLETE"), "ERROR")
    output = s.call("ListKernelSessionOutput", {"userName": "alice", "kernelSlug": "really-runs"}).json
    events = json.loads(output["log"])
    same([e["data"] for e in events if e["stream_name"] == "stdout"], ["[]\n"])
    same([e["data"] for e in events if e["stream_name"] == "stderr"], ["to stderr\n"])
    same([f["fileName"] for f in output["files"]], ["a/b/c.txt"])


def execution_is_limited(s):
    """code that does not end is killed"""
    s.script({"modes": {"execute_limit": 1}})
    s.push("endless-loop", "print('on', flush=True)\nwhile True: pass\n")
    same(s.until("endless-loop", "ERROR", "COMPLETE"), "ERROR")


def competition_limits(s):
    """submissions: the allowance counts down, the file is judged, what is wrong with it is said"""
    s.script({"competitions": {"tiny": {"title": "Tiny", "daily": 2, "solution": {"1": "a", "2": "b"}}},
              "modes": {"score_seconds": 0}})

    def submit(body):
        made = s.call("StartSubmissionUpload", {"competitionName": "tiny", "contentLength": len(body), "fileName": "s.csv"}).json
        same(s.url("PUT", made["createUrl"], body).status, 200)
        return s.call("CreateSubmission", {"competitionName": "tiny", "blobFileTokens": made["token"]})
    same(submit(b"id,v\n1,a\n2,x\n").status, 200)
    same(submit(b"id,v\n1,a\n").status, 200)
    found = s.call("ListSubmissions", {"competitionName": "tiny", "page": -1}).json["submissions"]
    same([x["status"] for x in found], ["ERROR", "COMPLETE"])
    same((found[1]["publicScore"], found[0]["errorDescription"]), ("0.50000", "Submission must have 2 rows"))
    same(s.call("GetSubmissionLimits", {"competitionName": "tiny"}).json["numAllowedNow"], 1)
    submit(b"id,v\n1,a\n2,b\n")
    refused = submit(b"id,v\n1,a\n2,b\n")
    same(refused.status, 400)
    has(refused.json["message"], "maximum number of submissions")
    same(len(s.effects("submission")), 3)


def parent_dies(s):
    """with --with-parent it ends when its parent does"""
    words = f"{sys.executable} {sys.path[0]}/main.py --with-parent & read -r _"
    shell = subprocess.Popen(["/bin/sh", "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = int(shell.stdout.readline())
    same(s.ask("GET", "/_fake/clock", port=port).status, 200)
    shell.kill()
    shell.wait()
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            s.ask("GET", "/_fake/clock", port=port)
        except http.client.HTTPException:
            continue  # it died over an answer
        except OSError:
            shell.stdin.close()
            shell.stdout.close()
            return
    check(False, "it is still there")


if __name__ == "__main__":
    run_file(Service)
