"""Repairs of the order in which prompts hold the same things, as values that can be tried with `acg_lab.what_if`.

Nothing is added, removed or written otherwise. What they do to blocks is in `acg_lab.repairs.order_edits`, and to
recorded requests in `acg_lab.repairs.order_requests`.

>>> SortItems("system-0").description
"the items of lists in 'system-0' come in one order"
"""

from acg_lab._format import counted
from acg_lab.repairs.base import BaseRepair, BlockRepair

__all__ = ["SortItems", "SortMessages", "SortTools"]


class SortTools(BaseRepair, frozen=True):
    """Sort the tools of every request by name, and equal names by definition.

    Parameters
    ----------
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If `learning_keys` is not a tuple of str.

    Examples
    --------
    >>> SortTools().description
    'tools are sorted by name'
    """

    def _action(self) -> str:
        return "tools are sorted by name"


class SortItems(BaseRepair, frozen=True):
    """Send the items of lists in a block in one order: lines, items of a line, paragraphs, and members of JSON arrays.

    Contents with the same items become the commonest of them in the chosen profiles of an agent; of equally common
    ones, the first in the order of the snapshot (by learning key, oldest first). So there are as
    many different contents as if the application sorted its lists. Contents with other items stay apart. Keys of JSON
    objects come in one order too.

    Parameters
    ----------
    span_id : str, optional
        The block; all blocks when left out, each compared with those of its span id.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type.

    Examples
    --------
    >>> SortItems("system-1-search").description
    "the items of lists in 'system-1-search' come in one order"
    """

    span_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("span_id", self.span_id is None or isinstance(self.span_id, str), "a str or None")

    def _action(self) -> str:
        where = "all blocks" if self.span_id is None else repr(self.span_id)
        return f"the items of lists in {where} come in one order"


class SortMessages(BlockRepair, frozen=True):
    """Sort a few neighbouring messages by content, such as few-shot pairs, which are sent in changing order.

    A message of the assistant stays behind the message of the user that it answers. A request with fewer blocks, or
    with instructions or a tool among them, stays as it is.

    Parameters
    ----------
    span_id : str
        The first of them.
    n_blocks : int
        How many blocks to sort, at least 2.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type.

    Examples
    --------
    >>> SortMessages("user-1", n_blocks=6).description
    "the 6 blocks from 'user-1' on are sorted"
    """

    n_blocks: int

    def __post_init__(self) -> None:
        super().__post_init__()
        is_valid = type(self.n_blocks) is int and self.n_blocks >= 2  # noqa: PLR2004  one has one order
        self._check("n_blocks", is_valid, "an integer of at least 2")

    def _action(self) -> str:
        return f"the {counted(self.n_blocks, 'block')} from {self.span_id!r} on are sorted"
