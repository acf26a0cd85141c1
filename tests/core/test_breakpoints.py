"""Which prefix ends a live request gets, and why those (`acg_lab/docs/rules/planner.md`, 4 and 7)."""

import copy
import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planner_inputs import (
    FLOW,
    RELAY_6,
    RELAY_8,
    SONNET,
    SYSTEM,
    TOOL,
    ask,
    ends_of,
    ir_of,
    learn,
    plan,
    stable,
    text_of,
)
from strategies import make_block, make_ir, make_tool, reordered, requests, simple_requests

from acg_lab.core import (
    MINIMUM_TOKENS,
    RULES,
    HotCache,
    LearnerUpdate,
    Multipliers,
    PlanReason,
    StabilityThresholds,
    Target,
    TokenMetadata,
    analyze_stability,
    build_prompt_ir,
    canonical_json,
    plan_breakpoints,
)
from acg_lab.core.breakpoints import (
    Candidate,
    choose_ends,
    estimate_tokens,
    expected_savings,
    find_candidates,
    minimum_tokens,
)

# --- the worked examples of the specification ---


def test_first_example():
    """A system prompt of 1,500 tokens is marked from the third observation on, with the default thresholds."""
    history = [ask(f"question {i}") for i in range(4)]
    plans = [plan(history[3], learn(history[:n])) for n in range(4)]
    assert [p.reason.value for p in plans] == ["nothing learned", "one observation", "not worth it", "planned"]
    assert [(p.n_observations, p.depth) for p in plans] == [(0, 0), (1, 2), (2, 1), (3, 1)]
    last = plans[-1]
    assert (last.entry, last.depth, last.ends, last.paths) == ("profile", 1, (1,), ("$.system[0]",))
    (segment,) = last.segments
    assert (segment.start, segment.tokens, segment.prefix_tokens, segment.kind) == (0, 1500, 1500, "system")
    assert segment.expected_reads == pytest.approx(0.3)
    assert segment.expected_savings == last.expected_savings == pytest.approx(30)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("question", ["one and the same question", "q"])
def test_first_example_with_one_question(rules, question):
    """With the same question each time the mark goes on the question, be it longer or, below 4 bytes, equally long."""
    request = ask(question, rules=rules)
    planned = plan(request, learn([request] * 3, rules), rules)
    assert (planned.depth, planned.ends, planned.paths) == (2, (2,), ("$.messages[0].content[0]",))


@pytest.mark.parametrize("rules", [FLOW, RELAY_6])
def test_first_example_before_rules_version_8(rules):
    """Before 0.8 each question makes its own profile of one observation, the seed entry's among them."""
    history = [ask(f"question {i}", rules=rules) for i in range(9)]
    planned = plan(ask("another", rules=rules), learn(history, rules), rules)
    assert (planned.reason, planned.entry) == (PlanReason.ONE_OBSERVATION, "agent")


def test_second_example():
    """If reads fall turn by turn, up to four ends are where they fall."""
    shares = [19, 18, 17, 16, 15, 13]
    dominant = [text_of(200, f"{i} ") for i in range(6)]
    roles = ["user", "assistant"] * 3

    def request(n):
        texts = [text if n < share else f"{text}{n}" for text, share in zip(dominant, shares, strict=True)]
        turns = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
        return ask(*turns, rules=RELAY_6)

    hot_cache = learn(map(request, range(19)), RELAY_6, stable_threshold=0.5, min_observations_for_full_confidence=5)
    planned = plan(request(0), hot_cache, RELAY_6)
    assert planned.ends == (2, 4, 6, 7)
    assert [segment.tokens for segment in planned.segments] == [1700, 400, 400, 200]
    assert [segment.start for segment in planned.segments] == [0, 2, 4, 6]
    reads = [segment.expected_reads for segment in planned.segments]
    assert reads == pytest.approx([18, 16.11, 14.21, 12.32], abs=0.01)
    savings = [segment.expected_savings for segment in planned.segments]
    assert savings == pytest.approx([27115, 5697.9, 5015.8, 2166.8], abs=0.06)
    assert planned.expected_savings == pytest.approx(sum(savings))
    assert planned.paths == tuple(f"$.messages[{i}].content[0]" for i in (0, 2, 4, 5))


def tool_of(tokens, name):
    """Make a tool whose block has this many tokens."""
    empty = len(canonical_json(make_tool(name, description="")))
    tool = make_tool(name, description="x" * (tokens * 4 - empty))
    assert len(canonical_json(tool)) == tokens * 4
    return tool


