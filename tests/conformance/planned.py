"""Live requests that the runtime plans for, and our plans beside what it sent.

A case is an agent as in ``generate.py``, but with a provider, and with prompts long enough to be cached. What the
runtime knew before a run is what our twin of it knows; what it did to a request shows in the body that the provider
function got.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from random import Random
from typing import Any

from conformance.compare import Difference, records_whole, rules_of
from conformance.dialects import Anthropic, OpenAI, Responses
from conformance.generate import AGENTS, Case, Conversation, Habits, Run
from conformance.live import Laboratory
from conformance.printed_plans import PrintedPlan, first_difference, read_plan
from conformance.runtime import Call, Outcome, Thresholds
from conformance.twin import Twin
from conformance.values import Values

from acg_lab.core import (
    AnnotatedLlmRequest,
    BreakpointPlan,
    PlanReason,
    RunRecord,
    build_prompt_ir,
    canonical_json,
    mark_paths,
    plan_breakpoints,
    plan_request,
    surface_of,
)
from acg_lab.core.cache_marks import body_of
from acg_lab.core.codec import decode
from acg_lab.core.prompt_ir import hash_request, tool_drafts
from acg_lab.core.rules import get_rules

MODELS = ("claude-sonnet-4-20250514", "claude-haiku-4.5", "claude-3-opus-x", "claude-haiku-4-5", "gpt-4o")
WORDS = (0, 0, 1, 3, 300, 900, 1100, 4000)
MARK = {"type": "ephemeral"}
_SURFACES = {"openai": "chat", "anthropic": "anthropic", "responses": "responses"}
# Made without a codec, so that nobody but the planner tries to read it.
UNREADABLE = Call({"model": MODELS[0], "system": "s", "messages": "none"}, "none")


class LongValues(Values):
    """Texts from empty to such as pass the minimum of any model; equal texts are equally long."""

    def text(self):
        text = super().text()
        return text + "word " * WORDS[sum(map(ord, text)) % len(WORDS)]


class Messages(Anthropic):
    """Messages bodies of models with a family and without, mostly with a system prompt.

    Some hold what belongs to other APIs but is read all the same, and moves the marks: tool calls, system messages.
    """

    bare = 0.2  # how often there is no system prompt, so that the body is taken for one of another API

    def turn(self):
        v = self.values
        if v.chance(0.8):
            return super().turn()
        function = {"name": v.name(), "arguments": "{}"}
        calls = [{"id": v.id(), "type": "function", "function": function}] * v.rng.choice((1, 2))
        odd = [{"role": "assistant", "content": v.text(), "tool_calls": calls}]
        # Under 0.3 a system message takes the place of the system prompt before the planner sees the request, so that
        # it plans for another one than is recorded.
        odd += [{"role": "system", "content": v.text()}] * self.modern
        return [v.rng.choice(odd), self._message("user")]

    def frame(self):
        v = self.values
        frame = super().frame() | {"model": v.rng.choice(MODELS[:1] if v.chance(0.6) else MODELS)}
        if v.chance(0.05):
            del frame["model"]
        if v.chance(0.25):
            frame["response_format"] = {"type": "json_object"}
        return frame if v.chance(self.bare) else frame | {"system": self._system()}


class PromptedMessages(Messages):
    """The same, always with a system prompt.

    Provider ``openai`` reads a body that is taken for another API by that API's rules, and not as it is recorded.
    """

    bare = 0.0


DIALECTS = {"anthropic": (Messages, Messages, Messages, OpenAI), "openai": (OpenAI, Responses, PromptedMessages)}
DIALECTS["passthrough"] = DIALECTS["anthropic"]


def make_case(rng: Random, *, modern: bool) -> Case:
    """Draw an agent whose conversations repeat enough for something to be planned."""
    values = LongValues(rng)
    provider = rng.choice(("anthropic", "anthropic", "anthropic", "anthropic", "openai", "passthrough"))
    habits = Habits(
        grow=rng.choice((0.0, 0.3, 0.6)),
        restart=rng.choice((0.1, 0.3, 0.8)),
        fresh=rng.choice((0.0, 0.0, 0.0, 0.3)),
        exchange=rng.choice((0.0, 0.1, 0.3)),
        reframe=rng.choice((0.0, 0.0, 0.1)),
        spoil=0.0,
    )
    dialects = [rng.choice(DIALECTS[provider])(values, modern=modern) for _ in range(rng.choice((1, 1, 2)))]
    conversations = [Conversation(dialect, values, habits) for dialect in dialects]
    runs = tuple(_run(rng, conversations) for _ in range(rng.randint(4, 16)))
    limits = Thresholds(
        stable_threshold=rng.choice((0.3, 0.5, 0.5, 0.95, 1.5)),
        semi_stable_threshold=0.2,
        min_observations_for_full_confidence=rng.choice((0, 1, 2, 5, 20)),
    )
    agent_id = rng.choice(AGENTS) if rng.random() < 0.1 else "agent"
    window = rng.choice((1, 2, 5, 20, 100, 100))
    return Case(agent_id, window, limits, full_payloads=True, runs=runs, provider=provider)


def _run(rng: Random, conversations: list[Conversation]) -> Run:
    n_calls = rng.choice((1, 1, 2, 3))
    calls = (UNREADABLE if rng.random() < 0.02 else rng.choice(conversations).step() for _ in range(n_calls))
    return Run(tuple(calls), restart=rng.random() < 0.05)


def planned_cases(seed: int, n_requests: int, *, modern: bool) -> Iterator[Case]:
    """Yield agents that make that many requests together; as ``generate.cases``."""
    rng = Random(seed)
    while n_requests > 0:
        case = make_case(rng, modern=modern).cut(n_requests)
        n_requests -= case.n_requests
        yield case


class PlanLaboratory(Laboratory):
    """A laboratory that looks at the sent bodies, too.

    Attributes
    ----------
    reasons : dict of str to int
        How often each reason was ours.
    n_plans, n_breakpoints : int
        How many of the plans that the runtime printed were compared.
    """

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.reasons: dict[str, int] = {}
        self.n_plans = self.n_breakpoints = 0

    def _judge_calls(
        self, twin: Twin, run: Run, case: Case, outcomes: Sequence[Outcome], raw: bytes
    ) -> Difference | None:
        printed = self._runtime.debug_lines()[-len(run.calls) :]
        told = zip(run.calls, outcomes, printed, strict=True)
        sent = [(call, outcome.received, events) for call, outcome, events in told if not outcome.error]
        judged = list(zip(sent, decode(RunRecord, raw).calls, strict=True))
        if not records_whole(self._runtime.version):  # of a request that is cut nobody knows what the planner saw
            judged = judged[:1]
        for number, ((call, received, events), recorded) in enumerate(judged):
            found = self._judge_call(twin, case, call, received, recorded.annotated_request, read_plan(events))
            if found is not None:
                return Difference(f"call {number}", "", found[0], *found[1:])
        return None

    def _judge_call(
        self,
        twin: Twin,
        case: Case,
        call: Call,
        received: Any,
        request: AnnotatedLlmRequest,
        plan_printed: PrintedPlan,
    ) -> tuple[str, Any, Any] | None:
        rules = rules_of(self._runtime.version)
        rewrites = get_rules(rules).rewrites_body
        plan = plan_request(
            request,
            twin.hot_cache,
            agent_id=case.agent_id,
            provider=case.provider,
            rules=rules,
            surface=surface_of(call.request),
            body=None if rewrites else call.request,
        )
        self.reasons[plan.reason] = self.reasons.get(plan.reason, 0) + 1
        if rewrites and request is not None:  # its codec wrote the body anew, so the marks are all that can be compared
            ours, theirs = {path: MARK for path in plan.paths if path}, dict(marks(received))
        else:
            ours, theirs = (printed(body) for body in (expected_body(call.request, plan), received))
        told = plan.reason.message, plan.ends, plan.expected_savings, plan.paths
        if ours != theirs:
            return "sent body", (*told, ours), theirs
        if (found := first_difference(plan, plan_printed, read_alike=is_read_alike(call))) is not None:
            return found
        self.n_plans += bool(plan.segments)
        self.n_breakpoints += len(plan.segments)
        return self._without_shortcuts(twin, plan, request, rules)

    def _without_shortcuts(
        self, twin: Twin, plan: BreakpointPlan, request: AnnotatedLlmRequest, rules: str
    ) -> tuple[str, Any, Any] | None:
        """Make sure that planning step by step comes to the same as ``plan_request``."""
        if plan.reason != PlanReason.PLANNED:
            return None
        known = twin.hot_cache.acg_profiles.get(plan.learning_key, twin.hot_cache.acg_stability)
        ir = build_prompt_ir(request, ir_id="", created_at="", rules=rules)
        segments = plan_breakpoints(ir, known, request.model)
        if segments != plan.segments:
            return "segments", plan.segments, segments
        # What replay puts together by parts is what is learned as a whole.
        table = get_rules(rules)
        parts = [(draft.content_type, draft.suffix) for draft in tool_drafts(table, request)]
        blocks = [b for b in ir.blocks if b.content_type in {"tool_schema", "structured_output"}]
        whole = [(b.content_type, b.span_id.removeprefix(f"{b.role}-{b.sequence_index}")) for b in blocks]
        if (parts, hash_request(request)) != (whole, ir.source_request_hash):
            return "parts", parts, whole
        # Without the body the marks are told all the same.
        paths = mark_paths([segment.target for segment in segments], body_of(request, rules=rules))
        return None if paths == plan.paths else ("paths", plan.paths, paths)


def is_read_alike(call: Call) -> bool:
    """Return whether the planner, which looks at the body alone, reads it by the rules of the API that it is for."""
    return surface_of(call.request) == _SURFACES.get(call.codec)


def expected_body(body: Mapping[str, Any], plan: BreakpointPlan) -> dict[str, Any]:
    """Return the body as the plan has it sent (`acg_lab/docs/rules/planner.md`, 5 and 6)."""
    sent = deepcopy(dict(body))
    if plan.reason in {PlanReason.PLANNED, PlanReason.CANONICAL} and sent.get("tools"):
        sent["tools"] = [json.loads(canonical_json(tool), parse_int=_as_runtime_reads) for tool in sent["tools"]]
    for path in filter(None, plan.paths):
        _mark(sent, path.removeprefix("$.").replace("[", ".").replace("]", "").split("."))
    return sent


def _as_runtime_reads(digits: str) -> int | float:
    """Return an integer, or what the runtime makes of one that 64 bits do not hold."""
    return value if -(2**63) <= (value := int(digits)) < 2**64 else float(digits)


def _mark(value: Any, steps: list[str]) -> None:
    step = int(steps[0]) if isinstance(value, list) else steps[0]
    if isinstance(value[step], str):
        value[step] = [{"type": "text", "text": value[step]}]
    if len(steps) > 1:
        _mark(value[step], steps[1:])
    else:
        value[step]["cache_control"] = MARK


def marks(value: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """Yield where a body is marked, and with what."""
    items = value.items() if isinstance(value, dict) else ()
    if "cache_control" in dict(items):
        yield path, value["cache_control"]
    for name, item in items:
        yield from marks(item, f"{path}.{name}")
    for i, item in enumerate(value if isinstance(value, list) else ()):
        yield from marks(item, f"{path}[{i}]")


def printed(body: Any) -> str:
    """Print a body so that numbers differ where their spelling does."""
    return json.dumps(body, sort_keys=True)
