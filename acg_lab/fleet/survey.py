"""Survey a fleet: what each of many agents pays and loses, and why, on as many cores or machines as there are.

Invariant: what is said of an agent does not depend on the number of workers, the engine, or the order of answers.
"""

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec.structs import replace

from acg_lab._format import counted
from acg_lab.advice.current import read_current
from acg_lab.core.errors import SourceError, UsageError
from acg_lab.fleet.address import Address, forget_source
from acg_lab.fleet.agent_survey import AgentProblem, AgentSurvey, Outcome, Questions, survey_agents
from acg_lab.fleet.batches import Batches
from acg_lab.fleet.engine import Died, Workers, count_workers, is_here, run_batches
from acg_lab.fleet.kept import KeptResults
from acg_lab.fleet.result import Survey, SurveyProblem, sort_agents
from acg_lab.providers.registry import find_provider
from acg_lab.storage._runtime import Bar
from acg_lab.storage.cores import check_n_jobs
from acg_lab.storage.masking import mask_credentials
from acg_lab.storage.path_options import path_text

if TYPE_CHECKING:
    from acg_lab.config.settings import AcgSettings
    from acg_lab.providers.rules import CacheProvider
    from acg_lab.snapshot.snapshot import Snapshot
    from acg_lab.storage.base import Backend

__all__ = ["survey"]

logger = logging.getLogger(__name__)

_HOPELESS: Final = 8  # agents with one and the same problem, and no other answer, after which no more are tried
_OF_WORKERS: Final = ("source", "version")
_DIED: Final = "the process that worked on it died, and died again when it was done again alone; it may lack memory"


def survey(
    source: "str | os.PathLike[str] | Backend | Snapshot",
    *,
    settings: "Iterable[AcgSettings] | None" = None,
    cache_provider: "CacheProvider | str" = "auto",
    current: Any = None,
    findings: bool = True,
    sweep: bool = False,
    n_jobs: int = 1,
    out: "str | os.PathLike[str] | None" = None,
    on_error: Literal["report", "raise"] = "report",
    progress: bool = True,
    **options: Any,
) -> Survey:
    """Say of every agent of a source what it pays and loses for input, and why.

    Each agent is loaded, simulated and explained apart, as if it were alone, on the cores of this machine or on what
    joblib is configured for: ``with joblib.parallel_config("dask")`` uses the cluster of a `distributed.Client`.
    Workers load for themselves: they need acg_lab in this version, and the paths and credentials of the source.

    Parameters
    ----------
    source : str, path, Backend or Snapshot
        As for `acg_lab.load`; with several workers an address or a path. A log is read whole by each worker, so export
        a large one first.
    settings : iterable of AcgSettings, optional
        With ``sweep``, the settings to price. When left out, about 1,300 that suit all agents.
    cache_provider : str or CacheProvider, default "auto"
        As in `acg_lab.simulate`.
    current : AcgSettings, thresholds, a number or path, optional
        What the governor of every agent runs with, as in `acg_lab.sweep`; production's defaults when left out.
    findings : bool, default True
        Whether to explain what breaks prefixes, as `acg_lab.explain` does for each agent; it takes most of the time.
    sweep : bool, default False
        Whether to price settings for each agent. Costs add up over agents: ``to_sweep`` has those of all, or of the
        agents of one process, and `acg_lab.recommend` takes them.
    n_jobs : int, default 1
        Processes to work with; -1 for all cores. A cluster has workers of its own.
    out : str or path, optional
        Folder, which all workers must be able to write. It gets the tables and the requests of each agent as Parquet,
        and a survey that was interrupted goes on there where it stopped.
    on_error : {"report", "raise"}, default "report"
        Whether agents that can't be surveyed are reported in ``problems``, or the first one raises.
    progress : bool, default True
        Show a progress bar on standard error if it takes long: time left, agents done, requests a second.
    **options
        Further options of `acg_lab.load`.

    Returns
    -------
    Survey

    Raises
    ------
    SourceError
        If the agents can't be listed, ``out`` can't be written, or the scheduler of a cluster goes away.
    UsageError
        If an option makes no sense, or ``out`` holds results of another survey or version.

    Examples
    --------
    >>> import acg_lab as acg
    >>> found = acg.survey("data/sample", findings=False, progress=False)
    >>> len(found), found.cost.loc[0, ["agent_id", "words"]].tolist()
    (11, ['support-chat', 'date or time in system prompt'])
    """
    begin = time.perf_counter()
    n_jobs = check_n_jobs(n_jobs)
    if on_error not in ("report", "raise"):
        msg = f"The 'on_error' option must be 'report' or 'raise'; got {on_error!r}."
        raise UsageError(msg)
    if settings is not None and not sweep:
        msg = "The 'settings' option is what is priced with sweep=True; what the governor runs with is 'current'."
        raise UsageError(msg)
    if cache_provider != "auto":
        find_provider(cache_provider)
    address = Address.of(source, options)
    if not is_here(n_jobs):
        address.check_sendable()
    folder = None if out is None else os.path.abspath(path_text(out, "out"))  # noqa: PTH100  a path by name
    questions = Questions(
        cache_provider,
        None if current is None else read_current(current),
        findings=findings,
        sweep=sweep,
        settings=None if settings is None else tuple(settings),
        out=folder,
    )
    grid = questions.make_grid() if sweep else None
    answers = _Answers(None if folder is None else KeptResults(folder, _facts(address, questions)), on_error)
    try:
        sizes = address.measure_agents()
        answers.recall(sizes)
        _ask(partial(survey_agents, address, questions), answers, sizes, n_jobs, shown=progress)
    finally:
        forget_source()
    found = answers.result(address.label, is_here=is_here(n_jobs), seconds=time.perf_counter() - begin)
    found = dataclasses.replace(found, grid=grid, current=questions.in_force)
    if answers.kept is not None:
        answers.kept.write_tables(found.tables)
    logger.info("surveyed %s: %s in %.1f s", found.source, counted(len(found), "agent"), found.seconds)
    return found


