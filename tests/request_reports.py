"""Histories whose tools, forms, messages or sending vary in one known way, near misses, and two causes at once."""

import json
import random
from datetime import timedelta

from blind_reports import Report, agent_loop
from report_words import HEALTHY
from sent_requests import (
    CLAUDE,
    GPT,
    MARK,
    QUESTIONS,
    START,
    chat,
    claude,
    conversation,
    function,
    manual,
    question,
    sent,
    tool,
)

N = 16
NAMES = ["book_slot", "cancel_slot", "find_person", "list_rooms", "move_slot", "send_note", "show_map", "weather_at"]
TABLE = []


def row(expects, at="", table=TABLE):
    """Register a function that makes the log lines of history ``k``, for five of them."""

    def register(make):
        name = make.__name__
        for k in range(5):
            words = tuple(expects.split("|"))
            table.append(Report(f"{name}_{k}", make.__doc__, lambda k=k: make(k), words, at, ()))
        return make

    return register


def reports():
    """Return the reports of the table."""
    return TABLE


def rng(k, i):
    return random.Random(97 * k + i)


def every(make, n=N):
    return [make(i) for i in range(n)]


def asks(k, tools):
    """Return a body that offers tools by name, or as they are, of one API or the other."""
    make, define = (claude, tool) if k % 2 else (chat, function)

    def body(i):
        return make(manual(120 + k), question(i), tools=[define(t) if isinstance(t, str) else t for t in tools(i)])

    return sent(every(body), usage=k > 2)


# --- tools ---


@row("tools reordered", r"system-\d+-")
def tools_in_any_order(k):
    """The tools stand in another order each time."""
    return asks(k, lambda i: rng(k, i).sample(NAMES, 8))


@row("tools come and go", r"system-\d+-")
def servers_that_fail(k):
    """Servers fail at random, and their tools are missing."""
    flaky = NAMES[k : k + 3]
    return asks(k, lambda i: [name for name in NAMES if name not in flaky or rng(k, 3 * i).random() < 0.6])


