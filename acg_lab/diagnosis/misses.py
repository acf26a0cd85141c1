"""What is paid for in vain, grouped by what it is paid for: agent, cause, verdict, block and kind of change.

Invariant: a group's loss is that of its requests, so the losses of all groups and of the hits add up to the loss of the
whole simulation.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.diagnosis.content_pairs import PairNamer
from acg_lab.diagnosis.finding import Kind
from acg_lab.providers.prompts import PieceKind
from acg_lab.simulation.origins import CHANGES
from acg_lab.simulation.result import CacheSimulation
from acg_lab.simulation.verdicts import Verdict

__all__ = ["NO_MISS", "Miss", "find_misses", "name_kinds", "name_messages"]

Ints = NDArray[np.int64]
NO_MISS: Final = frozenset(
    {
        Verdict.HIT,
        Verdict.FIRST_SEEN,
        Verdict.REQUEST_NOT_RECORDED,
        Verdict.READ_MORE_THAN_RECORDED,
        Verdict.FAILED,
    }
)
_COMPARED: Final = CHANGES - {Verdict.MODEL_CHANGED, Verdict.SCOPE_CHANGED, Verdict.PARAMETERS_CHANGED}
_MAX_PAIRS: Final = 200  # of contents that are read for one agent
_MOSTLY: Final = 0.8
_FRAMING: Final = int(PieceKind.FRAMING)
_SLIGHT: Final = 0.01  # of a prompt: how far a read may end from the end of a piece


class Miss(NamedTuple):
    """Requests of one agent that missed in the same way.

    Attributes
    ----------
    agent_id : str
    cause, verdict : Verdict
        ``verdict`` is a consequence of ``cause``; mostly they are the same.
    block : str
        Where it happened, as in the request's body: ``tools``, ``system[0]``, ``messages[2]`` if it is the same message
        in most of the requests, else ``messages``; where the read ended, for a breakpoint that is too short. Empty
        where nothing says.
    kind : Kind or None
        What kind of change it is; None where no content changed.
    requests : tuple of int
        Positions in the simulation, in order of start.
    tokens : int
        Tokens that earlier requests held too, and that were not read.
    lost, avoidable : float
        In US dollars: cost as billed less cost at the limit; what each request could have saved at most. NaN without
        prices.
    lost_tokens, avoidable_tokens : float
        The same in uncached tokens.
    first_seen, last_seen : int
        Start of the first and of the last request, in nanoseconds since 1970.
    """

    agent_id: str
    cause: Verdict
    verdict: Verdict
    block: str
    kind: Kind | None
    requests: tuple[int, ...]
    tokens: int
    lost: float
    avoidable: float
    lost_tokens: float
    avoidable_tokens: float
    first_seen: int
    last_seen: int


def find_misses(sim: CacheSimulation) -> list[Miss]:
    """Return the misses of a simulation, dearest first: by money where there are prices, then by tokens."""
    pieces = _deciding_pieces(sim)
    blocks, kinds, paths = _name_blocks(sim, pieces), name_kinds(sim), _paths(sim, pieces)
    groups: dict[tuple[str, Verdict, Verdict, str, Kind | None], list[int]] = {}
    for i, key in enumerate(zip(sim.agent_ids, sim.caused_by, sim.verdicts, blocks, kinds, strict=True)):
        if key[2] not in NO_MISS:
            groups.setdefault(key, []).append(i)
    parts, lost, avoidable = sim.parts, sim.lost, sim.avoidable
    lost_tokens, avoidable_tokens = sim.lost_tokens, sim.avoidable_tokens
    tokens, started = parts.missed + parts.changed, sim.started_ns
    found = []
    for (agent_id, cause, verdict, block, kind), requests in groups.items():
        rows = np.array(requests)
        found.append(
            Miss(
                agent_id=agent_id,
                cause=cause,
                verdict=verdict,
                block=_same_message([paths[i] for i in requests]) if block == "messages" else block,
                kind=kind,
                requests=tuple(requests),
                tokens=int(tokens[rows].sum()),
                lost=_sum(lost[rows]),
                avoidable=_sum(avoidable[rows]),
                lost_tokens=_sum(lost_tokens[rows]),
                avoidable_tokens=_sum(avoidable_tokens[rows]),
                first_seen=int(started[rows[0]]),
                last_seen=int(started[rows[-1]]),
            )
        )
    return sorted(found, key=lambda miss: (*map(_dearest, (miss.lost, miss.lost_tokens)), -miss.tokens, miss.agent_id))


def name_messages(sim: CacheSimulation, requests: Sequence[int]) -> str:
    """Return the message that decided most of some requests, ``messages`` if it was another one each time."""
    paths = _paths(sim, _deciding_pieces(sim))
    return _same_message([paths[i] for i in requests])


def _same_message(paths: list[str]) -> str:
    path, count = Counter(paths).most_common(1)[0]
    return path if count >= _MOSTLY * len(paths) else "messages"


def _sum(values: NDArray[np.float64]) -> float:
    """Return the sum of what is known; NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(known.sum()) if len(known) else float("nan")


