"""Values above 512 KiB come from a Redis in pieces, and only as they stood at one moment."""

import asyncio

import pytest
from strategies import make_ir, make_request, make_run

from acg_lab.core import AcgLearner, HotCache
from acg_lab.core.codec import decode_window, encode_window
from acg_lab.core.errors import RecordError
from acg_lab.storage.base import EVERYTHING
from acg_lab.storage.redis_backend import AsyncRedisBackend, RedisBackend
from acg_lab.storage.redis_learning import Ask
from acg_lab.storage.redis_scan import GENTLE_PIECE, PIECE

KEY = "p:acg_observations:a"
OLD = (make_ir(("user-0", "old " * 5_000_000)),)
NEW = (make_ir(("user-0", "new " * 5_000_000)),)


def sizes(replies):
    values = [value for reply in replies for value in (reply if isinstance(reply, list) else [reply])]
    return [len(value) for value in values if isinstance(value, bytes)]


class Watched(RedisBackend):
    """Notes the sizes of all values, and calls a function after each piece."""

    def __init__(self, url, between, **options):
        super().__init__(url, key_prefix="p:", **options)
        self.between, self.received = between, []

    def _try(self, send):
        return self.note(send, super()._try(send))

    def note(self, send, replies):
        if any(command[0] in ("GET", "MGET", "GETRANGE") for command in send.commands):
            self.received += sizes(replies)
        if send.commands[0][0] == "GETRANGE":
            self.between()
        return replies


class WatchedAsync(AsyncRedisBackend):
    """The same for asyncio."""

    note = Watched.note

    def __init__(self, url, between):
        super().__init__(url, key_prefix="p:")
        self.between, self.received = between, []

    async def _try(self, send):
        return self.note(send, await super()._try(send))


def scan(url, between=lambda: None):
    """Return the only value of a bulk read, or its error, and the sizes received."""
    with Watched(url, between) as backend:
        (entry,) = backend.scan(EVERYTHING)
    return entry.raw, backend.received


def load(url, between=lambda: None):
    """Return a window read by its key as JSON, or its error, and the sizes received."""
    with Watched(url, between) as backend:
        try:
            return encode_window(backend.load_observations("a")), backend.received
        except RecordError as error:
            return error, backend.received


def load_async(url, between=lambda: None):
    """Do as `load` with asyncio."""

    async def run():
        async with WatchedAsync(url, between) as backend:
            try:
                return encode_window(await backend.load_observations("a")), backend.received
            except RecordError as error:
                return error, backend.received

    return asyncio.run(run())


@pytest.mark.parametrize("read", [scan, load, load_async])
class TestLargeValue:
    """A window of 20 MB."""

    def test_is_read_in_pieces(self, read, redis_url, redis_client):
        """The value is read equal, and no reply exceeds 512 KiB."""
        raw = encode_window(OLD)
        assert len(raw) > 20_000_000
        redis_client.set(KEY, raw)
        value, received = read(redis_url)
        assert value == raw
        assert max(received) == PIECE

    @pytest.mark.parametrize("new", [NEW, (*OLD, *OLD), OLD[:0]], ids=["same length", "longer", "small"])
    def test_that_changes_is_read_again(self, read, new, redis_url, redis_client):
        """A value that another process stores between two pieces is read as it stands then, be it as long or not."""
        redis_client.set(KEY, encode_window(OLD))
        changes = [encode_window(new)]
        value, received = read(redis_url, lambda: changes and redis_client.set(KEY, changes.pop()))
        assert value == encode_window(new)
        assert max(received) == PIECE

    def test_that_never_stands_still(self, read, redis_url, redis_client):
        """A value that changes after each piece is a problem of this key."""
        redis_client.set(KEY, encode_window(OLD))
        value, _ = read(redis_url, lambda: redis_client.append(KEY, " "))
        assert isinstance(value, RecordError)
        assert value.key == KEY
        assert "changed while reading" in str(value)

    def test_without_permission_for_pieces(self, read, redis_url, redis_client):
        """Where GETRANGE is refused, the value is read whole."""
        redis_client.set(KEY, encode_window(OLD))
        redis_client.execute_command("ACL", "SETUSER", "old", "on", ">pw", "~*", "+@all", "-getrange")
        try:
            value, _ = read(redis_url.replace("redis://", "redis://old:pw@"))
        finally:
            redis_client.execute_command("ACL", "DELUSER", "old")
        assert value == encode_window(OLD)


