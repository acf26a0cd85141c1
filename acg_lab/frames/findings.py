"""What breaks stable prefixes, one row per finding."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis import Finding, explain
from acg_lab.diagnosis.findings import describe_effect
from acg_lab.frames.columns import make_frame
from acg_lab.frames.schema import FINDINGS
from acg_lab.repairs.effects import Effect
from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["findings"]


def findings(data: Sequence[Finding] | Snapshot, thresholds: StabilityThresholds | None = None) -> pd.DataFrame:
    """Return one row per finding of `acg_lab.explain`, costliest first.

    Parameters
    ----------
    data : Findings or Snapshot
        Findings, or a snapshot, which is explained.
    thresholds : StabilityThresholds, optional
        By which a snapshot is analysed; production's defaults when left out.

    Returns
    -------
    DataFrame
        learning_key, agent_id, kind, timing (categorical); span_id (missing if it is about no block); tokens_lost (per
        request), requests, total_lost (their product); money_lost, agent_cost, money_saved (US dollars over the
        recorded history: what the fault costs, or could cost at most where no repair was tried or helps; what the agent
        costs; what the best repair saves; NaN where usage or prices are not known, money_saved where none was
        tried); profiles (number concerned); present, contents, changes
        (requests that hold the block, its distinct contents, and how often it changed in time); last_change (UTC);
        stable_tokens_after, unchanging (tokens per request that are out of reach, in other blocks and in this one);
        threshold (a ``stable_threshold`` whose prefix includes the block; NaN if none does); repair (what the best one
        does, empty if there is none), with its profiles_after, prefix_blocks, prefix_blocks_after, prefix_tokens,
        prefix_tokens_after (missing if there is none); sentence.

    Raises
    ------
    UsageError
        If it is neither, or a threshold is written in per cent.

    Examples
    --------
    >>> import acg_lab as acg
    >>> snap = acg.load(acg.MemoryBackend())
    >>> acg.frames.findings(snap).empty
    True
    """
    thresholds = check_thresholds(thresholds)
    findings = explain(data, thresholds=thresholds) if isinstance(data, Snapshot) else data
    if not isinstance(findings, Sequence) or not all(isinstance(finding, Finding) for finding in findings):
        msg = f"Expected a Snapshot, or findings as acg_lab.explain returns them; got {type(data).__name__}."
        raise UsageError(msg)
    evidence = [finding.evidence for finding in findings]
    best = [finding.repairs[0] if finding.repairs else None for finding in findings]
    return make_frame(
        FINDINGS,
        {
            **{name: [getattr(f, name) for f in findings] for name in ("learning_key", "agent_id", "span_id")},
            **{
                name: [getattr(f, name) for f in findings]
                for name in ("kind", "timing", "tokens_lost", "requests", "total_lost")
            },
            "money_lost": _numbers([f.money_lost for f in findings]),
            "agent_cost": _numbers([f.agent_cost for f in findings]),
            "money_saved": _numbers([effect.money_saved if effect else None for effect in best]),
            **{name: [getattr(e, name) for e in evidence] for name in ("present", "changes", "threshold")},
            **{name: [getattr(e, name) for e in evidence] for name in ("stable_tokens_after", "unchanging")},
            "profiles": [len(e.profiles) for e in evidence],
            "contents": [e.distinct for e in evidence],
            "last_change": _times([e.last_change for e in evidence]),
            "repair": [
                describe_effect(effect, finding) if effect else ""
                for finding, effect in zip(findings, best, strict=True)
            ],
            "profiles_after": _column(best, lambda effect: effect.after.profiles),
            "prefix_blocks": _column(best, lambda effect: effect.before.prefix_blocks),
            "prefix_blocks_after": _column(best, lambda effect: effect.after.prefix_blocks),
            "prefix_tokens": _column(best, lambda effect: effect.before.prefix_tokens),
            "prefix_tokens_after": _column(best, lambda effect: effect.after.prefix_tokens),
            "sentence": [finding.sentence for finding in findings],
        },
    )


def _times(texts: Sequence[str | None]) -> pd.DatetimeIndex:
    """Return a column of RFC 3339 times, some of them missing."""
    known = pd.array(texts, dtype="str")
    return pd.DatetimeIndex(pd.to_datetime(known, utc=True, format="ISO8601")).as_unit("ns")


def _column(effects: Sequence[Effect | None], number: Callable[[Effect], Any]) -> list[Any]:
    return [None if effect is None else number(effect) for effect in effects]


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else value for value in values]
