"""The window as a heatmap: cells, scores, names and times are what the frames hold."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from msgspec.structs import replace
from plot_snapshots import by_gid, figure_of, gids, new, of_one, once_changed, same, snapshot_of, text_of, window

import acg_lab as acg
from acg_lab import frames, plots
from acg_lab.plots.theme import PALETTES


def missing(i):
    return None if i % 15 == 3 else "few shots"


DEPLOYED = (("system-0", same), ("tools-1-search", same), ("system-5-policy", once_changed), ("user-2", new))


def colours_of(axes):
    """Return the picture as names of roles."""
    palette = PALETTES[plots.theme()]
    roles = {to_rgb(getattr(palette, r)): r for r in ("dominant", "semi_stable", "once", "breaking", "paper")}
    picture = by_gid(axes, "cells-image").get_array()
    return np.array([[roles[tuple(cell)] for cell in row] for row in np.asarray(picture).tolist()])


@pytest.mark.usefixtures("theme")
def test_cells():
    """Cells: blue for dominant content, grey if seen once, blank if absent, orange where a request first differs."""
    snap = of_one(60, *DEPLOYED, ("user-3-shots", missing))
    axes = plots.window_heatmap(snap)
    cells = colours_of(axes)
    assert cells.shape == (60, 5)
    assert (cells[:, :2] == "dominant").all()
    assert (cells[:38, 2] == "dominant").all()
    assert (cells[38:, 2] == "breaking").all()
    assert (cells[38:, 3] == "once").all()
    assert cells[3, 4] == "paper"
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 5), (60, 0))


def test_title_tells_the_moment():
    """The title calls a deployment one change, and says when."""
    axes = plots.window_heatmap(of_one(60, *DEPLOYED))
    assert text_of(axes, "title") == "system-5-policy changed once, 22 requests ago, and breaks the prefix"
    assert text_of(axes, "subtitle").startswith(
        "60 requests, oldest at the top, UTC · 4 blocks in prompt order · agent"
    )


def test_scores():
    """Bars are as high as the scores, the line stands at the threshold, and what is out of reach is hatched."""
    snap = of_one(60, *DEPLOYED, ("system-6-format", same))
    axes = plots.window_heatmap(snap)
    scores = frames.scores(snap)["score"]
    heights = [by_gid(axes, f"score-{i}").get_height() for i in range(5)]
    assert heights == pytest.approx((scores * heights[0]).tolist())
    (line,) = by_gid(axes, "stable-threshold").get_segments()
    bottom = by_gid(axes, "score-0").get_y() + heights[0]
    assert bottom - line[0][1] == pytest.approx(0.95 * heights[0])
    assert [bool(by_gid(axes, f"score-{i}").get_hatch()) for i in range(5)] == [False, False, False, False, True]


def test_prefix_is_the_results():
    """Bracket and line end where the result's prefix ends, not where colours do."""
    snap = of_one(20, ("system-0", same), ("tools-1-f", same), ("user-2", new), rules="nemo-relay-0.8")
    axes = plots.window_heatmap(snap, thresholds=acg.StabilityThresholds(stable_threshold=0.5))
    assert text_of(axes, "prefix-label") == "stable prefix, 2 blocks"
    bracket, cells = by_gid(axes, "prefix"), plots.window_heatmap(snap).get_window_extent()
    assert bracket.get_width() == pytest.approx(2 / 3 * cells.width / 100)


def test_names_and_times():
    """Columns are named in prompt order, the breaking one in orange; labels of time do not overlap."""
    axes = plots.window_heatmap(of_one(60, *DEPLOYED))
    assert [text_of(axes, gid) for gid in gids(axes, "name-")] == [name for name, _ in DEPLOYED]
    assert by_gid(axes, "name-2").get_color() == PALETTES["light"].breaking
    assert [text_of(axes, gid) for gid in gids(axes, "time-")] == ["02 Nov 08:02", "03 Nov", "04 Nov", "19:02"]


def test_many_blocks():
    """Beyond 40 blocks, groups and the breaking block are named; beyond 120, the note counts those not drawn."""
    spans = [("system-0", same), *((f"tools-{i}-t", same) for i in range(1, 60)), ("user-60", new)]
    spans += [(f"assistant-{i}", same) for i in range(61, 200)]
    axes = plots.window_heatmap(of_one(5, *spans))
    assert text_of(axes, "breaking-name") == "user-60"
    assert "59 tool schemas" in [text_of(axes, gid) for gid in gids(axes, "group-") if gid.endswith("name")]
    assert text_of(axes, "note-0").endswith("Not drawn: 80 behind of 200 blocks.")
    assert by_gid(axes, "cells-image").get_array().shape == (5, 120, 3)


