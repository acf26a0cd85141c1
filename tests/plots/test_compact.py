"""Every plot in axes that are too small for its words: a compact form, or one sentence with the size it needs."""

from functools import cache

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from plot_snapshots import (
    by_gid,
    figure_of,
    gids,
    nameless,
    of_one,
    once_changed,
    outside,
    overlapping,
    same,
    snapshot_of,
    texts,
    window,
)
from simulation.spending import clock, growing, reordered, simulated

import acg_lab as acg
from acg_lab import plots
from acg_lab.plots.text import fit_lines, text_width

MIXED = [("system-0", same), ("user-1", once_changed), ("tools-2-f", same), ("user-3", lambda i: str(i % 3))]
SNAP = of_one(60, *MIXED)
MANY = of_one(40, *[(f"tools-{i}-a_long_name_of_a_tool", once_changed if i == 70 else same) for i in range(150)])
KEYS = [f"agent-{i % 3}::model=model::seed=user:sha256:{i:04x}::system=sha256:0b1f::tools=no-tools" for i in range(40)]
FEW, PROFILES = (snapshot_of(*[window(2 + i % 5, *MIXED) for i in range(n)], keys=KEYS[:n]) for n in (4, 40))
SIM = simulated(*clock(), *growing(), *reordered(n=20, change=12))


def over_time(**options):
    values = [0, 100, 100, 4000, 4000] * 20
    frame = pd.concat(
        pd.DataFrame({"step": range(100), "stable_threshold": t, "prefix_tokens": values, "agent_id": "a"})
        for t in (0.95, 0.9)
    )
    changes = pd.DataFrame({"step": [5, 50], "span_id": ["system-0", "user-1"], "tokens": [90, 10]})
    return plots.prefix_over_time(frame, changes=changes, n_tuning=20, **options)


@cache
def advice():
    return acg.recommend(acg.load("data/sample", agent_id="claims-triage", progress=False), progress=False)


@cache
def sweep():
    """Settings of which most plan nothing."""
    return acg.sweep(acg.load("data/sample", agent_id="claims-triage-next", progress=False), progress=False)


DRAW = {
    "prefix_stability": lambda **options: plots.prefix_stability(SNAP, **options),
    "prefix_stability, 150 blocks": lambda **options: plots.prefix_stability(MANY, **options),
    "prefix_stability, no prefix": lambda **options: plots.prefix_stability(of_one(9, ("user-0", str)), **options),
    "prefix_stability in tokens": lambda **options: plots.prefix_stability(SNAP, width="tokens", **options),
    "window_heatmap": lambda **options: plots.window_heatmap(SNAP, **options),
    "window_heatmap, 150 blocks": lambda **options: plots.window_heatmap(MANY, **options),
    "threshold_curve": lambda **options: plots.threshold_curve(SNAP, **options),
    "profiles_overview": lambda **options: plots.profiles_overview(FEW, **options),
    "profiles_overview, 40 profiles": lambda **options: plots.profiles_overview(PROFILES, **options),
    "prefix_over_time": over_time,
    "cost_breakdown": lambda **options: plots.cost_breakdown(SIM, **options),
    "misses": lambda **options: plots.misses(SIM, **options),
    "requests_over_time": lambda **options: plots.requests_over_time(SIM, **options),
    "cost_curve": lambda **options: plots.cost_curve(advice(), **options),
    "cost_curve, nothing planned": lambda **options: plots.cost_curve(sweep(), **options),
    "threshold_surface": lambda **options: plots.threshold_surface(advice(), **options),
    "nothing": lambda **options: plots.window_heatmap(acg.load(acg.MemoryBackend(), progress=False), **options),
}
QUICK = [(2.0, 1.2), (5.2, 6.0)]
SIZES = [(2.0, 1.2), (2.25, 1.68), (3.0, 4.0), (4.5, 2.4), (5.2, 6.0), (5.3, 3.0), (7.5, 1.3), (7.5, 2.4)]


@pytest.fixture(params=DRAW)
def draw(request):
    return DRAW[request.param]


def axes_of(width, height):
    """Return axes of a size in inches, in the middle of a figure."""
    figure = plt.figure(figsize=(width + 1, height + 1))
    return figure.add_axes((0.5 / (width + 1), 0.5 / (height + 1), width / (width + 1), height / (height + 1)))


