"""The settings as a value, and what is refused of them."""

from fractions import Fraction

import numpy as np
import pytest

import acg_lab as acg
from acg_lab.config import AcgSettings, inactive_reasons, render_config
from acg_lab.core import AcgLearner

T = acg.StabilityThresholds
STATE = {"backend": {"kind": "in_memory"}}


def document(acg_table=None, **config):
    return {"version": 1, "components": [{"kind": "adaptive", "config": {**config, "acg": acg_table}}]}


def thresholds(**changed):
    names = {"stable_threshold": 0.95, "semi_stable_threshold": 0.5, "min_observations_for_full_confidence": 20}
    return {"stability_thresholds": {name: value for name, value in (names | changed).items() if value is not ...}}


def test_defaults_are_productions():
    """What a document leaves out is production's default; provider and priority stay unknown."""
    for table in (None, {}, thresholds()):
        assert acg.load_config(document(table)) == AcgSettings()
    assert AcgSettings().values() == {
        "stable_threshold": 0.95,
        "semi_stable_threshold": 0.5,
        "min_observations_for_full_confidence": 20,
        "observation_window": 100,
    }


def test_replace():
    """Settings are changed by production's names, all in one value."""
    changed = AcgSettings().replace(stable_threshold=0.9, provider="openai", observation_window=7)
    assert changed == AcgSettings(T(stable_threshold=0.9), 7, "openai")
    with pytest.raises(acg.UsageError, match="There is no setting 'window'; expected one of stable_threshold, "):
        changed.replace(window=7)


@pytest.mark.parametrize(
    ("table", "path", "message"),
    [
        ({"observation_window": -1}, "acg.observation_window", "an integer from 0 to 9223372036854775807; got -1"),
        ({"observation_window": 20.0}, "acg.observation_window", "must be an integer from 0 to"),
        ({"observation_window": True}, "acg.observation_window", "must be an integer"),
        ({"observation_window": None}, "acg.observation_window", "expected a value, got null"),
        ({"priority": 2**31}, "acg.priority", "an integer from -2147483648 to 2147483647; got 2147483648"),
        ({"priority": None}, "acg.priority", "expected a value, got null"),
        ({"provider": "acme"}, "acg.provider", "must be one of passthrough, anthropic, openai; got 'acme'"),
        (
            thresholds(min_observations_for_full_confidence=2**32),
            "acg.stability_thresholds.min_observations_for_full_confidence",
            "an integer from 0 to 2**32 - 1; got 4294967296",
        ),
        (
            thresholds(min_observations_for_full_confidence=20.0),
            "acg.stability_thresholds.min_observations_for_full_confidence",
            "must be an integer",
        ),
        (thresholds(stable_threshold="0.9"), "acg.stability_thresholds.stable_threshold", "a finite number; got '0.9'"),
        (thresholds(stable_threshold=float("nan")), "acg.stability_thresholds.stable_threshold", "got nan"),
        (thresholds(stable_threshold=float("inf")), "acg.stability_thresholds.stable_threshold", "got inf"),
        (thresholds(stable_threshold=True), "acg.stability_thresholds.stable_threshold", "got True"),
        (thresholds(stable_threshold=None), "acg.stability_thresholds.stable_threshold", "got null"),
        (thresholds(semi_stable_threshold=...), "acg.stability_thresholds", "got no 'semi_stable_threshold'"),
        ({"stability_thresholds": None}, "acg.stability_thresholds", "expected a table, got null"),
        ([], "acg", "expected a table, got an array"),
    ],
)
def test_what_production_refuses(table, path, message):
    """Values that production refuses are refused, with file, place, what was expected and what came."""
    with pytest.raises(acg.RecordError) as caught:
        acg.load_config(document(table))
    assert caught.value.path == f"$.components[0].config.{path}"
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stable_threshold": 1.2}, "'stable_threshold' setting must be a number in [0, 1]; got 1.2."),
        ({"semi_stable_threshold": -0.1}, "'semi_stable_threshold' setting must be a number in [0, 1]"),
        (
            {"semi_stable_threshold": 0.96},
            "'semi_stable_threshold' setting must be at most stable_threshold (0.95); got",
        ),
        ({"observation_window": 0}, "'observation_window' setting must be at least 1"),
    ],
)
def test_what_the_lab_does_not_write(changes, message):
    """Settings that production takes but nobody can want can be read and held, not written."""
    settings = AcgSettings().replace(**changes)
    read = thresholds(**{k: v for k, v in changes.items() if "threshold" in k}) | {
        k: v for k, v in changes.items() if "window" in k
    }
    assert acg.load_config(document(read)) == settings
    for write in (render_config, lambda given: acg.export_config({}, given)):
        with pytest.raises(acg.UsageError) as caught:
            write(settings)
        assert message in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"thresholds": 0.9}, {"observation_window": "5"}, {"priority": 1.5}, {"provider": 1}]
)
def test_wrong_types(wrong):
    """A setting of a wrong type can't be made."""
    with pytest.raises(acg.UsageError, match=f"The '{min(wrong)}' setting must be"):
        AcgSettings(**wrong)


def test_a_mapping_is_copied():
    """Settings go into a copy of a mapping, with all that it had, and the mapping stays as it was."""
    given = document({"provider": "anthropic", "x": [1]}, state=STATE)
    before = repr(given)
    merged = acg.export_config(given, AcgSettings(T(stable_threshold=0.9), 30))
    table = merged["components"][0]["config"]["acg"]
    expected = thresholds(stable_threshold=0.9)
    assert table == {"provider": "anthropic", "x": [1], "observation_window": 30, **expected}
    table["x"].append(2)
    assert repr(given) == before


