"""Generated agents: settings, and runs of requests that reach every rule of the learner.

``cases(seed, n_requests, modern=...)`` is the whole of it. An agent has a few conversations that grow, start anew,
change what stands around them, or have one of their messages exchanged, in proportions drawn for each agent: so some
windows hold one content, some many, and scores fall on, above and below thresholds. What no request can bring about
(windows that another writer stored) is brought about by *meddling* with a stored window between two runs.
"""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from conformance.dialects import Annotated, Anthropic, OpenAI, Responses
from conformance.meddle import MEDDLES
from conformance.runtime import Call, Provider, Thresholds
from conformance.values import Values

AGENTS = ("agent", "a:b", "a::model=m", "\xe9\U0001f600", " ", "a\nb", "*", "runs:a", "")
WINDOWS = (0, 1, 2, 3, 4, 5, 100)
LEVELS = (0.0, 0.25, 1 / 3, 0.5, 0.6, 2 / 3, 0.75, 0.95, 1.0, 1.0000001, 1.5, -1.0, 5e-324)
COUNTS = (0, 1, 2, 3, 20, 2**32 - 1)
DEFAULTS = Thresholds(stable_threshold=0.95, semi_stable_threshold=0.5, min_observations_for_full_confidence=20)
MOST_MESSAGES = 9
# Calls that teach nothing: the request is not known, or it is a tool's.
OTHER_CALLS = (Call({"messages": []}, "none"), Call({"a": 1}, "tool"))
LONE_SURROGATE = "\ud800"


@dataclass(frozen=True)
class Run:
    """One run of an agent.

    Attributes
    ----------
    calls : tuple of Call
        In order; may be none.
    meddle : str or None
        What is done to the agent's stored windows before it; a name of ``meddle.MEDDLES``.
    restart : bool
        Whether the runtime starts anew before it, on the same store.
    """

    calls: tuple[Call, ...]
    meddle: str | None = None
    restart: bool = False


@dataclass(frozen=True)
class Case:
    """One agent: how the runtime is set, and what the agent does.

    Attributes
    ----------
    agent_id : str
    window : int
    thresholds : Thresholds
    full_payloads : bool
        Whether later calls of a run are recorded whole.
    runs : tuple of Run
        Oldest first.
    provider : str
        What the runtime plans for.
    """

    agent_id: str
    window: int
    thresholds: Thresholds
    full_payloads: bool
    runs: tuple[Run, ...]
    provider: Provider = "passthrough"

    @property
    def n_requests(self) -> int:
        """How many requests the agent makes."""
        return sum(len(run.calls) for run in self.runs)

    def cut(self, n_requests: int) -> "Case":
        """Return the case with no more than that many requests."""
        runs = []
        for run in self.runs:
            if n_requests > 0:
                runs.append(replace(run, calls=run.calls[:n_requests]))
                n_requests -= len(runs[-1].calls)
        return replace(self, runs=tuple(runs))

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object, to be printed."""
        return asdict(self)


@dataclass(frozen=True)
class Habits:
    """In what proportions an agent's conversations grow and change."""

    grow: float
    restart: float
    fresh: float
    exchange: float
    reframe: float
    spoil: float


class Conversation:
    """One conversation, as one dialect tells it; every step gives a request."""

    def __init__(self, dialect, values: Values, habits: Habits) -> None:
        self._dialect = dialect
        self._values = values
        self._habits = habits
        self._frame = dialect.frame()
        self._start = dialect.opening()
        self._messages = list(self._start)

    def step(self) -> Call:
        """Go one step on, and return the request."""
        chance, habits = self._values.chance, self._habits
        if len(self._messages) > MOST_MESSAGES or chance(habits.restart):
            self._start = self._dialect.opening() if chance(habits.fresh) else self._start
            self._messages = list(self._start)
        if chance(habits.reframe):
            self._frame = self._dialect.frame()
        if chance(habits.grow):
            self._messages += self._dialect.turn()
        if self._messages and chance(habits.exchange):
            self._exchange()
        body = deepcopy(self._dialect.body(self._frame, self._messages))
        if chance(habits.spoil):
            spoil(self._values.rng, body)
        return Call(body, self._dialect.codec)

    def _exchange(self) -> None:
        """Put another message in the place of one, mostly of a late one: the first ones say which profile it is."""
        rng = self._values.rng
        place = max(rng.randrange(len(self._messages)) for _ in range(3))
        self._messages[place] = rng.choice(self._dialect.turn())


