"""Fifty reports of prompt caches that do not work, written from what users report and before any detector was read.

Each function returns the log lines of one report; its docstring is what the user says. The decorator says what a
person who reads the log would answer first: the cause in plain words, the place, and the answers that are wrong however
sure they sound. An answer that is neither, such as an unnamed slot at the right place, is not right, nor wrong.

The first score was 22 of 50 right and 3 wrong. Corrected since, where a person who counts would not have answered so:
no finding is right too where the change costs nothing. Requests hours or days apart meet in no cache, whatever their
prompts (`weekday_in_the_middle`, `date_in_a_description`), and what varies at the very end of a prompt that OpenAI
caches by tokens costs next to nothing (`temporary_folder`), like one short message in each turn
(`image_becomes_a_pointer`).
"""

import json
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

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

N = 24
REPORTS = []


class Report(NamedTuple):
    """A history, the causes that a person may name first, the block, and the causes that would be wrong."""

    name: str
    story: str
    lines: Callable[[], list[dict[str, Any]]]
    expects: tuple[str, ...]
    at: str
    wrong: tuple[str, ...]


def report(expects, at="", wrong=()):
    """Register a history; several causes that a person may name are divided by bars."""

    def register(make):
        causes, refused = tuple(expects.split("|")), tuple(wrong.split("|")) if wrong else ()
        REPORTS.append(Report(make.__name__, make.__doc__, make, causes, at, refused))
        return make

    return register


def each(make, n=N):
    return [make(i) for i in range(n)]


def rng(i):
    return random.Random(1000 + i)


NAMES = ["Ines Prado", "Tom Weller", "Aiko Mori", "Lars Holm", "Noor Aziz", "Petra Kunz", "Sam Oduya", "Yuki Abe"]
TOOLS = ["book_slot", "cancel_slot", "find_person", "list_rooms", "move_slot", "send_note", "show_map", "weather_at"]
FACTS = [
    "Prefers to be called in the evening.",
    "Owns two garden chairs of the year 2024.",
    "Was promised a voucher.",
    "Lives on an island; parcels go by boat.",
    "Had trouble with the courier twice.",
    "Reads no e-mail at weekends.",
    "Wants invoices on paper.",
    "Has a dog that barks at couriers.",
]


# --- what varies in a system prompt ---


@report("clock", r"system-0", "person|counter|identifier|variants")
def time_to_the_second():
    """My system prompt begins with the current time, to the second. cached_tokens is always 0."""
    at = [START + timedelta(seconds=47 * i) for i in range(N)]
    return sent(each(lambda i: chat(f"Now: {at[i]:%Y-%m-%d %H:%M:%S} UTC\n{manual(1)}", question(i))), usage=True)


