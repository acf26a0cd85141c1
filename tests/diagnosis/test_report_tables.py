"""What `explain` answers to 310 histories in the manner of public reports: right ones, near misses, and two causes."""

from collections import Counter

import pytest
from message_reports import reports as message_reports
from prompt_reports import reports as prompt_reports
from report_words import HEALTHY, WORDS, answer
from request_reports import reports as request_reports

# Right so far, of so many; and how many answers are wrong and sure of it.
CHATS = 84, 83, 0
TABLES = {
    "prompts": (prompt_reports, 120, 120, 0),
    "requests": (request_reports, 150, 150, 0),
    "messages": (message_reports, 40, 40, 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_first_findings_are_right(table):
    """At least so many histories get the right first finding at the right block, and no more get a wrong one."""
    reports, n, n_right, n_wrong = TABLES[table][0](), *TABLES[table][1:]
    assert len(reports) == n
    answers = {report.name: answer(report) for report in reports}
    missed = {name: found[:2] for name, found in answers.items() if not found.is_right}
    wrong = {name: found[:2] for name, found in answers.items() if found.is_wrong}
    assert (len(missed) <= n - n_right, len(wrong) <= n_wrong) == (True, True), (missed, wrong)


@pytest.mark.slow
def test_first_findings_are_right_under_the_oldest_rules():
    """So they are where each first message has a profile of its own; there the bodies of Messages hold no system."""
    n, n_right, n_wrong = CHATS
    reports = prompt_reports(only_chats=True)
    assert len(reports) == n
    answers = [answer(report, rules="nemo-flow-0.2") for report in reports]
    assert sum(found.is_right for found in answers) >= n_right
    assert sum(found.is_wrong for found in answers) <= n_wrong


def test_each_kind_has_five_histories_and_names_are_unique():
    """Every kind of the tables has at least five histories, and words that kinds stand for."""
    reports = [*prompt_reports(), *request_reports(), *message_reports()]
    assert len({report.name for report in reports}) == len(reports) >= 150
    assert {word for report in reports for word in report.expects} - {HEALTHY} <= WORDS.keys()
    assert min(Counter(report.name.rsplit("_", 1)[0] for report in reports).values()) >= 5
