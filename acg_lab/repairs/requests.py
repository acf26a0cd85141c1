"""Repair recorded requests: the same change as in the windows, made in what was sent.

A repair is applied in the message, tool or system prompt that its block came from, in the annotated request and in the
body as sent. Distinct messages are edited once. Where a change can't be made, the request stays as sent and is counted.
Recorded usage is never changed: it is what the change is compared with.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final, TypeAlias

from acg_lab.core.errors import RecordError
from acg_lab.core.rules import RulesName
from acg_lab.repairs.base import compile_pattern
from acg_lab.repairs.chosen_calls import ChosenCall, choose_calls
from acg_lab.repairs.content_repairs import (
    Drop,
    MoveToEnd,
    MoveToSystemPrompt,
    Pin,
    RemovePattern,
    SplitMessage,
    UseOneForm,
)
from acg_lab.repairs.form_edits import make_user_message, take_block
from acg_lab.repairs.one_form import use_one_form
from acg_lab.repairs.order_repairs import SortItems, SortMessages, SortTools
from acg_lab.repairs.order_requests import sort_items, sort_messages, sort_tools
from acg_lab.repairs.passages import Passages
from acg_lab.repairs.repairs import Repair
from acg_lab.repairs.request_blocks import BlockFinder, FoundBlock
from acg_lab.repairs.request_context import Change, RequestContext, copy_block, find_block
from acg_lab.repairs.request_form import CannotRepairError, Form, RequestForms, RequestPools
from acg_lab.repairs.rewriting import Rewriter, pin_matches, pin_passages, remove_matches, take_out_passages
from acg_lab.repairs.sending import SENDINGS, change_sending
from acg_lab.repairs.stretches import Stretch, replace_in_value, split_content
from acg_lab.storage.recorded_runs import Runs

__all__ = ["RepairedRuns", "find_contents", "repair_requests"]

_HASH: Final = 16


@dataclass(frozen=True)
class RepairedRuns:
    """Runs whose requests were repaired.

    Attributes
    ----------
    runs : Runs
        The same calls in the same order.
    n_changed, n_left : int
        Requests that the last repair changed, and that it could not change.
    """

    runs: Runs
    n_changed: int = 0
    n_left: int = 0


def repair_requests(
    runs: Runs,
    repair: Repair,
    rules: Mapping[str, RulesName],
    recorded: Runs,
    passages: Mapping[str, Passages] | None = None,
) -> RepairedRuns:
    """Apply a repair to the recorded requests of some agents.

    Parameters
    ----------
    runs : Runs
        Read, never changed; as earlier repairs left them.
    repair : Repair
    rules : mapping of str to str
        The rules version of each agent; requests of other agents are left alone.
    recorded : Runs
        The runs before all repairs: a profile may be named by the learning key that its requests had then.
    passages : mapping of str to Passages, optional
        What a repair of slots is about, by agent.
    """
    chosen = list(choose_calls(runs, repair, rules, recorded))
    finders = {name: BlockFinder(runs, name) for name in set(rules.values())}
    if isinstance(repair, SENDINGS):
        return RepairedRuns(*change_sending(runs, repair, chosen, lambda agent_id: finders[rules[agent_id]]))
    edit = _EDITS.get(type(repair))
    if edit is None:
        return RepairedRuns(runs)
    pools = RequestPools(runs)
    change = edit(RequestContext(finders, rules, chosen, pools, passages or {}), repair)
    calls = [list(of_run) for of_run in runs.calls]
    n_changed = n_left = 0
    for one in chosen:
        finder = finders[rules[one.agent_id]]
        try:
            forms = _forms_if_concerned(runs, one, finder, repair, pools)
            if forms is None or not change(finder, one, forms):
                continue
            new = forms.call()
        except RecordError:
            continue  # production skips it too
        except CannotRepairError:
            n_left += 1
            continue
        calls[one.run][one.position] = new
        n_changed += 1
    changed = replace(runs, calls=calls, messages=pools.messages, values=pools.values)
    return RepairedRuns(changed if n_changed else runs, n_changed, n_left)


def _forms_if_concerned(
    runs: Runs, one: ChosenCall, finder: BlockFinder, repair: Repair, pools: RequestPools
) -> RequestForms | None:
    """Return a request ready for an edit, None if it does not have the block that the repair is of."""
    span_id = getattr(repair, "span_id", None)
    if span_id is not None:
        found = finder.find(one.call, span_id)
        contents = getattr(repair, "contents", ())
        if found is None or (contents and sha256(found.content.encode()).hexdigest()[:_HASH] not in contents):
            return None
    return RequestForms(runs, one.call, pools)


# --- blocks that go or move ---


def _drop(_context: RequestContext, repair: Drop) -> Change:
    def change(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        place = find_block(finder, one, repair.span_id).place
        for form in forms.forms:
            take_block(form, place, forms.pools)
        return True

    return change


def _move_to_end(context: RequestContext, repair: MoveToEnd) -> Change:
    if repair.slots:
        return _move_slots(context.passages, repair.span_id)

    def change(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        place = find_block(finder, one, repair.span_id).place
        if place.field != "message":
            raise CannotRepairError
        for form in forms.forms:
            code = take_block(form, place, forms.pools)
            form.messages.append(make_user_message(code, forms.pools) if repair.as_user else code)
        moved: bool = forms.annotated.messages != one.call.messages.tolist()
        return moved

    return change


def _move_slots(passages: Mapping[str, Passages], span_id: str) -> Change:
    rewriters = {agent_id: take_out_passages(found) for agent_id, found in passages.items()}

    def change(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        if one.agent_id not in rewriters:
            return False
        block = find_block(finder, one, span_id)
        _, taken = passages[one.agent_id].take_out(block.content) or ("", "")
        if not rewriters[one.agent_id].rewrite(finder, block, forms):
            return False
        for form in forms.forms:
            form.messages.append(forms.pools.message({"role": "user", "content": taken}))
        return True

    return change


def _move_to_system(_context: RequestContext, repair: MoveToSystemPrompt) -> Change:
    def change(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        found = find_block(finder, one, repair.span_id)
        lead = finder.scaffold_messages(one.call)
        if found.place.field == "instructions" or (found.place.field == "message" and found.place.position < lead):
            return False
        if found.place.field != "message":
            raise CannotRepairError
        for form in forms.forms:
            code = take_block(form, found.place, forms.pools)
            _put_into_system(form, forms, code, found.content, lead)
        return True

    return change


def _put_into_system(form: Form, forms: RequestForms, code: int, content: str, lead: int) -> None:
    """Let a text join the instructions; else make a system message of it, behind the leading ones."""
    message = forms.pools.messages.value(code)
    text = message.get("content")
    text = text if isinstance(text, str) else content
    given = form.head.get(form.instructions)
    if isinstance(given, str):
        form.head[form.instructions] = f"{given.rstrip()}\n{text.lstrip()}"
    elif isinstance(given, list | tuple):
        form.head[form.instructions] = [*given, {"type": "text", "text": text}]
    else:
        form.messages.insert(lead, forms.pools.message({"role": "system", "content": text}))


def _split_message(_context: RequestContext, repair: SplitMessage) -> Change:
    def change(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        block = find_block(finder, one, repair.span_id)
        halves = split_content(block.content, repair.n_characters)
        if halves is None:
            return False
        at = block.place.position
        stretches = ([Stretch(repair.n_characters, len(block.content))], [Stretch(0, repair.n_characters)])
        for form in forms.forms:
            message = forms.pools.messages.value(form.messages[at])
            if block.place.field != "message" or block.place.is_whole or message.get("tool_calls"):
                raise CannotRepairError
            values = [replace_in_value(message["content"], block.content, cut, keep_marks=False) for cut in stretches]
            if form is forms.annotated and tuple(finder.text_of(v, block.draft) for v in values) != halves:
                raise CannotRepairError
            form.messages[at : at + 1] = [forms.pools.message({**message, "content": value}) for value in values]
        return True

    return change


# --- contents that change ---


def _remove_pattern(_context: RequestContext, repair: RemovePattern) -> Change:
    texts = remove_matches(compile_pattern(repair.pattern))

    def change(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        found = (
            [find_block(finder, one, repair.span_id)] if repair.span_id is not None else list(finder.blocks(one.call))
        )
        # From the last block on, so that the places of those before it stay what they are.
        n_changed = sum(texts.rewrite(finder, block, forms) for block in reversed(found))
        return n_changed > 0

    return change


def _pin(context: RequestContext, repair: Pin) -> Change:
    if repair.slots:
        rewriters = {agent_id: pin_passages(passages) for agent_id, passages in context.passages.items()}
        return _rewrite(rewriters, repair.span_id)
    dominant = dict(_dominant_blocks(context, repair.span_id))
    if repair.pattern is None:

        def copy(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
            return copy_block(finder, find_block(finder, one, repair.span_id), forms, *dominant[one.agent_id])

        return copy
    search = compile_pattern(repair.pattern)
    rewriters = {
        agent_id: pin_matches(search, [match.group() for match in search.finditer(found.content)])
        for agent_id, (found, _) in dominant.items()
    }
    return _rewrite(rewriters, repair.span_id)


def _rewrite(rewriters: Mapping[str, Rewriter], span_id: str) -> Change:
    def change(finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        rewriter = rewriters.get(one.agent_id)
        return rewriter is not None and rewriter.rewrite(finder, find_block(finder, one, span_id), forms)

    return change


def find_contents(runs: Runs, repair: Repair, rules: Mapping[str, RulesName], recorded: Runs) -> dict[str, set[str]]:
    """Return the contents that the block of a repair has in the requests that it is for, by agent.

    Parameters
    ----------
    runs, repair, rules, recorded
        As for `repair_requests`; the repair is of one block.
    """
    finders = {name: BlockFinder(runs, name) for name in set(rules.values())}
    found: dict[str, set[str]] = {}
    for one in choose_calls(runs, repair, rules, recorded):
        with suppress(RecordError):
            block = finders[rules[one.agent_id]].find(one.call, getattr(repair, "span_id", ""))
            if block is not None:
                found.setdefault(one.agent_id, set()).add(block.content)
    return found


def _dominant_blocks(context: RequestContext, span_id: str) -> Iterator[tuple[str, tuple[FoundBlock, ChosenCall]]]:
    """Yield for each agent the commonest content of a block, of equally common ones the first by learning key."""
    counts: dict[str, Counter[str]] = {}
    first: dict[tuple[str, str], tuple[FoundBlock, ChosenCall]] = {}
    for one in sorted(context.chosen, key=attrgetter("key")):
        try:
            found = context.finders[context.rules[one.agent_id]].find(one.call, span_id)
        except RecordError:
            continue
        if found is not None:
            counts.setdefault(one.agent_id, Counter())[found.content] += 1
            first.setdefault((one.agent_id, found.content), (found, one))
    for agent_id, of_agent in counts.items():
        yield agent_id, first[agent_id, of_agent.most_common(1)[0][0]]


Edit: TypeAlias = Callable[[RequestContext, Any], Change]
# Profiles that become one keep their requests, and so have no edit.
_EDITS: Mapping[type[Repair], Edit] = {
    Pin: _pin,
    Drop: _drop,
    MoveToEnd: _move_to_end,
    MoveToSystemPrompt: _move_to_system,
    SortTools: sort_tools,
    SortItems: sort_items,
    SortMessages: sort_messages,
    RemovePattern: _remove_pattern,
    SplitMessage: _split_message,
    UseOneForm: use_one_form,
}
