#!/bin/bash
# What a job sees: its folder, its data, a clean environment. Not the user's credentials, the state or the mount.
# limit: 180
. "$(dirname "$0")/lib.sh"
# Jobs have a /tmp of their own, so a home below /tmp would prove nothing: here everything lies elsewhere, and
# what must be hidden is readable by everybody, so that only the sandbox can hide it.
if [ "$(id -u)" = 0 ] && [ -n "${KEXEC_TEST_PRIVATE:-}" ] && [[ $SOURCE_ROOT != /mnt* && $KEXECFS != /mnt* ]]; then
	mount -t tmpfs -o mode=0755 kexec-test /mnt && export TMPDIR=/mnt
fi
begin
chmod 0755 "$T" "$HOME"
mkdir -p "$HOME/.kaggle" "$HOME/.ssh" "$HOME/.aws" "$T/data/titanic"
echo '{"username":"u","key":"SECRET-kaggle"}' >"$HOME/.kaggle/kaggle.json"
echo SECRET-ssh >"$HOME/.ssh/id_rsa"
echo SERVICE_TOKEN=SECRET-env >"$T/config/.env"
chmod 600 "$T/config/.env"
echo plain >"$HOME/notes.txt"
echo 'a,b' >"$T/data/titanic/train.csv"
export KAGGLE_KEY=SECRET-variable AWS_SECRET_ACCESS_KEY=SECRET-aws OPENAI_API_KEY=SECRET-openai
config "{\"datasets\": {\"owner/titanic\": \"$T/data/titanic\"}}"
start_kexec
bwrap --ro-bind / / true 2>/dev/null || command -v bwrap >/dev/null || skip_all "bubblewrap is not installed"

# probe NAME 'python code' [kexec.json]: run it, give its log.
probe() {
	submit_script "$@" || complain "could not submit $1"
	final_state "$1" 60 >/dev/null
	cat "$M/runs/$1/log"
}