def _facts(address: Address, questions: Questions) -> dict[str, str]:
    """Return what results depend on, as texts without credentials."""
    options = ", ".join(f"{name}={value!r}" for name, value in sorted(address.options.items()))
    return {
        "acg_lab": questions.version,
        "source": address.label,
        "options": mask_credentials(options),
        "cache_provider": getattr(questions.cache_provider, "name", str(questions.cache_provider)),
        "current": repr(questions.current),
        "findings": str(questions.findings),
        "sweep": str(questions.sweep),
        "settings": repr(questions.settings),
    }


def _ask(
    work: Callable[[Sequence[str]], list[Outcome]],
    answers: "_Answers",
    sizes: Mapping[str, int],
    n_jobs: int,
    *,
    shown: bool,
) -> None:
    """Ask about all agents that have no answer yet."""
    missing = {agent_id: size for agent_id, size in sizes.items() if agent_id not in answers.found}
    batches = Batches(missing, count_workers(n_jobs))
    begin = time.perf_counter()
    n_requests, rate = 0, "0 requests/s"
    with Bar("surveying", shown=shown, unit="") as bar, closing(run_batches(work, batches, n_jobs)) as results:
        bar(0, batches.total)
        for result in results:
            so_far = f"{answers.n_known:,} of {counted(len(sizes), 'agent')}"
            if isinstance(result, Workers):
                batches.share(result.n_workers)
                bar.end(f"{so_far}, {rate if result.n_workers else 'waiting for workers'}")
                continue
            outcomes = [AgentProblem(result.agent_id, _DIED, "worker")] if isinstance(result, Died) else result
            answers.take(outcomes)
            surveyed = [one for one in outcomes if isinstance(one, AgentSurvey)]
            batches.learn([one.agent_id for one in surveyed], sum(one.seconds for one in surveyed))
            n_requests += sum(one.n_requests for one in surveyed)
            rate = f"{n_requests / (time.perf_counter() - begin):,.0f} requests/s"
            bar.remark(f"{answers.n_known:,} of {counted(len(sizes), 'agent')}, {rate}")
            bar(batches.size_of(one.agent_id for one in outcomes), batches.total)
            if answers.are_hopeless:
                answers.give_up(sizes)
                return


class _Answers:
    """What is known of each agent so far."""

    def __init__(self, kept: KeptResults | None, on_error: str) -> None:
        self.kept = kept
        self.found: dict[str, AgentSurvey] = {}
        self._raises = on_error == "raise"
        self._problems: dict[str, AgentProblem] = {}
        self._n_recalled = 0

    def recall(self, agent_ids: Collection[str]) -> None:
        """Take the answers of earlier calls from the folder."""
        if self.kept is not None:
            known = set(agent_ids)
            self.found = {one.agent_id: one for one in self.kept.read(AgentSurvey) if one.agent_id in known}
            self._n_recalled = len(self.found)

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Take the outcomes of a task, and store them."""
        answers = [one for one in outcomes if isinstance(one, AgentSurvey)]
        if self.kept is not None and answers:
            self.kept.keep(answers)
        self.found |= {one.agent_id: one for one in answers}
        for problem in outcomes:
            if isinstance(problem, AgentProblem):
                if self._raises or problem.kind == "out":
                    msg = f"Agent {problem.agent_id!r} was not surveyed: {problem.sentence}"
                    raise SourceError(msg)
                self._problems[problem.agent_id] = problem

    @property
    def n_known(self) -> int:
        """How many agents have answers, or a problem in their place."""
        return len(self.found) + len(self._problems)

    @property
    def are_hopeless(self) -> bool:
        """Whether every agent so far met the same problem with the source or the workers."""
        reasons = {(one.kind, one.sentence) for one in self._problems.values()}
        is_one = len(reasons) == 1 and next(iter(reasons))[0] in _OF_WORKERS
        return not self.found and is_one and len(self._problems) >= _HOPELESS

    def give_up(self, agent_ids: Iterable[str]) -> None:
        """Say of all other agents what is wrong with these."""
        problem = next(iter(self._problems.values()))
        self._problems |= {one: replace(problem, agent_id=one) for one in agent_ids if one not in self._problems}

    def result(self, source: str, *, is_here: bool, seconds: float) -> Survey:
        """Return the survey."""
        groups: dict[str, list[str]] = {}
        for problem in self._problems.values():
            groups.setdefault(_explain(problem, is_here=is_here), []).append(problem.agent_id)
        for agent in self.found.values():
            for sentence in agent.problems:
                groups.setdefault(sentence, []).append(agent.agent_id)
        problems = [SurveyProblem(sentence, tuple(sorted(ids))) for sentence, ids in groups.items()]
        recalled = f"{counted(self._n_recalled, 'agent')} surveyed by an earlier call"
        return Survey(
            source=source,
            agents=sort_agents(self.found.values()),
            problems=tuple(sorted(problems, key=lambda one: (-len(one.agent_ids), one))),
            unsurveyed=tuple(sorted(self._problems)),
            remarks=(f"{recalled}, in {self.kept.folder}",) if self.kept is not None and self._n_recalled else (),
            seconds=seconds,
        )


def _explain(problem: AgentProblem, *, is_here: bool) -> str:
    """Return a problem as a sentence, with what workers need where they could not open the source."""
    if is_here or problem.kind != "source":
        return problem.sentence
    return f"{problem.sentence} Workers load for themselves: they need the paths and credentials of this process."
