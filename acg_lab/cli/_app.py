"""The application, the options and the output that all commands share.

Tables go to standard output, progress and warnings to standard error. Exit status: 0; 1 for a problem in the data or
the source, or a limit of 'check' that is exceeded; 2 for wrong use; 3 if 'tune' would change nothing.
"""

import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

import acg_lab
from acg_lab._format import counted, printable, printable_json
from acg_lab.core import RULES, AcgLabError, SourceError, StabilityThresholds, UsageError
from acg_lab.snapshot import LoadWarning, Snapshot, load
from acg_lab.storage.sources import mask_credentials

__all__ = [
    "DEFAULTS",
    "FAILED",
    "Agent",
    "AsJson",
    "IncludePrivate",
    "KeyPrefix",
    "MinObservations",
    "Newest",
    "RulesOption",
    "SemiStableThreshold",
    "Since",
    "Source",
    "StableThreshold",
    "Strict",
    "cli",
    "complain",
    "complaints",
    "main",
    "out",
    "parse_mode",
    "print_json",
    "print_text",
    "read",
    "say",
    "warn_about_large_window",
]


class _Commands(TyperGroup):
    """The commands; error messages repeat arguments with credentials masked."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _masking():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _masking():
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:  # else typer exits silently
                complain("acg-lab: interrupted")
                raise typer.Exit(_INTERRUPTED) from None


@contextmanager
def _masking() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(message := getattr(error, "message", None), str):
            error.message = mask_credentials(message)  # type: ignore[attr-defined]
        raise


cli = typer.Typer(
    cls=_Commands,
    help="Explore and tune the prompt-cache learner (ACG) of NeMo Flow / NeMo Relay on your own history.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
if sys.stdout is None:  # closed by the caller
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # open until the process exits
_HAS_COLUMNS = os.environ.get("COLUMNS", "").isdigit()
# A pipe or file gets tables of at most this width; a terminal and COLUMNS set their own.
_WIDTH = None if sys.stdout.isatty() or _HAS_COLUMNS else 100
out, _err = Console(highlight=False, width=_WIDTH), Console(stderr=True, highlight=False)
for _console in (out, _err):
    _console.width = max(_console.width, 40)  # COLUMNS may be 0, and the longest setting name has 36 characters
FAILED, _MISUSED, _INTERRUPTED = 1, 2, 130

Source = Annotated[
    str,
    typer.Argument(
        help="redis://, rediss://, unix:// or redis+cluster:// address; a Parquet export or a request log (file, "
        "folder, glob, URI); '-' reads a log from standard input; 'sample' and 'sample-log' come with acg-lab.",
        metavar="SOURCE",
    ),
]
Agent = Annotated[str | None, typer.Option("--agent", help="Only this agent.", metavar="ID")]
StableThreshold = Annotated[float, typer.Option(help="Score from which a block is stable.")]
SemiStableThreshold = Annotated[float, typer.Option(help="Score from which a block is semi-stable.")]
MinObservations = Annotated[int, typer.Option(help="Observations for full confidence.")]
Newest = Annotated[
    int | None, typer.Option("--window", help="Only the newest N observations of each profile.", metavar="N", min=1)
]
Since = Annotated[str | None, typer.Option(help="Leave out everything that started before this date or RFC 3339 time.")]
KeyPrefix = Annotated[str, typer.Option(help="Key prefix in Redis; 'auto' detects it.")]
RulesOption = Annotated[str, typer.Option(help=f"Rules version: {', '.join(RULES)}; 'auto' detects each profile's.")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail at the first entry that can't be read.")]
IncludePrivate = Annotated[
    bool, typer.Option("--include-private", help="Include the texts of blocks labelled private or restricted.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
DEFAULTS = StabilityThresholds()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit the process with its status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            cli(args=None if arguments is None else list(arguments), prog_name="acg-lab")
        finally:
            sys.stdout.flush()
    except AcgLabError as error:
        complain(f"acg-lab: {error}", "red")
        sys.exit(_MISUSED if isinstance(error, UsageError) else FAILED)
    except BrokenPipeError:  # as typer and rich do; a difference that nobody read is not a success
        _drop_output()
        sys.exit(FAILED)
    except OSError as error:
        _drop_output()
        complain(f"acg-lab: the output can't be written: {error.strerror or error}", "red")
        sys.exit(FAILED)


def _drop_output() -> None:
    """Discard the buffered output, which Python would otherwise try to write again at exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(text: str, style: str = "") -> None:
    """Print a line on standard error, as `say` does on standard output."""
    _print_lines(_err, text, style)


