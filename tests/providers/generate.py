"""Generated histories of one cache scope: growing, branching, edited, parallel and resumed conversations.

Sizes are small (a minimum of a dozen tokens, a look-back of a few positions) so that a few requests meet many rules.
"""

from providers.histories import Piece, Prompt

from acg_lab.providers import AUTOMATIC_BY_DEFAULT, PieceKind, RequestFlag

GAPS = (0, 0, 0.5, 1, 3, 5, 20, 30, 40, 60, 200, 290, 299, 300, 301, 310, 500, 1700, 1800, 1801, 3500, 3601)


def draw_prompts(rng, *, breakpoints=True, answers=False, many_breakpoints=False, deep=False):
    """Draw the requests of a scope, oldest first."""
    scaffolds = [_scaffold(rng) for _ in range(rng.integers(1, 3))]
    conversations, prompts, now = [], [], 0.0
    for _ in range(rng.integers(3, 14)):
        now += float(rng.choice(GAPS))
        pieces = _pieces(rng, scaffolds, conversations, (6, 14) if deep else (1, 4))
        took = float(rng.choice((0.5, 2, 30, 240)))
        first = None if rng.random() < 0.2 else min(took, float(rng.choice((0.2, 2, 25))))
        answer = (Piece(_text(rng), kind=PieceKind.ASSISTANT),) if answers and rng.random() < 0.6 else ()
        prompt = Prompt(
            pieces,
            now,
            _breakpoints(rng, pieces, many_breakpoints) if breakpoints else {},
            first,
            None if first is None and rng.random() < 0.3 else took,
            model=str(rng.choice(("claude-sonnet-5", "other"), p=(0.9, 0.1))),
            automatic=int(rng.choice((AUTOMATIC_BY_DEFAULT, 0, 300, 3600), p=(0.6, 0.1, 0.2, 0.1)))
            if breakpoints
            else AUTOMATIC_BY_DEFAULT,
            flags=RequestFlag.FAILED if rng.random() < 0.04 else 0,
            answer=answer,
        )
        conversations.append(pieces + answer)
        prompts.append(prompt)
    return [_without_lost_answer(prompt, prompts[i + 1 :]) for i, prompt in enumerate(prompts)]


def _without_lost_answer(prompt, later):
    """A table knows an answer only by a later prompt that holds it."""
    whole = prompt.pieces + prompt.answer
    held = any(other.model == prompt.model and other.pieces[: len(whole)] == whole for other in later)
    return prompt if held or not prompt.answer else Prompt(**{**vars(prompt), "answer": ()})


def _scaffold(rng):
    tools = [Piece(_text(rng), kind=PieceKind.TOOL) for _ in range(rng.integers(0, 3))]
    framing = (
        [Piece("framing|", kind=PieceKind.FRAMING, allows_breakpoint=False)] if tools and rng.random() < 0.3 else []
    )
    system = [Piece(_text(rng), kind=PieceKind.SYSTEM) for _ in range(rng.integers(0, 2))]
    developers = [Piece(_text(rng), kind=PieceKind.DEVELOPER, message=k) for k in range(rng.integers(0, 3))]
    return (*framing, *tools, *system, *developers)


def _pieces(rng, scaffolds, conversations, lengths):
    if conversations and rng.random() < 0.75:
        pieces = list(conversations[rng.integers(max(0, len(conversations) - 3), len(conversations))])
        if len(pieces) > 1 and rng.random() < 0.2:  # an edit
            k = int(rng.integers(len(pieces)))
            pieces[k] = Piece(
                _text(rng),
                kind=pieces[k].kind,
                message=pieces[k].message,
                allows_breakpoint=pieces[k].allows_breakpoint,
            )
        if len(pieces) > 1 and rng.random() < 0.1:  # a cut
            pieces = pieces[: int(rng.integers(1, len(pieces)))]
        if rng.random() < 0.15:  # the same again
            return tuple(pieces)
    else:
        pieces = list(scaffolds[rng.integers(len(scaffolds))])
    message = max((p.message for p in pieces), default=-1) + 1
    for _ in range(rng.integers(*lengths)):
        kind = PieceKind(int(rng.choice((3, 4, 4, 5, 6, 7, 8, 9))))
        count = int(rng.integers(2, 7)) if kind in {PieceKind.TOOL_USE, PieceKind.TOOL_RESULT} else 1
        for _ in range(count):
            allows_breakpoint = kind != PieceKind.THINKING and rng.random() < 0.95
            pieces.append(Piece(_text(rng), kind=kind, message=message, allows_breakpoint=allows_breakpoint))
        message += rng.random() < 0.8
    return tuple(pieces)


def _breakpoints(rng, pieces, many):
    allows_breakpoint = [k for k, piece in enumerate(pieces) if piece.allows_breakpoint or rng.random() < 0.02]
    count = min(len(allows_breakpoint), int(rng.choice((0, 1, 2, 3, 4, 5), p=(0.15, 0.3, 0.25, 0.15, 0.12, 0.03))))
    count = min(len(allows_breakpoint), int(rng.integers(0, 11))) if many else count
    recent = allows_breakpoint[-6:]
    pool = recent if rng.random() < 0.5 and len(recent) >= count else allows_breakpoint
    chosen = sorted(int(k) for k in rng.choice(pool, count, replace=False)) if count else []
    ttl = int(rng.choice((0, 300, 3600, 1800)))
    later = int(rng.choice((0, ttl, 300)))
    turn = int(rng.integers(len(chosen) + 1))
    return {k: ttl if n < turn else later for n, k in enumerate(chosen)}


def _text(rng):
    """A short text; many begin alike, and none is the beginning of another, as with a real prompt's framing."""
    letters = rng.choice(list("ab"), int(rng.integers(1, 9)))
    return str(rng.choice(("", "shared ", "shared text "))) + "".join(letters) + "|"
