"""Passwords come from the environment, a file or a prompt, and show in no traceback with its locals."""

import asyncio
import io
import os
import pty
import subprocess
import sys
import threading
import traceback

import pytest
from learned_backend import learned_backend
from rich.console import Console
from rich.traceback import Traceback

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.core import AcgLearner, HotCache
from acg_lab.storage.redis_backend import AsyncRedisBackend, RedisBackend

PASSWORD = "p4ss:w@rd"
QUOTED = "p4ss%3Aw%40rd"
VARIABLE = "ACG_LAB_REDIS_PASSWORD"


@pytest.fixture
def closed(start_redis):
    """Return the address, without credentials, of a server that wants a password and holds two agents."""
    server = start_redis("--requirepass", PASSWORD)
    acg.load(learned_backend()).to_redis(server.url(user=f":{QUOTED}@"), key_prefix="p:")
    return server.url()


def test_environment(closed, monkeypatch):
    """An address without a password takes that of the environment; one with a password keeps its own."""
    with pytest.raises(acg.SourceError, match=VARIABLE):
        acg.load(closed)
    monkeypatch.setenv(VARIABLE, PASSWORD)
    assert acg.load(closed) == acg.load(learned_backend())
    assert acg.load(closed.replace("redis://", "redis://default@")) == acg.load(learned_backend())
    for own in (":wrong@", ":@"):
        with pytest.raises(acg.SourceError, match="refused the credentials"):
            acg.load(closed.replace("redis://", f"redis://{own}"))

    async def main():
        async with AsyncRedisBackend(closed, key_prefix="p:") as backend:
            return await backend.load_stability("a")

    assert asyncio.run(main()) is not None


def test_file(closed, tmp_path, monkeypatch, capsys):
    """The command takes the first line of a file; a file without one, or none, is an error that does not show it."""
    monkeypatch.setenv(VARIABLE, "")
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n", encoding="utf-8")
    main_status(["analyze", closed, "--password-file", str(path)], 0)
    monkeypatch.setenv(VARIABLE, "")
    path.write_text("\n", encoding="utf-8")
    main_status(["analyze", closed, "--password-file", str(path)], 2)
    main_status(["analyze", closed, "--password-file", str(tmp_path / "none")], 1)
    error = capsys.readouterr().err
    assert "expected a password in the first line" in error
    assert "No such file" in error
    assert PASSWORD not in error


def main_status(arguments, status):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert (ended.value.code or 0) == status


@pytest.mark.slow
def test_prompt(closed):
    """With ``-`` the terminal asks, and shows nothing of the answer; without a terminal that is wrong use."""
    command = [sys.executable, "-m", "acg_lab", "analyze", closed, "--password-file", "-"]
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False, **options)
    assert (done.returncode, b"no terminal" in done.stderr) == (2, True)
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, start_new_session=True, **options) as process:
        timer = threading.Timer(60, process.kill)
        timer.start()
        asked = process.stderr.read(len("Password"))  # what is typed before is discarded
        os.write(ours, f"{PASSWORD}\n".encode())
        shown, errors = process.communicate()
        timer.cancel()
    os.close(theirs)
    os.close(ours)
    assert (process.returncode, asked) == (0, b"Password"), errors
    assert b"profile" in shown
    assert PASSWORD.encode() not in shown + errors


def frames_of(error):
    """Return what a debugger shows of an error: every frame but the test's own, with its locals, in two ways."""
    inner = error.__traceback__.tb_next
    shown = "".join(traceback.TracebackException(type(error), error, inner, capture_locals=True).format())
    rich = Console(file=(file := io.StringIO()), width=300)
    rich.print(Traceback.from_exception(type(error), error, inner, show_locals=True, locals_max_string=None))
    return shown + file.getvalue()


URL = f"redis://reader:{QUOTED}@127.0.0.1:1/0"
LEARNED = learned_backend()
RUN = LEARNED.list_runs("a")[0]


def learn():
    with RedisBackend(URL, key_prefix="p:", writable=True, retry_seconds=0) as backend:
        AcgLearner("a").process_run(RUN, backend, HotCache())


def learn_async():
    async def main():
        async with AsyncRedisBackend(URL, key_prefix="p:", writable=True, retry_seconds=0) as backend:
            await AcgLearner("a").aprocess_run(RUN, backend, HotCache())

    asyncio.run(main())


@pytest.mark.parametrize(
    "act",
    [
        lambda: acg.load(URL),
        lambda: acg.load(f"{URL}?no_such_option=1"),
        lambda: acg.load(f"redis://reader:{QUOTED}@host/name"),
        lambda: acg.load(LEARNED).to_redis(URL, key_prefix="p:"),
        lambda: acg.verify(acg.load(learned_backend(rules="nemo-flow-0.2"), rules="nemo-relay-0.8"), source=URL),
        lambda: RedisBackend(f"{URL}?socket_timeout=never"),
        lambda: AsyncRedisBackend(f"redis://reader:{QUOTED}@host/name"),
        learn,
        learn_async,
    ],
)
@pytest.mark.parametrize("by_environment", [False, True])
def test_no_traceback_shows_a_password(act, by_environment, monkeypatch):
    """Neither the plain nor the quoted password stands in a frame's locals, whatever failed."""
    if by_environment:
        monkeypatch.setenv(VARIABLE, PASSWORD)
        monkeypatch.setitem(globals(), "URL", URL.replace(f":{QUOTED}", ""))
    with pytest.raises(acg.AcgLabError) as caught:
        act()
    shown = frames_of(caught.value)
    assert "127.0.0.1" in shown or "host" in shown or "URL" in shown
    assert PASSWORD not in shown
    assert QUOTED not in shown


def test_a_backend_that_was_not_opened_has_a_repr():
    """What a failed constructor left can be shown."""
    for kind in (RedisBackend, AsyncRedisBackend, acg.ParquetExport):
        assert "not opened" in repr(kind.__new__(kind))
