"""Numbers, names and tables as text for people: the same in reprs, tables, figures and messages.

Scores and shares are never rounded across a threshold, to nothing or to all. Names may come from prompts, so text that
could act on a terminal or in HTML is escaped.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from difflib import get_close_matches
from html import escape

__all__ = [
    "ELLIPSIS",
    "MINUS",
    "between",
    "change",
    "counted",
    "cut",
    "cut_all",
    "html_table",
    "html_text",
    "joined",
    "money",
    "percent",
    "printable",
    "printable_json",
    "score",
    "setting",
    "suggest",
    "tokens",
]

MINUS = "\N{MINUS SIGN}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_MOST_DECIMALS = 17  # more than a float has
_READ = 400  # characters of a name that someone reads; names that differ further on need not be the shortest
# Styles are set on the elements: notebooks style tables themselves, and some front ends drop style sheets.
_TABLE = (
    "border-collapse:collapse;table-layout:auto;margin:.5em 0;font-size:inherit;color:var(--jp-ui-font-color1,inherit)"
)
_CELL = "vertical-align:top;padding:.3em .7em;border-bottom:1px solid var(--jp-border-color2,#8886);text-align:"

_NUMBER = "right;white-space:nowrap;font-variant-numeric:tabular-nums"

_beyond_ascii = re.compile(r"[^\n -~]")


def printable(text: str) -> str:
    r"""Escape characters that do not print, which a terminal might obey.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def printable_json(text: str) -> str:
    r"""Escape in a JSON text what does not print, so that it reads the same and no terminal obeys it.

    >>> printable_json('["a\x9bb", "caf\xe9"]')
    '["a\\u009bb", "caf\xe9"]'
    """
    return _beyond_ascii.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def html_text(text: str) -> str:
    """Return untrusted text escaped for HTML.

    >>> html_text("<b>")
    '&lt;b&gt;'
    """
    return escape(printable(text))


def html_table(titles: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Collection[str] = ()) -> str:
    """Return an HTML table.

    Parameters
    ----------
    titles : sequence of str
        Titles of the columns.
    rows : iterable of sequence of str
        Cells in HTML; pass untrusted text through `html_text` first.
    numbers : collection of str
        Titles of the columns to align at the right.
    """
    ends = [_NUMBER if title in numbers else "left" for title in titles]
    head = "".join(f'<th style="{_CELL}{end};white-space:normal">{t}</th>' for t, end in zip(titles, ends, strict=True))
    body = "".join(f"<tr>{_cells(row, ends)}</tr>" for row in rows)
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cells(row: Sequence[str], ends: Sequence[str]) -> str:
    return "".join(f'<td style="{_CELL}{end}">{cell}</td>' for cell, end in zip(row, ends, strict=True))


def tokens(value: float) -> str:
    """Return a number of tokens with thousands separators and without decimals.

    >>> tokens(3735.6)
    '3,736'
    """
    return f"{value:,.0f}".replace("-", MINUS)


def percent(share: float) -> str:
    """Return a share in whole per cent, never rounded to 0% or 100%.

    >>> percent(0.77), percent(0.004), percent(0.999), percent(1), percent(0)
    ('77%', '<1%', '>99%', '100%', '0%')
    """
    if 0 < share <= 0.005:  # noqa: PLR2004
        return "<1%"
    if 0.995 <= share < 1:  # noqa: PLR2004
        return ">99%"
    return f"{share * 100:.0f}%".replace("-", MINUS)


def money(dollars: float) -> str:
    """Return an amount in US dollars, never rounded to nothing.

    >>> money(3.0753), money(0.004), money(0), money(12345.6)
    ('$3.08', '<$0.01', '$0.00', '$12,346')
    """
    if 0 < dollars < 0.01:  # noqa: PLR2004
        return "<$0.01"
    sign = MINUS if dollars <= -0.005 else ""  # noqa: PLR2004
    decimals = 0 if abs(dollars) >= 1000 else 2  # noqa: PLR2004
    return f"{sign}${abs(dollars):,.{decimals}f}"


def change(text: str, difference: float) -> str:
    """Return the text of a difference with its sign.

    >>> change("33%", 0.33), change("0", 0)
    ('+33%', '±0')
    """
    sign = MINUS if difference < 0 else "+" if difference > 0 else "±"
    return f"{sign}{text.lstrip(MINUS)}"


