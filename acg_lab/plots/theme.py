"""The theme: one setting for the whole lab, and how drawing is done in it.

Belongs here: which palette is in force, and the matplotlib settings of every figure. They hold while a figure is drawn;
the user's own are never changed.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, cast

from acg_lab.core.errors import UsageError
from acg_lab.plots.palette import PALETTES, Palette

__all__ = ["drawing", "palette", "set_theme", "theme"]

_current = "light"

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


_KEPT: Final = ("figure.dpi", "figure.max_open_warning")  # of the user's: how sharp, not how it looks


def set_theme(name: str) -> None:
    """Choose the theme of all figures drawn from now on.

    Parameters
    ----------
    name : {"light", "dark"}
        A kernel can't see the notebook's theme, so it is never guessed: it is ``"light"`` until it is set.

    Raises
    ------
    UsageError
        If there is no such theme.
    """
    global _current  # noqa: PLW0603 -- one setting for the whole lab
    if name not in PALETTES:
        msg = f"The theme must be one of {', '.join(map(repr, PALETTES))}; got {name!r}."
        raise UsageError(msg)
    _current = name


def theme() -> str:
    """Return the theme in force, ``"light"`` or ``"dark"``."""
    return _current


def palette() -> Palette:
    """Return the colours of the theme in force."""
    return PALETTES[_current]


@contextmanager
def drawing() -> Iterator[Palette]:
    """Draw in the theme in force, whatever the user's own settings are; they come back afterwards."""
    import matplotlib as mpl

    colours, settings = palette(), cast("dict[str, Any]", mpl.rcParams)
    with ExitStack() as afterwards, mpl.rc_context():
        kept = {name: settings[name] for name in _KEPT}
        mpl.rcdefaults()
        settings.update(kept | _STYLE | {"text.color": colours.ink, "axes.edgecolor": colours.rule})
        try:
            yield colours
        finally:  # the first figure of a notebook makes matplotlib interactive: not to be undone with our settings
            afterwards.callback(settings.__setitem__, "interactive", settings["interactive"])
