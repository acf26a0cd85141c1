"""The snapshot: what it shows of itself, what makes two equal, and where it can be written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from learned_backend import SECRET, learned_backend, run_of
from strategies import make_ir, make_run, windows

import acg_lab as acg
from acg_lab._format import counted
from acg_lab.core import StabilityAnalysisResult
from acg_lab.core.window import CountedWindow
from acg_lab.storage.memory import MemoryBackend

KEY = "a::model=m::seed=no-seed::system=no-system::tools=no-tools"
RESULT = StabilityAnalysisResult(scores=(), stable_prefix_length=0, total_observations=0)
NASTY = "<script>alert('&')</script>"


class TestMappings:
    def test_reading_only(self):
        """Windows, results and seed entries can't be changed, nor can the snapshot."""
        snap = acg.load(learned_backend())
        for mapping in (snap.windows, snap.stability, snap.seeds, snap.rules):
            with pytest.raises(TypeError):
                mapping["x"] = ()
            with pytest.raises(KeyError):
                mapping["x"]
            assert "x" not in mapping
        with pytest.raises(AttributeError):
            snap.source = "elsewhere"
        assert isinstance(snap.windows[next(iter(snap.windows))], tuple)

    def test_keys_are_offered(self):
        """Jupyter completes learning keys, which are sorted."""
        snap = acg.load(learned_backend("b", backend=learned_backend("a")))
        assert snap.windows._ipython_key_completions_() == sorted(snap.windows)
        assert repr(snap.windows) == "<2 by learning key>"

    def test_runs_are_a_sequence(self):
        """Runs are made one by one, or as a slice, also from the end."""
        backend = learned_backend(n_runs=4)
        runs, stored = acg.load(backend).runs, backend.list_runs("a")
        assert (runs[0], runs[-1], list(runs[1:3]), len(runs)) == (stored[0], stored[-1], list(stored[1:3]), 4)
        assert repr(runs) == "<Runs: 4 runs, 8 calls>"
        with pytest.raises(IndexError):
            runs[4]

    def test_seed_entries(self):
        """A seed entry may have a window, a result, or both."""
        backend = MemoryBackend()
        backend.store_observations("window", [make_ir()])
        backend.store_stability("result", RESULT)
        snap = acg.load(backend)
        assert dict(snap.seeds) == {"window": ((make_ir(),), None), "result": ((), RESULT)}
        assert (dict(snap.windows), dict(snap.stability)) == ({}, {})
        assert snap.agent_ids == ("result", "window")

    def test_agents_of_runs_alone(self):
        """An agent that has runs and nothing else is an agent too."""
        backend = MemoryBackend()
        backend.store_run(make_run(agent_id="lonely"))
        assert acg.load(backend).agent_ids == ("lonely",)

    @given(st.lists(windows(), min_size=1, max_size=3))
    def test_counts(self, stored):
        """Columns are counted as windows of records are."""
        backend = MemoryBackend()
        for i, window in enumerate(stored):
            backend.store_observations(f"a{i}::model=m::seed=no-seed::system=no-system::tools=no-tools", window)
        snap = acg.load(backend)
        assert len(snap.counts) == len(stored)
        for key, counts in snap.counts.items():
            assert sorted(counts) == sorted(CountedWindow(snap.windows[key]).counts())
            assert snap.n_observations(key) == len(snap.windows[key])


class TestRepr:
    def test_facts(self):
        """A line for the whole, and one an agent: profiles, observations and the days of its runs."""
        backend = learned_backend("b", n_runs=1, backend=learned_backend("a"))
        assert repr(acg.load(backend)) == (
            "<Snapshot of memory: 2 agents, 2 profiles, 10 observations, 6 distinct texts, 5 runs>\n"
            "  'a': 1 profile, 8 observations, 4 runs from 2026-11-01 to 2026-11-04\n"
            "  'b': 1 profile, 2 observations, 1 run from 2026-11-01 to 2026-11-01"
        )

    def test_nothing(self):
        """A source without anything is shown as that."""
        snap = acg.load(MemoryBackend())
        assert repr(snap) == "<Snapshot of memory: 0 agents, 0 profiles, 0 observations, 0 distinct texts, 0 runs>"
        assert "0 profiles" in snap._repr_html_()

    def test_many_agents(self):
        """Of many agents the first are shown, and the number of the others told."""
        backend = MemoryBackend()
        for i in range(25):
            backend.store_run(make_run(agent_id=f"agent {i:02}"))
        lines = repr(acg.load(backend)).splitlines()
        assert (len(lines), lines[-1]) == (22, "  '...': 5 more agents")

    def test_untrusted(self):
        """Ids are escaped in HTML, and no text of a prompt is shown."""
        backend = learned_backend(NASTY, n_runs=2)
        backend.store_run(run_of("b\x1b[31m\nc", 0, ["x"]))
        snap = acg.load(backend)
        assert "<script" not in snap._repr_html_()
        assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in snap._repr_html_()
        assert "\x1b" not in repr(snap)
        for shown in (repr(snap), snap._repr_html_(), repr(snap.runs), repr(snap.windows), repr(snap.seeds)):
            assert SECRET not in shown
            assert "question" not in shown

    def test_source(self, tmp_path):
        """The source is shown as it was named, escaped."""
        path = tmp_path / "<b>"
        acg.load(learned_backend()).to_parquet(path)
        snap = acg.load(path)
        assert repr(snap).startswith(f"<Snapshot of {tmp_path}/<b>: ")
        assert "/&lt;b&gt;</code>" in snap._repr_html_()

    def test_numbers_have_their_nouns(self):
        """One entry, two entries; thousands are set apart."""
        assert [counted(n, "entry") for n in (0, 1, 2000)] == ["0 entries", "1 entry", "2,000 entries"]
        assert counted(1, "run") == "1 run"


