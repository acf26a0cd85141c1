"""Build findings of edits inside conversations: what happens between a request and the one before it.

A window is read per block over all conversations, so such edits show only in the simulation: as requests whose verdict
is ``history_changed``. Invariant: an edit of no known kind has no finding.
"""

from collections.abc import Collection, Sequence

import numpy as np

from acg_lab._format import counted
from acg_lab.diagnosis.finding import Evidence, Finding, Kind
from acg_lab.diagnosis.history_edits import EDITS, SAYS_THE_SAME
from acg_lab.diagnosis.misses import name_kinds, name_messages
from acg_lab.diagnosis.phrases import to_sentence, tokens_per_request
from acg_lab.simulation.result import CacheSimulation
from acg_lab.simulation.verdicts import Verdict

__all__ = ["build_edit_findings"]


def build_edit_findings(sim: CacheSimulation, agent_id: str, keys: Collection[str]) -> list[Finding]:
    """Return one finding for each kind of edit, with the tokens that are processed again because of it.

    Parameters
    ----------
    sim : CacheSimulation
        The requests of one agent.
    agent_id : str
    keys : collection of str
        Profiles that are explained.

    Returns
    -------
    list of Finding
        ``money_lost`` is what the requests could have saved.
    """
    groups: dict[object, list[int]] = {}
    for i, kind in enumerate(name_kinds(sim, {Verdict.HISTORY_CHANGED})):
        if kind in EDITS:
            groups.setdefault(kind, []).append(i)
    found = []
    for kind, words in EDITS.items():
        rows = groups.get(kind, [])
        profiles = tuple(dict.fromkeys(key for i in rows if (key := sim.learning_keys[i]) in keys))
        if not profiles:
            continue
        tokens, money = _measure(sim, kind, rows)
        where = name_messages(sim, rows)
        said = f"in {len(rows):,} of {counted(len(sim), 'request')}, {words}"
        begins = "" if where == "messages" else f"from {where} on, "
        again = f"{begins}{tokens_per_request(tokens)} are processed again"
        found.append(
            Finding(
                learning_key=profiles[0],
                agent_id=agent_id,
                span_id=None,
                kind=kind,
                timing=None,
                tokens_lost=tokens,
                requests=len(rows),
                sentence=to_sentence(f"{said}; {again}"),
                evidence=Evidence(requests=len(sim), present=len(rows), profiles=profiles, details=(where,)),
                money_lost=money,
            )
        )
    return found


def _measure(sim: CacheSimulation, kind: Kind, rows: Sequence[int]) -> tuple[float, float]:
    """Return the tokens that are processed again, a mean, and what the requests could have saved, in US dollars.

    Where the edited messages say the same as before, that is all of the request before; else only what recurs.
    """
    history, at = sim.history, sim.rows[rows]
    again, saved = (sim.parts.missed + sim.parts.changed)[rows], np.nan_to_num(sim.avoidable[rows])
    if kind in SAYS_THE_SAME:
        sent = np.append(history.prompt, 0)[history.verdicts.references[at]]
        unread = np.maximum(sent - sim.parts.read[rows], 0)
        per_token = (history.rates[0].uncached - history.rates[0].read)[at]
        again, saved = np.maximum(again, unread), np.maximum(saved, np.nan_to_num(unread * per_token))
    return float(again.mean()), float(saved.sum())
