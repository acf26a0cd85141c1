"""What is claimed of the speed of exporting a config."""

import itertools

import tomlkit
from benchmarks.measuring import interleaved, tell
from config.documents import DOCUMENTS

import acg_lab as acg


def test_export_into_a_big_file(benchmark, tmp_path):
    """An export into 2 MB, read, changed, checked and written, takes at most as long as tomlkit's parse of it."""
    path = tmp_path / "plugins.toml"
    path.write_text(DOCUMENTS["2 MB"], encoding="utf-8")
    thresholds = itertools.cycle([0.9, 0.8])

    def export():
        acg.export_config(path, acg.AcgSettings().replace(stable_threshold=next(thresholds)))

    base = min(interleaved(benchmark, export, lambda: tomlkit.parse(DOCUMENTS["2 MB"]), 3))
    ours = benchmark.stats.stats.min
    tell(benchmark, export_s=ours, tomlkit_s=base, ratio=ours / base, at_most=1)
    assert ours <= base
