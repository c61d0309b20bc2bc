#!/bin/bash
# Without bubblewrap a job can reach the mount: it may read it, and every change is refused. The user is told.
. "$(dirname "$0")/lib.sh"
need_user
begin
# Every program but bwrap.
mkdir "$T/path"
for dir in /usr/bin /bin; do
	for f in "$dir"/*; do
		[ "$(basename "$f")" = bwrap ] || ln -sf "$f" "$T/path/"
	done
done
PATH=$T/path start_kexec
submit_script victim 'print("victim")'
assert_final victim complete

t "a job reads the mount and changes nothing in it"
submit_script job "import errno, os
m = '$M'
print('read', open(m + '/runs/victim/log').read().strip())
def refused(what, action):
    try:
        action()
        print(what, 'DONE')
    except OSError as e:
        print(what, errno.errorcode[e.errno])
refused('mkdir', lambda: os.mkdir(m + '/queue/evil'))
refused('ctl', lambda: os.write(os.open(m + '/runs/victim/ctl', os.O_WRONLY), b'retry'))
refused('rmdir', lambda: os.rmdir(m + '/runs/victim'))
refused('unlink', lambda: os.unlink(m + '/runs/victim/log'))
refused('rename', lambda: os.rename(m + '/runs/victim', m + '/runs/other'))
refused('note', lambda: open(m + '/knowledge/note.md', 'w'))
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        refused('orphan', lambda: os.mkdir(m + '/queue/evil2'))
        os._exit(0)
    os._exit(0)
os.wait()
import time
deadline = time.time() + 10
while 'orphan' not in open(m + '/runs/job/log').read() and time.time() < deadline: time.sleep(0.1)"
assert_final job complete
for what in mkdir ctl rmdir unlink rename note orphan; do
	assert_match "$(cat "$M/runs/job/log")" "^$what EPERM$"
done
assert_match "$(cat "$M/runs/job/log")" '^read victim$'
assert_eq "$(ls "$M/queue")" ""

t "validation.txt warns of what is not isolated"
assert_match "$(cat "$M/runs/job/validation.txt")" '[Bb]ubblewrap|bwrap|namespace'
