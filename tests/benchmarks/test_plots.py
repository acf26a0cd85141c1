"""What is claimed of the speed of plots, against plain matplotlib (``pytest tests/benchmarks --benchmark-only``).

Both are measured in turns, from data to the bytes of a picture, by processor time, so that a busy neighbour does not
count. The plain figure has one axes, 40 texts and 40 bars: about what a reader sees in one of ours.
"""

import io
import statistics
import time

import matplotlib as mpl
import msgspec
import numpy as np
import pandas as pd
import pytest
from benchmarks.measuring import lines, tell
from matplotlib.figure import Figure

import acg_lab as acg
from acg_lab import frames, plots
from acg_lab.core import PromptIR

mpl.use("Agg")
ROUNDS = 9


@pytest.fixture(scope="module")
def snap():
    """Return the 193 profiles of tau_airline."""
    backend = acg.MemoryBackend()
    for entry in lines("redis-0.3.0.jsonl.gz"):
        _, kind, key = entry["key"].partition("acg_observations:")
        if kind:
            backend.store_observations(key, msgspec.convert(entry["value"], tuple[PromptIR, ...]))
    return acg.load(backend, progress=False)


def plain():
    """Draw what matplotlib takes for about as much ink."""
    figure = Figure(figsize=(7.5, 5))
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.barh(range(40), np.linspace(0.1, 1, 40))
    for i in range(40):
        axes.text(0.5, i, f"tools-{i}-some_name", fontsize=7.5, family="DejaVu Sans Mono")
    figure.savefig(io.BytesIO())


def drawing(draw, *data, **options):
    """Return what draws into a figure of its own and renders it."""

    def work():
        axes = draw(*data, ax=Figure(figsize=(7.5, 5)), **options)
        axes.get_figure(root=True).savefig(io.BytesIO())

    return work


def milliseconds(work):
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e3


def measure(benchmark, work, most_times, most_ms):
    """Compare with the plain figure; milliseconds are told, since machines differ."""
    work()
    plain()
    pairs = benchmark.pedantic(lambda: [(milliseconds(work), milliseconds(plain)) for _ in range(ROUNDS)], rounds=1)
    ours, base = map(statistics.median, zip(*pairs, strict=True))
    tell(benchmark, ms=ours, plain_ms=base, times=ours / base, at_most=most_times, ms_on_a_quiet_core=most_ms)
    assert ours / base <= most_times


@pytest.mark.parametrize("name", ["window_heatmap", "threshold_curve"])
def test_one_profile(benchmark, snap, name):
    """A plot of one profile, from the snapshot to the picture, costs at most a plain figure: below 150 ms."""
    key = frames.profiles(snap)["learning_key"].iloc[0]
    measure(benchmark, drawing(getattr(plots, name), snap, key), 1, 150)


def test_over_time(benchmark):
    """So does the prefix over 2,454 steps with two settings."""
    rng, n = np.random.default_rng(7), 2454
    tokens = [rng.integers(3000, 4000, n), rng.integers(2000, 4000, n)]
    frame = pd.concat(
        pd.DataFrame({"step": range(n), "stable_threshold": t, "prefix_tokens": values})
        for t, values in zip((0.95, 0.9), tokens, strict=True)
    )
    measure(benchmark, drawing(plots.prefix_over_time, frame), 1, 150)


def test_two_thousand_profiles(benchmark, snap):
    """An overview of 2,000 profiles costs at most a plain figure: below 500 ms."""
    frame = frames.profiles(snap)
    frame = pd.concat([frame] * 11, ignore_index=True).iloc[:2000]
    frame["learning_key"] = [f"{key}{i}" for i, key in enumerate(frame["learning_key"])]
    measure(benchmark, drawing(plots.profiles_overview, frame), 1, 500)
