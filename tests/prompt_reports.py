"""Histories whose system prompt varies in one known way, and near misses that only look like it.

Each row makes the part that varies of request ``i``; it stands at the front or in the middle of a long prompt.
"""

import json
import random
import unicodedata
from datetime import timedelta

from blind_reports import Report
from sent_requests import QUESTIONS, START, chat, claude, manual, question, sent

N = 16
MIXED = [3, 0, 5, 1, 6, 2, 4, 7, 1, 3, 0, 6, 5, 2, 7, 4]
NAMES = ["Ines Prado", "Tom Weller", "Aiko Mori", "Lars Holm", "Noor Aziz", "Petra Kunz", "Sam Oduya", "Yuki Abe"]
TOWNS = ["Bergen", "Turku", "Porto", "Gdansk", "Leeds", "Nantes", "Graz", "Aarhus"]
FILES = ["till.py", "desk.py", "plan.md", "seal.py", "crate.py", "lamp.py", "notes.md", "Makefile"]
FACTS = [
    "Wants invoices on paper.",
    "Has a dog that barks at couriers.",
    "Was promised a voucher in spring.",
    "Lives on an island; parcels go by boat.",
    "Prefers to be called in the evening.",
    "Owns two garden chairs.",
    "Reads no mail at weekends.",
    "Once sent back a broken seal.",
]
STEPS = ["read the order", "call the courier", "check the seal", "refund the customer", "close the case"]


def rng(i):
    return random.Random(500 + i)


def pick(items, i):
    return items[MIXED[i] % len(items)]


def mail(i):
    first, last = pick(NAMES, i).lower().split()
    return f"{first}.{last}@mail.example.org"


def some(items, i, share=0.55):
    """Return the items that request ``i`` has, in order; never none."""
    return [item for k, item in enumerate(items) if rng(31 * i + k).random() < share] or items[:1]


def shuffled(items, i):
    return rng(i).sample(items, len(items))


def bullets(items, mark="- "):
    return "\n".join(mark + item for item in items)


def ticked(i, done="[x]", left="[ ]", lead="- "):
    return "\n".join(f"{lead}{done if k < MIXED[i] % 6 else left} {step}" for k, step in enumerate(STEPS))


def is_some(i):
    return rng(900 + i).random() < 0.45


def choose(i, *texts):
    return texts[rng(700 + i).randrange(len(texts))]


def at(i):
    return START + timedelta(seconds=47 * i)


def every(make):
    return [make(i) for i in range(N)]


