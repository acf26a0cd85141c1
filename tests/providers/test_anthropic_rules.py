"""Anthropic's rules by hand, one after the other; read, written and uncached tokens are typed, not computed."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from providers.histories import Prompt, block, chat, make_table

from acg_lab.providers import (
    Doubt,
    LookupReason,
    PieceKind,
    Refusal,
    RequestFlag,
    find_provider,
    run_cache,
    run_variants,
)

ANTHROPIC = find_provider("anthropic")
SYSTEM = block("system", 1500, PieceKind.SYSTEM, -1)
TOOL = block("tool", 1200, PieceKind.TOOL, -1)


def bill(*prompts, provider=ANTHROPIC):
    """What each request reads, writes by TTL, and pays in full."""
    outcome = run_cache(make_table(prompts), provider)
    written = [dict(zip(outcome.ttls, row, strict=True)) for row in outcome.written_tokens.tolist()]
    writes = [{ttl: tokens for ttl, tokens in row.items() if tokens} for row in written]
    rest = [p.tokens - r - sum(w.values()) for p, r, w in zip(prompts, outcome.read_tokens, writes, strict=True)]
    return list(zip(outcome.read_tokens.tolist(), writes, [int(tokens) for tokens in rest], strict=True))


def reasons(*prompts, provider=ANTHROPIC, request=-1):
    """Why each breakpoint of a request read nothing, longest prefix first."""
    outcome = run_cache(make_table(prompts), provider)
    request %= len(prompts)
    found = outcome.lookup_reasons[outcome.lookup_offsets[request] : outcome.lookup_offsets[request + 1]]
    return [LookupReason(reason).name for reason in found.tolist()]


def refusal(prompt, provider=ANTHROPIC):
    outcome = run_cache(make_table([prompt]), provider)
    assert outcome.read_tokens.tolist() == [0]
    assert outcome.written_tokens.sum() == 0
    return Refusal(int(outcome.refusals[0])).name


def asks(breakpoints, *, at=0.0, pieces=None, **more):
    more = {"first_token": 0.5} | more
    return Prompt(pieces or (SYSTEM, *chat(3)), at, breakpoints, **more)


def test_a1_a_prefix_covers_what_is_rendered_before_it():
    """A1: another tool loses the system prompt behind it; another question loses neither."""
    first = asks({1: 0}, pieces=(TOOL, SYSTEM, block("question", 50)))
    other_tool = asks({1: 0}, at=10, pieces=(block("tool 2", 1200, PieceKind.TOOL, -1), SYSTEM, block("question", 50)))
    other_question = asks({1: 0}, at=20, pieces=(TOOL, SYSTEM, block("else", 70)))
    assert bill(first, other_tool, other_question) == [(0, {300: 2700}, 50), (0, {300: 2700}, 50), (2700, {}, 70)]


def test_a2_more_than_four_breakpoints_are_refused():
    """A2: four are answered; a fifth, planned by the governor or not, is an error and writes nothing."""
    assert refusal(asks({0: 0, 1: 0, 2: 0, 3: 0, 4: 0}, pieces=(SYSTEM, *chat(4)))) == "TOO_MANY_BREAKPOINTS"
    assert bill(asks({0: 0, 1: 0, 2: 0, 3: 0})) == [(0, {300: 1800}, 0)]


def test_a2_thinking_takes_no_breakpoint():
    """A2: a breakpoint on a thinking block, or on empty text, is an error."""
    thinking = replace(block("thoughts", 80, PieceKind.THINKING), allows_breakpoint=False)
    assert refusal(asks({1: 0}, pieces=(SYSTEM, thinking))) == "BREAKPOINT_NOT_ALLOWED"


def test_a3_nothing_is_stored_between_breakpoints():
    """A3: the system prompt is part of what was written, but ends no entry, so another question reads nothing."""
    first, other = asks({1: 0}), asks({1: 0}, at=9, pieces=(SYSTEM, block("another question", 100)))
    assert bill(first, other) == [(0, {300: 1600}, 200), (0, {300: 1600}, 0)]
    assert reasons(first, other) == ["NOT_WRITTEN"]


def test_a3_each_breakpoint_stores_an_entry():
    """A3: with one on the system prompt too, it does."""
    first, other = asks({0: 0, 1: 0}), asks({0: 0, 1: 0}, at=9, pieces=(SYSTEM, block("another question", 100)))
    assert bill(first, other) == [(0, {300: 1600}, 200), (1500, {300: 100}, 0)]
    assert reasons(first, other) == ["HIT", "COVERED"]


@pytest.mark.parametrize(("further", "read"), [(19, 2600), (20, 0)])
def test_a4_twenty_positions_are_searched(further, read):
    """A4, vector b: an entry 19 positions before the breakpoint is found, one 20 before it is not."""
    first = asks({10: 0}, pieces=(SYSTEM, *chat(11)))
    second = asks({10 + further: 0}, at=5, pieces=(SYSTEM, *chat(10 + further, start=1)))
    first = replace(first, pieces=second.pieces[:12])
    read = read and 1500 + 10 * 100
    assert bill(first, second)[1][0] == read
    assert reasons(first, second) == (["HIT"] if read else ["LOOKBACK_EXCEEDED"])


def test_a4_the_search_goes_on_from_an_earlier_breakpoint():
    """Vector a: blocks 10, 15, 35 of a growing chat; turn 3 checks 35 to 16 and misses, unless 15 has one too."""
    blocks = chat(35, tokens=200)
    turns = [asks({9: 0}, pieces=blocks[:10]), asks({14: 0}, at=10, pieces=blocks[:15])]
    alone, twice = asks({34: 0}, at=20, pieces=blocks), asks({14: 0, 34: 0}, at=20, pieces=blocks)
    assert bill(*turns, alone) == [(0, {300: 2000}, 0), (2000, {300: 1000}, 0), (0, {300: 7000}, 0)]
    assert bill(*turns, twice)[2] == (3000, {300: 4000}, 0)
    assert reasons(*turns, alone) == ["LOOKBACK_EXCEEDED"]


def test_a5_a_run_of_tool_blocks_is_one_position():
    """Vector c: 25 parallel calls and their 25 results are two positions; counted by block they are out of reach."""
    calls = tuple(block(f"call {k}", 40, PieceKind.TOOL_USE, 1) for k in range(25))
    results = tuple(block(f"result {k}", 60, PieceKind.TOOL_RESULT, 2) for k in range(25))
    first = asks({1: 0}, pieces=(SYSTEM, block("question", 100)))
    second = asks({51: 0}, at=9, pieces=(SYSTEM, block("question", 100), *calls, *results))
    assert bill(first, second)[1] == (1600, {300: 2500}, 0)
    by_block = ANTHROPIC.with_settings(tool_runs_are_one_position=False)
    assert bill(first, second, provider=by_block)[1] == (0, {300: 4100}, 0)


def test_a5_runs_apart_are_positions_apart():
    """A call, its result, a call, its result: four positions; ten such turns end 20 positions behind the question."""
    turns = []
    for k in range(10):
        turns += [
            block(f"call {k}", 10, PieceKind.TOOL_USE, 2 * k + 1),
            block(f"result {k}", 10, PieceKind.TOOL_RESULT, 2 * k + 2),
        ]
    first = asks({0: 0}, pieces=(SYSTEM,))
    assert bill(first, asks({20: 0}, at=5, pieces=(SYSTEM, *turns)))[1][0] == 0
    assert bill(first, asks({19: 0}, at=5, pieces=(SYSTEM, *turns[:19])))[1][0] == 1500


def test_a6_moving_a_breakpoint_changes_no_content():
    """A6: an entry at the system prompt is read, wherever the later breakpoint stands."""
    first, second = asks({0: 0}), asks({2: 0}, at=10)
    assert bill(first, second) == [(0, {300: 1500}, 300), (1500, {300: 200}, 100)]


def test_a6_another_ttl_changes_no_content():
    """A6, A16: a one-hour breakpoint reads the five-minute entry of the same prefix, unless the TTL is in the key."""
    first, second = asks({0: 300}), asks({0: 3600}, at=10)
    assert bill(first, second)[1] == (1500, {}, 300)
    assert bill(first, second, provider=ANTHROPIC.with_settings(ttl_in_key=True))[1] == (0, {3600: 1500}, 300)


@pytest.mark.parametrize(("tokens", "written"), [(1023, {}), (1024, {300: 1024})])
def test_a7_the_minimum_counts_the_whole_prefix(tokens, written):
    """A7: a prefix of 1,023 tokens writes nothing, one of 1,024 all of it."""
    prompt = asks({1: 0}, pieces=(block("system", 1000, PieceKind.SYSTEM, -1), block("question", tokens - 1000)))
    assert bill(prompt) == [(0, written, tokens - sum(written.values()))]


def test_a7_the_minimum_is_the_models():
    """Vector g: 900 tokens are nothing on Sonnet 5, and cached on Opus 5."""
    pieces = (block("system", 900, PieceKind.SYSTEM, -1),)
    assert bill(asks({0: 0}, pieces=pieces)) == [(0, {}, 900)]
    assert bill(asks({0: 0}, pieces=pieces, model="claude-opus-5")) == [(0, {300: 900}, 0)]
    assert reasons(asks({0: 0}, pieces=pieces)) == ["BELOW_MINIMUM"]


def test_a7_a_count_near_the_minimum_is_doubtful():
    """A breakpoint within the counting error of the minimum is flagged; an exact count is not."""
    near = asks({0: 0}, pieces=(block("system", 1100, PieceKind.SYSTEM, -1, margin=275.0),))
    exact = asks({0: 0}, pieces=(block("system", 1100, PieceKind.SYSTEM, -1),))
    assert run_cache(make_table([near]), ANTHROPIC).doubts[0] & Doubt.NEAR_MINIMUM
    assert not run_cache(make_table([exact]), ANTHROPIC).doubts[0]


@pytest.mark.parametrize(("after", "read"), [(299, 1500), (301, 0)])
def test_a8_five_minutes_from_the_start_of_the_writer(after, read):
    """A8: 299 s after the writer's start an entry is read, after 301 s it is not; both are near enough to flag."""
    first, second = asks({0: 0}), asks({0: 0}, at=after)
    assert bill(first, second)[1] == ((1500, {}, 300) if read else (0, {300: 1500}, 300))
    outcome = run_cache(make_table([first, second]), ANTHROPIC)
    assert outcome.doubts[1] & Doubt.NEAR_TTL
    assert outcome.idle_seconds[1] == after
    assert reasons(first, second) == (["HIT"] if read else ["EXPIRED"])


