"""Histories in which messages vary as users report it, each kind with a near miss: forms, first messages, summaries."""

from datetime import timedelta
from functools import partial

import request_reports
from report_words import HEALTHY
from request_reports import every, rng
from sent_requests import MARK, QUESTIONS, START, chat, claude, conversation, manual, question, sent

TABLE = []
row = partial(request_reports.row, table=TABLE)


def reports():
    """Return the reports of the table."""
    return TABLE


def clock(i):
    return f"{START + timedelta(seconds=61 * i):%Y-%m-%d %H:%M:%S}"


# --- white space that only the provider sees ---


@row("whitespace", r"system-0")
def line_ends_of_workers(k):
    """Some workers read the prompt file with other line ends, blank lines or spaces at the ends of lines."""
    text = manual(801 + k)
    other = [text.replace("\n", s) for s in ("\r\n", "\n\n", " \n", "\r\n", "\n  ")][k]
    prompts = every(lambda i: other if rng(k, i).random() < 0.5 else text)
    return sent(every(lambda i: (chat if k == 2 else claude)(prompts[i], question(i))), usage=k % 2 == 0)


@row(HEALTHY)
def line_ends_of_one_kind(k):
    """All workers read the prompt file with the line ends of Windows, and users write with either."""
    text = manual(801 + k).replace("\n", "\r\n")

    def body(i):
        return (chat if k == 2 else claude)(text, f"{QUESTIONS[k]}{(chr(13) + chr(10)) * (i % 2)} Order {i}.")

    return sent(every(body), usage=k % 2 == 0)


# --- first messages ---


@row("retrieved text", r"user-\d+")
def passages_before_the_brief(k):
    """There is no system prompt; the first message holds what was found, then the brief, then the question."""

    def passages(i):
        picked = rng(k, i).sample(range(30), 4)
        made = [
            '<document index="{n}">\n{text}\n</document>',
            "[{n}] (score 0.8)\n{text}",
            "Source {n}: {text}",
            "<chunk id={n}>{text}</chunk>",
            "Passage {n} (relevance 0.7)\n{text}",
        ][k]
        return "\n\n".join(made.format(n=n, text=manual(820 + p, 70)) for n, p in enumerate(picked, 1))

    make = [chat, claude][k % 2]
    return sent(every(lambda i: make(None, f"{passages(i)}\n\n{manual(850 + k)}\n\n{question(i)}")), usage=k > 2)


@row("stable start of a message|nothing", r"user-\d+")
def passages_behind_the_brief(k):
    """The first message holds the brief, then what was found; OpenAI reads the brief, Anthropic no part of a block."""

    def passages(i):
        picked = rng(k, i).sample(range(30), 3)
        return "\n\n".join(f"[{n}] (score 0.8)\n{manual(820 + p, 70)}" for n, p in enumerate(picked, 1))

    make = [claude, chat][k % 2]
    return sent(every(lambda i: make(None, f"{manual(850 + k, 1800)}\n\n{passages(i)}\n\n{question(i)}")), usage=True)


# --- examples as messages ---


def shots_of(k):
    """Return the messages of some examples, in pairs."""
    return [(QUESTIONS[n], f"Desk {n} has it. {manual(860 + n, 60 + 20 * (k % 3))}") for n in range(4 + k)]


@row("reordered", r"(user|assistant)-\d+")
def examples_in_any_order(k):
    """Pairs of examples are shuffled for every request."""
    shots = shots_of(k)

    def body(i):
        said = [text for pair in rng(k, i).sample(shots, len(shots)) for text in pair]
        return [chat, claude][k % 2](manual(870 + k, 900), *said, question(i))

    return sent(every(body), usage=k > 2)


@row("clock", r"user-1|user-0")
def examples_with_a_clock(k):
    """The examples keep their order, and the first of them says what time it is."""
    shots = shots_of(k)

    def body(i):
        first = f"It is {clock(i)}. {shots[0][0]}"
        said = [first, shots[0][1], *(text for pair in shots[1:] for text in pair)]
        return chat(manual(870 + k, 900), *said, question(i))

    return sent(every(body), usage=k > 2)


# --- summaries ---


@row("conversation cut to a summary")
def compacted_conversations(k):
    """Once a conversation is long, its beginning becomes a summary, which the newest messages follow."""
    system = manual(880 + k)
    bodies = conversation(system, 14, tokens=[120, 0, 60, 200, 90][k], make=[chat, claude][k % 2])
    text = f"Summary of what was said: {manual(885 + k, 150)}"
    told = [{"role": "user", "content": text}]
    if k > 2:
        told.append({"role": "assistant", "content": "I have read it."})
    cut, kept = 7 + k, [2, 4, 6, 3, 5][k]
    later = []
    for body in bodies[cut:]:
        n_leading = len(body["messages"]) - len(bodies[0]["messages"]) + 1
        leading = body["messages"][: len(body["messages"]) - n_leading]
        later.append({**body, "messages": [*leading, *told, *body["messages"][2 * (cut - kept) :]]})
    made = [*bodies[:cut], *later]
    if k % 2:
        for body in made:
            said = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in body["messages"]]
            said[-1]["content"][0] |= MARK
            body["messages"] = said
    return sent(made, run=lambda _: 1, usage=True)


@row(HEALTHY)
def newest_messages_that_are_edited(k):
    """Users edit their newest message and send it again, each time with another answer."""
    bodies = []
    for body in conversation(manual(890 + k), 7 + k):
        *before, newest = body["messages"]
        bodies += [{**body, "messages": [*before, {**newest, "content": f"{newest['content']} Quickly!"}]}, body]
    return sent(bodies, run=lambda _: 1, usage=True)
