# class: kernel_died
# shows: DeadKernelError: Kernel died
# as: notebook
print("about to vanish")
# %%
import os
import signal
os.kill(os.getpid(), signal.SIGKILL)
