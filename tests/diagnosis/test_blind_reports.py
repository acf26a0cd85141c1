"""What `explain` answers to reports of broken caches, against what a person answers."""

import pytest
from blind_reports import REPORTS
from report_words import HEALTHY, WORDS, answer

RIGHT = 46  # of fifty; 22 when they were first run, before any of them had been looked at
KNOWN_WRONG = set()


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
