"""Whatever a decoder gets, it raises a child of AcgLabError or reads it, in time that its length explains.

A few hundred inputs each in CI. ``ACG_LAB_LONG=1 python -m pytest tests/test_hostile_inputs.py -s`` tries 200,000.
"""

import gzip
import os
import sys
import time
import warnings
from pathlib import Path

import pytest
from hostile_inputs import Damage, Replies
from learned_backend import learned_backend

import acg_lab as acg
from acg_lab.config.document import parse_json, parse_toml, read_settings
from acg_lab.core.codec import decode, decode_window, encode, encode_window
from acg_lab.core.records import RunRecord, StabilityAnalysisResult
from acg_lab.core.strict_json import parse_strict
from acg_lab.snapshot.load_log import LoadWarning
from acg_lab.storage.base import Entry
from acg_lab.storage.redis_backend import RedisBackend

LONG = bool(os.environ.get("ACG_LAB_LONG"))
SLOW = 2.0  # seconds for an input of at most a few hundred kilobytes, on a busy machine
LOGS = Path(__file__).parent / "logs" / "fixtures"
CONFIG = """\
version = 1
# the learner
[[components]]
kind = "adaptive"
enabled = true
[components.config]
agent_id = "support"
learners = ["acg"]
state = {backend = {kind = "redis", url = "redis://cache:6379/0"}}
[components.config.acg]
observation_window = 50
provider = "anthropic"
stability_thresholds = {stable_threshold = 0.9, semi_stable_threshold = 0.5, min_observations_for_full_confidence = 10}
"""
JSON = '{"version":1,"components":[{"kind":"adaptive","enabled":true,"config":{"acg":{"observation_window":50}}}]}'


def attempt(make, read, n):
    """Read n inputs; fail at a foreign error, or if one takes too long."""
    n_read, longest = 0, (0.0, 0)
    for number in range(n):
        given = make()
        started = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LoadWarning)
                read(given)
        except acg.AcgLabError as error:
            str(error), repr(error)
        except BaseException as error:
            error.add_note(f"input {number}: {given[:2000] if isinstance(given, bytes) else given!r}")
            raise
        else:
            n_read += 1
        longest = max(longest, (time.process_time() - started, number))
    figures = f"\n{n:,} inputs, {n_read:,} of them read; the longest took {longest[0]:.2f} s (input {longest[1]:,})\n"
    sys.stdout.write(figures)
    assert longest[0] <= SLOW
    assert n_read


def few(n):
    """Return the number of inputs: so many in all by hand, a two-hundredth in CI."""
    return n if LONG else n // 200


def stored():
    """Return windows, results and runs as JSON."""
    backend = learned_backend()
    snap = acg.load(backend)
    return (
        [encode_window(window) for window in snap.windows.values()],
        [encode(result) for result in snap.stability.values()],
        [encode(run) for run in snap.runs],
    )


@pytest.mark.parametrize("number", range(3), ids=["window", "result", "run"])
def test_stored_values(number):
    """Windows, results and runs as a Redis holds them; read strictly, by record and into columns."""
    kind = ("observations", "stability", "run")[number]
    read = (decode_window, lambda raw: decode(StabilityAnalysisResult, raw), lambda raw: decode(RunRecord, raw))[number]

    def load(raw):
        backend = Given(raw, kind)
        acg.load(backend, progress=False, strict=True)
        read(raw)

    attempt(Damage(stored()[number], number), load, few(30_000))


class Given(acg.MemoryBackend):
    """A backend with one entry."""

    def __init__(self, raw, kind):
        super().__init__()
        self.raw, self.kind = raw, kind

    def scan(self, *_):
        yield Entry(self.kind, "a", self.raw, "a" if self.kind == "run" else "")


def test_any_json():
    """JSON values of any shape, as parts of prompts are."""
    attempt(Damage([document for of in stored() for document in of], 3), parse_strict, few(30_000))


@pytest.mark.parametrize(("parse", "text"), [(parse_toml, CONFIG), (parse_json, JSON)])
def test_config_files(parse, text):
    """Config files in TOML and JSON, down to the settings."""

    def read(raw):
        read_settings(parse(raw.decode(errors="surrogateescape")))

    attempt(Damage([text.encode()], 4), read, few(15_000))


def logs():
    found = [path.read_bytes() for path in sorted(LOGS.glob("*.jsonl"))]
    return [b"\n".join(raw.split(b"\n")[:6]) for raw in found]


def test_logs(tmp_path):
    """Request logs in each format, as a file."""
    path = tmp_path / "log.jsonl"

    def read(raw):
        path.write_bytes(raw)
        acg.load(path, progress=False)

    attempt(Damage(logs(), 5), read, few(24_000))


def test_packed_logs(tmp_path):
    """The same, compressed, with damage in what is packed."""
    path = tmp_path / "log.jsonl"

    def read(raw):
        path.write_bytes(raw)
        acg.load(path, progress=False)

    attempt(Damage([gzip.compress(raw) for raw in logs()], 6), read, few(10_000))


def test_exports(tmp_path):
    """Tables of an export, damaged anywhere."""
    acg.load(learned_backend()).to_parquet(tmp_path / "export")
    tables = {path: path.read_bytes() for path in sorted((tmp_path / "export").iterdir())}
    turn = iter(range(10**9))

    def read(raw):
        path = list(tables)[next(turn) % len(tables)]
        path.write_bytes(raw if raw[:4] == b"PAR1" and next(turn) % 3 == 0 else Damage([tables[path]], next(turn))())
        try:
            acg.load(tmp_path / "export", progress=False)
        finally:
            path.write_bytes(tables[path])

    attempt(Damage(list(tables.values()), 7), read, 1_000 if LONG else 20)  # many need a process of their own


class Answered(RedisBackend):
    """A Redis that answers anything."""

    replies = None

    def _try(self, send):
        return [self.replies() for _ in send.commands]


def test_replies_of_a_redis():
    """A server that answers each command with anything."""

    def read(seed):
        Answered.replies = Replies(seed)
        with Answered("redis://nowhere", key_prefix="p:", gentle=False) as backend:
            acg.load(backend, progress=False)
            backend.load_observations("a")

    seeds = iter(range(10**9))
    n = few(40_000)
    for _ in range(n):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LoadWarning)
                read(next(seeds))
        except acg.AcgLabError:
            pass
