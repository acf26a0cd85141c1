"""Each detector fires on its own kind and on no other."""

import msgspec
import pytest
from changing_windows import LEAD, NAMES, NEAR, SHUFFLED, TAIL, TRUE, N
from small_snapshots import KEY, STEADY, a_minute_apart, find_kind, snapshot_of_window
from strategies import make_ir

import acg_lab as acg
from acg_lab.core.prompt_ir import normalize_whitespace
from acg_lab.diagnosis import Kind
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.detectors import DETECTORS
from acg_lab.diagnosis.phrases import SHORT


def of_texts(values):
    """Return a window whose second block holds these texts, each in the midst of one that does not change."""
    return [
        make_ir(
            ("system-0", "s" * 400),
            ("user-1", normalize_whitespace(f"{LEAD}\n{v}\n{TAIL}")),
            ("user-2", STEADY),
            ("user-3", "?"),
        )
        for v in values
    ]


def rows(table):
    return [
        pytest.param(kind, values, id=f"{kind}-{i}")
        for kind, of_kind in table.items()
        for i, values in enumerate(of_kind)
    ]


@pytest.mark.parametrize(("kind", "values"), rows(TRUE))
def test_texts_of_a_kind(kind, values):
    """What changes in a text is named by its kind, and by no other."""
    assert len(values) == N
    assert find_kind(of_texts(values)) is kind


@pytest.mark.parametrize(("kind", "values"), rows(NEAR))
def test_near_misses(kind, values):
    """What only looks like a kind is not named so."""
    assert len(set(values)) > 1
    assert find_kind(of_texts(values)) not in (kind, None)


@pytest.mark.parametrize("table", [TRUE, NEAR])
def test_there_are_enough(table):
    """Every kind that is read from texts has at least ten windows of its own, and ten near misses."""
    assert all(len(of_kind) >= 10 for of_kind in table.values())
    assert TRUE.keys() == NEAR.keys()


@pytest.mark.parametrize(
    ("make", "kind", "details"),
    [
        (
            lambda i: f"{TRUE[Kind.DATETIME][0][i]} for {TRUE[Kind.IDENTIFIER][0][i]}",
            Kind.DATETIME,
            ("identifier too",),
        ),
        (
            lambda i: f"{TRUE[Kind.IDENTIFIER][4][i]} since {TRUE[Kind.DATETIME][9][i]}",
            Kind.IDENTIFIER,
            ("datetime too",),
        ),
        (lambda i: f"{TRUE[Kind.PATH][0][i]} has {SHUFFLED[i]} files", Kind.PATH, ("number too",)),
        (lambda i: f"{SHUFFLED[i]} files in {TRUE[Kind.PATH][0][i]}", Kind.NUMBER, ("path too",)),
        (lambda i: f"{TRUE[Kind.DATETIME][0][i]} for {NAMES[i]}", Kind.UNKNOWN, ()),
        (lambda i: f"{NAMES[i]}, {SHUFFLED[i]} years", Kind.UNKNOWN, ()),
    ],
)
def test_several_kinds_at_once(make, kind, details):
    """Of several kinds that explain a change together the first in the text names it; with a rest, nothing does."""
    (finding,) = acg.explain(snapshot_of_window(a_minute_apart(of_texts([make(i) for i in range(N)]))))
    assert (finding.kind, finding.evidence.details) == (kind, details)
    assert all(detail in finding.sentence for detail in details)


def test_all_detectors_are_in_one_table():
    """Every kind of change within a profile has its detector; the words of each name the block, and make a sentence."""
    of_groups = {Kind.FRAGMENTED_BY_FIRST_MESSAGE, Kind.MODEL_CHANGED, Kind.RAW_BYTES_DIFFER, Kind.UNKNOWN}
    of_production = {Kind.BELOW_MINIMUM, Kind.UNKNOWN_MODEL_FAMILY, Kind.BOUND_TO_REQUESTS, Kind.TOO_FEW_REQUESTS}
    assert {detector.kind for detector in DETECTORS} == {*Kind} - of_groups - of_production
    assert all("{block}" in detector.words for detector in DETECTORS)
    assert {*SHORT} == {*Kind} - of_production


def test_provenance_tells_of_retrieval():
    """A block that production was told to be retrieved is so, whatever it looks like."""
    window = [
        msgspec.structs.replace(
            ir,
            blocks=tuple(
                msgspec.structs.replace(b, provenance="retrieval") if b.span_id == "user-1" else b for b in ir.blocks
            ),
        )
        for ir in of_texts(NAMES)
    ]
    assert find_kind(window) is Kind.RETRIEVED_TEXT


@pytest.mark.parametrize(("kept", "read", "vanishes"), [(len, 60, True), (str, 5, False)])
def test_texts_are_read_until_the_answer_is_sure(kept, read, vanishes):
    """Of sixty texts that stay apart a few are simplified, no more: texts may be megabytes, and tests are many."""
    snap = snapshot_of_window(a_minute_apart(of_texts(f"{i:02}" for i in range(60))))
    change = AnalysisContext(snap, acg.StabilityThresholds(), {}).change([KEY], "user-1", 0.95)
    seen = []
    assert change.vanishes(lambda text: seen.append(text) or str(kept(text))) is vanishes
    assert len(seen) == read
