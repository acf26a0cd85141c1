"""What is asked of one agent, and the answers as plain values that can be sent and stored.

Invariant: an answer is what single calls return for the agent alone; nothing depends on the other agents of a task.
"""

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from acg_lab import __version__
from acg_lab.advice.agent_sweeps import AgentPrices, price_agent
from acg_lab.advice.setting_grid import SettingGrid, common_grid, given_grid
from acg_lab.config.settings import AcgSettings
from acg_lab.core.errors import AcgLabError, SourceError
from acg_lab.diagnosis.agent_costs import AgentCost, summarize_costs
from acg_lab.diagnosis.explain import explain
from acg_lab.diagnosis.misses import find_misses
from acg_lab.diagnosis.repair_costs import read_costs
from acg_lab.fleet.address import Address
from acg_lab.fleet.kept import KeptError, write_requests
from acg_lab.frames.findings import findings
from acg_lab.frames.joined import Columns, plain_columns
from acg_lab.frames.simulated import misses
from acg_lab.history.replay import replay
from acg_lab.history.trace import Trace
from acg_lab.simulation.simulate import simulate
from acg_lab.snapshot.snapshot import Snapshot

if TYPE_CHECKING:
    from acg_lab.providers.rules import CacheProvider

__all__ = ["AgentProblem", "AgentSurvey", "Outcome", "Questions", "survey_agents"]

_WINDOW: Final = 100  # of a simulation whose settings are not given
_PACKAGE: Final = Path(__file__).parents[1]


class AgentSurvey(msgspec.Struct, frozen=True, kw_only=True):
    """The answers for one agent.

    Attributes
    ----------
    agent_id : str
    n_profiles, n_requests : int
        Requests that were recorded in runs.
    cost : AgentCost or None
        None where no request was recorded. Its worst miss has no positions of requests.
    misses, findings : dict of str to list
        Columns of `acg_lab.frames.misses` and `acg_lab.frames.findings`.
    prices : AgentPrices or None
        What settings cost; None where that was not asked, or no request can be replayed.
    problems : tuple of str
        What could not be read of it.
    seconds : float
        What it took.
    """

    agent_id: str
    n_profiles: int
    n_requests: int
    cost: AgentCost | None
    misses: Columns
    findings: Columns
    prices: AgentPrices | None
    problems: tuple[str, ...]
    seconds: float


class AgentProblem(msgspec.Struct, frozen=True):
    """Why an agent has no answers.

    Attributes
    ----------
    agent_id : str
    sentence : str
        Without credentials and prompt text.
    kind : {"source", "data", "version", "out", "fault", "worker"}
        The source can't be opened, or what it holds can't be read; another version of acg_lab; the results can't be
        written; a fault of acg_lab itself; the process that worked on it died.
    """

    agent_id: str
    sentence: str
    kind: Literal["source", "data", "version", "out", "fault", "worker"]


Outcome = AgentSurvey | AgentProblem


@dataclass(frozen=True)
class Questions:
    """What is asked of each agent.

    Attributes
    ----------
    cache_provider : str or CacheProvider
    current : AcgSettings or None
        What the governor runs with, as ``config`` of `acg_lab.simulate`; production's defaults where it is None.
    findings, sweep : bool
        Whether what breaks prefixes is explained, and whether settings are priced.
    settings : tuple of AcgSettings or None
        The settings to price; None: those that suit all agents.
    out : str or None
        Folder that gets the requests of each agent.
    version : str
        Of acg_lab in the process that asks.
    """

    cache_provider: "CacheProvider | str" = "auto"
    current: AcgSettings | None = None
    findings: bool = True
    sweep: bool = False
    settings: tuple[AcgSettings, ...] | None = None
    out: str | None = None
    version: str = __version__

    @property
    def in_force(self) -> AcgSettings:
        """What the governor runs with."""
        return AcgSettings() if self.current is None else self.current

    def make_grid(self) -> SettingGrid:
        """Return the settings to price, the same for all agents."""
        return common_grid(self.in_force) if self.settings is None else given_grid(self.settings, self.in_force)


def survey_agents(address: Address, questions: Questions, agent_ids: Sequence[str]) -> list[Outcome]:
    """Return the answers for some agents, in their order; a problem where there are none."""
    return [_survey(address, questions, agent_id) for agent_id in agent_ids]


def _survey(address: Address, questions: Questions, agent_id: str) -> Outcome:
    if questions.version != __version__:
        sentence = f"a worker has acg_lab {__version__}, and this process {questions.version}: install the same version"
        return AgentProblem(agent_id, sentence, "version")
    begin = time.perf_counter()
    try:
        snapshot = address.load_agent(agent_id)
        return _answer(snapshot, questions, agent_id, begin)
    except KeptError as error:
        return AgentProblem(agent_id, str(error), "out")
    except SourceError as error:
        return AgentProblem(agent_id, str(error), "source")
    except AcgLabError as error:
        return AgentProblem(agent_id, str(error), "data")
    except Exception as error:  # noqa: BLE001  one agent must not end a night's work
        return AgentProblem(agent_id, _describe_fault(error), "fault")


def _answer(snapshot: Snapshot, questions: Questions, agent_id: str, begin: float) -> AgentSurvey:
    cost, missed = None, _NO_ROWS
    if any(map(len, snapshot.runs.calls)):
        history = _replay(snapshot, questions, agent_id)
        sim = simulate(history, cache_provider=questions.cache_provider, config=questions.current)
        found = find_misses(sim)
        costs = summarize_costs(sim, found)
        cost, missed = (_without_positions(costs[0]) if costs else None), plain_columns(misses(found))
        if questions.out is not None:
            write_requests(questions.out, agent_id, sim)
    explained = plain_columns(findings(explain(snapshot, progress=False))) if questions.findings else _NO_ROWS
    return AgentSurvey(
        agent_id=agent_id,
        n_profiles=len(snapshot.windows),
        n_requests=0 if cost is None else cost.n_requests,
        cost=cost,
        misses=missed,
        prices=_price(snapshot, questions) if questions.sweep and cost is not None else None,
        findings=explained,
        problems=tuple(map(str, snapshot.problems)),
        seconds=time.perf_counter() - begin,
    )


_NO_ROWS: Final[Columns] = {}


def _replay(snapshot: Snapshot, questions: Questions, agent_id: str) -> Snapshot | Trace:
    """Return what is simulated: the agent's replay where `explain` needs the same one, or the window is another."""
    window = questions.in_force.observation_window
    if window != _WINDOW:
        return replay(snapshot, window=window, progress=False)
    is_replayed = any(call.request is not None for calls in snapshot.runs.calls for call in calls)
    is_asked = questions.findings and questions.current is None and snapshot.agent_ids == (agent_id,)
    if not (is_asked and is_replayed):
        return snapshot
    trace = replay(snapshot, progress=False)
    read_costs(snapshot, agent_id, trace)  # `explain` finds them: it simulates under the same settings
    return trace


def _price(snapshot: Snapshot, questions: Questions) -> AgentPrices | None:
    return price_agent(snapshot, questions.make_grid(), questions.in_force, questions.cache_provider)


def _without_positions(cost: AgentCost) -> AgentCost:
    return cost if cost.worst is None else cost._replace(worst=cost.worst._replace(requests=()))


def _describe_fault(error: Exception) -> str:
    """Return what was raised and where; not its message, which may hold anything."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if str(_PACKAGE) in frame.filename]
    where = f" at {Path(frames[-1].filename).relative_to(_PACKAGE.parent)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}; please report it, with the output of acg.load(..., agent_id=...)"
