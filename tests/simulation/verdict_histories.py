"""Histories that have one verdict each; usage typed by hand."""

from simulation.histories import HOUR, MARKER, assistant, block, body, sent, text, tool, user

POLICY = text(2000, "policy")
TOOLS = (tool("find", 300), tool("book", 300), tool("cancel", 300), tool("refund", 300))


def ask(*messages, system=None, marker=MARKER, **more):
    return body(*messages, system=[block(POLICY if system is None else system, marker)], **more)


def two(first, second, usage_1, usage_2, *, gap=20.0, **more):
    """Two requests of one run."""
    return sent(first, 0, usage_1), sent(second, gap, usage_2, **more)


WROTE, READ, NOTHING = (2010, 0, 2000), (2010, 2000, 0), (2010, 0, 0)
Q, R = user("first question"), user("another question, which is longer")

HITS = {
    "same system": two(ask(Q), ask(R), WROTE, READ),
    "first of a run that reads the scaffold": (sent(ask(Q), 0, WROTE), sent(ask(R), 9, READ, run="r2")),
    "growing conversation": two(
        body(user(block("a" * 8000, MARKER))),
        body(user(block("a" * 8000)), assistant("ok"), user(block("go on", MARKER))),
        (2003, 0, 2003),
        (2012, 2003, 9),
    ),
    "at 299 seconds": two(ask(Q), ask(R), WROTE, READ, gap=299.0),
    "an hour's entry after 20 minutes": two(ask(Q, marker=HOUR), ask(R, marker=HOUR), WROTE, READ, gap=1200.0),
    "renewed by a read": (
        sent(ask(Q), 0, WROTE),
        sent(ask(Q), 200, READ),
        sent(ask(R), 400, READ),
    ),
    "a breakpoint that moves": two(
        body(user(block("a" * 8000, MARKER))),
        body(user(block("a" * 8000)), assistant("ok"), user(block("b" * 40, MARKER))),
        (2003, 0, 2003),
        (2020, 2003, 17),
    ),
    "automatic mode": two(
        body(user("a" * 8000), cache_control=MARKER),
        body(user("a" * 8000), assistant("ok"), user("go on"), cache_control=MARKER),
        (2003, 0, 2003),
        (2012, 2003, 9),
    ),
}

