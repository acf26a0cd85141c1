"""Learn from a run in one transaction on a Redis, so that concurrent learners lose nothing.

A learner's windows are watched from the moment they are loaded, and stored with their results and the seed entry in one
transaction. If another process stored one of them meanwhile, nothing is written and the step is made anew. A large
window comes in pieces, as in any other read. The layout stays production's, and production may write beside us: what it
overwrites is lost, as between its own processes.
"""

import random
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from acg_lab.core.codec import decode_window, encode, encode_window
from acg_lab.core.errors import RecordError, SourceError
from acg_lab.core.learner_backend import Load, Store
from acg_lab.core.records import PromptIR
from acg_lab.storage.redis_client import Failure, check_replies
from acg_lab.storage.redis_scan import Command, RedisRefusal
from acg_lab.storage.redis_values import explain_refusal, fetch_value

__all__ = ["Ask", "Attempt", "Commit", "LearnerStep", "Watch", "conflict", "waits_between_attempts"]

T = TypeVar("T")
LearnerStep: TypeAlias = Generator[Load | Store, tuple[PromptIR, ...] | None, T]

_ATTEMPTS: Final = 300
_FIRST_WAIT, _LONGEST_WAIT = 0.01, 0.5


class Watch(NamedTuple):
    """Watch a key from now on."""

    key: str


class Ask(NamedTuple):
    """Send a command on the connection that watches, and send its reply back: an error of the server too."""

    command: Command


class Commit(NamedTuple):
    """Send commands as one transaction, which fails if a watched key was changed."""

    commands: list[Command]


class Attempt(Generic[T]):
    """One attempt at a learner's step.

    Parameters
    ----------
    start : callable
        Returns the step, from its beginning.
    prefix, label : str
        Key prefix, and the name of the source in messages.
    """

    def __init__(self, start: Callable[[], LearnerStep[T]], prefix: str, label: str) -> None:
        self._asks = self._run(start())
        self._prefix = prefix
        self._label = label
        self._stores: list[Store] = []
        self.result: T | None = None
        self._is_committing = False

    def ask(self, reply: Any) -> Watch | Ask | Commit | Failure | None:
        """Take a reply, and return what to send next; None at the end, when `result` is set.

        A failure is returned if a watched value keeps changing while it is read.
        """
        try:
            return self._asks.send(reply)
        except StopIteration:
            return None

    def is_uncertain(self, failure: Failure) -> bool:
        """Return whether the transaction may have happened though it failed: its reply may be lost."""
        return self._is_committing and failure.transient

    def _run(self, step: LearnerStep[T]) -> Generator[Watch | Ask | Commit | Failure, Any, None]:
        answer = None
        while True:
            try:
                command = step.send(answer)
            except StopIteration as done:
                self.result = done.value
                break
            answer = None
            if isinstance(command, Load):
                key = f"{self._prefix}acg_observations:{command.key}"
                yield Watch(key)
                raw = yield from self._fetch(key)
                if raw is RedisRefusal.CHANGED:
                    yield conflict(self._label)
                answer = self._decode(key, raw)
            else:
                self._stores.append(command)
        if self._stores:
            self._is_committing = True
            yield Commit([command for store in self._stores for command in self._commands(store)])

    def _fetch(self, key: str) -> Generator[Ask, Any, bytes | RedisRefusal | None]:
        """Return a value, its commands sent one by one: those of a connection that watches can't be sent together."""
        step, replies = fetch_value(key), None
        while True:
            try:
                send = step.send(replies)  # type: ignore[arg-type]  # None at the start
            except StopIteration as done:
                raw: bytes | RedisRefusal | None = done.value
                return raw
            replies = []
            for command in send.commands:
                reply = yield Ask(command)
                replies.append(reply)
            replies = check_replies(replies, send, self._label)

    def _decode(self, key: str, raw: bytes | RedisRefusal | None) -> tuple[PromptIR, ...] | None:
        if isinstance(raw, RedisRefusal):
            raise RecordError(explain_refusal(raw), source=self._label, key=key)
        try:
            return None if raw is None else decode_window(raw)
        except RecordError as error:
            raise error.at(source=self._label, key=key) from None

    def _commands(self, store: Store) -> Iterator[Command]:
        yield "SET", f"{self._prefix}acg_observations:{store.key}", encode_window(store.window)
        yield "SET", f"{self._prefix}acg_stability:{store.key}", encode(store.result)

    @property
    def first_key(self) -> str:
        """The learning key of the first window to be stored."""
        return self._stores[0].key

    def is_in(self, window: tuple[PromptIR, ...] | None) -> bool:
        """Return whether the window stored under `first_key` holds what this attempt added.

        A transaction happens as a whole, so this settles whether it happened if its reply was lost.
        """
        return any(known.ir_id == self._stores[0].window[-1].ir_id for known in window or ())


def conflict(label: str) -> Failure:
    """Return the failure of an attempt during which another process stored the same window."""
    msg = f"{label}: other processes changed the windows of a run each time that it was learned; nothing was stored."
    return Failure(SourceError(msg), transient=True)


def waits_between_attempts() -> Iterator[float]:
    """Yield the seconds to wait after each failed attempt but the last, at random so that processes part."""
    for i in range(_ATTEMPTS - 1):
        yield random.uniform(0, min(_FIRST_WAIT * (i + 1), _LONGEST_WAIT))  # noqa: S311  # no secret
