"""A plain Parquet table with the columns ``key`` and ``value``, such as a copy of a Redis in production's layout."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from acg_lab.core.errors import RecordError, SourceError
from acg_lab.core.keys import assign_agents
from acg_lab.core.strict_json import DECODE_ERRORS
from acg_lab.storage.base import Entry, Progress, Selection
from acg_lab.storage.key_layout import INDEX, choose_prefix, find_prefix, parse_stored_key
from acg_lab.storage.limits import DEFAULT_LIMITS, Limits
from acg_lab.storage.masking import mask_credentials
from acg_lab.storage.parquet_files import Files
from acg_lab.storage.parquet_footer import check_footers, check_size

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

__all__ = ["PlainTable", "read_documents"]

_VALUES_AT_ONCE = 16
# What of pandas reads the tables that are no source.
_READERS: Final = {".csv": "read_csv", ".tsv": "read_table", ".xlsx": "read_excel", ".feather": "read_feather"}


class _Part(NamedTuple):
    """One partition, and the names of its columns."""

    dataset: "ds.Dataset"
    key: str
    value: str

    def keys(self) -> Iterator[str]:
        for batch in self.dataset.to_batches(columns=[self.key]):
            yield from map(_text, batch[self.key].to_pylist())

    def rows(self, progress: Progress) -> Iterator[tuple[str, bytes | RecordError]]:
        for batch in self.dataset.to_batches(columns=[self.key, self.value], batch_size=_VALUES_AT_ONCE):
            progress(batch.nbytes, 0)
            for key, value in zip(batch[self.key].to_pylist(), batch[self.value].to_pylist(), strict=True):
                yield _text(key), _bytes(value)


class PlainTable:
    """A table of keys and values in one file or several.

    Of partitions such as ``dt=2026-11-01`` that hold the same key, the last in the order of their names is the newest
    copy of it: that one is read, the others are counted in ``n_older``.

    Parameters
    ----------
    files : Files
    limits : Limits
        Of the memory of a file, beside its size.

    Raises
    ------
    SourceError
        If the files are not such a table.
    """

    def __init__(self, files: Files, limits: Limits = DEFAULT_LIMITS) -> None:
        self._files, self._limits = files, limits
        self.n_older = 0
        reader = _READERS.get(PurePosixPath(files.path).suffix.lower())
        if reader and files.exists():
            msg = (
                f"{files.label}: expected an export, a request log or a Parquet table, got another table. If its rows "
                f"are requests or spans: acg_lab.from_requests(pandas.{reader}(...))."
            )
            raise SourceError(msg)
        with files.errors("neither an export nor a table of keys and values nor a request log"):
            partitions = itertools.groupby(files.source(), key=_partition_of)
            self._parts = [self._open(list(names)) for _, names in partitions]

    def _open(self, names: list[str]) -> "_Part":
        import pyarrow.dataset as ds

        self._check(names)
        dataset = ds.dataset(names, filesystem=self._files.system, format="parquet")
        if table := (dataset.schema.metadata or {}).get(b"acg_lab.table", b"").decode(errors="replace"):
            msg = (
                f"{self._files.label}: expected the folder of an export, with its 'observations'; "
                f"got the table {table!r}."
            )
            raise SourceError(msg)
        return _Part(dataset, self._find(dataset, "key"), self._find(dataset, "value"))

    def _check(self, names: list[str]) -> None:
        """Raise for files with which pyarrow can't deal, or which stand for far more than they hold."""
        import pyarrow.parquet as pq

        with contextlib.ExitStack() as stack:
            opened = {name: stack.enter_context(self._files.system.open_input_file(name)) for name in names}
            check_footers({mask_credentials(name): file for name, file in opened.items()})
            for name, file in opened.items():
                metadata, size = pq.read_metadata(file), file.size()
                check_size(mask_credentials(name), metadata, range(metadata.num_row_groups), size, self._limits)

    def _find(self, dataset: "ds.Dataset", name: str) -> str:
        """Return the column of a name, in whatever case."""
        found = [column for column in dataset.schema.names if column.lower() == name]
        if len(found) != 1:
            names = ", ".join(map(repr, dataset.schema.names[:9])) or "none"
            msg = (
                f"{self._files.label}: expected an export, or a table with the columns 'key' and 'value'; "
                f"got columns {names}. If its rows are requests or spans: "
                "acg_lab.from_requests(pandas.read_parquet(...))."
            )
            raise SourceError(msg)
        if not _holds_texts(kind := dataset.schema.field(found[0]).type):
            msg = f"{self._files.label}: expected column {found[0]!r} of texts or bytes, got {kind}."
            raise SourceError(msg)
        return str(found[0])

    def find_prefix(self) -> str:
        """Return the key prefix in use; raise the errors of `choose_prefix`."""
        with self._files.errors("column 'key'"):
            keys = (key for part in self._parts for key in part.keys())  # noqa: SIM118  no mapping
            return choose_prefix((p for key in keys if (p := find_prefix(key)) is not None), self._files.label)

    def list_agents(self, prefix: str) -> set[str]:
        """Return the ids of all agents, from the column of the keys alone."""
        names: set[str] = set()
        agents: set[str] = set()
        with self._files.errors("column 'key'"):
            for key in (key for part in self._parts for key in part.keys()):  # noqa: SIM118  no mapping
                if key.startswith(prefix + INDEX):
                    agents.add(key[len(prefix + INDEX) :])
                elif (place := parse_stored_key(key, prefix)) is not None:
                    (agents if place.kind == "run" else names).add(place.agent_id or place.key)
        return agents.union(owner.agent_id for owner in assign_agents(names, agents).values())

    def rows(self, prefix: str, progress: Progress) -> Iterator[tuple[str, bytes | RecordError]]:
        """Yield keys and values in the order of the files; without keys of other prefixes."""
        with self._files.errors("columns 'key' and 'value'"):
            newest: dict[str, int] = {}
            if len(self._parts) > 1:
                newest = {key: i for i, part in enumerate(self._parts) for key in part.keys()}  # noqa: SIM118
            for i, part in enumerate(self._parts):
                for key, value in part.rows(progress):
                    if newest.get(key, i) != i:
                        self.n_older += key.startswith(prefix)
                    elif key.startswith(prefix):
                        yield key, value


