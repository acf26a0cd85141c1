"""Find structural changes: blocks that are missing, shifted, or in another order.

Only codes are compared, so this works for redacted exports too.
"""

from collections import Counter

from acg_lab.diagnosis.block_history import BlockHistory, Request

__all__ = ["PERMUTED", "count_permuted", "find_inserted", "is_growth", "is_missing", "is_permuted", "is_shifted"]

_MOSTLY = 0.8
PERMUTED = 0.5  # of all requests, which have the same blocks in some order
_MIN_PERMUTED, _MAX_PERMUTED = 3, 32  # blocks
_MIN_UNIQUE = 64  # characters; a shorter content may well occur twice


def is_growth(block: BlockHistory) -> bool:
    """Return whether the requests without the block merely end before it, as in a conversation that goes on.

    In place of an assistant's or a tool's message there may be the last message of a request.
    """
    last = 1 if block.form.role in ("assistant", "tool") else 0
    end = _dominant_position(block) + last
    without = [r for r, at in zip(block.requests, block.positions, strict=True) if at is None]
    return bool(without) and all(len(request.spans) <= end for request in without)


def is_missing(block: BlockHistory) -> bool:
    """Return whether some requests leave the block out and go on without it, and the others have the same content."""
    others, following = _deviating_requests(block), _following_contents(block)
    left_out = sum(_is_left_out(block, request, following) for request in others)
    dominant = block.counts[block.by_count[0]]
    same = dominant + left_out >= block.threshold * (dominant + len(others))
    return left_out > 0 and same and left_out >= _MOSTLY * len(others)


def is_shifted(block: BlockHistory) -> bool:
    """Return whether most requests that do not have the dominant content here have it at another position.

    A copy that stands at the same position in the requests that do have it here has not moved.
    """
    others, following = _deviating_requests(block), _following_contents(block)
    copies = _positions_of_copies(block)
    moved = sum(_is_elsewhere(block, request, following, copies) for request in others)
    return moved > 0 and moved >= _MOSTLY * len(others)


def _positions_of_copies(block: BlockHistory) -> set[int]:
    """Return where requests with the dominant content have it once more."""
    dominant = block.by_count[0]
    with_dominant = (r for r, code in zip(block.requests, block.codes, strict=True) if code == dominant)
    positions = {i for request in with_dominant for i, content in enumerate(request.contents) if content == dominant}
    return positions - {_dominant_position(block)}


def is_permuted(block: BlockHistory) -> bool:
    """Return whether the same few blocks, from this one on, stand in another order, each first at times."""
    return count_permuted(block) > 0


def count_permuted(block: BlockHistory) -> int:
    """Return how many blocks, from this one on to the last that moves, stand in another order; 0 if none do.

    Requests that hold fewer blocks, as production cuts some to their last turn, show nothing of it.
    """
    pairs = zip(block.requests, block.positions, strict=True)
    runs = [r.contents[at : at + _MAX_PERMUTED] for r, at in pairs if at is not None]
    runs = [run for run in runs if len(run) >= _MIN_PERMUTED]
    for length in range(max(map(len, runs), default=0), _MIN_PERMUTED - 1, -1):
        sets = Counter(tuple(sorted(run[:length])) for run in runs if len(run) >= length)
        same, count = sets.most_common(1)[0]
        if count >= max(_MOSTLY * len(runs), PERMUTED * len(block.rows)):
            orders = {tuple(run[:length]) for run in runs if tuple(sorted(run[:length])) == same}
            moving = [len({*contents}) > 1 for contents in zip(*orders, strict=True)]
            last = max((i for i, is_moving in enumerate(moving, 1) if is_moving), default=0)
            return last if moving[0] and sum(moving) >= _MIN_PERMUTED else 0
    return 0


def find_inserted(block: BlockHistory) -> list[tuple[int, int]]:
    """Return codes of span and content of the blocks that push the dominant content to a later position."""
    dominant = block.by_count[0]
    placed = [(r.contents.index(dominant), r) for r in block.requests if dominant in r.contents]
    first = min(position for position, _ in placed)
    found = ((r.spans[i], r.contents[i]) for position, r in placed for i in range(first, position))
    return list(dict.fromkeys(found))


def _dominant_position(block: BlockHistory) -> int:
    return block.positions[block.codes.index(block.by_count[0])] or 0


def _deviating_requests(block: BlockHistory) -> list[Request]:
    """Return the requests that reach the block's position but do not have its dominant content there."""
    dominant, position = block.by_count[0], _dominant_position(block)
    pairs = zip(block.requests, block.codes, strict=True)
    return [request for request, code in pairs if code != dominant and len(request.spans) > position]


def _following_contents(block: BlockHistory) -> set[int]:
    """Return the contents that directly follow the dominant one."""
    dominant = block.by_count[0]
    with_dominant = [
        (r, at) for r, c, at in zip(block.requests, block.codes, block.positions, strict=True) if c == dominant
    ]
    return {r.contents[at + 1] for r, at in with_dominant if at is not None and at + 1 < len(r.contents)}


def _is_left_out(block: BlockHistory, request: Request, following: set[int]) -> bool:
    """Return whether a request has no dominant content, and its position holds what follows it or another span."""
    if block.by_count[0] in request.contents:
        return False
    absent = block.span not in request.spans and block.present > 1
    return absent or request.contents[_dominant_position(block)] in following


def _is_elsewhere(block: BlockHistory, request: Request, following: set[int], copies: set[int]) -> bool:
    """Return whether a request has the dominant content elsewhere and not by accident: it is long, or so continued."""
    dominant, contents = block.by_count[0], request.contents
    found = [i for i, content in enumerate(contents) if content == dominant and i not in copies]
    if not found or len(block.text(dominant)) >= _MIN_UNIQUE:
        return bool(found)
    return any({*contents[i + 1 : i + 2]} <= following for i in found)
