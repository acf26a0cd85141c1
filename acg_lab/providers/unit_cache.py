"""Caches of whole stored units: a prompt reads the longest unit that it starts with, and nothing of a longer one.

Units end where a prompt ended, where an answer ended, and where two prompts were found to part; a beginning that no
earlier request showed to be common reads nothing.
"""

import numpy as np

from acg_lab.providers.block_cache import PrefixStore, prefix_outcome, whole_setting
from acg_lab.providers.clock import find_visibility
from acg_lab.providers.lookups import Settings
from acg_lab.providers.outcomes import NOTHING, CacheOutcome, LookupReason
from acg_lab.providers.paths import find_paths
from acg_lab.providers.prompts import NO_NODE, Ints, PromptTable, RequestFlag

__all__ = ["simulate_units"]


def simulate_units(table: PromptTable, settings: Settings, minimums: Ints) -> CacheOutcome:
    """Run requests through a cache of whole units (acg_lab/docs/providers.md, section 1).

    Parameters
    ----------
    table : PromptTable
    settings : dict
        Those of `simulate_blocks` but for the capacity, and ``unit_tokens``: units also end at every multiple of it
        (0: they do not).
    minimums : (n_requests,)
        In tokens.

    Returns
    -------
    CacheOutcome
        Each request has one lookup, its whole prompt, if it has pieces.
    """
    paths = find_paths(table)
    units, prompts = PrefixStore(settings, paths), PrefixStore(settings, paths)
    seen = find_visibility(table, str(settings["visible_at"]), str(settings["missing_time"]))
    every = whole_setting(settings, "unit_tokens")
    n = table.n_requests
    read, at = np.zeros(n, np.int64), np.full(n, NOTHING)
    doubts, reasons = np.zeros(n, np.uint8), np.full(n, LookupReason.NOT_WRITTEN, np.uint8)
    nodes, ends, offsets = paths.nodes.tolist(), paths.ends.tolist(), paths.offsets.tolist()
    started, readable, assumed = table.started.tolist(), seen.readable.tolist(), seen.assumed_until.tolist()
    answers, ended = table.answers.tolist(), find_visibility(table, "end", "end").readable.tolist()
    for i in np.flatnonzero((table.flags & RequestFlag.FAILED) == 0).tolist():
        low, high, now = offsets[i], offsets[i + 1], started[i]
        if low == high:
            continue
        path = nodes[low:high]
        steps, tokens, reasons[i], doubts[i] = units.read(path, ends[low:high], now)
        common, common_tokens, _, _ = prompts.read(path, ends[low:high], now)
        units.touch(path[:steps], now)
        if every and common_tokens // every * every > tokens:
            steps, tokens, reasons[i] = common, common_tokens // every * every, LookupReason.HIT
        read[i], at[i] = tokens, low + steps - 1 if steps else NOTHING
        found = [path[common - 1], path[-1]] if common else [path[-1]]
        units.write(found, now, readable[i], assumed[i])
        prompts.write(path, now, readable[i], assumed[i])
        if answers[i] != NO_NODE:
            units.write([answers[i]], ended[i], ended[i], ended[i])
            prompts.write_answer(answers[i], path[-1], ended[i])
    return prefix_outcome(table, paths, settings, minimums, read, at, reasons, doubts)
