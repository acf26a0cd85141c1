"""The command ``acg-lab``: parse arguments, call, print, exit status.

Nothing here that a notebook could not call as a function. Tables go to standard output, progress and complaints to
standard error. Exit status: 0; 1 for a problem in the data or the source; 2 for wrong use.
"""

import os
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup

from acg_lab.core import RULES, AcgLabError, StabilityThresholds, UsageError, parse_learning_key
from acg_lab.snapshot import (
    LoadWarning,
    ProfileSummary,
    Snapshot,
    Status,
    Totals,
    Verification,
    analyze,
    load,
    summarize,
    total,
    verify,
)
from acg_lab.snapshot.model import counted
from acg_lab.storage.locate import is_redis, mask_credentials

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """The commands; what is complained of is repeated with credentials masked."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _masking():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _masking():
            return super().invoke(ctx)


@contextmanager
def _masking() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = mask_credentials(message)  # type: ignore[attr-defined]
        raise


app = typer.Typer(
    cls=_Commands,
    help="Explore and tune the prompt-cache learner (ACG) of NeMo Flow / NeMo Relay on your own history.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
if sys.stdout is None:  # closed by the caller: nobody is to see it
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # until the process ends
# Into a pipe or file a table is as wide as it needs, up to this; a terminal and COLUMNS say for themselves.
_WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 100
_out, _err = Console(highlight=False, width=_WIDTH), Console(stderr=True, highlight=False)
_FAILED, _MISUSED = 1, 2
_SHOWN = 3
_TITLES = ("agent and profile", "model", "obs.", "prefix", "tokens", "share", "broken by")
_GAP, _NAME_WIDTH = 2, 17

Source = Annotated[
    str,
    typer.Argument(
        help="redis://, rediss:// or unix:// address, or a Parquet export (file or folder, path or URI).",
        metavar="SOURCE",
    ),
]
Agent = Annotated[str | None, typer.Option("--agent", help="Only this agent.", metavar="ID")]
Since = Annotated[str | None, typer.Option(help="Drop what began before this date or RFC 3339 time.")]
KeyPrefix = Annotated[str, typer.Option(help="Key prefix in Redis; 'auto' finds it.")]
RulesOption = Annotated[str, typer.Option(help=f"Generation of the rules: auto, {', '.join(RULES)}.")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail at the first entry that can't be read.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
_DEFAULTS = StabilityThresholds()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; ends the process with its exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            app(args=None if arguments is None else list(arguments), prog_name="acg-lab")
        finally:
            sys.stdout.flush()
    except AcgLabError as error:
        _complain(f"acg-lab: {error}", "red")
        sys.exit(_MISUSED if isinstance(error, UsageError) else _FAILED)
    except KeyboardInterrupt:
        _complain("acg-lab: interrupted")
        sys.exit(130)
    except BrokenPipeError:
        _drop_output()
        sys.exit(0)
    except OSError as error:
        _drop_output()
        _complain(f"acg-lab: the output can't be written: {error.strerror or error}", "red")
        sys.exit(_FAILED)


def _drop_output() -> None:
    """Let what is left to be written go nowhere, or the end of the process would try it again."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str, style: str = "") -> None:
    _err.print(Text(mask_credentials(text), style=style), soft_wrap=True)


def _say(text: str) -> None:
    _out.print(Text(mask_credentials(text)), soft_wrap=True)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,  # noqa: FBT002
) -> None:
    if version:
        from importlib.metadata import version as installed  # noqa: PLC0415

        _say(f"acg-lab {installed('acg-lab')}")
        raise typer.Exit


@contextmanager
def _complaints() -> Iterator[None]:
    """Print warnings about the source as one line each on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LoadWarning)
        yield
    for warning in caught:
        _complain(f"acg-lab: warning: {warning.message}", "yellow")


@app.command("analyze")
def _analyze(
    source: Source,
    agent: Agent = None,
    stable_threshold: Annotated[float, typer.Option(help="Score from which a block is stable.")] = (
        _DEFAULTS.stable_threshold
    ),
    semi_stable_threshold: Annotated[float, typer.Option(help="Score from which a block is semi-stable.")] = (
        _DEFAULTS.semi_stable_threshold
    ),
    min_observations: Annotated[int, typer.Option(help="Observations for full confidence.")] = (
        _DEFAULTS.min_observations_for_full_confidence
    ),
    window: Annotated[
        int | None, typer.Option(help="Only the newest so many observations of each profile.", min=1)
    ] = None,
    since: Since = None,
    key_prefix: KeyPrefix = "auto",
    rows: Annotated[
        int, typer.Option(help="Profiles to list of each agent, worst first; 0 lists all.", min=0)
    ] = _SHOWN,
    rules: RulesOption = "auto",
    strict: Strict = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show how long each profile's stable prefix is, and what breaks it; worst loss first."""
    thresholds = StabilityThresholds(
        stable_threshold=stable_threshold,
        semi_stable_threshold=semi_stable_threshold,
        min_observations_for_full_confidence=min_observations,
    )
    with _complaints():
        snapshot = load(
            source, agent_id=agent, since=since, limit=window, key_prefix=key_prefix, rules=rules, strict=strict
        )
    profiles = summarize(snapshot, analyze(snapshot, thresholds))
    if as_json:
        _print_json(_as_json(snapshot, thresholds, profiles))
        return
    if not profiles:
        _say(f"{snapshot.source}: no profiles{f' of agent {agent!r}' if agent else ''}.")
        return
    _print_profiles(profiles, rows, thresholds)
    _print_totals(snapshot, total(profiles), thresholds)


