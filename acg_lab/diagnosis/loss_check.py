"""Judge what agents lose to cache misses, against a limit and against what they lost before.

Invariant: what is not known is never judged, and a note says so.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from acg_lab._format import counted, money, percent, printable, tokens
from acg_lab.core.errors import UsageError
from acg_lab.diagnosis.agent_costs import AgentCost, summarize_costs
from acg_lab.diagnosis.loss_baseline import KnownLoss
from acg_lab.diagnosis.miss_words import describe_miss
from acg_lab.simulation.result import CacheSimulation

__all__ = ["AgentLoss", "Breach", "LossCheck", "LossLimits", "check_losses", "known_losses", "measure_losses"]

_MOST_DECIMALS = 6


class AgentLoss(NamedTuple):
    """What one agent pays and loses per request.

    Attributes
    ----------
    agent_id : str
    n_requests, n_without_price : int
        All requests; those that were answered by a model without a price.
    cost : float
        Input cost of a request as billed, in US dollars, over those that have a price; NaN without any.
    cost_tokens : float
        The same in uncached tokens, over those with known rates; NaN without any.
    lost_share : float
        Share of the input cost that was lost: of the money where there is any, else of the uncached tokens. NaN where
        neither is known.
    cause : str
        What most of the loss is for; empty without a loss.
    """

    agent_id: str
    n_requests: int
    n_without_price: int
    cost: float
    cost_tokens: float
    lost_share: float
    cause: str


@dataclass(frozen=True)
class LossLimits:
    """What agents may lose.

    Parameters
    ----------
    max_lost_share : float, default 0.1
        Share of its input cost that an agent may lose, from 0 to 1.
    tolerance : float, default 0.05
        How much worse than its baseline an agent may be, from 0 to 1: its cost per request by this share of it, its
        lost share by this much.

    Raises
    ------
    UsageError
        If a limit is not from 0 to 1.

    Examples
    --------
    >>> LossLimits(max_lost_share=95)
    Traceback (most recent call last):
    ...
    acg_lab.core.errors.UsageError: max_lost_share (--max-lost-share) must be from 0 to 1; got 95: write 0.95 for 95%.
    """

    max_lost_share: float = 0.1
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        for name in ("max_lost_share", "tolerance"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                is_percent = isinstance(value, int | float) and 1 < value <= 100  # noqa: PLR2004
                hint = f": write {value / 100:g} for {value:g}%" if is_percent else ""
                got = f"{value:g}" if isinstance(value, int | float) else type(value).__name__
                option = f"--{name.replace('_', '-')}"
                msg = f"{name} ({option}) must be from 0 to 1; got {got}{hint}."
                raise UsageError(msg)


class Breach(NamedTuple):
    """A limit that an agent exceeds: what it is, and what was allowed, in the unit of ``kind``; ``text`` says it."""

    agent_id: str
    kind: Literal["lost_share", "lost_share_over_baseline", "cost_over_baseline"]
    value: float
    allowed: float
    text: str


class LossCheck(NamedTuple):
    """The answer of `check_losses`.

    Attributes
    ----------
    judged : tuple of AgentLoss
        Agents whose lost share is known.
    breaches : tuple of Breach
    notes : tuple of str
        What was not judged, and why.
    """

    judged: tuple[AgentLoss, ...]
    breaches: tuple[Breach, ...]
    notes: tuple[str, ...]


def measure_losses(sim: CacheSimulation) -> list[AgentLoss]:
    """Return what each agent pays and loses per request, dearest loss first.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-chat"))
    >>> (loss,) = measure_losses(sim)
    >>> f"{loss.lost_share:.0%}", loss.cause
    ('65%', 'date or time in system prompt')
    """
    of_agent = sim.by_agent()
    return [_measure(cost, of_agent[cost.agent_id]) for cost in summarize_costs(sim)]


def _measure(cost: AgentCost, sim: CacheSimulation) -> AgentLoss:
    n_priced, n_rated = (int((~sim.failed & ~np.isnan(lost)).sum()) for lost in (sim.lost, sim.lost_tokens))
    in_money = cost.has_prices and cost.cost > 0
    paid, lost = (cost.cost, cost.lost) if in_money else (cost.cost_tokens, cost.lost_tokens)
    worst = cost.worst
    is_lost = worst is not None and (worst.lost > 0 or worst.lost_tokens > 0)
    return AgentLoss(
        cost.agent_id,
        cost.n_requests,
        cost.n_without_price,
        cost.cost / n_priced if cost.has_prices and n_priced else float("nan"),
        cost.cost_tokens / n_rated if n_rated else float("nan"),
        lost / paid if paid > 0 else float("nan"),
        describe_miss(worst) if worst is not None and is_lost else "",
    )


def known_losses(losses: Iterable[AgentLoss]) -> dict[str, KnownLoss]:
    """Return what `write_baseline` keeps, by agent id; agents whose lost share is unknown are left out."""

    def known(value: float) -> float | None:
        return None if np.isnan(value) else value

    return {
        loss.agent_id: KnownLoss(loss.n_requests, known(loss.cost), known(loss.cost_tokens), loss.lost_share)
        for loss in losses
        if not np.isnan(loss.lost_share)
    }


def check_losses(
    losses: Sequence[AgentLoss], limits: LossLimits | None = None, baseline: Mapping[str, KnownLoss] | None = None
) -> LossCheck:
    """Judge what agents lose.

    Parameters
    ----------
    losses : sequence of AgentLoss
        As `measure_losses` returns them.
    limits : LossLimits, optional
        10% of the input cost, and 5% worse than the baseline, by default.
    baseline : mapping, optional
        What agents paid and lost before, as `read_baseline` returns it. Agents that it does not hold are judged by
        their lost share only.

    Examples
    --------
    >>> loss = AgentLoss("chat", 100, 0, 0.01, 5000.0, 0.65, "date or time in system prompt")
    >>> (breach,) = check_losses([loss]).breaches
    >>> breach.text
    'chat: loses 65% of its input cost, at most 10% allowed (date or time in system prompt)'
    """
    limits = limits or LossLimits()
    judged = tuple(loss for loss in losses if not np.isnan(loss.lost_share))
    breaches: list[Breach] = []
    for loss in judged:
        breaches += _above_limit(loss, limits.max_lost_share)
        if baseline and loss.agent_id in baseline:
            breaches += _above_baseline(loss, baseline[loss.agent_id], limits.tolerance)
    notes = [note for loss in losses for note in _notes(loss, baseline)]
    missing = sorted(set(baseline or ()) - {loss.agent_id for loss in losses})
    notes += [f"{printable(agent_id)}: in the baseline, but not in this traffic." for agent_id in missing]
    return LossCheck(judged, tuple(breaches), tuple(notes))


def _above_limit(loss: AgentLoss, allowed: float) -> Iterator[Breach]:
    if loss.lost_share > allowed:
        value, limit = _distinct(loss.lost_share, allowed)
        text = f"{printable(loss.agent_id)}: loses {value} of its input cost, at most {limit} allowed{_because(loss)}"
        yield Breach(loss.agent_id, "lost_share", loss.lost_share, allowed, text)


def _above_baseline(loss: AgentLoss, before: KnownLoss, tolerance: float) -> Iterator[Breach]:
    name = printable(loss.agent_id)
    if loss.lost_share > before.lost_share + tolerance:
        value, was = _distinct(loss.lost_share, before.lost_share)
        allowed = before.lost_share + tolerance
        most = f"{100 * tolerance:.3g} points"
        text = f"{name}: loses {value} of its input cost, {was} in the baseline, at most {most} more allowed"
        yield Breach(loss.agent_id, "lost_share_over_baseline", loss.lost_share, allowed, f"{text}{_because(loss)}")
    in_money = _costs_in(loss, before)
    if in_money is None:
        return
    cost, was_cost = (loss.cost, before.cost) if in_money else (loss.cost_tokens, before.cost_tokens)
    if was_cost is not None and cost > was_cost * (1 + tolerance):
        unit = "per 1,000 requests" if in_money else "tokens per request"
        now, was = (money(1000 * x) if in_money else tokens(x) for x in (cost, was_cost))
        more, most = _distinct(cost / was_cost - 1, tolerance) if was_cost else ("far", percent(tolerance))
        text = f"{name}: costs {now} {unit}, {was} in the baseline: {more} more, at most {most} allowed"
        yield Breach(loss.agent_id, "cost_over_baseline", cost, was_cost * (1 + tolerance), f"{text}{_because(loss)}")


def _costs_in(loss: AgentLoss, before: KnownLoss) -> bool | None:
    """Return whether costs are compared in money; None where they have no unit in common."""
    if not np.isnan(loss.cost) and before.cost is not None:
        return True
    return False if not np.isnan(loss.cost_tokens) and before.cost_tokens is not None else None


def _because(loss: AgentLoss) -> str:
    return f" ({printable(loss.cause)})" if loss.cause else ""


def _distinct(value: float, other: float) -> tuple[str, str]:
    """Return two shares in per cent, with as many decimals as tell them apart.

    >>> _distinct(0.65, 0.1), _distinct(0.1004, 0.1)
    (('65%', '10%'), ('10.04%', '10.00%'))
    """
    texts = percent(value), percent(other)
    for decimals in range(1, _MOST_DECIMALS):
        if texts[0] != texts[1]:
            break
        texts = f"{value:.{decimals}%}", f"{other:.{decimals}%}"
    return texts


def _notes(loss: AgentLoss, baseline: Mapping[str, KnownLoss] | None) -> Iterator[str]:
    name = printable(loss.agent_id)
    if np.isnan(loss.lost_share):
        yield f"{name}: not judged: what its {counted(loss.n_requests, 'request')} cost is not known."
        return
    if loss.n_without_price and not np.isnan(loss.cost):
        yield f"{name}: {counted(loss.n_without_price, 'request')} of models without a price: not judged."
    if baseline is None:
        return
    before = baseline.get(loss.agent_id)
    if before is None:
        yield f"{name}: not in the baseline: only its lost share is judged."
    elif _costs_in(loss, before) is None:
        yield f"{name}: its cost is not compared: no unit in common with the baseline."