@row("tools added", r"system-\d+-")
def one_tool_more_each_time(k):
    """The list of tools grows by one a step."""
    return asks(k, lambda i: [*NAMES[: 2 + k], *(f"found_{n}" for n in range(i // 2))])


@row("tools removed|event", r"system-\d+-")
def a_tool_was_retired(k):
    """One tool was taken away for good."""
    return asks(k, lambda i: [name for name in NAMES if i < 9 or name != NAMES[k + 1]])


@row("tools edited|event", r"system-\d+-send_note")
def a_definition_was_edited(k):
    """One description reads differently since an update."""

    def tools(i):
        about = ("Sends a short note to a desk. " if i < 8 else "Sends a note of forty words. ") * 12
        return [*NAMES[:k], (tool if k % 2 else function)("send_note", about), "show_map"]

    return asks(k, tools)


@row("clock|tools edited", r"system-\d+-weather_at")
def a_clock_in_a_definition(k):
    """The description of a tool holds the time."""

    def tools(i):
        about = f"Weather at {START + timedelta(seconds=60 * i):%Y-%m-%d %H:%M:%S}. " + "Ask for it once. " * 14
        return [(tool if k % 2 else function)("weather_at", about), *NAMES[: k + 1]]

    return asks(k, tools)


@row("reordered|json key order", r"system-\d+-list_rooms")
def a_set_in_a_schema(k):
    """An enum of a tool comes from a set."""
    rooms = ["attic", "cellar", "hall", "kitchen", "office", "shed"][: 4 + k % 3]

    def tools(i):
        room = {"type": "string", "enum": rng(k, i).sample(rooms, len(rooms))}
        return [(tool if k % 2 else function)("list_rooms", room=room), *NAMES[:2]]

    return asks(k, tools)


@row(HEALTHY)
def steady_tools(k):
    """The same tools in the same order, and other questions."""
    return asks(k, lambda _: NAMES[: k + 3])


# --- what only the provider sees ---


@row("json key order", r"system-\d+-book_slot")
def keys_of_a_schema(k):
    """The properties of a schema come from a map."""
    names = ["day", "desk", "hour", "room", "who"]

    def body(i):
        fields = {name: {"type": "string", "description": f"The {name}."} for name in rng(k, i).sample(names, 5)}
        make, define = (claude, tool) if k % 2 else (chat, function)
        return make(manual(130 + k), question(i), tools=[define("book_slot", **fields), define("show_map")])

    return sent(every(body), usage=k > 2)


@row("response format differs|json key order")
def keys_of_the_answer(k):
    """The keys of the response format come in another order."""
    names = ["desk", "order", "reason", "state"][: 2 + k % 3]

    def body(i):
        order = rng(k, i).sample(names, len(names))
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in order}, "required": names}
        wanted = {"type": "json_schema", "json_schema": {"name": "case", "schema": schema}}
        return chat(manual(140 + k), question(i), response_format=wanted)

    return sent(every(body))


@row("sent as text or as parts|nothing", r"(system-0.*)?")
def system_as_text_or_parts(k):
    """The system prompt is a text here and a list of parts there."""

    def body(i):
        text = manual(150 + k)
        content = [{"type": "text", "text": text}] if rng(k, i).random() < 0.5 else text
        messages = [{"role": "system", "content": content}, {"role": "user", "content": question(i)}]
        return {"model": GPT, "messages": messages}

    return sent(every(body), usage=k > 2)


@row("cache marks|no breakpoint|nothing", r"(system-0.*)?")
def marks_that_come_and_go(k):
    """The system prompt is marked in some requests only; its content is the same."""

    def body(i):
        mark = MARK if rng(k, i).random() < 0.6 else {}
        system = [{"type": "text", "text": manual(155 + k), **mark}]
        return {
            "model": CLAUDE,
            "max_tokens": 300,
            "system": system,
            "messages": [{"role": "user", "content": question(i)}],
        }

    return sent(every(body), usage=k > 2)


@row(HEALTHY)
def marks_that_move_along(k):
    """The newest message is marked, so the mark moves on in each request."""
    bodies = conversation(manual(160 + k), 6 + k, make=claude)
    for body in bodies:
        last = body["messages"][-1]
        last["content"] = [{"type": "text", "text": last["content"], **MARK}]
        body["messages"] = [
            {**m, "content": [{"type": "text", "text": m["content"]}]} if isinstance(m["content"], str) else m
            for m in body["messages"]
        ]
    return sent(bodies, run=lambda _: 1, usage=True)


# --- edits inside a conversation ---


@row("old results cleared")
def results_become_a_note(k):
    """Older results of tools become a short note."""
    note = ["[cleared]", "(result removed)", "[Old tool result content cleared]", "…", "[gone]"][k]
    return sent(agent_loop(9 + k, lambda text, age: text if age < 3 else note), run=lambda _: 1, usage=True)


@row("arguments in another order")
def arguments_that_were_stored(k):
    """Arguments of calls come back from the store with their keys in another order."""

    def arguments(turn, age):
        fields = {"order": turn, "desk": "north", "by": "phone", "again": k}
        return json.dumps(fields, sort_keys=age > 1)

    return sent(agent_loop(8 + k, lambda text, _: text, arguments), run=lambda _: 1, usage=True)


@row("moving window of messages")
def only_the_newest_messages(k):
    """Only the newest messages are sent."""
    bodies = conversation(manual(170 + k), 13)
    cut = [{**body, "messages": [body["messages"][0], *body["messages"][1:][-(5 + 2 * (k % 3)) :]]} for body in bodies]
    return sent(cut, run=lambda _: 1, usage=True)


@row("conversation cut to a summary")
def summaries(k):
    """The beginning of a long conversation is replaced by a summary, and its newest messages are kept."""
    system = manual(175 + k)
    bodies = conversation(system, 13, tokens=150)
    told = {"role": "user", "content": f"Summary of what was said so far: {manual(176 + k, 120)}"}
    cut = 7 + k % 3
    later = [{**b, "messages": [b["messages"][0], told, *b["messages"][2 * cut - 6 :]]} for b in bodies[cut:]]
    return sent([*bodies[:cut], *later], run=lambda _: 1, usage=True)


@row("whitespace in an old message|whitespace")
def line_feeds_lost(k):
    """The newest answer ends with line feeds, which the store strips."""
    bodies = conversation(manual(180 + k), 7 + k)
    for body in bodies:
        if len(body["messages"]) > 3:
            body["messages"][-2] = {
                **body["messages"][-2],
                "content": body["messages"][-2]["content"] + "\n" * (1 + k % 2),
            }
    return sent(bodies, run=lambda _: 1, usage=True)


@row("image replaced")
def images_that_become_words(k):
    """Images are sent for three turns; later a few words stand in their place."""
    bodies = []
    for last in range(1, 8 + k % 3):
        messages = []
        for turn in range(last):
            url = f"data:image/png;base64,{'iVBORw0KGgo' + 'A' * 400}{turn}"
            image = {"type": "image_url", "image_url": {"url": url}}
            seen = image if turn >= last - 3 else {"type": "text", "text": f"[image {turn} was here]"}
            messages.append({"role": "user", "content": [{"type": "text", "text": question(turn)}, seen]})
            messages.append({"role": "assistant", "content": f"I see crate {turn}.\n{manual(650 + turn, 200)}"})
        bodies.append(chat(manual(185 + k), *messages[:-1]))
    return sent(bodies, run=lambda _: 1, usage=True)


@row("thinking dropped")
def thoughts_that_are_dropped(k):
    """Thinking of earlier turns is left out once the user writes again."""
    bodies = []
    for last in range(1, 8 + k % 3):
        messages = []
        for turn in range(last):
            messages.append({"role": "user", "content": [{"type": "text", "text": question(turn)}]})
            thought = {"type": "thinking", "thinking": manual(400 + turn, 80), "signature": f"sig{turn}"}
            kept = [thought] if turn == last - 2 else []
            messages.append({"role": "assistant", "content": [*kept, {"type": "text", "text": f"Case {turn}: done."}]})
        messages[-2]["content"][0] |= MARK
        bodies.append(claude(manual(190 + k), *messages[:-1]))
    return sent(bodies, run=lambda _: 1, usage=True)


@row(HEALTHY)
def conversations_that_go_on(k):
    """A conversation goes on, with the time in each new message, or calls of tools, and nothing old changes."""
    if k < 3:
        say = [
            question,
            lambda i: f"[{START + timedelta(minutes=i):%H:%M}] {question(i)}",
            lambda i: f"{i}. {question(i)}",
        ][k]
        return sent(conversation(manual(195 + k), 8, say=say), run=lambda _: 1, usage=True)
    return sent(agent_loop(6 + k, lambda text, _: text), run=lambda _: 1, usage=True)


# --- the start of a message, roles, and what is no fault ---


@row("stable start of a message", r"user-\d+")
def a_brief_in_the_question(k):
    """A brief and the question are one user message, and there is no system prompt."""
    glue = ["\n\nThe customer writes: ", "\n\n---\n", " Frage: ", "\nINPUT: ", "\n\n"][k]
    return sent(every(lambda i: claude(None, f"{manual(200 + k)}{glue}{question(i)}")), usage=k > 2)


@row(HEALTHY)
def roles_of_one_agent(k):
    """Two or three roles under one id, each with its own prompt and tools."""
    n_roles = 2 + k % 2

    def body(i):
        role = i % n_roles if k < 3 else rng(k, i).randrange(n_roles)
        return chat(manual(210 + role), question(i), tools=[function(name) for name in NAMES[2 * role : 2 * role + 2]])

    return sent(every(body, 48), apart=20, usage=k > 1)


@row(HEALTHY)
def short_prompts(k):
    """A prompt that is far too short for any cache."""
    make = [claude, chat][k % 2]
    return sent(every(lambda i: make(manual(220 + k, 60 + 40 * k), question(i))), usage=k > 2)


@row(HEALTHY)
def steady_prompts(k):
    """A steady prompt and other questions, some with other parameters."""
    make = [claude, chat][k % 2]
    bodies = every(lambda i: make(manual(230 + k), question(i), temperature=[0.2, 0.8][i % 2]))
    return sent(bodies, usage=k > 2)


# --- two causes ---


@row("clock", r"system-0")
def a_clock_before_shuffled_tools(k):
    """The tools are shuffled, and the system prompt begins with the time; its text is longer than the tools."""

    def body(i):
        now = f"Now {START + timedelta(seconds=61 * i):%Y-%m-%d %H:%M:%S}."
        return chat(
            f"{now}\n{manual(240 + k, 2400)}", question(i), tools=[function(name, "Short. " * 4) for name in NAMES[:3]]
        )

    return sent(every(body))


@row("tools reordered|json key order", r"system-\d+-")
def shuffled_tools_and_a_late_clock(k):
    """The tools are shuffled, and a clock stands at the end of the system prompt."""

    def body(i):
        now = f"Now {START + timedelta(seconds=61 * i):%H:%M:%S}."
        text = f"{manual(245 + k, 1200)}" + (f"\n{now}" if i % 8 == 0 else "")
        return claude(text, question(i), tools=[tool(name) for name in rng(k, i).sample(NAMES, 8)])

    return sent(every(body))


@row("identifier", r"system-0")
def an_id_and_a_sentence(k):
    """An identifier changes in each request, and a sentence comes and goes."""

    def body(i):
        more = " Waive the fee, since the customer is a member." * (rng(k, i).random() < 0.5)
        return chat(
            f"Case {rng(k, 50 + i).getrandbits(96):024x}\nServe the customer.{more}\n{manual(250 + k)}", question(i)
        )

    return sent(every(body))


@row("clock", r"system-0")
def a_clock_and_another_model(k):
    """The time stands at the front, and some requests go to another model."""

    def body(i):
        now = f"{START + timedelta(seconds=61 * i):%Y-%m-%dT%H:%M:%S}Z"
        return {**chat(f"{now}\n{manual(255 + k)}", question(i)), "model": GPT if i % 4 else "gpt-5.1-mini"}

    return sent(every(body))


@row("clock|identifier", r"system-0")
def a_clock_and_an_id(k):
    """Both the time and an identifier stand at the front."""

    def body(i):
        now = f"{START + timedelta(seconds=61 * i):%Y-%m-%dT%H:%M:%S}Z"
        return chat(f"{now} {rng(k, i).getrandbits(96):024x}\n{QUESTIONS[k]}\n{manual(260 + k)}", question(i))

    return sent(every(body), usage=k > 2)
