"""tokenbill 0.2.0, an independent replay of Anthropic's cache, agrees; where it does not, a rule says why."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from providers.generate import draw_prompts
from providers.histories import make_table
from providers.independent import make_lane, replay

from acg_lab.providers import Evidence, LookupReason, Minimum, PieceKind, Refusal, RequestFlag, find_provider, run_cache

HISTORIES = 1000
MINIMUM = 12
WILD = 0.015  # share of histories with what the two are known to see differently

ANTHROPIC = replace(
    find_provider("anthropic"),
    minimums=(Minimum(model="", tokens=MINIMUM, evidence=Evidence.INFERRED, source="test"),),
)
BEDROCK = replace(find_provider("bedrock"), minimums=ANTHROPIC.minimums).with_settings(tool_runs_are_one_position=False)


def draw_history(seed):
    """Draw the prompts of one or two scopes, and the platform."""
    rng = np.random.default_rng(seed)
    wild = rng.random() < WILD
    prompts = [_without_framing(p) for p in draw_prompts(rng, many_breakpoints=wild, deep=rng.random() < 0.2)]
    if not wild:
        for tame in TAMED.values():
            prompts = [tame(p) for p in prompts]
    flags = rng.choice((0, RequestFlag.PREWARM, RequestFlag.BATCH), len(prompts), p=(0.9, 0.05, 0.05))
    prompts = [replace(p, flags=p.flags or int(flag)) for p, flag in zip(prompts, flags, strict=True)]
    prompts = [p for p in prompts if not p.failed and p.pieces]
    bedrock = rng.random() < 0.1
    if bedrock:
        automatic = 300 if rng.random() < 0.05 else 0
        prompts = [replace(p, automatic=automatic if len(p.breakpoints) < 4 else 0) for p in prompts]
    second = rng.random(len(prompts)) < (0.4 if rng.random() < 0.1 else 0)
    return [[p for p, s in zip(prompts, second, strict=True) if s == k] for k in (False, True)], bedrock


def _without_framing(prompt):
    pieces = prompt.pieces
    shift = sum(piece.kind == PieceKind.FRAMING for piece in pieces)
    kept = {k - shift: 3600 if ttl == 1800 else ttl for k, ttl in prompt.breakpoints.items() if k >= shift}
    return replace(prompt, pieces=pieces[shift:], breakpoints=kept)


def _tame_breakpoints(prompt):
    """Four breakpoints at most, where they may stand."""
    pieces = tuple(replace(piece, allows_breakpoint=True) for piece in prompt.pieces)
    room = 4 if prompt.automatic <= 0 or len(pieces) - 1 in prompt.breakpoints else 3
    return replace(prompt, pieces=pieces, breakpoints=dict(sorted(prompt.breakpoints.items())[-room:]))


def _tame_ttls(prompt):
    """An hour before five minutes."""
    ttls = sorted((ttl or 300 for ttl in prompt.breakpoints.values()), reverse=True)
    return replace(prompt, breakpoints=dict(zip(sorted(prompt.breakpoints), ttls, strict=True)))


def _tame_automatic(prompt):
    """Automatic mode with five minutes, and none where the last block has another TTL."""
    clash = prompt.breakpoints.get(len(prompt.pieces) - 1, 300) not in {0, 300}
    return replace(prompt, automatic=0 if clash or prompt.automatic <= 0 else 300)


def _tame_server_tools(prompt):
    pieces = [
        replace(p, kind=PieceKind.ASSISTANT) if p.kind == PieceKind.SERVER_TOOL_RESULT else p for p in prompt.pieces
    ]
    return replace(prompt, pieces=tuple(pieces))


def _tame_times(prompt):
    return replace(
        prompt, first_token=0.2 if prompt.first_token is None else prompt.first_token, took=prompt.took or 1.0
    )


# What sets the two apart, by the rule of docs/providers.md that ours follows. tokenbill 0.2.0 keeps the first four
# breakpoints where Anthropic refuses more and takes any order of TTLs; its automatic mode always lives five
# minutes, never steps back, and exists on Bedrock; it gives server tools no breakpoint; without a
# first token or an end it assumes one second.
TAMED = {
    "A-2": _tame_breakpoints,
    "A-11": _tame_automatic,
    "A-8": _tame_ttls,
    "A-14": _tame_server_tools,
    "A-10": _tame_times,
}


def _ours(scopes, provider):
    found = {}
    for name, prompts in zip("ab", scopes, strict=True):
        outcome = run_cache(make_table(prompts), provider)
        column = {ttl: k for k, ttl in enumerate(outcome.ttls)}
        for i in range(len(prompts)):
            written = [int(outcome.written_tokens[i, column[t]]) if t in column else 0 for t in (300, 3600)]
            found[f"{name}/{i}"] = (int(outcome.read_tokens[i]), *written)
    return found


def _agrees(scopes, bedrock, **settings):
    channel = "bedrock" if bedrock else "anthropic_api"
    lanes = [make_lane(prompts, name, channel) for name, prompts in zip("ab", scopes, strict=True) if prompts]
    return _ours(scopes, (BEDROCK if bedrock else ANTHROPIC).with_settings(**settings)) == replay(lanes, MINIMUM)


def _class_of(scopes, bedrock):
    """The rule that explains a difference: taming what it is about removes it."""
    if bedrock and _agrees([[replace(p, automatic=0) for p in prompts] for prompts in scopes], bedrock):
        return "A-12"
    for rule, tame in TAMED.items():
        scopes = [[tame(p) for p in prompts] for prompts in scopes]
        if _agrees(scopes, bedrock):
            return rule
    return _residual(scopes, bedrock)


def _residual(scopes, bedrock):
    """What no taming removes is about renewal (A-16), if it vanishes when nothing gets old enough to need it."""
    soon = [[_hurried(p) for p in prompts] for prompts in scopes]
    return "A-16" if _agrees(scopes, bedrock, renews="hit") or _agrees(soon, bedrock) else "unexplained"


def _hurried(prompt):
    """The same, a hundred times as fast."""
    times = {"at": prompt.at / 100, "first_token": prompt.first_token / 100, "took": prompt.took / 100}
    return replace(prompt, **times)


def _rules_met(scopes, bedrock):
    """Which rules a history exercises, and how often."""
    met = Counter()
    for prompts in scopes:
        table = make_table(prompts)
        outcome = run_cache(table, BEDROCK if bedrock else ANTHROPIC)
        reasons = Counter(outcome.lookup_reasons.tolist())
        refused = Counter(outcome.refusals.tolist())
        places = set(table.breakpoint_pieces.tolist())
        kinds = [[piece.kind for piece in p.pieces] for p in prompts]
        runs = [sum(a == b and a in {PieceKind.TOOL_USE, PieceKind.TOOL_RESULT} for a, b in pairwise(k)) for k in kinds]
        met["A-1"] += sum(PieceKind.TOOL in k and PieceKind.SYSTEM in k for k in kinds)
        met["A-2"] += refused[Refusal.TOO_MANY_BREAKPOINTS] + refused[Refusal.BREAKPOINT_NOT_ALLOWED]
        met["A-3"] += reasons[LookupReason.NOT_WRITTEN]
        met["A-4"] += reasons[LookupReason.LOOKBACK_EXCEEDED]
        met["A-5"] += sum(run > 0 for run in runs)
        met["A-6"] += sum(piece >= 0 and piece not in places for piece in outcome.read_pieces.tolist())
        met["A-7"] += reasons[LookupReason.BELOW_MINIMUM]
        met["A-8"] += refused[Refusal.TTL_ORDER] + reasons[LookupReason.EXPIRED]
        met["A-9"] += int(
            np.sum((outcome.read_tokens == 0) & (outcome.idle_seconds > 300) & (outcome.idle_seconds < 420))
        )
        met["A-10"] += reasons[LookupReason.IN_FLIGHT]
        met["A-11"] += sum(p.automatic > 0 for p in prompts)
        met["A-12"] += sum(p.automatic > 0 for p in prompts) if bedrock else 0
        met["A-13"] += sum(bool(p.flags & RequestFlag.PREWARM) for p in prompts)
        met["A-14"] += sum(
            PieceKind.SERVER_TOOL_RESULT in k and bool(p.breakpoints) for k, p in zip(kinds, prompts, strict=True)
        )
        met["A-15"] += len(prompts) if all(scopes) else 0
        met["A-16"] += reasons[LookupReason.COVERED]
        met["A-17"] += sum(bool(p.flags & RequestFlag.BATCH) for p in prompts)
    return met


@pytest.mark.slow
def test_an_independent_replay_agrees():
    """At least 95% of generated histories agree outright, each difference has a rule, and each rule is met often."""
    classes, met = Counter(), Counter()
    for seed in range(HISTORIES):
        scopes, bedrock = draw_history(seed)
        met += _rules_met(scopes, bedrock)
        if not _agrees(scopes, bedrock):
            classes[_class_of(scopes, bedrock)] += 1
    print(f"\n{HISTORIES} histories; differing, by rule: {dict(classes)}; met: {dict(met)}")  # noqa: T201 - asked for
    assert classes.total() <= 0.05 * HISTORIES
    assert set(classes) <= {*TAMED, "A-12", "A-16"}
    assert {f"A-{k}": met[f"A-{k}"] for k in range(1, 18) if met[f"A-{k}"] < 20} == {}
