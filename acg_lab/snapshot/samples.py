"""The samples that come with the package, by name: ``sample``, an export, and ``sample-log``, a request log.

A file or folder of such a name in the current folder wins.
"""

import os
import warnings
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from acg_lab.core.errors import SourceError
from acg_lab.snapshot.load_log import LoadWarning

__all__ = ["SAMPLES", "find_sample", "find_shipped"]

_PACKAGE: Final = Path(__file__).parents[1]


class _Place(NamedTuple):
    """Where something that ships stands: in a checkout, and in the installed package."""

    in_checkout: str
    in_wheel: str


SAMPLES: Final = MappingProxyType(
    {"sample": _Place("data/sample", "sample"), "sample-log": _Place("data/requests.jsonl.gz", "requests.jsonl.gz")}
)


def find_sample(source: Any) -> Any:
    """Return the path of a sample for its name; anything else as it came.

    Warns
    -----
    LoadWarning
        If a file or folder of the current folder has the name of a sample: it is taken, not the sample.
    """
    if not isinstance(source, str) or source not in SAMPLES:
        return source
    if not os.path.lexists(source):
        return str(find_shipped(*SAMPLES[source]))
    msg = f"{source}: reading what has this name in the current folder, not the sample that comes with acg_lab."
    warnings.warn(msg, LoadWarning, stacklevel=3)
    return source


def find_shipped(in_checkout: str, in_wheel: str) -> Path:
    """Return a file or folder that ships with the package, in the wheel or in a checkout.

    Raises
    ------
    SourceError
        If the installation lacks it.
    """
    places = (_PACKAGE / in_wheel, _PACKAGE.parent / in_checkout)
    if found := next((place for place in places if _is_there(place)), None):
        return found
    msg = f"{places[0]} is missing; reinstall acg-lab."
    raise SourceError(msg)


def _is_there(place: Path) -> bool:
    return any(place.iterdir()) if place.is_dir() else place.is_file()
