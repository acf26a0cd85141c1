"""Records: frozen values in the shape that production stores (`acg_lab/docs/rules/learner.md`, 1, 2, 4 and 6)."""

import copy

import msgspec
import pytest
from strategies import TIME

from acg_lab.core import (
    AnnotatedLlmRequest,
    BlockStability,
    CallRecord,
    PromptBlock,
    PromptIR,
    RunRecord,
    StabilityAnalysisResult,
    TokenMetadata,
    ToolSchemaHash,
)

SMALLEST = {
    TokenMetadata: {"model_family": "gpt", "token_count": 0},
    PromptBlock: {
        "span_id": "user-0",
        "sequence_index": 0,
        "role": "user",
        "content": "u",
        "content_type": "text",
        "provenance": "user",
    },
    ToolSchemaHash: {"tool_name": "f", "schema_hash": "sha256:0"},
    PromptIR: {"ir_id": "i", "blocks": (), "created_at": TIME},
    BlockStability: {
        "span_id": "user-0",
        "classification": "semi_stable",
        "score": 0.5,
        "confidence": 1.0,
        "observation_count": 2,
    },
    StabilityAnalysisResult: {"scores": (), "stable_prefix_length": 0, "total_observations": 0},
    AnnotatedLlmRequest: {"messages": ()},
    CallRecord: {"kind": "llm", "name": "openai", "started_at": TIME},
    RunRecord: {"id": "r", "agent_id": "a", "calls": (), "started_at": TIME},
}
OPTIONAL = {
    PromptBlock: {"token_metadata"},
    PromptIR: {"tool_schema_hashes", "structured_output_schema_id", "source_request_hash"},
    StabilityAnalysisResult: {"stable_prefix_fingerprint"},
    AnnotatedLlmRequest: {"model", "params", "tools", "tool_choice"},
    CallRecord: {
        "ended_at",
        "metadata_snapshot",
        "output_tokens",
        "prompt_tokens",
        "total_tokens",
        "model_name",
        "tool_call_count",
        "annotated_request",
        "annotated_response",
    },
    RunRecord: {"ended_at"},
}


@pytest.mark.parametrize(("kind", "fields"), SMALLEST.items())
def test_smallest(kind, fields):
    """The fields that production always writes are enough; each of them is needed."""
    record = kind(**fields)
    assert {name: getattr(record, name) for name in fields} == fields
    for name in fields:
        with pytest.raises(TypeError, match=name):
            kind(**{key: value for key, value in fields.items() if key != name})


@pytest.mark.parametrize(("kind", "names"), OPTIONAL.items())
def test_optional_fields_are_absent(kind, names):
    """An optional field is None when absent, and not written."""
    record = kind(**SMALLEST[kind])
    assert {getattr(record, name) for name in names} == {None}
    assert not names & set(msgspec.to_builtins(record))


@pytest.mark.parametrize(("kind", "fields"), SMALLEST.items())
def test_records_are_values(kind, fields):
    """Records are equal by value, copy as themselves, and can't be changed."""
    record = kind(**fields)
    assert record == kind(**copy.deepcopy(fields)) == copy.deepcopy(record)
    assert record != kind(**fields, unknown={"later": 1})
    with pytest.raises(AttributeError):
        setattr(record, next(iter(fields)), None)


@pytest.mark.parametrize("kind", SMALLEST)
def test_fields_are_given_by_name(kind):
    """Fields are given by name: a new one in the middle breaks no caller."""
    with pytest.raises(TypeError):
        kind(*SMALLEST[kind].values())


def test_unknown_fields_are_not_shared():
    """Each record has unknown fields of its own."""
    first, second = (AnnotatedLlmRequest(messages=()) for _ in range(2))
    assert first.unknown == second.unknown == {}
    assert first.unknown is not second.unknown


def test_repr_is_private():
    """The repr of a record says what it is and how much it holds, and nothing that was said."""
    said = "canary"
    block = PromptBlock(**SMALLEST[PromptBlock] | {"content": said, "unknown": {"x": said}})
    request = AnnotatedLlmRequest(
        messages=({"content": said},), model="m", params={"stop": said}, tools=({"name": said},), tool_choice=said
    )
    call = CallRecord(
        kind="llm", name="n", started_at=TIME, annotated_request=request, annotated_response={"content": said}
    )
    shown = [
        block,
        PromptIR(ir_id="i", blocks=(block, block), created_at=TIME),
        request,
        call,
        RunRecord(id="r", agent_id="a", calls=(call,), started_at=TIME),
    ]
    assert [said in repr(record) or said in repr(record.__rich_repr__()) for record in shown] == [False] * 5
    assert repr(block) == (
        "PromptBlock(unknown=<1>, span_id='user-0', sequence_index=0, role='user', content=<6 characters>, "
        "content_type='text', provenance='user')"
    )
    assert repr(shown[1]) == f"PromptIR(ir_id='i', blocks=<2>, created_at={TIME!r})"
    assert repr(request) == (
        "AnnotatedLlmRequest(messages=<1>, model='m', params=<not shown>, tools=<1>, tool_choice=<6 characters>)"
    )
