"""A bulk read leaves a Redis at least half of its time, unless the server is on this machine."""

import itertools
import logging
import re
import time

import pytest
from learned_backend import learned_backend

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.storage.base import EVERYTHING
from acg_lab.storage.redis_backend import RedisBackend
from acg_lab.storage.sources import open_source


@pytest.fixture
def stored(redis_url):
    acg.load(learned_backend("a", 30)).to_redis(redis_url, key_prefix="p:")
    return redis_url


@pytest.fixture
def events(monkeypatch):
    """The replies of all backends and the rests, in order, each with its seconds."""
    seen, ask, sleep = [], RedisBackend._try, time.sleep

    def timed(name, call):
        def run(*args):
            start = time.perf_counter()
            try:
                return call(*args)
            finally:
                seen.append((name, time.perf_counter() - start))

        return run

    monkeypatch.setattr(RedisBackend, "_try", timed("reply", ask))
    monkeypatch.setattr(time, "sleep", timed("rest", sleep))
    return seen


def check_rests(events):
    """Every reply is followed by a rest that is as long or longer."""
    replies, rests = events[::2], events[1::2]
    assert len(replies) == len(rests) > 2
    assert all(name == "reply" for name, _ in replies)
    assert all(name == "rest" for name, _ in rests)
    assert all(rest >= reply for (_, reply), (_, rest) in zip(replies, rests, strict=True))


def test_each_reply_is_followed_by_a_rest_as_long(stored, events):
    """A gentle load rests after each reply at least as long as the reply took, and reads the same."""
    gentle = acg.load(stored, gentle=True)
    check_rests(events)
    events.clear()
    assert acg.load(stored, gentle=False) == gentle == acg.load(stored)
    assert {name for name, _ in events} == {"reply"}


def test_the_times_are_logged(stored, caplog):
    """How long replies took and how long was rested is logged; the rests are as long or longer."""
    with RedisBackend(stored, gentle=True) as backend, caplog.at_level(logging.DEBUG, "acg_lab"):
        assert list(backend.scan(EVERYTHING))
    found = re.search(r"replies took (\S+) s, rests (\S+) s", caplog.text)
    assert float(found[2]) >= float(found[1])


def test_a_list_of_agents_is_gentle_too(stored, events):
    """Listing agents scans all keys, and so rests; single documents are read and written without rests."""
    with RedisBackend(stored, gentle=True, writable=True) as backend:
        assert backend.list_agents() == {"a"}
        check_rests(events)
        events.clear()
        (run, *_) = backend.list_runs("a")
        backend.store_run(run)
    assert {name for name, _ in events} == {"reply"}


@pytest.mark.parametrize(("option", "rests"), [("--gentle", True), ("--no-gentle", False), (None, False)])
def test_the_command_line(stored, events, capsys, option, rests):
    """The option decides whether the command rests; without it this machine's server is read without rests."""
    with pytest.raises(SystemExit) as ended:
        main(["analyze", stored, *([option] if option else [])])
    assert ended.value.code == 0
    assert "a" in capsys.readouterr().out
    assert ("rest" in {name for name, _ in events}) is rests


def test_what_verify_reads_again_is_read_gently(stored, redis_client, events, capsys):
    """The option holds for all that a command reads, and so for what `verify` reads again because it differs."""
    (key,) = (key for key in redis_client.keys("p:acg_stability:*") if b"::model=" in key)
    redis_client.set(key, re.sub(rb'"total_observations":\d+', b'"total_observations":7', redis_client.get(key)))
    with pytest.raises(SystemExit) as ended:
        main(["verify", stored, "--gentle"])
    assert ended.value.code == 1
    assert "differ" in capsys.readouterr().out
    after = [following for (name, _), (following, _) in itertools.pairwise(events) if name == "reply"]
    assert len(after) > 10
    assert set(after) == {"rest"}


@pytest.mark.parametrize(
    ("url", "is_gentle"),
    [
        ("redis://localhost/0", False),
        ("redis://127.0.0.1:7000", False),
        ("redis://127.8.0.1", False),
        ("redis://[::1]:6379/1", False),
        ("redis:///2", False),
        ("unix:///run/redis.sock", False),
        ("redis://cache:6379/0", True),
        ("rediss://user:secret@10.0.0.5/0", True),
        ("redis://[2001:db8::1]/0", True),
        ("redis://localhost.example/0", True),
        ("redis+cluster://10.0.0.5:7000", True),
        ("redis+cluster://localhost:7000", False),
        ("redis+sentinel://cache:26379/main/0", True),
    ],
)
def test_the_default_is_by_address(url, is_gentle):
    """A server is read gently unless it is on this machine; the option decides otherwise."""
    assert open_source(url).gentle is is_gentle
    assert open_source(url, gentle=not is_gentle).gentle is not is_gentle
