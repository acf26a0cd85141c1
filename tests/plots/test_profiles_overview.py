"""All profiles: widths, heights, counts and causes are those of the frame."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from plot_snapshots import by_gid, gids, key_of, new, same, snapshot_of, text_of, window

import acg_lab as acg
from acg_lab import frames, plots
from acg_lab.plots.inputs import shared_words
from acg_lab.plots.overview_columns import drop_call_id
from acg_lab.plots.theme import PALETTES

WHOLE = (("system-0", same), ("user-1", same))
BROKEN = (("system-0", same), ("user-1", new))
NOTHING = (("system-0", new), ("user-1", same))


def profiles(*requests, spans=BROKEN):
    return frames.profiles(snapshot_of(*(window(n, *spans) for n in requests)))


def many(n, requests=2, breaks="user-1", agent="agent"):
    """Return profiles as the frame has them, without windows."""
    rows = {
        "learning_key": [key_of(i) for i in range(n)],
        "agent_id": agent,
        "requests": requests,
        "prompt_tokens": np.linspace(90, 110, n),
        "prefix_tokens": 50.0,
        "share": 0.5,
        "breaking_span": breaks,
    }
    return pd.DataFrame(rows)


def column(axes, gid):
    values, edges, _ = by_gid(axes, gid).get_data()
    return list(values), list(edges)


class TestColumns:
    @pytest.mark.usefixtures("theme")
    def test_columns(self):
        """A column is as wide as its profile has requests, the widest first, and as high as prompt and prefix."""
        frame = profiles(*[30] * 10, *[5] * 12, *[1] * 8)
        axes = plots.profiles_overview(frame)
        prompts, edges = column(axes, "prompts")
        ordered = frame.sort_values("requests", ascending=False, kind="stable")
        assert np.diff(edges).tolist() == ordered["requests"].tolist()
        assert prompts == ordered["prompt_tokens"].tolist()
        for number, part in enumerate((slice(0, 10), slice(10, 22), slice(22, 30))):
            prefixes, own_edges = column(axes, f"prefixes-{number}")
            assert prefixes == ordered["prefix_tokens"][part].tolist()
            assert own_edges == edges[part.start : part.stop + 1]

    def test_colours(self):
        """Profiles with full confidence are dark, with fewer requests paler, with one request grey."""
        axes = plots.profiles_overview(profiles(*[20] * 10, *[19] * 12, *[1] * 8))
        colours = [to_hex(by_gid(axes, f"prefixes-{i}").get_facecolor()).upper() for i in range(3)]
        light = PALETTES["light"]
        assert colours == [light.stable, light.low_confidence, light.variable]

    def test_brackets(self):
        """Brackets count the profiles with full confidence, with fewer requests, and with one."""
        axes = plots.profiles_overview(profiles(*[30] * 10, *[5] * 12, *[1] * 8))
        told = [text_of(axes, f"bracket-{i}-label").removesuffix(" profiles") for i in range(3)]
        assert told == ["20 or more · 10", "2\N{EN DASH}19 · 12", "1, unused · 8"]
        limits = acg.StabilityThresholds(min_observations_for_full_confidence=3)
        axes = plots.profiles_overview(profiles(*[30] * 20, *[2] * 12), thresholds=limits)
        told = [text_of(axes, f"bracket-{i}-label").removesuffix(" profiles") for i in range(2)]
        assert told == ["3 or more · 20", "2 · 12"]

    def test_separators(self):
        """Lines between columns get thinner with their number, and end at 400."""
        widths = []
        for n in (80, 400):
            widths += by_gid(plots.profiles_overview(many(n)), "separators").get_linewidths().tolist()
        assert widths == [0.5, 0.15]
        assert gids(plots.profiles_overview(many(401)), "separators") == []

    def test_causes(self):
        """Causes are listed by share of requests, tool calls without their ids; beyond 7 they are only counted."""
        frame = pd.concat([many(30, 8, f"tool-3-call_{i}" if i < 2 else f"user-{i}") for i in range(10)])
        frame["learning_key"] = [key_of(i) for i in range(len(frame))]
        axes = plots.profiles_overview(frame)
        names = [text_of(axes, gid) for gid in gids(axes, "cause-") if gid.endswith("name")]
        assert names == ["tool-3", *(f"user-{i}" for i in range(2, 8)), "2 other blocks"]
        assert text_of(axes, "cause-0-share") == "20% · 60 profiles"
        tracks = by_gid(axes, "cause-0-track").get_width()
        assert by_gid(axes, "cause-0").get_width() == pytest.approx(0.2 * tracks)

    def test_no_cause(self):
        """If every prompt is stable, no cause is shown."""
        axes = plots.profiles_overview(many(30, breaks=None))
        assert text_of(axes, "no-cause") == "nothing: every prompt is stable"

    def test_two_thousand(self):
        """2,000 profiles are as few artists as 200."""
        assert len(gids(plots.profiles_overview(many(2000)))) <= len(gids(plots.profiles_overview(many(200))))


class TestTable:
    @pytest.mark.usefixtures("theme")
    def test_rows(self):
        """Up to 25 profiles are a table: requests, prefix in its prompt, share, and breaking block."""
        frame = profiles(30, 5, 1, spans=(("system-0", same), ("user-1", new), ("user-2", same)))
        axes = plots.profiles_overview(frame)
        ordered = frame.sort_values("requests", ascending=False, kind="stable")
        assert [text_of(axes, f"requests-{i}") for i in range(3)] == ["30", "5", "1"]
        assert [text_of(axes, f"broken-by-{i}") for i in range(3)] == ["user-1", "user-1", "1 request: unused"]
        widths = [by_gid(axes, f"prefix-{i}").get_width() / by_gid(axes, f"prompt-{i}").get_width() for i in range(3)]
        assert widths == pytest.approx(ordered["share"].tolist())

    def test_names(self):
        """Profiles go by their display names; what all have in common is in the subtitle."""
        frame = profiles(30, 5)
        assert frame["profile"].tolist() == ["agent seed…0000", "agent seed…0001"]
        axes = plots.profiles_overview(frame)
        assert [text_of(axes, f"profile-{i}") for i in range(2)] == ["agent seed…0000", "agent seed…0001"]
        assert shared_words(frame) == ("agent", "model", "same system prompt")
        assert text_of(axes, "subtitle") == "agent · 35 requests · model · same system prompt"

    def test_names_of_several_agents(self):
        """Agents of several profiles are counted in the subtitle."""
        keys = [key_of(0, "one"), key_of(0, "two", "m1"), key_of(0, "two", "m2")]
        frame = frames.profiles(snapshot_of(*[window(3, *WHOLE)] * 3, keys=keys))
        assert set(frame["profile"]) == {"one", "two model…m1", "two model…m2"}
        assert shared_words(frame)[0] == "2 agents"

    def test_no_prefix(self):
        """A profile without a prefix has its breaking block in orange."""
        axes = plots.profiles_overview(snapshot_of(window(30, *BROKEN), window(25, *NOTHING)))
        assert text_of(axes, "broken-by-1") == "system-0"
        assert by_gid(axes, "broken-by-1").get_color() == PALETTES["light"].breaking


@pytest.mark.parametrize(
    ("data", "title"),
    [
        (profiles(30), "49% of the prompt is a stable prefix; user-1 breaks it"),
        (profiles(30, spans=WHOLE), "The whole prompt is a stable prefix"),
        (profiles(30, spans=NOTHING), "No stable prefix: system-0 breaks it at the first block"),
        (profiles(2, 2), "Fragmented: 2 profiles, and no request reaches full confidence"),
        (many(30), "Fragmented: 30 profiles, and no request reaches full confidence"),
        (profiles(*[3] * 10, 20), "Fragmented: 11 profiles, and only 40% of requests reach full confidence"),
        (profiles(90, *[2] * 9), "1 of 10 profiles carries 80% of the requests"),
        (profiles(90, 90, *[2] * 9), "2 of 11 profiles carry 80% of the requests"),
        (profiles(30, 30, spans=WHOLE), "Both profiles have a stable prefix, 100% of the prompt"),
        (
            frames.profiles(snapshot_of(window(30, *BROKEN), window(20, *NOTHING))),
            "1 of 2 profiles has no stable prefix (40% of requests)",
        ),
        (profiles(), "No requests observed yet"),
        (snapshot_of([]), "No requests observed yet"),
    ],
)
def test_titles(data, title):
    """The title is the first one that holds."""
    axes = plots.profiles_overview(data)
    assert text_of(axes, "title") == title


def test_causes_add_up():
    """The id of a tool call is not part of a cause; the name of a tool is."""
    assert [
        drop_call_id(name) for name in ("tool-2-call_a", "tool-2-toolu_b", "system-1-find", "assistant-3-find")
    ] == [
        "tool-2",
        "tool-2",
        "system-1-find",
        "assistant-3-find",
    ]


def test_refusals():
    """A frame of something else, or no frame at all, is a UsageError."""
    with pytest.raises(acg.UsageError, match=r"Expected a frame of frames\.profiles; it has no"):
        plots.profiles_overview(frames.windows(snapshot_of([])))
