"""Repairs carried out on requests one by one, as an application would, and observed again: a slow oracle for `what_if`.

Texts are in the form in which a window stores them, so that windows determine learning keys.
"""

import re
from collections import Counter
from typing import NamedTuple

import msgspec
from hypothesis import strategies as st
from msgspec.structs import replace
from strategies import ID

import acg_lab as acg
from acg_lab import repairs
from acg_lab.core import AnnotatedLlmRequest, build_prompt_ir, canonical_json, learning_key, normalize_whitespace
from acg_lab.core.rules import get_rules
from acg_lab.storage.memory import MemoryBackend

AGENTS = ("a", "b::model=b")


class SentRequest(NamedTuple):
    """A request, its agent, the hour at which it was sent, and its learning key."""

    agent_id: str
    hour: int
    key: str
    request: AnnotatedLlmRequest


class SentHistory(NamedTuple):
    """The requests that were sent, by learning key and then as sent, and the rules version."""

    rules: str
    sent: tuple[SentRequest, ...]


# --- strategies ---


def _texts():
    return st.sampled_from(["x", "y", "at 10:30", "at 11:45", "x at 10:30 y", "x, y, z", "z, x, y"])


def _messages(rules):
    kinds = [
        st.fixed_dictionaries({"role": st.sampled_from(["user", "user", "system", "assistant"]), "content": _texts()}),
        st.fixed_dictionaries({"role": st.just("tool"), "content": _texts(), "tool_call_id": st.sampled_from("cd")}),
        st.builds(_called, st.sampled_from("fg")),
    ]
    if rules != "nemo-flow-0.2":
        kinds.append(st.fixed_dictionaries({"role": st.just("developer"), "content": _texts()}))
    return st.lists(st.one_of(kinds), max_size=4).map(tuple)