# By what a person would call it: what is it, and what is it not (with what it is instead).
PROMPTS = {
    "person": (
        [
            lambda i: f"Signed in: {pick(NAMES, i)} <{mail(i)}>",
            lambda i: f"User: {pick(NAMES, i).split()[0]}\nE-mail: {mail(i)}\nTier: standard",
            lambda i: f"user_name={pick(NAMES, i)}; user_email={mail(i)}",
            lambda i: f"Der Kunde heißt {pick(NAMES, i)}, E-Mail {mail(i)}.",
            lambda i: json.dumps({"name": pick(NAMES, i), "email": mail(i)}),
        ],
        [
            (lambda i: f"Product: Garden chair {pick(TOWNS, i)}", "slot"),
            (lambda i: f"You stand in the shop of {pick(TOWNS, i)}.", "slot"),
            (lambda i: f"Write to desk@shop.example.org about order {4000 + 37 * MIXED[i]}.", "number|identifier"),
            (lambda i: f"Ask Ines Prado on {at(i):%A %H:%M:%S}.", "clock"),
            (lambda i: choose(i, "Speak for the brand Nordlys.", "Speak for the brand Fjellheim."), "variants"),
        ],
    ),
    "locale": (
        [
            lambda i: f"Locale: {pick(['en-US', 'de-DE', 'pt-BR', 'ja-JP', 'fr-CA', 'nl-NL'], i)}",
            lambda i: f"Accept-Language: {pick(['fr-CA,fr;q=0.9', 'de-AT,de;q=0.8', 'en-GB,en;q=0.9'], i)}",
            lambda i: json.dumps({"lang": pick(["pt_BR", "en_US", "sv_SE", "it_IT", "ko_KR"], i), "units": "metric"}),
            lambda i: f"User language: {pick(['ja-JP', 'en-IE', 'es-MX', 'nb-NO'], i)}. Answer in it.",
            lambda i: f"Sprache des Kunden: {pick(['de-CH', 'fr-CH', 'it-CH', 'en-GB'], i)}",
        ],
        [
            (lambda i: f"Ship to: {pick(TOWNS, i)}", "slot"),
            (lambda i: f"Room: {pick(['attic', 'cellar', 'hall', 'shed', 'yard'], i)}", "slot"),
            (lambda i: f"Locale: en-US\nRequest {rng(i).getrandbits(64):016x}", "identifier"),
            (lambda i: f"Locale: de-DE\nUhrzeit: {at(i):%H:%M:%S}", "clock"),
            (lambda i: choose(i, "Colour: dark oak", "Colour: pale ash"), "variants"),
        ],
    ),
    "checklist": (
        [
            lambda i: f"Todo:\n{ticked(i)}",
            lambda i: f"Plan\n{ticked(i, '☑', '☐', '')}",
            lambda i: f"Tasks:\n{ticked(i, '[done]', '[pending]', '* ')}",
            lambda i: json.dumps(
                [{"content": s, "status": "completed" if k < MIXED[i] % 6 else "pending"} for k, s in enumerate(STEPS)]
            ),
            lambda i: f"Aufgaben:\n{ticked(i, '✅', '⬜')}",
        ],
        [
            (lambda i: f"Todo:\n{ticked(0)}\nSession {rng(i).getrandbits(80):020x}", "identifier"),
            (lambda i: f"Todo:\n{bullets(shuffled(STEPS, i))}", "reordered"),
            (lambda i: f"Todo:\n{ticked(0)}\nNow {at(i):%H:%M:%S}", "clock"),
            (lambda i: f"State of the order: {pick(['packed', 'on its way', 'returned', 'lost', 'paid'], i)}", "slot"),
            (lambda i: choose(i, f"Todo:\n{bullets(STEPS)}", "Do as you see fit, and say so at the end."), "variants"),
        ],
    ),
    "memory": (
        [
            lambda i: f"## Memory\n{bullets(some(FACTS, i))}",
            lambda i: f"Known facts about the user:\n{bullets(some(FACTS, i), '* ')}",
            lambda i: f"<memories>\n{bullets(some(FACTS, i // 2))}\n</memories>",
            lambda i: f"Notizen zum Kunden:\n{bullets(some(FACTS, i), '• ')}",
            lambda i: f"Remember what you learned:\n{bullets(some(FACTS, i, 0.7))}\nThat is all.",
        ],
        [
            (lambda i: f"## Memory\n{bullets(FACTS)}\nRead at {at(i):%H:%M:%S}.", "clock"),
            (lambda i: f"## Memory\n{bullets(shuffled(FACTS, i))}", "reordered"),
            (lambda i: f"## Memory\n{bullets(FACTS)}\nBalance: {rng(i).uniform(5, 900):.2f} EUR", "number"),
            (lambda i: f"## Memory\n{bullets(FACTS)}\nid {rng(i).getrandbits(96):024x}", "identifier"),
            (lambda i: f"## Memory of {pick(TOWNS, i)}\n{bullets(FACTS)}", "slot"),
        ],
    ),
    "working directory": (
        [
            lambda i: (
                f"Current branch: {choose(i, 'main', 'fix/seal', 'till-2')}\nStatus:\n"
                + "\n".join(f" M src/{name}" for name in some(FILES, i))
            ),
            lambda i: (
                f"On branch {choose(i, 'main', 'seal')}\nChanges not staged for commit:\n"
                + "\n".join(f"\tmodified:   {name}" for name in some(FILES, i))
            ),
            lambda i: "gitStatus:\n" + "\n".join(f"?? src/{name}" for name in some(FILES, i)),
            lambda i: (
                f"git status --short\n## main...origin/main [ahead {MIXED[i]}]\n"
                + "\n".join(f"M  {name}" for name in some(FILES, i))
            ),
            lambda i: (
                "Recent commits:\n"
                + "\n".join(f"{rng(i + k).getrandbits(28):07x} Fix {pick(FILES, (i + k) % N)}" for k in range(3))
                + f"\n\nStatus:\n M {pick(FILES, i)}"
            ),
        ],
        [
            (lambda i: f"Work in /srv/jobs/{pick(TOWNS, i).lower()}/out only.", "path"),
            (lambda i: "Files:\n" + "\n".join(shuffled(FILES, i)), "reordered"),
            (lambda i: f"Our branch in {pick(TOWNS, i)} is open.", "slot"),
            (lambda i: f"Build {rng(i).getrandbits(160):040x}", "identifier"),
            (lambda i: f"On branch main, nothing to commit. Checked {at(i):%Y-%m-%d %H:%M:%S}.", "clock"),
        ],
    ),
    "optional sentence": (
        [
            lambda i: "Serve the customer." + " The customer is a premium member, so waive the fee." * is_some(i),
            lambda i: "Be brief.\n" + "Never mention prices, as the shop is closed.\n" * is_some(i) + "Be kind.",
            lambda i: "Antworte auf Deutsch." + " Der Kunde ist bekannt, also frag nicht nach dem Namen." * is_some(i),
            lambda i: "Rules:\n" + "- Ask for a photo of the seal before you refund.\n" * is_some(i) + "- Be polite.",
            lambda i: "Note that this is a test account; promise nothing at all. " * is_some(i) + "Serve the customer.",
        ],
        [
            (lambda i: choose(i, "Waive the fee, and say so.", "Ask for a deposit of ten."), "variants"),
            (lambda i: "Old members pay nothing." if i < 9 else "Old members pay half, and new ones all.", "event"),
            (lambda i: f"Serve.{' Be quick.' * is_some(i)} Key {rng(i).getrandbits(96):024x}", "identifier"),
            (lambda i: f"Serve the customer{'  ' * is_some(i)} well.\n" + "\n" * is_some(i) + "Be kind.", "whitespace"),
            (lambda i: f"Serve {pick(TOWNS, i)} only.", "slot"),
        ],
    ),
    "appended": (
        [
            lambda i: "Transcript:\n" + "\n".join(f"Customer: {question(k)}" for k in range(i + 1)),
            lambda i: "Log:\n" + "\n".join(f"{k}: {QUESTIONS[k % 12]}" for k in range(i + 2)),
            lambda i: "Notizen:\n" + bullets([f"{QUESTIONS[k % 12]} ({k})" for k in range(i + 1)]),
            lambda i: "\n".join(json.dumps({"event": k, "desk": QUESTIONS[k % 12]}) for k in range(i + 1)),
            lambda i: "So far: " + " ".join(f"{QUESTIONS[k % 12]}" for k in range(i + 1)),
        ],
        [
            (lambda i: "Last three:\n" + "\n".join(question(k) for k in range(i, i + 3)), "slot"),
            (lambda i: f"Turn {i + 1}. Go on.", "counter"),
            (lambda i: f"Transcript: {QUESTIONS[0]}\nNow {at(i):%H:%M:%S}", "clock"),
            (lambda i: f"Log of {rng(i).getrandbits(96):024x}: {QUESTIONS[1]}", "identifier"),
            (lambda i: choose(i, f"Log:\n{QUESTIONS[0]}", f"Log:\n{QUESTIONS[1]}"), "variants"),
        ],
    ),
    "reordered": (
        [
            lambda i: "Files:\n" + "\n".join(f"src/{name}" for name in shuffled(FILES, i)),
            lambda i: json.dumps({"rooms": shuffled(["attic", "cellar", "hall", "shed", "yard"], i)}),
            lambda i: f"Rules:\n{bullets(shuffled(FACTS, i))}",
            lambda i: "Towns: " + ", ".join(shuffled(TOWNS, i)),
            lambda i: "\n\n".join(f"Q: {QUESTIONS[k]}\nA: Ask desk {k}." for k in shuffled(range(6), i)),
        ],
        [
            (lambda i: json.dumps(dict(shuffled(list(zip(TOWNS, FILES, strict=True)), i))), "json key order"),
            (lambda i: f"Files:\n{bullets(FILES)}\nRun {rng(i).getrandbits(96):024x}", "identifier"),
            (lambda i: f"Towns: {', '.join(TOWNS)}; open at {at(i):%H:%M:%S}", "clock"),
            (lambda i: f"Towns: {', '.join(sorted(TOWNS))}, and {pick(NAMES, i).split()[1]}", "slot|person"),
            (lambda i: choose(i, "First the seal, then the lamp.", "Only ever talk of garden chairs."), "variants"),
        ],
    ),
    "unicode form": (
        [
            lambda i: unicodedata.normalize(choose(i, "NFC", "NFD"), "Grüße für Käufer aus Århus und Gdańsk."),
            lambda i: choose(i, 'Say "thanks", don\'t guess.', "Say \u201cthanks\u201d, don\u2019t guess."),
            lambda i: choose(i, "Close at 18 h sharp.", "Close at 18\u00a0h sharp."),
            lambda i: choose(i, "Be kind and brief.", "Be kind\u200b and brief.\ufeff"),
            lambda i: choose(i, "Élan, café, naïve.", unicodedata.normalize("NFD", "Élan, café, naïve.")),
        ],
        [
            (lambda i: choose(i, "Be kind and brief.", "Be stern and thorough."), "variants"),
            (lambda i: choose(i, "Be kind.\nBe brief.", "Be kind.\n\n\nBe brief."), "whitespace"),
            (lambda i: f"Grüße! {at(i):%H:%M:%S}", "clock"),
            (lambda i: f"\u201cthanks\u201d {rng(i).getrandbits(96):024x}", "identifier"),
            (lambda i: choose(i, "Name the café.", "Name the cage."), "variants"),
        ],
    ),
    "variants": (
        [
            lambda i: choose(i, "Answer briefly, in one sentence.", "Explain step by step, with your reasons."),
            lambda i: choose(i, "Offer the lamp.", "Offer the chair and a lamp.", "Offer nothing unless asked."),
            lambda i: choose(i, "Antworte knapp und ohne Gruß.", "Begrüße jeden Kunden zuerst herzlich."),
            lambda i: json.dumps({"new_checkout": choose(i, True, False), "returns": True}),
            lambda i: choose(i, "Tone: playful", "Tone: dry, as a clerk would write"),
        ],
        [
            (lambda i: "Offer the lamp." if i < 9 else "Offer the chair, and never the lamp.", "event"),
            (lambda i: f"Offer goods of {pick(TOWNS, i)}.", "slot"),
            (lambda i: f"Offer the lamp until {at(i):%H:%M:%S}.", "clock"),
            (lambda i: choose(i, "Offer a lamp.\nGo.", "Offer a lamp.\n\n\nGo."), "whitespace"),
            (lambda i: choose(i, '{"a": 1, "b": [2]}', '{"b": [2], "a": 1}'), "json key order"),
        ],
    ),
    "relative time": (
        [
            lambda i: f"Last visit: {MIXED[i] + 2} {choose(i, 'minutes', 'hours', 'days')} ago.",
            lambda i: f"Der Kunde schrieb vor {MIXED[i] + 2} {choose(i, 'Minuten', 'Stunden', 'Tagen')}.",
            lambda i: f"Last order: {pick(['today', 'yesterday', '3 days ago', 'last week', '2 weeks ago'], i)}",
            lambda i: f"Vu il y a {MIXED[i] + 2} {choose(i, 'minutes', 'heures', 'jours')}.",
            lambda i: f"The session started {MIXED[i] + 2}m ago.",
        ],
        [
            (lambda i: f"There are {MIXED[i] + 2} crates left.", "number|counter"),
            (lambda i: f"Turn {i + 1} of 40.", "counter"),
            (lambda i: f"The desk is {MIXED[i] + 2} km away.", "number"),
            (lambda i: f"Three days ago was fine. Now {at(i):%H:%M:%S}", "clock"),
            (lambda i: f"{pick(TOWNS, i)} was visited long ago.", "slot"),
        ],
    ),
    "slot": (
        [
            lambda i: f"Mood of the day: {pick(['sunny', 'grey', 'windy', 'mild', 'stormy', 'calm'], i)}",
            lambda i: f"You stand in {pick(TOWNS, i)}, in {pick(['the attic', 'the yard', 'a shed'], i)}.",
            lambda i: f"Motto: {pick(FACTS, i)}",
            lambda i: f"Heute verkaufen wir {pick(['Lampen', 'Stühle', 'Kisten', 'Siegel', 'Boote'], i)}.",
            lambda i: f"Speak as {pick(['a sailor', 'a clerk', 'a poet', 'a baker', 'a judge'], i)} would.",
        ],
        [
            (lambda i: f"Now {at(i):%Y-%m-%dT%H:%M:%S}Z in Turku.", "clock"),
            (lambda i: f"Case {rng(i).getrandbits(128):032x}", "identifier"),
            (lambda i: f"Step {i + 1}", "counter"),
            (lambda i: f"Price: {rng(i).uniform(5, 900):.2f} EUR", "number"),
            (lambda i: f"See https://shop.example.org/{pick(TOWNS, i).lower()}/rules", "path"),
        ],
    ),
}


