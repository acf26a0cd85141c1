"""Findings as a table in a notebook, their total, and what a change does to them."""

import re

import pytest

import acg_lab as acg
from acg_lab.diagnosis import Evidence, Finding, Findings, Kind
from acg_lab.diagnosis.finding_changes import FindingChanges


def finding(agent_id="chat", kind=Kind.DATETIME, lost=2.92, cost=4.82, days=13.4, **more):
    """A finding with money."""
    fields = {
        "learning_key": "k",
        "agent_id": agent_id,
        "span_id": "system-0",
        "kind": kind,
        "timing": None,
        "tokens_lost": 100.0,
        "requests": 50,
        "sentence": "A date changes.",
        "evidence": Evidence(requests=50, profiles=("k",)),
        "money_lost": lost,
        "agent_cost": cost,
        "days": days,
    }
    return Finding(**(fields | more))


def cells(html):
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)[1:]]


def test_a_finding_leads_with_money():
    """A line of a terminal says first what is lost, of what, in which time."""
    assert "1. chat loses $2.92 of $4.82 in 14 days (61%): A date changes." in repr(Findings([finding()]))


def test_the_table_gives_its_width_to_the_sentence():
    """Money and share stand first in a notebook, and all words share one column."""
    (row,) = cells(Findings([finding()])._repr_html_())
    number, lost, what = row
    assert (number, lost) == ("1", "<b>$2.92</b><br>61%")
    for words in ("chat", "datetime", "<code>system-0</code>", "50 requests", "A date changes."):
        assert words in what


def test_the_total():
    """The total of an agent's findings is at most what the agent costs; agents add up."""
    several = Findings([finding(), finding(kind=Kind.COUNTER, lost=2.5), finding("mail", lost=1.0, cost=2.0, days=3)])
    assert repr(several).startswith("3 findings, costliest first; at most $5.82 of $6.82 (85%) in 14 days")
    *_, total = cells(several._repr_html_())
    assert total == ["", "<b>$5.82</b><br>85%", "<b>at most, together</b>, of $6.82 in 14 days"]


def test_no_total_without_money():
    """Findings in tokens, and a single one, have no total."""
    tokens = finding(lost=None, cost=None, days=None)
    assert "at most" not in repr(Findings([tokens, tokens]))
    assert "at most" not in repr(Findings([finding()]))
    assert len(cells(Findings([tokens, tokens])._repr_html_())) == 2


@pytest.mark.parametrize(
    ("after", "title"),
    [
        ([finding()], "No finding changed"),
        ([], "1 gone"),
        ([finding(lost=1.0)], "1 changed"),
        ([finding(lost=2.921)], "No finding changed"),
        ([finding(), finding("mail")], "1 new; 1 finding as before"),
        ([finding(kind=Kind.COUNTER)], "1 gone, 1 new"),
        ([finding(span_id="user-1")], "1 gone, 1 new"),
        ([finding(sentence="It changes more.")], "No finding changed"),
    ],
)
def test_compare(after, title):
    """Only what is gone, new, or of another cost is shown."""
    changes = Findings([finding()]).compare(Findings(after))
    assert repr(changes).splitlines()[0] == title
    assert f"<b>{title}</b>" in changes._repr_html_()
    assert ("<table" in changes._repr_html_()) == (len(repr(changes).splitlines()) > 1)


def test_several_of_one_kind():
    """Two findings of one kind at one block are compared in their order."""
    one, other = finding(), finding(lost=1.0)
    changes = Findings([one, other]).compare(Findings([one]))
    assert changes == FindingChanges(gone=(other,), n_same=1)


def test_changes_are_escaped():
    """Names from prompts do not act on a terminal or in HTML."""
    changes = Findings().compare(Findings([finding(agent_id="<b>\x1b[2J")]))
    assert "\x1b" not in repr(changes)
    assert "&lt;b&gt;" in changes._repr_html_()


def test_after_a_repair(sample):
    """What a repair does to the findings of an agent: its fault is gone, and others are as before."""
    before = acg.explain(sample, agent_id="support-chat", progress=False)
    repaired = acg.what_if(sample, before[0].repairs[0].repairs)
    changes = before.compare(acg.explain(repaired, agent_id="support-chat", progress=False))
    assert changes.gone[0].kind is Kind.DATETIME
    assert all(one.agent_id == "support-chat" for one in (*changes.gone, *changes.new))
