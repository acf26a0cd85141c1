"""Canonical JSON, compact JSON and hashing (`acg_lab/docs/rules/learner.md`, 2 and 8)."""

import hashlib
import json
import math
import re

import pytest
import rfc8785
from hypothesis import given
from strategies import doubles, json_values, reordered, texts

from acg_lab.core import RecordError, canonical_json, hash_text
from acg_lab.core.canonical import compact_json

NUMBERS = [
    (0, "0"),
    (-0.0, "0"),
    (1.0, "1"),
    (-1.5, "-1.5"),
    (0.1, "0.1"),
    (1e-6, "0.000001"),
    (1e-7, "1e-7"),
    (1.5e-7, "1.5e-7"),
    (5e-324, "5e-324"),
    (333333333.33333329, "333333333.3333333"),
    (1e15, "1000000000000000"),
    (123456789012345.0, "123456789012345"),
    (1e20, "100000000000000000000"),
    (1e21, "1e+21"),
    (1.7976931348623157e308, "1.7976931348623157e+308"),
    (2**53 - 1, "9007199254740991"),
    (2**53, "9007199254740992"),
    (2**53 + 1, "9007199254740992"),
    (2**53 + 3, "9007199254740996"),
    (-(2**53) - 1, "-9007199254740992"),
    (2**63, "9223372036854776000"),
    (-(2**63), "-9223372036854776000"),
    (2**64 - 1, "18446744073709552000"),
]
TEXTS = [
    ("", '""'),
    ('"\\/', '"\\"\\\\/"'),
    ("\b\t\n\f\r", '"\\b\\t\\n\\f\\r"'),
    ("\x00\x1f", '"\\u0000\\u001f"'),
    ("\x7f\x85\xe9\u2028\U0001f600", '"\x7f\x85\xe9\u2028\U0001f600"'),
    ("null 1.5 1234567890123456", '"null 1.5 1234567890123456"'),
]
COMPOUNDS = [
    (None, "null"),
    ([True, False, None], "[true,false,null]"),
    ((1, 2), "[1,2]"),
    ({}, "{}"),
    ({"b": 1, "a": [{"d": 2.0, "c": None}]}, '{"a":[{"c":null,"d":2}],"b":1}'),
    ({"a\\": 1, 'b"': 1.0}, '{"a\\\\":1,"b\\"":1}'),
    ({"10": 1, "9": 2, "": 3, "A": 4, "a": 5}, '{"":3,"10":1,"9":2,"A":4,"a":5}'),
    # U+1F600 begins with the unit D83D, so it is before U+FB33, though its code point is the larger one.
    ({"\ufb33": 1, "\U0001f600": 2, "\ud7ff": 3}, '{"\ud7ff":3,"\U0001f600":2,"\ufb33":1}'),
    ([{"\ufb33": 1, "\U0001f600": None}], '[{"\U0001f600":null,"\ufb33":1}]'),
]
COMPACT = [
    (1.0, "1.0"),
    (0.0, "0.0"),
    (-0.0, "-0.0"),
    (1e-4, "0.0001"),
    (1e-5, "0.00001"),
    (-1.5e-5, "-0.000015"),
    (9.9e-6, "9.9e-6"),
    (1e-7, "1e-7"),
    (5e-324, "5e-324"),
    (1e15, "1000000000000000.0"),
    (9007199254740993.0, "9007199254740992.0"),
    (1e16, "1e+16"),
    (1.5e300, "1.5e+300"),
    (2**53 + 1, "9007199254740993"),
    (2**64 - 1, "18446744073709551615"),
    (-(2**63), "-9223372036854775808"),
    (True, "true"),
    (None, "null"),
    ("\xe9\n", '"\xe9\\n"'),
    ([1, [2.0, {}]], "[1,[2.0,{}]]"),
    ({"b": 1, "a": {"d": None, "c": []}}, '{"a":{"c":[],"d":null},"b":1}'),
    # By code point here, not by UTF-16 unit.
    ({"\U0001f600": 2, "\ufb33": 1}, '{"\ufb33":1,"\U0001f600":2}'),
]
REFUSED = {
    "NaN": math.nan,
    "infinity": math.inf,
    "NaN beside null": [None, math.nan],
    "NaN in an object": {"a": None, "b": {"c": -math.inf}},
    "integer above 2**64 - 1": 2**64,
    "integer below -2**63": -(2**63) - 1,
    "lone surrogate": "\ud800",
    "lone surrogate beside a double": ["\udfff", 1.5],
    "lone surrogate as key": {"\ud800": 1},
    "key that is no text": {1: 2},
    "key that is no text, beside one that is": {1: 2, "a": 1.5},
    "object that JSON has not": {"a": object()},
}


