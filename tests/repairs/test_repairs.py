"""Repairs as values, the profiles that they make, and how much they save on the sample."""

import hashlib
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from learned_backend import SECRET, learned_backend
from msgspec.structs import replace
from strategies import ID, make_block, make_id, make_ir, make_request, make_tool

import acg_lab as acg
from acg_lab.core import build_prompt_ir, learning_key
from acg_lab.repairs.content_repairs import (
    Drop,
    MergeProfiles,
    MoveToEnd,
    MoveToSystemPrompt,
    Pin,
    RemovePattern,
    SplitMessage,
    UseOneForm,
)
from acg_lab.repairs.effects import measure_effect
from acg_lab.repairs.order_repairs import SortItems, SortMessages, SortTools
from acg_lab.repairs.repairs import Repair
from acg_lab.repairs.sending_repairs import AddBreakpoint, SetTtl, StaggerParallelRequests, UseAutomaticCaching
from acg_lab.repairs.what_if import RepairedSnapshot
from acg_lab.storage.memory import MemoryBackend

DATA = Path(__file__).parents[2] / "data"
REPAIRS = [
    (Pin("user-6"), "'user-6' is pinned to its dominant content"),
    (Pin("user-6", r"\d+"), r"matches of '\\d+' in 'user-6' are pinned to the dominant ones"),
    (Pin("user-6", slots=(1,)), "slot 1 of 'user-6' is pinned to the dominant value"),
    (Pin("user-6", slots=(0, 2)), "slots 0 and 2 of 'user-6' are pinned to the dominant values"),
    (Pin("user-6", slots="all"), "what varies in 'user-6' is pinned to the dominant value"),
    (Drop("user-6"), "'user-6' is dropped"),
    (MoveToEnd("user-6"), "'user-6' moves to the end of the prompt"),
    (MoveToEnd("system-1", as_user=True), "'system-1' moves to the end of the prompt as a user message"),
    (
        MoveToEnd("system-1", slots=(0, 1, 3)),
        "slots 0, 1 and 3 of 'system-1' move to the end of the prompt as a user message",
    ),
    (MoveToEnd("user-6", slots="all"), "what varies in 'user-6' moves to the end of the prompt as a user message"),
    (MoveToSystemPrompt("user-7", learning_keys=("k",)), "'user-7' moves into the system prompt in 1 profile"),
    (SortTools(learning_keys=("k", "l")), "tools are sorted by name in 2 profiles"),
    (SortItems(), "the items of lists in all blocks come in one order"),
    (SortItems("system-0", learning_keys=("k",)), "the items of lists in 'system-0' come in one order in 1 profile"),
    (SortMessages("user-1", n_blocks=6), "the 6 blocks from 'user-1' on are sorted"),
    (SplitMessage("user-0", n_characters=4000), "the first 4,000 characters of 'user-0' are a message of their own"),
    (UseOneForm(), "what says the same is sent in one form"),
    (RemovePattern(r"\d+"), r"matches of '\\d+' are removed"),
    (RemovePattern(r"\d+", "system-0"), r"matches of '\\d+' in 'system-0' are removed"),
    (MergeProfiles(), "profiles that differ only in the first message are merged"),
    (MergeProfiles(learning_keys=("k", "l")), "2 profiles are merged"),
    (MergeProfiles(agent_id="a"), "profiles of 'a' that differ only in the first message are merged"),
    (AddBreakpoint("system"), "a breakpoint is added at the end of the system prompt"),
    (AddBreakpoint("user-6", learning_keys=("k",)), "a breakpoint is added at 'user-6' in 1 profile"),
    (SetTtl("1h"), "every breakpoint has a TTL of 1h"),
    (UseAutomaticCaching(), "automatic caching is used"),
    (StaggerParallelRequests(), "parallel first requests wait for the first token of one of them"),
]


