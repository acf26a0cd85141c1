"""Small things that widgets are built of and taken apart with."""

from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Any

import ipywidgets as w

__all__ = ["classed", "close_all", "line", "refused", "stylesheet"]


def classed(widget: Any, name: str) -> Any:
    """Return the widget, with a class for the stylesheet."""
    widget.add_class(name)
    return widget


def stylesheet() -> Any:
    """Return a widget that shows nothing and brings the stylesheet."""
    css = files(__package__).joinpath("tuner.css").read_text(encoding="utf-8")
    return classed(w.HTML(f"<style>{css}</style>"), "acg-hidden")


def line(text: str) -> str:
    """Return a line that says something."""
    return f'<div class="acg-line" role="status">{escape(text)}</div>'


def refused(text: str) -> str:
    """Return a line that says why something was refused, or nothing if nothing was."""
    return f'<div class="acg-refused" role="alert">{escape(text)}</div>' if text else ""


def close_all(widget: Any) -> None:
    """Close all that is in a widget, layouts and styles too, but not itself; nothing observes it any more."""
    for part in list(_parts(widget)):
        part.unobserve_all()
        if part is not widget:
            part.close()


def _parts(widget: Any) -> Iterator[Any]:
    for child in getattr(widget, "children", ()):
        yield from _parts(child)
    for name in ("style", "layout"):
        if isinstance(part := getattr(widget, name, None), w.Widget):
            yield part
    yield widget
