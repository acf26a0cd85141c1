"""Names under which request logs keep what belongs to a call; one table, first name first.

Names are looked for in the line itself, then in its ``metadata``. A field that goes by another name is given as a
dotted path (``fields={"agent": "metadata.app"}``).
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from acg_lab.core.errors import RecordError
from acg_lab.core.records import Json, JsonObject
from acg_lab.logs.json_pieces import parse_piece, split_object
from acg_lab.logs.log_times import read_time

__all__ = ["FIELD_NAMES", "LineFields"]

FIELD_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "request": ("request", "body", "params", "request_body", "requestBody", "raw_request", "payload", "input_body"),
        "response": ("response", "response_body", "responseBody", "raw_response", "result", "completion"),
        "usage": ("usage",),
        "error": ("error", "exception"),
        "status": ("status_code", "statusCode", "http_status", "status"),
        "started": (
            *("started_at", "startedAt", "start_time", "startTime", "request_time", "requested_at", "start"),
            *("created_at", "createdAt", "timestamp", "time", "ts", "date", "created"),
        ),
        "first_token": ("first_token_at", "first_token_time", "completion_start_time", "completionStartTime"),
        "ended": ("ended_at", "endedAt", "end_time", "endTime", "completed_at", "finished_at", "end"),
        "duration_ms": ("duration_ms", "durationMs", "latency_ms", "elapsed_ms", "response_time_ms"),
        "call": ("call_id", "request_id", "requestId", "custom_id", "id", "uuid"),
        "run": ("run_id", "runId", "trace_id", "traceId"),
        "session": ("session_id", "sessionId", "conversation_id", "conversationId", "thread_id", "chat_id"),
        "agent": ("agent_id", "agentId", "agent", "agent_name", "app", "application", "service", "service_name"),
    }
)
_METADATA: Final = "metadata"


class LineFields:
    """The fields of one line, by what they are.

    Parameters
    ----------
    pieces : mapping of str to bytes
        The line's fields as JSON texts.
    paths : mapping of str to str
        Dotted paths of those that the caller named.
    """

    def __init__(self, pieces: Mapping[str, bytes], paths: Mapping[str, str]) -> None:
        self._pieces, self._paths = pieces, paths
        raw = pieces.get(_METADATA, b"")
        self._metadata = split_object(raw) if raw[:1] == b"{" else {}

    def raw(self, name: str) -> bytes | None:
        """Return the JSON text of a field, None where it is absent or null."""
        if name in self._paths:
            found = follow(self._pieces, self._paths[name])
            return None if found == b"null" else found
        for pieces in (self._pieces, self._metadata):
            for alias in _present(tuple(pieces))[name] if pieces else ():
                text = pieces[alias]
                if text != b"null":
                    return text
        return None

    def _place(self, name: str) -> str:
        """Return the dotted path at which a field that is there stands."""
        if name in self._paths:
            return self._paths[name]
        for before, pieces in (("", self._pieces), (f"{_METADATA}.", self._metadata)):
            for alias in _present(tuple(pieces))[name]:
                if pieces[alias] != b"null":
                    return f"{before}{alias}"
        return name

    def text(self, name: str) -> str | None:
        """Return a field as a text; a number is printed, white space and anything else counts as absent."""
        value = self.value(name)
        if isinstance(value, str):
            return value if value.strip() else None
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def value(self, name: str) -> Json:
        """Return the value of a field, None where it is absent."""
        raw = self.raw(name)
        return None if raw is None else parse_piece(raw)[0]

    def time(self, name: str, on_problem: Callable[[RecordError], Any]) -> tuple[str | None, Json]:
        """Return a time as RFC 3339 and as it stood; what is not a time is a problem, and absent."""
        value = self.value(name)
        if value is None:
            return None, None
        try:
            return read_time(value, f"$.{self._place(name)}"), value
        except RecordError as error:
            on_problem(error)
            return None, None

    def metadata(self) -> JsonObject:
        """Return the labels of the line that are texts or numbers."""
        values = {name: parse_piece(raw)[0] for name, raw in self._metadata.items()}
        return {name: value for name, value in values.items() if isinstance(value, str | int | float)}


@lru_cache(maxsize=256)
def _present(keys: tuple[str, ...]) -> Mapping[str, list[str]]:
    """Return which of the names of each field are among the keys of a line; lines of a log mostly have the same."""
    there = set(keys)
    return {name: [alias for alias in aliases if alias in there] for name, aliases in FIELD_NAMES.items()}


def follow(pieces: Mapping[str, bytes], path: str) -> bytes | None:
    """Return the JSON text at a dotted path, None where there is none."""
    name, _, rest = path.partition(".")
    raw = pieces.get(name)
    if raw is None or not rest:
        return raw
    if raw[:1] == b'"':
        # JSON in a text, as some loggers keep what they do not know.
        raw = str(parse_piece(raw)[0]).encode()
    return follow(split_object(raw), rest) if raw[:1] == b"{" else None
