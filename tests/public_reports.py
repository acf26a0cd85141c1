"""Thirty more reports of prompt caches that do not work, after threads in which users of LLM agents complain.

They were written from what users report in public, in other words, and before their first run; form and judgement are
those of `blind_reports`. The first score was 25 of 30 right and 1 wrong: the path of a working directory was told as
its state.
"""

import json
import uuid
from datetime import timedelta

from blind_reports import HEALTHY, Report, each, rng
from sent_requests import MARK, START, chat, claude, conversation, function, manual, question, sent, tool

REPORTS = []


def report(expects, at="", wrong=()):
    """Register a history; several causes that a person may name are divided by bars."""

    def register(make):
        refused = tuple(wrong.split("|")) if wrong else ()
        REPORTS.append(Report(make.__name__, make.__doc__, make, tuple(expects.split("|")), at, refused))
        return make

    return register


def at(i, seconds=61):
    return START + timedelta(seconds=seconds * i)


FRENCH = "\n".join(
    f"{k}. Si un voyageur du quai {7 * k % 90} demande un remboursement, note le train et reste aimable."
    for k in range(90)
)
CHINESE = "\n".join(
    f"{k}、如果第{7 * k % 90}号柜台的顾客要求退款\uff0c请先核对订单\uff0c再礼貌地答复。" for k in range(160)
)
SPANISH = "\n".join(
    f"{k}. Cuando el huésped de la habitación {100 + 7 * k % 90} pregunte por el desayuno, responde sin prometer nada."
    for k in range(80)
)
LAMPS = ["hall lamp", "kitchen spot", "porch light", "desk lamp", "attic bulb", "garage tube"]
GUESTS = ["Lucía Ferrer", "Marek Dvořák", "Olu Adeyemi", "Hanne Lund", "Rajiv Menon", "Chloé Petit", "Ivo Horvat"]


# --- the front of the system prompt ---


@report("clock", r"system-0", "number|counter|identifier|variants")
def home_assistant():
    """The voice assistant's prompt starts with the time and the date. Every turn writes the cache, none reads."""

    def body(i):
        head = f"Current time is {at(i, 14):%H:%M:%S}. Today's date is {at(i, 14):%Y-%m-%d}."
        return claude(f"{head}\nYou are the voice of a house.\n{manual(501)}", question(i))

    return sent(each(body), apart=14, usage=True)


@report("clock", r"system-0", "number|counter|event|variants")
def date_in_french():
    """The date and hour are written out in French at the top of the prompt."""
    days = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"]

    def prompt(i):
        now = at(i, 130)
        return f"Nous sommes {days[now.weekday()]} {now.day} novembre {now.year}, il est {now.hour} h {now.minute:02}."

    return sent(each(lambda i: chat(f"{prompt(i)}\n{FRENCH}", f"Où est mon train {400 + i} ?")), apart=130)


@report("clock", r"system-0", "number|counter|identifier|variants")
def chinese_clock():
    """A Chinese assistant gets the time in Chinese style in its first line, so nothing is ever cached."""

    def body(i):
        now = at(i, 75)
        head = f"当前时间\uff1a{now.year}年{now.month}月{now.day}日 {now:%H:%M:%S}"
        return chat(f"{head}\n{CHINESE}", f"订单{7000 + 37 * i}在哪里\uff1f")

    return sent(each(body), apart=75, usage=True)


@report("identifier|clock", r"system-0", "number|counter|path|person")
def request_id_and_time():
    """The builder of the prompt puts a fresh UUID and an ISO time before a persona that never changes."""

    def body(i):
        fresh = uuid.UUID(int=rng(i).getrandbits(128), version=4)
        return claude(f"Request {fresh} at {at(i).isoformat()}. {manual(502)}", question(i))

    return sent(each(body), usage=True)


