"""Texts of blocks labelled private or restricted: neither exported nor shown unless asked for by name."""

import json
import warnings

import msgspec
import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from learned_backend import learned_backend
from redacted_copies import analyses, bytes_of, partly_redacted
from strategies import make_id, requests, runs

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.core import AcgLearner, HotCache, RunRecord
from acg_lab.core.rules import RULES
from acg_lab.diagnosis.finding import Kind
from acg_lab.storage.memory import MemoryBackend

KEPT = "A policy that everybody may read, and that never changes, whatever the day is."


def secret(i):
    return f"The file of patient {i}: blood pressure 1{i % 7}0, seen on 2026-11-{i % 20 + 10}."


def labelled_backend(label="private", n_runs=8):
    """Return a backend whose windows label a message."""
    backend = learned_backend("other")
    learner, hot_cache = AcgLearner("clinic", rules="nemo-flow-0.2"), HotCache()
    for i in range(n_runs):
        day = f"2026-11-01T08:{i:02}:00Z"
        tool = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
        texts = [("system", KEPT * 60), ("user", "  Good morning."), ("user", secret(i)), ("user", KEPT * 60)]
        messages = [{"role": role, "content": text} for role, text in texts]
        request = {"messages": messages, "model": "claude-sonnet-4-5", "tools": [tool]}
        call = {"kind": "llm", "name": "anthropic", "started_at": day, "annotated_request": request}
        usage = {"prompt_tokens": 2600, "cache_read_tokens": 0, "cache_write_tokens": 0}
        call["annotated_response"] = {"usage": usage}
        run = msgspec.convert(
            {"id": make_id(100 + i), "agent_id": "clinic", "calls": [call], "started_at": day, "ended_at": day},
            RunRecord,
        )
        backend.store_run(run)
        learner.process_run(run, backend, hot_cache, stamp=lambda i=i, day=day: (make_id(200 + i), day))
    for key in acg.load(backend, progress=False).columns.observations.keys:
        window = backend.load_observations(key)
        if any("patient" in block.content for ir in window for block in ir.blocks):
            backend.store_observations(key, [_label(ir, lambda text: "patient" in text, label) for ir in window])
    return backend


def _label(ir, is_private, label="private"):
    named = {True: label, False: "public"}
    blocks = [msgspec.structs.replace(block, sensitivity=named[is_private(block.content)]) for block in ir.blocks]
    return msgspec.structs.replace(ir, blocks=tuple(blocks))


@pytest.mark.parametrize("label", ["private", "restricted"])
def test_exports(tmp_path, label):
    """Exports hold pseudonyms of private texts, in windows and runs, and all other texts; windows and runs agree."""
    backend = labelled_backend(label)
    snap = acg.load(backend)
    snap.to_parquet(tmp_path / "export")
    found = bytes_of(tmp_path / "export")
    assert "patient" not in found
    assert "pressure" not in found
    assert KEPT in found
    copy = acg.load(tmp_path / "export")
    assert not copy.is_redacted
    assert any("private or restricted" in caveat for caveat in copy.caveats)
    assert [v.status for v in acg.verify(copy).verdicts] == [v.status for v in acg.verify(snap).verdicts]
    assert acg.analyze(copy).keys() == acg.analyze(snap).keys()
    assert [r.stable_prefix_length for r in acg.analyze(copy).values()] == [
        r.stable_prefix_length for r in acg.analyze(snap).values()
    ]
    sims = [acg.frames.requests(acg.simulate(one)) for one in (snap, copy)]
    for name in ("read", "tokens", "verdict"):
        assert sims[0][name].tolist() == sims[1][name].tolist()
    assert not {f.kind for f in acg.explain(copy, agent_id="clinic")} & {Kind.IDENTIFIER}
    assert (tmp_path / "export.salt").exists()
    copy.to_parquet(tmp_path / "again")
    assert acg.load(tmp_path / "again") == copy
    asked = acg.load(backend, include_private=True)
    asked.to_parquet(tmp_path / "whole")
    assert acg.load(tmp_path / "whole") == asked
    assert not (tmp_path / "whole.salt").exists()


def test_a_redis_gets_none():
    """A copy to a Redis, which needs the texts as they are, is refused."""
    with pytest.raises(acg.UsageError, match="include_private"):
        acg.load(labelled_backend()).to_redis("redis://localhost:1/0", key_prefix="x:")


def test_excerpts(tmp_path):
    """Findings, frames and reports show no private text unless the snapshot was loaded to show them."""
    shown = {}
    for private in (False, True):
        snap = acg.load(labelled_backend(), include_private=private)
        findings = acg.explain(snap, agent_id="clinic", text=True, money=False)
        blocks = acg.frames.blocks(snap, text=True)
        requests = acg.frames.requests(acg.simulate(snap), text=True)
        acg.report(snap, tmp_path / "report.html", text=True, advice=False)
        shown[private] = [
            any(place.commonest for f in findings for place in f.evidence.places),
            blocks["text"].astype(str).str.contains("patient").any(),
            requests["other_text"].str.contains("patient", na=False).any(),
            "blood pressure" in (tmp_path / "report.html").read_text(),
        ]
        assert blocks["text"].astype(str).str.contains("everybody").any()
        assert (blocks["text"] == "[private]").any() != private
    assert shown[False] == [False] * 4
    assert shown[True][:3] == [True] * 3


def test_commands(tmp_path, capsys):
    """Commands show private texts only with --include-private."""
    acg.load(labelled_backend(), include_private=True).to_parquet(tmp_path / "whole")
    for more in ([], ["--include-private"]):
        with pytest.raises(SystemExit) as ended:
            main(["misses", str(tmp_path / "whole"), "--text", "--json", *more])
        assert ended.value.code == 0
        found = capsys.readouterr().out
        json.loads(found)
        assert ("pressure" in found) == bool(more)


@settings(max_examples=40, phases=[Phase.generate])
@given(st.lists(runs(requests()), min_size=1, max_size=3), st.sampled_from(list(RULES)), st.data())
def test_anything_private(of_agent, rules, data):
    """Whatever is labelled, it is replaced wherever it stands, windows and runs agree, and results stay the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        learned = acg.learn(of_agent, rules=rules, full_payloads=True)
        contents = sorted(
            {block.content for window in learned.windows.values() for ir in window for block in ir.blocks}
        )
        assume(contents)
        private = data.draw(st.sets(st.sampled_from(contents), min_size=1, max_size=2))
        backend = MemoryBackend()
        for key, place in learned.columns.observations.number.items():
            window = [_label(ir, lambda text: text in private) for ir in learned.columns.observations.window(place)]
            backend.store_observations(key, window)
            backend.store_stability(key, learned.columns.results[key])
        for run in learned.runs:
            backend.store_run(run)
        snap = acg.load(backend, rules=rules)
        copy = partly_redacted(snap)
        assert analyses(copy) == analyses(snap)
    for window, other in zip(snap.windows.values(), copy.windows.values(), strict=True):
        for block, new in (
            pair for ir, ri in zip(window, other, strict=True) for pair in zip(ir.blocks, ri.blocks, strict=True)
        ):
            is_hidden = block.content in private and len(block.content) > 8 and not block.content.startswith("{")
            assert not is_hidden or new.content != block.content
