"""The picture of the tuner: one image per theme, of which the stylesheet shows the notebook's, and its words.

A kernel can't see the notebook's theme. With ``auto`` each picture is drawn in both, and CSS chooses.
"""

from collections.abc import Iterator
from html import escape
from typing import Any, Final

import ipywidgets as w

from acg_lab.core.errors import UsageError
from acg_lab.plots.theme import PALETTES, chosen_theme
from acg_lab.widgets.controls import with_class
from acg_lab.widgets.views import Picture

__all__ = ["AUTO", "PicturePanel", "themes_of"]

AUTO: Final = "auto"
_STALE, _HIDDEN, _WARNED = "acg-stale", "acg-hidden", "acg-warned"


def themes_of(theme: str | None) -> tuple[str, ...]:
    """Return the themes to draw in: None is the one of `acg_lab.plots.set_theme`, and ``auto`` where none was set.

    Raises
    ------
    UsageError
        If there is no such theme.
    """
    name = theme or chosen_theme() or AUTO
    if name == AUTO:
        return tuple(PALETTES)
    if name not in PALETTES:
        msg = f"The 'theme' option must be one of {', '.join(map(repr, (AUTO, *PALETTES)))}; got {name!r}."
        raise UsageError(msg)
    return (name,)


class PicturePanel:
    """The images and their words; ``widgets`` holds them.

    Parameters
    ----------
    themes : tuple of str
        One image for each.

    Attributes
    ----------
    images : tuple of Image
    words : HTML
        The alternative text, shown where nothing is drawn.
    """

    def __init__(self, themes: tuple[str, ...]) -> None:
        self.images: tuple[Any, ...] = tuple(with_class(w.Image(format="png"), "acg-picture") for _ in themes)
        if len(themes) > 1:
            for theme, image in zip(themes, self.images, strict=True):
                image.add_class(f"acg-in-{theme}")
        self.words: Any = w.HTML()  # ipywidgets' images have no alternative text
        self.widgets = [*self.images, with_class(self.words, _HIDDEN)]

    def show(self, picture: Picture) -> None:
        """Show a picture, or only its words where there is none."""
        pngs = picture.pngs or (b"",) * len(self.images)
        for image, png in reversed(list(zip(self.images, pngs, strict=True))):
            image.value = png  # the first one last: whoever watches it sees all
        self.words.value = f"<p>{escape(picture.words)}</p>"
        _set(self.images, _STALE, is_on=False)
        _set(self.images, _HIDDEN, is_on=not picture.pngs)
        _set((self.words,), _HIDDEN, is_on=bool(picture.pngs))

    def dim(self) -> None:
        """Show that the picture belongs to older settings."""
        _set(self.images, _STALE, is_on=True)

    def warn(self, *, is_warned: bool) -> None:
        """Mark the picture of settings that cost more or do nothing."""
        _set(self.images, _WARNED, is_on=is_warned)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.widgets)


def _set(widgets: tuple[Any, ...], name: str, *, is_on: bool) -> None:
    for widget in widgets:
        (widget.add_class if is_on else widget.remove_class)(name)
