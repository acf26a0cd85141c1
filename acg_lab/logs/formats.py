"""The formats of request logs: one table of how each is called, recognised and read.

A format is recognised by the first documents of a file. Formats are asked in the order of the table, so the more
specific ones come first. Other packages add formats through the entry point group ``acg_lab.log_formats``: each entry
point names a `LogFormat`; these are asked before our own.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cache
from importlib.metadata import entry_points
from typing import NamedTuple, TypeAlias

from acg_lab._format import suggest
from acg_lab.core.errors import UsageError
from acg_lab.core.records import JsonObject
from acg_lab.logs.atof import is_atif, is_atof, read_atif, read_atof
from acg_lab.logs.entries import Document, ReadOptions, Yielded
from acg_lab.logs.litellm import is_litellm, read_litellm
from acg_lab.logs.otlp import is_otlp
from acg_lab.logs.raw import is_raw, read_raw
from acg_lab.logs.raw_fields import FIELD_NAMES
from acg_lab.logs.redis_dump import DUMP_REFUSAL, is_redis_dump
from acg_lab.logs.refused import (
    SPEND_LOGS_REFUSAL,
    TRANSCRIPT_REFUSAL,
    is_claude_code_transcript,
    is_litellm_spend_log,
)
from acg_lab.logs.span_rows import is_langfuse, is_mlflow, is_phoenix, read_langfuse, read_mlflow, read_phoenix
from acg_lab.logs.traces import read_traces

__all__ = ["FORMATS", "LogFormat", "Reader", "detect_format", "get_format", "list_formats"]

GROUP = "acg_lab.log_formats"

Recogniser: TypeAlias = Callable[[Sequence[JsonObject]], bool]
Reader: TypeAlias = Callable[[Iterable[Document], ReadOptions], Iterator[Yielded]]


class LogFormat(NamedTuple):
    """One format.

    Attributes
    ----------
    name : str
        What ``format=`` takes.
    description : str
        One line for people: what writes it.
    matches : callable
        Whether the first documents of a file (at least one, those that are JSON objects) are of this format.
    read : callable or None
        Documents of one or several files, in order, to calls, runs and problems, lazily; None if it is refused.
    refusal : str
        Why a log of this format can't be used, and what can be logged instead.
    fields : collection of str
        Of `acg_lab.logs.raw_fields.FIELD_NAMES`, those whose paths the reader takes from its options.
    by_document : bool
        Whether each document is read by itself, whatever stands in others; then files can be read apart.
    """

    name: str
    description: str
    matches: Recogniser
    read: Reader | None
    refusal: str = ""
    fields: Collection[str] = ()
    by_document: bool = False


# Most specific first.
FORMATS: tuple[LogFormat, ...] = (
    LogFormat("atof", "event files of NeMo Relay, ATOF 0.1", is_atof, read_atof),
    LogFormat("atif", "trajectories of NeMo Relay, ATIF, with their events", is_atif, read_atif),
    LogFormat("otlp", "OTLP JSON traces: OpenTelemetry GenAI, OpenInference, NeMo Relay", is_otlp, read_traces),
    LogFormat("redis-dump", "entries that the runtime stored, as key and value", is_redis_dump, None, DUMP_REFUSAL),
    LogFormat("litellm-spend", "rows of LiteLLM's spend logs", is_litellm_spend_log, None, SPEND_LOGS_REFUSAL),
    LogFormat(
        "litellm",
        "LiteLLM's standard logging payloads",
        is_litellm,
        read_litellm,
        fields=("agent",),
        by_document=True,
    ),
    LogFormat("claude-code", "Claude Code transcripts", is_claude_code_transcript, None, TRANSCRIPT_REFUSAL),
    LogFormat("langfuse", "Langfuse observations or traces, exported as rows", is_langfuse, read_langfuse),
    LogFormat("mlflow", "MLflow traces or spans, exported as rows", is_mlflow, read_mlflow),
    LogFormat("phoenix", "Phoenix spans, exported as rows", is_phoenix, read_phoenix),
    LogFormat(
        "raw",
        "request bodies of Anthropic or OpenAI, bare or beside their answers",
        is_raw,
        read_raw,
        fields=FIELD_NAMES,
        by_document=True,
    ),
)


@cache
def list_formats() -> tuple[LogFormat, ...]:
    """Return all formats in the order in which they are asked: those of other packages first."""
    others = tuple(point.load() for point in entry_points(group=GROUP))
    return *others, *FORMATS


def get_format(name: str) -> LogFormat:
    """Return a format by its name.

    Raises
    ------
    UsageError
        If there is none of that name; the message lists the names.
    """
    for log_format in list_formats():
        if log_format.name == name:
            return log_format
    names = [log_format.name for log_format in list_formats()]
    msg = f"The 'format' option must be 'auto' or one of {', '.join(map(repr, names))}; got {name!r}."
    msg += suggest(name, names)
    raise UsageError(msg)


def detect_format(first: Sequence[JsonObject]) -> LogFormat | None:
    """Return the format that the first documents of a file are of; None if no format knows them."""
    return next((log_format for log_format in list_formats() if first and log_format.matches(first)), None)
