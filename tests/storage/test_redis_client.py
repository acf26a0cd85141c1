"""What goes wrong with a Redis is reported in words, and never with credentials."""

import asyncio
import socket
import threading
import time
import traceback

import pytest
from redis import exceptions
from strategies import make_ir, make_request, make_run

from acg_lab.core import StabilityAnalysisResult
from acg_lab.core.errors import AcgLabError, SourceError, UsageError
from acg_lab.storage.base import Selection
from acg_lab.storage.masking import mask_credentials
from acg_lab.storage.redis_backend import AsyncRedisBackend, RedisBackend
from acg_lab.storage.redis_client import explain_error

SECRET = "p4ss:w@rd/#?%"
QUOTED = "p4ss%3Aw%40rd%2F%23%3F%25"
RESULT = StabilityAnalysisResult(scores=(), stable_prefix_length=0, total_observations=1)


def load_blocking(url, **options):
    with RedisBackend(url, **options) as backend:
        return backend.load_stability("a")


def load_asyncio(url, **options):
    async def load():
        async with AsyncRedisBackend(url, **options) as backend:
            return await backend.load_stability("a")

    return asyncio.run(load())


@pytest.fixture(params=[load_blocking, load_asyncio])
def load(request):
    return request.param


def everything(error):
    """Return all that a traceback shows of an error, its causes and contexts included."""
    texts = ["".join(traceback.format_exception(error))]
    while error is not None:
        texts += [str(error), repr(error), repr(error.args), repr(vars(error))]
        assert isinstance(error, AcgLabError), "redis-py's own error is in the chain"
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def refusal(load, url, kind=SourceError, **options):
    """Return the message of the error that loading ends with, having looked for the secret."""
    with pytest.raises(kind) as refused:
        load(url, **options)
    shown = everything(refused.value)
    for secret in (SECRET, QUOTED, "p4ss"):
        assert secret not in shown.replace(f'"{SECRET}"', "")
    return str(refused.value)


