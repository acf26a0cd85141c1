"""Many requests at once, as arrays: growing conversations over one scaffold."""

import numpy as np
from providers.histories import EPOCH, SECOND

from acg_lab.providers import AUTOMATIC_BY_DEFAULT, NO_NODE, BreakpointOrigin, PieceKind, PromptTable

SCAFFOLD = 20  # pieces that all prompts share


def make_scope(n_requests, turns=20, per_turn=4, seed=0):
    """Make a scope of growing conversations: 62 pieces a request on average, three breakpoints each."""
    turn = np.arange(n_requests) % turns
    conversation = np.arange(n_requests) // turns
    sizes = SCAFFOLD + per_turn * (turn + 1)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    owner = np.repeat(np.arange(n_requests), sizes)
    within = np.arange(offsets[-1]) - offsets[owner]
    own = SCAFFOLD + conversation[owner] * turns * per_turn + within - SCAFFOLD
    nodes = np.where(within < SCAFFOLD, within, own)
    started = EPOCH + np.arange(n_requests) * 2 * SECOND
    last = offsets[1:] - 1
    breakpoints = np.stack(
        (offsets[:-1] + SCAFFOLD - 1, np.maximum(last - 2 * per_turn, offsets[:-1] + SCAFFOLD), last), axis=1
    )
    breakpoints[:, 1] = np.minimum(breakpoints[:, 1], last - 1)
    kinds = np.where(within < SCAFFOLD, PieceKind.SYSTEM, np.where(within % 2, PieceKind.USER, PieceKind.ASSISTANT))
    rng = np.random.default_rng(seed)
    first = started + rng.integers(SECOND // 2, 3 * SECOND, n_requests)
    return PromptTable(
        piece_offsets=offsets,
        nodes=nodes,
        ends=(within + 1) * 100,
        margins=np.zeros(len(nodes)),
        kinds=kinds.astype(np.uint8),
        messages=np.where(within < SCAFFOLD, -1, within),
        allows_breakpoint=np.ones(len(nodes), bool),
        tokens=sizes * 100,
        started=started,
        first_token=first,
        ended=first + SECOND,
        models=np.zeros(n_requests, np.int64),
        model_names=("claude-sonnet-4-5",),
        breakpoint_offsets=np.arange(n_requests + 1) * 3,
        breakpoint_pieces=breakpoints.reshape(-1),
        breakpoint_ttls=np.zeros(3 * n_requests, np.int64),
        breakpoint_origins=np.full(3 * n_requests, BreakpointOrigin.OWN, np.uint8),
        automatic_ttls=np.full(n_requests, AUTOMATIC_BY_DEFAULT),
        flags=np.zeros(n_requests, np.uint8),
        answers=np.full(n_requests, NO_NODE),
    )
