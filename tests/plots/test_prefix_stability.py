"""prefix_stability: what can be cached, what breaks the prefix, and why, in every case."""

import io
from itertools import combinations

import matplotlib as mpl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learned_backend import SECRET
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.text import Text
from plots.drawn import find, key_of, render, texts
from plots.windows import SCAFFOLD, always, cases, changing, snapshot, sometimes, window
from strategies import thresholds as any_thresholds
from strategies import windows

import acg_lab as acg
from acg_lab import frames, plots
from acg_lab.core import RULES, StabilityThresholds
from acg_lab.plots.theme import PALETTES

CASES = cases()
WIDTHS = ("blocks", "tokens")


class TestWords:
    @pytest.mark.parametrize(
        ("case", "title", "subtitle"),
        [
            ("no requests", "No requests observed yet", "The window of this profile is empty"),
            (
                "one request",
                "One request so far: every block looks stable, nothing is known yet",
                "6,660 tokens · needs 2 requests to be used and 20 for full confidence",
            ),
            ("one block", "The only block is stable: the whole prompt can be cached", "100 of 100 tokens per request"),
            (
                "three blocks",
                "1 stable block, then user-1 breaks the prefix",
                "640 of 872 tokens per request can be cached (73%) · 60 requests",
            ),
            (
                "no prefix",
                "No stable prefix: system-0 breaks it at the first block",
                "0 of 3,597 tokens per request can be cached (0%) · 60 requests",
            ),
            ("all stable", "All 12 blocks are stable: the whole prompt can be cached", "6,660 of 6,660 tokens"),
            ("repeated span", "1 stable block, then user-1 breaks the prefix", "400 of 420 tokens per request"),
            ("200 blocks", "88 stable blocks, then system-88-crm__contacts__create_v3 breaks the prefix", "17,016 of"),
        ],
    )
    def test_title_and_subtitle(self, case, title, subtitle):
        """The title states the answer, the subtitle the numbers behind it, then the profile's name and model."""
        axes = plots.prefix_stability(CASES[case])
        said, *numbers = plots.alt_text(axes).split(" · ")
        assert said == title
        assert " · ".join(numbers).startswith(subtitle)
        assert plots.alt_text(axes).endswith("crm-assistant · claude-sonnet-4.5")

    def test_title_in_tokens(self):
        """The title of columns gives the share of the prefix, and the subtitle does not repeat it."""
        said = plots.alt_text(plots.prefix_stability(CASES["three blocks"], width="tokens"))
        assert said.startswith("73% of the prompt is a stable prefix; user-1 breaks it · 640 of 872 tokens per request")
        assert "(73%)" not in said

    def test_confidence(self):
        """With fewer requests than full confidence needs, the subtitle has the confidence."""
        snap = snapshot(window(14, **{"system-0": always(10), "user-1": changing(3)}))
        assert "14 requests · confidence 0.70 · crm" in plots.alt_text(plots.prefix_stability(snap))

    @pytest.mark.parametrize(
        ("span", "said"),
        [
            (changing(9), ["60 different contents in 60 requests"]),
            (sometimes(9, 15), ["missing from 4 of 60 requests; same content wherever it is present"]),
            (lambda request: "old" if request < 38 else "new", ["changed once, 22 requests ago"]),
            (sometimes(9, 9, changing(9)), ["content differs from the dominant one in 7 of 60 requests"]),
            (
                lambda request: None if request % 6 == 0 else "x" if request % 2 else f"y{request % 4}",
                ["present in 50 of 60 requests, and only 30 of those share one content"],
            ),
        ],
    )
    def test_reasons(self, span, said):
        """Below the breaking block stand the reason and the tokens out of reach."""
        snap = snapshot(window(60, **{"system-0": always(50), "user-1": span, "user-2": always(40)}))
        lines = texts(plots.prefix_stability(snap), "reason")
        assert lines == [*said, "40 stable tokens behind it are out of reach"]

    def test_stable_by_itself(self):
        """If a stable block breaks an exact prefix, the reason says how few requests share the prefix."""
        axes = plots.prefix_stability(CASES["stable by itself"])
        (line,) = texts(axes, "reason")
        assert line == "stable by itself (0.96), but only 92 of 100 requests share the whole prefix up to it"
        assert plots.alt_text(axes).startswith("1 stable block, then system-1 breaks the prefix")

    def test_scores_near_thresholds(self):
        """No score is rounded across its threshold."""
        limits = StabilityThresholds(stable_threshold=0.668)
        snap = snapshot(window(60, **{"system-0": always(5), "user-1": sometimes(9, 3, changing(3))}))
        assert texts(plots.prefix_stability(snap, thresholds=limits), "number") == ["1.00", "0.667"]

    def test_unknown_tokens(self, sample):
        """Results without a snapshot hold no tokens: equal widths, no token column, a note, and no zeros."""
        key = key_of(sample, "coder")
        results = acg.analyze(sample)
        axes = plots.prefix_stability(results, key)
        assert plots.alt_text(axes).startswith("13 stable blocks, then user-13 breaks the prefix · 13 of 88 blocks can")
        assert not find(axes, "tokens-")
        assert "The tokens of blocks are not known." in " ".join(texts(axes, "note"))
        assert texts(axes, "reason") == ["its score of 0.38 is below 0.95"]
        columns = plots.prefix_stability(results[key], width="tokens")
        assert columns.get_xlim() == (0, 88)


