"""The head of the page that ``acg-lab app`` serves: a title, and the colours of the reader's system.

Voilà has one theme for all readers, light; the stylesheet makes it dark for those whose system is.
"""

from html import escape
from importlib.resources import files
from typing import Any

import ipywidgets as w

from acg_lab._format import printable

__all__ = ["make_header"]


def make_header(source: str) -> Any:
    """Return a widget with the title of the page, and its stylesheet.

    Parameters
    ----------
    source : str
        What is shown, without credentials, as ``Snapshot.source``.
    """
    css = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    title = f'<h1>Which settings should run?</h1><p title="{escape(source)}">{escape(printable(source))}</p>'
    header: Any = w.HTML(f"<style>{css}</style>{title}")
    header.add_class("acg-page-head")
    return header
