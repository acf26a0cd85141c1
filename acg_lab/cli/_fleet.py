"""What commands that spread their work over workers share: their options, and the engine that they choose."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from acg_lab.core import MissingExtraError, SourceError, UsageError
from acg_lab.storage.masking import mask_credentials

__all__ = ["Dask", "Jobs", "OutFolder", "engine"]

_CONNECT = "10s"

Jobs = Annotated[
    int,
    typer.Option(
        "--jobs", help="Processes that survey the agents, one agent at a time; -1 for all cores.", metavar="N"
    ),
]
Dask = Annotated[
    str | None,
    typer.Option(
        help="Survey the agents on the cluster of this Dask scheduler, such as tcp://host:8786.", metavar="ADDRESS"
    ),
]
OutFolder = Annotated[
    str | None,
    typer.Option(
        "--out",
        help="With --jobs or --dask: folder for tables of agents and requests, where an interrupted survey goes on.",
        metavar="DIR",
    ),
]


@contextmanager
def engine(dask: str | None) -> Iterator[None]:
    """Use a Dask cluster if one is named.

    Raises
    ------
    MissingExtraError
        If dask is not installed.
    SourceError
        If no scheduler answers.
    """
    if dask is None:
        yield
        return
    try:
        from distributed import Client  # noqa: PLC0415  an extra
    except ImportError:
        msg = "--dask needs Dask; install it with: pip install 'acg-lab[cluster]'"
        raise MissingExtraError(msg) from None
    from joblib import parallel_config  # noqa: PLC0415  at call time

    try:
        client = Client(dask, timeout=_CONNECT)
    except (OSError, ValueError) as error:
        msg = f"{mask_credentials(dask)}: no Dask scheduler answers ({type(error).__name__})."
        raise (SourceError if isinstance(error, OSError) else UsageError)(msg) from None
    with client, parallel_config("dask", client=client):
        yield
