"""Histories with every kind of loss, for tests of frames, plots and commands: a line each, usage typed by hand."""

from simulation.histories import MARKER, SONNET, assistant, block, body, sent, simulated, text, tool, user

__all__ = ["clock", "growing", "reordered", "simulated", "unpriced"]


def clock(agent="clock", n=6, model=SONNET, lead="now"):
    """Requests whose marked system prompt begins with a time, a minute apart: each writes, none reads."""
    return [
        sent(
            body(
                user(block(text(50, f"q{i}"))),
                system=[block(text(3000, f"{lead} 2026-11-06 12:{i:02}"), MARKER)],
                model=model,
            ),
            at=i * 60,
            usage=(3060, 0, 3000),
            run=f"{agent}{i}",
            agent=agent,
        )
        for i in range(n)
    ]


def growing(agent="growing", n=5, model=SONNET):
    """One conversation that reads its marked system prompt from the second request on."""
    calls, messages = [], []
    for i in range(n):
        messages.append(user(block(text(50, f"q{i}"))))
        request = body(*messages, system=[block(text(3000, "sys"), MARKER)], model=model)
        usage = (3000 + 60 * (2 * i + 1), 3000 if i else 0, 0 if i else 3000)
        calls.append(sent(request, at=i * 30, usage=usage, run=agent, agent=agent))
        messages.append(assistant(text(50, f"a{i}")))
    return calls


def reordered(agent="tools", n=6, change=4):
    """Requests of a tool list, marked at its end, that comes in another order from one request on."""
    names = ("search", "book", "cancel")
    calls = []
    for i in range(n):
        order = names if i < change else names[::-1]
        tools = [tool(name, 1000) for name in order]
        tools[-1]["cache_control"] = MARKER
        is_first = i in (0, change)
        usage = (3100, 0 if is_first else 3000, 3000 if is_first else 0)
        calls.append(
            sent(body(user(text(50, f"q{i}")), tools=tools), at=i * 60, usage=usage, run=f"{agent}{i}", agent=agent)
        )
    return calls


def unpriced(agent="unpriced"):
    """The same clock with a model that no list knows."""
    return clock(agent, model="my-own-model")
