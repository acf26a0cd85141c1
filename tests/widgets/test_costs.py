"""What settings cost in the tuner: equal to `acg.simulate`, known during a drag, and never an older number."""

import re

import pytest
from strategies import make_ir
from widgets.reading import cards, shown

import acg_lab as acg
from acg_lab._format import MINUS, money, percent
from acg_lab.widgets import TunerState


def simulated(trace, settings, agent_id=None):
    sim = acg.simulate(trace, settings, config=acg.AcgSettings(provider="anthropic"))
    return (sim if agent_id is None else sim.by_agent()[agent_id]).totals()


@pytest.fixture
def state(triage):
    made = TunerState(*triage)
    yield made
    made.close()


def test_costs_are_those_of_simulate(state, triage):
    """The cost of the current and of tried settings, and the least possible, equal a simulation of each."""
    assert state.cost(state.current, None) is None, "nothing is known before it is priced"
    for stable in (0.95, 0.9, 0.5):
        state.propose(stable_threshold=stable)
        state.price()
        expected = simulated(triage[1], state.settings)
        found = state.cost(state.settings, None)
        assert found.cost == pytest.approx(expected.simulated)
        assert found.limit == pytest.approx(expected.limit)
        assert found.without_cache == pytest.approx(expected.without_cache)
        sim = acg.simulate(triage[1], state.settings, config=acg.AcgSettings(provider="anthropic"))
        assert found.read_share == pytest.approx(sim.read_share)
        assert state.cost(state.settings, "claims-triage") == found


def test_a_drag_finds_costs_at_once(state):
    """Once priced, every step of the stable threshold's slider is known for the agent being shown."""
    state.price()
    for step in range(50, 101):
        state.propose(stable_threshold=step / 100)
        assert state.cost(state.settings, state.shown_agent) is not None


@pytest.mark.slow
def test_another_minimum_is_not_known_yet(state):
    """A setting that was not priced has no cost, not that of another setting."""
    state.price()
    state.propose(min_observations_for_full_confidence=7)
    assert state.cost(state.settings, None) is None
    state.price()
    assert state.cost(state.settings, None) is not None


@pytest.mark.slow
def test_another_window(state):
    """Costs of another observation window come from the same bills."""
    state.price()
    before = state.cost(state.current, None)
    state.propose(observation_window=30)
    state.price()
    found = state.cost(state.settings, None)
    assert found.without_cache == before.without_cache
    assert state.cost(state.current, None) == before


def test_money_comes_first(make_tuner, triage):
    """The first tile is the input cost of the agent, a month and per 1,000 requests, less in blue."""
    tuner = make_tuner(*triage)
    assert "cost" not in cards(tuner)
    tuner.settings = tuner.settings.replace(stable_threshold=0.9)
    tuner.state.price()
    found = cards(tuner)
    assert next(iter(found)) == "cost"
    cost = tuner.state.cost(tuner.settings, "claims-triage")
    assert found["cost"]["tried"] == money(cost.cost / cost.months)
    assert found["cost"]["change"].startswith(MINUS)
    assert "per 1,000 requests · at best" in found["cost"]["below"]
    assert list(found)[:3] == ["cost", "read", "prefix"]
    assert found["read"]["tried"] == percent(cost.read_share)
    assert "acg-worse" not in tuner._numbers.value.partition('data-name="prefix"')[0]
    assert "cost_of_all" not in found, "one agent is all agents"


@pytest.mark.slow
def test_who_pays_more_is_named(make_tuner, sample, trace):
    """A setting that makes an agent dearer says which and by how much, and the tile of all agents is orange."""
    tuner = make_tuner(sample, trace, agent_id="claims-triage")
    tuner.state.price()
    assert tuner._dearer.value == ""
    tuner.settings = tuner.settings.replace(stable_threshold=0.9)
    tuner.state.price()
    assert shown(tuner._dearer.value).startswith("Dearer for 1 agent: claims-triage-next +$")
    of_all = tuner._numbers.value.partition('data-name="cost_of_all"')
    assert of_all[0].rstrip().endswith('acg-warned"')
    assert cards(tuner)["cost_of_all"]["change"].startswith("+")
    assert "acg-warned" in tuner._image._dom_classes, "whoever pays more"
    gained = re.search(r'data-agent="claims-triage-next".*?</tr>', tuner._agents.value, re.DOTALL)[0]
    assert "acg-better" not in gained, "a longer prefix that costs more is no gain"
    assert "input cost" in shown(tuner._agents.value)


def test_what_production_ignores_is_orange(make_tuner, sample, trace):
    """A longer prefix that production plans nothing for is marked in tile and picture, with the reason above it."""
    tuner = make_tuner(sample, trace, agent_id="claims-triage-next")
    assert "acg-warned" not in tuner._image._dom_classes
    tuner.settings = tuner.settings.replace(stable_threshold=0.9)
    assert "acg-warned" in tuner._image._dom_classes
    assert "acg-warned" in tuner._numbers.value
    assert "acg-better" not in tuner._numbers.value
    assert "acg-can" in tuner._idle.value
    tuner.state.reset()
    assert "acg-warned" not in tuner._image._dom_classes


@pytest.mark.parametrize("provider", ["passthrough", "anthropic"])
def test_a_governor_that_changes_no_request(make_tuner, triage, provider):
    """With passthrough no change is a gain: tile and picture are orange, and an orange line says why."""
    tuner = make_tuner(*triage, config=acg.AcgSettings(provider=provider))
    assert "acg-can" not in tuner._idle.value, "nothing is changed yet"
    tuner.settings = tuner.settings.replace(stable_threshold=0.9)
    is_idle = provider == "passthrough"
    assert ("acg-warned" in tuner._image._dom_classes) == is_idle
    assert ("acg-better" not in tuner._numbers.value) == is_idle
    assert ("acg-can" in tuner._idle.value and "changes no request" in tuner._idle.value) == is_idle


def test_a_family_that_is_not_known_and_a_minimum(make_tuner):
    """Where the governor knows no family of the model, or the prefix is below its minimum, a change is orange."""
    for model, why in (("claude-unheard-of-9", "does not know the family"), ("claude-opus-4-5", "shorter than")):
        backend = acg.MemoryBackend()
        key = f"a::model={model}::seed=no-seed::system=no-system::tools=no-tools"
        texts = [("s" * 400 if i % 5 else "t", f"{i}") for i in range(30)]
        window = [make_ir(("system-0", "s" * 400), ("user-1", one), ("user-2", other)) for one, other in texts]
        backend.store_observations(key, window)
        tuner = make_tuner(acg.load(backend, rules="nemo-relay-0.6", progress=False))
        tuner.settings = tuner.settings.replace(stable_threshold=0.7)
        assert why in shown(tuner._idle.value)
        assert "acg-can" in tuner._idle.value
        assert "acg-warned" in tuner._image._dom_classes
        assert "acg-better" not in tuner._numbers.value


@pytest.mark.slow
def test_it_opens_on_the_agent_with_most_to_win(make_tuner, sample, trace):
    """Once costs are known it shows the agent that pays most beyond the least possible, unless the user has begun."""
    tuner, begun = make_tuner(sample, trace), make_tuner(sample, trace)
    chosen = begun.state.keys[-1]
    begun.state.learning_key = chosen
    for one in (tuner, begun):
        one.state.price()
    costs = {agent: tuner.state.cost(tuner.settings, agent) for agent in sample.agent_ids}
    most = max(costs, key=lambda agent: costs[agent].cost - costs[agent].limit)
    assert tuner.state.shown_agent == most
    assert next(iter(cards(tuner))) == "cost"
    assert begun.state.learning_key == chosen
