"""Logs that are recognised and refused: what they lack can't be made up, and half a prompt teaches the wrong thing."""

from collections.abc import Mapping, Sequence
from typing import Final

from acg_lab.core.records import JsonObject

__all__ = ["SPEND_LOGS_REFUSAL", "TRANSCRIPT_REFUSAL", "is_claude_code_transcript", "is_litellm_spend_log"]

SPEND_LOGS_REFUSAL: Final = (
    "LiteLLM cuts the texts of its spend logs at 2,048 characters, so they are not the prompts that were sent. Log the"
    " standard logging payload instead: LiteLLM's S3, GCS or generic callback, or a CustomLogger."
)
TRANSCRIPT_REFUSAL: Final = (
    "Claude Code's transcripts hold no system prompt, no tools and no cache marks, so they are not the requests that"
    " were sent. Let Claude Code write the raw bodies instead: OTEL_LOG_RAW_API_BODIES=file:FOLDER."
)

_SPEND: Final = {"request_id", "call_type", "spend", "startTime"}
_TRANSCRIPT: Final = {"sessionId", "uuid", "parentUuid", "type"}
# Lines of a transcript that hold no message, one of which often comes first.
_TRANSCRIPT_NOTES: Final = ("summary", "file-history-snapshot", "queue-operation")


def is_litellm_spend_log(first: Sequence[JsonObject]) -> bool:
    """Return whether the first documents are rows of LiteLLM's ``LiteLLM_SpendLogs`` table."""
    return first[0].keys() >= _SPEND and "model_parameters" not in first[0]


def is_claude_code_transcript(first: Sequence[JsonObject]) -> bool:
    """Return whether the first documents are lines of a Claude Code transcript (``~/.claude/projects``)."""
    return any(_is_transcript_line(one) for one in first) and all(
        _is_transcript_line(one) or one.get("type") in _TRANSCRIPT_NOTES for one in first
    )


def _is_transcript_line(one: JsonObject) -> bool:
    return one.keys() >= _TRANSCRIPT and (isinstance(one.get("message"), Mapping) or "toolUseResult" in one)