def beyond(page):
    """Return the texts and panels that stick out of a page's place by more than a pixel."""
    figure_of(page).draw_without_rendering()
    place = page.get_window_extent()
    found = [(panel.get_gid(), panel.get_window_extent()) for panel in page.child_axes]
    found += [(text.get_text(), text.get_window_extent()) for text in texts(page)]
    edges = (place.x0 - 1, place.y0 - 1, -place.x1 - 1, -place.y1 - 1)
    return [name for name, box in found if any(a < b for a, b in zip((box.x0, box.y0, -box.x1, -box.y1), edges))]  # noqa: B905


@pytest.mark.parametrize(
    "size", [*QUICK, *(pytest.param(size, marks=pytest.mark.slow) for size in SIZES if size not in QUICK)], ids=str
)
@pytest.mark.slow
def test_any_size(draw, size):
    """From 2 x 1.2 inches on, all texts are inside the axes and apart, every artist has a gid, and words are kept."""
    page = axes_of(*size)
    axes = draw(ax=page)
    assert axes is page or axes in page.child_axes
    assert beyond(page) == []
    assert overlapping(page) == []
    assert nameless(page) == []
    assert plots.alt_text(axes) == plots.alt_text(draw())


@pytest.mark.parametrize("size", [(1.9, 3.0), (3.0, 1.1)])
def test_too_small(draw, size):
    """Below 2 x 1.2 inches the error is one sentence that names both sizes."""
    said = r"needs a place of at least 2.0 x 1.2 in; the one of 'ax' has {:.2f} x {:.2f} in".format(*size)
    with pytest.raises(acg.UsageError, match=said):
        draw(ax=axes_of(*size))
    plt.gcf().draw_without_rendering()


@pytest.mark.parametrize("layout", [None, "constrained", "tight"])
def test_subplots_of_the_default_size(layout):
    """Four plots fit into `plt.subplots(2, 2)`, whatever lays it out."""
    figure, places = plt.subplots(2, 2, layout=layout)
    names = ("prefix_stability", "window_heatmap", "misses", "threshold_curve")
    for place, name in zip(places.flat, names, strict=True):
        DRAW[name](ax=place)
    assert outside(places[0, 0]) == []
    assert overlapping(places[0, 0]) == []
    assert figure.get_size_inches().tolist() == [6.4, 4.8]


def test_a_subfigure_is_a_place(draw):
    """A subfigure gives its place: its neighbour stays empty, and the figure keeps its size."""
    figure = plt.figure(figsize=(7, 3))
    left, right = figure.subfigures(1, 2)
    axes = draw(ax=left)
    assert figure.get_size_inches().tolist() == [7, 3]
    assert right.axes == []
    assert outside(axes) == []
    assert overlapping(axes) == []
    assert plots.alt_text(axes)


def test_a_narrow_figure_keeps_its_size(draw):
    """A figure too narrow for all words keeps its size."""
    figure = Figure(figsize=(3, 2))
    axes = draw(ax=figure)
    assert figure.get_size_inches().tolist() == [3, 2]
    assert outside(axes) == []
    assert overlapping(axes) == []


def test_bars_and_break_stay():
    """A compact form keeps bars, prefix rail and break, and has neither names nor a note."""
    axes = plots.prefix_stability(SNAP, ax=axes_of(2.25, 1.68))
    assert len(gids(axes, "score-")) == 4
    by_gid(axes, "prefix-rail")
    by_gid(axes, "break-rule")
    assert not gids(axes, "name-") + gids(axes, "note-") + gids(axes, "subtitle")
    assert gids(plots.prefix_stability(SNAP, ax=axes_of(3, 3)), "subtitle")


def test_titles_of_compact_forms():
    """A title has one line or two; what has no room ends in an ellipsis, and no word stands alone."""
    assert fit_lines("Both blocks are stable", 3.0) == (8.5, ["Both blocks are stable"])
    size, lines = fit_lines("97% of the prompt is a stable prefix; user-11 breaks it", 2.6)
    assert len(lines[1].split()) > 2
    size, lines = fit_lines("word " * 60, 2.0)
    assert lines[1].endswith("…")
    assert all(text_width(line, size, bold=True) <= 2.0 for line in lines)


# --- what else may come in numbers ---


