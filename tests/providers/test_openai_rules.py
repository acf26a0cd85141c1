"""OpenAI's rules by hand, from GPT-5.6 on and before; tokens are typed, not computed."""

from dataclasses import replace

import pytest
from providers.histories import Piece, Prompt, block, make_table

from acg_lab.providers import Doubt, LookupReason, PieceKind, Refusal, find_provider, run_cache

OPENAI = find_provider("openai")
PREFIX = find_provider("openai-prefix")
DEVELOPER = block("developer", 1500, PieceKind.DEVELOPER, 0)
MINUTE = 60.0


def bill(*prompts, provider=OPENAI):
    """What each request reads and writes, by TTL."""
    outcome = run_cache(make_table(prompts), provider)
    written = [dict(zip(outcome.ttls, row, strict=True)) for row in outcome.written_tokens.tolist()]
    writes = [{ttl: tokens for ttl, tokens in row.items() if tokens} for row in written]
    return list(zip(outcome.read_tokens.tolist(), writes, strict=True))


def reasons(*prompts):
    outcome = run_cache(make_table(prompts), OPENAI)
    found = outcome.lookup_reasons[outcome.lookup_offsets[-2] : outcome.lookup_offsets[-1]]
    return [LookupReason(reason).name for reason in found.tolist()]


def asks(*pieces, at=0.0, breakpoints=None, **more):
    more = {"model": "gpt-5.6", "took": 1.0} | more
    return Prompt(pieces, at, breakpoints or {}, **more)


def user(name, tokens=200, message=1):
    return block(name, tokens, PieceKind.USER, message)


def test_o1_the_implicit_breakpoint_ends_the_latest_eligible_message():
    """O1: what follows the last user message is neither written nor read."""
    said = block("assistant", 300, PieceKind.ASSISTANT, 2)
    assert bill(asks(DEVELOPER, user("x"), said)) == [(0, {1800: 1700})]


def test_o1_a_message_ends_with_its_last_part():
    """O1: a user message of two parts is one boundary, not two."""
    first, second = asks(DEVELOPER, user("x"), user("y")), asks(DEVELOPER, user("x"), user("z"), at=9)
    assert bill(first, second) == [(0, {1800: 1900}), (0, {1800: 1900})]


def test_o1_of_a_run_of_tool_outputs_the_last_counts():
    """O1: parallel outputs end one boundary together; the next turn reads up to it."""
    outputs = tuple(block(f"output {k}", 100, PieceKind.TOOL_RESULT, 2 + k) for k in range(3))
    first = asks(DEVELOPER, user("x"), *outputs)
    assert bill(first) == [(0, {1800: 2000})]
    assert bill(first, asks(DEVELOPER, user("x"), *outputs, user("more", 50, 9), at=9))[1] == (2000, {1800: 50})


def test_o1_explicit_mode_without_breakpoints_caches_nothing():
    """O1: no breakpoint of its own, no caching and no writes."""
    prompts = [asks(DEVELOPER, user("x"), at=at, automatic=0) for at in (0, 9)]
    assert bill(*prompts) == [(0, {}), (0, {})]


def test_o2_four_writes_at_most():
    """O2: implicit and the latest three, or the latest four: the first of five stores no entry."""
    pieces = (DEVELOPER, *(block(f"part {k}", 100, PieceKind.USER, 1) for k in range(6)))
    breakpoints = dict.fromkeys((0, 1, 2, 3, 4), 0)
    other = asks(DEVELOPER, user("else"), at=9, breakpoints={0: 0})
    assert bill(asks(*pieces, breakpoints=breakpoints), other)[1][0] == 0
    assert bill(asks(*pieces, breakpoints=dict.fromkeys((0, 3, 4), 0)), other)[1][0] == 1500
    assert bill(asks(*pieces, breakpoints=breakpoints, automatic=0), other)[1][0] == 0
    assert bill(asks(*pieces, breakpoints=dict.fromkeys((0, 2, 3, 4), 0), automatic=0), other)[1][0] == 1500


def test_o3_boundaries_of_this_request_are_looked_up_longest_first():
    """O3: a growing chat reads its previous end, one of 20 earlier ends of messages."""
    users = [tuple(user(f"turn {k}", 1100, k) for k in range(n)) for n in (1, 2, 3)]
    assert bill(*(asks(*u, at=9.0 * k) for k, u in enumerate(users))) == [
        (0, {1800: 1100}),
        (1100, {1800: 1100}),
        (2200, {1800: 1100}),
    ]


