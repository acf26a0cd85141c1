"""``acg-lab verify``: recompute what production stored and report every difference."""

from collections import Counter
from textwrap import wrap
from typing import Annotated, Any

import typer
from rich.cells import cell_len

from acg_lab._format import counted, cut, printable
from acg_lab.cli._app import (
    FAILED,
    Agent,
    AsJson,
    KeyPrefix,
    RulesOption,
    Source,
    Strict,
    out,
    print_json,
    read,
    say,
)
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.core import StabilityThresholds
from acg_lab.snapshot import Snapshot, Status, Verification, verify
from acg_lab.storage.sources import is_redis


@source_command("verify")
def _verify(
    source: Source,
    log: LogOptions,
    agent: Agent = None,
    stable_threshold: Annotated[float | None, typer.Option(help="The setting in force, if known.")] = None,
    semi_stable_threshold: Annotated[float | None, typer.Option(help="The setting in force, if known.")] = None,
    min_observations: Annotated[int | None, typer.Option(help="The setting in force, if known.")] = None,
    window: Annotated[int | None, typer.Option(help="The observation window in force, if known.", min=1)] = None,
    key_prefix: KeyPrefix = "auto",
    rules: RulesOption = "auto",
    strict: Strict = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Recompute what production stored and report every difference.

    Results are recomputed from windows, and windows from runs where there are any. Settings that are not given are
    inferred. What differs in a Redis is read again, since production may write meanwhile. The exit status is 0 only if
    everything could be compared and nothing differs.
    """
    given = {
        "stable_threshold": stable_threshold,
        "semi_stable_threshold": semi_stable_threshold,
        "min_observations_for_full_confidence": min_observations,
    }
    known = {name: value for name, value in given.items() if value is not None}
    snapshot = read(source, agent, key_prefix=key_prefix, rules=rules, strict=strict, **log)
    thresholds = StabilityThresholds(**known) if known else None  # type: ignore[arg-type]
    live = source if is_redis(source) else None
    verification = verify(snapshot, thresholds, observation_window=window, source=live, gentle=log.get("gentle"))
    if as_json:
        print_json(_as_json(snapshot, verification))
    else:
        _print(snapshot, verification)
    if not verification.ok or snapshot.columns.problems:
        raise typer.Exit(FAILED)


def _as_json(snapshot: Snapshot, verification: Verification) -> dict[str, Any]:
    verdicts = [
        verdict._asdict() | {"difference": verdict.difference and verdict.difference._asdict()}
        for verdict in verification.verdicts
    ]
    problems = [str(problem) for problem in snapshot.problems]
    found = {"ok": verification.ok, "settings": verification.settings, "verdicts": verdicts, "problems": problems}
    return found | {"notes": list(verification.notes), "caveats": snapshot.caveats}


def _print(snapshot: Snapshot, verification: Verification) -> None:
    """Print one line per agent, and one for each entry that is not equal."""
    for agent_id in snapshot.agent_ids:
        verdicts = [verdict for verdict in verification.verdicts if verdict.agent_id == agent_id]
        counts = Counter(verdict.status for verdict in verdicts)
        from_runs = sum(verdict.checked_runs for verdict in verdicts)
        runs = (
            f", {counted(from_runs, 'window')} also reproduced from runs"
            if from_runs
            else ", no runs to check windows with"
        )
        name = cut(printable(agent_id), out.width // 2, cell_len)
        say(f"{name}: {', '.join(f'{n:,} {status}' for status, n in counts.most_common())}{runs}")
        for line in wrap(f"stored with {verification.settings[agent_id]}", out.width - 2):
            say(f"  {line}")
        for verdict in verdicts:
            if verdict.status not in (Status.EQUAL, Status.TIES):
                say(f"  {printable(verdict.key)}\n    {verdict.status}: {printable(verdict.detail)}")
    for note in verification.notes:
        say(printable(note[:1].upper() + note[1:]) + ".")
    say(verification.conclusion)
    if snapshot.columns.problems:
        say(f"{counted(len(snapshot.problems), 'entry')} can't be read; --json lists them.")
