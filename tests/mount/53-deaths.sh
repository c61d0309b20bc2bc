#!/bin/bash
# The server dies at every coded point of every kind of request: nobody who uses the mount notices.
# limit: 850
# tags: fault
. "$(dirname "$0")/lib.sh"
begin
export KEXEC_FAULT=$T/fault
head -c 4096 /dev/zero >"$KEXEC_FAULT"
chmod 0666 "$KEXEC_FAULT"
config '{"submit": "explicit"}'

# deaths: the whole series on a fresh mount.
deaths() {
	start_kexec
	submit_script done 'print("done")'
	assert_final done complete
	submit_script held 'print(1)' '{"confirm": true}'
	wait_for is_state held confirm
	"$PY" "$(dirname "$0")/deaths.py" "$M" "$KEXEC_FAULT" "$STATE" >"$T/deaths" 2>&1 || complain "$(grep -v '^#.*deaths$' "$T/deaths" | head -n 20)"
	cat "$T/deaths"
	assert_eq "$(state_of held)" confirm
	stop_kexec
}

t "the kernel sends again what a dead server had in hand"
deaths

t "the same where the kernel cannot: the next server takes it from memory"
rm -rf "$STATE"
export KEXEC_NO_RESEND=1
deaths
unset KEXEC_NO_RESEND