def test_breaking_block_far_behind():
    """The breaking block is drawn wherever it stands."""
    spans = [*((f"assistant-{i}", same) for i in range(180)), ("user-180", new)]
    axes = plots.window_heatmap(of_one(5, *spans))
    assert text_of(axes, "breaking-name") == "user-180"
    assert "Blank" not in text_of(axes, "note-0")
    assert text_of(axes, "prefix-label") == "stable prefix, 180 blocks"
    assert "Not drawn: 61 before of 181 blocks." in text_of(axes, "note-0")


@pytest.mark.parametrize(
    ("snap", "title"),
    [
        (of_one(1, ("system-0", same)), "One request so far: every block looks stable, nothing is known yet"),
        (of_one(9, ("system-0", new)), "No stable prefix: system-0 breaks it at the first block"),
        (
            of_one(9, *[(f"system-{i}", same) for i in range(12)]),
            "All 12 blocks are stable: the whole prompt can be cached",
        ),
        (of_one(9, ("system-0", same)), "The only block is stable: the whole prompt can be cached"),
        (snapshot_of([]), "No requests observed yet"),
    ],
)
@pytest.mark.usefixtures("theme")
def test_extremes(snap, title):
    """If there is little to see, the title says so."""
    axes = plots.window_heatmap(snap)
    assert text_of(axes, "title") == title


def test_no_requests():
    """Without requests there is one dashed frame, 0.22 inches high, and what to do next; never empty axes."""
    axes = plots.window_heatmap(snapshot_of([]))
    heights = np.concatenate(by_gid(axes, "empty").get_segments())[:, 1]
    assert np.ptp(heights) == pytest.approx(0.22)
    assert "let the agent run once" in text_of(axes, "subtitle")
    assert gids(axes, "cells") == []


def test_one_request():
    """With one request bars are hollow, and no prefix is marked."""
    axes = plots.window_heatmap(of_one(1, ("system-0", same), ("user-1", new)))
    assert by_gid(axes, "score-0").get_hatch() is None
    assert by_gid(axes, "score-0").get_facecolor()[:3] == to_rgb(PALETTES["light"].paper)
    assert gids(axes, "prefix") == []


def test_score_above_one():
    """A block that requests repeat scores above 1: its bar ends at 1, with a mark."""
    blocks = [("system-0", same), ("user-1", same), ("user-1", same)]
    axes = plots.window_heatmap(of_one(4, *blocks))
    assert by_gid(axes, "score-1").get_height() == by_gid(axes, "score-0").get_height()
    assert text_of(axes, "score-1-above-1") == "▴"


def test_frames():
    """The two frames give the picture of their snapshot."""
    snap = snapshot_of(window(9, *DEPLOYED), window(5, *DEPLOYED))
    key = next(iter(snap.windows))
    axes = plots.window_heatmap(frames.cells(snap, key), scores=frames.scores(snap), learning_key=key)
    assert (colours_of(axes) == colours_of(plots.window_heatmap(snap, key))).all()
    axes = plots.window_heatmap(snap, key, scores=frames.scores(snap))
    assert (colours_of(axes) == colours_of(plots.window_heatmap(snap, key))).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"data": snapshot_of(window(2, *DEPLOYED), window(2, *DEPLOYED))},
            "There are 2 profiles; choose one by learning_key=",
        ),
        ({"data": frames.windows(snapshot_of([]))}, "Expected a frame of frames.cells; it has no column"),
        (
            {
                "data": frames.cells(
                    of_one(2, *DEPLOYED),
                    "agent::model=model::seed=user:sha256:0000::system=sha256:0b1f::tools=no-tools",
                )
            },
            "Expected a Snapshot, or a frame of frames.scores; got NoneType",
        ),
        ({"data": of_one(2, *DEPLOYED), "learning_key": "nobody"}, "nobody"),
    ],
)
def test_refusals(arguments, message):
    """What can't be drawn is a UsageError that says what was expected."""
    with pytest.raises(acg.UsageError, match=message):
        plots.window_heatmap(**arguments)


def test_times_beyond_all_days():
    """The earliest and latest times that nanoseconds can hold, as damaged clocks write them, are drawn too."""
    told = ("0001-01-01T00:00:00Z", "2026-11-02T08:00:00Z", "9999-12-31T23:59:59Z")
    observations = [replace(ir, created_at=at) for ir, at in zip(window(3, ("user-0", new)), told, strict=True)]
    figure_of(plots.window_heatmap(snapshot_of(observations))).canvas.draw()
