#!/bin/bash
# The kill matrix of Kaggle: the server dies at every durable step and around every call, replies are lost, late or cut;
# each run is pushed exactly once and ends. KEXEC_KILLS_STEP=1 takes every point (default: every third).
# limit: 850
# tags: fault
. "$(dirname "$0")/lib.sh"
begin
"$PY" "$SOURCE_ROOT/tests/clouds/kaggle/main.py" --port-file "$T/port" --with-parent >"$T/fake.out" 2>&1 &
wait_for test -s "$T/port" || die "the fake service did not start: $(cat "$T/fake.out")"
base=http://127.0.0.1:$(cat "$T/port")
export KEXEC_KAGGLE_URL=$base/api/v1 KAGGLE_API_TOKEN=KGAT_0123456789abcdef0123456789abcdef no_proxy='*'
unset http_proxy https_proxy KAGGLE_USERNAME KAGGLE_KEY
export KEXEC_FAULT=$T/fault KEXEC_KILLS_STEP=${KEXEC_KILLS_STEP:-3}
head -c 4096 /dev/zero >"$KEXEC_FAULT"
chmod 0666 "$KEXEC_FAULT"
# The time after which a push that left no trace counts as not made is two minutes; here it is three seconds.
config '{"poll_seconds": 1, "backends": {"kaggle": {"freshness_seconds": 1, "doubt_seconds": 3}}}'
start_kexec

t "exactly one push for each run, whatever died when and whatever became of the reply"
wait_for grep -q '^ok' "$M/backends/kaggle/status"
"$PY" "$(dirname "$0")/kaggle_kills.py" "$M" "$KEXEC_FAULT" "$base" >"$T/kills" 2>&1 || complain "$(grep -v '^# [a-z]*: ' "$T/kills" | head -n 20)"
sed 's/^[^#]/# &/' "$T/kills"

t "no credential is in the state, the logs or the mount"
assert_eq "$(grep -rlF "$KAGGLE_API_TOKEN" "$STATE" "$M/runs" "$M/backends" "$M/log" 2>/dev/null)" ""
stop_kexec