def test_a8_generation_counts_against_the_ttl():
    """Vector h: of a five-minute entry, a four-minute answer leaves one minute."""
    first = asks({0: 0}, first_token=2.0, took=240.0)
    assert bill(first, asks({0: 0}, at=240 + 59))[1][0] == 1500
    assert bill(first, asks({0: 0}, at=240 + 61))[1][0] == 0


def test_a8_a_read_renews():
    """A8: read every four minutes, an entry of five lives on; the read costs no write."""
    prompts = [asks({0: 0}, at=240 * k) for k in range(4)]
    assert bill(*prompts) == [(0, {300: 1500}, 300), *[(1500, {}, 300)] * 3]


def test_a8_an_hour():
    """A8: a one-hour entry is read after 50 minutes and gone after 61."""
    first = asks({0: 3600})
    assert bill(first, asks({0: 3600}, at=3000))[1] == (1500, {}, 300)
    assert bill(first, asks({0: 3600}, at=3660))[1] == (0, {3600: 1500}, 300)


def test_a8_longer_ttls_stand_first():
    """A8: five minutes before an hour is refused; an hour before five minutes is billed segment by segment."""
    assert refusal(asks({0: 300, 1: 3600})) == "TTL_ORDER"
    assert bill(asks({0: 3600, 1: 3600, 2: 300})) == [(0, {300: 100, 3600: 1600}, 100)]


