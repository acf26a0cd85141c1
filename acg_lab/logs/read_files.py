"""Files of a log read apart from the others, in a process of their own: to calls whose texts are codes.

Only what a file holds by itself is read here. What calls of several files have to do with one another (equal ids,
answers, runs) is found where all of them come together, in the order of the log.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.errors import AcgLabError, RecordError
from acg_lab.logs.body_files import is_body_file
from acg_lab.logs.body_reader import Texts
from acg_lab.logs.call_reader import CallReader
from acg_lab.logs.document_stream import DocumentStream
from acg_lab.logs.entries import Document, LoggedAnswer, LoggedCall, LoggedRun, ReadOptions
from acg_lab.logs.files import LogFile
from acg_lab.logs.formats import LogFormat, get_format
from acg_lab.logs.named_paths import NamedPaths
from acg_lab.logs.read_calls import Wants, read_calls
from acg_lab.logs.text_codes import CallPacker, Packed
from acg_lab.storage._runtime import paused_collector

__all__ = ["ReadFiles", "batch_files", "read_files"]

Found: TypeAlias = Packed | LoggedAnswer | LoggedRun | RecordError
_ENOUGH: Final = 8 * 2**20  # bytes that are worth a task
_SHARES: Final = 4


class ReadFiles(NamedTuple):
    """What was read of some files.

    Attributes
    ----------
    found : list
        Packed calls, answers, runs and problems in the order of the log.
    texts : Texts
    codes : array of int32
        The messages of the calls, as `TextCodes` takes them.
    formats : dict of str to int
        Files of each format, by name.
    paths : NamedPaths
    wants : Wants
    """

    found: list[Found]
    texts: Texts
    codes: NDArray[np.int32]
    formats: dict[str, int]
    paths: NamedPaths
    wants: Wants


def batch_files(files: Sequence[LogFile], n_cores: int) -> list[list[LogFile]]:
    """Return files in tasks: those that follow one another until they are worth one, some tasks for each core."""
    enough = min(_ENOUGH, sum(file.size for file in files) / (_SHARES * n_cores))
    batches: list[list[LogFile]] = []
    size = 0
    for file in files:
        if not batches or size >= enough:
            batches.append([])
            size = 0
        batches[-1].append(file)
        size += file.size
    return batches


def read_files(
    files: Sequence[LogFile], *, format_name: str | None, options: ReadOptions, wants: Wants
) -> ReadFiles | None:
    """Read files; return None if they can't be read apart from others: who has all of them reads them."""
    found: list[Found] = []
    given = None if format_name is None else get_format(format_name)
    stream = DocumentStream(files, given, options.limits, found.append, lambda *_: None, 0)
    paths, reader = NamedPaths(options.fields), CallReader(options.limits)
    packer = CallPacker(reader)
    with paused_collector():
        try:
            for one in read_calls(_read_apart(stream), options, paths, found.append):
                if not isinstance(one, LoggedCall):
                    found.append(one)
                elif wants(one):
                    found.append(_read(packer, one))
        except (AcgLabError, _TogetherError):
            return None
    return ReadFiles(found, reader.texts.texts(), packer.codes(), stream.formats, paths, wants)


class _TogetherError(Exception):
    """Documents whose meaning depends on others."""


def _read_apart(stream: Iterable[tuple[LogFormat, Document]]) -> Iterator[tuple[LogFormat, Document]]:
    for log_format, document in stream:
        if not log_format.by_document or is_body_file(document.file):
            raise _TogetherError
        yield log_format, document


def _read(packer: CallPacker, logged: LoggedCall) -> Found:
    try:
        return packer.read(logged)
    except RecordError as error:
        return logged.problem(error.reason, error.path)
