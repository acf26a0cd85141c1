"""Units, probabilities and self-hosted engines by hand; tokens are typed, not computed."""

import numpy as np
import pytest
from providers.histories import Piece, Prompt, make_table

from acg_lab.core.errors import UsageError
from acg_lab.providers import Doubt, PieceKind, RequestFlag, find_provider, join_branches, run_cache, run_variants
from acg_lab.providers.engines import self_hosted

A = "the common beginning of them all " * 32  # 1,056 characters, a token each


def reads(*prompts, provider):
    return run_cache(make_table(prompts, branches=True), provider).read_tokens.tolist()


def asks(text, at=0.0, **more):
    return Prompt((Piece(text),), at, **more)


def deepseek(**settings):
    return find_provider("deepseek").with_settings(step_tokens=1, **settings)


def test_units_are_read_whole_or_not_at_all():
    """DeepSeek: A+B then A+C misses; the common part is then a unit, which a third A+D hits."""
    prompts = [asks(A + text, at=10.0 * k) for k, text in enumerate(("B says", "C says", "D says"))]
    assert reads(*prompts, provider=deepseek()) == [0, 0, 1056]


def test_units_end_with_prompts_and_answers():
    """DeepSeek: the next turn reads the whole previous one, its answer included."""
    answer = (Piece("an answer", kind=PieceKind.ASSISTANT),)
    first = Prompt((Piece(A),), 0.0, answer=answer)
    assert reads(first, Prompt((Piece(A), *answer, Piece("more")), 9.0), provider=deepseek()) == [0, 1065]
    assert reads(Prompt((Piece(A),), 0.0), Prompt((Piece(A), *answer), 9.0), provider=deepseek()) == [0, 1056]


def test_units_may_end_after_a_fixed_number_of_tokens():
    """DeepSeek: where such units exist, half of a common part is read at once."""
    prompts = asks(A + "B says"), asks(A + "C says", at=9)
    assert reads(*prompts, provider=deepseek(unit_tokens=128)) == [0, 1024]


def test_hits_seen_are_multiples_of_128():
    """DeepSeek: 1,056 tokens are reported as 1,024."""
    assert reads(asks(A), asks(A, at=9), provider=find_provider("deepseek")) == [0, 1024]


def test_gemini_promises_nothing():
    """Gemini: what a hit would read, its chance, and a flag; never and always are the bounds."""
    table = make_table([asks("s" * 5000), asks("s" * 5000, at=9)], branches=True)
    provider = find_provider("gemini")
    outcome = run_cache(table, provider)
    assert outcome.read_tokens.tolist() == [0, 5000]
    assert outcome.chance == 0.5
    assert all(outcome.doubts & Doubt.BEST_EFFORT)
    assert {o.chance for name, _, o in run_variants(table, provider) if name == "chance"} == {0.0, 1.0}


def test_gemini_minimums():
    """Gemini: 2,048 for 2.5, 4,096 after it."""
    for model, read in (("gemini-2.5-pro", 3000), ("gemini-3.5-flash", 0)):
        prompts = asks("s" * 3000, model=model), asks("s" * 3000, at=9, model=model)
        assert reads(*prompts, provider=find_provider("gemini")) == [0, read]


def test_qwen_counts_blocks_and_waits_for_the_end():
    """Qwen: the look-back counts every block, and an entry is readable only after the answer."""
    results = tuple(Piece(f"result {k}", 60, PieceKind.TOOL_RESULT, 2) for k in range(25))
    first = Prompt((Piece("system", 1500, PieceKind.SYSTEM),), 0.0, {0: 0}, first_token=0.5, took=20.0)
    early = Prompt(first.pieces, 10.0, {0: 0})
    late = Prompt(first.pieces, 30.0, {0: 0})
    deep = Prompt((*first.pieces, *results), 40.0, {25: 0})
    assert run_cache(make_table([first, early, late, deep]), find_provider("qwen")).read_tokens.tolist() == [
        0,
        0,
        1500,
        0,
    ]


def test_moonshot_bills_writes_apart():
    """Moonshot: writes of five minutes stand in a column of their own, in steps of 256."""
    outcome = run_cache(make_table([asks("s" * 600), asks("s" * 600, at=9)], branches=True), find_provider("moonshot"))
    assert outcome.ttls == (300,)
    assert outcome.read_tokens.tolist() == [0, 512]
    assert outcome.written_tokens.tolist() == [[512], [0]]


