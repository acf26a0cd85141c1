"""Simulated against recorded: how far a simulation of this history can be trusted."""

from dataclasses import dataclass
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.core.errors import UsageError
from acg_lab.simulation.result import CacheSimulation
from acg_lab.storage.times import NO_TIME, render_time

__all__ = ["Agreement", "Calibration", "Disagreement", "calibrate"]

Ints = NDArray[np.int64]
_CLOSE = 0.01  # of the prompt
_N_LARGEST = 10
_FEW = 10  # requests with reads, below which agreement may be luck
_DAY = 86_400 * 10**9


class Agreement(NamedTuple):
    """How simulated and recorded reads compare over some requests.

    Attributes
    ----------
    agent_id, day : str
        ``day`` is a UTC date; empty for all days, as ``agent_id`` is for all agents.
    n_requests, n_with_reads : int
        Requests with recorded usage, and those of them that read anything: agreeing on nothing is easy.
    any_read, within_1_percent, within_1_percent_with_reads : float
        Share of requests that agree on whether anything was read, and whose read tokens differ by at most 1% of the
        prompt; NaN without any.
    recorded_read, simulated_read : int
        Tokens of all of them.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-legacy"))
    >>> acg.calibrate(sim).total.n_with_reads
    208
    """

    agent_id: str
    day: str
    n_requests: int
    n_with_reads: int
    any_read: float
    within_1_percent: float
    within_1_percent_with_reads: float
    recorded_read: int
    simulated_read: int


class Disagreement(NamedTuple):
    """One request whose simulated read is far from the recorded one.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-legacy"))
    >>> len(acg.calibrate(sim).largest) <= 10
    True
    """

    agent_id: str
    run_id: str
    call: int
    tokens: int
    recorded_read: int
    simulated_read: int
    verdict: str


@dataclass(frozen=True, eq=False, repr=False)
class Calibration:
    """How far a simulation agrees with the bills.

    Attributes
    ----------
    total : Agreement
        Of all requests with usage.
    by_agent, by_day : tuple of Agreement
        By agent; by agent and day.
    largest : tuple of Disagreement
        The largest disagreements, in tokens.
    n_without_usage, n_without_rules : int
        Requests of which nothing can be checked: nothing was billed, or their cache has no known rules.

    Examples
    --------
    >>> import acg_lab as acg
    >>> calibration = calibrate(acg.simulate(acg.load("data/sample", agent_id="support-legacy")))
    >>> calibration.total.n_requests, round(calibration.total.any_read, 2)
    (246, 1.0)
    """

    total: Agreement
    by_agent: tuple[Agreement, ...]
    by_day: tuple[Agreement, ...]
    largest: tuple[Disagreement, ...]
    n_without_usage: int
    n_without_rules: int

    @property
    def verdict(self) -> str:
        """How far to trust the simulation, in words."""
        total = self.total
        if not total.n_requests:
            lacks = "known rules of the cache" if self.n_without_rules else "recorded usage"
            return f"Unknown: no request has {lacks}, so nothing can be checked."
        if not total.n_with_reads:
            n_wrong = round((1 - total.any_read) * total.n_requests)
            if n_wrong:
                return f"Poor: {n_wrong:,} of {counted(total.n_requests, 'request')} should have read, and none did."
            return f"Barely tested: no request read anything in {counted(total.n_requests, 'request')}."
        share, off = total.within_1_percent_with_reads, abs(total.simulated_read - total.recorded_read)
        error = off / max(total.recorded_read, 1)
        if total.n_with_reads < _FEW:
            n = counted(total.n_with_reads, "request")
            return f"Too few to judge: {n} with reads; {share:.0%} agree within 1% of the prompt."
        level = "Good" if share >= 0.95 and error <= 0.02 else "Fair" if share >= 0.8 and error <= 0.1 else "Poor"  # noqa: PLR2004
        return (
            f"{level}: of {total.n_with_reads:,} requests with reads, {share:.1%} agree within 1% of the prompt; "
            f"total reads are off by {error:.1%}."
        )

    def __repr__(self) -> str:
        lines = [f"<Calibration: {self.verdict}"]
        lines += [f"  {a.agent_id!r}: {a.within_1_percent:.1%} of {a.n_requests:,} within 1%" for a in self.by_agent]
        if self.n_without_usage:
            lines.append(f"  {counted(self.n_without_usage, 'request')} without usage: not checked")
        if self.n_without_rules:
            lines.append(f"  {counted(self.n_without_rules, 'request')} of caches without known rules: not checked")
        return "\n".join(lines) + ">"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(a.agent_id)}</td><td>{a.n_requests:,}</td><td>{a.n_with_reads:,}</td>"
            f"<td>{a.any_read:.1%}</td><td>{a.within_1_percent:.1%}</td></tr>"
            for a in self.by_agent
        )
        head = "".join(
            f"<th>{name}</th>" for name in ("agent", "requests", "with reads", "agree on any read", "within 1%")
        )
        return (
            f"<b>Calibration</b>: {escape(self.verdict)}"
            f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        )


