"""The prefix over thresholds: steps, marks, names and title are what the frame holds."""

import math

import pytest
from plot_snapshots import by_gid, gids, new, of_one, same, snapshot_of, text_of, window

import acg_lab as acg
from acg_lab import frames, plots
from acg_lab.plots.theme import PALETTES


def often(i):
    return "dominant" if i % 10 else f"other {i}"


SPANS = (("system-0", same), ("user-1-digest", often), ("user-2", same), ("user-3", new))


def stairs(axes, gid):
    values, edges, _ = by_gid(axes, gid).get_data()
    return list(values), list(edges)


@pytest.mark.usefixtures("theme")
def test_steps():
    """Grey steps are the lengths, blue ones what a request reads, each over its thresholds."""
    snap = of_one(60, *SPANS)
    (key,) = snap.windows
    frame = frames.threshold_curve(snap, key)
    axes = plots.threshold_curve(snap)
    shown = frame[frame["above"] < 1]
    for gid, name in (("length", "prefix_tokens"), ("read", "read_tokens")):
        values, edges = stairs(axes, gid)
        assert values == shown[name].tolist()
        assert edges == [0, *shown["upto"].clip(upper=1)]


def test_title():
    """The title gives the threshold that would read most, and how much; the marks stand there."""
    snap = of_one(60, *SPANS)
    axes = plots.threshold_curve(snap)
    (key,) = snap.windows
    frame = frames.threshold_curve(snap, key)
    best = frame["read_tokens"].max()
    now = frame.loc[(frame["above"] < 0.95) & (frame["upto"] >= 0.95), "read_tokens"].item()
    assert text_of(axes, "title") == f"At threshold 0.90 a request would read {best:,.0f} tokens instead of {now:,.0f}"
    assert by_gid(axes, "best-mark").get_xydata().tolist() == [[0.9, best]]
    assert by_gid(axes, "current-mark").get_xydata().tolist() == [[0.95, now]]
    assert text_of(axes, "current-name") == "default 0.95"
    given = acg.StabilityThresholds(stable_threshold=0.9)
    assert text_of(plots.threshold_curve(snap, thresholds=given), "current-name") == "current 0.9"
    assert text_of(plots.threshold_curve(snap, thresholds=given, role="tuned"), "current-name") == "tuned 0.9"


def test_recommended_threshold_is_reached():
    """The threshold in the title is never rounded above the score that must reach it."""
    snap = of_one(12, ("system-0", same), ("user-1", lambda i: "a" if i else "b"), ("user-2", same))
    assert text_of(plots.threshold_curve(snap), "title").startswith("At threshold 0.91 ")


def test_nothing_to_gain():
    """If less than 5% can be gained, the title says so and no threshold is marked as best."""
    limits = acg.StabilityThresholds(stable_threshold=0.9)
    axes = plots.threshold_curve(of_one(60, *SPANS), thresholds=limits)
    assert text_of(axes, "title") == "0.9 is within 5% of the best threshold for this window"
    assert gids(axes, "best-mark") == []
    assert text_of(axes, "current-name") == "current 0.9"


def test_names():
    """Levels name the block that ends them, with its score; the current one in orange, first."""
    axes = plots.threshold_curve(of_one(60, *SPANS))
    assert text_of(axes, "level-0") == "user-1-digest stops it here (0.90)"
    assert by_gid(axes, "level-0").get_color() == PALETTES["light"].breaking
    assert "user-3 (0.02)" in [text_of(axes, gid) for gid in gids(axes, "level-")]


def test_at_most_seven_names():
    """No more than 7 levels are named."""
    spans = [(f"user-{i}", lambda j, i=i: f"{j}" if j < i else "same") for i in range(40)]
    axes = plots.threshold_curve(of_one(50, *spans))
    assert 1 <= len(gids(axes, "level-")) <= 7


def test_exact_prefix():
    """Under nemo-relay-0.8 a prefix beyond system prompt and tools is read by no other request."""
    snap = of_one(60, *SPANS, rules="nemo-relay-0.8")
    axes = plots.threshold_curve(snap)
    assert text_of(axes, "title") == "0.95 is within 5% of the best threshold for this window"
    (length, edges), (read, _) = stairs(axes, "length"), stairs(axes, "read")
    assert edges == [0, 0.9, 1]
    assert length[0] > length[1] == read[1] > 10 * read[0]


@pytest.mark.parametrize("current", [-1.0, 0.0, 1.0, 1.5])
def test_odd_thresholds(current):
    """Any threshold that production takes can be the current one."""
    axes = plots.threshold_curve(of_one(9, *SPANS), thresholds=acg.StabilityThresholds(stable_threshold=current))
    assert 0 <= by_gid(axes, "current-mark").get_xydata()[0][0] <= 1


@pytest.mark.parametrize(
    ("snap", "title"),
    [
        (snapshot_of([]), "No requests observed yet"),
        (of_one(1, *SPANS), "One request so far: every block looks stable, nothing is known yet"),
        (of_one(9, ("system-0", new)), "No threshold gives this window a prefix that requests share"),
        (
            of_one(2, ("system-0", same), ("user-1", lambda i: None if i else "")),
            "0.95 is within 5% of the best threshold for this window",
        ),
        (of_one(9, ("system-0", same)), "0.95 is within 5% of the best threshold for this window"),
    ],
)
def test_extremes(snap, title):
    """If there is little to see, the title says so."""
    assert text_of(plots.threshold_curve(snap), "title") == title


def test_frame():
    """A frame gives the picture of its snapshot; with several profiles one must be named."""
    snap = snapshot_of(window(9, *SPANS), window(5, *SPANS))
    one, other = snap.windows
    axes = plots.threshold_curve(frames.threshold_curve(snap, one))
    assert stairs(axes, "read") == stairs(plots.threshold_curve(snap, one), "read")
    with pytest.raises(acg.UsageError, match="There are 2 profiles"):
        plots.threshold_curve(snap)
    with pytest.raises(acg.UsageError, match="There is no profile"):
        plots.threshold_curve(frames.threshold_curve(snap, one), other)
    assert frames.threshold_curve(snap, one)["upto"].iloc[-1] == math.inf