def setting(value: float) -> str:
    """Return a setting as a user would enter it.

    >>> setting(0.95), setting(0.9), setting(1.0), setting(20)
    ('0.95', '0.9', '1', '20')
    """
    return f"{MINUS if value < 0 else ''}{repr(abs(value)).removesuffix('.0')}"


def score(value: float, *thresholds: float) -> str:
    """Return a score with 2 decimals, or with as many as keep it on its side of all thresholds.

    >>> score(0.9496, 0.95), score(0.9496, 0.8), score(0.95, 0.95)
    ('0.9496', '0.95', '0.95')
    """
    for decimals in range(2, _MOST_DECIMALS):
        text = f"{value:.{decimals}f}"
        if all(_side(float(text), threshold) == _side(value, threshold) for threshold in thresholds):
            return text
    return repr(value)


def _side(value: float, threshold: float) -> bool:
    return value >= threshold


def between(above: float, upto: float, near: float) -> str:
    """Return the threshold in ``(above, upto]`` that is nearest to ``near``, with as few decimals as possible.

    >>> between(0.07, 11 / 12, 0.95), between(0.9, 1.0, 0.5), between(0.901, 0.902, 0.5)
    ('0.91', '0.91', '0.902')
    """
    if above < near <= upto:
        return setting(near)
    rounding = ROUND_FLOOR if near > upto else ROUND_CEILING
    for decimals in range(2, _MOST_DECIMALS):
        step = Decimal(1).scaleb(-decimals)
        found = Decimal(repr(upto if near > upto else above)).quantize(step, rounding=rounding)
        found += step if found <= Decimal(repr(above)) and near <= upto else 0
        if above < float(found) <= upto:
            return f"{found}"
    return repr(upto)


def counted(n: float, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the singular or plural.

    >>> counted(1, "request"), counted(1240, "request"), counted(2, "reply"), counted(2, "match", "matches")
    ('1 request', '1,240 requests', '2 replies', '2 matches')
    >>> counted(14, "day")
    '14 days'
    """
    if n != 1:
        ends_in_y = noun.endswith("y") and noun[-2:-1] not in "aeiou"
        noun = plural or (f"{noun[:-1]}ies" if ends_in_y else f"{noun}s")
    return f"{n:,} {noun}"


def joined(*parts: str | None) -> str:
    """Join the parts of a subtitle that are neither None nor empty.

    >>> joined("60 requests", None, "", "gpt-4o")
    '60 requests · gpt-4o'
    """
    return " · ".join(part for part in parts if part)


def cut(name: str, width: int, measure: Callable[[str], int] = len) -> str:
    """Shorten a name to ``width`` by an ellipsis in its middle: names often differ at their ends.

    ``measure`` returns the width of a text, for example in terminal cells; characters by default.

    >>> cut("system-14-update_reservation_passengers", 36)
    'system-14-update_reservati…assengers'
    """
    if measure(name) <= width:
        return name
    tail = max((width - 1) * 26 // 100, 1)
    head = max(width - 1 - tail, 1)
    start = next(end for end in range(min(head, len(name)), -1, -1) if measure(name[:end]) <= head)
    stop = next(i for i in range(max(len(name) - tail, 0), len(name) + 1) if measure(name[i:]) <= tail)
    return f"{name[:start]}{ELLIPSIS}{name[stop:]}"


def cut_all(names: Iterable[str], width: int) -> dict[str, str]:
    """Shorten the names of one figure; names that would become equal keep more characters until they differ.

    >>> cut_all(["a-very-long-name-1", "a-very-long-name-2", "b"], 8)
    {'a-very-long-name-1': 'a-very…1', 'a-very-long-name-2': 'a-very…2', 'b': 'b'}
    """
    widths = dict.fromkeys(names, width)
    while True:
        found: dict[str, list[str]] = {}
        for name, allowed in widths.items():
            found.setdefault(cut(name, allowed), []).append(name)
        alike = [name for same in found.values() if len(same) > 1 for name in same]
        if not alike:
            return {same[0]: text for text, same in found.items()}
        for name in alike:
            widths[name] += 2 if widths[name] < _READ else widths[name]


def suggest(name: object, known: Iterable[str]) -> str:
    """Return a question after the known name that is nearest to a mistyped one, after a space; nothing if none is near.

    Examples
    --------
    >>> suggest("antropic", ["anthropic", "openai-chat"])
    " Did you mean 'anthropic'?"
    """
    return "".join(f" Did you mean {near!r}?" for near in get_close_matches(str(name), list(known), 1))
