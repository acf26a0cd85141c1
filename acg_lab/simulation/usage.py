"""What a provider billed for a call, in the same terms whatever recorded it.

The one place that knows what recorded usage means. A request log's `Usage` is in common terms already. Production's
annotated usage is the provider's own: `prompt_tokens` is the whole prompt for OpenAI, and for Anthropic the uncached
rest where `uncached_input_tokens` stands beside it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.records import CallRecord, JsonObject, Usage

__all__ = ["UNKNOWN", "BilledTokens", "disbelieve", "is_uncached_rest", "usage_of"]

UNKNOWN: Final = -1
_LONG: Final = ("1h", "12h")
_MOST: Final = 10**9  # tokens; no prompt has more
_BYTES_PER_TOKEN: Final = 40  # ten times as many as usual: fewer tokens are not those of a text
_SHORT: Final = 400  # bytes; of a shorter prompt every bill is believed
_has_media: Final = re.compile(rb'base64|"type":"(?:input_)?(?:image|image_url|audio|document|file|video)"').search


class BilledTokens(NamedTuple):
    """Tokens of one request as billed, -1 where the provider did not report them.

    Attributes
    ----------
    prompt : int
        The whole prompt: read, written and uncached.
    read, write : int
    write_long : int
        The part of ``write`` that was written for longer than the provider's default.
    output : int

    Examples
    --------
    >>> BilledTokens(prompt=1758, read=1750, write=0).output
    -1
    """

    prompt: int = UNKNOWN
    read: int = UNKNOWN
    write: int = UNKNOWN
    write_long: int = 0
    output: int = UNKNOWN


def usage_of(record: CallRecord, response: JsonObject | None, *, is_rest: bool = False) -> BilledTokens:
    """Return what was billed for a call.

    Parameters
    ----------
    record : CallRecord
        Its exchange's usage comes first, then the annotated response's, then its own counts.
    response : JSON object or None
        The annotated response.
    is_rest : bool
        Whether annotated `prompt_tokens` of this source count the uncached rest only; see `is_uncached_rest`.

    Returns
    -------
    BilledTokens
        -1 where nothing valid is recorded.

    Examples
    --------
    >>> from acg_lab.core import CallRecord
    >>> call = CallRecord(kind="llm", name="openai", started_at="2026-01-01T00:00:00Z", prompt_tokens=1758)
    >>> usage_of(call, None).prompt
    1758
    """
    exchange = record.exchange
    if exchange is not None and exchange.usage is not None:
        return _of_log(exchange.usage)
    usage = _mapping((response or {}).get("usage"))
    read, write = _count(usage.get("cache_read_tokens")), _count(usage.get("cache_write_tokens"))
    prompt = _count(usage.get("prompt_tokens"))
    if prompt == UNKNOWN:
        prompt = _count(record.prompt_tokens)
    rest = _count(usage.get("uncached_input_tokens"))
    if rest != UNKNOWN:
        prompt = rest + max(read, 0) + max(write, 0)
    elif is_rest and prompt != UNKNOWN:
        prompt += max(read, 0) + max(write, 0)
    output = _count(usage.get("completion_tokens"))
    if output == UNKNOWN:
        output = _count(record.output_tokens)
    return BilledTokens(prompt, read, write, 0, output)


def is_uncached_rest(record: CallRecord, response: JsonObject | None) -> bool:
    """Whether a call proves that its source counts the uncached rest as `prompt_tokens`.

    It does where less is counted than was read and written. A source that never shows it is read as counting whole
    prompts.
    """
    if record.exchange is not None and record.exchange.usage is not None:
        return False
    usage = _mapping((response or {}).get("usage"))
    if _count(usage.get("uncached_input_tokens")) != UNKNOWN:
        return False
    prompt = _count(usage.get("prompt_tokens"))
    cached = max(_count(usage.get("cache_read_tokens")), 0) + max(_count(usage.get("cache_write_tokens")), 0)
    return UNKNOWN < prompt < cached


def disbelieve(
    facts: Mapping[str, NDArray[Any]],
    contents: NDArray[Any],
    piece_offsets: NDArray[Any],
    texts: Sequence[bytes],
    measure: Callable[[bytes], int] = len,
) -> dict[str, NDArray[Any]]:
    """Return the billed tokens without bills that are far too small for the text that was sent.

    Gateways report such: zeros where a stream had no usage, the uncached rest alone without what was read.

    Parameters
    ----------
    facts : mapping
        ``prompt``, ``read``, ``write`` and ``write_long`` by request.
    contents : per piece
        Codes of ``texts``.
    piece_offsets : (n_requests + 1,)
    texts : sequence of bytes
    measure : callable
        Returns the size of a text as it was sent.

    Returns
    -------
    dict
        The same facts, and ``disbelieved`` by request.
    """
    sizes = np.fromiter(map(measure, texts), np.int64, len(texts))
    before = np.concatenate(([0], np.cumsum(sizes[contents])))
    sent = before[piece_offsets[1:]] - before[piece_offsets[:-1]]
    found = (facts["prompt"] >= 0) & (sent > _SHORT) & (facts["prompt"] * _BYTES_PER_TOKEN < sent)
    for row in np.flatnonzero(found).tolist():  # an image has few tokens for its bytes
        codes = contents[piece_offsets[row] : piece_offsets[row + 1]].tolist()
        found[row] = not any(_has_media(texts[code]) for code in codes)
    believed = {name: np.where(found, UNKNOWN, facts[name]) for name in ("prompt", "read", "write")}
    return believed | {"write_long": np.where(found, 0, facts["write_long"]), "disbelieved": found}


def _of_log(usage: Usage) -> BilledTokens:
    by_ttl = usage.cache_writes_by_ttl
    counts = (usage.prompt_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.output_tokens)
    prompt, read, write, output = map(_count, counts)
    return BilledTokens(prompt, read, write, max(by_ttl.get(name, 0) for name in _LONG), output)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
    return value if is_count else UNKNOWN
