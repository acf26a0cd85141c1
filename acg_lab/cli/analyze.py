"""``acg-lab analyze``: how long each profile's stable prefix is, and what breaks it."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import typer

from acg_lab._format import counted
from acg_lab.cli.profiles import print_profiles
from acg_lab.cli.shell import (
    DEFAULTS,
    Agent,
    AsJson,
    KeyPrefix,
    MinObservations,
    Newest,
    RulesOption,
    SemiStableThreshold,
    Since,
    Source,
    StableThreshold,
    Strict,
    app,
    print_json,
    read,
    say,
    say_if_window_is_larger,
)
from acg_lab.core import StabilityThresholds
from acg_lab.explain import Causes, find_causes
from acg_lab.snapshot import ProfileSummary, Snapshot, Totals, analyze, summarize, total

_SHOWN = 3


@app.command("analyze")
def _analyze(
    source: Source,
    agent: Agent = None,
    stable_threshold: StableThreshold = DEFAULTS.stable_threshold,
    semi_stable_threshold: SemiStableThreshold = DEFAULTS.semi_stable_threshold,
    min_observations: MinObservations = DEFAULTS.min_observations_for_full_confidence,
    window: Newest = None,
    since: Since = None,
    key_prefix: KeyPrefix = "auto",
    rows: Annotated[
        int, typer.Option(help="Profiles to list of each agent, worst first; 0 lists all.", min=0)
    ] = _SHOWN,
    rules: RulesOption = "auto",
    strict: Strict = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show each profile's stable prefix, and what breaks it.

    The agent that loses most tokens comes first, and so does its worst profile.
    """
    thresholds = StabilityThresholds(
        stable_threshold=stable_threshold,
        semi_stable_threshold=semi_stable_threshold,
        min_observations_for_full_confidence=min_observations,
    )
    snapshot = read(source, agent, since=since, limit=window, key_prefix=key_prefix, rules=rules, strict=strict)
    profiles = summarize(snapshot, analyze(snapshot, thresholds))
    causes = find_causes(snapshot, thresholds)
    if as_json:
        print_json(_as_json(snapshot, thresholds, profiles, causes))
        return
    if not profiles:
        say(f"{snapshot.source}: no profiles{f' of agent {agent!r}' if agent else ''}.")
        return
    print_profiles(profiles, causes, rows, thresholds)
    _print_totals(snapshot, total(profiles), thresholds)
    say_if_window_is_larger(snapshot, window)


def _as_json(
    snapshot: Snapshot, thresholds: StabilityThresholds, profiles: Sequence[ProfileSummary], causes: Causes
) -> dict[str, Any]:
    return {
        "source": snapshot.source,
        "thresholds": thresholds,
        "profiles": [
            msgspec.structs.asdict(profile) | {"share": profile.share, "cause": causes.breaks[profile.learning_key]}
            for profile in profiles
        ],
        "splits": causes.splits,
        "totals": total(profiles),
        "problems": [str(problem) for problem in snapshot.problems],
    }


def _print_totals(snapshot: Snapshot, totals: Totals, thresholds: StabilityThresholds) -> None:
    say(
        f"\n{counted(totals.profiles, 'profile')}, {counted(totals.observations, 'observation')}, "
        f"at stable_threshold {thresholds.stable_threshold:g}.\n"
        f"The stable prefix covers {totals.share:.0%} of {totals.prompt_tokens:,.0f} prompt tokens (estimated)."
    )
    if totals.single:
        say(f"{counted(totals.single, 'profile')} of one observation: nothing is planned for them.")
    if snapshot.problems:
        say(f"{counted(len(snapshot.problems), 'entry')} can't be read; --json lists them.")
