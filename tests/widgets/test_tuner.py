"""The tuner: what it displays is what analyze and the trace say; how it behaves, and that nothing is left of it."""

import asyncio
import gc
import re
import threading
import weakref
from io import BytesIO

import ipywidgets as w
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from learned import learned
from PIL import Image
from strategies import make_ir
from widgets.reading import cards, parts, shown

import acg_lab as acg
from acg_lab import frames
from acg_lab.core import UsageError
from acg_lab.plots.words import MINUS, percent, tokens

AGENTS = ("claims-triage", "claims-triage-next", "handbook-search", "sales-analyst")


@pytest.fixture
def tuner(make_tuner, sample, trace):
    return make_tuner(sample, trace, agent_id="claims-triage")


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
    """Each figure is read from the widget that displays it."""

    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(any_settings(), st.sampled_from(AGENTS))
    def test_they_are_those_of_analyze_and_the_trace(self, one, sample, trace, tried, agent_id):
        """Prefix, share, profiles, median and matching requests equal what analyze and the trace give."""
        one.state.agent_id = agent_id
        one.settings = tried
        found, key = cards(one), one.state.learning_key
        size, limits = tried.observation_window, tried.thresholds
        windows = {key: w[-size:] for key, w in sample.windows.items() if sample.owners[key].agent_id == agent_id}
        summaries = {s.learning_key: s for s in acg.summarize(*self.analyzed(windows, limits, sample.rules))}
        chosen, mine = summaries[key], summaries.values()
        assert found["prefix"]["now"] == tokens(chosen.prefix_tokens)
        assert found["prefix"]["below"].startswith(f"{chosen.prefix_blocks:,} block")
        assert found["share"]["now"] == percent(chosen.share)
        used = [s.prefix_tokens if s.observations > 1 and s.prefix_blocks else 0.0 for s in mine]
        assert found["profiles"]["now"] == tokens(sum(n > 0 for n in used))
        assert found["median"]["now"] == tokens(float(np.median(used)))
        steps = trace.select(agent_id=agent_id)
        stable = limits.stable_threshold
        whole = steps.matched_tokens(stable, window=size) == steps.prefix_tokens(stable, window=size)
        lengths = steps.prefix_lengths(stable, window=size)[:, 0]
        matched = int((whole[:, 0] & (lengths > 0) & (lengths <= steps.n_blocks)).sum())
        assert found["matched"]["now"] == percent(matched / len(steps))
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
        """Each number shows what production has, and the difference with its sign."""
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        found = cards(tuner)
        assert found["prefix"] | {"below": ""} == {"now": "2,384", "current": "1,796", "change": "+588", "below": ""}
        assert found["share"]["change"] == "+24 pts"
        assert found["matched"]["change"].startswith(MINUS)

    def test_what_changed(self, tuner):
        """It says by name which profiles gain or lose."""
        assert shown(tuner._changes.value) == "No prefix changes."
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert "1 prefix gets longer : claims-triage" in shown(tuner._changes.value)
        tuner.state.agent_id = None
        assert "2 prefixes get longer" in shown(tuner._changes.value)

    def test_each_agent(self, tuner, sample):
        """One setting holds for all agents of a process: the effect on each stands there, the largest first."""
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        rows = re.findall(r'data-agent="([^"]+)"', tuner._agents.value)
        assert sorted(rows) == sorted(sample.agent_ids)
        assert set(rows[:2]) == {"claims-triage", "claims-triage-next"}
        assert "One setting holds for all agents of a process" in shown(tuner._agents.value)

    def test_the_frame_behind_the_picture(self, tuner, sample):
        """The frame is that of the tab: scores of the profile, all profiles, steps, cells or the curve."""
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
        """It names what breaks the prefix, why, what is out of reach, and the threshold that takes it in."""
        said = shown(tuner._problem.value)
        assert said.startswith("user-10 breaks the prefix: content differs from the usual one in 8 of 100 requests.")
        assert "294 stable tokens behind it are out of reach. At 0.92 or less it joins the prefix." in said
        assert "acg-can" in tuner._problem.value

    def test_nothing_to_gain(self, tuner):
        """Where nothing stable follows it says so, without alarm."""
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        said = shown(tuner._problem.value)
        assert "Nothing stable follows it: this is the longest useful prefix." in said
        assert "acg-can" not in tuner._problem.value

    def test_what_production_does_with_it(self, make_tuner, sample, trace):
        """A prefix that production would do nothing with is not recommended; where it is in force, it is said."""
        tuner = make_tuner(sample, trace, agent_id="claims-triage-next")
        assert "but then production plans nothing for it" in shown(tuner._problem.value)
        assert tuner._idle.value == ""
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert "Production does nothing with it" in shown(tuner._idle.value)
        assert "whole requests" in shown(tuner._idle.value)

    @settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(any_settings(), st.sampled_from(AGENTS))
    def test_the_threshold_takes_the_block_in(self, one, tried, agent_id):
        """Whatever threshold is named, the prefix under it has the block; and a little above it has not."""
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
        """With equal thresholds a note says that nothing can be semi-stable."""
        tuner.settings = tuner.settings.replace(semi_stable_threshold=0.95)
        assert "no block can be semi-stable" in shown(tuner._idle.value)


