"""Telling sources apart, and masking credentials."""

import re
import time
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acg_lab.core.errors import UsageError
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.redis_backend import AsyncRedisBackend, RedisBackend
from acg_lab.storage.sources import mask_credentials, open_source


class TestMasking:
    @pytest.mark.parametrize(
        ("text", "masked"),
        [
            ("redis://u:secret@h:1/0", "redis://***@h:1/0"),
            ("redis://:secret@h", "redis://***@h"),
            ("redis://secret@h", "redis://***@h"),
            ("rediss://u:s%65cret%40@h", "rediss://***@h"),
            ("redis://u:secr@et@h", "redis://***@h"),
            ("redis://u:/sec#r?et@h", "redis://***@h"),
            ("redis://u/v:secret@h", "redis://***@h"),
            ("redis://u:sec ret@h", "redis://***@h"),
            ("redis://u:sec://ret@h", "redis://***@h"),
            ("redis://u:12/secret@h", "redis://***@h"),
            ("REDIS://u:secret@h", "REDIS://***@h"),
            ("s3+https://key:secret@bucket/x", "s3+https://***@bucket/x"),
            ("unix://u:secret@/run/r.sock", "unix://***@/run/r.sock"),
            ("redis://h?password=secret&db=1", "redis://h?password=***&db=1"),
            ("redis://h?db=1&ssl_password=sec%20ret#et", "redis://h?db=1&ssl_password=***"),
            ("redis://h?p%61ssword=secret", "redis://h?p%61ssword=***"),
            ("s3://b/x?access_key=secret&secret_key=secret", "s3://b/x?access_key=***&secret_key=***"),
            ("https://b/x?sv=1&sig=secret", "https://b/x?sv=1&sig=***"),
            ("a redis://u:secret@h and redis://v:secret@i.", "a redis://***@h and redis://***@i."),
            ("no redis://h:1 nor redis://v:secret@i", "no redis://h:1 nor redis://***@i"),
        ],
    )
    def test_masked(self, text, masked):
        """Credentials in URL-like text are masked, whatever characters they hold; masking again changes nothing."""
        assert mask_credentials(text) == masked
        assert mask_credentials(masked) == masked

    @pytest.mark.parametrize(
        "text",
        [
            "data/sample",
            "C:\\data\\sample",
            "redis://h:1/0",
            "redis://[::1]:1/0",
            "s3://bucket/me@home/x",
            "s3://bucket/x?region=eu&endpoint=e",
            "file:///home/a@b:c@d",
            "unix:///tmp/a:b@c.sock",
            "a@b: c://",
            "redis://h:1/0, key 'nemo_flow:acg_stability:a::model=m', at $: x",
            "",
        ],
    )
    def test_left(self, text):
        """What holds no credentials is left as it is."""
        assert mask_credentials(text) == text


class TestOpening:
    @pytest.mark.parametrize("url", ["redis://h", "rediss://h:1/2", "unix:///run/r.sock"])
    def test_redis(self, url):
        """What begins as redis-py's URLs do is a Redis, opened for reading by default."""
        backend = open_source(url, key_prefix="p:")
        assert isinstance(backend, RedisBackend)
        assert (backend.key_prefix, backend.writable) == ("p:", False)
        assert open_source(url, writable=True).writable

    @pytest.mark.parametrize(
        "source", ["data/sample", "s3://bucket/x", "file:///x", Path("x.parquet"), PurePosixPath("x")]
    )
    def test_parquet(self, source):
        """Any other text or path is a Parquet export; it is not opened yet."""
        backend = open_source(source)
        assert type(backend).__name__ == "ParquetExport"
        assert backend.label == str(source)

    @pytest.mark.parametrize(
        "address",
        [
            *("localhost:6379", "10.0.0.1:6379/2", "cache.internal:1/", "redis:/cache:1/0", "redis:cache:1"),
            *("u:secret@cache:1/0", "u:s/e@cret@cache", ":secret@cache", "redis:/u:secret@cache"),
        ],
    )
    def test_address_without_its_beginning(self, address):
        """The address of a Redis without ``redis://`` is no path: it is refused, and its password not repeated."""
        with pytest.raises(UsageError, match=r"must begin with redis://, rediss:// or unix://") as refused:
            open_source(address)
        assert "ret" not in str(refused.value)

    @pytest.mark.parametrize("name", ["agent:7", "mail:me@home"])
    def test_files_that_look_like_addresses(self, name, tmp_path, monkeypatch):
        """What is there under such a name is an export; so is any path with a folder."""
        assert type(open_source(f"exports/{name}")).__name__ == "ParquetExport"
        monkeypatch.chdir(tmp_path)
        Path(name).mkdir()
        assert type(open_source(name)).__name__ == "ParquetExport"

    def test_backend(self):
        """A backend is handed back unchanged."""
        backend = MemoryBackend()
        assert open_source(backend, key_prefix="p:") is backend

    @pytest.mark.parametrize(
        ("source", "came"),
        [
            (None, "NoneType"),
            (7, "int"),
            (b"redis://h", "bytes"),
            ({}, "dict"),
            ("", "an empty text"),
            ("redis+other://u:secret@h", r"redis\+other://"),
            ("REDIS://u:secret@h", "REDIS://"),
            (AsyncRedisBackend("redis://u:secret@h"), "AsyncRedisBackend"),
        ],
    )
    def test_anything_else(self, source, came):
        """Anything else is refused with a list of what is accepted, and without what it holds."""
        with pytest.raises(UsageError, match=rf"redis://.*Parquet.*MemoryBackend; got {came}\.$") as refused:
            open_source(source)
        assert "secret" not in str(refused.value)


# The rule as one expression, which is quadratic.
USER_INFO = re.compile(
    r"""
    (?P<scheme>\b[a-z][a-z0-9+.-]*://)(?!/)
    (?:
        [^\s/:]* : (?:(?!\s\S*?://).)* @     # user:password@, the password with any characters
      | [^\s/?#]* @                          # user@
      | (?:(?!://)\S)* : (?:(?!://)\S)* @    # user/name:password@
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
PIECES = ["a", "://", "redis://", "u", "@", ":", "/", " ", "\n", "?", "#", "x", ".", "1", "//"]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_masking_follows_its_rule(text):
    """User info is what the rule says, whatever stands around it."""
    assert mask_credentials(text) == USER_INFO.sub(r"\g<scheme>***@", text)


@pytest.mark.parametrize(
    "piece", ["a://", "a://b:", "a://b/c:", "a://u@ ", "a.", "a://@", " a://b", "?a=", "a://b:\n", "://", "@", ":@"]
)
@pytest.mark.slow
def test_masking_is_linear(piece):
    """Ten times the text takes at most about ten times as long: a quadratic search would take a hundred times."""
    short, long = piece * 3_000 + "@", piece * 30_000 + "@"
    turns = [(cpu_seconds(short), cpu_seconds(long)) for _ in range(5)]  # in turn: a busy neighbour meets both
    for_short, for_long = map(min, zip(*turns, strict=True))
    assert for_long < 40 * for_short + 0.01


def cpu_seconds(text):
    began = time.process_time()
    mask_credentials(text)
    return time.process_time() - began
