"""The address of a Redis, and the password that belongs to it.

Every user of a machine can read the arguments of its processes, so a password is better given in the environment or in
a file.
"""

import getpass
import os
import re
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from acg_lab.core.errors import SourceError, UsageError

__all__ = ["PASSWORD", "address_label", "parse_address", "read_password"]

PASSWORD: Final = "ACG_LAB_REDIS_PASSWORD"  # noqa: S105  the name of a variable
_EXPECTED: Final = "expected redis://, rediss:// or unix://, as in redis://host:6379/0"


def read_password(file: str) -> str:
    """Return the password in the first line of a file, or ask for it on the terminal if the file is ``-``.

    Raises
    ------
    SourceError
        If the file can't be read.
    UsageError
        If there is no password, or no terminal to ask on.
    """
    if file == "-":
        if not sys.stdin.isatty():
            msg = "There is no terminal to ask for a password on; name a file with --password-file FILE."
            raise UsageError(msg)
        return getpass.getpass("Password of the Redis: ")
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        lines, msg = [], f"{file}: the password can't be read: {reason}."
        raise SourceError(msg) from None
    if not lines or not lines[0]:
        msg = f"{file}: expected a password in the first line, got none."
        raise UsageError(msg)
    return lines[0]


def parse_address(module: Any, url: str) -> dict[str, Any]:
    """Return redis-py's options of a URL, with the password of the environment if the URL has none.

    Parameters
    ----------
    module : module
        ``redis.connection`` or ``redis.asyncio.connection``.
    url : str
        URL in the format of redis-py.

    Raises
    ------
    UsageError
        If it can't be read. The message does not repeat it.
    """
    options: dict[str, Any] | None
    try:
        parts = urlsplit(url)
        options = module.parse_url(url)
    except (AttributeError, TypeError, ValueError):
        options = None
    if options is None:
        msg = f"The Redis URL can't be read: {_EXPECTED}."
        raise UsageError(msg)
    if parts.scheme != "unix" and ("@" in parts.path or parts.fragment):
        msg = "The Redis URL can't be read: in a password, characters such as @ / : # must be percent-encoded."
        raise UsageError(msg)
    if parts.scheme != "unix" and not re.fullmatch(r"/?[0-9]*", parts.path):
        msg = "The Redis URL must end in a database number, as in redis://host:6379/0, or without one."
        raise UsageError(msg)
    try:
        str(options.get("host", "")).encode("idna")
    except UnicodeError:
        msg = "The Redis URL can't be read: its host name is not valid."
    else:
        if "password" not in options and parts.password is None and (password := os.environ.get(PASSWORD)):
            options["password"] = password
        return options
    raise UsageError(msg)


def address_label(url: str, options: dict[str, Any]) -> str:
    """Return address and database, without credentials."""
    user = "***@" if options.get("username") or options.get("password") else ""
    database = options.get("db", 0)
    if "path" in options:
        return f"unix://{user}{options['path']}?db={database}"
    host = str(options.get("host", "localhost"))
    host = f"[{host}]" if ":" in host else host
    return f"{urlsplit(url).scheme}://{user}{host}:{options.get('port', 6379)}/{database}"
