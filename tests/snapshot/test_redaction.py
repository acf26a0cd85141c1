"""Redacted exports: no text is left, and every analysis that needs no text gives the same answer."""

import contextlib
import json
import re
import stat
import warnings
from pathlib import Path

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from learned_backend import SECRET, learned_backend
from matplotlib.figure import Figure
from msgspec.structs import replace
from redacted_copies import INSIDE, VERDICTS, analyses, bytes_of, redacted, simulations
from strategies import make_id, requests, runs

import acg_lab as acg
from acg_lab import plots
from acg_lab.cli import main
from acg_lab.core.rules import RULES
from acg_lab.diagnosis.finding import Kind
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.pseudonyms import Pseudonyms
from acg_lab.storage.redacted_json import FIELDS, JsonRedactor

DATA = Path(__file__).parents[2] / "data"
AGENTS = ("sales-analyst", "field-notes", "claims-triage-next", "support-legacy")
LOG = DATA / "requests.jsonl.gz"
# Kinds that structure alone shows.
STRUCTURAL = {Kind.REDACTED, Kind.VARIANTS, Kind.CHANGED_ONCE}


def export(snap, place, **options):
    """Return the redacted export of a snapshot, loaded."""
    snap.to_parquet(place, redact=True, **options)
    return acg.load(place, progress=False)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Return a log and a part of the sample, each with its redacted export and the place of that."""
    found = {}
    for name, agent_id in (("log", None), *((agent_id, agent_id) for agent_id in AGENTS)):
        snap = acg.load(LOG if agent_id is None else DATA / "sample", agent_id=agent_id, progress=False)
        place = tmp_path_factory.mktemp("redacted") / name
        found[name] = snap, export(snap, place), place
    return found


OF_ALL = ["log", *(pytest.param(name, marks=pytest.mark.slow) for name in AGENTS)]


@pytest.mark.parametrize("name", OF_ALL)
def test_analyses_are_the_same(pairs, name):
    """Results, verification, rules, replay, simulation and calibration are those of the texts."""
    snap, copy, _ = pairs[name]
    assert analyses(copy) == analyses(snap)
    assert simulations(copy) == simulations(snap)


@pytest.mark.parametrize("name", ["log", pytest.param("support-legacy", marks=pytest.mark.slow)])
def test_advice_is_the_same(pairs, name):
    """A sweep costs the same setting by setting, and the recommended settings are the same."""
    snap, copy, _ = pairs[name]
    ours, theirs = (acg.sweep(one, progress=False) for one in (snap, copy))
    assert theirs.to_frame().equals(ours.to_frame())
    recommended = [acg.recommend(one, progress=False) for one in (snap, copy)]
    assert recommended[0].settings == recommended[1].settings


def test_plots_and_tables_are_the_same(pairs):
    """So are what is drawn, what each agent pays and loses, and how one half of the history compares with the other."""
    said = []
    for snap in pairs["log"][:2]:
        sim = acg.simulate(snap)
        drawn = [plot(sim, ax=Figure()) for plot in (plots.cost_breakdown, plots.misses, plots.requests_over_time)]
        drawn += [plots.profiles_overview(snap, ax=Figure())]
        drawn += [plots.cost_curve(acg.sweep(snap, progress=False), ax=Figure())]
        texts = [plots.alt_text(axes) for axes in drawn]
        texts[2] = texts[2].partition(" · ")[2]  # before it, the kind of a change is named
        pays = acg.frames.agent_costs(sim).drop(columns="words")
        said.append((texts, pays.to_csv(), str(acg.compare(snap, at="2026-11-10T12:00:00Z"))))
    assert said[0] == said[1]


@pytest.mark.parametrize("name", OF_ALL)
def test_no_kind_is_named_out_of_pseudonyms(pairs, name):
    """Findings are those of the texts, or say that the texts are redacted."""
    snap, copy, _ = pairs[name]
    of_texts = {finding.kind for finding in acg.explain(snap)}
    findings = acg.explain(copy, text=True)
    assert {finding.kind for finding in findings} <= of_texts | STRUCTURAL
    assert len(findings) == len(acg.explain(snap))
    for finding in findings:
        assert finding.kind is not Kind.REDACTED or "redacted" in finding.sentence or "tool" in finding.sentence
        assert not finding.evidence.places


def texts_of(snap):
    """Return every text of a snapshot's contents, JSON taken apart."""
    found = set()

    def collect(value):
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, dict):
            found.update(value)
            collect(list(value.values()))
        elif isinstance(value, list):
            for item in value:
                collect(item)

    for pool in (snap.runs.messages, snap.runs.values):
        collect([pool.value(code) for code in range(len(pool))])
    for content in snap.columns.observations.content_pool:
        collect([content])
        with contextlib.suppress(ValueError):
            collect(json.loads(content))
    return found


