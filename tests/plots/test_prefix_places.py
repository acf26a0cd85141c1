"""prefix_stability: folding, columns, given axes, and texts that do not collide."""

from itertools import combinations

import matplotlib as mpl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text
from plots.drawn import blocks_of, find, key_of, render, texts
from plots.windows import always, cases, snapshot, window
from strategies import thresholds as any_thresholds
from strategies import windows

from acg_lab import frames, plots
from acg_lab.plots.prefix_profile import Block
from acg_lab.plots.prefix_rows import Fold, fold_blocks
from acg_lab.plots.prefix_strip import cut_into_pieces
from acg_lab.plots.theme import PALETTES

CASES = cases()
WIDTHS = ("blocks", "tokens")


class TestFolding:
    def test_two_hundred(self):
        """Of 200 blocks, those around the break and the ends of runs but tool results keep rows; the rest are dots."""
        axes = plots.prefix_stability(CASES["200 blocks"])
        assert texts(axes, "fold-") == ["⋯ 84 more blocks", "⋯ 46 more blocks", "⋯ 57 tool results"]
        names = texts(axes, "name-")
        assert names[:2] == ["system-0", "system-1-crm__contacts__create_v0"]
        assert names[4] == "system-88-crm__contacts__create_v3"
        assert len(names) == 13
        (dots,) = find(axes, "dots-94-out_of_reach")
        assert list(dots.get_xdata()) == [1.0]
        assert "Dots: blocks folded into one row." in " ".join(texts(axes, "note"))

    def test_all_rows(self):
        """With fold=False every block has a row; columns are never folded."""
        axes = plots.prefix_stability(CASES["200 blocks"], fold=False)
        assert len(texts(axes, "name-")) == 200
        assert not find(axes, "fold-")
        columns = plots.prefix_stability(CASES["200 blocks"], width="tokens")
        areas = [area for kind in ("prefix", "breaking", "out_of_reach") for area in find(columns, f"scores-{kind}")]
        assert [len(area.get_paths()) for area in areas] == [88, 1, 52]

    @given(
        st.lists(st.sampled_from(["prefix", "out_of_reach", "semi_stable", "variable"]), min_size=1, max_size=300),
        st.integers(0, 310),
        st.integers(12, 60),
    )
    def test_law(self, kinds, break_at, most):
        """Rows hold all blocks in order; no fold has a single block; many blocks become few rows."""
        blocks = [Block(i, str(i), kind, 1.0, 1.0, 1.0) for i, kind in enumerate(kinds)]
        rows = fold_blocks(blocks, break_at, most=most)
        flat = [block for row in rows for block in (row.blocks if isinstance(row, Fold) else (row,))]
        assert flat == blocks
        folds = [row for row in rows if isinstance(row, Fold)]
        assert all(len(fold.blocks) > 1 for fold in folds)
        assert len(rows) <= max(most, 14)
        assert folds == [] or len(blocks) > most
        kept = {row.position for row in rows if isinstance(row, Block)}
        around = {0, 1, len(blocks) - 1, *range(break_at - 2, break_at + 6)} & set(range(len(blocks)))
        assert around <= kept


class TestStrip:
    @given(windows(), any_thresholds())
    def test_widths_add_up(self, requests, limits):
        """Pieces make up the whole prompt without a gap; the prefix is one of them."""
        snap = snapshot(requests)
        if not frames.scores(snap).empty:
            profile = blocks_of(snap, limits)
            pieces = cut_into_pieces(profile)
            assert [block for piece in pieces for block in piece.blocks] == list(profile.blocks)
            if profile.prompt_width:
                widths = [sum(block.width for block in piece.blocks) / profile.prompt_width for piece in pieces]
                assert sum(widths) == pytest.approx(1)
                others = [(w, p) for w, p in zip(widths, pieces, strict=True) if p.kind != "breaking"]
                assert [piece.width for _, piece in others] == pytest.approx([width for width, _ in others])
            assert sum(piece.kind == "prefix" for piece in pieces) <= 1

    def test_prefix_is_one_piece(self):
        """The prefix is one solid piece with its share in it, and the mark is over the breaking block."""
        axes = plots.prefix_stability(CASES["three blocks"])
        assert texts(axes, "prefix-share") == ["stable prefix 73% of the tokens"]
        prefix, breaks, rest = sorted(find(axes, "prompt-"), key=lambda piece: getattr(piece, "get_x", lambda: 99)())[
            :3
        ]
        assert prefix.get_x() + prefix.get_width() == pytest.approx(breaks.get_x())
        assert breaks.get_x() + breaks.get_width() == pytest.approx(rest.get_x())
        (mark,) = find(axes, "break-mark")
        assert mark.get_position()[0] == pytest.approx(breaks.get_x() + breaks.get_width() / 2)


