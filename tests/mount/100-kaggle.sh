#!/bin/bash
# Runs on Kaggle, with the fake service behind the real mount: copied in, followed, brought back, pushed exactly once.
# limit: 240
# tags: asan tsan
. "$(dirname "$0")/lib.sh"
begin
fake=$SOURCE_ROOT/tests/clouds/kaggle/main.py
[ -f "$fake" ] || skip_all "the fake service is not there"
"$PY" "$fake" --port-file "$T/port" --with-parent >"$T/fake.out" 2>&1 &
wait_for test -s "$T/port" || die "the fake service did not start: $(cat "$T/fake.out")"
base=http://127.0.0.1:$(cat "$T/port")
export KEXEC_KAGGLE_URL=$base/api/v1 KAGGLE_API_TOKEN=KGAT_0123456789abcdef0123456789abcdef no_proxy='*'
unset http_proxy https_proxy KAGGLE_USERNAME KAGGLE_KEY

fake() { # PATH [JSON]
	"$PY" -c '
import sys, urllib.request
data = sys.argv[2].encode() if len(sys.argv) > 2 else None
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(opener.open(urllib.request.Request(sys.argv[1], data=data)).read().decode())' "$base/_fake/$1" "${@:2}"
}
script() { fake script "$1" >/dev/null || complain "the fake refused: $1"; }
# pushes SLUG: accepted pushes to it, as the service counts them.
pushes() {
	fake log >"$T/log.json"
	json "$T/log.json" "len([e for e in j['effects'] if e['effect'] == 'push' and e['slug'] == '$1'])"
}
# kernel FOLDER SLUG 'code' [more members of the metadata]
kernel() {
	mkdir -p "$T/in/$1"
	printf '%s\n' "$3" >"$T/in/$1/main.py"
	printf '{"id": "alice/%s", "title": "%s", "code_file": "main.py", "language": "python", "kernel_type": "script"%s}\n' \
		"$2" "$2" "${4:-}" >"$T/in/$1/kernel-metadata.json"
}
leaks() { fake leaks; }

config '{"poll_seconds": 1, "backends": {"kaggle": {"freshness_seconds": 1}}}'
start_kexec

t "the backend is there and says who we are and what is left"
wait_for grep -q '^ok: user alice' "$M/backends/kaggle/status"
assert_match "$(cat "$M/backends/kaggle/quota")" '^gpu used '
assert_match "$(cat "$M/backends/kaggle/quota")" '^refresh 20.*(Z|[+-]..:..)$'

t "a kernel folder is copied in, runs there and comes back"
script '{"default_run": {"queue_seconds": 0}}'
kernel demo demo-run 'import os
print("metric score=0.5")
os.makedirs("sub", exist_ok=True)
open("sub/out.txt", "w").write("made there")'
cp -r "$T/in/demo" "$M/queue/"
assert_final demo complete
assert_eq "$(cat "$M/runs/demo/results/sub/out.txt")" "made there"
assert_match "$(cat "$M/runs/demo/log")" '^metric score=0.5'
assert_match "$(cat "$M/runs/demo/metrics.csv")" '^0,score,0.5$'
assert_eq "$(json "$M/runs/demo/state.json" "j['backend']")" kaggle
assert_eq "$(json "$M/runs/demo/state.json" "j['kaggle_kernel']")" alice/demo-run
assert_eq "$(pushes demo-run)" 1 "pushes"

t "an answer that is lost leads to no second push"
kernel lost lost-run 'print("once")'
script '{"faults": [{"method": "SaveKernel", "kind": "reset", "when": "after", "nth": 1}]}'
cp -r "$T/in/lost" "$M/queue/"
assert_final lost complete
assert_eq "$(pushes lost-run)" 1 "pushes"

t "kill -9 of the server, and of the whole daemon, while it runs: picked up, pushed once"
script '{"runs": [{"slug": "alice/long-run", "queue_seconds": 1, "run_seconds": 12,
	"log": [[0.5, "begin"], [11, "end"]], "outputs": [{"name": "a.csv", "text": "x\n"}]}]}'