class TestValues:
    @pytest.mark.parametrize(("repair", "words"), REPAIRS)
    def test_description(self, repair, words):
        """A repair describes what it does, in words that follow "what if"."""
        assert repair.description == words

    def test_completion(self):
        """Completion offers the repairs, and none of their helpers."""
        offered = [name for name in dir(acg.repairs) if not name.startswith("__")]
        assert offered == sorted({type(repair).__name__ for repair, _ in REPAIRS})

    @pytest.mark.parametrize("repair", [repair for repair, _ in REPAIRS])
    def test_values(self, repair):
        """Repairs are equal by value, hashable, and equal after a round trip through JSON, which names their class."""
        text = msgspec.json.encode(repair)
        assert msgspec.json.decode(text, type=Repair) == repair
        assert f'"repair":"{type(repair).__name__}"' in text.decode()
        assert len({repair, replace(repair)}) == 1
        with pytest.raises(AttributeError):
            repair.learning_keys = ()

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: Pin(5), "The 'span_id' of Pin must be a str, such as 'user-6'; got 5."),
            (lambda: Pin("u", 5), "The 'pattern' of Pin must be a str or None; got 5."),
            (lambda: Pin("u", slots="some"), "The 'slots' of Pin must be a tuple of numbers, or 'all', and left out"),
            (lambda: Pin("u", "x", slots=(0,)), "and left out where a pattern is given; got (0,)."),
            (
                lambda: MoveToEnd("u", slots=[0]),
                "'slots' of MoveToEnd must be a tuple of numbers, or 'all'; got [0].",
            ),
            (lambda: MoveToEnd("u", slots=(0, 0)), "or 'all'; got (0, 0)."),
            (lambda: MoveToEnd("u", slots=(True,)), "or 'all'; got (True,)."),
            (lambda: MoveToEnd("u", slots=(-1,)), "or 'all'; got (-1,)."),
            (lambda: Drop("u", contents="0f"), "The 'contents' of Drop must be a tuple of str; got '0f'."),
            (lambda: Drop("u", learning_keys="k"), "The 'learning_keys' of Drop must be a tuple of str; got 'k'."),
            (lambda: SortTools(learning_keys=["k"]), "must be a tuple of str; got ['k']."),
            (
                lambda: SplitMessage("u", n_characters=0),
                "'n_characters' of SplitMessage must be a positive integer; got 0",
            ),
            (lambda: SortItems(5), "The 'span_id' of SortItems must be a str or None; got 5."),
            (
                lambda: SortMessages("u", n_blocks=1),
                "'n_blocks' of SortMessages must be an integer of at least 2; got 1",
            ),
            (lambda: SortMessages("u", n_blocks=True), "must be an integer of at least 2; got True."),
            (lambda: RemovePattern(None), "The 'pattern' of RemovePattern must be a str; got None."),
            (lambda: RemovePattern("x", 5), "The 'span_id' of RemovePattern must be a str or None; got 5."),
            (lambda: RemovePattern("(x"), "must be a regular expression; got '(x' (missing ), unterminated subpattern"),
            (lambda: Pin("u", "*"), "must be a regular expression; got '*' (nothing to repeat"),
            (
                lambda: MergeProfiles(learning_keys=("k",), agent_id="a"),
                "The 'agent_id' of MergeProfiles must be a str, and left out where learning keys are named; got 'a'.",
            ),
        ],
    )
    def test_invalid_fields(self, make, message):
        """A repair with an invalid field raises UsageError when it is made."""
        with pytest.raises(acg.UsageError) as caught:
            make()
        assert message in str(caught.value)

    def test_public_names(self):
        """Repairs are public names of acg_lab.repairs."""
        assert acg.repairs.Pin is Pin
        assert {"Pin", "Drop", "MoveToEnd", "MoveToSystemPrompt", "SortTools", "RemovePattern", "MergeProfiles"} <= set(
            acg.repairs.__all__
        )


def loaded(windows, rules="nemo-flow-0.2"):
    backend = MemoryBackend()
    for key, window in windows.items():
        backend.store_observations(key, window)
    return acg.load(backend, rules=rules)


KEYS = [f"a::model=m::seed=user:sha256:000{i}::system=no-system::tools=no-tools" for i in range(3)]


def at(hour, *blocks):
    return replace(make_ir(*blocks, ir_id=make_id(hour)), created_at=f"2026-11-01T{hour:02}:00:00Z")


def number(ir):
    return UUID(ir.ir_id).int


