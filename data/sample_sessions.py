"""Sessions of the two field agents: long gaps, many notes at once, and first requests side by side.

Both agents send the same prompts, with breakpoints of their own, and are recorded with their raw bodies and first
tokens. ``field-notes`` has two breakpoints that live for five minutes and starts its first requests together;
``field-notes-fixed`` has a third breakpoint, keeps entries for an hour, and starts the others when the first answers.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

import sample_field_texts as texts
from sample_cache import Piece
from sample_runs import current_turn, to_messages_tool
from sample_texts import Json

from acg_lab.core import AnnotatedLlmRequest

__all__ = ["FIELD_AGENTS", "FieldAgent", "Request", "Session", "draw_sessions", "render"]

_SECOND, _MILLISECOND = 10**9, 10**6
_SYSTEM_TOKENS = 354  # what the provider adds when there are tools
_N_SESSIONS, _N_TURNS = 9, (7, 10)
_FIRST_DAY, _WORKDAYS = datetime(2026, 11, 9, tzinfo=UTC), (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)
_FEW, _MANY = (1, 18), (19, 34)  # notes in a message: with the answer before them at most 19 positions, or more
_LOOKUPS = (12, 26)
_SHORT, _LONG = (15, 170), (7 * 60, 48 * 60)  # seconds until the surveyor writes again: on the walk, and after it
_TURNS = ("few", "many", "away", "lookups", "few", "many", "away")


class FieldAgent(NamedTuple):
    """One of the two agents.

    ``control`` is the breakpoint it sets. ``marks_before``: whether the message of the user before the last has one
    too. ``staggers``: whether the other first requests wait until the first one is answered.
    """

    agent_id: str
    control: Json
    marks_before: bool = False
    staggers: bool = False
    rules: str = "nemo-relay-0.8"
    api: str = "anthropic_messages"
    model: str = "claude-sonnet-5"


FIELD_AGENTS = (
    FieldAgent("field-notes", {"type": "ephemeral"}),
    FieldAgent("field-notes-fixed", {"type": "ephemeral", "ttl": "1h"}, marks_before=True, staggers=True),
)


class ToolCall(NamedTuple):
    """One tool call with its result, and how long it takes in nanoseconds."""

    call_id: str
    name: str
    args: Json
    result: str
    nanoseconds: int


class Request(NamedTuple):
    """One request in time (nanoseconds since 1970): the body as sent, what is recorded of it, and its answer."""

    body: Json
    recorded: AnnotatedLlmRequest
    text: str
    tools: tuple[ToolCall, ...]
    started: int
    first_token: int
    ended: int
    output_tokens: int


class Session(NamedTuple):
    """One visit to a site; nanoseconds since 1970."""

    started: int
    ended: int
    calls: list[Request]


class _Step(NamedTuple):
    """A request before it is sent; durations in nanoseconds, ``wait`` from the answer before it.

    ``beside``: it is sent beside the first request of the session, which it does not continue.
    """

    messages: tuple[Json, ...]
    text: str
    tools: tuple[ToolCall, ...]
    wait: int
    to_first_token: int
    to_end: int
    output_tokens: int
    beside: bool = False


# --- what is said ---


class _Visit:
    """Draws one visit."""

    def __init__(self, rng: Random, n: int) -> None:
        self._rng = rng
        self._number = 2600 + n
        self._clock = rng.randint(6, 9) * 60

    def steps(self) -> Iterator[_Step]:
        """Yield the requests of the visit in the order in which they are sent."""
        dossier = _text(self._dossier())
        asks = [self._fill(question) for question in texts.FIRST_QUESTIONS]
        answers = [self._fill(answer) for answer in texts.FIRST_ANSWERS]
        for i, (ask, answer) in enumerate(zip(asks, answers, strict=True)):
            first = {"role": "user", "content": [dossier, _text(ask)]}
            yield self._step((first,), answer, wait=self._rng.randint(40, 400) * _MILLISECOND, beside=i > 0)
        messages = [{"role": "user", "content": [dossier, _text(asks[0])]}, _said(answers[0])]
        turns = self._rng.sample(_TURNS, len(_TURNS)) + self._rng.choices(_TURNS, k=3)
        for turn in turns[: self._rng.randint(*_N_TURNS)]:
            seconds = self._rng.uniform(*(_LONG if turn == "away" else _SHORT))
            self._clock += int(seconds // 60) + 1
            yield from self._turn(turn, messages, int(seconds * _SECOND))

    def _turn(self, turn: str, messages: list[Json], wait: int) -> Iterator[_Step]:
        if turn == "lookups":
            yield from self._lookups(messages, wait)
            wait = self._rng.randint(5, 90) * _MILLISECOND
        else:
            n = self._rng.randint(*(_MANY if turn == "many" else _FEW))
            notes = [self._fill(self._rng.choice(texts.NOTES)) for _ in range(n)]
            if n < _FEW[1] and self._rng.random() < 1 / 3:
                notes.append(self._fill(self._rng.choice(texts.REVIEW)))
            messages.append({"role": "user", "content": [_text(note) for note in notes]})
        answer = self._fill(self._rng.choice(texts.ANSWERS))
        yield self._step(messages, answer, wait=wait)
        messages.append(_said(answer))

    def _lookups(self, messages: list[Json], wait: int) -> Iterator[_Step]:
        """Yield a request that is answered by many tool calls at once; the messages then end with their results."""
        names = self._rng.sample(texts.POOLS["species"], min(self._rng.randint(*_LOOKUPS), len(texts.POOLS["species"])))
        messages.append({"role": "user", "content": [_text(texts.LOOKUP_ASK.format(list=", ".join(names)))]})
        calls = tuple(map(self._tool_call, names))
        yield self._step(messages, texts.LOOKUP_SAY, wait=wait, tools=calls)
        uses = [{"type": "tool_use", "id": c.call_id, "name": c.name, "input": c.args} for c in calls]
        results = [{"type": "tool_result", "tool_use_id": c.call_id, "content": c.result} for c in calls]
        messages.append({"role": "assistant", "content": [_text(texts.LOOKUP_SAY), *uses]})
        messages.append({"role": "user", "content": results})

    def _tool_call(self, species: str) -> ToolCall:
        call_id = "toolu_01" + "".join(self._rng.choices("abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", k=12))
        name = self._rng.choice(("species_status", "past_records"))
        args = {"name": species, "country": "england"}
        if name == "past_records":
            args = {"name": species, "grid": self._grid(3)}
        status = self._rng.choice(("protected, schedule 5", "not protected", "amber list", "protected, schedule 1"))
        result = self._fill(texts.RESULT.replace("{species}", species).replace("{status}", status))
        return ToolCall(call_id, name, args, result, self._rng.randint(120, 900) * _MILLISECOND)

    def _dossier(self) -> str:
        head = self._fill(texts.DOSSIER)
        records = [self._fill(texts.RECORD) for _ in range(self._rng.randint(36, 60))]
        return head + "\n".join(sorted(records, reverse=True))

    def _grid(self, figures: int) -> str:
        east, north = (f"{self._rng.randrange(10**figures):0{figures}}" for _ in range(2))
        return f"SK {east} {north}"

    def _fill(self, text: str) -> str:
        rng, pools = self._rng, texts.POOLS
        minute = self._clock + rng.randint(0, 5)
        drawn = {name: rng.choice(pool) for name, pool in pools.items()}
        drawn |= {f"{name}2": rng.choice(pools[name]) for name in ("bound", "habitat", "hazard", "species")}
        drawn |= dict(zip(("open1", "open2"), rng.sample(pools["open"], 2), strict=True))
        drawn |= {name: str(rng.randint(2, 9)) for name in ("count", "d1", "visit")}
        drawn |= {name: str(rng.randint(20, 98)) for name in ("area", "p1", "distance", "minutes", "n1")}
        drawn |= {"year": str(rng.randint(16, 25)), "p2": str(rng.randint(2, 19)), "height": str(rng.randint(3, 240))}
        return text.format(
            **drawn, grid=self._grid(4), time=f"{minute // 60 % 24:02}:{minute % 60:02}", number=self._number
        )

    def _step(
        self, messages: Sequence[Json], text: str, *, wait: int, tools: tuple[ToolCall, ...] = (), beside: bool = False
    ) -> _Step:
        n_bytes = len(json.dumps(messages))
        output_tokens = (len(text) + sum(len(json.dumps(tool.args)) for tool in tools)) // 4 + self._rng.randint(8, 40)
        to_first = (0.8 + n_bytes / 60_000) * self._rng.uniform(1, 1.8)
        to_end = to_first + output_tokens / 70 * self._rng.uniform(0.8, 1.3)
        nanoseconds = int(to_first * _SECOND), int(to_end * _SECOND)
        return _Step(tuple(messages), text, tools, wait, *nanoseconds, output_tokens, beside)


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _said(text: str) -> Json:
    return {"role": "assistant", "content": [_text(text)]}


# --- what is sent ---


def _mark(agent: FieldAgent, messages: Sequence[Json]) -> list[Json]:
    """Return the messages with breakpoints: behind the dossier, on the last block, and on one before if so chosen."""
    of_user = [i for i, message in enumerate(messages) if message["role"] == "user"]
    places = {(0, 0), (of_user[-1], -1)}
    if agent.marks_before and len(of_user) > 1:
        places.add((of_user[-2], -1))
    marked = [message | {"content": list(message["content"])} for message in messages]
    for message, block in places:
        content = marked[message]["content"]
        content[block] = content[block] | {"cache_control": agent.control}
    return marked


def _request(agent: FieldAgent, step: _Step, started: int) -> Request:
    messages = _mark(agent, step.messages)
    params = {"max_tokens": 2048, "temperature": 0.2}
    tools = [to_messages_tool(tool["function"]) for tool in texts.TOOLS]
    body = {"model": agent.model, **params, "system": texts.SYSTEM, "tools": tools, "messages": messages}
    is_first = not any(message["role"] == "assistant" for message in messages)
    recorded = AnnotatedLlmRequest(
        messages=tuple(messages if is_first else current_turn(messages)),
        model=agent.model,
        params=params,
        tools=texts.TOOLS,
        unknown={"instructions": texts.SYSTEM, "api_specific": {"api": agent.api}},
    )
    times = started, started + step.to_first_token, started + step.to_end
    return Request(body, recorded, step.text, step.tools, *times, step.output_tokens)


def _session(agent: FieldAgent, steps: Sequence[_Step], started: int) -> Session:
    """Lay a session out in time."""
    calls: list[Request] = []
    free = started
    for step in steps:
        if step.beside:
            begin = (calls[0].first_token if agent.staggers else calls[0].started) + step.wait
        else:
            begin = free + step.wait
        call = _request(agent, step, begin)
        calls.append(call)
        free = max(free, call.ended + max((tool.nanoseconds for tool in call.tools), default=0))
    return Session(started, free + 5 * _MILLISECOND, sorted(calls, key=lambda call: call.started))


def draw_sessions(agent: FieldAgent, seed: int) -> list[Session]:
    """Draw the sessions of an agent, oldest first; both agents have the same ones."""
    rng = Random(f"{seed} field sessions")
    sessions = []
    for n, day in enumerate(sorted(rng.sample(_WORKDAYS, _N_SESSIONS))):
        when = _FIRST_DAY + timedelta(days=day, hours=rng.randint(6, 13), minutes=rng.randint(0, 59))
        started = int(when.timestamp()) * _SECOND + rng.randrange(_SECOND)
        sessions.append(_session(agent, list(_Visit(rng, n).steps()), started))
    return sessions


def render(body: Json) -> list[Piece]:
    """Return a body as the provider sees it: tools, system, then the blocks of the messages, with breakpoints."""
    pieces = [Piece(json.dumps(tool), "tool") for tool in body["tools"]]
    pieces.append(Piece(body["system"], "system", extra_tokens=_SYSTEM_TOKENS))
    for message in body["messages"]:
        for block in message["content"]:
            bare = {name: value for name, value in block.items() if name != "cache_control"}
            control = block.get("cache_control")
            ttl = 0 if control is None else 3600 if control.get("ttl") == "1h" else 300
            pieces.append(Piece(json.dumps([message["role"], bare]), bare["type"], ttl))
    return pieces
