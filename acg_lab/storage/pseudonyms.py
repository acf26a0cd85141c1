"""Texts and numbers replaced by pseudonyms: keyed, of the same size, and equal where production finds texts equal.

A long text becomes its hash (HMAC-SHA256, 96 bits) and filler. A text too short to hold a hash is permuted among the
texts of its size: a Feistel network over its characters, as in format-preserving encryption (NIST SP 800-38G). So no
two texts get one pseudonym, and a pseudonym has as many characters, UTF-8 bytes and bytes of JSON as its text.

Production drops white space before it compares (``acg_lab/docs/rules/learner.md``, 2). Texts that are equal afterwards
get pseudonyms that are equal afterwards: what tells them apart is written in white space that production drops, with
the number of bytes that it stands for, which `sent_size` reads.
"""

import hmac
import re
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Final, NamedTuple, TypeAlias

import msgspec
import numpy as np

from acg_lab.core.prompt_ir import normalize_whitespace

__all__ = ["Pseudonyms", "sent_size"]

_ENOUGH: Final = 1 << 96
_LETTERS: Final = "".join(map(chr, (*range(48, 58), *range(65, 91), *range(97, 123))))
_PLAIN: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\')
_ROUNDS: Final = 10
_SORTED: Final = 10_000  # up to so many texts are permuted by sorting


class _Class(NamedTuple):
    """Characters of one size: those that hold a hash, and the one that fills up."""

    digits: str
    filler: str


# The bytes that begin a character: plain ASCII, what JSON escapes by one character or by five, and characters of two,
# three and four bytes.
_ESCAPED: Final = b'"\\\n\t\r\b\f'
_CLASSES: Final = tuple(
    (list(begins), kind)
    for begins, kind in (
        (bytes(_PLAIN, "ascii"), _Class(_LETTERS, ".")),
        (_ESCAPED, _Class('"\\', '"')),
        (bytes(code for code in range(0x20) if code not in _ESCAPED), _Class("\x01\x02", "\x01")),
        (b"\x7f", _Class("", "\x7f")),
        (bytes(range(0xC2, 0xE0)), _Class("".join(map(chr, range(0x100, 0x180))), "\xb7")),
        (bytes(range(0xE0, 0xF0)), _Class("".join(map(chr, range(0x4E00, 0x5E00))), "\u2026")),
        (bytes(range(0xF0, 0xF5)), _Class("".join(map(chr, range(0x1F300, 0x1F400))), "\U0001f512")),
    )
)
# The characters that may take the place of each other in a short text, as code points; spaces are among the plain ones.
_Alphabet: TypeAlias = tuple[int, ...] | range
_ALPHABETS: Final[tuple[_Alphabet, ...]] = (
    *(tuple(map(ord, letters)) for letters in (_PLAIN, '"\\', "\n", "\t\r\f", "\b", "\v")),
    *(range(*ends) for ends in ((0, 8), (14, 32), (0x7F, 0x80), (0x80, 0xA1), (0xA1, 0x800), (0x800, 0x2000))),
    *(range(*ends) for ends in ((0x2000, 0x3001), (0x3001, 0xD800), (0xD800, 0xE000), (0xE000, 0x10000))),
    *(range(*ends) for ends in ((0x10000, 0x1F000), (0x1F000, 0x1FB00), (0x1FB00, 0x110000))),
)
_NAMES: Final = tuple(map(ord, f"{_LETTERS}_-"))
_is_name: Final = re.compile("[A-Za-z0-9_-]+").fullmatch
_DIGITS: Final = tuple(map(ord, "0123456789"))
_INTEGERS: Final = range(-(2**63), 2**64)  # what JSON holds in production

