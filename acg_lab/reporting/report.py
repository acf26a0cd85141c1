"""Make the report: gather what each part needs, and fill the page.

Invariant: what may come from a prompt or a log is escaped, by the template or by the value that prints itself.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from acg_lab import plots
from acg_lab._format import counted, html_text, money, percent, printable
from acg_lab.advice.recommend import recommend
from acg_lab.core.errors import SourceError
from acg_lab.diagnosis.agent_costs import AgentCost, summarize_costs
from acg_lab.diagnosis.cost_words import describe_amount, describe_cause, describe_read_share
from acg_lab.diagnosis.explain import explain
from acg_lab.diagnosis.miss_words import describe_miss
from acg_lab.diagnosis.misses import Miss, find_misses
from acg_lab.diagnosis.repair_trials import MIN_SAVED
from acg_lab.reporting.facts import list_methods, list_unknowns
from acg_lab.reporting.figures import Picture, draw_picture
from acg_lab.simulation.simulate import simulate
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage.path_options import check_mode, path_text

if TYPE_CHECKING:
    from acg_lab.providers.rules import CacheProvider
    from acg_lab.simulation.result import CacheSimulation

__all__ = ["Report", "report"]

_MOST_AGENTS: Final = 50
_MOST_MISSES: Final = 25
_NOTHING: Final = 0.005  # of the cost; a loss below that is nothing if it is less than a cent too


@dataclass(frozen=True)
class Report:
    """A page of HTML that needs nothing else; made by `acg_lab.report`.

    Attributes
    ----------
    html : str
        The whole page.
    summary : str
        What it says first.
    """

    html: str
    summary: str

    def save(self, path: "str | os.PathLike[str]", *, mode: int | None = None) -> None:
        """Write the page to a file; a file that is there is replaced.

        Parameters
        ----------
        path : path
        mode : int, optional
            Permissions of the file, such as ``0o644``. By default a new one is for its owner alone, and one that is
            replaced keeps its own.

        Raises
        ------
        SourceError
            If the file can't be written.
        """
        place, mode = path_text(path), check_mode(mode)
        try:
            with open(place, "w", encoding="utf-8", opener=_open_private) as file:
                if mode is not None:
                    os.chmod(place, mode)  # noqa: PTH101  a path by name
                file.write(self.html)
        except OSError as error:
            msg = f"The report can't be written to {place!r}: {error.strerror or error}."
            raise SourceError(msg) from error

    def __repr__(self) -> str:
        return f"<Report: {printable(self.summary)} {len(self.html.encode()) / 1e6:.1f} MB; .save(path) writes it>"

    def _repr_html_(self) -> str:
        frame = "width:100%;height:640px;border:1px solid var(--jp-border-color2,#C9CFD6)"
        return f'<iframe srcdoc="{escape(self.html)}" style="{frame}" title="{html_text(self.summary)}"></iframe>'


def report(
    snap: Snapshot,
    path: "str | os.PathLike[str] | None" = None,
    *,
    cache_provider: "CacheProvider | str" = "auto",
    advice: bool = True,
    text: bool = False,
    progress: Literal[False] | None = None,
    mode: int | None = None,
) -> Report:
    """Write what a history costs, why requests miss and what to change into one HTML file for colleagues.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    path : path, optional
        Where to write it; a file that is there is replaced.
    cache_provider : str or CacheProvider, default "auto"
        As in `acg_lab.simulate`.
    advice : bool, default True
        Whether settings are recommended too, which takes as long as the rest.
    text : bool, default False
        Whether findings show excerpts of prompts.
    progress : False, optional
        Without progress bars.
    mode : int, optional
        Permissions of the file; see `Report.save`.

    Returns
    -------
    Report

    Raises
    ------
    UsageError
        If `snap` is not a Snapshot.
    SourceError
        If the file can't be written.

    Examples
    --------
    >>> import acg_lab as acg
    >>> page = acg.report(acg.load("data/sample", agent_id="support-legacy"), advice=False)
    >>> page.summary
    '$0.52 of input in 13 days, and nothing of it is lost.'
    >>> "<script" in page.html, "http" in page.html.replace("http://www.w3.org", "")
    (False, False)
    """
    check_snapshot(snap)
    if path is not None:
        path, mode = path_text(path), check_mode(mode)
    sim = simulate(snap, cache_provider=cache_provider) if any(map(len, snap.runs.calls)) else None
    misses = [] if sim is None else find_misses(sim)
    costs = [] if sim is None else summarize_costs(sim, misses)
    summary = _summarize(sim, costs)
    findings = explain(snap, text=text, progress=progress is not False)
    advised = recommend(snap, cache_provider=cache_provider, progress=progress) if advice and sim is not None else None
    html = _render(
        title=f"Input cost and prompt caching: {snap.source}",
        summary=summary,
        period="" if sim is None else _period(sim),
        agents=[_AgentRow.of(cost) for cost in costs[:_MOST_AGENTS]],
        n_more_agents=max(len(costs) - _MOST_AGENTS, 0),
        pictures=[] if sim is None else _draw(sim),
        misses=[_MissRow.of(miss) for miss in misses[:_MOST_MISSES]],
        n_more_misses=max(len(misses) - _MOST_MISSES, 0),
        findings=findings._repr_html_(),
        advice=[] if advised is None else advised.lines,
        unknowns=list(dict.fromkeys(list_unknowns(snap, sim))),
        methods=list_methods(snap, sim),
    )
    made = Report(html, summary)
    if path is not None:
        made.save(path, mode=mode)
    return made


def _open_private(path: str, flags: int) -> int:
    """Open a file for writing, a new one for its owner alone: agents and excerpts of prompts are nobody else's."""
    return os.open(path, flags, 0o600)


