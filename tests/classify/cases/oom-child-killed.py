# A child that ends as the kernel's OOM killer ends one.
# class: oom
# shows: CalledProcessError: .*SIGKILL
import subprocess
subprocess.run(["sh", "-c", "kill -KILL $$"], check=True)
