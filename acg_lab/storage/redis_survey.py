"""The bulk way through a Redis: what there is to read, and reading it in batches bounded by bytes; no I/O.

Belongs here: finding windows, results and runs under a prefix, with what keeps one from being read told for it alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from acg_lab.storage.base import Kind, Selection
from acg_lab.storage.layout import INDEX, place_of
from acg_lab.storage.redis_commands import Refusal, Send, Step, ask, escape, scan, text_of

__all__ = ["Found", "fetch", "find_runs", "groups", "measure", "read_indexes", "survey"]

_NOT_UTF8: Final = "expected a key in UTF-8, got other bytes"
_COMMANDS: Final = 1000  # small ones, in one pipeline
_SLICE, _SLICES = 5000, 20  # ids of an index in one LRANGE, and LRANGEs in one pipeline
_BYTES: Final = 2 << 20  # of values asked for at once: more is slower to allocate, less takes more round trips


class Found(NamedTuple):
    """A document that should be there.

    ``size`` is in bytes; ``problem`` says why it can't be read, and ``missing`` what it means if it turns out not to
    be there: nothing, unless an index promised it.
    """

    kind: Kind
    key: str
    stored: bytes
    agent_id: str = ""
    size: int = 0
    problem: str = ""
    missing: str = ""


def survey(prefix: str, selection: Selection) -> Step[list[Found]]:
    """Find what the selection wants: windows and results, runs in the order of their index, then runs without one."""
    pattern = f"{escape(prefix)}*"
    if selection.agent_id is not None:
        pattern = f"{escape(prefix)}[ar]*:{escape(selection.agent_id)}*"
    keys = sorted((yield from scan(pattern, lambda key: key)))
    agents = [text[len(prefix + INDEX) :] for text in map(text_of, keys) if text.startswith(prefix + INDEX)]
    indexed = yield from find_runs(prefix, filter(selection.wants_agent, agents))
    known = {run.stored for run in indexed}
    others = [found for key in keys if key not in known and (found := _place(prefix, key, selection))]
    documents = [found for found in others if found.kind != "run"]
    orphans = [found for found in others if found.kind == "run"]
    return (yield from measure([*documents, *indexed, *orphans]))


def _place(prefix: str, stored: bytes, selection: Selection) -> Found | None:
    text = text_of(stored)
    place = place_of(text, prefix)
    if place is None or not place.wanted(selection):
        return None
    problem = "" if text.encode() == stored else _NOT_UTF8
    return Found(place.kind, place.key, stored, place.agent_id, problem=problem)


def find_runs(prefix: str, agent_ids: Iterable[str]) -> Step[list[Found]]:
    """List the runs that the indexes of the agents promise: each once, where its id first stands."""
    found: list[Found] = []
    for agent_id, ids in (yield from read_indexes(prefix, agent_ids)).items():
        if isinstance(ids, Refusal):
            index, problem = f"{prefix}{INDEX}{agent_id}".encode(), f"expected a list of run ids, got {ids.value}"
            found.append(Found("run", agent_id, index, agent_id, problem=problem))
            continue
        for run_id in dict.fromkeys(ids):
            key, stored = f"{agent_id}:{text_of(run_id)}", f"{prefix}runs:{agent_id}:".encode() + run_id
            found.append(
                Found("run", key, stored, agent_id, missing="expected the run of an id in the index, got none")
            )
    return found


def read_indexes(prefix: str, agent_ids: Iterable[str]) -> Step[dict[str, list[bytes] | Refusal]]:
    """Return the run ids of agents, oldest first, or why an index can't be read."""
    keys = {agent_id: f"{prefix}{INDEX}{agent_id}" for agent_id in agent_ids}
    lengths = yield from ask([("LLEN", key) for key in keys.values()], _COMMANDS)
    sizes: dict[str, int | Refusal] = dict(zip(keys, lengths, strict=True))
    slices = [
        (agent_id, i) for agent_id, size in sizes.items() if isinstance(size, int) for i in range(0, size, _SLICE)
    ]
    parts = yield from ask([("LRANGE", keys[agent_id], i, i + _SLICE - 1) for agent_id, i in slices], _SLICES)
    ids: dict[str, list[bytes]] = {agent_id: [] for agent_id in keys}
    for (agent_id, _), part in zip(slices, parts, strict=True):
        ids[agent_id] += [] if isinstance(part, Refusal) else part
    return {agent_id: size if isinstance(size, Refusal) else ids[agent_id] for agent_id, size in sizes.items()}


def measure(found: Sequence[Found]) -> Step[list[Found]]:
    """Fill in the sizes, and what keeps a document from being read."""
    stored = [item.stored for item in found]
    sizes = yield from ask([("STRLEN", key) for key in stored], _COMMANDS)
    wrong = [key for key, size in zip(stored, sizes, strict=True) if size is Refusal.WRONG_TYPE]
    types = yield from ask([("TYPE", key) for key in wrong], _COMMANDS)
    names = {key: f"a {name.decode()}" for key, name in zip(wrong, types, strict=True) if isinstance(name, bytes)}
    return [_measured(item, size, names) for item, size in zip(found, sizes, strict=True)]


def _measured(item: Found, size: int | Refusal, names: dict[bytes, str]) -> Found:
    if not isinstance(size, Refusal):
        return item._replace(size=size)
    return item._replace(problem=item.problem or f"expected a string, got {names.get(item.stored, size.value)}")


def groups(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Cut what is to be read into groups of bounded size, in its order."""
    group: list[Found] = []
    size = 0
    for item in found:
        if group and (size + item.size > _BYTES or len(group) == _COMMANDS):
            yield group
            group, size = [], 0
        group.append(item)
        size += item.size
    if group:
        yield group


def fetch(group: Sequence[Found]) -> Step[list[bytes | None]]:
    """Return the values of a group in its order, None for what is not there or can't be read."""
    keys = [item.stored for item in group if not item.problem]
    if not keys:
        return [None] * len(group)
    (values,) = yield Send([("MGET", *keys)])
    remaining = iter(values)
    return [None if item.problem else next(remaining) for item in group]
