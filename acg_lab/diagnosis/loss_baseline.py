"""The file that holds what agents paid and lost, for later checks to compare with.

Invariant: a file that was not written here is refused; a file is replaced whole or not at all.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from acg_lab.config.files import read_file, replace_file
from acg_lab.core.errors import SourceError

__all__ = ["KnownLoss", "read_baseline", "write_baseline"]

_BAD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_Cost = Annotated[float, msgspec.Meta(ge=0)]


class KnownLoss(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an agent paid per request, in US dollars and in uncached tokens (None: unknown), and the share it lost."""

    n_requests: Annotated[int, msgspec.Meta(ge=0)]
    cost: _Cost | None
    cost_tokens: _Cost | None
    lost_share: Annotated[float, msgspec.Meta(le=1)]


class _Baseline(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal["acg-lab check 1"]
    agents: dict[str, KnownLoss]


def read_baseline(path: str | os.PathLike[str]) -> dict[str, KnownLoss]:
    """Read what agents paid and lost before, by agent id.

    Raises
    ------
    SourceError
        If there is no such file, it can't be read, or `write_baseline` did not write it.

    Examples
    --------
    >>> read_baseline("data/sample/runs.parquet")
    Traceback (most recent call last):
    ...
    acg_lab.core.errors.SourceError: data/sample/runs.parquet: expected a baseline that 'acg-lab check --save' wrote.
    """
    file = read_file(path)
    if file.content is None:
        msg = f"{file.label}: there is no such baseline; 'acg-lab check SOURCE --save {file.label}' writes one."
        raise SourceError(msg)
    try:
        return msgspec.json.decode(file.content, type=_Baseline).agents
    except _BAD:
        msg = f"{file.label}: expected a baseline that 'acg-lab check --save' wrote."
        raise SourceError(msg) from None


def write_baseline(path: str | os.PathLike[str], known: Mapping[str, KnownLoss]) -> None:
    """Write what agents pay and lose, to be compared with later.

    Raises
    ------
    SourceError
        If the file can't be written, or another file is there that is not a baseline.
    """
    file = read_file(path)
    if file.content:
        read_baseline(path)
    ordered = _Baseline("acg-lab check 1", dict(sorted(known.items())))
    replace_file(file, msgspec.json.format(msgspec.json.encode(ordered), indent=2) + b"\n")
