"""What a survey found: tables with a few rows per agent, and what could not be surveyed.

Invariant: the same agents make the same tables, in whatever order their answers came.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple

from acg_lab._format import counted, cut, html_table, html_text, money, percent, printable, suggest, tokens
from acg_lab.advice.agent_sweeps import join_prices
from acg_lab.advice.setting_grid import SettingGrid
from acg_lab.advice.sweep import Sweep
from acg_lab.config.settings import AcgSettings
from acg_lab.core.errors import UsageError
from acg_lab.diagnosis.agent_costs import AgentCost, add_costs, order_agents
from acg_lab.diagnosis.miss_words import describe_miss
from acg_lab.fleet.agent_survey import AgentSurvey
from acg_lab.frames.agent_costs import agent_costs
from acg_lab.frames.joined import join_columns
from acg_lab.frames.schema import FINDINGS, MISSES
from acg_lab.frames.setting_costs import setting_costs

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Survey", "SurveyProblem"]

_SHOWN: Final = 5  # agents in a repr
_SHOWN_HTML: Final = 20
_NAME: Final = 30


class SurveyProblem(NamedTuple):
    """Why some agents have no answers, or not all; one sentence for all that it holds for."""

    sentence: str
    agent_ids: tuple[str, ...]

    def __str__(self) -> str:
        first = printable(self.agent_ids[0])
        who = first if len(self.agent_ids) == 1 else f"{counted(len(self.agent_ids), 'agent')} ({first}, ...)"
        return f"{who}: {self.sentence}"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Survey:
    """What each agent of a source pays and loses, and why; made by `acg_lab.survey`.

    Attributes
    ----------
    source : str
        Credentials masked.
    agents : tuple of AgentSurvey
        The answers for each agent that was surveyed, dearest loss first.
    problems : tuple of SurveyProblem
        Why agents were not surveyed, and what could not be read of the others.
    unsurveyed : tuple of str
        Ids of the agents that were not surveyed.
    remarks : tuple of str
        What a reader of the tables must know.
    seconds : float
        What the call took.
    current : AcgSettings
        What the governor was taken to run with.
    grid : SettingGrid or None
        The settings that were priced; None where that was not asked.
    """

    source: str
    agents: tuple[AgentSurvey, ...]
    problems: tuple[SurveyProblem, ...] = ()
    unsurveyed: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0
    current: AcgSettings = field(default_factory=AcgSettings)
    grid: SettingGrid | None = None

    def __len__(self) -> int:
        return len(self.agents)

    @property
    def costs(self) -> list[AgentCost]:
        """What each agent pays for input, dearest loss first; agents without recorded requests have none."""
        return [agent.cost for agent in self.agents if agent.cost is not None]

    @cached_property
    def cost(self) -> "DataFrame":
        """One row per agent with recorded requests, as `acg_lab.frames.agent_costs`, dearest loss first."""
        return agent_costs(self.costs)

    @cached_property
    def misses(self) -> "DataFrame":
        """One row per group of misses of an agent, as `acg_lab.frames.misses`, dearest first."""
        frame = join_columns(MISSES, (agent.misses for agent in self.agents))
        return _sort(frame, ["lost", "lost_tokens", "tokens"])

    @cached_property
    def findings(self) -> "DataFrame":
        """One row per finding, as `acg_lab.frames.findings`, by money lost and then by tokens."""
        frame = join_columns(FINDINGS, (agent.findings for agent in self.agents))
        return _sort(frame, ["money_lost", "total_lost"])

    @cached_property
    def setting_costs(self) -> "DataFrame":
        """One row per setting that was priced, for all agents together, as `acg_lab.frames.setting_costs`."""
        return setting_costs(self.to_sweep())

    @property
    def tables(self) -> "dict[str, DataFrame]":
        """All tables by name."""
        found = {"cost": self.cost, "misses": self.misses, "findings": self.findings}
        has_prices = self.grid is not None and any(agent.prices is not None for agent in self.agents)
        return found | {"setting_costs": self.setting_costs} if has_prices else found

    def to_sweep(self, agent_ids: "Collection[str] | None" = None) -> Sweep:
        """Return what settings cost for all agents together, or for some: those of one process, which share settings.

        Parameters
        ----------
        agent_ids : collection of str, optional
            All agents when left out.

        Raises
        ------
        UsageError
            If settings were not priced (``sweep=True``), or there is no such agent.
        """
        if self.grid is None:
            msg = "Settings were not priced: pass sweep=True to acg_lab.survey."
            raise UsageError(msg)
        by_id = {agent.agent_id: agent for agent in self.agents}
        wanted = by_id.keys() if agent_ids is None else agent_ids
        if unknown := [one for one in wanted if one not in by_id]:
            msg = f"There is no surveyed agent {unknown[0]!r}.{suggest(unknown[0], by_id)}"
            raise UsageError(msg)
        prices = [by_id[agent_id].prices for agent_id in sorted(set(wanted))]
        return join_prices(self.grid, self.current, [one for one in prices if one is not None])

    @property
    def n_requests(self) -> int:
        """How many recorded requests were surveyed."""
        return sum(agent.n_requests for agent in self.agents)

    def _lines(self) -> list[str]:
        whole = add_costs(self.costs)
        counts = f"{counted(len(self), 'agent')}, {counted(self.n_requests, 'request')}"
        lines = [_headline(whole), f"{counts} of {printable(self.source)}"]
        if self.unsurveyed:
            lines.append(f"{counted(len(self.unsurveyed), 'agent')} not surveyed")
        if self.problems:
            lines.append(f"{counted(len(self.problems), 'problem')}; .problems has all:")
            lines += [f"  {printable(str(problem))}" for problem in self.problems[:_SHOWN]]
        return [*lines, *self.remarks]

    def __repr__(self) -> str:
        first, *rest = self._lines()
        shown = [_row(cost) for cost in self.costs[:_SHOWN]]
        width = max((len(name) for name, *_ in shown), default=0)
        rows = [f"{name:<{width}}  {lost:>9} lost of {paid:>9}  {words}" for name, lost, paid, words in shown]
        more = [f"... and {counted(len(self.costs) - _SHOWN, 'more agent')}; .cost has all"]
        return "\n  ".join([f"<Survey: {first}", *rows, *(more if len(self.costs) > _SHOWN else ()), *rest]) + ">"

    def _repr_html_(self) -> str:
        first, *rest = self._lines()
        titles = ("agent", "lost", "paid", "lost mostly for")
        rows = [[html_text(cell) for cell in _row(cost)] for cost in self.costs[:_SHOWN_HTML]]
        table = html_table(titles, rows, numbers=("lost", "paid")) if rows else ""
        return f"<b>{html_text(first)}</b>{table}" + "<br>".join(map(html_text, rest))


def _headline(whole: AgentCost) -> str:
    if whole.has_prices:
        share = f" ({percent(whole.lost / whole.cost)})" if whole.cost > 0 else ""
        return f"{money(whole.lost)} lost of {money(whole.cost)} paid for input{share}"
    if whole.full_tokens > 0:
        return f"{tokens(whole.lost_tokens)} of {tokens(whole.cost_tokens)} uncached tokens lost; models have no price"
    return "no recorded requests"


def _row(cost: AgentCost) -> tuple[str, str, str, str]:
    lost, paid = (
        (money(cost.lost), money(cost.cost))
        if cost.has_prices
        else (f"{tokens(cost.lost_tokens)} tokens", f"{tokens(cost.cost_tokens)} tokens")
    )
    words = "" if cost.worst is None else printable(describe_miss(cost.worst))
    return cut(printable(cost.agent_id), _NAME), lost, paid, words


def _sort(frame: "DataFrame", columns: list[str]) -> "DataFrame":
    """Return a frame with the largest values first, missing ones last; equal rows keep their order."""
    return frame.sort_values(columns, ascending=False, kind="stable", ignore_index=True)


def sort_agents(agents: Iterable[AgentSurvey]) -> tuple[AgentSurvey, ...]:
    """Return agents dearest loss first; those without recorded requests follow, by name."""
    by_id = {agent.agent_id: agent for agent in agents}
    costs = {agent_id: agent.cost for agent_id, agent in by_id.items() if agent.cost is not None}
    return tuple(by_id[agent_id] for agent_id in (*order_agents(costs), *sorted(by_id.keys() - costs.keys())))
