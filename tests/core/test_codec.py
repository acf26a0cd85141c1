"""Stored JSON to records and back: nothing lost, nothing let through that production refuses."""

import json
import tracemalloc
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    ID,
    TIME,
    json_scalars,
    json_values,
    make_call,
    make_ir,
    make_request,
    make_run,
    odd_texts,
    prompt_irs,
    requests,
    runs,
    texts,
    windows,
)

from acg_lab.core import AnnotatedLlmRequest, BlockStability, PromptBlock, PromptIR, RecordError, RunRecord
from acg_lab.core import StabilityAnalysisResult as Result
from acg_lab.core.codec import decode, decode_window, encode, encode_window
from acg_lab.core.strict_json import parse_strict, raise_record_error

PRIVATE = "the user's own words"
NO_ID = "expected a UUID, got another text"
NO_TIME = "expected an RFC 3339 time, got another text"
NO_NAME = "expected one of production's names, got another"
BLOCK = {
    "span_id": "user-0",
    "sequence_index": 0,
    "role": "user",
    "content": PRIVATE,
    "content_type": "text",
    "provenance": "user",
    "sensitivity": "public",
}
IR = {"ir_id": ID, "blocks": [BLOCK], "created_at": TIME}
SCORE = {"span_id": "s", "classification": "stable", "score": 1.0, "confidence": 0.05, "observation_count": 1}
RESULT = {"scores": [SCORE], "stable_prefix_length": 1, "total_observations": 1}
CALL = {
    "kind": "llm",
    "name": "openai",
    "started_at": TIME,
    "annotated_request": {"messages": [{"role": "user", "content": PRIVATE}], "model": "m"},
}
RUN = {"id": "r", "agent_id": "a", "calls": [CALL], "started_at": TIME}