t "no credentials: not in files, not in the environment"
out=$(probe secrets 'import os
found = []
for top in ("'"$HOME"'", "'"$T"'", "/root", "/home", os.path.expanduser("~")):
    for d, ds, fs in os.walk(top):
        for f in fs:
            try: text = open(os.path.join(d, f), errors="replace").read(100000)
            except OSError: continue
            if "SECRET" + "-" in text: found.append(os.path.join(d, f))
found += [k for k, v in os.environ.items() if "SECRET" + "-" in v]
for pid in os.listdir("/proc"):
    if pid.isdigit():
        try:
            if b"SECRET" + b"-" in open(f"/proc/{pid}/environ", "rb").read(): found.append("/proc/" + pid)
        except OSError: pass
print("found", found)')
assert_match "$out" '^found \[\]'

t "no sight of the state directory or the mount"
out=$(probe sight 'import os
for p in ("'"$STATE"'/kexec.db", "'"$M"'/README", "'"$STATE"'/log"):
    print(p, os.path.exists(p))')
assert_no_match "$out" 'True'

t "no other processes: cannot signal the daemon"
out=$(probe procs 'import os
names = set()
for p in os.listdir("/proc"):
    if p.isdigit():
        try: names.add(open(f"/proc/{p}/comm").read().strip())
        except OSError: pass
print("sees", sorted(names))
try:
    os.kill('"$KEXEC_PID"', 0); print("signal possible", open("/proc/'"$KEXEC_PID"'/comm").read())
except (ProcessLookupError, PermissionError) as e: print("no signal")')
assert_no_match "$out" 'signal possible kexecfs'
assert_no_match "$out" "kexecfs|'tail'"

t "the environment is clean, what kexec.json names is there"
out=$(probe environ 'import os
for k in sorted(os.environ): print("env", k, os.environ[k])' '{"env": {"SEED": "42", "WORD": "語 $HOME `x`"}}')
assert_match "$out" '^env SEED 42$'
assert_match "$out" '^env WORD 語 \$HOME `x`$'
assert_no_match "$out" 'KAGGLE_KEY|AWS_|OPENAI|XDG_STATE_HOME|KEXECFS'

t "the source cannot be changed by the job"
out=$(probe tamper 'import os, glob
for p in ["main.py"] + glob.glob("/kaggle/*/*") + glob.glob("/kaggle/src/*"):
    try:
        open(p, "a").write("tampered")
    except OSError as e: pass
print("done")')
assert_no_match "$(cat "$M/runs/tamper/source/main.py")" '^tampered|tampered$'
assert_eq "$(wc -l <"$M/runs/tamper/source/main.py")" 6

t "the rest of the file system is not writable"
out=$(probe writes 'import os
for p in ("/usr/x", "/etc/x", "/var/x", "/root/x", "/home/x"):
    try:
        open(p, "w"); print("wrote", p)
    except OSError: pass
open("/tmp/mine", "w").write("x"); print("tmp fine")')
assert_no_match "$out" 'wrote /(usr|etc)'
assert_match "$out" 'tmp fine'
assert_absent /usr/x
assert_absent /etc/x
assert_absent /tmp/mine

t "it does not run as root"
out=$(probe whoami 'import os
print("uid", os.getuid())
try:
    os.chroot("/"); print("privileged")
except OSError: print("unprivileged")
print("caps", [l for l in open("/proc/self/status") if l.startswith("CapEff")])')
assert_match "$out" '^unprivileged'
assert_match "$out" 'CapEff:.t0000000000000000'

t "internet false has no network at all, not even abstract sockets of others"
out=$(probe offline 'import socket
s = socket.socket()
s.settimeout(3)
try:
    s.connect(("1.1.1.1", 53)); print("connected")
except OSError as e: print("no network", e)
print([n for i, n in socket.if_nameindex()])
try:
    socket.getaddrinfo("example.com", 80); print("resolved")
except OSError: print("no names")' '{"internet": false}')
assert_match "$out" 'no network'
assert_match "$out" 'no names'
assert_match "$out" "^\['lo'\]|^\[\]"

t "internet false: a server of this machine on 127.0.0.1 cannot be reached"
"$PY" -u -m http.server --bind 127.0.0.1 --directory "$T/data" 0 >"$T/http" 2>&1 &
http=$!
wait_for grep -q 'port [0-9]' "$T/http"
port=$(grep -o 'port [0-9]*' "$T/http" | grep -o '[0-9]*')
out=$(probe loop "import socket
try:
    socket.create_connection(('127.0.0.1', ${port:-1}), 3); print('reached')
except OSError as e: print('not reached', e)" '{"internet": false}')
assert_match "$out" 'not reached'
kill $http

t "a dataset is at /kaggle/input, read-only; /kaggle/working is the working directory"
out=$(probe data 'import os
print(os.getcwd())
print(open("/kaggle/input/titanic/train.csv").read().strip())
try:
    open("/kaggle/input/titanic/x", "w"); print("writable")
except OSError: print("read-only")
open("/kaggle/working/out.txt", "w").write("from the job")' '{"datasets": {"owner/titanic": "'"$T/data/titanic"'"}}')
assert_match "$out" '^/kaggle/working$'
assert_match "$out" '^a,b$'
assert_match "$out" '^read-only$'
assert_eq "$(cat "$M/runs/data/results/out.txt")" "from the job"

t "a dataset can never be the credentials, the state or the mount"
for p in "$HOME/.kaggle" "$HOME/.ssh" "$STATE" "$M" "$T/config" /; do
	submit_script grab 'import os
for d, ds, fs in os.walk("/kaggle/input"):
    for f in fs: print("got", os.path.join(d, f))' "{\"datasets\": {\"a/b\": \"$p\"}}"
	run=$(basename "$(readlink "$M/latest/grab")")
	final_state "$run" >/dev/null
	assert_no_match "$(cat "$M/runs/$run/log" 2>/dev/null)" 'kaggle.json|id_rsa|kexec.db|config.json' "$p"
done

t "parameters reach a script"
out=$(probe params 'import json, os
print("params", {k: v for k, v in os.environ.items() if "PARAM" in k.upper()})' '{"parameters": {"lr": 0.1}}')
assert_match "$out" '0\.1'

t "two jobs do not see each other's files"
submit_script left 'import time, os
open("/tmp/left", "w").write("x"); open("left.txt", "w").write("x")
print("ready", flush=True); time.sleep(8)'
wait_for log_has left ready
out=$(probe right 'import os
print(os.path.exists("/tmp/left"), os.path.exists("left.txt"), len(os.listdir("/kaggle/working")))')
assert_match "$out" '^False False'

t "nothing secret is shown anywhere in the mount or the log"
out=$(timeout 60 grep -rlE 'SECRET-(kaggle|ssh|env|variable|aws|openai)' "$M" "$STATE/log" 2>/dev/null)
assert_eq "$out" ""
