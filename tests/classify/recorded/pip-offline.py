# class: no_internet
# offline: yes
# shows: CalledProcessError: .*'pip', 'install'
import subprocess
import sys
subprocess.check_call([sys.executable, "-m", "pip", "install", "-q", "--retries", "0", "--index-url", "https://no-such-host.invalid", "timm"])