def test_third_example():
    """After a long system prompt tools are cached up to the last one, which takes the only mark."""
    tools = (tool_of(332, "a"), tool_of(332, "b"))
    history = [ask(f"question {i}", tools=tools) for i in range(8)]
    hot_cache = learn(history, min_observations_for_full_confidence=2)
    planned = plan(ask("another", tools=tools), hot_cache)
    assert (planned.depth, planned.ends, planned.paths) == (3, (3,), ("$.tools[1]",))
    assert planned.segments[0].expected_reads == 7
    ir = build_prompt_ir(history[0], ir_id="", created_at="", rules=RELAY_8)
    candidates = find_candidates(ir, hot_cache.acg_stability, 1024)
    assert [(c.end, c.tokens, c.reads) for c in candidates] == [(1, 1500, 7.0), (3, 2164, 7.0)]


def test_third_example_with_a_shared_first_turn():
    """A shared first turn binds the prefix to whole requests in 0.8; before, the user's end beats the assistant's."""
    first = ("always the same", {"role": "assistant", "content": "ok"})
    plans = {}
    for rules in (RELAY_6, RELAY_8):
        history = [ask(*first, f"question {i}", rules=rules) for i in range(5)]
        plans[rules] = plan(history[-1], learn(history[:4], rules, min_observations_for_full_confidence=1), rules)
    assert [(p.reason.value, p.depth) for p in plans.values()] == [("planned", 3), ("fingerprint", 3)]
    assert (plans[RELAY_6].ends, plans[RELAY_6].paths) == ((2,), ("$.messages[0].content[0]",))


@pytest.mark.parametrize(
    ("full_confidence", "smallest"),
    [(0, 2), (7, 2), (8, 3), (20, 3), (21, 3), (22, 4), (43, 4), (44, 5), (71, 5), (72, 6), (107, 6), (1000, 18)],
)
def test_smallest_number_of_observations(full_confidence, smallest):
    """With everything stable, this many observations are needed, whatever the length of the prefix."""
    thresholds = StabilityThresholds(min_observations_for_full_confidence=full_confidence)
    ir = ir_of(5000)
    plans = [plan_breakpoints(ir, analyze_stability([ir] * n, thresholds), SONNET) for n in range(1, 30)]
    assert next(n for n, segments in enumerate(plans, 1) if segments) == smallest


# --- families and tokens ---


@pytest.mark.parametrize(
    ("model", "minimum"),
    [
        ("claude-opus-4.6", 4096),
        ("claude-opus-4.5", 4096),
        ("claude-haiku-4.5", 4096),
        ("claude-sonnet-4.6", 2048),
        ("claude-haiku-3.5", 2048),
        ("claude-3-opus", 2048),
        ("claude-opus-4.1", 1024),
        ("claude-opus-4", 1024),
        ("claude-sonnet-4.5", 1024),
        ("claude-sonnet-4", 1024),
        ("claude-3.5-sonnet", 1024),
        ("claude-3-haiku", 1024),
        ("claude-3-opus-20240229", 2048),
        ("claude-opus-4.6-fast", 4096),  # the longest family name, not claude-opus-4
        ("claude-opus-4-6", 1024),  # with a hyphen it falls to the shorter one
        ("claude-sonnet-4-6", 1024),
        ("claude-sonnet-4.7", 1024),
        ("claude-haiku-4-5-20251001", None),
        ("claude-3-5-sonnet-20241022", None),
        ("claude-3-7-sonnet", None),
        ("Claude-sonnet-4", None),
        ("anthropic/claude-sonnet-4", None),
        ("us.anthropic.claude-sonnet-4", None),
        ("claude-sonnet", None),
        ("", None),
    ],
)
def test_families(model, minimum):
    """A model belongs to the longest family name that it starts with; case matters and no prefix is stripped."""
    assert minimum_tokens(model) == minimum
    assert ends_of(ir_of(4096), stable(1.0), model) == ([] if minimum is None else [1])


def test_families_and_prices_are_data():
    """A caller can replace families and prices; the order of the families does not matter."""
    ir, result = ir_of(600), stable(1.0)
    assert ends_of(ir, result, "gpt", families={"gp": 9999, "gpt": 512}) == [1]
    assert ends_of(ir, result, "gpt", families={"gpt": 512, "gp": 9999}) == [1]
    assert ends_of(ir, result, "gpt", families={"gpt": 512}, multipliers=Multipliers(write=2.0)) == []
    with pytest.raises(TypeError):
        MINIMUM_TOKENS["gpt"] = 1


