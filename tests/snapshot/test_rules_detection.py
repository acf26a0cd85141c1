"""Which rules version wrote a profile: each piece of evidence, and what is said where there is none."""

from dataclasses import replace

import pytest
from learned_backend import learned_backend
from strategies import ID, TIME, make_block, make_request, make_run

import acg_lab as acg
from acg_lab.core import PromptIR, StabilityAnalysisResult, learning_key
from acg_lab.core.canonical import canonical_json, hash_text
from acg_lab.snapshot import DetectedRules
from acg_lab.storage.memory import MemoryBackend

FLOW, RELAY_6, RELAY_8 = "nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"
PLAIN = hash_text("S")[:16]
LISTED = hash_text(canonical_json([{"source": "message", "role": "system", "content": "S"}]))[:16]
WHOLE = "sha256:" + "0" * 64
SEED_AND_SYSTEM = "its learning key has a seed beside system messages or tools"
SCAFFOLD = "its learning key names a stable scaffold"
ITEM = "its learning key begins with an item that older rules do not read"
EITHER_OLD = f"{FLOW} and {RELAY_6}"


def key(seed="user:sha256:0bfe", system="no-system", tools="no-tools", tail=""):
    return f"a::model=m::seed={seed}::system={system}::tools={tools}{tail}"


def window(*spans, request_hash="sha256:1"):
    """Return a window of one observation; spans named for the system hold ``S``."""
    blocks = tuple(
        make_block(span, "S", i, role="system" if "system" in span else "user") for i, span in enumerate(spans)
    )
    return (PromptIR(ir_id=ID, blocks=blocks, source_request_hash=request_hash, created_at=TIME),)


def result(length=0, fingerprint=None):
    return StabilityAnalysisResult(
        scores=(), stable_prefix_length=length, stable_prefix_fingerprint=fingerprint, total_observations=1
    )


def decided(profile, observations=(), stored=None, runs=(), prefix=None):
    """Return what is decided of the one profile of a source."""
    backend = MemoryBackend()
    backend.store_observations(profile, observations)
    if stored is not None:
        backend.store_stability(profile, stored)
    for run in runs:
        backend.store_run(run)
    snap = acg.load(backend)
    snap = replace(snap, columns=replace(snap.columns, key_prefix=prefix))
    return snap.rules[profile]