def test_mixed_ttls_are_billed_from_the_hit():
    """2.4: A = 1,500 read, B = the last one-hour breakpoint behind it, C = the last breakpoint."""
    first, second = asks({0: 3600}), asks({0: 3600, 2: 3600, 3: 300}, at=10)
    assert bill(first, second)[1] == (1500, {300: 100, 3600: 200}, 0)


def test_a9_a_grace_is_a_switch():
    """A9: entries were seen to be gone between 300 and 420 s; 400 s is a miss by the rule, and a hit at the bound."""
    pair = asks({0: 0}), asks({0: 0}, at=400)
    assert bill(*pair)[1][0] == 0
    assert bill(*pair, provider=ANTHROPIC.with_settings(grace=120))[1][0] == 1500


def test_a10_readable_from_the_first_token():
    """A10, vector e: three equal requests at once each write; a fourth after the first token reads."""
    prompts = [asks({0: 0}, at=at, first_token=2.0, took=20.0) for at in (0, 0, 1, 2.5)]
    assert bill(*prompts) == [*[(0, {300: 1500}, 300)] * 3, (1500, {}, 300)]
    assert reasons(*prompts, request=2) == ["IN_FLIGHT"]


def test_a10_without_a_first_token_the_end_stands_in():
    """Where the record lacks the first token, the end is assumed, flagged, and the start is the other bound."""
    prompts = asks({0: 0}, first_token=None, took=20.0), asks({0: 0}, at=5)
    assert bill(*prompts)[1][0] == 0
    assert bill(*prompts, provider=ANTHROPIC.with_settings(missing_time="start"))[1][0] == 1500
    assert run_cache(make_table(prompts), ANTHROPIC).doubts[1] & Doubt.TIME_UNKNOWN


