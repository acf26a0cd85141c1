"""Each detector fires on its own kind and on no other."""

import pytest
from explained import STEADY, kind_of
from kinds import LEAD, NEAR, TAIL, TRUE, N
from strategies import make_ir

from acg_lab.core.prompt_ir import normalize_whitespace


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
    assert kind_of(of_texts(values)) is kind


@pytest.mark.parametrize(("kind", "values"), rows(NEAR))
def test_near_misses(kind, values):
    """What only looks like a kind is not named so."""
    assert len(set(values)) > 1
    assert kind_of(of_texts(values)) not in (kind, None)


@pytest.mark.parametrize("table", [TRUE, NEAR])
def test_there_are_enough(table):
    """Every kind that is read from texts has at least ten windows of its own, and ten near misses."""
    assert all(len(of_kind) >= 10 for of_kind in table.values())
    assert TRUE.keys() == NEAR.keys()
