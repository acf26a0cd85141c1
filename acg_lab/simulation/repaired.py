"""Simulate a repaired history beside the one that was recorded: the bill is the base of both.

Each request keeps what it was billed, plus the difference between the simulation of the repaired requests and that of
the recorded ones. A repair that changes no request changes no token.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.simulation.costs import CachedTokens, all_ttls, tokens_of_runs
from acg_lab.simulation.history import GovernorSettings, PreparedHistory
from acg_lab.simulation.judged_history import JudgedHistory
from acg_lab.simulation.pieces import FRAMING, GAP
from acg_lab.simulation.requests import RecordedRequests
from acg_lab.simulation.sizes import Sizes

if TYPE_CHECKING:
    from acg_lab.simulation.tables import CacheRun

__all__ = ["RepairedHistory", "carry_sizes", "simulate_repair"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_TOKENS_PER_BYTE: Final = 0.25  # where a request shows no better


class RepairedHistory(JudgedHistory):
    """Columns of a repaired history; the bill, and the simulation that stands for it, are those of the recorded one.

    Parameters
    ----------
    recorded : JudgedHistory
        The requests as they were recorded.
    row_of : array of int64
        The recorded request of each repaired one.
    history, sizes, runs
        The repaired requests, their sizes, and what caches did with them.
    config : GovernorSettings
        What the governor ran with, whether it acted decided.
    """

    def __init__(
        self,
        recorded: JudgedHistory,
        row_of: Ints,
        history: PreparedHistory,
        sizes: Sizes,
        runs: "list[CacheRun]",
        config: GovernorSettings,
    ) -> None:
        refused = history.count_refused(config, "sent", config, sizes)
        prices = recorded.price_list
        super().__init__(history, sizes, runs, runs, config, config, prices, refused=refused, acts=recorded.acts)
        self.ttls = all_ttls((*recorded.history.providers, *history.providers), [*recorded.before, *runs])
        self._recorded, self._row_of = recorded, row_of

    @property
    def is_change(self) -> bool:
        """Repaired requests are a change, even where they are simulated as they were sent."""
        return True

    @cached_property
    def simulated_before(self) -> CachedTokens:
        """What the rules give for the requests as they were recorded."""
        found = tokens_of_runs(len(self._recorded.requests), self._recorded.before, self.ttls)
        return CachedTokens(found.read[self._row_of], found.written[self._row_of])

    @cached_property
    def simulated(self) -> CachedTokens:
        """What the rules give for the repaired requests."""
        return self._after()

    def cost(self, tokens: "CachedTokens | None", *, money: bool) -> Floats:
        """Return the cost of each request's prompt; as it was, of the prompt that was recorded."""
        if tokens is not self.as_was:
            return super().cost(tokens, money=money)
        prompt = self._recorded.prompt[self._row_of]
        return np.where(self.counted, self.rates[0 if money else 1].cost(prompt, tokens), 0.0)


def simulate_repair(recorded: JudgedHistory, history: PreparedHistory) -> RepairedHistory:
    """Simulate a repaired history as a change of the recorded one.

    Parameters
    ----------
    recorded : JudgedHistory
        The simulation of the requests as they were recorded.
    history : PreparedHistory
        The same requests, repaired; they are paired by agent, run and call. It may lack some of them.
    """
    config = recorded.config
    config = GovernorSettings(config.thresholds, config.window, recorded.history.acts(config))
    # Entries become readable as the bills of what was recorded suggested; repaired requests have no bills of their own.
    settled = {part.provider.name: part.provider for part in recorded.history.tables}
    tables = (replace(part, provider=settled.get(part.provider.name, part.provider)) for part in history.tables)
    history.settle_as(recorded.history, tables)
    row_of = _pair(recorded.requests, history.requests)
    sizes = carry_sizes(recorded.requests, recorded.sizes, row_of, history.requests)
    runs = history.run(config, "sent", config, sizes)
    return RepairedHistory(recorded, row_of, history, sizes, runs, config)


