#!/bin/bash
# Kernels and data sets by name, with the fake service behind the real mount: read, forked, adopted, sent; and the service away.
# limit: 300
# tags: asan tsan
. "$(dirname "$0")/lib.sh"
begin
fake=$SOURCE_ROOT/tests/clouds/kaggle/main.py
[ -f "$fake" ] || skip_all "the fake service is not there"
start_fake() { # PORT
	rm -f "$T/port"
	"$PY" "$fake" --port "$1" --port-file "$T/port" --with-parent >>"$T/fake.out" 2>&1 &
	fake_pid=$!
	wait_for test -s "$T/port" || die "the fake service did not start: $(cat "$T/fake.out")"
}
start_fake 0
port=$(cat "$T/port")
base=http://127.0.0.1:$port
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
effects() { # KIND EXPR: how many of that kind, e being one
	fake log >"$T/log.json"
	json "$T/log.json" "len([e for e in j['effects'] if e['effect'] == '$1' and ($2)])"
}
requests() { # METHOD
	fake log >"$T/log.json"
	json "$T/log.json" "len([r for r in j['requests'] if '$1' in json.dumps(r)])"
}
K=$M/backends/kaggle/kernels
D=$M/backends/kaggle/datasets

config '{"poll_seconds": 1, "backends": {"kaggle": {"freshness_seconds": 2}}}'
start_kexec

t "nothing is listed and nobody is asked before something is opened by its name"
assert_eq "$(ls "$K")" ""
assert_eq "$(ls "$M/backends/kaggle")" "config.json
ctl
datasets
kernels
quota
runs
status"
ok ls -l "$K/bob/public-demo"
ok test -d "$K/bob/public-demo/source"
assert_eq "$(requests GetKernel)" 0 "calls of GetKernel"

t "names that cannot be are not there; what the service does not show is refused"
for name in x/abcde 'bob/a b' 'bob/äöüäöü' 'bob/--------' "bob/$(printf 'a%.0s' {1..80})" 'b,ob/public-demo' 'bob/UPPER-case'; do
	assert_call ENOENT 'os.stat(a[0] + "/status")' "$K/nobody/$name"
done
assert_call ENOENT 'open(a[0])' "$K/a,b/public-demo/status"
assert_call EACCES 'open(a[0])' "$K/bob/secret-demo/status"
assert_match "$(head -n 1 "$K/bob/secret-demo/ctl")" '[Pp]ermission|denied|403'

t "a public kernel: its source and metadata, without an id"
assert_eq "$(ls "$K/bob/public-demo/source")" "kernel-metadata.json
public-demo.py"
assert_eq "$(cat "$K/bob/public-demo/source/public-demo.py")" "print('from bob')"
meta=$K/bob/public-demo/source/kernel-metadata.json
assert_eq "$(json "$meta" "j.get('id')")" ""
assert_eq "$(json "$meta" "[j['code_file'], j['is_private'], j['kernel_type']]")" '["public-demo.py", true, "script"]'

t "cp -r of a source into the queue is a fork, which runs under a slug of its own"
script '{"default_run": {"queue_seconds": 0}}'
ok cp -r "$K/bob/public-demo/source" "$M/queue/mine"
assert_final mine complete
assert_match "$(cat "$M/runs/mine/log")" 'from bob'
assert_eq "$(effects push "e['slug'].startswith('kx-')")" 1 "pushes"

t "status, log and output of a version that has ended"
script '{"kernels": {"alice/ended-one": {"kernelExecutionType": "", "text": "print(1)"}},
	"runs": [{"slug": "alice/ended-one", "queue_seconds": 0, "run_seconds": 0, "log": [[0, "all said"]],
	"outputs": [{"name": "sub/a.csv", "text": "x\n"}, {"name": "../up", "text": "no"}]}]}'
wait_for grep -q '^complete - kaggle - version 1 (at 20' "$K/alice/ended-one/status"
assert_eq "$(cat "$K/alice/ended-one/log")" "all said"
assert_eq "$(cat "$K/alice/ended-one/output/sub/a.csv")" x "a name in a folder that was not opened before"
assert_eq "$(cd "$K/alice/ended-one/output" && find . -type f)" ./sub/a.csv
ok cp -r "$K/alice/ended-one" "$T/copy"
assert_eq "$(cat "$T/copy/output/sub/a.csv")" x

t "what does not change is brought once, whatever time passes"
assert_errno EROFS touch "$K/alice/ended-one/output/new"
lists=$(requests ListKernelSessionOutput) gets=$(requests GetKernel)
asked_again() { ls "$K/alice/ended-one/output" && [ "$(requests GetKernel)" -gt "$gets" ]; }
wait_for asked_again
assert_eq "$(requests ListKernelSessionOutput)" "$lists" "lists of outputs"