def test_a11_automatic_mode_caches_up_to_the_last_block():
    """A11: one breakpoint, on the last block; the next turn reads up to it."""
    first, second = asks({}, automatic=300), asks({}, at=5, automatic=300, pieces=(SYSTEM, *chat(5)))
    assert bill(first, second) == [(0, {300: 1800}, 0), (1800, {300: 200}, 0)]


def test_a11_automatic_mode_steps_back_to_a_block_that_allows_a_breakpoint():
    """A11: a thinking block at the end is passed over; where none allows a breakpoint, nothing is cached."""
    thinking = block("thoughts", 80, PieceKind.THINKING, allows_breakpoint=False)
    assert bill(asks({}, automatic=300, pieces=(SYSTEM, thinking))) == [(0, {300: 1500}, 80)]
    assert bill(asks({}, automatic=300, pieces=(replace(SYSTEM, allows_breakpoint=False), thinking))) == [(0, {}, 1580)]


def test_a11_what_automatic_mode_clashes_with():
    """A11: the same TTL on the last block is no second breakpoint, another is an error; a fifth is one too."""
    assert bill(asks({3: 300}, automatic=300)) == [(0, {300: 1800}, 0)]
    assert refusal(asks({3: 3600}, automatic=300)) == "AUTOMATIC_CONFLICT"
    assert refusal(asks({0: 0, 1: 0, 2: 0, 3: 0}, pieces=(SYSTEM, *chat(4)), automatic=300)) == "TOO_MANY_BREAKPOINTS"


def test_a12_bedrock_has_no_automatic_mode():
    """A12: there a top-level cache_control caches nothing."""
    assert bill(asks({}, automatic=300), provider=find_provider("bedrock")) == [(0, {}, 1800)]
    assert bill(asks({}, automatic=300), provider=find_provider("vertex")) == [(0, {300: 1800}, 0)]


