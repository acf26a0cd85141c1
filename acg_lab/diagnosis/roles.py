"""Recognise the roles of an agent: several prompts under one id, each used often, in parallel, and steady within.

Roles are no fault, and nothing is to be merged. Invariant: two prompts that share most of their text are variants of
one, not roles.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, groupby
from typing import Final, NamedTuple

from acg_lab._format import printable
from acg_lab.core.keys import LearningKey, parse_learning_key
from acg_lab.diagnosis.block_history import find_changes
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.finding import Timing
from acg_lab.repairs.text_template import find_template
from acg_lab.storage.columns import is_redacted

__all__ = ["Roles", "describe_roles", "find_roles"]

_MAX_ROLES: Final = 8
_MIN_REQUESTS, _MIN_SHARE = 5, 0.05  # of a role: requests, and of the agent's requests
_HALF: Final = 0.5


class Roles(NamedTuple):
    """The roles of one agent: the profiles of each, and how many requests it has, the largest first."""

    agent_id: str
    keys: tuple[tuple[str, ...], ...]
    counts: tuple[int, ...]


def find_roles(context: AnalysisContext) -> Iterator[Roles]:
    """Yield the roles of each agent that has several."""
    owners = context.snapshot.owners
    keys = [key for key, result in context.results.items() if result.total_observations]
    for agent_id, of_agent in groupby(sorted(keys, key=lambda k: owners[k].agent_id), lambda k: owners[k].agent_id):
        parsed = {key: found for key in of_agent if (found := parse_learning_key(key, agent_id=agent_id))}
        prompts: dict[LearningKey, list[str]] = {}
        for key, parts in parsed.items():
            prompts.setdefault(parts._replace(seed="", model=""), []).append(key)
        if 1 < len(prompts) <= _MAX_ROLES:
            members = sorted(prompts.values(), key=lambda one: (-_count(context, one), one))
            if _are_used_often(context, members) and _are_in_parallel(context, members) and _differ(context, members):
                counts = tuple(_count(context, one) for one in members)
                yield Roles(agent_id, tuple(map(tuple, members)), counts)


def describe_roles(roles: Roles) -> str:
    """Return a sentence that says what roles an agent has; no complaint.

    Examples
    --------
    >>> describe_roles(Roles("desk", (("a",), ("b",)), (30, 12)))
    "'desk' has 2 roles, each with a prompt of its own: 30 and 12 requests. That is no fault."
    """
    *most, last = (f"{count:,}" for count in roles.counts)
    name = printable(repr(roles.agent_id))
    return (
        f"{name} has {len(roles.keys):,} roles, each with a prompt of its own: {', '.join(most)} and {last} requests. "
        "That is no fault."
    )


def _count(context: AnalysisContext, keys: Sequence[str]) -> int:
    return sum(context.results[key].total_observations for key in keys)


def _are_used_often(context: AnalysisContext, members: Sequence[Sequence[str]]) -> bool:
    counts = [_count(context, keys) for keys in members]
    return min(counts) >= max(_MIN_REQUESTS, _MIN_SHARE * sum(counts))


def _are_in_parallel(context: AnalysisContext, members: Sequence[Sequence[str]]) -> bool:
    """Return whether requests go to and fro between prompts, rather than from one to the next for good."""
    source = context.source
    rows = [(row, n) for n, keys in enumerate(members) for key in keys for row in _rows(context, key)]
    rows.sort(key=lambda item: source.created.nanoseconds[item[0]])
    return find_changes([n for _, n in rows]).timing is Timing.ALTERNATING


def _rows(context: AnalysisContext, key: str) -> Sequence[int]:
    return context.source.observations_of(context.source.number[key])


def _differ(context: AnalysisContext, members: Sequence[Sequence[str]]) -> bool:
    """Return whether any two prompts are different texts, or offer no tool in common."""
    prompts = [_read_prompt(context, keys[0]) for keys in members]
    return all(_are_different(one, other) for one, other in combinations(prompts, 2))


class _Prompt(NamedTuple):
    """The system messages of a profile's newest request, and the names of its tools."""

    texts: tuple[str, ...]
    tools: frozenset[str]
    is_redacted: bool


def _read_prompt(context: AnalysisContext, key: str) -> _Prompt:
    source = context.source
    row = _rows(context, key)[-1]
    blocks = slice(int(source.block_offsets[row]), int(source.block_offsets[row + 1]))
    texts, tools = [], []
    columns = (column[blocks].tolist() for column in (source.spans, source.contents, source.forms))
    for span, content, form in zip(*columns, strict=True):
        if source.form_pool[form].content_type == "tool_schema":
            tools.append("-".join(source.span_pool[span].split("-")[2:]))
        elif source.form_pool[form].is_scaffold:
            texts.append(source.content_pool[content])
    return _Prompt(tuple(texts), frozenset(tools), source.is_redacted)


def _are_different(one: _Prompt, other: _Prompt) -> bool:
    if one.tools and other.tools and one.tools.isdisjoint(other.tools):
        return True
    # System messages that both have are no difference, wherever they stand.
    ours = "\n".join(text for text in one.texts if text not in other.texts)
    theirs = "\n".join(text for text in other.texts if text not in one.texts)
    if not ours or not theirs or one.is_redacted or is_redacted(ours) or is_redacted(theirs):
        return False
    shared = find_template([ours, theirs], [1, 1]).count_shared_bytes()
    return shared < _HALF * min(len(ours.encode()), len(theirs.encode()))