class TestControls:
    def test_sliders_move_the_settings(self, tuner):
        """A slider that is moved proposes its value; box and picture follow."""
        before = tuner._image.value
        tuner._controls["stable_threshold"].slider.value = 0.9
        assert tuner.settings.thresholds.stable_threshold == 0.9
        assert tuner._controls["stable_threshold"].exact.value == 0.9
        assert tuner._image.value != before

    def test_exact_values(self, make_tuner, triage):
        """What is typed is taken as it is, beyond the slider's end too."""
        tuner = make_tuner(*triage)
        tuner._controls["stable_threshold"].exact.value = 0.9125
        assert tuner.settings.thresholds.stable_threshold == 0.9125
        assert tuner._controls["stable_threshold"].slider.value == 0.91, "in steps that the front end does not round"
        tuner._controls["observation_window"].exact.value = 512
        assert tuner.settings.observation_window == 512
        assert tuner._controls["observation_window"].slider.value == 512
        tuner.state.join()

    def test_a_refusal(self, tuner):
        """A refused value goes back, the last valid settings stay, and one line says why until the next valid one."""
        control = tuner._controls["semi_stable_threshold"]
        control.slider.value = 0.97
        assert control.slider.value == control.exact.value == 0.5
        assert "must be at most stable_threshold (0.95); got 0.97" in shown(tuner._refused.value)
        control.exact.value = 0.97
        assert control.slider.value == control.exact.value == 0.5, "the same again goes back again"
        tuner.settings = tuner.settings.replace(semi_stable_threshold=0.6)
        assert tuner._refused.value == ""

    def test_settings_from_code(self, tuner):
        """The trait can be set, observed and linked; what can't be tried raises and changes nothing."""
        seen = []
        tuner.observe(lambda change: seen.append(change["new"].thresholds.stable_threshold), "settings")
        tuner.settings = tuner.settings.replace(stable_threshold=0.8)
        assert tuner._controls["stable_threshold"].slider.value == 0.8
        with pytest.raises(UsageError, match="semi_stable_threshold"):
            tuner.settings = tuner.settings.replace(semi_stable_threshold=0.9)
        assert tuner.settings is tuner.state.settings
        assert seen == [0.8]

    def test_reset(self, tuner):
        """Reset goes back to production's settings."""
        tuner.settings = tuner.settings.replace(stable_threshold=0.8, observation_window=30)
        tuner._reset.click()
        assert tuner.settings == acg.AcgSettings()

    def test_choosing(self, make_tuner, sample, trace):
        """Profiles stand worst first, and can be searched by any part of their name or key."""
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
        assert cards(tuner)["share"]["now"] == "97%"
        tuner._chooser.filter.value = "support-MAIL"
        assert menu.description == "profile (1 found)", "the chosen one counts where it has the words"
        tuner._chooser.agent.value = "coder"
        assert state.learning_key.startswith("coder")

    def test_every_control_is_labelled(self, tuner):
        """Every control that can be used has a description."""
        used = [part for part in parts(tuner) if isinstance(part, w.Button | w.Text | w.Dropdown | w.ToggleButtons)]
        used += [c for control in tuner._controls.values() for c in (control.slider, control.exact)]
        assert len(used) >= 14
        assert all(part.description for part in used)
        assert all(part.tooltip for part in used if not isinstance(part, w.Button)), 'the front end would say "null"'


