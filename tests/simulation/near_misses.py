"""Histories that look like one verdict's and have another, in the manner of public reports; usage typed by hand.

For each verdict a table of cases: a name, the verdict that the last request deserves, and the calls.
"""

from simulation.histories import MARKER, assistant, block, body, sent, text, user
from simulation.verdict_histories import (
    LONG,
    NOTHING,
    PLAIN,
    POINT,
    POLICY,
    READ,
    SHORT,
    TOOLS,
    WROTE,
    A,
    B,
    C,
    D,
    E,
    Q,
    R,
    ask,
    ask_openai,
    chat,
    deep,
    part,
    talk,
    two,
    users,
)

OPUS, OTHER = "claude-opus-4-1", text(2000, "quite another")
MISSED = (2010, 0, 2000)


def next_user(*, system=POLICY, gap=9.0, read=2000, model="claude-sonnet-4-5", marker=MARKER, first=0.5, **more):
    """A second user's request after a first one, both with a breakpoint at the system prompt."""
    return (
        sent(ask(Q), 0, WROTE, first=first),
        sent(ask(R, system=system, model=model, marker=marker, **more), gap, (2010, read, 2000 - read), run="r2"),
    )


RESULTS = [{"type": "tool_result", "tool_use_id": str(i), "content": f"result {i}"} for i in range(25)]
USES = [{"type": "tool_use", "id": str(i), "name": "f", "input": {}} for i in range(25)]
PARALLEL = two(
    deep(1, [0]),
    body(user(block("a" * 8000)), assistant(*USES), user(*RESULTS[:-1], {**RESULTS[-1], "cache_control": MARKER})),
    (2003, 0, 2003),
    (3003, 2003, 1000),
)
NEAR = {
    "expired": [("hit", next_user(gap=gap)) for gap in (60.0, 240.0, 290.0, 299.0, 300.0)],
    "in_flight": [
        ("hit", next_user(gap=gap, first=first))
        for gap, first in ((1.0, 0.5), (0.6, 0.5), (3.0, 2.9), (9.0, 8.0), (30.0, 4.0))
    ],
    "lookback_exceeded": [
        *(
            ("hit", two(deep(1, [0]), deep(n + 1, [n]), (2003, 0, 2003), (2003 + 4 * n, 2003, 4 * n)))
            for n in (1, 5, 18, 19)
        ),
        ("hit", PARALLEL),
        ("hit", two(deep(1, [0]), deep(31, [30], [15]), (2003, 0, 2003), (2123, 2003, 120))),
    ],
    "below_minimum": [
        (
            "hit",
            (
                sent(ask(Q, system=text(tokens, "p"), model=model), 0, (tokens + 9, 0, tokens)),
                sent(ask(R, system=text(tokens, "p"), model=model), 9, (tokens + 9, tokens, 0), run="r2"),
            ),
        )
        for tokens, model in (
            (1100, "claude-sonnet-4-5"),
            (4200, "claude-opus-4-5"),
            (600, "claude-opus-5"),
            (2100, "claude-3-5-haiku-20241022"),
            (4200, "claude-haiku-4-5"),
        )
    ],
    "history_changed": [
        ("hit", two(talk(A, B, C), talk(A, B, C, D, E), (3600, 0, 3600), (6000, 3600, 2400))),
        ("hit", two(talk(A), talk(A, B, C), (1200, 0, 1200), (3600, 1200, 2400))),
        ("first_seen", (sent(talk(A), 0, (1200, 0, 1200)), sent(talk(B), 9, (1200, 0, 1200), run="r2"))),
        ("hit", next_user()),
        ("hit", (sent(talk(A, B, C), 0, (3600, 0, 3600)), sent(talk(A, B, C), 9, (3600, 3600, 0), run="r2"))),
    ],
    "tools_changed": [
        ("hit", two(ask(Q, tools=TOOLS), ask(R, tools=TOOLS), (3300, 0, 3290), (3300, 3290, 0))),
        ("hit", two(ask(Q, tools=TOOLS), ask(R, tools=[dict(one) for one in TOOLS]), (3300, 0, 3290), (3300, 3290, 0))),
        ("expired", two(ask(Q, tools=TOOLS), ask(R, tools=TOOLS[::-1]), (3300, 0, 3290), (3300, 0, 3290), gap=900.0)),
        (
            "no_breakpoint",
            two(
                body(Q, tools=TOOLS, system=POLICY),
                body(R, tools=TOOLS[::-1], system=POLICY),
                (3300, 0, 0),
                (3300, 0, 0),
            ),
        ),
        (
            "below_minimum",
            two(
                body(Q, tools=TOOLS[:2], system=[block("s", MARKER)]),
                body(R, tools=TOOLS[1::-1], system=[block("s", MARKER)]),
                (690, 0, 0),
                (690, 0, 0),
            ),
        ),
    ],
    "system_changed": [
        ("hit", next_user()),
        (
            "no_breakpoint",
            two(body(Q, system="Monday " + POLICY), body(Q, system="Friday " + POLICY), NOTHING, NOTHING),
        ),
        (
            "expired",
            two(
                ask(Q, system="Monday " + POLICY), ask(Q, system="Friday " + POLICY), WROTE, (2010, 0, 2000), gap=400.0
            ),
        ),
        ("first_seen", (sent(ask(Q), 0, WROTE), sent(ask(Q, system=text(2000, "quite another")), 9, (2010, 0, 2000)))),
        (
            "hit",
            (
                sent(ask(Q), 0, WROTE),
                sent(ask(Q, system="Friday " + POLICY), 5, (2010, 0, 2000)),
                sent(ask(R), 9, READ, run="r2"),
            ),
        ),
    ],
    "parameters_changed": [
        ("hit", two(body(LONG, **before), body(LONG, **after), (2003, 0, 2003), (2003, 2003, 0)))
        for before, after in (
            ({}, {"temperature": 1.0}),
            ({}, {"stream": True}),
            ({}, {"metadata": {"user_id": "u"}}),
            ({}, {"thinking": {"type": "disabled"}}),
            ({"tools": TOOLS[:1]}, {"tools": TOOLS[:1], "tool_choice": {"type": "auto"}}),
        )
    ],
}