def spoil(rng: Random, body: dict[str, Any]) -> None:
    """Make a body such as a codec refuses, or reads in a way of its own."""
    field = "messages" if "messages" in body else "input"
    name, value = rng.choice(
        (
            (field, [{"role": "user", "content": 5}]),
            (field, [{"role": "user"}]),
            (field, [{"content": "x"}]),
            (field, [{"role": "user", "content": LONE_SURROGATE}]),
            (field, [{"role": "user", "content": [{"type": "hologram"}]}]),
            (field, [{"role": "assistant", "tool_calls": [{"id": "c"}]}]),
            (field, None),
            ("tools", None),
            ("tools", [{"type": "function"}]),
            ("model", 5),
            ("model", None),
            ("seed", 2**64),
            ("seed", float("nan")),
            (field, []),
        )
    )
    body[name] = value


def make_case(rng: Random, *, modern: bool) -> Case:
    """Draw an agent."""
    values = Values(rng)
    habits = Habits(
        grow=rng.choice((0.0, 0.3, 0.6, 1.0)),
        restart=rng.choice((0.0, 0.05, 0.3, 1.0)),
        fresh=rng.choice((0.0, 0.0, 0.2, 1.0)),
        exchange=rng.choice((0.0, 0.1, 0.5, 0.9)),
        reframe=rng.choice((0.0, 0.0, 0.0, 0.1, 0.4)),
        spoil=rng.choice((0.0, 0.0, 0.0, 0.1)),
    )
    conversations = [_conversation(values, habits, modern=modern) for _ in range(rng.choice((1, 1, 2, 3)))]
    window = rng.choice(WINDOWS)
    n_runs = 45 if window == WINDOWS[-1] and rng.random() < 0.1 else rng.randint(1, 10)
    runs = tuple(_run(rng, conversations) for _ in range(n_runs))
    return Case(
        agent_id=rng.choice(AGENTS) if rng.random() < 0.3 else "agent",
        window=window,
        thresholds=_thresholds(rng),
        full_payloads=rng.random() < 0.6,
        runs=runs,
    )


def _run(rng: Random, conversations: list[Conversation]) -> Run:
    n_calls = rng.choice((1, 1, 2, 2, 3, 3, 4, 6)) if rng.random() > 0.02 else 0
    calls = tuple(
        rng.choice(OTHER_CALLS) if rng.random() < 0.02 else rng.choice(conversations).step() for _ in range(n_calls)
    )
    return Run(calls, rng.choice(tuple(MEDDLES)) if rng.random() < 0.04 else None)


def _conversation(values: Values, habits: Habits, *, modern: bool) -> Conversation:
    kind = values.rng.choice((OpenAI, OpenAI, Annotated, Annotated, Annotated, Anthropic, Responses))
    # What a runtime can't read is put to it now and then all the same.
    dialect = kind(values, modern=modern or values.chance(0.03))
    return Conversation(dialect, values, habits)


def _thresholds(rng: Random) -> Thresholds:
    if rng.random() < 0.2:
        return DEFAULTS
    stable, semi = rng.choice(LEVELS), rng.choice(LEVELS)
    if rng.random() < 0.7:
        stable, semi = max(stable, semi), min(stable, semi)
    return Thresholds(
        stable_threshold=stable, semi_stable_threshold=semi, min_observations_for_full_confidence=rng.choice(COUNTS)
    )


def cases(seed: int, n_requests: int, *, modern: bool) -> Iterator[Case]:
    """Yield agents that make that many requests together; the same for the same arguments.

    Parameters
    ----------
    seed : int
    n_requests : int
        Of all agents together.
    modern : bool
        Whether requests hold what only runtimes from 0.6 on can read.
    """
    rng = Random(seed)
    while n_requests > 0:
        case = make_case(rng, modern=modern).cut(n_requests)
        n_requests -= case.n_requests
        yield case