@pytest.mark.parametrize("n", [150, 3000])
@pytest.mark.parametrize("changed", [0, 77, 149])
def test_no_difference_vanishes(n, changed):
    """With less than a pixel a request, one that differs is still orange: the worst request of a pixel wins."""
    snap = of_one(n, ("system-0", lambda i: "other" if i == changed else "same"), ("user-1", same))
    axes = plots.window_heatmap(snap, ax=axes_of(3, 1.3))
    picture = by_gid(axes, "cells-image").get_array()
    assert picture.shape[0] < 72
    red = plots.theme() == "light" and (picture[:, 0] == [0xC2 / 255, 0x41 / 255, 0x0C / 255]).all(axis=1)
    assert red.tolist() == [row == changed * len(picture) // n for row in range(len(picture))]


@pytest.mark.slow
def test_a_heatmap_of_ten_thousand_requests(tmp_path):
    """A heatmap of 10,000 requests is at most 10 inches of cells, and its SVG below a megabyte."""
    snap = of_one(10_000, *[(f"tools-{i}-t", once_changed if i == 9 else same) for i in range(30)])
    axes = plots.window_heatmap(snap)
    assert figure_of(axes).get_figheight() < 14
    plots.save(axes, tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size < 1_000_000


def test_runs_of_tool_results_fold():
    """Runs of tool results fold into one row however few blocks there are; `fold=False` shows them."""
    results = [(f"tool-{i}-call_{i:032x}", str) for i in range(2, 8)]
    snap = of_one(9, ("system-0", same), ("user-1", str), *results, ("assistant-8", str))
    axes = plots.prefix_stability(snap)
    shown = " ".join(text.get_text() for text in texts(axes))
    assert "⋯ 6 tool results" in shown
    assert "call_" not in shown
    whole = " ".join(text.get_text() for text in texts(plots.prefix_stability(snap, fold=False)))
    assert "tool results" not in whole
    assert whole.count("tool-") == 6


def test_two_results_stand_alone():
    """Two tool results are no run, and a run that breaks the prefix keeps its breaking block."""
    of_two = of_one(9, ("system-0", same), ("user-1", str), ("tool-2-a", str), ("tool-3-b", str))
    assert not gids(plots.prefix_stability(of_two), "fold-")
    breaking = of_one(9, ("system-0", same), *[(f"tool-{i}-a", str) for i in range(1, 6)])
    axes = plots.prefix_stability(breaking)
    assert by_gid(axes, "name-1").get_text() == "tool-1-a"
    assert by_gid(axes, "fold-2").get_text() == "⋯ 4 tool results"


def test_several_agents_over_time():
    """Steps of several agents are no one line: one must be chosen, and unknown names get the nearest."""
    frame = pd.DataFrame({"step": range(4), "stable_threshold": 0.95, "prefix_tokens": [0, 9, 0, 5]})
    frame["agent_id"] = ["claims", "chat", "claims", "chat"]
    with pytest.raises(acg.UsageError, match="There are 2 agents; choose one by agent_id=, such as 'claims', 'chat'"):
        plots.prefix_over_time(frame)
    assert plots.prefix_over_time(frame, agent_id="chat").get_xlim() == (0, 2)
    with pytest.raises(acg.UsageError, match=r"got 'claim'\. The nearest: 'claims'"):
        plots.prefix_over_time(frame, agent_id="claim")


def test_dates_over_time():
    """Ticks are the first requests of the days, as far as their dates have room."""
    started = pd.date_range("2026-11-02T22:00:00Z", periods=40, freq="h")
    frame = pd.DataFrame({"step": range(40), "stable_threshold": 0.95, "prefix_tokens": 5, "started_at": started})
    axes = plots.prefix_over_time(frame)
    assert axes.get_xticks().tolist() == [0, 26]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["02 Nov", "04 Nov"]


@pytest.mark.parametrize("draw_it", [plots.prefix_stability, plots.window_heatmap, plots.threshold_curve])
def test_a_trace_is_no_snapshot(draw_it):
    """A trace where a snapshot is wanted is refused by name, by plots of one profile."""
    with pytest.raises(acg.UsageError, match=r"Snapshot.*got Trace"):
        draw_it(acg.replay(SNAP, progress=False))


def test_profiles_of_a_trace_are_refused():
    """A trace where a snapshot is wanted is refused by name, by the plot of all profiles too."""
    with pytest.raises(acg.UsageError, match=r"Snapshot.*got Trace"):
        plots.profiles_overview(acg.replay(SNAP, progress=False))