class TestBars:
    @pytest.mark.parametrize("case", [name for name in CASES if name not in {"no requests", "200 blocks"}])
    def test_bars_are_scores(self, case):
        """Every block has a bar as long as its score, at most 1, in prompt order from the top."""
        frame = frames.scores(CASES[case])
        axes = plots.prefix_stability(frame)
        bars = find(axes, "score-")
        bars = {int(bar.get_gid()[6:]): bar for bar in bars if bar.get_gid()[6:].isdigit()}
        assert [bars[i].get_width() for i in range(len(bars))] == [min(score, 1) for score in frame["score"]]
        assert [bars[i].get_y() for i in bars] == sorted(bars[i].get_y() for i in bars)
        (present,) = find(axes, "present")
        shares = [float(path.vertices[-1, 0]) for path in present.get_paths()]
        assert shares == pytest.approx(list(frame["present"] / frame["requests"]))
        assert texts(axes, "name-") != []

    def test_colours(self):
        """Blue is what can be cached, orange what breaks it, hatching what is out of reach, grey the rest."""
        for name, colours in PALETTES.items():
            plots.set_theme(name)
            axes = plots.prefix_stability(CASES["no prefix"])
            to_hex = mpl.colors.to_hex
            bars = {bar.get_gid(): bar for bar in find(axes, "score-") if hasattr(bar, "get_hatch")}
            assert to_hex(bars["score-0"].get_facecolor()) == colours.breaking.lower()
            assert bars["score-1"].get_hatch() == "////"
            assert to_hex(bars["score-1"].get_edgecolor()) == colours.stable.lower()
            assert to_hex(bars["score-9"].get_facecolor()) == colours.variable_bar.lower()
            assert to_hex(axes.get_figure().get_facecolor()) == colours.paper.lower()
            axes = plots.prefix_stability(CASES["all stable"])
            bars = [bar for bar in find(axes, "score-") if hasattr(bar, "get_hatch")]
            assert {to_hex(bar.get_facecolor()) for bar in bars} == {colours.stable.lower()}
            assert not find(axes, "break")

    @given(windows(), any_thresholds(), st.sampled_from(list(RULES)))
    def test_the_prefix_of_the_result(self, requests, limits, rules):
        """For any window, thresholds and rules version, the rail is as long as the result's prefix."""
        snap = snapshot(requests, rules=rules)
        (result,) = acg.analyze(snap, limits).values()
        for width in WIDTHS:
            axes = plots.prefix_stability(snap, thresholds=limits, width=width)
            if not result.scores:
                assert find(axes, "empty")
            elif result.total_observations > 1:
                length = min(result.stable_prefix_length, len(result.scores))
                assert len(find(axes, "prefix-rail" if width == "blocks" else "prefix-label")) == (length > 0)
                assert len(find(axes, "break-mark")) == (length < len(result.scores))
                if width == "blocks" and length:
                    (rail,) = find(axes, "prefix-rail")
                    assert rail.get_height() == pytest.approx(0.185 * length)
            plt.close("all")

    def test_one_request(self):
        """A single request gives hollow bars without hatch, rail or orange."""
        axes = plots.prefix_stability(CASES["one request"])
        bars = [bar for bar in find(axes, "score-") if hasattr(bar, "get_hatch")]
        assert {bar.get_hatch() for bar in bars} == {None}
        assert {mpl.colors.to_hex(bar.get_facecolor()) for bar in bars} == {"#ffffff"}
        assert not find(axes, "prefix-rail")
        assert not find(axes, "break")
        assert texts(axes, "legend-text") == ["not known yet 12"]
        strict = StabilityThresholds(stable_threshold=1.5)
        said = plots.alt_text(plots.prefix_stability(CASES["one request"], thresholds=strict))
        assert said.startswith("One request so far: nothing is known yet · 6,660 tokens")

    def test_no_requests(self):
        """Without requests there is one empty frame, never empty axes."""
        axes = plots.prefix_stability(CASES["no requests"])
        assert len(find(axes, "empty")) == 1
        assert len(axes.get_figure().axes) == 1
        assert not axes.axison
        assert isinstance(plots.prefix_stability(acg.load(acg.MemoryBackend())), Axes)

    def test_a_score_above_1(self):
        """A block that a request repeats has a bar that ends at 1 with a mark, and its true score."""
        axes = plots.prefix_stability(CASES["repeated span"])
        assert texts(axes, "number") == ["2.00", "0.05"]
        assert texts(axes, "above-1") == ["▸"]
        assert "A score above 1: requests repeat the block." in " ".join(texts(axes, "note"))

    def test_legend(self):
        """The legend counts what is drawn, the breaking block by its class."""
        axes = plots.prefix_stability(CASES["200 blocks"])
        expected = ["stable prefix 88", "stable, out of reach 52", "semi-stable 2", "variable 58"]
        assert sorted(texts(axes, "legend-text")) == sorted(expected)


