"""What can go wrong with a Redis, in words; no I/O.

Belongs here: redis-py's errors to ours. Nothing of an error's own text is passed on, nor the error itself as cause or
context: it may hold credentials, or the command and with it prompt text.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from acg_lab.core.errors import SourceError
from acg_lab.storage.redis_commands import Refusal, Send

__all__ = ["Failure", "delays", "describe", "settle"]

# By the name of an error's class, of a base of it, or of what it was raised from; the first row that fits holds.
_WORDS: Final = {
    "NoPermissionError": (
        "denies this user a command or key; to read, grant SCAN, GET, MGET, STRLEN, TYPE, LLEN and LRANGE on the keys "
        "under the prefix, and SELECT for a database other than 0; to write SET, RPUSH, EXISTS, MULTI and EXEC too"
    ),
    "AuthenticationError": (
        "refused the credentials; give the right ones in the URL, with special characters percent-encoded: user and "
        "password stand before the host"
    ),
    "AuthorizationError": "refused the credentials; give the right ones in the URL",
    "BusyLoadingError": "is still loading its data; try again soon",
    "ReadOnlyError": "is a read-only replica; to write, give the URL of its primary",
    "OutOfMemoryError": "is out of memory and takes no writes",
    "AskError": "is a node of a Redis Cluster, which can't be read as one source",
    "ClusterCrossSlotError": "is a node of a Redis Cluster, which can't be read as one source",
    "ClusterError": "is a Redis Cluster that is down",
    "SSLCertVerificationError": "has a certificate that can't be verified; name its authority with ?ssl_ca_certs=FILE",
    "SSLError": "does not speak TLS as asked; if it speaks none, the URL must begin with redis://",
    "gaierror": "can't be found: its host name is not known",
    "ConnectionRefusedError": "can't be reached: nothing listens there; is the server running, and the port right?",
    "FileNotFoundError": "can't be reached: there is no such socket (or certificate file)",
    "PermissionError": "can't be reached: this user may not open the socket",
    "TimeoutError": "did not answer in time; if it is merely slow, allow more seconds in the URL: ?socket_timeout=120",
    "InvalidResponse": "does not speak the protocol of Redis; is the port right?",
    "ConnectionError": "broke off the connection; is the server up, and does it want TLS (rediss://)?",
    "OSError": "can't be reached",
}
# What a server without TLS makes of a handshake: it waits for the end of a command.
_PLAIN: Final = "; if it speaks no TLS, the URL must begin with redis://"
_TRANSIENT: Final = {"ConnectionError"}
_LASTING: Final = {"AuthenticationError", "AuthorizationError", "MaxConnectionsError", "SSLError"}


class Failure(NamedTuple):
    """Why nothing came back, and whether it may come if it is tried again."""

    error: SourceError
    transient: bool = False


def describe(error: BaseException, label: str) -> Failure:
    """Say what an error means, without its text."""
    names = {cls.__name__ for link in _chain(error) for cls in type(link).__mro__}
    transient = bool(names & _TRANSIENT) and not names & _LASTING
    words = _words(error, names, label)
    return Failure(SourceError(f"{label} {words}{'' if words.endswith('?') else '.'}"), transient)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(error: BaseException, names: set[str], label: str) -> str:
    for name, words in _WORDS.items():
        if name in names:
            return f"{words}{_PLAIN}" if name == "TimeoutError" and label.startswith("rediss:") else words
    text = str(error)
    if "DB index" in text or "SELECT is not allowed" in text:
        return "has no database of this number; give another at the end of the URL"
    code = re.match(r"[A-Z]{3,20}\b", text)
    return f"answered with an error ({code[0] if code else 'ERR'})"


def delays(send: Send, retries: int) -> Iterator[float]:
    """Give the seconds to wait before each further try."""
    return (0.1 * 4**i for i in range(0 if send.atomic else retries))


def settle(replies: list[Any], send: Send, label: str) -> list[Any]:
    """Return the replies with what is refused for one key told as such.

    Raises
    ------
    SourceError
        If a reply is an error that concerns more than its key.
    """
    settled = [_settle(reply, send) for reply in replies]
    for reply in settled:
        if isinstance(reply, BaseException):
            raise describe(reply, label).error
    return settled


def _settle(reply: Any, send: Send) -> Any:
    if not isinstance(reply, BaseException):
        return reply
    text = str(reply)
    if text.startswith("WRONGTYPE") and not send.atomic:
        return Refusal.WRONG_TYPE
    # A user may have the command, but not for this key.
    if send.per_key and type(reply).__name__ == "NoPermissionError" and re.search(r"\bkeys?\b", text):
        return Refusal.NO_PERMISSION
    return reply