def calibrate(sim: CacheSimulation) -> Calibration:
    """Compare what was simulated with what was recorded.

    Parameters
    ----------
    sim : CacheSimulation
        Of the history as it was: no settings, breakpoints as sent.

    Returns
    -------
    Calibration

    Raises
    ------
    UsageError
        If the simulation changes breakpoints or settings: no bill states what a change would have read.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.simulation import simulate
    >>> calibrate(simulate(acg.load("data/sample", agent_id="support-legacy"))).verdict[:30]
    'Good: of 208 requests with rea'
    """
    if not isinstance(sim, CacheSimulation) or sim.history.after is not sim.history.before:
        msg = "Only a simulation of the history as it was can be calibrated: acg.calibrate(acg.simulate(trace))."
        raise UsageError(msg)
    has_rules = np.array([name != "" for name in sim.cache_providers], bool)
    is_billed = sim.billed & ~sim.failed
    rows = np.flatnonzero(is_billed & has_rules)
    agents = np.array([sim.history.requests.agents[row] for row in sim.rows[rows].tolist()], np.int64)
    days = sim.started_ns[rows] // _DAY
    names = sim.history.requests.agent_ids
    compare = _Comparison(sim, rows)
    by_agent = [
        compare.over(np.flatnonzero(agents == code), names[code])
        for code in sorted(set(agents.tolist()), key=names.__getitem__)
    ]
    pairs = sorted(set(zip(agents.tolist(), days.tolist(), strict=True)), key=lambda pair: (names[pair[0]], pair[1]))
    by_day = [
        compare.over(np.flatnonzero((agents == code) & (days == day)), names[code], _date(day)) for code, day in pairs
    ]
    return Calibration(
        compare.over(np.arange(len(rows))),
        tuple(by_agent),
        tuple(by_day),
        tuple(compare.largest()),
        int((~sim.billed & ~sim.failed).sum()),
        int((is_billed & ~has_rules).sum()),
    )


class _Comparison:
    def __init__(self, sim: CacheSimulation, rows: Ints) -> None:
        self._sim, self._rows = sim, rows
        self._tokens, self._recorded = sim.tokens[rows], sim.recorded_read[rows]
        self._simulated = sim.simulated_read[rows]

    def over(self, chosen: Ints, agent_id: str = "", day: str = "") -> Agreement:
        recorded, simulated = self._recorded[chosen], self._simulated[chosen]
        close = np.abs(recorded - simulated) <= _CLOSE * self._tokens[chosen]
        has_read = (recorded > 0) | (simulated > 0)
        return Agreement(
            agent_id,
            day,
            len(chosen),
            int(np.count_nonzero(recorded > 0)),
            _share((recorded > 0) == (simulated > 0)),
            _share(close),
            _share(close[has_read]),
            int(recorded.sum()),
            int(simulated.sum()),
        )

    def largest(self) -> list[Disagreement]:
        off = np.abs(self._recorded - self._simulated)
        worst = [k for k in np.argsort(-off, kind="stable")[:_N_LARGEST].tolist() if off[k] > 0]
        if not worst:
            return []
        sim, verdicts = self._sim, self._sim.verdicts
        agents, runs = sim.agent_ids, sim.run_ids
        return [
            Disagreement(
                agents[row],
                runs[row],
                int(sim.calls[row]),
                int(self._tokens[k]),
                int(self._recorded[k]),
                int(self._simulated[k]),
                str(verdicts[row]),
            )
            for k, row in ((k, int(self._rows[k])) for k in worst)
        ]


def _date(day: int) -> str:
    """Return a day as text, empty for requests without a time."""
    return "" if day == NO_TIME // _DAY else render_time(day * _DAY)[:10]


def _share(flags: NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
