"""``acg-lab app``: serve the tuner as a page, with Voilà."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from acg_lab.cli._app import Source, read
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.cli._servers import Host, NoBrowser, Port, PrivatePage, absolute, environment, private_page, require
from acg_lab.config import load_config

_TEMPLATE = Path(__file__).with_suffix(".ipynb")


@source_command("app")
def _app(
    source: Source,
    log: LogOptions,
    host: Host = "127.0.0.1",
    port: Port = 8866,
    no_browser: NoBrowser = False,  # noqa: FBT002
    config: Annotated[
        str | None, typer.Option(help="A plugins.toml: its settings are the current ones, and exports go to it.")
    ] = None,
) -> None:
    """Serve the tuner for SOURCE as a page on this machine."""
    require("voila", "Voilà", "app")
    source = absolute(source)
    read(source, limit=1, **log)  # report unreadable sources here, not on the page
    options = json.dumps(log, default=asdict)
    variables = {"ACG_LAB_SOURCE": source, "ACG_LAB_OPTIONS": options, "ACG_LAB_FOLDER": str(Path.cwd())}
    if config is not None:
        load_config(config)
        variables["ACG_LAB_CONFIG"] = absolute(config)
    with private_page(host, open_browser=not no_browser) as page, environment(**variables):
        _serve(page, port)


def _serve(page: PrivatePage, port: int) -> None:
    """Run Voilà until it is interrupted."""
    from tornado.ioloop import IOLoop  # noqa: PLC0415  # comes with Voilà
    from voila.app import Voila  # noqa: PLC0415  # an extra

    served = page.folder / "served"  # Voilà serves all files beside the notebook
    served.mkdir()
    settings = {
        "Voila.ip": page.host,
        "Voila.port": port,
        "Voila.token": page.token,
        "Voila.open_browser": False,
        "Voila.log_level": "ERROR",
        "VoilaConfiguration.show_tracebacks": True,  # the page belongs to the user
    }
    server = Voila()
    notebook = shutil.copy(_TEMPLATE, served / _TEMPLATE.name)
    server.initialize([str(notebook), *(f"--{name}={value}" for name, value in settings.items())])
    IOLoop.current().add_callback(lambda: page.announce(server.port))
    server.start()
