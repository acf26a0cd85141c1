"""Inputs that go wrong: whole documents of a kind, damaged at random."""

import random

HOSTILE = (
    *(b"[" * 200, b"{" * 50, b'{"a":' * 130, b"]" * 9, b'"', b"\\", b"\\ud800", b'"\\u0000"', b"\xff\xfe", b"\x00"),
    *(b"NaN", b"Infinity", b"-0", b"1e999", b"1" * 5000, b"-1", b"18446744073709551616", b"1.5", b"null", b"true"),
    *(b"[]", b"{}", b'"x"', b'{"a":1,"a":2}', b"2026-11-30T00:00:00Z", b"9999-99-99", b"a.b.c = 1\n", b"[[x]]\n"),
    *(b"'''", b"=\n", "\u202e\u009b\u2028".encode(), b"\r\n\n", b"," * 20, b"x" * 20_000, b'"k":' * 3, b"data:,"),
)
ODD_REPLIES = (
    *(None, True, 0, 1, -1, 2**70, 1.5, "text", b"", b"0", b"[]", b"[{}]", b"\xff", b"x" * 1000),
    *(b"p:acg_observations:a", b"p:runs:a:1", ValueError("x"), RecursionError()),
)


class Damage:
    """Damages documents, each time otherwise; the same seed damages the same.

    Parameters
    ----------
    documents : sequence of bytes
    seed : int
    """

    def __init__(self, documents, seed):
        self._documents, self._rng = list(documents), random.Random(seed)

    def __call__(self):
        rng = self._rng
        raw = bytearray(rng.choice(self._documents))
        for _ in range(rng.choice((1, 1, 1, 2, 4, 9))):
            at = rng.randrange(len(raw) + 1)
            end = min(len(raw), at + rng.choice((1, 2, 5, 30, 500)))
            rng.choice(self._kinds)(self, raw, at, end)
        return bytes(raw)

    def _flip(self, raw, at, _end):
        if at < len(raw):
            raw[at] ^= 1 << self._rng.randrange(8)

    def _drop(self, raw, at, end):
        del raw[at:end]

    def _repeat(self, raw, at, end):
        raw[at:at] = raw[at:end] * self._rng.choice((1, 2, 40))

    def _insert(self, raw, at, end):
        raw[at : self._rng.choice((at, end))] = self._rng.choice(HOSTILE)

    def _splice(self, raw, at, end):
        other = self._rng.choice(self._documents)
        first = self._rng.randrange(len(other) + 1)
        raw[at:end] = other[first : first + self._rng.choice((3, 40, 900))]

    def _cut(self, raw, at, _end):
        del raw[at:]

    def _token(self, raw, at, _end):
        """Put a hostile token in place of a JSON value."""
        place = raw.find(b":", at)
        if place >= 0:
            end = min((i for i in (raw.find(b",", place), raw.find(b"}", place)) if i >= 0), default=len(raw))
            raw[place + 1 : end] = self._rng.choice(HOSTILE)

    _kinds = (_flip, _drop, _repeat, _insert, _insert, _splice, _cut, _token, _token)


class Replies:
    """Replies that no Redis should send, each time others."""

    def __init__(self, seed):
        self._rng = random.Random(seed)

    def __call__(self, depth=0):
        rng = self._rng
        if depth < 3 and rng.random() < 0.4:
            kind = rng.choice((list, list, tuple, dict, set))
            items = [self(depth + 1) for _ in range(rng.choice((0, 1, 2, 3)))]
            if kind in (dict, set):
                items = [repr(item).encode() for item in items]
            return dict.fromkeys(items) if kind is dict else kind(items)
        return rng.choice(ODD_REPLIES)
