"""Findings with money where no usage is recorded: bodies as sent are enough to simulate the provider's cache."""

import random

import pytest
from msgspec.structs import replace

import acg_lab as acg
from acg_lab.diagnosis import Kind

HOUR = 3600
GUIDE = " ".join(f"Rule {i}: answer case {i} by the handbook." for i in range(400))


def ask(seconds, *, session, marked=True, question="Where is my order?", model="claude-sonnet-4-5"):
    """Return a line of a log: one user's question to an agent with a long system prompt."""
    mark = {"cache_control": {"type": "ephemeral"}} if marked else {}
    body = {
        "model": model,
        "max_tokens": 100,
        "system": [{"type": "text", "text": GUIDE, **mark}],
        "messages": [{"role": "user", "content": f"{question} I am customer {session}."}],
    }
    started = 1_793_491_200 + seconds
    return {"request": body, "start_time": started, "end_time": started + 4, "session_id": f"s{session}"}


def explain(rows):
    return acg.explain(acg.from_requests(rows, agent_id="support"), progress=False)


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([ask(60 * i, session=i, marked=False) for i in range(40)], Kind.NO_BREAKPOINT),
        ([ask(1200 * i, session=i) for i in range(40)], Kind.TTL_TOO_SHORT),
        ([ask(9 * HOUR * (i // 8), session=i) for i in range(40)], Kind.PARALLEL_REQUESTS),
    ],
    ids=["no breakpoint", "idle for 20 minutes", "8 at a time"],
)
def test_faults_of_how_requests_are_sent_are_found(rows, kind):
    """Without usage the cost is simulated, the fault found with what its repair saves, and nothing called healthy."""
    findings = explain(rows)
    assert findings[0].kind is kind
    assert findings[0].repairs[0].money_saved > 0.1 * findings[0].agent_cost
    assert not findings.healthy
    assert findings.notes == ("40 of 40 requests have no recorded usage: their cost is simulated.",)
    assert findings.notes[0] in str(findings)
    assert findings.notes[0] in findings._repr_html_()


def ask_of_documents(n, *, n_questions=1):
    """Return questions a minute apart about documents that have nothing in common, each marked to be cached."""
    rows = [ask(60 * i, session=i) for i in range(n)]
    for i, row in enumerate(rows):
        document = i // n_questions
        row["request"]["system"][0]["text"] = " ".join(random.Random(document).sample(GUIDE.split(), 2500))
    return rows


def test_writes_that_nothing_reads_are_found():
    """A document that is marked and asked about once costs a quarter more than unmarked: that is said, with its cost.

    What was written in the last five minutes may be read yet.
    """
    (finding,) = explain(ask_of_documents(20))
    assert (finding.kind, finding.requests, finding.repairs) == (Kind.WRITES_UNREAD, 14, ())
    assert finding.money_lost == pytest.approx(14 / 20 * finding.agent_cost * (1 - 1 / 1.25), rel=0.05)
    assert not explain(ask_of_documents(20, n_questions=2))
    assert not explain(ask_of_documents(5))


def test_a_clock_before_a_breakpoint_that_nobody_sets_is_found():
    """Where the prompt starts with a clock and has no breakpoint, the repair names both: neither alone saves."""
    rows = [ask(60 * i, session=i, marked=False) for i in range(10)]
    for i, row in enumerate(rows):
        row["request"]["system"][0]["text"] = f"It is 08:{10 + i}. {GUIDE}"
    (finding,) = explain(rows)
    assert finding.kind is Kind.DATETIME
    assert [type(repair).__name__ for repair in finding.repairs[0].repairs] == ["MoveToEnd", "AddBreakpoint"]
    assert finding.repairs[0].money_saved > 0.5 * finding.agent_cost


def test_an_agent_that_reads_by_simulation_is_healthy():
    """One marked system prompt, asked every minute, is read each time: healthy, and the note says by what."""
    findings = explain([ask(60 * i, session=i) for i in range(40)])
    assert not findings
    assert len(findings.healthy) == 1
    assert str(findings).splitlines()[-1] == findings.notes[0]


def test_unknown_prices_claim_nothing():
    """A model without a price has no costs, so no money is claimed and no note needed."""
    findings = explain([ask(60 * i, session=i, marked=False, model="imaginary-1") for i in range(40)])
    assert all(finding.money_lost is None for finding in findings)
    assert not findings.notes


def test_requests_without_bodies_and_usage_claim_nothing():
    """A run that production recorded without usage does not say which breakpoints were sent: no cost is claimed."""
    rows = [ask(60 * i, session=i, marked=False) for i in range(40)]
    snap = acg.from_requests(rows, agent_id="support")
    backend = acg.MemoryBackend()
    for run in snap.runs:
        calls = [replace(call, exchange=None) for call in run.calls]
        backend.store_run(replace(run, calls=calls))
    for key, window in snap.windows.items():
        backend.store_observations(key, window)
    findings = acg.explain(acg.load(backend), progress=False)
    assert all(finding.money_lost is None for finding in findings)
    assert not findings.notes


@pytest.mark.parametrize("fault", ["all failed", "no price"])
def test_health_is_unknown_where_no_cost_is(fault):
    """Where every request failed, or the model has no price, no profile is called healthy: its costs are unknown."""
    rows = [
        ask(60 * i, session=i, model="llama-3.3-70b" if fault == "no price" else "claude-sonnet-4-5") for i in range(8)
    ]
    failed = {"response": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}}
    findings = explain([row | failed for row in rows] if fault == "all failed" else rows)
    assert (findings, findings.healthy, len(findings.unknown)) == ((), (), 1)
    assert str(findings).splitlines()[0] == "No findings; costs of 1 profile unknown"