def test_a13_a_prewarm_writes():
    """A13: a request without output writes as any other, and the next one reads."""
    first = asks({0: 0}, flags=RequestFlag.PREWARM)
    assert bill(first, asks({0: 0}, at=5)) == [(0, {300: 1500}, 300), (1500, {}, 300)]


def test_a14_results_of_server_tools_get_a_breakpoint():
    """A14: five minutes, but only where the request has a breakpoint already."""
    searched = block("search result", 400, PieceKind.SERVER_TOOL_RESULT, 1)
    pieces = (SYSTEM, block("question", 100), searched, block("more", 50))
    assert bill(asks({0: 3600}, pieces=pieces)) == [(0, {300: 500, 3600: 1500}, 50)]
    assert bill(asks({}, pieces=pieces)) == [(0, {}, 2050)]


def test_a15_scopes_are_tables():
    """A15: what shares no table shares no entry; the rule says which scope the provider has."""
    assert [bill(asks({0: 0})), bill(asks({0: 0}, at=5))] == [[(0, {300: 1500}, 300)]] * 2
    assert ANTHROPIC.settings["scope"] == "workspace"
    assert find_provider("bedrock").settings["scope"] == find_provider("vertex").settings["scope"] == "organisation"


def test_a16_whether_shorter_entries_are_renewed_is_a_switch():
    """A16: a read of the question's entry at 200 s keeps the system prompt's alive at 400 s, or not."""
    prompts = [asks({0: 0, 1: 0}), asks({1: 0}, at=200), asks({0: 0}, at=400, pieces=(SYSTEM, block("else", 10)))]
    assert bill(*prompts)[2] == (1500, {}, 10)
    assert bill(*prompts, provider=ANTHROPIC.with_settings(renews="hit"))[2] == (0, {300: 1500}, 10)


def test_a17_batches_are_best_effort():
    """A17: what a batch reads is flagged."""
    outcome = run_cache(make_table([asks({0: 0}, flags=RequestFlag.BATCH)]), ANTHROPIC)
    assert outcome.doubts[0] & Doubt.BEST_EFFORT


def test_a_timestamp_under_a_breakpoint_writes_each_turn():
    """Vector d: the breakpoint stands on what changes, so every turn writes and none reads."""
    prompts = [
        asks({0: 0}, at=10 * k, pieces=(block(f"system, 9:0{k}", 1500, PieceKind.SYSTEM, -1),)) for k in range(3)
    ]
    assert bill(*prompts) == [(0, {300: 1500}, 0)] * 3


def test_a_forced_tool_choice_for_one_request_costs_the_messages_only():
    """2.3: the messages' salt changes their nodes and no others, so the system prompt is read all along."""
    plain, forced = chat(2), tuple(replace(p, text=f"forced {p.text}") for p in chat(2))
    prompts = [asks({0: 0, 2: 0}, at=10 * k, pieces=(SYSTEM, *m)) for k, m in enumerate((plain, forced, plain))]
    assert bill(*prompts) == [(0, {300: 1700}, 0), (1500, {300: 200}, 0), (1700, {}, 0)]


def test_caches_of_two_models_are_apart():
    """The cache is per model."""
    assert bill(asks({0: 0}), asks({0: 0}, at=5, model="claude-opus-5"))[1] == (0, {300: 1500}, 300)


def test_a_failed_request_does_nothing():
    """An error reads, writes and renews nothing."""
    prompts = [asks({0: 0}, flags=RequestFlag.FAILED), asks({0: 0}, at=5)]
    assert bill(*prompts)[1] == (0, {300: 1500}, 300)


