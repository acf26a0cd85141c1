"""``acg-lab analyze``: a table of profiles, with the length of each stable prefix and what breaks it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from acg_lab._format import counted, cut, printable, score
from acg_lab.cli._app import (
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
    cli,
    out,
    print_json,
    read,
    say,
    warn_about_large_window,
)
from acg_lab.core import StabilityThresholds
from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.diagnosis import Causes, find_causes
from acg_lab.snapshot import ProfileSummary, Snapshot, Totals, analyze, summarize, total

__all__ = ["print_profiles"]

_TITLES = ("agent and profile", "model", "obs.", "prefix", "tokens", "share", "broken by")
_GAP, _NAME_WIDTH = 2, 17
_NARROWEST = 66  # a truncated number is a wrong number, so a narrower terminal wraps the lines


def print_profiles(
    profiles: Sequence[ProfileSummary],
    names: Mapping[str, str],
    causes: Causes,
    shown: int,
    thresholds: StabilityThresholds,
) -> None:
    """Print the ``shown`` worst profiles of each agent, the agent with the largest loss first."""
    out.width = max(out.width, _NARROWEST)
    first, *columns = zip(_TITLES, *_rows(profiles, names, causes, shown, thresholds), strict=True)
    if _free_width(columns) < _NAME_WIDTH:
        del columns[_TITLES.index("model") - 1]
    free = _free_width(columns)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first[0], no_wrap=True, max_width=max(free, _NAME_WIDTH))
    for column in columns[:-1]:
        table.add_column(column[0], justify="left" if column[0] == "model" else "right", no_wrap=True)
    # Where the terminal is too narrow, the last words are cut first.
    widest = max(map(cell_len, columns[-1])) + min(free - _NAME_WIDTH, 0)
    table.add_column(columns[-1][0], no_wrap=True, max_width=max(widest, _NAME_WIDTH))
    for name, *cells in zip(first[1:], *(column[1:] for column in columns), strict=True):
        # Sums are indented and may lose their end; names of profiles differ at the end.
        fitting = name if name.startswith(" ") else cut(name, max(free, _NAME_WIDTH), cell_len)
        table.add_row(*map(escape, (fitting, *cells)))
    out.print(table)


def _free_width(columns: Sequence[Sequence[str]]) -> int:
    """Return the terminal cells that the other columns leave for the first one."""
    return out.width - sum(max(map(cell_len, column)) + _GAP for column in columns)


def _rows(
    profiles: Sequence[ProfileSummary],
    names: Mapping[str, str],
    causes: Causes,
    shown: int,
    thresholds: StabilityThresholds,
) -> Iterator[list[str]]:
    for of_agent in _by_agent(profiles):
        listed = of_agent[: shown or None]
        for profile in listed:
            yield _row(profile, names[profile.learning_key], causes.breaks[profile.learning_key], thresholds)
        split = causes.splits.get(of_agent[0].agent_id)
        if (rest := of_agent[len(listed) :]) or split:
            sums = total(rest or of_agent)
            name = f"  and {counted(sums.profiles, 'more profile')}" if rest else f"  all {sums.profiles:,} of them"
            share = f"{sums.share:.0%}"
            yield [name, "", f"{sums.observations:,}", "", "", share, f"split: {split}" if split else ""]


def _by_agent(profiles: Sequence[ProfileSummary]) -> list[list[ProfileSummary]]:
    agents: dict[str, list[ProfileSummary]] = {}
    for profile in profiles:
        agents.setdefault(profile.agent_id, []).append(profile)
    return sorted(agents.values(), key=lambda of_agent: -sum(profile.lost_tokens for profile in of_agent))


def _row(profile: ProfileSummary, name: str, cause: str, thresholds: StabilityThresholds) -> list[str]:
    return [
        printable(name),
        cut(printable(profile.model), 13, cell_len),
        f"{profile.observations:,}",
        f"{profile.prefix_blocks}/{profile.blocks}",
        f"{profile.prefix_tokens:,.0f}",
        f"{profile.share:.0%}",
        _breaking(profile, cause, thresholds),
    ]


def _breaking(profile: ProfileSummary, cause: str, thresholds: StabilityThresholds) -> str:
    if profile.observations < MIN_OBSERVATIONS:
        return f"unknown: {cause}"
    if (breaks := profile.breaks) is None:
        return f"nothing: {cause}"
    shown = score(breaks.score, thresholds.stable_threshold, thresholds.semi_stable_threshold)
    return f"{cut(printable(breaks.span_id), 16, cell_len)} {shown} {cause}"


_SHOWN = 3


@cli.command("analyze")
def _analyze(
    source: Source,
    agent: Agent = None,
    stable_threshold: StableThreshold = DEFAULTS.stable_threshold,
    semi_stable_threshold: SemiStableThreshold = DEFAULTS.semi_stable_threshold,
    min_observations: MinObservations = DEFAULTS.min_observations_for_full_confidence,
    window: Newest = None,
    since: Since = None,
    key_prefix: KeyPrefix = "auto",
    rows: Annotated[int, typer.Option(help="Profiles to list per agent, worst first; 0 lists all.", min=0)] = _SHOWN,
    rules: RulesOption = "auto",
    strict: Strict = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show each profile's stable prefix, and what breaks it.

    Agents and their profiles are sorted by lost tokens, largest first.
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
    print_profiles(profiles, snapshot.profile_names, causes, rows, thresholds)
    _print_totals(snapshot, total(profiles), thresholds)
    warn_about_large_window(snapshot, window)


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
        say(f"{counted(totals.single, 'profile')} with one observation: production plans nothing for them.")
    if snapshot.problems:
        say(f"{counted(len(snapshot.problems), 'entry')} can't be read; --json lists them.")
