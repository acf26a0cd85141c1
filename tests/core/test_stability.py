"""Scores, classes, and the stable prefix (`acg_lab/docs/rules/learner.md`, 4)."""

import copy
import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import make_ir, prompt_irs, thresholds, windows

from acg_lab.core import StabilityThresholds, UsageError, analyze_stability


def window_of(n, present, dominant):
    """Build a window of n observations with one span, of which ``dominant`` have the commonest content."""
    contents = ["x"] * dominant + [f"other {i}" for i in range(present - dominant)]
    return [make_ir(("s", content)) for content in contents] + [make_ir()] * (n - present)


def only_score(observations, **settings):
    (score,) = analyze_stability(observations, StabilityThresholds(**settings)).scores
    return score


def span_ids(result):
    return [score.span_id for score in result.scores]


def test_defaults():
    """The defaults are production's."""
    assert StabilityThresholds() == StabilityThresholds(
        stable_threshold=0.95, semi_stable_threshold=0.50, min_observations_for_full_confidence=20
    )
    observations = window_of(20, 19, 19)
    assert analyze_stability(observations) == analyze_stability(observations, StabilityThresholds())


def test_empty_window():
    """An empty window has no scores, and its counts are zero."""
    result = analyze_stability([])
    assert (result.scores, result.stable_prefix_length, result.total_observations) == ((), 0, 0)
    assert result.stable_prefix_fingerprint is None


def test_observations_without_blocks_count():
    """Observations without blocks count as observations."""
    result = analyze_stability([make_ir(), make_ir()])
    assert (result.scores, result.stable_prefix_length, result.total_observations) == ((), 0, 2)


@pytest.mark.parametrize(
    ("n", "present", "dominant", "score"),
    [(1, 1, 1, 1.0), (2, 2, 1, 0.5), (4, 2, 2, 0.5), (4, 2, 1, 0.25), (3, 3, 2, 2 / 3), (20, 19, 19, 0.95)],
)
def test_score(n, present, dominant, score):
    """A score is the share of observations that have the span, times the share of its commonest content."""
    found = only_score(window_of(n, present, dominant))
    assert (found.score, found.observation_count) == (score, present)


