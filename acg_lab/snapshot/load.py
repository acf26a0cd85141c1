"""Load a source into a snapshot, filtered by agent, profile, time and number."""

import logging
import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime

from acg_lab._format import counted
from acg_lab.config.settings import AcgSettings
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.keys import assign_agents
from acg_lab.core.plain_numbers import plain_number
from acg_lab.core.rules import get_rules
from acg_lab.logs.redis_dump import RedisDump, open_dump
from acg_lab.snapshot.known_agents import agents_of, check_agent
from acg_lab.snapshot.load_log import LoadWarning, LogOptions, Within, is_log, load_log
from acg_lab.snapshot.narrow import keep_agent, keep_keys, keep_newest
from acg_lab.snapshot.samples import find_sample
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage._runtime import Bar, paused_collector
from acg_lab.storage.base import Backend, Entry, OnProblem, Selection
from acg_lab.storage.columns import Columns
from acg_lab.storage.cores import check_n_jobs
from acg_lab.storage.ingest import ingest
from acg_lab.storage.limits import Limits, check_limits
from acg_lab.storage.parquet_backend import ParquetExport
from acg_lab.storage.redis_backend import RedisBackend
from acg_lab.storage.sources import open_source
from acg_lab.storage.times import parse_time

__all__ = ["LoadWarning", "load", "parse_option_time", "reads_whole"]


logger = logging.getLogger(__name__)


