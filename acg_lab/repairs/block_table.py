"""A table of blocks that repairs can edit.

Invariant: an edit returns a new table and changes neither the old one nor the snapshot's columns. Blocks are numbered
and named as production does it, whatever was done to them.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from typing import Any, Final, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from acg_lab.storage.observation_columns import Codes, Form, ObservationColumns

__all__ = ["ADDED", "BlockTable", "Bools", "Pool", "Rows", "SpanNames", "parse_block_name"]

V = TypeVar("V")
Rows = NDArray[np.int64]
Bools = NDArray[np.bool_]
ADDED: Final = -1


class Pool(Sequence[V], Generic[V]):
    """A pool of a snapshot, and the values that repairs add to it.

    Parameters
    ----------
    base : sequence
        Never changed.
    used : array of int
        The codes in use. New values are looked up among those of these codes, so that equal values keep one code.
    """

    def __init__(self, base: Sequence[V], used: Codes) -> None:
        self._base: Sequence[V] = base
        self._added: list[V] = []
        if isinstance(base, Pool):
            self._base, self._added = base.parts()
        self._used = used
        self._n_base = len(self._base)

    def parts(self) -> tuple[Sequence[V], list[V]]:
        """Return the base, and a copy of the added values."""
        return self._base, [*self._added]

    @cached_property
    def _codes(self) -> dict[V, int]:
        return {self[code]: code for code in sorted(set(self._used.tolist()))}

    def code(self, value: V) -> int:
        """Return the code of a value; add the value if it is new."""
        code = self._codes.setdefault(value, len(self))
        if code == len(self):
            self._added.append(value)
        return code

    def find(self, value: V) -> int:
        """Return the code of a value in use, -1 if it is not in use."""
        return self._codes.get(value, -1)

    def __len__(self) -> int:
        return self._n_base + len(self._added)

    @overload
    def __getitem__(self, code: int) -> V: ...
    @overload
    def __getitem__(self, code: slice) -> list[V]: ...
    def __getitem__(self, code: int | slice) -> V | list[V]:
        if isinstance(code, slice):
            return [self[i] for i in range(*code.indices(len(self)))]
        return self._base[code] if code < self._n_base else self._added[code - self._n_base]

    def __iter__(self) -> Iterator[V]:
        yield from self._base
        yield from self._added


class SpanNames(dict[tuple[int, int, int, int], int]):
    """Codes of new span ids, by (code of the old span id, form, old number, new number)."""

    def __init__(self, spans: Pool[str], forms: Pool[Form]) -> None:
        super().__init__()
        self._spans, self._forms = spans, forms

    def __missing__(self, key: tuple[int, int, int, int]) -> int:
        span, form, old, new = key
        role, span_id = self._forms[form].role, self._spans[span]
        name = parse_block_name(span_id, role, old)
        code = self[key] = span if name is None else self._spans.code(f"{role}-{new}{name}")
        return code


def parse_block_name(span_id: str, role: str, number: int) -> str | None:
    """Return what follows role and number in a span id; None if production would not have named the block so."""
    head = f"{role}-{number}"
    rest = span_id.removeprefix(head)
    return rest if span_id == head or (rest != span_id and rest.startswith("-")) else None


@dataclass(frozen=True, eq=False, kw_only=True)
class BlockTable:
    """The blocks of some observations, one row per block, by observation and then in prompt order.

    Attributes
    ----------
    source : ObservationColumns
        The observations; what does not belong to a block stays there.
    owner : array of int64, shape (n_rows,)
        The observation of each row, ascending.
    origin : array of int64, shape (n_rows,)
        The row that each row had in the source; `ADDED` for one that it did not have.
    spans, contents, forms, indexes : array, shape (n_rows,)
        As in `ObservationColumns`.
    span_pool, content_pool, form_pool : Pool
        The pools of the source, with the values that were added.
    """

    source: ObservationColumns
    owner: Rows
    origin: Rows
    spans: Codes
    contents: Codes
    forms: Codes
    indexes: NDArray[np.uint32]
    span_pool: Pool[str]
    content_pool: Pool[str]
    form_pool: Pool[Form]

    @classmethod
    def from_columns(cls, source: ObservationColumns) -> "BlockTable":
        """Return the table of all observations."""
        lengths = np.diff(source.block_offsets)
        return cls(
            source=source,
            owner=np.repeat(np.arange(len(lengths)), lengths),
            origin=np.arange(len(source.spans)),
            spans=source.spans,
            contents=source.contents,
            forms=source.forms,
            indexes=source.indexes,
            span_pool=Pool(source.span_pool, source.spans),
            content_pool=Pool(source.content_pool, source.contents),
            form_pool=Pool(source.form_pool, source.forms),
        )

    def have_form(self, **wanted: Collection[Any]) -> Bools:
        """Return which rows have a form whose fields have one of the wanted values, shape (n_rows,)."""
        fits = [all(getattr(form, name) in among for name, among in wanted.items()) for form in self.form_pool]
        found: Bools = np.array(fits, np.bool_)[self.forms]
        return found

    @cached_property
    def is_fixed(self) -> Bools:
        """Which rows are tools or response formats, whose position production chooses."""
        return self.have_form(content_type=("tool_schema", "structured_output"))

    @cached_property
    def is_scaffold(self) -> Bools:
        """Which rows are system messages, tools or response formats."""
        found: Bools = np.array([form.is_scaffold for form in self.form_pool], np.bool_)[self.forms]
        return found

    def block_name(self, row: int) -> str | None:
        """Return what follows role and number in a row's span id, as `parse_block_name` does."""
        role = self.form_pool[self.forms[row]].role
        return parse_block_name(self.span_pool[self.spans[row]], role, int(self.indexes[row]))

    def with_contents(self, rows: Rows, contents: Sequence[int] | Codes) -> "BlockTable":
        """Return the table with new contents in some rows; where the content changes, its token count is dropped."""
        contents = np.asarray(contents, np.int32)
        differ = contents != self.contents[rows]
        rows, contents = rows[differ], contents[differ]
        if not len(rows):
            return self
        new = self.contents.copy()
        new[rows] = contents
        return replace(self, contents=new).with_forms(rows, token_metadata=None)

    def with_forms(self, rows: Rows, **fields: str | None) -> "BlockTable":
        """Return the table with some fields of the rows' forms replaced."""
        codes, inverse = np.unique(self.forms[rows], return_inverse=True)
        changed = [self.form_pool.code(self.form_pool[code]._replace(**fields)) for code in codes.tolist()]
        forms = self.forms.copy()
        forms[rows] = np.array(changed, np.int32)[inverse]
        return replace(self, forms=forms)

    def with_last_blocks(
        self, owners: Rows, contents: Sequence[int], forms: Sequence[Form], suffixes: Sequence[str] = ()
    ) -> "BlockTable":
        """Return the table with one more block at the end of some observations, each of which has a block.

        Parameters
        ----------
        owners : array of int64
            The observations, ascending.
        contents : sequence of int
            Codes.
        forms : sequence of Form
        suffixes : sequence of str, optional
            What follows role and number in the names; nothing when left out.
        """
        at = np.searchsorted(self.owner, owners, side="right")
        indexes = self.indexes[at - 1] + 1
        numbered = [f"{form.role}-{index}" for form, index in zip(forms, indexes.tolist(), strict=True)]
        names = [f"{name}{suffix}" for name, suffix in zip_longest(numbered, suffixes, fillvalue="")]
        return replace(
            self,
            owner=np.insert(self.owner, at, owners),
            origin=np.insert(self.origin, at, ADDED),
            spans=np.insert(self.spans, at, [self.span_pool.code(name) for name in names]),
            contents=np.insert(self.contents, at, contents),
            forms=np.insert(self.forms, at, [self.form_pool.code(form) for form in forms]),
            indexes=np.insert(self.indexes, at, indexes),
        )

    def reordered(self, order: Rows) -> "BlockTable":
        """Return the table with the rows of ``order``, observations in their old order, numbered and named afresh.

        Numbers belong to positions: the third block of an observation gets the number that its third block had. Span
        ids that production would not have made are kept.
        """
        owner = self.owner[order]
        first = np.searchsorted(self.owner, owner)
        place = first + np.arange(len(order)) - np.searchsorted(owner, owner)
        indexes, before = self.indexes[place], self.indexes[order]
        spans = self.spans[order]
        moved = np.flatnonzero(indexes != before)
        if len(moved):
            names = SpanNames(self.span_pool, self.form_pool)
            columns = (spans[moved], self.forms[order][moved], before[moved], indexes[moved])
            spans[moved] = [names[key] for key in zip(*(column.tolist() for column in columns), strict=True)]
        return replace(
            self,
            owner=owner,
            origin=self.origin[order],
            spans=spans,
            contents=self.contents[order],
            forms=self.forms[order],
            indexes=indexes,
        )
