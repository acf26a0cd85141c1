"""Learning keys of recorded requests are those that the core computes."""

from contextlib import suppress
from pathlib import Path

import pytest
from strategies import make_request, make_run

import acg_lab as acg
from acg_lab.core import RULES, RecordError, learning_key
from acg_lab.snapshot.request_reader import BlockPool, LearningKeys, RequestReader
from acg_lab.storage.memory import MemoryBackend

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


@pytest.mark.parametrize("rules", list(RULES))
def test_keys_of_the_sample(rules):
    """Every readable request of the sample has the key that `learning_key` computes."""
    runs = acg.load(SAMPLE).runs
    keys, reader = LearningKeys(runs), RequestReader(runs, rules, BlockPool())
    for run, calls in zip(runs.records, runs.calls, strict=True):
        for call in calls:
            if call.request is None:
                continue
            try:
                expected = learning_key(run.agent_id, runs.request(call), rules=rules)
            except RecordError:  # nemo-flow-0.2 does not read every content part
                with pytest.raises(RecordError):
                    keys.key(run.agent_id, call, rules)
                continue
            assert keys.key(run.agent_id, call, rules) == expected
            with suppress(RecordError):  # a key needs less of a request than its blocks do
                assert reader.read(run.agent_id, call)[0] == expected


def test_agents_and_models_that_look_like_a_scaffold():
    """Names that contain parts of a learning key do not mix up conversations."""
    backend = MemoryBackend()
    odd = "m::seed=stable-scaffold::system=no-system::tools=no-tools"
    for run_id, text in (("r", "one"), ("s", "two")):
        backend.store_run(make_run(make_request(text, model=odd), agent_id=odd, run_id=run_id))
    runs = acg.load(backend).runs
    keys = LearningKeys(runs)
    for run, (call,) in zip(runs.records, runs.calls, strict=True):
        expected = learning_key(run.agent_id, runs.request(call), rules="nemo-relay-0.8")
        assert keys.key(run.agent_id, call, "nemo-relay-0.8") == expected
    assert len({keys.inputs(call) for (call,) in runs.calls}) == 2


def test_unreadable_request():
    """A request that production cannot read raises RecordError."""
    backend = MemoryBackend()
    backend.store_run(make_run(make_request({"role": "oracle", "content": "?"})))
    runs = acg.load(backend).runs
    with pytest.raises(RecordError):
        LearningKeys(runs).key("a", runs.calls[0][0], "nemo-flow-0.2")
