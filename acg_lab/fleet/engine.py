"""Run tasks on joblib's backends: in this process, on its cores, or on whatever cluster joblib is configured for.

When a worker dies, what was in its hands is done again at the end, agent by agent, each alone; an agent that ends a
worker there too is reported. On Dask tasks go to its own client: joblib's backend waits for ever for a task whose
workers died (joblib 1.6).

Invariant: every agent comes back exactly once, in an outcome or in a `Died`.
"""

import sys
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from acg_lab.core.errors import SourceError
from acg_lab.fleet.batches import Batches
from acg_lab.storage.masking import mask_credentials

__all__ = ["Died", "count_workers", "is_here", "run_batches"]

Result = TypeVar("Result")
Batch = tuple[str, ...]
Work = Callable[[Batch], Sequence[Result]]
_AHEAD: Final = 2  # tasks per worker that a Dask scheduler is given at a time
_FEWEST: Final = 16  # so that an adaptive cluster without workers sees that there is work


class Died(NamedTuple):
    """An agent whose worker died twice."""

    agent_id: str


def count_workers(n_jobs: int) -> int:
    """Return how many tasks run at the same time."""
    from joblib import effective_n_jobs  # noqa: PLC0415  at call time

    client = _dask_client()
    return max(1, effective_n_jobs(n_jobs) if client is None else _count_threads(client))


def is_here(n_jobs: int) -> bool:
    """Return whether tasks run in this process, one after the other."""
    return _dask_client() is None and count_workers(n_jobs) == 1


def run_batches(work: Work[Result], batches: Batches, n_jobs: int) -> Generator[Sequence[Result] | Died]:
    """Yield what tasks return, in the order in which they end.

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
        If workers can't run the task at all, or the scheduler goes away.
    """
    client = _dask_client()
    run = partial(_run_on_joblib, n_jobs=n_jobs) if client is None else partial(_run_on_dask, client)
    suspects: list[str] = []
    yield from run(work, batches, suspects)
    for agent_id in suspects:
        again: list[str] = []
        yield from run(work, Batches({agent_id: 0}, 1), again)
        if again:
            yield Died(agent_id)


# --- joblib ---


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

    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")
    found: Any = parallel(delayed(work)(batch) for batch in batches)
    try:
        yield found
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that results were left when work was interrupted
            found.close()


# --- Dask ---


def _dask_client() -> Any:
    """Return the Dask client that joblib is configured with; None where it is another backend."""
    from joblib import parallel  # noqa: PLC0415  at call time

    active = getattr(parallel, "get_active_backend", None)
    client = getattr(active()[0], "client", None) if active is not None else None
    distributed = sys.modules.get("distributed")
    return client if distributed is not None and isinstance(client, distributed.Client) else None


def _count_threads(client: Any) -> int:
    return sum(client.nthreads().values())


def _run_on_dask(client: Any, work: Work[Result], batches: Batches, suspects: list[str]) -> Iterator[Sequence[Result]]:
    """Yield results; agents whose task ended with its workers are added to ``suspects``."""
    tasks = _DaskTasks(client, work)
    try:
        for batch in batches:
            tasks.submit(batch)
            while tasks.are_enough:
                yield from tasks.take(suspects)
        while tasks.handed:
            yield from tasks.take(suspects)
    finally:
        tasks.cancel()


class _DaskTasks:
    """Tasks that a scheduler has."""

    def __init__(self, client: Any, work: Work[Any]) -> None:
        from distributed import as_completed  # noqa: PLC0415  at call time

        self._client, self._work = client, work
        self._ended = as_completed(loop=client.loop)
        self._most = max(_FEWEST, _AHEAD * _count_threads(client))
        self.handed: dict[Any, Batch] = {}

    @property
    def are_enough(self) -> bool:
        """Whether every worker has a task, and one to go on with."""
        return len(self.handed) >= self._most

    def submit(self, batch: Batch) -> None:
        """Give the scheduler one more task."""
        with self._watching():
            future = self._client.submit(self._work, batch, pure=False)
            self.handed[future] = batch
            self._ended.add(future)

    def take(self, suspects: list[str]) -> Iterator[Sequence[Any]]:
        """Wait for a task to end, and yield its result; if its workers died, add its agents to ``suspects``."""
        from distributed import KilledWorker  # noqa: PLC0415  at call time

        with self._watching():
            future = next(self._ended)
            batch = self.handed.pop(future)
            error = future.exception() if future.status != "finished" else None
            result: Any = future.result() if error is None else None
        if isinstance(error, KilledWorker):
            suspects += batch
        elif isinstance(error, CancelledError):
            raise self._lost() from None
        elif error is not None:
            msg = f"The workers can't run acg_lab ({type(error).__name__}): install the version of this process there."
            raise SourceError(msg) from error
        else:
            yield result

    @contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except (CancelledError, OSError, RuntimeError) as error:  # connections that end, clients that are closed
            raise self._lost() from error

    def _lost(self) -> SourceError:
        address = mask_credentials(str(self._client.scheduler.address))
        return SourceError(f"The Dask scheduler at {address} went away.")

    def cancel(self) -> None:
        """Take back what was not done."""
        with suppress(CancelledError, OSError, RuntimeError):
            if self.handed and self._client.status == "running":
                self._client.cancel(list(self.handed))
