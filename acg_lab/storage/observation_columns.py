"""The observations of a source as columns of codes; records are made when asked for.

Each distinct text is kept once, and named by its code: its position in a pool.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from acg_lab.core.codec import decode
from acg_lab.core.exact_prefix import is_scaffold
from acg_lab.core.records import JsonObject, PromptBlock, PromptIR, TokenMetadata, ToolSchemaHash
from acg_lab.storage.times import Times

__all__ = ["HIDDEN", "Codes", "Form", "Header", "ObservationColumns", "Offsets", "offsets"]

HIDDEN: Final = "[private]"  # in place of a text that is not shown
Codes = NDArray[np.int32]
Offsets = NDArray[np.int64]
_parse_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def _unknown(text: str | None) -> JsonObject:
    return msgspec.json.decode(text, type=dict[str, Any]) if text else {}


class Form(NamedTuple):
    """The fields of a block other than span id, index and content."""

    role: Any
    content_type: Any
    provenance: Any
    sensitivity: Any
    token_metadata: str | None  # JSON
    unknown: str | None  # JSON

    @property
    def is_scaffold(self) -> bool:
        """Whether the block belongs to the system prompt, the tools or the response format."""
        return is_scaffold(self.role, self.content_type)

    @property
    def is_private(self) -> bool:
        """Whether the block is labelled private or restricted: its text is shown only where that is asked for."""
        return self.sensitivity in ("private", "restricted")


class Header(NamedTuple):
    """The fields of an observation other than its blocks, ids, hash and time."""

    tool_schema_hashes: str | None  # JSON
    structured_output_schema_id: str | None
    unknown: str | None  # JSON


@dataclass(frozen=True, eq=False, kw_only=True)
class ObservationColumns:
    """The windows of a source as columns.

    Attributes
    ----------
    keys : tuple of str, length n_windows
        Learning keys and agent ids, sorted.
    window_offsets : (n_windows + 1,)
        Window ``w`` holds the observations ``window_offsets[w]`` up to ``window_offsets[w + 1]``, oldest first.
    block_offsets : (n_observations + 1,)
        The same for the blocks of an observation, in prompt order.
    ir_ids, request_hashes, headers, created : n_observations
        ``headers`` are codes of ``header_pool``.
    spans, contents, forms, indexes : (n_blocks,)
        One row per block: codes of the pools, and the sequence index.
    is_redacted : bool
        Whether pseudonyms stand for all texts (`acg_lab.storage.pseudonyms`).
    is_partly_redacted : bool
        Whether pseudonyms stand for the texts of blocks labelled private or restricted.
    """

    keys: tuple[str, ...]
    window_offsets: Offsets
    block_offsets: Offsets
    ir_ids: Sequence[str]
    request_hashes: Sequence[str | None]
    created: Times
    headers: Codes
    spans: Codes
    contents: Codes
    forms: Codes
    indexes: NDArray[np.uint32]
    span_pool: Sequence[str]
    content_pool: Sequence[str]
    form_pool: Sequence[Form]
    header_pool: Sequence[Header]
    is_redacted: bool = False
    is_partly_redacted: bool = False

    @cached_property
    def number(self) -> Mapping[str, int]:
        """The position of each key in `keys`."""
        return {key: i for i, key in enumerate(self.keys)}

    @cached_property
    def _tool_hashes(self) -> dict[str, tuple[ToolSchemaHash, ...]]:
        return {}

    @cached_property
    def _blocks(self) -> dict[tuple[int, int, int, int], PromptBlock]:
        return {}

    def observations_of(self, window: int) -> range:
        """Return the rows of a window's observations."""
        return range(int(self.window_offsets[window]), int(self.window_offsets[window + 1]))

    def blocks_of(self, window: int) -> slice:
        """Return the rows of all blocks of a window."""
        return slice(
            int(self.block_offsets[self.window_offsets[window]]),
            int(self.block_offsets[self.window_offsets[window + 1]]),
        )

    def window(self, window: int) -> tuple[PromptIR, ...]:
        """Return the observations of a window, oldest first; equal blocks are one object."""
        return tuple(self.observation(row) for row in self.observations_of(window))

    def observation(self, row: int) -> PromptIR:
        """Return the observation of a row."""
        hashes, schema_id, unknown = self.header_pool[self.headers[row]]
        blocks = slice(int(self.block_offsets[row]), int(self.block_offsets[row + 1]))
        columns = (self.spans, self.contents, self.forms, self.indexes)
        return PromptIR(
            ir_id=self.ir_ids[row],
            blocks=tuple(map(self._block, zip(*(column[blocks].tolist() for column in columns), strict=True))),
            tool_schema_hashes=self._hashes(hashes),
            structured_output_schema_id=schema_id,
            source_request_hash=self.request_hashes[row],
            created_at=self.created.text(row) or "",
            unknown=_unknown(unknown),
        )

    def _hashes(self, text: str | None) -> tuple[ToolSchemaHash, ...] | None:
        if text is None:
            return None
        if text not in self._tool_hashes:
            self._tool_hashes[text] = tuple(decode(ToolSchemaHash, bytes(raw)) for raw in _parse_list(text))
        return self._tool_hashes[text]

    def _block(self, codes: tuple[int, int, int, int]) -> PromptBlock:
        if codes not in self._blocks:
            span, content, form, index = codes
            role, content_type, provenance, sensitivity, token_metadata, unknown = self.form_pool[form]
            self._blocks[codes] = PromptBlock(
                span_id=self.span_pool[span],
                sequence_index=index,
                role=role,
                content=self.content_pool[content],
                content_type=content_type,
                provenance=provenance,
                sensitivity=sensitivity,
                token_metadata=decode(TokenMetadata, token_metadata.encode()) if token_metadata else None,
                unknown=_unknown(unknown),
            )
        return self._blocks[codes]

    def slice(self, rows: range, key: str) -> "ObservationColumns":
        """Return consecutive observations as one window of the given key; arrays are views."""
        ends = self.block_offsets[rows.start : rows.stop + 1]
        observations, blocks = slice(rows.start, rows.stop), slice(int(ends[0]), int(ends[-1]))
        spelled = {row - rows.start: text for row, text in self.created.spelled.items() if row in rows}
        return replace_fields(
            self,
            keys=(key,),
            window_offsets=offsets([len(rows)]),
            block_offsets=ends - ends[0],
            ir_ids=self.ir_ids[observations],
            request_hashes=self.request_hashes[observations],
            created=Times(self.created.nanoseconds[observations], spelled),
            headers=self.headers[observations],
            spans=self.spans[blocks],
            contents=self.contents[blocks],
            forms=self.forms[blocks],
            indexes=self.indexes[blocks],
        )

    def take(self, rows: NDArray[np.int64], keys: Iterable[str]) -> "ObservationColumns":
        """Return the observations of the given rows, in windows of the given keys: the rows of each together, in order.

        It costs what is taken.
        """
        keys = tuple(keys)
        of_row = np.searchsorted(self.window_offsets, rows, side="right") - 1
        counts = np.bincount(of_row, minlength=len(self.keys))[[self.number[key] for key in keys]]
        lengths = self.block_offsets[rows + 1] - self.block_offsets[rows]
        blocks = np.repeat(self.block_offsets[rows] - offsets(lengths)[:-1], lengths) + np.arange(lengths.sum())
        spelled = {i: self.created.spelled[row] for i, row in enumerate(rows.tolist()) if row in self.created.spelled}
        return replace_fields(
            self,
            keys=keys,
            window_offsets=offsets(counts),
            block_offsets=offsets(lengths),
            ir_ids=[self.ir_ids[row] for row in rows],
            request_hashes=[self.request_hashes[row] for row in rows],
            created=Times(self.created.nanoseconds[rows], spelled),
            headers=self.headers[rows],
            spans=self.spans[blocks],
            contents=self.contents[blocks],
            forms=self.forms[blocks],
            indexes=self.indexes[blocks],
        )


def offsets(counts: NDArray[np.int64] | Sequence[int]) -> Offsets:
    """Return the start of each group of rows, followed by the end of the last one."""
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64))).astype(np.int64)
