"""The learner against recordings of the real runtime, where they are at hand.

The recordings are no part of the repository: a folder ``shared`` beside it, or the one that ACG_LAB_SHARED names, holds
them. Where they are absent these tests are skipped.
"""

import gzip
import json
import os
from itertools import chain, groupby
from pathlib import Path

import msgspec
import pytest

from acg_lab.core import RULES, AcgLearner, HotCache, LearnerUpdate, RecordError, RunRecord, StabilityThresholds
from acg_lab.core.codec import decode, decode_window, encode, encode_window
from acg_lab.storage.memory import MemoryBackend

SHARED = Path(os.environ.get("ACG_LAB_SHARED") or Path(__file__).parents[3] / "shared")
DATA = SHARED / "data"
GENERATIONS = {"0.3.0": "nemo-flow-0.2", "0.7.3": "nemo-relay-0.6", "0.10.4": "nemo-relay-0.8"}
EXACT = {"nemo-relay-0.8"}  # generations that list tied spans in a fixed order
DUPLICATE_KEYS = "annotated/extra-shadows"  # a case whose records had duplicate JSON keys


@pytest.fixture(params=GENERATIONS)
def version(request):
    if not DATA.is_dir():
        pytest.skip("no recordings of the runtime: neither ACG_LAB_SHARED nor a folder 'shared' beside the repository")
    if GENERATIONS[request.param] not in RULES:
        pytest.skip(f"rules {GENERATIONS[request.param]} are not in acg_lab.core.RULES yet")
    return request.param


class Step(msgspec.Struct):
    """One run as the runtime took it."""

    case: str
    window: int
    thresholds: dict[str, float | int]
    preload: dict[str, msgspec.Raw] | None
    record: msgspec.Raw
    written: list[str]
    stability: dict[str, dict]


class Store:
    """A store of JSON texts by Redis key without prefix: windows are read and written by the codec each time."""

    def __init__(self):
        self.texts = {}

    def load_observations(self, key):
        raw = self.texts.get(f"acg_observations:{key}")
        return None if raw is None else decode_window(raw)

    def store_observations(self, key, window):
        self.texts[f"acg_observations:{key}"] = encode_window(window)

    def store_stability(self, key, result):
        self.texts[f"acg_stability:{key}"] = encode(result)

    def preload(self, entries):
        """Put in what was found before a run: JSON, or a text that is none."""
        for key, raw in (entries or {}).items():
            text = msgspec.json.decode(raw)
            self.texts[key] = text.encode() if isinstance(text, str) else bytes(raw)


def read_lines(path):
    if not path.exists():
        pytest.skip(f"no recording {path.name}")
    with gzip.open(path) as lines:
        yield from lines


def smallest_indexes(window):
    indexes = {}
    for block in (block for observation in window for block in observation.blocks):
        indexes[block.span_id] = min(indexes.get(block.span_id, block.sequence_index), block.sequence_index)
    return indexes


def plain(record):
    return json.loads(encode(record))


def outcomes(result, indexes):
    """Return a result with tied spans, whose order is random before 0.8, sorted; and check its own prefix length.

    Whatever order the runtime took, it must be by index, and the prefix length what that order gives.
    """
    scores = result["scores"]
    order = [indexes[score["span_id"]] for score in scores]
    assert order == sorted(order)
    classes = [score["classification"] for score in scores]
    leading = next((i for i, name in enumerate(classes) if name != "stable"), len(classes))
    assert result["stable_prefix_length"] == leading
    pairs = zip(order, scores, strict=True)
    tied = [sorted((s for _, s in group), key=lambda s: s["span_id"]) for _, group in groupby(pairs, lambda p: p[0])]
    return {**result, "scores": tied, "stable_prefix_length": None}


def agree(ours, theirs, indexes, rules):
    """Whether two results say the same: exactly, or but for the order of spans that tie on their index."""
    if rules in EXACT:
        return ours == theirs
    has_ties = len(set(indexes.values())) < len(indexes)
    return outcomes(ours, indexes) == outcomes(theirs, indexes) and (has_ties or ours == theirs)


def seed_key(keys, results):
    """Return the key that the runtime took for the seed entry: of the best ones, the first that it wrote."""
    return max(keys, key=lambda key: (results[key]["stable_prefix_length"], results[key]["total_observations"]))


def stability_keys(step):
    """Return the keys of the results in the order in which they were written, the seed entry's last."""
    return [key.removeprefix("acg_stability:") for key in step.written if key.startswith("acg_stability:")]


def without_identity(window):
    """Return a window without what is random, and as production rewrites what another writer stored.

    It drops fields that it does not know, which we keep, and fills in the sensitivity where it was left out.
    """
    return [
        {
            **{name: value for name, value in observation.items() if name not in {"ir_id", "created_at", "zzz"}},
            "blocks": [
                {"sensitivity": "public", **{name: value for name, value in block.items() if name != "zzz"}}
                for block in observation["blocks"]
            ],
        }
        for observation in window
    ]


# --- tau_airline: 200 conversations of one agent ---


@pytest.fixture(scope="module")
def airline_runs():
    return [decode(RunRecord, line.rstrip(b"\n")) for line in read_lines(DATA / "tau_airline" / "runs.jsonl.gz")]


