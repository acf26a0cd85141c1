"""The agents of the sample, and what one of their conversations is made of.

Belongs here: which agent has which prompt, tools and fault, as one table at the end. Words are in `sample_texts`;
times, usage and learning in `make_sample`.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

import sample_texts as texts
from sample_texts import Json, Script, Step, Tool, Turn

__all__ = ["AGENTS", "END", "START", "Agent", "Scene"]

START, END = datetime(2026, 11, 7, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)
# What changes on the way: the plug-in registry of the sales analyst, and the model of the reviewer.
DEPLOYED = datetime(2026, 11, 16, 9, 40, tzinfo=UTC)
MODEL_SWITCHED = datetime(2026, 11, 13, 11, 0, tzinfo=UTC)
_EVERY = 12  # one notice in so many comes with the digest of the pilot
# How often a question needs a second search, a test fails, and the coder says what it is about to do.
_SEARCHES_AGAIN, _FAILS, _SPEAKS = 0.2, 0.35, 0.4


class Scene(NamedTuple):
    """One conversation before it has times: ``primer`` are the messages that come before the first question."""

    system: str
    tools: tuple[Tool, ...]
    primer: tuple[Json, ...]
    script: Script


class Agent(NamedTuple):
    """One agent.

    ``scene`` makes its n-th conversation; ``api`` says in which shape the runtime records its requests.
    ``full_payloads``: whether later calls of a run are recorded whole, where the rules would cut them to a turn.
    ``marks_itself``: whether the application asks the provider to cache up to the last message.
    ``think_seconds`` is how long people usually take to write back; ``burst`` the share of conversations that begin
    shortly after another, and ``burst_seconds`` how shortly.
    """

    agent_id: str
    n_runs: int
    model: Callable[[datetime], str]
    scene: Callable[[Random, datetime, int], Scene]
    rules: str = "nemo-relay-0.8"
    api: str = "anthropic_messages"
    full_payloads: bool = False
    marks_itself: bool = False
    think_seconds: float = 70.0
    burst: float = 0.4
    burst_seconds: float = 240.0


# --- slots ---


def _slots(rng: Random, when: datetime) -> dict[str, str]:
    """Draw what stands for the ``{slots}`` of one conversation."""

    def day(first: int, last: int) -> str:
        return f"{when + timedelta(days=rng.randint(first, last)):%Y-%m-%d}"

    drawn = {name: rng.choice(pool) for name, pool in texts.POOLS.items()}
    drawn |= {f"n{i}": str(rng.randint(120, 980)) for i in range(1, 10)}
    drawn |= {f"m{i}": str(rng.randint(11, 28)) for i in range(1, 4)}
    drawn |= {f"d{i}": str(rng.randint(2, 9)) for i in range(1, 4)}
    drawn |= {f"p{i}": f"{rng.uniform(-12, 15):+.1f} per cent" for i in range(1, 4)}
    drawn |= {"order": str(rng.randint(310_000, 499_999)), "postcode": str(rng.randint(10_000, 99_999))}
    drawn |= {"price": f"{rng.randint(39, 420)}.90", "tracking": f"{rng.choice('BNPS')}{rng.randint(10**8, 10**9)}"}
    return drawn | {"past": day(-9, -4), "recent": day(-1, 0), "soon": day(2, 12), "name_of_user": drawn["name"]}


def fill(value: Json, slots: Mapping[str, str]) -> Json:
    """Fill the slots of a text, or of all texts of a JSON value."""
    if isinstance(value, str):
        return value.format_map(slots)
    if isinstance(value, Mapping):
        return {name.format_map(slots): fill(item, slots) for name, item in value.items()}
    return [fill(item, slots) for item in value] if isinstance(value, list) else value


def _play(rng: Random, script: Script, slots: Mapping[str, str]) -> Script:
    """Choose among the wordings of a script, and fill them."""
    return tuple(
        Turn(
            (rng.choice(turn.asks).format_map(slots),),
            tuple(
                Step(step.tool, fill(step.args, slots), fill(step.result, slots), step.say.format_map(slots))
                for step in turn.steps
            ),
            (rng.choice(turn.answers).format_map(slots),) if turn.answers else (),
        )
        for turn in script
    )


def _user(text: str) -> Json:
    return {"role": "user", "content": text}


def _assistant(text: str) -> Json:
    return {"role": "assistant", "content": text}


# --- support ---


def _clock(when: datetime) -> str:
    return f"{when:%A}, {when.day} {when:%B %Y, %H:%M}"


def _some_turns(rng: Random, script: Script) -> Script:
    """People leave when they have what they came for."""
    return script[: rng.choice((1, *range(1, len(script) + 1), len(script)))]


def _support_chat(rng: Random, when: datetime, _n: int) -> Scene:
    system = texts.SUPPORT_HEAD + texts.SUPPORT_CLOCK.format(clock=_clock(when)) + texts.SUPPORT_RULES
    script = _some_turns(rng, rng.choice(texts.SUPPORT_SCRIPTS))
    return Scene(system, texts.SUPPORT_TOOLS, (), _play(rng, script, _slots(rng, when)))


def _support_mail(rng: Random, when: datetime, _n: int) -> Scene:
    """Make the same with the clock in the first message: what mends `_support_chat`."""
    slots = _slots(rng, when)
    first, *others = _play(rng, _some_turns(rng, rng.choice(texts.SUPPORT_SCRIPTS)), slots)
    mail = f"Received: {_clock(when)} UTC\nFrom: {slots['name']}\n\n{first.asks[0]}"
    script = (first._replace(asks=(mail,)), *others)
    return Scene(texts.SUPPORT_HEAD + texts.SUPPORT_RULES, texts.SUPPORT_TOOLS, (), script)


# --- sales analyst ---


def _analyst(rng: Random, when: datetime, _n: int) -> Scene:
    tools = texts.ANALYST_TOOLS["before" if when < DEPLOYED else "after"]
    script = _some_turns(rng, rng.choice(texts.ANALYST_SCRIPTS))
    return Scene(texts.ANALYST_SYSTEM, tools, (), _play(rng, script, _slots(rng, when)))


# --- handbook search ---


def _passages(rng: Random, best: int) -> str:
    """Print what retrieval found: the passage that answers, and three that are near it."""
    others = rng.sample([i for i in range(len(texts.RAG_PASSAGES)) if i != best], 3)
    score, found = rng.uniform(0.78, 0.93), []
    for rank, i in enumerate((best, *others), 1):
        text = texts.RAG_PASSAGES[i]
        head = f"[{rank}] score {score:.3f}, chunk {text.split()[0]}-{i % 4 + 1}, valid from 2026-0{i % 9 + 1}-01"
        found.append(f"{head}\n{text}")
        score -= rng.uniform(0.01, 0.09)
    return "Passages for the next question, best first.\n\n" + "\n\n".join(found)


def _rag(rng: Random, when: datetime, _n: int) -> Scene:
    best, question, answer = rng.choice(texts.RAG_QUESTIONS)
    title = texts.RAG_PASSAGES[best].partition(" (")[0]
    search = Step("search_handbook", {"query": title.lower(), "audience": "all"}, _passages(rng, best))
    steps = (search,) if rng.random() < _SEARCHES_AGAIN else ()
    turn = Turn((question,), steps, (f"{answer} [{title}, valid from 2026-0{best % 9 + 1}-01]",))
    primer = (_user(_passages(rng, best)), _user(texts.RAG_GUIDE))
    return Scene(texts.RAG_SYSTEM, texts.RAG_TOOLS, primer, _play_literally(rng, turn, when))


def _play_literally(rng: Random, turn: Turn, when: datetime) -> Script:
    """Fill a question's slots only: handbook passages hold none."""
    return (turn._replace(asks=(turn.asks[0].format_map(_slots(rng, when)),)),)


