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
from acg_lab.diagnosis.history_edits import EDITS
from acg_lab.diagnosis.phrases import KIND_LABELS


def of_texts(values):
    """Return a window whose second block has these texts, each inside a text that does not change."""
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
    """A change in a text gets its kind, and no other."""
    assert len(values) == N
    assert find_kind(of_texts(values)) is kind


@pytest.mark.parametrize(("kind", "values"), rows(NEAR))
def test_near_misses(kind, values):
    """A change that only resembles a kind does not get it."""
    assert len(set(values)) > 1
    assert find_kind(of_texts(values)) not in (kind, None)


@pytest.mark.parametrize("table", [TRUE, NEAR])
def test_there_are_enough(table):
    """Each kind that is found in texts has at least ten windows of its own and ten near misses."""
    assert all(len(of_kind) >= 10 for of_kind in table.values())
    assert TRUE.keys() == NEAR.keys()


@pytest.mark.parametrize(
    ("make", "kinds"),
    [
        (
            lambda i: f"{TRUE[Kind.DATETIME][0][i]} for {TRUE[Kind.IDENTIFIER][0][i]}",
            [Kind.DATETIME, Kind.IDENTIFIER],
        ),
        (
            lambda i: f"{TRUE[Kind.IDENTIFIER][4][i]} since {TRUE[Kind.DATETIME][9][i]}",
            [Kind.IDENTIFIER, Kind.DATETIME],
        ),
        (lambda i: f"{TRUE[Kind.PATH][0][i]} has {SHUFFLED[i]} files", [Kind.PATH, Kind.NUMBER]),
        (lambda i: f"{SHUFFLED[i]} files in {TRUE[Kind.PATH][0][i]}", [Kind.NUMBER, Kind.PATH]),
        (lambda i: f"{TRUE[Kind.DATETIME][0][i]} for {NAMES[i]}", [Kind.UNKNOWN]),
        (lambda i: f"{NAMES[i]}, {SHUFFLED[i]} years", [Kind.UNKNOWN]),
    ],
)
def test_several_kinds_at_once(make, kinds):
    """If several kinds explain a change together, each is a finding, in the order of the text; in a phrase none is."""
    findings = acg.explain(snapshot_of_window(a_minute_apart(of_texts([make(i) for i in range(N)]))))
    assert [finding.kind for finding in findings] == kinds
    for finding in findings:
        assert {kind for _, kind in finding.evidence.beside} == {*kinds} - {finding.kind}
        assert ("with the other change mended" in finding.sentence) == (len(kinds) > 1)
        assert len({place.offset for other in findings for place in other.evidence.places}) >= len(kinds)


def test_all_detectors_are_in_one_table():
    """Each kind of change within a profile has a detector, whose wording names the block."""
    of_splits = {
        Kind.FRAGMENTED_BY_FIRST_MESSAGE,
        Kind.MODEL_CHANGED,
        Kind.RAW_BYTES_DIFFER,
        Kind.CACHE_MARKS,
        Kind.STABLE_START,
        Kind.UNKNOWN,
    }
    of_production = {Kind.BELOW_MINIMUM, Kind.UNKNOWN_MODEL_FAMILY, Kind.BOUND_TO_REQUESTS, Kind.TOO_FEW_REQUESTS}
    of_sending = {Kind.BREAKPOINT_SHORT, Kind.NO_BREAKPOINT, Kind.LOOKBACK_EXCEEDED}
    of_sending |= {Kind.TTL_TOO_SHORT, Kind.PARALLEL_REQUESTS, Kind.WRITES_UNREAD}
    of_histories = {*EDITS} - {detector.kind for detector in DETECTORS}
    assert {detector.kind for detector in DETECTORS} == {*Kind} - of_splits - of_production - of_sending - of_histories
    assert all("{block}" in detector.wording for detector in DETECTORS)
    assert {*KIND_LABELS} == {*Kind} - of_production - of_sending


def test_provenance_shows_retrieval():
    """A block with the provenance of retrieval is retrieved text, whatever it looks like."""
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


@pytest.mark.parametrize(("simplify", "n_read", "is_stable"), [(len, 60, True), (str, 5, False)])
def test_texts_are_read_until_the_answer_is_certain(simplify, n_read, is_stable):
    """Of sixty texts that stay different only a few are simplified, since texts may be megabytes."""
    snap = snapshot_of_window(a_minute_apart(of_texts(f"{i:02}" for i in range(60))))
    block = AnalysisContext(snap, acg.StabilityThresholds(), {}).block_history([KEY], "user-1", 0.95)
    seen = []
    assert block.is_stable_after(lambda text: seen.append(text) or str(simplify(text))) is is_stable
    assert len(seen) == n_read