t "adopt: a running version becomes a run, is never pushed again, and its output comes"
script '{"kernels": {"alice/at-work": {"kernelExecutionType": "", "text": "print(1)"}},
	"runs": [{"slug": "alice/at-work", "queue_seconds": 0, "run_seconds": 8, "log": [[0.5, "begin"]],
	"outputs": [{"name": "b.csv", "text": "y\n"}]}]}'
wait_for grep -q '^running' "$K/alice/at-work/status"
assert_call EAGAIN 'os.listdir(a[0])' "$K/alice/at-work/output"
assert_match "$(cat "$K/alice/at-work/ctl")" 'has not ended'
pushes=$(effects push "e['slug'] == 'at-work'")
ok sh -c 'echo adopt > "$1"' - "$K/alice/at-work/ctl"
assert_eq "$(state_of at-work)" running
assert_eq "$(json "$M/runs/at-work/state.json" "j['kaggle_kernel']")" alice/at-work
assert_eq "$(cat "$M/runs/at-work/attempts/1/external_id")" alice/at-work/v1
assert_exists "$M/runs/at-work/source/at-work.py"
assert_call EEXIST 'os.write(os.open(a[0], os.O_WRONLY), b"adopt\n")' "$K/alice/at-work/ctl"
assert_call EINVAL 'os.write(os.open(a[0], os.O_WRONLY), b"dance\n")' "$K/alice/at-work/ctl"
kill_server
assert_final at-work complete
assert_eq "$(cat "$M/runs/at-work/results/b.csv")" y
assert_match "$(cat "$M/runs/at-work/log")" '^begin'
assert_eq "$(effects push "e['slug'] == 'at-work'")" "$pushes" "pushes"

t "a new version is seen, and who reads the old one goes on in it"
script '{"kernels": {"alice/two-of-it": {"text": "first version\n"}}}'
exec 7<"$K/alice/two-of-it/source/two-of-it.py"
script '{"kernels": {"alice/two-of-it": {"text": "second version\n"}}}'
second() { ls "$K/alice/two-of-it/source" && grep -q second "$K/alice/two-of-it/source/two-of-it.py"; }
wait_for second
assert_eq "$(cat <&7)" "first version"
exec 7<&-

t "a data set is made by copying and a word, and gets versions with a message"
mkdir -p "$T/in/my-data/sub"
echo 1,2 >"$T/in/my-data/a.csv"
echo deep >"$T/in/my-data/sub/b.txt"
assert_match "$(cat "$D/my-data.status")" '^absent '
ok cp -r "$T/in/my-data" "$D/"
assert_eq "$(ls "$D")" my-data
ok sh -c 'echo upload > "$1"' - "$D/my-data.ctl"
wait_for -n 40 grep -qi '^ready' "$D/my-data.status"
echo 3 >"$D/my-data/c.csv"
ok sh -c 'echo "upload \"v3: added file\"" > "$1"' - "$D/my-data.ctl"
sent() { [ "$(requests CreateDatasetVersion)" -ge 1 ]; }
wait_for sent
fake log >"$T/log.json"
assert_match "$(cat "$T/log.json")" 'v3: added file'
assert_call EINVAL 'os.mkdir(a[0])' "$D/a b"
rm -r "$D/my-data"
assert_absent "$D/my-data"
assert_call EINVAL 'os.write(os.open(a[0], os.O_WRONLY), b"upload\n")' "$D/my-data.ctl"

t "kill -9 of the server while an open waits: it is answered by the next one"
script '{"faults": [{"method": "GetKernel", "kind": "delay", "seconds": 3, "slug": "alice/slow-one", "nth": 1}], "kernels": {"alice/slow-one": {"text": "print(1)\n"}}}'
timeout 60 ls "$K/alice/slow-one/source" >"$T/slow.out" 2>&1 &
waiting=$!
asked() { [ "$(requests slow-one)" -ge 1 ]; }
wait_for asked
kill_server
wait $waiting
assert_eq "$(cat "$T/slow.out")" "kernel-metadata.json
slow-one.py"

t "the service is away: an open can be interrupted, and ends by itself with EAGAIN within a minute"
kill "$fake_pid"
wait "$fake_pid" 2>/dev/null
begun=$(millis)
"$PY" -c '
import os, signal, sys
signal.signal(signal.SIGALRM, lambda *_: sys.exit(7))
signal.alarm(1)
os.listdir(sys.argv[1])' "$K/alice/ended-two/source"
assert_eq $? 7 "exit status of the one that was interrupted"
[ $(($(millis) - begun)) -lt $((15000 * ${KEXEC_TEST_SLOWER:-1})) ] || complain "the interrupt took $(($(millis) - begun)) ms"
out=$(timeout $((90 * ${KEXEC_TEST_SLOWER:-1})) ls "$K/alice/ended-two/source" 2>&1)
assert_match "$out" "$(errno_text EAGAIN)"
[ $(($(millis) - begun)) -lt $((75000 * ${KEXEC_TEST_SLOWER:-1})) ] || complain "EAGAIN took $(($(millis) - begun)) ms"
