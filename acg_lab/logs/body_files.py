"""Folders of bodies as Claude Code's telemetry writes them (``OTEL_LOG_RAW_API_BODIES=file:``): one body a file.

A request is ``<uuid>.request.json``, an answer ``<request id>.response.json``. Neither names the other: a later request
of the session names the id of the answer before it, which so belongs to the request before it in the session. What
nothing names stays without its answer. Times are those of the files.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from acg_lab.core.errors import RecordError
from acg_lab.logs.entries import Document, LoggedAnswer, LoggedCall, Note
from acg_lab.logs.json_pieces import parse_piece, split_object

__all__ = ["BodyFiles", "is_body_file"]

_file_name = re.compile(r"([^/\\]+)\.(request|response)\.json(?:\.[a-z0-9]+)?$").search
_previous = re.compile(rb"cc_prev_req[=:][\s\"\\]*([\w-]+)").search
_FILE_TIME: Final = Note("the time of a request is that of its file")


def is_body_file(file: str) -> bool:
    """Whether a file is named as one that holds a single body."""
    return _file_name(file) is not None


class _Request(NamedTuple):
    """What is needed of a request to find its answer."""

    modified: str
    call_id: str
    previous: str | None


class BodyFiles:
    """Requests and answers of a folder, until both are known."""

    def __init__(self) -> None:
        self._answers: dict[str, Document] = {}
        self._sessions: dict[str, list[_Request]] = {}

    def read(self, document: Document) -> Iterator[LoggedCall]:
        """Take in a file; yield the call if it is a request.

        Raises
        ------
        RecordError
            If it is not a JSON object.
        """
        found = _file_name(document.file)
        name, kind = found.groups() if found else ("", "request")
        if kind == "response":
            self._answers[name] = document
            return
        pieces = split_object(document.raw)
        session = _session(pieces)
        previous = _previous(pieces.get("system", b""))
        request = _Request(document.modified or "", name, previous[1].decode() if previous else None)
        self._sessions.setdefault(session or "", []).append(request)
        yield LoggedCall(
            document.file,
            document.line,
            document.raw,
            started_at=document.modified,
            call_id=name,
            session_id=session,
            notes=(_FILE_TIME,) if document.modified else (),
            pieces=pieces,
        )

    def answers(self) -> Iterator[LoggedAnswer]:
        """Yield the answers whose request is known."""
        for requests in self._sessions.values():
            requests.sort()
            answered: set[str] = set()
            for i, request in enumerate(requests):
                document = self._answers.get(request.previous or "")
                before = next((r for r in reversed(requests[:i]) if r.call_id not in answered), None)
                if document is not None and before is not None:
                    answered.add(before.call_id)
                    yield LoggedAnswer(
                        document.file, document.line, before.call_id, document.raw, ended_at=document.modified
                    )


def _session(pieces: Mapping[str, bytes]) -> str | None:
    """Return the session that the user id of a body names, which is JSON in a text."""
    try:
        metadata = parse_piece(pieces["metadata"])[0] if "metadata" in pieces else None
        user = metadata.get("user_id") if isinstance(metadata, dict) else None
        named = parse_piece(user.encode())[0] if isinstance(user, str) and user[:1] == "{" else None
    except RecordError:
        return None
    session = named.get("session_id") if isinstance(named, dict) else None
    return session if isinstance(session, str) else None
