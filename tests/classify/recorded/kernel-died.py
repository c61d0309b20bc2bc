# class: kernel_died
# shows: ^nbclient.exceptions.DeadKernelError: Kernel died$
import os
import signal
os.kill(os.getpid(), signal.SIGKILL)