@report("clock|nothing", r"system-0", "variants|event")
def weekday_in_the_middle():
    """We tell the model which day it is, somewhere in the middle. The first request of each day is dear."""
    day = [START + timedelta(days=i // 4) for i in range(N)]
    text = manual(2, 900)
    prompts = each(lambda i: f"{text}\nToday is {day[i]:%A, %B} {day[i].day}. Shops close at six.\n{manual(3, 900)}")
    return sent(each(lambda i: claude(prompts[i], question(i))), apart=6 * 3600)


@report("relative time|clock", r"system-0", "identifier|variants|counter")
def since_last_seen():
    """The prompt says how long ago the user was last seen."""
    ago = ["3 minutes", "2 hours", "5 days", "40 minutes", "6 hours", "1 day", "11 minutes", "3 weeks"]
    return sent(each(lambda i: chat(f"{manual(4)}\nLast visit: {ago[i * 5 % 8]} ago.\nBe kind.", question(i))))


@report("person", r"system-0", "identifier|variants|path")
def name_and_mail():
    """We put the name and e-mail of the signed-in user into the prompt, right after the first line."""

    def prompt(i):
        name = NAMES[i * 3 % 8]
        mail = f"{name.split()[0].lower()}.{name.split()[1].lower()}@mail.example.org"
        return f"You serve the shop.\nSigned in: {name} <{mail}>\n{manual(5)}"

    return sent(each(lambda i: chat(prompt(i), question(i))))


@report("memory", r"system-0", "retrieved text|checklist|reordered")
def memory_file():
    """Our assistant remembers facts. It adds and forgets some as it goes; they stand in the system prompt."""

    def facts(i):
        kept = [fact for k, fact in enumerate(FACTS) if rng(i // 2 * 10 + k).random() < 0.6] or FACTS[:1]
        return "\n".join(f"- {fact}" for fact in kept)

    return sent(each(lambda i: claude(f"{manual(6, 800)}\n## Memory\n{facts(i)}\n\n{manual(7, 800)}", question(i))))


@report("working directory", r"system-0", "memory|retrieved text|variants")
def git_status():
    """A coding agent shows branch and git status in its prompt: nothing is cached between sessions."""
    files = ["src/till.py", "src/desk.py", "docs/plan.md", "tests/test_till.py", "Makefile"]

    def status(i):
        changed = [f" M {name}" for k, name in enumerate(files) if rng(i + 50 * k).random() < 0.5]
        branch = ["main", "fix/seal", "till-2"][rng(i).randrange(3)]
        return f"Current branch: {branch}\n\nStatus:\n" + ("\n".join(changed) or "(clean)")

    return sent(each(lambda i: claude(f"{manual(8)}\n{status(i)}\n\nWrite small commits.", question(i))))


@report("checklist", r"system-0", "memory|variants|counter")
def list_of_todos():
    """The agent's todo list is rendered into the system prompt; each tick costs us the whole prompt."""
    steps = ["read the order", "call the courier", "check the seal", "refund the customer", "close the case"]

    def todos(i):
        done = i % 6
        return "\n".join(f"- [{'x' if k < done else ' '}] {step}" for k, step in enumerate(steps))

    return sent(each(lambda i: chat(f"{manual(9)}\nTodo:\n{todos(i)}\n\nAlways end politely.", question(i))))


@report("locale", r"system-0", "variants|identifier|path")
def language_of_the_browser():
    """Users of many countries: the prompt holds their locale, and hits are rare."""
    locales = ["en-US", "de-DE", "pt-BR", "ja-JP", "fr-CA", "nl-NL", "es-MX"]
    return sent(each(lambda i: chat(f"Locale: {locales[i * 3 % 7]}\n{manual(10)}", question(i))))


@report("retrieved text", r"system-0", "memory|variants|reordered")
def context_before_the_rules():
    """RAG: five passages come first in the system prompt, then 1,500 tokens of rules. Never a hit."""

    def passages(i):
        picked = rng(i).sample(range(40), 5)
        return "\n\n".join(f"[{k + 1}] (score 0.{90 - 3 * k})\n{manual(100 + p, 60)}" for k, p in enumerate(picked))

    return sent(each(lambda i: chat(f"Context:\n{passages(i)}\n\nRules:\n{manual(11)}", question(i))), usage=True)


@report("other examples|slot", r"system-0", "clock|memory|variants|checklist")
def examples_by_similarity():
    """Four of twelve examples are chosen by similarity to the question and stand in the prompt."""
    pairs = [f"Q: {QUESTIONS[k]}\nA: Desk {k * 7} knows; I have sent a note there." for k in range(12)]

    def prompt(i):
        return f"{manual(12, 700)}\n\n" + "\n\n".join(rng(i).sample(pairs, 4)) + f"\n\n{manual(13, 900)}"

    return sent(each(lambda i: chat(prompt(i), question(i))))


@report("variants", r"system-0", "event|person|memory")
def experiment_on_the_prompt():
    """Half of the users get another wording (A/B test). We see half the hit rate."""
    arms = ["Answer briefly, in one sentence if you can.", "Explain your answer, step by step, with the reasons."]
    arm = [rng(i).randrange(2) for i in range(N)]
    return sent(each(lambda i: claude(f"{arms[arm[i]]}\n{manual(14)}", question(i))), usage=True)


@report("event", r"system-0", "variants|retrieved text|person")
def prompt_changed_on_tuesday():
    """Somebody deployed a new prompt on Tuesday; one bad hour, then all was as before."""
    old, new = "Promise nothing by phone.", "Never promise anything, by phone or in writing, and say why."
    return sent(each(lambda i: chat(f"{manual(15)}\n{old if i < 13 else new}\n{manual(16, 300)}", question(i))))


@report("identifier", r"system-0", "clock|number|person|path")
def session_id_in_the_header():
    """The framework writes a session id at the top of the prompt."""
    ids = each(lambda i: f"{rng(i).getrandbits(64):016x}")
    return sent(each(lambda i: chat(f"[session {ids[i]}]\n{manual(17)}", question(i))), usage=True)


@report("identifier", r"system-0", "clock|number|path")
def billing_header():
    """The command line tool sends a billing header as the first system block, with a hash that changes each time."""

    def body(i):
        header = f"x-billing: cc_version=2.1.{40}.a0; cc_entry=cli; cch={rng(i).getrandbits(20):05x};"
        system = [{"type": "text", "text": header}, {"type": "text", "text": manual(18), **MARK}]
        return {
            "model": CLAUDE,
            "max_tokens": 500,
            "system": system,
            "messages": [{"role": "user", "content": question(i)}],
        }

    return sent(each(body), usage=True)


@report("path|nothing", r"system-0", "identifier|variants|working directory")
def temporary_folder():
    """Each job gets its own folder and the prompt names it."""
    folders = each(lambda i: f"/srv/jobs/{WORDS[i * 5 % 12]}/out")
    return sent(each(lambda i: chat(f"{manual(19)}\nWrite your files to {folders[i]} only.\nBe brief.", question(i))))


WORDS = ["acorn", "basil", "clover", "dahlia", "elm", "fern", "gorse", "hazel", "iris", "juniper", "kale", "lupin"]


@report("number", r"system-0", "counter|clock|identifier|person")
def balance_of_the_account():
    """The prompt shows the balance of the customer's account."""
    euros = each(lambda i: f"{rng(i).uniform(3, 4000):,.2f}")
    return sent(each(lambda i: chat(f"Balance: EUR {euros[i]}\n{manual(20)}", question(i))))


@report("counter", r"system-0", "clock|identifier|variants")
def turns_left():
    """The harness counts down the turns that are left, in the system prompt."""
    return sent(each(lambda i: claude(f"{manual(21)}\nTurns left: {60 - 2 * i}.\nFinish in time.", question(i))))


@report("optional sentence", r"system-0", "variants|memory|event|whitespace")
def premium_customers():
    """Some customers are premium, and then one more sentence stands in the prompt."""
    more = " The customer is a premium member, so waive the fee."
    prompts = each(lambda i: f"{manual(22, 900)}{more if rng(i).random() < 0.4 else ''}\n{manual(23, 900)}")
    return sent(each(lambda i: chat(prompts[i], question(i))))


@report("appended", r"system-0", "variants|retrieved text|event|checklist")
def transcript_in_the_prompt():
    """We paste the transcript so far into the system prompt, and rules after it."""
    spoken = each(lambda i: f"Customer: {question(i)}\nDesk: Noted as case {300 + i}.")
    return sent(each(lambda i: chat(f"{manual(24, 900)}\nTranscript:\n" + "\n".join(spoken[: i + 1]), QUESTIONS[0])))


@report("reordered", r"system-0", "path|variants|memory|retrieved text|working directory")
def files_in_any_order():
    """The file list comes from a directory walk without sorting."""
    files = [f"src/{word}/{word}.py" for word in WORDS]
    return sent(
        each(lambda i: claude("Files:\n" + "\n".join(rng(i).sample(files, 12)) + f"\n\n{manual(25)}", question(i)))
    )


@report("json key order", r"system-0", "variants|number|slot|person")
def settings_as_json():
    """The shop's settings are dumped as JSON into the prompt; the server is in Go and ranges over a map."""
    settings = {"currency": "EUR", "closes": 18, "returns": True, "islands": ["Fanoe", "Aeroe"], "desk": "north"}

    def dump(i):
        return json.dumps(dict(rng(i).sample(list(settings.items()), 5)))

    return sent(each(lambda i: chat(f"Settings: {dump(i)}\n{manual(26)}", question(i))), usage=True)


@report("unicode form", r"system-0", "variants|event|whitespace|person")
def curly_quotes():
    """Two services send what looks like the same prompt. One was pasted from a word processor."""
    plain = f'Say "thank you" and don\'t guess.\n{manual(27)}'
    pasted = plain.replace('"thank you"', "\u201cthank you\u201d").replace("don't", "don\u2019t")
    return sent(each(lambda i: chat(pasted if rng(i).random() < 0.5 else plain, question(i))))


@report("whitespace", r"system-0", "variants|event|unicode form")
def windows_line_ends():
    """Half of our workers check the prompt file out with CRLF."""
    text = manual(28)
    prompts = each(lambda i: text.replace("\n", "\r\n") if rng(i).random() < 0.5 else text)
    return sent(each(lambda i: claude(prompts[i], question(i))), usage=True)


# --- tools ---


@report("tools reordered", r"system-\d+-", "tools added|tools removed|variants|tools edited")
def servers_answer_in_any_order():
    """Tools come from MCP servers and stand in the order in which the servers answer."""
    tools = [tool(name) for name in TOOLS]
    return sent(each(lambda i: claude(manual(30), question(i), tools=rng(i).sample(tools, 8))), usage=True)


@report("tools come and go", r"system-\d+-", "tools reordered|variants|tools edited")
def server_times_out():
    """One MCP server sometimes does not start in time, and its two tools are missing."""
    tools = [function(name) for name in TOOLS]

    def offered(i):
        return [
            t for t in tools if rng(i).random() < 0.65 or t["function"]["name"] not in {"find_person", "list_rooms"}
        ]

    return sent(each(lambda i: chat(manual(31), question(i), tools=offered(i))))


@report("tools added", r"system-\d+-", "tools reordered|tools removed|variants|tools edited")
def tools_found_on_the_way():
    """The agent searches for tools and each that it finds joins the list. Every search costs the whole conversation."""
    tools = [tool(name) for name in ["search_tools", *TOOLS]]
    bodies = conversation(manual(32), 8, make=claude)
    return sent([{**body, "tools": tools[: i + 1]} for i, body in enumerate(bodies)], run=lambda _: 1, usage=True)


@report("clock|tools edited|nothing", r"system-\d+-weather_at", "tools added|tools removed|tools reordered|variants")
def date_in_a_description():
    """The description of one tool says which day it is, since the model asked for the weather of last year."""
    day = [START + timedelta(days=i) for i in range(N)]
    fixed = [function(name) for name in TOOLS[:5]]

    def offered(i):
        return [
            *fixed,
            function("weather_at", f"Weather at a place. The day is {day[i]:%Y-%m-%d}. " + "Ask for it. " * 9),
        ]

    return sent(each(lambda i: chat(manual(33), question(i), tools=offered(i))), apart=86400)


@report("json key order", r"system-\d+-book_slot", "tools edited|tools reordered|tools added|variants")
def schema_from_a_map():
    """Tool schemas are built from hash maps: the properties come in another order in each process."""
    fields = {
        name: {"type": "string", "description": f"The {name}."} for name in ("day", "desk", "hour", "room", "who")
    }

    def body(i):
        mixed = dict(rng(i // 3).sample(list(fields.items()), 5))
        return claude(manual(34), question(i), tools=[tool("book_slot", **mixed), tool("list_rooms")])

    return sent(each(body), usage=True)


@report("reordered", r"system-\d+-list_rooms", "tools reordered|tools added|variants|person")
def enum_from_a_set():
    """An enum of a tool comes from a Python set."""
    rooms = ["attic", "cellar", "hall", "kitchen", "office", "shed"]

    def offered(i):
        return [function("book_slot"), function("list_rooms", room={"type": "string", "enum": rng(i).sample(rooms, 6)})]

    return sent(each(lambda i: chat(manual(35), question(i), tools=offered(i))))


@report("tools edited|event", r"system-\d+-send_note", "tools added|tools removed|tools reordered")
def server_was_updated():
    """After an update of a server, one description reads differently. One miss, never again."""

    def offered(i):
        about = "Send a short note to a desk. " * 12 if i < 15 else "Send a note; at most forty words. " * 12
        return [tool("find_person"), tool("send_note", about), tool("show_map")]

    return sent(each(lambda i: claude(manual(36), question(i), tools=offered(i))), usage=True)


# --- messages ---


@report("retrieved text", r"user-\d+", "memory|variants|fragmented")
def context_in_the_first_message():
    """No system prompt: the first message holds passages, then the brief, then the question."""

    def passages(i):
        picked = rng(i).sample(range(40), 4)
        return "\n".join(f"<document id={k}>\n{manual(200 + p, 80)}\n</document>" for k, p in enumerate(picked))

    return sent(each(lambda i: chat(None, f"{passages(i)}\n\n{manual(40)}\n\n{question(i)}")), usage=True)


@report("reordered", r"(user|assistant)-\d+", "blocks come and go|shifted|retrieved text|variants")
def shuffled_shots():
    """Six few-shot pairs, shuffled for every request so that the model does not learn the order."""
    shots = [(QUESTIONS[k], f"Desk {k} has it. {manual(41 + k, 60)}") for k in range(6)]

    def body(i):
        said = [text for pair in rng(i).sample(shots, 6) for text in pair]
        return chat(manual(47, 700), *said, question(i))

    return sent(each(body), usage=True)


@report("stable start of a message", r"user-\d+", "retrieved text|variants|person|too few requests")
def brief_and_question_in_one():
    """We send one user message: a long brief, and at the end what the user typed. Nothing is ever cached."""
    texts = each(lambda i: f"{manual(48)}\n\nThe customer writes: {question(i)}")
    bodies = [{"model": CLAUDE, "max_tokens": 300, "messages": [{"role": "user", "content": text}]} for text in texts]
    return sent(bodies, usage=True)


@report("identifier", r"user-\d+", "clock|stable start of a message|fragmented|person")
def nonce_before_the_brief():
    """A gateway puts a trace id before everything in the first user message, to tell retries apart."""
    ids = each(lambda i: f"trace-{rng(i).getrandbits(96):024x}")
    return sent(each(lambda i: chat(None, f"{ids[i]}\n{manual(49)}\n\nAnswer: which desk?", "Desk 4.", question(i))))


@report("conversation cut to a summary", "", "clock|variants|shifted|fragmented")
def compaction():
    """When a conversation gets long we replace the beginning with a summary. That request is dear each time."""
    long = conversation(manual(50), 8)
    summary = {"role": "user", "content": f"Summary of the talk so far: {manual(51, 150)}"}
    rest = [[summary, *body["messages"][11:]] for body in conversation(manual(50), 12)[8:]]
    later = [{"model": GPT, "messages": [long[0]["messages"][0], *messages]} for messages in rest]
    return sent([*long, *later], run=lambda _: 1, usage=True)


@report("old results cleared", "", "clock|variants|shifted|optional sentence")
def results_cleared():
    """To save room, tool results older than three turns become '[cleared]'. Our hit rate fell after that change."""
    return sent(agent_loop(10, lambda text, age: text if age < 3 else "[cleared]"), run=lambda _: 1, usage=True)


def agent_loop(turns, shown, arguments=lambda turn, _age: json.dumps({"order": turn, "desk": "north"})):
    """Return the requests of an agent that calls a tool in every turn; results and arguments depend on their age."""
    bodies = []
    for last in range(turns):
        messages = ["Check all the orders of today, one by one."]
        for turn in range(last):
            age = last - turn
            call = {"id": f"call_{turn}", "type": "function"}
            call["function"] = {"name": "find_person", "arguments": arguments(turn, age)}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            result = shown(manual(300 + turn, 120), age)
            messages.append({"role": "tool", "tool_call_id": f"call_{turn}", "content": result})
        bodies.append(chat(manual(52), *messages, tools=[function("find_person")]))
    return bodies


@report("moving window of messages", "", "clock|variants|shifted|fragmented|person")
def last_ten_messages():
    """Only the last ten messages of the conversation are sent."""
    bodies = conversation(manual(53), 12, make=chat)
    cut = [{**body, "messages": [body["messages"][0], *body["messages"][1:][-9:]]} for body in bodies]
    return sent(cut, run=lambda _: 1, usage=True)


@report("image replaced|nothing", "", "clock|variants|whitespace|fragmented")
def image_becomes_a_pointer():
    """Screenshots are sent once, and later turns hold '[image 1]' in their place."""
    bodies = []
    for last in range(1, 9):
        messages = []
        for turn in range(last):
            new = turn == last - 1
            image = {
                "type": "image_url",
                "image_url": {"url": f"data:image/png;base64,{'iVBORw0KGgo' + 'A' * 400}{turn}"},
            }
            seen = image if new else {"type": "text", "text": f"[image {turn}]"}
            messages.append({"role": "user", "content": [{"type": "text", "text": question(turn)}, seen]})
            messages.append({"role": "assistant", "content": f"I see crate {turn}."})
        bodies.append(chat(manual(54), *messages[:-1]))
    return sent(bodies, run=lambda _: 1, usage=True)


@report("arguments in another order", "", "clock|variants|tools edited|number")
def arguments_from_the_store():
    """Calls are kept as objects in our store; after a round trip their arguments have their keys sorted."""

    def arguments(turn, age):
        fields = {"order": turn, "desk": "north", "by": "phone"}
        return json.dumps(fields, sort_keys=age > 1)

    return sent(agent_loop(9, lambda text, _: text, arguments), run=lambda _: 1, usage=True)


@report("whitespace in an old message|whitespace", "", "clock|variants|optional sentence|fragmented")
def stripped_on_the_way_back():
    """The answer ends with a line feed when it is streamed; the store strips it, so the next turn differs."""
    bodies = conversation(manual(55), 9)
    for i, body in enumerate(bodies):
        for k, message in enumerate(body["messages"]):
            if message["role"] == "assistant" and k >= 2 * i:
                body["messages"][k] = {**message, "content": message["content"] + "\n\n"}
    return sent(bodies, run=lambda _: 1, usage=True)


@report("thinking dropped", "", "clock|variants|shifted|optional sentence")
def thinking_of_earlier_turns():
    """With extended thinking, blocks of earlier turns are left out as soon as the user writes again."""
    bodies = []
    for last in range(1, 9):
        messages = []
        for turn in range(last):
            messages.append({"role": "user", "content": [{"type": "text", "text": question(turn)}]})
            thought = {"type": "thinking", "thinking": manual(400 + turn, 80), "signature": f"sig{turn}"}
            kept = [thought] if turn == last - 2 else []
            messages.append({"role": "assistant", "content": [*kept, {"type": "text", "text": f"Case {turn}: done."}]})
        messages[-2]["content"][0] |= MARK
        bodies.append(claude(manual(56), *messages[:-1]))
    return sent(bodies, run=lambda _: 1, usage=True)


# --- what only the provider sees, and how requests are sent ---


@report("sent as text or as parts|nothing", r"(system-0.*)?", "variants|event|unicode form|clock|whitespace")
def text_or_parts():
    """Some code paths send the system prompt as a string, others as a list with one text part."""

    def body(i):
        parts = [{"type": "text", "text": manual(60)}]
        return {**chat(None, {"role": "system", "content": parts if i % 3 == 0 else manual(60)}, question(i))}

    return sent(
        [
            {**b, "messages": [b["messages"][0], {"role": "user", "content": question(i)}]}
            for i, b in enumerate(each(body))
        ]
    )


@report("response format differs", "", "variants|clock|tools edited|fragmented")
def schema_of_the_answer():
    """Structured outputs: the schema's keys come in another order from another worker, and the prefix is lost."""
    fields = {"desk": {"type": "string"}, "order": {"type": "integer"}, "reason": {"type": "string"}}

    def body(i):
        order = list(fields.items())[:: rng(i).choice([1, -1])]
        schema = {"type": "object", "properties": dict(order), "required": ["desk"], "additionalProperties": False}
        wanted = {"type": "json_schema", "json_schema": {"name": "case", "strict": True, "schema": schema}}
        return chat(manual(61), question(i), response_format=wanted)

    return sent(each(body))


@report("model", "", "variants|clock|event|fragmented")
def two_models():
    """A router sends some requests to a smaller model. Each model has its own cache."""
    bodies = each(
        lambda i: {**chat(manual(62), question(i)), "model": GPT if rng(i).random() < 0.6 else "gpt-5.1-mini"}
    )
    return sent(bodies, usage=True)


@report("ttl too short", "", "clock|variants|fragmented|identifier")
def a_request_every_ten_minutes():
    """The same prompt every ten minutes, marked for caching. We pay for writing it each time."""
    return sent(each(lambda i: claude(manual(63, 2500), question(i))), apart=600, usage=True)


@report("parallel requests", "", "clock|variants|fragmented|identifier|ttl too short")
def eight_at_once():
    """We fan out eight requests at once over one long document; all eight pay for it."""

    def body(i):
        return claude(f"{manual(1000 + i // 8, 4000)}", question(i))

    return sent(each(body), apart=900, parallel=8, usage=True)


@report("no breakpoint", "", "clock|variants|fragmented|ttl too short")
def never_marked():
    """We use Claude and cache_read_input_tokens is always 0. The prompt never changes."""

    def body(i):
        messages = [{"role": "user", "content": question(i)}]
        return {"model": CLAUDE, "max_tokens": 400, "system": manual(64, 3000), "messages": messages}

    return sent(each(body), usage=True)


# --- nothing is wrong ---


@report(HEALTHY, "", "clock|variants|fragmented|number|counter|identifier|stable start of a message|slot")
def only_the_question_differs():
    """One prompt, other questions, another temperature now and then. Is this all right?"""
    bodies = each(lambda i: chat(manual(65), question(i), temperature=[0.2, 0.7][i % 2], stream=bool(i % 3)))
    return sent(bodies, usage=True)


@report(HEALTHY, "", "clock|variants|fragmented|number|counter|slot")
def time_in_each_question():
    """Each user message carries the time at which it was sent, and keeps it. Does that break the cache?"""

    def say(i):
        return f"[{START + timedelta(minutes=i):%Y-%m-%d %H:%M}] {question(i)}"

    return sent(conversation(manual(66), 9, say=say), run=lambda _: 1, usage=True)


@report(HEALTHY, "", "tools added|tools removed|variants|fragmented|clock|tools reordered")
def three_roles_under_one_id():
    """A planner, a searcher and a writer run under one agent id, each with its own prompt and tools."""

    def body(i):
        role = i % 3
        tools = [[function("search_web")], [function("list_rooms"), function("show_map")], [function("send_note")]][
            role
        ]
        return chat(manual(70 + role), question(i), tools=tools)

    return sent(each(body, 60), apart=20, usage=True)