@pytest.mark.parametrize("model", ["claude-sonnet-4", "claude-sonnet-4.6", "claude-opus-4.6"])
def test_minimum(model):
    """A prefix of just the minimum is cached, one of a token less is not."""
    minimum = minimum_tokens(model)
    assert ends_of(ir_of(minimum - 1), stable(1.0), model) == []
    assert ends_of(ir_of(minimum), stable(1.0), model) == [1]


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("abc", 0), ("abcd", 1), ("\U0001f600", 1), ("漢" * 4, 3)])
def test_tokens_of_a_block(text, tokens):
    """Tokens are a quarter of the UTF-8 bytes, rounded down, unless the block has a recorded count."""
    assert estimate_tokens(make_block("s", text)) == tokens
    known = make_block("s", text, token_metadata=TokenMetadata(model_family="f", token_count=77))
    assert estimate_tokens(known) == 77


def test_tokens_are_rounded_block_by_block():
    """What is left over of a block's bytes is lost, not added to the next block."""
    assert ends_of(make_ir(("a", "x" * 4095), ("b", "y")), stable(1, 1)) == []


# --- candidates ---


def candidate_ends(ir, result, minimum=1000):
    return [candidate.end for candidate in find_candidates(ir, result, minimum)]


def test_walk_ends_with_the_prefix():
    """The walk goes as far as the prefix, the live blocks and the scores go, and the classes are stable."""
    ir = ir_of(1000, 1, 1)
    assert candidate_ends(ir, stable(1, 1, 1)) == [1, 2, 3]
    assert candidate_ends(ir, stable(1, 1, 1, depth=2)) == [1, 2]
    assert candidate_ends(ir, stable(1, 1, depth=3)) == [1, 2]
    assert candidate_ends(ir_of(1000), stable(1, 1)) == [1]
    result = stable(1, 1, 1)
    scores = [
        msgspec.structs.replace(score, classification=c)
        for score, c in zip(result.scores, ["stable", "variable", "stable"], strict=True)
    ]
    assert candidate_ends(ir, msgspec.structs.replace(result, scores=tuple(scores))) == [1]


def test_reads_follow_the_weakest_block():
    """Reads are those of the weakest block so far, its score by its confidence, both held to 0 to 1."""
    ir = ir_of(1000, 1, 1, 1, 1)
    result = stable(1.5, (0.8, 1.0), (1.0, 0.9), (0.9, 0.5), (-1.0, 1.0), n=11)
    assert [candidate.reads for candidate in find_candidates(ir, result, 0)] == [10.0, 8.0, 8.0, 4.5, 0.0]


@pytest.mark.parametrize(
    ("blocks", "ends"),
    [
        ([(1000, TOOL), (1, TOOL), (1, TOOL)], [1, 3]),  # the first tool reaches the minimum, so it may end there
        ([(999, TOOL), (1, TOOL), (1, TOOL)], [2, 3]),
        ([(1000, SYSTEM), (1, TOOL), (1, TOOL), 1], [1, 3, 4]),
        ([(1000, SYSTEM), (1, TOOL), 1], [1, 2, 3]),
        ([(1000, SYSTEM), 1, (1, TOOL), (1, TOOL)], [1, 2, 4]),
    ],
)
def test_no_end_inside_tools(blocks, ends):
    """Once the minimum is reached, no prefix ends between two tools."""
    assert candidate_ends(ir_of(*blocks), stable(*[1] * len(blocks))) == ends


def test_tool_beyond_the_prefix_counts():
    """The tool that follows may lie beyond the stable prefix."""
    ir = ir_of((1000, SYSTEM), (1, TOOL), (1, TOOL))
    assert candidate_ends(ir, stable(1, 1, 1, depth=2)) == [1]
    assert candidate_ends(ir_of((1000, SYSTEM), (1, TOOL)), stable(1, 1)) == [1, 2]


