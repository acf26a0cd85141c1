"""A server that answers with anything raises SourceError, never a foreign error, and never an endless wait."""

import asyncio
import socket
import threading
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import acg_lab as acg
from acg_lab.storage.base import EVERYTHING
from acg_lab.storage.redis_backend import AsyncRedisBackend, RedisBackend

ANSWERS = [
    *(b"+OK\r\n", b":5\r\n", b":-1\r\n", b":x\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b"$3\r\nabc\r\n", b"$x\r\n"),
    *(b"*2\r\n:0\r\n:0\r\n", b"*2\r\n$1\r\nx\r\n*0\r\n", b"*2\r\n$1\r\n0\r\n*1\r\n:7\r\n", b"*2\r\n*0\r\n*0\r\n"),
    *(
        b"*1\r\n" * 3000,
        b"-ERR what\r\n",
        b"-MOVED x\r\n",
        b"-ASK 1 :\r\n",
        b"\xff\xff\r\n",
        b"HTTP/1.1 400 Bad\r\n\r\n",
    ),
    *(b"%1\r\n+a\r\n+b\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"(99\r\n", b"*2\r\n$1\r\n0\r\n$-1\r\n", b"$5\r\nab"),
]


class BadServer:
    """Answers every command with the same bytes."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.answer = b""
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0?socket_timeout=0.3"

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        with connection:
            while data := self.receive(connection):
                n = data.count(b"\r\n*") + data.startswith(b"*")
                answer = b"+OK\r\n" if b"SETINFO" in data else self.answer
                try:
                    connection.sendall(answer * max(n, 1))
                except OSError:
                    return

    def receive(self, connection):
        try:
            return connection.recv(1 << 16)
        except OSError:
            return b""


@pytest.fixture(scope="module")
def server():
    bad = BadServer()
    yield bad
    bad.listener.close()


def use(url):
    """Read by every command; return the errors, which are all of them ours."""
    errors = []
    with RedisBackend(url, key_prefix="p:", retry_seconds=0) as backend:
        for read in (
            lambda: list(backend.scan(EVERYTHING)),
            lambda: backend.load_observations("a"),
            lambda: backend.load_stability("a"),
            lambda: backend.list_runs("a"),
        ):
            try:
                read()
            except acg.AcgLabError as error:
                errors.append(error)
    return errors


@pytest.mark.parametrize("answer", ANSWERS)
def test_malformed_replies(server, answer):
    """Whatever each command is answered, reading raises our errors or finds nothing."""
    server.answer = answer
    for error in use(server.url):
        assert str(error).startswith("redis://127.0.0.1")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answer=st.lists(st.sampled_from([b"*", b"$", b":", b"+", b"-", b"1", b"2", b"a", b"\r\n", b"\xff"])).map(b"".join)
)
def test_generated_replies(server, answer):
    """So with bytes that are put together at random."""
    server.answer = answer + b"\r\n"
    use(server.url)


def test_malformed_replies_with_asyncio(server):
    """The asyncio backend raises the same errors."""

    async def read(answer):
        server.answer = answer
        async with AsyncRedisBackend(server.url, key_prefix="p:", retry_seconds=0) as backend:
            for load in (backend.load_observations, backend.load_stability, backend.list_runs):
                with suppress(acg.AcgLabError):
                    await load("a")

    for answer in ANSWERS:
        asyncio.run(read(answer))
