"""Errors: who is to blame, and what the messages say."""

import copy
import pickle

import pytest

from acg_lab.core import AcgLabError, MissingExtraError, RecordError, SourceError, UsageError


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(UsageError, ValueError), (RecordError, ValueError), (SourceError, OSError), (MissingExtraError, ImportError)],
)
def test_family(kind, builtin):
    """Every error is one of ours, and the builtin that callers expect."""
    assert issubclass(kind, AcgLabError)
    assert issubclass(kind, builtin)
    with pytest.raises(builtin, match="what"):
        raise kind("what")  # noqa: EM101


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({}, "at $: expected str"),
        ({"path": "$.blocks[3]"}, "at $.blocks[3]: expected str"),
        ({"key": "a::b"}, "key 'a::b', at $: expected str"),
        ({"source": "memory", "path": "$.id"}, "memory, at $.id: expected str"),
        ({"source": "memory", "key": "a", "path": "$[0]"}, "memory, key 'a', at $[0]: expected str"),
    ],
)
def test_record_error_says_where(places, message):
    """A record error says source, key and path, as far as they are known, then what was expected."""
    assert str(RecordError("expected str", **places)) == message


def test_record_error_fills_in_places():
    """Places are filled in from the outside: known ones stay, and the outer path leads."""
    inner = RecordError("expected str", path="$.role")
    outer = inner.at(path="$.messages[2]").at(source="memory", key="a").at(source="later", key="later")
    assert (outer.source, outer.key, outer.path) == ("memory", "a", "$.messages[2].role")
    assert str(outer) == "memory, key 'a', at $.messages[2].role: expected str"
    assert (inner.source, inner.key, inner.path) == ("", "", "$.role")


def test_record_error_at_the_root():
    """The path of a document inside another one replaces its root."""
    assert RecordError("expected str").at(path="$.calls[0]").path == "$.calls[0]"
    assert RecordError("expected str", path="$[1]").at(path="$.calls").path == "$.calls[1]"


@pytest.mark.parametrize("twin", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))], ids=["copy", "pickle"])
def test_record_error_travels(twin):
    """A record error can be copied and sent to another process."""
    error = RecordError("expected str", source="memory", key="a", path="$.id")
    assert str(twin(error)) == str(error)
    assert vars(twin(error)) == vars(error)
