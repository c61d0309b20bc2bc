#!/bin/bash
# Every example runs: the notebook, the script, the failing one, a user's shell script, the way through Kaggle.
# limit: 300
# tags: quick
. "$(dirname "$0")/lib.sh"
begin
unset KAGGLE_API_TOKEN KAGGLE_USERNAME KAGGLE_KEY KAGGLE_CONFIG_DIR KEXEC_KAGGLE_URL
start_kexec
ex=$SOURCE_ROOT/examples

t "script: gradient descent reports its loss by step and draws it"
ok cp -r "$ex/script" "$M/queue/"
assert_final script complete
assert_eq "$(grep -c ',loss,' "$M/runs/script/metrics.csv")" 40
assert_exists "$M/runs/script/results/model.json"
assert_eq "$(json "$M/runs/script/results/model.json" 'abs(j["slope"] - 3) < 0.1')" true

t "failing: classified as a missing module, back to a person"
ok cp -r "$ex/failing" "$M/queue/"
assert_final failing failed
assert_eq "$(json "$M/runs/failing/state.json" 'j["error_type"]')" missing_dep
assert_match "$(cat "$M/runs/failing/report.md")" 'a_module_that_nobody_has|a\\_module'

t "titanic: the notebook completes, its score is the one it has outside"
if "$PY" -c 'import nbclient, ipykernel, pandas, sklearn' 2>/dev/null; then
	ok cp -r "$ex/titanic" "$M/queue/"
	assert_eq "$(final_state titanic 120)" complete "$(cat "$M/runs/titanic/status")"
	assert_eq "$(wc -l <"$M/runs/titanic/results/submission.csv")" 419
	assert_match "$(cat "$M/runs/titanic/metrics.csv")" 'cv_accuracy,0\.8[0-9]+'
	assert_eq "$(grep -c fold_accuracy "$M/runs/titanic/metrics.csv")" 5
else
	skip "nbclient, ipykernel, pandas or scikit-learn is not installed for $PY"
fi

t "use-the-mount.sh: submits, waits, lists results and the best runs"
ok sh "$ex/use-the-mount.sh" "$ex/script" "$M"
out=$(sh "$ex/use-the-mount.sh" "$ex/script" "$M" 2>&1)
assert_match "$out" '^submitted as .*/runs/script-3$'
assert_match "$out" '^complete '
assert_match "$out" 'model\.json'
assert_match "$out" 'loss'

t "use-the-mount.sh of a failing folder exits with 1 and shows the report"
out=$(sh "$ex/use-the-mount.sh" "$ex/failing" "$M" 2>&1)
assert_eq $? 1
assert_match "$out" 'missing_dep|a_module|module'

t "kaggle: without an account the folder for Kaggle runs here"
if "$PY" -c 'import nbclient, ipykernel' 2>/dev/null; then
	ok cp -r "$ex/kaggle" "$M/queue/"
	assert_final kaggle complete
	assert_eq "$(json "$M/runs/kaggle/state.json" 'j["backend"]')" local
	assert_eq "$(grep -c fold_accuracy "$M/runs/kaggle/metrics.csv")" 5
	assert_exists "$M/runs/kaggle/results/predictions.csv"
else
	skip "nbclient or ipykernel is not installed for $PY"
fi

t "kaggle-demo: the same folder through a pretended Kaggle, pushed once, and nothing is left"
if ! command -v fusermount3 >/dev/null; then
	skip "fusermount3 is not installed"
elif ! "$PY" -c 'import ctypes.util, sys; sys.exit(not any(map(ctypes.util.find_library, ("curl", "curl-gnutls"))))'; then
	skip "libcurl is not installed"
else
	mkdir "$T/demo"
	# The proxy is one that nobody answers: the demonstration must not need it.
	out=$(TMPDIR=$T/demo KEXECFS=$KEXECFS http_proxy=http://127.0.0.1:9 timeout -k 15 120 "$ex/kaggle-demo" 2>&1 </dev/null)
	assert_eq $? 0 "exit status of kaggle-demo ($out)"
	assert_match "$out" '^ok: user alice'
	assert_match "$out" '^complete 100% kaggle '
	assert_match "$out" '^metric accuracy=0\.8'
	assert_match "$out" 'predictions\.csv$'
	assert_eq "$(grep -c '^dataset kx-' <<<"$out")" 1 "data sets"
	assert_eq "$(grep -c '^push kx-kaggle-[0-9a-f]* 1$' <<<"$out")" 1 "pushes"
	assert_eq "$(grep -c '^push' <<<"$out")" 1 "pushes of any name"
	assert_eq "$(ls -A "$T/demo")" "" "left behind"
fi