def test_a_large_value_deleted_between_pieces(redis_url, redis_client):
    """A large value that is deleted while it is read is none, neither an empty nor a broken one."""
    redis_client.set(KEY, encode_window(OLD))
    with Watched(redis_url, lambda: redis_client.delete(KEY)) as backend:
        assert list(backend.scan(EVERYTHING)) == []


def test_gentle_reads_take_smaller_pieces(redis_url, redis_client):
    """So that another client of a server on another machine waits less for each; values together no more than one."""
    values = {KEY: encode_window(OLD)} | {f"p:acg_stability:{i}": b"x" * (GENTLE_PIECE // 2) for i in range(9)}
    redis_client.mset(values)
    with Watched(redis_url, lambda: None, gentle=True) as backend:
        assert {entry.stored: entry.raw for entry in backend.scan(EVERYTHING)} == values
    assert max(backend.received) == GENTLE_PIECE == PIECE // 4


def test_a_window_and_a_result_of_more_than_a_piece(redis_url, redis_client):
    """Values that are read at once do not exceed 512 KiB together, and one of 512 KiB is read as it is."""
    values = {"p:acg_observations:a": b"x" * PIECE, "p:acg_stability:a": b"y" * (PIECE // 2), "p:acg_stability:b": b"z"}
    redis_client.mset(values)
    with Watched(redis_url, lambda: None) as backend:
        assert {entry.stored: entry.raw for entry in backend.scan(EVERYTHING)} == values
    assert sorted(backend.received) == [1, PIECE // 2, PIECE]


class Learning(RedisBackend):
    """Notes the sizes of what a learner gets, and calls a function after each piece."""

    def __init__(self, url, between):
        super().__init__(url, key_prefix="p:", writable=True)
        self.between, self.received = between, []

    def _carry_out(self, pipeline, ask):
        return self.note(ask, super()._carry_out(pipeline, ask))

    def note(self, ask, reply):
        if isinstance(ask, Ask) and ask.command[0] in ("GET", "GETRANGE"):
            self.received += sizes([reply])
            self.between()
        return reply


class LearningAsync(AsyncRedisBackend):
    """The same for asyncio."""

    note = Learning.note

    def __init__(self, url, between):
        super().__init__(url, key_prefix="p:", writable=True)
        self.between, self.received = between, []

    async def _carry_out(self, pipeline, ask):
        return self.note(ask, await super()._carry_out(pipeline, ask))


def learn(url, between=lambda: None):
    """Learn a run of one request; return the sizes received."""
    with Learning(url, between) as backend:
        AcgLearner("a").process_run(make_run(make_request()), backend, HotCache())
        return backend.received


def learn_async(url, between=lambda: None):
    """Do as `learn` with asyncio."""

    async def run():
        async with LearningAsync(url, between) as backend:
            await AcgLearner("a").aprocess_run(make_run(make_request()), backend, HotCache())
            return backend.received

    return asyncio.run(run())


@pytest.mark.parametrize("learn", [learn, learn_async])
class TestLearnerOfLargeWindow:
    """A learner whose window has 20 MB."""

    @pytest.fixture
    def key(self, redis_url, redis_client):
        """The key of the window, filled with another observation."""
        with RedisBackend(redis_url, key_prefix="p:", writable=True) as backend:
            AcgLearner("a").process_run(make_run(make_request()), backend, HotCache())
        (key,) = (key for key in redis_client.scan_iter() if b"acg_observations:a::" in key)
        redis_client.set(key, encode_window(OLD))
        return key

    def test_gets_it_in_pieces(self, learn, key, redis_url, redis_client):
        """No reply exceeds 512 KiB, and the window has one observation more."""
        assert max(learn(redis_url)) == PIECE
        assert decode_window(redis_client.get(key))[:-1] == OLD

    def test_that_changes_between_pieces(self, learn, key, redis_url, redis_client):
        """What another process stores between two pieces is kept: the learner begins anew."""
        changes = [encode_window(NEW)]
        learn(redis_url, lambda: changes and redis_client.set(key, changes.pop()))
        assert decode_window(redis_client.get(key))[:-1] == NEW

    def test_without_permission_for_pieces(self, learn, key, redis_url, redis_client):
        """Where GETRANGE is refused, the window is read whole."""
        redis_client.execute_command("ACL", "SETUSER", "old", "on", ">pw", "~*", "+@all", "-getrange")
        try:
            assert max(learn(redis_url.replace("redis://", "redis://old:pw@"))) > PIECE
        finally:
            redis_client.execute_command("ACL", "DELUSER", "old")
        assert len(decode_window(redis_client.get(key))) == 2