# Words that say what the parts of requests and tables are.
STRUCTURE = {word for fields in FIELDS.values() for word in fields} | {
    *("assistant", "system", "function", "ephemeral", "tool_result", "tool_use", "developer", "instructions"),
    *(
        "public",
        "private",
        "message",
        "messages",
        "window",
        "windows",
        "request",
        "requests",
        "handbook",
        "version",
        "inside",
    ),
    *("record", "recorded", "schema", "reason", "finish", "complete", "blocks", "caches", "cached", "details"),
    *("support", "claims", "triage", "analyst", "search", "review", "texts", "content", "contents", "export"),
    *(
        "end_turn",
        "chat.completion",
        "completion",
        "tool_use_id",
        "export",
        "result",
        "output",
        "object",
        "legacy",
        "unknown",
        "learned",
    ),
}


@pytest.mark.parametrize("name", ["log", pytest.param("sales-analyst", marks=pytest.mark.slow)])
def test_no_text_is_left(pairs, name):
    """No word of six characters or more of any content is anywhere in the export."""
    snap, _, place = pairs[name]
    words = {word for text in texts_of(snap) for word in re.findall(r"[^\s\"'.,:;()\[\]{}*`/]{6,}", text)}
    assert len(words) > 100
    found = bytes_of(place)
    model_names = {model for call in snap.runs.calls for one in call if (model := one.request and one.request.model)}
    left = {word for word in words - STRUCTURE if word in found and not re.fullmatch(r"[\d-]{6,10}", word)}
    assert {word for word in left if not any(word in known for known in (*model_names, name))} == set()


