"""Blocks on their way through a repair: columns that can be edited, and new texts beside the old ones.

Belongs here: numbering and naming blocks as production does it, whatever was done to them. The columns of the snapshot
are never changed: an edit makes new ones.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from acg_lab.storage.columns import Codes, Form, ObservationColumns

__all__ = ["Bools", "Names", "Pool", "Rows", "Table", "name_of"]

V = TypeVar("V")
Rows = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Pool(Sequence[V], Generic[V]):
    """A pool of a snapshot, and what a repair adds to it.

    Parameters
    ----------
    base : sequence
        Never changed.
    used : array of int
        The codes in use: what is new is looked for among their values, so that equal values keep one code.
    """

    def __init__(self, base: Sequence[V], used: Codes) -> None:
        self._base: Sequence[V] = base
        self._added: list[V] = []
        if isinstance(base, Pool):
            self._base, self._added = base.parts()
        self._used = used
        self._n_base = len(self._base)

    def parts(self) -> tuple[Sequence[V], list[V]]:
        """Return what was there, and a copy of what was added."""
        return self._base, [*self._added]

    @cached_property
    def _codes(self) -> dict[V, int]:
        return {self[code]: code for code in sorted(set(self._used.tolist()))}

    def code(self, value: V) -> int:
        """Return the code of a value, a new one if need be."""
        code = self._codes.setdefault(value, len(self))
        if code == len(self):
            self._added.append(value)
        return code

    def find(self, value: V) -> int:
        """Return the code of a value in use, -1 if there is none."""
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


class Names(dict[tuple[int, int, int, int], int]):
    """Codes of span ids by (code of the old one, form, old number, new number)."""

    def __init__(self, spans: Pool[str], forms: Pool[Form]) -> None:
        super().__init__()
        self._spans, self._forms = spans, forms

    def __missing__(self, key: tuple[int, int, int, int]) -> int:
        span, form, old, new = key
        role, span_id = self._forms[form].role, self._spans[span]
        name = name_of(span_id, role, old)
        code = self[key] = span if name is None else self._spans.code(f"{role}-{new}{name}")
        return code


def name_of(span_id: str, role: str, number: int) -> str | None:
    """Return what follows role and number in a span id; None if it was not named as production does it."""
    head = f"{role}-{number}"
    rest = span_id.removeprefix(head)
    return rest if span_id == head or (rest != span_id and rest.startswith("-")) else None


@dataclass(frozen=True, eq=False, kw_only=True)
class Table:
    """The blocks of some observations, a row each, by observation, in prompt order.

    Attributes
    ----------
    source : ObservationColumns
        Where they are from; what is not of a block stays there.
    owner : (n_rows,)
        The observation of each row, ascending.
    origin : (n_rows,)
        The row of the source that it was.
    spans, contents, forms, indexes : (n_rows,)
        As in `ObservationColumns`.
    span_pool, content_pool, form_pool : Pool
        Those of the source, and what was added.
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
    def of(cls, source: ObservationColumns) -> "Table":
        """Make a table of all observations."""
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

    def are(self, **wanted: Collection[Any]) -> Bools:
        """Tell which rows have a form whose fields are among the wanted ones."""
        fits = [all(getattr(form, name) in among for name, among in wanted.items()) for form in self.form_pool]
        found: Bools = np.array(fits, np.bool_)[self.forms]
        return found

    @cached_property
    def is_fixed(self) -> Bools:
        """Which rows are tools or response formats: production puts them where they are."""
        return self.are(content_type=("tool_schema", "structured_output"))

    @cached_property
    def is_scaffold(self) -> Bools:
        """Which rows are system messages, tools or response formats."""
        found: Bools = np.array([form.is_scaffold for form in self.form_pool], np.bool_)[self.forms]
        return found

    def name(self, row: int) -> str | None:
        """Return what follows role and number in a row's span id; see `name_of`."""
        role = self.form_pool[self.forms[row]].role
        return name_of(self.span_pool[self.spans[row]], role, int(self.indexes[row]))

    def edited(self, rows: Rows, contents: Sequence[int] | Codes) -> "Table":
        """Give rows new contents; what a tokenizer said of an old content does not hold for another."""
        contents = np.asarray(contents, np.int32)
        differ = contents != self.contents[rows]
        rows, contents = rows[differ], contents[differ]
        if not len(rows):
            return self
        new = self.contents.copy()
        new[rows] = contents
        return replace(self, contents=new).reformed(rows, token_metadata=None)

    def reformed(self, rows: Rows, **fields: str | None) -> "Table":
        """Give rows forms with other fields."""
        codes, inverse = np.unique(self.forms[rows], return_inverse=True)
        changed = [self.form_pool.code(self.form_pool[code]._replace(**fields)) for code in codes.tolist()]
        forms = self.forms.copy()
        forms[rows] = np.array(changed, np.int32)[inverse]
        return replace(self, forms=forms)

    def arranged(self, order: Rows) -> "Table":
        """Keep rows in another order (observations in theirs), and number and name them anew.

        The numbers stay with the places: the third block kept gets the number that the third block had. Span ids that
        were not named as production does it are kept.
        """
        owner = self.owner[order]
        first = np.searchsorted(self.owner, owner)
        place = first + np.arange(len(order)) - np.searchsorted(owner, owner)
        indexes, before = self.indexes[place], self.indexes[order]
        spans = self.spans[order]
        moved = np.flatnonzero(indexes != before)
        if len(moved):
            names = Names(self.span_pool, self.form_pool)
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
