"""Find the runs in a Redis that are not known elsewhere, without looking at the others.

An agent's index is read from its newest end, until a whole slice of it is known. Keys of runs are not listed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, TypeAlias

from acg_lab.storage.base import Selection
from acg_lab.storage.key_layout import INDEX
from acg_lab.storage.redis_scan import (
    Found,
    RedisRefusal,
    Step,
    decode_key,
    escape,
    measure_documents,
    place_key,
    scan_keys,
    send_in_batches,
    sort_documents,
)

__all__ = ["FindKnown", "survey_new"]

FindKnown: TypeAlias = Callable[[Mapping[str, Collection[str]]], Collection[tuple[str, str]]]
_SLICE: Final = 5000  # ids in one LRANGE
_AT_ONCE: Final = 20  # LRANGEs in one pipeline
_NO_RUNS: Final = "[ar][cu][gn][s_][so_]*"  # acg_observations, acg_stability and runs_index, but not "runs:"


def survey_new(prefix: str, selection: Selection, find_known: FindKnown) -> Step[list[Found]]:
    """Return the selected windows and results, and the runs in the indexes that are not known."""
    keys = sorted((yield from scan_keys(f"{escape(prefix)}{_NO_RUNS}", lambda key: key)).kept)
    texts = [text for text in map(decode_key, keys) if text.startswith(prefix + INDEX)]
    agents = list(filter(selection.wants_agent, (text[len(prefix + INDEX) :] for text in texts)))
    documents = sort_documents(found for key in keys if (found := place_key(prefix, key, selection)))
    runs = yield from _find_new(prefix, agents, find_known)
    return (yield from measure_documents([*documents, *runs]))


def _find_new(prefix: str, agents: Sequence[str], find_known: FindKnown) -> Step[list[Found]]:
    found: dict[str, list[Found]] = {agent_id: [] for agent_id in agents}
    left, n_read = list(agents), 0
    while left:
        commands = [("LRANGE", f"{prefix}{INDEX}{a}", -n_read - _SLICE, -n_read - 1) for a in left]
        replies = dict(zip(left, (yield from send_in_batches(commands, _AT_ONCE)), strict=True))
        ids = {a: list(dict.fromkeys(reply)) for a, reply in replies.items() if isinstance(reply, list)}
        known = find_known({agent_id: list(map(decode_key, of_agent)) for agent_id, of_agent in ids.items()})
        left = []
        for agent_id, reply in replies.items():
            if isinstance(reply, RedisRefusal):
                found[agent_id] = [_refused(prefix, agent_id, reply)]
                continue
            new = [run_id for run_id in ids[agent_id] if (agent_id, decode_key(run_id)) not in known]
            found[agent_id] = [_run(prefix, agent_id, run_id) for run_id in new] + found[agent_id]
            if new and len(reply) == _SLICE:
                left.append(agent_id)
        n_read += _SLICE
    # An id that occurs twice counts once, at its first position.
    return list({run.stored: run for of_agent in found.values() for run in of_agent}.values())


def _run(prefix: str, agent_id: str, run_id: bytes) -> Found:
    stored = f"{prefix}runs:{agent_id}:".encode() + run_id
    missing = "expected the run of an id in the index, got none"
    return Found("run", f"{agent_id}:{decode_key(run_id)}", stored, agent_id, missing=missing)


def _refused(prefix: str, agent_id: str, refusal: RedisRefusal) -> Found:
    index = f"{prefix}{INDEX}{agent_id}".encode()
    return Found("run", agent_id, index, agent_id, problem=f"expected a list of run ids, got {refusal.value}")
