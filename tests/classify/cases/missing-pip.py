# The package index is asked by a program of its own, which fails.
# class: missing_dep
# shows: CalledProcessError: .*'pip', 'install'.* returned non-zero
import subprocess
import sys
subprocess.check_call([sys.executable, "-m", "pip", "install", "--no-index", "no-such-package-at-all"])
