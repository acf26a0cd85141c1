"""Why a block breaks the prefix: the first reason that holds, in words."""

import pytest

from acg_lab.diagnosis.break_reason import BlockCounts, find_break_reason

C = BlockCounts


@pytest.mark.parametrize(
    ("evidence", "sentence", "clause"),
    [
        (C(1, 1, 1, 1), "one request so far", "has been seen once"),
        (C(30, 30, 2, 22, 29, 1, 8, 22), "The same 8 tools come in 22 orders", "is a tool out of order"),
        (
            C(30, 28, 28, 1, 0),
            "missing from 2 of 30 requests; same content wherever it is present",
            "is missing from 2 of 30 requests",
        ),
        (C(60, 60, 38, 2, 1, 22), "changed once, 22 requests ago", "changed once, 22 requests ago,"),
        (C(2, 2, 1, 2, 1, 1), "changed once, 1 request ago", "changed once, 1 request ago,"),
        (C(60, 60, 1, 60, 59, 1), "60 different contents in 60 requests", "changes with every request"),
        (C(60, 50, 1, 50, 49, 1), "50 different contents in 50 of 60 requests", "changes with every request"),
        (
            C(60, 60, 53, 4, 9, 1),
            "content differs from the dominant one in 7 of 60 requests",
            "differs in 7 of 60 requests",
        ),
        (
            C(60, 50, 31, 9, 30, 1),
            "present in 50 of 60 requests, and only 31 of those share one content",
            "is only present in 50 of 60 requests",
        ),
        (C(9, 9, 9, 1, 0), "same content in all 9 requests, and still below the threshold", "never changes"),
    ],
)
def test_reasons(evidence, sentence, clause):
    """Each reason has its sentence, and its words for a title."""
    assert find_break_reason(evidence) == (sentence, clause)


def test_stable_by_itself():
    """Where an exact prefix counts and the block is stable, that few share all before it is what is said."""
    found = find_break_reason(C(100, 100, 96, 2, 9, 1, n_sharing_prefix=93), own_score=0.96, stable_threshold=0.95)
    assert found.sentence == "stable by itself (0.96), but only 93 of 100 requests share the whole prefix up to it"
    assert find_break_reason(
        C(100, 100, 90, 2, 9, 1, n_sharing_prefix=93), own_score=0.9, stable_threshold=0.95
    ).sentence.startswith("con")
