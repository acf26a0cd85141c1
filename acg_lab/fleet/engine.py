"""Run tasks on joblib's backends: in this process, on its cores, or on whatever cluster joblib is configured for.

When a worker dies, what was in its hands is done again at the end, agent by agent, each alone; an agent that ends a
worker there too is reported.

Invariant: every agent comes back exactly once, in an outcome or in a `Died`.
"""

import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

from acg_lab.core.errors import SourceError
from acg_lab.fleet.batches import Batches
from acg_lab.fleet.dask_tasks import Workers, count_threads, find_client, run_on_dask
from acg_lab.storage.cores import deaf_to_interrupts

__all__ = ["Died", "Workers", "count_workers", "is_here", "run_batches"]

Result = TypeVar("Result")
Batch = tuple[str, ...]
Work = Callable[[Batch], Sequence[Result]]
_ROUND: Final = 4  # tasks per worker, on backends that return all results at the end


class Died(NamedTuple):
    """An agent whose worker died twice."""

    agent_id: str


def count_workers(n_jobs: int) -> int:
    """Return how many tasks run at the same time."""
    from joblib import effective_n_jobs  # noqa: PLC0415  at call time

    client = find_client()
    return max(1, effective_n_jobs(n_jobs) if client is None else count_threads(client))


def is_here(n_jobs: int) -> bool:
    """Return whether tasks run in this process, one after the other."""
    return find_client() is None and count_workers(n_jobs) == 1


def run_batches(work: Work[Result], batches: Batches, n_jobs: int) -> Generator[Sequence[Result] | Died | Workers]:
    """Yield what tasks return, in the order in which they end, and how many workers a cluster has when that changes.

    Parameters
    ----------
    work : callable
        Gets some agents and returns something for each. It is sent to workers, so it holds addresses and not data.
    batches : Batches
    n_jobs : int
        As joblib takes it.

    Raises
    ------
    SourceError
        If workers can't run the task at all, a cluster has none for ten minutes, its scheduler goes away, or a backend
        of joblib fails otherwise.
    """
    client = find_client()
    run = partial(_run_on_joblib, n_jobs=n_jobs) if client is None else partial(run_on_dask, client)
    suspects: list[str] = []
    yield from run(work, batches, suspects)
    for agent_id in suspects:
        again: list[str] = []
        yield from run(work, Batches({agent_id: 0}, 1), again)
        if again:
            yield Died(agent_id)


def _run_on_joblib(
    work: Work[Result], batches: Batches, suspects: list[str], *, n_jobs: int
) -> Iterator[Sequence[Result]]:
    """Yield results; agents whose task ended with its worker are added to ``suspects``."""
    handed: dict[Batch, None] = {}
    while True:
        handed.clear()
        try:
            with _parallel(partial(_named, work), _note(batches, handed), n_jobs) as found:
                for batch, result in found:
                    del handed[batch]
                    yield result
        except BrokenExecutor:
            suspects += [agent_id for batch in handed for agent_id in batch]
        except Exception as error:  # what backends of other packages raise has no common base
            msg = (
                f"joblib's backend {type(_backend()).__name__} can't go on ({type(error).__name__}): call again, here "
                "or on another one; with 'out' a survey goes on where it stopped."
            )
            raise SourceError(msg) from error
        else:
            return


def _named(work: Work[Result], batch: Batch) -> tuple[Batch, Sequence[Result]]:
    return batch, work(batch)


def _note(batches: Batches, handed: dict[Batch, None]) -> Iterator[Batch]:
    for batch in batches:
        handed[batch] = None
        yield batch


@contextmanager
def _parallel(work: Callable[[Batch], Any], batches: Iterator[Batch], n_jobs: int) -> Iterator[Iterator[Any]]:
    from joblib import Parallel, delayed  # noqa: PLC0415  at call time

    tasks = (delayed(work)(batch) for batch in batches)
    if not _returns_singly():
        with Parallel(n_jobs=n_jobs, batch_size=1) as parallel:
            yield _in_rounds(parallel, tasks, _ROUND * count_workers(n_jobs))
        return
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
    with deaf_to_interrupts():
        found: Any = parallel(tasks)
    try:
        yield found
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that results were left when work was interrupted
            found.close()


def _backend() -> Any:
    from joblib.parallel import get_active_backend  # noqa: PLC0415  at call time

    return get_active_backend()[0]


def _returns_singly() -> bool:
    """Return whether the backend gives back each result as it is there; those of other packages give all at the end."""
    return bool(getattr(_backend(), "supports_return_generator", False))


def _in_rounds(parallel: Callable[[list[Any]], Any], tasks: Iterator[Any], size: int) -> Iterator[Any]:
    """Yield the results of some tasks after the other, so that they are kept and shown meanwhile."""
    while some := list(islice(tasks, size)):
        yield from parallel(some)
