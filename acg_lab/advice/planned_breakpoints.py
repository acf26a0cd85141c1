"""The breakpoints that the governor would have planned for one agent at many settings, equal ones numbered once."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.advice.plan_codes import PlanCodes
from acg_lab.simulation.plans import PlanPlaces
from acg_lab.simulation.requests import RecordedRequests

__all__ = ["NO_BREAKPOINTS", "PlannedBreakpoints"]

Ints = NDArray[np.int64]
NO_BREAKPOINTS: Final = 0  # the number of planning nothing, as where the governor does not act


class PlannedBreakpoints:
    """Numbers the distinct sets of breakpoints that settings lead to.

    Parameters
    ----------
    requests : RecordedRequests
        Those of one agent.
    codes : PlanCodes
        Of the history that holds them.
    steps : array of int64
        The row of each request in that history, -1 for one that the learner never saw.
    """

    def __init__(self, requests: RecordedRequests, codes: PlanCodes, steps: Ints) -> None:
        self._codes, self._places = codes, PlanPlaces(requests)
        self._learned = np.flatnonzero(steps >= 0)
        self._rows, self._n = steps[self._learned], len(requests)
        self._placements: dict[tuple[int, int], int] = {}
        self._pieces: list[list[int]] = [[]]
        self._vectors: list[Ints] = [np.zeros(len(self._rows), np.int64)]
        self._numbers: dict[bytes, int] = {self._vectors[0].tobytes(): NO_BREAKPOINTS}

    def __len__(self) -> int:
        return len(self._vectors)

    def number(self, thresholds: NDArray[np.float64], minimums: Iterable[int], window: int) -> dict[int, Ints]:
        """Return the number of the breakpoints at each threshold, by number of observations for full confidence.

        Parameters
        ----------
        thresholds : array of float
            Ascending.
        minimums : iterable of int
        window : int
            One that was walked.
        """
        found = self._codes.find(self._rows, thresholds, window)
        return {minimum: self._number(found.codes(minimum))[found.column] for minimum in minimums}

    def _number(self, codes: Ints) -> Ints:
        placed = self._place(codes)
        numbers = []
        for column in range(placed.shape[1]):
            vector = np.ascontiguousarray(placed[:, column])
            number = self._numbers.setdefault(vector.tobytes(), len(self._vectors))
            if number == len(self._vectors):
                self._vectors.append(vector)
            numbers.append(number)
        return np.array(numbers, np.int64)

    def _place(self, codes: Ints) -> Ints:
        """Return what stands for the breakpoints of each request, 0 for none."""
        placed = np.zeros(codes.shape, np.int64)
        at = np.flatnonzero(codes)
        width = len(self._codes.plans)
        pairs, which = np.unique((at // codes.shape[1]) * width + codes.reshape(-1)[at], return_inverse=True)
        numbers = [self._placement(*divmod(pair, width)) for pair in pairs.tolist()]
        placed.reshape(-1)[at] = np.array(numbers, np.int64)[which.reshape(-1)]
        return placed

    def _placement(self, i: int, code: int) -> int:
        key = (i, code)
        if key not in self._placements:
            pieces = self._places.find(int(self._learned[i]), self._codes.plans[code])
            self._placements[key] = len(self._pieces) if pieces else 0
            if pieces:
                self._pieces.append(pieces)
        return self._placements[key]

    def breakpoints(self, number: int) -> tuple[Ints, Ints]:
        """Return how many breakpoints each request has, and the pieces that they stand on."""
        counts = np.zeros(self._n, np.int64)
        chosen = [self._pieces[i] for i in self._vectors[number].tolist()]
        counts[self._learned] = [len(pieces) for pieces in chosen]
        order = np.argsort(self._learned, kind="stable")
        return counts, np.array([piece for i in order.tolist() for piece in chosen[i]], np.int64)
