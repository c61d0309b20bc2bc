#!/bin/bash
# The machine is started anew: dead jobs, drafts that were being written, the queue, removed runs, links.
# limit: 240
# tags: asan
. "$(dirname "$0")/lib.sh"
begin
[ -n "${KEXEC_TEST_PRIVATE:-}" ] || skip_all "needs root and private namespaces"
use_turned_clock
chmod 0711 "$T" && chmod 0755 "$T/in"
config '{"jobs": {"max": 1}, "datasets": {"test/gate": "'"$T/in"'"}}'
gated='import os, time
print("begin", flush=True)
while not os.path.exists("/kaggle/input/gate/go"): time.sleep(0.05)'
begins() { cat "$M/runs/$1"/attempts/*/log | grep -c '^begin'; }
started_at() { json "$M/runs/$1/state.json" 'j["started"]'; }
changes_of() { sed -E 's/.*"to":"([a-z]*)".*/\1/' "$M/runs/$1/events" | tr '\n' ' '; }
others() {
	local pid
	for pid in /proc/[0-9]*; do
		pid=${pid#/proc/}
		[ "$pid" = 1 ] || [ "$pid" = $$ ] || [ "$pid" = "$BASHPID" ] || dead "$pid" || echo "$pid"
	done
}
none_left() { [ -z "$(others)" ]; }
# All stand still before the first one dies: else the daemon sees a job die and goes on with the queue.
kill_others() {
	local pid
	for pid in $(others) $(others); do kill -STOP "$pid" 2>/dev/null; done
	for pid in $(others); do kill -KILL "$pid" 2>/dev/null; done
	none_left
}
# Power off: every process of these namespaces but the script itself; then another boot.
power_cycle() {
	wait_for kill_others || die "processes are left: $(others)"
	wait 2>/dev/null
	KEXEC_PID=
	unmount_hard
	reboot_machine || die "no other boot"
}

start_kexec
submit_script done 'print("done")'
assert_final done complete
submit_script done 'print("done again")'
assert_final done-2 complete
for name in week young; do
	submit_script $name 'print(1)'
	assert_final $name complete
	rmdir "$M/runs/$name"
done
submit_script once "$gated" '{"retry": {"max_attempts": 1, "delay_seconds": 0}}'
wait_for log_has once begin || die "$(cat "$M/runs/once/status")"
for name in q1 q2 q3; do submit_script $name 'print("begin")' "{\"priority\": $([ $name = q2 ] && echo 8 || echo 5)}"; done
mkdir "$M/queue/whole" "$M/queue/.staged" "$M/queue/written" "$M/queue/empty"
echo 'print(1)' >"$M/queue/.staged/main.py"
(
	exec 8>"$M/queue/written/main.py"
	echo 'print(1)' >&8
	exec sleep 1000
) &
wait_for test -s "$M/queue/written/main.py"
results=$(ls "$M/runs/done-2/results"; cat "$M/runs/done-2/state.json" "$M/runs/done-2/events")
power_cycle

t "a job of the other boot is known to be dead, and is run again exactly once"
start_kexec
second_begun() { grep -q '^begin' "$M/runs/once/attempts/2/log"; }
wait_for -n 60 second_begun
wait_for is_state once running
assert_eq "$(ls "$M/runs/once/attempts" | tr '\n' ' ')" "1 2 "
assert_eq "$(begins once)" 2 "executions"
assert_match "$(json "$M/runs/once/state.json" 'j["attempt"]')" '^2$'
assert_match "$(changes_of once)" 'running collecting retrying queued submitting running $'
assert_match "$(grep retrying "$M/runs/once/events")" 'machine went down'

t "the queue is still there"
# While `once` was to be tried again, the first of the queue may have had the place.
at_rest() { [[ $(state_of q2) =~ ^(queued|waiting|complete)$ ]]; }
wait_for at_rest
assert_match "$(state_of q1) $(state_of q3)" '^((queued|waiting) ?){2}$'

t "a draft that was being written stays a draft and says why"
assert_match "$(cat "$M/runs/written/status")" '^draft .*mount was lost while it was written'
assert_eq "$(cat "$M/queue/written/main.py")" "print(1)"
assert_eq "$(final_state written 40)" draft
ok bash -c "echo submit > '$M/runs/written/ctl'"
wait_for not_draft written
assert_eq "$(state_of empty)" draft
assert_eq "$(cat "$M/queue/.staged/main.py")" "print(1)"
assert_absent "$M/runs/.staged"

t "and goes on like any other after a further change"
echo 'print("begin")' >"$M/queue/empty/main.py"
wait_for not_draft empty

t "links, results, removed runs and what was known are as before"
assert_eq "$(readlink "$M/latest/done")" ../runs/done-2
assert_eq "$(readlink "$M/latest/q2")" ../runs/q2
assert_eq "$(ls "$M/runs/done-2/results"; cat "$M/runs/done-2/state.json" "$M/runs/done-2/events")" "$results"
assert_exists "$M/removed/week/log"
assert_exists "$M/removed/young/log"

t "a second power cut: it was to be tried once, so it has failed, and the queue goes on"
power_cycle
start_kexec
assert_final once failed
assert_eq "$(begins once)" 2 "executions"
assert_eq "$(json "$M/runs/once/state.json" 'j["error_class"]')" infra
for name in q1 q2 q3 written empty; do
	assert_final $name complete
done
assert_eq "$(begins q1)$(begins q2)$(begins q3)" 111 "executions"
first_start() { grep -m 1 '"to":"submitting"' "$M/runs/$1/events" | grep -o '"time":"[^"]*"'; }
assert_eq "$(for q in q1 q2 q3; do echo "$(first_start $q) $q"; done | sort | sed 's/.* //' | tr '\n' ' ')" \
	"q2 q1 q3 " "order of their starts"
assert_eq "$(runs_named once)" 1
for q in q1 q2 q3; do assert_eq "$(ls "$M/runs/$q/attempts")" 1 "attempts of $q"; done
[ $CASE_BAD = 0 ] || for q in once q1 q2 q3; do sed "s/^/# $q /" "$M/runs/$q/events"; done

t "retry of it is the same run, once more"
: >"$T/in/go"
ok bash -c "echo retry > '$M/runs/once/ctl'"
assert_final once complete
assert_eq "$(begins once)" 3 "executions"

t "six days off: what was removed is still there; a week off: it is gone, with its files"
ids=$(for name in week young; do json "$M/removed/$name/state.json" 'j["id"]'; done)
mv "$M/removed/young" "$M/runs/"
power_cycle
jump $((6 * 86400))
start_kexec
assert_exists "$M/removed/week/log"
rmdir "$M/runs/young"
power_cycle
jump $((8 * 86400))
start_kexec
week_gone() { [ ! -e "$M/removed/week" ] && [ ! -e "$STATE/runs/${ids%%$'\n'*}" ]; }
wait_for week_gone
assert_exists "$M/removed/young/log"
assert_exists "$STATE/runs/${ids##*$'\n'}"

t "a clock that jumps after the start does not finish the week"
jump $((4000 * 86400))
submit_script more 'print(1)'
assert_final more complete
id=$(json "$M/runs/more/state.json" 'j["id"]')
rmdir "$M/runs/more"
rm -rf "$M/removed/more"
more_gone() { [ ! -e "$STATE/runs/$id" ]; }
wait_for more_gone
assert_exists "$M/removed/young/log"
ok mv "$M/removed/young" "$M/runs/"
