# class: infra
# shows: BrokenProcessPool
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
    pool.submit(os._exit, 1).result()
