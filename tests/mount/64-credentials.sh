#!/bin/bash
# .env beside the configuration: closed to others or refused, and seen nowhere; backends that are switched off.
# tags: quick asan
. "$(dirname "$0")/lib.sh"
begin
canary=hunter2-canary-$RANDOM$RANDOM
env_file=$T/config/.env
refused() {
	local out rc
	out=$(timeout 20 "$KEXECFS" --state "$STATE" --config "$CONFIG" "$M" 2>&1 </dev/null)
	rc=$?
	assert_eq "$rc" 1 "exit status"
	assert_eq "$(wc -l <<<"$out")" 1 "lines"
	assert_match "$out" "^kexecfs: .*$1"
	out+=$("$KEXECFS" --state "$STATE" --config "$CONFIG" --doctor 2>&1)
	assert_match "$out" "missing .*$1"
	assert_no_match "$out" "$canary"
}
put_env() { printf '%b' "$1" >"$env_file" && chmod "$2" "$env_file"; }

t "an .env that others may read is refused, with the command that mends it"
put_env "KAGGLE_KEY=$canary\n" 0644
refused "chmod 600 $env_file"

t "a line that is none is told by its number, never by its text"
put_env "# mine\nKAGGLE_KEY='$canary\n" 0600
refused "$env_file, line 2: must be NAME=VALUE"

t "a closed one is taken, and no job, no file of the mount and no state shows it"
put_env "export KAGGLE_USERNAME=someone\r\nKAGGLE_KEY=\"$canary\" # the key\r\n" 0600
start_kexec
submit_script spy "import glob, os
print('env', dict(os.environ))
for folder in ('$T/config', os.path.expanduser('~'), '/kaggle'):
    for path in glob.glob(folder + '/.*') + glob.glob(folder + '/*'):
        try: print(path, open(path).read())
        except OSError as e: print(path, e)
for pid in os.listdir('/proc'):
    if pid.isdigit():
        try: print(pid, open('/proc/' + pid + '/environ').read())
        except OSError as e: print(pid, e)"
assert_final spy complete
assert_match "$(tr -d '\0' <"$M/runs/spy/log")" '^env '
assert_eq "$(grep -rl "$canary" "$M" "$STATE" 2>/dev/null)" "" "files that show it"
assert_eq "$(cat "$M/backends/local/config.json" | grep -c "$canary")" 0
out=$("$KEXECFS" --state "$STATE" --config "$CONFIG" --doctor 2>&1)
assert_no_match "$out" "$canary"

t "an .env in a submitted folder is kept with it and is nobody's credentials"
mkdir "$M/queue/.own" && printf 'KAGGLE_KEY=%s-own\n' "$canary" >"$M/queue/.own/.env" && chmod 0644 "$M/queue/.own/.env"
echo 'import os; print(sorted(os.environ)); print(os.path.exists(".env"))' >"$M/queue/.own/main.py"
mv "$M/queue/.own" "$M/queue/own"
assert_final own complete
assert_exists "$M/runs/own/source/.env"
assert_no_match "$(cat "$M/runs/own/log")" 'KAGGLE_KEY'

t "a backend that is switched off: what runs there is followed to its end, what waits says why"
chmod 0711 "$T" && chmod 0755 "$T/in"
stop_kexec
config '{"jobs": {"max": 1}, "datasets": {"test/gate": "'"$T/in"'"}}'
start_kexec
submit_script runs 'import os, time
while not os.path.exists("/kaggle/input/gate/go"): time.sleep(0.05)
print("through")'
wait_for is_state runs running
submit_script waits 'print("at last")'
stop_kexec
config '{"jobs": {"max": 1}, "datasets": {"test/gate": "'"$T/in"'"}, "backends": {"local": {"enabled": false}}}'
start_kexec
assert_eq "$(state_of runs)" running
assert_match "$(cat "$M/backends/local/status")" '^disabled: .*backends\.local\.enabled'
assert_eq "$(json "$M/backends/local/config.json" 'j["enabled"]')" false
: >"$T/in/go"
assert_final runs complete
assert_eq "$(cat "$M/runs/runs/log")" through
says_off() { grep -q '^waiting .*backend local is switched off' "$M/runs/waits/status"; }
wait_for says_off

t "a folder for it is rejected with a sentence, named or not"
submit_script unnamed 'print(1)'
submit_script named 'print(1)' '{"backend": "local"}'
for r in unnamed named; do
	assert_final $r rejected
	assert_match "$(cat "$M/runs/$r/validation.txt")" 'The backend local is switched off in the configuration \(backends\.local\.enabled\)'
	assert_absent "$M/runs/$r/attempts/1"
done
"$KEXECFS" --state "$STATE" --config "$CONFIG" --doctor >"$T/doctor" 2>&1
assert_match "$(cat "$T/doctor")" '^ok +local: switched off'

t "switched on again, what waited runs, once"
stop_kexec
config '{}'
start_kexec
assert_match "$(cat "$M/backends/local/status")" '^ok'
assert_final waits complete
assert_eq "$(ls "$M/runs/waits/attempts")" 1