def reports(*, only_chats=False):
    """Return the reports of the table: what is meant, and what is near it; all, or those of Chat Completions."""
    made = []
    for word, (true, near) in PROMPTS.items():
        for k, (part, expects) in enumerate([(part, word) for part in true] + near):
            if only_chats and k % 3 == 1:
                continue
            name = f"{word.replace(' ', '_')}_{'is' if k < len(true) else 'is_not'}_{k % 5}"
            story = f"{word}: {part(0)[:60]!r}"
            made.append(Report(name, story, lambda part=part, k=k: history(part, k), accepted(expects), "system-0", ()))
    return made


def accepted(expects):
    """Return the words that a person may say; whoever has no name for what varies may say where it is."""
    words = tuple(expects.split("|"))
    # Few values that recur are variants to some.
    return (*words, "variants") if "slot" in words else words


def history(part, k, language="en", seed=0):
    """Return the log lines of a prompt in which a part varies, at its front or in its middle."""
    text, more = manual(80 + k % 3 + seed, 800, language), manual(90 + k % 3 + seed, 500, language)
    if k % 3 == 0:
        return sent(every(lambda i: chat(f"{part(i)}\n{text}\n{more}", question(i))))
    if k % 3 == 1:
        return sent(every(lambda i: claude(f"{text}\n{part(i)}\n{more}", question(i))))
    return sent(every(lambda i: chat(f"You serve a shop.\n\n{part(i)}\n\n{text}\n{more}", question(i))), usage=True)
