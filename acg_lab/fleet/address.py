"""Where a source is: what travels to a worker instead of data.

Invariant: no repr holds credentials, since engines show the arguments of tasks in logs and on dashboards.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from acg_lab.core.errors import UsageError
from acg_lab.snapshot.agent_names import count_calls, measure_agents
from acg_lab.snapshot.load import LoadWarning, load, reads_whole
from acg_lab.snapshot.narrow import keep_agent
from acg_lab.snapshot.samples import find_sample
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.base import Backend
from acg_lab.storage.masking import mask_credentials
from acg_lab.storage.sources import open_source

__all__ = ["Address", "forget_source"]

_STANDARD_INPUT = "-"


@dataclass(frozen=True, repr=False)
class Address:
    """A source, and how it is loaded.

    Attributes
    ----------
    source : str, Backend or Snapshot
        A path is absolute: workers may run in other folders. Only a text can be sent to other processes.
    options : mapping
        Further options of `acg_lab.load`.
    """

    source: str | Backend | Snapshot
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Any, options: Mapping[str, Any]) -> Self:
        """Return the address of whatever `acg_lab.load` takes."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LoadWarning)  # of a folder named as a sample: `measure_agents` warns
            found = find_sample(source)
        if isinstance(found, str | os.PathLike):
            found = os.fsdecode(found)
            if found != _STANDARD_INPUT and os.path.lexists(found):
                found = os.path.abspath(found)  # noqa: PTH100  a path by name: links stay
        elif not isinstance(found, Snapshot):
            found = open_source(found)  # refuses what is no source
        return cls(found, dict(options))

    def __repr__(self) -> str:
        return f"<Address {self.label}>"

    @property
    def label(self) -> str:
        """The source, credentials masked."""
        source = self.source
        if isinstance(source, str):
            return "standard input" if source == _STANDARD_INPUT else mask_credentials(source)
        return source.source if isinstance(source, Snapshot) else source.label

    def check_sendable(self) -> None:
        """Raise UsageError if other processes can't load the source for themselves."""
        if not isinstance(self.source, str) or self.source == _STANDARD_INPUT:
            msg = (
                f"Workers load for themselves, and {self.label} is only in this process: pass the address or path of a "
                "source, or n_jobs=1."
            )
            raise UsageError(msg)

    def measure_agents(self) -> dict[str, int]:
        """Return the ids of all agents, sorted, each with its size, as `acg_lab.snapshot.agent_names` measures it."""
        if self._is_read_whole:
            return count_calls(_read_whole(self))
        if isinstance(self.source, str):
            return measure_agents(self.source, **self.options)
        return count_calls(self.load())

    def load_agent(self, agent_id: str) -> Snapshot:
        """Return what the source holds of one agent."""
        if self._is_read_whole:
            return keep_agent(_read_whole(self), agent_id)
        if isinstance(self.source, Snapshot):
            return keep_agent(self.source, agent_id)
        return self.load(agent_id=agent_id)

    @property
    def _is_read_whole(self) -> bool:
        return reads_whole(self.source, format=self.options.get("format", "auto"))

    def load(self, **more: Any) -> Snapshot:
        """Return the whole source, or what further options of `acg_lab.load` leave of it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LoadWarning)  # problems are in the snapshot
            return load(self.source, progress=False, **self.options, **more)


_last_read: tuple[Address, Snapshot] | None = None


def _read_whole(address: Address) -> Snapshot:
    """Return the whole source; the last one that was read is kept, since every agent needs it again."""
    global _last_read  # noqa: PLW0603  a worker reads one source for many tasks
    if _last_read is None or _last_read[0] != address:
        _last_read = (address, address.load())
    return _last_read[1]


def forget_source() -> None:
    """Free the source that was read whole in this process."""
    global _last_read  # noqa: PLW0603
    _last_read = None