class TestPictures:
    def test_every_tab(self, tuner):
        """Every tab shows a picture that says in words what it shows."""
        for view in ("Blocks", "Requests", "All profiles", "Over time", "Threshold"):
            tuner.view = view
            picture = Image.open(BytesIO(tuner._image.value))
            assert picture.format == "PNG"
            assert picture.width == 672 or view != "Blocks"
            assert shown(tuner._words.value)
            assert " ".join(picture.info["Description"].split()) == shown(tuner._words.value)

    def test_the_height_does_not_jump(self, tuner):
        """A profile's picture stays as high as it ever was."""

        def height():
            return Image.open(BytesIO(tuner._image.value)).height

        highest = height()
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert height() == highest

    def test_without_a_loop_nothing_is_late(self, tuner):
        """In plain Python everything is shown when setting returns."""
        shown_in = tuner._numbers, tuner._changes, tuner._image
        before = [part.value for part in shown_in]
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert all(part.value != old for part, old in zip(shown_in, before, strict=True))

    def test_a_redraw_is_overtaken(self, sample, trace):
        """On a loop only the newest of many values is drawn, and a sharp picture follows when things rest."""

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
        """What fails while drawing is shown in the tuner, by its name, escaped."""

        def fail(*_args, **_kw):
            msg = "<b>no</b>"
            raise ValueError(msg)

        monkeypatch.setattr(tuner._pictures, "draw", fail)
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert "ThresholdTuner: ValueError: &lt;b&gt;no&lt;/b&gt;" in tuner._refused.value


class TestExport:
    def test_the_way_back(self, make_tuner, sample, trace, tmp_path):
        """The lines that change stand there with what they were; export writes them, and is then compared with."""
        path = tmp_path / "plugins.toml"
        acg.export_config(path, acg.AcgSettings(provider="anthropic"))
        tuner = make_tuner(sample, trace, config=path, agent_id="claims-triage")
        exporter = tuner._exporter
        assert exporter.button.disabled
        assert "no change: the settings equal" in shown(exporter._toml.value)
        tuner.settings = tuner.settings.replace(stable_threshold=0.9, observation_window=30)
        assert shown(exporter._toml.value) == "stable_threshold = 0.9 # was 0.95 observation_window = 30 # was 100"
        assert "2 of 4 settings change" in shown(exporter._count.value)
        exporter.button.click()
        assert acg.load_config(path) == tuner.settings
        assert acg.load_config(path).provider == "anthropic"
        assert "tuned" in path.read_text(encoding="utf-8")
        assert "restarted" in shown(exporter.outcome.value)
        assert exporter.button.disabled
        assert tuner.state.current == tuner.settings

    def test_a_file_that_is_not_used(self, make_tuner, triage, tmp_path):
        """What keeps production from using the file that was written is said."""
        path = tmp_path / "plugins.toml"
        path.write_text('[[components]]\nkind = "adaptive"\nenabled = false\n', encoding="utf-8")
        tuner = make_tuner(*triage)
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        tuner._exporter.path.value = str(path)
        tuner._exporter.button.click()
        assert acg.load_config(path).thresholds.stable_threshold == 0.9
        assert "learns nothing with this file: The component is disabled." in shown(tuner._exporter.outcome.value)

    def test_another_file_keeps_its_provider(self, make_tuner, triage, tmp_path):
        """What is not tuned is not written: another file keeps provider and priority."""
        for name, provider in (("one", "anthropic"), ("other", "openai")):
            acg.export_config(tmp_path / name, acg.AcgSettings(provider=provider, priority=7))
        tuner = make_tuner(*triage, config=tmp_path / "one")
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        tuner._exporter.path.value = str(tmp_path / "other")
        tuner._exporter.button.click()
        expected = acg.AcgSettings(provider="openai", priority=7).replace(stable_threshold=0.9)
        assert acg.load_config(tmp_path / "other") == expected == tuner.settings == tuner.state.current
        assert "no change" in shown(tuner._exporter._toml.value)

    def test_a_file_that_was_changed(self, make_tuner, triage, tmp_path):
        """What the file has by now is shown first, as what would be undone; the next click writes."""
        path = tmp_path / "plugins.toml"
        acg.export_config(path, acg.AcgSettings())
        tuner = make_tuner(*triage, config=path)
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        others = acg.AcgSettings(observation_window=50)
        acg.export_config(path, others)
        tuner._exporter.button.click()
        assert "has other settings than were shown as current" in shown(tuner._exporter.outcome.value)
        assert acg.load_config(path).values() == others.values()
        lines = "stable_threshold = 0.9 # was 0.95 observation_window = 100 # was 50"
        assert shown(tuner._exporter._toml.value) == lines
        tuner._exporter.button.click()
        assert acg.load_config(path) == tuner.settings == acg.AcgSettings().replace(stable_threshold=0.9)

    def test_the_first_file(self, make_tuner, triage, tmp_path):
        """Without a config the defaults are compared with; from the first export on, the file."""
        tuner = make_tuner(*triage)
        assert tuner._reset.description == "Reset to default"
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        tuner._exporter.path.value = str(tmp_path / "plugins.toml")
        tuner._exporter.button.click()
        assert tuner._reset.description == "Reset to current"
        assert "default" not in tuner._legend.value + tuner._numbers.value

    def test_what_cannot_be_written(self, make_tuner, sample, trace, tmp_path):
        """A file that can't be written is told in a line, and the settings stay to be exported elsewhere."""
        tuner = make_tuner(sample, trace, agent_id="claims-triage")
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        assert tuner._exporter.button.disabled, "there is no file to write to yet"
        assert shown(tuner._exporter._count.value) == "1 of 4 settings changes; name a file to export to"
        tuner._exporter.path.value = str(tmp_path / "missing" / "plugins.toml")
        tuner._exporter.button.click()
        assert "missing" in shown(tuner._exporter.outcome.value)
        assert not tuner._exporter.button.disabled
        assert tuner.state.current == acg.AcgSettings()


