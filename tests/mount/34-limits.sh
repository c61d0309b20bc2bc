#!/bin/bash
# Limits of an attempt: wall time, memory; and what the configuration forbids a folder to widen.
. "$(dirname "$0")/lib.sh"
begin
start_kexec

t "hours: the attempt is ended, class time_limit"
submit_script slow 'import time
print("started", flush=True)
time.sleep(600)' '{"hours": 0.001}'
start=$SECONDS
assert_final slow failed
[ $((SECONDS - start)) -lt 30 ] || complain "took $((SECONDS - start)) s for a limit of 2 s"
assert_eq "$(json "$M/runs/slow/state.json" 'j["error_type"]')" time_limit

t "a job that ignores SIGTERM is ended as well"
submit_script stubborn 'import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("deaf", flush=True)
while True: time.sleep(1)' '{"hours": 0.001}'
assert_eq "$(final_state stubborn 90)" failed
assert_eq "$(json "$M/runs/stubborn/state.json" 'j["error_type"]')" time_limit

t "memory_gb: class oom, and the machine is unharmed"
submit_script hungry 'x = []
while True: x.append(bytearray(10_000_000))' '{"memory_gb": 0.3}'
assert_eq "$(final_state hungry 90)" failed
assert_eq "$(json "$M/runs/hungry/state.json" 'j["error_type"]')" oom

t "memory shared by children counts too"
submit_script family 'import os, time
for i in range(8):
    if os.fork() == 0:
        x = bytearray(150_000_000)
        for j in range(0, len(x), 4096): x[j] = 1
        time.sleep(60)
        os._exit(0)
time.sleep(60)' '{"memory_gb": 0.5}'
assert_eq "$(final_state family 90)" failed
assert_eq "$(json "$M/runs/family/state.json" 'j["error_type"]')" oom

t "within its limits it runs"
submit_script modest 'x = bytearray(50_000_000); print("fine")' '{"memory_gb": 1, "hours": 0.1}'
assert_final modest complete

t "negative and absurd limits are rejected, not obeyed"
for j in '{"hours": -1}' '{"memory_gb": 0}' '{"priority": 11}' '{"hours": 1e400}' '{"retry": {"max_attempts": -3}}'; do
	submit_script bad 'print(1)' "$j"
	run=$(basename "$(readlink "$M/latest/bad")")
	assert_eq "$(final_state "$run")" rejected "$j"
done