class TestErrors:
    SNAP = loaded(
        {
            KEYS[0]: [at(0, ("user-0", "x"), ("user-1", "y"))],
            KEYS[1]: [at(1, ("user-0", "x"), *((f"user-{i}", "x") for i in range(1, 30)))],
            "b::model=m::seed=no-seed::system=no-system::tools=no-tools": [
                replace(
                    at(2),
                    blocks=(
                        make_block("system-0-instructions", "s", 0, role="system"),
                        make_block("system-1-f", "{}", 1, role="system", content_type="tool_schema"),
                    ),
                )
            ],
        }
    )

    @pytest.mark.parametrize(
        ("repair", "message"),
        [
            (
                Drop("user-9", learning_keys=(KEYS[0],)),
                "no span 'user-9' in the chosen profiles; there are 'user-0', 'user-1'.",
            ),
            (Pin("nope"), "'user-10', 'user-11' and 20 more."),
            (RemovePattern("x", "nope"), "There is no span 'nope'"),
            (SortTools(learning_keys=("k",)), "There is no profile 'k'; the nearest of 3"),
            (MoveToEnd("user-0", contents=("0f",)), "'user-0' has no content of hash '0f'; it has 2d711642b726b044."),
            (MoveToEnd("system-1-f"), "'system-1-f' is a tool or response format, whose position production chooses;"),
            (MoveToSystemPrompt("system-1-f"), "'system-1-f' is a tool or response format"),
            (MoveToEnd("system-1-f", slots=(0,)), "Slots are stretches of a text of the system or the user, and"),
            (Pin("system-1-f", slots="all"), "Slots are stretches of a text, and 'system-1-f' is another block;"),
            (Pin("user-0", slots="all"), "There is no slot that varies in 'user-0', beside text that all its contents"),
            (MoveToEnd("user-1", slots=(2,)), "There is no slot 2 in 'user-1'"),
            (
                MoveToEnd("system-0-instructions"),
                "'system-0-instructions' holds the instructions, which always come first.",
            ),
            (
                MergeProfiles(learning_keys=(KEYS[0], "b::model=m::seed=no-seed::system=no-system::tools=no-tools")),
                "got those of 'a', 'b'.",
            ),
            (
                SplitMessage("system-1-f", n_characters=1),
                "'system-1-f' is no text of a message, so it cannot be split.",
            ),
            (SplitMessage("system-0-instructions", n_characters=1), "is no text of a message, so it cannot be split."),
            (MergeProfiles(agent_id="c"), "There is no profile of agent 'c'; the nearest of 2: 'b', 'a'."),
            (
                "user-0",
                "A repair must be one of acg.repairs.Pin, acg.repairs.Drop, acg.repairs.MoveToEnd, acg.",
            ),
            ("Drop", "or a sequence of them; got 'Drop'."),
            ([Drop("user-0"), "Drop"], "or a sequence of them; got 'Drop'."),
            (Drop, "acg.repairs.StaggerParallelRequests, with its fields, or a sequence of them; got <class "),
            ([Drop("user-0"), None], "or a sequence of them; got None."),
            (5, "got 5."),
        ],
    )
    def test_repairs_that_do_not_fit(self, repair, message):
        """A repair that does not fit the snapshot raises UsageError, and the message names what the snapshot has."""
        with pytest.raises(acg.UsageError) as caught:
            acg.what_if(self.SNAP, repair)
        assert message in str(caught.value)

    @pytest.mark.parametrize("limit", [-1, True, 1.5, None])
    def test_invalid_observation_windows(self, limit):
        """An observation window that production would not accept raises UsageError."""
        with pytest.raises(acg.UsageError, match="'observation_window' option must be a non-negative integer"):
            acg.what_if(self.SNAP, SortTools(), observation_window=limit)

    def test_effects_of_unknown_profiles(self):
        """Measuring the effect on an unknown profile raises UsageError."""
        with pytest.raises(acg.UsageError, match="There is no profile 'k'; the nearest of 3: 'b', 'a "):
            measure_effect(self.SNAP, "k", SortTools())

    def test_empty_snapshots(self):
        """A snapshot without profiles has no spans, but tools can be sorted and patterns removed, to no effect."""
        empty = acg.load(MemoryBackend())
        for repair in (SortTools(), RemovePattern("x"), MergeProfiles()):
            assert acg.what_if(empty, repair) == empty
            found = measure_effect(empty, (), repair).after
            assert (found.profiles, found.observations, found.share) == (0, 0, 0.0)
        with pytest.raises(acg.UsageError, match="there are none"):
            acg.what_if(empty, Drop("user-0"))

    def test_empty_windows_stay(self):
        """A profile without observations stays as it is."""
        snap = loaded({KEYS[0]: [], KEYS[1]: [at(0, ("user-0", "x"))]})
        assert {key: len(window) for key, window in acg.what_if(snap, Drop("user-0")).windows.items()} == {
            KEYS[0]: 0,
            KEYS[1].replace("user:sha256:0001", "no-seed"): 1,
        }


