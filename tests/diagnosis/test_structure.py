"""Structural changes: blocks missing, blocks shifted, and lists of tools that differ."""

import json

import msgspec
import pytest
from changing_windows import NAMES, WORDS, N
from small_snapshots import STEADY, a_minute_apart, find_kind, snapshot_of_window
from strategies import make_ir, make_tool

import acg_lab as acg
from acg_lab.diagnosis import Kind, Timing

GUIDE, RULES, EXTRA = ("user", STEADY), ("user", "The rules of the house, all of them. " * 20), ("user", "e" * 300)
SYSTEM = ("system", "s" * 400)
EVENS, FEW, LATE = range(0, N, 2), (3, 8), range(7, N)


def numbered(*blocks):
    """Return an observation of (role, content) or (role, content, content type), numbered as production does it."""
    made = []
    for i, (role, content, *kind) in enumerate(blocks):
        name = f"-{json.loads(content)['function']['name']}" if kind == ["tool_schema"] else ""
        made.append((f"{role}-{i}{name}", content))
    ir = make_ir(*made)
    fields = [{"role": role, "content_type": kind[0] if kind else "text"} for role, _, *kind in blocks]
    return msgspec.structs.replace(
        ir, blocks=tuple(msgspec.structs.replace(b, **f) for b, f in zip(ir.blocks, fields, strict=True))
    )


def requests(make):
    return [numbered(*make(i), ("user", f"{NAMES[i]} asks")) for i in range(N)]


def sometimes(block, when, i):
    return [block] if i in when else []


def unless(block, when, i):
    return [] if i in when else [block]


def tool(name, **function):
    return "system", json.dumps(make_tool(name, **function), sort_keys=True, separators=(",", ":")), "tool_schema"


TOOLS = [tool(name, description=f"Does what {name} does. " * 8, parameters={"type": "object"}) for name in WORDS[:6]]


def edited(name, **function):
    """Return the six tools with another definition of one."""
    known = {"description": f"Does what {name} does. " * 8, "parameters": {"type": "object"}}
    return [tool(name, **{**known, **function}) if json.loads(t[1])["function"]["name"] == name else t for t in TOOLS]


MISSING = {
    **{
        f"{name}, {len(when)} without": requests(
            lambda i, when=when, more=more: [SYSTEM, *unless(GUIDE, when, i), *more]
        )
        for name, more in (("before rules", [RULES]), ("before two", [RULES, ("user", EXTRA[1])]))
        for when in (FEW, (0,), (11, 4, 5))
    },
    **{
        f"of another role, {len(when)} without": requests(
            lambda i, when=when: [SYSTEM, *unless(("system", "x" * 200), when, i), GUIDE, RULES]
        )
        for when in (FEW, (2,), (1, 5, 9), (4, 5, 6, 7))
    },
    "in few": requests(lambda i: [SYSTEM, *sometimes(("system", "x" * 200), FEW, i), GUIDE, RULES]),
    "in the first ones": requests(lambda i: [SYSTEM, *unless(GUIDE, LATE, i), RULES]),
}
SHIFTED = {
    **{
        f"{name}, {len(when)} with": requests(
            lambda i, when=when, text=text: [SYSTEM, *sometimes(text(i), when, i), GUIDE, RULES]
        )
        for name, text in (
            ("the same", lambda _: EXTRA),
            ("another each", lambda i: ("user", f"{NAMES[i]} likes {WORDS[i]}")),
        )
        for when in (FEW, (0,), (11, 4, 5), LATE)
    },
    "two at once": requests(
        lambda i: [SYSTEM, *sometimes(EXTRA, FEW, i), *sometimes(("user", "m" * 90), FEW, i), GUIDE, RULES]
    ),
    "swapped": requests(lambda i: [SYSTEM, *([RULES, GUIDE] if i in FEW else [GUIDE, RULES])]),
}
REORDERED = {
    f"order {k}": requests(lambda i, k=k: [SYSTEM, *(TOOLS[k:] + TOOLS[:k] if i % 3 == 0 else TOOLS)])
    for k in range(1, 6)
} | {
    f"swapped {k}": requests(lambda i, k=k: [SYSTEM, *TOOLS[:k], *(TOOLS[k:][::-1] if i > 4 else TOOLS[k:])])
    for k in range(5)
}
ADDED = {
    f"{k} more at {i}": requests(lambda n, k=k, i=i: [SYSTEM, *TOOLS[:2], *(TOOLS[2 : 2 + k] if n >= i else [])])
    for k in (1, 2, 4)
    for i in (1, 6, 9, 11)
}
REMOVED = {
    f"{k} less at {i}": requests(lambda n, k=k, i=i: [SYSTEM, *(TOOLS[k:] if n >= i else TOOLS)])
    for k in (1, 2, 4)
    for i in (1, 6, 9, 11)
}
EDITED = {
    f"{field} of {name}": requests(
        lambda i, name=name, change={field: value}: [SYSTEM, *(edited(name, **change) if i > 5 else TOOLS)]
    )
    for name in WORDS[:4]
    for field, value in (("description", "Otherwise. " * 9), ("parameters", {"type": "array"}), ("strict", True))
}
ALL = {
    Kind.BLOCK_MISSING: MISSING,
    Kind.SHIFTED: SHIFTED,
    Kind.TOOLS_REORDERED: REORDERED,
    Kind.TOOLS_ADDED: ADDED,
    Kind.TOOLS_REMOVED: REMOVED,
    Kind.TOOLS_EDITED: EDITED,
}