EVIDENCE = [
    ("scaffold", {"profile": key("stable-scaffold", WHOLE)}, RELAY_8, SCAFFOLD),
    ("format", {"profile": key(tail=f"::response_format={WHOLE}")}, RELAY_8, SCAFFOLD),
    ("fingerprint", {"profile": key(), "stored": result(1, "f")}, RELAY_8, "the stored result has a fingerprint"),
    (
        "developer",
        {"profile": key(system="sha256:9"), "observations": window("system-0-developer")},
        RELAY_6,
        f"{SEED_AND_SYSTEM}; it has developer messages or instructions",
    ),
    (
        "instructions",
        {"profile": key(system="sha256:9"), "observations": window("system-0-instructions")},
        RELAY_6,
        f"{SEED_AND_SYSTEM}; it has developer messages or instructions",
    ),
    (
        "plain texts",
        {"profile": key(system=PLAIN), "observations": window("system-0", "user-1")},
        FLOW,
        f"{SEED_AND_SYSTEM}; the system fingerprint is that of the plain texts",
    ),
    (
        "listed texts",
        {"profile": key(system=LISTED), "observations": window("system-0", "user-1")},
        RELAY_6,
        f"{SEED_AND_SYSTEM}; the system fingerprint is that of a list of messages",
    ),
    (
        "item and no fingerprint",
        {"profile": key("tool-call:sha256:0"), "observations": window("x"), "stored": result(1)},
        RELAY_6,
        f"{ITEM}; the stored result has a prefix but no fingerprint",
    ),
    ("key prefix", {"profile": key(), "prefix": "nemo_flow:"}, FLOW, "the key prefix is 'nemo_flow:'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "rules", "evidence"), [row[1:] for row in EVIDENCE], ids=[row[0] for row in EVIDENCE]
)
def test_evidence(source, rules, evidence):
    """What decides is reported, in the order in which it was found."""
    assert decided(**source) == DetectedRules(rules, evidence, decided=True)


GUESSES = [
    ("nothing", {"profile": key()}, RELAY_8, f"nothing stored distinguishes {FLOW} and {RELAY_6} and {RELAY_8}"),
    ("item", {"profile": key("function:sha256:0")}, RELAY_8, f"nothing stored distinguishes {RELAY_6} and {RELAY_8}"),
    ("tools", {"profile": key(tools="sha256:12")}, RELAY_6, f"nothing stored distinguishes {EITHER_OLD}"),
    ("no fingerprint", {"profile": key(), "observations": window("x"), "stored": result(1)}, RELAY_6, EITHER_OLD),
    ("no prefix", {"profile": key(), "observations": window("x"), "stored": result(0)}, RELAY_8, RELAY_8),
    (
        "no request hash",
        {"profile": key(), "observations": window("x", request_hash=None), "stored": result(1)},
        RELAY_8,
        f"nothing stored distinguishes {FLOW} and {RELAY_6} and {RELAY_8}",
    ),
    ("other prefix", {"profile": key(), "prefix": "nemo_relay:"}, RELAY_8, "nothing stored distinguishes"),
]


@pytest.mark.parametrize(("source", "rules", "evidence"), [row[1:] for row in GUESSES], ids=[row[0] for row in GUESSES])
def test_guesses(source, rules, evidence):
    """Where several are possible the newest is taken, and said to be a guess."""
    found = decided(**source)
    assert (found.rules, found.decided) == (rules, False)
    assert evidence in found.evidence
    assert found.evidence.endswith(", so the newest is assumed")
    assert str(found).startswith(f"{rules} (a guess): ")


def test_recorded_requests_decide():
    """If the agent's requests give the key under one rules version only, it is that one."""
    request = make_request({"role": "system", "content": [{"type": "text", "text": ""}]}, "hello", model="m")
    keys = {rules: learning_key("a", request, rules=rules) for rules in (FLOW, RELAY_6, RELAY_8)}
    assert len(set(keys.values())) == 3
    for rules, profile in keys.items():
        found = decided(profile, runs=[make_run(request)])
        assert found.rules == rules
        assert found.decided
        others = decided(profile, runs=[make_run(request, agent_id="b")])
        assert "the recorded requests" not in others.evidence


@pytest.mark.parametrize("rules", [FLOW, RELAY_6, RELAY_8])
def test_system_messages_anywhere(rules):
    """A system message after the first other one is part of the learning key, by which requests are reported apart."""
    asked = [{"role": "system", "content": "S"}, {"role": "user", "content": "?"}]
    requests = [make_request(*asked, {"role": "system", "content": text}) for text in "AB"]
    keys = [learning_key("a", request, rules=rules) for request in requests]
    backend = MemoryBackend()
    for profile in keys:
        backend.store_observations(profile, window("system-0"))
    backend.store_run(make_run(*requests))
    snap = acg.load(backend)
    assert {snap.rules[profile].rules for profile in keys} == {rules}
    assert acg.frames.calls(snap)["learning_key"].tolist() == keys


def test_requests_that_no_generation_reads_decide_nothing():
    """They are passed over."""
    bad = make_request({"role": "narrator", "content": "x"})
    assert decided(key(), runs=[make_run(bad)]).decided is False


@pytest.mark.parametrize("rules", [FLOW, RELAY_6, RELAY_8])
@pytest.mark.parametrize("agent_id", ["a", "a::model=x", "a:b::c"])
def test_what_a_learner_left_is_told(rules, agent_id):
    """Each rules version is recognised by what its learner stored, whatever the agent is called."""
    snap = acg.load(learned_backend(agent_id, rules=rules))
    for generation in snap.rules.values():
        assert (generation.rules, generation.decided) == (rules, True)
        assert str(generation) == f"{rules}: {generation.evidence}"


def test_generation_asked_for():
    """What the caller says goes first, and is the evidence."""
    snap = acg.load(learned_backend(rules=FLOW), rules=RELAY_8)
    assert set(snap.rules.values()) == {(RELAY_8, "as requested", True)}
