"""Snapshots and their redacted copies, and what every analysis that needs no text says of one."""

from pathlib import Path

import pyarrow.parquet as pq

import acg_lab as acg
from acg_lab.core.keys import assign_agents
from acg_lab.core.stability import StabilityThresholds
from acg_lab.snapshot.redaction import redact_columns, redact_private

# What names a text or a profile, and what is counted inside of texts, which pseudonyms do not show.
NAMES = ("learning_key", "profile", "breaking_span", "span_id", "agent_id", "run_id", "reference_run")
# Verdicts look inside of texts only to find out whether they are two versions of one text.
VERDICTS = ("verdict", "also", "caused_by", "block", "path", "length", "other_length")
INSIDE = ("changed", "new", "byte_offset", "avoidable", "avoidable_tokens")


def redacted(snap, salt=b"salt", **options):
    """Return a snapshot with pseudonyms in place of texts, as one of its export is."""
    return _snapshot(redact_columns(snap.columns, snap.owners, snap.rules, salt, **options))


def partly_redacted(snap, salt=b"salt"):
    """Return a snapshot with pseudonyms in place of private texts, as one of its export is."""
    return _snapshot(redact_private(snap.columns, snap.owners, snap.rules, salt))


def _snapshot(columns):
    keys = {*columns.observations.keys, *columns.results}
    owners = assign_agents(keys, {record.agent_id for record in columns.runs.records})
    return acg.Snapshot(source="redacted", columns=columns, owners=owners)


def analyses(snap):
    """Return what analyses of windows and of the replayed history say, without names."""
    trace = acg.replay(snap, progress=False)
    return {
        "analyze": _results(acg.analyze(snap)),
        "stored": _results(snap.stability),
        "verify": sorted((verdict.status, verdict.checked_runs) for verdict in acg.verify(snap).verdicts),
        "rules": sorted(map(tuple, snap.rules.values())),
        "summary": _rows(acg.frames.profiles(snap), ()),
        "unread": snap.unread,
        "steps": _rows(acg.frames.steps(trace, 0.9), ()),
    }


def simulations(snap, left_out=INSIDE):
    """Return what analyses of provider caches say, without names and what is counted inside of texts."""
    trace = acg.replay(snap, progress=False)
    sim = acg.simulate(trace)
    changed = acg.simulate(trace, StabilityThresholds(stable_threshold=0.6))
    return {
        "requests": _rows(acg.frames.requests(sim), left_out),
        "change": _rows(acg.frames.requests(changed), left_out),
        "limit": _rows(acg.frames.requests(acg.simulate(trace, breakpoints="limit")), left_out),
        "calibrate": repr(acg.calibrate(sim)),
    }


def _results(results):
    return sorted(
        (
            result.stable_prefix_length,
            result.total_observations,
            result.stable_prefix_fingerprint is None,
            [(score.classification, score.score, score.confidence) for score in result.scores],
        )
        for result in results.values()
    )


def _rows(frame, left_out):
    frame = frame.drop(columns=[name for name in (*NAMES, *left_out) if name in frame])
    return sorted(map(str, frame.itertuples(index=False)))


def bytes_of(place):
    """Return all distinct values and the metadata of an export's tables, decoded."""
    blob = []
    for file in sorted(Path(place).glob("*.parquet")):
        table = pq.read_table(file)
        blob += {str(value) for name in table.column_names for value in table[name].to_pylist()}
        blob.append(str(table.schema.metadata))
    return "\n".join(blob)
