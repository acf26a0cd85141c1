"""What holds for every figure: gids, texts that fit, privacy, and alternative text."""

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image
from plot_snapshots import (
    CANARY,
    by_gid,
    figure_of,
    nameless,
    new,
    of_one,
    outside,
    overlapping,
    same,
    snapshot_of,
    text_of,
    texts,
    window,
)

import acg_lab as acg
from acg_lab import frames, plots

LONG = "tools-{}-" + "update_reservation_passengers_" * 5
ODD = [
    "system-0-查询订单的工具",
    "user-1-العربية",
    "user-2-😀\n\t",
    "user-3-$x^2$ \\frac",
    "user-4-<img src=x>",
    "user-5-{name}",
]


def snapshot(n, spans, rules="nemo-flow-0.2"):
    return of_one(n, *spans, rules=rules)


def over_time(snap, **options):
    """Draw as many steps as the first window has requests."""
    n = max(map(snap.n_observations, snap.windows), default=0)
    values = np.arange(n) % 3 * 100
    frame = pd.concat(
        pd.DataFrame({"step": range(n), "stable_threshold": t, "prefix_tokens": values * f})
        for t, f in ((0.95, 1), (0.9, 2))
    )
    spans = [span.span_id for span in snap.counts[next(iter(snap.windows))]][:6]
    changes = pd.DataFrame({"step": range(len(spans)), "span_id": spans})
    return plots.prefix_over_time(frame, changes=changes if n else None, **options)


DRAW = {
    "prefix_stability": plots.prefix_stability,
    "prefix_stability_tokens": lambda snap, **options: plots.prefix_stability(snap, width="tokens", **options),
    "window_heatmap": plots.window_heatmap,
    "threshold_curve": plots.threshold_curve,
    "profiles_overview": plots.profiles_overview,
    "prefix_over_time": over_time,
}
mixed = [("system-0", same), ("user-1", new), ("tools-2-f", same), ("user-3", lambda i: str(i % 3) if i % 4 else None)]
SNAPSHOTS = {
    "no requests": snapshot_of([]),
    "one block": snapshot(9, [("system-0", same)]),
    "one request": snapshot(1, mixed),
    "3 blocks": snapshot(30, mixed[:3]),
    "4 blocks": snapshot(100, mixed),
    "exact": snapshot(100, [("system-0", same), *mixed], "nemo-relay-0.8"),
    "200 blocks": snapshot(12, [(f"tools-{i}-t", new if i == 90 else same) for i in range(200)]),
    "long names": snapshot(30, [(LONG.format(i), new if i == 7 else same) for i in range(12)]),
    "odd names": snapshot(30, [(name, new if "name" in name else same) for name in ODD]),
    "no prefix": snapshot(30, [("system-0", new), *mixed[2:]]),
}


@pytest.fixture(params=SNAPSHOTS)
def snap(request):
    return SNAPSHOTS[request.param]


@pytest.fixture(params=DRAW)
def draw(request):
    return DRAW[request.param]


def test_sound(draw, snap, theme):
    """Every artist has a gid, all texts are inside and apart, none holds prompt text, and nothing warns."""
    axes = draw(snap)
    figure_of(axes).canvas.draw()
    assert nameless(axes) == []
    assert outside(axes) == []
    assert overlapping(axes) == []
    shown = " ".join(text.get_text() for text in texts(axes)) + plots.alt_text(axes)
    assert CANARY not in shown
    assert theme == plots.theme()


@pytest.mark.parametrize("width", [6, 10])
@pytest.mark.parametrize("name", ["4 blocks", "long names", "200 blocks"])
def test_widths(draw, name, width):
    """All texts fit at widths from 6 to 10 inches."""
    axes = draw(SNAPSHOTS[name], ax=Figure(figsize=(width, 1)))
    assert outside(axes) == []
    assert overlapping(axes) == []


def test_without_heading(draw):
    """Without a heading, title and subtitle are not drawn but stay in the alternative text."""
    whole = draw(SNAPSHOTS["4 blocks"])
    axes = draw(SNAPSHOTS["4 blocks"], heading=False)
    assert plots.alt_text(axes) == plots.alt_text(whole)
    assert not any(text.get_gid() in ("title", "subtitle") for text in texts(axes))
    assert figure_of(axes).get_figheight() < figure_of(whole).get_figheight()


def test_in_an_axes(draw):
    """A plot drawn into axes stays within their place and leaves the neighbour alone."""
    figure, (left, right) = plt.subplots(2, 1, figsize=(8, 12))
    right.plot([1, 2])
    before = right.get_children()
    place = left.get_window_extent()
    axes = draw(SNAPSHOTS["3 blocks"], ax=left)
    assert right.get_children() == before
    assert axes is left or axes in left.child_axes
    figure.draw_without_rendering()
    for text in texts(left):
        if text.axes in (left, *left.child_axes):
            box = text.get_window_extent()
            assert box.x0 >= place.x0 - 1
            assert box.x1 <= place.x1 + 1


