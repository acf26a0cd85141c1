"""Small seeded values for generated requests: texts, names, numbers, JSON of any shape.

Most draws come from a few values that one agent's requests share, so that profiles meet, windows fill and contents
repeat; the rest is fresh. Characters are those of ``strategies.py``, chosen for what goes wrong with them.
"""

import math
from random import Random

from strategies import NEARLY_WHITE, ODD, WHITE_SPACE

CHARACTERS = "ab" + WHITE_SPACE + NEARLY_WHITE + ODD
# Keys whose order by UTF-16 unit is not that by code point, and others that a printer may spell in its own way.
KEYS = (
    "a",
    "b",
    "",
    "\U0001f600",
    "\uffff",
    "\ue000",
    "\xe9",
    "e\u0301",
    "A",
    "1",
    "10",
    "2",
    "\x00",
    '"',
    "\\",
    "\x7f",
)
NAMES = ("f", "g", "f-1", "", "f g", "\xe9\U0001f600", "-", "a::b")
IDS = ("c1", "c2", "c3", "", " c", "\U00010000")
EDGES = (2**53, 10**15, 10**16, 10**21, 1, 0)
INTEGERS = (
    *(edge + step for edge in EDGES for step in (-1, 0, 1) if edge + step < 2**64),
    2**63 - 1,
    2**63,
    2**63 + 1025,
    2**64 - 1,
    -(2**53) - 1,
    -(2**63),
)
POWERS = tuple(10.0**n for n in (-7, -6, -5, -4, 0, 15, 16, 17, 20, 21, 22))
DOUBLES = (
    *POWERS,
    *(math.nextafter(power, 0.0) for power in POWERS),
    *(0.0, -0.0, 1.5, -2.5, 0.1, 1 / 3, 9007199254740993.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308),
)


class Values:
    """Draws of one agent.

    Parameters
    ----------
    rng : random.Random
        Advanced by every draw.
    """

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._texts = ["u", "v", *(self.fresh_text() for _ in range(4))]
        self._objects = [self._object(2) for _ in range(3)]

    def chance(self, probability):
        """Tell whether something of this probability happens."""
        return self.rng.random() < probability

    def text(self):
        """Return a text, mostly one of the agent's few."""
        return self.rng.choice(self._texts) if self.chance(0.85) else self.fresh_text()

    def fresh_text(self):
        """Return a text of odd characters, many of them white."""
        length = self.rng.choice((0, 1, 2, 3, 5, 8, 13))
        return "".join(self.rng.choice(CHARACTERS) for _ in range(length))

    def name(self):
        """Return the name of a tool, function or kind."""
        return self.rng.choice(NAMES[:2]) if self.chance(0.7) else self.rng.choice(NAMES)

    def id(self):
        """Return the id of a tool call."""
        return self.rng.choice(IDS[:3]) if self.chance(0.8) else self.rng.choice(IDS)

    def number(self):
        """Return a number, its forms and their borders among them."""
        return self.rng.choice(
            (
                self.rng.choice(INTEGERS),
                self.rng.choice(DOUBLES),
                -self.rng.choice(DOUBLES),
                self.rng.uniform(-1.0, 1.0) * 10.0 ** self.rng.randint(-30, 30),
                self.rng.randrange(-(2**63), 2**64),
            )
        )

    def object(self):
        """Return a JSON object, mostly one of the agent's few."""
        return self.rng.choice(self._objects) if self.chance(0.8) else self._object(3)

    def json(self, depth=2):
        """Return a JSON value of any shape, ``depth`` levels deep at most."""
        shape = self.rng.randrange(8 if depth else 6)
        if shape == 7:
            return self._object(depth)
        if shape == 6:
            return [self.json(depth - 1) for _ in range(self.rng.randrange(4))]
        if shape == 5:
            return self.rng.choice((None, True, False))
        return self.text() if shape > 2 else self.number()

    def _object(self, depth):
        keys = self.rng.sample(KEYS, self.rng.randrange(5))
        return {key: self.json(depth - 1) for key in keys}

    def with_some(self, required, optional, probability=0.3):
        """Return the required fields and some of the optional ones; those are given as functions."""
        chosen = {name: make() for name, make in optional.items() if self.chance(probability)}
        return {**required, **chosen}

    def several(self, make, most, least=0):
        """Return a list of what ``make`` gives."""
        return [make() for _ in range(self.rng.randint(least, most))]
