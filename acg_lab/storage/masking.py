"""Mask credentials in text.

The name of a source is masked before it reaches a message, a repr, a log or a file.
"""

import re
from urllib.parse import unquote

__all__ = ["mask_credentials"]

# User info. Passwords may contain anything, so rather too much is masked than too little: it ends at the last @ of the
# line that does not belong to the next URL. A slash before the first colon marks a path.
_USER_INFO = re.compile(
    r"""
    (?P<scheme>\b[a-z][a-z0-9+.-]*://)(?!/)
    (?:
        [^\s/:]* : (?:(?!\s\S*?://).)* @     # user:password@, the password with any characters
      | [^\s/?#]* @                          # user@
      | (?:(?!://)\S)* : (?:(?!://)\S)* @    # user/name:password@
    )
    """,
    re.IGNORECASE | re.VERBOSE,
)
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
    return _PARAMETER.sub(_mask_parameter, _USER_INFO.sub(r"\g<scheme>***@", text))


def _mask_parameter(found: re.Match[str]) -> str:
    return f"{found['name']}=***" if _SECRET.search(unquote(found["name"])) else found[0]