def load(
    source: "str | os.PathLike[str] | Backend | Snapshot",
    *,
    agent_id: str | None = None,
    keys: Collection[str] | None = None,
    since: str | date | None = None,
    until: str | date | None = None,
    limit: int | None = None,
    key_prefix: str = "auto",
    rules: str = "auto",
    strict: bool = False,
    progress: bool = True,
    format: str = "auto",  # noqa: A002  the name that users know from pandas and others
    api: str = "auto",
    settings: AcgSettings | None = None,
    full_payloads: bool = False,
    sample_rate: float = 1.0,
    fields: Mapping[str, str] | None = None,
    gentle: bool | None = None,
    limits: Limits | None = None,
    include_private: bool = False,
    n_jobs: int = 1,
) -> Snapshot:
    """Read a source into a snapshot.

    Parameters
    ----------
    source : str, path, backend or Snapshot
        A Redis URL (``redis://``, ``rediss://`` or ``unix://``; ``redis+cluster://`` and a node of a cluster for all of
        it); the path or URI of a Parquet export, or of a plain Parquet table with columns ``key`` and ``value``; a
        request log (file, folder, glob, URI, or ``"-"`` for standard input), which is learned here; a Redis dump (JSON
        lines of ``key`` and ``value``); a storage backend; a snapshot, which is returned unchanged; ``"sample"`` or
        ``"sample-log"``, which come with acg_lab.
    agent_id : str, optional
        Read only this agent.
    keys : collection of str, optional
        Read only the profiles with these learning keys. Runs are not affected.
    since : str, date or datetime, optional
        Drop older observations, and runs that started earlier: an RFC 3339 time, a date or a datetime (UTC if it has
        no time zone).
    until : str, date or datetime, optional
        For a log: drop requests that started at this time or later.
    limit : int, optional
        Keep only the newest N observations of each profile and the newest N runs of each agent.
    key_prefix : str
        Prefix of production's keys; ``"auto"`` detects it.
    rules : str
        Rules version to analyse by; ``"auto"`` detects it for each profile, see `Snapshot.rules`. For a log: the rules
        version to learn by; ``"auto"`` takes the newest.
    strict : bool
        Raise at the first entry that cannot be read, instead of warning once with their number.
    progress : bool
        Show a progress bar on standard error if reading takes long.
    format : str
        For a log: the name of its format (`acg_lab.logs.formats`); ``"auto"`` looks at the first lines of each file.
    api : {"auto", "anthropic", "openai-chat", "openai-responses"}
        For a log of raw bodies: the API they belong to; ``"auto"`` recognises each one.
    settings : AcgSettings, optional
        For a log: the settings to learn by; production's defaults if omitted.
    full_payloads : bool
        For a log: whether later requests of a run are learned whole; see `acg_lab.learn`.
    sample_rate : float
        For a log: its share of the traffic, above 0 and at most 1.
    fields : mapping of str to str, optional
        For a log: dotted paths of values that have other names, such as ``{"agent": "metadata.app"}``.
    gentle : bool, optional
        For the URL of a Redis: whether to rest after each reply as long as it took, so that reading takes at most half
        of the server's time. By default, unless the server is on this machine (a unix socket or a loopback address).
    limits : Limits, optional
        What is refused: values, lines, JSON, requests and tables beyond a size; see `acg_lab.Limits`.
    include_private : bool
        Whether the texts of blocks labelled private or restricted are shown where texts are, and exported.
    n_jobs : int, default 1
        For a log of several local files: processes that read them on this machine; -1 for all cores. What is read is
        the same. Only formats in which each line stands for itself gain (``raw`` and ``litellm``); other sources are
        read by one process.

    Returns
    -------
    Snapshot
        ``stability`` has the results as stored, for whole windows, regardless of filters.

    Raises
    ------
    SourceError
        If the source cannot be reached or read.
    RecordError
        With ``strict``, if an entry cannot be read.
    UsageError
        If an option is invalid, or the source holds no such agent; the message lists the nearest.

    Examples
    --------
    >>> from acg_lab.storage.memory import MemoryBackend
    >>> load(MemoryBackend()).agent_ids
    ()
    """
    n_jobs = check_n_jobs(n_jobs)
    if isinstance(source, Snapshot):
        return source
    source = find_sample(source)
    if rules != "auto":
        get_rules(rules)
    start, end = _parse_span(since, until)
    limit = _check_limit(limit)
    limits = check_limits(limits)
    selection = _selection(agent_id, keys)._replace(since=start, limit=limit, limits=limits)
    is_named = format != "auto" or is_log(source)
    dump = open_dump(os.fsdecode(source), format=format, key_prefix=key_prefix) if is_named else None  # type: ignore[arg-type]
    if is_named and dump is None:
        options = LogOptions(format, api, settings, rules, full_payloads, sample_rate, fields or {}, limits)
        path = os.fsdecode(source)  # type: ignore[arg-type]  # what is not a path is refused there
        snapshot = load_log(
            path,
            options,
            agent_id=agent_id,
            wants=Within(start, end),
            strict=strict,
            progress=progress,
            n_jobs=n_jobs,
        )
        snapshot = _narrow(snapshot, selection)
        check_agent(snapshot, agent_id, None if path == "-" else lambda: _agents_of_log(path, options))
        return snapshot
    _refuse_log_options(until, api, settings, full_payloads, sample_rate, fields)
    is_ours = not isinstance(source, Backend)
    try:
        backend = open_source(source, key_prefix=key_prefix, gentle=gentle) if dump is None else dump
    except UsageError as error:
        source = ""  # a password in it must not show in a traceback with locals
        raise error.with_traceback(None) from None
    source = backend.label
    problems: list[RecordError] = []

    def on_problem(error: RecordError) -> None:
        error = error.at(source=backend.label)
        if strict:
            raise error from None
        problems.append(error)

    columns = _read_columns(backend, selection, on_problem, progress=progress, close=is_ours)
    prefix = getattr(backend, "key_prefix", "auto")
    columns = replace(columns, problems=tuple(problems), key_prefix=columns.key_prefix if prefix == "auto" else prefix)
    snapshot = replace(_snapshot(backend.label, columns, rules), shows_private=include_private)
    if agent_id is not None:
        snapshot = keep_agent(snapshot, agent_id)
        check_agent(snapshot, agent_id, lambda: agents_of(backend))
    if logger.isEnabledFor(logging.INFO):  # counting what production refuses takes as long as reading runs
        logger.info("read %s: %s", backend.label, snapshot.facts)
    if problems:
        msg = f"{backend.label}: {counted(len(problems), 'entry')} can't be read; see .problems. First: {problems[0]}"
        warnings.warn(msg, LoadWarning, stacklevel=2)
    return snapshot if start is None and limit is None else keep_newest(snapshot, start, limit)


def _read_columns(
    backend: Backend | RedisDump, selection: Selection, on_problem: OnProblem, *, progress: bool, close: bool
) -> Columns:
    try:
        with paused_collector(), Bar(f"reading {backend.label}", shown=progress) as bar:
            if isinstance(backend, ParquetExport):
                return backend.columns(selection, bar, on_problem)
            return ingest(_told(backend.scan(selection, bar), bar), on_problem, selection.limits)
    finally:
        if close and isinstance(backend, RedisBackend):
            backend.close()


