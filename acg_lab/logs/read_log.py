"""A log to runs: files to documents, documents to calls by the reader of their format, calls to runs.

What can't be read is handed to the caller and passed over. Files of one format that follow one another are read as one
log, so that an event file may end where it was rotated.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby, islice
from typing import Any, NamedTuple

import msgspec

from acg_lab._format import counted
from acg_lab.core.errors import RecordError, SourceError, UsageError
from acg_lab.core.records import JsonObject
from acg_lab.core.strict_json import parse_strict
from acg_lab.logs.call_table import CallTable
from acg_lab.logs.entries import (
    Document,
    LoggedAnswer,
    LoggedCall,
    LoggedRun,
    LogProblem,
    ReadOptions,
    Yielded,
)
from acg_lab.logs.files import LogFile, find_log_files, source_name
from acg_lab.logs.formats import LogFormat, detect_format, get_format, list_formats
from acg_lab.logs.named_paths import NamedPaths, find_request, is_field_name
from acg_lab.logs.runs import LoggedRuns, group_runs
from acg_lab.logs.text_stream import Fault, Text, read_texts
from acg_lab.storage.limits import Limits

__all__ = ["Progress", "read_documents", "read_log"]

Progress = Callable[[int, int], None]
_LOOKED_AT = 50
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class _Stream:
    """Documents of files, with the format of each."""

    def __init__(
        self,
        files: Iterable[LogFile],
        given: LogFormat | None,
        limits: Limits,
        on_problem: Callable[[RecordError], None],
        progress: Progress,
    ) -> None:
        self._files = list(files)
        self._given, self._limits = given, limits
        self._on_problem, self._progress = on_problem, progress
        self.formats: dict[str, int] = {}

    def __iter__(self) -> Iterator[tuple[LogFormat, Document]]:
        total = sum(file.size for file in self._files)
        for file in self._files:
            try:
                with file.open() as opened:
                    yield from self._documents(file, _Counted(opened, self._progress, total))
            except OSError as error:
                if isinstance(error, SourceError):
                    raise
                msg = f"{file.label}: can't be read: {error.strerror or type(error).__name__}"
                raise SourceError(msg) from None

    def _documents(self, file: LogFile, opened: "_Counted") -> Iterator[tuple[LogFormat, Document]]:
        texts = self._skip(file, read_texts(opened, self._limits))  # type: ignore[arg-type]  # read() is all that is asked of it
        first = list(islice(texts, _LOOKED_AT))
        log_format = self._format(file, [text for text in first if isinstance(text, Text)])
        for text in chain(first, texts):
            if isinstance(text, Fault):
                self._on_problem(LogProblem(text.reason, file=file.label, line=text.line))
            elif log_format is not None:
                yield log_format, Document(text.raw, file.label, text.line, file.modified)

    def _skip(self, file: LogFile, texts: Iterator[Text | Fault]) -> Iterator[Text | Fault]:
        """Yield texts from the first JSON object on; what stands before it is one problem, such as a banner's lines."""
        skipped: list[Text] = []
        n = 0
        for text in texts:
            if self._given is not None or isinstance(text, Fault):
                yield text
                continue
            if _object(text.raw) is None:
                n += 1
                skipped = skipped or [text]
                continue
            if skipped:
                lines = f" ({n - 1:,} more lines before the first object)" if n > 1 else ""
                self._on_problem(LogProblem(_why_not(skipped[0].raw) + lines, file=file.label, line=skipped[0].line))
            yield text
            yield from texts
            return
        yield from skipped

    def _format(self, file: LogFile, first: list[Text]) -> LogFormat | None:
        found = self._given
        objects = [value for text in first if (value := _object(text.raw)) is not None]
        if found is None and first:
            found = detect_format(objects) if objects else None
            if found is None:
                self._on_problem(_unknown(file.label, objects, first[0].raw))
        if found is None:
            return None
        if found.read is None:
            msg = f"{file.label}: {found.description}: {found.refusal}"
            raise SourceError(msg)
        self.formats[found.name] = self.formats.get(found.name, 0) + 1
        return found


def _why_not(raw: bytes) -> str:
    """Return why a text is no JSON object."""
    try:
        value = parse_strict(raw)
    except RecordError as error:
        return error.reason
    return "expected an object" if not isinstance(value, dict) else "expected an object that production's parser takes"


def _unknown(label: str, objects: list[JsonObject], first: bytes) -> LogProblem:
    names = ", ".join(repr(log_format.name) for log_format in list_formats())
    objects = [{name: value for name, value in line.items() if is_field_name(name)} for line in objects]
    came = (
        f"objects with {', '.join(sorted(objects[0])[:8]) or 'other keys'}"
        if objects
        else f"no JSON objects ({_why_not(first)})"
    )
    advice = "Name one: format='raw' (--format raw)" if objects else "Write one request a line, as JSON"
    if name := next((name for name, value in objects[0].items() if _holds_log(value)), None) if objects else None:
        advice = f"The list in {name!r} looks like one: write its items one a line (jq -c '.{name}[]')"
    if name := next(filter(None, map(_find_repr, objects)), None):
        advice = f"The text in {name!r} is a printed Python dict, not JSON: write it with json.dumps"
    if path := next(filter(None, map(find_request, objects)), None):
        advice = (
            f"What stands at {path!r} looks like a request: fields={{'request': {path!r}}} (--field request={path})"
        )
    return LogProblem(f"expected a request log in one of the formats {names}; got {came}. {advice}", file=label)