@report("identifier", r"system-0", "person|variants|clock|number")
def yaml_front_matter():
    """The prompt is a Markdown file with YAML front matter, and the harness fills in the run of the day."""

    def body(i):
        head = f"---\nagent: clerk\nversion: 3\nrun_id: 01JC{rng(i).getrandbits(60):015X}\nlevel: low\n---"
        return chat(f"{head}\n\n# Clerk\n\n{manual(503)}", question(i))

    return sent(each(body))


@report("person", r"system-0", "identifier|json key order|variants|locale")
def profile_as_json():
    """The user's profile is dumped as JSON at the top: name, mail and plan."""

    def body(i):
        who = GUESTS[i * 3 % 7]
        mail = who.lower().replace(" ", ".").encode("ascii", "ignore").decode() + "@post.example.com"
        profile = {"user": {"full_name": who, "email": mail, "plan": "basic"}, "shop": "north"}
        return chat(f"{json.dumps(profile, ensure_ascii=False, indent=2)}\n\n{manual(504)}", question(i))

    return sent(each(body), usage=True)


@report("person", r"system-0", "identifier|variants|locale|optional sentence")
def guest_in_spanish():
    """The hotel's bot greets the guest by name; the name stands in the second line."""
    return sent(
        each(lambda i: claude(f"Eres el recepcionista.\nHuésped: {GUESTS[i * 5 % 7]}\n{SPANISH}", f"¿Habitación {i}?")),
        usage=True,
    )


@report("locale", r"system-0", "variants|identifier|person|event")
def answer_in_their_language():
    """The app tells the model in which language to answer, and we have users of eight languages."""
    tongues = ["English", "German", "French", "Japanese", "Dutch", "Polish", "Italian", "Turkish"]
    prompt = "<user_preferences>\n  <language>{}</language>\n  <units>metric</units>\n</user_preferences>\n"
    return sent(each(lambda i: chat(prompt.format(tongues[i * 3 % 8]) + manual(505), question(i))))


@report("path", r"system-0", "identifier|variants|working directory|event")
def working_directory():
    """Starting the coding agent in another checkout loses the cache: the folder stands before the instructions."""
    folders = ["/home/ada/shop", "/tmp/build-a", "/home/ada/till-2", "/srv/ci/runner-7/shop", "/Users/bo/code/desk"]
    text = "Working directory: {}\nPlatform: linux\n\n"
    return sent(each(lambda i: claude(text.format(folders[i * 2 % 5]) + manual(506), question(i))), usage=True)


@report("clock|counter", r"system-0", "memory|identifier|person|variants")
def recompiled_prompt():
    """Memory metadata say when the prompt was last compiled, and how many messages are in recall memory."""

    def body(i):
        data = (
            f"<memory_metadata>\n- last recompiled: {at(i):%Y-%m-%d %I:%M:%S %p}\n- {412 + 2 * i} previous messages in "
            "recall memory\n</memory_metadata>"
        )
        return chat(f"{data}\n{manual(507)}", question(i))

    return sent(each(body), usage=True)


# --- inside the system prompt ---