class TestUntrusted:
    def test_names_are_escaped(self, make_tuner):
        """Whatever stands in names shows as text."""
        evil = "<img src=x onerror=alert(1)>"
        backend = acg.MemoryBackend()
        for i in range(4):
            key = f"{evil}::model={evil}::seed=no-seed::system=no-system::tools=no-tools"
            window = [make_ir(("system-0", "s"), (f"{evil}", f"t{j % (i + 1)}"), ("user-2", "u")) for j in range(8)]
            backend.store_observations(key, window)
        backend.store_observations("b::model=m::seed=no-seed::system=no-system::tools=no-tools", window)
        tuner = make_tuner(acg.load(backend))
        tuner.settings = tuner.settings.replace(stable_threshold=0.2, semi_stable_threshold=0.1)
        html = [part.value for part in parts(tuner) if isinstance(part, w.HTML)]
        assert not any("<img" in text for text in html)
        assert any("&lt;img" in text for text in html)

    def test_no_prompt_text(self, make_tuner, sample, trace):
        """Prompts are private: no content of a block shows in any part."""
        tuner = make_tuner(sample, trace, agent_id="claims-triage")
        texts = {block.content[:40] for block in sample.windows[tuner.state.learning_key][-1].blocks}
        said = " ".join(str(part.value) for part in parts(tuner) if isinstance(part, w.HTML)) + repr(tuner)
        assert not any(text in said for text in texts if len(text) > 15)


