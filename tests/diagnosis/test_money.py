"""Findings with money: what faults cost and repairs save, by simulation, where usage is recorded."""

import pytest

import acg_lab as acg
from acg_lab import repairs
from acg_lab.diagnosis import Kind
from acg_lab.diagnosis.repair_costs import AgentCosts
from acg_lab.simulation import simulate


@pytest.fixture
def findings(explained_sample):
    return explained_sample


def first_of(findings, agent_id):
    return next(finding for finding in findings if finding.agent_id == agent_id)


def test_the_dearest_loss_comes_first(findings):
    """support-chat's clock costs most, and findings are in the order of what they cost; events stand behind faults."""
    assert (findings[0].agent_id, findings[0].kind) == ("support-chat", Kind.DATETIME)
    costs = [(not finding.is_event, finding.money_lost) for finding in findings]
    assert costs == sorted(costs, reverse=True)


@pytest.mark.parametrize("agent_id", ["sales-analyst", "code-review", "support-mail"])
def test_a_breakpoint_at_the_end_of_the_system_prompt_saves_most(findings, agent_id):
    """Where the governor's breakpoint ends at the last tool, one more at the end of the system prompt saves most."""
    finding = first_of(findings, agent_id)
    assert finding.kind is Kind.BREAKPOINT_SHORT
    (repair,) = finding.repairs[0].repairs
    assert isinstance(repair, repairs.AddBreakpoint)
    assert repair.at == "system"
    assert finding.money_lost == finding.repairs[0].money_saved > 0.3 * finding.agent_cost


def test_health_agrees_with_usage(sample, findings):
    """The coder and support-legacy read nearly all that they could, and are healthy; nobody who loses much is."""
    healthy = {sample.owners[key].agent_id for key in findings.healthy}
    assert healthy == {"coder", "support-legacy"}


def test_a_shared_prompt_below_the_minimum(findings):
    """handbook-search reads little because its scaffold is shorter than the provider caches, which its repair mends."""
    found = {finding.kind: finding for finding in findings if finding.agent_id == "handbook-search"}
    assert Kind.BELOW_MINIMUM in found
    assert found[Kind.RETRIEVED_TEXT].repairs[0].money_saved > 0


def test_a_threshold_is_recommended_by_what_it_saves(findings):
    """Of claims-triage 0.92 only just includes the block; those below 0.9 save most; after moving to 0.8 none does."""
    saved = {finding.agent_id: finding.evidence for finding in findings if finding.evidence.threshold is not None}
    assert list(saved) == ["claims-triage"]
    assert saved["claims-triage"].threshold == pytest.approx(0.74, abs=0.011)  # as `acg.recommend` says
    assert saved["claims-triage"].threshold_saved == pytest.approx(0.1482, abs=0.005)


@pytest.mark.slow
def test_no_offered_repair_makes_any_agent_dearer(sample, findings):
    """Each offered repair saves what it says over the whole history, and no agent pays for another."""
    before = {agent_id: sim.totals().as_was for agent_id, sim in simulate(sample).by_agent().items()}
    for finding in (findings[0], first_of(findings, "claims-triage-next")):
        for effect in finding.repairs:
            after = simulate(acg.what_if(sample, effect.repairs)).by_agent()
            saved = {agent_id: cost - after[agent_id].totals().simulated for agent_id, cost in before.items()}
            assert saved.pop(finding.agent_id) == pytest.approx(effect.money_saved, rel=0.02)
            assert list(saved.values()) == pytest.approx([0.0] * len(saved), abs=1e-9)


def test_lines_lead_with_money(findings):
    """A line of the command says first who loses how much of what, in what time."""
    assert " 1. support-chat loses $3.03 of $4.82 in 14 days (63%): A date or time" in findings.to_text(width=200)
    assert "saves $3.03 (63%)" in findings._repr_html_()


@pytest.mark.slow
def test_at_most_ten_repairs_are_tried(sample, monkeypatch):
    """An explanation simulates at most ten repairs."""
    tried = []
    simulate_repairs = AgentCosts._simulate
    monkeypatch.setattr(
        AgentCosts, "_simulate", lambda self, snap, plan: tried.append(plan) or simulate_repairs(self, snap, plan)
    )
    acg.explain(acg.load(sample.source), progress=False)
    assert 0 < len(tried) <= 10


def test_what_was_not_tried_is_said(findings):
    """Repairs that can save least are not tried and not offered: their findings are upper bounds, and it is said."""
    saved = [effect.money_saved for finding in findings for effect in finding.repairs]
    assert len(saved) == 10
    assert min(saved) > 0
    open_ones = [finding for finding in findings if finding.lost_at_most and not finding.repairs]
    assert open_ones
    said = next(note for note in findings.notes if "not tried" in note)
    most = "at most 10 are, those that can save most"
    assert said == f"3 further repairs were not tried: {most}. Explain one agent to try its own."
    text = findings.to_text()
    assert said in " ".join(text.split())
    assert text.count("loses at most $") == sum(finding.lost_at_most for finding in findings)
    assert said in findings._repr_html_()
    assert "at most $" in findings._repr_html_()


def test_a_loss_that_no_repair_measured_is_an_upper_bound(findings):
    """A change of model has no repair, so its cost is what its requests could have saved at most."""
    found = next(finding for finding in findings if finding.kind is Kind.MODEL_CHANGED)
    assert found.lost_at_most
    assert not found.repairs
    assert not findings[0].lost_at_most


def test_what_a_repair_saves_does_not_depend_on_earlier_trials(sample):
    """Each repair saves what the simulation of the repaired requests says, whatever was tried before it."""
    snap = acg.load(sample.source, agent_id="field-notes-fixed", progress=False)
    remove, add, extend = repairs.RemovePattern(r"\d"), repairs.AddBreakpoint("last_message"), repairs.SetTtl("1h")
    plans = [(remove,), (add,), (remove, add), (extend, remove), (extend,)]
    costs = AgentCosts(snap, "field-notes-fixed")
    saved = [costs.saved(snap, plan) for plan in plans]
    assert saved == [costs.cost - simulate(acg.what_if(snap, plan)).totals().simulated for plan in plans]
    assert len(set(saved)) == len(plans)
