"""What is claimed of exploring: frames against loading, plots against the clock, on the 193 profiles of tau_airline."""

import time

import matplotlib as mpl
import pytest
from benchmarks.measuring import interleaved, tell
from matplotlib import pyplot as plt
from plots.windows import snapshot, two_hundred

import acg_lab as acg
from acg_lab import frames, plots

FRAMES = {
    "blocks": frames.blocks,
    "blocks with text": lambda snap: frames.blocks(snap, text=True),
    "windows": frames.windows,
    "profiles": frames.profiles,
    "scores": lambda snap: frames.scores(snap.stability, snap),
    "scores without windows": lambda snap: frames.scores(snap.stability),
    "variants": lambda snap: frames.variants(snap, next(iter(snap.windows))),
}


def measure(benchmark, url, make, rounds=7):
    """Make a frame of a snapshot that was loaded just before, so that nothing is known yet."""
    loaded = []
    load = min(
        interleaved(benchmark, lambda: make(loaded[-1]), lambda: loaded.append(acg.load(url, progress=False)), rounds)
    )
    frame = benchmark.stats.stats.min
    tell(benchmark, frame_ms=frame * 1e3, load_ms=load * 1e3, ratio=load / frame, at_least=4)
    assert frame <= load / 4


@pytest.mark.parametrize("name", FRAMES)
def test_frames(benchmark, filled, name):
    """Each frame of windows takes at most a quarter of the time to load them from Redis."""
    measure(benchmark, filled, FRAMES[name])


def test_calls(benchmark, filled_with_runs):
    """The frame of calls takes at most a quarter of the time to load windows and runs from Redis."""
    measure(benchmark, filled_with_runs, frames.calls)


@pytest.mark.parametrize("width", ["blocks", "tokens"])
@pytest.mark.parametrize("case", ["tau_airline", "200 blocks"])
def test_prefix_stability(benchmark, filled, case, width):
    """A plot of one profile is made and rendered in less than 150 ms of processor time, its window analysed."""
    mpl.use("Agg")
    snap = snapshot(two_hundred()) if case == "200 blocks" else acg.load(filled, progress=False)
    key = frames.profiles(snap)["learning_key"][0]
    made, both = [], []

    def draw():
        started = time.process_time()
        axes = plots.prefix_stability(snap, key, width=width)
        made.append(time.process_time() - started)
        axes.get_figure().canvas.draw()
        both.append(time.process_time() - started)
        plt.close("all")

    benchmark.pedantic(draw, rounds=9, warmup_rounds=1)
    tell(benchmark, made_ms=min(made) * 1e3, made_and_rendered_ms=min(both) * 1e3, at_most=150)
    assert min(both) <= 0.150