def test_alternative_text(draw, tmp_path):
    """The alternative text is title and subtitle, and a saved picture carries it."""
    axes = draw(SNAPSHOTS["long names"])
    words = plots.alt_text(axes)
    assert words == plots.alt_text(figure_of(axes))
    assert words.split(" ")[0] == text_of(axes, "title").split(" ")[0] or "tools-7" in words
    plots.save(axes, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as picture:
        assert picture.info["Description"] == words
        assert picture.width == 1080
    plots.save(axes, tmp_path / "plot.svg")
    assert words.split(" ·")[0] in (tmp_path / "plot.svg").read_text(encoding="utf-8")
    plots.save(axes, tmp_path / "plot.pdf")


def test_removed_axes():
    """Asking for the alternative text of removed axes is a UsageError."""
    axes = plots.window_heatmap(SNAPSHOTS["3 blocks"])
    axes.remove()
    with pytest.raises(acg.UsageError, match="were removed from their figure"):
        plots.alt_text(axes)


def test_sharp_at_any_scale(draw):
    """All texts fit at twice the resolution too."""
    axes = draw(SNAPSHOTS["4 blocks"])
    figure_of(axes).set_dpi(200)
    assert outside(axes) == []
    assert overlapping(axes) == []


@pytest.mark.usefixtures("theme")
def test_many_profiles():
    """All texts fit with 2,000 profiles of every size."""
    snap = SNAPSHOTS["3 blocks"]
    (row,) = frames.profiles(snap).to_dict("records")
    rng = np.random.default_rng(7)
    frame = pd.DataFrame([row] * 2000)
    frame["learning_key"] = [f"{row['learning_key']}{i}" for i in range(2000)]
    frame["requests"] = rng.zipf(1.6, 2000).clip(1, 300)
    frame["breaking_span"] = [LONG.format(i % 40) for i in range(2000)]
    axes = plots.profiles_overview(frame)
    assert nameless(axes) == []
    assert outside(axes) == []
    assert overlapping(axes) == []
    assert by_gid(axes, "profiles") is axes


def test_two_profiles_in_a_window():
    """Plots of one profile list profiles if there are several and none is named."""
    snap = snapshot_of(window(3, *mixed), window(3, *mixed))
    for name in ("prefix_stability", "window_heatmap", "threshold_curve"):
        with pytest.raises(ValueError, match="There are 2 profiles"):
            DRAW[name](snap)


@pytest.mark.parametrize("name", [name for name in plots.__all__ if name in DRAW and name != "prefix_over_time"])
def test_an_empty_source(name):
    """A source without profiles is drawn like a profile without requests."""
    axes = getattr(plots, name)(acg.load(acg.MemoryBackend(), progress=False))
    assert text_of(axes, "title") == "No requests observed yet"


@pytest.mark.parametrize("name", [name for name in plots.__all__ if name in DRAW])
@pytest.mark.parametrize("given", [None, "data/sample", 0.9])
def test_anything_else_is_refused(name, given):
    """Anything but a snapshot or a frame is a UsageError that says what was expected."""
    with pytest.raises(acg.UsageError, match=f"or a .*; got {type(given).__name__}"):
        getattr(plots, name)(given)


def test_a_snapshot_is_no_trace():
    """Given a snapshot instead of a trace, the error names acg.replay."""
    with pytest.raises(acg.UsageError, match=r"Trace \(of acg.replay\), or a frame of frames.steps; got Snapshot"):
        plots.prefix_over_time(SNAPSHOTS["one block"])


@pytest.mark.parametrize(
    "draw_it",
    [
        lambda snap, limits: plots.prefix_stability(snap, thresholds=limits),
        lambda snap, limits: plots.window_heatmap(snap, thresholds=limits),
        lambda snap, limits: plots.threshold_curve(snap, thresholds=limits),
        lambda snap, limits: plots.profiles_overview(snap, thresholds=limits),
        lambda snap, limits: over_time(snap, current=limits.stable_threshold),
        frames.profiles,
        lambda snap, limits: frames.scores(snap, thresholds=limits),
        frames.findings,
    ],
)
def test_per_cent_is_refused(draw_it):
    """A threshold written in per cent is a UsageError that names the setting and the share to write."""
    with pytest.raises(acg.UsageError, match=r"is a share from 0 to 1, not per cent; got 95: write 0\.95"):
        draw_it(SNAPSHOTS["3 blocks"], acg.StabilityThresholds(stable_threshold=95))


def test_thresholds_of_another_type_are_refused():
    """Thresholds of another type and an unknown role are a UsageError that says what is valid."""
    with pytest.raises(acg.UsageError, match=r"must be a StabilityThresholds, such as .*; got 0\.\d+"):
        plots.prefix_stability(SNAPSHOTS["3 blocks"], thresholds=0.9)
    with pytest.raises(acg.UsageError, match="'role' option must be 'current' or 'tuned'; got 'best'"):
        plots.threshold_curve(SNAPSHOTS["3 blocks"], role="best")
