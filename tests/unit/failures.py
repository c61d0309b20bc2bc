"""Programs that fail, each for a reason that classify.rules should know.

Prints, for every case, a record: a line "\\x1e CLASS NEXT NAME" and the traceback as Python prints it.
Where the library that fails so is not installed, its exception is built under the same dotted name, so
that Python itself prints it. Cases that need pandas are skipped where it is missing.
"""
import contextlib
import http.server
import io
import os
import socket
import ssl
import sys
import tempfile
import threading
import traceback
import types
import urllib.request
import warnings

CASES = []
EMPTY = tempfile.mkdtemp()


def case(expected, next_step="person", needs=()):
    def add(function):
        CASES.append((expected, next_step, function, needs))
        return function
    return add


def made(dotted, base=Exception):
    """An exception class that prints as `dotted`."""
    module, _, name = dotted.rpartition(".")
    made_class = type(name, (base,), {})
    made_class.__module__ = module or "builtins"
    return made_class


def says(expected, next_step, dotted, *messages, base=Exception):
    for message in messages:
        def function(message=message):
            raise made(dotted, base)(message)
        function.__name__ = dotted
        CASES.append((expected, next_step, function, ()))


def inside(path, source):
    """Run source as if it stood in the file `path`."""
    exec(compile(source, path, "exec"), {"__name__": "inside"})


# ---- memory ----

@case("oom")
def bytes_too_large():
    bytearray(1 << 62)


@case("oom", needs=("numpy",))
def array_too_large():
    import numpy
    numpy.zeros((1 << 45,))


@case("oom")
def worker_in_a_pool():
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.map(bytearray, [1 << 62])


says("oom", "person", "torch.cuda.OutOfMemoryError", "CUDA out of memory. Tried to allocate 20.00 MiB", base=RuntimeError)
says("oom", "person", "torch.OutOfMemoryError", "CUDA out of memory.", base=RuntimeError)
says("oom", "person", "RuntimeError", "CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 15.90 GiB total capacity)",
     "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported", "CUDA error: CUBLAS_STATUS_ALLOC_FAILED",
     "MPS backend out of memory (MPS allocated: 9 GB)", base=RuntimeError)
says("oom", "person", "jaxlib.xla_extension.XlaRuntimeError", "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.")
says("oom", "person", "RuntimeError", "[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried",
     "DataLoader worker (pid 42) is killed by signal: Killed. ", base=RuntimeError)
says("oom", "person", "tensorflow.python.framework.errors_impl.ResourceExhaustedError", "OOM when allocating tensor with shape[9]")
says("oom", "person", "xgboost.core.XGBoostError", "[12:00:00] bad_alloc: out of memory")
says("oom", "person", "lightgbm.basic.LightGBMError", "bad allocation")
says("oom", "person", "OSError", "[Errno 12] Cannot allocate memory", base=OSError)
says("oom", "person", "joblib.externals.loky.process_executor.TerminatedWorkerError",
     "A worker process managed by the executor was unexpectedly terminated. The exit codes of the workers are {SIGKILL(-9)}")


# ---- pandas and NumPy ----

@case("pandas_compat", needs=("pandas",))
def ix():
    import pandas
    pandas.DataFrame({"a": [1]}).ix[0]


@case("pandas_compat", needs=("pandas",))
def as_matrix():
    import pandas
    pandas.Series([1]).get_value(0)


says("pandas_compat", "person", "AttributeError", "'DataFrame' object has no attribute 'append'",
     "'DataFrame' object has no attribute 'iteritems'", "'Series' object has no attribute 'append'",
     "'DatetimeIndex' object has no attribute 'weekofyear'", base=AttributeError)


@case("pandas_compat", needs=("pandas",))
def panel():
    import pandas
    pandas.Panel


@case("pandas_compat", needs=("numpy",))
def numpy_alias():
    import numpy
    numpy.typeDict if not hasattr(numpy, "typeDict") else numpy.bool


says("pandas_compat", "person", "ImportError", "cannot import name 'Int64Index' from 'pandas.core.indexes' (/x/y.py)",
     "A module that was compiled using NumPy 1.x cannot be run in NumPy 2.0.0", base=ImportError)
says("pandas_compat", "person", "ValueError", "numpy.dtype size changed, may indicate binary incompatibility.",
     "numpy.ufunc size changed, may indicate binary incompatibility.", base=ValueError)


@case("pandas_compat", needs=("pandas",))
def removed_argument():
    import pandas
    pandas.read_csv(io.StringIO("a,b"), tupleize_cols=True)