class TestThresholds:
    def draw(self, stable, semi):
        limits = StabilityThresholds(stable_threshold=stable, semi_stable_threshold=semi)
        return plots.prefix_stability(CASES["three blocks"], thresholds=limits)

    def test_lines(self):
        """Thresholds are lines with names, and pause where the message stands."""
        axes = self.draw(0.95, 0.5)
        (lines,) = [line for line in find(axes, "stable-threshold") if not isinstance(line, Text)]
        segments = lines.get_segments()
        assert {point[0] for segment in segments for point in segment.tolist()} == {0.95}
        ((_, pause), (again, _)) = [segment[:, 1].tolist() for segment in segments]
        assert pause < find(axes, "reason-0")[0].get_position()[1] < again
        assert texts(axes, "stable-threshold-name") == ["stable ≥ 0.95"]
        assert texts(axes, "semi-stable-threshold-name") == ["semi-stable ≥ 0.5"]

    @pytest.mark.parametrize(("stable", "semi"), [(0.95, 0.9), (0.6, 0.55), (0.3, 0.29), (1.0, 0.0), (0.05, 0.0)])
    def test_close_thresholds(self, stable, semi):
        """Threshold names touch neither each other nor the headings beside them."""
        axes = self.draw(stable, semi)
        render(axes)
        gids = ("stable-threshold-name", "semi-stable-threshold-name", "score-heading")
        boxes = [find(axes, gid)[0].get_window_extent() for gid in gids]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))

    def test_no_room_for_semi_stable(self):
        """Equal thresholds are legal: the lower line vanishes, and the note says why."""
        for semi in (0.95, 0.99):
            axes = self.draw(0.95, semi)
            assert not find(axes, "semi-stable-threshold")
            assert "No block can be semi-stable" in " ".join(texts(axes, "note"))

    def test_off_the_scale(self):
        """A threshold off the scale is in the note."""
        axes = self.draw(1.5, -1.0)
        assert not find(axes, "stable-threshold")
        said = " ".join(texts(axes, "note"))
        assert "stable_threshold 1.5 is off the scale." in said
        assert "semi_stable_threshold \N{MINUS SIGN}1 is off the scale." in said