@pytest.mark.slow
@settings(max_examples=60, phases=[Phase.generate])
@given(st.lists(runs(requests()), min_size=1, max_size=3), st.sampled_from(list(RULES)))
def test_anything_is_redacted(of_agent, rules):
    """Whatever requests hold, windows and runs agree, and all analyses give the same answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snap = acg.learn(of_agent, rules=rules, full_payloads=True)
        assume(snap.windows)
        copy = redacted(snap)
        assert analyses(copy) == analyses(snap)
        assert simulations(copy, (*INSIDE, *VERDICTS)) == simulations(snap, (*INSIDE, *VERDICTS))


SAID = "the-word-of-alice"


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{"role": "user", "content": [{"type": SAID, "status": SAID, "index": 4711, "is_error": SAID}]}]},
        {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"type": SAID, "function": SAID}]}]},
        {"messages": [{"role": SAID, "content": SAID, SAID: SAID, "name": SAID, "cache_control": {"type": SAID}}]},
        {"messages": [{"role": "user", "content": {SAID: [SAID, {SAID: 4711}]}}], "tools": [{"type": SAID}]},
        {"messages": [], "thinking": {"type": SAID}, "tool_choice": SAID, "service_tier": SAID, "text": SAID},
        {"messages": SAID, "max_tokens": SAID, "reasoning": {"effort": SAID}, "stream": SAID, SAID: {"role": SAID}},
        {"messages": [], "tool_choice": {"type": "tool", "name": SAID}, "response_format": {"type": SAID, SAID: 1}},
        {"messages": [], "providerOptions": {SAID: {"cacheControl": {"type": "ephemeral", SAID: SAID}}}},
    ],
)
def test_data_in_the_place_of_structure(fields):
    """What is no word of an API does not stay where one is expected, and other numbers than settings do not either."""
    redact = JsonRedactor(Pseudonyms(b"salt")).redact
    found = json.dumps(redact("body", {"model": "m", **fields, "usage": {"input_tokens": 4711}}))
    assert SAID not in found
    assert "4711" not in found


def record_of_alice():
    """Return a run whose every field that can holds her word or her number."""
    data = {SAID: [SAID, 98765]}
    tool = {"type": "function", "function": {"name": SAID, "description": SAID, "parameters": data}}
    messages = [
        {"role": "user", "content": SAID, "name": SAID, **data},
        {"role": "tool", "content": [{"type": "text", "text": SAID, **data}], "tool_call_id": SAID},
        {"role": "assistant", "tool_calls": [{"id": SAID, "type": "function", "function": tool["function"], **data}]},
    ]
    extra = {"instructions": SAID, "response_format": {"type": "json_schema", "json_schema": data}}
    request = {"messages": messages, "model": "gpt-4.1", "params": data, "tools": [tool], "tool_choice": data}
    response = {"usage": {"prompt_tokens": 7, **data}, "message": {"content": SAID}, **data}
    body = {"model": "gpt-4.1", "messages": messages, "user": SAID, "metadata": data, "tools": [tool], **data}
    exchange = {"api": "openai-chat", "request": body, "response": response, "error": SAID, "metadata": data}
    exchange["usage"] = {"prompt_tokens": 7, "raw": data}
    call = {"kind": "llm", "name": "openai", "started_at": "2026-11-01T08:00:00Z", "metadata_snapshot": data}
    call |= {"annotated_request": {**request, **extra, **data}, "annotated_response": response, **data}
    of_tool = {"kind": "tool", "name": SAID, "started_at": "2026-11-01T08:00:00Z", "metadata_snapshot": SAID}
    calls = [call | {"acg_lab_exchange": exchange}, of_tool]
    return {"id": make_id(1), "agent_id": "a", "calls": calls, "started_at": "2026-11-01T08:00:00Z", **data}


def test_every_field(tmp_path):
    """No field of a record lets a text, a key or a number of free JSON through."""
    learned, backend = acg.learn([record_of_alice()]), MemoryBackend()
    for run in learned.runs:
        backend.store_run(run)
    extra = {"unknown": {SAID: [SAID, 98765]}}
    for key, place in learned.columns.observations.number.items():
        window = [
            replace(ir, blocks=tuple(replace(block, **extra) for block in ir.blocks), **extra)
            for ir in learned.columns.observations.window(place)
        ]
        backend.store_observations(key, window)
        result = learned.columns.results[key]
        scores = tuple(replace(score, **extra) for score in result.scores)
        backend.store_stability(key, replace(result, scores=scores, **extra))
    snap = acg.load(backend)
    assert len(snap.windows) == 1
    copy = export(snap, tmp_path / "export")
    found = bytes_of(tmp_path / "export")
    assert not any(word in found for word in (SAID, "alice", "98765"))
    assert [verdict.status for verdict in acg.verify(copy).verdicts] == ["equal", "equal"]


def test_salts(tmp_path):
    """One salt gives one pseudonym; it is made once, for its owner alone, and another one gives others."""
    snap = acg.load(learned_backend())
    one, same = (export(snap, tmp_path / name, salt=tmp_path / "salt") for name in ("one", "same"))
    assert one == same
    other = export(snap, tmp_path / "other")
    assert other != one
    assert other.columns.origin.redacted != one.columns.origin.redacted == same.columns.origin.redacted
    for name in ("salt", "other.salt"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    before = (tmp_path / "other.salt").read_text()
    assert export(snap, tmp_path / "other", overwrite=True) == other
    assert (tmp_path / "other.salt").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other", "other.salt", "salt", "same"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"salt": "SELF/salt"}, acg.UsageError, "inside"),
        ({"salt": "not a salt"}, acg.SourceError, "expected a salt"),
        ({"salt": "."}, acg.SourceError, "Is a directory"),
    ],
)
def test_wrong_salts(tmp_path, monkeypatch, options, error, message):
    """A salt inside the export, and a file that is none, are refused before anything is written."""
    monkeypatch.chdir(tmp_path)
    Path("not a salt").write_text("secret")
    salt = options["salt"].replace("SELF", "export")
    with pytest.raises(error, match=message) as caught:
        acg.load(learned_backend()).to_parquet("export", redact=True, salt=salt)
    assert "secret" not in str(caught.value)
    assert not Path("export").exists()


def test_a_remote_export_needs_a_salt():
    """The salt of a remote export is not written beside it."""
    with pytest.raises(acg.UsageError, match="name a local file for the salt"):
        acg.load(learned_backend()).to_parquet("memory://exports/june", redact=True)


def test_options_that_need_redact(tmp_path):
    """A salt and names to redact are for redacted exports only."""
    for options in ({"salt": "x"}, {"redact_names": True}):
        with pytest.raises(acg.UsageError, match="add redact=True"):
            acg.load(learned_backend()).to_parquet(tmp_path / "export", **options)


def test_names(tmp_path):
    """Ids of agents, runs and requests stay, or are replaced too; results stay the same."""
    snap = acg.load(learned_backend("the-agent-of-acme"))
    kept = export(snap, tmp_path / "kept")
    assert kept.agent_ids == snap.agent_ids
    copy = export(snap, tmp_path / "replaced", redact_names=True)
    assert analyses(copy) == analyses(snap)
    assert len(copy.agent_ids) == 1
    found = bytes_of(tmp_path / "replaced")
    assert "acme" not in found
    assert not re.search(r"\brun-[0-3]\b", found)
    assert snap.columns.observations.ir_ids[0] not in found


def test_files_of_each_agent(tmp_path):
    """An export with files of its own for each agent is redacted as well, and says so; analyses are the same."""
    snap = acg.load(learned_backend("b", backend=learned_backend("the-agent-of-acme")))
    copy = export(snap, tmp_path / "export", partition_by="agent", redact_names=True)
    assert copy.is_redacted
    assert copy.runs.is_redacted
    assert analyses(copy) == analyses(snap)
    assert (
        acg.explain(copy)
        .to_frame()
        .equals(acg.explain(export(snap, tmp_path / "x", redact_names=True, salt=tmp_path / "export.salt")).to_frame())
    )
    assert not any("acme" in str(path) for path in tmp_path.rglob("*"))


def test_it_is_said(tmp_path):
    """A redacted snapshot says so; a second redaction changes nothing; patterns of text can't be looked for."""
    snap = export(acg.load(learned_backend()), tmp_path / "one")
    assert snap.is_redacted
    assert "(redacted)" in repr(snap)
    assert "(redacted)" in snap._repr_html_()
    assert any("pseudonyms" in caveat for caveat in snap.caveats)
    assert export(snap, tmp_path / "two") == snap
    assert SECRET not in bytes_of(tmp_path / "two")
    with pytest.raises(acg.UsageError, match="redacted"):
        acg.what_if(snap, acg.repairs.RemovePattern("x", span_id="system-0"))
    with pytest.raises(acg.UsageError, match="redacted"):
        acg.simulate(snap, count_tokens=len)
    with pytest.raises(acg.UsageError, match="redacted"):
        snap.to_redis("redis://localhost:1/0", key_prefix="x:")


def test_command(tmp_path, capsys):
    """The command exports a log redacted, and says where the salt is."""
    dest = str(tmp_path / "export")
    for place, status in ((dest, 0), ("redis://localhost:1/0", 2)):
        with pytest.raises(SystemExit) as ended:
            main(["export", str(LOG), place, "--redact", "--redact-names", "--allow-write"])
        assert ended.value.code == status
    assert f"{dest}.salt: keep it" in capsys.readouterr().err
    assert acg.load(dest, progress=False).is_redacted
