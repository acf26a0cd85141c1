"""What must not change an answer: one request more or less, their order, names, and the words around what varies."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from prompt_reports import PROMPTS, history
from request_reports import reports as request_reports

import acg_lab as acg

# What is expected, the number of a row, and what varies.
ROWS = [
    (expects, k, part)
    for word, (true, near) in PROMPTS.items()
    for k, (part, expects) in enumerate([*((part, word) for part in true), *near])
]
# Kinds that are seen in the order of requests.
ORDERED = {"appended", "counter", "event", "clock", "number|counter", "number|identifier"}
OTHERS = [report for report in request_reports() if report.name.startswith(("tools_", "servers_", "a_clock", "keys_"))]


def first(lines, agent_id="desk"):
    """Return the kind and block of the first finding."""
    findings = acg.explain(acg.from_requests(lines, agent_id=agent_id), progress=False)
    return (findings[0].kind, findings[0].span_id) if len(findings) else None


def without_usage(lines):
    """Return lines as they were logged by an application that does not keep usage."""
    return [{name: value for name, value in line.items() if name != "response"} for line in lines]


rows = st.sampled_from(ROWS)


@given(row=rows, i=st.integers(0, 15))
def test_one_request_less_changes_no_kind(row, i):
    """Whichever request is missing, the first finding is the same."""
    expects, k, part = row
    lines = without_usage(history(part, k))
    assert first(lines[:i] + lines[i + 1 :]) == first(lines), (expects, k)


@given(row=rows, i=st.integers(0, 15))
@pytest.mark.slow
def test_one_request_twice_changes_no_kind(row, i):
    """Whichever request was sent again right after, the first finding is the same."""
    expects, k, part = row
    lines = without_usage(history(part, k))
    again = {**lines[i], "started_at": lines[i]["ended_at"]}
    again["ended_at"] = lines[min(i + 1, 15)]["started_at"] if i < 15 else lines[i]["ended_at"]
    assert first([*lines[: i + 1], again, *lines[i + 1 :]]) == first(lines), (expects, k)


@given(row=rows, order=st.permutations(range(16)))
def test_the_order_of_requests_changes_no_kind(row, order):
    """Where the order of requests is no evidence, another one changes nothing."""
    expects, k, part = row
    assume(expects not in ORDERED)
    lines = without_usage(history(part, k))
    mixed = [{**lines[i], "body": lines[j]["body"]} for i, j in enumerate(order)]
    assert first(mixed) == first(lines), (expects, k)


@given(row=rows, agent_id=st.text(string.ascii_letters + ":- é", min_size=1, max_size=12).filter(str.strip))
@pytest.mark.slow
def test_the_name_of_an_agent_changes_nothing(row, agent_id):
    """Whatever an agent is called, its first finding is the same."""
    expects, k, part = row
    lines = without_usage(history(part, k))
    assert first(lines, agent_id) == first(lines), (expects, k)


@given(row=rows, language=st.sampled_from(["de", "ja"]), seed=st.integers(1, 50))
@pytest.mark.slow
def test_the_words_around_change_no_kind(row, language, seed):
    """In another language, and with other words of the same shape, the first finding is the same."""
    expects, k, part = row
    expected = first(history(part, k))
    assert first(history(part, k, seed=seed)) == expected, (expects, k)
    assert first(history(part, k, language)) == expected, (expects, k, language)


@given(report=st.sampled_from(OTHERS), i=st.integers(0, 15))
def test_one_request_less_changes_no_kind_of_tools(report, i):
    """The same of tools: the verdict does not flip with the number of requests."""
    lines = without_usage(report.lines())
    expected = first(lines)
    assert (first(lines[:i] + lines[i + 1 :]) or ("",))[0] == (expected or ("",))[0], report.name