def _find_repr(line: JsonObject) -> str | None:
    """Return the field of a line that holds a request as Python prints dicts, as tables written by pandas do."""
    texts = ((name, value) for name, value in line.items() if isinstance(value, str) and value[:2] == "{'")
    return next((name for name, value in texts if "'messages'" in value or "'input'" in value), None)


def _holds_log(value: Any) -> bool:
    items = [item for item in value[:_LOOKED_AT] if isinstance(item, dict)] if isinstance(value, list) else []
    return bool(items) and detect_format(items) is not None


class _Counted:
    """A file that reports how much of it was read."""

    def __init__(self, file: Any, progress: Progress, total: int) -> None:
        self._file, self._progress, self._total = file, progress, total

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self._progress(len(data), self._total)
        return data


def _object(raw: bytes) -> JsonObject | None:
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


class Log(NamedTuple):
    """What was read of a log: its runs, and the names of its formats."""

    runs: LoggedRuns
    formats: tuple[str, ...]


def read_log(
    source: str,
    *,
    format: str,  # noqa: A002  the option's name
    options: ReadOptions,
    on_problem: Callable[[RecordError], None],
    progress: Progress,
    wants: Callable[[LoggedCall], bool],
    agent_id: str | None = None,
) -> Log:
    """Read a log into runs.

    Parameters
    ----------
    source : str
        File, folder, glob, ``"-"`` or URI.
    format : str
        Name of a format; ``"auto"`` looks at the first documents of each file.
    options : ReadOptions
    on_problem : callable
        Called with each `LogProblem`; what it raises ends the reading.
    progress : callable
        Called with bytes read, and their total (0: not known).
    wants : callable
        Whether a call is to be kept.
    agent_id : str, optional
        Of the calls that name none; the name of the source when left out.

    Raises
    ------
    SourceError
        If there is nothing, it can't be read, or its format is refused.
    UsageError
        If no line has a path that the options name.
    """
    stream = _Stream(find_log_files(source), _given_format(format, options), options.limits, on_problem, progress)
    runs = _read(stream, options, on_problem, wants, agent_id or source_name(source))
    return Log(runs, tuple(stream.formats))


def read_documents(
    documents: Iterable[Document],
    *,
    format: str,  # noqa: A002
    options: ReadOptions,
    on_problem: Callable[[RecordError], None],
    wants: Callable[[LoggedCall], bool],
    agent_id: str,
) -> Log:
    """Read documents that are not in files; parameters as of `read_log`."""
    documents = iter(documents)
    first = list(islice(documents, _LOOKED_AT))
    objects = [value for document in first if (value := _object(document.raw)) is not None]
    found = _given_format(format, options) or detect_format(objects)
    if found is None:
        if first:
            on_problem(_unknown(first[0].file, objects, first[0].raw))
        documents, first = iter(()), []
        found = get_format("raw")
    if found.read is None:
        msg = f"{found.description}: {found.refusal}"
        raise UsageError(msg)
    stream = ((found, document) for document in chain(first, documents))
    return Log(_read(stream, options, on_problem, wants, agent_id), (found.name,))


def _given_format(name: str, options: ReadOptions) -> LogFormat | None:
    """Return the format that the caller named; who says where a line has the request reads raw bodies."""
    if name == "auto":
        return get_format("raw") if "request" in options.fields else None
    return get_format(name)


def _nothing(_documents: Iterable[Document], _options: ReadOptions) -> Iterator[Yielded]:
    return iter(())


def _read(
    stream: Iterable[tuple[LogFormat, Document]],
    options: ReadOptions,
    on_problem: Callable[[RecordError], None],
    wants: Callable[[LoggedCall], bool],
    agent_id: str,
) -> LoggedRuns:
    table, said, notes = CallTable(options.limits), dict[str, LoggedRun](), Counter[str]()
    paths = NamedPaths(options.fields)
    for log_format, pairs in groupby(stream, lambda pair: pair[0]):
        read = log_format.read or _nothing  # what is refused does not come here
        documents = _within((document for _, document in pairs), options.limits, on_problem)
        for found in read(paths.watch(documents, log_format.name, log_format.fields), options):
            if isinstance(found, LoggedRun):
                said[found.id] = found
            elif isinstance(found, LoggedCall):
                if wants(found):
                    notes.update(note.text for note in found.notes)
                    _add(table, found, on_problem)
            elif isinstance(found, LoggedAnswer):
                table.answer(found)
            else:
                on_problem(found)
    paths.check()
    for problem in table.unanswered():
        on_problem(problem)
    runs = group_runs(table, said, agent_id)
    return runs._replace(caveats=(*runs.caveats, *(f"{text} ({counted(n, 'request')})" for text, n in notes.items())))


def _within(
    documents: Iterable[Document], limits: Limits, on_problem: Callable[[RecordError], None]
) -> Iterator[Document]:
    """Yield documents that are not too deep."""
    for document in documents:
        try:
            limits.check_depth(document.raw)
        except RecordError as error:
            on_problem(document.problem(error.reason))
            continue
        yield document


def _add(table: CallTable, call: LoggedCall, on_problem: Callable[[RecordError], None]) -> None:
    try:
        for doubt in table.add(call):
            on_problem(doubt)
    except LogProblem as refusal:
        on_problem(refusal)
