"""The alternative text of figures, and image files that carry it (acg_lab/docs/look.md, section 8)."""

import os
from typing import TYPE_CHECKING, Any

from acg_lab.core.errors import UsageError
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["alt_text", "save"]


def alt_text(drawn: "Axes | Figure") -> str:
    """Return what a plot says in words: its title and subtitle, uncut.

    Parameters
    ----------
    drawn : Axes or Figure
        What a plot returned, or a figure with one or more plots.

    Returns
    -------
    str
        One line per plot; empty if the figure has none.

    Raises
    ------
    UsageError
        If it is no plot, or the axes were removed from their figure.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from matplotlib.figure import Figure
    >>> axes = acg.plots.profiles_overview(acg.load(acg.MemoryBackend()), ax=Figure())
    >>> acg.plots.alt_text(axes).partition(" · ")[0]
    'No requests observed yet'
    """
    pages = [page for page in _figure(drawn).axes if drawn in (page.figure, page, *page.child_axes)]
    return "\n".join(filter(None, (str(page.get_label()) for page in pages)))


def save(drawn: "Axes | Figure", path: "str | os.PathLike[str]", **kw: Any) -> None:
    """Write a plot's figure to a file, with the alternative text in its metadata.

    Parameters
    ----------
    drawn : Axes or Figure
        What a plot returned, or its figure.
    path : str, path or binary file
        The suffix is the format: png and svg keep the text as ``Description``, pdf as ``Subject``.
    **kw
        Passed on to ``Figure.savefig``; ``dpi`` is 144 unless given.

    Raises
    ------
    UsageError
        If the axes were removed from their figure, or the path is none.

    Examples
    --------
    >>> import io
    >>> import acg_lab as acg
    >>> from matplotlib.figure import Figure
    >>> axes = acg.plots.profiles_overview(acg.load(acg.MemoryBackend()), ax=Figure())
    >>> acg.plots.save(axes, file := io.BytesIO(), format="png")
    >>> file.getvalue()[1:4]
    b'PNG'
    """
    if not isinstance(path, str | os.PathLike) and not hasattr(path, "write"):  # an integer would be an open file
        msg = f"The 'path' option must be a path or a binary file; got {type(path).__name__}."
        raise UsageError(msg)
    field = "Subject" if str(path).endswith(".pdf") else "Description"
    with drawing():
        _figure(drawn).savefig(path, metadata={field: alt_text(drawn)}, **kw)


def _figure(drawn: "Axes | Figure") -> "Figure":
    if not hasattr(drawn, "get_figure"):
        msg = f"Expected Axes or a Figure, as acg_lab.plots return them; got {type(drawn).__name__}."
        raise UsageError(msg)
    figure = drawn.get_figure(root=True)
    if figure is None:
        msg = "The axes were removed from their figure; draw the plot again."
        raise UsageError(msg)
    return figure