def test_falling_tools():
    """Reads that fall inside the tools put no end there."""
    ir = ir_of((1500, SYSTEM), (500, TOOL), (500, TOOL), (500, TOOL))
    segments = plan_breakpoints(ir, stable(1, 1, 0.8, 0.6, n=20), SONNET)
    assert [(s.end, s.tokens, s.target) for s in segments] == [
        (1, 1500, Target("system", 0)),
        (4, 1500, Target("tools", 2)),
    ]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({**TOOL, "provenance": "retrieval"}, "tool"),
        ({"role": "user", "provenance": "retrieval"}, "retrieval"),
        ({"role": "user", "content_type": "tool_result"}, "user"),
        ({"role": "tool", "content_type": "tool_result", "provenance": "tool"}, "structured"),
        ({"role": "tool", "content_type": "image", "provenance": "tool"}, "structured"),
        ({**SYSTEM, "content_type": "structured_output"}, "structured"),
        (SYSTEM, "system"),
        ({"role": "assistant", "provenance": "developer"}, "generic"),
        ({"role": "tool", "provenance": "tool"}, "generic"),
    ],
)
def test_kinds(fields, kind):
    """A block's kind follows from content type, provenance and role, in that order of precedence."""
    (segment,) = plan_breakpoints(ir_of((1024, fields)), stable(1.0), SONNET)
    assert segment.kind == kind


# --- the choice ---

KINDS = ["user", "retrieval", "tool", "system", "structured", "generic"]


@pytest.mark.parametrize(("better", "worse"), list(itertools.combinations(KINDS, 2)))
def test_ties_by_kind(better, worse):
    """Of two ends that are worth the same the preferred kind wins, in either order."""
    for first, second in [(better, worse), (worse, better)]:
        (chosen,) = choose_ends([Candidate(1, 1024, 5.0, first), Candidate(2, 1024, 5.0, second)])
        assert chosen.kind == better


def test_ties_by_length():
    """Of two ends of one kind that are worth the same the longer prefix wins."""
    assert choose_ends([Candidate(1, 1024, 5.0, "user"), Candidate(2, 1024, 5.0, "user")])[0].end == 2


def test_more_tokens_beat_kind():
    """One token more wins against any kind."""
    assert choose_ends([Candidate(1, 1024, 5.0, "user"), Candidate(2, 1025, 5.0, "generic")])[0].end == 2


@pytest.mark.parametrize(("drop", "ends"), [(0.0, [2]), (1e-13, [2]), (1e-11, [1, 2]), (0.1, [1, 2])])
def test_worth_within_a_billionth_is_equal(drop, ends):
    """A second breakpoint that wins no more than 1e-9 of a token is not planned."""
    candidates = [Candidate(1, 1024, 2.0, "user"), Candidate(2, 2048, 2.0 - drop, "user")]
    assert [chosen.end for chosen in choose_ends(candidates)] == ends


def test_any_worth_is_worth_a_breakpoint():
    """A segment that saves less than one token, but more than 1e-9 of one, is planned."""
    candidates = [Candidate(1, 1024, 9.0, "user"), Candidate(2, 1025, 0.5, "user")]
    assert expected_savings(1, 0.5) == pytest.approx(0.2)
    assert [chosen.end for chosen in choose_ends(candidates)] == [1, 2]


def test_equal_predecessors():
    """Of predecessors that are worth the same the later one is taken, whatever its kind."""
    candidates = [Candidate(1, 1024, 5.0, "user"), Candidate(2, 1024, 5.0, "generic"), Candidate(3, 2048, 1.0, "user")]
    assert [chosen.end for chosen in choose_ends(candidates)] == [2, 3]


def test_worse_end_loses():
    """An end further on that is worth less in all, by losing reads, is not taken by itself."""
    assert choose_ends([Candidate(1, 1024, 9.0, "generic"), Candidate(2, 1100, 0.1, "user")])[0].end == 1
    assert choose_ends([Candidate(1, 1024, 0.2, "generic"), Candidate(2, 1100, 0.1, "user")]) == ()


@pytest.mark.parametrize(("reads", "sign"), [(0.277, -1), (0.278, 1)])
def test_worth(reads, sign):
    """A write at 1.25 pays from 0.2778 reads at 0.1 on."""
    assert expected_savings(1000, reads) * sign > 0


def test_worth_keeps_productions_order_of_operations():
    """The last bit is production's: 0.9 is 1.0 - 0.1, and the sum is made before the product."""
    assert expected_savings(1537, 0.3).hex() == (1537 * (((1.0 - 0.1) * 0.3) - (1.25 - 1.0))).hex()


def test_at_most_four():
    """However often reads fall, there are four breakpoints, and fewer if asked for."""
    ir, result = ir_of(*[1024] * 8), stable(*(1 - 0.05 * i for i in range(8)), n=50)
    assert len(ends_of(ir, result)) == 4
    candidates = list(find_candidates(ir, result, 1024))
    assert [len(choose_ends(candidates, max_breakpoints=k)) for k in (1, 2, 3, 8)] == [1, 2, 3, 8]


