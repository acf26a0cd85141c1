"""The requests of a simulation, and their tokens as recorded, simulated and billed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.providers.prompts import NO_TIME
from acg_lab.simulation.sizes import SizeSource

if TYPE_CHECKING:
    from acg_lab.simulation.judged_history import JudgedHistory

__all__ = ["PromptParts", "SimulatedRequests"]

Ints = NDArray[np.int64]


class PromptParts(NamedTuple):
    """Tokens of each request's prompt by what became of them; shape (n_requests,) each. They add up to ``tokens``.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-legacy"))
    >>> bool((sum(sim.parts) == sim.tokens).all())
    True
    """

    read: Ints
    missed_live: Ints
    missed_expired: Ints
    changed: Ints
    new: Ints
    not_recorded: Ints

    @property
    def missed(self) -> Ints:
        """What was shared with an earlier request and not read."""
        return self.missed_live + self.missed_expired


@dataclass(frozen=True, eq=False, repr=False)
class SimulatedRequests:
    """Some requests of a simulated history, in order of start.

    Attributes
    ----------
    history : JudgedHistory
        Columns of the whole history.
    rows : array of int64, shape (n_requests,)
        Which of its requests these are.
    """

    history: "JudgedHistory"
    rows: Ints

    def __len__(self) -> int:
        return len(self.rows)

    # --- requests ---

    @property
    def agent_ids(self) -> list[str]:
        """Who sent each request."""
        return self._names(self.history.requests.agent_ids, self.history.requests.agents)

    @property
    def run_ids(self) -> list[str]:
        """The run that each request belongs to."""
        return self._names(self.history.requests.run_ids, self.history.requests.runs)

    @property
    def calls(self) -> Ints:
        """Position of each request among the calls of its run."""
        return self.history.requests.calls[self.rows]

    @property
    def models(self) -> list[str]:
        """The model of each request."""
        return self._names(self.history.requests.model_names, self.history.requests.models)

    @property
    def cache_providers(self) -> list[str]:
        """Whose cache each request met; empty where no rules are known."""
        names = (*(provider.name for provider in self.history.history.providers), "")
        return [names[code] for code in self.history.history.provider_of[self.rows].tolist()]

    @property
    def learning_keys(self) -> list[str]:
        """The profile that learned from each request; empty where none did."""
        names = [profile.learning_key for part in self.history.history.parts for profile in part.history.profiles]
        return [names[code] if code >= 0 else "" for code in self.history.history.profiles[self.rows].tolist()]

    @property
    def started(self) -> "NDArray[np.datetime64]":
        """When each request was sent, UTC; NaT where the record does not say."""
        return self.started_ns.view("datetime64[ns]")

    @property
    def started_ns(self) -> Ints:
        """The same in nanoseconds since 1970, `NO_TIME` for NaT."""
        requests = self.history.requests
        return np.where(requests.timed[self.rows], requests.started[self.rows], NO_TIME)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which requests were answered by an error; they cost nothing and are counted apart."""
        return self.history.requests.failed[self.rows]

    @property
    def billed(self) -> NDArray[np.bool_]:
        """Which requests have recorded usage."""
        return self.history.billed_mask[self.rows]

    # --- tokens ---

    @property
    def tokens(self) -> Ints:
        """Tokens of each whole prompt; `token_sources` says where they come from."""
        return self.history.prompt[self.rows]

    @property
    def token_sources(self) -> list[str]:
        """Where each prompt's tokens come from: recorded, anchored, scaled or estimate."""
        names = [source.name.lower() for source in SizeSource]
        return [names[code] for code in self.history.sizes.sources[self.rows].tolist()]

    @property
    def recorded_read(self) -> Ints:
        """Tokens read from the cache as billed, -1 where not recorded."""
        return self.history.requests.read[self.rows]

    @property
    def recorded_written(self) -> Ints:
        """Tokens written to the cache as billed, -1 where not recorded."""
        return self.history.requests.write[self.rows]

    @property
    def simulated_read(self) -> Ints:
        """Tokens that the rules would have read under the simulated breakpoints and settings."""
        return self.history.simulated.read[self.rows]

    @property
    def simulated_written(self) -> Ints:
        """Tokens that the rules would have written under the simulated breakpoints and settings."""
        return self.history.simulated.total_written[self.rows]

    @property
    def read(self) -> Ints:
        """Tokens read: as billed, plus what the change makes different."""
        return self.history.tokens.read[self.rows]

    @property
    def written(self) -> Ints:
        """Tokens written: as billed, plus what the change makes different."""
        return self.history.tokens.total_written[self.rows]

    @property
    def clipped(self) -> NDArray[np.bool_]:
        """Requests whose bill could not take the whole difference."""
        return self.history.clipped[self.rows]

    @property
    def doubts(self) -> NDArray[np.uint8]:
        """`acg_lab.providers.Doubt` of each request: what could have turned out the other way."""
        found = np.zeros(len(self.history.requests), np.uint8)
        for run in self.history.after:
            found[run.rows] = run.outcome.doubts
        return found[self.rows]

    @property
    def parts(self) -> PromptParts:
        """Where each prompt token went; the parts add up to `tokens`."""
        parts = self.history.parts
        return PromptParts(*(getattr(parts, name)[self.rows] for name in PromptParts._fields))

    def _names(self, names: tuple[str, ...], codes: Ints) -> list[str]:
        return [names[code] for code in codes[self.rows].tolist()]
