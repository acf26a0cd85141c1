"""What the tuner asks of the advice on settings, as values: for whom, and against which settings."""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from acg_lab.advice import Recommendation, Sweep, recommend, sweep
from acg_lab.config import AcgSettings
from acg_lab.history import Trace
from acg_lab.simulation import simulate
from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["Asked", "AskedCurve", "AskedSteps", "StepCosts", "price_steps", "recommend_for", "sweep_thresholds"]

_STEPS: Final = 101  # of the stable threshold's slider


StepCosts = NDArray[np.float64]  # shape (n_steps, 2): the cost, and that without a cache


class Asked(NamedTuple):
    """What to recommend for: an agent, None for all; and the current settings, None to infer them."""

    agent_id: str | None
    current: AcgSettings | None


class AskedCurve(NamedTuple):
    """Whose thresholds to price, against which settings, and with which other settings."""

    agent_id: str
    current: AcgSettings
    observation_window: int
    min_observations: int


def recommend_for(snap: Snapshot, asked: Asked, on_step: Callable[[int, int], None]) -> Recommendation:
    """Return what is recommended for an agent, or for all."""
    return recommend(snap, current=asked.current, agent_id=asked.agent_id, progress=on_step)


def sweep_thresholds(trace: Trace, asked: AskedCurve, on_step: Callable[[int, int], None]) -> Sweep:
    """Return what each step of the stable threshold's slider costs an agent; the second setting is no governor."""
    low = asked.current.thresholds.semi_stable_threshold
    base = asked.current.replace(
        observation_window=asked.observation_window,
        min_observations_for_full_confidence=asked.min_observations,
        provider="anthropic",
    )
    steps = [
        base.replace(stable_threshold=stable, semi_stable_threshold=min(low, stable))
        for stable in np.linspace(0, 1, _STEPS).round(2).tolist()
    ]
    idle = replace(asked.current, provider="passthrough")
    return sweep(
        trace.select(agent_id=asked.agent_id), settings=[idle, *steps], current=asked.current, progress=on_step
    )


class AskedSteps(NamedTuple):
    """Whose requests to price one by one, under which settings, and what ran when they were recorded."""

    learning_key: str
    settings: AcgSettings
    current: AcgSettings


def price_steps(trace: Trace, asked: AskedSteps, on_step: Callable[[int, int], None]) -> StepCosts:
    """Return what each step of a profile costs with settings whose window the trace has."""
    mine = trace.select(learning_key=asked.learning_key)
    (agent_id,) = {trace.profiles[number].agent_id for number in np.unique(mine.profile).tolist()}
    on_step(0, 1)
    sim = simulate(trace.select(agent_id=agent_id), asked.settings, config=asked.current)
    on_step(1, 1)
    shifts = np.cumsum([0, *(len(part.profile) for part in trace.parts)])
    steps = sim.history.requests.steps[sim.rows]
    found: dict[int, tuple[float, float]] = dict(
        zip(steps.tolist(), zip(sim.cost.tolist(), sim.cost_without_cache.tolist(), strict=True), strict=True)
    )
    known = [found.get(step, (np.nan, np.nan)) for step in (shifts[mine.part] + mine.row).tolist()]
    return np.array(known, np.float64).reshape(-1, 2)
