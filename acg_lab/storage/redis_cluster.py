"""A whole Redis Cluster as one source, for reading: every node is scanned, and each key is asked of its node.

The steps are those of a single Redis. Here their commands are split by node, and the replies put together again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from acg_lab.core.errors import AcgLabError, SourceError, UsageError
from acg_lab.storage.redis_backend import RedisBackend
from acg_lab.storage.redis_client import Failure, explain_error
from acg_lab.storage.redis_scan import Command, Send

__all__ = ["CLUSTER_SCHEMES", "RedisClusterBackend"]

CLUSTER_SCHEMES: Final = ("redis+cluster", "rediss+cluster")
_CURSORS: Final = 1 << 64  # of one node; the cursor of a whole scan is the number of the node times this, plus its own
_SLOTS: Final = 1 << 14


_Owners: TypeAlias = dict[tuple[int, int], tuple[str, int]]


class _Part(NamedTuple):
    """A command for one node, and which command of the step it belongs to, at which of its values."""

    node: int
    command: Command
    number: int
    positions: Sequence[int] = ()


class RedisClusterBackend(RedisBackend):
    """A Redis Cluster in production's layout, for reading.

    Parameters
    ----------
    url : str
        ``redis+cluster://`` or ``rediss+cluster://`` and the address of any node, with redis-py's options. The other
        nodes are those that it names; they get the same user and password.
    key_prefix, **options
        As of `RedisBackend`.

    Raises
    ------
    UsageError
        If the URL is invalid.

    Examples
    --------
    >>> RedisClusterBackend("redis+cluster://reader:secret@node-1:7000")
    RedisClusterBackend('redis+cluster://***@node-1:7000/0', key_prefix='auto')
    """

    def __init__(self, url: str, *, key_prefix: str = "auto", **options: Any) -> None:
        if options.get("writable"):
            msg = "A Redis Cluster can only be read; to write, give the address of a single Redis."
            raise UsageError(msg)
        try:
            super().__init__(url.replace("+cluster:", ":", 1), key_prefix=key_prefix, **options)
        except UsageError as error:
            url = ""  # a password in it must not show in a traceback with locals
            raise error.with_traceback(None) from None
        self._steps.expect_cluster(self.label.replace(":", "+cluster:", 1))
        self._nodes: list[Any] = []
        self._node_of_slot: list[int] = []
        self._owners: _Owners = {}
        self._owners_at_start: _Owners = {}  # of a scan

    def close(self) -> None:
        """Close all connections."""
        super().close()
        self._forget_nodes()

    def _forget_nodes(self) -> None:
        for node in self._nodes:
            node.connection_pool.disconnect()
        self._nodes, self._node_of_slot = [], []

    def _connection_options(self) -> list[Mapping[str, Any]]:
        nodes = (node.connection_pool.connection_kwargs for node in self._nodes)
        return [*super()._connection_options(), *nodes]

    def _try(self, send: Send) -> list[Any] | Failure:
        try:
            if not self._nodes:
                self._find_nodes()
            replies = self._ask(list(self._split(send.commands)), send.commands)
            if send.commands[0][0] == "SCAN":
                self._check_scan(send.commands[0], replies[0])
        except AcgLabError:
            raise
        except Exception as error:  # noqa: BLE001  # a hostile server makes redis-py raise anything
            self._forget_nodes()
            return explain_error(error, self.label)
        if moved := [reply for reply in replies if isinstance(reply, Exception) and _is_elsewhere(reply)]:
            self._forget_nodes()  # slots have moved to other nodes
            return explain_error(moved[0], self.label)._replace(transient=True)
        self._is_reached = True
        return replies

    def _check_scan(self, command: Command, reply: Any) -> None:
        """Raise if slots moved to other nodes during a scan, which may then have missed their keys."""
        if command[1] == 0:
            self._owners_at_start = self._owners
        if reply[0] == 0 and self._read_owners() != self._owners_at_start:
            self._forget_nodes()
            msg = f"{self.label}: slots moved to other nodes while keys were listed; some may be missing: read again."
            raise SourceError(msg)

    def _read_owners(self) -> _Owners:
        """Return the address of the primary of each range of slots."""
        spans = self._client.execute_command("CLUSTER", "SLOTS")
        return {(int(first), int(last)): (_text(owner[0]), int(owner[1])) for first, last, owner, *_ in spans}

    def _find_nodes(self) -> None:
        owners = self._read_owners()
        addresses = sorted({*owners.values()})
        node_of_slot = [-1] * _SLOTS
        for (first, last), owner in owners.items():
            node_of_slot[first : last + 1] = [addresses.index(owner)] * (last + 1 - first)
        if -1 in node_of_slot:
            msg = (
                f"{self.label}: no node of the cluster holds some of the keys (CLUSTER SLOTS); it can't be read whole."
            )
            raise SourceError(msg)
        self._nodes = [self._connect(host, port) for host, port in addresses]
        self._node_of_slot, self._owners = node_of_slot, owners

    def _connect(self, host: str, port: int) -> Any:
        """Return a client of a node: as of the one in the URL, whose address a node without one shares."""
        pool = self._client.connection_pool
        options = {**pool.connection_kwargs, "port": port}
        if host:
            options["host"] = host
        return type(self._client)(connection_pool=type(pool)(connection_class=pool.connection_class, **options))

    def _split(self, commands: Sequence[Command]) -> Iterator[_Part]:
        for number, command in enumerate(commands):
            if command[0] == "SCAN":
                node, cursor = divmod(int(command[1]), _CURSORS)
                yield _Part(node, ("SCAN", cursor, *command[2:]), number)
            elif command[0] == "MGET":
                of_slot: dict[int, list[int]] = {}
                for position, key in enumerate(command[1:]):
                    of_slot.setdefault(_slot(key), []).append(position)
                for slot, positions in of_slot.items():
                    keys = [command[1 + position] for position in positions]
                    yield _Part(self._node_of_slot[slot], ("MGET", *keys), number, positions)
            else:
                yield _Part(self._node_of_slot[_slot(command[1])], command, number)

    def _ask(self, parts: Sequence[_Part], commands: Sequence[Command]) -> list[Any]:
        replies: list[Any] = [[None] * (len(c) - 1) if c[0] == "MGET" else None for c in commands]
        for i, node in enumerate(self._nodes):
            of_node = [part for part in parts if part.node == i]
            if not of_node:
                continue
            with node.pipeline(transaction=False) as pipeline:
                for part in of_node:
                    pipeline.execute_command(*part.command)
                for part, reply in zip(of_node, pipeline.execute(raise_on_error=False), strict=True):
                    self._put(replies, part, reply)
        return replies

    def _put(self, replies: list[Any], part: _Part, reply: Any) -> None:
        if isinstance(reply, Exception) or isinstance(replies[part.number], Exception):
            replies[part.number] = reply if isinstance(reply, Exception) else replies[part.number]
        elif part.positions:
            for position, value in zip(part.positions, reply, strict=True):
                replies[part.number][position] = value
        elif part.command[0] == "SCAN":
            cursor, keys = reply
            is_last = not cursor and part.node == len(self._nodes) - 1
            node = part.node if cursor else part.node + 1
            replies[part.number] = (0 if is_last else node * _CURSORS + cursor, keys)
        else:
            replies[part.number] = reply


def _slot(key: Any) -> int:
    from redis.crc import key_slot

    return int(key_slot(key if isinstance(key, bytes) else str(key).encode()))


def _text(host: Any) -> str:
    return host.decode() if isinstance(host, bytes) else str(host or "")


def _is_elsewhere(reply: Exception) -> bool:
    names = {kind.__name__ for kind in type(reply).__mro__}
    return bool(names & {"MovedError", "AskError"}) or str(reply).startswith(("MOVED", "ASK "))