class TestPlaces:
    def test_contents_select_blocks(self):
        """Contents select a block that only some requests have, and leave the block at its position in others alone."""
        snap = loaded({KEYS[0]: [at(0, ("user-0", "hint"), ("user-1", "q")), at(1, ("user-0", "q"))]})
        hint = hashlib.sha256(b"hint").hexdigest()[:16]
        (window,) = acg.what_if(snap, Drop("user-0", contents=(hint,))).windows.values()
        assert [[(b.span_id, b.content) for b in ir.blocks] for ir in window] == [[("user-0", "q")], [("user-0", "q")]]

    def test_matches_beyond_the_dominant_stay(self):
        """The first match is set to the first match of the dominant content, and so on; further matches stay."""
        texts = ["1 b 2", "1 b 2", "3 b", "4 b 5 6"]
        snap = loaded({KEYS[0]: [at(i, ("user-0", "x"), ("user-1", text)) for i, text in enumerate(texts)]})
        (window,) = acg.what_if(snap, Pin("user-1", r"\d")).windows.values()
        assert [ir.blocks[1].content for ir in window] == ["1 b 2", "1 b 2", "1 b", "1 b 2 6"]

    def test_known_tokens_go_with_their_text(self):
        """A pinned content keeps its known token count; an edited one loses it."""
        known = [acg.core.TokenMetadata(model_family="m", token_count=n) for n in (7, 9)]
        blocks = [make_block("user-0", text, token_metadata=of) for text, of in (("x", known[0]), ("xy", known[1]))]
        snap = loaded({KEYS[0]: [replace(at(i), blocks=(block,)) for i, block in enumerate(blocks)]})
        (window,) = acg.what_if(snap, Pin("user-0")).windows.values()
        assert [ir.blocks[0].token_metadata for ir in window] == [known[0], known[0]]
        (window,) = acg.what_if(snap, RemovePattern("y")).windows.values()
        assert [ir.blocks[0].token_metadata for ir in window] == [known[0], None]

    def test_response_formats_are_not_normalised(self):
        """Removing a pattern from a response format changes nothing else of it, as production does not normalise it."""
        blocks = [("system-0-structured-output", "{ x  }", "structured_output"), ("system-1", "a x  b", "text")]
        made = [make_block(s, c, i, role="system", content_type=t) for i, (s, c, t) in enumerate(blocks)]
        snap = loaded({KEYS[0]: [replace(at(0), blocks=tuple(made), structured_output_schema_id="sha256:0")]})
        ((ir,),) = acg.what_if(snap, RemovePattern("x")).windows.values()
        assert [block.content for block in ir.blocks] == ["{   }", "a b"]
        assert ir.structured_output_schema_id == f"sha256:{sha('{   }')}"

    def test_dropping_a_response_format_adds_no_tools(self):
        """A request without tools has no list of tools after its response format is dropped, not an empty one."""
        block = make_block("system-0-structured-output", "{}", role="system", content_type="structured_output")
        snap = loaded({KEYS[0]: [replace(at(0), blocks=(block,), structured_output_schema_id="sha256:0")]})
        ((ir,),) = acg.what_if(snap, Drop("system-0-structured-output")).windows.values()
        assert (ir.blocks, ir.tool_schema_hashes, ir.structured_output_schema_id) == ((), None, None)

    def test_hashes_of_tools_as_they_were_sent(self):
        """A pinned tool has the hash of the definition that was sent, not of the stored text."""
        sent = [make_request("x", tools=(make_tool("f", description=text),)) for text in ("two  spaces", "none")]
        irs = [build_prompt_ir(r, ir_id=ID, created_at=at(0).created_at) for r in (sent[0], *sent)]
        ((first, _, last),) = acg.what_if(loaded({KEYS[0]: irs}), Pin("system-0-f")).windows.values()
        assert last.tool_schema_hashes == first.tool_schema_hashes == irs[0].tool_schema_hashes
        ((*_, cut),) = acg.what_if(loaded({KEYS[0]: irs[2:]}), RemovePattern("none")).windows.values()
        assert cut.tool_schema_hashes[0].schema_hash == f"sha256:{sha(cut.blocks[0].content)}"


