"""How values show themselves: names that print, and tables for notebooks.

Belongs here: what every repr needs. Names may come from prompts, so they are untrusted: a terminal obeys control
characters, and a notebook obeys tags.
"""

from collections.abc import Collection, Iterable, Sequence
from html import escape

__all__ = ["counted", "html_table", "html_text", "printable"]

# On the elements themselves: notebooks have rules for tables of their own, and some front ends drop style sheets.
_TABLE = (
    "border-collapse:collapse;table-layout:auto;margin:.5em 0;font-size:inherit;color:var(--jp-ui-font-color1,inherit)"
)
_CELL = "vertical-align:top;padding:.3em .7em;border-bottom:1px solid var(--jp-border-color2,#8886);text-align:"

_NUMBER = "right;white-space:nowrap;font-variant-numeric:tabular-nums"


def printable(text: str) -> str:
    r"""Escape what does not print.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def html_text(text: str) -> str:
    """Return untrusted text as HTML that shows it.

    >>> html_text("<b>")
    '&lt;b&gt;'
    """
    return escape(printable(text))


def html_table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = ()) -> str:
    """Return an HTML table.

    Parameters
    ----------
    titles : sequence of str
        Of the columns.
    rows : iterable of sequence of str
        Cells are HTML already: untrusted text goes through `html_text` first.
    numbers : collection of str
        Titles of the columns that are aligned at the right.
    """
    ends = [_NUMBER if title in numbers else "left" for title in titles]
    head = "".join(f'<th style="{_CELL}{end};white-space:normal">{t}</th>' for t, end in zip(titles, ends, strict=True))
    body = "".join(f"<tr>{_cells(row, ends)}</tr>" for row in rows)
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cells(row: Sequence[str], ends: Sequence[str]) -> str:
    return "".join(f'<td style="{_CELL}{end}">{cell}</td>' for cell, end in zip(row, ends, strict=True))


def counted(count: int, noun: str) -> str:
    """Return a number with its noun."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"