def _partition_of(path: str) -> tuple[str, ...]:
    """Return the parts of a path that name a partition, such as ``dt=2026-11-01``."""
    return tuple(part for part in path.split("/")[:-1] if "=" in part)


def read_documents(table: PlainTable, prefix: str, selection: Selection, progress: Progress) -> Iterator[Entry]:
    """Yield the documents of a plain table; the runs of an agent in the order of its index."""
    index: dict[str, dict[str, int]] = {}
    runs: list[Entry] = []
    for stored, raw in table.rows(prefix, progress):
        if stored.startswith(prefix + INDEX):
            index[stored[len(prefix + INDEX) :]] = {run: i for i, run in enumerate(_run_ids(raw))}
        elif (place := parse_stored_key(stored, prefix)) is not None and place.is_wanted(selection):
            entry = Entry(place.kind, place.key, raw, place.agent_id, stored)
            if place.kind == "run":
                runs.append(entry)
            else:
                yield entry
    for agent_id, ids in index.items():
        if selection.wants_agent(agent_id):
            missing = ids.keys() - {run.key[len(agent_id) + 1 :] for run in runs if run.agent_id == agent_id}
            runs.extend(_missing_run(prefix, agent_id, run_id) for run_id in sorted(missing))
    yield from sorted(runs, key=lambda e: index.get(e.agent_id, {}).get(e.key[len(e.agent_id) + 1 :], len(runs)))


def _holds_texts(kind: "pa.DataType") -> bool:
    import pyarrow.types as pt

    kinds = (pt.is_string, pt.is_large_string, pt.is_string_view, pt.is_binary, pt.is_large_binary, pt.is_binary_view)
    kind = kind.value_type if pt.is_dictionary(kind) else kind
    return any(is_kind(kind) for is_kind in kinds)


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value if isinstance(value, str) else ""


def _bytes(value: Any) -> bytes | RecordError:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    return RecordError(f"expected a text, got {'null' if value is None else type(value).__name__}")


def _missing_run(prefix: str, agent_id: str, run_id: str) -> Entry:
    error = RecordError("expected the run of an id in the index, got none")
    return Entry("run", f"{agent_id}:{run_id}", error, agent_id, f"{prefix}runs:{agent_id}:{run_id}")


def _run_ids(raw: bytes | RecordError) -> list[str]:
    """Return the run ids of an index that was copied as a JSON list; else none, and runs keep the table's order."""
    try:
        return msgspec.json.decode(raw if isinstance(raw, bytes) else b"[]", type=list[str])
    except DECODE_ERRORS:
        return []