class TestMerging:
    SNAP = loaded(
        {
            KEYS[0]: [at(1, ("user-0", "x")), at(4, ("user-0", "x"))],
            KEYS[1]: [at(0, ("user-0", "y")), at(2, ("user-0", "y")), at(4, ("user-0", "y"))],
            KEYS[2].replace("=m:", "=n:"): [at(3, ("user-0", "z"))],
        }
    )

    def test_order_and_key(self):
        """Merged windows are in the order of time, equal times by key, under the key of the largest profile."""
        merged = acg.what_if(self.SNAP, MergeProfiles())
        assert list(merged.windows) == [KEYS[1], KEYS[2].replace("=m:", "=n:")]
        assert [(number(ir), ir.blocks[0].content) for ir in merged.windows[KEYS[1]]] == [
            (0, "y"),
            (1, "x"),
            (2, "y"),
            (4, "x"),
            (4, "y"),
        ]
        assert (merged.members[KEYS[1]], merged.stand_ins) == ((KEYS[0], KEYS[1]), {KEYS[1]})

    def test_of_one_agent(self):
        """Profiles of one agent that differ in the first message are merged; those of other agents stay."""
        others = [key.replace("a::", "b::", 1) for key in KEYS]
        snap = loaded({key: [at(0, ("user-0", key))] for key in (*KEYS, *others)})
        assert list(acg.what_if(snap, MergeProfiles(agent_id="a")).windows) == [KEYS[0], *others]

    @pytest.mark.parametrize(("limit", "kept"), [(0, [4]), (1, [4]), (3, [2, 4, 4]), (9, [0, 1, 2, 4, 4])])
    def test_the_newest_are_kept(self, limit, kept):
        """Merged windows keep the newest observations, at least one; other windows keep all of theirs."""
        merged = acg.what_if(self.SNAP, MergeProfiles(), observation_window=limit)
        assert [number(ir) for ir in merged.windows[KEYS[1]]] == kept
        assert [number(ir) for ir in merged.windows[KEYS[2].replace("=m:", "=n:")]] == [3]

    def test_windows_that_are_not_merged_stay(self):
        """A window that is not merged keeps its order, even against its times, and its length."""
        snap = loaded({KEYS[0]: [at(hour, ("user-0", "x"), ("user-1", "y")) for hour in (3, 1, 2)]})
        (window,) = acg.what_if(snap, Drop("user-1"), observation_window=1).windows.values()
        assert [number(ir) for ir in window] == [3, 1, 2]

    def test_equal_sizes(self):
        """Of profiles of the same size, the merged one has the key of the first."""
        snap = loaded({key: [at(0, ("user-0", key))] for key in reversed(KEYS)})
        assert list(acg.what_if(snap, MergeProfiles()).windows) == [KEYS[0]]

    def test_stand_ins_remain(self):
        """A stand-in key remains a stand-in after further repairs."""
        snap = acg.what_if(self.SNAP, [MergeProfiles(), SortTools()])
        assert {key for key, members in snap.members.items() if len(members) == 2} == snap.stand_ins

    def test_rules_of_the_largest(self):
        """Merged profiles of different rules versions are analysed by the rules of the largest."""
        old = "a::model=m::seed=no-seed::system=sha256:000000000::tools=no-tools"
        new = f"a::model=m::seed=stable-scaffold::system=sha256:{'0' * 64}::tools=no-tools"
        snap = loaded({old: [at(0, ("u", "x")), at(1, ("u", "x"))], new: [at(2, ("u", "x"))]}, "auto")
        assert {snap.rules[key].rules for key in (old, new)} == {"nemo-relay-0.6", "nemo-relay-0.8"}
        merged = acg.what_if(snap, MergeProfiles(learning_keys=(new, old)))
        assert {key: detected.rules for key, detected in merged.rules.items()} == {old: "nemo-relay-0.6"}

    def test_named_profiles(self):
        """Named profiles are merged whatever their keys, and later repairs may name them by their old keys."""
        keys = (KEYS[0], KEYS[2].replace("=m:", "=n:"))
        snap = acg.what_if(self.SNAP, [MergeProfiles(learning_keys=keys), Pin("user-0", learning_keys=keys[1:])])
        (x,) = {
            ir.blocks[0].content
            for key, w in snap.windows.items()
            if "=m:" in key and snap.members[key] == tuple(sorted(keys))
            for ir in w
        }
        assert x == "x"
        assert len(snap.windows) == 2
        assert next(key for key, members in snap.members.items() if members == tuple(sorted(keys))) in snap.stand_ins