@pytest.mark.parametrize("rules", ["nemo-flow-0.2", "nemo-relay-0.8"])
@pytest.mark.parametrize(
    ("kind", "window"), [pytest.param(k, w, id=f"{k}: {name}") for k, of in ALL.items() for name, w in of.items()]
)
def test_structures_of_a_kind(kind, window, rules):
    """A structural change gets its kind from the table of detectors, and no other."""
    assert find_kind(window, rules) is kind


def test_there_are_enough():
    """Each kind has at least ten windows; those of the other kinds are its near misses."""
    assert all(len(windows) >= 10 for windows in ALL.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda i: [SYSTEM, *[("user", "a"), ("assistant", "b" * 400)][: i % 3]],
        lambda i: [SYSTEM, ("user", "opening"), *[("assistant", f"answer {n}" * 60) for n in range(i)]],
        lambda i: [SYSTEM, ("user", NAMES[i]), ("assistant", WORDS[i] * 60), ("tool", NAMES[i] * 50)],
        lambda i: [SYSTEM, ("user", f"{WORDS[i]} " * 80)],
        lambda i: [SYSTEM, *[(("user", "assistant")[n % 2], f"{n}" * 300) for n in range(1 + i)]],
    ],
)
def test_conversations_are_no_fault(make):
    """A conversation that goes on or starts differently ends the prefix and is no finding."""
    assert find_kind(requests(make)) is None


def test_a_definition_that_is_no_json():
    """If a tool's definition cannot be read, the finding says that it changes, not in which field."""
    (finding,) = acg.explain(
        snapshot_of_window(a_minute_apart(renamed(requests(lambda i: [SYSTEM, tool("amber", x=i // 6), *TOOLS[1:]]))))
    )
    assert (finding.kind, finding.evidence.details) == (Kind.TOOLS_EDITED, ("amber: definition",))


def renamed(window):
    """Return the window with definitions of the first tool that are not JSON."""
    return [
        msgspec.structs.replace(
            ir,
            blocks=tuple(
                msgspec.structs.replace(b, content=f"<{b.content}>") if b.span_id == "system-1-amber" else b
                for b in ir.blocks
            ),
        )
        for ir in window
    ]


@pytest.mark.parametrize("joins", [True, False])
@pytest.mark.parametrize("strays", [(), (59,), (0,), (31,), (28,)])
def test_a_stray_request_does_not_turn_a_change_round(joins, strays):
    """A tool that joins or leaves for good does so whichever single request is unlike those around it."""
    has = [(i >= 30) is joins for i in range(60)]
    has = [not there if i in strays else there for i, there in enumerate(has)]
    window = [numbered(SYSTEM, *TOOLS[: 2 + there], GUIDE, ("user", "Where is it?")) for there in has]
    (finding,) = acg.explain(snapshot_of_window(a_minute_apart(window)))
    sign, kind = ("+", Kind.TOOLS_ADDED) if joins else ("-", Kind.TOOLS_REMOVED)
    assert (finding.kind, finding.timing, finding.evidence.details) == (kind, Timing.ONCE, (f"{sign}{WORDS[2]}",))