def _dearest(value: float) -> float:
    return float("inf") if np.isnan(value) else -value


# --- where ---


def _name_blocks(sim: CacheSimulation, pieces: Ints) -> list[str]:
    """Return the block that decided each request, without the number of a message; empty where nothing says."""
    requests = sim.history.requests
    kinds = np.append(requests.kinds, 0)[pieces]
    number = _numbers_of_system_blocks(sim, pieces)
    messages = np.append(requests.messages, -1)[pieces]
    names = []
    for piece, kind, message, system in zip(
        pieces.tolist(), kinds.tolist(), messages.tolist(), number.tolist(), strict=True
    ):
        if piece < 0:
            names.append("")
        elif message >= 0:
            names.append("messages")
        else:
            names.append(f"system[{system}]" if kind == PieceKind.SYSTEM else "tools")
    return names


def _paths(sim: CacheSimulation, pieces: Ints) -> list[str]:
    """Return the message that decided each request, ``messages`` where none did."""
    messages = np.append(sim.history.requests.messages, -1)[pieces]
    return [f"messages[{message}]" if message >= 0 else "messages" for message in messages.tolist()]


def _deciding_pieces(sim: CacheSimulation) -> Ints:
    """Return the piece that decided each request: where the read ended, if a breakpoint was too short."""
    pieces = sim.history.origins.pieces[sim.rows].copy()
    for i, (verdict, row, read) in enumerate(
        zip(sim.verdicts, sim.rows.tolist(), sim.parts.read.tolist(), strict=True)
    ):
        if verdict == Verdict.BREAKPOINT_SHORT and read > 0:
            pieces[i] = _first_unread(sim, row, read)
    return pieces


def _first_unread(sim: CacheSimulation, row: int, read: int) -> int:
    requests, ends = sim.history.requests, sim.history.sizes.ends
    bounds: list[int] = requests.piece_offsets[row : row + 2].tolist()
    begin, end = bounds
    slack = max(1.0, _SLIGHT * read)
    piece = begin + int(ends[begin:end].searchsorted(read + slack, side="right"))
    while piece < end - 1 and requests.kinds[piece] == _FRAMING:
        piece += 1
    return min(piece, end - 1)


def _numbers_of_system_blocks(sim: CacheSimulation, pieces: Ints) -> Ints:
    """Return the number of each piece among the system blocks of its request."""
    requests = sim.history.requests
    is_system = requests.kinds == PieceKind.SYSTEM
    before = np.concatenate(([0], np.cumsum(is_system)))
    owners = np.append(requests.request_of_piece, 0)[pieces]
    numbers: Ints = before[np.maximum(pieces, 0)] - before[requests.piece_offsets[owners]]
    return numbers


# --- what ---


def name_kinds(sim: CacheSimulation, among: Collection[Verdict] = _COMPARED) -> list[Kind | None]:
    """Return the kind of change behind each request, None for causes that are not ``among`` those asked for.

    Of each agent at most 200 pairs of contents are read, evenly spread; the others are named as the one before them.
    """
    origins = sim.history.origins
    causes = sim.caused_by
    namer = PairNamer(sim.history.requests)
    kinds: list[Kind | None] = [Kind.MODEL_CHANGED if cause == Verdict.MODEL_CHANGED else None for cause in causes]
    for requests in _by_agent(sim, [i for i, cause in enumerate(causes) if cause in among]):
        rows = sim.rows[requests]
        where, of_request = np.unique(origins.rows[rows], return_inverse=True)
        chosen = np.unique(np.linspace(0, len(where) - 1, min(len(where), _MAX_PAIRS)).astype(np.int64))
        first_of = {origin: row for row, origin in zip(rows[::-1].tolist(), of_request.tolist()[::-1], strict=True)}
        named = [
            namer.name(int(origins.pieces[first_of[k]]), int(origins.counterparts[first_of[k]]))
            for k in chosen.tolist()
        ]
        nearest = np.searchsorted(chosen, of_request, side="right") - 1
        for request, k in zip(requests, nearest.tolist(), strict=True):
            kinds[request] = named[k]
    return kinds


def _by_agent(sim: CacheSimulation, requests: list[int]) -> Iterator[list[int]]:
    groups: dict[str, list[int]] = {}
    agents = sim.agent_ids
    for i in requests:
        groups.setdefault(agents[i], []).append(i)
    yield from groups.values()