def test_null_is_absence():
    """A table that JSON has as null is made."""
    merged = acg.export_config(document(None, state=STATE), AcgSettings(observation_window=30))
    assert merged["components"][0]["config"]["acg"] == {"observation_window": 30, **thresholds()}


def test_wrong_sources():
    """A document without the component is reported, and so is what is no document."""
    with pytest.raises(acg.RecordError, match="expected a component of kind 'adaptive', got none"):
        acg.load_config({"version": 1})
    with pytest.raises(acg.UsageError, match="A config is a path or a mapping; got int"):
        acg.load_config(7)


def test_why_idle():
    """What keeps production from learning is said, and nothing if it learns."""
    assert inactive_reasons({}) == ("There is no component of kind 'adaptive'.",)
    assert inactive_reasons(acg.export_config({}, AcgSettings())) == ()
    idle = document(None, telemetry={"learners": ["latency"]})
    idle["components"][0]["enabled"] = False
    reasons = inactive_reasons(idle)
    assert [reason.split("'")[1] if "'" in reason else reason for reason in reasons] == [
        "The component is disabled.",
        "state",
        "acg",
        "acg",
    ]


def test_numpy_scalars_are_numbers():
    """Numpy's integers and floats do as Python's, in settings, thresholds and the learner; its booleans do not."""
    settings = AcgSettings(observation_window=np.int64(50), priority=np.int32(7)).replace(
        stable_threshold=np.float32(0.5), min_observations_for_full_confidence=np.uint8(5)
    )
    assert settings == AcgSettings(
        acg.StabilityThresholds(stable_threshold=0.5, min_observations_for_full_confidence=5), 50, priority=7
    )
    assert [type(value) for value in settings.values().values()] == [float, float, int, int, int]
    assert acg.load_config(acg.export_config({}, settings)) == settings
    assert AcgLearner("a", observation_window=np.int64(50)).observation_window == 50
    for wrong in (np.bool_(True), np.float64("nan"), np.array([0.5]), Fraction(1, 2)):
        with pytest.raises(acg.UsageError):
            acg.StabilityThresholds(stable_threshold=wrong)
        with pytest.raises(acg.UsageError):
            AcgSettings(observation_window=wrong)


ODD_TEXTS = [
    ("toml", f"x = {'9' * 5000}"),
    ("toml", f"x = 0x{'f' * 5000}"),
    ("toml", f"x = {2**63}"),
    ("toml", ".".join("a" * 500) + " = 1"),
    ("toml", "[" + ".".join("a" * 500) + "]"),
    ("json", f'{{"x": {"9" * 5000}}}'),
    ("json", f'{{"x": {"1" + "0" * 400}}}'),
    ("json", '{"\\ud800": 1}'),
    ("json", '{"x": ["\\udfff"]}'),
    ("json", '{"a":' * 500 + "1" + "}" * 500),
]


@pytest.mark.parametrize(("suffix", "text"), ODD_TEXTS)
def test_odd_texts_raise_our_error(tmp_path, suffix, text):
    """Huge integers, hundreds of levels and lone surrogates raise RecordError, and the file stays as it is."""
    path = tmp_path / f"plugins.{suffix}"
    path.write_text(text)
    for use in (acg.load_config, inactive_reasons, lambda given: acg.export_config(given, AcgSettings())):
        with pytest.raises(acg.RecordError):
            use(path)
    assert path.read_text() == text


def test_a_mapping_within_itself_raises_our_error():
    """A mapping that holds itself is refused, as one that is nested too deeply."""
    endless = {"version": 1}
    endless["x"] = endless
    for use in (acg.load_config, inactive_reasons, lambda given: acg.export_config(given, AcgSettings())):
        with pytest.raises(acg.RecordError, match="levels"):
            use(endless)


REFUSED = [
    ({"version": 2}, "$.version"),
    ({"version": 1.0}, "$.version"),
    ({"version": True}, "$.version"),
    ({"policy": {"unknown_field": "shout"}}, "$.policy.unknown_field"),
    ({"components": [{}]}, "$.components[0].kind"),
    ({"components": [{"kind": "adaptive", "enabled": "yes"}]}, "$.components[0].enabled"),
    (document(version=2), "$.components[0].config.version"),
    (document(agent_id=5), "$.components[0].config.agent_id"),
    (document(state={}), "$.components[0].config.state.backend"),
    (document(state={"backend": {}}), "$.components[0].config.state.backend.kind"),
    (document(state={"backend": {"kind": "sqlite"}}), "$.components[0].config.state.backend.kind"),
    (document(state={"backend": {"kind": "redis"}}), "$.components[0].config.state.backend.config.url"),
    (document(telemetry={"learners": "acg"}), "$.components[0].config.telemetry.learners"),
    (document(policy={"unsupported_value": "x"}), "$.components[0].config.policy.unsupported_value"),
]


@pytest.mark.parametrize(("refused", "path"), REFUSED)
def test_the_rest_of_the_document(refused, path):
    """It is neither read, nor explained, nor written; the error has the path of the value, and never a text."""
    for use in (acg.load_config, inactive_reasons, lambda given: acg.export_config(given, AcgSettings())):
        with pytest.raises(acg.RecordError) as caught:
            use(refused)
        assert caught.value.path == path
        assert not any(text in caught.value.reason for text in ("shout", "yes", "sqlite"))
