"""``acg-lab report``: one HTML file for colleagues."""

from pathlib import Path
from typing import Annotated

import typer

from acg_lab.cli._app import Agent, IncludePrivate, KeyPrefix, RulesOption, Source, Strict, parse_mode, read, say
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.cli._simulation import CacheProvider
from acg_lab.reporting import report

Out = Annotated[Path, typer.Option("--out", help="The file to write; one that is there is replaced.")]
WithAdvice = Annotated[bool, typer.Option("--advice/--no-advice", help="Whether settings are recommended too.")]
WithText = Annotated[bool, typer.Option("--text", help="Show excerpts of prompts that differ.")]


@source_command("report")
def _report(
    source: Source,
    log: LogOptions,
    out: Out = Path("report.html"),
    agent: Agent = None,
    cache_provider: CacheProvider = "auto",
    advice: WithAdvice = True,  # noqa: FBT002
    text: WithText = False,  # noqa: FBT002
    key_prefix: KeyPrefix = "auto",
    rules: RulesOption = "auto",
    include_private: IncludePrivate = False,  # noqa: FBT002
    mode: Annotated[
        str | None,
        typer.Option(help="Permissions of the file, such as 644; a new one is its owner's alone."),
    ] = None,
    strict: Strict = False,  # noqa: FBT002
) -> None:
    """Write what is paid, why requests miss and what to change into one HTML file.

    The file needs nothing else and fetches nothing. It holds no text of a prompt without --text.
    """
    log = {**log, "include_private": include_private}
    permissions = parse_mode(mode)
    snapshot = read(source, agent, key_prefix=key_prefix, rules=rules, strict=strict, **log)
    made = report(snapshot, out, cache_provider=cache_provider, advice=advice, text=text, mode=permissions)
    say(made.summary)
    say(f"Written to {out}.")
