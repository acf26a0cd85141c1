"""Raw request bodies as applications send them, with the usage that a provider would have reported."""

import json
import random
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
CLAUDE = "claude-sonnet-4-5"
GPT = "gpt-5.1"
MARK = {"cache_control": {"type": "ephemeral"}}

WORDS = {
    "en": (
        ["A customer", "The warehouse", "A courier", "The night shift", "An auditor", "The help desk", "A supplier"],
        ["asks for", "returns", "forgets", "signs", "copies", "questions", "postpones", "pays", "loses"],
        ["the invoice", "a crate of lamps", "the contract", "two pallets", "the key", "a refund", "the seal"],
        [
            "so write it down",
            "which you never promise",
            "and you stay polite",
            "but you ask once more",
            "then close it",
        ],
    ),
    "de": (
        ["Eine Kundin", "Das Lager", "Ein Bote", "Die Nachtschicht", "Eine Prüferin", "Der Empfang", "Ein Händler"],
        ["verlangt", "bringt", "vergisst", "zeichnet", "kopiert", "bezweifelt", "verschiebt", "bezahlt", "verliert"],
        ["die Rechnung", "eine Kiste Lampen", "den Vertrag", "zwei Paletten", "den Schlüssel", "das Siegel"],
        ["also schreib es auf", "was du nie zusagst", "und du bleibst höflich", "dann schließ den Fall"],
    ),
    "ja": (
        ["お客様", "倉庫", "配達員", "夜勤", "監査人", "受付", "仕入先"],
        ["が求める", "が返す", "が忘れる", "が署名する", "が写す", "が疑う", "が延ばす"],
        ["請求書", "ランプの箱", "契約書", "二つの荷台", "鍵", "返金", "封印"],
        ["だから書き留める", "決して約束しない", "丁寧に答える", "もう一度たずねる"],
    ),
}

QUESTIONS = [
    "Where is my parcel?",
    "Can the lamp be repaired, or do I need a new one?",
    "Please cancel the second crate.",
    "Which courier came this morning, and what did he leave at the door?",
    "I was charged twice!",
    "How long is the warranty for garden chairs?",
    "Do you ship to islands?",
    "The seal was broken on arrival, what now?",
    "My voucher is refused by the till.",
    "Who signed for it?",
    "May I pay in three parts?",
    "Is there a shop near the old harbour?",
]


def manual(seed, tokens=1600, language="en"):
    """Return a text of about so many tokens that is the same for a seed."""
    rng, lines, size = random.Random(seed), [], 0
    while size < 4 * tokens:
        who, does, what, then = (rng.choice(words) for words in WORDS[language])
        lines.append(f"{len(lines) + 1}. {who} {does} {what} of desk {rng.randrange(900)}, {then}.")
        size += len(lines[-1].encode()) + 1
    return "\n".join(lines)


def question(i):
    """Return a question that no other request asks."""
    return f"{QUESTIONS[i % len(QUESTIONS)]} It is about order {7000 + 37 * i}."


def chat(system, *messages, **fields):
    """Return a body of Chat Completions; texts among the messages are the user's and the assistant's in turn."""
    leading = [] if system is None else [{"role": "system", "content": system}]
    return {"model": GPT, "messages": leading + in_turn(messages), **fields}


def claude(system, *messages, **fields):
    """Return a body of Anthropic Messages with its system prompt marked."""
    prompt = {} if system is None else {"system": [{"type": "text", "text": system, **MARK}]}
    return {"model": CLAUDE, "max_tokens": 800, **prompt, "messages": in_turn(messages), **fields}


def in_turn(messages):
    """Return messages, texts made into the user's and the assistant's in turn."""
    roles = ("user", "assistant")
    return [{"role": roles[i % 2], "content": m} if isinstance(m, str) else m for i, m in enumerate(messages)]


def function(name, text="", **properties):
    """Return a tool of Chat Completions."""
    return {"type": "function", "function": {"name": name, **_describe(name, text, properties, "parameters")}}


