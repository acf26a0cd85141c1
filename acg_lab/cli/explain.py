"""``acg-lab explain``: what ends each stable prefix, why, and how much fixing it saves."""

from typing import Annotated, Any

import msgspec
import typer

from acg_lab._format import counted
from acg_lab.cli._app import (
    DEFAULTS,
    Agent,
    AsJson,
    IncludePrivate,
    KeyPrefix,
    MinObservations,
    Newest,
    RulesOption,
    SemiStableThreshold,
    Since,
    Source,
    StableThreshold,
    Strict,
    out,
    print_json,
    read,
    say,
    warn_about_large_window,
)
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.config.thresholds import check_scale
from acg_lab.core import StabilityThresholds
from acg_lab.diagnosis import Findings, explain
from acg_lab.snapshot import Snapshot

_WIDEST = 120  # columns: longer lines are hard to read
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs", help="Processes that explain agents, and parse a log of several files; -1 for all cores.", metavar="N"
    ),
]
Text = Annotated[bool, typer.Option("--text", help="Show what stands where texts differ, with counts of requests.")]


@source_command("explain")
def _explain(
    source: Source,
    log: LogOptions,
    agent: Agent = None,
    key: Annotated[
        str | None,
        typer.Option("--key", help="Only this profile, by learning key or name, such as 'sales-analyst tools…d206'."),
    ] = None,
    text: Text = False,  # noqa: FBT002
    stable_threshold: StableThreshold = DEFAULTS.stable_threshold,
    semi_stable_threshold: SemiStableThreshold = DEFAULTS.semi_stable_threshold,
    min_observations: MinObservations = DEFAULTS.min_observations_for_full_confidence,
    window: Newest = None,
    since: Since = None,
    key_prefix: KeyPrefix = "auto",
    rules: RulesOption = "auto",
    include_private: IncludePrivate = False,  # noqa: FBT002
    strict: Strict = False,  # noqa: FBT002
    jobs: Jobs = 1,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Explain what ends each stable prefix, why, and how much fixing it saves.

    Findings are sorted by cost, highest first.
    """
    thresholds = check_scale(
        StabilityThresholds(
            stable_threshold=stable_threshold,
            semi_stable_threshold=semi_stable_threshold,
            min_observations_for_full_confidence=min_observations,
        )
    )
    log = {**log, "include_private": include_private, "n_jobs": jobs}
    snapshot = read(source, agent, since=since, limit=window, key_prefix=key_prefix, rules=rules, strict=strict, **log)
    findings = explain(snapshot, key, thresholds, text=text, n_jobs=jobs)
    if as_json:
        print_json(_as_json(snapshot, thresholds, findings))
    elif snapshot.windows:
        say(findings.to_text(width=min(out.width, _WIDEST)))
        warn_about_large_window(snapshot, window)
    else:
        say(f"{snapshot.source}: no profiles{f' of agent {agent!r}' if agent else ''}.")
    if snapshot.problems and not as_json:
        say(f"\n{counted(len(snapshot.problems), 'entry')} can't be read; --json lists them.")


def _as_json(snapshot: Snapshot, thresholds: StabilityThresholds, findings: Findings) -> dict[str, Any]:
    return {
        "source": snapshot.source,
        "thresholds": thresholds,
        "findings": [msgspec.structs.asdict(f) | {"total_lost": f.total_lost} for f in findings],
        "healthy": findings.healthy,
        "unknown": findings.unknown,
        "impossible": findings.impossible,
        "notes": findings.notes,
        "caveats": snapshot.caveats,
        "problems": [str(problem) for problem in snapshot.problems],
    }
