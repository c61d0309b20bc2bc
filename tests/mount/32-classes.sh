#!/bin/bash
# Every class of errors, by really running what fails that way, and what only looks like it.
# limit: 300
. "$(dirname "$0")/lib.sh"
begin
config '{"jobs": {"max": 4}}'
start_kexec
CASES=$SOURCE_ROOT/tests/classify/cases.py
mkdir "$T/in/cases"
"$PY" "$CASES" build "$T/in/cases" || die "the cases cannot be built"

t "all cases are submitted and end"
for folder in "$T"/in/cases/*/; do
	name=$(basename "$folder")
	ok cp -r "$folder" "$M/queue/.$name"
	ok mv "$M/queue/.$name" "$M/queue/$name"
done
for folder in "$T"/in/cases/*/; do
	assert_match "$(final_state "$(basename "$folder")" 200)" '^(failed|complete)$' "$(basename "$folder")"
done

t "each has its class, its next step and the lines that show it"
if ! "$PY" "$CASES" check "$M/runs" ${KEXEC_TEST_KEEP_LOGS:+"$KEXEC_TEST_KEEP_LOGS"} >"$T/checked"; then
	complain "$(grep -A12 '^not ok' "$T/checked")"
fi
echo "# $(grep -c '^ok' "$T/checked") cases as expected"

t "the user's own rules come first: config folder, classify.rules"
printf '# mine\nquota\tmylib[.]Busy|Busy\tcome back\tretry\n' >"$(dirname "$CONFIG")/classify.rules"
stop_kexec
start_kexec
submit_script busy 'class Busy(Exception): pass
raise Busy("come back tomorrow")'
assert_final busy failed
assert_eq "$(json "$M/runs/busy/state.json" 'j["error_type"]')" quota
