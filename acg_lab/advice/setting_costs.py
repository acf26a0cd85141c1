"""What the requests of one agent cost with other breakpoints, run by run; equal breakpoints cost the same.

The bill is the base, as in `acg_lab.simulation`: each request keeps what it was billed, plus the difference of two
simulations. Caches are not shared between agents, so each agent is simulated apart.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from acg_lab.simulation.breakpoints import choose_breakpoints
from acg_lab.simulation.columns import SimulatedHistory
from acg_lab.simulation.costs import CachedTokens, TokenRates, shift_bill, tokens_of_runs
from acg_lab.simulation.plans import Plans
from acg_lab.simulation.requests import RecordedRequests, gather
from acg_lab.simulation.sizes import Sizes
from acg_lab.simulation.tables import TableParts, run_caches, split_requests
from acg_lab.storage.observation_columns import offsets

__all__ = ["AgentRequests", "take_agent"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True)
class AgentRequests:
    """The requests of one agent, with all that their cost depends on but the planned breakpoints.

    Attributes
    ----------
    requests, tables, sizes
        As in a simulated history; texts are left out.
    recorded : Plans or None
        What the governor planned as it ran; None where it did not act.
    billed, before : CachedTokens
        As billed, and as simulated with the recorded breakpoints.
    rates : tuple of TokenRates
        Of each request, in US dollars and in uncached tokens.
    groups : array of int64
        The group of each request whose cost is added up: its run, and the period that the run falls in.
    n_groups : int
    ttls : tuple of int
    """

    requests: RecordedRequests
    tables: tuple[TableParts, ...]
    sizes: Sizes
    recorded: Plans | None
    billed: CachedTokens
    before: CachedTokens
    rates: tuple[TokenRates, TokenRates]
    groups: Ints
    n_groups: int
    ttls: tuple[int, ...]

    def cost(self, planned: "tuple[Ints, Ints] | None") -> Floats:
        """Return what groups of requests cost with planned breakpoints: counts by request, and pieces.

        None: the governor does not act. The shape is (3, n_groups): in US dollars, in uncached tokens, and the tokens
        that are read.
        """
        plans = None if planned is None else _plans(*planned)
        found = choose_breakpoints(self.requests, "sent", plans, None, recorded_plans=self.recorded)
        runs = run_caches(self.requests, self.tables, self.sizes, found)
        after = tokens_of_runs(len(self.requests), runs, self.ttls)
        prompt = self.sizes.tokens
        tokens, _ = shift_bill(prompt, self.billed, self.before, after)
        return self._cost(tokens)

    @cached_property
    def cost_as_was(self) -> Floats:
        """The cost of each group of requests as billed, as of `cost`."""
        return self._cost(self.billed)

    @cached_property
    def cost_without_cache(self) -> Floats:
        """The cost of each group of requests at full price, as of `cost`."""
        return self._cost(CachedTokens(np.zeros_like(self.sizes.tokens), np.zeros_like(self.billed.written)))

    def _cost(self, tokens: CachedTokens) -> Floats:
        found = []
        for rates in self.rates:
            cost = np.where(self.requests.failed, 0.0, rates.cost(self.sizes.tokens, tokens))
            # Requests without known rates count nowhere.
            found.append(np.bincount(self.groups, np.nan_to_num(cost), self.n_groups))
        return np.stack([*found, self._add_up(tokens.read)])

    @cached_property
    def prompt_tokens(self) -> Floats:
        """The prompt tokens of each group of requests that were answered, shape (n_groups,)."""
        return self._add_up(self.sizes.tokens)

    def _add_up(self, tokens: Ints) -> Floats:
        weights: Floats = np.where(self.requests.failed, 0.0, tokens)
        return np.bincount(self.groups, weights, self.n_groups).astype(np.float64)


def _plans(counts: Ints, pieces: Ints) -> Plans:
    return Plans(reasons=np.zeros(len(counts), np.int64), offsets=offsets(counts).astype(np.int64), pieces=pieces)


def take_agent(
    base: SimulatedHistory, rows: Ints, groups: Ints, n_groups: int, recorded: Plans | None
) -> AgentRequests:
    """Return the requests in some rows of a simulated history, all those of an agent.

    Parameters
    ----------
    base : SimulatedHistory
        As it was.
    rows : array of int64
    groups : array of int64
        The group of each of these requests.
    n_groups : int
    recorded : Plans or None
        What the governor planned for all requests; None where it did not act.
    """
    history, whole = base.history, base.requests
    _, pieces = gather(whole.piece_offsets, rows)
    requests = whole.select(rows)
    sizes = base.sizes
    money, relative = (TokenRates(rates.uncached[rows], rates.read[rows], rates.written[rows]) for rates in base.rates)
    providers = {table.provider.name: table.provider for table in history.tables}
    settled = tuple(providers.get(provider.name, provider) for provider in history.providers)
    tables = tuple(split_requests(requests, history.provider_of[rows], settled))
    return AgentRequests(
        requests=replace(requests, texts=()),
        tables=tables,
        sizes=Sizes(
            ends=sizes.ends[pieces],
            margins=sizes.margins[pieces],
            tokens=sizes.tokens[rows],
            sources=sizes.sources[rows],
        ),
        recorded=None if recorded is None else _select_plans(recorded, rows, pieces),
        billed=_select_tokens(base.as_was, rows),
        before=_select_tokens(base.simulated_before, rows),
        rates=(money, relative),
        groups=groups,
        n_groups=n_groups,
        ttls=base.ttls,
    )


def _select_tokens(tokens: CachedTokens, rows: Ints) -> CachedTokens:
    return CachedTokens(tokens.read[rows], tokens.written[rows])


def _select_plans(plans: Plans, rows: Ints, pieces: Ints) -> Plans:
    bounds, chosen = gather(plans.offsets, rows)
    return Plans(
        reasons=plans.reasons[rows],
        offsets=bounds.astype(np.int64),
        pieces=np.searchsorted(pieces, plans.pieces[chosen]),
    )