def cut_to_turns(run):
    """Return the run as a runtime from 0.6 on records it: but for the first call, system messages and the last turn."""
    calls = list(run.calls)
    for i, call in enumerate(calls[1:], 1):
        messages = call.annotated_request.messages
        last = max(j for j, message in enumerate(messages) if message["role"] == "user")
        kept = tuple(m for j, m in enumerate(messages) if j >= last or m["role"] == "system")
        request = msgspec.structs.replace(call.annotated_request, messages=kept)
        calls[i] = msgspec.structs.replace(call, annotated_request=request)
    return msgspec.structs.replace(run, calls=tuple(calls))


def test_tau_airline(version, airline_runs):
    """After each conversation the results are the runtime's, and so are the windows at the end."""
    folder, rules = DATA / "tau_airline", GENERATIONS[version]
    entries = [json.loads(line) for line in read_lines(folder / f"redis-{version}.jsonl.gz")]
    steps = [json.loads(line) for line in read_lines(folder / f"steps-{version}.jsonl.gz")]
    backend, hot_cache, learner = MemoryBackend(), HotCache(), AcgLearner("airline", rules=rules)
    theirs = {}
    for run, step in zip(airline_runs, steps, strict=True):
        update = learner.process_run(run if rules == "nemo-flow-0.2" else cut_to_turns(run), backend, hot_cache)
        theirs |= {key.split(":", 2)[2]: result for key, result in step.items()}  # those that changed
        assert theirs.keys() >= {*update.results, "airline"}
        for key, result in [*update.results.items(), ("airline", update.seed)]:
            assert agree(plain(result), theirs[key], smallest_indexes(backend.load_observations(key)), rules)
    different = []
    for entry in entries:
        _, kind, key = entry["key"].split(":", 2)
        if kind == "acg_observations":
            ours = json.loads(encode_window(backend.load_observations(key)))
            pairs = [without_identity(ours), without_identity(entry["value"])]
            if rules != "nemo-flow-0.2":  # the recorded requests are 0.3.0's, which lacks what later codecs add
                for observation in chain.from_iterable(pairs):
                    del observation["source_request_hash"]
            if pairs[0] != pairs[1]:
                different.append(key)
    assert different == []
    assert {entry["key"].split(":", 2)[2] for entry in entries} == set(backend._windows) == set(backend._results)


# --- odd: requests made to reach every corner of the rules ---


class Replay:
    """Feed the odd runs to our learners, and note every difference."""

    def __init__(self, rules):
        self.rules = rules
        self.store = Store()
        self.learners = {}
        self.differences = []
        self.n_compared = 0

    def learner(self, agent_id, step):
        settings = agent_id, step.window, json.dumps(step.thresholds)
        if settings not in self.learners:
            limits = StabilityThresholds(**step.thresholds)
            self.learners[settings] = AcgLearner(agent_id, step.window, limits, rules=self.rules)
        return self.learners[settings]

    def take(self, step):
        self.store.preload(step.preload)
        before = dict(self.store.texts)
        try:
            run = decode(RunRecord, bytes(step.record))
            update = self.learner(run.agent_id, step).process_run(run, self.store, HotCache())
        except RecordError:
            # Production fails, too: a damaged window ends the run. Which keys came before it is random.
            self.store.texts, update = before, LearnerUpdate()
            if step.written:
                self.differences.append((step.case, "we refuse what the runtime learned", step.written))
            return
        keys = [*update.results, *([run.agent_id] if update.results else [])]
        theirs = {key.removeprefix("acg_stability:"): result for key, result in step.stability.items()}
        if set(keys) != theirs.keys():
            self.differences.append((step.case, "other keys", sorted(set(keys) ^ theirs.keys())))
            return
        for key, result in update.results.items():
            self.n_compared += 1
            indexes = smallest_indexes(self.store.load_observations(key))
            if not agree(plain(result), theirs[key], indexes, self.rules):
                self.differences.append((step.case, "another result", key))
        if keys:
            self.compare_seed(step, run.agent_id, theirs)

    def compare_seed(self, step, agent_id, theirs):
        key = seed_key(stability_keys(step)[:-1], theirs)
        if theirs[agent_id] != theirs[key]:
            self.differences.append((step.case, "another seed entry", key))
        self.store.texts[f"acg_observations:{agent_id}"] = self.store.texts[f"acg_observations:{key}"]


def test_odd(version):
    """After each run keys, scores, classes, prefix lengths and fingerprints are the runtime's; so are the windows."""
    replay = Replay(GENERATIONS[version])
    decoder = msgspec.json.Decoder(Step)
    left_out = set()
    for step in map(decoder.decode, read_lines(DATA / "odd" / f"steps-{version}.jsonl.gz")):
        if step.case == DUPLICATE_KEYS:
            left_out.add(msgspec.json.decode(step.record)["agent_id"])
        else:
            replay.take(step)
    assert replay.differences == []
    assert replay.n_compared > 4000
    windows = {}
    for line in read_lines(DATA / "odd" / f"windows-{version}.jsonl.gz"):
        entry = json.loads(line)
        key = "acg_observations:" + entry["key"].removeprefix("acg_observations:")
        if not any(key.startswith(f"acg_observations:{agent_id}") for agent_id in left_out):
            windows[key] = without_identity(entry["value"])
    ours = {key: raw for key, raw in replay.store.texts.items() if key.startswith("acg_observations:")}
    assert ours.keys() == windows.keys()
    different = [key for key in windows if without_identity(json.loads(ours[key])) != windows[key]]
    assert different == []
