"""What windows hold: requests, their blocks, distinct contents, and how the blocks of one window compare."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from acg_lab.core.canonical import hash_text
from acg_lab.frames.columns import category, compact, make_frame
from acg_lab.frames.schema import BLOCKS, CELLS, VARIANTS, WINDOWS
from acg_lab.snapshot.narrow import columns_of
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.snapshot.span_stats import block_tokens, list_variants
from acg_lab.snapshot.window_cells import CellContent, find_cells
from acg_lab.storage.observation_columns import HIDDEN

if TYPE_CHECKING:
    from acg_lab.storage.observation_columns import ObservationColumns

__all__ = ["blocks", "cells", "variants", "windows"]

_HASH: Final = slice(len("sha256:"), len("sha256:") + 16)  # the digits that are shown
_SECOND = 10**9  # nanoseconds


def windows(snap: Snapshot) -> pd.DataFrame:
    """Return one row per request of each window, by learning key, oldest first.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed. Seed entries are left out.

    Returns
    -------
    DataFrame
        learning_key, agent_id (categorical); request (position in its window, 0 = oldest); created_at (UTC); blocks
        (number); tokens (sum of its blocks: a block's own count, else UTF-8 bytes // 4); request_hash (of the whole
        request as stored, missing if there is none).

    Raises
    ------
    UsageError
        If `snap` is not a Snapshot.

    Examples
    --------
    >>> import acg_lab as acg
    >>> acg.frames.windows(acg.load(acg.MemoryBackend())).columns.tolist()
    ['learning_key', 'agent_id', 'request', 'created_at', 'blocks', 'tokens', 'request_hash']
    """
    source = columns_of(snap)
    n_blocks = np.diff(source.block_offsets)
    of_block = np.repeat(np.arange(len(n_blocks)), n_blocks)
    tokens = np.bincount(of_block, weights=block_tokens(source), minlength=len(n_blocks))
    values = {
        **_request_columns(snap, source),
        "created_at": source.created.nanoseconds,
        "blocks": n_blocks,
        "tokens": tokens.astype(np.int64),
        "request_hash": source.request_hashes,
    }
    return make_frame(WINDOWS, values)


def blocks(snap: Snapshot, *, text: bool = False) -> pd.DataFrame:
    """Return one row per block of each request, by learning key, oldest request first, in prompt order.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed. Seed entries are left out.
    text : bool
        Add the column ``text``, the content of the block (categorical: each distinct text is held once). Prompts are
        private, so it must be asked for.

    Returns
    -------
    DataFrame
        learning_key, agent_id, span_id, role, content_type, provenance (categorical); request (position in its
        window, 0 = oldest); position (in the prompt, 0 = first); sequence_index (as stored); hash (first 16 hex digits
        of the SHA-256 of the text); tokens (the block's own count, else UTF-8 bytes // 4); created_at (UTC).

    Raises
    ------
    UsageError
        If `snap` is not a Snapshot.

    Examples
    --------
    >>> import acg_lab as acg
    >>> snap = acg.load(acg.MemoryBackend())
    >>> acg.frames.blocks(snap, text=True).columns[-1]
    'text'
    """
    source = columns_of(snap)
    n_blocks = np.diff(source.block_offsets)
    of_block = np.repeat(np.arange(len(n_blocks)), n_blocks)
    values = {
        **{name: column[of_block] for name, column in _request_columns(snap, source).items()},
        "position": np.arange(len(of_block)) - source.block_offsets[of_block],
        **_content_columns(source, np.arange(len(of_block)), text=text, private=snap.shows_private),
        "sequence_index": source.indexes,
        "created_at": source.created.nanoseconds[of_block],
    }
    for i, name in enumerate(("role", "content_type", "provenance")):
        values[name] = category(source.forms, [str(form[i]) for form in source.form_pool], name)
    return make_frame({**BLOCKS, "text": "names"} if text else BLOCKS, values)


def variants(
    snap: Snapshot, learning_key: str | None = None, *, agent_id: str | None = None, text: bool = False
) -> pd.DataFrame:
    """Return one row per distinct content of each block of one window, in prompt order, the commonest first.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    learning_key : str, optional
        The profile, by learning key or display name; may be left out if there is only one.
    agent_id : str, optional
        Its agent; enough if the agent has one profile.
    text : bool
        Add the column ``text``, the content itself. Prompts are private, so it must be asked for.

    Returns
    -------
    DataFrame
        span_id (categorical); position (the smallest sequence index of the block); hash (first 16 hex digits of the
        SHA-256 of the text); count (how often it occurs); first_seen, last_seen (UTC, in whole seconds); tokens (where
        it occurs last).

    Raises
    ------
    UsageError
        If no profile fits, or more than one.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.core import PromptBlock, PromptIR
    >>> kind = {"role": "system", "content_type": "text", "provenance": "system"}
    >>> block = PromptBlock(span_id="system-0", sequence_index=0, content="You book flights.", **kind)
    >>> at = {"ir_id": "4d2f0c0e-8a50-4bb0-9a3c-5a52b7b52f3a", "created_at": "2026-11-02T08:00:00Z"}
    >>> backend = acg.MemoryBackend()
    >>> key = "agent::model=m::seed=no-seed::system=no-system::tools=no-tools"
    >>> backend.store_observations(key, (PromptIR(blocks=(block,), **at), PromptIR(blocks=(block,), **at)))
    >>> snap = acg.load(backend, progress=False)
    >>> acg.frames.variants(snap)[["span_id", "count", "tokens"]].values.tolist()
    [['system-0', 2, 4]]
    """
    check_snapshot(snap)
    source = columns_of(snap, [snap.profile_names.resolve(learning_key, agent_id=agent_id)])
    found = list_variants(source)
    first, newest = (
        source.created.nanoseconds[np.searchsorted(source.block_offsets, rows, side="right") - 1]
        for rows in (found.first, found.newest)
    )
    values = {
        **_content_columns(source, found.newest, text=text, private=snap.shows_private),
        "position": found.position,
        "count": found.counts,
        "first_seen": first // _SECOND * _SECOND,
        "last_seen": newest // _SECOND * _SECOND,
    }
    return make_frame({**VARIANTS, "text": "names"} if text else VARIANTS, values)


def _request_columns(snap: Snapshot, source: "ObservationColumns") -> dict[str, Any]:
    """Return profile, agent and position in its window of each request."""
    window = np.repeat(np.arange(len(source.keys)), np.diff(source.window_offsets))
    agents = {agent_id: i for i, agent_id in enumerate(snap.agent_ids)}
    agent = np.array([agents[snap.owners[key].agent_id] for key in source.keys], np.int64)
    return {
        "learning_key": category(window, source.keys),
        "agent_id": category(agent[window], snap.agent_ids),
        "request": np.arange(len(window)) - source.window_offsets[window],
    }


def _content_columns(
    source: "ObservationColumns", rows: NDArray[np.int64], *, text: bool, private: bool
) -> dict[str, Any]:
    """Return span id, hash, tokens and, if asked for, text of some block rows, ``[private]`` for those not shown."""
    contents = source.contents[rows]
    used, codes = compact(contents, len(source.content_pool))
    hashes = [hash_text(source.content_pool[code])[_HASH] for code in used.tolist()]
    values = {
        "span_id": category(source.spans[rows], source.span_pool),
        "hash": pd.array(hashes, dtype="str").take(codes),
        "tokens": block_tokens(source)[rows],
    }
    if not text:
        return values
    hidden = np.array([form.is_private and not private for form in source.form_pool], bool)[source.forms[rows]]
    pool = [*source.content_pool, HIDDEN]
    return {**values, "text": category(np.where(hidden, len(pool) - 1, contents), pool)}


def cells(snap: Snapshot, learning_key: str | None = None, *, agent_id: str | None = None) -> pd.DataFrame:
    """Return one row per block of each request of one window, compared with the others; oldest request first.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    learning_key : str, optional
        The profile, by learning key or display name; may be left out if there is only one.
    agent_id : str, optional
        Its agent; enough if the agent has one profile.

    Returns
    -------
    DataFrame
        learning_key, agent_id, span_id (categorical); request (position in the window, 0 = oldest); created_at (UTC);
        position (in the prompt, 0 = first); content (categorical: ``dominant``, the commonest of the block, of equals
        the one seen first; ``repeated``, another that occurs more than once; ``once``); first_difference (whether it is
        the first block of its request that is not the commonest one, span and content, at its position; if all requests
        differ there, none is).

    Raises
    ------
    UsageError
        If no profile fits, or more than one.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.core import PromptBlock, PromptIR
    >>> kind = {"role": "system", "content_type": "text", "provenance": "system"}
    >>> block = PromptBlock(span_id="system-0", sequence_index=0, content="You book flights.", **kind)
    >>> at = {"ir_id": "4d2f0c0e-8a50-4bb0-9a3c-5a52b7b52f3a", "created_at": "2026-11-02T08:00:00Z"}
    >>> backend = acg.MemoryBackend()
    >>> key = "agent::model=m::seed=no-seed::system=no-system::tools=no-tools"
    >>> backend.store_observations(key, (PromptIR(blocks=(block,), **at), PromptIR(blocks=(block,), **at)))
    >>> snap = acg.load(backend, progress=False)
    >>> acg.frames.cells(snap, agent_id="agent")[["request", "span_id", "content"]].values.tolist()
    [[0, 'system-0', 'dominant'], [1, 'system-0', 'dominant']]
    """
    check_snapshot(snap)
    learning_key = snap.profile_names.resolve(learning_key, agent_id=agent_id)
    source, found = snap.columns.observations, find_cells(snap, learning_key)
    observations = source.observations_of(source.number[learning_key])
    whose = np.zeros(len(found.rows), np.int64)
    values = {
        "learning_key": category(whose, [learning_key]),
        "agent_id": category(whose, [snap.owners[learning_key].agent_id]),
        "request": found.requests,
        "created_at": source.created.nanoseconds[observations.start : observations.stop][found.requests],
        "position": found.positions,
        "span_id": category(source.spans[found.rows], source.span_pool),
        "content": category(found.kinds, [kind.name for kind in CellContent], "content"),
        "first_difference": found.differs,
    }
    return make_frame(CELLS, values)
