"""Stored documents to columns: records come back as they were, bad ones are reported with key and path."""

import json
import traceback

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ID, TIME, make_block, make_call, make_ir, make_request, make_run, prompt_irs, requests, runs

from acg_lab.core import BlockStability, RecordError, StabilityAnalysisResult, TokenMetadata, ToolSchemaHash
from acg_lab.core.codec import decode_window, encode, encode_window
from acg_lab.storage.base import Entry, raise_problem
from acg_lab.storage.ingest import ingest
from acg_lab.storage.times import NO_TIME, Times, parse_time, render_time

PRIVATE = "the user's own words"
BLOCK = {
    "span_id": "user-0",
    "sequence_index": 0,
    "role": "user",
    "content": PRIVATE,
    "content_type": "text",
    "provenance": "user",
    "token_metadata": {"model_family": "m", "token_count": 3},
}
IR = {
    "ir_id": ID,
    "blocks": [BLOCK],
    "tool_schema_hashes": [{"tool_name": "f", "schema_hash": "h"}],
    "created_at": TIME,
}
SCORE = {"span_id": "s", "classification": "stable", "score": 1.0, "confidence": 0.05, "observation_count": 1}
RESULT = {"scores": [SCORE], "stable_prefix_length": 1, "total_observations": 1}
REQUEST = {"messages": [{"role": "user", "content": PRIVATE}], "model": "m", "tools": [{"type": "function"}]}
CALL = {
    "kind": "llm",
    "name": "openai",
    "started_at": TIME,
    "prompt_tokens": 5,
    "annotated_request": REQUEST,
    "annotated_response": {"text": PRIVATE},
}
RUN = {"id": "r", "agent_id": "a", "calls": [CALL], "started_at": TIME, "ended_at": TIME}
DOCUMENTS = {"observations": [IR, IR], "stability": RESULT, "run": RUN}
GOOD = {kind: json.dumps(document, separators=(",", ":")).encode() for kind, document in DOCUMENTS.items()}

ANY = tuple(GOOD)


def take_in(*entries, on_problem=raise_problem):
    return ingest((Entry(kind, key, raw) for kind, key, raw in entries), on_problem)


# --- bad documents ---

REQ = "$.calls[0].annotated_request"
TWICE = "expected each key once, got"
TOO_BIG = "expected an integer from -2**63 to 2**64 - 1, got one beyond"
TOO_DEEP = "expected JSON of sane depth, got one that is nested too deeply"
NO_NAME = "expected one of production's names, got another"
NO_TIME_AT = "expected an RFC 3339 time, got another text"
NO_UTF8 = "expected UTF-8, got bytes that are not"
NO_OBJECT = "expected an object, got another JSON value"
NO_OBJECTS = "expected a list of objects, got another JSON value"
DEEP, DEEP_OBJECT = "[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000
LONE, NO_TEXT = "\\ud800", "\udcff"  # a lone surrogate escaped in JSON; a byte that is no UTF-8

