"""The theme: one setting for all of acg_lab, its colours by role, and matplotlib's settings while a figure is drawn.

Blue can be cached, orange breaks the prefix, grey is everything else (acg_lab/docs/look.md, sections 1 and 2).
Invariant: the user's own matplotlib settings are the same after a plot as before.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple, cast

from acg_lab.core.errors import UsageError

__all__ = [
    "DARK",
    "LIGHT",
    "PALETTES",
    "Palette",
    "chosen_theme",
    "drawing",
    "palette",
    "set_theme",
    "theme",
    "using",
]


class Palette(NamedTuple):
    """The colours of one theme, by role.

    Attributes
    ----------
    paper, ink, text2, rule, grid
        Background; titles, names and threshold lines; all other text; axis lines; grid, and the empty part of a bar.
    stable, semi_stable, variable, variable_bar
        The classes, from strong to faint. ``stable`` is also the colour of tuned and recommended settings.
    dominant, once
        Cells: the dominant content, and content seen once. ``dominant`` also fills a gain or a range.
    low_confidence
        A stable prefix with fewer requests than full confidence needs.
    breaking, breaking_tint, prefix_tint
        The breaking block, content changes and losses; the band of the breaking block; the rows of the stable prefix.
    base
        Default or current settings.
    cache_read, cache_write, uncached
        Parts of the provider's cost.
    """

    paper: str
    ink: str
    text2: str
    rule: str
    grid: str
    stable: str
    semi_stable: str
    variable: str
    variable_bar: str
    dominant: str
    once: str
    low_confidence: str
    breaking: str
    breaking_tint: str
    prefix_tint: str
    base: str
    cache_read: str
    cache_write: str
    uncached: str

    def text_on(self, fill: str) -> str:
        """Return ink or paper, whichever contrasts more with a fill."""
        return max(self.ink, self.paper, key=lambda text: contrast(text, fill))

    def of_class(self, classification: str) -> str:
        """Return the colour of the bar of a stability class."""
        return {"stable": self.stable, "semi_stable": self.semi_stable}.get(classification, self.variable_bar)


LIGHT: Final = Palette(
    paper="#FFFFFF",
    ink="#1B2430",
    text2="#56616E",
    rule="#C9CFD6",
    grid="#E8EBEE",
    stable="#14538F",
    semi_stable="#4A92CE",
    variable="#C3CAD2",
    variable_bar="#8A94A0",
    dominant="#C4DAEE",
    once="#A6AFB9",
    low_confidence="#7293B8",
    breaking="#C2410C",
    breaking_tint="#FDF1EA",
    prefix_tint="#EEF4FA",
    base="#7A8592",
    cache_read="#0F6E6A",
    cache_write="#D9961C",
    uncached="#C9CED5",
)
DARK: Final = Palette(
    paper="#111111",
    ink="#E8EBEE",
    text2="#A3ADB8",
    rule="#3F4750",
    grid="#262B31",
    stable="#7DBDF2",
    semi_stable="#3F7FB8",
    variable="#474F58",
    variable_bar="#7A8592",
    dominant="#1E3F5C",
    once="#59626C",
    low_confidence="#4A6E8F",
    breaking="#FF8A4C",
    breaking_tint="#2A1A12",
    prefix_tint="#15202B",
    base="#8F99A5",
    cache_read="#2E9C94",
    cache_write="#E3B04E",
    uncached="#4D555E",
)
PALETTES: Final = {"light": LIGHT, "dark": DARK}
_LINEAR: Final = 0.04045  # below, sRGB is linear


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2 defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= _LINEAR else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


_chosen: str | None = None

# Families are named outright, not as "sans-serif": matplotlib resolves that when it renders, by the user's settings.
_STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 144,
    "text.usetex": False,
}
_KEPT: Final = ("figure.dpi", "figure.max_open_warning")  # the user's own: they do not change the look


def set_theme(name: str) -> None:
    """Choose the theme of all figures drawn from now on.

    Parameters
    ----------
    name : {"light", "dark"}
        ``"light"`` until it is set: a kernel can't see the notebook's theme, so it is never guessed.

    Raises
    ------
    UsageError
        If there is no such theme.

    Examples
    --------
    >>> from acg_lab import plots
    >>> plots.set_theme("dark")
    >>> plots.theme()
    'dark'
    >>> plots.set_theme("light")
    """
    global _chosen  # noqa: PLW0603 -- one setting for all of acg_lab
    if name not in PALETTES:
        msg = f"The theme must be one of {', '.join(map(repr, PALETTES))}; got {name!r}."
        raise UsageError(msg)
    _chosen = name


def theme() -> str:
    """Return the theme in force.

    Returns
    -------
    str
        ``"light"`` or ``"dark"``.

    Examples
    --------
    >>> from acg_lab import plots
    >>> plots.theme()
    'light'
    """
    return _chosen or "light"


def chosen_theme() -> str | None:
    """Return the theme that was set; None where none was."""
    return _chosen


@contextmanager
def using(name: str) -> Iterator[None]:
    """Draw in a theme, whichever is in force."""
    global _chosen  # noqa: PLW0603 -- as in `set_theme`
    before, _chosen = _chosen, name
    try:
        yield
    finally:
        _chosen = before


def palette() -> Palette:
    """Return the colours of the theme in force."""
    return PALETTES[theme()]


@contextmanager
def drawing() -> Iterator[Palette]:
    """Apply the settings of the theme in force, and restore the user's own afterwards."""
    import matplotlib as mpl

    colours, settings = palette(), cast("dict[str, Any]", mpl.rcParams)
    with ExitStack() as afterwards, mpl.rc_context():
        kept = {name: settings[name] for name in _KEPT}
        mpl.rcdefaults()
        settings.update(kept | _STYLE | {"text.color": colours.ink, "axes.edgecolor": colours.rule})
        try:
            yield colours
        finally:  # the first figure of a notebook makes matplotlib interactive, which must last
            afterwards.callback(settings.__setitem__, "interactive", settings["interactive"])
