"""Edits inside a conversation: what happens to an earlier message between a request and the one before it."""

import json

import pytest

import acg_lab as acg
from acg_lab.diagnosis import Kind
from acg_lab.diagnosis.misses import find_misses

TURNS = 9
POLICY = " ".join(f"Rule {i}: say what you know of case {i * 37 % 101}, and nothing else." for i in range(120))


def filler(n, words=70):
    """A text that is like no other one."""
    return " ".join(f"w{(n * 7919 + i * 104729) % 99991}" for i in range(words))


def conversation(make, api="openai", turns=TURNS, conversations=2):
    """Calls of growing conversations; ``make`` returns the messages of one with so many turns."""
    lines = []
    for number in range(conversations):
        for last in range(1, turns + 1):
            messages = make(last, number)
            body = (
                {"model": "gpt-5", "messages": [{"role": "system", "content": POLICY}, *messages]}
                if api == "openai"
                else {"model": "claude-sonnet-4-5", "max_tokens": 50, "system": [SYSTEM], "messages": marked(messages)}
            )
            stamp = f"2026-11-02T{9 + number:02}:{last:02}:00Z"
            lines.append({"timestamp": stamp, "session_id": f"s{number}", "request": body})
    return acg.explain(acg.from_requests(lines, agent_id="desk"), progress=False), lines


SYSTEM = {"type": "text", "text": POLICY, "cache_control": {"type": "ephemeral"}}


def marked(messages):
    """Messages with a cache mark on the last part of the last one."""
    *rest, last = messages
    *parts, final = last["content"]
    return [*rest, {**last, "content": [*parts, {**final, "cache_control": {"type": "ephemeral"}}]}]


def ask(number, turn):
    return {"role": "user", "content": filler(number * 100 + turn)}


def reply(text, **more):
    return {"role": "assistant", "content": text, **more}


def turns_of(answer, question=ask):
    """Messages of a conversation whose answers depend on how many turns ago they were given, 0 for the newest."""

    def make(last, number):
        found = []
        for turn in range(last - 1):
            found.append(question(number, turn))
            found += answer(turn, last - 2 - turn, number)
        return [*found, question(number, last - 1)]

    return make


# --- chat bodies ---


def tool_turn(
    arguments=lambda turn, _age: json.dumps({"order": turn, "desk": "north"}), result=lambda text, _age: text
):
    def answer(turn, age, number):
        function = {"name": "find", "arguments": arguments(turn, age)}
        call = {"id": f"call_{turn}", "type": "function", "function": function}
        text = result(filler(5000 + number * 100 + turn, 120), age)
        return [reply(None, tool_calls=[call]), {"role": "tool", "tool_call_id": f"call_{turn}", "content": text}]

    return answer


def sorted_arguments(turn, age):
    return json.dumps({"order": turn, "desk": "north", "by": "phone"}, sort_keys=age > 0)


def spaced_arguments(turn, age):
    return json.dumps({"order": turn, "desk": "north"}, separators=(",", ":") if age > 0 else None)


def picture(number, turn, age=0):
    url = {"url": f"data:image/png;base64,{'iVBORw0KGgo' * 40}{number}{turn}"}
    seen = {"type": "image_url", "image_url": url} if not age else {"type": "text", "text": f"[image {turn}]"}
    return {"role": "user", "content": [{"type": "text", "text": filler(turn)}, seen]}


def pictures(last, number):
    found = []
    for turn in range(last):
        found += [picture(number, turn, max(last - 2 - turn, 0)), reply(filler(900 + turn, 200))]
    return found[:-1]


def window(keep_first, size):
    def make(last, number):
        whole = turns_of(lambda turn, _age, n: [reply(filler(3000 + n * 100 + turn))])(last, number)
        return [*whole[:keep_first], *whole[keep_first:][-size:]]

    return make


def summary_after(limit):
    def make(last, number):
        whole = turns_of(lambda turn, _age, n: [reply(filler(3000 + n * 100 + turn))])(last, number)
        summaries = (last - 1) // limit
        kept = whole[max(2 * limit * summaries - 4, 0) :]
        lead = {"role": "user", "content": f"So far: {filler(77000 + number * 100 + summaries, 60)}"}
        return [lead, *kept] if summaries else kept

    return make