MODEL = {
    f"{old} to {new}": two(ask(Q, model=old), ask(R, model=new), WROTE, (2010, 0, 2000))
    for old, new in (
        ("claude-sonnet-4-5", "claude-sonnet-4-6"),
        ("claude-sonnet-4-5", "claude-opus-4-1"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-8", "claude-sonnet-5"),
        ("claude-sonnet-4-0", "claude-sonnet-4-5"),
    )
}

TOOL_CASES = {
    name: two(ask(Q, tools=TOOLS), ask(R, tools=after), (3300, 0, 3290), (3300, read, 3290 - read))
    for name, after, read in (
        ("reordered by a deployment", TOOLS[::-1], 0),
        ("the last two exchanged", (*TOOLS[:2], TOOLS[3], TOOLS[2]), 0),
        ("one added in front", (tool("new", 300), *TOOLS), 0),
        ("one removed", TOOLS[1:], 0),
        ("a word in a description", (tool("find", 301), *TOOLS[1:]), 0),
        ("keys in another order", ({key: TOOLS[0][key] for key in reversed(TOOLS[0])}, *TOOLS[1:]), 0),
    )
}

SYSTEM_CASES = {
    name: two(ask(Q, system=before), ask(R, system=after), WROTE, (2010, 0, 2000))
    for name, before, after in (
        ("a date at the start", "Today is 2026-11-06. " + POLICY, "Today is 2026-11-07. " + POLICY),
        ("a clock in the middle", POLICY[:4000] + " 14:31 " + POLICY[4000:], POLICY[:4000] + " 14:32 " + POLICY[4000:]),
        ("one letter at the end", POLICY + "a", POLICY + "b"),
        ("white space", POLICY, POLICY.replace(" ", "  ", 1)),
        ("a user's name", "For Ada. " + POLICY, "For Bob. " + POLICY),
    )
}
SYSTEM_CASES["text to one block"] = two(
    body(Q, system=POLICY, cache_control=MARKER), ask(Q), (2010, 0, 2010), (2010, 0, 2000)
)

LONG = user(block("a" * 8000, MARKER))
PARAMETERS = {
    name: two(body(LONG, **before), body(LONG, **after), (2003, 0, 2003), (2003, 0, 2003))
    for name, before, after in (
        ("tool_choice forced", {"tools": TOOLS[:1]}, {"tools": TOOLS[:1], "tool_choice": {"type": "any"}}),
        ("thinking on", {}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ("another budget", *({"thinking": {"type": "enabled", "budget_tokens": n}} for n in (2000, 4000))),
        ("effort", {}, {"output_config": {"effort": "low"}}),
        ("speed", {}, {"speed": "fast"}),
        (
            "no parallel tools",
            {"tools": TOOLS[:1]},
            {"tools": TOOLS[:1], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
    )
}


def talk(*contents, cache_last=True):
    """A conversation of user and assistant in turn, with a breakpoint at its end."""
    made = []
    for i, content in enumerate(contents):
        last = i == len(contents) - 1
        one = block(content, MARKER if last and cache_last else None)
        made.append(user(one) if i % 2 == 0 else assistant(one))
    return body(*made)


A, B, C, D, E = (text(1200, letter) for letter in "ABCDE")
HISTORY = {
    "a message edited": two(talk(A, B, C), talk("x" + A[1:], B, C, D, E), (3600, 0, 3600), (6000, 0, 6000)),
    "the first turn dropped": two(talk(A, B, C), talk(C, D, E), (3600, 0, 3600), (3600, 0, 3600)),
    "one inserted": two(talk(A, B, C), talk("n" * 40, "m" * 40, A, B, C), (3600, 0, 3600), (3620, 0, 3620)),
    "another shape": two(
        body(user(A), assistant(B), user(block(C, MARKER))),
        body(user(block(A)), assistant(block(B)), user(block(C)), assistant(D), user(block(E, MARKER))),
        (3600, 0, 3600),
        (6000, 0, 6000),
    ),
    "a tool's result pruned": two(
        body(
            user(A),
            assistant({"type": "tool_use", "id": "1", "name": "f", "input": {}}),
            user({"type": "tool_result", "tool_use_id": "1", "content": B}, block(C, MARKER)),
        ),
        body(
            user(A),
            assistant({"type": "tool_use", "id": "1", "name": "f", "input": {}}),
            user({"type": "tool_result", "tool_use_id": "1", "content": "pruned"}, block(C, MARKER)),
        ),
        (3650, 0, 3650),
        (2450, 0, 2450),
    ),
}

BELOW = {
    name: (
        sent(ask(Q, system=text(tokens, "p"), model=model), 0, (tokens + 9, 0, 0)),
        sent(ask(R, system=text(tokens, "p"), model=model), 9, (tokens + 9, 0, 0), run="r2"),
    )
    for name, tokens, model in (
        ("Sonnet 4.5 at 900", 900, "claude-sonnet-4-5"),
        ("Opus 4.5 at 3,900", 3900, "claude-opus-4-5"),
        ("Haiku 4.5 at 2,000", 2000, "claude-haiku-4-5"),
        ("Haiku 3.5 at 1,800", 1800, "claude-3-5-haiku-20241022"),
        ("Opus 5 at 400", 400, "claude-opus-5"),
    )
}

PLAIN = body(Q, system=POLICY)
NO_BREAKPOINT = {
    "one system prompt, many users": (
        sent(PLAIN, 0, NOTHING),
        sent(body(R, system=POLICY), 9, NOTHING, run="r2"),
    ),
    "a conversation": two(
        body(user(A), assistant(B), user(C)),
        body(user(A), assistant(B), user(C), assistant(D), user(E)),
        (3600, 0, 0),
        (6000, 0, 0),
    ),
    "tools": two(body(Q, tools=TOOLS, system="s"), body(R, tools=TOOLS, system="s"), (1900, 0, 0), (1900, 0, 0)),
    "first request with a breakpoint, second without": two(ask(Q), body(Q, system=[block(POLICY)]), WROTE, NOTHING),
    "a date in the system prompt as well": two(
        body(Q, system="Monday " + POLICY), body(Q, system="Friday " + POLICY), NOTHING, NOTHING
    ),
}

SHORT = {
    name: (sent(first, 0, usage_1), sent(second, 9, usage_2, run="r2"))
    for name, first, second, usage_1, usage_2 in (
        (
            "the last tool, and not the system prompt",
            *(body(q, tools=(*TOOLS[:3], {**TOOLS[3], "cache_control": MARKER}), system=POLICY) for q in (Q, R)),
            (3800, 0, 1700),
            (3800, 1700, 0),
        ),
        (
            "the first of two system blocks",
            *(body(q, system=[block(POLICY, MARKER), block(A)]) for q in (Q, R)),
            (3210, 0, 2000),
            (3210, 2000, 0),
        ),
        (
            "the system, and not the examples",
            *(body(user(A), assistant(B), q, system=[block(POLICY, MARKER)]) for q in (Q, R)),
            (4410, 0, 2000),
            (4410, 2000, 0),
        ),
        (
            "a breakpoint at the system prompt only",
            *(body(user(A), assistant(B), q, system=[block(POLICY, MARKER)]) for q in (user(C), user(D))),
            (5600, 0, 2000),
            (5600, 2000, 0),
        ),
        (
            "tools alone, and a shared message",
            *(
                body(user(A), assistant(B), q, tools=(*TOOLS[:3], {**TOOLS[3], "cache_control": MARKER}))
                for q in (Q, R)
            ),
            (4000, 0, 1700),
            (4000, 1700, 0),
        ),
    )
}

NOT_WRITTEN = {
    "a clock in the block with the breakpoint": (
        sent(body(user(block(POLICY), block("now 10:01 " + A, MARKER))), 0, (3200, 0, 3200)),
        sent(body(user(block(POLICY), block("10:02 now " + A, MARKER))), 9, (3200, 0, 3200), run="r2"),
    ),
    "breakpoints at the end of different questions": (
        sent(body(user(block("x" + A, MARKER)), system=POLICY), 0, (3200, 0, 3200)),
        sent(body(user(block("y" + B, MARKER)), system=POLICY), 9, (3200, 0, 3200), run="r2"),
    ),
    "automatic mode, different questions": (
        sent(body(user("x" + A), system=POLICY, cache_control=MARKER), 0, (3200, 0, 3200)),
        sent(body(user("y" + B), system=POLICY, cache_control=MARKER), 9, (3200, 0, 3200), run="r2"),
    ),
    "a breakpoint for the first time": two(body(Q, system=[block(POLICY)]), ask(R), NOTHING, (2010, 0, 2000)),
    "the first was answered by an error": (
        sent(ask(Q), 0, None, error="overloaded_error"),
        sent(ask(R), 9, (2010, 0, 2000), run="r2"),
    ),
    "the first was below the minimum there": (
        sent(body(user(block("x" + A, MARKER)), system=[block(POLICY)]), 0, (3200, 0, 3200)),
        sent(body(user("y"), system=[block(POLICY, MARKER)]), 9, (2002, 0, 2000), run="r2"),
    ),
}


def deep(n, cached_at, more=()):
    """A chat of n short messages behind a long one, with breakpoints at some of them."""
    contents = ["a" * 8000, *(f"message {i}" for i in range(1, n))]
    return body(
        *(
            (user if i % 2 == 0 else assistant)(block(content, MARKER if i in (*cached_at, *more) else None))
            for i, content in enumerate(contents)
        )
    )


LOOKBACK = {
    f"{n} positions on": two(deep(1, [0]), deep(n + 1, [n]), (2003, 0, 2003), (2003 + 4 * n, 0, 2003 + 4 * n))
    for n in (20, 21, 22, 24, 30, 40)
}
IN_FLIGHT = {
    f"{gap} s after, first token after {first} s": (
        sent(ask(Q), 0, WROTE, first=first, took=first + 3),
        sent(ask(R), gap, (2010, 0, 2000), run="r2", first=first),
    )
    for gap, first in ((0.1, 1.0), (0.5, 1.0), (2.0, 3.0), (5.0, 9.0), (0.9, 1.0))
}
EXPIRED = {
    f"after {gap:,.0f} s": two(ask(Q, marker=marker), ask(R, marker=marker), WROTE, (2010, 0, 2000), gap=gap)
    for gap, marker in ((301.0, MARKER), (420.0, MARKER), (1200.0, MARKER), (3601.0, HOUR), (90_000.0, HOUR))
}
UNEXPLAINED = {
    "nothing read": two(ask(Q), ask(R), WROTE, NOTHING),
    "written again": two(ask(Q), ask(R), WROTE, (2010, 0, 2000)),
    "15% of equal bytes": two(talk(A, B, C), talk(A, B, C, D, E), (3600, 0, 3600), (6000, 540, 5460)),
    "after an hour of two": two(ask(Q, marker=HOUR), ask(R, marker=HOUR), WROTE, (2010, 0, 2000), gap=1800.0),
    "a third": (sent(ask(Q), 0, WROTE), sent(ask(Q), 9, READ), sent(ask(R), 20, (2010, 0, 2000))),
}
SCOPE = {
    name: (sent(ask(Q), 0, WROTE, metadata={field: "one"}), sent(ask(R), 9, (2010, 0, 2000), metadata={field: "two"}))
    for name, field in (
        ("two accounts", "account_id"),
        ("two workspaces", "workspace"),
        ("two keys", "api_key_id"),
        ("two organisations", "organization"),
        ("two projects", "project"),
    )
}
MORE = {
    f"{read} of a prompt never seen": (sent(ask(Q, system=text(tokens, "s")), 0, (tokens + 9, read, 0)),)
    for tokens, read in ((2000, 2000), (3000, 3000), (5000, 5000), (1500, 1500), (9000, 9000))
}
FIRST = {
    "alone": (sent(ask(Q), 0, WROTE),),
    "another prompt": (sent(ask(Q), 0, WROTE), sent(ask(Q, system=text(2000, "quite another")), 9, (2010, 0, 2000))),
    "another agent": (sent(ask(Q), 0, WROTE), sent(ask(Q), 9, (2010, 0, 2000), agent="b")),
    "a long first message": (sent(talk(A), 0, (1200, 0, 1200)),),
    "tools": (sent(body(Q, tools=TOOLS), 0, (1300, 0, 0)),),
}
POINT = {"prompt_cache_breakpoint": {"mode": "explicit"}}


def part(content, marker=None):
    """A text part of a Chat message, with a breakpoint or without."""
    return {"type": "text", "text": content, **(marker or {})}


def chat(*messages, model="gpt-5.6", **more):
    return {"model": model, "messages": list(messages), **more}


def ask_openai(content, model="gpt-4o", system=POLICY, **more):
    return chat({"role": "system", "content": system}, {"role": "user", "content": content}, model=model, **more)


def users(first, second, usage_1, usage_2, gap=9.0):
    """Two users of one OpenAI model."""
    return (
        sent(first, 0, usage_1, api="openai-chat"),
        sent(second, gap, usage_2, api="openai-chat", run="r2"),
    )


BOUNDARY = {
    f"a breakpoint at {tokens} tokens that is gone": users(
        chat({"role": "user", "content": [part(text(tokens, "p"), POINT), part("x " + text(900, "x"))]}, model=model),
        chat({"role": "user", "content": [part(text(tokens, "p")), part("y " + text(900, "y"))]}, model=model),
        (tokens + 900, 0, tokens + 900),
        (tokens + 900, 0, tokens + 900),
    )
    for tokens, model in (
        (1100, "gpt-5.6"),
        (2000, "gpt-5.6"),
        (3000, "gpt-5.6-sol"),
        (5000, "gpt-6"),
        (9000, "gpt-6.1"),
    )
}
FAILED = {
    error: (sent(ask(Q), 0, WROTE), sent(ask(R), 9, None, error=error))
    for error in ("overloaded_error", "rate_limit_error", "timeout", "invalid_request_error", "connection reset")
}
UNRECORDED = {
    f"only a bill of {prompt} tokens, {read} read": (sent(ask(Q), 0, WROTE), sent({}, 9, (prompt, read, 0)))
    for prompt, read in ((2010, 2000), (2010, 0), (500, 0), (9000, 2000), (150_000, 140_000))
}
EXPECTED = {
    "hit": HITS,
    "first_seen": FIRST,
    "model_changed": MODEL,
    "tools_changed": TOOL_CASES,
    "system_changed": SYSTEM_CASES,
    "parameters_changed": PARAMETERS,
    "history_changed": HISTORY,
    "below_minimum": BELOW,
    "no_breakpoint": NO_BREAKPOINT,
    "breakpoint_short": SHORT,
    "not_written": NOT_WRITTEN,
    "lookback_exceeded": LOOKBACK,
    "in_flight": IN_FLIGHT,
    "expired": EXPIRED,
    "unexplained": UNEXPLAINED,
    "scope_changed": SCOPE,
    "read_more_than_recorded": MORE,
    "boundary_absent": BOUNDARY,
    "request_not_recorded": UNRECORDED,
    "failed": FAILED,
}
