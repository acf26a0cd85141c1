"""Put generated agents to the real runtime and to our learner, and find the first difference.

The runtime has one agent id at a time, so every agent means another ``configure`` (about a millisecond). After each run
all that it stored in Redis is read and compared.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import redis
from conformance.compare import RESULT, WINDOW, Difference, rules_of
from conformance.generate import Case, Run
from conformance.meddle import MEDDLES
from conformance.runtime import Outcome, Runtime
from conformance.shrink import shrink_case
from conformance.twin import Twin

PREFIX = "acg:"


@dataclass
class Tally:
    """What was done with one version of the runtime.

    Attributes
    ----------
    requests, refused, runs, agents : int
        What was put to the runtime, and how many of the requests its codecs refused.
    profiles : int
        Updates of a profile (window and result) that were compared.
    skipped : int
        Requests that were recorded, but of which no observation could be built.
    seconds : float
    """

    version: str
    seed: int
    requests: int = 0
    refused: int = 0
    runs: int = 0
    agents: int = 0
    profiles: int = 0
    skipped: int = 0
    differences: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.version}: seed {self.seed}, {self.requests} requests ({self.refused} refused by codecs, "
            f"{self.skipped} skipped) in {self.runs} runs of {self.agents} agents, {self.profiles} profile updates "
            f"compared, {self.differences} differences, {self.seconds:.1f} s"
        )


class Laboratory:
    """One version of the runtime, and the Redis that it stores in.

    Parameters
    ----------
    runtime : Runtime
    url : str
        Of a Redis database of one's own; it is emptied for every agent.
    tally : Tally
        Counts what is done.
    """

    def __init__(self, runtime: Runtime, url: str, tally: Tally) -> None:
        self._runtime = runtime
        self._url = url
        self._client = redis.Redis.from_url(url)
        self._tally = tally

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def start(self, case: Case) -> Twin:
        """Start the runtime anew with an empty store, and our learner with it."""
        self._client.flushdb()
        self._configure(case)
        return Twin(case.agent_id, case.window, case.thresholds, rules_of(self._runtime.version))

    def _configure(self, case: Case) -> None:
        self._runtime.configure(
            agent_id=case.agent_id,
            backend="redis",
            redis_url=self._url,
            key_prefix=PREFIX,
            observation_window=case.window,
            thresholds=case.thresholds,
            full_payloads=case.full_payloads,
            provider=case.provider,
        )

    def difference(self, case: Case) -> Difference | None:
        """Put an agent to both; return the first difference."""
        twin = self.start(case)
        self._tally.agents += 1
        try:
            found = next(filter(None, (self._take(twin, run, case) for run in case.runs)), None)
            return found or twin.compare_all(self.stored())
        finally:
            self._tally.profiles += twin.n_compared
            self._tally.skipped += twin.n_skipped

    def _take(self, twin: Twin, run: Run, case: Case) -> Difference | None:
        if run.restart:
            self._configure(case)
            twin.restart()
        if run.meddle is not None:
            self.meddle(twin, run.meddle)
        outcomes = self._runtime.run(None, run.calls)
        self._tally.runs += 1
        self._tally.requests += len(run.calls)
        n_refused = sum(outcome.error is not None for outcome in outcomes)
        self._tally.refused += n_refused
        raw = self.newest_run(twin.agent_id)
        if raw is None or len(json.loads(raw)["calls"]) != len(run.calls) - n_refused:
            return Difference("", "", "recorded calls", len(run.calls) - n_refused, raw)
        return self._judge_calls(twin, run, case, outcomes, raw) or twin.learn(raw, self.stored())

    def _judge_calls(
        self, twin: Twin, run: Run, case: Case, outcomes: Sequence[Outcome], raw: bytes
    ) -> Difference | None:
        """Compare what became of the calls; here nothing, since nothing is planned."""

    def newest_run(self, agent_id: str) -> bytes | None:
        """Return the record that was stored last."""
        run_id = self._client.lindex(f"{PREFIX}runs_index:{agent_id}", -1)
        return None if run_id is None else self._client.get(f"{PREFIX}runs:{agent_id}:{run_id.decode()}")

    def stored(self) -> dict[str, bytes]:
        """Return all windows and results, by key without prefix."""
        keys = [key for kind in (WINDOW, RESULT) for key in self._client.keys(f"{PREFIX}{kind}*")]
        values = self._client.mget(keys) if keys else []
        return {key.decode().removeprefix(PREFIX): value for key, value in zip(keys, values, strict=True)}

    def put(self, key: str, text: str | bytes, *, prefix: str = PREFIX) -> None:
        """Store a text as another writer may, under a key without prefix."""
        self._client.set(prefix + key, text)

    def meddle(self, twin: Twin, name: str) -> None:
        """Do something to each of the agent's windows, for both learners."""
        for key, raw in self.stored().items():
            if key.startswith(WINDOW) and key != WINDOW + twin.agent_id:
                changed = json.dumps(MEDDLES[name](json.loads(raw)), ensure_ascii=False, separators=(",", ":")).encode()
                self.put(key, changed)
                twin.meddle(key.removeprefix(WINDOW), changed)

    def report(self, case: Case) -> str | None:
        """Put an agent to both; on a difference shrink it, and return it as text."""
        before = Tally(**vars(self._tally))
        first = self.difference(case)
        if first is None:
            return None
        counts = Tally(**vars(self._tally))
        smallest = shrink_case(case, lambda simpler: self.difference(simpler) is not None)
        found = self.difference(smallest)
        vars(self._tally).update(vars(counts), differences=before.differences + 1)
        text: dict[str, Any] = {"version": self._runtime.version, "case": asdict(smallest)}
        if found is None:
            text |= {"note": "seen once only, so it is not shrunk", "case": asdict(case)}
        return json.dumps(text | {"difference": asdict(found or first)}, indent=1, default=str)