def _pair(recorded: RecordedRequests, repaired: RecordedRequests) -> Ints:
    rows = {key: row for row, key in enumerate(_keys(recorded))}
    return np.array([rows[key] for key in _keys(repaired)], np.int64)


def _keys(requests: RecordedRequests) -> Iterable[tuple[str, str, int]]:
    agents = [requests.agent_ids[code] for code in requests.agents.tolist()]
    runs = [requests.run_ids[code] for code in requests.runs.tolist()]
    return zip(agents, runs, requests.calls.tolist(), strict=True)


def carry_sizes(old: RecordedRequests, sizes: Sizes, row_of: Ints, new: RecordedRequests) -> Sizes:
    """Return sizes of repaired prompts: a content has the size that it had in the recorded ones.

    A content that was in the same request keeps its size there, one of other requests has their mean, and what no
    request held is estimated by its bytes: at the rate of what it replaces, if that has about its length, else of its
    request.
    """
    starts = np.append(0, sizes.ends)[: len(sizes.ends)]
    starts[old.piece_offsets[:-1][np.diff(old.piece_offsets) > 0]] = 0
    widths = sizes.ends - starts
    counts = np.bincount(old.contents, minlength=len(old.texts))
    means = np.bincount(old.contents, weights=widths, minlength=len(old.texts)) / np.maximum(counts, 1)
    code_of = {text: code for code, text in enumerate(old.texts)}
    codes = np.array([code_of.get(text, -1) for text in new.texts], np.int64)[new.contents]
    lengths, old_lengths = new.n_bytes[new.contents], old.n_bytes[old.contents]
    ends, margins = np.zeros(len(codes), np.int64), np.zeros(len(codes))
    tokens = sizes.tokens[row_of].copy()
    old_codes = old.contents.astype(np.int64)
    for row, before in enumerate(row_of.tolist()):
        mine = slice(*new.piece_offsets[row : row + 2].tolist())
        was = slice(*old.piece_offsets[before : before + 2].tolist())
        if np.array_equal(codes[mine], old_codes[was]):
            ends[mine], margins[mine] = sizes.ends[was], sizes.margins[was]
            continue
        found = _widths(codes[mine], lengths[mine], old_codes[was], widths[was], old_lengths[was], means)
        ends[mine] = np.cumsum(found)
        margins[mine] = sizes.margins[was].max(initial=0.0)
        tokens[row] = max(int(tokens[row]) + int(found.sum()) - int(widths[was].sum()), int(found.sum()))
    return Sizes(ends=ends, margins=margins, tokens=tokens, sources=sizes.sources[row_of])


def _widths(codes: Ints, lengths: Ints, old_codes: Ints, widths: Ints, old_lengths: Ints, means: Floats) -> Ints:
    """Return the tokens of each piece of one repaired prompt."""
    own = dict(zip(old_codes.tolist(), widths.tolist(), strict=True))
    is_text = ~np.isin(old_codes, (FRAMING, GAP))
    n_tokens, n_bytes = int(widths[is_text].sum()), int(old_lengths[is_text].sum())
    rate = n_tokens / n_bytes if n_tokens and n_bytes else _TOKENS_PER_BYTE
    is_gone = is_text & (old_lengths > 0) & ~np.isin(old_codes, codes)
    gone = list(zip(old_lengths[is_gone].tolist(), widths[is_gone].tolist(), strict=True))
    pairs = zip(codes.tolist(), lengths.tolist(), strict=True)
    found = [own.get(code, means[code] if code >= 0 else _estimate(length, gone, rate)) for code, length in pairs]
    return np.rint(found).astype(np.int64)


def _estimate(length: int, gone: Sequence[tuple[int, int]], rate: float) -> float:
    """Return the tokens of a new content: at the rate of the content of about its length that it replaces, if any."""
    near = min(gone, key=lambda one: abs(one[0] - length), default=None)
    if near is not None and length / 2 <= near[0] <= 2 * length:
        rate = near[1] / near[0]
    return length * rate
