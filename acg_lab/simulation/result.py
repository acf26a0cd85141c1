"""What a simulation found: one row per request, costs in money and tokens, and why each request missed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.providers.outcomes import Doubt
from acg_lab.providers.prompts import PieceKind
from acg_lab.simulation.costs import CostTotals
from acg_lab.simulation.origins import DecidingPlace
from acg_lab.simulation.parts import common_bytes
from acg_lab.simulation.plans import REASONS
from acg_lab.simulation.request_facts import SimulatedRequests
from acg_lab.simulation.untimed import UNTIMED
from acg_lab.simulation.verdicts import VERDICTS, Verdict
from acg_lab.snapshot.load import parse_option_time
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.storage.observation_columns import HIDDEN

if TYPE_CHECKING:
    from acg_lab.simulation.costs import CachedTokens

__all__ = ["CacheSimulation"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_MAX_LINES: Final = 20


@dataclass(frozen=True, eq=False, repr=False)
class CacheSimulation(SimulatedRequests):
    """What a provider's cache did with each recorded request, and would do under a change.

    Arrays have one entry per request, in order of start; they are never changed. ``recorded_*`` are as billed, -1 where
    the record does not say; ``simulated_*`` follow from the rules alone. ``read`` and ``written`` are what would be
    billed: as recorded, plus what the simulated change makes different.

    Attributes
    ----------
    breakpoints : str
        The policy that was simulated.
    remarks : tuple of str
        What must be known of the source; see `caveats`.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-legacy"))
    >>> len(sim), sim.tokens[:3].tolist(), sim.read[:3].tolist()
    (246, [2401, 2520, 2405], [0, 2304, 0])
    """

    breakpoints: str
    remarks: tuple[str, ...] = ()

    # --- costs ---

    @property
    def cost(self) -> Floats:
        """What each prompt costs under the change, in US dollars; NaN without a price."""
        return self._cost(self.history.tokens, money=True)

    @property
    def cost_as_was(self) -> Floats:
        """What each prompt cost as billed, in US dollars; NaN without a price."""
        return self._cost(self.history.as_was, money=True)

    @property
    def cost_without_cache(self) -> Floats:
        """What each prompt costs at full price, in US dollars; NaN without a price."""
        return self._cost(None, money=True)

    @property
    def cost_at_limit(self) -> Floats:
        """What each prompt costs at the limit, in US dollars; NaN without a price."""
        return self._cost(self.history.at_limit, money=True)

    @property
    def simulated_cost_tokens(self) -> Floats:
        """What each prompt costs by the rules alone, in uncached tokens."""
        return self._cost(self.history.simulated, money=False)

    @property
    def limit_cost_tokens(self) -> Floats:
        """What each prompt costs at the limit by the rules alone, in uncached tokens."""
        return self._cost(self.history.limit, money=False)

    @property
    def cost_tokens(self) -> Floats:
        """What each prompt costs under the change, in uncached tokens; NaN where no rate is known."""
        return self._cost(self.history.tokens, money=False)

    @property
    def avoidable(self) -> Floats:
        """What each request could have saved at most, in US dollars; see `CostTotals`."""
        return self._avoidable(money=True)

    @property
    def avoidable_tokens(self) -> Floats:
        """The same in uncached tokens."""
        return self._avoidable(money=False)

    @property
    def lost(self) -> Floats:
        """What each prompt cost as billed less what it costs at the limit, in US dollars; adds up to `CostTotals`."""
        return self.cost_as_was - self.cost_at_limit

    @property
    def lost_tokens(self) -> Floats:
        """The same in uncached tokens."""
        return self._cost(self.history.as_was, money=False) - self._cost(self.history.at_limit, money=False)

    def totals(self, *, money: bool = True) -> CostTotals:
        """Return what all these requests cost together.

        Parameters
        ----------
        money : bool, default True
            In US dollars, over the requests that have a price; else in uncached tokens, over those with known rates.
        """
        simulated = self._cost(self.history.tokens, money=money)
        known = ~np.isnan(simulated)

        def total(cost: Floats) -> float:
            return float(cost[known].sum())

        as_was = total(self._cost(self.history.as_was, money=money))
        limit = total(self._cost(self.history.at_limit, money=money))
        return CostTotals(
            without_cache=total(self._cost(None, money=money)),
            as_was=as_was,
            simulated=total(simulated),
            limit=limit,
            lost=as_was - limit,
            avoidable=total(self._avoidable(money=money)),
        )

    @property
    def read_share(self) -> float:
        """Share of prompt tokens that are read, of requests with a bill or known rules of a cache; NaN without any."""
        has_rules = np.array([name != "" for name in self.cache_providers], bool)
        known = ~self.failed & (self.billed | has_rules)
        total = int(self.tokens[known].sum())
        return float(self.read[known].sum()) / total if total else float("nan")

    @property
    def relative_cost(self) -> float:
        """Cost of all prompts as a share of their cost without a cache; NaN where no rate is known."""
        totals = self.totals(money=False)
        return totals.simulated / totals.without_cache if totals.without_cache else float("nan")

    # --- verdicts ---

    @property
    def verdicts(self) -> list[Verdict]:
        """What the cache did with each request, and why."""
        return [VERDICTS[code] for code in self.history.verdicts.codes[self.rows].tolist()]

    @property
    def caused_by(self) -> list[Verdict]:
        """The verdict that each request's verdict is a consequence of; mostly itself."""
        return [VERDICTS[code] for code in self.history.verdicts.caused_by[self.rows].tolist()]

    @property
    def also(self) -> "list[Verdict | None]":
        """A second, less dear verdict that holds as well; None for none."""
        codes = self.history.verdicts.also[self.rows].tolist()
        return [VERDICTS[code] if code >= 0 else None for code in codes]

    @property
    def plan_reasons(self) -> list[str]:
        """Why the governor placed no breakpoint in requests without one; empty elsewhere."""
        codes = self.history.verdicts.plan_reasons[self.rows].tolist()
        return [REASONS[code].value if code >= 0 else "" for code in codes]

    @property
    def idle_seconds(self) -> Floats:
        """How long an expired entry had not been used; NaN elsewhere."""
        return self.history.verdicts.idle_seconds[self.rows]

    @property
    def vendor_diagnoses(self) -> list[str]:
        """What the provider itself said of each miss; empty where its answer says nothing."""
        return [self.history.requests.vendor_diagnoses[row] for row in self.rows.tolist()]

    def reference(self, request: int) -> "tuple[str, int] | None":
        """Return run id and call of the request that one is compared with, None for none."""
        row = int(self.history.verdicts.references[self.rows[request]])
        requests = self.history.requests
        return None if row < 0 else (requests.run_ids[requests.runs[row]], int(requests.calls[row]))

    def place(self, request: int) -> "DecidingPlace | None":
        """Return the place that decided a request's verdict, None where none did."""
        row, verdicts = int(self.rows[request]), self.history.verdicts
        return self._place(row, int(verdicts.pieces[row]), int(verdicts.counterparts[row]))

    def cause_place(self, request: int) -> "DecidingPlace | None":
        """Return the place of the change that a request's verdict follows from; else the same as `place`."""
        row, origins = int(self.rows[request]), self.history.origins
        return self._place(int(origins.rows[row]), int(origins.pieces[row]), int(origins.counterparts[row]))

    def _place(self, row: int, piece: int, other: int) -> "DecidingPlace | None":
        requests = self.history.requests
        if piece < 0:
            return None
        codes = int(requests.contents[piece]), -1 if other < 0 else int(requests.contents[other])
        ours, theirs = (b"" if code < 0 else requests.texts[code] for code in codes)
        return DecidingPlace(
            *self._path(row, piece),
            0 if requests.is_redacted else common_bytes(ours, theirs),
            int(requests.n_bytes[codes[0]]),
            -1 if other < 0 else int(requests.n_bytes[codes[1]]),
            *codes,
        )

    def content(self, code: int) -> str:
        """Return the text of a content by its code, ``[private]`` for one that is labelled so.

        Prompts are private: show it only when asked to.
        """
        if self.history.requests.is_private(code):
            return HIDDEN
        return self.history.requests.texts[code].decode(errors="replace")

    def _path(self, row: int, piece: int) -> tuple[str, str]:
        requests = self.history.requests
        begin = int(requests.piece_offsets[row])
        before = slice(begin, piece)
        kind, message = PieceKind(int(requests.kinds[piece])), int(requests.messages[piece])
        if message >= 0:
            part = int(np.count_nonzero(requests.messages[before] == message))
            return "message", f"$.messages[{message}].content[{part}]"
        if kind == PieceKind.FRAMING:
            return "framing", "$.tools"
        name, field = ("tool", "tools") if kind == PieceKind.TOOL else ("system", "system")
        return name, f"$.{field}[{int(np.count_nonzero(requests.kinds[before] == kind))}]"

    # --- views ---

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of the numbers must know."""
        return (*self.remarks, *self._found_caveats())

    def _found_caveats(self) -> list[str]:
        notes: list[str] = []
        disbelieved = self.history.requests.disbelieved[self.rows]
        n_failed, n_silent = int(self.failed.sum()), int((~self.billed & ~self.failed & ~disbelieved).sum())
        if n_failed:
            notes.append(f"{counted(n_failed, 'request')} failed: not billed, counted apart")
        if n_silent:
            notes.append(
                f"{counted(n_silent, 'request')} without recorded usage: simulated, sizes as token_sources says"
            )
        if n_disbelieved := int(disbelieved.sum()):
            notes.append(
                f"{counted(n_disbelieved, 'request')} billed for far fewer tokens than what was sent has: simulated"
            )
        if n_refused := int(np.count_nonzero(self.history.refusals[self.rows])):
            notes.append(
                f"{counted(n_refused, 'request')} with breakpoints that the provider refuses (too many, where none may "
                "stand, or a shorter TTL before a longer one): simulated without a cache"
            )
        if n_clipped := int(self.clipped.sum()):
            notes.append(
                f"{counted(n_clipped, 'request')} could not take the whole difference of the simulations: clipped"
            )
        notes += [
            f"{counted(n, 'request')} of models whose cache has no known rules: as billed"
            for n in (self.cache_providers.count(""),)
            if n
        ]
        if n_untimed := int(np.count_nonzero(~self.history.requests.timed[self.rows])):
            notes.append(f"{counted(n_untimed, 'request')} without a time: {UNTIMED}")
        unpriced = int(np.isnan(self.cost_without_cache).sum())
        if unpriced:
            notes.append(f"{counted(unpriced, 'request')} of models without a price: tokens and relative cost only")
        near = int(np.count_nonzero(self.doubts & np.uint8(Doubt.NEAR_MINIMUM)))
        if near:
            notes.append(f"{counted(near, 'request')} with a breakpoint within the counting error of the minimum")
        return notes

    def select(
        self,
        *,
        agent_id: str | None = None,
        since: str | date | None = None,
        until: str | date | None = None,
    ) -> "CacheSimulation":
        """Return the requests of one agent, or those from ``since`` on and before ``until``.

        What the cache held before stays what it was.

        Raises
        ------
        UsageError
            If the agent has no requests here, or a time can't be read.
        """
        kept = np.ones(len(self), bool)
        requests = self.history.requests
        if agent_id is not None:
            if agent_id not in requests.agent_ids:
                ProfileNames({name: name for name in requests.agent_ids}).of_agent(agent_id)
            kept &= requests.agents[self.rows] == requests.agent_ids.index(agent_id)
        begin, end = parse_option_time(since, "since"), parse_option_time(until, "until")
        if begin is not None:
            kept &= self.started_ns >= begin
        if end is not None:
            kept &= self.started_ns < end
        return replace(self, rows=self.rows[kept])

    def by_agent(self) -> Mapping[str, "CacheSimulation"]:
        """Return the simulation of each agent, by agent id."""
        return {agent_id: self.select(agent_id=agent_id) for agent_id in sorted(set(self.agent_ids))}

    def __repr__(self) -> str:
        lines = [f"<CacheSimulation: {self._facts()}"]
        lines += [f"  {agent_id!r}: {facts}" for agent_id, facts in self._agents()]
        return "\n".join([*lines, *(f"  {caveat}" for caveat in self.caveats)]) + ">"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(agent_id)}</td><td>{escape(facts)}</td></tr>" for agent_id, facts in self._agents()
        )
        caveats = "".join(f"<li>{escape(caveat)}</li>" for caveat in self.caveats)
        table = f"<table><thead><tr><th>agent</th><th>cost of input</th></tr></thead><tbody>{rows}</tbody></table>"
        return f"<b>CacheSimulation</b>: {escape(self._facts())}{table}" + (f"<ul>{caveats}</ul>" if caveats else "")

    def _facts(self) -> str:
        facts = [counted(len(self), "request"), f"breakpoints {self.breakpoints!r}"]
        return ", ".join([*facts, *self._costs()])

    def _costs(self) -> list[str]:
        share = self.read_share
        facts = ["reads unknown" if np.isnan(share) else f"{share:.1%} of input read"] if len(self) else []
        if np.isnan(share):
            return facts  # whoever knows nothing of reads can't tell a cost from one without a cache
        money = self.totals()
        if money.without_cache > 0:
            facts.append(f"${money.simulated:,.2f} of ${money.without_cache:,.2f} without a cache")
            facts.append(f"${money.lost:,.2f} lost")
        elif not np.isnan(self.relative_cost):
            facts.append(f"{self.relative_cost:.1%} of the cost without a cache")
        return facts

    def _agents(self) -> list[tuple[str, str]]:
        by_agent = sorted(self.by_agent().items(), key=lambda item: -item[1].totals(money=False).lost)
        lines = [(agent_id, ", ".join(sim._costs())) for agent_id, sim in by_agent[:_MAX_LINES]]  # noqa: SLF001
        if len(by_agent) > _MAX_LINES:
            lines.append(("...", f"{len(by_agent) - _MAX_LINES:,} more agents"))
        return lines

    def _cost(self, tokens: "CachedTokens | None", *, money: bool) -> Floats:
        return self.history.cost(tokens, money=money)[self.rows]

    def _avoidable(self, *, money: bool) -> Floats:
        parts, history = self.history.parts, self.history
        rates, tokens = history.rates[0 if money else 1], history.tokens
        written = tokens.total_written
        with np.errstate(invalid="ignore", divide="ignore"):
            average = np.where(written > 0, (tokens.written * rates.written).sum(axis=1) / written, rates.uncached)
        could = np.where(history.verdicts.can_be_read, parts.changed, 0)
        amount = parts.missed_live + could
        within = np.minimum(amount, written)
        saved = within * (average - rates.read) + (amount - within) * (rates.uncached - rates.read)
        return np.where(history.counted, saved, 0.0)[self.rows]
