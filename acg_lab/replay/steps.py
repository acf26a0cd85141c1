"""The steps of a trace, and what is known of each without a threshold.

Belongs here: facts of recorded requests, put into the order of the steps. All arrays hold a row a step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.replay.history import Profile
from acg_lab.replay.part import Part
from acg_lab.storage.columns import offsets

__all__ = ["Steps"]

Numbers = NDArray[np.int64]
A = TypeVar("A", bound=np.generic)
_ENTRIES = np.array(["", "profile", "agent"])


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Steps:
    """Recorded requests in the order of their starts, then of agents, runs and calls.

    Attributes
    ----------
    parts : tuple of Part
        The histories that were walked; no agent is in two of them.
    part, row : array of int64, shape (n_steps,)
        Part of each step, and row in its history.
    remarks : tuple of str
        What must be known of the source; see `caveats`.
    """

    parts: tuple[Part, ...]
    part: Numbers
    row: Numbers
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.row)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of the numbers must know of these steps."""
        parts = [self.parts[i] for i in np.unique(self.part)] if len(self) else self.parts
        told = [*self.remarks, *(caveat for part in parts for caveat in part.history.caveats)]
        if n_cut := int(np.count_nonzero(self.is_cut)):
            told.append(
                f"{n_cut:,} of {counted(len(self), 'recorded request')} seem to be cut to one turn, as NeMo Relay "
                "records them from 0.6 on: tokens counts what was recorded, usage_tokens the whole prompt, if told"
            )
        return tuple(dict.fromkeys(told))

    @property
    def profiles(self) -> tuple[Profile, ...]:
        """Agent, learning key and rules of every profile."""
        return tuple(profile for part in self.parts for profile in part.history.profiles)

    @property
    def profile(self) -> Numbers:
        """Number of each step's own profile in `profiles`."""
        shifts = offsets([len(part.history.profiles) for part in self.parts])
        return self.gather(lambda part, row: part.profile[row]) + shifts[self.part]

    @property
    def agent_ids(self) -> list[str]:
        """Whose request each is."""
        profiles = self.profiles
        return [profiles[i].agent_id for i in self.profile.tolist()]

    @property
    def learning_keys(self) -> list[str]:
        """Learning key of each request."""
        profiles = self.profiles
        return [profiles[i].learning_key for i in self.profile.tolist()]

    @property
    def runs(self) -> Numbers:
        """Number of each request's run in ``history.run_ids`` of its part."""
        return self.gather(lambda part, row: part.history.requests.run[row])

    @property
    def run_ids(self) -> list[str]:
        """Id of the run that each request belongs to."""
        pairs = zip(self.part.tolist(), self.runs.tolist(), strict=True)
        return [self.parts[part].history.run_ids[run] for part, run in pairs]

    @property
    def calls(self) -> Numbers:
        """Position of each request among the calls of its run, 0 for the first."""
        return self.gather(lambda part, row: part.history.requests.call[row])

    @property
    def started(self) -> "NDArray[np.datetime64]":
        """When each request was sent, UTC, in nanoseconds."""
        return self.started_ns.view("datetime64[ns]")

    @property
    def started_ns(self) -> Numbers:
        """The same as whole nanoseconds since 1970."""
        return self.gather(lambda part, row: part.history.requests.started[row])

    @property
    def n_runs(self) -> Numbers:
        """How many runs of its agent were learned when each request was sent."""

        def known(part: Part, row: Numbers) -> Numbers:
            return part.history.requests.known[row] - part.history.first_run[part.history.requests.run[row]]

        return self.gather(known)

    @property
    def entry(self) -> "NDArray[np.str_]":
        """Whose result each request met: ``profile``, ``agent`` (the seed entry), or nothing."""

        def kind(part: Part, row: Numbers) -> Numbers:
            has_any = part.entries.offsets[row + 1] > part.entries.offsets[row]
            return np.where(part.entries.own[row], 1, np.where(has_any, 2, 0))

        return _ENTRIES[self.gather(kind)]

    @property
    def n_blocks(self) -> Numbers:
        """Blocks of each request as it was recorded."""
        return self.gather(lambda part, row: np.diff(part.history.observations.block_offsets)[row])

    @property
    def tokens(self) -> Numbers:
        """Tokens of each request as it was recorded: of a block its own count, else UTF-8 bytes // 4."""

        def count(part: Part, row: Numbers) -> Numbers:
            ends = part.history.observations.block_offsets
            return part.cumulative[ends[row + 1]] - part.cumulative[ends[row]]

        return self.gather(count)

    @property
    def usage_tokens(self) -> Numbers:
        """Tokens of the whole prompt as the provider counted them; -1 where that is not recorded."""
        return self.gather(lambda part, row: part.history.requests.usage[row])

    @property
    def is_cut(self) -> NDArray[np.bool_]:
        """Whether each request seems to have been recorded cut to the current turn."""
        return self.gather(lambda part, row: part.history.requests.cut[row])

    def gather(self, answer: Callable[[Part, Numbers], NDArray[A]]) -> NDArray[A]:
        """Put the answers of the parts into the order of the steps."""
        if len(self.parts) == 1:
            return answer(self.parts[0], self.row)
        where = [np.flatnonzero(self.part == i) for i in range(len(self.parts))]
        answers = [answer(part, self.row[steps]) for part, steps in zip(self.parts, where, strict=True)]
        joined = np.concatenate(answers)
        ordered = np.empty_like(joined)
        ordered[np.concatenate(where)] = joined
        return ordered