def test_mistral_needs_a_key():
    """Mistral: requests without a prompt cache key neither read nor write."""
    keyed = RequestFlag.KEYED
    prompts = [asks(A), asks(A, at=9, flags=keyed), asks(A, at=18, flags=keyed), asks(A, at=27)]
    assert reads(*prompts, provider=find_provider("mistral")) == [0, 0, 1056, 0]


def test_xai_steps():
    """xAI: steps of 128."""
    assert reads(asks(A), asks(A, at=9), provider=find_provider("xai")) == [0, 1024]


def test_a_prefix_shorter_than_a_block_reads_nothing():
    """vLLM: with blocks of 16, 15 shared tokens read nothing, 33 read two blocks; a hybrid model's 784 read none."""
    vllm = find_provider("vllm")
    assert reads(asks("s" * 15 + "one"), asks("s" * 15 + "two", at=9), provider=vllm) == [0, 0]
    assert reads(asks("s" * 33 + "one"), asks("s" * 33 + "two", at=9), provider=vllm) == [0, 32]
    assert reads(asks("s" * 700 + "one"), asks("s" * 700 + "two", at=9), provider=self_hosted(784)) == [0, 0]


def test_one_token_is_always_computed():
    """vLLM: the same prompt of 64 tokens again reads 48, for the last token must be computed."""
    assert reads(asks("s" * 64), asks("s" * 64, at=9), provider=find_provider("vllm")) == [0, 48]


def test_answers_stay_cached():
    """vLLM: generated tokens are cached, unless told otherwise."""
    answer = (Piece("a" * 32, kind=PieceKind.ASSISTANT),)
    turns = Prompt((Piece("s" * 32),), 0.0, answer=answer), Prompt((Piece("s" * 32), *answer, Piece("more")), 9.0)
    assert reads(*turns, provider=self_hosted(16)) == [0, 64]
    assert reads(*turns, provider=self_hosted(16, caches_answers=False)) == [0, 32]


def test_eviction_takes_the_least_recently_used():
    """Room for six blocks: of two prompts of four, the older loses its tail and keeps its head."""
    prompts = [asks("a" * 65), asks("b" * 65, at=1), asks("a" * 65, at=2)]
    assert reads(*prompts, provider=self_hosted(16, capacity_blocks=8)) == [0, 0, 64]
    assert reads(*prompts, provider=self_hosted(16, capacity_blocks=6)) == [0, 0, 32]
    assert reads(*prompts, provider=self_hosted(16, capacity_blocks=4)) == [0, 0, 0]


def test_a_ttl_of_ones_own():
    """An engine may be told to forget."""
    prompts = asks("a" * 65), asks("a" * 65, at=61)
    assert reads(*prompts, provider=self_hosted(16, ttl=60)) == [0, 0]
    assert reads(*prompts, provider=self_hosted(16)) == [0, 64]


def test_branches_are_found_where_contents_part():
    """Three contents behind one prefix part twice; where one is the beginning of another, it ends at a node of both."""
    found = join_branches(np.array([-1, 0, 0, 0]), [b"s", b"abcx", b"abcy", b"ab"])
    inner = [found.nodes[a:b].tolist() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]
    assert inner == [[], [5, 4], [5, 4], [5]]
    assert found.shares.tolist() == [0.5, 0.75, 0.5, 0.75, 1.0]


def test_salts_keep_equal_contents_apart():
    """Prefixes that differ in a parameter share nothing, though their bytes do."""
    apart = join_branches(np.array([-1, -1]), [b"same", b"same too"], np.array([0, 1]))
    assert apart.nodes.tolist() == []


def test_a_table_says_what_does_not_fit():
    """Columns of unequal length are refused by name."""
    table = make_table([asks("x")])
    with pytest.raises(UsageError, match=r"PromptTable\.tokens must have 1 entries; got 2"):
        type(table)(**{**vars(table), "tokens": np.zeros(2, np.int64)})


def test_a_selection_of_a_table_is_a_table():
    """Some requests of a table, in another order, with their own breakpoints."""
    prompts = [Prompt((Piece(f"p{k}"), Piece("q")), float(k), {1: 300 + k}) for k in range(4)]
    chosen = make_table(prompts).select(np.array([3, 1]))
    assert chosen.breakpoint_ttls.tolist() == [303, 301]
    assert chosen.breakpoint_pieces.tolist() == [1, 3]
    assert chosen.tokens.tolist() == [3, 3]
