"""One colour a role, in two themes: blue can be cached, orange breaks it, grey is everything else.

Belongs here: the colours of every figure, by what they stand for, and which text can be read on them.
"""

from typing import Final, NamedTuple

__all__ = ["DARK", "LIGHT", "PALETTES", "Palette"]


class Palette(NamedTuple):
    """The colours of one theme, by role.

    Attributes
    ----------
    paper, ink, text2, rule, grid
        Background; titles, names and threshold lines; all other text; axis lines; grid, and the empty part of a bar.
    stable, semi_stable, variable, variable_bar
        The classes, from strong to faint. ``stable`` is also what is tuned or recommended.
    usual, once
        Cells: the usual content, and content seen once. ``usual`` also fills a gain or a range.
    low_confidence
        A stable prefix with fewer requests than full confidence needs.
    breaking, breaking_tint, prefix_tint
        The breaking block, content changes and losses; its band; the rows of the stable prefix.
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
    usual: str
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
        """Return ink or paper, whichever can be read better on a fill."""
        return max(self.ink, self.paper, key=lambda text: contrast(text, fill))

    def of_class(self, classification: str) -> str:
        """Return the colour of a bar of a stability class."""
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
    usual="#C4DAEE",
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
    usual="#1E3F5C",
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
_LINEAR: Final = 0.04045  # where sRGB's curve begins


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21, as WCAG 2 defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= _LINEAR else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
