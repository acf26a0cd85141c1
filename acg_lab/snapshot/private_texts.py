"""The texts that blocks labelled private or restricted hold, wherever else they stand.

A label is on a block of a stored window; the messages of recorded requests have none. So a text is private if such a
block has it as its content, or if production makes such a block of the message or tool that it is part of.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from acg_lab.core.errors import RecordError
from acg_lab.core.messages import message_rule
from acg_lab.core.prompt_ir import normalize_whitespace, tool_drafts
from acg_lab.core.rule_types import Draft
from acg_lab.core.rules import get_rules
from acg_lab.storage.columns import Columns
from acg_lab.storage.observation_columns import ObservationColumns

__all__ = ["find_private_texts", "has_private_blocks"]


def has_private_blocks(source: ObservationColumns) -> bool:
    """Return whether a block of any window is labelled private or restricted."""
    private = [form.is_private for form in source.form_pool]
    return any(private) and bool(np.array(private)[source.forms].any())


def find_private_texts(columns: Columns, rules: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the private texts of a source, white space normalised.

    Parameters
    ----------
    columns : Columns
    rules : mapping of str to sequence of str
        The rules versions of each agent.
    """
    source = columns.observations
    if not has_private_blocks(source):
        return frozenset()
    private = np.array([form.is_private for form in source.form_pool])
    contents = {source.content_pool[code] for code in np.unique(source.contents[private[source.forms]]).tolist()}
    found = set(contents)
    for content in contents:
        with suppress(msgspec.DecodeError):
            found.update(_texts(msgspec.json.decode(content)))
    for value in _sources_of(columns, rules, contents):
        found.update(_texts(value))
    return frozenset(text for text in map(normalize_whitespace, found) if text)


def _sources_of(columns: Columns, rules: Mapping[str, Sequence[str]], contents: set[str]) -> Iterator[Any]:
    """Yield the messages and tools of recorded requests that make a block of one of some contents."""
    runs, seen = columns.runs, set[tuple[str, str, int]]()
    for record, calls in zip(runs.records, runs.calls, strict=True):
        for name in rules.get(record.agent_id, ()):
            table = get_rules(name)
            for call in calls:
                for code in call.messages.tolist():
                    if (name, "message", code) not in seen:
                        seen.add((name, "message", code))
                        message = runs.messages.value(code)
                        with suppress(RecordError):  # production skips it
                            if _makes(message_rule(table, message).drafts(table, message), contents):
                                yield message
                if call.tools >= 0 and (name, "tools", call.tools) not in seen:
                    seen.add((name, "tools", call.tools))
                    with suppress(RecordError):
                        drafts = tool_drafts(table, runs.request(call))
                        pairs = zip(runs.values.value(call.tools), drafts, strict=False)
                        yield from (tool for tool, draft in pairs if _makes((draft,), contents))


def _makes(drafts: Iterable[Draft], contents: set[str]) -> bool:
    made = (normalize_whitespace(draft.content) if draft.normalised else draft.content for draft in drafts)
    return any(content in contents for content in made)


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts, keys and numbers of a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from value
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
