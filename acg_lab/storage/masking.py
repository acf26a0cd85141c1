"""Masking credentials in text; pure.

Belongs here: what may be a secret in a URL. The name of a source goes through it before it reaches
a message, a repr or a file.
"""

import re
from urllib.parse import unquote

__all__ = ["mask_credentials"]

# User info, of which passwords may hold anything: better to mask too much than too little. It ends at the last @ of
# the line that does not belong to the next URL. A path is told from it by what comes first, a slash or a colon.
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
    """Mask what may be a credential in URL-like text.

    User info becomes ``***``, and so does the value of a parameter whose name tells that it is secret.

    Examples
    --------
    >>> mask_credentials("redis://reader:p@ss/word@cache:6379/0?ssl_password=x")
    'redis://***@cache:6379/0?ssl_password=***'
    """
    return _PARAMETER.sub(_mask_parameter, _USER_INFO.sub(r"\g<scheme>***@", text))


def _mask_parameter(found: re.Match[str]) -> str:
    return f"{found['name']}=***" if _SECRET.search(unquote(found["name"])) else found[0]
