"""The kinds that say in one word what a report expects in plain words, and how an answer is judged."""

import re
from typing import NamedTuple

import acg_lab as acg

HEALTHY = "nothing"
WORDS = {
    "appended": {"appended"},
    "arguments in another order": {"json_key_order", "arguments_reordered"},
    "blocks come and go": {"block_missing"},
    "cache marks": {"cache_marks"},
    "checklist": {"checklist"},
    "clock": {"datetime"},
    "conversation cut to a summary": {"summarised", "compacted"},
    "counter": {"counter"},
    "event": {"changed_once"},
    "fragmented": {"fragmented_by_first_message"},
    "identifier": {"identifier", "call_ids_changed"},
    "image replaced": {"image_replaced"},
    "json key order": {"json_key_order", "raw_bytes_differ"},
    "locale": {"locale"},
    "memory": {"memory"},
    "model": {"model_changed"},
    "moving window of messages": {"moving_window"},
    "no breakpoint": {"no_breakpoint"},
    "number": {"number"},
    "old results cleared": {"results_cleared"},
    "optional sentence": {"optional_sentence"},
    "other examples": {"reordered", "retrieved_text"},
    "parallel requests": {"parallel_requests"},
    "path": {"path"},
    "person": {"person"},
    "relative time": {"relative_time"},
    "reordered": {"reordered"},
    "response format differs": {"raw_bytes_differ"},
    "retrieved text": {"retrieved_text"},
    "sent as text or as parts": {"raw_bytes_differ"},
    "shifted": {"shifted"},
    "slot": {"unknown"},
    "stable start of a message": {"stable_start"},
    "thinking dropped": {"thinking_dropped"},
    "too few requests": {"too_few_requests"},
    "too short": {"below_minimum"},
    "tools added": {"tools_added"},
    "tools come and go": {"tools_added", "tools_removed"},
    "tools edited": {"tools_edited"},
    "tools removed": {"tools_removed"},
    "tools reordered": {"tools_reordered"},
    "ttl too short": {"ttl_too_short"},
    "unicode form": {"unicode_form", "raw_bytes_differ"},
    "variants": {"variants", "feature_variants"},
    "whitespace": {"whitespace", "raw_bytes_differ"},
    "whitespace in an old message": {"whitespace", "raw_bytes_differ"},
    "working directory": {"working_directory_state"},
}


class Answer(NamedTuple):
    """The kind and block of the first finding, and whether it is right, and whether it is confidently wrong."""

    kind: str
    place: str
    is_right: bool
    is_wrong: bool


def answer(report, **how):
    """Return what `explain` answers to a report.

    Wrong is what the report refuses, or, where it refuses everything, any kind that it does not expect.
    """
    findings = acg.explain(acg.from_requests(report.lines(), agent_id="desk", **how), progress=False)
    if not len(findings):
        return Answer("", "", HEALTHY in report.expects, False)
    kind, place = findings[0].kind.value, findings[0].span_id or ""
    is_named = any(kind in WORDS[word] for word in report.expects if word != HEALTHY)
    refused = report.wrong or (set(WORDS) - {"slot"})
    is_wrong = not is_named and any(kind in WORDS[word] for word in refused)
    return Answer(kind, place, is_named and re.match(report.at, place) is not None, is_wrong)