# --- claims ---


def _claims_primer(n: int) -> tuple[Json, ...]:
    digest = texts.CLAIMS_DIGESTS["pilot" if n % _EVERY == _EVERY // 2 else "usual"]
    examples = [message for ask, reply in texts.CLAIMS_EXAMPLES for message in (_user(ask), _assistant(reply))]
    return (_user(digest), _assistant(texts.CLAIMS_DIGEST_REPLY), *examples)


def _claims_script(rng: Random, when: datetime) -> Script:
    notice, (line, desk, urgency, reserve, missing) = rng.choice(texts.CLAIMS_NOTICES)
    args = {"line": line, "desk": desk, "urgency": urgency, "reserve": reserve, "missing": [missing]}
    reason = {"reason": f"{line.replace('_', ' ')}, {desk.replace('_', ' ')}: cause plain, {missing} still missing."}
    step = Step("record_triage", args | reason, {"recorded": True})
    # The tool ends the task, so nothing is answered.
    return _play(rng, (Turn((notice,), (step,), ()),), _slots(rng, when))


def _claims(rng: Random, when: datetime, n: int) -> Scene:
    brief = (_user(texts.CLAIMS_BRIEF), _assistant(texts.CLAIMS_BRIEF_REPLY))
    return Scene(texts.CLAIMS_SYSTEM, texts.CLAIMS_TOOLS, (*brief, *_claims_primer(n)), _claims_script(rng, when))


def _claims_next(rng: Random, when: datetime, n: int) -> Scene:
    """Make the same without the brief: under these rules a shared first turn alone would end caching."""
    return Scene(texts.CLAIMS_SYSTEM, texts.CLAIMS_TOOLS, _claims_primer(n), _claims_script(rng, when))


# --- code ---


class _Module(NamedTuple):
    path: str
    name: str
    thing: str
    source: str


def _module(n: int) -> _Module:
    path, name, thing = texts.CODE_MODULES[n]
    slots = {"thing": thing, "Thing": thing.capitalize()}
    helpers = (f"_{name}_at", f"_{name}_within", name)
    bodies = [texts.CODE_BODIES[(n + i) % len(texts.CODE_BODIES)] for i in range(len(helpers))]
    head = f'"""{path.split("/")[1].capitalize()}: {name.replace("_", " ")}."""\n'
    source = "\n\n".join([head, *(b.format(name=h, **slots) for b, h in zip(bodies, helpers, strict=True))])
    return _Module(path, name, thing, source)


_MODULES = tuple(map(_module, range(len(texts.CODE_MODULES))))


def _read(module: _Module) -> Step:
    lines = "\n".join(f"{i:4} {line}" for i, line in enumerate(module.source.splitlines(), 1))
    return Step("read_file", {"path": module.path}, lines)


def _search(rng: Random, module: _Module) -> Step:
    callers = rng.sample(_MODULES, 4)
    hits = [f"{m.path}:{rng.randint(8, 90)}:    {module.thing} = {module.name}({m.thing}s, at)" for m in callers]
    return Step("search_code", {"pattern": rf"\b{module.name}\("}, "\n".join(hits))


def _tests_of(module: _Module) -> str:
    return module.path.replace("waybill/", "tests/").replace("/", "/test_", 2).replace("tests/test_", "tests/", 1)


def _test_run(rng: Random, module: _Module) -> Step:
    passed, seconds = rng.randint(9, 48), rng.uniform(0.4, 6)
    result = f"{passed} passed in {seconds:.2f}s"
    if rng.random() < _FAILS:
        fact = f"test_a_{module.thing}_on_a_holiday_counts_as_sunday"
        result = (
            f"FAILED {_tests_of(module)}::{fact}\n    assert {module.name}({module.thing}s, at) == expected\n"
            f"E   assert {rng.randint(2, 99)} == {rng.randint(100, 199)}\n1 failed, {result}"
        )
    return Step("run_tests", {"targets": [_tests_of(module)]}, result)


def _edit(rng: Random, module: _Module) -> tuple[Step, _Module]:
    """Change the module at one place; what is read later shows it."""
    lines = module.source.splitlines()
    at = rng.choice([i for i, line in enumerate(lines) if line.startswith("    ") and '"""' not in line])
    indent = " " * (len(lines[at]) - len(lines[at].lstrip()))
    added = f"{indent}at = {module.thing}.depot.day_of(at, limit={rng.randint(2, 60)})"
    args = {"path": module.path, "old": lines[at], "new": f"{added}\n{lines[at]}"}
    changed = "\n".join([*lines[:at], added, *lines[at:]])
    return Step("edit_file", args, f"1 occurrence replaced, line {at + 1}"), module._replace(source=changed)


def _coder_steps(rng: Random, module: _Module) -> list[Step]:
    near = rng.sample(_MODULES, 3)
    steps = [_search(rng, module), _read(module), _test_run(rng, module)]
    for _ in range(min(int(rng.lognormvariate(1.75, 0.55)), 16)):
        other = rng.choice((module, *near))
        steps += rng.sample([_read(other), _search(rng, other), _test_run(rng, other)], 2)
        edit, module = _edit(rng, module)
        steps += [edit, _test_run(rng, module)]
    clean = Step("run_linter", {"paths": [module.path]}, "All checks passed. No type errors in 1 file.")
    commit = {"subject": f"Take the day of the depot in {module.name}", "body": f"A {module.thing} near midnight."}
    done = Step("git_commit", commit, f"[fix/{module.name} {rng.getrandbits(28):07x}] 2 files changed")
    return [_speak(rng, step) for step in (*steps, clean, done)]


def _speak(rng: Random, step: Step) -> Step:
    return step._replace(say=rng.choice(texts.CODER_THOUGHTS[step.tool])) if rng.random() < _SPEAKS else step


def _coder(rng: Random, when: datetime, _n: int) -> Scene:
    module = rng.choice(_MODULES)
    slots = _slots(rng, when) | {"name": module.name, "path": module.path, "thing": module.thing}
    task = rng.choice(texts.CODER_TASKS).format_map(slots)
    report = rng.choice(texts.CODER_REPORTS).format_map(slots | {"task_short": task.partition(". ")[0] + "."})
    turn = Turn((task,), tuple(_coder_steps(rng, module)), (report,))
    return Scene(texts.CODER_SYSTEM, texts.CODER_TOOLS, (), (turn,))


def _diff(rng: Random, module: _Module) -> str:
    lines = module.source.splitlines()
    at = rng.choice([i for i, line in enumerate(lines) if line.startswith("        ") and "def " not in line])
    before, after = lines[max(at - 4, 0) : at], lines[at + 1 : at + 4]
    new = f"+        if {module.thing}.depot.day_of(at) in CLOSED[{rng.randint(2, 60)}:]:\n+            continue"
    return "\n".join([*(f" {line}" for line in before), f"-{lines[at]}", new, *(f" {line}" for line in after)])


def _review(rng: Random, when: datetime, _n: int) -> Scene:
    module = rng.choice(_MODULES)
    slots = _slots(rng, when) | {"name": module.name, "path": module.path, "diff": _diff(rng, module)}
    slots |= {
        "subject": f"Leave out closed depots in {module.name}",
        "description": rng.choice(texts.REVIEW_DESCRIPTIONS),
    }
    findings = rng.sample(texts.REVIEW_COMMENTS, rng.choice((0, 1, 1, 2, 3)))
    steps = rng.sample([_read(module), _search(rng, module), _read(rng.choice(_MODULES))], rng.randint(2, 3))
    for level, text in findings:
        comment = {"path": module.path, "line": rng.randint(9, 60), "level": level, "text": text}
        steps.append(Step("add_comment", comment, {"comment": rng.randint(10_000, 99_999)}))
    verdict = "request_changes" if any(level == "must" for level, _ in findings) else "approve"
    summary = f"Leaves out closed depots as described. Comments: {len(findings)}. Not checked: the planner's speed."
    steps.append(Step("submit_review", {"verdict": verdict, "summary": summary}, {"submitted": True}))
    # Submitting ends the task, so nothing is answered.
    return Scene(
        texts.REVIEW_SYSTEM, texts.REVIEW_TOOLS, (), (Turn((texts.REVIEW_ASK.format_map(slots),), tuple(steps), ()),)
    )


# --- the agents ---


def _always(model: str) -> Callable[[datetime], str]:
    return lambda _when: model


def _reviewer_model(when: datetime) -> str:
    return "claude-sonnet-4-5-20250929" if when < MODEL_SWITCHED else "claude-sonnet-4-6"


_SONNET = _always("claude-sonnet-4-5-20250929")

_BATCHED = 0.8  # notices of claims arrive in batches: a worker empties the queue several times a day

AGENTS: tuple[Agent, ...] = (
    Agent("support-chat", 130, _SONNET, _support_chat),
    Agent("support-mail", 75, _SONNET, _support_mail, think_seconds=1500),
    Agent("support-legacy", 70, _always("gpt-4.1"), _support_mail, rules="nemo-flow-0.2", api="openai_chat"),
    Agent("sales-analyst", 90, _SONNET, _analyst, think_seconds=140),
    Agent("handbook-search", 130, _always("gpt-5.1"), _rag, api="openai_chat", full_payloads=True),
    Agent("claims-triage", 125, _SONNET, _claims, rules="nemo-flow-0.2", burst=_BATCHED, burst_seconds=60),
    Agent("claims-triage-next", 115, _SONNET, _claims_next, burst=_BATCHED, burst_seconds=60),
    Agent("coder", 50, _SONNET, _coder, full_payloads=True, marks_itself=True),
    Agent("code-review", 70, _reviewer_model, _review),
)


def to_text(result: Json) -> str:
    """Print what a tool returned as the model reads it."""
    return result if isinstance(result, str) else json.dumps(result)