@pytest.mark.parametrize(("further", "read"), [(20, 1100), (21, 0)])
def test_o3_twenty_earlier_messages(further, read):
    """O3: the end of a message is found behind 20 later ones, not behind 21."""
    turns = tuple(user(f"turn {k}", 1100, k) for k in range(further + 1))
    assert bill(asks(turns[0]), asks(*turns, at=9))[1][0] == read


def test_o3_first_and_latest_explicit_breakpoints():
    """O3: of many explicit breakpoints the first two and the latest 50 are looked up."""
    parts = tuple(block(f"part {k}", 1100, PieceKind.USER, 0) for k in range(60))
    whole = asks(*parts, at=9, breakpoints=dict.fromkeys(range(60), 0), automatic=0)
    for n, read in ((1, 1100), (2, 2200), (5, 0), (11, 12_100)):
        first = asks(*parts[:n], breakpoints={n - 1: 0}, automatic=0)
        assert bill(first, whole)[1][0] == read, n
    switched = OPENAI.with_settings(latest_explicit=80)
    assert bill(asks(*parts[:5], breakpoints={4: 0}, automatic=0), whole, provider=switched)[1][0] == 5500


def test_o4_a_shared_prefix_needs_a_boundary():
    """Vector f: system and another question read nothing; with an explicit breakpoint after the system they read it."""
    plain = asks(DEVELOPER, user("x")), asks(DEVELOPER, user("y"), at=9)
    cached = tuple(replace(p, breakpoints={0: 0}) for p in plain)
    assert bill(*plain) == [(0, {1800: 1700}), (0, {1800: 1700})]
    assert bill(*cached) == [(0, {1800: 1700}), (1500, {1800: 200})]
    assert reasons(*plain) == ["NOT_WRITTEN", "NOT_WRITTEN"]


def test_o4_text_inside_a_message_hides_its_old_end():
    """O4: the old end of the message is in no boundary of this request."""
    first, second = asks(DEVELOPER, user("x")), asks(DEVELOPER, user("x"), user("appended"), at=9)
    assert bill(first, second)[1][0] == 0
    assert reasons(first, second) == ["BOUNDARY_ABSENT", "NOT_WRITTEN"]


def test_o4_explicit_mode_hides_implicit_ends():
    """O4: what the implicit mode wrote is not looked up in explicit mode."""
    first, second = (
        asks(DEVELOPER, user("x")),
        asks(DEVELOPER, user("x"), user("y", 50, 2), at=9, automatic=0, breakpoints={2: 0}),
    )
    assert bill(first, second)[1][0] == 0
    assert reasons(first, second) == ["BOUNDARY_ABSENT"]


def test_o4_later_developer_messages_are_no_boundaries():
    """O4: only the first run of developer messages ends one."""
    later = block("developer, later", 300, PieceKind.DEVELOPER, 2)
    outcome = run_cache(make_table([asks(DEVELOPER, user("x"), later)]), OPENAI)
    assert outcome.lookup_pieces.tolist() == [1, 0]


def test_o5_a_breakpoint_on_a_tool_is_refused():
    """O5: tools, instructions and the assistant's output take no breakpoint."""
    tool = replace(block("tool", 1200, PieceKind.TOOL, -1), allows_breakpoint=False)
    outcome = run_cache(make_table([asks(tool, user("x"), breakpoints={0: 0})]), OPENAI)
    assert outcome.refusals.tolist() == [Refusal.BREAKPOINT_NOT_ALLOWED]


@pytest.mark.parametrize(("tokens", "written"), [(1023, {}), (1024, {1800: 1024})])
def test_o6_minimum(tokens, written):
    """O6: 1,023 tokens write nothing, 1,024 all; nothing is rounded."""
    assert bill(asks(user("x", tokens))) == [(0, written)]


@pytest.mark.parametrize(("minutes", "read"), [(29.9, 1700), (30.5, 0)])
def test_o7_half_an_hour_from_the_last_use(minutes, read):
    """O7: gone after half an hour by the promise, though it may live longer, which is flagged."""
    pair = asks(DEVELOPER, user("x")), asks(DEVELOPER, user("x"), at=minutes * MINUTE)
    assert bill(*pair)[1][0] == read
    doubts = run_cache(make_table(pair), OPENAI).doubts[1]
    assert bool(doubts & Doubt.MAY_LIVE_LONGER) == (not read)


def test_o7_reads_renew():
    """O7: three reads at 25 minutes each keep it alive."""
    prompts = [asks(DEVELOPER, user("x"), at=25 * MINUTE * k) for k in range(4)]
    assert [read for read, _ in bill(*prompts)] == [0, 1700, 1700, 1700]


