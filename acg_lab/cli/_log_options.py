"""The options of request logs, of a Redis and of limits, declared once for every command that takes SOURCE.

A command that is registered by `source_command` has a parameter ``log``, which holds what `acg_lab.load` takes of a
log, and ``gentle`` and ``limits`` if they were given. On the command line those of logs are a group of their own.
"""

import inspect
import os
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any, Final, TypeVar, get_type_hints

import typer
from typer.core import TyperCommand

from acg_lab._format import suggest
from acg_lab.cli._app import cli
from acg_lab.core import RULES, UsageError
from acg_lab.logs.entries import APIS
from acg_lab.logs.raw_fields import FIELD_NAMES
from acg_lab.storage.limits import LIMIT_NAMES, Limits
from acg_lab.storage.redis_address import PASSWORD, read_password

__all__ = ["LogOptions", "source_command"]

LogOptions = dict[str, Any]
_GROUP = "Options of request logs"
_UNITS: Final = {None: 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_Command = TypeVar("_Command", bound=Callable[..., None])


def _option(*names: str, about: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=about, metavar=metavar, rich_help_panel=_GROUP)


def _collect(
    *,
    log_format: Annotated[
        str, _option("--format", metavar="NAME", about="Format of the log; 'auto' looks at its first lines.")
    ] = "auto",
    api: Annotated[
        str, _option("--api", metavar="NAME", about=f"API of raw bodies: auto, {', '.join(APIS)}.")
    ] = "auto",
    agent_from: Annotated[
        str | None,
        _option("--agent-from", metavar="PATH", about="Where a line names the agent, such as metadata.app."),
    ] = None,
    session_from: Annotated[
        str | None, _option("--session-from", metavar="PATH", about="Where a line names the session.")
    ] = None,
    fields: Annotated[
        list[str] | None,
        _option("--field", metavar="NAME=PATH", about=f"Where a line has another field: {', '.join(FIELD_NAMES)}."),
    ] = None,
    rules: Annotated[
        str, _option("--rules", about=f"Rules version to learn by: {', '.join(RULES)}; 'auto' takes the newest.")
    ] = "auto",
    since: Annotated[
        str | None, _option("--since", about="Leave out requests sent before this date or RFC 3339 time.")
    ] = None,
    until: Annotated[
        str | None, _option("--until", about="Leave out requests sent at or after this date or RFC 3339 time.")
    ] = None,
    sample_rate: Annotated[
        float, _option("--sample-rate", about="Share of the traffic in the log, such as 0.1.")
    ] = 1.0,
    full_payloads: Annotated[
        bool, _option("--full-payloads", about="Learn later requests of a run whole, not cut to the current turn.")
    ] = False,
    jobs: Annotated[
        int, _option("--jobs", metavar="N", about="Processes that parse a log of several files; -1 for all cores.")
    ] = 1,
) -> LogOptions:
    """Return the options as `acg_lab.load` takes them."""
    named = {"agent": agent_from, "session": session_from}
    paths = {name: path for name, path in named.items() if path is not None}
    return {
        "format": log_format,
        "api": api,
        "fields": _parse_fields(fields or (), paths),
        "rules": rules,
        "since": since,
        "until": until,
        "sample_rate": sample_rate,
        "full_payloads": full_payloads,
    } | ({} if jobs == 1 else {"n_jobs": jobs})


def _parse_fields(given: Sequence[str], paths: dict[str, str]) -> dict[str, str]:
    for text in given:
        name, equals, path = (part.strip() for part in text.partition("="))
        if not equals or not path:
            msg = f"--field {text}: expected NAME=PATH, such as started=meta.time."
            raise UsageError(msg)
        if name not in FIELD_NAMES:
            msg = f"--field {text}: the names are {', '.join(FIELD_NAMES)}; got {name!r}.{suggest(name, FIELD_NAMES)}"
            raise UsageError(msg)
        if name in paths:
            msg = f"--field {text}: the path of {name!r} is given twice."
            raise UsageError(msg)
        paths[name] = path
    return paths


def _parse_limits(given: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text in given:
        name, equals, number = (part.strip() for part in text.partition("="))
        parts = re.fullmatch(r"(\d+)(KiB|MiB|GiB)?", number.replace("_", "").replace(",", ""))
        if not equals or parts is None:
            msg = f"--max {text}: expected NAME=N, such as line_bytes=256MiB or blocks=200000."
            raise UsageError(msg)
        if name not in LIMIT_NAMES:
            msg = f"--max {text}: the limits are {', '.join(LIMIT_NAMES)}; got {name!r}.{suggest(name, LIMIT_NAMES)}"
            raise UsageError(msg)
        found[name] = int(parts[1][:19]) * _UNITS[parts[2]]
    return found


class _SourceCommand(TyperCommand):
    """A command whose help lists the options of request logs apart."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                default = "Arguments" if parameter.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or default, []).append(record)
        for title, records in sorted(groups.items(), key=lambda group: group[0] == _GROUP):
            with formatter.section(title):
                formatter.write_dl(records)


_password_parameter: Final = inspect.Parameter(
    "password_file",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        typer.Option(
            help=f"File with the password of a Redis whose address has none; '-' asks for it. Else {PASSWORD}.",
            metavar="FILE",
        ),
    ],
)

_gentle_parameter: Final = inspect.Parameter(
    "gentle",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        bool | None,
        typer.Option(
            "--gentle/--no-gentle",
            help="Leave a Redis at least half of its time while reading; by default unless it is on this machine.",
            show_default=False,
        ),
    ],
)
_limit_parameter: Final = inspect.Parameter(
    "limits",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        list[str] | None,
        typer.Option(
            "--max",
            help=f"A limit of what is read, such as line_bytes=256MiB: {', '.join(LIMIT_NAMES)}.",
            metavar="NAME=N",
        ),
    ],
)
_of_every_source: Final = (_password_parameter, _gentle_parameter, _limit_parameter)


def source_command(name: str) -> Callable[[_Command], _Command]:
    """Register a command that takes SOURCE, with the options of request logs, of a Redis and of limits.

    Parameters
    ----------
    name : str
        Of the command. Its function has a parameter ``log``; an option that it declares itself is left to it.
    """

    def register(command: _Command) -> _Command:
        own = inspect.signature(command).parameters
        added = {n: p for n, p in inspect.signature(_collect).parameters.items() if n not in own}
        hints = get_type_hints(_collect, include_extras=True)

        @wraps(command)
        def run(
            *,
            password_file: str | None = None,
            gentle: bool | None = None,
            limits: list[str] | None = None,
            **given: Any,
        ) -> None:
            if password_file is not None:
                os.environ[PASSWORD] = read_password(password_file)  # for kernels and workers too
            log = _collect(**{name: given.pop(name) for name in added})
            log = {option: value for option, value in log.items() if option not in own}
            log |= {} if gentle is None else {"gentle": gentle}
            log |= {"limits": Limits(**_parse_limits(limits))} if limits else {}
            command(**given, log=log)

        kept = [parameter for parameter in own.values() if parameter.name != "log"]
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [*(p.replace(kind=keyword) for p in kept), *_of_every_source, *added.values()]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        of_command = get_type_hints(command, include_extras=True)
        run.__annotations__ = {p.name: of_command[p.name] for p in kept} | {n: hints[n] for n in added}
        run.__annotations__ |= {p.name: p.annotation for p in _of_every_source}
        cli.command(name, cls=_SourceCommand)(run)
        return command

    return register
