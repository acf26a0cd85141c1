"""Windows that change in one known way, for each kind of change, and near misses that only resemble it.

A row holds what is at the changing place in each of twelve requests. Everything is made from a seed.
"""

import json
import random
import string
import uuid
from datetime import UTC, datetime, timedelta

from babel.dates import get_day_names, get_month_names

from acg_lab.diagnosis import Kind

N = 12
START = datetime(2026, 11, 20, 14, 32, 7, 123456, tzinfo=UTC)
LEAD = "You are asked about orders of a shop. Answer in the language of the customer, and never promise a date. "
TAIL = " Whatever happens, stay polite, name the article by its full name, and end with the number of the ticket."


def each(make):
    return [make(i) for i in range(N)]


def drawn(make, seed=1):
    """Return values of a seeded generator."""
    rng = random.Random(seed)
    return [make(rng) for _ in range(N)]


def moments(form, **step):
    return each(lambda i: form(START + i * timedelta(**step)))


def stamped(form, **step):
    return moments(lambda moment: moment.strftime(form), **step)


def digits(rng, n):
    return "".join(rng.choices(string.digits, k=n))


def hexes(rng, n):
    return "a1" + "".join(rng.choices("0123456789abcdef", k=n - 2))


def mixed(rng, n):
    return "a1B2" + "".join(rng.choices(string.ascii_letters + string.digits, k=n - 4))


NAMES = ["Ada", "Björn", "Chloe", "Dmitri", "Eva", "Farid", "Grace", "Hana", "Ivo", "June", "Kofi", "Lena"]
WORDS = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "heath", "inlet", "jetty", "knoll", "lagoon"]
NUMERALS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
SHUFFLED = [7, 2, 9, 4, 11, 1, 8, 3, 12, 6, 10, 5]

LANGUAGES = {
    "{day}, {m.day}. {month} {m.year}, {m:%H:%M} Uhr": "de",
    "{day} {m.day} {month} {m.year} à {m.hour}h{m.minute:02}": "fr",
    "{day}, {m.day} de {month} de {m.year}": "es",
    "{m.day} de {month} de {m.year}": "pt",
    "{day} {m.day} {month} {m.year}": "it",
    "{m.day} {month} {m.year}": "nl",
    "{day}, {m.day} {month} {m.year} ": "pl",
    "{day}, {m.day} {month} {m.year} г.": "ru",  # noqa: RUF001
    "{m.day} {month} {m.year}, {day}": "tr",
    "{m.day}. {month}": "cs",
}


def in_language(form, moment):
    """Return the names of a moment's day and month in the language of a form."""
    language = LANGUAGES[form]
    days, months = get_day_names("wide", "format", language), get_month_names("wide", "format", language)
    return {"day": days[moment.weekday()], "month": months[moment.month]}