class TestKeys:
    def test_unknown_texts_get_a_stand_in(self):
        """Where texts were not sent as they are stored, keys are stand-ins; profiles with equal blocks still merge."""
        tools = [make_tool("f", description="two  spaces"), make_tool("g")]
        sent = [make_request("x", tools=tuple(order)) for order in (tools, tools[::-1])]
        keys = [learning_key("a", request, rules="nemo-relay-0.8") for request in sent]
        irs = [build_prompt_ir(r, ir_id=ID, created_at=at(0).created_at, rules="nemo-relay-0.8") for r in sent]
        snap = loaded({key: [ir] for key, ir in zip(keys, irs, strict=True)}, "nemo-relay-0.8")
        repaired = acg.what_if(snap, SortTools())
        # The first profile has its tools in order, so the others would get its key.
        assert (list(repaired.windows), repaired.stand_ins) == ([keys[0]], {keys[0]})
        assert [ir.tool_schema_hashes for ir in repaired.windows[keys[0]]] == [irs[0].tool_schema_hashes] * 2
        alone = acg.what_if(snap, SortTools(learning_keys=(keys[1],)))
        assert list(alone.windows) == [keys[0]]

    def test_blocks_that_no_request_has_keep_their_key(self):
        """If no request could have an observation's blocks, its key stays, as a stand-in."""
        odd = replace(at(0), blocks=(make_block("d", "x", role="system", provenance="developer"),))
        repaired = acg.what_if(loaded({KEYS[0]: [odd]}), RemovePattern("x"))
        assert (list(repaired.windows), repaired.stand_ins) == ([KEYS[0]], {KEYS[0]})

    def test_redacted(self):
        """With hashes in place of texts, dropping, moving and pinning blocks has the same effect."""
        snap = acg.load(DATA / "sample", agent_id="handbook-search")
        (key,) = snap.windows
        hidden = [
            replace(ir, blocks=tuple(replace(b, content=sha(b.content)) for b in ir.blocks)) for ir in snap.windows[key]
        ]
        redacted = loaded({key: hidden}, "nemo-relay-0.8")
        for repair in (Drop("user-6"), MoveToEnd("user-6"), MoveToSystemPrompt("user-7"), Pin("user-6"), SortTools()):
            (one,), (other,) = (acg.analyze(acg.what_if(s, repair)).values() for s in (snap, redacted))
            assert [replace(score) for score in one.scores] == [replace(score) for score in other.scores]
            assert one.stable_prefix_length == other.stable_prefix_length

    @pytest.mark.parametrize("repair", [RemovePattern("0"), Pin("user-0", "0")])
    def test_patterns_are_refused_on_hashes(self, repair):
        """With hashes in place of texts, patterns raise UsageError and are not matched against the hashes."""
        snap = loaded({KEYS[0]: [at(i, ("user-0", sha(str(i)))) for i in range(2)]})
        with pytest.raises(acg.UsageError, match="are hashes, so a pattern cannot match them"):
            acg.what_if(snap, repair)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


