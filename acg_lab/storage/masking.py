"""Mask credentials in text.

The name of a source is masked before it reaches a message, a repr, a log or a file. Texts may come from a server or a
file, so time grows with their length.
"""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

__all__ = ["mask_credentials"]

_URL = "://"
_LONGEST_SCHEME = 64
_scheme = re.compile(r"(?<!\w)[a-z][a-z0-9+.-]*\Z", re.IGNORECASE).search
_tokens = re.compile(r"\S+").finditer
_colon = re.compile(r"[\s/:]").search
_slash = re.compile(r"[\s/?#]").search
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
    ends = [*(token.start() for token in tokens[1:]), len(line)]
    for token, end in zip(tokens, ends, strict=False):
        last_at = line.rfind("@", token.start(), end)
        urls = [token.start() + found.start() for found in re.finditer(_URL, token[0])] if last_at >= 0 else []
        for url, *following in zip(urls, [*urls[1:], token.end()], [*urls[2:], token.end(), token.end()], strict=False):
            start = url + len(_URL)
            if line[start : start + 1] == "/" or not _scheme(line[max(0, url - _LONGEST_SCHEME) : url]):
                continue
            at = _end_of_user(line, start, following, last_at)
            if at >= 0:
                yield start, at


def _end_of_user(line: str, start: int, following: Sequence[int], last_at: int) -> int:
    """Return the ``@`` that ends the user info, or -1; ``following`` is where the next two URLs begin."""
    colon = found.start() if (found := _colon(line, start)) else len(line)
    if line[colon : colon + 1] == ":" and last_at > colon:  # user:password@, the password with any characters
        return last_at
    at = line.rfind("@", start, found.start() if (found := _slash(line, start)) else len(line))  # user@
    first, second = following
    if at < 0 and first < second:  # user/name:password@, the password beginning with two slashes
        at = line.rfind("@", first + 1, second)
    if at < 0:  # user/name:password@
        at = line.rfind("@", start, first)
        at = at if ":" in line[start : max(at, start)] else -1
    return at


def _mask_parameter(found: re.Match[str]) -> str:
    return f"{found['name']}=***" if _SECRET.search(unquote(found["name"])) else found[0]
