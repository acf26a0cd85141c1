"""Learn from request bodies in memory: a list, a generator, a DataFrame.

Invariant: a row that can't be read is a problem of the snapshot, and the others are used.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from acg_lab.config.settings import AcgSettings
from acg_lab.core.errors import UsageError
from acg_lab.logs.entries import Document
from acg_lab.logs.read_log import read_documents
from acg_lab.snapshot.load_log import LogOptions, Problems, Within, learn_log
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage._runtime import paused_collector
from acg_lab.storage.limits import Limits, check_limits

__all__ = ["from_requests"]


def from_requests(
    rows: Any,
    *,
    api: str = "auto",
    agent_id: str = "requests",
    format: str = "auto",  # noqa: A002  the name that users know from pandas and others
    settings: AcgSettings | None = None,
    rules: str = "auto",
    full_payloads: bool = False,
    sample_rate: float = 1.0,
    fields: Mapping[str, str] | None = None,
    strict: bool = False,
    limits: Limits | None = None,
) -> Snapshot:
    """Learn from raw request bodies in memory.

    Parameters
    ----------
    rows : iterable of mapping, str or bytes, or a DataFrame
        Request bodies, or objects with a body, its response, times and ids, in the order in which they were sent. JSON
        texts are parsed. Each row of a DataFrame is one object.
    api : {"auto", "anthropic", "openai-chat", "openai-responses"}
        The API of the bodies; ``"auto"`` recognises each one.
    agent_id : str
        The agent of requests that do not name one.
    format : str
        Name of a log format, for rows that are spans or events.
    settings : AcgSettings, optional
        Production's defaults if omitted.
    rules : str
        Name of the rules version to learn by; the newest by default.
    full_payloads : bool
        Whether later requests of a run are learned whole; see `acg_lab.learn`.
    sample_rate : float
        The share of the traffic that the rows are.
    fields : mapping of str to str, optional
        Dotted paths of values that have other names, such as ``{"agent": "metadata.app"}``.
    strict : bool
        Raise at the first row that cannot be read, instead of warning once with their number.
    limits : Limits, optional
        What is refused: rows, JSON and requests beyond a size; see `acg_lab.Limits`.

    Returns
    -------
    Snapshot
        The windows and results that the governor would have learned.

    Raises
    ------
    UsageError
        If an option is invalid, or ``rows`` is not iterable.
    RecordError
        With ``strict``, if a row cannot be read.

    Examples
    --------
    >>> body = {"model": "gpt-5.1", "messages": [{"role": "user", "content": "Hello"}]}
    >>> from_requests([body], agent_id="support").agent_ids
    ('support',)
    """
    if not isinstance(agent_id, str) or not agent_id:
        msg = f"The 'agent_id' option must be a str that is not empty; got {agent_id!r}."
        raise UsageError(msg)
    options = LogOptions(format, api, settings, rules, full_payloads, sample_rate, fields or {}, check_limits(limits))
    problems = Problems(strict=strict)
    with paused_collector():
        log = read_documents(
            _documents(rows, problems, options.limits),
            format=format,
            options=options.check(),
            on_problem=problems.take,
            wants=Within(None, None),
            agent_id=agent_id,
        )
        return learn_log(log, options, "requests", problems, progress=False)


def _documents(rows: Any, problems: Problems, limits: Limits) -> Iterator[Document]:
    for number, row in enumerate(_each_row(rows), 1):
        document = Document(b"", "requests", number)
        try:
            raw = (
                row.encode()
                if isinstance(row, str)
                else bytes(row)
                if isinstance(row, bytes | bytearray)
                else _print(row)
            )
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            came = type(error).__name__
            problems.take(document.problem(f"expected a row of JSON values, got one with something else ({came})"))
            continue
        if len(raw) > limits.line_bytes:
            problems.take(document.problem(limits.word("line_bytes", "a row", len(raw))))
            continue
        yield document._replace(raw=raw)


def _each_row(rows: Any) -> Iterable[Any]:
    if hasattr(rows, "to_dict") and hasattr(rows, "columns"):
        if hasattr(rows, "itertuples"):
            columns = list(map(str, rows.columns))
            return (dict(zip(columns, row, strict=True)) for row in rows.itertuples(index=False, name=None))
        named: Iterable[Any] = rows.iter_rows(named=True)
        return named
    if isinstance(rows, Mapping | str | bytes) or not isinstance(rows, Iterable):
        msg = f"The 'rows' must be an iterable of request bodies or a DataFrame; got {type(rows).__name__}."
        msg += " A single request stands in a list: [request]." if isinstance(rows, Mapping) else ""
        raise UsageError(msg)
    return rows


def _print(row: Any) -> bytes:
    """Return a row as JSON, without the missing values of a DataFrame."""
    if isinstance(row, bytes | bytearray):
        return bytes(row)
    if hasattr(row, "model_dump"):
        row = row.model_dump(mode="json", exclude_unset=True)
    if not isinstance(row, Mapping):
        raise TypeError
    kept = {str(name): value for name, value in row.items() if not _is_missing(value)}
    return msgspec.json.encode(kept, enc_hook=_plain)


def _plain(value: Any) -> Any:
    """Return a JSON value for a numpy number, a time, or another kind of mapping."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def _is_missing(value: Any) -> bool:
    is_one = not isinstance(value, str | bytes | Mapping | list) and not hasattr(value, "shape")
    return value is None or (is_one and value != value)  # noqa: PLR0124  NaN and NaT are not themselves