class _AgentRow(NamedTuple):
    agent: str
    requests: str
    cost: str
    read: str
    lost: str
    could_be: str
    cause: str

    @classmethod
    def of(cls, cost: AgentCost) -> "_AgentRow":
        known = (cost.cost, cost.cost_tokens), (cost.lost, cost.lost_tokens), (cost.limit, cost.limit_tokens)
        paid, lost, could_be = (describe_amount(dollars, tokens, cost.full_tokens) for dollars, tokens in known)
        read = describe_read_share(cost.read_share)
        return cls(cost.agent_id, f"{cost.n_requests:,}", paid, read, lost, could_be, describe_cause(cost))


class _MissRow(NamedTuple):
    lost: str
    requests: str
    tokens: str
    agent: str
    words: str
    last_seen: str

    @classmethod
    def of(cls, miss: Miss) -> "_MissRow":
        tokens = "unknown" if np.isnan(miss.lost_tokens) else f"{miss.lost_tokens:,.0f} uncached tokens"
        lost = tokens if np.isnan(miss.lost) else money(miss.lost)
        seen = str(np.datetime64(miss.last_seen, "ns"))[:16].replace("T", " ") if miss.last_seen > 0 else "unknown"
        return cls(lost, f"{len(miss.requests):,}", f"{miss.tokens:,}", miss.agent_id, describe_miss(miss), seen)


def _summarize(sim: "CacheSimulation | None", costs: Sequence[AgentCost]) -> str:
    """Return what is paid and what of it is lost, in one sentence."""
    if sim is None or not costs:
        return "No requests are recorded."
    if sim.failed.all():
        return f"No request was answered: {counted(len(sim), 'request')} failed, and nothing was billed."
    totals = sim.totals()
    priced = [cost for cost in costs if cost.has_prices]
    if not priced:
        return f"{counted(len(sim), 'request')} of models without a price."
    days = _days(sim)
    period = f" in {counted(days, 'day')}" if days else ""
    lost = sum(cost.lost for cost in priced)
    paid = f"{money(totals.as_was)} of input{period}"
    if lost < min(MIN_SAVED, _NOTHING * totals.as_was):
        return f"{paid}, and nothing of it is lost."
    worst = max(priced, key=lambda cost: cost.lost)
    cause = f": {describe_miss(worst.worst)}" if worst.worst is not None else ""
    return (
        f"{paid}, {money(lost)} of it ({percent(lost / totals.as_was)}) for nothing, most by {worst.agent_id}{cause}."
    )


def _days(sim: "CacheSimulation") -> int:
    known = sim.started[~np.isnat(sim.started)]
    return int(np.ceil((known.max() - known.min()) / np.timedelta64(1, "D"))) if len(known) else 0


def _period(sim: "CacheSimulation") -> str:
    known = sim.started[~np.isnat(sim.started)]
    when = f", {str(known.min())[:10]} to {str(known.max())[:10]} (UTC)" if len(known) else ", without times"
    return f"{counted(len(sim), 'request')} of {counted(len(sim.by_agent()), 'agent')}{when}"


def _draw(sim: "CacheSimulation") -> list[Picture]:
    drawn: list[Callable[[], Any]] = [partial(plots.misses, sim), partial(plots.cost_breakdown, sim)]
    if _days(sim):
        drawn.append(partial(plots.requests_over_time, sim))
    return [draw_picture(draw) for draw in drawn]


def _render(**parts: Any) -> str:
    """Fill the page; values are escaped unless they escape themselves."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  only a report needs it

    environment = Environment(
        loader=PackageLoader("acg_lab.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = printable
    return environment.get_template("report.html.jinja").render(parts)