@pytest.mark.parametrize(
    ("model", "when", "tokens"),
    [
        ("claude-opus-5-20260801", date(2026, 9, 1), 512),
        ("claude-fable-5-1", date(2026, 9, 1), 512),
        ("claude-haiku-5-5", date(2026, 10, 1), 512),
        ("claude-sonnet-4-5-20250929", date(2026, 9, 1), 1024),
        ("us.anthropic.claude-sonnet-4-20250514-v1:0", date(2026, 9, 1), 1024),
        ("claude-3-7-sonnet-latest", date(2026, 3, 1), 1024),
        ("claude-sonnet-4-6", date(2026, 3, 1), 2048),
        ("claude-sonnet-4-6", date(2026, 9, 1), 1024),
        ("claude-opus-4-7", date(2026, 9, 1), 2048),
        ("claude-3-5-haiku-20241022", date(2026, 9, 1), 2048),
        ("claude-opus-4-6", date(2026, 9, 1), 4096),
        ("claude-opus-4-5-20251101", date(2026, 9, 1), 4096),
        ("claude-haiku-4-5-20251001", date(2026, 9, 1), 4096),
        ("claude-opus-4-1-20250805", date(2026, 9, 1), 1024),
    ],
)
def test_minimums_by_model_and_date(model, when, tokens):
    """2.2: no rule but a table; opus-4.5 is no opus-4, and a date changes Sonnet 4.6."""
    assert ANTHROPIC.minimum_of(model, when) == tokens


def test_conflicting_minimums_keep_their_alternatives():
    """2.2: sources disagree about Sonnet 4.6, and on Bedrock about Opus 4.7."""
    assert ANTHROPIC.minimum_alternatives("claude-sonnet-4-6", date(2026, 9, 1)) == (2048,)
    bedrock = find_provider("bedrock")
    assert bedrock.minimum_of("anthropic.claude-opus-4-7-v1:0", date(2026, 9, 1)) == 4096
    assert bedrock.minimum_alternatives("anthropic.claude-opus-4-7-v1:0", date(2026, 9, 1)) == (2048,)


def test_conflicting_minimums_bound_what_is_read():
    """A prefix of 1,500 tokens on Sonnet 4.6 is cached or not, by which source is right."""
    prompts = [asks({0: 0}, at=at, pieces=(SYSTEM,), model="claude-sonnet-4-6") for at in (0, 9)]
    found = {v: o.read_tokens.tolist() for n, v, o in run_variants(make_table(prompts), ANTHROPIC) if n == "minimums"}
    assert found == {"smallest": [0, 1500], "largest": [0, 0]}


def test_multipliers_by_model():
    """2.4: reads cost a tenth, less on newer models; writes 1.25 and 2 on all."""
    read = {m: ANTHROPIC.multipliers_of(m).read for m in ("claude-sonnet-5", "claude-opus-5-5", "claude-fable-5-2")}
    assert read == {"claude-sonnet-5": 0.1, "claude-opus-5-5": 0.05, "claude-fable-5-2": 0.025}
    assert dict(ANTHROPIC.multipliers_of("claude-sonnet-5").writes) == {300: 1.25, 3600: 2.0}


def test_an_empty_table_has_an_empty_outcome():
    """No requests, no breakpoints, no pieces: nothing fails."""
    assert run_cache(make_table([]), ANTHROPIC).n_requests == 0
    assert bill(Prompt((), 0.0), asks({}, at=5)) == [(0, {}, 0), (0, {}, 1800)]


def test_the_longest_live_entry_is_named_though_it_was_not_looked_up():
    """`live_pieces` says how far a read could have gone."""
    first, second = asks({1: 0}, pieces=(SYSTEM, *chat(2))), asks({22: 0}, at=5, pieces=(SYSTEM, *chat(22)))
    table = make_table([first, second])
    outcome = run_cache(table, ANTHROPIC)
    assert outcome.read_tokens.tolist() == [0, 0]
    assert (outcome.live_pieces - table.piece_offsets[:-1]).tolist()[1] == 1
    assert np.isnan(outcome.idle_seconds[1])
