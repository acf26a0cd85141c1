"""``acg-lab config``: show and change the learner's settings in the file that production reads."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from acg_lab.cli._app import AsJson, cli, complain, print_json, print_text, say
from acg_lab.config import AcgSettings, Proposal, inactive_reasons, load_config, propose_changes
from acg_lab.core import AcgLabError, UsageError

_DIFFERS, _TROUBLE = 1, 2
_DEFAULTS = AcgSettings(provider="passthrough", priority=50).values()

File = Annotated[str, typer.Argument(help="A plugins.toml, or the same as JSON (by its suffix .json).", metavar="FILE")]
Set = Annotated[
    list[str],
    typer.Option("--set", help=f"A value to change; repeat for more: {', '.join(_DEFAULTS)}.", metavar="NAME=VALUE"),
]
Note = Annotated[str | None, typer.Option(help="A note, written as a comment above the changed values.")]

_commands = typer.Typer(
    help="Show and change the learner's settings in a plugins.toml.", no_args_is_help=True, rich_markup_mode=None
)
cli.add_typer(_commands, name="config")


@_commands.command("show")
def _show(file: File, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Show a file's settings, and why production would ignore them."""
    values, idle = load_config(file).values(), inactive_reasons(file)
    if as_json:
        print_json({"file": file, "settings": _DEFAULTS | values, "idle": idle})
        return
    for name, default in _DEFAULTS.items():
        value = values.get(name, default)
        say(f"{name:<36}  {value}{'' if value == default else f'  (default {default})'}")
    for reason in idle:
        say(f"Production learns nothing with this file: {reason}")


@_commands.command("diff")
def _diff(file: File, changes: Set, note: Note = None) -> None:
    """Print what 'set' would change, as a unified diff.

    The exit status is that of diff: 0 for no change, 1 for a change, 2 for trouble.
    """
    try:
        difference = _propose(file, changes, note).diff()
    except AcgLabError as error:
        complain(f"acg-lab: {error}", "red")
        raise typer.Exit(_TROUBLE) from None
    print_text(difference)
    if difference:
        raise typer.Exit(_DIFFERS)


@_commands.command("set")
def _set(file: File, changes: Set, note: Note = None) -> None:
    """Change values in a file, and nothing else in it.

    A missing file is created, with production's defaults for the other values.
    """
    proposal = _propose(file, changes, note)
    if not proposal.is_change:
        say(f"{file}: nothing to change.")
        return
    proposal.write()
    values = proposal.settings.values()
    changed = ", ".join(f"{name} = {values[name]}" for name in _parse(changes))
    say(f"{file}: wrote {changed}.")
    say("Restart the process that reads this file to use it.")
    for caveat in proposal.caveats:
        say(caveat)
    for reason in inactive_reasons(file):
        complain(f"acg-lab: warning: {file}: production learns nothing with this file: {reason}", "yellow")


def _propose(file: str, changes: Sequence[str], note: str | None) -> Proposal:
    return propose_changes(file, _parse(changes), note=note)


def _parse(changes: Sequence[str]) -> dict[str, Any]:
    """Parse ``NAME=VALUE`` texts; each value gets the type of its default."""
    values: dict[str, Any] = {}
    for change in changes:
        name, equals, text = (part.strip() for part in change.partition("="))
        if not equals:
            msg = f"--set {change}: expected NAME=VALUE."
            raise UsageError(msg)
        if name in values:
            msg = f"--set {name} is given twice."
            raise UsageError(msg)
        kind = type(_DEFAULTS.get(name, ""))
        try:
            values[name] = kind(text)
        except ValueError:
            msg = f"--set {change}: expected {'an integer' if kind is int else 'a number'}; got {text!r}."
            raise UsageError(msg) from None
    return values
