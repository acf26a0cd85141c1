"""Run tasks on several cores of this machine; the engine is joblib, its workers are processes.

Tasks and results are sent between processes, so this is for work that takes longer than sending. It stays on this
machine whatever joblib is configured for, and inside a worker (joblib's, Dask's, multiprocessing's) nothing is spread:
the other cores have workers of their own.

Invariant: results come in the order of the tasks, and with an error of acg_lab as where one process does everything.
"""

import multiprocessing
import pickle
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import Any, Final, NamedTuple, TypeVar

from acg_lab.core.errors import AcgLabError, UsageError
from acg_lab.core.plain_numbers import plain_number

__all__ = ["check_n_jobs", "count_cores", "deaf_to_interrupts", "run_on_cores"]

Task = TypeVar("Task")
Result = TypeVar("Result")
_ALL: Final = -1


def check_n_jobs(n_jobs: Any) -> int:
    """Return the ``n_jobs`` option.

    Raises
    ------
    UsageError
        If it is neither a positive integer nor -1.
    """
    number = plain_number(n_jobs)
    if isinstance(number, bool) or not isinstance(number, int) or (number < 1 and number != _ALL):
        msg = f"The 'n_jobs' option must be a positive integer, or -1 for all cores; got {n_jobs!r}."
        raise UsageError(msg)
    return number


def count_cores(n_jobs: int) -> int:
    """Return how many tasks `run_on_cores` runs at the same time."""
    if n_jobs == 1 or multiprocessing.parent_process() is not None:
        return 1
    from joblib import cpu_count

    return cpu_count() if n_jobs == _ALL else n_jobs


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Make processes that start meanwhile deaf to Ctrl-C, which a terminal sends to all: their parent ends them.

    Each would print a traceback, also of the modules that it was importing. Only the main thread can change that.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # is inherited; for some milliseconds
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def run_on_cores(work: Callable[[Task], Result], tasks: Iterable[Task], n_jobs: int) -> Iterator[Iterator[Result]]:
    """Run a function on tasks: a context manager that yields an iterator of its results, in the order of the tasks.

    Ctrl-C ends the workers at once. Who leaves early for another reason waits for the tasks that have begun.

    Parameters
    ----------
    work : callable
        A function of a module, or a partial of one: it is sent to workers, as tasks are.
    tasks : iterable
        Taken as workers become free.
    n_jobs : int
        Processes to work with; -1 for all cores.

    Raises
    ------
    AcgLabError
        What the function raises, or that a worker died.
    """
    n_cores = count_cores(n_jobs)
    if n_cores == 1:
        yield map(work, tasks)
        return
    from joblib import Parallel, delayed

    ended: list[bool] = []
    parallel = Parallel(n_jobs=n_cores, backend="loky", return_as="generator")
    with deaf_to_interrupts():
        found: Any = parallel(delayed(_pack)(work, task) for task in takewhile(lambda _: not ended, tasks))
    try:
        yield map(_unpack, found)
    except BrokenExecutor:
        msg = "A worker process died, perhaps for want of memory; with n_jobs=1 one process does all of it."
        raise AcgLabError(msg) from None
    except Exception:
        _drain(found, ended)
        raise
    except BaseException:  # Ctrl-C
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that results were left
            found.close()
        raise
    else:
        _drain(found, ended)


def _drain(found: Iterator[bytes], ended: list[bool]) -> None:
    """Start no more tasks, and wait for those that have begun: workers that are killed meanwhile print tracebacks."""
    ended.append(True)
    with suppress(BrokenExecutor):
        deque(found, maxlen=0)


class _Failed(NamedTuple):
    """A task that ended with an error: one that joblib does not see, since it would kill the other workers."""

    error: AcgLabError


def _pack(work: Callable[[Task], Result], task: Task) -> bytes:
    """Return a result as bytes: joblib's own pickler asks of every object how it can be sent."""
    result: Result | _Failed
    try:
        result = work(task)
    except AcgLabError as error:
        result = _Failed(error)
    return pickle.dumps(result, pickle.HIGHEST_PROTOCOL)


def _unpack(packed: bytes) -> Any:
    result = pickle.loads(packed)  # noqa: S301  made by our own workers
    if isinstance(result, _Failed):
        raise result.error
    return result
