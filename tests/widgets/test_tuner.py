"""The tuner displays what analyze and the trace hold, and behaves like a widget."""

import asyncio
import re
from io import BytesIO

import ipywidgets as w
import numpy as np
import pandas as pd
import pytest
from examples import scaled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from widgets.reading import cards, parts, shown

import acg_lab as acg
from acg_lab import frames
from acg_lab._format import MINUS, percent, tokens
from acg_lab.core import UsageError

AGENTS = ("claims-triage", "claims-triage-next", "handbook-search", "sales-analyst")


@pytest.fixture(scope="module")
def one(sample, trace):
    """One tuner for many settings."""
    tuner = acg.ThresholdTuner(sample, trace)
    yield tuner
    tuner.close()


@st.composite
def any_settings(draw):
    stable = draw(st.integers(0, 100)) / 100
    return acg.AcgSettings().replace(
        stable_threshold=stable,
        semi_stable_threshold=round(stable * draw(st.floats(0, 1)), 3),
        min_observations_for_full_confidence=draw(st.integers(0, 60)),
        observation_window=draw(st.sampled_from([30, 100])),
    )


class TestNumbers:
    """Each number is read from the widget that displays it."""

    @settings(max_examples=scaled(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(any_settings(), st.sampled_from(AGENTS))
    def test_they_are_those_of_analyze_and_the_trace(self, one, sample, trace, tried, agent_id):
        """Prefix, share, profiles, median and matching requests equal analyze and the trace."""
        one.state.agent_id = agent_id
        one.settings = tried
        found, key = cards(one), one.state.learning_key
        size, limits = tried.observation_window, tried.thresholds
        windows = {key: w[-size:] for key, w in sample.windows.items() if sample.owners[key].agent_id == agent_id}
        summaries = {s.learning_key: s for s in acg.summarize(*self.analyzed(windows, limits, sample.rules))}
        chosen, mine = summaries[key], summaries.values()
        assert found["prefix"]["tried"] == tokens(chosen.prefix_tokens)
        assert found["prefix"]["below"].startswith(f"{chosen.prefix_blocks:,} block")
        assert found["share"]["tried"] == percent(chosen.share)
        used = [s.prefix_tokens if s.observations > 1 and s.prefix_blocks else 0.0 for s in mine]
        assert ("profiles" in found) == (len(used) > 1), "one profile has no others to count"
        if len(used) > 1:
            assert found["profiles"]["tried"] == tokens(sum(n > 0 for n in used))
            assert found["median"]["tried"] == tokens(float(np.median(used)))
        steps = trace.select(agent_id=agent_id)
        stable = limits.stable_threshold
        whole = steps.matched_tokens(stable, window=size) == steps.prefix_tokens(stable, window=size)
        lengths = steps.prefix_lengths(stable, window=size)[:, 0]
        matched = int((whole[:, 0] & (lengths > 0) & (lengths <= steps.n_blocks)).sum())
        assert found["matched"]["tried"] == percent(matched / len(steps))
        assert found["matched"]["below"].startswith(f"{matched:,} of {len(steps):,} requests")

    @staticmethod
    def analyzed(windows, limits, rules):
        """Analyse windows that were cut by hand."""
        backend = acg.MemoryBackend()
        for key, window in windows.items():
            backend.store_observations(key, window)
        snap = acg.load(backend, progress=False)
        results = {
            key: acg.analyze_stability(window, limits, rules=rules[key].rules, learning_key=key)
            for key, window in snap.windows.items()
        }
        return snap, results

    def test_the_difference_to_production(self, tuner):
        """Each number shows the current value, and the difference with its sign."""
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        found = cards(tuner)
        assert found["prefix"] | {"below": ""} == {"tried": "2,384", "current": "1,796", "change": "+588", "below": ""}
        assert found["share"]["change"] == "+24 pts"
        assert found["matched"]["change"].startswith(MINUS)

    def test_what_changed(self, tuner):
        """A line names the profiles that gain or lose."""
        assert shown(tuner._changes.value) == "No prefix changes."
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert "1 prefix gets longer : claims-triage" in shown(tuner._changes.value)
        tuner.state.agent_id = None
        assert "2 prefixes get longer" in shown(tuner._changes.value)

    def test_each_agent(self, tuner, sample):
        """A table shows the effect on each agent, the largest first."""
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        rows = re.findall(r'data-agent="([^"]+)"', tuner._agents.value)
        assert sorted(rows) == sorted(sample.agent_ids)
        assert set(rows[:2]) == {"claims-triage", "claims-triage-next"}
        assert "One setting holds for all agents of a process" in shown(tuner._agents.value)

    def test_the_frame_behind_the_picture(self, tuner, sample):
        """The frame is that of the tab: scores, profiles, steps, cells or the curve."""
        key, limits = tuner.state.learning_key, tuner.settings.thresholds
        expected = frames.scores({key: acg.analyze(sample, limits)[key]}, sample)
        pd.testing.assert_frame_equal(tuner.frame(), expected, check_categorical=False)
        assert dict(tuner.results) == {key: acg.analyze(sample, limits)[key]}
        rows = {}
        for view in ("Requests", "All profiles", "Over time", "Threshold"):
            tuner.view = view
            rows[view] = len(tuner.frame())
        assert rows["All profiles"] == 1
        assert rows["Over time"] == 125
        assert rows["Requests"] == sum(map(len, (ir.blocks for ir in sample.windows[key])))


class TestProblemLine:
    def test_a_threshold_that_mends(self, tuner):
        """The line names the breaking block, the reason, what is out of reach, and the threshold that includes it."""
        said = shown(tuner._problem.value)
        assert said.startswith("user-10 breaks the prefix: content differs from the dominant one in 8 of 100 requests.")
        assert "294 stable tokens behind it are out of reach. At 0.92 or less it joins the prefix." in said
        assert "acg-can" in tuner._problem.value

    def test_nothing_to_gain(self, tuner):
        """If nothing stable follows, the line says so, in grey."""
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        said = shown(tuner._problem.value)
        assert "Nothing stable follows it: this is the longest useful prefix." in said
        assert "acg-can" not in tuner._problem.value

    def test_what_production_does_with_it(self, make_tuner, sample, trace):
        """A prefix that production would ignore is not advised; if it is in force, a line says so."""
        tuner = make_tuner(sample, trace, agent_id="claims-triage-next")
        assert "but then production plans nothing for it" in shown(tuner._problem.value)
        assert tuner._idle.value == ""
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert "Production does nothing with it" in shown(tuner._idle.value)
        assert "whole requests" in shown(tuner._idle.value)

    @settings(max_examples=scaled(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(any_settings(), st.sampled_from(AGENTS))
    def test_the_threshold_takes_the_block_in(self, one, tried, agent_id):
        """The prefix at a named threshold includes the block; a little above, it does not."""
        one.state.agent_id = agent_id
        one.settings = tried
        found = re.search(r"<b title=\"([^\"]+)\">.*At ([\d.]+) or less", one._problem.value)
        if found is None:
            return
        name, threshold = found[1], float(found[2])
        profile = one.state.profile(tried)
        semi = min(tried.thresholds.semi_stable_threshold, threshold)
        result = profile.result(acg.StabilityThresholds(stable_threshold=threshold, semi_stable_threshold=semi))
        assert name in {score.span_id for score in result.scores[: result.stable_prefix_length]}
        assert threshold < tried.thresholds.stable_threshold

    def test_equal_thresholds(self, tuner):
        """With equal thresholds a note says that no block can be semi-stable."""
        tuner.settings = tuner.settings.replace(semi_stable_threshold=0.95)
        assert "no block can be semi-stable" in shown(tuner._idle.value)


class TestControls:
    def test_sliders_move_the_settings(self, tuner):
        """Moving a slider proposes its value; box and picture follow."""
        before = tuner._image.value
        tuner._controls["stable_threshold"].slider.value = 0.9
        assert tuner.settings.thresholds.stable_threshold == 0.9
        assert tuner._controls["stable_threshold"].exact.value == 0.9
        assert tuner._image.value != before

    def test_exact_values(self, make_tuner, triage):
        """A typed value is taken as it is, even beyond the slider's end."""
        tuner = make_tuner(*triage)
        tuner._controls["stable_threshold"].exact.value = 0.9125
        assert tuner.settings.thresholds.stable_threshold == 0.9125
        assert tuner._controls["stable_threshold"].slider.value == 0.91, "in steps that the front end does not round"
        tuner._controls["observation_window"].exact.value = 512
        assert tuner.settings.observation_window == 512
        assert tuner._controls["observation_window"].slider.value == 512
        tuner.state.join()

    def test_a_refusal(self, tuner):
        """A refused value snaps back, the last valid settings stay, and a line says why until the next valid one."""
        control = tuner._controls["semi_stable_threshold"]
        control.slider.value = 0.97
        assert control.slider.value == control.exact.value == 0.5
        assert "must be at most stable_threshold (0.95); got 0.97" in shown(tuner._refused.value)
        control.exact.value = 0.97
        assert control.slider.value == control.exact.value == 0.5, "the same again goes back again"
        tuner.settings = tuner.settings.replace(semi_stable_threshold=0.6)
        assert tuner._refused.value == ""

    def test_settings_from_code(self, tuner):
        """The trait can be set, observed and linked; settings that can't be tried raise and change nothing."""
        seen = []
        tuner.observe(lambda change: seen.append(change["new"].thresholds.stable_threshold), "settings")
        tuner.settings = tuner.settings.replace(stable_threshold=0.8)
        assert tuner._controls["stable_threshold"].slider.value == 0.8
        with pytest.raises(UsageError, match="semi_stable_threshold"):
            tuner.settings = tuner.settings.replace(semi_stable_threshold=0.9)
        assert tuner.settings is tuner.state.settings
        assert seen == [0.8]

    def test_reset(self, tuner):
        """Reset goes back to the current settings."""
        tuner.settings = tuner.settings.replace(stable_threshold=0.8, observation_window=30)
        tuner._reset.click()
        assert tuner.settings == acg.AcgSettings()

    def test_choosing(self, make_tuner, sample, trace):
        """Profiles are listed worst first and can be searched by any part of their name or key."""
        tuner = make_tuner(sample, trace)
        menu, state = tuner._chooser.profile, tuner.state
        assert [key for _, key in menu.options] == list(state.keys)
        assert all(label.endswith(("requests", "1 request")) for label, _ in menu.options)
        tuner._chooser.filter.value = "SUPPORT-mail claude"
        found = [key for _, key in menu.options if key != state.learning_key]
        assert menu.description == f"profile ({len(found):,} found)"
        assert found == [key for key in state.keys if key.startswith("support-mail")]
        menu.value = found[0]
        assert state.learning_key == found[0]
        assert cards(tuner)["share"]["tried"] == "97%"
        tuner._chooser.filter.value = "support-MAIL"
        assert menu.description == "profile (1 found)", "the chosen one counts where it has the words"
        tuner._chooser.agent.value = "coder"
        assert state.learning_key.startswith("coder")
        assert menu.tooltip.startswith(f"{sample.profile_names[state.learning_key]}. "), "the menu cuts long names"

    def test_every_control_is_labelled(self, tuner):
        """Every control has a description."""
        used = [part for part in parts(tuner) if isinstance(part, w.Button | w.Text | w.Dropdown | w.ToggleButtons)]
        used += [c for control in tuner._controls.values() for c in (control.slider, control.exact)]
        assert len(used) >= 14
        assert all(part.description for part in used)
        assert all(part.tooltip for part in used if not isinstance(part, w.Button)), 'the front end would say "null"'


class TestPictures:
    def test_every_tab(self, tuner):
        """Every tab shows a picture with alternative text."""
        for view in ("Blocks", "Requests", "All profiles", "Over time", "Threshold"):
            tuner.view = view
            picture = Image.open(BytesIO(tuner._image.value))
            assert picture.format == "PNG"
            assert picture.width == 672 or view != "Blocks"
            assert shown(tuner._words.value)
            assert " ".join(picture.info["Description"].split()) == shown(tuner._words.value)

    def test_the_height_does_not_jump(self, tuner):
        """A profile's picture never gets lower."""

        def height():
            return Image.open(BytesIO(tuner._image.value)).height

        highest = height()
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert height() == highest

    def test_without_a_loop_nothing_is_late(self, tuner):
        """Without an event loop everything is shown when the assignment returns."""
        shown_in = tuner._numbers, tuner._changes, tuner._image
        before = [part.value for part in shown_in]
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert all(part.value != old for part, old in zip(shown_in, before, strict=True))

    def test_a_redraw_is_overtaken(self, sample, trace):
        """On an event loop only the last of many values is drawn, and a sharp picture follows when changes pause."""

        async def drag():
            tuner = acg.ThresholdTuner(sample, trace, agent_id="claims-triage")
            drawn = []
            tuner._image.observe(lambda change: drawn.append(Image.open(BytesIO(change["new"])).width), "value")
            await asyncio.sleep(1)
            assert drawn == [1344]
            drawn.clear()
            for i in range(50):
                tuner.settings = tuner.settings.replace(stable_threshold=0.6 + i / 200)
            assert drawn == []
            await asyncio.sleep(0.05)
            assert drawn == [672]
            for _ in range(100):
                await asyncio.sleep(0.1)
                if len(drawn) > 1:
                    break
            assert drawn == [672, 1344]
            tuner.close()

        asyncio.run(drag())

    def test_errors_are_shown(self, tuner, monkeypatch):
        """An error while drawing is shown in the tuner, escaped."""

        def fail(*_args, **_kw):
            msg = "<b>no</b>"
            raise ValueError(msg)

        monkeypatch.setattr(tuner._pictures, "draw", fail)
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert "ThresholdTuner: ValueError: &lt;b&gt;no&lt;/b&gt;" in tuner._refused.value
