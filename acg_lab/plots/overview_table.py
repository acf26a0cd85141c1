"""Few profiles: a table with a bar in each row."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from acg_lab._format import cut_all, percent
from acg_lab.plots.fonts import Size, drawable, text_width
from acg_lab.plots.given import rows
from acg_lab.plots.layout import HEADING, MARGIN, Page, open_page
from acg_lab.plots.profile_names import differing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.extremes import Title
    from acg_lab.plots.layout import Place

__all__ = ["draw_table"]

_ROW: Final = 0.235
_ABOVE, _BELOW = 0.30, 0.62
_KEY, _NAME = 32, 26
_BAR: Final = 0.62  # of the row


def draw_table(
    frame: pd.DataFrame, title: "Title", words: tuple[str, ...], enough: int, place: "Place", *, heading: bool
) -> "Axes":
    """Draw the profiles of a frame, the one with most requests first."""
    base = (HEADING if heading else MARGIN) + _ABOVE
    page = open_page(place, base + _ROW * len(frame) + _BELOW, gid="profiles-overview")
    page.heading(title.text, *words, name=title.name, show=heading)
    each = max(page.height - base - _BELOW, 0.1) / len(frame)
    keys = [drawable(name, mono=True) for name in differing(frame)]
    shown = cut_all(keys, _KEY)
    names = cut_all((drawable(str(name), mono=True) for name in frame["breaking_span"].dropna()), _NAME)
    requests = MARGIN + max(_widest(shown.values()), 0.7) + 0.62
    broken = page.right - max(_widest(names.values()), 0.95)
    left, right = requests + 0.16, broken - 0.62
    axes = _panel(page, frame, (left, base, right - left, each * len(frame)))
    _draw_heads(page, base - 0.13, requests, (left, right), broken)
    scale = (right - left) / axes.get_xlim()[1]
    for number, row in enumerate(rows(frame)):
        y = base + each * (number + 0.5)
        page.text(MARGIN, y, shown[keys[number]], gid=f"profile-{number}", size=Size.NAME, mono=True)
        _draw_row(page, number, row, y, (requests, broken), enough)
        _draw_bar(page, number, row, (left, y, scale, each * _BAR), enough)
        _name_breaking(page, number, row, (broken, y), names)
    page.note(_note(frame, enough))
    return axes


def _widest(names: Iterable[str]) -> float:
    return max((text_width(name, Size.NAME, mono=True) for name in names), default=0.0)


def _draw_heads(page: Page, y: float, requests: float, bars: tuple[float, float], broken: float) -> None:
    of_bars = ("stable prefix, in tokens per request", "stable prefix, in tokens", "tokens")
    fitting = next((text for text in of_bars if text_width(text, Size.HEADING) <= bars[1] - bars[0] + 0.1), "")
    for gid, x, text in (("profile", MARGIN, "profile"), ("bars", bars[0], fitting), ("broken", broken, "broken by")):
        page.label(x, y, text, gid=f"head-{gid}")
    page.label(requests, y, "requests", gid="head-requests", ha="right")
    page.label(broken - 0.16, y, "prefix", gid="head-share", ha="right")


def _panel(page: Page, frame: pd.DataFrame, place: tuple[float, float, float, float]) -> "Axes":
    axes = page.panel(*place, gid="profiles")
    axes.set(xlim=(0, max(float(frame["prompt_tokens"].max()), 1)), ylim=(len(frame) - 0.5, -0.5), yticks=[])
    page.ticks(axes.xaxis, 4)
    return axes


def _draw_row(page: Page, number: int, row: Any, y: float, at: tuple[float, float], enough: int) -> None:
    colour = page.colours.ink if row.requests >= enough else page.colours.text2
    page.text(at[0], y, f"{row.requests:,}", gid=f"requests-{number}", ha="right", colour=colour)
    page.text(at[1] - 0.16, y, percent(row.share), gid=f"share-{number}", ha="right", colour=colour)


def _draw_bar(page: Page, number: int, row: Any, at: tuple[float, float, float, float], enough: int) -> None:
    x, y, scale, height = at
    fill = page.colours.stable if row.requests >= enough else page.colours.low_confidence
    fill = page.colours.variable if row.requests == 1 else fill
    page.rectangle(x, y - height / 2, row.prompt_tokens * scale, height, page.colours.grid, gid=f"prompt-{number}")
    page.rectangle(x, y - height / 2, row.prefix_tokens * scale, height, fill, gid=f"prefix-{number}")


def _name_breaking(page: Page, number: int, row: Any, at: tuple[float, float], names: dict[str, str]) -> None:
    """Name the block that breaks the prefix; orange where there is none."""
    if row.requests == 1 or pd.isna(row.breaking_span):
        text = "1 request: unused" if row.requests == 1 else "nothing"
        page.label(*at, text, gid=f"broken-by-{number}")
        return
    style: Any = {"bold": True, "colour": page.colours.breaking} if row.prefix_tokens == 0 else {}
    name = names[drawable(row.breaking_span, mono=True)]
    page.text(*at, name, gid=f"broken-by-{number}", size=Size.NAME, mono=True, **style)


def _note(frame: pd.DataFrame, enough: int) -> str:
    """Explain the fills that are drawn."""
    requests = frame["requests"]
    full, fewer = requests >= enough, (requests > 1) & (requests < enough)
    said = [
        f"Strong blue: full confidence ({enough:,} requests or more)." if full.any() else "",
        "Pale blue: fewer." if full.any() and fewer.any() else "",
        f"Blue: the stable prefix, under {enough:,} requests." if fewer.any() and not full.any() else "",
        "Grey: one request, or the rest of the prompt." if (requests == 1).any() else "Grey: rest of the prompt.",
    ]
    return "  ".join(filter(None, said))
