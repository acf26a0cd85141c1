"""What `notebook` and `app` share: a server on this machine alone, behind a token, that ends with the command.

Belongs here: options, the address and its token, the browser. The servers are JupyterLab's and Voilà's own; they run in
this process, so that no token stands in a list of processes.
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

from acg_lab.cli._app import complain, out
from acg_lab.core import MissingExtraError, SourceError
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

Host = Annotated[str, typer.Option(help="Address to listen on; others than this machine can then reach it.")]
Port = Annotated[int, typer.Option(help="Port; the next free one if it is in use.", min=1, max=65535)]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Print the address only.")]


class PrivatePage(NamedTuple):
    """Where a server listens, and what lets one in."""

    host: str
    token: str
    folder: Path
    open_browser: bool

    def announce(self, port: int, path: str = "") -> None:
        """Print the address, and open it in a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        address = f"http://{host}:{port}/{path}?token={self.token}"
        out.print(Text(address), soft_wrap=True)  # the one place that shows a token: it lets its reader in
        out.print("Ctrl-C ends it.")
        if self.open_browser:
            # By way of a file of the user's own: the arguments of a browser can be read by all on a machine.
            link = self.folder / "open.html"
            link.write_text(f'<meta http-equiv="refresh" content="0; url={escape(address)}">', encoding="utf-8")
            threading.Thread(target=webbrowser.open, args=(link.as_uri(),), daemon=True).start()


def require(package: str, name: str, command: str) -> None:
    """Refuse a command whose package is not installed.

    Raises
    ------
    MissingExtraError
        With what to install.
    """
    if find_spec(package) is None:
        msg = f"acg-lab {command} needs {name}; install it with: pip install 'acg-lab[lab]'"
        raise MissingExtraError(msg)


@contextmanager
def private_page(host: str, *, open_browser: bool) -> Iterator[PrivatePage]:
    """Give a page with a token and a folder of its own, which goes at the end; warn if others can reach it.

    Raises
    ------
    SourceError
        If the system does not let it be served there.
    """
    if not _is_this_machine(host):
        complain(
            f"acg-lab: warning: prompts are private, and everybody who reaches {host} and learns the token can read "
            "them and run code here; the connection is not encrypted.",
            "yellow",
        )
    try:
        with TemporaryDirectory(prefix="acg-lab-") as folder:
            yield PrivatePage(host, secrets.token_urlsafe(24), Path(folder), open_browser)
    except OSError as error:
        msg = f"{host}: the page can't be served: {error.strerror or error}."
        raise SourceError(msg) from None


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def absolute(source: str) -> str:
    """Return a source that means the same from any folder."""
    return source if "://" in source else os.path.abspath(source)  # noqa: PTH100  # a path by name, not by links


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Hand something to the kernels that are started meanwhile: in variables, since a source may hold a password."""
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
    """Whether a source holds what must not be written down."""
    return mask_credentials(source) != source
