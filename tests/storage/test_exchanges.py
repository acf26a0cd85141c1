"""What passed between application and provider survives storing, but for Redis, which is production's."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from strategies import make_call, make_request, make_run

import acg_lab as acg
from acg_lab.core import Exchange, Usage
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.redis_backend import RedisBackend

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
TOOLS = [{"name": "look_up", "input_schema": {"type": "object", "properties": {"b": {}, "a": {}}}}]
MESSAGES = [
    {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
    {"role": "assistant", "content": "1.0 is not 1"},
]
MESSAGES_BODY = {
    "max_tokens": 10,
    "tools": TOOLS,
    "system": "You help.",
    "messages": MESSAGES,
    "model": "claude-sonnet-5",
}
BODIES = [
    MESSAGES_BODY,
    {"model": "gpt-6", "input": "a plain text", "instructions": "Be brief."},
    {"model": "gpt-6", "input": [{"type": "message", "role": "user", "content": "x"}], "tools": []},
    {"messages": [], "model": "m", "system": [{"type": "text", "text": "s"}], "temperature": 1.0},
    {"model": "m"},
]
USAGE = Usage(
    prompt_tokens=100,
    cache_read_tokens=60,
    cache_write_tokens=30,
    cache_writes_by_ttl={"5m": 10, "1h": 20},
    output_tokens=7,
    raw={"input_tokens": 10},
)


def exchange_of(body, **fields):
    return Exchange(api="anthropic", request=body, **fields)


EXCHANGES = [
    exchange_of(MESSAGES_BODY, usage=USAGE, response={"id": "msg_1"}, first_token_at="2026-01-01T00:00:01.500Z"),
    exchange_of(MESSAGES_BODY, error="529", request_id="req-1", metadata={"workspace": "w"}),
    *map(exchange_of, BODIES),
]


@pytest.fixture
def snap():
    """Two runs: one with a call for each exchange, one as production records it."""
    backend = MemoryBackend()
    calls = tuple(make_call(make_request("hi"), exchange=exchange) for exchange in EXCHANGES)
    backend.store_run(replace(make_run(run_id="logged"), calls=calls))
    backend.store_run(make_run(make_request("hi"), run_id="recorded"))
    return acg.load(backend)


def exchanges_of(snap):
    return [call.exchange for run in snap.runs for call in run.calls]


def test_loading_keeps_exchanges(snap):
    """Bodies come back as they were sent, in the order of their keys, with all that is known of the answer."""
    found = exchanges_of(snap)
    assert found == [*EXCHANGES, None]
    assert [list(exchange.request) for exchange in found[:-1]] == [list(exchange.request) for exchange in EXCHANGES]
    assert isinstance(found[-2].request.get("temperature", 1.0), float)


def test_parquet_keeps_exchanges(snap, tmp_path):
    """An export and what was exported are equal, and each distinct message is stored once."""
    snap.to_parquet(tmp_path / "export")
    again = acg.load(tmp_path / "export")
    assert again == snap
    assert exchanges_of(again) == exchanges_of(snap)
    assert [list(e.request) for e in exchanges_of(again)[:-1]] == [list(e.request) for e in EXCHANGES]
    texts = pq.read_table(tmp_path / "export" / "messages.parquet")["json"].to_pylist()
    assert len(texts) == len(set(texts)) == 4


def test_a_part_of_an_export(snap, tmp_path):
    """An export of a part holds the messages of that part alone."""
    snap.to_parquet(tmp_path / "export")
    runs = acg.load(tmp_path / "export").runs
    part = replace_runs(snap, runs.take([1]))
    part.to_parquet(tmp_path / "part")
    assert list(acg.load(tmp_path / "part").runs) == [snap.runs[1]]
    assert len(pq.read_table(tmp_path / "part" / "messages.parquet")) == 1


def replace_runs(snap, runs):
    from dataclasses import replace as replace_fields  # noqa: PLC0415

    return replace_fields(snap, columns=replace_fields(snap.columns, runs=runs))


def test_the_sample_is_an_export_of_version_2():
    """Two agents of the sample have exchanges, with bodies and first tokens; production recorded the others alone."""
    assert pq.read_schema(SAMPLE / "calls.parquet").metadata[b"acg_lab.version"] == b"2"
    has_exchange = {}
    for run in acg.load(SAMPLE).runs:
        exchanges = [call.exchange for call in run.calls if call.kind == "llm"]
        has_exchange.setdefault(run.agent_id, set()).update(exchange is not None for exchange in exchanges)
        assert all(e.request["messages"] and e.usage and e.first_token_at for e in exchanges if e is not None)
    field_agents = {"field-notes", "field-notes-fixed"}
    assert has_exchange == {agent_id: {agent_id in field_agents} for agent_id in has_exchange}


def test_a_version_1_export_is_read(snap, tmp_path):
    """Tables without the newer columns, and with the older version in their metadata, load without exchanges."""
    from acg_lab.storage.parquet_schema import EXCHANGE_COLUMNS  # noqa: PLC0415

    tmp_path /= "export"
    snap.to_parquet(tmp_path)
    for path in tmp_path.glob("*.parquet"):
        table = pq.read_table(path)
        table = table.select([name for name in table.column_names if name not in EXCHANGE_COLUMNS])
        pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"acg_lab.version": b"1"}), path)
    again = acg.load(tmp_path)
    assert exchanges_of(again) == [None] * (len(EXCHANGES) + 1)
    assert [run.id for run in again.runs] == [run.id for run in snap.runs]


def test_unknown_versions_are_refused(snap, tmp_path):
    """A version that does not exist yet is refused, not half read."""
    tmp_path /= "export"
    snap.to_parquet(tmp_path)
    path = tmp_path / "calls.parquet"
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"acg_lab.version": b"3"}), path)
    with pytest.raises(acg.SourceError, match="expected an export of version 1 or 2, got version '3'"):
        acg.load(tmp_path)


def test_redis_holds_what_production_stores(snap, redis_url):
    """Runs written to a Redis lack the exchanges: production would not know the field."""
    snap.to_redis(redis_url, key_prefix="nemo_relay:")
    with RedisBackend(redis_url) as backend:
        again = acg.load(backend)
    assert exchanges_of(again) == [None] * (len(EXCHANGES) + 1)


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [("usage", '{"prompt_tokens": -1}', "prompt_tokens"), ("body_head", "[]", "object"), ("raw_response", "{", "JSON")],
)
def test_edited_exports(snap, tmp_path, column, value, reason):
    """A value that no export holds is refused with table and column."""
    import pyarrow as pa  # noqa: PLC0415

    tmp_path /= "export"
    snap.to_parquet(tmp_path)
    path = tmp_path / "calls.parquet"
    table = pq.read_table(path)
    values = [value, *table[column].to_pylist()[1:]]
    table = table.set_column(table.column_names.index(column), table.schema.field(column).name, pa.array(values))
    pq.write_table(table, path)
    with pytest.raises(acg.RecordError, match=rf"calls.*{column}") as caught:
        acg.load(tmp_path, strict=True)
    assert reason in str(caught.value)