class TestGiven:
    def test_the_same_from_all(self, sample):
        """A snapshot, its frame, and the rows of one profile give the same picture; the frame is not changed."""
        key = key_of(sample, "claims-triage")
        frame = frames.scores(sample)
        before = frame.copy()
        drawn = [
            plots.prefix_stability(sample, key),
            plots.prefix_stability(frame, key),
            plots.prefix_stability(frame[frame["learning_key"] == key]),
        ]
        pd.testing.assert_frame_equal(frame, before)
        assert len({plots.alt_text(axes) for axes in drawn}) == 1
        assert texts(drawn[0]) == texts(drawn[1]) == texts(drawn[2])

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (
                plots.prefix_stability,
                r"There are 204 profiles; choose one by learning_key=",
            ),
            (lambda snap: plots.prefix_stability(acg.analyze(snap)), "There are 204 profiles"),
            (lambda snap: plots.prefix_stability(frames.scores(snap)), "There are 204 profiles"),
            (lambda snap: plots.prefix_stability(snap, "nowhere"), "There is no profile 'nowhere'"),
            (lambda snap: plots.prefix_stability(acg.analyze(snap), "nowhere"), "There is no profile 'nowhere'"),
            (lambda snap: plots.prefix_stability(frames.scores(snap), "nowhere"), "There is no profile 'nowhere'"),
            (lambda snap: plots.prefix_stability(frames.profiles(snap)), "frame of frames.scores; it has no column"),
            (lambda _: plots.prefix_stability(5), "Expected results by learning key"),
            (lambda _: plots.prefix_stability(CASES["names"], width="height"), "'width' option must be 'blocks' or"),
            (
                lambda _: plots.prefix_stability(CASES["names"], ax=5),
                "'ax' must be a matplotlib Axes, Figure, SubFigure",
            ),
        ],
    )
    def test_refusals(self, sample, make, said):
        """What can't be drawn is a UsageError that says what to give instead."""
        with pytest.raises(acg.UsageError, match=said):
            make(sample)

    def test_other_thresholds(self):
        """Scores classified by other thresholds than those drawn are refused."""
        frame = frames.scores(CASES["three blocks"], thresholds=StabilityThresholds(stable_threshold=0.7))
        with pytest.raises(
            acg.UsageError, match=r"judged by other thresholds .* 0\.95 .*'user-1' with the score 0\.75"
        ):
            plots.prefix_stability(frame)
        axes = plots.prefix_stability(frame, thresholds=StabilityThresholds(stable_threshold=0.7))
        assert plots.alt_text(axes).startswith("2 stable blocks, then user-2")

    @pytest.mark.parametrize("width", WIDTHS)
    def test_no_prompt_text(self, width):
        """No text of a prompt is in any artist, label or alternative text."""
        spans = {"system-0": lambda _: SECRET, "user-1": lambda request: f"{SECRET} {request}"}
        axes = plots.prefix_stability(snapshot(window(25, **spans)), width=width)
        file = io.BytesIO()
        axes.get_figure().savefig(file, format="svg")
        said = [*texts(axes), plots.alt_text(axes), file.getvalue().decode()]
        assert not any(part in text for part in (SECRET, "nobody may see") for text in said)
        assert SCAFFOLD not in "".join(said)
