"""Damage anywhere in a log: no reader raises, and what is untouched is read."""

import json
from random import Random

import pytest
from logs.reading import FIXTURES, Read, documents

from acg_lab.logs.atof import read_atif, read_atof
from acg_lab.logs.litellm import read_litellm
from acg_lab.logs.span_rows import read_langfuse, read_mlflow, read_phoenix
from acg_lab.logs.traces import read_traces

RELAY = "relay-0.11.0rc3-full"
LOGS = [
    (f"{RELAY}/events.jsonl", read_atof),
    (f"{RELAY}/atif.json", read_atif),
    (f"{RELAY}/otlp-full.jsonl", read_traces),
    (f"{RELAY}/otlp-openinference.jsonl", read_traces),
    ("otlp-openinference.jsonl", read_traces),
    ("otlp-openllmetry.jsonl", read_traces),
    ("otlp-genai-logs.jsonl", read_traces),
    ("litellm.jsonl", read_litellm),
    ("langfuse.jsonl", read_langfuse),
    ("mlflow.jsonl", read_mlflow),
    ("phoenix.jsonl", read_phoenix),
]
JUNK = (None, True, 0, -1, 1.5, 2**70, "", "x", "[", '{"a', [], [[]], [None], ["x"], {}, {"a": {}}, {"intValue": "x"})


def texts_of(name):
    raw = (FIXTURES / name).read_text()
    return [raw] if name.endswith(".json") else raw.splitlines()


def spoil(value, random):
    """Return a JSON value with one place inside exchanged for junk, also inside texts of JSON."""
    if isinstance(value, str) and value[:1] in {"{", "["} and random.random() < 0.8:
        try:
            return json.dumps(spoil(json.loads(value), random))
        except ValueError:
            return value[: random.randrange(len(value))]
    if random.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return random.choice(JUNK)
    if isinstance(value, list):
        place = random.randrange(len(value))
        return [*value[:place], spoil(value[place], random), *value[place + 1 :]]
    place = random.choice(list(value))
    if random.random() < 0.1:
        return {name: inner for name, inner in value.items() if name != place}
    return value | {place: spoil(value[place], random)}


@pytest.mark.parametrize(("name", "reader"), LOGS, ids=[name for name, _ in LOGS])
def test_spoiled_values(name, reader):
    """Any value in a line may be of any other type: that is a problem or absent, never an error."""
    texts = texts_of(name)
    for seed in range(150):
        random = Random(seed)
        given = list(texts)
        place = random.randrange(len(given))
        given[place] = json.dumps(spoil(json.loads(given[place]), random))
        Read(reader, documents(given))


@pytest.mark.parametrize(("name", "reader"), LOGS, ids=[name for name, _ in LOGS])
def test_cut_lines(name, reader):
    """A line may end anywhere; it is a problem, and the lines around it are read as ever."""
    texts = texts_of(name)
    for seed in range(20):
        random = Random(seed)
        given = list(texts)
        place = random.randrange(len(given))
        given[place] = given[place][: random.randrange(1, len(given[place]) - 1)]
        found = Read(reader, documents(given))
        assert [problem for problem in found.problems if problem.line == place + 1]
