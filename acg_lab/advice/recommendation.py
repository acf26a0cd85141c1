"""A recommendation as a value: what to run, what that saves on unseen requests, and what would win more.

Invariant: no text here holds prompt text; amounts are in the sweep's currency.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted, html_text, money, percent, printable, setting, tokens
from acg_lab.advice.folds import Interval, Period
from acg_lab.advice.sweep import Sweep, describe
from acg_lab.config.settings import AcgSettings

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["AgentSaving", "BetterRepair", "Recommendation"]

_MOST_NAMED: Final = 3


class AgentSaving(NamedTuple):
    """What the recommended setting saves one agent on held-out requests; negative if it loses.

    Attributes
    ----------
    agent_id : str
    cost : float
        With the current setting.
    saved : Interval
    """

    agent_id: str
    cost: float
    saved: Interval

    @property
    def share(self) -> float:
        """Share of the agent's cost that is saved."""
        return self.saved.value / self.cost if self.cost else 0.0


class BetterRepair(NamedTuple):
    """A change to prompts that saves more than any setting.

    Attributes
    ----------
    agent_id : str
    description : str
        What changes, as a clause.
    saved : float
        US dollars over the recorded history, by simulation.
    times : float or None
        That saving as a multiple of what the recommended setting saves; None where no setting saves anything.
    """

    agent_id: str
    description: str
    saved: float
    times: float | None


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Recommendation:
    """Which settings to run, and how sure that is; made by `acg_lab.recommend`.

    Attributes
    ----------
    settings : AcgSettings
        What to run; the current settings where nothing is to be changed. Its provider is None where that stays.
    current : AcgSettings
    reason : {"change", "change nothing", "too few runs", "no governor"}
        ``no governor``: nothing shows that the governor places breakpoints here, so only ``repairs`` can help.
    saved : Interval
        What the choice saves on held-out requests: each period's setting was chosen on the runs before it.
    saved_tokens : float
        The same in uncached tokens.
    cost : float
        Cost of the held-out requests with the current settings.
    best : float
        What the cheapest setting of each period would have saved, in hindsight.
    saved_a_month : float or None
        ``saved`` at the traffic of the held-out periods; None where they are shorter than a day.
    agents : tuple of AgentSaving
        What ``settings`` saves each agent on the held-out requests; the largest first.
    periods : tuple of Period
        The held-out periods, in order of time.
    period_costs : array of float64, shape (n_settings, n_periods + 1)
        Cost of every setting of the sweep in the first part of the history, and in each held-out period.
    period_costs_without_cache : array of float64, shape (n_periods + 1,)
        The same at full price.
    plateau : tuple of float
        The stable thresholds that are as good as the recommended one: more than the first, at most the second.
    repairs : tuple of BetterRepair
        What would save more than any setting, the most first.
    remarks : tuple of str
        How it was judged, and what can't be known.
    currency : {"USD", "uncached tokens"}
    sweep : Sweep or None
        The settings that were compared; None without a governor.
    row : int
        The recommended setting's row in the sweep; 0 where nothing is to be changed.
    """

    settings: AcgSettings
    current: AcgSettings
    reason: str
    saved: Interval
    saved_tokens: float
    cost: float
    best: float
    saved_a_month: float | None
    agents: tuple[AgentSaving, ...]
    periods: tuple[Period, ...]
    period_costs: NDArray[np.float64]
    period_costs_without_cache: NDArray[np.float64]
    plateau: tuple[float, float]
    repairs: tuple[BetterRepair, ...]
    remarks: tuple[str, ...]
    currency: str
    sweep: Sweep | None
    row: int

    @property
    def is_change(self) -> bool:
        """Whether a change of settings is recommended."""
        return self.reason == "change"

    @property
    def share(self) -> Interval:
        """Share of the current cost of held-out requests that is saved."""
        return Interval(*(value / self.cost if self.cost else 0.0 for value in self.saved))

    @property
    def losers(self) -> tuple[AgentSaving, ...]:
        """Agents that would pay more with the recommended settings."""
        return tuple(agent for agent in self.agents if agent.share <= -_NOTICED)

    @property
    def changes(self) -> dict[str, tuple[object, object]]:
        """Settings that change, by production's names: current and recommended value."""
        now, then = self.current.values(), self.settings.values()
        return {name: (now.get(name), value) for name, value in then.items() if now.get(name) != value}

    def to_frame(self) -> "DataFrame":
        """Return a DataFrame with one row per agent; see `acg_lab.frames.savings`."""
        from acg_lab.frames import savings  # noqa: PLC0415  a value's frame is an import upwards

        return savings(self)

    # --- words ---

    @property
    def lines(self) -> list[str]:
        """The recommendation in at most five lines."""
        found = [self._headline(), self._evidence(), self.who_pays_more, self._repairs(), self._unknown()]
        return [line for line in found if line]

    def _headline(self) -> str:
        if self.reason == "no governor":
            return "No setting changes anything here: nothing shows that the governor places breakpoints."
        if self.reason == "too few runs":
            return "Change nothing: too few runs are recorded to judge a change on runs that it has not seen."
        if not self.is_change:
            return f"Change nothing: no setting beats the current one beyond doubt ({describe(self.current)})."
        changed = ", ".join(
            f"{name} {_value(new)} instead of {_value(old)}" for name, (old, new) in self.changes.items()
        )
        return f"Run {changed}."

    def _evidence(self) -> str:
        if not self.periods:
            return ""
        n_won = sum(period.cost < period.current for period in self.periods)
        n_lost = sum(period.cost > period.current for period in self.periods)
        if not self.is_change:
            share = self.best / self.cost if self.cost else 0.0
            periods = counted(len(self.periods), "held-out period")
            return f"In {periods} the best setting in hindsight would have saved {percent(share)}."
        share, low, high = self.share
        month = "" if self.saved_a_month is None else f", {self._amount(self.saved_a_month)} a month"
        part = f", {percent(max(self.saved.value, 0.0) / self.best)} of the best in hindsight" if self.best > 0 else ""
        lost = f", dearer in {n_lost}" if n_lost else ""
        return (
            f"It saves {percent(share)} of input cost on unseen requests (95%: {percent(low)} to {percent(high)})"
            f"{month}; cheaper in {n_won} of {counted(len(self.periods), 'held-out period')}{lost}{part}."
        )

    @property
    def who_pays_more(self) -> str:
        """The line on agents that would pay more, or that none would; empty where one agent is all of them."""
        if not self.is_change or len(self.agents) < 2:  # noqa: PLR2004 - one agent is all of them
            return ""
        if not self.losers:
            return "No agent pays more; one setting holds for all of them."
        named = [
            f"{printable(agent.agent_id)} {self._amount(-agent.saved.value)} ({percent(-agent.share)})"
            for agent in sorted(self.losers, key=lambda agent: agent.saved.value)
        ]
        more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        return f"One setting holds for all agents: more is paid by {', '.join(named[:_MOST_NAMED])}{more}."

    def _repairs(self) -> str:
        if not self.repairs:
            return ""
        first = self.repairs[0]
        times = "" if first.times is None else f", {first.times:,.1f} times as much as the setting"
        more = f" {counted(len(self.repairs) - 1, 'more repair')}: see repairs." if len(self.repairs) > 1 else ""
        what = f"{printable(first.agent_id)} would save {money(first.saved)}{times}, if {printable(first.description)}"
        return f"More than any setting: {what}.{more}" if self.reason != "no governor" else f"What helps: {what}.{more}"

    def _unknown(self) -> str:
        known = "Not known: whether traffic stays as recorded, and caches that others share." if self.is_change else ""
        if self.sweep is None or self.sweep.complete:
            return known
        return " ".join(filter(None, ("Interrupted: only settings that were priced before are compared.", known)))

    def _amount(self, value: float) -> str:
        return money(value) if self.currency == "USD" else f"{tokens(value)} uncached tokens"

    def __repr__(self) -> str:
        return "<Recommendation: " + "\n  ".join(self.lines) + ">"

    def _repr_html_(self) -> str:
        first, *rest = map(html_text, self.lines)
        return "<br>".join([f"<b>{first}</b>", *rest])


_NOTICED: Final = 0.005  # of an agent's cost


def _value(value: object) -> str:
    return setting(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