def nested(depth, value):
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(("value", "text"), NUMBERS + TEXTS + COMPOUNDS)
def test_canonical_form(value, text):
    """Canonical JSON has sorted keys, no spaces, and numbers as ECMAScript prints the nearest double."""
    assert canonical_json(value) == text
    assert canonical_json([value]) == f"[{text}]"
    assert canonical_json({"k": value}) == f'{{"k":{text}}}'


@pytest.mark.parametrize(("value", "text"), COMPACT)
def test_compact_form(value, text):
    """Compact JSON keeps integers and prints doubles with a decimal, or an exponent from 1e16 and below 1e-5."""
    assert compact_json(value) == text
    assert compact_json([value]) == f"[{text}]"
    assert compact_json({"k": value}) == f'{{"k":{text}}}'


def test_compact_names_go_first():
    """Keys named to go first do so in the order named, absent ones left out, in the outermost object alone."""
    value = {"a": {"type": 1, "id": 2}, "name": "n", "type": "t", "b": 0}
    assert compact_json(value, first=("type", "id", "name")) == '{"type":"t","name":"n","a":{"id":2,"type":1},"b":0}'


@pytest.mark.parametrize("write", [canonical_json, compact_json])
@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED)
def test_refused(write, value):
    """What JSON or production can't hold is refused with a typed error, wherever it stands."""
    with pytest.raises(RecordError, match="expected"):
        write(value)


@pytest.mark.parametrize("write", [canonical_json, compact_json])
@pytest.mark.parametrize("value", [1, 1.5, "a"])
def test_nesting_beyond_the_interpreter_is_refused(write, value):
    """A value nested beyond the interpreter's depth is refused, never a crash."""
    with pytest.raises(RecordError, match="nested too deeply"):
        write(nested(10_000, value))


@pytest.mark.parametrize("write", [canonical_json, compact_json])
def test_production_depth(write):
    """All the depth that production's parser reads can be printed."""
    assert write(nested(127, 1.5)) == "[" * 127 + "1.5" + "]" * 127


@given(json_values())
def test_canonical_agrees_with_rfc8785(value):
    """Where an RFC 8785 library accepts the value, the text is the library's."""
    try:
        expected = rfc8785.dumps(value).decode()
    except rfc8785.CanonicalizationError:
        return
    assert canonical_json(value) == expected


@given(json_values())
def test_canonical_is_idempotent(value):
    """Canonical JSON, read as ECMAScript reads it, has itself as canonical JSON."""
    text = canonical_json(value)
    assert canonical_json(json.loads(text, parse_int=float)) == text


@given(json_values())
def test_insertion_order_does_not_show(value):
    """The order in which objects were built shows in neither form."""
    assert canonical_json(reordered(value)) == canonical_json(value)
    assert compact_json(reordered(value)) == compact_json(value)


@given(json_values())
def test_compact_loses_nothing(value):
    """Compact JSON reads back as the same value, integers as integers, doubles to the last bit."""
    assert repr(reordered(json.loads(compact_json(value)))) == repr(reordered(sorted_keys(value)))


@given(doubles())
def test_compact_doubles(value):
    """A double has at least one decimal, or an exponent: from 1e16 with a plus, below 1e-5 without."""
    text = compact_json(value)
    if value == 0 or 1e-5 <= abs(value) < 1e16:
        assert re.fullmatch(r"-?\d+\.\d+", text)
    elif abs(value) >= 1e16:
        assert re.fullmatch(r"-?\d(\.\d+)?e\+[1-9]\d*", text)
    else:
        assert re.fullmatch(r"-?\d(\.\d+)?e-[1-9]\d*", text)


@given(texts(20))
def test_hash(text):
    """A hash is the prefix and the lowercase hex SHA-256 of the UTF-8 bytes."""
    assert hash_text(text) == "sha256:" + hashlib.sha256(text.encode("utf-8")).hexdigest()


def test_hash_of_nothing():
    """The empty text has the hash that everyone knows."""
    assert hash_text("") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def sorted_keys(value):
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(item) for item in value] if isinstance(value, list) else value