def tool(name, text="", **properties):
    """Return a tool of Anthropic Messages."""
    return {"name": name, **_describe(name, text, properties, "input_schema")}


def _describe(name, text, properties, schema):
    fields = properties or {"query": {"type": "string"}}
    about = text or f"Use {name} for what its name says. " * 12
    return {"description": about, schema: {"type": "object", "properties": fields}}


def conversation(system, turns, *, make=chat, say=question, start=0, tokens=0):
    """Return the requests of a conversation that goes on, with answers of at least so many tokens."""
    said, bodies = [], []
    for turn in range(turns):
        said.append(say(start + turn))
        bodies.append(make(system, *said))
        more = f"\n{manual(600 + start + turn, tokens)}" if tokens else ""
        said.append(f"About that I can say: {QUESTIONS[(start + turn) % 5]} Number {start + turn} is noted.{more}")
    return bodies


def sent(bodies, *, apart=60, run=None, usage=False, parallel=1):
    """Return log lines of bodies, so many seconds apart, and with usage if asked for."""
    lines = []
    for i, body in enumerate(bodies):
        at = START + timedelta(seconds=apart * (i // parallel), milliseconds=20 * (i % parallel))
        line = {"started_at": at.isoformat(), "ended_at": (at + timedelta(seconds=4)).isoformat(), "body": body}
        lines.append(line | ({"session_id": f"s{run(i)}"} if run else {}))
    return billed(lines) if usage else lines


def billed(lines):
    """Return log lines with the usage of a provider that keeps what it has processed for five minutes."""
    kept = []
    for line in lines:
        body, at = line["body"], datetime.fromisoformat(line["started_at"])
        count = _messages_usage if "max_tokens" in body else _chat_usage
        line["response"] = {"model": body["model"], "usage": count(body, at, kept)}
    return lines


def _chat_usage(body, at, kept):
    text = json.dumps([body.get("tools"), body["messages"]])
    alive = [old for when, model, old in kept if model == body["model"] and 4 <= (at - when).total_seconds() < 300]
    shared = max((count_shared(text, old) for old in alive), default=0) // 4
    kept.append((at, body["model"], text))
    read = shared // 128 * 128 if shared >= 1024 else 0
    details = {"cached_tokens": read}
    return {"prompt_tokens": len(text) // 4, "completion_tokens": 40, "prompt_tokens_details": details}


def count_shared(text, other):
    """Return how many leading characters two texts share."""
    pairs = zip(text, other, strict=False)
    return next((i for i, (one, another) in enumerate(pairs) if one != another), min(len(text), len(other)))


def _messages_usage(body, at, kept):
    system = body.get("system", [])
    parts = [*body.get("tools", []), *(system if isinstance(system, list) else [system])]
    for message in body["messages"]:
        content = message["content"]
        parts += content if isinstance(content, list) else [content]
    marks = [i for i, part in enumerate(parts) if isinstance(part, dict) and "cache_control" in part]
    texts = [json.dumps({**p, "cache_control": 0} if isinstance(p, dict) else p, sort_keys=False) for p in parts]
    sizes = [sum(map(len, texts[: i + 1])) // 4 for i in range(len(parts))]
    heads = ["".join(texts[: i + 1]) for i in range(len(parts))]
    alive = {h for when, model, h in kept if model == body["model"] and 4 <= (at - when).total_seconds() < 300}
    ends = [i for mark in marks for i in range(max(0, mark - 20), mark + 1) if heads[i] in alive]
    read = sizes[max(ends)] if ends else 0
    written = max(0, sizes[marks[-1]] - read) if marks and sizes[marks[-1]] >= 1024 else 0
    kept.extend((at, body["model"], heads[i]) for i in marks if sizes[i] >= 1024)
    return {
        "input_tokens": sizes[-1] - read - written,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
        "output_tokens": 40,
    }
