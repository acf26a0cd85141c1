"""``acg-lab check``: a gate for CI on recorded test traffic: a line for each agent that loses more than it may.

Exit status 1 means that a limit is exceeded, or that nothing could be judged.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from acg_lab._format import counted, percent
from acg_lab.cli._app import (
    FAILED,
    Agent,
    AsJson,
    KeyPrefix,
    RulesOption,
    Source,
    Strict,
    complain,
    print_json,
    say,
)
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.cli._simulation import CacheProvider, Scope, SinceSent, Until, read_simulation
from acg_lab.core import SourceError
from acg_lab.diagnosis.loss_baseline import KnownLoss, read_baseline, write_baseline
from acg_lab.diagnosis.loss_check import AgentLoss, LossCheck, LossLimits, check_losses, known_losses, measure_losses

MaxLostShare = Annotated[
    float, typer.Option("--max-lost-share", help="Share of its input cost that an agent may lose, from 0 to 1.")
]
Baseline = Annotated[
    Path | None, typer.Option("--baseline", help="A file of --save: no agent may be worse than there.")
]
Tolerance = Annotated[
    float,
    typer.Option("--tolerance", help="How much worse than the baseline: a share of the cost; so much more lost share."),
]
Save = Annotated[
    Path | None, typer.Option("--save", help="Write cost and lost share of each agent here if no limit is exceeded.")
]


@source_command("check")
def _check(
    source: Source,
    log: LogOptions,
    max_lost_share: MaxLostShare = 0.1,
    baseline: Baseline = None,
    tolerance: Tolerance = 0.05,
    save: Save = None,
    agent: Agent = None,
    since: SinceSent = None,
    until: Until = None,
    cache_provider: CacheProvider = "auto",
    scope: Scope = "agent",
    key_prefix: KeyPrefix = "auto",
    rules: RulesOption = "auto",
    strict: Strict = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Fail if an agent loses more of its input cost to cache misses than it may: a gate for CI.

    The exit status is 1 if a limit is exceeded, with one line for each, or if nothing can be judged. With --baseline,
    agents are also compared with what they cost and lost before; agents that are new are not.
    """
    limits = LossLimits(max_lost_share, tolerance)
    before = None if baseline is None else read_baseline(baseline)
    if before is not None and agent is not None:
        before = {name: known for name, known in before.items() if name == agent}
    snapshot, sim = read_simulation(
        source,
        agent,
        since=since,
        until=until,
        cache_provider=cache_provider,
        scope=scope,
        key_prefix=key_prefix,
        rules=rules,
        strict=strict,
        **log,
    )
    found = check_losses([] if sim is None else measure_losses(sim), limits, before)
    for note in found.notes:
        complain(f"acg-lab: note: {note}")
    if not found.judged:
        msg = f"{snapshot.source}: nothing to judge: it holds no recorded request whose cost is known."
        raise SourceError(msg)
    if as_json:
        print_json(_as_json(snapshot.source, limits, found))
    else:
        say("\n".join(breach.text for breach in found.breaches) or _ok(limits, found, before))
    if found.breaches:
        raise typer.Exit(FAILED)
    if save is not None:
        write_baseline(save, known_losses(found.judged))


def _ok(limits: LossLimits, found: LossCheck, before: Mapping[str, KnownLoss] | None) -> str:
    most = max(0.0, *(loss.lost_share for loss in found.judged))
    requests = counted(sum(loss.n_requests for loss in found.judged), "request")
    line = (
        f"ok: {counted(len(found.judged), 'agent')}, {requests}: at most {percent(most)} of the input cost lost, "
        f"{percent(limits.max_lost_share)} allowed"
    )
    if before is None:
        return line
    compared = sum(loss.agent_id in before for loss in found.judged)
    return f"{line}; {compared:,} of them no more than {percent(limits.tolerance)} worse than the baseline"


def _as_json(source: str, limits: LossLimits, found: LossCheck) -> dict[str, Any]:
    return {
        "source": source,
        "ok": not found.breaches,
        "max_lost_share": limits.max_lost_share,
        "tolerance": limits.tolerance,
        "breaches": [breach._asdict() for breach in found.breaches],
        "agents": [_record(loss) for loss in found.judged],
        "notes": found.notes,
    }


def _record(loss: AgentLoss) -> dict[str, Any]:
    return {name: None if value != value else value for name, value in loss._asdict().items()}  # noqa: PLR0124  NaN