@report("memory|number", r"system-0", "checklist|variants|retrieved text|clock")
def notes_with_a_gauge():
    """Notes are kept in the prompt under a heading that says how full they are; each write loses the cache."""
    notes = [f"{name} goes to desk {7 * k}; {question(k)}" for k, name in enumerate(LAMPS)]

    def body(i):
        kept = [note for k, note in enumerate(notes) if rng(i // 2 * 10 + k).random() < 0.7] or notes[:1]
        size = sum(map(len, kept))
        head = f"MEMORY (your notes) [{100 * size // 2200}% - {size:,}/2,200 chars]"
        listed = "\n§\n".join(kept)
        return claude(f"{manual(508, 800)}\n{head}\n{listed}\n\n{manual(509, 800)}", question(i))

    return sent(each(body))


@report("slot|number|variants", r"system-0", "checklist|memory|clock|person|working directory|locale")
def states_of_a_house():
    """The states of all devices are listed in the prompt: a lamp switched on costs the whole prompt."""

    def states(i):
        return "\n".join(
            f"light.{n.replace(' ', '_')},{n},{rng(i * 9 + k).choice(['on', 'off'])}" for k, n in enumerate(LAMPS)
        )

    return sent(each(lambda i: chat(f"{manual(510, 500)}\nDevices:\n{states(i)}\n\n{manual(511)}", question(i))))


@report("clock", r"system-0", "identifier|working directory|event|number")
def codebase_map():
    """A map of the code base is part of the prompt, and its header says when it was generated, each time anew."""

    def body(i):
        code = "\n".join(f"- `src/{name.replace(' ', '_')}.ts`: the {name} and its switch" for name in LAMPS * 5)
        head = f"# Codebase map\n\nGenerated: {at(i):%Y-%m-%dT%H:%M:%S}.{rng(i).randrange(1000):03}Z | Files: 30\n"
        return claude(f"{manual(512, 600)}\n{head}\n{code}\n\n{manual(513, 900)}", question(i))

    return sent(each(body), usage=True)


@report("retrieved text", r"system-0", "memory|variants|reordered|appended")
def chunks_in_the_system_prompt():
    """Chunks for the newest question are put into the system prompt, so a conversation is never cached."""

    def body(i):
        picked = rng(i).sample(range(30), 3)
        found = "\n".join(
            f'<source id="{k + 1}" name="manual-{p}.pdf">{manual(700 + p, 70)}</source>' for k, p in enumerate(picked)
        )
        return chat(f"{manual(514, 500)}\n<context>\n{found}\n</context>\n\n{manual(515, 900)}", question(i))

    return sent(each(body), usage=True)


@report("reordered", r"system-0", "path|variants|memory|retrieved text|identifier")
def skills_in_any_order():
    """The skills that are installed are listed in XML, in the order in which the file system gives them."""
    skills = [f'  <skill name="{name}">\n    <description>For the {name}.</description>\n  </skill>' for name in LAMPS]

    def body(i):
        listed = "\n".join(rng(i).sample(skills, 6))
        return claude(f"You help.\n<available_skills>\n{listed}\n</available_skills>\n{manual(516)}", question(i))

    return sent(each(body), usage=True)


@report("variants|slot", r"system-0", "event|person|path|clock|locale")
def runtime_line():
    """One line names the channel that the message came from; a heartbeat between two chats loses the cache."""
    channels = ["whatsapp", "heartbeat", "webchat"]
    text = "Runtime: agent=main | host=attic | channel={} | thinking=low\n"
    return sent(
        each(lambda i: claude(text.format(channels[rng(i).randrange(3)]) + manual(517), question(i))), usage=True
    )


@report("number|counter", r"system-0", "clock|identifier|memory|variants")
def budget_of_tokens():
    """The harness tells the model how many tokens it has used so far and how many are left."""

    def body(i):
        used = 4100 + sum(900 + rng(k).randrange(2500) for k in range(i))
        return claude(
            f"<budget>Token usage: {used}/200000; {200000 - used} remaining</budget>\n{manual(518)}", question(i)
        )

    return sent(each(body), usage=True)


@report("event", r"system-0", "variants|person|memory|optional sentence")
def contract_of_the_answer():
    """The description of the output format in the prompt was changed once, in the afternoon."""
    old, new = '{"desk": "...", "reason": "..."}', '{"desk": "...", "reason": "...", "confidence": 0.0}'
    return sent(each(lambda i: claude(f"Answer as {old if i < 11 else new}.\n{manual(519)}", question(i))), usage=True)


# --- tools ---


@report("tools reordered", r"system-\d+-", "tools added|tools removed|tools edited|variants")
def servers_that_reconnect():
    """Whenever an MCP server reconnects, its tools are taken out and put in again at the end of the list."""
    servers = [[tool(f"mcp__{s}__{verb}") for verb in ("find", "list", "open")] for s in ("files", "mail", "maps")]
    order, bodies = [0, 1, 2], []
    for i in range(24):
        if rng(i).random() < 0.5:
            moved = rng(i + 99).randrange(3)
            order = [s for s in order if s != moved] + [moved]
        bodies.append(claude(manual(520), question(i), tools=[t for s in order for t in servers[s]]))
    return sent(bodies, usage=True)


@report("tools reordered|json key order", r"system-\d+-", "tools added|tools removed|tools edited|variants")
def tools_from_a_go_map():
    """The gateway keeps tools and their properties in maps: both come in another order each time."""
    fields = {
        name: {"type": "string", "description": f"The {name}."} for name in ("desk", "hour", "room", "who", "why")
    }

    def body(i):
        names = rng(i).sample(["book", "cancel", "find", "move", "note"], 5)
        tools = [function(n, **dict(rng(i + k).sample(list(fields.items()), 5))) for k, n in enumerate(names)]
        return chat(manual(521), question(i), tools=tools)

    return sent(each(body), usage=True)


@report("tools edited|clock", r"system-\d+-web_search", "tools added|tools removed|tools reordered|variants|counter")
def a_search_tool_that_knows_the_time():
    """The description of the web search says what time it is, so that the model searches for new things."""

    def body(i):
        about = f"Search the web. The current time is {at(i):%A, %d %B %Y %H:%M:%S}. " + "Prefer new pages. " * 9
        return chat(manual(522), question(i), tools=[function("web_search", about), function("open_page")])

    return sent(each(body), usage=True)


@report("tools come and go", r"system-\d+-", "tools reordered|tools edited|variants")
def plan_mode():
    """In plan mode the tools that write are taken out; users switch to and fro in one conversation."""
    tools = [tool(name) for name in ("edit_file", "read_file", "run_shell", "search_code", "write_file")]
    reading = [t for t in tools if t["name"] in {"read_file", "search_code"}]
    bodies = conversation(manual(523), 12, make=claude)
    modes = [rng(i).random() < 0.5 for i in range(12)]
    return sent(
        [{**b, "tools": reading if m else tools} for b, m in zip(bodies, modes, strict=True)],
        run=lambda _: 1,
        usage=True,
    )


# --- conversations ---


@report("thinking dropped", "", "clock|variants|shifted|optional sentence|whitespace in an old message")
def reasoning_that_is_cleaned_up():
    """A plugin clears the reasoning of all but the newest answers to save context; it runs on every turn."""
    bodies = []
    for last in range(1, 11):
        messages = []
        for turn in range(last):
            messages.append({"role": "user", "content": [{"type": "text", "text": question(turn)}]})
            thought = {"type": "thinking", "thinking": manual(530 + turn, 150), "signature": f"sig{turn}"}
            kept = [thought] if turn >= last - 3 else []
            messages.append({"role": "assistant", "content": [*kept, {"type": "text", "text": f"Desk {turn} has it."}]})
        messages[-2]["content"][0] |= MARK
        bodies.append(claude(manual(524), *messages[:-1]))
    return sent(bodies, run=lambda _: 1, usage=True)


@report("old results cleared", "", "clock|variants|shifted|number|optional sentence")
def long_results_are_cut():
    """Results of tools are sent whole once and cut to their first and last lines later, with a note between."""

    def cut(text, age):
        return text if age < 2 else f"{text[:60]}\n... [{len(text) - 120} characters omitted] ...\n{text[-60:]}"

    bodies = []
    for last in range(10):
        messages = ["Go through the orders of today."]
        for turn in range(last):
            call = {"type": "tool_use", "id": f"toolu_{turn:02}", "name": "read_order", "input": {"order": turn}}
            messages.append({"role": "assistant", "content": [call]})
            shown = cut(manual(540 + turn, 300), last - turn)
            result = {"type": "tool_result", "tool_use_id": f"toolu_{turn:02}", "content": shown}
            messages.append({"role": "user", "content": [result]})
        body = claude(manual(525), *messages, tools=[tool("read_order")])
        newest = body["messages"][-1]
        if isinstance(newest["content"], list):
            newest["content"][-1] |= MARK
        bodies.append(body)
    return sent(bodies, run=lambda _: 1, usage=True)


@report("moving window of messages", "", "clock|variants|shifted|fragmented|person|optional sentence")
def memory_window():
    """The chat keeps the newest twelve messages of each user; long chats are never cached beyond the prompt."""
    bodies = []
    for who in range(3):
        for body in conversation(manual(526), 12, start=20 * who):
            first, *rest = body["messages"]
            bodies.append({**body, "messages": [first, *rest[-11:]]})
    return sent(bodies, run=lambda i: i // 12, usage=True)


@report("identifier|path|image replaced|clock|slot", "", "variants|moving window of messages|fragmented|person")
def signed_links():
    """Images are given as signed links, and each request signs all of them anew."""

    def link(turn, when):
        query = f"X-Amz-Date={at(when):%Y%m%dT%H%M%SZ}&X-Amz-Signature={rng(when * 50 + turn).getrandbits(256):064x}"
        return {"type": "image_url", "image_url": {"url": f"https://files.example.org/crate-{turn}.png?{query}"}}

    bodies = []
    for last in range(1, 10):
        said = []
        for turn in range(last):
            said.append({"role": "user", "content": [{"type": "text", "text": question(turn)}, link(turn, last)]})
            said.append(f"I see crate {turn}. {manual(550 + turn, 120)}")
        bodies.append(chat(manual(527), *said[:-1]))
    return sent(bodies, run=lambda _: 1, usage=True)


@report("identifier|slot", "", "variants|moving window of messages|fragmented|clock|arguments in another order")
def new_ids_of_calls():
    """Our store does not keep the ids of tool calls, so the history gets new ones in each request."""
    bodies = []
    for last in range(1, 10):
        messages = ["Check all crates."]
        for turn in range(last):
            name = f"call_{rng(last * 40 + turn).getrandbits(96):024x}"
            call = {"id": name, "type": "function", "function": {"name": "find_crate", "arguments": f'{{"n": {turn}}}'}}
            messages.append({"role": "assistant", "content": None, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": name, "content": manual(560 + turn, 150)})
        bodies.append(chat(manual(528), *messages, tools=[function("find_crate")]))
    return sent(bodies, run=lambda _: 1, usage=True)


# --- nothing is wrong ---


@report(HEALTHY, "", "tools added|tools removed|tools reordered|variants|fragmented|optional sentence")
def planner_and_workers():
    """A lead agent starts workers under its own id; lead and workers have other prompts and other tools."""
    tools = [[tool("start_worker"), tool("read_plan")], [tool("search_web"), tool("open_page")], [tool("write_note")]]

    def body(i):
        role = [0, 1, 1, 2, 1, 2][i % 6]
        return claude(manual(570 + role, 2000), question(i), tools=tools[role])

    return sent(each(body, 48), apart=20, usage=True)


@report(HEALTHY, "", "clock|variants|fragmented|identifier|person|slot")
def user_id_in_the_metadata():
    """Each request carries the id of the user as metadata, and another limit of output. Does that matter?"""

    def body(i):
        return {
            **claude(manual(529), question(i)),
            "metadata": {"user_id": f"u-{rng(i).getrandbits(40):010x}"},
            "max_tokens": 300 + i,
        }

    return sent(each(body), usage=True)


@report(HEALTHY, "", "clock|variants|number|slot|fragmented|stable start of a message|appended|counter")
def time_at_the_end():
    """After reading about caching we moved the time into the newest message, where it is kept as it was sent."""

    def say(i):
        return f"{question(i)}\n\n<now>{at(i):%Y-%m-%d %H:%M:%S}</now>"

    bodies = []
    for body in conversation(manual(531), 9, make=claude, say=say):
        *rest, last = body["messages"]
        newest = {"role": "user", "content": [{"type": "text", "text": last["content"], **MARK}]}
        parts = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in rest]
        bodies.append({**body, "messages": [*parts, newest]})
    return sent(bodies, run=lambda _: 1, usage=True)
