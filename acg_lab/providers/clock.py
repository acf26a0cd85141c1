"""When an entry that a request writes becomes readable.

The rules name a moment of the writer's answer; where the record lacks it, a setting decides, and what depends on
that is reported as doubtful.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.providers.prompts import NO_TIME, Ints, PromptTable

__all__ = ["NANOSECONDS", "NEAR_TTL", "Visibility", "find_visibility"]

NANOSECONDS: Final = 1_000_000_000
NEAR_TTL: Final = 10 * NANOSECONDS  # a lookup this close to an entry's expiry could go either way


@dataclass(frozen=True, eq=False)
class Visibility:
    """Per request: from when its entries are readable, and until when that is an assumption (both in nanoseconds)."""

    readable: Ints
    assumed_until: Ints


def find_visibility(table: PromptTable, visible_at: str, missing_time: str) -> Visibility:
    """Return when the entries of each request become readable.

    Parameters
    ----------
    table : PromptTable
    visible_at : {"start", "first_token", "end"}
        The moment of the writer's answer.
    missing_time : {"end", "start"}
        What stands in for a first token or an end that is not recorded: the latest that the record allows, or the
        earliest. Without any later time both are the start.
    """
    if visible_at not in {"start", "first_token", "end"} or missing_time not in {"end", "start"}:
        msg = (
            f"visible_at must be 'start', 'first_token' or 'end', and missing_time 'end' or 'start'; "
            f"got {visible_at!r} and {missing_time!r}"
        )
        raise UsageError(msg)
    started = table.started
    first = np.where(table.first_token == NO_TIME, started, table.first_token)
    ended = np.where(table.ended == NO_TIME, first, table.ended)
    if visible_at == "start":
        return Visibility(started, started)
    later = started + 1  # an answer takes time, though the record may show none: requests of one instant are parallel
    if visible_at == "end":
        ended = np.maximum(ended, later)
        return Visibility(ended, ended)  # an answer without an end has at least begun
    missing = table.first_token == NO_TIME
    readable = np.where(missing, ended if missing_time == "end" else started, first)
    return Visibility(np.maximum(readable, later), np.where(missing, np.maximum(ended, later), started))
