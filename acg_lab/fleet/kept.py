"""The folder of a survey: where it goes on after it was interrupted, and tables for other tools.

=================== =====================================================================
in the folder       holds
=================== =====================================================================
``survey.json``     what was asked, of which source, by which version of acg_lab
``results/``        the answers of each task, one file each
``requests/``       the requests of each agent, as `acg_lab.frames.requests`, Parquet
``*.parquet``       the tables of the survey, once all agents are done
=================== =====================================================================

Invariant: a file is written beside and then renamed, so that a full disk or a kill leaves whole files only.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from acg_lab.core.errors import SourceError, UsageError
from acg_lab.frames.simulated import requests

if TYPE_CHECKING:
    from pandas import DataFrame

    from acg_lab.simulation.result import CacheSimulation

__all__ = ["KeptError", "KeptResults", "write_requests"]

_NAMED: Final = 100  # characters of an agent's id in the name of its file
_TEMPORARY: Final = ".part"


class KeptError(SourceError):
    """The folder of a survey can't be written."""


class KeptResults:
    """The results that a folder holds.

    Parameters
    ----------
    folder : str
    facts : mapping
        What is asked, of which source and by which version: results of other questions are not mixed with these.

    Raises
    ------
    UsageError
        If the folder holds results of other questions, or something else.
    KeptError
        If it can't be written.
    """

    def __init__(self, folder: str, facts: Mapping[str, str]) -> None:
        self.folder = Path(folder)
        about = self.folder / "survey.json"
        if about.exists():
            _check_facts(folder, _read_facts(about), facts)
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            msg = f"{folder} is neither empty nor the folder of a survey: choose another one with 'out'."
            raise UsageError(msg)
        else:
            _write(about, lambda path: path.write_bytes(msgspec.json.format(msgspec.json.encode(facts))))

    def read(self, kind: Any) -> Iterator[Any]:
        """Yield the results of earlier calls; a file that can't be read is passed over, and its agents done again."""
        for path in sorted((self.folder / "results").glob("*.msgpack")):
            try:
                yield from msgspec.msgpack.decode(path.read_bytes(), type=list[kind])
            except (OSError, msgspec.MsgspecError):
                continue

    def keep(self, results: Sequence[Any]) -> None:
        """Store the results of a task."""
        path = self.folder / "results" / f"{secrets.token_hex(8)}.msgpack"
        _write(path, lambda temporary: temporary.write_bytes(msgspec.msgpack.encode(results)))

    def write_tables(self, tables: "Mapping[str, DataFrame]") -> None:
        """Write the tables of the finished survey."""
        for name, table in tables.items():
            _write(self.folder / f"{name}.parquet", partial(table.to_parquet, index=False))


def write_requests(folder: str, agent_id: str, sim: "CacheSimulation") -> None:
    """Write the requests of an agent, without text, into the folder of a survey.

    Raises
    ------
    KeptError
        If it can't be written.
    """
    name = f"{quote(agent_id, safe='')[:_NAMED]}-{sha256(agent_id.encode()).hexdigest()[:12]}.parquet"
    _write(Path(folder, "requests", name), lambda path: requests(sim).to_parquet(path, index=False))


def _read_facts(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        msg = f"{path} can't be read: it is not that of a survey."
        raise UsageError(msg) from None


def _check_facts(folder: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    for name, value in now.items():
        if before.get(name) != value:
            msg = f"{folder} holds results with {name} {before.get(name)!r}, and this survey has {value!r}: they can't "
            msg += "be mixed. Choose another folder with 'out', or remove it."
            raise UsageError(msg)


def _write(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)  # noqa: PTH105  atomic
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        msg = f"{path.parent}: the results can't be written: {reason}."
        raise KeptError(msg) from None
