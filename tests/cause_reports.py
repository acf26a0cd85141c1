"""Histories with two causes in one block, near misses that are one cause, and lists and versions in running text.

Each row makes the parts of request ``i`` that vary, which stand apart in a long prompt, and says the kind of each part.
"""

import json

from prompt_reports import (
    FACTS,
    FILES,
    MIXED,
    NAMES,
    TOWNS,
    N,
    at,
    is_some,
    mail,
    pick,
    rng,
    shuffled,
    ticked,
)
from prompt_reports import some as some_of
from sent_requests import chat, claude, manual, question, sent

LOCALES = ["en-US", "de-DE", "pt-BR", "ja-JP", "fr-CA", "nl-NL"]
WORDS = ["acorn", "basil", "clover", "dahlia", "elm", "fern", "gorse", "hazel", "iris", "juniper", "kale", "lupin"]


def clock(i):
    return f"Now: {at(i):%Y-%m-%d %H:%M:%S}"


def number_id(i):
    return f"Trace {rng(i).getrandbits(96):024x}"


def person(i):
    return f"User: {rng(40 + i).choice(NAMES)}"


def locale(i):
    return f"Locale: {rng(60 + i).choice(LOCALES)}"


def counter(i):
    return f"Turns left: {60 - 2 * i}."


def path(i):
    return f"Write to /srv/jobs/{rng(80 + i).choice(WORDS)}/out only."


def price(i):
    return f"Balance: {rng(i).uniform(5, 900):.2f} EUR"


def visit(i):
    return f"Last visit: {rng(20 + i).randrange(2, 50)} minutes ago."


def memory(i):
    return "## Memory\n" + "\n".join(f"- {fact}" for fact in some_of(FACTS, i)) + "\n"


def todos(i):
    return f"Todo:\n{ticked(i)}\n"


def member(i):
    return "Serve." + " The customer is a premium member, so waive the fee." * is_some(i)


def files(i):
    return "Files:\n" + "\n".join(f"src/{name}" for name in shuffled(FILES, i)) + "\n"


def towns(i):
    return f"We ship to {', '.join(shuffled(TOWNS, i))} only."


def mood(i):
    return f"Plant of the day: {rng(7 * i).choice(WORDS)}"


def arm(i):
    return ["Answer briefly, in one sentence.", "Explain step by step, with your reasons."][int("0110100110010110"[i])]


def release(i):
    return "Old members pay nothing." if i < 9 else "Old members pay half, and new ones all of it."


def passages(i):
    picked = rng(i).sample(range(30), 4)
    return "Context:\n" + "\n".join(
        f"[{k + 1}] (score 0.{90 - 3 * k})\n{manual(300 + p, 50)}" for k, p in enumerate(picked)
    )


# Two parts that vary by themselves, and the kind of each.
PAIRS = [
    (clock, "datetime", person, "person"),
    (clock, "datetime", locale, "locale"),
    (clock, "datetime", number_id, "identifier"),
    (clock, "datetime", files, "reordered"),
    (clock, "datetime", towns, "reordered"),
    (clock, "datetime", memory, "memory"),
    (clock, "datetime", todos, "checklist"),
    (clock, "datetime", member, "optional_sentence"),
    (clock, "datetime", mood, "unknown"),
    (clock, "datetime", arm, "variants"),
    (clock, "datetime", release, "changed_once"),
    (clock, "datetime", passages, "retrieved_text"),
    (number_id, "identifier", person, "person"),
    (number_id, "identifier", todos, "checklist"),
    (number_id, "identifier", path, "path"),
    (number_id, "identifier", files, "reordered"),
    (number_id, "identifier", arm, "variants"),
    (counter, "counter", person, "person"),
    (counter, "counter", memory, "memory"),
    (counter, "counter", mood, "unknown"),
    (price, "number", locale, "locale"),
    (price, "number", number_id, "identifier"),
    (visit, "relative_time", person, "person"),
    (visit, "relative_time", files, "reordered"),
    (person, "person", locale, "locale"),
    (person, "person", towns, "reordered"),
    (person, "person", arm, "variants"),
    (locale, "locale", arm, "variants"),
    (locale, "locale", path, "path"),
    (locale, "locale", member, "optional_sentence"),
]

# What is one cause, whatever it consists of, and what it may be called.
SINGLES = [
    (lambda i: f"User: {pick(NAMES, i)}\nE-mail: {mail(i)}", {"person"}),
    (lambda i: record(MIXED[i] % 5), {"person", "unknown", "variants"}),
    (lambda i: json.dumps({"name": NAMES[MIXED[i] % 5], "since": f"200{MIXED[i] % 5}-04-01"}), {"person", "variants"}),
    (lambda i: f"Order of {rng(i).choice(TOWNS)}, {rng(i + 5).randrange(90)} crates", {"unknown"}),
    (lambda i: f"Now: {at(i):%Y-%m-%d %H:%M:%S}\nLast change: {at(i + 3):%Y-%m-%d %H:%M:%S}", {"datetime"}),
    (lambda i: f"Today {TOWNS[MIXED[i]]} sells {WORDS[MIXED[-i - 1]]} at {MIXED[i] + 3} EUR.", {"unknown"}),
    (passages, {"retrieved_text"}),
    (lambda i: f"Step {i + 1}\nof {i + 1}", {"counter", "number"}),
]


def record(k):
    """Return what a shop knows of a customer: it changes with the customer only."""
    return f"Customer: {NAMES[k]}\nBorn: 19{60 + k}-0{k + 1}-12\nTown: {TOWNS[k]}\nBalance: {37 * k + 4}.50 EUR"


def history(parts, k, language="en", seed=0, n=N):
    """Return log lines whose system prompt holds some parts, apart from each other, in a long text."""
    texts = [manual(500 + k % 3 + 7 * j + seed, 500, language) for j in range(len(parts) + 1)]
    make = claude if k % 2 else chat

    def prompt(i):
        pieces = [piece for part, text in zip(parts, texts, strict=False) for piece in (part(i), text)]
        return "\n".join(["You serve a shop.", *pieces, texts[-1]])

    return sent([make(prompt(i), question(i)) for i in range(n)], usage=k % 3 == 0)
