"""Shorten the SVG files of figures: what they show stays, in less than a third of the characters."""

import re
from typing import Final

__all__ = ["shorten_svg"]

_number: Final = re.compile(r"-?\d+\.\d+")
_path: Final = re.compile(r'(?<= d=")[^"]*')
_place: Final = re.compile(r'(?<= [xy]=")[^"]*')
_spare_space: Final = re.compile(r"\s+(?=[-A-Za-z]|$)|(?<=[A-Za-z])\s+")
_made_id: Final = re.compile(r'(?<=["#])[a-z][0-9a-f]{10}(?=[")])')  # as matplotlib names what is used again
_made: Final = re.compile(r"<dc:(date|creator)>.*?</dc:\1>", re.DOTALL)
_fill: Final = re.compile(r' style="(fill: [^";]*)"')
_characters: Final = re.compile(r"(?:<use [^>]*/>){2,}")


def shorten_svg(svg: str) -> str:
    r"""Return the text of an SVG file with short numbers and names, and without spaces between elements.

    Parameters
    ----------
    svg : str
        As matplotlib writes it.

    Returns
    -------
    str
        Coordinates have two decimals: a hundredth of a point. The same figure has the same text each time: what
        matplotlib names by a hash is numbered, and the time of writing is left out.

    Examples
    --------
    >>> shorten_svg('<g>\n <path d="M 1.234567 2 \nL 3.5 4.000001 \n" style="fill: #fff"/>\n</g>')
    '<g><path d="M1.23 2L3.5 4" style="fill: #fff"/></g>'
    """
    numbers: dict[str, str] = {}
    svg = _place.sub(lambda found: _number.sub(_round, found[0]), svg)
    svg = _path.sub(lambda found: _spare_space.sub("", _number.sub(_round, found[0])), svg)
    svg = _made_id.sub(lambda found: numbers.setdefault(found[0], f"_{len(numbers)}"), svg)
    svg = re.sub(r">\s+<", "><", _made.sub("", svg))
    return _characters.sub(_share_fill, svg)


def _round(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _share_fill(uses: re.Match[str]) -> str:
    """Name the colour of a text once, if all of its characters have it."""
    fills = set(_fill.findall(uses[0]))
    if len(fills) != 1 or len(_fill.findall(uses[0])) != uses[0].count("<use "):
        return uses[0]
    return f'<g style="{fills.pop()}">{_fill.sub("", uses[0])}</g>'
