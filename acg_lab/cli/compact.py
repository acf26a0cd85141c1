"""``acg-lab compact``: join the pieces of a history."""

from typing import Annotated

import typer

from acg_lab.cli._app import cli, complain
from acg_lab.fleet import compact_history
from acg_lab.storage.sources import check_path


@cli.command("compact")
def _compact(
    dest: Annotated[str, typer.Argument(help="Folder (path or URI) of a history.", metavar="DEST")],
    partition: Annotated[
        str | None, typer.Option(help="'agent': give each agent its own files.", metavar="agent")
    ] = None,
) -> None:
    """Join the pieces of a history, as --append adds them, into one.

    Loading gives the same before and after.
    """
    check_path(dest)
    complain(str(compact_history(dest, partition_by=partition)))  # type: ignore[arg-type]
