"""Learning keys (`acg_lab/docs/rules/learner.md`, 3)."""

import copy
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import make_request, make_tool, requests, texts

from acg_lab.core import LearningKey, RecordError, learning_key, parse_learning_key
from acg_lab.core.keys import assign_agents


def hashed(text):
    return "sha256:" + sha256(text.encode("utf-8")).hexdigest()


def part_of(key, name):
    return getattr(parse_learning_key(key), name)


def key_of(*messages, agent_id="a", **fields):
    return learning_key(agent_id, make_request(*messages, **fields))


def message(role, content, **fields):
    return {"role": role, "content": content, **fields}


def text_part(text):
    return {"type": "text", "text": text}


def image(url="data:,x", **fields):
    return {"type": "image_url", "image_url": {"url": url, **fields}}


def tag(detail):
    return f"[image:{detail}:{hashed('data:,x')}]"


def test_shape():
    """A key holds agent, model, and the first 16 characters of the seed's, system's and tools' fingerprints."""
    key = key_of(message("system", "s"), "u", model="m", tools=(make_tool(),))
    assert key == "a::model=m::seed=user:sha256:0bfe::system=sha256:043a71877::tools=sha256:f0a0f349c"


def test_smallest():
    """A request of nothing has a key of placeholders; the tools' is cut too."""
    assert key_of() == "a::model=unknown::seed=no-seed::system=no-system::tools=no-tools"
    assert key_of(tools=()) == "a::model=unknown::seed=no-seed::system=no-system::tools=tools-unavailabl"


@pytest.mark.parametrize(("model", "expected"), [(None, "unknown"), ("m", "m"), ("a::model=b", "a::model=b"), ("", "")])
def test_model(model, expected):
    """Only an absent model is unknown; one that is empty stays empty."""
    assert f"::model={expected}::seed=" in key_of("u", model=model)


SYSTEMS = [
    ([], None),
    (["u"], None),
    ([message("system", "")], None),
    ([message("system", [])], None),
    ([message("system", "s")], "s"),
    ([message("system", " s ")], " s "),
    ([message("system", "s"), message("system", "t")], "s\nt"),
    ([message("system", "s"), "u", message("system", "t")], "s\nt"),
    ([message("system", ""), message("system", "")], "\n"),
    ([message("system", [text_part("s"), text_part("t")])], "s\nt"),
    ([message("system", [text_part(""), text_part("t")])], "\nt"),
    ([message("system", [image()])], tag("none")),
]


@pytest.mark.parametrize(("messages", "text"), SYSTEMS)
def test_system(messages, text):
    """The system part hashes all system texts joined by line feeds, as they are; empty is "no-system"."""
    expected = "no-system" if text is None else hashed(text)[:16]
    assert part_of(key_of(*messages), "system") == expected


SEEDS = [
    (["u"], f"user:{hashed('u')}"),
    ([" u\n\n"], f"user:{hashed(' u' + chr(10) * 2)}"),
    ([""], f"user:{hashed('')}"),
    ([message("system", "s"), "u", "v"], f"user:{hashed('u')}"),
    ([message("tool", "t", tool_call_id="c"), "u"], f"tool:{hashed('t')}"),
    ([message("assistant", "x"), "u"], "assistant:sha256"),
    ([message("assistant", "y"), "u"], "assistant:sha256"),
    ([message("assistant", ""), "u"], "assistant:sha256"),
    ([message("assistant", None), "u"], "assistant:no-content"),
    ([{"role": "assistant"}, "u"], "assistant:no-content"),
    ([message("system", "s")], "no-seed"),
    ([message("user", [text_part("u"), text_part("v")])], f"user:{hashed('u' + chr(10) + 'v')}"),
    ([message("user", [image(detail="low")])], f"user:{hashed(tag('low'))}"),
    ([message("user", [image(), text_part("u")])], f"user:{hashed(tag('none') + chr(10) + 'u')}"),
    ([message("user", [image(detail=None)])], f"user:{hashed(tag('none'))}"),
    ([message("user", [image(detail="")])], f"user:{hashed(tag(''))}"),
]


@pytest.mark.parametrize(("messages", "fingerprint"), SEEDS)
def test_seed(messages, fingerprint):
    """The seed is that of the first message that is not system, with its text as it is and images as tags."""
    assert part_of(key_of(*messages), "seed") == fingerprint[:16]


def test_tools():
    """The tools part hashes the tools' canonical JSON joined by bars, in order, not normalised."""
    f, g = make_tool("f", description="a  b"), make_tool("g", parameters={"z": 1.0, "a": None})
    joined = (
        '{"function":{"description":"a  b","name":"f"},"type":"function"}|'
        '{"function":{"name":"g","parameters":{"a":null,"z":1}},"type":"function"}'
    )
    assert part_of(key_of("u", tools=(f, g)), "tools") == hashed(joined)[:16]
    assert key_of("u", tools=(g, f)) != key_of("u", tools=(f, g))


def test_fragmentation():
    """A fresh first user message makes a profile of its own; later messages do not."""
    assert key_of("u", "x") == key_of("u", "y") != key_of("v", "x")


@pytest.mark.parametrize(
    ("messages", "path"),
    [
        (({"content": "x"},), "$.messages[0].role"),
        ((message("system", 5),), "$.messages[0].content"),
        ((message("system", "s"), message("user", 5)), "$.messages[1].content"),
        ((message("user", [{"type": "image_url"}]),), "$.messages[0]"),
        ((message("user", [image(url=None)]),), "$.messages[0]"),
    ],
)
def test_unreadable(messages, path):
    """A request that production can't read has no key."""
    with pytest.raises(RecordError, match="expected") as caught:
        key_of(*messages)
    assert caught.value.path.startswith(path)


