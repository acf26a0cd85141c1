"""``acg-lab notebook``: open JupyterLab on copies of the notebooks, never on the installed originals."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from acg_lab.cli._app import cli, complain
from acg_lab.cli._servers import (
    Host,
    NoBrowser,
    Port,
    PrivatePage,
    absolute,
    environment,
    has_credentials,
    private_page,
    require,
)
from acg_lab.core import SourceError
from acg_lab.snapshot.samples import SAMPLES, find_shipped
from acg_lab.storage.sources import mask_credentials

_ASSIGNMENT = re.compile(r"^SOURCE = .*$", re.MULTILINE)
_PICTURE = re.compile(r"^!\[.*\]\(\.\./.*\)\n+", re.MULTILINE)  # of what a copy shows itself


@cli.command("notebook")
def _notebook(
    source: Annotated[
        str,
        typer.Argument(help="What the notebooks load, as for 'analyze'; the samples by default.", metavar="SOURCE"),
    ] = "",
    into: Annotated[
        str, typer.Option(help="Folder for the copies; a new one in the current folder by default.", metavar="FOLDER")
    ] = "",
    host: Host = "127.0.0.1",
    port: Port = 8888,
    no_browser: NoBrowser = False,  # noqa: FBT002
) -> None:
    """Open JupyterLab on copies of the notebooks, set to SOURCE."""
    require("jupyterlab", "JupyterLab", "notebook")
    source = absolute(source) if source else ""
    folder = Path(into) if into else _new_folder(Path.cwd() / "acg-lab-notebooks")
    names = copy_notebooks(find_shipped("notebooks", "notebooks"), folder, source)
    with private_page(host, open_browser=not no_browser) as page, environment(ACG_LAB_SOURCE=source):
        _serve(page, port, folder, names[0])


def _new_folder(folder: Path) -> Path:
    number = 2
    while folder.exists():
        folder = folder.with_name(f"acg-lab-notebooks-{number}")
        number += 1
    return folder


def copy_notebooks(originals: Path, folder: Path, source: str) -> list[str]:
    """Copy notebooks into a folder without their outputs, and set their source; existing files are kept.

    Parameters
    ----------
    originals, folder : Path
        The second is created.
    source : str
        The value of the line ``SOURCE = ...``. With a password it is read from the environment instead. Where it is
        empty, each notebook keeps its own sample, by the path at which it is installed.

    Returns
    -------
    list of str
        The notebooks' names, in order.

    Raises
    ------
    SourceError
        If the folder can't be written.
    """
    names = sorted(path.name for path in originals.glob("*.ipynb"))
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # outputs will show what the source holds
        for name in names:
            if (folder / name).exists():
                complain(f"acg-lab: {folder / name} exists and is kept.")
                continue
            notebook = set_source(json.loads((originals / name).read_bytes()), source)
            text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"{folder}: can't copy the notebooks: {error.strerror or error}."
        raise SourceError(msg) from None
    complain(f"acg-lab: the notebooks are in {folder}")
    return names


def set_source(notebook: dict[str, Any], source: str) -> dict[str, Any]:
    """Set the line ``SOURCE = ...`` of a notebook, and drop outputs and pictures, in place; return the notebook."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            text = _ASSIGNMENT.sub(lambda found: _assign(source or _own_sample(found[0])), "".join(cell["source"]))
            cell |= {"source": text.splitlines(keepends=True), "outputs": [], "execution_count": None}
        else:
            cell["source"] = _PICTURE.sub("", "".join(cell["source"])).splitlines(keepends=True)
    return notebook


def _assign(source: str) -> str:
    if has_credentials(source):
        return f'import os\n\nSOURCE = os.environ["ACG_LAB_SOURCE"]  # {mask_credentials(source)}'
    return f"SOURCE = {source!r}"


def _own_sample(line: str) -> str:
    """Return the installed sample that a line of a notebook names by its place in the repository."""
    place = next(place for place in SAMPLES.values() if f'/{place.in_checkout}"' in line)
    return str(find_shipped(*place))


def _serve(page: PrivatePage, port: int, folder: Path, first: str) -> None:
    """Run JupyterLab until it is interrupted."""
    from jupyterlab.labapp import LabApp  # noqa: PLC0415  # an extra

    settings = {
        "ServerApp.ip": page.host,
        "ServerApp.port": port,
        "ServerApp.root_dir": str(folder.resolve()),
        "ServerApp.open_browser": False,
        "ServerApp.answer_yes": True,  # Ctrl-C asks no question
        "ServerApp.allow_root": True,
        "IdentityProvider.token": page.token,
        "Application.log_level": "ERROR",
    }
    server = LabApp.initialize_server(argv=[f"--{name}={value}" for name, value in settings.items()])
    server.no_browser_open_file = True  # not a setting; else the token would be written to a file
    server.io_loop.add_callback(page.announce, server.port, f"lab/tree/{first}")
    server.start()
