"""Documents to calls, by the reader of their format.

Documents of one format that follow one another go to one reader, whatever files they stand in.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Protocol, Self

from acg_lab.core.errors import RecordError
from acg_lab.logs.document_stream import OnProblem
from acg_lab.logs.entries import Document, LoggedCall, ReadOptions, Yielded
from acg_lab.logs.formats import LogFormat
from acg_lab.logs.named_paths import NamedPaths
from acg_lab.storage.limits import Limits

__all__ = ["Wants", "read_calls"]


class Wants(Protocol):
    """Whether a call is to be kept, and how many were not."""

    def __call__(self, call: LoggedCall) -> bool:
        """Return whether a call is to be kept."""

    def join(self, other: Self) -> None:
        """Count what another one counted."""


def read_calls(
    stream: Iterable[tuple[LogFormat, Document]], options: ReadOptions, paths: NamedPaths, on_problem: OnProblem
) -> Iterator[Yielded]:
    """Yield what the readers find in documents.

    Parameters
    ----------
    stream : iterable of (LogFormat, Document)
    options : ReadOptions
    paths : NamedPaths
        Sees every document.
    on_problem : callable
        Called with documents that are too deep to be read.
    """
    for log_format, pairs in groupby(stream, lambda pair: pair[0]):
        read = log_format.read or _nothing  # what is refused does not come here
        documents = _within((document for _, document in pairs), options.limits, on_problem)
        yield from read(paths.watch(documents, log_format.name, log_format.fields), options)


def _nothing(_documents: Iterable[Document], _options: ReadOptions) -> Iterator[Yielded]:
    return iter(())


def _within(documents: Iterable[Document], limits: Limits, on_problem: OnProblem) -> Iterator[Document]:
    """Yield documents that are not too deep."""
    for document in documents:
        try:
            limits.check_depth(document.raw)
        except RecordError as error:
            on_problem(document.problem(error.reason))
            continue
        yield document