says("pandas_compat", "person", "TypeError", "read_csv() got an unexpected keyword argument 'squeeze'",
     "NDFrame.fillna() got an unexpected keyword argument 'method'",
     "DataFrame.drop() takes from 1 to 2 positional arguments but 3 were given", base=TypeError)


@case("pandas_compat")
def positional():
    class Frame:
        def drop(self, labels):
            pass
    Frame.drop.__qualname__ = "drop"
    Frame().drop("a", 1)


@case("pandas_compat", needs=("pandas",))
def corr_of_text():
    import pandas
    pandas.DataFrame({"a": ["x", "y"], "b": [1, 2]}).corr(numeric_only=False)


@case("pandas_compat", needs=("pandas",))
def ufunc_of_text():
    import numpy
    import pandas
    numpy.log(pandas.Series(["a"]))


@case("pandas_compat", needs=("pandas",))
def integer_to_timestamp():
    import pandas
    pandas.Timestamp(1) + 1


@case("pandas_compat", needs=("pandas",))
def warning_as_error():
    import pandas
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pandas.Series([1]).iteritems() if hasattr(pandas.Series, "iteritems") else pandas.Series([1]).ix


says("pandas_compat", "person", "pandas.errors.ChainedAssignmentError", "A value is being set on a copy")
says("pandas_compat", "person", "ValueError", "Invalid frequency: ME", base=ValueError)


# ---- yfinance ----

says("yfinance", "retry", "yfinance.exceptions.YFRateLimitError", "Too Many Requests. Rate limited. Try after a while.")
says("yfinance", "person", "ValueError", "No data found for this date range, symbol may be delisted",
     "$ABC: possibly delisted; no price data found", base=ValueError)


@case("yfinance", "retry")
def no_json():
    inside("/usr/lib/python3/site-packages/yfinance/base.py", "import json\njson.loads('')")


@case("yfinance")
def adj_close():
    {}["Adj Close"]


@case("yfinance")
def multiindex():
    class yf:
        @staticmethod
        def download(symbol):
            raise ValueError("Cannot set a DataFrame with multiple columns to the single column AAPL")
    yf.download("AAPL")


# ---- files ----

@case("code")
def write_into_nothing():
    open("no_such_folder/result.csv", "w")


@case("missing_dep")
def program_missing():
    import subprocess
    subprocess.run(["no-such-program-anywhere"])


@case("code")
def own_file_of_kaggle():
    open("/kaggle/working/model_from_last_time")


@case("dataset_missing", needs=("pandas",))
def kaggle_input():
    import pandas
    pandas.read_csv("/kaggle/input/titanic/train.csv")


@case("dataset_missing")
def relative_input():
    open("../input/train.csv")


@case("dataset_missing")
def data_file():
    open("prices_of_gold.parquet", "rb")


@case("dataset_missing")
def nothing_globbed():
    inside("../input/read.py", "raise ValueError('No objects to concatenate')")


says("dataset_missing", "person", "datasets.exceptions.DatasetNotFoundError", "Dataset 'x/y' doesn't exist on the Hub")


@case("code")
def other_file():
    open("settings.yaml.template")


# ---- allowances, time ----

says("quota", "person", "openai.RateLimitError", "Error code: 429 - {'error': {'code': 'insufficient_quota'}}")
says("quota", "backend", "googleapiclient.errors.HttpError", "<HttpError 403 \"Quota exceeded for quota metric 'Queries'\">")
says("quota", "person", "OSError", "[Errno 122] Disk quota exceeded", base=OSError)
says("time_limit", "person", "nbclient.exceptions.CellTimeoutError", "A cell timed out while it was being executed, after 4 seconds.")
says("time_limit", "person", "TimeoutError", "A cell timed out while it was being executed", base=TimeoutError)


# ---- network ----

@contextlib.contextmanager
def listening():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(5)
        yield server


@case("network_timeout", "retry")
def refused():
    with listening() as server:
        port = server.getsockname()[1]
    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


@case("network_timeout", "retry")
def refused_socket():
    with listening() as server:
        port = server.getsockname()[1]
    socket.create_connection(("127.0.0.1", port), timeout=5)


@case("network_timeout", "retry")
def silent():
    with listening() as server:
        urllib.request.urlopen(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=0.05)


@case("network_timeout", "retry")
def no_such_name():
    socket.getaddrinfo("no-such-host.invalid", 80)


