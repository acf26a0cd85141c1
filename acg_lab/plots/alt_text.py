"""Figures for those who can't see them: the alternative text, and files that carry it (LOOK.md section 8).

Belongs here: finding the words of a figure, and writing them into its file.
"""

from typing import TYPE_CHECKING, Any

from acg_lab.core.errors import UsageError
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    import os

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["alt_text", "save"]


def alt_text(drawn: "Axes | Figure") -> str:
    """Return what a plot says in words: its title and subtitle, uncut.

    Parameters
    ----------
    drawn : Axes or Figure
        What a plot returned, or a figure with one or more plots.
    """
    pages = [page for page in _figure(drawn).axes if drawn in (page.figure, page, *page.child_axes)]
    return "\n".join(filter(None, (str(page.get_label()) for page in pages)))


def save(drawn: "Axes | Figure", path: "str | os.PathLike[str]", **kw: Any) -> None:
    """Write a plot's figure to a file, with the alternative text in its metadata.

    Parameters
    ----------
    drawn : Axes or Figure
        What a plot returned, or its figure.
    path : str or path
        Its suffix says the format: png and svg have the text as ``Description``, pdf as ``Subject``.
    **kw
        Passed on to ``Figure.savefig``; ``dpi`` is 144 unless given.
    """
    field = "Subject" if str(path).endswith(".pdf") else "Description"
    with drawing():
        _figure(drawn).savefig(path, metadata={field: alt_text(drawn)}, **kw)


def _figure(drawn: "Axes | Figure") -> "Figure":
    figure = drawn.get_figure(root=True)
    if figure is None:
        msg = "The axes belong to no figure any more; draw the plot again."
        raise UsageError(msg)
    return figure