OPENAI = [
    ("hit", users(ask_openai("x"), ask_openai("y"), (2010, 0, None), (2010, 1920, None))),
    ("unexplained", users(ask_openai("x"), ask_openai("y"), (2010, 0, None), (2010, 0, None))),
    ("expired", users(ask_openai("x"), ask_openai("y"), (2010, 0, None), (2010, 0, None), gap=90_000.0)),
    ("below_minimum", users(*(ask_openai(q, system=POLICY[:2000]) for q in "xy"), (510, 0, None), (510, 0, None))),
    (
        "system_changed",
        users(
            *(ask_openai("x", system=f"{POLICY} {day} {text(1200)}") for day in ("Mon", "Fri")),
            (3210, 0, None),
            (3210, 1920, None),
        ),
    ),
    ("model_changed", users(ask_openai("x"), ask_openai("y", model="gpt-4.1"), (2010, 0, None), (2010, 0, None))),
    (
        "not_written",
        users(*(ask_openai(f"{q} {text(900, q)}", model="gpt-5.6") for q in "xy"), (2910, 0, 2910), (2910, 0, 2910)),
    ),
    (
        "scope_changed",
        users(
            *(
                chat(
                    {"role": "user", "content": [part(POLICY, POINT)]},
                    {"role": "user", "content": q},
                    prompt_cache_key=q,
                )
                for q in "xy"
            ),
            (2010, 0, 2010),
            (2010, 0, 2010),
        ),
    ),
    ("unexplained", users(*(ask_openai(q, model="llama-9") for q in "xy"), (2010, 0, None), (2010, 0, None))),
]
NEAR["boundary_absent"] = OPENAI


def after(first, second, usage, *, gap=9.0, first_usage=WROTE, run="r2", agent="a", **first_more):
    """A request after a first one, of another run."""
    return sent(first, 0, first_usage, **first_more), sent(second, gap, usage, run=run, agent=agent)