class TestExtremes:
    @pytest.mark.parametrize("n", [0, 1, 2])
    def test_few_requests(self, make_tuner, n):
        """Nothing, one request, or few: every tab shows something, and nothing fails."""
        backend = acg.MemoryBackend()
        if n:
            key = "a::model=m::seed=no-seed::system=no-system::tools=no-tools"
            backend.store_observations(key, [make_ir(("system-0", "s"), ("user-1", f"u{i}")) for i in range(n)])
        tuner = make_tuner(acg.load(backend))
        tuner.state.join()
        for view in ("Blocks", "Requests", "All profiles", "Over time", "Threshold"):
            tuner.view = view
            assert tuner._refused.value == ""
            assert bool(tuner._image.value) == ("acg-hidden" not in tuner._image._dom_classes)
            assert bool(tuner._image.value) == ("acg-hidden" in tuner._words._dom_classes), "what is not drawn is said"
        assert tuner._agents.value == ""
        if n:
            assert Image.open(BytesIO(tuner._image.value)).width

    def test_no_runs(self, make_tuner):
        """A source without runs is replayed from its windows."""
        backend = acg.MemoryBackend()
        key = "a::model=m::seed=no-seed::system=no-system::tools=no-tools"
        backend.store_observations(key, [make_ir(("system-0", "s"), ("user-1", f"u{i}")) for i in range(5)])
        tuner = make_tuner(acg.load(backend))
        tuner.state.join()
        assert cards(tuner)["matched"]["below"].startswith("0 of 5 requests"), "all at one time: none knew another"

    def test_a_window_larger_than_what_is_stored(self, make_tuner):
        """Where windows have dropped requests and no run has them, a line says that a larger one shows no more."""
        backend = acg.MemoryBackend()
        key = "a::model=m::seed=no-seed::system=no-system::tools=no-tools"
        backend.store_observations(key, [make_ir(("system-0", "s"), ("user-1", f"u{i}")) for i in range(5)])
        tuner = make_tuner(acg.load(backend), config=acg.AcgSettings(observation_window=5))
        for size, is_said in ((5, False), (3, False), (50, True)):
            tuner.settings = tuner.settings.replace(observation_window=size)
            tuner.state.join()
            assert ("5 requests are stored and no others recorded" in shown(tuner._idle.value)) == is_said
        tuner = make_tuner(acg.load(backend))
        assert tuner._idle.value == "", "production's window has room left, and so dropped none"

    def test_recorded_requests_fill_a_larger_window(self, make_tuner, triage):
        """A window larger than the stored one holds what runs have recorded, with and without a trace."""
        snap, trace = triage
        for given_trace in (trace, None):
            tuner = make_tuner(snap, given_trace)
            tuner.settings = tuner.settings.replace(observation_window=150)
            tuner.state.join()
            (result,) = tuner.results.values()
            assert result.total_observations == 125
            assert cards(tuner)["prefix"]["below"].startswith(f"{result.stable_prefix_length} blocks")
            assert len(tuner.frame()) == len(result.scores)
            assert tuner.frame()["requests"].iloc[0] == 125
            assert "no others recorded" not in tuner._idle.value

    def test_learned_by_a_learner(self, make_tuner):
        """A store that a learner of ours has filled can be tuned."""
        tuner = make_tuner(acg.load(learned(n_runs=3)))
        tuner.state.join()
        assert cards(tuner)["prefix"]["now"]


class TestTheEnd:
    def test_closing_frees_everything(self, triage):
        """After closing no widget is registered, and tuner, state and picture are gone."""

        async def use():
            tuner = acg.ThresholdTuner(*triage)
            tuner.settings = tuner.settings.replace(stable_threshold=0.9)
            tuner.view = "Threshold"
            await asyncio.sleep(0.5)
            tuner.settings = tuner.settings.replace(observation_window=50)
            await asyncio.sleep(0.5)
            kept = [tuner, tuner.state, tuner._image, tuner._pictures, tuner._controls["stable_threshold"].slider]
            tuner.close()
            for thread in threading.enumerate():  # a walk that has just ended may still be telling so
                if thread.name == "acg-lab walk":
                    thread.join()
            return [weakref.ref(part) for part in kept]

        registered = set(registry())
        left = asyncio.run(use())
        gc.collect()
        assert [ref() for ref in left if ref() is not None] == []
        assert set(registry()) == registered

    def test_closing_twice_and_changing_after(self, tuner):
        """Closing twice does nothing, and what is set afterwards draws nothing."""
        tuner.close()
        tuner.close()
        before = tuner._image.value
        tuner.state.propose(stable_threshold=0.7)
        assert tuner._image.value == before


def registry():
    from ipywidgets.widgets import widget  # noqa: PLC0415

    return list(widget._instances)
