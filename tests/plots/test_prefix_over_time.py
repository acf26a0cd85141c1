"""The prefix over time: steps, means and marks are what the frame holds."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from plot_snapshots import by_gid, gids, key_of, new, of_one, same, text_of

import acg_lab as acg
from acg_lab import plots
from acg_lab.plots.theme import PALETTES


def steps(threshold, values, **more):
    rows = {"step": range(len(values)), "stable_threshold": threshold, "prefix_tokens": values}
    return pd.DataFrame({**rows, "learning_key": key_of(), "agent_id": "agent", **more})


def both(default, tuned, **more):
    return pd.concat([steps(0.95, default, **more), steps(0.86, tuned, **more)])


BETTER = both([0] * 10 + [100] * 30, [0] * 10 + [150] * 30)


def line(axes, name):
    values, edges, _ = by_gid(axes, f"line-{name}").get_data()
    return list(values), list(edges)


@pytest.mark.usefixtures("theme")
def test_steps():
    """Each setting is a line with one step per request; where the tuned one has more, the gap is filled."""
    axes = plots.prefix_over_time(BETTER)
    for name, height in (("default", 100), ("tuned", 150)):
        assert line(axes, name) == ([0] * 10 + [height] * 30, list(range(41)))
    gain, *_ = by_gid(axes, "gain").get_data()
    assert gain.tolist() == [0] * 10 + [150] * 30
    assert gids(axes, "loss") == []


def test_numbers_are_held_out():
    """Title and labels show means over the requests after the tuning period."""
    axes = plots.prefix_over_time(BETTER, n_tuning=10)
    assert text_of(axes, "title") == "Tuned settings keep 150 tokens in the prefix instead of 100"
    assert (text_of(axes, "mean-tuned"), text_of(axes, "mean-default")) == ("mean 150", "mean 100")
    assert text_of(axes, "subtitle").startswith("mean of 30 requests after the tuning period · agent · model")
    assert by_gid(axes, "tuning-period").get_width() == 10
    assert text_of(axes, "held-out-name") == "held out"


def test_nothing_is_held_out():
    """If all requests were used for tuning, no mean is shown."""
    axes = plots.prefix_over_time(BETTER, n_tuning=40)
    assert text_of(axes, "title") == "No request came after the tuning period"
    assert text_of(axes, "mean-tuned") == ""


def test_tuned_is_worse():
    """If the tuned setting keeps less, the title says so and the gap has the breaking tint."""
    axes = plots.prefix_over_time(both([150] * 9, [100] * 9))
    assert text_of(axes, "title") == "Tuned settings keep only 100 tokens in the prefix instead of 150"
    assert to_hex(by_gid(axes, "loss").get_facecolor()).upper() == PALETTES["light"].breaking_tint
    assert gids(axes, "gain") == []


def test_default_is_tuned():
    """Settings that never differ are one line."""
    axes = plots.prefix_over_time(both([100] * 9, [100] * 9))
    assert text_of(axes, "title") == "Both settings keep 100 tokens in the prefix"
    assert [text_of(axes, gid) for gid in gids(axes, "name-")] == ["default = tuned"]
    assert len(gids(axes, "line-")) == 1


def test_equal_means():
    """The title does not claim a difference between equal means."""
    title = text_of(plots.prefix_over_time(both([100, 200], [200, 100])), "title")
    assert title == "Tuned and default settings both keep 150 tokens in the prefix"


def test_one_setting():
    """One setting is one line, with its mean."""
    axes = plots.prefix_over_time(steps(0.9, [10, 20]), current=0.9)
    assert text_of(axes, "title") == "Current settings keep 15 tokens in the prefix"
    assert text_of(axes, "note-0").startswith("current: stable_threshold 0.9.")


def test_windows():
    """If settings differ in their window, the note says so."""
    frame = pd.concat([steps(0.95, [20, 20], window=30), steps(0.95, [10, 10], window=100)])
    axes = plots.prefix_over_time(frame)
    assert "default: stable_threshold 0.95, window 100.  tuned: stable_threshold 0.95, window 30." in text_of(
        axes, "note-0"
    )


def test_what_requests_repeated():
    """If a frame has matched tokens, the subtitle shows them."""
    frame = pd.concat(
        [steps(0.95, [100] * 4, matched_tokens=90), steps(0.86, [150] * 4, matched_tokens=[40, 41, 42, 37])]
    )
    assert "requests repeated 40 of them instead of 90" in text_of(plots.prefix_over_time(frame), "subtitle")


def test_many_requests():
    """Beyond 2,000 requests a line is the median of each pixel, with the range from the least to the most."""
    values = np.arange(100_000) % 7
    axes = plots.prefix_over_time(steps(0.95, values))
    medians, edges = line(axes, "default")
    assert len(medians) < 1000
    assert edges[0] == 0
    assert edges[-1] == 100_000
    parts = np.split(values, np.array(edges[1:-1], int))
    assert medians == [np.median(part) for part in parts]
    top, _, bottom = by_gid(axes, "range-default").get_data()
    assert [*zip(bottom, top, strict=True)] == [(part.min(), part.max()) for part in parts]


def test_changes():
    """Content changes are marked: the five largest are named above their lines, the others have ticks."""
    changes = pd.DataFrame({"step": range(8), "span_id": [f"user-{i}" for i in range(8)], "tokens": range(8)})
    axes = plots.prefix_over_time(BETTER, changes=changes)
    assert [text_of(axes, f"change-{i}-name") for i in range(5)] == [f"user-{i} changes" for i in range(3, 8)]
    assert [by_gid(axes, f"change-{i}").get_xdata()[0] for i in range(5)] == [3, 4, 5, 6, 7]
    assert len(by_gid(axes, "other-changes").get_segments()) == 3


def test_steps_of_a_selection():
    """Steps are drawn in order, whatever their numbers."""
    frame = BETTER.assign(step=BETTER["step"] * 10 + 5).sample(frac=1, random_state=1)
    changes = pd.DataFrame({"step": [105], "span_id": ["user-1"]})
    axes = plots.prefix_over_time(frame, changes=changes)
    assert line(axes, "tuned") == ([0] * 10 + [150] * 30, list(range(41)))
    assert by_gid(axes, "change-0").get_xdata()[0] == 10


def test_trace():
    """A trace is drawn as the steps of its two settings."""
    spans = (("system-0", same), ("user-1", lambda i: "dominant" if i % 8 else new(i)), ("user-2", new))
    trace = acg.replay(of_one(40, *spans), progress=False)
    frame = trace.to_frame([0.95, 0.8])
    axes = plots.prefix_over_time(trace, tuned=0.8)
    for name, threshold in (("default", 0.95), ("tuned", 0.8)):
        assert line(axes, name)[0] == frame.loc[frame["stable_threshold"] == threshold, "prefix_tokens"].tolist()
    assert text_of(axes, "title").startswith("Tuned settings keep")


def test_no_steps():
    """Without steps, only the next thing to do is shown."""
    axes = plots.prefix_over_time(BETTER.iloc[:0])
    assert text_of(axes, "title") == "No requests observed yet"
    assert text_of(axes, "subtitle") == "The trace has no steps: replay a source with runs, or with windows"


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (pd.concat([steps(t, [1]) for t in (0.7, 0.8, 0.9)]), {}, "one setting or two.*0.7, 0.8, 0.9"),
        (BETTER.iloc[:-1], {}, "same steps of both settings"),
        (BETTER, {"n_tuning": -1}, "non-negative number of requests; got -1"),
        (BETTER, {"tuned": 0.5}, "with those asked for; the frame has stable_threshold 0.95, 0.86"),
        (BETTER.drop(columns="step"), {}, "has no column 'step'"),
    ],
)
def test_refusals(frame, options, message):
    """Too many settings, an unknown one, per cent, or a frame of something else is a UsageError."""
    with pytest.raises(acg.UsageError, match=message):
        plots.prefix_over_time(frame, **options)