def of(field, *values, prompts=(None, None, None), usages=(WROTE, MISSED, READ), gap=9.0):
    """Requests with metadata, each of a run of its own."""
    return tuple(
        sent(ask((Q, R, Q)[i], system=prompts[i]), gap * i, usages[i], run=f"r{i}", metadata={field: value})
        for i, value in enumerate(values)
    )


def with_system(system, *messages):
    """A conversation with breakpoints at its system prompt and at its end."""
    whole = talk(*messages)
    return {**whole, "system": [block(system, MARKER)]}


BARE, SHORT_TOOLS = body(Q, system=POLICY), (*TOOLS[:1], {**TOOLS[1], "cache_control": MARKER})
NEAR |= {
    "hit": [
        ("breakpoint_short", SHORT["the last tool, and not the system prompt"]),
        (
            "history_changed",
            two(
                with_system(POLICY, A, B, C),
                with_system(POLICY, "x" + A[1:], B, C, D, E),
                (5600, 0, 5600),
                (8000, 2000, 6000),
            ),
        ),
        (
            "parameters_changed",
            two(
                with_system(POLICY, A, B, C),
                {**with_system(POLICY, A, B, C), "thinking": {"type": "enabled", "budget_tokens": 2000}},
                (5600, 0, 5600),
                (5600, 2000, 3600),
            ),
        ),
        ("unexplained", two(talk(A, B, C), talk(A, B, C, D, E), (3600, 0, 3600), (6000, 540, 5460))),
        ("read_more_than_recorded", (sent(ask(Q), 0, READ),)),
    ],
    "first_seen": [
        ("hit", after(ask(Q), ask(R), READ)),
        ("system_changed", after(ask(Q, system="Mon " + POLICY), ask(Q, system="Fri " + POLICY), MISSED)),
        ("model_changed", after(ask(Q), ask(Q, model=OPUS), MISSED)),
        ("expired", after(ask(Q), ask(R), MISSED, gap=90_000.0)),
        (
            "below_minimum",
            after(ask(Q, system=A[:2000]), ask(R, system=A[:2000]), (510, 0, 0), first_usage=(510, 0, 0)),
        ),
    ],
    "model_changed": [
        ("hit", (*two(ask(Q), ask(Q, model=OPUS), WROTE, MISSED), sent(ask(R), 40, READ))),
        ("below_minimum", two(ask(Q), ask(Q, model="claude-opus-4-5"), WROTE, NOTHING)),
        ("no_breakpoint", two(PLAIN, body(Q, system=POLICY, model=OPUS), NOTHING, NOTHING)),
        ("expired", two(ask(Q), ask(Q, model=OPUS), WROTE, MISSED, gap=400.0)),
        ("first_seen", after(ask(Q), ask(R, system=OTHER, model=OPUS), MISSED)),
    ],
    "scope_changed": [
        ("hit", of("account_id", "one", "one", usages=(WROTE, READ))),
        ("hit", of("user_id", "one", "two", usages=(WROTE, READ))),
        ("hit", of("account_id", "one", "two", "one")),
        ("first_seen", of("account_id", "one", "two", prompts=(None, OTHER))),
        ("expired", of("account_id", "one", "two", gap=900.0)),
    ],
    "no_breakpoint": [
        ("hit", two(*(body(user("a" * 8000), cache_control=MARKER) for _ in "12"), (2003, 0, 2003), (2003, 2003, 0))),
        ("breakpoint_short", SHORT["tools alone, and a shared message"]),
        ("not_written", two(BARE, ask(R), NOTHING, MISSED)),
        ("first_seen", after(BARE, body(R, system=OTHER), NOTHING, first_usage=NOTHING)),
        ("below_minimum", after(*(body(q, system=A[:2000]) for q in (Q, R)), (510, 0, 0), first_usage=(510, 0, 0))),
        ("hit", users(ask_openai("x"), ask_openai("y"), (2010, 0, None), (2010, 1920, None))),
    ],
    "breakpoint_short": [
        ("hit", after(ask(Q), ask(R), READ)),
        ("hit", two(with_system(POLICY, A), with_system(POLICY, A, B, C), (3200, 0, 3200), (5600, 3200, 2400))),
        (
            "tools_changed",
            two(ask(Q, tools=TOOLS), ask(R, tools=TOOLS[::-1]), (3300, 0, 3290), (3300, 0, 3290)),
        ),
        (
            "below_minimum",
            after(*(body(q, tools=SHORT_TOOLS, system=POLICY) for q in (Q, R)), (2700, 0, 0), first_usage=(2700, 0, 0)),
        ),
        (
            "no_breakpoint",
            after(*(body(q, tools=TOOLS, system=POLICY) for q in (Q, R)), (3300, 0, 0), first_usage=(3300, 0, 0)),
        ),
    ],
    "not_written": [
        ("in_flight", after(ask(Q), ask(R), MISSED, gap=0.1)),
        ("expired", after(ask(Q), ask(R), MISSED, gap=301.0)),
        ("unexplained", after(ask(Q), ask(R), MISSED)),
        ("lookback_exceeded", two(deep(1, [0]), deep(21, [20]), (2003, 0, 2003), (2083, 0, 2083))),
        ("hit", after(ask(Q), ask(R), READ)),
        (
            "system_changed",
            two(ask(Q, system=POLICY + " 10:01"), ask(Q, system=POLICY + " 10:02"), WROTE, MISSED),
        ),
    ],
    "unexplained": [
        ("expired", after(ask(Q), ask(R), MISSED, gap=400.0)),
        ("in_flight", after(ask(Q), ask(R), MISSED, gap=0.2)),
        ("no_breakpoint", after(BARE, body(R, system=POLICY), NOTHING, first_usage=NOTHING)),
        (
            "below_minimum",
            after(ask(Q, system=A[:2000]), ask(R, system=A[:2000]), (510, 0, 0), first_usage=(510, 0, 0)),
        ),
        ("hit", after(ask(Q), ask(R), (2010, 1990, 10))),
        ("hit", users(ask_openai("x"), ask_openai("y"), (2010, 0, None), (2010, 1920, None))),
        ("first_seen", after(ask(Q), ask(R, system=OTHER), MISSED)),
    ],
    "request_not_recorded": [
        ("hit", (sent(ask(Q), 0, WROTE), sent(ask(R), 9))),
        ("first_seen", (sent({}, 0, WROTE), sent(ask(R), 9, MISSED))),
        ("failed", (sent(ask(Q), 0, WROTE), sent({}, 9, None, error="overloaded_error"))),
        ("hit", (sent(ask(Q), 0, WROTE), sent({}, 5, READ), sent(ask(R), 9, READ))),
        ("read_more_than_recorded", (sent({}, 0, WROTE), sent(ask(R), 9, READ))),
    ],
    "read_more_than_recorded": [
        ("hit", after(ask(Q), ask(R), READ)),
        ("hit", after(ask(Q), ask(R), (2010, 2008, 0))),
        ("hit", after(ask(Q, tools=TOOLS), ask(R, tools=TOOLS), (3700, 3690, 0), first_usage=(3700, 0, 3690))),
        ("hit", (sent(ask(Q), 0, WROTE), sent(ask(Q), 9, READ, run="r2"), sent(ask(R), 300, READ, run="r3"))),
        ("first_seen", (sent(ask(Q), 0, WROTE),)),
    ],
    "failed": [
        ("hit", (sent(ask(Q), 0, WROTE), sent(ask(R), 9, READ, error="connection reset after the last token"))),
        ("hit", (sent(ask(Q), 0, WROTE), sent(ask(Q), 5, None, error="overloaded_error"), sent(ask(R), 9, READ))),
        ("not_written", (sent(ask(Q), 0, None, error="overloaded_error"), sent(ask(Q), 5, MISSED))),
        ("hit", (sent(ask(Q), 0, WROTE), sent(ask(R), 9))),
        ("expired", (sent(ask(Q), 0, WROTE), sent(ask(Q), 200, None, error="timeout"), sent(ask(R), 400, MISSED))),
    ],
}