# Of a good document the last occurrence of a text is changed into another: path and reason of the error.
CHANGED = {
    "observations": [
        ('"blocks":', '"lumps":', "$[1]", "object missing required field blocks"),
        ('"blocks":', '"blocks":"no","x":', "$[1].blocks", "expected array, got str"),
        ('"blocks":', '"blocks":[[]],"x":', "$[1].blocks[0]", "expected object, got array"),
        (f'"ir_id":"{ID}"', '"ir_id":7', "$[1].ir_id", "expected str, got int"),
        (ID, "i", "$[1].ir_id", "expected a UUID, got another text"),
        ('"user-0"', "null", "$[1].blocks[0].span_id", "expected str, got null"),
        ('"role":"user"', '"role":"king"', "$[1].blocks[0].role", NO_NAME),
        ('"sequence_index":0', '"sequence_index":-1', "$[1].blocks[0].sequence_index", "expected int >= 0"),
        ('"sequence_index":0', f'"sequence_index":{2**32}', "$[1].blocks[0].sequence_index", "expected int <= 42"),
        ('"sequence_index":0', f'"sequence_index":{2**64}', "$[1].blocks[0]", TOO_BIG),
        ('"sequence_index":0', '"sequence_index":1.5', "$[1].blocks[0].sequence_index", "expected int, got float"),
        ('"sequence_index":0', '"sequence_index":NaN', "$", "not JSON"),
        ('"token_count":3', '"token_count":"3"', "$[1].blocks[0].token_metadata.token_count", "expected int, got str"),
        ('count":3', f'count":{2**32}', "$[1].blocks[0].token_metadata.token_count", "expected int <= 42"),
        ('"role":', '"sensitivity":"secret","role":', "$[1].blocks[0].sensitivity", NO_NAME),
        ('"role":', '"sensitivity":null,"role":', "$[1].blocks[0].sensitivity", "expected one of public, "),
        ('"schema_hash":"h"', '"schema_hash":0', "$[1].tool_schema_hashes[0].schema_hash", "expected str, got int"),
        (TIME, "2026-13-01T00:00:00Z", "$[1].created_at", NO_TIME_AT),
        (TIME, "2026-01-01", "$[1].created_at", NO_TIME_AT),
        ('"role":', '"role":"user","role":', "$[1].blocks[0]", f"{TWICE} 'role' twice"),
        ('"ir_id":', '"ir_id":"j","ir_id":', "$[1]", f"{TWICE} 'ir_id' twice"),
        ('"ir_id":', '"ir\\u005fid":"j","ir_id":', "$[1]", f"{TWICE} 'ir_id' twice"),
        ('"ir_id":', '"x":{"y":1,"y":1},"ir_id":', "$[1][...]", "expected each key once, got one twice"),
        ("words", LONE, "$", "not JSON"),
        ("words", NO_TEXT, "$[1].blocks[0]", NO_UTF8),
        ('"ir_id":', f'"x":{DEEP},"ir_id":', "$", TOO_DEEP),
        ('"role":', f'"x": {DEEP_OBJECT},"role":', "$", TOO_DEEP),
    ],
    "stability": [
        ('"scores":', '"marks":', "$", "object missing required field scores"),
        ('"score":1.0', '"score":NaN', "$", "not JSON"),
        ('"score":1.0', '"score":null', "$.scores[0].score", "expected float, got null"),
        ('"score":1.0', '"score":1e999', "$[...][0][...]", "number out of range"),
        ('"stable"', '"steady"', "$.scores[0].classification", NO_NAME),
        ('"total_observations":1', '"total_observations":-1', "$.total_observations", "expected int >= 0"),
        ('"total_observations":1', f'"total_observations":{2**64}', "$", TOO_BIG),
        ('"total_observations":', '"scores":[],"total_observations":', "$", f"{TWICE} 'scores' twice"),
        ('"s"', f'"{LONE}"', "$", "not JSON: "),
        ('"s"', f'"{NO_TEXT}"', "$", NO_UTF8),
        ('"scores":', f'"x":{DEEP},"scores":', "$", TOO_DEEP),
    ],
    "run": [
        ('"id":"r"', '"id":null', "$.id", "expected str, got null"),
        ('"id":"r"', '"id":"r","id":"r"', "$", "expected each key once, got 'id' twice"),
        ('"calls":', '"calls":{},"x":', "$.calls", "expected array, got object"),
        ('"calls":', '"calls":[7],"x":', "$.calls[0]", "expected object, got int"),
        ('"kind":"llm"', '"kind":"dream"', "$.calls[0].kind", NO_NAME),
        ('"prompt_tokens":5', '"prompt_tokens":-5', "$.calls[0].prompt_tokens", "expected int >= 0"),
        ('"prompt_tokens":5', f'"prompt_tokens":{2**63}', "$.calls[0].prompt_tokens", "expected int <= 92"),
        ('"annotated_request":', '"annotated_request":[],"x":', REQ, "expected object, got array"),
        ('"model":"m"', '"model":5', REQ + ".model", "expected str"),
        ('"model":"m"', f'"seed":{2**64}', REQ, TOO_BIG),
        ('"model":', '"model":"n","model":', REQ, f"{TWICE} 'model' twice"),
        ('"role":', '"role":"user","role":', REQ + ".messages[0]", f"{TWICE} 'role' twice"),
        ('{"role"', '7,{"role"', REQ + ".messages[0]", NO_OBJECT),
        ('[{"type"', '[null,{"type"', REQ + ".tools", NO_OBJECTS),
        ('"tools":', '"tools":{},"x":', REQ + ".tools", NO_OBJECTS),
        ('"annotated_response":', '"annotated_response":[],"x":', "$.calls[0].annotated_response", NO_OBJECT),
        ('"started_at":', '"started_at":"soon","x":', "$.started_at", NO_TIME_AT),
        (f'"ended_at":"{TIME}"', '"ended_at":""', "$.ended_at", NO_TIME_AT),
        ('"name":', '"ended_at":"never","name":', "$.calls[0].ended_at", NO_TIME_AT),
        ("words", LONE, "$", "not JSON"),
        ("words", NO_TEXT, "$.calls[0].annotated_response", NO_UTF8),
        ('"model":"m"', f'"seed":{DEEP}', "$", TOO_DEEP),
        ('"model":"m"', f'"seed":{"[" * 200}{"]" * 200}', REQ + ".seed[0][0]", ""),
    ],
}  # fmt: skip
WHOLE = {
    "observations": [
        ("null", "$", "expected array, got null"),
        ("{}", "$", "expected array, got object"),
        ("[5]", "$[0]", "expected object, got int"),
        ("[null]", "$[0]", "expected object, got null"),
        ("[{}]", "$[0]", "object missing required field ir_id"),
        (DEEP, "$", TOO_DEEP),
    ],
    "stability": [
        ("[]", "$", "expected object, got array"),
        ("7", "$", "expected object, got int"),
        ("{}", "$", "object missing required field scores"),
        (DEEP_OBJECT, "$", TOO_DEEP),
    ],
    "run": [
        ("[]", "$", "expected object, got array"),
        ("null", "$", "expected object, got null"),
        ("{}", "$", "object missing required field id"),
        (DEEP_OBJECT, "$", TOO_DEEP),
    ],
}
ANYWHERE = [
    ("", "$", "not JSON: it ends too early"),
    (" \n", "$", "not JSON: it ends too early"),
    ("\udcff\udcfe", "$", NO_UTF8),
    *((text, "$", "") for text in ("{", "[", "nul", "NaN", "{'a':1}", '"', "[1,]")),
]


