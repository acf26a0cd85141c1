"""Load request logs into snapshots: read them into runs, and learn from the runs as the governor would have.

What was inferred and what the log does not contain is in ``snapshot.caveats``, what could not be read in
``snapshot.problems``.
"""

import glob
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final, NamedTuple, Self

from acg_lab._format import counted, suggest
from acg_lab.config.settings import AcgSettings
from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.codec import parse_time
from acg_lab.core.errors import RecordError, SourceError, UsageError
from acg_lab.core.plain_numbers import plain_number
from acg_lab.core.rules import NEWEST
from acg_lab.logs.entries import APIS, LoggedCall, ReadOptions
from acg_lab.logs.files import is_log_name, is_pipe, looks_like_log
from acg_lab.logs.formats import get_format
from acg_lab.logs.raw_fields import FIELD_NAMES
from acg_lab.logs.read_log import Log, read_log
from acg_lab.snapshot.learn import learn_runs
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage._runtime import Bar, paused_collector
from acg_lab.storage.limits import DEFAULT_LIMITS, Limits
from acg_lab.storage.masking import mask_credentials
from acg_lab.storage.parquet_files import is_parquet_file
from acg_lab.storage.parquet_layout import MARKERS
from acg_lab.storage.sources import is_redis

__all__ = ["LoadWarning", "LogOptions", "Problems", "Within", "is_log", "learn_log", "load_log"]

_MAX_OTHERS: Final = 10_000  # files that no reader takes, from which on a folder is refused


class LoadWarning(UserWarning):
    """Some entries of a source could not be read, and were left out.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", LoadWarning)  # the entries stay in `snap.problems`
    """


class LogOptions(NamedTuple):
    """Options for reading a log and learning from it; see `acg_lab.load`."""

    format: str = "auto"
    api: str = "auto"
    settings: AcgSettings | None = None
    rules: str = "auto"
    full_payloads: bool = False
    sample_rate: float = 1.0
    fields: Mapping[str, str] = {}
    limits: Limits = DEFAULT_LIMITS

    def check(self) -> ReadOptions:
        """Return the options of the readers.

        Raises
        ------
        UsageError
            If an option is invalid.
        """
        if self.format != "auto":
            get_format(self.format)
        if self.api not in ("auto", *APIS):
            msg = f"The 'api' option must be 'auto' or one of {', '.join(map(repr, APIS))}; got {self.api!r}."
            msg += suggest(self.api, APIS)
            raise UsageError(msg)
        rate = plain_number(self.sample_rate)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= 1:
            msg = f"The 'sample_rate' option must be above 0 and at most 1, as in 0.1 for a tenth; got {rate!r}."
            raise UsageError(msg)
        if self.settings is not None and not isinstance(self.settings, AcgSettings):
            kind = type(self.settings).__name__
            msg = f"The 'settings' option must be AcgSettings, such as acg_lab.load_config returns; got {kind}."
            raise UsageError(msg)
        if self.settings is not None:
            check_thresholds(self.settings.thresholds)
        if not isinstance(self.fields, Mapping):
            kind = type(self.fields).__name__
            msg = f"The 'fields' option must be a mapping, such as {{'agent': 'metadata.app'}}; got {kind}."
            raise UsageError(msg)
        for name, path in self.fields.items():
            if name not in FIELD_NAMES:
                msg = f"The fields of a line are {', '.join(map(repr, FIELD_NAMES))}; got {name!r}."
                msg += suggest(name, FIELD_NAMES)
                raise UsageError(msg)
            if not isinstance(path, str) or not all(path.split(".")):
                msg = f"The path of the field {name!r} must be dotted, such as 'metadata.app'; got {path!r}."
                raise UsageError(msg)
        api = None if self.api == "auto" else self.api
        return ReadOptions(api, self.fields, self.limits)  # type: ignore[arg-type]


class Within:
    """Whether a call began in a time. One without a time did not, if there is a limit; these are counted."""

    def __init__(self, since: int | None, until: int | None) -> None:
        self._since, self._until = since, until
        self.n_untimed = 0

    def __call__(self, call: LoggedCall) -> bool:
        """Return whether a call began in the time, and count one without a time."""
        if self._since is None and self._until is None:
            return True
        if call.started_at is None:
            self.n_untimed += 1
            return False
        started = parse_time(call.started_at)
        return (self._since is None or started >= self._since) and (self._until is None or started < self._until)

    def join(self, other: Self) -> None:
        """Count what another one counted."""
        self.n_untimed += other.n_untimed

    def caveats(self) -> Iterator[str]:
        """Yield what to say of the calls without a time."""
        if self.n_untimed:
            yield f"{counted(self.n_untimed, 'request')} without a time left out, since a time was asked for"