class TestReaching:
    def test_no_server(self, load):
        """Where nothing listens, the error names the masked address, and says what to look at."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        message = refusal(load, f"redis://u:{QUOTED}@127.0.0.1:{port}/2", retry_seconds=0)
        assert message == (
            f"redis://***@127.0.0.1:{port}/2 can't be reached: nothing listens there; is the server running, and the "
            "port right?"
        )

    def test_unknown_host(self, load):
        """A host name that is not known is reported as such."""
        assert "its host name is unknown" in refusal(
            load, f"redis://u:{QUOTED}@no-such-host.invalid/0", retry_seconds=0
        )

    def test_no_socket(self, load, tmp_path):
        """A socket that is not there is reported as such."""
        message = refusal(load, f"unix://u:{QUOTED}@{tmp_path}/redis.sock?db=3", retry_seconds=0)
        assert message.startswith(f"unix://***@{tmp_path}/redis.sock?db=3 can't be reached: there is no such socket")

    def test_socket(self, load, redis_server, redis_client):
        """A server is read by its socket too."""
        redis_client.set("p:acg_stability:a", b'{"scores":[],"stable_prefix_length":0,"total_observations":1}')
        assert load(f"unix://{redis_server.socket}") == RESULT
        assert load(f"unix://{redis_server.socket}?db=0") == RESULT

    def test_tls_to_a_plain_port(self, load, redis_server):
        """TLS to a port that speaks none is reported as such."""
        url = redis_server.url(user=f"u:{QUOTED}@").replace("redis:", "rediss:")
        message = refusal(load, url, connect_timeout=0.3, timeout=0.3)
        assert "if it speaks no TLS, the URL must begin with redis://" in message
        with serving(b"-ERR unknown command\r\n") as port:
            message = refusal(load, f"rediss://u:{QUOTED}@127.0.0.1:{port}/0")
        assert "does not speak TLS" in message

    def test_no_redis(self, load):
        """A port where something else answers is reported as such."""
        with serving(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
            assert "does not speak the protocol of Redis" in refusal(
                load, f"redis://127.0.0.1:{port}/0", retry_seconds=0
            )

    def test_silence(self, load):
        """A server that does not answer is given up after the timeout, and not tried again."""
        with serving(b"") as port:
            began = time.monotonic()
            message = refusal(load, f"redis://u:{QUOTED}@127.0.0.1:{port}/0", timeout=0.2)
            assert time.monotonic() - began < 2
        assert "did not answer in time" in message
        assert "?socket_timeout=" in message  # in the URL, which the command takes too


class serving:  # noqa: N801  # used as a function
    """Listen on a free port, and answer whatever comes with these bytes."""

    def __init__(self, answer):
        self._answer = answer

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self._listener.getsockname()[1]

    def _serve(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            if self._answer:
                connection.sendall(self._answer)

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._connections:
            connection.close()


class TestAccess:
    @pytest.fixture
    def guarded(self, start_redis):
        """A server with a password, and users that may do little."""
        return start_redis(
            *("--requirepass", SECRET),
            *f"--user reader on >{SECRET} ~p:* -@all +scan +get +mget +strlen +type +llen +lrange".split(),
            *f"--user blind on >{SECRET} ~* -@all +scan".split(),
            *f"--user limited on >{SECRET} ~p:acg_stability:a -@all +@read".split(),
        )

    def arrange(self, server):
        with RedisBackend(server.url(user=f":{QUOTED}@"), key_prefix="p:", writable=True) as backend:
            backend.store_stability("a", RESULT)
            backend.store_stability("b", RESULT)
            backend.store_run(make_run())

    def test_right(self, load, guarded):
        """A password with odd characters works, percent-encoded, for a user too; the reader needs no more than told."""
        self.arrange(guarded)
        assert load(guarded.url(user=f":{QUOTED}@")) == RESULT
        assert load(guarded.url(user=f"reader:{QUOTED}@")) == RESULT
        assert load(f"{guarded.url()}?username=reader&password={QUOTED}") == RESULT
        with RedisBackend(guarded.url(user=f"reader:{QUOTED}@")) as backend:
            assert len(list(backend.scan(Selection()))) == 3

    @pytest.mark.parametrize("user", ["", ":p4sswrong@", "reader:p4sswrong@", f"nobody:{QUOTED}@", "p4ss@"])
    def test_wrong(self, load, guarded, user):
        """A wrong password, or none, is reported at once, with what to do, which masking leaves whole."""
        message = refusal(load, guarded.url(user=user))
        assert "refused the credentials; give the right ones in the URL, with special characters" in message
        assert "127.0.0.1" in message

    def test_words_are_not_masked(self, load, guarded):
        """What it says to do is still whole when the command masks what may be a password."""
        message = refusal(load, guarded.url())
        assert mask_credentials(message) == message

    def test_wrong_in_the_query(self, load, guarded):
        """A password in the query is as secret."""
        assert "refused the credentials" in refusal(load, f"{guarded.url()}?password=p4sswrong")

    def test_none_wanted(self, load, redis_server):
        """A user that the server does not know is reported."""
        assert "refused the credentials" in refusal(load, redis_server.url(user=f"nobody:{QUOTED}@"))

    def test_command_denied(self, load, guarded):
        """A user that lacks a needed command learns which commands to grant."""
        self.arrange(guarded)
        message = refusal(load, guarded.url(user=f"blind:{QUOTED}@"))
        assert "denies this user STRLEN, or its key; to read, grant SCAN, GET, GETRANGE, MGET" in message
        with (
            RedisBackend(guarded.url(user=f"blind:{QUOTED}@")) as backend,
            pytest.raises(SourceError, match="denies this user STRLEN, or its key"),
        ):
            list(backend.scan(Selection()))

    def test_key_denied(self, load, guarded):
        """A key that this user may not read comes as an error in its place; the others come too."""
        self.arrange(guarded)
        url = guarded.url(user=f"limited:{QUOTED}@")
        assert load(url) == RESULT
        with RedisBackend(url) as backend:
            entries = {(entry.kind, entry.key): entry.raw for entry in backend.scan(Selection())}
            with pytest.raises(SourceError, match="denies this user GET, or its key"):
                backend.load_stability("b")
        assert isinstance(entries["stability", "a"], bytes)
        assert "expected a string, got a key that this user may not read" in str(entries["stability", "b"])
        assert "expected a list of run ids, got a key that this user may not read" in str(entries["run", "a"])

    def test_write_denied(self, guarded):
        """A user that may not write learns which commands writing needs; the data is not repeated."""
        self.arrange(guarded)
        text = "private" * 2
        with RedisBackend(guarded.url(user=f"reader:{QUOTED}@"), writable=True) as backend:
            for store in (
                lambda: backend.store_stability("a", RESULT),
                lambda: backend.store_run(make_run(make_request(text))),
                lambda: backend.store_observations("a", [make_ir(("user-0", text))]),
            ):
                with pytest.raises(SourceError, match="to write SET, RPUSH, EXISTS, MULTI and EXEC") as refused:
                    store()
                assert text not in everything(refused.value)

    def test_no_database(self, load, redis_server):
        """A database that the server has not is reported as such."""
        assert "has no database of this number" in refusal(load, redis_server.url(99))

    def test_full(self, start_redis):
        """A server that is out of memory is reported as such, and the run is in neither place."""
        server = start_redis("--maxmemory", "1")
        with RedisBackend(server.url(), key_prefix="p:", writable=True) as backend:
            with pytest.raises(SourceError, match="is out of memory and takes no writes"):
                backend.store_run(make_run())
            assert list(backend.scan(Selection())) == []

    def test_replica(self, start_redis, redis_server):
        """A replica that is to be written is reported as such."""
        server = start_redis("--replicaof", "127.0.0.1", redis_server.port)
        with (
            RedisBackend(server.url(), key_prefix="p:", writable=True) as backend,
            pytest.raises(SourceError, match="is a read-only replica"),
        ):
            backend.store_stability("a", RESULT)


class TestGoingAway:
    def test_killed(self, start_redis):
        """A server that dies in the middle of a scan ends it with an error; what came before was good."""
        server = start_redis()
        with RedisBackend(server.url(), key_prefix="p:", writable=True, retry_seconds=0.1) as backend:
            for i in range(3):
                backend.store_observations(str(i), [make_ir(("user-0", "x" * (2 << 20)))])
            entries = backend.scan(Selection())
            assert next(entries).key == "0"
            server.kill()
            with pytest.raises(SourceError, match="nothing listens there") as refused:
                list(entries)
            everything(refused.value)

    def test_dropped(self, redis_server, redis_client):
        """A connection that the server has dropped is made anew, unseen."""
        redis_client.set("p:acg_stability:a", b'{"scores":[],"stable_prefix_length":0,"total_observations":1}')
        with RedisBackend(redis_server.url(), writable=True) as backend:
            for _ in range(3):
                assert backend.load_stability("a") == RESULT
                backend.store_run(make_run())
                redis_client.client_kill_filter(_type="normal", skipme=True)
            assert len(backend.list_runs("a")) == 1

        async def again():
            async with AsyncRedisBackend(redis_server.url()) as backend:
                for _ in range(3):
                    assert await backend.load_stability("a") == RESULT
                    redis_client.client_kill_filter(_type="normal", skipme=True)

        asyncio.run(again())

    def test_always_dropped(self, load):
        """Connections that always break off are given up after the retries."""
        with serving(b"-ERR max number of clients reached\r\n") as port:
            message = refusal(load, f"redis://127.0.0.1:{port}/0", retry_seconds=0.1)
        assert "broke off the connection" in message


class TestUrls:
    @pytest.mark.parametrize(
        "url",
        [
            f"http://u:{QUOTED}@host/0",
            f"u:{QUOTED}@host",
            "redis://u:p4ss/word@host/0",
            "redis://u:p4ss#word@host/0",
            "redis://:12/p4ss@host/0",
            f"redis://u:{QUOTED}@host:99999/0",
            f"redis://u:{QUOTED}@host:port/0",
            f"redis://u:{QUOTED}@[::1/0",
            f"redis://u:{QUOTED}@host/database",
            f"redis://u:{QUOTED}@a..b/0",
            f"redis://u:{QUOTED}@host/0?socket_timeout=p4ss",
            f"redis://u:{QUOTED}@host/0?no_such_option=p4ss",
            f"redis://u:{QUOTED}@host/0?ssl_cert_reqs=p4ss",
            f"rediss://u:{QUOTED}@host/0?ssl_cert_reqs=p4ss",
            f"redis://u:{QUOTED}@host/0?protocol=9",
            f"redis://u:{QUOTED}@host/0?max_connections=-1",
            "",
            None,
            7,
        ],
    )
    @pytest.mark.parametrize("backend", [RedisBackend, AsyncRedisBackend])
    def test_unusable(self, backend, url):
        """A URL that can't be used is refused before anything is connected, and is not repeated."""
        assert "URL" in refusal(backend, url, UsageError)

    @pytest.mark.parametrize(
        ("url", "label"),
        [
            ("redis://", "redis://localhost:6379/0"),
            ("redis://cache", "redis://cache:6379/0"),
            ("redis://cache/", "redis://cache:6379/0"),
            ("redis://cache:1/7", "redis://cache:1/7"),
            ("redis://cache?db=7", "redis://cache:6379/7"),
            ("redis://[::1]:1/2", "redis://[::1]:1/2"),
            (f"rediss://{QUOTED}@cache", "rediss://***@cache:6379/0"),
            (f"redis://:{QUOTED}@cache", "redis://***@cache:6379/0"),
            (f"redis://u:{QUOTED}@cache", "redis://***@cache:6379/0"),
            (f"redis://cache?password={QUOTED}&username=u", "redis://***@cache:6379/0"),
            (f"rediss://cache?ssl_ca_certs={QUOTED}", "rediss://cache:6379/0"),
            (f"unix://u:{QUOTED}@/run/r.sock?db=1", "unix://***@/run/r.sock?db=1"),
        ],
    )
    @pytest.mark.parametrize("backend", [RedisBackend, AsyncRedisBackend])
    def test_label(self, backend, url, label):
        """The label says address and database, and of credentials only that there are some."""
        made = backend(url)
        assert made.label == label
        assert repr(made) == f"{backend.__name__}({label!r}, key_prefix='auto')"


@pytest.mark.parametrize(
    ("error", "words", "transient"),
    [
        (exceptions.BusyLoadingError("p4ss"), "is still loading its data; try again soon", True),
        (
            exceptions.MovedError("1 127.0.0.1:1"),
            "is a node of a Redis Cluster, which can't be read as one source",
            False,
        ),
        (exceptions.ClusterDownError("p4ss"), "is a Redis Cluster that is down", False),
        (exceptions.ClusterCrossSlotError("p4ss"), "is a node of a Redis Cluster", False),
        (exceptions.ResponseError("MISCONF p4ss"), "answered with an error (MISCONF)", False),
        (exceptions.ResponseError("p4ss"), "answered with an error (ERR)", False),
        (OSError("p4ss"), "can't be reached", False),
    ],
)
def test_words(error, words, transient):
    """What a server refuses is reported in words, without the text of its answer."""
    failure = explain_error(error, "label")
    assert str(failure.error).startswith(f"label {words}")
    assert failure.transient is transient
    assert "p4ss" not in everything(failure.error)