TRUE = {
    Kind.DATETIME: [
        stamped("%Y-%m-%d", days=1),
        stamped("%Y-%m-%dT%H:%M:%SZ", seconds=61),
        stamped("%Y-%m-%d %H:%M:%S.%f+01:00", seconds=1),
        stamped("%A, %d %B %Y, %H:%M UTC", hours=11),
        stamped("%a, %d %b %Y %H:%M:%S +0000", hours=30),
        stamped("%m/%d/%Y", days=1),
        stamped("%d.%m.%Y", days=40),
        stamped("%b %d, %Y", days=9),
        stamped("%B %Y", days=31),
        stamped("%H:%M", minutes=7),
        stamped("%I:%M %p", minutes=77),
        stamped("%A", days=1),
        stamped("%Y年%m月%d日", days=3),
        moments(lambda moment: str(int(moment.timestamp())), seconds=7919),
        moments(lambda moment: str(int(moment.timestamp() * 1000)), seconds=7919),
        stamped("%Y%m%dT%H%M%SZ", minutes=13),
        stamped("%Y%m%d", days=3),
        stamped("%Y%m%d%H%M%S", minutes=13),
        stamped("report-%Y-%m-%d_%H-%M-%S.txt", minutes=13),
        stamped("%Y-%m-%dT%H", hours=1),
        stamped("%d.%m.%y", days=3),
        stamped("%d-%b-%Y", days=40),
        stamped("%d/%b/%Y:%H:%M:%S +0000", hours=5),
        stamped("it is %a", days=1),
        stamped("in %B", days=31),
        stamped("%G-W%V", days=7),
        stamped("%Hh%M", minutes=13),
        stamped("%H.%M Uhr", minutes=13),
        moments(lambda moment: f"{moment.hour % 12 or 12} pm", hours=1),
        moments(lambda moment: f"Q{(moment.month + 2) // 3} {moment.year}", days=91),
        moments(lambda m: f"本日は{m.year}年{m.month}月{m.day}日({'月火水木金土日'[m.weekday()]})です", days=1),
        moments(lambda m: f"今天是星期{'一二三四五六日'[m.weekday()]}", days=1),
        moments(lambda m: f"下午{m.hour % 12}点", hours=1),
        moments(lambda m: f"{m.year}년 {m.month}월 {m.day}일 {m.hour}시", hours=9),
        *(moments(lambda m, names=names: names.format(m=m, **in_language(names, m)), days=9) for names in LANGUAGES),
    ],
    Kind.IDENTIFIER: [
        drawn(lambda rng: str(uuid.UUID(int=rng.getrandbits(128), version=4))),
        drawn(lambda rng: hexes(rng, 32)),
        drawn(lambda rng: hexes(rng, 64)),
        drawn(lambda rng: hexes(rng, 7)),
        drawn(lambda rng: f"toolu_{mixed(rng, 20)}"),
        drawn(lambda rng: f"call_{mixed(rng, 12)}"),
        drawn(lambda rng: f"req-{hexes(rng, 10)}"),
        drawn(lambda rng: f"sess:{hexes(rng, 16)}"),
        drawn(lambda rng: f"sha256:{hexes(rng, 64)}"),
        drawn(lambda rng: f"eyJ{mixed(rng, 17)}.{mixed(rng, 30)}.{mixed(rng, 40)}"),
        drawn(lambda rng: f"{mixed(rng, 30)}+/{mixed(rng, 10)}=="),
        drawn(lambda rng: "4" + digits(rng, 17)),
        drawn(lambda rng: f"01{mixed(rng, 24).upper()}"),
        drawn(lambda rng: f"session-{uuid.UUID(int=rng.getrandbits(128), version=4)}"),
        drawn(lambda rng: f"00-{hexes(rng, 32)}-{hexes(rng, 16)}-01"),
        drawn(lambda rng: ":".join(f"{rng.getrandbits(8):02x}" for _ in range(6))),
        drawn(lambda rng: "".join(rng.choices(string.ascii_letters + string.digits + "_-", k=21))),
        drawn(lambda rng: "".join(rng.choices(string.ascii_lowercase + string.digits, k=8))),
        drawn(lambda rng: "chatcmpl-" + "".join(rng.choices(string.ascii_letters + string.digits, k=29))),
    ],
    Kind.PATH: [
        each(lambda i: f"/home/{WORDS[i]}/project/"),
        each(lambda i: f"/tmp/run-{SHUFFLED[i]}/out.txt"),
        each(lambda i: f"C:\\Users\\{NAMES[i]}\\notes.txt"),
        each(lambda i: f"~/projects/{WORDS[i]}/main.py"),
        each(lambda i: f"./src/{WORDS[i]}/x.py"),
        each(lambda i: f"https://shop.example.com/{WORDS[i]}?page={i}"),
        each(lambda i: f"s3://bucket/{WORDS[i]}/data.csv"),
        each(lambda i: f"node-{SHUFFLED[i]}.cluster.local"),
        each(lambda i: f"{WORDS[i]}.internal.example.com:8443"),
        each(lambda i: f"10.0.{SHUFFLED[i]}.4:8080"),
        each(lambda i: f"{WORDS[i]}.svc"),
        each(lambda i: f"/tmp/{WORDS[i]}"),
        each(lambda i: f"src/{WORDS[i]}/main.py"),
        each(lambda i: f"\\\\files\\{WORDS[i]}\\x"),
        each(lambda i: f"2001:db8::{SHUFFLED[i]:x}:7"),
        each(lambda i: f"localhost:{8000 + SHUFFLED[i]}"),
        drawn(lambda rng: f"agent-7d9f8b6c5d-{''.join(rng.choices('bcdfghjklmnpqrstvwxz2456789', k=5))}"),
    ],
    Kind.COUNTER: [
        each(lambda i: f"turn {i + 1}"),
        each(lambda i: f"request no. {1000 + i}"),
        each(lambda i: f"page {5 * i} of 90"),
        each(lambda i: f"{600 - 7 * i} messages left"),
        each(lambda i: f"try {i // 2}"),
        each(lambda i: f"try {i // 2} of 9"),
        each(lambda i: f"ticket HM-{37000 + 3 * i}"),
        each(lambda i: f"v1.2, build {88 + i}"),
        each(lambda i: f"step{i}"),
        each(lambda i: f"#{100 + 2 * i}"),
        each(lambda i: f"({i})"),
        each(lambda i: f"request {990 + 7 * i:,}"),
    ],
    Kind.NUMBER: [
        each(lambda i: f"{SHUFFLED[i]} articles"),
        each(lambda i: f"{SHUFFLED[i] * 1.25:.2f} EUR"),
        each(lambda i: f"${SHUFFLED[i]},{100 + i * 37 % 900}"),
        each(lambda i: f"{SHUFFLED[i]}%"),
        each(lambda i: f"\u2212{SHUFFLED[i]} degrees"),
        each(lambda i: f"{SHUFFLED[i]}e-{i + 3}"),
        each(lambda i: f"zip {10000 + SHUFFLED[i] * 731}"),
        each(lambda i: f"1.2.{SHUFFLED[i]}"),
        each(lambda i: f"{SHUFFLED[i]} of {SHUFFLED[-i]}"),
        each(lambda i: f"{SHUFFLED[i]}x"),
        each(lambda i: f"HM-{371600 + SHUFFLED[i]}"),
        each(lambda i: f"aisle {i} shelf {SHUFFLED[i]}"),
    ],
    Kind.WHITESPACE: [
        *([f"a list:{gap}one,{gap * i if i % 2 else gap}two" for i in range(N)] for gap in ("\n", "\n\n", "\n ")),
        each(lambda i: "first" + "\n" * (i + 1) + "second"),
        each(lambda i: "first\nsecond" if i % 2 else "first second"),
        each(lambda i: "first second" if i < 5 else "first\nsecond"),
        each(lambda i: "a\n b" if i % 3 else "a\nb"),
        each(lambda i: "a -\n b" if i % 2 else "a -\nb"),
        each(lambda i: "{}\n" * 3 if i % 2 else "{}{}{}"),
        each(lambda i: "日本\n語" if i % 2 else "日本語"),
        each(lambda i: "one\none" + "\n" * (1 + i % 4) + "two"),
    ],
    Kind.JSON_KEY_ORDER: [
        each(lambda i: '{"a": 1, "b": 2}' if i % 2 else '{"b": 2, "a": 1}'),
        each(lambda i: '{"a": 1.0, "b": 2}' if i % 2 else '{"a": 1, "b": 2}'),
        each(lambda i: '{"a": 1000.5}' if i % 2 else '{"a": 1.0005e3}'),
        each(lambda i: json.dumps(dict(random.Random(i).sample(list(zip(WORDS, range(N), strict=True)), N)))),
        each(lambda i: json.dumps({"x": dict(random.Random(i).sample(list(zip(NAMES, WORDS, strict=True)), N))})),
        each(lambda i: json.dumps([{"p": 1, "q": 2}] if i % 2 else [{"q": 2, "p": 1}])),
        each(lambda i: "```json\n" + ('{"k":1,"l":[]}' if i % 2 else '{"l":[],"k":1}') + "\n```"),
        each(lambda i: '{"é": 1, "z": 2}' if i % 2 else '{"z": 2, "\\u00e9": 1}'),
        each(lambda i: '{"a": {"c": 1, "d": {"e": 1, "f": 2}}}' if i < 4 else '{"a": {"d": {"f": 2, "e": 1}, "c": 1}}'),
        each(lambda i: '{"a": -0.0, "b": 1}' if i % 2 else '{"b": 1, "a": 0}'),
        each(lambda i: '{"a": 1e2, "b": 1} and {"c": 1}' if i % 2 else '{"b": 1, "a": 100} and {"c": 1.0}'),
    ],
    Kind.RETRIEVED_TEXT: [
        each(lambda i: "\n".join(f"[{k}] score 0.{90 - k}{i}\n{WORDS[(i + k) % N]} stands here." for k in (1, 2, 3))),
        each(lambda i: "\n".join(f"<document>{NAMES[(i * k) % N]}</document>" for k in (1, 2, 3))),
        each(lambda i: "\n".join(f"Source {k}: {WORDS[(i + k) % N]}, {NAMES[i]}" for k in (1, 2))),
        each(lambda i: "\n".join(f"Passage #{k}\n{WORDS[(i + k) % N]} {NAMES[i]}" for k in (1, 2, 3, 4))),
        each(lambda i: "Retrieved:\n" + "\n".join(f"[{k}] {WORDS[i]} {NAMES[(i + k) % N]}" for k in (1, 2))),
        each(lambda i: "\n".join(f"chunk 7.{k} relevance {i}\n{WORDS[(i + k) % N]}" for k in (1, 2))),
        each(lambda i: "\n".join(f"- Document {k}: {NAMES[(i + k) % N]}" for k in (1, 2, 3))),
        each(lambda i: "\n".join(f'<chunk id="{k}">{WORDS[(i + k) % N]}</chunk>' for k in (4, 5))),
        each(lambda i: "\n".join(f"[{k}] (similarity {k}{i}) {WORDS[(i * 5) % N]}" for k in (1, 2, 3))),
        each(lambda i: "\n".join(f"## Result {k}\nsource: {WORDS[(i + k) % N]}" for k in (1, 2))),
    ],
    Kind.VARIANTS: [
        each(lambda i, k=k, a=a, b=b: f"Speak of the {a if i % k else b} first.")
        for k in (2, 3, 4)
        for a, b in (("blue tents", "old boots"), (WORDS[0], NAMES[0]), ("\u2603 snow", "sun"), ("yes", "no"))
    ],
    Kind.UNKNOWN: [
        each(lambda i: NAMES[i]),
        each(lambda i: f"{WORDS[i]} and {NAMES[-i]}"),
        each(lambda i: NUMERALS[i]),
        each(lambda i: f"the {WORDS[i]} is {WORDS[-i]}"),
        each(lambda i: WORDS[i // 3]),
        each(lambda i: NAMES[i].upper()),
        each(lambda i: "!" * (i + 1)),
        each(lambda i: WORDS[i][::-1]),
        each(lambda i: f"mail {WORDS[i]}@{NAMES[i]}"),
        each(lambda i: f"<{WORDS[i]}>"),
        each(lambda i: "old words" if i < 7 else "new ones"),
    ],
}

NEAR = {
    Kind.DATETIME: [
        each(lambda i: f"1.2.{SHUFFLED[i]}"),
        each(lambda i: f"10.0.0.{SHUFFLED[i]}"),
        each(lambda i: f"2026-13-{10 + i}"),
        each(lambda i: f"555-01{SHUFFLED[i]:02}"),
        each(lambda i: f"$12.{10 + SHUFFLED[i]}"),
        each(lambda i: f"{SHUFFLED[i]}/4"),
        each(lambda i: f"16:{SHUFFLED[i] % 9}"),
        each(lambda i: f"May {NAMES[i]} come in"),
        each(lambda i: f"v2026.{SHUFFLED[i]}"),
        each(lambda i: f"{1234567 + 911 * SHUFFLED[i]}"),
        each(lambda i: f"{31 + i} November 2026x"),
        each(lambda i: f"29:{60 + SHUFFLED[i]}"),
        each(lambda i: f"{SHUFFLED[i]} out of 20"),
        each(lambda i: f"{SHUFFLED[i]} set aside, {i} dec"),
        each(lambda i: f"202613{10 + SHUFFLED[i]}"),
        each(lambda i: f"10:{WORDS[i]}"),
        each(lambda i: f"有{SHUFFLED[i]}点建议"),
        each(lambda i: f"{SHUFFLED[i]}時間"),
    ],
    Kind.IDENTIFIER: [
        each(lambda i: f"HM-{371600 + SHUFFLED[i]}"),
        each(lambda i: WORDS[i] * 3),
        each(lambda i: ["deadbeef", "facade", "decade", "cafe"][i % 4]),
        each(lambda i: f"get{WORDS[i].title()}ByName"),
        each(lambda i: f"gpt-{SHUFFLED[i]}o-mini"),
        each(lambda i: f"A{SHUFFLED[i]}"),
        each(lambda i: f"port {8000 + SHUFFLED[i]}"),
        each(lambda i: "inter" + "national" * (i + 1)),
        each(lambda i: f"mp{SHUFFLED[i]}"),
        each(lambda i: f"{SHUFFLED[i]}.5.1"),
        each(lambda i: NAMES[i].upper() * 4),
        each(lambda i: f"{['alpha', 'gamma', 'delta', 'omega', 'kappa'][i % 5]}-mode"),
        each(lambda i: f"{WORDS[i]}-{SHUFFLED[i]:04}"),
        stamped("%Y-%m-%d", days=1),
    ],
    Kind.PATH: [
        each(lambda i: f"{WORDS[i]}/{NAMES[i]}"),
        each(lambda i: f"{SHUFFLED[i]} km/h"),
        each(lambda i: f"</{WORDS[i]}>"),
        each(lambda i: f"{SHUFFLED[i]}/4"),
        each(lambda i: f"{WORDS[i]}@example.com"),
        each(lambda i: f"U.S.A. {NAMES[i]}"),
        each(lambda i: f"1.2.{SHUFFLED[i]}"),
        each(lambda i: f"{WORDS[i]}... {NAMES[i]}"),
        each(lambda i: f"e.g. {WORDS[i]}"),
        each(lambda i: f"{WORDS[i]}: {NAMES[i]}"),
        each(lambda i: f"{WORDS[i]}.{NAMES[i]}"),
        each(lambda i: f"std::{WORDS[i]}"),
        each(lambda i: f"{WORDS[i]}/{NAMES[i]}/{WORDS[-i]}"),
        each(lambda i: f"and/or {WORDS[i]}.py"),
    ],
    Kind.COUNTER: [
        each(lambda i: f"turn {SHUFFLED[i]}"),
        each(lambda i: f"turn {i} of {100 - i}"),
        each(lambda i: f"{i}.5"),
        each(lambda i: f"turn {i % 4}"),
        each(lambda i: f"turn {2**i}"),
        each(lambda i: f"turn {i // 4}"),
        each(lambda i: f"turn {NUMERALS[i]}"),
        each(lambda i: f"turn {i} {NAMES[i]}"),
        each(lambda i: f"turn {i if i < 9 else 1}"),
        stamped("%H:%M", minutes=1),
        drawn(lambda rng: digits(rng, 6)),
    ],
    Kind.NUMBER: [
        each(lambda i: NUMERALS[i]),
        each(lambda i: f"turn {i}"),
        each(lambda i: f"{NAMES[i]} {SHUFFLED[i]}"),
        each(lambda i: "I" * (i + 1)),
        stamped("%Y-%m-%d", days=1),
        drawn(lambda rng: hexes(rng, 12)),
        each(lambda i: f"/data/{SHUFFLED[i]}/x"),
        each(lambda i: f"{SHUFFLED[i]} {WORDS[i]}s"),
        each(lambda i: "one" if i % 2 else "1"),
        each(lambda i: "\n" * (i + 1)),
        each(lambda i: '{"a": 1.0}' if i % 2 else '{"a": 1}'),
    ],
    Kind.WHITESPACE: [
        each(lambda i: "a, b" if i % 2 else "a b"),
        each(lambda i: "A b" if i % 2 else "a b"),
        each(lambda i: "a-b" if i % 2 else "a b"),
        each(lambda i: "a\n- b" if i % 2 else "a\nb"),
        each(lambda i: f"a\n{NAMES[i]}"),
        each(lambda i: "a\u200bb" if i % 2 else "ab"),
        each(lambda i: "a_b" if i % 2 else "a b"),
        each(lambda i: "a\n\nb." if i % 2 else "a\nb"),
        each(lambda i: "b a" if i % 2 else "a b"),
        each(lambda i: f"a\n{SHUFFLED[i]}"),
    ],
    Kind.JSON_KEY_ORDER: [
        each(lambda i: "[1, 2]" if i % 2 else "[2, 1]"),
        each(lambda i: '{"a": 1}' if i % 2 else '{"a": 2}'),
        each(lambda i: '{"a": 1}' if i % 2 else '{"b": 1}'),
        each(lambda i: '{"a": 1}' if i % 2 else '{"a": 1, "b": 1}'),
        each(lambda i: '{"a": null}' if i % 2 else "{}"),
        each(lambda i: '{"a": "1"}' if i % 2 else '{"a": 1}'),
        each(lambda i: '{"a": true}' if i % 2 else '{"a": 1}'),
        each(lambda i: '{"a": 1, "b": 2}' if i % 2 else '{"a": 2, "b": 1}'),
        each(lambda i: "a 1, b 2" if i % 2 else "b 2, a 1"),
        each(lambda i: '{"a": 1, "b": 2' if i % 2 else '{"b": 2, "a": 1'),
    ],
    Kind.RETRIEVED_TEXT: [
        each(lambda i: f"1. Greet {NAMES[i]}.\n2. Ask for the number.\n3. Answer."),
        each(lambda i: f"[1] score {SHUFFLED[i]}"),
        each(lambda i: f"- document the {WORDS[i]}\n- source the {NAMES[i]}"),
        each(lambda i: f"The score of {NAMES[i]} is known."),
        each(lambda i: f"[a] {WORDS[i]}\n[b] {NAMES[i]}\n score"),
        each(lambda i: f"Source code of {WORDS[i]}\nresult of {NAMES[i]}"),
        each(lambda i: f"(1) {WORDS[i]}\n(2) {NAMES[i]}"),
        each(lambda i: "\n".join(f"[{k}] score {WORDS[(k + i) % 3]}" for k in (1, 2))),
        each(lambda i: f"Question 1: {NAMES[i]}\nQuestion 2: {WORDS[i]}"),
        each(lambda i: f"1) {NAMES[i]}, passage to India\n2) {WORDS[i]}"),
    ],
    Kind.VARIANTS: [
        each(lambda i: NAMES[i]),
        each(lambda i: WORDS[i // 3]),
        each(lambda i: "old words" if i < 7 else "new ones"),
        each(lambda i: WORDS[i * 5 % 7]),
        each(lambda i: "a\nb" if i % 2 else "a b"),
        each(lambda i: "1" if i % 2 else "2"),
        each(lambda i: "2026-01-02" if i % 2 else "2026-01-03"),
        each(lambda i: '{"a":1,"b":2}' if i % 2 else '{"b":2,"a":1}'),
        each(lambda i: "/a/b/c" if i % 2 else "/a/b/d"),
        each(lambda i: f"{NAMES[i]} {'x' if i % 2 else 'y'}"),
    ],
    Kind.UNKNOWN: [rows[0] for kind, rows in TRUE.items() if kind is not Kind.UNKNOWN]
    + [TRUE[Kind.DATETIME][2], TRUE[Kind.IDENTIFIER][2]],
}