CHAT = {
    "arguments sorted by a store": (turns_of(tool_turn(sorted_arguments)), Kind.ARGUMENTS_REORDERED),
    "arguments printed without spaces": (turns_of(tool_turn(spaced_arguments)), Kind.ARGUMENTS_REORDERED),
    "results cleared": (
        turns_of(tool_turn(result=lambda text, age: text if age < 2 else "[cleared]")),
        Kind.RESULTS_CLEARED,
    ),
    "results cut": (turns_of(tool_turn(result=lambda text, age: text if age < 1 else text[:90])), Kind.RESULTS_CLEARED),
    "results summarised": (
        turns_of(tool_turn(result=lambda text, age: text if age < 3 else f"Summary: {len(text)} letters about w.")),
        Kind.RESULTS_CLEARED,
    ),
    "line feed lost": (
        turns_of(lambda turn, age, n: [reply(filler(3000 + n * 100 + turn) + ("\n\n" if not age else ""))]),
        Kind.WHITESPACE,
    ),
    "line feed won": (
        turns_of(lambda turn, age, n: [reply(filler(3000 + n * 100 + turn) + ("\n" if age else ""))]),
        Kind.WHITESPACE,
    ),
    "reasoning dropped": (
        turns_of(
            lambda turn, age, n: [
                reply(filler(3000 + n * 100 + turn), **({} if age else {"reasoning_content": filler(turn, 90)}))
            ]
        ),
        Kind.THINKING_DROPPED,
    ),
    "field lost": (
        turns_of(
            lambda turn, age, n: [reply(filler(3000 + n * 100 + turn), **({} if age else {"annotations": ["a"]}))]
        ),
        Kind.PART_LOST,
    ),
    "image becomes a pointer": (pictures, Kind.IMAGE_REPLACED),
    "window of all messages": (window(0, 8), Kind.MOVING_WINDOW),
    "window behind the first message": (window(1, 7), Kind.MOVING_WINDOW),
    "summary": (summary_after(4), Kind.SUMMARISED),
    "text becomes parts": (
        turns_of(
            lambda turn, age, n: [
                reply(
                    filler(3000 + n * 100 + turn)
                    if not age
                    else [{"type": "text", "text": filler(3000 + n * 100 + turn)}]
                )
            ]
        ),
        Kind.RAW_BYTES_DIFFER,
    ),
}


def part(text):
    return {"type": "text", "text": text}


def thought(turn):
    return {"type": "thinking", "thinking": filler(turn, 90), "signature": f"sig{turn}"}


def ask_parts(number, turn):
    return {"role": "user", "content": [part(filler(number * 100 + turn))]}


MESSAGES = {
    "thinking dropped": (
        turns_of(
            lambda turn, age, n: [reply([*([] if age else [thought(turn)]), part(filler(3000 + n * 100 + turn))])],
            ask_parts,
        ),
        Kind.THINKING_DROPPED,
    ),
    "part lost": (
        turns_of(
            lambda turn, age, n: [
                reply([part(filler(3000 + n * 100 + turn)), *([] if age else [part(filler(turn, 40))])])
            ],
            ask_parts,
        ),
        Kind.PART_LOST,
    ),
    "tool input reordered": (
        turns_of(
            lambda turn, age, n: [
                reply(
                    [
                        {
                            "type": "tool_use",
                            "id": f"t{turn}",
                            "name": "find",
                            "input": {"a": turn, "b": n} if not age else {"b": n, "a": turn},
                        }
                    ]
                ),
                {
                    "role": "user",
                    "content": [{"type": "tool_result", "tool_use_id": f"t{turn}", "content": filler(turn + 60, 90)}],
                },
            ],
            ask_parts,
        ),
        Kind.ARGUMENTS_REORDERED,
    ),
    "tool results cleared": (
        turns_of(
            lambda turn, age, n: [
                reply([{"type": "tool_use", "id": f"t{turn}", "name": "find", "input": {"a": n}}]),
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": f"t{turn}",
                            "content": filler(turn + 60, 90) if age < 2 else "Old tool result content cleared",
                        }
                    ],
                },
            ],
            ask_parts,
        ),
        Kind.RESULTS_CLEARED,
    ),
}
STEADY = {
    "chat": turns_of(lambda turn, _age, n: [reply(filler(3000 + n * 100 + turn))]),
    "tools": turns_of(tool_turn()),
}


@pytest.mark.parametrize("name", CHAT)
def test_edits_of_chat_bodies(name):
    """Each kind of edit is a finding with its cost, and the kind of the misses that it causes."""
    make, kind = CHAT[name]
    findings, lines = conversation(make)
    assert findings[0].kind is kind
    assert findings[0].money_lost > 0
    sim = acg.simulate(acg.from_requests(lines, agent_id="desk"))
    assert kind in {miss.kind for miss in find_misses(sim) if miss.cause == "history_changed"}


@pytest.mark.parametrize("name", MESSAGES)
def test_edits_of_messages_bodies(name):
    """The same holds for bodies of the Messages API, whose parts are pieces of their own."""
    make, kind = MESSAGES[name]
    findings, _ = conversation(make, api="anthropic")
    assert findings[0].kind is kind
    assert findings[0].money_lost > 0


def test_what_no_cache_could_have_kept():
    """A summary behind which no earlier message remains costs nothing that was cached, so it is no fault."""

    def make(last, number):
        return (
            [ask(number, last - 1)]
            if last > 5
            else turns_of(lambda turn, _age, _n: [reply(filler(turn))])(last, number)
        )

    findings, _ = conversation(make)
    assert not {finding.kind for finding in findings} & EDITED


@pytest.mark.parametrize("name", STEADY)
def test_conversations_that_only_grow(name):
    """A conversation to which messages are only added has no such finding."""
    findings, _ = conversation(STEADY[name])
    assert not {finding.kind for finding in findings} & EDITED
    frame = acg.frames.findings(findings)
    assert len(frame) == len(findings)


EDITED = {kind for _, kind in [*CHAT.values(), *MESSAGES.values()]}


def test_frames_have_edits():
    """Edits are rows of the frame of findings, with their cost and their sentence."""
    findings, _ = conversation(window(0, 8))
    row = acg.frames.findings(findings).iloc[0]
    assert (row["kind"], row["agent_id"]) == ("moving_window", "desk")
    assert row["money_lost"] == pytest.approx(findings[0].money_lost)
    assert "the oldest messages are left out as the conversation grows" in row["sentence"]
    assert "messages[1] on" in row["sentence"]
