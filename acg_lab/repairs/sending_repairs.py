"""Repairs of how requests are sent, as values that can be tried with `acg_lab.what_if`.

They change no content, so what the learner sees stays as it is. What they do to a request is in
`acg_lab.repairs.sending`.

>>> SetTtl("1h").description
'every breakpoint has a TTL of 1h'
"""

from typing import ClassVar

from acg_lab.repairs.base import BaseRepair

__all__ = ["AddBreakpoint", "SetTtl", "StaggerParallelRequests", "UseAutomaticCaching"]


class AddBreakpoint(BaseRepair, frozen=True):
    """Send requests with one more breakpoint, set by the application (``cache_control``).

    The governor marks the end of what it learned to be stable, in the order of its blocks. A provider renders tools
    before the system prompt, so the governor's breakpoint at the last tool leaves the system prompt uncached. Contents
    do not change, nor does what the learner sees.

    Parameters
    ----------
    at : str
        ``"system"``, the end of the system prompt; ``"tools"``, the end of the tools; ``"last_message"``, the end of
        the prompt; or a span id.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type; `acg_lab.what_if` raises it for a span id that no request has.

    Examples
    --------
    >>> AddBreakpoint("system").description
    'a breakpoint is added at the end of the system prompt'
    """

    PLACES: ClassVar[tuple[str, ...]] = ("system", "tools", "last_message")

    at: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("at", isinstance(self.at, str), "'system', 'tools', 'last_message' or a span id")

    def _action(self) -> str:
        ends = {"system": "the end of the system prompt", "tools": "the end of the tools"}
        ends["last_message"] = "the end of the last message"
        return f"a breakpoint is added at {ends.get(self.at, repr(self.at))}"


class SetTtl(BaseRepair, frozen=True):
    """Ask for another TTL at every breakpoint of a request, the governor's and automatic ones too.

    A longer TTL makes writes dearer: it pays where requests pause for longer than the shorter one lasts.

    Parameters
    ----------
    ttl : {"5m", "1h"}
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type or another value.

    Examples
    --------
    >>> SetTtl("1h").description
    'every breakpoint has a TTL of 1h'
    """

    ttl: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("ttl", self.ttl in ("5m", "1h"), "'5m' or '1h'")

    def _action(self) -> str:
        return f"every breakpoint has a TTL of {self.ttl}"


class UseAutomaticCaching(BaseRepair, frozen=True):
    """Ask the provider to cache up to the last block of each request (``cache_control`` of a Messages body).

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
    >>> UseAutomaticCaching().description
    'automatic caching is used'
    """

    def _action(self) -> str:
        return "automatic caching is used"


class StaggerParallelRequests(BaseRepair, frozen=True):
    """Let parallel first requests wait until one of them has its first token.

    An entry can be read once the answer of the request that writes it has begun; requests sent before that write the
    same prefix again. First requests are those of a profile that was idle for five minutes. Where no first token is
    recorded, the end of the answer counts. A request that waits delays what follows in its run.

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
    >>> StaggerParallelRequests().description
    'parallel first requests wait for the first token of one of them'
    """

    def _action(self) -> str:
        return "parallel first requests wait for the first token of one of them"
