"""Cases as TAP: a function each, its docstring the sentence."""
import contextlib
import sys
import traceback


def check(condition, what):
    if not condition:
        raise AssertionError(what)


def same(got, wanted, what="value"):
    check(got == wanted, f"{what}: {got!r}, not {wanted!r}")


def has(output, *words):
    for word in words:
        check(word in output, f"{word!r} is not in {output!r}")


def run_case(number, function, arguments):
    try:
        function(*arguments)
    except Exception:  # whatever a case raises is its failure
        print("\n".join("# " + line for line in traceback.format_exc().splitlines()))
        print(f"not ok {number} - {function.__doc__}", flush=True)
        return False
    print(f"ok {number} - {function.__doc__}", flush=True)
    return True


def run(cases, arguments_of):
    """Runs them all and exits; `arguments_of` is a function that gives a context manager of a case's arguments."""
    passed = True
    for number, function in enumerate(cases, 1):
        with arguments_of() as arguments:
            passed &= run_case(number, function, arguments)
    print(f"1..{len(cases)}")
    sys.exit(0 if passed else 1)


def cases_of(module):
    """The functions of a test file that take a service and have a sentence, in the order in which they stand there."""
    own = [f for f in vars(module).values() if getattr(f, "__module__", "") == module.__name__ and hasattr(f, "__code__")]
    return [f for f in own if f.__doc__ and f.__code__.co_varnames[:f.__code__.co_argcount] == ("s",)]


def run_file(service):
    """Every case of the main program, each with a fresh service."""
    @contextlib.contextmanager
    def fresh():
        with service() as one:
            yield (one,)
    run(cases_of(sys.modules["__main__"]), fresh)