def _told(entries: Iterator[Entry], bar: Bar) -> Iterator[Entry]:
    """Yield entries, and say in the bar that all are read when what is left is to arrange them."""
    yield from entries
    bar.end("all read, arranging it")


def _narrow(snapshot: Snapshot, selection: Selection) -> Snapshot:
    """Keep of a learned snapshot what was asked for."""
    if selection.agent_id is not None:
        snapshot = keep_agent(snapshot, selection.agent_id)
    if selection.keys is not None:
        snapshot = keep_keys(snapshot, selection.keys)
    return snapshot if selection.limit is None else keep_newest(snapshot, None, selection.limit)


def _refuse_log_options(until: object, api: str, settings: object, full: object, rate: float, fields: object) -> None:
    """Refuse options that say how to read and learn a log where the source is not one."""
    given = {
        "until": until is not None,
        "api": api != "auto",
        "settings": settings is not None,
        "full_payloads": bool(full),
        "sample_rate": rate != 1,
        "fields": bool(fields),
    }
    if names := [name for name, is_given in given.items() if is_given]:
        msg = f"The {names[0]!r} option is for request logs; if the source is one, name its format: format='raw'."
        raise UsageError(msg)


def _snapshot(source: str, columns: Columns, rules: str) -> Snapshot:
    owners = assign_agents(
        {*columns.observations.keys, *columns.results}, {run.agent_id for run in columns.runs.records}
    )
    if columns.origin.learned_here:
        source = f"{source}, learned here"
    return Snapshot(source=source, columns=columns, owners=owners, rules_setting=rules)


def _selection(agent_id: str | None, keys: Collection[str] | None) -> Selection:
    if agent_id is not None and not isinstance(agent_id, str):
        msg = f"The 'agent_id' option must be a str; got {agent_id!r}."
        raise UsageError(msg)
    if keys is None:
        return Selection(agent_id)
    if isinstance(keys, str) or not isinstance(keys, Collection) or not all(isinstance(key, str) for key in keys):
        msg = f"The 'keys' option must be a collection of str, such as a list; got {keys!r}."
        raise UsageError(msg)
    return Selection(agent_id, frozenset(keys))


def parse_option_time(time: str | date | None, option: str) -> int | None:
    """Return the time of an option in nanoseconds since 1970.

    Raises
    ------
    UsageError
        If the value is not a time.
    """
    if time is None:
        return None
    if isinstance(time, str):
        with suppress(RecordError):  # keeps nanoseconds, which datetime drops
            return parse_time(time)
    try:
        moment = datetime.fromisoformat(time if isinstance(time, str) else time.isoformat())
        return parse_time((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat())
    except (ValueError, TypeError, AttributeError):
        msg = f"The {option!r} option must be a date, an RFC 3339 time or a datetime; got {time!r}."
        raise UsageError(msg) from None


def _parse_span(since: str | date | None, until: str | date | None) -> tuple[int | None, int | None]:
    """Return both ends in nanoseconds since 1970; raise UsageError if the first is after the second."""
    start, end = parse_option_time(since, "since"), parse_option_time(until, "until")
    if start is not None and end is not None and start > end:
        msg = f"The 'since' option must not be after 'until'; got {since!r} and {until!r}."
        raise UsageError(msg)
    return start, end


def _check_limit(limit: int | None) -> int | None:
    limit = plain_number(limit)
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        msg = f"The 'limit' option must be a positive integer; got {limit!r}."
        raise UsageError(msg)
    return limit


def reads_whole(source: object, *, format: str = "auto") -> bool:  # noqa: A002  as `load` calls it
    """Return whether `load` reads all of a source even for one agent: a request log, or a Redis dump."""
    return isinstance(source, str | os.PathLike) and (format != "auto" or is_log(find_sample(source)))


def _agents_of_log(path: str, options: LogOptions) -> tuple[str, ...]:
    """Read a log once more, for the agents that it names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoadWarning)  # the load before has warned
        return load(path, progress=False, **options._asdict()).agent_ids
