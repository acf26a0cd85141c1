"""Mask credentials in text.

The name of a source is masked before it reaches a message, a repr, a log or a file. Texts may come from a server or a
file, so time grows with their length.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import unquote

__all__ = ["mask_credentials"]

_URL = "://"
_LONGEST_SCHEME = 64
_scheme = re.compile(r"(?<!\w)[a-z][a-z0-9+.-]*\Z", re.IGNORECASE).search
_tokens = re.compile(r"\S+").finditer
_before_colon = re.compile(r"[^\s/:]*").match
_before_slash = re.compile(r"[^\s/?#]*").match
_PARAMETER = re.compile(r"(?P<name>(?<=[?&;])[^\s?&;=]+)=(?P<value>[^\s&]*)")
_SECRET = re.compile(
    r"pass|pwd|secret|token|credential|signature|^sig$|(access|account|api|private)[_-]?key", re.IGNORECASE
)


def mask_credentials(text: str) -> str:
    """Mask possible credentials in a text with URLs.

    User info is replaced by ``***``, as is the value of a parameter with the name of a secret.

    Examples
    --------
    >>> mask_credentials("redis://reader:p@ss/word@cache:6379/0?ssl_password=x")
    'redis://***@cache:6379/0?ssl_password=***'
    """
    return _PARAMETER.sub(_mask_parameter, "\n".join("".join(_mask_users(line)) for line in text.split("\n")))


def _mask_users(line: str) -> Iterator[str]:
    """Yield the pieces of a line, with each user info replaced."""
    done = 0
    for start, at in _find_users(line):
        if start > done:
            yield line[done:start]
            yield "***"
            done = at
    yield line[done:]


def _find_users(line: str) -> Iterator[tuple[int, int]]:
    """Yield where user info starts, and its ``@``.

    Passwords may contain anything, so rather too much is masked than too little: a password ends at the last @ of the
    line that does not belong to the next token with a URL.
    """
    tokens = [token for token in _tokens(line) if _URL in token[0]]
    for token, following in pairwise([*tokens, None]):
        last_at = line.rfind("@", token.start(), following.start() if following else len(line))  # type: ignore[union-attr]
        if last_at < 0:
            continue
        places = [found.start() for found in re.finditer(_URL, token[0])]
        bounds = [token.start() + place for place in places] + [token.end()] * 2  # type: ignore[union-attr]
        for i in range(len(places)):
            start = bounds[i] + len(_URL)
            is_url = _scheme(line[max(0, start - len(_URL) - _LONGEST_SCHEME) : bounds[i]])
            if is_url and line[start : start + 1] != "/" and (at := _end_of_user(line, start, (bounds[i + 1], bounds[i + 2]), last_at)) >= 0:
                yield start, at


def _end_of_user(line: str, start: int, bounds: tuple[int, int], last_at: int) -> int:
    """Return the ``@`` that ends the user info, or -1. The bounds are the next two URLs, or the token's end."""
    colon = _before_colon(line, start).end()
    if line[colon : colon + 1] == ":" and last_at > colon:  # user:password@, the password with any characters
        return last_at
    at = line.rfind("@", start, _before_slash(line, start).end())  # user@
    if at < 0 and bounds[0] < bounds[1]:  # user/name:password@, the password beginning with two slashes
        at = line.rfind("@", bounds[0] + 1, bounds[1])
    if at < 0:  # user/name:password@
        at = line.rfind("@", start, bounds[0])
        at = at if ":" in line[start : max(at, start)] else -1
    return at


def _mask_parameter(found: re.Match[str]) -> str:
    return f"{found['name']}=***" if _SECRET.search(unquote(found["name"])) else found[0]