class TestColumns:
    def test_widths(self):
        """A column is as wide as its block's tokens, as high as its score, and begins where the last one ends."""
        snap = CASES["three blocks"]
        frame = frames.scores(snap)
        axes = plots.prefix_stability(snap, width="tokens")
        widths = (frame["tokens"] * frame["present"] / frame["requests"]).tolist()
        start = 0.0
        for kind, width, score in zip(("prefix", "breaking", "variable"), widths, frame["score"], strict=True):
            (area,) = find(axes, f"scores-{kind}")
            box = area.get_paths()[0].get_extents()
            assert (box.x0, box.x1, box.y0, box.y1) == pytest.approx((start, start + width, 0, score))
            start += width
        assert axes.get_xlim() == (0, pytest.approx(start))
        assert texts(axes, "prefix-label") == ["stable prefix: 1 block, 640 tokens"]
        assert texts(axes, "breaks") == ["user-1  0.75"]

    def test_the_breaking_block_is_seen(self):
        """However short, the breaking block is at least 0.4% wide and named."""
        snap = snapshot(window(30, **{"system-0": always(50_000), "user-1": lambda r: f"{r:04}", "user-2": always(9)}))
        axes = plots.prefix_stability(snap, width="tokens")
        (area,) = find(axes, "scores-breaking")
        assert area.get_paths()[0].get_extents().width == pytest.approx(0.004 * 50_010)
        assert texts(axes, "breaks") == ["user-1  0.03"]

    def test_names_inside(self):
        """Names are level in columns where they fit, else upright, else left out."""
        axes = plots.prefix_stability(CASES["all stable"], width="tokens")
        inside = {artist.get_text(): artist.get_rotation() for artist in find(axes, "name-")}
        assert inside["system-11"] in {0, 90}
        assert "system-0" not in inside
        render(axes)
        for artist in find(axes, "name-"):
            assert artist.get_window_extent().height < axes.get_window_extent().height


class TestPlaces:
    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("case", CASES)
    def test_nothing_overlaps(self, case, width):
        """At every resolution all texts are inside the figure and do not overlap."""
        for theme in PALETTES:
            plots.set_theme(theme)
            axes = plots.prefix_stability(CASES[case], width=width)
            self.check(axes, dpi=96 if theme == "light" else 144)

    @pytest.mark.parametrize("width", WIDTHS)
    def test_the_sample(self, sample, width):
        """The same holds for every agent of the sample, from 6 to 10 inches."""
        for agent_id, inches in zip(sample.agent_ids, (6, 6.4, 6.8, 7.2, 7.6, 8, 8.4, 8.8, 9.2, 9.6, 10), strict=True):
            figure = Figure(figsize=(inches, 1))
            axes = plots.prefix_stability(sample, key_of(sample, agent_id), width=width, ax=figure)
            assert figure.get_figwidth() == inches
            self.check(axes, dpi=100)

    def check(self, axes, dpi):
        figure = axes.get_figure()
        figure.set_dpi(dpi)
        render(axes, dpi)
        shown = [
            text
            for text in figure.findobj(Text)
            if text.get_visible() and text.get_text().strip() and text.get_gid() != "above-1"
        ]
        boxes = [text.get_window_extent() for text in shown]
        for text, box in zip(shown, boxes, strict=True):
            inside = box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1
            assert inside, text.get_text()
        for (one, a), (other, b) in combinations(zip(shown, boxes, strict=True), 2):
            across = min(a.x1, b.x1) - max(a.x0, b.x0)
            down = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert across <= 1 or down <= 0.3 * min(a.height, b.height), (one.get_text(), other.get_text())

    def test_in_axes(self, sample):
        """In given axes the plot stays in their place, folds more, and returns its own axes."""
        figure, (left, right) = plt.subplots(1, 2, figsize=(15, 4))
        axes = plots.prefix_stability(CASES["200 blocks"], ax=left)
        plots.prefix_stability(sample, key_of(sample, "handbook-search"), width="tokens", ax=right)
        figure.canvas.draw()
        page, inner = left.get_window_extent(), axes.get_window_extent()
        assert page.x0 <= inner.x0 <= inner.x1 <= page.x1
        assert page.y0 <= inner.y0 <= inner.y1 <= page.y1
        assert left.get_gid() == "prefix-stability"
        assert len(texts(axes, "name-")) <= 15 + 8
        assert plots.alt_text(axes).startswith("88 stable blocks")

    def test_without_heading(self):
        """Title and subtitle can be left out; the alternative text stays."""
        axes = plots.prefix_stability(CASES["three blocks"], heading=False)
        assert not find(axes, "title")
        assert not find(axes, "subtitle")
        assert plots.alt_text(axes).startswith("1 stable block")

    def test_the_users_settings(self):
        """The user's own matplotlib settings stay as they were and change nothing."""
        with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
            before = dict(mpl.rcParams)
            axes = plots.prefix_stability(CASES["three blocks"])
            assert dict(mpl.rcParams) == before
            render(axes)
        assert {text.get_fontsize() for text in find(axes, "name-")} == {7.5}

    def test_every_artist_has_a_name(self):
        """Every artist has a gid."""
        for width in WIDTHS:
            axes = plots.prefix_stability(CASES["200 blocks"], width=width)
            page = axes.get_figure().axes[0]
            drawn = [*page.texts, *page.patches, *page.collections, *page.lines, *page.child_axes]
            drawn += [*axes.texts, *axes.patches, *axes.collections, *axes.lines]
            assert len(drawn) > 20
            assert all(artist.get_gid() for artist in drawn)

    def test_names_that_no_font_has(self):
        """Names in any script stay one line and different; mathematics and markup are plain text."""
        names = texts(plots.prefix_stability(CASES["names"]), "name-")
        assert "\\u7cfb\\u7edf\\u63d0\\u793a-0" in names
        assert "\u0441\u0438\u0441\u0442\u0435\u043c\u0430-1" in names
        assert "emoji-\\U0001f600\\u000a$x^2$ <b>" in names
        assert len(set(names)) == 6

    def test_names_that_are_alike(self):
        """Long names that differ only in the middle stay different and leave room for bars."""
        spans = {f"system-{'x' * 200}{i}{'y' * 200}": always(5) for i in range(3)}
        axes = plots.prefix_stability(snapshot(window(30, **spans)))
        assert len(set(texts(axes, "name-"))) == 3
        render(axes)
        assert axes.get_position().width > 0.3