@st.composite
def falling(draw, max_size=7):
    """Candidates as they occur: tokens never fall, reads never rise."""
    n = draw(st.integers(0, max_size))
    tokens = sorted(draw(st.lists(st.integers(1024, 4000), min_size=n, max_size=n)))
    reads = sorted(draw(st.lists(st.floats(0, 20), min_size=n, max_size=n)), reverse=True)
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=n, max_size=n))
    return [Candidate(i + 1, *row) for i, row in enumerate(zip(tokens, reads, kinds, strict=True))]


def total_worth(chosen):
    """Add up the worth of segments; None if one of them is worth nothing."""
    tokens = [0, *(candidate.tokens for candidate in chosen)]
    values = [expected_savings(b - a, c.reads) for a, b, c in zip(tokens, tokens[1:], chosen, strict=False)]
    return sum(values) if all(value > 0 for value in values) else None


@given(falling())
def test_choice_is_best(candidates):
    """No other choice of up to four ends is worth more."""
    chosen = choose_ends(candidates)
    others = (total_worth(other) for k in range(1, 5) for other in itertools.combinations(candidates, k))
    best = max((value for value in others if value is not None), default=0.0)
    assert (total_worth(chosen) if chosen else 0.0) == pytest.approx(best, abs=1e-6)


# --- laws of plans ---


@st.composite
def irs_and_results(draw):
    """Live requests and results that need not be of them."""
    shapes = st.sampled_from([{}, TOOL, SYSTEM, {"role": "assistant", "provenance": "developer"}])
    blocks = draw(st.lists(st.tuples(st.integers(0, 2000), shapes), max_size=9))
    scores = draw(st.lists(st.tuples(st.floats(-1, 2), st.floats(0, 1)), max_size=9))
    return ir_of(*blocks), stable(*scores, n=draw(st.integers(2, 60)), depth=draw(st.integers(0, 10)))


@given(irs_and_results())
def test_laws_of_plans(given_pair):
    """Ends ascend within the prefix, at most four; segments adjoin; each is worth something; arguments stay."""
    ir, result = given_pair
    before = copy.deepcopy(given_pair)
    segments = plan_breakpoints(ir, result, SONNET)
    ends = [segment.end for segment in segments]
    assert ends == sorted(set(ends))
    assert all(0 < end <= min(result.stable_prefix_length, len(ir.blocks), len(result.scores)) for end in ends)
    assert len(ends) <= 4
    assert [segment.start for segment in segments] == [0, *ends][: len(ends)]
    assert sum(segment.tokens for segment in segments) == (segments[-1].prefix_tokens if segments else 0)
    assert all(segment.expected_savings > 0 for segment in segments)
    assert all(segment.prefix_tokens >= 1024 for segment in segments)
    assert given_pair == before


@given(st.lists(requests() | simple_requests(), min_size=1, max_size=6), st.sampled_from(list(RULES)))
def test_order_of_keys_does_not_matter(history, rules):
    """A plan does not depend on the order in which objects were built, and changes no argument."""
    *learned, live = [msgspec.structs.replace(request, model="m") for request in history]
    hot_cache = learn(learned, rules, min_observations_for_full_confidence=1)
    options = {"families": {"m": 0}, "multipliers": Multipliers(write=0.5)}
    known, before = dict(hot_cache.acg_profiles), copy.deepcopy(live)
    planned = plan(live, hot_cache, rules, **options)
    fields = {name: reordered(getattr(live, name)) for name in ("params", "unknown")}
    fields |= {"messages": tuple(map(reordered, live.messages))}
    fields |= {"tools": None if live.tools is None else tuple(map(reordered, live.tools))}
    shuffled = HotCache()
    shuffled.apply(LearnerUpdate(results=reordered(known), seed=hot_cache.acg_stability))
    assert plan(msgspec.structs.replace(live, **fields), shuffled, rules, **options) == planned
    assert (live, hot_cache.acg_profiles) == (before, known)
    assert msgspec.json.decode(msgspec.json.encode(planned), type=type(planned)) == planned


def test_no_breakpoint_allowed():
    """With a limit of 0, none is chosen; with 1, the best."""
    candidates = [Candidate(1, 2048, 5.0, "system"), Candidate(2, 4096, 5.0, "user")]
    assert choose_ends(candidates, max_breakpoints=0) == ()
    assert len(choose_ends(candidates, max_breakpoints=1)) == 1
