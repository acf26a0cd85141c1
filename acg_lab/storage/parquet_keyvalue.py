"""A plain Parquet table with the columns ``key`` and ``value``, such as a copy of a Redis in production's layout."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from acg_lab.core.codec import DECODE_ERRORS
from acg_lab.core.errors import RecordError, SourceError
from acg_lab.storage.base import Entry, Progress, Selection
from acg_lab.storage.key_layout import INDEX, choose_prefix, find_prefix, parse_stored_key
from acg_lab.storage.parquet_files import Files

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["find_table_prefix", "open_keyvalue_table", "read_documents"]

_VALUES_AT_ONCE = 16


def read_documents(
    files: Files, dataset: Any, prefix: str, selection: Selection, progress: Progress
) -> Iterator[Entry]:
    """Yield the documents of a plain table; the runs of an agent come in the order of its index."""
    index: dict[str, dict[str, int]] = {}
    runs: list[Entry] = []
    for stored, raw in _rows(files, dataset, prefix, progress):
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


def open_keyvalue_table(files: Files) -> Any:
    """Return a plain table as a dataset.

    Raises
    ------
    SourceError
        If it is none.
    """
    import pyarrow.dataset as ds

    with files.errors("neither an export nor a table of keys and values"):
        dataset = ds.dataset(files.source(), filesystem=files.system, format="parquet")
    if table := (dataset.schema.metadata or {}).get(b"acg_lab.table", b"").decode(errors="replace"):
        msg = f"{files.label}: expected the folder of an export, with its 'observations'; got the table {table!r}."
        raise SourceError(msg)
    if not {"key", "value"} <= set(dataset.schema.names):
        names = ", ".join(map(repr, dataset.schema.names[:9])) or "none"
        msg = f"{files.label}: expected an export, or a table with the columns 'key' and 'value'; got columns {names}."
        raise SourceError(msg)
    for name in ("key", "value"):
        if not _holds_texts(kind := dataset.schema.field(name).type):
            msg = f"{files.label}: expected column {name!r} of texts or bytes, got {kind}."
            raise SourceError(msg)
    return dataset


def find_table_prefix(files: Files, dataset: Any) -> str:
    """Return the key prefix in use; raise the errors of `choose_prefix`."""
    with files.errors("column 'key'"):
        keys = (_text(key) for batch in dataset.to_batches(columns=["key"]) for key in batch["key"].to_pylist())
        return choose_prefix((p for key in keys if (p := find_prefix(key)) is not None), files.label)


def _rows(files: Files, dataset: Any, prefix: str, progress: Progress) -> Iterator[tuple[str, bytes | RecordError]]:
    with files.errors("columns 'key' and 'value'"):
        for batch in dataset.to_batches(columns=["key", "value"], batch_size=_VALUES_AT_ONCE):
            progress(batch.nbytes, 0)
            for key, value in zip(batch["key"].to_pylist(), batch["value"].to_pylist(), strict=True):
                if (stored := _text(key)).startswith(prefix):
                    yield stored, _bytes(value)


def _holds_texts(kind: "pa.DataType") -> bool:
    import pyarrow.types as pt

    kinds = (pt.is_string, pt.is_large_string, pt.is_string_view, pt.is_binary, pt.is_large_binary, pt.is_binary_view)
    return any(is_kind(getattr(kind, "value_type", kind)) for is_kind in kinds)


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
