"""Display names of profiles, and the way back from a name to a learning key."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import acg_lab as acg
from acg_lab.core import UsageError
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.widgets.state import TunerState

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


def make_key(agent_id="chat", model="m", seed="user:sha256:00", system="no-system", tools="no-tools", tail=""):
    return f"{agent_id}::model={model}::seed={seed}::system={system}::tools={tools}{tail}"


def name_keys(*keys):
    return list(ProfileNames(dict.fromkeys(keys)).values())


def test_only_profile_has_its_agents_name():
    """The name of an agent's only profile is the agent's."""
    assert name_keys(make_key("chat"), make_key("mail")) == ["chat", "mail"]


def test_name_has_the_parts_that_differ():
    """A name has the parts of the key that the agent's profiles do not share, words in full and hashes by their end."""
    assert name_keys(make_key(tools="sha256:12ab34"), make_key()) == ["chat tools…ab34", "chat no-tools"]
    assert name_keys(make_key(model="m1"), make_key(model="m2")) == ["chat model…m1", "chat model…m2"]
    with_format = make_key(tail=f"::response_format=sha256:{'0f' * 32}")
    assert name_keys(with_format, make_key()) == ["chat response_format…0f0f", "chat no-response-format"]


def test_equal_ends_get_longer():
    """Hashes whose last eight digits are equal are shown with sixteen."""
    keys = [make_key(seed=f"user:sha256:{digit}2345beef") for digit in "12"]
    assert name_keys(*keys) == ["chat seed…12345beef", "chat seed…22345beef"]


HASHES = st.text("0123456789abcdef", min_size=1, max_size=16).map("sha256:{}".format)
AGENTS = st.sampled_from(["a", "a b", "a b tools", "a::model=x"])
KEYS = st.builds(make_key, AGENTS, st.sampled_from(["m", "n"]), HASHES, HASHES | st.just("no-system"), HASHES)


@given(st.sets(KEYS, max_size=8))
def test_every_name_resolves(keys):
    """Every learning key and every display name resolves to its profile."""
    names = ProfileNames({key: key.rpartition("::model=")[0] for key in keys})
    for key, name in names.items():
        assert names.resolve(key) == key
        assert names.resolve(name) == key
        assert names.resolve(name.replace("…", "...")) == key


def test_name_from_another_set_of_profiles():
    """A name made among more profiles, or fewer, resolves where it fits one profile."""
    keys = [make_key(tools="sha256:12ab34", model="m1"), make_key(tools="sha256:12ab35", model="m2")]
    names = ProfileNames(dict.fromkeys(keys))
    assert names.resolve("chat tools…ab34") == keys[0]
    assert ProfileNames({keys[0]: "chat"}).resolve("chat model…m1 tools…ab34") == keys[0]


def test_agent_alone():
    """An agent stands for its only profile; of several the caller has to choose."""
    keys = [make_key("mail"), make_key("chat", seed="user:sha256:01"), make_key("chat", seed="user:sha256:02")]
    names = ProfileNames(dict.fromkeys(keys))
    assert names.resolve(agent_id="mail") == names.resolve("mail") == keys[0]
    assert names.of_agent("chat") == keys[1:]
    with pytest.raises(
        UsageError, match=r"^There are 2 profiles of agent 'chat'; choose one by learning_key=, such as"
    ):
        names.resolve(agent_id="chat")
    with pytest.raises(UsageError, match=r"^'chat' fits 2 profiles; choose one of 'chat seed…01', 'chat seed…02'\.$"):
        names.resolve("chat")
    with pytest.raises(UsageError, match="There are 3 profiles; choose one by learning_key="):
        names.resolve()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "supprt-mail"}, "There is no profile 'supprt-mail'; the nearest of 204: 'support-mail', "),
        ({"agent_id": "coderr"}, "There is no profile of agent 'coderr'; the nearest of 11: 'coder', "),
        ({"profile": "coder", "agent_id": "support-mail"}, "There is no profile 'coder'; the nearest of 1: "),
        ({"profile": 1}, "A profile must be named by a str, its learning key or display name; got 1."),
    ],
)
def test_unknown_profile(options, message):
    """An unknown profile or agent is a UsageError that lists the nearest."""
    with pytest.raises(UsageError) as error:
        acg.load(SAMPLE).profile_names.resolve(**options)
    assert str(error.value).startswith(message)


def test_nothing_to_resolve():
    """Without profiles nothing resolves."""
    with pytest.raises(UsageError, match="There is no profile 'chat'; there are none"):
        ProfileNames({}).resolve("chat")


def test_every_entry_point_takes_a_name():
    """Functions that take a learning key also take the display name, or the agent of a single profile."""
    snap = acg.load(SAMPLE, agent_id="sales-analyst")
    key = snap.profile_names.resolve("sales-analyst tools...d206")
    assert key.startswith("sales-analyst::model=")
    name = snap.profile_names[key]
    assert name == "sales-analyst tools…d206"
    assert set(acg.frames.variants(snap, name)["span_id"]) == set(acg.frames.variants(snap, key)["span_id"])
    for make in (acg.frames.cells, acg.frames.threshold_curve):
        assert make(snap, name).equals(make(snap, key))
    assert acg.frames.scores(snap, learning_key=name).equals(acg.frames.scores(snap, learning_key=key))
    assert acg.explain(snap, name) == acg.explain(snap, key)
    dropped = acg.what_if(snap, acg.repairs.SortTools(learning_keys=(name,)))
    assert dropped == acg.what_if(snap, acg.repairs.SortTools(learning_keys=(key,)))
    trace = acg.replay(snap, window=100)
    assert set(trace.select(learning_key=name).learning_keys) == {key}
    one = acg.load(SAMPLE, agent_id="support-mail")
    assert acg.frames.cells(one, agent_id="support-mail").equals(acg.frames.cells(one))


def test_tuner_and_plots_take_a_name():
    """The tuner's state resolves a name to its learning key; a plot draws the profile of a name or agent."""
    snap = acg.load(SAMPLE, agent_id="sales-analyst")
    name = "sales-analyst tools…d206"
    state = TunerState(snap)
    state.learning_key = name
    assert state.learning_key == snap.profile_names.resolve(name)
    with pytest.raises(UsageError, match="There is no profile 'nobody'"):
        state.learning_key = "nobody"
    assert name in acg.plots.alt_text(acg.plots.threshold_curve(snap, name))
    one = acg.load(SAMPLE, agent_id="support-mail")
    assert "support-mail" in acg.plots.alt_text(acg.plots.window_heatmap(one, agent_id="support-mail"))