def test_order_of_floating_point_operations():
    """The two shares are made first, then multiplied: the last bit is production's, and so the class at a threshold."""
    cases = [(n, p, d) for n in range(1, 41) for p in range(1, n + 1) for d in range(1, p + 1)]
    differing = [(n, p, d) for n, p, d in cases if (p / n) * (d / p) != d / n]
    assert (20, 20, 19) not in differing
    assert len(differing) > 1000
    for n, p, d in differing[:: len(differing) // 50]:
        expected = (p / n) * (d / p)
        assert only_score(window_of(n, p, d)).score.hex() == expected.hex()
        exact = only_score(window_of(n, p, d), stable_threshold=d / n, semi_stable_threshold=-1.0)
        assert exact.classification == ("stable" if expected >= d / n else "semi_stable")


@pytest.mark.parametrize(
    ("score", "stable", "semi", "expected"),
    [
        (0.5, 0.5, 0.25, "stable"),
        (0.5, math.nextafter(0.5, 1), 0.5, "semi_stable"),
        (0.5, 0.9, math.nextafter(0.5, 1), "variable"),
        (0.5, 0.5, 0.9, "stable"),
        (0.5, 0.6, 0.9, "variable"),
        (1.0, 1.5, 1.0, "semi_stable"),
        (1.0, 1, 0, "stable"),
        (0.5, -1, -1, "stable"),
        (0.5, 0, 5, "stable"),
    ],
)
def test_class(score, stable, semi, expected):
    """A score at a threshold is in the class; the stable one is asked first, whatever the order of the two."""
    observations = window_of(2, 2, int(score * 2))
    assert only_score(observations, stable_threshold=stable, semi_stable_threshold=semi).classification == expected


@pytest.mark.parametrize(
    ("present", "minimum", "confidence"), [(1, 20, 0.05), (20, 20, 1.0), (21, 20, 1.0), (1, 3, 1 / 3), (1, 0, 1.0)]
)
def test_confidence(present, minimum, confidence):
    """Confidence is the share of the minimum that was seen, at most 1, and 1 when the minimum is 0."""
    found = only_score(window_of(present, present, present), min_observations_for_full_confidence=minimum)
    assert found.confidence == confidence


def test_confidence_counts_the_span_not_the_window():
    """Confidence counts the observations that have the span."""
    assert only_score(window_of(20, 2, 2), min_observations_for_full_confidence=10).confidence == 0.2


def test_scores_stand_by_smallest_index():
    """Scores are listed by the smallest index that the span was seen at, not by the first or the last."""
    result = analyze_stability([make_ir(("a", "x", 5), ("b", "x", 1)), make_ir(("a", "x", 0), ("b", "x", 9))])
    assert span_ids(result) == ["a", "b"]


def test_ties():
    """Spans that tie on the index are least stable first, then by span id."""
    first = make_ir(("z", "x", 0), ("b", "x", 0), ("a", "x", 0), ("m", "1", 0), ("l", "1", 0))
    second = make_ir(("z", "x", 0), ("a", "x", 0), ("b", "x", 0), ("m", "2", 0))
    result = analyze_stability([first, second, make_ir()], StabilityThresholds(stable_threshold=0.6))
    assert [(s.span_id, s.classification) for s in result.scores] == [
        ("l", "variable"),
        ("m", "variable"),
        ("a", "stable"),
        ("b", "stable"),
        ("z", "stable"),
    ]
    assert result.stable_prefix_length == 0


def test_ties_between_classes():
    """At a tie variable is before semi-stable, and that before stable, whatever the ids and scores."""
    observations = [make_ir(("a", "x", 0), ("b", str(i), 0), ("c", str(i // 2), 0)) for i in range(4)]
    assert span_ids(analyze_stability(observations)) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("contents", "length"),
    [(["ss", "ss"], 2), (["sx", "sy"], 1), (["xs", "ys"], 0), (["ssx", "ssy"], 2), (["sxs", "sys"], 1)],
)
def test_stable_prefix(contents, length):
    """The stable prefix ends at the first span that is not stable."""
    observations = [make_ir(*((f"{i}", letter) for i, letter in enumerate(content))) for content in contents]
    assert analyze_stability(observations).stable_prefix_length == length


def test_repeated_span_can_score_above_one():
    """Where an observation repeats a span its contents count each time and the span once: a score may exceed 1."""
    (score,) = analyze_stability([make_ir(("s", "x"), ("s", "x"))]).scores
    assert (score.score, score.observation_count, score.confidence) == (2.0, 1, 0.05)
    mixed = only_score([make_ir(("s", "x"), ("s", "x"), ("s", "y")), make_ir(("s", "y"))])
    assert (mixed.score, mixed.observation_count) == ((2 / 2) * (2 / 2), 2)


@pytest.mark.parametrize("name", ["stable_threshold", "semi_stable_threshold"])
@pytest.mark.parametrize("value", [None, "0.5", True, math.nan, math.inf, -math.inf, 1j, [0.5]])
def test_thresholds_that_are_no_numbers(name, value):
    """A threshold that is no finite number is refused by name."""
    with pytest.raises(UsageError, match=rf"The '{name}' setting must be a finite number; got "):
        StabilityThresholds(**{name: value})


@pytest.mark.parametrize("name", ["stable_threshold", "semi_stable_threshold"])
@pytest.mark.parametrize("value", [2**64, -(2**63) - 1])
def test_thresholds_that_are_too_long(name, value):
    """A threshold given as an integer is one that 64 bits hold, with or without a sign."""
    with pytest.raises(
        UsageError, match=rf"The '{name}' setting, if an integer, must be from -2\*\*63 to 2\*\*64 - 1; got"
    ):
        StabilityThresholds(**{name: value})
    nearest = value + (1 if value < 0 else -1)
    assert getattr(StabilityThresholds(**{name: nearest}), name) == nearest


@pytest.mark.parametrize("value", [None, "20", True, 1.0, -1, math.nan, Decimal(1), Fraction(1), 2**32])
def test_minimum_that_is_no_count(value):
    """The minimum of observations is an integer that 32 bits without a sign can hold."""
    named = "'min_observations_for_full_confidence'"
    with pytest.raises(UsageError, match=rf"{named} setting must be an integer from 0 to 2\*\*32 - 1; got"):
        StabilityThresholds(min_observations_for_full_confidence=value)


def test_thresholds_are_frozen_values():
    """Thresholds are equal by value, and can be replaced but not changed."""
    settings = StabilityThresholds(stable_threshold=1)
    with pytest.raises(AttributeError):
        settings.stable_threshold = 0.5
    assert settings == StabilityThresholds(stable_threshold=1.0)
    assert hash(settings) == hash(StabilityThresholds(stable_threshold=1.0))


@given(windows(), thresholds())
def test_analysis_by_the_spec(observations, settings):
    """The analysis is what the formulas of the rules give, read one by one."""
    result = analyze_stability(observations, settings)
    rank = {"variable": 0, "semi_stable": 1, "stable": 2}
    expected = []
    for span_id in {block.span_id for o in observations for block in o.blocks}:
        blocks = [block for o in observations for block in o.blocks if block.span_id == span_id]
        texts = [block.content for block in blocks]
        present = sum(any(block.span_id == span_id for block in o.blocks) for o in observations)
        score = (present / len(observations)) * (max(map(texts.count, texts)) / present)
        minimum = settings.min_observations_for_full_confidence
        confidence = min(present / minimum, 1.0) if minimum else 1.0
        if score >= settings.stable_threshold:
            name = "stable"
        else:
            name = "semi_stable" if score >= settings.semi_stable_threshold else "variable"
        index = min(block.sequence_index for block in blocks)
        expected.append((index, rank[name], span_id, name, score, confidence, present))
    found = [(s.span_id, s.classification, s.score, s.confidence, s.observation_count) for s in result.scores]
    assert found == [item[2:] for item in sorted(expected)]
    classes = [s.classification for s in result.scores]
    assert set(classes[: result.stable_prefix_length]) <= {"stable"}
    assert classes[result.stable_prefix_length :][:1] != ["stable"]
    assert result.total_observations == len(observations)


@given(st.data(), windows(), thresholds())
def test_order_of_observations_and_blocks_does_not_show(data, observations, settings):
    """The analysis is the same in whatever order observations, and blocks in them, were counted."""
    shuffled = data.draw(st.permutations(observations))
    turned = [make_turned(observation) for observation in shuffled]
    assert analyze_stability(turned, settings) == analyze_stability(observations, settings)


def make_turned(observation):
    changed = copy.copy(observation)
    return type(changed)(ir_id=changed.ir_id, blocks=tuple(reversed(changed.blocks)), created_at=changed.created_at)


@given(st.lists(prompt_irs(), max_size=4), thresholds())
def test_arguments_stay_unchanged(observations, settings):
    """Analysing changes neither the window nor the thresholds."""
    before = copy.deepcopy((observations, settings))
    analyze_stability(observations, settings)
    assert (observations, settings) == before


@given(windows(), thresholds(), thresholds())
def test_thresholds_change_classes_only(observations, one, other):
    """Scores, counts and spans do not depend on thresholds."""
    first, second = analyze_stability(observations, one), analyze_stability(observations, other)
    facts = [{(s.span_id, s.score, s.observation_count) for s in result.scores} for result in (first, second)]
    assert facts[0] == facts[1]


@pytest.mark.parametrize("rules", ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"])
def test_empty_window_under_all_rules(rules):
    """A window without observations has no scores, no prefix and no fingerprint."""
    result = analyze_stability([], rules=rules, learning_key="k")
    assert (result.scores, result.stable_prefix_length, result.stable_prefix_fingerprint) == ((), 0, None)
