"""The requests of both sides of a comparison as columns, and which of them are like each other.

Invariant: names have the same codes on both sides; requests that failed are on neither.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.advice.run_draws import SHORTEST_LIFE
from acg_lab.diagnosis.miss_words import describe_miss
from acg_lab.diagnosis.misses import find_misses
from acg_lab.simulation.result import CacheSimulation
from acg_lab.storage.times import NO_TIME

__all__ = ["ComparedRequests", "Names", "Stratum", "find_strata", "read_side", "split_at"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_STEPS: Final = 2  # strata of prompt sizes per doubling
_NONE: Final = -1


@dataclass(frozen=True)
class Names:
    """The names of agents, runs, models, misses and profiles, with a code each."""

    agents: dict[str, int] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)
    misses: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class ComparedRequests:
    """The answered requests of one side, as columns.

    Attributes
    ----------
    agents, runs, models : array of int64
        Codes of `Names`.
    misses, keys : array of int64
        What the request paid for in vain, and the profile that learned from it; -1 for none.
    started : array of int64
        Nanoseconds since 1970; `NO_TIME` where unknown.
    is_rested : array of bool
        Whether the agent had sent nothing for five minutes, the shortest lifetime of an entry.
    tokens, read : array of int64
        Of the prompt, and read from the cache as billed.
    prefix : array of int64
        Tokens of the stable prefix that production knew when the request was sent; -1 where it learned nothing of it.
    money, relative : array of float64
        Cost as billed, in US dollars and in uncached tokens; NaN where unknown.
    """

    agents: Ints
    runs: Ints
    models: Ints
    misses: Ints
    keys: Ints
    started: Ints
    is_rested: NDArray[np.bool_]
    tokens: Ints
    read: Ints
    prefix: Ints
    money: Floats
    relative: Floats

    def __len__(self) -> int:
        return len(self.agents)

    def of_agent(self, agent: int) -> "ComparedRequests":
        """Return the requests of one agent."""
        return self.take(np.flatnonzero(self.agents == agent))

    def take(self, rows: NDArray[Any]) -> "ComparedRequests":
        """Return some of the requests."""
        return replace(self, **{one.name: getattr(self, one.name)[rows] for one in fields(self)})


class Stratum(NamedTuple):
    """Requests that are like each other: one model, prompts of about one size, both after a pause or neither.

    Attributes
    ----------
    model : str
    from_tokens, to_tokens : int
        Prompts from the first to below the second.
    is_rested : bool
        Whether the agent had sent nothing for five minutes.
    before, after : int
        Requests on each side.
    """

    model: str
    from_tokens: int
    to_tokens: int
    is_rested: bool
    before: int
    after: int


def split_at(sim: CacheSimulation, time: int) -> tuple[CacheSimulation, CacheSimulation, tuple[str, ...]]:
    """Return the requests of the runs that began before a time and of those after, and what was left out.

    Runs are whole, but what a run of before sent after that time is on neither side.
    """
    runs, started = sim.history.requests.runs[sim.rows], sim.started_ns
    _, number = np.unique(runs, return_inverse=True)
    begin = np.full(int(number.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(begin, number, started)
    timed = started != NO_TIME
    is_before = timed & (begin[number] < time)
    is_late = is_before & (started >= time)
    remarks = []
    if n_late := int(is_late.sum()):
        remarks.append(f"{counted(n_late, 'request')} of runs that had begun before were sent after: left out")
    if n_untimed := int((~timed).sum()):
        remarks.append(f"{counted(n_untimed, 'request')} without a time: left out")
    before, after = (replace(sim, rows=sim.rows[kept]) for kept in (is_before & ~is_late, timed & ~is_before))
    return before, after, tuple(remarks)


def read_side(sim: CacheSimulation, names: Names) -> ComparedRequests:
    """Return the columns of one side; new names are added to ``names``."""
    found = ComparedRequests(
        agents=_codes(sim.agent_ids, names.agents),
        runs=_codes(sim.run_ids, names.runs),
        models=_codes(sim.models, names.models),
        misses=_name_misses(sim, names.misses),
        keys=np.array([names.keys.setdefault(key, len(names.keys)) if key else _NONE for key in sim.learning_keys]),
        started=sim.started_ns,
        is_rested=_find_pauses(sim),
        tokens=sim.tokens,
        read=sim.history.as_was.read[sim.rows],
        prefix=_known_prefixes(sim),
        money=sim.cost_as_was,
        relative=sim.history.cost(sim.history.as_was, money=False)[sim.rows],
    )
    return found.take(np.flatnonzero(~sim.failed))


def _codes(values: Iterable[str], known: dict[str, int]) -> Ints:
    return np.array([known.setdefault(value, len(known)) for value in values], np.int64)


def _name_misses(sim: CacheSimulation, known: dict[str, int]) -> Ints:
    """Return why each request missed; all messages count as one place, since conversations differ in length."""
    found = np.full(len(sim), _NONE, np.int64)
    for miss in find_misses(sim):
        block = "messages" if miss.block.startswith("messages") else miss.block
        words = describe_miss(miss._replace(block=block))
        found[list(miss.requests)] = known.setdefault(words, len(known))
    return found


def _find_pauses(sim: CacheSimulation) -> NDArray[np.bool_]:
    """Return before which requests the agent had paused; those before the span count too."""
    requests = sim.history.requests
    started = np.where(requests.timed, requests.started, NO_TIME)
    order = np.lexsort((started, requests.agents))
    is_next = (np.diff(requests.agents[order], prepend=_NONE) == 0) & (started[order] != NO_TIME)
    waited = np.diff(started[order].astype(np.float64), prepend=-np.inf)
    found = np.empty(len(order), bool)
    found[order] = ~(is_next & (waited <= SHORTEST_LIFE))
    kept: NDArray[np.bool_] = found[sim.rows]
    return kept


def _known_prefixes(sim: CacheSimulation) -> Ints:
    steps = sim.history.requests.steps[sim.rows]
    found, first = np.full(len(steps), _NONE, np.int64), 0
    ran = sim.history.config
    stable = np.array([ran.thresholds.stable_threshold], np.float64)
    for part in sim.history.history.parts:
        here = np.flatnonzero((steps >= first) & (steps < first + len(part.profile)))
        if len(here):
            found[here] = part.prefix_tokens(steps[here] - first, stable, ran.window)[:, 0]
        first += len(part.profile)
    return found


def find_strata(
    before: ComparedRequests, after: ComparedRequests
) -> tuple[Ints, Ints, list[tuple[int, int, int, bool]]]:
    """Return the stratum of each request of both sides; and of each stratum model, sizes, and whether after a pause."""
    models = np.concatenate((before.models, after.models))
    tokens = np.concatenate((before.tokens, after.tokens))
    rested = np.concatenate((before.is_rested, after.is_rested)).astype(np.int64)
    step = np.floor(_STEPS * np.log2(np.maximum(tokens, 1))).astype(np.int64)
    found, number = np.unique(np.stack((models, step, rested)), axis=1, return_inverse=True)
    number = number.reshape(-1).astype(np.int64)
    bounds = [(model, _size(size), _size(size + 1), bool(is_rested)) for model, size, is_rested in found.T.tolist()]
    return number[: len(before)], number[len(before) :], bounds


def _size(step: int) -> int:
    return int(np.ceil(2 ** (step / _STEPS)))
