"""Advice on generated agents of twelve kinds, judged on requests that it was not given."""

import numpy as np
import pytest
from advice.agents import MENDED, N_RUNS, NOT_MENDED, snapshot_of

import acg_lab as acg

SEEDS = (1, 2, 3)
pytestmark = pytest.mark.slow
SEEN = int(N_RUNS * 0.7)


def advise(kind, seed):
    """The recommendation from the first part, and what current, recommended and best settings cost on the rest."""
    best = acg.recommend(snapshot_of(kind, seed, SEEN)[0], current=kind.current, progress=False)
    whole = snapshot_of(kind, seed)[0]
    found = acg.sweep(whole, current=kind.current, progress=False)
    unseen = np.arange(N_RUNS) >= SEEN
    costs = found.evaluation.cost_of_groups(found.numbers, unseen.astype(np.int64), 2)[:, 1]
    settings = best.settings if best.settings.provider else best.settings.replace(provider="anthropic")
    asked = acg.sweep(whole, settings=[settings], current=kind.current, progress=False)
    advised = asked.evaluation.cost_of_groups(asked.numbers, unseen.astype(np.int64), 2)[1, 1]
    return best, costs[0], advised, costs.min()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", MENDED)
def test_what_a_setting_can_mend(name, seed):
    """On unseen requests at least half of what the best setting saves in hindsight is saved."""
    _, now, advised, best = advise(MENDED[name], seed)
    assert best <= 0.95 * now
    assert now - advised >= 0.5 * (now - best)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NOT_MENDED)
def test_what_no_setting_can_mend(name, seed):
    """Where no setting helps nothing is to be changed, and nothing is made dearer."""
    best, now, advised, _ = advise(NOT_MENDED[name], seed)
    assert not best.is_change
    assert advised <= 1.01 * now
