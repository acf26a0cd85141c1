"""``acg-lab analyze``: a table of profiles, with the length of each stable prefix and what breaks it."""

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import Annotated, Any, NamedTuple

import msgspec
import typer
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from acg_lab._format import counted, cut, percent, printable, score
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
    out,
    print_json,
    read,
    say,
    warn_about_large_window,
)
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.cli._simulation import simulate_recorded
from acg_lab.config.thresholds import check_scale
from acg_lab.core import StabilityThresholds
from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.diagnosis import Causes, find_causes
from acg_lab.diagnosis.agent_costs import AgentCost, ProfileCost, sum_profiles, summarize_costs
from acg_lab.diagnosis.cost_words import describe_amount
from acg_lab.snapshot import ProfileSummary, Snapshot, Totals, analyze, summarize, total

__all__ = ["print_profiles"]

_TITLES = ("agent and profile", "model", "obs.", "read", "cost", "prefix", "tokens", "share", "broken by")
_LEAST_NEEDED = ("model", "tokens")  # left out in this order where the terminal is narrow
_GAP, _NAME_WIDTH = 2, 17
_NARROWEST = 66  # a truncated number is a wrong number, so a narrower terminal wraps the lines


def print_profiles(
    profiles: Sequence[ProfileSummary],
    names: Mapping[str, str],
    causes: Causes,
    shown: int,
    thresholds: StabilityThresholds,
    costs: "Costs | None" = None,
) -> None:
    """Print the ``shown`` worst profiles of each agent, the agent with the largest loss first."""
    out.width = max(out.width, _NARROWEST)
    costs = costs or Costs({}, {})
    first, *columns = zip(_TITLES, *_rows(profiles, names, causes, shown, thresholds, costs), strict=True)
    if not costs.of_profile:
        columns = [column for column in columns if column[0] not in ("read", "cost")]
    for title in _LEAST_NEEDED:
        if _free_width(columns) < _NAME_WIDTH:
            columns = [column for column in columns if column[0] != title]
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
    costs: "Costs",
) -> Iterator[list[str]]:
    for of_agent in _by_agent(profiles, costs):
        listed = of_agent[: shown or None]
        for profile in listed:
            key = profile.learning_key
            yield _row(profile, names[key], causes.breaks[key], thresholds, costs.cells([key]))
        split = causes.splits.get(of_agent[0].agent_id)
        if (rest := of_agent[len(listed) :]) or split:
            sums = total(rest or of_agent)
            name = f"  and {counted(sums.profiles, 'more profile')}" if rest else f"  all {sums.profiles:,} of them"
            share = f"{sums.share:.0%}"
            cells = costs.cells([profile.learning_key for profile in rest or of_agent])
            split_by = f"split: {split}" if split else ""
            yield [name, "", f"{sums.observations:,}", *cells, "", "", share, split_by]


class Costs(NamedTuple):
    """What recorded requests cost: agents dearest loss first, and the requests of each profile."""

    of_agent: Mapping[str, AgentCost]
    of_profile: Mapping[str, ProfileCost]

    @classmethod
    def of(cls, snapshot: Snapshot) -> "Costs":
        """Return the costs of a snapshot; empty where no request was recorded."""
        sim = simulate_recorded(snapshot)
        if sim is None:
            return cls({}, {})
        agents = {cost.agent_id: cost for cost in summarize_costs(sim)}
        return cls(agents, sum_profiles(sim, {key: [key] for key in dict.fromkeys(sim.learning_keys)}))

    def cells(self, keys: Sequence[str]) -> list[str]:
        """Return read share and cost of the requests of some profiles, empty where none was recorded."""
        found = [self.of_profile[key] for key in keys if key in self.of_profile]
        if not found:
            return ["", ""]
        full = sum(cost.full_tokens for cost in found)
        known = [cost for cost in found if not isnan(cost.read_share)]
        read_tokens, tokens = sum(cost.read_share * cost.tokens for cost in known), sum(cost.tokens for cost in known)
        dollars = sum(cost.cost for cost in found)
        cost = describe_amount(dollars, sum(one.cost_tokens for one in found), full)
        return [percent(read_tokens / tokens) if tokens else "unknown", cost]

    def rank(self, agent_id: str) -> tuple[int, int]:
        """Return where an agent stands by its loss; those without recorded requests come last."""
        order = list(self.of_agent)
        return (0, order.index(agent_id)) if agent_id in self.of_agent else (1, 0)

    def lost(self, key: str) -> tuple[float, float]:
        """Return what the requests of a profile lost, in dollars and uncached tokens, as far as known."""
        found = self.of_profile.get(key)
        lost = (0.0, 0.0) if found is None else (found.lost, found.lost_tokens)
        return (0.0 if isnan(lost[0]) else lost[0], 0.0 if isnan(lost[1]) else lost[1])


