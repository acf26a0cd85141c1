"""Serve pages for `notebook` and `app`: on this machine alone, behind a token, until the command ends.

The servers are JupyterLab's and Voilà's own. They run in this process, so no token shows in a list of processes.
"""

import ipaddress
import os
import secrets
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, NamedTuple

import typer
from rich.text import Text

from acg_lab.cli._app import complain, complaints, out
from acg_lab.core import MissingExtraError, SourceError, UsageError
from acg_lab.snapshot.samples import find_sample
from acg_lab.storage.sources import mask_credentials

__all__ = [
    "Host",
    "NoBrowser",
    "Port",
    "PrivatePage",
    "absolute",
    "environment",
    "has_credentials",
    "private_page",
    "require",
]

Host = Annotated[str, typer.Option(help="Address to listen on; other than the default, other machines can reach it.")]
Port = Annotated[int, typer.Option(help="Port; the next free one if it is in use.", min=1, max=65535)]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Print the address only.")]


class PrivatePage(NamedTuple):
    """The address that a server listens on, and the token that admits a reader."""

    host: str
    token: str
    folder: Path
    open_browser: bool

    def announce(self, port: int, path: str = "") -> None:
        """Print the address, and open it in a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        address = f"http://{host}:{port}/{path}?token={self.token}"
        out.print(Text(address), soft_wrap=True)  # the one place that shows the token
        out.print("Press Ctrl-C to stop.")
        if self.open_browser:
            # Through a private file, because every user of the machine can read a browser's arguments.
            link = self.folder / "open.html"
            link.write_text(f'<meta http-equiv="refresh" content="0; url={escape(address)}">', encoding="utf-8")
            threading.Thread(target=webbrowser.open, args=(link.as_uri(),), daemon=True).start()


def require(package: str, name: str, command: str) -> None:
    """Raise MissingExtraError unless a package is installed.

    Raises
    ------
    MissingExtraError
        The message says what to install.
    """
    if find_spec(package) is None:
        msg = f"acg-lab {command} needs {name}; install it with: pip install 'acg-lab[lab]'"
        raise MissingExtraError(msg)


@contextmanager
def private_page(host: str, *, open_browser: bool) -> Iterator[PrivatePage]:
    """Yield a page with a token and a temporary folder; warn if other machines can reach it.

    Raises
    ------
    SourceError
        If the system refuses to serve it there.
    """
    if not _is_this_machine(host):
        complain(
            f"acg-lab: warning: prompts are private: everyone who can reach {host} and has the token can read them and "
            "run code here; the connection is not encrypted.",
            "yellow",
        )
    try:
        with TemporaryDirectory(prefix="acg-lab-") as folder:
            yield PrivatePage(host, secrets.token_urlsafe(24), Path(folder), open_browser)
    except OSError as error:
        msg = f"{host}: can't serve the page: {error.strerror or error}."
        raise SourceError(msg) from None


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def absolute(source: str) -> str:
    """Return a source that is valid from any folder."""
    if source == "-":
        msg = "A page or notebook can't read standard input; save the log to a file and give its name."
        raise UsageError(msg)
    with complaints():
        source = find_sample(source)
    return source if "://" in source else os.path.abspath(source)  # noqa: PTH100  # a path by name, not by links


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables for kernels started meanwhile; a source may hold a password, so not in arguments."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def has_credentials(source: str) -> bool:
    """Return whether a source holds credentials."""
    return mask_credentials(source) != source
