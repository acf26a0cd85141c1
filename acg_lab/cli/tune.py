"""``acg-lab tune``: recommend settings, judged on requests that the choice has not seen, and write them to a file.

Exit status 3 means that nothing is to be changed.
"""

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from acg_lab._format import printable
from acg_lab.advice import Recommendation, recommend
from acg_lab.cli._app import (
    Agent,
    AsJson,
    KeyPrefix,
    RulesOption,
    Source,
    Strict,
    out,
    print_json,
    print_text,
    read,
    say,
)
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.cli._simulation import CacheProvider
from acg_lab.config import inactive_reasons, load_config, propose_config

_UNCHANGED: Final = 3

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", help="The plugins.toml that production reads: its settings are the current ones, and it is changed."
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs", help="Processes that price settings, and parse a log of several files; -1 for all cores.", metavar="N"
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what --out would change, and change nothing.")]


@source_command("tune")
def _tune(
    source: Source,
    log: LogOptions,
    agent: Agent = None,
    out_path: Out = None,
    cache_provider: CacheProvider = "auto",
    dry_run: DryRun = False,  # noqa: FBT002
    key_prefix: KeyPrefix = "auto",
    rules: RulesOption = "auto",
    strict: Strict = False,  # noqa: FBT002
    jobs: Jobs = 1,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Recommend the governor's settings, and write them into a plugins.toml.

    The setting is chosen on the first part of the history and judged on the rest. The exit status is 3 if nothing is
    to be changed.
    """
    snapshot = read(source, agent, key_prefix=key_prefix, rules=rules, strict=strict, n_jobs=jobs, **log)
    current = load_config(out_path) if out_path is not None and out_path.exists() else None
    best = recommend(snapshot, cache_provider=cache_provider, current=current, n_jobs=jobs)
    if as_json:
        print_json(_as_json(snapshot.source, best))
    else:
        _print(best)
    if not best.is_change:
        raise typer.Exit(_UNCHANGED)
    if out_path is not None:
        _write(out_path, best, dry_run=dry_run, quiet=as_json)
    elif not as_json:
        say("\nNext: --out plugins.toml writes it; later, 'acg-lab compare SOURCE --at TIME' says if it held.")


def _print(best: Recommendation) -> None:
    if best.is_change:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for title in ("setting", "current", "recommended"):
            table.add_column(title, no_wrap=True)
        for name, (now, then) in best.changes.items():
            table.add_row(name, escape(str(now)), escape(str(then)))
        out.print(table)
        out.print()
    for line in best.lines[1 if best.is_change else 0 :]:
        out.print(Text(printable(line)))


def _write(path: Path, best: Recommendation, *, dry_run: bool, quiet: bool) -> None:
    proposal = propose_config(path, best.settings)
    if dry_run:
        if not quiet:
            say("")
            print_text(proposal.diff())
        return
    proposal.write()
    if quiet:
        return
    say(f"\n{path}: written. Restart the process that reads this file to use it.")
    for caveat in proposal.caveats:
        say(caveat)
    for reason in inactive_reasons(path):
        say(f"Production learns nothing with this file: {reason}")


def _as_json(source: str, best: Recommendation) -> dict[str, Any]:
    share = best.share
    return {
        "source": source,
        "change": best.is_change,
        "reason": best.reason,
        "current": best.current.values(),
        "recommended": best.settings.values(),
        "currency": best.currency,
        "held_out": {
            "cost": best.cost,
            "saved": best.saved._asdict(),
            "share": share._asdict(),
            "saved_tokens": best.saved_tokens,
            "saved_a_month": best.saved_a_month,
            "saved_by_the_best_in_hindsight": best.best,
            "periods": [period._asdict() for period in best.periods],
        },
        "agents": [
            {"agent_id": agent.agent_id, "cost": agent.cost, "share": agent.share, "saved": agent.saved._asdict()}
            for agent in best.agents
        ],
        "repairs": [repair._asdict() for repair in best.repairs],
        "remarks": best.remarks,
    }