kernel long long-run 'print("x")'
cp -r "$T/in/long" "$M/queue/"
wait_for is_state long running
kill_server
wait_for -n 30 log_has long '^begin'
kill_daemon
start_kexec
assert_final long complete
assert_eq "$(cat "$M/runs/long/results/a.csv")" x
assert_eq "$(cat "$M/runs/long/log")" "begin
end"
assert_eq "$(pushes long-run)" 1 "pushes"

t "kill -9 around the push itself: exactly one push, three times"
for i in 1 2 3; do
	kernel "push$i" "push-run-$i" 'print("x")'
	cp -r "$T/in/push$i" "$M/queue/.push$i"
	mv "$M/queue/.push$i" "$M/queue/push$i"
	kill_server
	assert_final "push$i" complete
	assert_eq "$(pushes "push-run-$i")" 1 "pushes of round $i"
done

t "helpers and data that lie beside the entry file are there as they are here"
kernel helpers helper-run 'import helper
print("metric total=%d" % helper.total(open("data/numbers.txt")))'
printf 'def total(f):\n    return sum(int(l) for l in f)\n' >"$T/in/helpers/helper.py"
mkdir "$T/in/helpers/data"
printf '1\n2\n3\n' >"$T/in/helpers/data/numbers.txt"
cp -r "$T/in/helpers" "$M/queue/"
assert_final helpers complete
assert_match "$(cat "$M/runs/helpers/metrics.csv")" '^0,total,6$'
assert_absent "$M/runs/helpers/results/helper.py"

t "a folder without an id gets a name of its own"
mkdir "$T/in/nameless"
echo 'print("x")' >"$T/in/nameless/main.py"
echo '{"backend": "kaggle"}' >"$T/in/nameless/kexec.json"
cp -r "$T/in/nameless" "$M/queue/"
assert_final nameless complete
assert_match "$(json "$M/runs/nameless/state.json" "j['external_id']")" '^alice/kx-nameless-[0-9a-f]{8}/v1$'

t "an error is told with the service's own words"
script '{"runs": [{"slug": "alice/broken-run", "run_seconds": 1, "log": [[0.1, "stderr", "MemoryError"]], "status": "ERROR",
	"failure_message": "Your notebook tried to allocate more memory than is available."}]}'
kernel broken broken-run 'print("x")'
cp -r "$T/in/broken" "$M/queue/"
assert_final broken failed
assert_match "$(cat "$M/runs/broken/status")" 'oom|memory'

t "hostile outputs stay inside, and what was refused is said"
script '{"runs": [{"slug": "alice/hostile-run", "run_seconds": 0, "log": [], "outputs": [{"name": "good.txt", "text": "1"},
	{"name": "../../up.txt", "text": "x"}, {"name": "/tmp/kexec-absolute", "text": "x"}]}]}'
kernel hostile hostile-run 'print("x")'
cp -r "$T/in/hostile" "$M/queue/"
assert_final hostile complete
assert_eq "$(ls "$M/runs/hostile/results")" good.txt
assert_absent /tmp/kexec-absolute
assert_eq "$(find "$STATE" -name 'up.txt' | wc -l)" 0

t "metadata that Kaggle would not take is rejected before anything is sent"
kernel wrong wrong-run 'print("x")' ', "dataset_sources": ["titanic"]'
cp -r "$T/in/wrong" "$M/queue/"
assert_final wrong rejected
assert_match "$(cat "$M/runs/wrong/validation.txt")" 'titanic.*slash'
assert_eq "$(pushes wrong-run)" 0 "pushes"

t "no credential is anywhere below the mount or in the state, and none went astray"
assert_eq "$(grep -rlF "$KAGGLE_API_TOKEN" "$STATE" "$M/runs" "$M/backends" "$M/log" 2>/dev/null)" ""
leaks >"$T/leaks.json"
assert_eq "$(json "$T/leaks.json" "j['leaks']")" "[]"

t "without credentials the backend says so and is not chosen"
stop_kexec
unset KAGGLE_API_TOKEN
start_kexec
assert_match "$(cat "$M/backends/kaggle/status")" '^no credentials: '
cp -r "$T/in/demo" "$M/queue/here"
assert_final here complete
assert_eq "$(json "$M/runs/here/state.json" "j['backend']")" local