@case("network_timeout", "retry")
def not_tls():
    with listening() as server:
        def answer():
            with contextlib.suppress(OSError):
                peer, _ = server.accept()
                peer.sendall(b"this is no TLS at all\r\n" * 10)
                peer.recv(1000)
                peer.close()
        threading.Thread(target=answer, daemon=True).start()
        plain = socket.create_connection(server.getsockname(), timeout=5)
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")


def answering(status):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(status)

        def log_message(self, *_):
            pass
    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.handle_request, daemon=True).start()
    urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=5)


@case("network_timeout", "retry")
def unavailable():
    answering(503)


@case("code")
def gone():
    answering(410)


@case("code")
def own_processes():
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply_async(__import__("time").sleep, [5]).get(timeout=0.01)


says("network_timeout", "retry", "requests.exceptions.ReadTimeout", "HTTPSConnectionPool(host='x', port=443): Read timed out.")
says("network_timeout", "retry", "requests.exceptions.SSLError", "HTTPSConnectionPool(host='x', port=443): Max retries exceeded")
says("network_timeout", "retry", "urllib3.exceptions.MaxRetryError", "HTTPSConnectionPool(host='x'): Max retries exceeded with url: /")
says("network_timeout", "retry", "requests.exceptions.ConnectionError", "('Connection aborted.', RemoteDisconnected('Remote end'))")
says("network_timeout", "retry", "requests.exceptions.HTTPError", "503 Server Error: Service Unavailable for url: https://x/")
says("network_timeout", "retry", "grpc._channel._InactiveRpcError", "<_InactiveRpcError: status = StatusCode.UNAVAILABLE>")
says("network_timeout", "retry", "OSError", "[Errno 101] Network is unreachable",
     "We couldn't connect to 'https://huggingface.co' to load this file", base=OSError)
says("network_timeout", "retry", "huggingface_hub.errors.LocalEntryNotFoundError", "An error happened while trying to locate")
says("network_timeout", "retry", "curl_cffi.requests.exceptions.DNSError", "Failed to perform, curl: (6) Could not resolve host: x")
says("network_timeout", "retry", "anthropic.RateLimitError", "Error code: 429")
says("code", "person", "requests.exceptions.HTTPError", "404 Client Error: Not Found for url: https://x/")


# ---- packages ----

@case("missing_dep")
def no_module():
    import no_such_package_at_all.part


@case("missing_dep")
def no_name():
    from os import no_such_name_in_os


says("missing_dep", "person", "OSError", "libGL.so.1: cannot open shared object file: No such file or directory",
     "[E050] Can't find model 'en_core_web_sm'.", base=OSError)
says("missing_dep", "person", "RuntimeError", "tesseract is not installed or it's not in your PATH", base=RuntimeError)
says("missing_dep", "person", "LookupError", "Resource punkt not found. Please use the NLTK Downloader", base=LookupError)
says("missing_dep", "person", "graphviz.backend.execute.ExecutableNotFound", "failed to execute PosixPath('dot')")


# ---- the machine ----

says("kernel_died", "person", "nbclient.exceptions.DeadKernelError", "Kernel died", base=RuntimeError)
says("kernelspec", "person", "jupyter_client.kernelspec.NoSuchKernel", "No such kernel named julia", base=KeyError)


@case("disk_full")
def disk_full():
    with open("/dev/full", "wb", buffering=0) as f:
        f.write(b"x")


says("infra", "retry", "OSError", "[Errno 5] Input/output error", base=OSError)
says("gpu", "backend", "RuntimeError", "Found no NVIDIA driver on your system.", "No CUDA GPUs are available",
     "CUDA error: no kernel image is available for execution on the device", base=RuntimeError)
says("infra", "retry", "RuntimeError", "CUDA error: uncorrectable ECC error encountered", base=RuntimeError)


@case("infra", "retry")
def pool_broke():
    from concurrent.futures import ProcessPoolExecutor
    import multiprocessing
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        pool.submit(os._exit, 1).result()


@case("infra", "retry")
def interrupted():
    raise KeyboardInterrupt


says("disk_full", "person", "RuntimeError", "[enforce fail at inline_container.cc:595] . PytorchStreamWriter failed writing file data/0: file write failed",
     base=RuntimeError)
says("kernelspec", "person", "ValueError", "No kernel name found in notebook and no override provided.", base=ValueError)


@case("gpu", "backend")
def no_driver():
    import ctypes
    ctypes.CDLL("libcuda.so.99")


says("gpu", "backend", "numba.cuda.cudadrv.error.CudaSupportError", "Error at driver init:")


# ---- permissions ----

