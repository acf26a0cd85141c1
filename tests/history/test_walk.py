"""The walk over one profile: long histories of few texts, in which counts rise and fall repeatedly."""

import math
import random
from itertools import accumulate

import numpy as np
import pytest
from strategies import make_ir

from acg_lab.core import StabilityThresholds, analyze_stability
from acg_lab.history.lookup import prefix_lengths
from acg_lab.history.walk import walk
from acg_lab.history.walk_types import Blocks, Task

WINDOWS = (0, 1, 2, 3, 5, 7)
RULES = {False: "nemo-flow-0.2", True: "nemo-relay-0.8"}
SCORES = {(p / n) * (d / p) for n in range(1, 8) for p in range(1, n + 1) for d in range(1, p + 1)}
THRESHOLDS = np.array(sorted({near for s in SCORES for near in (s, math.nextafter(s, 2))}))


def steady(rng):
    """Make a request of four spans in fixed places, sometimes a shorter one."""
    return [(i, rng.choice((0, 0, 1)), i) for i in range(rng.choice((3, 4, 4)))]


def tied(rng):
    """Make a request whose spans tie on their indexes and move."""
    return [(span, rng.randrange(3), rng.choice((span // 2, span // 2, 2))) for span in range(6) if rng.random() < 0.8]


def repeated(rng):
    """Make a request that may repeat its spans."""
    return [(rng.randrange(2), rng.randrange(2), i) for i in range(rng.randrange(5))]


def blocks_of(requests):
    table = np.array([block for request in requests for block in request], np.int64).reshape(-1, 3)
    offsets = np.array([0, *accumulate(map(len, requests))], np.int64)
    return Blocks(offsets, table[:, 0], table[:, 1], np.zeros(len(table), np.int64), table[:, 2])


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("make", [steady, tied, repeated])
@pytest.mark.parametrize("seed", range(3))
def test_every_state_is_the_analysis_of_its_window(seed, make, exact):
    """After any number of slides the prefix is that of the window analysed afresh, at each score and just above it."""
    rng = random.Random(f"{seed} {make.__name__}")
    requests = [make(rng) for _ in range(60)]
    observations = [make_ir(*((f"{s}", f"{c}", i) for s, c, i in request)) for request in requests]
    ends = np.array(sorted(rng.sample(range(1, 61), 40)), np.int64)
    nothing = np.empty(0, np.int64)
    walks = walk(Task(blocks_of(requests), ends, nothing, nothing, exact), WINDOWS)
    for window, found in zip(WINDOWS, walks, strict=True):
        lengths = prefix_lengths(found.curves, np.full(len(found.curves.n), exact), THRESHOLDS)
        for end, curve in zip(ends.tolist(), found.curve.tolist(), strict=True):
            held = observations[max(end - max(window, 1), 0) : end]
            for threshold, length in zip(
                THRESHOLDS.tolist()[:: 1 + end % 5], lengths[curve, :: 1 + end % 5], strict=True
            ):
                settings = StabilityThresholds(stable_threshold=threshold)
                assert length == analyze_stability(held, settings, rules=RULES[exact]).stable_prefix_length