_SPACES: Final = "".join(map(chr, range(0x2000, 0x2008)))  # eight kinds of space, three bytes each
_HASH_SPACES: Final = 14
_find_spaces: Final = re.compile(rb"(?:\xe2\x80[\x80-\x87]){15,}").finditer
_collapse: Final = re.compile(r"[ \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_number: Final = re.compile(r"(-?)(0?\.?0*)([0-9.]*?)(\.0|e[+-]?[0-9]+)?").fullmatch
_EDGES: Final = " \n\t\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def sent_size(content: bytes) -> int:
    """Return how many bytes the JSON had that a pseudonym's JSON stands for.

    Examples
    --------
    >>> sent_size(b'"a text"')
    8
    """
    found = [match.group().decode() for match in _find_spaces(content)]
    return len(content) + sum(_read_octal(text[_HASH_SPACES:]) - len(text.encode()) for text in found)


def _read_octal(text: str) -> int:
    return int("".join(str(_SPACES.index(space)) for space in text), 8)


class Pseudonyms:
    """The pseudonyms of one salt.

    Parameters
    ----------
    salt : bytes
        Secret; who has it can find out whether a text that he guesses is in an export.

    Examples
    --------
    >>> names = Pseudonyms(b"secret")
    >>> len(names.text("You are a helpful assistant.")), names.text("no") == names.text("no")
    (28, True)
    """

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._known: dict[str, str] = {}
        self._sorted: dict[tuple[int, ...], list[int]] = {}

    def digest(self, text: str, about: str = "hash") -> str:
        """Return 64 hex digits that stand for a text."""
        return self._mac(about, text).hex()

    def _mac(self, about: str, text: str) -> bytes:
        return hmac.digest(self._salt, f"{about}\0{text}".encode(errors="surrogatepass"), "sha256")

    # --- texts ---

    def text(self, text: str) -> str:
        """Return the pseudonym of a text, of the same size; without white space but perhaps for single spaces."""
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._long(text) or self._short(text)
        return known

    def content(self, text: str) -> str:
        """Return the pseudonym of a text that stands alone in a block, or between other texts by lines.

        Texts that differ only in white space that production drops from such a block get pseudonyms that do as well.
        """
        kept = normalize_whitespace(text)
        if kept in ("", text):
            return self.text(text) if kept else text
        start = len(text) - len(text.lstrip(_EDGES))
        before, behind = text[:start], text[len(text.rstrip(_EDGES)) :]
        lead = "\n" * before.count("\n") + " " * (not before.endswith("\n") and bool(before))
        trail = "\n" * behind.count("\n")
        spaces = "" if text == f"{lead}{kept}{trail}" else self._spaces(text, f"{lead}{kept}{trail}")
        return f"{lead}{self.text(kept)}{spaces}{trail}"

    def value(self, text: str) -> str:
        """Return the pseudonym of a text inside of JSON, where production drops less white space."""
        kept = _collapse.sub(" ", text)
        found = self.text(kept) if kept.strip(" ") else kept
        return found if kept == text else found.replace(" ", f" {self._spaces(text, kept)}", 1)

    def _spaces(self, text: str, kept: str) -> str:
        """Return white space that stands for what is dropped of a text: its hash, and its size in bytes of JSON."""
        number = int.from_bytes(self._mac("spaces", text)[:8], "big") % 8**_HASH_SPACES
        size = max(_json_size(text) - _json_size(kept), 0)
        digits = f"{number:0{_HASH_SPACES}o}{size:o}"
        return "".join(_SPACES[int(digit)] for digit in digits)

    def _long(self, text: str) -> str | None:
        """Return the hash of a text and filler, or None if the text is too short."""
        counts = np.bincount(np.frombuffer(text.encode(), np.uint8), minlength=256)
        sizes = [(int(counts[begins].sum()), kind) for begins, kind in _CLASSES]
        gap = " " in text
        sizes[0] = sizes[0][0] - gap, sizes[0][1]
        number, left, parts = int.from_bytes(self._mac("text", text), "big"), _ENOUGH, list[str]()
        for count, (digits, filler) in sizes:
            made = ""
            while left > 1 and len(digits) > 1 and len(made) < count:
                number, digit = divmod(number, len(digits))
                left = -(-left // len(digits))
                made += digits[digit]
            parts.append(made + filler * (count - len(made)))
        whole = "".join(parts)
        return None if left > 1 else f"{whole[0]} {whole[1:]}" if gap else whole

    def _short(self, text: str) -> str:
        """Return another text with characters of the same sizes, and with white space if this one has some."""
        nature = _nature(text)
        alphabets = (_NAMES,) * len(text) if _is_name(text) else tuple(map(_alphabet, text))
        return self._walk(text, alphabets, lambda found: _nature(found) == nature)

    # --- numbers ---

    def number(self, value: float) -> float:
        """Return another number of as many digits; numbers that are equal in canonical JSON stay so.

        Examples
        --------
        >>> names = Pseudonyms(b"secret")
        >>> len(str(names.number(12345))), names.number(5.0) == names.number(5)
        (5, True)
        """
        found = _number(repr(value))
        if found is None:  # infinite, or not a number
            return value
        sign, zeros, digits, tail = found.groups(default="")
        if not digits:
            sign, zeros, digits, tail = "", "", "0", ".0" * isinstance(value, float)
        places = [at for at, digit in enumerate(digits) if digit != "."]
        is_whole = isinstance(value, int) or tail == ".0"
        not_zero = {places[0], *(() if is_whole else places[-1:])}
        if is_whole and len(places) == 1 and not sign:
            not_zero = set()

        def put(made: str) -> str:
            letters = list(digits)
            for at, digit in zip(places, made, strict=True):
                letters[at] = digit
            return f"{sign}{zeros}{''.join(letters)}{tail}"

        def fits(made: str) -> bool:
            spelled = put(made)
            return int(spelled) in _INTEGERS if isinstance(value, int) else repr(float(spelled)) == spelled

        alphabets = tuple(_DIGITS[1:] if at in not_zero else _DIGITS for at in places)
        spelled = put(self._walk("".join(digits[at] for at in places), alphabets, fits))
        return int(spelled) if isinstance(value, int) else float(spelled)

    # --- permutations ---

    def _walk(self, text: str, alphabets: tuple[_Alphabet, ...], fits: Callable[[str], bool]) -> str:
        """Permute a text that fits until it fits again: this permutes all that do."""
        sizes = tuple(map(len, alphabets))
        number = 0
        for letter, alphabet in zip(text, alphabets, strict=True):
            number = number * len(alphabet) + alphabet.index(ord(letter))
        while True:
            rest = number = self._permute(number, sizes)
            letters = []
            for alphabet in reversed(alphabets):
                rest, at = divmod(rest, len(alphabet))
                letters.append(chr(alphabet[at]))
            found = "".join(reversed(letters))
            if fits(found):
                return found

    def _permute(self, number: int, sizes: tuple[int, ...]) -> int:
        """Return the image of a number under a permutation of all below the product of the sizes."""
        total, about = prod(sizes), f"permutation {'.'.join(map(str, sizes))}"
        if total <= _SORTED:
            if sizes not in self._sorted:
                self._sorted[sizes] = sorted(range(total), key=lambda i: self._mac(about, str(i)))
            return self._sorted[sizes][number]
        half = len(sizes) // 2
        high, low = prod(sizes[:half]), prod(sizes[half:])
        left, right = divmod(number, low)
        for i in range(0, _ROUNDS, 2):
            left = (left + self._spread(f"{about} {i}", right, high)) % high
            right = (right + self._spread(f"{about} {i + 1}", left, low)) % low
        return left * low + right

    def _spread(self, about: str, number: int, size: int) -> int:
        """Return a number that any below a size is as likely to be."""
        n = size.bit_length() // 256 + 2
        return int.from_bytes(b"".join(self._mac(f"{about} {i}", str(number)) for i in range(n)), "big") % size


def _nature(text: str) -> tuple[bool, ...]:
    """Return what production makes of the white space of a text, and whether it can be a name."""
    return normalize_whitespace(text) == text, _collapse.sub(" ", text) == text, " " in text, bool(_is_name(text))


def _json_size(text: str) -> int:
    return len(msgspec.json.encode(text))


@cache
def _alphabet(letter: str) -> _Alphabet:
    """Return the characters that may take the place of one."""
    return next(alphabet for alphabet in _ALPHABETS if ord(letter) in alphabet)
