#!/bin/bash
# Sentences for people in Japanese; states, verbs, keys and file names as always.
. "$(dirname "$0")/lib.sh"
locale_dir=$(dirname "$KEXECFS")
for d in "$locale_dir/base/po" "$locale_dir/fs/base/po"; do
	[ -f "$d/ja/LC_MESSAGES/kexec.mo" ] && export KEXEC_LOCALEDIR=$d
done
[ -n "${KEXEC_LOCALEDIR:-}" ] || skip_all "the catalogue was not built (is gettext installed?)"
begin
config '{"language": "ja"}'
start_kexec
kana='(の|は|を|に|が|て|で)'

t "a refused word: the sentence is Japanese, the errno is the errno"
submit_script done 'print(1)'
assert_final done complete
assert_errno EBUSY bash -c "echo cancel > '$M/runs/done/ctl'"
assert_match "$(head -n 1 "$M/runs/done/ctl")" "$kana"
assert_match "$(cat "$M/runs/done/status")" '^complete '

t "validation.txt is Japanese, validation.json keeps its keys"
submit_script wrong 'print(1)' '{"memroy_gb": 3}'
assert_final wrong rejected
assert_match "$(cat "$M/runs/wrong/validation.txt")" "$kana"
assert_match "$(cat "$M/runs/wrong/validation.txt")" 'memory_gb'
ok "$PY" -c 'import json, sys; json.load(open(sys.argv[1]))' "$M/runs/wrong/validation.json"

t "a draft says in Japanese what it waits for; README and dashboard are Japanese"
mkdir "$M/queue/empty"
wait_for bash -c "grep -qE '$kana' '$M/runs/empty/status'"
assert_match "$(cat "$M/runs/empty/status")" '^draft '
assert_match "$(cat "$M/index.html")" "$kana"

t "runs.csv, state.json, events and the log stay as they are"
assert_match "$(head -n 1 "$M/runs.csv")" '^name,kind,backend,state,'
assert_eq "$(json "$M/runs/done/state.json" 'j["state"]')" complete
assert_no_match "$(cut -d'"' -f2,4,6,8 "$STATE/log" | head -n 50)" "$kana"

t "English where the configuration says so, whatever LANG is"
stop_kexec
config '{"language": "en"}'
LANG=ja_JP.UTF-8 LC_ALL='' LANGUAGE=ja start_kexec
assert_errno EBUSY bash -c "echo cancel > '$M/runs/done/ctl'"
assert_no_match "$(head -n 1 "$M/runs/done/ctl")" "$kana"
