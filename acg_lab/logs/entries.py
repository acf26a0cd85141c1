"""What a reader of a log gets, and what it yields: documents in; calls, runs and problems out.

Bodies and responses stay JSON text: a log repeats the same messages in request after request, and each distinct one is
parsed once, when runs are made of the calls. Times are RFC 3339 texts in UTC (`acg_lab.logs.log_times.read_time`);
what a log does not hold is None, never made up.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from acg_lab.core.errors import RecordError
from acg_lab.core.records import Usage
from acg_lab.storage.limits import DEFAULT_LIMITS, Limits

__all__ = [
    "APIS",
    "Api",
    "Document",
    "LogProblem",
    "LoggedAnswer",
    "LoggedCall",
    "LoggedRun",
    "Note",
    "ReadOptions",
    "Yielded",
]

Api: TypeAlias = Literal["anthropic", "openai-chat", "openai-responses"]
APIS: tuple[Api, ...] = get_args(Api)


class LogProblem(RecordError):  # noqa: N818  the word of `snapshot.problems`
    """A document of a log that can't be read, wholly or in part.

    Parameters
    ----------
    reason : str
        What was expected and what came, without prompt text.
    file : str
        The file, credentials masked.
    line : int
        Its line, 1 = first; in a JSON array the item. 0 where the whole file is meant.
    path : str
        JSON path inside the document.

    Examples
    --------
    >>> problem = LogProblem("expected an object, got a number", file="requests.jsonl", line=3)
    >>> problem.line
    3
    """

    def __init__(self, reason: str, *, file: str, line: int = 0, path: str = "$") -> None:
        super().__init__(reason, source=f"{file}, line {line:,}" if line else file, path=path)
        self.file = file
        self.line = line

    def __reduce__(self) -> tuple[object, ...]:
        return _log_problem, (self.reason, self.file, self.line, self.path)

    def at(self, *, source: str = "", key: str = "", path: str = "") -> "LogProblem":
        """Return the same problem with ``path`` before its own; file and line stay."""
        del source, key
        inner = self.path.removeprefix("$")
        return LogProblem(self.reason, file=self.file, line=self.line, path=f"{path}{inner}" if path else self.path)


def _log_problem(reason: str, file: str, line: int, path: str) -> LogProblem:
    return LogProblem(reason, file=file, line=line, path=path)


class Document(NamedTuple):
    """One JSON document of a log: a line, an item of a JSON array, or a whole file.

    ``raw`` is its UTF-8 text, without a byte order mark. ``line`` counts from 1. ``modified`` is when its file was last
    written, where that is known.

    Examples
    --------
    >>> Document(b"[]", "requests.jsonl", 1).line
    1
    """

    raw: bytes
    file: str
    line: int
    modified: str | None = None

    def problem(self, reason: str, path: str = "$") -> LogProblem:
        """Return a problem of this document."""
        return LogProblem(reason, file=self.file, line=self.line, path=path)


class Note(NamedTuple):
    """Something that a log does not hold, or holds in another form, of one call: counted in ``snapshot.caveats``."""

    text: str


class LoggedCall(NamedTuple):
    """One LLM call of a log.

    Attributes
    ----------
    file, line : str, int
        Where it stands, as in `Document`.
    request : bytes or None
        JSON text of the request body as sent, in the order of its keys. None only if ``annotated`` is there.
    api : str or None
        One of `APIS`; None: recognised from the body.
    annotated : bytes or None
        JSON text of the annotated request, where the log holds the one that the runtime recorded. It is what was
        learned from, and never cut again; without it, the body is normalised.
    response : bytes or None
        JSON text of the provider's answer: one object, or the list of its streamed events.
    usage : Usage or None
        Where the log holds it apart from the response; else it is read from the response.
    started_at, first_token_at, ended_at : str or None
    error : str or None
        Why there is no answer: a status or the name of an error, never its text if that can quote a prompt.
    call_id : str or None
        Identity of the call in its log: a second one with the same id is a duplicate.
    run_id, session_id, agent_id : str or None
        A run is one run id, else one session id; without either, runs are inferred.
    metadata : mapping
        Ids and labels of the log's own: workspace, account, application, headers that matter for a cache.
    notes : tuple of Note
        What the log is known to lack of this call.
    pieces : mapping of str to bytes, optional
        The texts of the fields of ``request``, where the reader has split it already.
    is_learned : bool
        False where the runtime recorded the call without an annotated request, so that it learned nothing from it.

    Examples
    --------
    >>> LoggedCall("requests.jsonl", 1, b'{"model":"gpt-4.1","messages":[]}', agent_id="support").agent_id
    'support'
    """

    file: str
    line: int
    request: bytes | None
    api: Api | None = None
    annotated: bytes | None = None
    response: bytes | None = None
    usage: Usage | None = None
    started_at: str | None = None
    first_token_at: str | None = None
    ended_at: str | None = None
    error: str | None = None
    call_id: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    agent_id: str | None = None
    metadata: Mapping[str, Any] = {}
    notes: tuple[Note, ...] = ()
    pieces: Mapping[str, bytes] | None = None
    is_learned: bool = True

    def problem(self, reason: str, path: str = "$") -> LogProblem:
        """Return a problem of this call."""
        return LogProblem(reason, file=self.file, line=self.line, path=path)


class LoggedRun(NamedTuple):
    """What a log says of a run apart from its calls; yielded before or after them, at most once per run.

    Examples
    --------
    >>> LoggedRun("run-1", agent_id="support").agent_id
    'support'
    """

    id: str
    agent_id: str | None = None
    started_at: str | None = None
    ended_at: str | None = None


class LoggedAnswer(NamedTuple):
    """The answer to a call that stands elsewhere in the log, joined to it by ``call_id``; before or after it."""

    file: str
    line: int
    call_id: str
    response: bytes | None = None
    error: str | None = None
    ended_at: str | None = None

    def problem(self, reason: str, path: str = "$") -> LogProblem:
        """Return a problem of this answer."""
        return LogProblem(reason, file=self.file, line=self.line, path=path)


Yielded: TypeAlias = LoggedCall | LoggedAnswer | LoggedRun | LogProblem


class ReadOptions(NamedTuple):
    """How to read a log.

    Attributes
    ----------
    api : str or None
        One of `APIS`; None: recognised, body by body.
    fields : mapping of str to str
        Where a value stands in a line, by its name (``"agent"``, ``"session"``, ``"run"``, ``"call"``, ``"started"``,
        ``"ended"``, ``"request"``, ``"response"``): a dotted path such as ``metadata.app``. Others are looked for
        under the usual names (`acg_lab.logs.raw_fields.FIELD_NAMES`).
    limits : Limits
        What exceeds them can't be read.

    Examples
    --------
    >>> ReadOptions(fields={"agent": "metadata.app"}).fields["agent"]
    'metadata.app'
    """

    api: Api | None = None
    fields: Mapping[str, str] = {}
    limits: Limits = DEFAULT_LIMITS