class TestEquality:
    def test_what_counts(self):
        """Equal is what holds equal windows, results, seed entries and runs, wherever it was read."""
        snap = acg.load(learned_backend())
        assert snap == acg.load(learned_backend())
        changes = [
            lambda backend: backend.store_observations(KEY, [make_ir(("u", "x"))]),
            lambda backend: backend.store_stability(KEY, RESULT),
            lambda backend: backend.store_stability("a", RESULT),
            lambda backend: backend.store_run(make_run(run_id="another")),
        ]
        for change in changes:
            backend = learned_backend()
            change(backend)
            assert acg.load(backend) != snap

    def test_others(self):
        """A snapshot equals nothing else, and has no hash."""
        snap = acg.load(MemoryBackend())
        assert snap != 5
        assert snap != {}
        with pytest.raises(TypeError):
            hash(snap)

    def test_order_of_storing(self):
        """The order in which agents were stored makes no difference."""
        one, other = (
            learned_backend("b", backend=learned_backend("a")),
            learned_backend("a", backend=learned_backend("b")),
        )
        assert acg.load(one) == acg.load(other)
        assert list(acg.load(one).runs) == list(acg.load(other).runs)


class TestToRedis:
    def test_round_trip(self, redis_url, redis_client):
        """What is written there is loaded as equal, under the prefix that was named; other entries are left alone."""
        redis_client.set("other", "entry")
        snap = acg.load(learned_backend("b", backend=learned_backend("a")))
        snap.to_redis(redis_url, key_prefix="mine:")
        again = acg.load(redis_url)
        assert again == snap
        assert again.columns.key_prefix == "mine:"
        assert redis_client.lrange("mine:runs_index:a", 0, -1) == [f"run-{i}".encode() for i in range(4)]
        assert redis_client.get("other") == b"entry"
        assert len(redis_client.keys("mine:*")) == len(redis_client.keys()) - 1

    @pytest.mark.parametrize("taken", ["acg_observations:a", "acg_stability:a", "runs:a:run-1", "runs_index:a"])
    def test_nothing_is_overwritten(self, redis_url, redis_client, taken):
        """If one key is there, whatever it holds, nothing is written, and the key is named."""
        redis_client.lpush(f"p:{taken}", "theirs")
        with pytest.raises(acg.UsageError, match="nothing is ever overwritten") as caught:
            acg.load(learned_backend()).to_redis(redis_url, key_prefix="p:")
        assert f"p:{taken}" in str(caught.value)
        assert redis_client.keys() == [f"p:{taken}".encode()]

    def test_the_prefix_of_the_source(self, redis_url, tmp_path):
        """A source that knows its prefix is written under it, also by way of an export; else one must be named."""
        acg.load(learned_backend()).to_redis(redis_url, key_prefix="nemo_flow:")
        acg.load(redis_url).to_parquet(tmp_path / "export")
        other = f"{redis_url[:-1]}1"
        acg.load(tmp_path / "export").to_redis(other)
        assert acg.load(other).columns.key_prefix == "nemo_flow:"
        with pytest.raises(acg.UsageError, match="has no key prefix"):
            acg.load(learned_backend()).to_redis(other)

    @pytest.mark.parametrize("url", ["http://u:hunter2@host/0", "", "redis://u:hunter2@127.0.0.1:1/0"])
    def test_places_that_are_none(self, url):
        """An address that is none, or where nothing listens, is reported without its password."""
        with pytest.raises((acg.UsageError, acg.SourceError)) as caught:
            acg.load(learned_backend()).to_redis(url, key_prefix="p:")
        assert "hunter2" not in f"{caught.value} {caught.value!r}"


def test_owners_tell_seed_entries():
    """Whose each stored key is is in the snapshot."""
    snap = acg.load(learned_backend())
    assert {key: tuple(owner) for key, owner in snap.owners.items()} == {
        "a": ("a", True),
        next(iter(snap.windows)): ("a", False),
    }