def test_o8_twelve_hours_by_request_or_by_breakpoint():
    """O8: a TTL of 12 h is written apart and lives on after five hours."""
    half_a_day = 43_200
    by_breakpoint = asks(DEVELOPER, user("x"), breakpoints={0: half_a_day})
    assert bill(by_breakpoint) == [(0, {1800: 200, half_a_day: 1500})]
    by_request = [asks(DEVELOPER, user("x"), at=at, automatic=half_a_day) for at in (0, 5 * 3600)]
    assert bill(*by_request) == [(0, {half_a_day: 1700}), (1700, {})]


def test_o9_rates():
    """O9: reads a tenth, or a twentieth; writes 1.25, and 2.5 for 12 h."""
    assert OPENAI.multipliers_of("gpt-5.6").read == 0.1
    assert OPENAI.multipliers_of("gpt-6.1-sol").read == 0.05
    assert dict(OPENAI.multipliers_of("gpt-6.1-terra").writes) == {1800: 1.25, 43_200: 2.5}


def test_o10_keys_are_apart():
    """O10: a key is part of what makes prefixes equal; here it stands for a model's name."""
    assert bill(asks(DEVELOPER, user("x")), asks(DEVELOPER, user("x"), at=9, model="gpt-5.6, key b"))[1][0] == 0


def test_o11_a_prewarm_writes():
    """O11: a request without output fills the cache."""
    assert bill(asks(DEVELOPER, user("x"), flags=1), asks(DEVELOPER, user("x"), at=9))[1][0] == 1700


def test_o12_readable_at_the_end_or_at_the_first_token():
    """When entries become readable is not documented: the end by default, the first token as the other bound."""
    pair = asks(DEVELOPER, user("x"), first_token=1.0, took=30.0), asks(DEVELOPER, user("x"), at=9)
    assert bill(*pair)[1][0] == 0
    assert bill(*pair, provider=OPENAI.with_settings(visible_at="first_token"))[1][0] == 1700
    assert reasons(*pair)[0] == "IN_FLIGHT"


def prefix_reads(*prompts, **settings):
    table = make_table(prompts, branches=True)
    return run_cache(table, PREFIX.with_settings(**settings)).read_tokens.tolist()


def test_before_56_reads_are_rounded_down_to_128():
    """Of 1,990 shared tokens, 1,920 are reported."""
    shared = "system " * 285  # 1,995 characters, a token each
    first, second = asks(Piece(f"{shared}one")), asks(Piece(f"{shared}two"), at=9)
    assert prefix_reads(first, second) == [0, 1920]


def test_before_56_long_steps():
    """GPT-5.5 matches up to steps of 2,048: 3,000 shared tokens read one of them, 1,995 none."""
    provider = find_provider("openai-gpt-5.5")
    for size, read in ((3000, 2048), (1995, 0)):
        prompts = asks(Piece("s" * size + "one")), asks(Piece("s" * size + "two"), at=9)
        assert run_cache(make_table(prompts, branches=True), provider).read_tokens[1] == read


def test_before_56_hidden_text_counts():
    """Steps are counted from the provider's own text, what is reported from the prompt on."""
    prompts = asks(Piece("s" * 1330 + "one")), asks(Piece("s" * 1330 + "two"), at=9)
    assert prefix_reads(*prompts) == [0, 1280]
    assert prefix_reads(*prompts, block_tokens=256, hidden_tokens=100) == [0, 1152]


def test_before_56_the_minimum_is_in_conflict():
    """1,500 shared tokens are read or not, by which text is believed."""
    prompts = asks(Piece("s" * 1500 + "one")), asks(Piece("s" * 1500 + "two"), at=9)
    assert prefix_reads(*prompts) == [0, 1408]
    assert prefix_reads(*prompts, minimum_tokens=2048) == [0, 0]


def test_before_56_retention():
    """In memory five minutes are counted on, with 24h retention thirty."""
    prompts = asks(Piece("s" * 1500)), asks(Piece("s" * 1500), at=20 * MINUTE)
    table = make_table(prompts, branches=True)
    assert run_cache(table, PREFIX).read_tokens[1] == 1408
    assert run_cache(table, find_provider("openai-in-memory")).read_tokens[1] == 0


def test_before_56_writing_is_free():
    """No write is billed, and reads cost a half, a quarter or a tenth by model."""
    assert bill(asks(Piece("s" * 1500)), provider=PREFIX) == [(0, {})]
    reads = {
        m: PREFIX.multipliers_of(m).read for m in ("gpt-4o-2024-11-20", "gpt-4.1-mini", "gpt-5-mini", "gpt-5.5-pro")
    }
    assert reads == {"gpt-4o-2024-11-20": 0.5, "gpt-4.1-mini": 0.25, "gpt-5-mini": 0.1, "gpt-5.5-pro": 1.0}
