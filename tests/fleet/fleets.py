"""Generated fleets: agents of many kinds and sizes in one export, and what single calls say of each."""

import random

import pandas as pd
from advice.agents import MENDED, NOT_MENDED, snapshot_of
from simulation import histories
from simulation.spending import clock, growing, reordered, unpriced

import acg_lab as acg
from acg_lab.core import RunRecord

TABLES = ("cost", "misses", "findings")
_SPENDING = (clock, growing, reordered)


def make_fleet(path, seed, n_agents=6, n_runs=20):
    """Export a fleet; return the path. Some agents are learned with windows, some have odd names or no price."""
    draw = random.Random(seed)
    kinds = {**MENDED, **NOT_MENDED}
    runs = []
    for number in range(n_agents):
        name = draw.choice(("agent", "bot/é <b>", "x:y")) + f" {number}"
        if draw.random() < 0.5:
            snap, _ = snapshot_of(kinds[draw.choice(sorted(kinds))], draw.randrange(100), draw.randint(3, n_runs))
            runs += [_rename(run, name, number) for run in snap.runs]
            continue
        calls = unpriced(name) if number == 1 else draw.choice(_SPENDING)(name, draw.randint(2, n_runs))
        runs += [_rename(run, name, number) for run in histories.snapshot_of(*calls).runs]
    acg.learn(runs).to_parquet(path)
    return str(path)


def _rename(run, agent_id, number):
    """The same run of another agent; ids of runs are those of one agent."""
    return RunRecord(
        id=f"{number:08}{run.id[8:]}",
        agent_id=agent_id,
        calls=run.calls,
        started_at=run.started_at,
        ended_at=run.ended_at,
    )


def single_calls(source, **options):
    """What a notebook finds agent by agent: a table of each kind per agent."""
    found = {}
    for agent_id in acg.load(source, progress=False).agent_ids:
        snap = acg.load(source, agent_id=agent_id, progress=False, **options)
        sim = acg.simulate(snap)
        explained = acg.explain(snap, progress=False)
        found[agent_id] = (acg.frames.agent_costs(sim), acg.frames.misses(sim), explained.to_frame())
    return found


def assert_equals_single_calls(survey, expected):
    """Every row of every agent, in its order, and no other row."""
    for number, name in enumerate(TABLES):
        table = getattr(survey, name)
        assert len(table) == sum(len(of_agent[number]) for of_agent in expected.values())
        for agent_id, of_agent in expected.items():
            rows = table[table["agent_id"] == agent_id].reset_index(drop=True)
            pd.testing.assert_frame_equal(_plain(rows), _plain(of_agent[number]))


def _plain(frame):
    """Return a frame with texts for categories, whose categories are those of all agents."""
    return frame.astype({name: object for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)})