@case("access")
def refused_by_the_service():
    answering(403)


says("access", "person", "kaggle_web_client.BackendError", "Unexpected response from the service. Response: {'errors': ['No user secrets "
     "exist for kernel id 1 and label X.'], 'error': {'code': 5, 'details': []}, 'wasSuccessful': False}.")
says("access", "person", "kaggle_secrets.CredentialError", "Service responded with error code 403. Please ensure you have access")
says("access", "person", "OSError", "You are trying to access a gated repo.", "Could not find kaggle.json. Make sure it's located in",
     base=OSError)
says("access", "person", "huggingface_hub.errors.GatedRepoError", "401 Client Error. Cannot access gated repo for url https://x/")
says("access", "person", "kagglesdk.exceptions.HTTPError", "403 Client Error: You must accept this competition's rules")
says("code", "person", "ValueError", "403 rows have no label", base=ValueError)


# ---- no network (the test judges these as of a job that had none) ----

@case("no_internet")
def name_without_network():
    socket.getaddrinfo("no-such-host.invalid", 80)


@case("no_internet")
def page_without_network():
    urllib.request.urlopen("http://no-such-host.invalid/", timeout=5)


@case("no_internet")
def installer_without_network():
    import subprocess
    raise subprocess.CalledProcessError(1, ["pip", "install", "-q", "timm"])


@case("missing_dep")
def installer():
    import subprocess
    raise subprocess.CalledProcessError(1, ["/usr/bin/python3", "-m", "pip", "install", "timm"])


says("no_internet", "person", "requests.exceptions.ConnectionError", "HTTPSConnectionPool(host='x', port=443): Max retries exceeded with url: / "
     "(Caused by NameResolutionError(\"<urllib3.connection.HTTPSConnection object>: Failed to resolve 'x'\"))")


# ---- data ----

@case("data", needs=("pandas",))
def no_such_column():
    import pandas
    pandas.DataFrame({"Age": [1]})["Fare"]


@case("data", needs=("pandas",))
def nothing_in_it():
    import pandas
    pandas.read_csv(io.StringIO(""))


@case("data", needs=("pandas",))
def more_columns_than_names():
    import pandas
    frame = pandas.DataFrame({"a": [1], "b": [2]})
    frame[["x", "y"]] = pandas.DataFrame({"a": [1], "b": [2], "c": [3]})


says("data", "person", "RuntimeError", "mat1 and mat2 shapes cannot be multiplied (32x10 and 12x64)", base=RuntimeError)
says("data", "person", "xgboost.core.XGBoostError", "[12:00:00] Check failed: valid: Label contains NaN, infinity or a value too large.")
says("oom", "person", "subprocess.CalledProcessError", "Command '['train']' died with <Signals.SIGKILL: 9>.")


# ---- the program ----

@case("code")
def key():
    {"a": 1}["b"]


@case("code")
def assertion():
    assert 1 == 2, "CUDA out of memory and MemoryError are only words here"


@case("data", needs=("sklearn", "numpy"))
def gaps():
    import numpy
    from sklearn.linear_model import LogisticRegression
    LogisticRegression().fit(numpy.array([[float("nan")], [1.0]]), [0, 1])


@case("code")
def recursion():
    def down(n):
        return down(n + 1) + 1
    down(0)


@case("code")
def unicode_name():
    raise made("失敗.エラー")("値が違う")


# ---- chains ----

@case("oom")
def explicit_cause():
    try:
        bytearray(1 << 62)
    except MemoryError as problem:
        raise RuntimeError("training failed") from problem


@case("missing_dep")
def wrapped_in_handler():
    try:
        import no_such_package_at_all
    except ImportError:
        raise RuntimeError("please read the manual")


@case("code")
def probed_import():
    try:
        import no_such_package_at_all
    except ImportError:
        int("not a number")


@case("code")
def failed_after_memory():
    try:
        bytearray(1 << 62)
    except MemoryError:
        {}["smaller"]


def main():
    out = sys.stdout
    os.chdir(EMPTY)
    for expected, next_step, function, needs in CASES:
        if any(not importable(name) for name in needs):
            continue
        text = io.StringIO()
        try:
            function()
            text.write("it did not fail\n")
        except BaseException:
            traceback.print_exc(file=text)
        out.write(f"\x1e {expected} {next_step} {function.__name__}\n{text.getvalue()}")
    out.write("\x1e\n")


def importable(name):
    try:
        __import__(name)
        return True
    except ImportError:
        return False


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
    os.rmdir(EMPTY)