@app.command("verify")
def _verify(
    source: Source,
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
    """Recompute what production stored; exit status 0 only if nothing differs.

    Results are recomputed from windows, windows from runs where there are any. Settings that are not given are found.
    """
    given = {
        "stable_threshold": stable_threshold,
        "semi_stable_threshold": semi_stable_threshold,
        "min_observations_for_full_confidence": min_observations,
    }
    known = {name: value for name, value in given.items() if value is not None}
    with _complaints():
        snapshot = load(source, agent_id=agent, key_prefix=key_prefix, rules=rules, strict=strict)
    thresholds = StabilityThresholds(**known) if known else None  # type: ignore[arg-type]
    verification = verify(snapshot, thresholds, observation_window=window)
    if as_json:
        _print_json(_verification_json(snapshot, verification))
    else:
        _print_verification(snapshot, verification)
    if not verification.ok or snapshot.problems:
        raise typer.Exit(_FAILED)


@app.command("export")
def _export(
    source: Source,
    dest: Annotated[
        str, typer.Argument(help="Folder (path or URI) for a Parquet export, or a redis:// address.", metavar="DEST")
    ],
    agent: Agent = None,
    since: Since = None,
    limit: Annotated[int | None, typer.Option(help="Only the newest so many observations and runs.", min=1)] = None,
    key_prefix: KeyPrefix = "auto",
    dest_prefix: Annotated[str | None, typer.Option(help="Key prefix at a Redis DEST; that of the source.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an export at DEST.")] = False,  # noqa: FBT002
    allow_write: Annotated[bool, typer.Option("--allow-write", help="Write to a Redis DEST.")] = False,  # noqa: FBT002
    strict: Strict = False,  # noqa: FBT002
) -> None:
    """Copy any source to Parquet, or back to a Redis, where no existing key is ever overwritten."""
    with _complaints():
        snapshot = load(source, agent_id=agent, since=since, limit=limit, key_prefix=key_prefix, strict=strict)
    if not is_redis(dest):
        snapshot.to_parquet(dest, overwrite=overwrite)
    elif allow_write:
        snapshot.to_redis(dest, key_prefix=dest_prefix)
    else:
        msg = f"{mask_credentials(dest)} is a Redis; to write to it, add --allow-write."
        raise UsageError(msg)
    _complain(f"exported {snapshot.facts} to {mask_credentials(dest)}")


def _print_json(value: Any) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")  # UTF-8 everywhere


def _as_json(snapshot: Snapshot, thresholds: StabilityThresholds, profiles: Sequence[ProfileSummary]) -> dict[str, Any]:
    return {
        "source": snapshot.source,
        "thresholds": thresholds,
        "profiles": [msgspec.structs.asdict(profile) | {"share": profile.share} for profile in profiles],
        "totals": total(profiles),
        "problems": [str(problem) for problem in snapshot.problems],
    }


def _verification_json(snapshot: Snapshot, verification: Verification) -> dict[str, Any]:
    verdicts = [
        verdict._asdict() | {"difference": verdict.difference and verdict.difference._asdict()}
        for verdict in verification.verdicts
    ]
    problems = [str(problem) for problem in snapshot.problems]
    return {"ok": verification.ok, "settings": verification.settings, "verdicts": verdicts, "problems": problems}


def _print_verification(snapshot: Snapshot, verification: Verification) -> None:
    """Print a line an agent, and one for each entry that is not simply equal."""
    for agent_id in snapshot.agent_ids:
        verdicts = [verdict for verdict in verification.verdicts if verdict.agent_id == agent_id]
        counts = Counter(verdict.status for verdict in verdicts)
        from_runs = sum(verdict.checked_runs for verdict in verdicts)
        runs = f", {counted(from_runs, 'window')} from the runs too" if from_runs else ", no runs to check windows with"
        _say(f"{_plain(agent_id)}: {', '.join(f'{n:,} {status}' for status, n in counts.most_common())}{runs}")
        _say(f"  stored with {verification.settings[agent_id]}")
        for verdict in verdicts:
            if verdict.status not in (Status.EQUAL, Status.TIES):
                _say(f"  {_plain(verdict.key)}\n    {verdict.status}: {_plain(verdict.detail)}")
    if not verification.verdicts:
        _say(f"{snapshot.source}: nothing to verify.")
        return
    _say("Nothing differs." if verification.ok else "Something differs.")


def _print_profiles(profiles: Sequence[ProfileSummary], shown: int, thresholds: StabilityThresholds) -> None:
    """Print the profiles by agent, worst loss first, the first few of each."""
    names, *columns = zip(_TITLES, *_rows(profiles, shown, thresholds), strict=True)
    if _room(columns) < _NAME_WIDTH:
        del columns[_TITLES.index("model") - 1]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(names[0], overflow="ellipsis", no_wrap=True, max_width=max(_room(columns), _NAME_WIDTH))
    for column in columns:
        table.add_column(column[0], justify="left" if column[0] in ("model", "broken by") else "right", no_wrap=True)
    for cells in zip(names[1:], *(column[1:] for column in columns), strict=True):
        table.add_row(*map(escape, cells))
    _out.print(table)


def _room(columns: Sequence[Sequence[str]]) -> int:
    """Return how many cells the other columns leave for the first one."""
    return _out.width - sum(max(map(cell_len, column)) + _GAP for column in columns)


def _rows(profiles: Sequence[ProfileSummary], shown: int, thresholds: StabilityThresholds) -> Iterator[list[str]]:
    for of_agent in _by_agent(profiles):
        listed = of_agent[: shown or None]
        for profile, name in zip(listed, _names(of_agent), strict=False):
            yield _row(profile, name, thresholds)
        if rest := of_agent[len(listed) :]:
            sums = total(rest)
            more = f"  and {counted(sums.profiles, 'more profile')}"
            yield [more, "", f"{sums.observations:,}", "", "", f"{sums.share:.0%}", ""]


def _by_agent(profiles: Sequence[ProfileSummary]) -> list[list[ProfileSummary]]:
    agents: dict[str, list[ProfileSummary]] = {}
    for profile in profiles:
        agents.setdefault(profile.agent_id, []).append(profile)
    return sorted(agents.values(), key=lambda of_agent: -sum(profile.lost_tokens for profile in of_agent))


def _row(profile: ProfileSummary, name: str, thresholds: StabilityThresholds) -> list[str]:
    return [
        _plain(f"{profile.agent_id} {name}".rstrip()),
        _cut(profile.model, 13),
        f"{profile.observations:,}",
        f"{profile.prefix_blocks}/{profile.blocks}",
        f"{profile.prefix_tokens:,.0f}",
        f"{profile.share:.0%}",
        _breaking(profile, thresholds),
    ]


def _breaking(profile: ProfileSummary, thresholds: StabilityThresholds) -> str:
    if profile.observations < 2:  # noqa: PLR2004
        return "unknown: one request"
    if (breaks := profile.breaks) is None:
        return "nothing: all stable"
    return f"{_cut(breaks.span_id, 16)} {breaks.classification} {_score(breaks.score, thresholds)}"


def _score(score: float, thresholds: StabilityThresholds) -> str:
    """Print a score with two digits, or as many more as keep it on its side of the thresholds."""
    limits = (thresholds.stable_threshold, thresholds.semi_stable_threshold)
    for digits in range(2, 17):
        text = f"{score:.{digits}f}"
        if all((float(text) >= limit) == (score >= limit) for limit in limits):
            break
    return text


def _cut(name: str, width: int) -> str:
    """Cut a name in the middle: its tail tells more than that."""
    name = _plain(name)
    if cell_len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{set_cell_size(name, width - 1 - tail)}…{set_cell_size(name[::-1], tail)[::-1]}"


def _plain(name: str) -> str:
    """Escape what does not print: a name may come from a prompt, and a terminal obeys control characters."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in name)


def _names(profiles: Sequence[ProfileSummary]) -> list[str]:
    """Name each profile of an agent by the ends of what its key does not share with the others."""
    keys = [parse_learning_key(p.learning_key, agent_id=p.agent_id) for p in profiles]
    fields = [f for f in ("seed", "system", "tools", "response_format") if len({getattr(k, f, None) for k in keys}) > 1]
    return [" ".join(f"{field}…{str(getattr(key, field, None))[-4:]}" for field in fields) for key in keys]


def _print_totals(snapshot: Snapshot, totals: Totals, thresholds: StabilityThresholds) -> None:
    _say(
        f"\n{counted(totals.profiles, 'profile')}, {counted(totals.observations, 'observation')}: "
        f"the stable prefix covers {totals.share:.0%} of {totals.prompt_tokens:,.0f} prompt tokens (estimated), "
        f"at stable_threshold {thresholds.stable_threshold:g}."
    )
    if totals.single:
        _say(f"{counted(totals.single, 'profile')} of one observation: nothing is planned for them.")
    if snapshot.problems:
        _say(f"{counted(len(snapshot.problems), 'entry')} can't be read; --json lists them.")
