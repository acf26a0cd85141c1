"""Advice on generated agents, on the sample and on real traffic, judged on requests that it was not given."""

import numpy as np
import pytest
from advice.agents import ACTING, MENDED, N_RUNS, NOT_MENDED, RESTING, snapshot_of
from simulation.messages_traffic import log_rows

import acg_lab as acg

SEEDS = (1, 2, 3)
pytestmark = pytest.mark.slow
SEEN = 0.7  # of the runs


def advise(seen, whole, current, n_seen):
    """The recommendation from the first runs, and what current, recommended and best settings cost on the rest."""
    best = acg.recommend(seen, current=current, progress=False)
    settings = best.settings if best.settings.provider else best.settings.replace(provider=current.provider)
    costs, advised = (
        unseen_costs(acg.sweep(whole, settings=asked, current=current, progress=False), n_seen)
        for asked in (None, [settings])
    )
    return best, costs[0], advised[1], costs.min()


def unseen_costs(found, n_seen):
    """The cost of each setting on the runs that came after the first ones."""
    starts = found.evaluation.run_starts
    unseen = np.argsort(np.argsort(starts, kind="stable")) >= n_seen
    return found.evaluation.cost_of_groups(found.numbers, unseen.astype(np.int64), 2)[:, 1]


def advise_kind(kind, seed):
    n_seen = int(SEEN * N_RUNS)
    return advise(snapshot_of(kind, seed, n_seen)[0], snapshot_of(kind, seed)[0], kind.current, n_seen)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", MENDED)
def test_what_a_setting_can_mend(name, seed):
    """On unseen requests at least half of what the best setting saves in hindsight is saved."""
    _, now, advised, best = advise_kind(MENDED[name], seed)
    assert best <= 0.95 * now
    assert now - advised >= 0.5 * (now - best)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NOT_MENDED)
def test_what_no_setting_can_mend(name, seed):
    """Where no setting helps nothing is to be changed, and nothing is made dearer."""
    best, now, advised, _ = advise_kind(NOT_MENDED[name], seed)
    assert not best.is_change
    assert advised <= 1.01 * now


@pytest.mark.parametrize("agent_id", acg.load("data/sample", progress=False).agent_ids)
def test_agents_of_the_sample(sample, agent_id):
    """On the last third of its runs each agent pays at most 1% more, and half of what is to be won is won."""
    rules = next(found.rules for key, found in sample.rules.items() if sample.owners[key].agent_id == agent_id)
    records = sorted((run for run in sample.runs if run.agent_id == agent_id), key=lambda run: run.started_at)
    n_seen = int(SEEN * len(records))
    parts = []
    for runs in (records[:n_seen], records):
        backend = acg.MemoryBackend()
        for run in runs:
            backend.store_run(run)
        parts.append(acg.load(backend, rules=rules))
    acts = acg.simulate(sample).select(agent_id=agent_id).history.acts
    _, now, advised, best = advise(*parts, ACTING if acts else RESTING, n_seen)
    assert advised <= 1.01 * now
    if best <= 0.95 * now:
        assert now - advised >= 0.5 * (now - best)


def test_real_traffic():
    """The same for the last third of 200 real conversations, sent as Messages bodies with usage."""
    rows = log_rows()
    names = list(dict.fromkeys(row["session_id"] for row in rows))
    n_seen = int(SEEN * len(names))
    seen = set(names[:n_seen])
    parts = [
        acg.from_requests(part, api="anthropic", agent_id="airline", full_payloads=True)
        for part in ([row for row in rows if row["session_id"] in seen], rows)
    ]
    _, now, advised, best = advise(*parts, ACTING, n_seen)
    assert advised <= 1.01 * now
    if best <= 0.95 * now:
        assert now - advised >= 0.5 * (now - best)
