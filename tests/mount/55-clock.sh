#!/bin/bash
# A wall clock that jumps (ten years on, ten years back, three hours) changes no state, limit or duration.
# limit: 240
# tags: asan
. "$(dirname "$0")/lib.sh"
begin
use_turned_clock
YEARS=315576000 HOURS=10800
config '{"jobs": {"max": 1}, "poll_seconds": 1, "datasets": {"test/gate": "'"$T/in"'"}}'
chmod 0711 "$T" && chmod 0755 "$T/in" # where root tests, jobs run as nobody
start_kexec

# A job that runs until the test lets it, asked for with limits that a jump would pass.
gated='import os, time
while not os.path.exists("/kaggle/input/gate/go"): time.sleep(0.05)
print("metric done=1")'
limits='{"hours": 1, "max_hours": 2}'
year_in() { date -d "@$(($(date +%s) + $1))" +%Y; }
# Fields of the status line; the year of its clock time.
elapsed_of() { cut -d' ' -f4 "$M/runs/$1/status"; }
year_told() { sed -E 's/.*\(at ([0-9]+)-.*/\1/' "$M/runs/$1/status"; }
tells_year() { [ "$(year_told "$1")" = "$2" ]; }
seconds_of() { IFS=: read -r h m s <<<"$1"; echo $((10#$h * 3600 + 10#$m * 60 + 10#$s)); }
young() { [ "$(seconds_of "$(elapsed_of "$1")")" -lt 240 ] || complain "elapsed of $1: $(cat "$M/runs/$1/status")"; }
all_events() { cat "$M"/runs/{again,gated,queued}/events; }
# Every time in a file for programs says its offset.
assert_offsets() {
	assert_eq "$(cat "$@" | grep -oE '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+.{0,6}' | grep -vE '(Z|[+-][0-9]{2}:[0-9]{2})')" \
		"" "times without offset"
}

submit_script again 'raise ConnectionError("Connection reset by peer")' '{"retry": {"max_attempts": 3, "delay_seconds": 3000}}'
wait_for is_state again retrying || die "$(cat "$M/runs/again/status")"
submit_script kept 'print(1)'
assert_final kept complete
submit_script gone 'print(1)'
assert_final gone complete
submit_script other 'print(1)'
assert_final other complete
rmdir "$M/runs/kept" "$M/runs/gone" "$M/runs/other"
submit_script gated "$gated" "$limits"
wait_for is_state gated running || die "$(cat "$M/runs/gated/status")"
submit_script queued 'print("metric done=1")'
assert_match "$(state_of queued)" '^(queued|waiting)$'
before=$(all_events)

# survived YEAR: the daemon has lived in that year and nothing happened because of it.
survived() {
	wait_for tells_year gated "$1"
	assert_eq "$(state_of gated) $(state_of again)" "running retrying"
	assert_match "$(state_of queued)" '^(queued|waiting)$'
	assert_eq "$(all_events)" "$before" "events"
	young gated
	assert_no_match "$(cat "$M/runs/gated/status")" 'eta [0-9]{3,}:'
}

t "ten years on: runs, queue, retry and limits do not notice"
jump $YEARS
survived "$(year_in $YEARS)"

t "housekeeping in that year throws nothing away"
gone_id=$(json "$M/removed/gone/state.json" 'j["id"]')
rm -rf "$M/removed/gone"
files_gone() { [ ! -e "$STATE/runs/$gone_id" ]; }
wait_for files_gone
assert_exists "$M/removed/kept"

t "ten years back"
jump -$YEARS
survived "$(year_in -$YEARS)"
submit_script in_the_past 'print(1)' '{"priority": 9}'
assert_match "$(state_of in_the_past)" '^(queued|waiting)$'
ok bash -c "echo cancel > '$M/runs/in_the_past/ctl'"
assert_final in_the_past cancelled

t "a draft settles by its own time, whatever the wall clock does meanwhile"
begun=$(millis)
mkdir "$M/queue/settles"
# Written by this shell, which lives on: five seconds.
printf 'print(1)\n' >"$M/queue/settles/main.py"
for seconds in $YEARS -$YEARS $HOURS; do
	jump "$seconds"
	pause 0.5
	assert_eq "$(state_of settles)" draft
done
wait_for not_draft settles
took=$(($(millis) - begun))
[ $took -ge 5000 ] || complain "submitted after $took ms"
survived "$(year_in $HOURS)"

t "three hours on, and back to the right time"
jump $HOURS
pause 1.5 # a wrong reaction would need one look of the scheduler
survived "$(year_in $HOURS)"
jump 0
pause 1.5
survived "$(year_in 0)"

t "the server dies in another year: nothing changes"
jump $YEARS
survived "$(year_in $YEARS)"
kill_server
survived "$(year_in $YEARS)"
jump -$YEARS
kill_server
survived "$(year_in -$YEARS)"

t "the daemon stops and starts in another year: nothing changes"
jump $YEARS
survived "$(year_in $YEARS)"
stop_kexec
jump -$YEARS
start_kexec
survived "$(year_in -$YEARS)"
assert_exists "$M/removed/kept"

t "a week in which the machine was not up that long deletes nothing"
stop_kexec
jump $((8 * 86400))
start_kexec
other_id=$(json "$M/removed/other/state.json" 'j["id"]')
rm -rf "$M/removed/other"
other_gone() { [ ! -e "$STATE/runs/$other_id" ]; }
wait_for other_gone
assert_exists "$M/removed/kept"
jump $YEARS
survived "$(year_in $YEARS)"

t "runs end normally after the jump, and say honestly when"
: >"$T/in/go"
assert_final gated complete
assert_final queued complete
assert_final settles complete
young gated
assert_match "$(json "$M/runs/gated/state.json" 'j["started"]')" "^$(year_in 0)-"
assert_match "$(json "$M/runs/gated/state.json" 'j["ended"]')" "^$(year_in $YEARS)-"
assert_match "$(json "$M/runs/queued/state.json" 'j["started"]')" "^$(year_in $YEARS)-"
wait_for grep -q '^gated,.*complete' "$M/runs.csv"
assert_eq "$("$PY" -c 'import csv, sys
print([r["name"] for r in csv.DictReader(open(sys.argv[1])) if r.get("elapsed_s") and not 0 <= float(r["elapsed_s"]) < 300])' "$M/runs.csv")" "[]" "durations in runs.csv"

t "the report measures time, not the calendar"
report=$(cat "$M/runs/gated/report.md")
assert_match "$report" "$(year_in 0)-"
assert_match "$report" "$(year_in $YEARS)-"
assert_no_match "$report" '[^0-9][0-9]{2}[1-9][0-9]*:[0-9]{2}:[0-9]{2}|[^-0-9 ][0-9]{3,}:[0-9]{2}:[0-9]{2}'

t "what that run took is what the next one is expected to take"
rm "$T/in/go"
submit_script gated "$gated" "$limits"
wait_for is_state gated-2 running
eta_of_second() { json "$M/runs/gated-2/state.json" 'j["eta_seconds"] is None or 0 <= j["eta_seconds"] < 300' | grep -q true; }
ok eta_of_second
: >"$T/in/go"
assert_final gated-2 complete
assert_no_match "$(cat "$M/alerts")" 'longer than expected'

t "a retry comes after its pause, although the clock was set back meanwhile"
submit_script soon 'raise ConnectionError("Connection reset by peer")' '{"retry": {"max_attempts": 2, "delay_seconds": 2}}'
wait_for is_state soon retrying
jump -$YEARS
assert_eq "$(final_state soon 30)" failed
assert_eq "$(ls "$M/runs/soon/attempts" | wc -l)" 2

t "every time in a file for programs has its offset"
assert_offsets "$M"/runs/*/events "$M"/runs/*/state.json "$M/alerts" "$M/log" "$M/runs.csv"
assert_match "$(json "$M/runs/gated/state.json" 'j["ended"]')" '[+-][0-9]{2}:[0-9]{2}$'

t "the pages are renewed also in a year before the one they were made in"
jump $YEARS
submit_script late 'print(1)'
assert_final late complete
wait_for grep -q '^late,.*complete' "$M/runs.csv"
jump -$YEARS
submit_script early 'print(1)'
assert_final early complete
wait_for grep -q '^early,.*complete' "$M/runs.csv"
wait_for grep -q 'runs/early' "$M/index.html"
