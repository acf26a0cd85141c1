"""A log to runs: files to documents, documents to calls by the reader of their format, calls to runs.

What can't be read is handed to the caller and passed over. Files of one format that follow one another are read as one
log, so that an event file may end where it was rotated. Where each document stands for itself, files can be read on
several cores; what comes out is the same.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from copy import copy
from functools import partial
from itertools import chain, islice
from typing import NamedTuple

from acg_lab._format import counted
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.logs.call_table import CallTable
from acg_lab.logs.document_stream import (
    LOOKED_AT,
    DocumentStream,
    OnProblem,
    Progress,
    parse_object,
    unknown_format,
)
from acg_lab.logs.entries import Document, LoggedAnswer, LoggedCall, LoggedRun, LogProblem, ReadOptions
from acg_lab.logs.files import LogFile, find_log_files, source_name
from acg_lab.logs.formats import LogFormat, detect_format, get_format
from acg_lab.logs.named_paths import NamedPaths
from acg_lab.logs.read_calls import Wants, read_calls
from acg_lab.logs.read_files import ReadFiles, batch_files, read_files
from acg_lab.logs.runs import LoggedRuns, group_runs
from acg_lab.logs.text_codes import TextCodes
from acg_lab.storage.cores import count_cores, run_on_cores

__all__ = ["Log", "Progress", "Wants", "read_documents", "read_log"]


class Log(NamedTuple):
    """What was read of a log: its runs, and the names of its formats."""

    runs: LoggedRuns
    formats: tuple[str, ...]


def read_log(
    source: str,
    *,
    format: str,  # noqa: A002  the option's name
    options: ReadOptions,
    on_problem: OnProblem,
    progress: Progress,
    wants: Wants,
    agent_id: str | None = None,
    n_jobs: int = 1,
) -> Log:
    """Read a log into runs.

    Parameters
    ----------
    source : str
        File, folder, glob, ``"-"`` or URI.
    format : str
        Name of a format; ``"auto"`` looks at the first documents of each file.
    options : ReadOptions
    on_problem : callable
        Called with each `LogProblem`; what it raises ends the reading.
    progress : callable
        Called with bytes read, and their total (0: not known).
    wants : Wants
        Whether a call is to be kept.
    agent_id : str, optional
        Of the calls that name none, unless others name it; else these have the name of the source.
    n_jobs : int
        Processes that read files on this machine; -1 for all cores.

    Raises
    ------
    SourceError
        If there is nothing, it can't be read, or its format is refused.
    UsageError
        If no line has a path that the options name.
    """
    files = find_log_files(source)
    given = _given_format(format, options)
    total = sum(file.size for file in files)
    reading = _Reading(options, on_problem, wants)
    n_read = _read_apart(reading, files, given, progress, n_jobs)
    stream = DocumentStream(files[n_read:], given, options.limits, on_problem, progress, total)
    reading.read(stream)
    # An agent that lines name is asked for, not given to the lines that name none.
    name = source_name(source) if agent_id is None or reading.names(agent_id) else agent_id
    return Log(reading.finish(name), tuple(reading.formats | stream.formats))


def _read_apart(
    reading: "_Reading", files: Sequence[LogFile], given: LogFormat | None, progress: Progress, n_jobs: int
) -> int:
    """Read files on several cores, up to the first that must be read together; return how many were read."""
    n_cores = count_cores(n_jobs)
    batches = batch_files(files, n_cores)
    is_apart = all(file.is_shared for file in files) and (given is None or given.by_document)
    if n_cores == 1 or len(batches) == 1 or not is_apart:
        return 0
    name = None if given is None else given.name
    work = partial(read_files, format_name=name, options=reading.options, wants=copy(reading.wants))  # ours counts on
    total, n_read = sum(file.size for file in files), 0
    with run_on_cores(work, batches, n_jobs) as results:
        for batch, read in zip(batches, results, strict=True):
            if read is None:
                break
            reading.take_files(read)
            progress(sum(file.size for file in batch), total)
            n_read += len(batch)
    return n_read


def read_documents(
    documents: Iterable[Document],
    *,
    format: str,  # noqa: A002
    options: ReadOptions,
    on_problem: OnProblem,
    wants: Wants,
    agent_id: str,
) -> Log:
    """Read documents that are not in files; parameters as of `read_log`."""
    documents = iter(documents)
    first = list(islice(documents, LOOKED_AT))
    objects = [value for document in first if (value := parse_object(document.raw)) is not None]
    found = _given_format(format, options) or detect_format(objects)
    if found is None:
        if first:
            on_problem(unknown_format(first[0].file, objects, first[0].raw))
        documents, first = iter(()), []
        found = get_format("raw")
    if found.read is None:
        msg = f"{found.description}: {found.refusal}"
        raise UsageError(msg)
    stream = ((found, document) for document in chain(first, documents))
    reading = _Reading(options, on_problem, wants)
    reading.read(stream)
    return Log(reading.finish(agent_id), (found.name,))


def _given_format(name: str, options: ReadOptions) -> LogFormat | None:
    """Return the format that the caller named; who says where a line has the request reads raw bodies."""
    if name == "auto":
        return get_format("raw") if "request" in options.fields else None
    return get_format(name)


class _Reading:
    """What was read of a log so far, in its order.

    Attributes
    ----------
    options : ReadOptions
    wants : Wants
    formats : dict of str to int
        Files that were read elsewhere of each format, by name.
    """

    def __init__(self, options: ReadOptions, on_problem: OnProblem, wants: Wants) -> None:
        self.options, self._on_problem, self.wants = options, on_problem, wants
        self._table = CallTable(options.limits)
        self._said: dict[str, LoggedRun] = {}
        self._notes = Counter[str]()
        self._paths = NamedPaths(options.fields)
        self.formats: dict[str, int] = {}

    def read(self, stream: Iterable[tuple[LogFormat, Document]]) -> None:
        """Read documents."""
        for found in read_calls(stream, self.options, self._paths, self._on_problem):
            if not isinstance(found, LoggedCall):
                self._take(found)
            elif self.wants(found):
                self._notes.update(note.text for note in found.notes)
                try:
                    self._report(self._table.add(found))
                except LogProblem as refusal:
                    self._on_problem(refusal)

    def take_files(self, read: ReadFiles) -> None:
        """Take in what was read elsewhere of the files that follow."""
        codes = TextCodes(self._table.texts, read.texts, read.codes)
        for found in read.found:
            if isinstance(found, LoggedAnswer | LoggedRun | RecordError):
                self._take(found)
                continue
            call = codes.unpack(found)
            self._notes.update(note.text for note in call.logged.notes)
            self._report(self._table.add_read(call, codes))
        self._paths.join(read.paths)
        self.wants.join(read.wants)
        for name, n_files in read.formats.items():
            self.formats[name] = self.formats.get(name, 0) + n_files

    def _take(self, found: LoggedAnswer | LoggedRun | RecordError) -> None:
        if isinstance(found, LoggedRun):
            self._said[found.id] = found
        elif isinstance(found, LoggedAnswer):
            self._table.answer(found)
        else:
            self._on_problem(found)

    def _report(self, doubts: Iterable[RecordError]) -> None:
        for doubt in doubts:
            self._on_problem(doubt)

    def names(self, agent_id: str) -> bool:
        """Whether the log itself names an agent."""
        said = (run.agent_id for run in self._said.values())
        return agent_id in chain((row.agent_id for row in self._table.rows), said)

    def finish(self, agent_id: str) -> LoggedRuns:
        """Return the runs; calls that name no agent are of this one."""
        self._paths.check()
        self._report(self._table.unanswered())
        runs = group_runs(self._table, self._said, agent_id)
        notes = (f"{text} ({counted(n, 'request')})" for text, n in self._notes.items())
        return runs._replace(caveats=(*runs.caveats, *notes))
