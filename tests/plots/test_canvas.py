"""The canvas of matplotlib figures: where its page is, and that all texts fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from plot_snapshots import figure_of, text_of

import acg_lab as acg
from acg_lab.plots.mpl_canvas import MplCanvas
from acg_lab.plots.text import drawable, fit_name, fit_parts, shorten, spread, text_width, wrap
from acg_lab.plots.theme import drawing


def begin_page(place=None, height=2.0):
    """Return a canvas whose page has the given height."""
    with drawing():
        canvas = MplCanvas(place)
        canvas.begin(height, gid="page")
        return canvas


def test_a_figure_keeps_its_width_and_axes_their_place():
    """A figure keeps its width and takes the height; axes keep their place."""
    figure = Figure(figsize=(6, 9))
    canvas = begin_page(figure)
    assert (canvas.width, canvas.height, *figure.get_size_inches()) == (6, 2, 6, 2)
    axes = plt.figure(figsize=(8, 4)).add_axes((0.5, 0.25, 0.5, 0.5))
    canvas = begin_page(axes)
    assert (canvas.width, canvas.height) == pytest.approx((4, 2))
    assert canvas.axes is axes


def test_anything_else_is_refused():
    """A place that is neither axes nor a figure is refused."""
    with pytest.raises(acg.UsageError, match="must be a matplotlib Axes, Figure, SubFigure or None; got str"):
        begin_page("here")


@pytest.mark.parametrize("width", [6, 7.5, 10])
@pytest.mark.parametrize("name", ["user-1", "system-14-" + "update_reservation_" * 9])
def test_heading_fits(width, name):
    """Title and subtitle fit at every width: a name in the title is cut, to 10 characters at least."""
    canvas = begin_page(Figure(figsize=(width, 2)))
    canvas.heading("16 stable blocks, then {name} breaks the prefix", "60 requests", "claude-sonnet-" * 15, name=name)
    canvas.axes.figure.draw_without_rendering()
    for gid in ("title", "subtitle"):
        (text,) = canvas.axes.findobj(lambda artist, gid=gid: artist.get_gid() == gid)
        assert text.get_window_extent().x1 <= canvas.axes.figure.bbox.width
    assert "{name}" not in text_of(canvas.axes, "title")
    assert len(text_of(canvas.axes, "title")) >= len("16 stable blocks, then  breaks the prefix") + min(10, len(name))


def test_panels_move_with_their_page():
    """A panel keeps its place on the page when the figure is enlarged."""
    canvas = begin_page(Figure(figsize=(6, 9)))
    axes = canvas.panel(1, 0.5, 3, 1, gid="panel").axes
    for scale in (1, 2):
        canvas.axes.figure.set_size_inches(6 * scale, 2 * scale)
        box = axes.get_window_extent()
        assert (box.width, box.height) == pytest.approx((300 * scale, 100 * scale))


def test_text_is_not_read_as_mathematics():
    """Dollar signs and backslashes of a name are drawn as they are."""
    canvas = begin_page()
    canvas.text(1, 1, r"$x_1$ \frac{1}", gid="text")
    figure_of(canvas.axes).draw_without_rendering()
    assert text_of(canvas.axes, "text") == r"$x_1$ \frac{1}"


@given(st.text(max_size=20), st.booleans())
def test_drawable(text, mono):
    """A drawable text needs no other font, is one line, and does not change again."""
    shown = drawable(text, mono=mono)
    assert drawable(shown, mono=mono) == shown
    assert len(shown.splitlines()) <= 1
    assert text_width(shown, 8, mono=mono) >= 0


def test_letters_of_other_scripts():
    """Letters that the fonts have stay; others, and control characters, are written as their codes."""
    assert drawable("Größe é ф λ", mono=True) == "Größe é ф λ"
    assert drawable("查\n\u202e😀", mono=True) == r"\u67e5\u000a\u202e\U0001f600"
    assert drawable("e\u0301 א ع") == r"e\u0301 \u05d0 \u0639"


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 1)), max_size=6))
def test_spread(labels):
    """Labels moved apart stay in order, do not overlap, and stay inside if there is room."""
    labels.sort()
    middles, sizes = [middle for middle, _ in labels], [size for _, size in labels]
    placed = spread(middles, sizes, 0.1, 0, 10)
    edges = [
        edge for middle, size in zip(placed, sizes, strict=True) for edge in (middle - size / 2, middle + size / 2)
    ]
    assert edges == sorted(edges)
    assert all(-1e-9 <= edge <= 10 + 1e-9 for edge in edges)


@given(st.lists(st.text("abc, é", max_size=8), max_size=12), st.floats(0.1, 3))
def test_wrap(words, room):
    """Wrapped lines hold the same text, and only a single word may be wider than the room."""
    text = " ".join(words)
    lines = wrap(text, 8, room)
    assert " ".join(lines) == text
    assert all(text_width(line, 8) <= room or " " not in line for line in lines)


def test_names_of_any_length_are_cut():
    """A name of a million characters is cut to what fits, at once: longer cuts are not measured one by one."""
    name = "long-" + "x" * 1_000_000
    title = "{name} misses from the start"
    shown = title.replace("{name}", fit_name(title, name, 6.0))
    assert 5.8 < text_width(shown, 11.5, bold=True) <= 6.0
    parts = fit_parts([name, "98% of the tokens", name], 6.0)
    assert parts[1] == "98% of the tokens"
    assert 5.8 < text_width(" · ".join(parts), 9.0) <= 6.0
    assert 5.8 < text_width(shorten(name, 8.0, 6.0), 8.0) <= 6.0
