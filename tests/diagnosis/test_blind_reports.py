"""What `explain` answers to reports of broken caches, against what a person answers."""

import re

import pytest
from blind_reports import HEALTHY, REPORTS

import acg_lab as acg

# The kinds that say in one word what a report expects in plain words.
WORDS = {
    "appended": {"appended"},
    "arguments in another order": {"json_key_order", "arguments_reordered"},
    "blocks come and go": {"block_missing"},
    "checklist": {"checklist"},
    "clock": {"datetime"},
    "conversation cut to a summary": {"summarised", "compacted"},
    "counter": {"counter"},
    "event": {"changed_once"},
    "fragmented": {"fragmented_by_first_message"},
    "identifier": {"identifier"},
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
    "tools added": {"tools_added"},
    "tools come and go": {"tools_added", "tools_removed"},
    "tools edited": {"tools_edited"},
    "tools removed": {"tools_removed"},
    "tools reordered": {"tools_reordered"},
    "ttl too short": {"ttl_too_short"},
    "unicode form": {"unicode_form"},
    "variants": {"variants", "feature_variants"},
    "whitespace": {"whitespace", "raw_bytes_differ"},
    "whitespace in an old message": {"whitespace", "raw_bytes_differ"},
    "working directory": {"working_directory_state"},
}


def answer(report):
    """Return the kind and block of the first finding, and whether it is right and whether it is confidently wrong."""
    findings = acg.explain(acg.from_requests(report.lines(), agent_id="desk"), progress=False)
    if not len(findings):
        return "", "", HEALTHY in report.expects, False
    kind, place = findings[0].kind.value, findings[0].span_id or ""
    named = any(kind in WORDS[word] for word in report.expects if word != HEALTHY)
    wrong = any(kind in WORDS[word] for word in report.wrong)
    return kind, place, named and re.match(report.at, place) is not None, wrong and not named


RIGHT = 26  # of fifty, so far
KNOWN_WRONG = {"premium_customers", "files_in_any_order", "curly_quotes"}


def test_reports_are_answered_as_a_person_would():
    """Of fifty reports this many get the right first finding at the right block, and no others a wrong one."""
    answers = {report.name: answer(report) for report in REPORTS}
    assert len(answers) == 50
    missed = {name: (kind, place) for name, (kind, place, right, _) in answers.items() if not right}
    assert {name for name, (*_, wrong) in answers.items() if wrong} <= KNOWN_WRONG
    assert len(answers) - len(missed) >= RIGHT, missed


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_every_word_of_a_report_is_known(report):
    """What a report expects and refuses are words that kinds stand for."""
    assert {*report.expects, *report.wrong} - {HEALTHY} <= WORDS.keys()
