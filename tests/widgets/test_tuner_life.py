"""The tuner at its edges: export, untrusted texts, small sources, and closing."""

import asyncio
import gc
import threading
import time
import weakref
from io import BytesIO

import ipywidgets as w
import pytest
from learned_backend import learned_backend
from PIL import Image
from strategies import make_ir
from widgets.reading import cards, parts, shown

import acg_lab as acg


class TestExport:
    def test_a_tried_provider_is_exported(self, make_tuner, triage, tmp_path):
        """A provider that is tried is written with the settings; if none is tried, the file keeps its own."""
        path = tmp_path / "plugins.toml"
        acg.export_config(path, acg.AcgSettings(provider="anthropic"))
        for tried, written in ((None, "anthropic"), ("passthrough", "passthrough")):
            tuner = make_tuner(*triage, config=path)
            tuner.settings = tuner.settings.replace(stable_threshold=0.5, provider=tried)
            assert ('= "passthrough" # was anthropic' in shown(tuner._exporter._toml.value)) == (tried is not None)
            tuner._exporter.path.value = str(path)
            tuner._exporter.button.click()
            assert acg.load_config(path).provider == written
            acg.export_config(path, acg.AcgSettings(provider="anthropic"))

    def test_the_way_back(self, make_tuner, sample, trace, tmp_path):
        """The changed lines are shown with the old values; export writes them, and then they are current."""
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
        """If production would not use the written file, a line says why."""
        path = tmp_path / "plugins.toml"
        path.write_text('[[components]]\nkind = "adaptive"\nenabled = false\n', encoding="utf-8")
        tuner = make_tuner(*triage)
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        tuner._exporter.path.value = str(path)
        tuner._exporter.button.click()
        assert acg.load_config(path).thresholds.stable_threshold == 0.9
        assert "learns nothing with this file: The component is disabled." in shown(tuner._exporter.outcome.value)

    def test_another_file_keeps_its_provider(self, make_tuner, triage, tmp_path):
        """Provider and priority are not written: another file keeps its own."""
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
        """If the file has changed, its settings are shown first; the next click writes."""
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
        """Without a config, settings are compared with the defaults; after the first export, with the file."""
        tuner = make_tuner(*triage)
        assert tuner._reset.description == "Reset to default"
        tuner.settings = tuner.settings.replace(stable_threshold=0.9)
        tuner._exporter.path.value = str(tmp_path / "plugins.toml")
        tuner._exporter.button.click()
        assert tuner._reset.description == "Reset to current"
        assert "default" not in tuner._legend.value + tuner._numbers.value

    def test_what_cannot_be_written(self, make_tuner, sample, trace, tmp_path):
        """A file that can't be written is reported in a line, and the settings can be exported elsewhere."""
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
        """Markup in names is shown as text."""
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
        """No content of a block is shown in any part."""
        tuner = make_tuner(sample, trace, agent_id="claims-triage")
        texts = {block.content[:40] for block in sample.windows[tuner.state.learning_key][-1].blocks}
        said = " ".join(str(part.value) for part in parts(tuner) if isinstance(part, w.HTML)) + repr(tuner)
        assert not any(text in said for text in texts if len(text) > 15)


class TestExtremes:
    @pytest.mark.parametrize("n", [0, 1, 2])
    def test_few_requests(self, make_tuner, n):
        """With no request, one or few, every tab shows something and nothing fails."""
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
        """If windows have dropped requests and no run holds them, a line says that a larger window shows no more."""
        backend = acg.MemoryBackend()
        key = "a::model=m::seed=no-seed::system=no-system::tools=no-tools"
        backend.store_observations(key, [make_ir(("system-0", "s"), ("user-1", f"u{i}")) for i in range(5)])
        tuner = make_tuner(acg.load(backend), config=acg.AcgSettings(observation_window=5))
        for size, is_said in ((5, False), (3, False), (50, True)):
            tuner.settings = tuner.settings.replace(observation_window=size)
            tuner.state.join()
            assert ("5 requests stored and no others recorded" in shown(tuner._idle.value)) == is_said
        tuner = make_tuner(acg.load(backend))
        assert tuner._idle.value == "", "production's window has room left, and so dropped none"

    def test_recorded_requests_fill_a_larger_window(self, make_tuner, triage):
        """A window larger than the stored one is filled from recorded runs, with and without a trace."""
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
        """A store filled by acg_lab's own learner can be tuned."""
        tuner = make_tuner(acg.load(learned_backend(n_runs=3)))
        tuner.state.join()
        assert cards(tuner)["prefix"]["tried"]


class TestTheEnd:
    def test_closing_frees_everything(self, triage):
        """After closing no widget is registered, and tuner, state and picture are freed."""

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
        deadline = time.monotonic() + 30
        while any(ref() is not None for ref in left) and time.monotonic() < deadline:
            time.sleep(0.1)  # threads of a busy machine may still be ending
            gc.collect()
        assert [ref() for ref in left if ref() is not None] == []
        assert set(registry()) == registered

    def test_closing_twice_and_changing_after(self, tuner):
        """Closing twice does nothing, and setting traits afterwards draws nothing."""
        tuner.close()
        tuner.close()
        before = tuner._image.value
        tuner.state.propose(stable_threshold=0.7)
        assert tuner._image.value == before


def registry():
    from ipywidgets.widgets import widget  # noqa: PLC0415

    return list(widget._instances)
