"""Guarded connections to a Redis, and its errors in words.

A guard in the connection, which every command passes, refuses all commands that acg_lab does not need. Errors never
contain an error of redis-py as text, cause or context: it may hold credentials, or a command with prompt text.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from acg_lab.core.errors import SourceError, UsageError
from acg_lab.storage.redis_address import address_label, parse_address
from acg_lab.storage.redis_replies import is_expected
from acg_lab.storage.redis_scan import CLUSTER_NODE, RedisRefusal, Send

__all__ = ["READ_COMMANDS", "WRITE_COMMANDS", "Failure", "check_replies", "explain_error", "open_pool", "retry_delays"]

READ_COMMANDS: Final = frozenset(
    {"SCAN", "GET", "MGET", "STRLEN", "TYPE", "LLEN", "LRANGE", "GETRANGE", "INFO", "CLUSTER SLOTS"}
)
WRITE_COMMANDS: Final = frozenset({"EXISTS", "SET", "RPUSH", "MULTI", "EXEC", "WATCH", "UNWATCH"})
# The commands that redis-py itself sends on a new or idle connection.
_HANDSHAKE: Final = frozenset(
    {"AUTH", "HELLO", "SELECT", "PING", "CLIENT SETINFO", "CLIENT SETNAME", "CLIENT MAINT_NOTIFICATIONS"}
)
# Options of a URL that are ignored: replies must be bytes, and the backend retries.
_NOT_OURS: Final = ("decode_responses", "encoding", "encoding_errors", "retry", "retry_on_timeout", "retry_on_error")
_READ_SIZE: Final = 1 << 18  # redis-py's default of 32 KiB splits large values into many parts


def open_pool(
    module: Any,
    url: str,
    *,
    writable: bool,
    connect_timeout: float,
    timeout: float,
    also: frozenset[str] = frozenset(),
) -> tuple[Any, str]:
    """Return a pool of guarded connections, without connecting.

    Parameters
    ----------
    module : module
        ``redis.connection`` or ``redis.asyncio.connection``.
    url : str
        URL in the format of redis-py, with options in the query.
    writable : bool
        Whether commands that write are allowed.
    also : frozenset of str
        Other commands that are allowed.
    connect_timeout, timeout : float
        Seconds, unless the URL has ``socket_connect_timeout`` and ``socket_timeout``.

    Returns
    -------
    pool : module.ConnectionPool
    label : str
        Address and database, without credentials.

    Raises
    ------
    UsageError
        If the URL or one of its options is invalid. The message does not repeat it.
    """
    options = {
        "socket_connect_timeout": connect_timeout,
        "socket_timeout": timeout,
        "socket_read_size": _READ_SIZE,
        "protocol": 2,  # all that is needed here, and spoken by every server
        **parse_address(module, url),
    }
    options = {name: value for name, value in options.items() if name not in _NOT_OURS}
    label = address_label(url, options)
    base = options.pop("connection_class", module.Connection)
    allowed = READ_COMMANDS | WRITE_COMMANDS if writable else READ_COMMANDS
    try:
        quiet = type("Pool", (module.ConnectionPool,), {"__repr__": lambda _: f"<connections to {label}>"})
        pool = quiet(connection_class=_guarded(base, allowed | _HANDSHAKE | also, label), **options)
        # Made only to check options, which would otherwise fail with the first command.
        pool.connection_class(**pool.connection_kwargs)
    except Exception:  # noqa: BLE001  # any error of redis-py or ssl, whose texts may repeat the URL
        pool = None
    if pool is None:
        msg = f"An option in the URL of {label} is unknown to redis-py, or its value can't be used."
        raise UsageError(msg)
    return pool, label


def _guarded(base: Any, allowed: frozenset[str], label: str) -> Any:
    """Return a connection class that refuses all but the allowed commands before anything is sent."""

    def check(command: Iterable[Any]) -> None:
        name = _name(*command)
        if name not in allowed:
            msg = f"{label}: the command {name} was refused: acg_lab sends only {', '.join(sorted(allowed))}."
            if name in WRITE_COMMANDS:
                msg = f"{label}: the command {name} was refused; to write, pass writable=True (--allow-write)."
            raise UsageError(msg)

    def send_command(self: Any, *args: Any, **kwargs: Any) -> Any:
        check(args)
        return base.send_command(self, *args, **kwargs)

    def pack_command(self: Any, *args: Any) -> Any:
        check(args)
        return base.pack_command(self, *args)

    def pack_commands(self: Any, commands: Iterable[Iterable[Any]]) -> Any:
        commands = [tuple(command) for command in commands]
        for command in commands:
            check(command)
        return base.pack_commands(self, commands)

    guards: dict[str, Any] = {
        "send_command": send_command,
        "pack_command": pack_command,
        "pack_commands": pack_commands,
        "__repr__": lambda _: f"<connection to {label}>",  # redis-py's may hold the password
    }
    return type(f"Guarded{base.__name__}", (base,), guards)


def _name(*command: Any) -> str:
    """Return the name of a command, for CLIENT, CLUSTER and SENTINEL with the subcommand."""
    words = [part.decode(errors="replace") if isinstance(part, bytes) else str(part) for part in command[:2]]
    name, *rest = " ".join(words[:1]).upper().split() or [""]
    if name in ("CLIENT", "CLUSTER", "SENTINEL"):
        return " ".join([name, *(rest or [word.upper() for word in words[1:]])][:2])
    return name


# By the class name of an error, one of its bases, or an error that it was raised from; the first match applies.
_WORDS: Final = {
    "NoPermissionError": (
        "denies this user {command}; to read, grant SCAN, GET, GETRANGE, MGET, STRLEN, TYPE, LLEN and LRANGE on the "
        "keys under the prefix, and SELECT for a database other than 0; to write SET, RPUSH, EXISTS, MULTI and EXEC "
        "too, and WATCH and UNWATCH to learn"
    ),
    "AuthenticationError": (
        "refused the credentials; give the right ones in the URL, with special characters percent-encoded: user and "
        "password stand before the host; or the password in ACG_LAB_REDIS_PASSWORD or with --password-file"
    ),
    "AuthorizationError": "refused the credentials; give the right ones in the URL",
    "BusyLoadingError": "is still loading its data; try again soon",
    "ReadOnlyError": "is a read-only replica; to write, give the URL of its primary",
    "OutOfMemoryError": "is out of memory and takes no writes",
    "AskError": CLUSTER_NODE,
    "ClusterCrossSlotError": CLUSTER_NODE,
    "ClusterError": "is a Redis Cluster that is down",
    "SSLCertVerificationError": "has a certificate that can't be verified; name its authority with ?ssl_ca_certs=FILE",
    "SSLError": "does not speak TLS; if it is not meant to, the URL must begin with redis://",
    "gaierror": "can't be found: its host name is unknown",
    "ConnectionRefusedError": "can't be reached: nothing listens there; is the server running, and the port right?",
    "FileNotFoundError": "can't be reached: there is no such socket (or certificate file)",
    "PermissionError": "can't be reached: this user may not open the socket",
    "TimeoutError": "did not answer in time; if it is merely slow, allow more seconds in the URL: ?socket_timeout=120",
    "InvalidResponse": "does not speak the protocol of Redis; is the port right?",
    "ConnectionError": "broke off the connection; is the server up, and does it want TLS (rediss://)?",
    "OSError": "can't be reached",
}
# A server without TLS waits for more when it receives a TLS handshake.
_PLAIN: Final = "; if it speaks no TLS, the URL must begin with redis://"
_NO_REPLY: Final = "answered with what is no reply to the command; is it a Redis?"
_TRANSIENT: Final = {"ConnectionError"}
_LASTING: Final = {"AuthenticationError", "AuthorizationError", "MaxConnectionsError", "SSLError"}


class Failure(NamedTuple):
    """Why a command failed, whether a retry may succeed, and whether the server is loading its data."""

    error: SourceError
    transient: bool = False
    is_loading: bool = False


_OTHER_NODE: Final = ("MOVED", "ASK", "CROSSSLOT")  # codes of the server, which not every redis-py has a class for


def explain_error(error: BaseException, label: str, command: str = "") -> Failure:
    """Return an error of redis-py in words, without its text; ``command`` is the one that it answers, if known."""
    names = {cls.__name__ for link in _chain(error) for cls in type(link).__mro__}
    transient = bool(names & _TRANSIENT) and not names & _LASTING
    words = _words(error, names, label).format(command=f"{command}, or its key" if command else "a command or key")
    error_in_words = SourceError(f"{label} {words}{'' if words.endswith('?') else '.'}")
    return Failure(error_in_words, transient, is_loading="BusyLoadingError" in names)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _words(error: BaseException, names: set[str], label: str) -> str:
    for name, words in _WORDS.items():
        if name in names:
            return f"{words}{_PLAIN}" if name == "TimeoutError" and label.startswith("rediss:") else words
    if not names & {"RedisError", "OSError"}:
        return _NO_REPLY  # redis-py could not make anything of it
    text = str(error)
    if "DB index" in text or "SELECT is not allowed" in text:
        return "has no database of this number; give another at the end of the URL"
    code = re.match(r"[A-Z]{3,20}\b", text)
    if code and code[0] in _OTHER_NODE:
        return CLUSTER_NODE
    return f"answered with an error ({code[0] if code else 'ERR'})"


_UNREACHED: Final = 0.5  # a wrong address should fail soon


def retry_delays(send: Send, seconds: float, *, reached: bool) -> Iterator[float]:
    """Yield the seconds to wait before each retry, for some time if the server was reached before, else briefly."""
    left = 0.0 if send.atomic else seconds if reached else min(seconds, _UNREACHED)
    delay = 0.1
    while left > 0:
        yield min(delay, left)
        left -= delay
        delay = min(2 * delay, 2.0)


def check_replies(replies: list[Any], send: Send, label: str) -> list[Any]:
    """Return the replies, with a `RedisRefusal` for each key that cannot be read.

    Raises
    ------
    SourceError
        If a reply is an error that concerns more than one key, or nothing that the command answers.
    """
    settled = [_settle(reply, send) for reply in replies]
    for reply, command in zip(settled, send.commands, strict=False):  # their number is checked below
        if isinstance(reply, BaseException):
            raise explain_error(reply, label, _name(*command)).error
    if len(settled) != len(send.commands) or not all(map(is_expected, send.commands, settled)):
        msg = f"{label} {_NO_REPLY}"
        raise SourceError(msg)
    return settled


def _settle(reply: Any, send: Send) -> Any:
    if not isinstance(reply, BaseException):
        return reply
    if send.may_be_refused and type(reply).__name__ in ("NoPermissionError", "ResponseError"):
        return RedisRefusal.REFUSED
    text = str(reply)
    if text.startswith("WRONGTYPE") and not send.atomic:
        return RedisRefusal.WRONG_TYPE
    # A user may have permission for the command, but not for this key.
    if send.per_key and type(reply).__name__ == "NoPermissionError" and re.search(r"\bkeys?\b", text):
        return RedisRefusal.NO_PERMISSION
    return reply