@given(requests())
def test_arguments_stay_unchanged(request):
    """Making a key leaves the request unchanged, and repeating it returns the same key."""
    before = copy.deepcopy(request)
    assert learning_key("a", request) == learning_key("a", before)
    assert request == before


# --- taking keys apart ---


def test_parse():
    """A key falls apart into its parts, a response format among them."""
    key = "a::model=m::seed=user:sha256:0bfe::system=no-system::tools=no-tools"
    parts = ("a", "m", "user:sha256:0bfe", "no-system", "no-tools")
    assert parse_learning_key(key) == LearningKey(*parts, None)
    assert parse_learning_key(f"{key}::response_format={hashed('x')}") == LearningKey(*parts, hashed("x"))
    whole = f"a::model=m::seed=stable-scaffold::system={hashed('y')}::tools={hashed('t')}"
    assert parse_learning_key(whole) == LearningKey("a", "m", "stable-scaffold", hashed("y"), hashed("t"), None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a::b",
        "a::model=m",
        "a::model=m::seed=s::system=y",
        "a::model=m::seed=no-seed::system=no-system::tools=",
        "a::model=m::seed=no-seed::system=no-system::tools=no-tools::more",
        "a::model=m::system=no-system::seed=no-seed::tools=no-tools",
    ],
)
def test_parse_of_what_is_no_key(text):
    """A text that is not a learning key returns None: agent ids are stored in the same way."""
    assert parse_learning_key(text) is None
    assert parse_learning_key(text, agent_id="a") is None


def test_parse_for_another_agent():
    """With ``agent_id``, a key of another agent returns None, even if its id starts the same."""
    key = key_of("u", agent_id="ab")
    assert parse_learning_key(key, agent_id="a") is None
    assert parse_learning_key(key, agent_id="ab").agent_id == "ab"


AGENTS = st.sampled_from(["", "a", "a:b", "a::b", "a::model=m", "a\nb", "a::seed=x::system=y::tools=z"]) | texts()


@given(AGENTS, requests())
def test_parse_undoes_learning_key(agent_id, request):
    """With the agent given, every key falls apart into agent and model, and joins to the same key again."""
    key = learning_key(agent_id, request)
    parts = parse_learning_key(key, agent_id=agent_id)
    assert parts.agent_id == agent_id
    assert parts.model == ("unknown" if request.model is None else request.model)
    joined = f"{parts.agent_id}::model={parts.model}::seed={parts.seed}::system={parts.system}::tools={parts.tools}"
    assert joined == key


@given(texts(), requests())
def test_parse_without_the_agent(agent_id, request):
    """Without the agent, an id that holds no "::model=" is found all the same."""
    assert parse_learning_key(learning_key(agent_id, request)).agent_id == agent_id


# --- whose keys ---

REST = "::seed=no-seed::system=no-system::tools=no-tools"
OWNED = {
    "nothing": ([], [], {}),
    "plain": (["a", f"a::model=m{REST}"], [], {"a": ("a", True), f"a::model=m{REST}": ("a", False)}),
    "no seed entry": ([f"a::model=m{REST}"], [], {f"a::model=m{REST}": ("a", False)}),
    "seed entry alone": (["a::b"], [], {"a::b": ("a::b", True)}),
    "no learning key": (["a", "a::model=m"], [], {"a": ("a", True), "a::model=m": ("a::model=m", True)}),
    "odd model": (
        ["a", f"a::model=x::model=y{REST}"],
        [],
        {"a": ("a", True), f"a::model=x::model=y{REST}": ("a", False)},
    ),
    "odd agent": (
        ["a::model=x", f"a::model=x::model=y{REST}"],
        [],
        {"a::model=x": ("a::model=x", True), f"a::model=x::model=y{REST}": ("a::model=x", False)},
    ),
    "odd agent of runs": (
        [f"a::model=x::model=y{REST}"],
        ["a::model=x"],
        {f"a::model=x::model=y{REST}": ("a::model=x", False)},
    ),
    "longest agent": (
        [f"a::model=x::model=y{REST}"],
        ["a", "a::model=x"],
        {f"a::model=x::model=y{REST}": ("a::model=x", False)},
    ),
    "agent named like a key": (
        [f"a::model=m{REST}", f"a::model=m{REST}::model=m{REST}"],
        [],
        {
            f"a::model=m{REST}": (f"a::model=m{REST}", True),
            f"a::model=m{REST}::model=m{REST}": (f"a::model=m{REST}", False),
        },
    ),
    "agent of runs named like a key": (
        [f"a::model=m{REST}"],
        [f"a::model=m{REST}"],
        {f"a::model=m{REST}": (f"a::model=m{REST}", True)},
    ),
}


@pytest.mark.parametrize(("keys", "agent_ids", "expected"), OWNED.values(), ids=OWNED)
def test_owners(keys, agent_ids, expected):
    """A key belongs to the longest known agent that it continues; an agent's own id is its seed entry."""
    assert assign_agents(keys, agent_ids) == expected
    assert assign_agents(keys[::-1], agent_ids[::-1]) == expected


@given(st.dictionaries(AGENTS, st.lists(requests(), min_size=1, max_size=2), max_size=3))
def test_owners_of_what_learners_store(learned):
    """Where each agent's id is known from its runs, every key finds its agent, and seed entries count as no profile."""
    keys = {learning_key(agent_id, request) for agent_id, several in learned.items() for request in several}
    owners = assign_agents(keys | set(learned), set(learned))
    assert {key for key, owner in owners.items() if owner.is_seed} == set(learned)
    for agent_id, several in learned.items():
        for request in several:
            owner = owners[learning_key(agent_id, request)].agent_id
            assert owner == agent_id or len(owner) > len(agent_id)