def say(text: str) -> None:
    """Print lines on standard output, with credentials masked and control characters escaped.

    A terminal gets them wrapped at words. A pipe or file gets them as they are, unless COLUMNS says how wide it is.
    """
    _print_lines(out, text)


def _print_lines(console: Console, text: str, style: str = "") -> None:
    lines = [printable(line) for line in mask_credentials(text).split("\n")]
    if _HAS_COLUMNS or console.file.isatty():
        lines = [part for line in lines for part in _wrap(line, console.width)]
    console.print(Text("\n".join(lines), style=style), soft_wrap=True)


def _wrap(line: str, width: int) -> list[str]:
    """Break a line between words, keeping its indent; a longer word, such as a path, stays whole."""
    if cell_len(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    parts = [indent]
    for gap, word in re.findall(r"(\s*)(\S+)", line.lstrip()):
        if parts[-1] != indent and cell_len(parts[-1] + gap + word) > width:
            parts.append(indent + word)
        else:
            parts[-1] += gap + word
    return parts


def _print_version(wanted: bool) -> None:  # noqa: FBT001  as typer calls it
    if wanted:
        say(f"acg-lab {acg_lab.__version__}")
        raise typer.Exit


@cli.callback()
def _root(
    _version: Annotated[  # noqa: FBT002
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


@contextmanager
def complaints() -> Iterator[None]:
    """Print warnings about the source as one line each on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LoadWarning)
        yield
    for warning in caught:
        complain(f"acg-lab: warning: {warning.message}", "yellow")


def read(source: str, agent: str | None = None, *, key_prefix: str = "auto", **options: Any) -> Snapshot:
    """Load a source like `acg_lab.load`, printing its warnings on standard error.

    Raises
    ------
    SourceError
        If not one request of a log can be read.
    UsageError
        If the source has no such agent; the message lists the nearest names.
    """
    with complaints():
        snapshot = load(source, agent_id=agent, key_prefix=key_prefix, **options)
        if not (options.get("since") or options.get("until")):
            _check_requests(snapshot)
    if snapshot.learned_here:
        complain(f"acg-lab: {snapshot.source}: {snapshot.facts}")
    for caveat in snapshot.caveats:
        complain(f"acg-lab: note: {caveat}")
    return snapshot


def _check_requests(snapshot: Snapshot) -> None:
    if snapshot.learned_here and snapshot.problems and not len(snapshot.runs):
        more = f" ({len(snapshot.problems) - 1:,} more problems)" if len(snapshot.problems) > 1 else ""
        msg = f"no request can be read: {snapshot.problems[0]}{more}"
        raise SourceError(msg)


def parse_mode(mode: str | None) -> int | None:
    """Return the value of ``--mode``; raise UsageError if it is not three octal digits."""
    if mode is None:
        return None
    if not re.fullmatch("0?[0-7]{3}", mode):
        msg = f"--mode must be three octal digits, such as 750; got {mode!r}."
        raise UsageError(msg)
    return int(mode, 8)


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    sys.stdout.flush()
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    sys.stdout.buffer.write((printable_json(text) + "\n").encode())  # UTF-8 everywhere


def print_text(text: str) -> None:
    """Print text unchanged, line ends included, but with credentials masked; a terminal gets no control characters."""
    if sys.stdout.isatty():
        text = "".join(char if char in "\r\n\t" else printable(char) for char in text)
    sys.stdout.flush()
    sys.stdout.buffer.write(mask_credentials(text).encode())


def warn_about_large_window(snapshot: Snapshot, window: int | None) -> None:
    """Say so if the window asked for is larger than every stored window."""
    source = snapshot.columns.observations
    most = max((len(source.observations_of(source.number[key])) for key in snapshot.windows), default=0)
    if window is not None and window > most:
        say(f"No window holds more than {counted(most, 'observation')}: --window {window:,} changes nothing.")