def written(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def run_with(snapshot):
    """Print a run as production does, whose metadata snapshot is this JSON text."""
    marked = written({**RUN, "calls": [{"kind": "llm", "name": "n", "started_at": TIME, "metadata_snapshot": "here"}]})
    return marked.replace(b'"here"', snapshot if isinstance(snapshot, bytes) else snapshot.encode())


def spaced(raw):
    """Write the same JSON otherwise, so that no short cut for production's own printing is taken."""
    return raw[:1] + b" " + raw[1:].replace(b'"started_at"', b'"started\\u005fat"')


def error_of(kind, raw):
    with pytest.raises(RecordError) as caught:
        decode(kind, raw)
    assert PRIVATE not in f"{caught.value} {caught.value!r}"
    return caught.value


# --- round trips ---

SAMPLES = [(PromptBlock, BLOCK), (PromptIR, IR), (BlockStability, SCORE), (Result, RESULT), (RunRecord, RUN)]


@pytest.mark.parametrize(("kind", "document"), SAMPLES)
def test_written_as_production_writes(kind, document):
    """What production printed is printed again byte for byte."""
    raw = written(document)
    assert encode(decode(kind, raw)) == raw


@given(st.one_of(prompt_irs(), runs(), runs(requests())))
def test_record_round_trip(record):
    """A record that is written and read is the same record, however its JSON was spelled."""
    raw = encode(record)
    assert decode(type(record), raw) == record
    assert decode(type(record), json.dumps(json.loads(raw), indent=1).encode()) == record
    assert encode(decode(type(record), raw)) == raw


@given(windows())
def test_window_round_trip(window):
    """So is a window."""
    assert decode_window(encode_window(window)) == window
    assert decode_window(json.dumps(json.loads(encode_window(window))).encode()) == window


UNKNOWN = st.dictionaries(st.sampled_from(["zzz", "unknown", "", "\xe9"]) | odd_texts(), json_values(4), max_size=2)


def with_unknown(document, drawn):
    """Put unknown fields on every level of a document; known ones stay as they are."""
    return {**drawn, **document}


@given(st.tuples(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN))
def test_unknown_fields_survive(drawn):
    """Fields that we do not know are kept on every level, and written among the others."""
    request = with_unknown({"messages": [], "model": "m"}, drawn[0])
    call = with_unknown({**CALL, "annotated_request": request}, drawn[1])
    run = with_unknown({**RUN, "calls": [call]}, drawn[2])
    assert json.loads(encode(decode(RunRecord, written(run)))) == run
    block = with_unknown(
        {**BLOCK, "token_metadata": with_unknown({"model_family": "", "token_count": 1}, drawn[3])}, drawn[0]
    )
    hashed = with_unknown({"tool_name": "f", "schema_hash": "h"}, drawn[1])
    observation = with_unknown({**IR, "blocks": [block], "tool_schema_hashes": [hashed]}, drawn[2])
    assert json.loads(encode(decode(PromptIR, written(observation)))) == observation
    assert json.loads(encode_window(decode_window(written([observation, IR])))) == [observation, IR]
    result = with_unknown({**RESULT, "scores": [with_unknown(SCORE, drawn[0])]}, drawn[1])
    assert json.loads(encode(decode(Result, written(result)))) == result


def test_unknown_fields_are_at_hand():
    """Unknown fields are in the record that they belong to."""
    record = decode(RunRecord, written({**RUN, "later": [1], "unknown": 2}))
    assert record.unknown == {"later": [1], "unknown": 2}
    assert decode(AnnotatedLlmRequest, b'{"messages":[],"seed":7}').unknown == {"seed": 7}


@pytest.mark.parametrize("snapshot", ['{"\ue000unknown":5}', '{"\ue000unknown":{"a":1},"b":2}', '["\ue000unknown"]'])
def test_our_own_mark_is_no_trap(snapshot):
    """A document that holds the name under which we keep unknown fields is read and written like any other."""
    raw = run_with(snapshot)
    assert json.loads(encode(decode(RunRecord, raw))) == json.loads(raw)
    outside = {**RUN, "\ue000unknown": json.loads(snapshot)}
    assert json.loads(encode(decode(RunRecord, written(outside)))) == outside


@given(json_scalars() | json_values(6))
def test_free_json_is_kept(value):
    """Where anything may stand, it is kept to the last bit: integers as integers, doubles as doubles."""
    record = make_run()
    call = make_call(make_request("u", params={"p": value}), metadata_snapshot=[value])
    record = RunRecord(id="r", agent_id="a", calls=(call,), started_at=TIME)
    (read,) = decode(RunRecord, encode(record)).calls
    assert repr(read.metadata_snapshot) == repr([value])
    assert repr(read.annotated_request.params) == repr({"p": value})


@pytest.mark.parametrize(
    ("kind", "document", "names"),
    [
        (PromptBlock, BLOCK, ["token_metadata"]),
        (PromptIR, IR, ["tool_schema_hashes", "structured_output_schema_id", "source_request_hash"]),
        (Result, RESULT, ["stable_prefix_fingerprint"]),
        (AnnotatedLlmRequest, {"messages": []}, ["model", "params", "tools", "tool_choice"]),
        (RunRecord, RUN, ["ended_at"]),
    ],
)
def test_null_for_optional_fields(kind, document, names):
    """Null where a field is optional reads as absent, and is not written."""
    record = decode(kind, written({**document, **dict.fromkeys(names)}))
    assert record == decode(kind, written(document))
    assert not set(names) & set(json.loads(encode(record)))


def test_null_for_optional_fields_of_calls():
    """Calls and their optional fields are read so, too."""
    names = ["ended_at", "metadata_snapshot", "prompt_tokens", "annotated_response"]
    document = {**RUN, "calls": [{**CALL, **dict.fromkeys(names), "annotated_request": None}]}
    assert decode(RunRecord, written(document)).calls == (make_call(),)


def test_integers_for_doubles():
    """A score written as an integer is read as a double."""
    score = decode(BlockStability, written({**SCORE, "score": 1, "confidence": 0}))
    assert (score.score, score.confidence) == (1.0, 0.0)
    assert isinstance(score.score, float)


def test_records_without_unknown_fields_hide_nothing():
    """Absent fields are left out, lists that are empty are not."""
    assert encode(make_ir()) == f'{{"ir_id":"{ID}","blocks":[],"created_at":"{TIME}"}}'.encode()
    assert encode_window([]) == b"[]"


# --- bad input ---


@given(st.data())
def test_cut(data):
    """A document cut anywhere is refused, as no JSON or as incomplete, and never read as another one."""
    kind, document = data.draw(st.sampled_from(SAMPLES))
    raw = written(document)
    error_of(kind, raw[: data.draw(st.integers(0, len(raw) - 1))])


@pytest.mark.parametrize(
    "raw",
    [b"", b" ", b"{", b"nul", b"{'id':1}", b'{"id":1,}', b"[1,]", b'{"id" 1}', b"{} {}", b"\xef\xbb\xbf{}", b'"a\nb"'],
)
def test_no_json(raw):
    """What is no JSON is refused as such."""
    for read in (parse_strict, decode_window, lambda raw: decode(RunRecord, raw)):
        with pytest.raises(RecordError):
            read(raw)


WRONG = [
    (RunRecord, None, "$", "expected object, got null"),
    (RunRecord, [], "$", "expected object, got array"),
    (RunRecord, {**RUN, "id": 5}, "$.id", "expected str, got int"),
    (RunRecord, {**RUN, "id": None}, "$.id", "expected str, got null"),
    (RunRecord, {"id": "r"}, "$", "object missing required field agent_id"),
    (RunRecord, {**RUN, "calls": {}}, "$.calls", "expected array, got object"),
    (RunRecord, {**RUN, "calls": [CALL, 1]}, "$.calls[1]", "expected object, got int"),
    (RunRecord, {**RUN, "calls": [{**CALL, "kind": PRIVATE}]}, "$.calls[0].kind", NO_NAME),
    (RunRecord, {**RUN, "calls": [{**CALL, "kind": "\n" + PRIVATE}]}, "$.calls[0].kind", NO_NAME),
    (RunRecord, {**RUN, "calls": [{**CALL, "prompt_tokens": -1}]}, "$.calls[0].prompt_tokens", "expected int >= 0"),
    (RunRecord, {**RUN, "calls": [{**CALL, "prompt_tokens": 1.5}]}, "$.calls[0].prompt_tokens", "expected int"),
    (
        RunRecord,
        {**RUN, "calls": [{**CALL, "annotated_request": {"messages": [{}, PRIVATE]}}]},
        "$.calls[0].annotated_request.messages[1]",
        "expected object, got str",
    ),
    (PromptIR, {**IR, "blocks": [BLOCK, {**BLOCK, "content": None}]}, "$.blocks[1].content", "expected str, got null"),
    (PromptIR, {**IR, "blocks": [{**BLOCK, "role": PRIVATE}]}, "$.blocks[0].role", NO_NAME),
    (PromptIR, {**IR, "blocks": [{**BLOCK, "sequence_index": -1}]}, "$.blocks[0].sequence_index", "expected int >= 0"),
    (PromptIR, {**IR, "blocks": [{**BLOCK, "sequence_index": 2**32}]}, "$.blocks[0].sequence_index", "expected int"),
    (PromptIR, {**IR, "blocks": [{**BLOCK, "sensitivity": PRIVATE}]}, "$.blocks[0].sensitivity", NO_NAME),
    (PromptIR, {**IR, "blocks": [{**BLOCK, "sensitivity": 5}]}, "$.blocks[0].sensitivity", "expected str"),
    (
        PromptIR,
        {**IR, "blocks": [BLOCK, {**BLOCK, "sensitivity": None}]},
        "$.blocks[1].sensitivity",
        "expected one of public, private, restricted, got null",
    ),
    (
        PromptIR,
        {**IR, "blocks": [{**BLOCK, "token_metadata": {"model_family": "m", "token_count": 2**32}}]},
        "$.blocks[0].token_metadata.token_count",
        "expected int <= 4294967295",
    ),
    (PromptIR, {**IR, "ir_id": PRIVATE}, "$.ir_id", NO_ID),
    (PromptIR, {**IR, "created_at": PRIVATE}, "$.created_at", NO_TIME),
    (RunRecord, {**RUN, "started_at": "2026-01-01"}, "$.started_at", NO_TIME),
    (RunRecord, {**RUN, "calls": [CALL, {**CALL, "ended_at": "never"}]}, "$.calls[1].ended_at", NO_TIME),
    (
        PromptIR,
        {**IR, "tool_schema_hashes": [{}]},
        "$.tool_schema_hashes[0]",
        "object missing required field tool_name",
    ),
    (PromptIR, {**IR, "later": 1, "blocks": [{**BLOCK, "span_id": 1}]}, "$.blocks[0].span_id", "expected str, got int"),
    (Result, {**RESULT, "scores": [{**SCORE, "score": None}]}, "$.scores[0].score", "expected float, got null"),
    (Result, {**RESULT, "scores": [{**SCORE, "score": "1"}]}, "$.scores[0].score", "expected float, got str"),
    (Result, {**RESULT, "total_observations": None}, "$.total_observations", "expected int, got null"),
]


@pytest.mark.parametrize(("kind", "document", "path", "reason"), WRONG)
@pytest.mark.parametrize("spell", [lambda raw: raw, spaced], ids=["as printed", "spelled otherwise"])
def test_wrong_types(kind, document, path, reason, spell):
    """A wrong type is refused with the path inside the document and what was expected, without its text."""
    raw = written(document)
    error = error_of(kind, spell(raw) if raw[:1] == b"{" else raw)
    assert error.path == path
    assert error.reason.startswith(reason)


def test_wrong_types_in_a_window():
    """In a window the path begins with the place of the observation."""
    null = {**IR, "blocks": [{**BLOCK, "sensitivity": None}]}
    places = [({}, "$"), ([IR, 1], "$[1]"), ([IR, {**IR, "blocks": [{}]}], "$[1].blocks[0]")]
    places += [([IR, {**IR, "ir_id": "i"}], "$[1].ir_id"), ([null], "$[0].blocks[0].sensitivity")]
    for document, path in places:
        with pytest.raises(RecordError) as caught:
            decode_window(written(document))
        assert caught.value.path == path


REPEATED = [
    (b'{"id":"r",' + written(RUN)[1:], "$", "id"),
    (
        written(RUN).replace(b'"role":"user"', b'"role":"user","role":"user"'),
        "$.calls[0].annotated_request.messages[0]",
        "role",
    ),
    (written(RUN).replace(b'"kind":"llm"', b'"zzz":1,"kind":"llm","zzz":1'), "$.calls[0]", None),
    (run_with('{"a":{"b":[0,{"c":1,"c":1}]}}'), "$.calls[0].metadata_snapshot[...][...][1]", None),
    (run_with('{"role":1,"\\u0072ole":1}'), "$.calls[0].metadata_snapshot", "role"),
    (run_with('{"a":null,"b":1,"a":null}'), "$.calls[0].metadata_snapshot", None),
]


@pytest.mark.parametrize(("raw", "path", "name"), REPEATED)
def test_repeated_keys(raw, path, name):
    """A key that occurs twice is refused at any depth, with its path; keys of free JSON are not shown."""
    error = error_of(RunRecord, raw)
    assert error.path == path
    assert error.reason == f"expected each key once, got {repr(name) if name else 'one'} twice"


@pytest.mark.parametrize("document", ['{"alice owes 5": 1, "alice owes 5": 2}', '{"alice owes 5": {"b": 1, "b": 1}}'])
def test_keys_of_free_json_are_not_shown(document):
    """Neither the reason nor the path of an error shows a key that may be text of a customer."""
    assert "alice" not in str(error_of(RunRecord, run_with(document)))


@pytest.mark.parametrize(
    "make",
    [
        lambda n: b'{"%s":[%s]}' % (b"k" * n, b",".join([b"0"] * n)),
        lambda n: b'{"%s":[%s]}' % (b"k" * n, b",".join([b"[]"] * n)),
        lambda n: b"{%s}" % b",".join([b'"%d":0' % i for i in range(n)] + [b'"%d":0' % (n - 1)]),
        lambda n: b"[%s]" % b",".join([b'{"a":0,"a":0}'] * n),
    ],
    ids=["a long key over many numbers", "a long key over many arrays", "a late duplicate", "many duplicates"],
)
def test_memory_of_hostile_json(make):
    """Memory grows with the length of a document, not with the lengths of its keys times the number of its values."""
    raw = make(50_000)
    tracemalloc.start()
    try:
        with suppress(RecordError):
            parse_strict(raw)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000


def test_repeated_keys_in_a_window():
    """So it is in windows."""
    raw = written([IR, IR]).replace(b'"role":"user"', b'"role":"user","role":"tool"')
    with pytest.raises(RecordError, match="each key once") as caught:
        decode_window(raw)
    assert caught.value.path.startswith("$[")
    assert caught.value.path.endswith("].blocks[0]")


@pytest.mark.parametrize("spell", [lambda raw: raw, spaced], ids=["as printed", "spelled otherwise"])
@pytest.mark.parametrize(
    "snapshot",
    [
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e400",
        str(2**64),
        str(-(2**63) - 1),
        "9" * 5000,
        "01",
        "+1",
        "1.",
        ".5",
        '"\\ud800"',
        '"\\udc00"',
        '"\\ud800\\ud800"',
        '{"\\ud800":1}',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\xc0\xaf"',
        b'{"\xfe":1}',
        "[" * 10_000 + "]" * 10_000,
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        "[" * 125 + "]" * 125,
    ],
    ids=lambda value: repr(value[:12]),
)
def test_values_that_production_refuses(snapshot, spell):
    """Numbers out of range, lone surrogates, bytes that are no UTF-8, and too deep nesting are refused."""
    error_of(RunRecord, spell(run_with(snapshot)))


@pytest.mark.parametrize("spell", [lambda raw: raw, spaced], ids=["as printed", "spelled otherwise"])
@pytest.mark.parametrize(
    "snapshot",
    [
        str(2**64 - 1),
        str(-(2**63)),
        "1.7976931348623157e308",
        "5e-324",
        "1e-400",
        "-0.0",
        '"\\ud83d\\ude00"',
        "[" * 124 + "]" * 124,
    ],
    ids=lambda value: repr(value[:12]),
)
def test_limits_that_production_accepts(snapshot, spell):
    """Up to the limits everything is read: a run's own three levels and 124 more, integers of 64 bits."""
    read = decode(RunRecord, spell(run_with(snapshot))).calls[0].metadata_snapshot
    assert repr(read) == repr(json.loads(snapshot))


@pytest.mark.parametrize(
    ("message", "path", "reason"),
    [
        ("Expected `int`, got `str` - at `$.a[0].b`", "$.a[0].b", "expected int, got str"),
        ("Expected `int` <= 5 - at `$[...]`", "$[...]", "expected int <= 5"),
        ("Object missing required field `id`", "$", "object missing required field id"),
        (f"Invalid enum value '{PRIVATE}' - at `$.a`", "$.a", NO_NAME),
        (f"Invalid enum value 'x - at `$.{PRIVATE}`' - at `$.a`", "$.a", NO_NAME),
        (f"Invalid value {PRIVATE} - at `$.a`", "$.a", "expected a value of another type or range"),
        (f"{PRIVATE} at $.a", "$", "expected a value of another type or range"),
        (f"Expected `int`, got `{PRIVATE}`", "$", "expected a value of another type or range"),
        ("", "$", "expected a value of another type or range"),
    ],
)
def test_wording_of_the_decoder(message, path, reason):
    """A decoder's message that we know keeps place and reason; any other costs detail, and no text gets through."""
    with pytest.raises(RecordError) as caught:
        raise_record_error(msgspec.ValidationError(message))
    assert (caught.value.path, caught.value.reason) == (path, reason)
    with pytest.raises(RecordError) as caught:
        raise_record_error(msgspec.ValidationError(message), "$.calls")
    assert caught.value.path == "$.calls" + path.removeprefix("$")


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("JSON is malformed: invalid character (byte 3)", "not JSON: invalid character (byte 3)"),
        ("JSON is malformed: expected ',' or ']' (byte 12)", "not JSON: expected ',' or ']' (byte 12)"),
        ("Input data was truncated", "not JSON: it ends too early"),
        (f"Unexpected {PRIVATE} in line 3", "not JSON"),
        ("", "not JSON"),
    ],
)
def test_wording_of_syntax_errors(message, reason):
    """So it is with what a decoder says of a text that is not JSON."""
    with pytest.raises(RecordError) as caught:
        raise_record_error(msgspec.DecodeError(message))
    assert (caught.value.path, caught.value.reason) == ("$", reason)


@pytest.mark.parametrize("error", [msgspec.DecodeError("Any words"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "so")])
def test_bytes_that_are_not_utf8(error):
    """Bytes that are not UTF-8 are found by us, whichever error the decoder raised for them."""
    with pytest.raises(RecordError) as caught:
        raise_record_error(error, raw=b'"\xff"')
    assert caught.value.reason == "expected UTF-8, got bytes that are not"


def test_errors_hold_no_text():
    """What is refused shows ids and paths, never what is in the document."""
    for bad in (f'{{"{PRIVATE}":1,}}', f'"{PRIVATE}', f'["{PRIVATE}" 1]', f'"{PRIVATE}"', f'{{"id":"{PRIVATE}"}}'):
        error_of(RunRecord, bad.encode())
        error_of(PromptIR, bad.encode())


@given(st.binary(max_size=20) | texts(20).map(str.encode) | json_values(4).map(msgspec.json.encode))
def test_any_bytes(raw):
    """Whatever bytes are found, they are read or refused with a typed error."""
    for kind in (RunRecord, PromptIR, Result, AnnotatedLlmRequest):
        with suppress(RecordError):
            assert isinstance(decode(kind, raw), kind)
