"""Detect which rules version wrote a profile, from what is stored.

Each piece of evidence rules some versions out. If several remain, the newest is taken and said to be a guess.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from acg_lab.core.canonical import canonical_json, hash_text
from acg_lab.core.errors import RecordError
from acg_lab.core.keys import LearningKey, parse_learning_key
from acg_lab.core.rules import RULES
from acg_lab.snapshot.request_reader import LearningKeys
from acg_lab.storage.columns import Columns
from acg_lab.storage.recorded_runs import Runs

__all__ = ["DetectedRules", "detect_rules", "read_runs"]

_FLOW, _RELAY_6, _RELAY_8 = RULES
_DIGITS = 16


class DetectedRules(NamedTuple):
    """A rules version and the evidence for it; not ``decided`` if other versions are possible too."""

    rules: str
    evidence: str
    decided: bool

    def __str__(self) -> str:
        return f"{self.rules}{'' if self.decided else ' (a guess)'}: {self.evidence}"


def detect_rules(
    columns: Columns, key: str, agent_id: str, keys_of_runs: Callable[[], Mapping[str, Collection[str]]]
) -> DetectedRules:
    """Return the rules version that wrote a profile.

    Parameters
    ----------
    columns : Columns
        The whole source.
    key, agent_id : str
        Learning key of the profile, and its agent.
    keys_of_runs : callable
        Returns what `read_runs` found for the agent; called only if nothing else decides.
    """
    if key in columns.rules:
        return DetectedRules(*columns.rules[key])
    possible, known = set(RULES), []
    for rules, evidence in _evidence(columns, key, agent_id, keys_of_runs):
        left = possible & set(rules)
        if left and left != possible:
            possible = left
            known.append(evidence)
        if len(possible) == 1:
            break
    newest = [name for name in RULES if name in possible][-1]
    if len(possible) == 1:
        return DetectedRules(newest, "; ".join(known), decided=True)
    remaining = " and ".join(name for name in RULES if name in possible)
    evidence = f"nothing stored distinguishes {remaining}, so the newest is assumed"
    return DetectedRules(newest, "; ".join([*known, evidence]), decided=False)


def read_runs(runs: Runs, agent_id: str) -> Mapping[str, Collection[str]]:
    """Return the learning keys of an agent's recorded requests, and the rules versions under which each occurs."""
    found: dict[str, set[str]] = {}
    keys, seen = LearningKeys(runs), set[tuple[object, ...]]()
    for record, calls in zip(runs.records, runs.calls, strict=True):
        if record.agent_id != agent_id:
            continue
        for call in calls:
            if call.request is None or (inputs := keys.inputs(call)) in seen:
                continue
            seen.add(inputs)
            for name in RULES:
                with suppress(RecordError):
                    found.setdefault(keys.key(agent_id, call, name), set()).add(name)
    return found


_KeyEvidence: TypeAlias = Iterator[tuple[Collection[str], str]]


def _evidence(
    columns: Columns, key: str, agent_id: str, keys_of_runs: Callable[[], Mapping[str, Collection[str]]]
) -> _KeyEvidence:
    parsed = parse_learning_key(key, agent_id=agent_id)
    if parsed is not None:
        yield from _of_key(parsed)
    if (result := columns.results.get(key)) is not None:
        if result.stable_prefix_fingerprint is not None:
            yield (_RELAY_8,), "the stored result has a fingerprint"
        elif result.stable_prefix_length and all(_request_hashes(columns, key)):
            yield (_FLOW, _RELAY_6), "the stored result has a prefix but no fingerprint"
    if parsed is not None:
        yield from _of_system(columns, key, parsed)
    if columns.key_prefix == RULES[_FLOW].key_prefix:
        yield (_FLOW,), f"the key prefix is {columns.key_prefix!r}"
    if found := keys_of_runs().get(key):
        yield found, "the recorded requests have this learning key"


def _of_key(key: LearningKey) -> _KeyEvidence:
    if key.seed == "stable-scaffold" or key.response_format is not None:
        yield (_RELAY_8,), "its learning key names a stable scaffold"
    elif key.system != "no-system" or key.tools.startswith("sha256:"):
        yield (_FLOW, _RELAY_6), "its learning key has a seed beside system messages or tools"
    if key.seed.split(":")[0] in ("function", "tool-call", "tool-result", "native"):
        yield (_RELAY_6, _RELAY_8), "its learning key begins with an item that older rules do not read"


def _request_hashes(columns: Columns, key: str) -> list[str | None]:
    source = columns.observations
    return [source.request_hashes[row] for row in source.observations_of(source.number[key])]


def _of_system(columns: Columns, key: str, parsed: LearningKey) -> _KeyEvidence:
    """Yield what the system fingerprint shows: rules versions hash the same texts in different ways."""
    blocks = list(_system_blocks(columns, key))
    if any(span.endswith(("-developer", "-instructions")) for span, _ in blocks):
        yield (_RELAY_6, _RELAY_8), "it has developer messages or instructions"
        return
    texts = tuple(content for _, content in blocks)
    if texts and _hash_of_texts(texts)[:_DIGITS] == parsed.system[:_DIGITS]:
        yield (_FLOW,), "the system fingerprint is that of the plain texts"
    elif texts and _hash_of_items(texts)[:_DIGITS] == parsed.system[:_DIGITS]:
        yield (_RELAY_6, _RELAY_8), "the system fingerprint is that of a list of messages"


# Consecutive profiles of an agent mostly have the same system texts.


@lru_cache(maxsize=4)
def _hash_of_texts(texts: tuple[str, ...]) -> str:
    return hash_text("\n".join(texts))


@lru_cache(maxsize=4)
def _hash_of_items(texts: tuple[str, ...]) -> str:
    return hash_text(canonical_json([{"source": "message", "role": "system", "content": text} for text in texts]))


def _system_blocks(columns: Columns, key: str) -> Iterator[tuple[str, str]]:
    """Yield span id and content of the newest observation's system texts."""
    source = columns.observations
    observations = source.observations_of(source.number[key])
    if not observations:
        return
    first, last = (int(source.block_offsets[observations[-1] + i]) for i in (0, 1))
    for row in range(first, last):
        form = source.form_pool[source.forms[row]]
        if form.role == "system" and form.content_type == "text":
            yield source.span_pool[source.spans[row]], source.content_pool[source.contents[row]]