def _by_agent(profiles: Sequence[ProfileSummary], costs: Costs) -> list[list[ProfileSummary]]:
    """Return the profiles of each agent, dearest loss first: in money, else in tokens outside the prefix."""
    agents: dict[str, list[ProfileSummary]] = {}
    for profile in sorted(profiles, key=lambda profile: costs.lost(profile.learning_key), reverse=True):
        agents.setdefault(profile.agent_id, []).append(profile)
    estimated = {agent_id: sum(one.lost_tokens for one in of_agent) for agent_id, of_agent in agents.items()}
    return [agents[a] for a in sorted(agents, key=lambda a: (*costs.rank(a), -estimated[a]))]


def _row(
    profile: ProfileSummary, name: str, cause: str, thresholds: StabilityThresholds, costs: Sequence[str]
) -> list[str]:
    return [
        printable(name),
        cut(printable(profile.model), 13, cell_len),
        f"{profile.observations:,}",
        *costs,
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


@source_command("analyze")
def _analyze(
    source: Source,
    log: LogOptions,
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
    """Show each profile's stable prefix, what breaks it, and what its recorded requests read and cost.

    Agents and their profiles are sorted by loss, largest first: in money where requests were recorded, else in tokens.
    """
    thresholds = check_scale(
        StabilityThresholds(
            stable_threshold=stable_threshold,
            semi_stable_threshold=semi_stable_threshold,
            min_observations_for_full_confidence=min_observations,
        )
    )
    snapshot = read(source, agent, since=since, limit=window, key_prefix=key_prefix, rules=rules, strict=strict, **log)
    profiles = summarize(snapshot, analyze(snapshot, thresholds))
    causes = find_causes(snapshot, thresholds)
    costs = Costs.of(snapshot)
    if as_json:
        print_json(_as_json(snapshot, thresholds, profiles, causes, costs))
        return
    if not profiles:
        say(f"{snapshot.source}: no profiles{f' of agent {agent!r}' if agent else ''}.")
        return
    print_profiles(profiles, snapshot.profile_names, causes, rows, thresholds, costs)
    _print_totals(snapshot, total(profiles), thresholds)
    if n := sum(cost.n_requests for cost in costs.of_agent.values()):
        silent, failed = (
            sum(getattr(cost, name) for cost in costs.of_agent.values()) for name in ("n_without_usage", "n_failed")
        )
        how = "as billed" if not silent else f"{silent:,} simulated for lack of usage"
        how = f"{failed:,} failed" if failed == n else how
        say(f"read and cost: of {counted(n, 'request')}, {how}; 'acg-lab cost' says what is lost.")
    warn_about_large_window(snapshot, window)


def _as_json(
    snapshot: Snapshot,
    thresholds: StabilityThresholds,
    profiles: Sequence[ProfileSummary],
    causes: Causes,
    costs: Costs,
) -> dict[str, Any]:
    return {
        "source": snapshot.source,
        "thresholds": thresholds,
        "profiles": [
            msgspec.structs.asdict(profile)
            | {"share": profile.share, "cause": causes.breaks[profile.learning_key]}
            | _cost_record(costs.of_profile.get(profile.learning_key))
            for of_agent in _by_agent(profiles, costs)
            for profile in of_agent
        ],
        "splits": causes.splits,
        "totals": total(profiles),
        "caveats": snapshot.caveats,
        "problems": [str(problem) for problem in snapshot.problems],
    }


def _cost_record(cost: ProfileCost | None) -> dict[str, float | None]:
    """Return what the recorded requests of a profile read and cost; None where that is not known."""
    names = ("read_share", "cost", "lost")
    values = [None if cost is None else getattr(cost, name) for name in names]
    return {name: None if value is None or isnan(value) else value for name, value in zip(names, values, strict=True)}


def _print_totals(snapshot: Snapshot, totals: Totals, thresholds: StabilityThresholds) -> None:
    say(
        f"\n{counted(totals.profiles, 'profile')}, {counted(totals.observations, 'observation')}, "
        f"at stable_threshold {thresholds.stable_threshold:g}.\n"
        f"The stable prefix covers {percent(totals.share)} of {totals.prompt_tokens:,.0f} prompt tokens (estimated)."
    )
    if totals.single:
        whom = "it" if totals.single == 1 else "them"
        say(f"{counted(totals.single, 'profile')} with one observation: production plans nothing for {whom}.")
    if snapshot.learned_here:
        say("Learned here from a log, not stored by production.")
    if snapshot.problems:
        say(f"{counted(len(snapshot.problems), 'entry')} can't be read; --json lists them.")
