"""What changes in a list of blocks though no text does: blocks missing, and blocks at other places.

Belongs here: tests by codes alone, so they hold for redacted exports too.
"""

from acg_lab.explain.change import Change, Request

__all__ = ["intruders", "is_growth", "is_missing", "is_shifted"]

_MOSTLY = 0.8
_NO_ACCIDENT = 64  # characters; a shorter content may well be said twice


def is_growth(change: Change) -> bool:
    """Whether there are requests without the block, and they merely end before it: a conversation that goes on.

    In place of what an assistant or a tool said there may stand a request's last message.
    """
    last = 1 if change.form.role in ("assistant", "tool") else 0
    end = _usual_place(change) + last
    without = [r for r, at in zip(change.requests, change.places, strict=True) if at is None]
    return bool(without) and all(len(request.spans) <= end for request in without)


def is_missing(change: Change) -> bool:
    """Whether the block is left out of some requests, which go on without it, and is the same in the others."""
    others, following = _deviating(change), _following(change)
    left_out = sum(_is_left_out(change, request, following) for request in others)
    usual = change.counts[change.by_count[0]]
    same = usual + left_out >= change.threshold * (usual + len(others))
    return left_out > 0 and same and left_out >= _MOSTLY * len(others)


def is_shifted(change: Change) -> bool:
    """Whether the usual content stands elsewhere in most requests that do not have it here."""
    others, following = _deviating(change), _following(change)
    moved = sum(_is_elsewhere(change, request, following) for request in others)
    return moved > 0 and moved >= _MOSTLY * len(others)


def intruders(change: Change) -> list[tuple[int, int]]:
    """Return spans and contents, by code, of what comes before the usual content where that stands later."""
    usual = change.by_count[0]
    placed = [(r.contents.index(usual), r) for r in change.requests if usual in r.contents]
    first = min(place for place, _ in placed)
    found = ((r.spans[i], r.contents[i]) for place, r in placed for i in range(first, place))
    return list(dict.fromkeys(found))


def _usual_place(change: Change) -> int:
    return change.places[change.codes.index(change.by_count[0])] or 0


def _deviating(change: Change) -> list[Request]:
    """Return the requests that reach the block's place but do not hold its usual content there."""
    usual, place = change.by_count[0], _usual_place(change)
    pairs = zip(change.requests, change.codes, strict=True)
    return [request for request, code in pairs if code != usual and len(request.spans) > place]


def _following(change: Change) -> set[int]:
    """Return the contents that stand right behind the usual one."""
    usual = change.by_count[0]
    at_usual = [(r, at) for r, c, at in zip(change.requests, change.codes, change.places, strict=True) if c == usual]
    return {r.contents[at + 1] for r, at in at_usual if at is not None and at + 1 < len(r.contents)}


def _is_left_out(change: Change, request: Request, following: set[int]) -> bool:
    """Whether the usual content is nowhere, and in its place stands what follows it, or a block of another name."""
    if change.by_count[0] in request.contents:
        return False
    absent = change.span not in request.spans and change.present > 1
    return absent or request.contents[_usual_place(change)] in following


def _is_elsewhere(change: Change, request: Request, following: set[int]) -> bool:
    """Whether the usual content stands in a request by no accident: it is long, or what follows it follows here too."""
    usual, contents = change.by_count[0], request.contents
    if usual not in contents or len(change.text(usual)) >= _NO_ACCIDENT:
        return usual in contents
    return any(content == usual and {*contents[i + 1 : i + 2]} <= following for i, content in enumerate(contents))
