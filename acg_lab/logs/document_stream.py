"""Files of a log to documents, and the format of each file, recognised by its first documents."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final, TypeAlias

import msgspec

from acg_lab.core.errors import RecordError, SourceError
from acg_lab.core.records import JsonObject
from acg_lab.core.strict_json import parse_strict
from acg_lab.logs.entries import Document, LogProblem
from acg_lab.logs.files import LogFile
from acg_lab.logs.formats import LogFormat, detect_format, list_formats
from acg_lab.logs.named_paths import find_request, is_field_name
from acg_lab.logs.text_stream import Fault, Text, read_texts
from acg_lab.storage.limits import Limits

__all__ = ["LOOKED_AT", "DocumentStream", "OnProblem", "Progress", "parse_object", "unknown_format"]

OnProblem: TypeAlias = Callable[[RecordError], None]
Progress: TypeAlias = Callable[[int, int], None]
LOOKED_AT: Final = 50  # documents of a file that show its format
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class DocumentStream:
    """Documents of files, with the format of each.

    Parameters
    ----------
    files : sequence of LogFile
    given : LogFormat or None
        The format of all of them; None to look at the first documents of each.
    limits : Limits
    on_problem : callable
        Called with what can't be read.
    progress : callable
        Called with bytes read, and the total.
    total : int
        Bytes of all files of the log.

    Attributes
    ----------
    formats : dict of str to int
        Files of each format, by name.
    """

    def __init__(
        self,
        files: Sequence[LogFile],
        given: LogFormat | None,
        limits: Limits,
        on_problem: OnProblem,
        progress: Progress,
        total: int,
    ) -> None:
        self._files, self._given, self._limits = files, given, limits
        self._on_problem, self._progress, self._total = on_problem, progress, total
        self.formats: dict[str, int] = {}

    def __iter__(self) -> Iterator[tuple[LogFormat, Document]]:
        for file in self._files:
            try:
                with file.open() as opened:
                    yield from self._documents(file, _Counted(opened, self._progress, self._total))
            except OSError as error:
                if isinstance(error, SourceError):
                    raise
                msg = f"{file.label}: can't be read: {error.strerror or type(error).__name__}"
                raise SourceError(msg) from None

    def _documents(self, file: LogFile, opened: "_Counted") -> Iterator[tuple[LogFormat, Document]]:
        texts = self._skip(file, read_texts(opened, self._limits))  # type: ignore[arg-type]  # read() is all that is asked of it
        first = list(islice(texts, LOOKED_AT))
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
            if parse_object(text.raw) is None:
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
        objects = [value for text in first if (value := parse_object(text.raw)) is not None]
        if found is None and first:
            found = detect_format(objects) if objects else None
            if found is None:
                self._on_problem(unknown_format(file.label, objects, first[0].raw))
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


def unknown_format(label: str, objects: list[JsonObject], first: bytes) -> LogProblem:
    """Return the problem of a file whose first documents are of no format."""
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
    items = [item for item in value[:LOOKED_AT] if isinstance(item, dict)] if isinstance(value, list) else []
    return bool(items) and detect_format(items) is not None


class _Counted:
    """A file that reports how much of it was read."""

    def __init__(self, file: Any, progress: Progress, total: int) -> None:
        self._file, self._progress, self._total = file, progress, total

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self._progress(len(data), self._total)
        return data


def parse_object(raw: bytes) -> JsonObject | None:
    """Return a JSON object; None for anything else."""
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