def bad_documents():
    for kind, raw in GOOD.items():
        good = raw.decode()
        for old, new, path, reason in CHANGED[kind]:
            before, found, after = good.rpartition(old)
            assert found
            yield kind, before + new + after, path, reason
        cuts = [(good[:end], "$", "") for end in (1, len(good) // 2, len(good) - 1)]
        behind = [(good + "]", "$", "not JSON")]
        for text, path, reason in [*WHOLE[kind], *ANYWHERE, *cuts, *behind]:
            yield kind, text, path, reason


def reach(error):
    """Return all that is shown of an error, in a traceback too."""
    return "".join(traceback.format_exception(error)) + repr(error)


@pytest.mark.parametrize(("kind", "text", "path", "reason"), list(bad_documents()))
def test_bad_documents(kind, text, path, reason):
    """A document that can't be read is reported with key, path, and what was expected, and with none of its text."""
    problems = []
    take_in((kind, "k", text.encode(errors="surrogateescape")), on_problem=problems.append)
    (error,) = problems
    assert (error.key, error.path[: len(path)], error.reason[: len(reason)]) == ("k", path, reason)
    assert str(error).startswith(f"key 'k', at {path}")
    assert PRIVATE not in reach(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize("kind", ANY)
def test_good_documents_beside_bad_ones(kind):
    """A bad document is one problem, whether good ones of its kind and of others came before it or come later."""
    problems = []
    entries = [(name, f"{name} 1", GOOD[name]) for name in ANY]
    entries += [
        (kind, "bad", b"{"),
        *((name, f"{name} 2", GOOD[name].replace(b'"id":"r"', b'"id":"s"')) for name in ANY),
    ]
    columns = take_in(*entries, on_problem=problems.append)
    assert [problem.key for problem in problems] == ["bad"]
    assert columns.observations.keys == ("observations 1", "observations 2")
    assert set(columns.results) == {"stability 1", "stability 2"}
    assert [run.id for run in columns.runs] == ["r", "s"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("observations", "key 'k', at $: expected each key once in the source, got a second window"),
        ("stability", "key 'k', at $: expected each key once in the source, got a second result"),
        ("run", "key 'k', at $: expected each run once in the source, got its id a second time"),
    ],
)
def test_second_of_its_key(kind, message):
    """Of two documents with one key the first is kept, and the second is reported."""
    problems = []
    other = (
        GOOD[kind]
        .replace(PRIVATE.encode(), b"second")
        .replace(b'"stable_prefix_length":1', b'"stable_prefix_length":0')
    )
    columns = take_in((kind, "k", GOOD[kind]), (kind, "k", other), on_problem=problems.append)
    assert [str(problem) for problem in problems] == [message]
    assert columns.observations.content_pool in ((), (PRIVATE,))
    assert [result.stable_prefix_length for result in columns.results.values()] in ([], [1])
    assert [run.calls[0].annotated_response["text"] for run in columns.runs] in ([], [PRIVATE])


def test_an_error_in_the_place_of_a_document():
    """What the backend could not fetch is reported under its key; what it knows of the place stays."""
    problems = []
    error = RecordError("expected a string, got a list", source="there")
    take_in(("run", "a:r", error), ("run", "a:r", GOOD["run"]), on_problem=problems.append)
    assert [str(problem) for problem in problems] == ["there, key 'a:r', at $: expected a string, got a list"]


# --- good documents ---

UNKNOWN = st.dictionaries(
    st.sampled_from(["later", "unknown", "é"]), st.sampled_from([None, [], {"a": [1.5]}]), max_size=2
)
TIMES = [
    TIME,
    "2026-01-01T02:00:00.5+02:00",
    "2026-01-01T00:00:00.123456789Z",
    "2026-01-01T00:00:00.1234567891234Z",
    "2026-01-01T00:00:00.000Z",
    "2026-01-01t00:00:00z",
    "2026-01-01 00:00:00-00:00",
    "2026-02-28T23:59:59.999999999-23:59",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
]


def odd_windows():
    """Windows with times in any spelling, unknown fields everywhere, and lists that are there but empty."""
    block = make_block(
        "u1", "x", unknown={"later": [None]}, token_metadata=TokenMetadata(model_family="", token_count=0)
    )
    hashes = ToolSchemaHash(tool_name="f", schema_hash="", unknown={"later": 1})
    observation = st.builds(
        lambda ir, time, unknown, blocks, hashes: msgspec.structs.replace(
            ir, created_at=time, unknown=unknown, blocks=ir.blocks + blocks, tool_schema_hashes=hashes
        ),
        prompt_irs(),
        st.sampled_from(TIMES),
        UNKNOWN,
        st.sampled_from([(), (block, block)]),
        st.sampled_from([None, (), (hashes,)]),
    )
    return st.lists(observation, max_size=4).map(tuple)


@given(odd_windows())
def test_windows(window):
    """A window comes back as it was, and is written as it was, however its JSON was laid out."""
    raw = encode_window(window)
    loose = json.dumps(json.loads(raw), indent=1).encode()
    for text in (raw, loose):
        observations = take_in(("observations", "k", text)).observations
        assert observations.window(0) == window == decode_window(raw)
        assert encode_window(observations.window(0)) == raw


@given(st.builds(msgspec.structs.replace, runs(requests()), unknown=UNKNOWN, started_at=st.sampled_from(TIMES)))
def test_runs(run):
    """So does a run."""
    raw = encode(run)
    for text in (raw, json.dumps(json.loads(raw), indent=1).encode()):
        assert list(take_in(("run", "a:r", text)).runs) == [run]
        assert encode(take_in(("run", "a:r", text)).runs[0]) == raw


def test_results():
    """And a result."""
    score = BlockStability(span_id="s", classification="variable", score=-0.5, confidence=2.0, observation_count=0)
    result = StabilityAnalysisResult(
        scores=(score, score),
        stable_prefix_length=7,
        stable_prefix_fingerprint="f",
        total_observations=0,
        unknown={"z": {}},
    )
    assert take_in(("stability", "k", encode(result))).results == {"k": result}


def test_null_is_as_good_as_absent():
    """Optional fields may be null."""
    optional = '"tool_schema_hashes":null,"structured_output_schema_id":null,"source_request_hash":null'
    block = '{"span_id":"s","sequence_index":0,"role":"user","content":"x","content_type":"text","provenance":"user",'
    block += '"token_metadata":null}'
    raw = f'[{{"ir_id":"{ID}","blocks":[{block}],"created_at":"{TIME}",{optional}}}]'
    made = make_ir(("s", "x"))
    bare = msgspec.structs.replace(made.blocks[0], sensitivity=None)
    window = take_in(("observations", "k", raw.encode())).observations.window(0)
    assert window == (msgspec.structs.replace(made, blocks=(bare,)),)
    call = (
        '{"kind":"llm","name":"n","started_at":"%s","ended_at":null,"annotated_request":null,"annotated_response":null,'
    )
    call = f'{call % TIME}"metadata_snapshot":null,"prompt_tokens":null,"model_name":null}}'
    run = f'{{"id":"r","agent_id":"a","calls":[{call}],"started_at":"{TIME}","ended_at":null}}'
    assert list(take_in(("run", "a:r", run.encode())).runs) == [
        msgspec.structs.replace(make_run(), calls=(make_call(name="n"),))
    ]
    request = '{"messages":[],"model":null,"params":null,"tools":null,"tool_choice":null}'
    (run,) = take_in(
        ("run", "a:r", run.replace('"annotated_request":null', f'"annotated_request":{request}').encode())
    ).runs
    assert run.calls[0].annotated_request == make_request()


def test_equal_texts_have_equal_codes():
    """Each text, span and form is once in its pool, however its block was spelled, and so does each message."""
    spelled = GOOD["observations"].replace(b"user's", b"user\\u0027s").replace(b'"role":', b' "role" : ')
    columns = take_in(("observations", "a", GOOD["observations"]), ("observations", "b", spelled)).observations
    assert columns.content_pool == (PRIVATE,)
    assert columns.span_pool == ("user-0",)
    assert (len(columns.form_pool), len(columns.header_pool)) == (1, 1)
    assert columns.contents.tolist() == columns.spans.tolist() == columns.forms.tolist() == [0, 0, 0, 0]
    loose = (
        GOOD["run"].replace(b'"role":', b'"role" : ').replace(b'"type":', b'"type": ').replace(b'"id":"r"', b'"id":"s"')
    )
    columns = take_in(("run", "a:r", GOOD["run"]), ("run", "a:s", loose)).runs
    assert (len(columns.messages), len(columns.values)) == (1, 2)  # values: the tools, and the response
    assert columns.calls[0][0].messages.tolist() == columns.calls[1][0].messages.tolist() == [0]
    assert columns.calls[0][0].tools == columns.calls[1][0].tools


def test_runs_stand_by_agent():
    """Runs come agent by agent, of each in the order in which they were found."""
    found = [("b", "2"), ("a", "2"), ("b", "1"), ("a", "1")]
    entries = [("run", f"{a}:{r}", encode(make_run(agent_id=a, run_id=r))) for a, r in found]
    assert [(run.agent_id, run.id) for run in take_in(*entries).runs] == [
        ("a", "2"),
        ("a", "1"),
        ("b", "2"),
        ("b", "1"),
    ]


def test_nothing():
    """No entries make empty columns."""
    columns = take_in()
    assert (columns.observations.keys, len(columns.results), len(columns.runs)) == ((), 0, 0)
    assert columns.observations.contents.shape == (0,)
    assert take_in(("observations", "k", b"[]")).observations.window(0) == ()


# --- times ---


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T02:00:00.5+02:00", 500_000_000),
        ("1969-12-31T23:59:59.999Z", -1_000_000),
        ("1970-01-01T00:00:00.1234567899Z", 123_456_789),
        ("1972-06-30T23:59:60Z", 78_796_800_000_000_000),
        ("1972-06-30T23:59:60.5Z", 78_796_800_500_000_000),
        ("0000-02-29T00:00:00Z", -(2**63) + 1),
        ("9999-12-31T00:00:00Z", 2**63 - 1),
        ("0001-01-01T00:00:00Z", -(2**63) + 1),
    ],
)
def test_times_as_numbers(text, nanoseconds):
    """A time is nanoseconds since 1970 in UTC, held to 64 bits; its text is kept as it was."""
    assert parse_time(text) == nanoseconds
    assert Times.parse([text, None]).texts() == [text, None]
    assert Times.parse([None]).nanoseconds.tolist() == [NO_TIME]


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_times_render(nanoseconds):
    """Printed as production prints it, a time reads as the same number."""
    text = render_time(nanoseconds)
    assert parse_time(text) == nanoseconds
    assert text.endswith("Z")
    assert not text.endswith("000Z") or "." not in text


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00Z", "2026-01-01T25:00:00Z",
     "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:61Z", "2026-01-01T00:00:00+24:00",
     "0000-02-30T00:00:00Z", "2026-02-29T00:00:00Z", "10000-01-01T00:00:00Z", "-2026-01-01T00:00:00Z",
     "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+0100", "٢026-01-01T00:00:00Z", "2026-01-01T00:00:00Z "],
)  # fmt: skip
def test_no_times(text):
    """What is no RFC 3339 time is refused, and not repeated."""
    with pytest.raises(RecordError) as caught:
        parse_time(text)
    assert str(caught.value) == f"at $: {NO_TIME_AT}"