def _called(name):
    call = {"id": "c", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return {"role": "assistant", "tool_calls": [call]}


def _tools():
    tool = st.builds(
        lambda name, text: {"type": "function", "function": {"name": name, "description": text}},
        st.sampled_from("fgh"),
        st.sampled_from(["does", "does more"]),
    )
    return st.none() | st.lists(tool, max_size=3).map(tuple)


def _unknown(rules):
    if rules == "nemo-flow-0.2":
        return st.just({})
    return st.fixed_dictionaries(
        {},
        optional={"instructions": _texts(), "response_format": st.sampled_from([{"type": "json"}, {"type": "text"}])},
    )


@st.composite
def histories(draw):
    """A few requests of two agents, with few different contents, so that profiles have something in common."""
    rules = draw(st.sampled_from(["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"]))
    some = st.builds(AnnotatedLlmRequest, messages=_messages(rules), tools=_tools(), unknown=_unknown(rules))
    kinds = draw(st.lists(some, min_size=1, max_size=3))
    drawn = draw(st.lists(st.tuples(st.sampled_from(AGENTS), st.sampled_from(kinds) | some), min_size=1, max_size=8))
    hours = sorted(draw(st.lists(st.integers(0, 4), min_size=len(drawn), max_size=len(drawn))))
    sent = [
        SentRequest(who, hour, learning_key(who, r, rules=rules), r)
        for (who, r), hour in zip(drawn, hours, strict=True)
    ]
    return SentHistory(rules, tuple(sorted(sent, key=lambda one: one.key)))


def store_history(history):
    """Return the snapshot of the windows that production would have stored of a history."""
    backend = MemoryBackend()
    for agent_id in AGENTS:  # seed entries show whose keys are
        backend.store_observations(agent_id, [])
    for key in {one.key for one in history.sent}:
        backend.store_observations(key, [_observation(history.rules, one) for one in history.sent if one.key == key])
    return acg.load(backend, rules=history.rules)


def _observation(rules, one):
    time = f"2026-11-01T{one.hour:02}:00:00Z"
    return build_prompt_ir(one.request, ir_id=ID, created_at=time, rules=rules)


def comparable(windows):
    """Return windows by key, without the fields that a repair cannot determine."""
    return {
        key: [replace(observation, ir_id="", source_request_hash=None) for observation in window]
        for key, window in windows.items()
    }


# --- repairing requests ---


def repaired_windows(history, repair, limit=100):
    """Return the windows of repaired requests by key; merged windows by time, cut to the newest."""
    chosen = [one for one in history.sent if not repair.learning_keys or one.key in repair.learning_keys]
    repair_request = REPAIR_FUNCTIONS[type(repair)](history.rules, chosen, repair)
    windows = {}
    for one in history.sent:
        request = repair_request(one) if one in chosen else one.request
        key = learning_key(one.agent_id, request, rules=history.rules)
        windows.setdefault(key, []).append(one._replace(request=request))
    return {
        key: [_observation(history.rules, one) for one in _merged(window, limit)] for key, window in windows.items()
    }


def _merged(window, limit):
    if len({one.key for one in window}) == 1:
        return window
    return sorted(window, key=lambda one: one.hour)[-limit:]


def places(rules, request):
    """Return the part of the request that each block comes from, and its content, by span id."""
    table = get_rules(rules)
    found = ["instructions"] if "instructions" in request.unknown else []
    first = next((i for i, m in enumerate(request.messages) if not table.messages[m["role"]].scaffold), None)
    messages = list(range(len(request.messages)))
    tools = [("tool", i) for i in range(len(request.tools or ()))]
    if "response_format" in request.unknown and rules == "nemo-relay-0.8":
        tools.append("response_format")
    lead = messages[:first]
    found += [*lead, *tools, *messages[len(lead) :]]
    blocks = build_prompt_ir(request, ir_id="", created_at="", rules=rules).blocks
    return {block.span_id: (place, block.content) for place, block in zip(found, blocks, strict=True)}


def _without(request, place):
    if isinstance(place, str):
        return replace(request, unknown={k: v for k, v in request.unknown.items() if k != place})
    if isinstance(place, tuple):
        return replace(request, tools=request.tools[: place[1]] + request.tools[place[1] + 1 :])
    return replace(request, messages=request.messages[:place] + request.messages[place + 1 :])


def drop(rules, _sent, repair):
    def repair_request(one):
        found = places(rules, one.request)
        return _without(one.request, found[repair.span_id][0]) if repair.span_id in found else one.request

    return repair_request


def move_to_end(rules, _sent, repair):
    def repair_request(one):
        place, _ = places(rules, one.request).get(repair.span_id, (None, ""))
        if place is None:
            return one.request
        rest, moved = _without(one.request, place), one.request.messages[place]
        if repair.as_user and moved["role"] in ("system", "developer"):
            moved = {**moved, "role": "user"}
        return replace(rest, messages=(*rest.messages, moved))

    return repair_request


def move_to_system_prompt(rules, _sent, repair):
    def repair_request(one):
        table, request = get_rules(rules), one.request
        place, text = places(rules, request).get(repair.span_id, (None, ""))
        first = next((i for i, m in enumerate(request.messages) if not table.messages[m["role"]].scaffold), None)
        if place in (None, "instructions") or first is None or place < first:
            return request
        rest = _without(request, place)
        if "instructions" in request.unknown:
            joined = normalize_whitespace(f"{request.unknown['instructions']}\n{text}")
            return replace(rest, unknown={**rest.unknown, "instructions": joined})
        added = {"role": "system", "content": text}
        return replace(rest, messages=(*rest.messages[:first], added, *rest.messages[first:]))

    return repair_request


def sort_tools(_rules, _sent, _repair):
    def repair_request(one):
        tools = sorted(one.request.tools or (), key=lambda tool: (tool["function"]["name"], canonical_json(tool)))
        return one.request if one.request.tools is None else replace(one.request, tools=tuple(tools))

    return repair_request


def remove_pattern(rules, _sent, repair):
    return lambda one: _each_text(rules, one.request, repair.span_id, lambda text: re.sub(repair.pattern, "", text))


def pin(rules, sent, repair):
    dominant = {}
    for agent_id in AGENTS:
        found = [places(rules, one.request).get(repair.span_id) for one in sent if one.agent_id == agent_id]
        contents = Counter(place[1] for place in found if place)
        dominant[agent_id] = next(iter(max(contents.items(), key=lambda item: item[1], default=("",))), "")

    def repair_request(one):
        text = dominant[one.agent_id]
        if repair.pattern is None:
            return _each_text(rules, one.request, repair.span_id, lambda _: text)
        return _each_text(rules, one.request, repair.span_id, lambda old: _pieces(repair.pattern, old, text))

    return repair_request


def _pieces(pattern, old, dominant):
    left = re.findall(pattern, dominant)
    return re.sub(pattern, lambda match: left.pop(0) if left else match.group(), old)


def _each_text(rules, request, span_id, change):
    """Rewrite the text of one block, or of all."""
    for span, (place, text) in places(rules, request).items():
        if span_id in (None, span):
            request = _with_text(request, place, normalize_whitespace(change(text)))
    return request


def _with_text(request, place, text):
    if isinstance(place, tuple):
        tools = list(request.tools)
        tools[place[1]] = msgspec.json.decode(text)
        return replace(request, tools=tuple(tools))
    if place == "response_format":
        return replace(request, unknown={**request.unknown, place: msgspec.json.decode(text)})
    if place == "instructions":
        return replace(request, unknown={**request.unknown, place: text})
    messages = list(request.messages)
    message = dict(messages[place])
    if "tool_calls" in message:
        message["tool_calls"] = [msgspec.json.decode(text)]
    else:
        message["content"] = text
    messages[place] = message
    return replace(request, messages=tuple(messages))


def sort_items(rules, sent, repair):
    """Contents are the same if they have the same words; the commonest of them counts, of equals the first."""
    counts = {}
    for one in sent:
        for span, (_, text) in places(rules, one.request).items():
            of_words = counts.setdefault((one.agent_id, span, tuple(sorted(text.split(", ")))), Counter())
            of_words[text] += 1

    def repair_request(one):
        request = one.request
        for span, (place, text) in places(rules, request).items():
            is_text = not isinstance(place, int) or "content" in request.messages[place]
            if is_text and repair.span_id in (None, span):
                (best, _), *_ = counts[one.agent_id, span, tuple(sorted(text.split(", ")))].most_common(1)
                request = _with_text(request, place, best)
        return request

    return repair_request


def sort_messages(rules, _sent, repair):
    def repair_request(one):
        found = places(rules, one.request)
        names = list(found)
        if repair.span_id not in found:
            return one.request
        first = names.index(repair.span_id)
        chosen = [found[name][0] for name in names[first : first + repair.n_blocks]]
        if len(chosen) < repair.n_blocks or any(not isinstance(place, int) for place in chosen):
            return one.request
        messages = list(one.request.messages)
        told = [
            (messages[i]["role"].replace("developer", "system"), found[name][1], messages[i])
            for i, name in zip(chosen, names[first:], strict=False)
        ]
        groups = []
        for k, (role, *_rest) in enumerate(told):
            again = role == told[0][0] and told[k - 1][0] != role
            if k == 0 or again or len({role for role, *_ in told}) == 1:
                groups.append([])
            groups[-1].append(told[k])
        groups.sort(key=lambda group: [text for _, text, _ in group])
        messages[chosen[0] : chosen[-1] + 1] = [message for group in groups for *_, message in group]
        return replace(one.request, messages=tuple(messages))

    return repair_request


def split_message(rules, _sent, repair):
    def repair_request(one):
        place, text = places(rules, one.request).get(repair.span_id, (None, ""))
        halves = [normalize_whitespace(half) for half in (text[: repair.n_characters], text[repair.n_characters :])]
        if place is None or not all(halves):
            return one.request
        messages = one.request.messages
        two = ({**messages[place], "content": half} for half in halves)
        return replace(one.request, messages=(*messages[:place], *two, *messages[place + 1 :]))

    return repair_request


REPAIR_FUNCTIONS = {
    repairs.Drop: drop,
    repairs.MoveToEnd: move_to_end,
    repairs.MoveToSystemPrompt: move_to_system_prompt,
    repairs.SortTools: sort_tools,
    repairs.SortItems: sort_items,
    repairs.SortMessages: sort_messages,
    repairs.SplitMessage: split_message,
    repairs.RemovePattern: remove_pattern,
    repairs.Pin: pin,
}