class TestSnapshot:
    def test_results_seeds_and_runs_are_left_out(self):
        """A repaired snapshot keeps the rules, and has no stored results, seed entries or runs."""
        snap = acg.load(learned_backend(rules="nemo-flow-0.2"))
        repaired = acg.what_if(snap, RemovePattern("question"))
        assert isinstance(repaired, RepairedSnapshot)
        assert (dict(repaired.stability), dict(repaired.seeds), len(repaired.runs)) == ({}, {}, 4)
        assert {str(rule) for rule in repaired.rules.values()} == {str(rule) for rule in snap.rules.values()}
        assert set(repaired.agent_ids) == {"a"}

    def test_repr(self):
        """The repr describes the repairs, escaped in HTML, and shows no prompt text."""
        snap = acg.what_if(acg.load(learned_backend()), RemovePattern("<b>q"))
        assert repr(snap).startswith(
            "<Snapshot of memory, what if matches of '<b>q' are removed: 1 agent, 1 profile, 8 observations, "
            "6 distinct texts, 4 runs; 1 profile before>"
        )
        assert "matches of &#x27;&lt;b&gt;q&#x27; are removed" in snap._repr_html_()
        pinned = acg.what_if(snap, Pin("user-1"))
        assert "are removed and 'user-1' is pinned" in repr(pinned)
        for shown in (repr(pinned), pinned._repr_html_(), repr(pinned.windows), repr(pinned.rules)):
            assert SECRET not in shown

    def test_it_can_be_exported(self, tmp_path):
        """The windows of a repaired snapshot can be written and read like any others; its runs are not exported."""
        snap = acg.what_if(acg.load(DATA / "sample", agent_id="handbook-search"), MoveToSystemPrompt("user-7"))
        snap.to_parquet(tmp_path / "export")
        again = acg.load(tmp_path / "export")
        assert again.windows == snap.windows
        assert acg.analyze(again) == acg.analyze(snap)

    def test_an_export_keeps_the_rules(self, tmp_path):
        """An export stores the rules of a repaired snapshot, which its blocks no longer show, also for parts of it."""
        snap = acg.what_if(acg.load(DATA / "sample", agent_id="support-legacy"), Drop("system-0"))
        snap.to_parquet(tmp_path / "export")
        assert dict(acg.load(tmp_path / "export").rules) == dict(snap.rules)
        (agent_id,) = snap.agent_ids
        assert dict(acg.load(tmp_path / "export", agent_id=agent_id, limit=1).rules) == dict(snap.rules)
        asked = acg.load(tmp_path / "export", rules="nemo-relay-0.6").rules.values()
        assert {detected.rules for detected in asked} == {"nemo-relay-0.6"}
        with acg.ParquetExport(tmp_path / "export") as backend:
            backend.store_observations("later", ())
        assert dict(acg.load(tmp_path / "export", agent_id=agent_id).rules) == dict(snap.rules)


# --- the sample ---

# Digest and two worked examples with their answers: when one moves, the next gets its number.
EXAMPLES = [MoveToSystemPrompt("user-8"), MoveToSystemPrompt("assistant-8")] * 3


def of_agent(snap, agent_id):
    return [key for key in snap.windows if snap.owners[key].agent_id == agent_id]


@pytest.mark.parametrize(
    ("agent_id", "repair", "before", "after"),
    [
        # profiles, observations, blocks and tokens of the stable prefix
        ("support-chat", RemovePattern(r"Current date and time: .*"), (123, 509, 11, 2231), (1, 100, 11, 2216)),
        (
            "support-chat",
            Pin("system-0-instructions", r"Current date and time: .*"),
            (123, 509, 11, 2231),
            (1, 100, 11, 2230),
        ),
        ("support-legacy", MergeProfiles(), (70, 246, 12, 2253), (1, 100, 11, 2215)),
        ("sales-analyst", SortTools(), (2, 200, 10, 2022), (1, 100, 10, 2022)),
        ("handbook-search", MoveToSystemPrompt("user-7"), (1, 100, 6, 880), (1, 100, 7, 1467)),
        ("handbook-search", MoveToEnd("user-6"), (1, 100, 6, 880), (1, 100, 7, 1467)),
        ("claims-triage", Pin("user-10"), (1, 100, 10, 1796), (1, 100, 16, 2384)),
        ("claims-triage-next", EXAMPLES, (1, 100, 8, 1714), (2, 100, 8, 2306)),
    ],
)
def test_repairs_of_the_sample(sample, agent_id, repair, before, after):
    """The repair that data/README.md names for each agent has the effect stated there."""
    found = measure_effect(sample, of_agent(sample, agent_id), repair)
    for extent, expected in ((found.before, before), (found.after, after)):
        rounded = round(extent.prefix_blocks), round(extent.prefix_tokens)
        assert (extent.profiles, extent.observations, *rounded) == expected


def test_the_pilot_becomes_a_profile(sample):
    """With digest and examples in the system prompt each digest has a profile, whose prefix ends with the scaffold."""
    (key,) = of_agent(sample, "claims-triage-next")
    repaired = acg.what_if(sample, [replace(repair, learning_keys=(key,)) for repair in EXAMPLES])
    results = acg.analyze(repaired)
    split = of_agent(repaired, "claims-triage-next")
    assert sorted(len(repaired.windows[new]) for new in split) == [9, 91]
    assert {repaired.members[new] for new in split} == {(key,)}
    for new in split:
        assert results[new].stable_prefix_length == 8
        assert results[new].scores[8].classification == "variable"
