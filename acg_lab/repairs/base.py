"""What all repairs have in common: the profiles they apply to, checked fields, and a description in words."""

import re
from functools import cache
from typing import Any, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import force_setattr

from acg_lab._format import counted
from acg_lab.core.errors import UsageError
from acg_lab.core.plain_numbers import plain_number

__all__ = ["BaseRepair", "BlockRepair", "PlacementRepair", "Slots", "compile_pattern", "describe_slots", "is_slots"]

Slots: TypeAlias = tuple[int, ...] | Literal["all"]


class BaseRepair(Struct, frozen=True, kw_only=True, tag=True, tag_field="repair"):
    """The base of all repairs.

    Attributes
    ----------
    learning_keys : tuple of str
        The profiles whose requests are repaired; empty for all. In a sequence of repairs a profile may also be named by
        the key that it had before the first of them.

    Raises
    ------
    UsageError
        If a field has the wrong type, or a pattern is not a regular expression.
    """

    learning_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            plain = tuple(map(plain_number, value)) if isinstance(value, tuple) else plain_number(value)
            force_setattr(self, name, plain)
        self._check("learning_keys", _is_texts(self.learning_keys), "a tuple of str")

    def _check(self, field: str, is_valid: object, expected: str) -> None:
        if not is_valid:
            msg = f"The {field!r} of {type(self).__name__} must be {expected}; got {getattr(self, field)!r}."
            raise UsageError(msg)

    @property
    def description(self) -> str:
        """What the repair does, in words that may follow "what if"; never prompt text."""
        profiles = f" in {counted(len(self.learning_keys), 'profile')}" if self.learning_keys else ""
        return f"{self._action()}{profiles}"

    def _action(self) -> str:
        raise NotImplementedError


class BlockRepair(BaseRepair, frozen=True):
    """A repair of one block, named by its span id."""

    span_id: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("span_id", isinstance(self.span_id, str), "a str, such as 'user-6'")


class PlacementRepair(BlockRepair, frozen=True):
    """A repair that takes a block away from its position.

    Attributes
    ----------
    span_id : str
        The block.
    contents : tuple of str
        Repair only requests in which the block has one of these contents, each named by the first 16 hex digits of its
        SHA-256 (the ``hash`` of `acg_lab.frames`); empty for any content. This tells a block that only some requests
        have from the block that has its position in the others.
    """

    contents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("contents", _is_texts(self.contents), "a tuple of str")


def is_slots(value: Any) -> bool:
    """Whether a value names slots: ``"all"``, or a tuple of their numbers, each once."""
    if value == "all":
        return True
    numbers = value if isinstance(value, tuple) else (-1,)
    return len({*numbers}) == len(numbers) and all(type(number) is int and number >= 0 for number in numbers)


def describe_slots(slots: Slots, span_id: str) -> str:
    """Return slots of a block in words; the numbers are those of the field.

    >>> describe_slots("all", "system-0"), describe_slots((0, 2), "system-0")
    ("what varies in 'system-0'", "slots 0 and 2 of 'system-0'")
    """
    if slots == "all":
        return f"what varies in {span_id!r}"
    *most, last = map(str, slots)
    named = f"slots {', '.join(most)} and {last}" if most else f"slot {last}"
    return f"{named} of {span_id!r}"


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


@cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile the pattern of a repair.

    Raises
    ------
    UsageError
        If it is not a regular expression.
    """
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        msg = f"The 'pattern' of a repair must be a regular expression; got {pattern!r} ({error})."
        raise UsageError(msg) from None