def is_log(source: Any) -> bool:
    """Return whether a source is a request log, judged by its name, or the names of files in a local folder or glob.

    A remote folder counts as an export, unless a format is named.
    """
    if not isinstance(source, str | os.PathLike):
        return False
    path = os.fsdecode(source).removeprefix("file://")
    if path == "-" or (is_log_name(path) and not is_redis(path)):
        return True
    if glob.has_magic(path) and not os.path.lexists(path):
        return is_log_name(path.rstrip("*")) or any(map(is_log_name, glob.glob(path, recursive=True)))  # noqa: PTH207
    if os.path.isdir(path):  # noqa: PTH112  a path by name
        if (Path(path) / MARKERS).is_dir():
            return False
        return _is_log_folder(path)
    return is_pipe(path) or (not is_parquet_file(Path(path)) and looks_like_log(path))


def _is_log_folder(folder: str) -> bool:
    """Return whether a local folder holds files of a log, and no Parquet.

    Raises
    ------
    SourceError
        If it holds so many other files that it is hardly meant, such as ``/``.
    """
    has_log, n_others = False, 0
    for file in _walk(folder):
        if (file.suffix or _has_bytes(file)) and is_parquet_file(file):
            return False
        if is_log_name(file.name):
            has_log = True
        else:
            n_others += 1
        if n_others > _MAX_OTHERS:
            msg = (
                f"{folder}: expected an export or a log; more than {_MAX_OTHERS:,} files in it are neither. Name the "
                "folder, the file or a pattern of what is meant."
            )
            raise SourceError(msg)
    return has_log


def _walk(folder: str) -> Iterator[Path]:
    """Yield the files below a folder, without hidden folders, in which no reader looks."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(("_", ".")) or "=" in name]
        yield from (Path(place) / name for name in names)


def _has_bytes(path: Path) -> bool:
    """Return whether a path is a plain file that is not empty; reading from a pipe or a file of /proc may never end."""
    try:
        status = path.stat()
    except OSError:
        return False
    return S_ISREG(status.st_mode) and status.st_size > 0


def load_log(
    source: str,
    options: LogOptions,
    *,
    agent_id: str | None,
    wants: Within,
    strict: bool,
    progress: bool,
    n_jobs: int,
) -> Snapshot:
    """Read a log into a snapshot; see `acg_lab.load`."""
    read_options = options.check()
    label = mask_credentials(source) if source != "-" else "standard input"
    problems = Problems(strict=strict)
    with paused_collector():
        with Bar(f"reading {label}", shown=progress) as bar:
            log = read_log(
                source,
                format=options.format,
                options=read_options,
                on_problem=problems.take,
                progress=bar,
                wants=wants,
                agent_id=agent_id,
                n_jobs=n_jobs,
            )
        left_out = log.runs._replace(caveats=(*log.runs.caveats, *wants.caveats()))
        return learn_log(log._replace(runs=left_out), options, label, problems, progress=progress)


def learn_log(log: Log, options: LogOptions, label: str, problems: "Problems", *, progress: bool) -> Snapshot:
    """Learn from the runs of a log; warn of what could not be read."""
    formats = f" ({' and '.join(log.formats)})" if log.formats else ""
    source = f"{label}{formats}, learned here from a log"
    with Bar("learning", shown=progress, unit=" steps") as bar:
        snapshot = learn_runs(
            log.runs.runs,
            log.runs.recorded,
            source=source,
            settings=options.settings,
            rules=NEWEST if options.rules == "auto" else options.rules,
            full_payloads=options.full_payloads,
            problems=tuple(problems.found),
            caveats=(*log.runs.caveats, *_sampled(options.sample_rate)),
            on_progress=bar,
        )
    if problems.strict and snapshot.problems:
        raise snapshot.problems[0]
    if snapshot.problems:
        found = snapshot.problems
        msg = f"{label}: {counted(len(found), 'problem')}; see .problems. First: {found[0]}"
        warnings.warn(msg, LoadWarning, stacklevel=4)
    origin = snapshot.columns.origin._replace(sample_rate=float(options.sample_rate))
    return replace(snapshot, columns=replace(snapshot.columns, origin=origin))


def _sampled(rate: float) -> Iterator[str]:
    if rate < 1:
        yield f"the log holds {rate:.4g} of the traffic, as given"


class Problems:
    """Collect problems, or raise the first."""

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        self.found: list[RecordError] = []

    def take(self, error: RecordError) -> None:
        """Keep a problem."""
        if self.strict:
            raise error from None
        self.found.append(error)
