"""What public functions say of the commonest slips: 95 for 0.95, a misspelt agent, the wrong kind of value."""

import inspect
from pathlib import Path

import pytest
from simulation.histories import snapshot_of
from simulation.spending import growing

import acg_lab as acg

F, P = acg.frames, acg.plots
PER_CENT = acg.StabilityThresholds(stable_threshold=95)
WRITTEN = acg.AcgSettings(thresholds=PER_CENT)
QUIET = {"progress": False}
SAMPLE = str(Path("data/sample").resolve())
# These take values of the core, which follows production and takes any number; or they take no data at all.
OF_THE_CORE = {"analyze_stability", "build_prompt_ir", "learning_key", "parse_learning_key", "plan_breakpoints"}
OF_THE_CORE |= {"plan_request", "render_config", "plots.set_theme", "plots.theme"}

PUBLIC = {
    prefix + name: getattr(module, name)
    for prefix, module in (("", acg), ("frames.", F), ("plots.", P))
    for name in module.__all__
    if inspect.isfunction(getattr(module, name))
}
# What else a function needs, and the kinds of the first argument that it takes.
TAKES = {
    "analyze": ((), "snap"),
    "append_history": (("history",), "snap path"),
    "compact_history": ((), "path"),
    "calibrate": ((), "sim"),
    "compare": ((), "snap trace"),
    "explain": ((), "snap"),
    "export_config": ((acg.AcgSettings(),), "path"),
    "from_requests": ((), "rows"),
    "learn": ((), "rows"),
    "load": ((), "snap path"),
    "load_config": ((), "path"),
    "recommend": ((), "snap"),
    "replay": ((), "snap"),
    "report": ((), "snap"),
    "simulate": ((), "snap trace"),
    "summarize": (({},), "snap"),
    "survey": ((), "snap path"),
    "sweep": ((), "snap trace"),
    "verify": ((), "snap"),
    "what_if": ((acg.repairs.SortTools(),), "snap"),
    "frames.steps": ((0.9,), "trace"),
    "plots.prefix_over_time": ((), "trace"),
    "plots.save": (("plot.png",), ""),
}
TAKES |= dict.fromkeys(("frames.agent_costs", "frames.costs", "frames.misses", "frames.requests"), ((), "sim"))
TAKES |= dict.fromkeys(("plots.cost_breakdown", "plots.misses", "plots.requests_over_time"), ((), "sim"))
TAKES |= dict.fromkeys(("frames.cost_changes", "frames.savings", "frames.setting_costs", "frames.shifts"), ((), ""))
TAKES |= dict.fromkeys(("plots.alt_text", "plots.cost_curve", "plots.threshold_surface"), ((), ""))


@pytest.fixture(scope="module")
def values():
    """One value of each kind."""
    snap = snapshot_of(*growing(agent="support-chat"))
    trace = acg.replay(acg.load("data/sample", agent_id="claims-triage", **QUIET), **QUIET)
    return {"snap": snap, "trace": trace, "sim": acg.simulate(snap), "none": None, "number": 3}


@pytest.fixture(scope="module")
def snap():
    return acg.load("data/sample", agent_id="claims-triage", **QUIET)


@pytest.fixture(scope="module")
def trace(snap):
    return acg.replay(snap, **QUIET)


@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in OF_THE_CORE])
def test_the_wrong_kind_of_value_is_refused(values, name, tmp_path, monkeypatch):
    """A value of another kind raises UsageError, which names the kind that came and what to pass."""
    monkeypatch.chdir(tmp_path)
    more, kinds = TAKES.get(name, ((), "snap"))
    for kind, value in values.items():
        if kind in kinds.split():
            continue
        options = {"at": "2026-11-16"} if name == "compare" else {}
        with pytest.raises(acg.UsageError) as refused:
            PUBLIC[name](value, *more, **options)
        assert "acg" in str(refused.value) or type(value).__name__ in str(refused.value)


SHARES = {
    "analyze": lambda snap, _: acg.analyze(snap, PER_CENT),
    "explain": lambda snap, _: acg.explain(snap, thresholds=PER_CENT),
    "verify": lambda snap, _: acg.verify(snap, PER_CENT),
    "simulate": lambda _, trace: acg.simulate(trace, 95),
    "simulate config": lambda _, trace: acg.simulate(trace, config=WRITTEN),
    "sweep": lambda _, trace: acg.sweep(trace, settings=[WRITTEN]),
    "survey": lambda snap, _: acg.survey(snap, current=WRITTEN, **QUIET),
    "sweep current": lambda _, trace: acg.sweep(trace, current=95),
    "recommend": lambda snap, _: acg.recommend(snap, current=PER_CENT, **QUIET),
    "learn": lambda *_: acg.learn([], settings=WRITTEN),
    "from_requests": lambda *_: acg.from_requests([], settings=WRITTEN),
    "load": lambda *_: acg.load("data/requests.jsonl.gz", settings=WRITTEN),
    "load, a share of traffic": lambda *_: acg.load("data/requests.jsonl.gz", sample_rate=95),
    "export_config": lambda *_: acg.export_config({}, WRITTEN),
    "render_config": lambda *_: acg.render_config(WRITTEN),
    "trace.prefix_lengths": lambda _, trace: trace.prefix_lengths([0.5, 95]),
    "trace.matched_tokens": lambda _, trace: trace.matched_tokens(PER_CENT),
    "trace.results_at": lambda _, trace: trace.results_at(0, PER_CENT),
    "frames.findings": lambda snap, _: F.findings(snap, PER_CENT),
    "frames.profiles": lambda snap, _: F.profiles(snap, PER_CENT),
    "frames.scores": lambda snap, _: F.scores(snap, thresholds=PER_CENT),
    "frames.steps": lambda _, trace: F.steps(trace, 95),
    "plots.prefix_over_time": lambda _, trace: P.prefix_over_time(trace, current=95),
    "plots.prefix_stability": lambda snap, _: P.prefix_stability(snap, thresholds=PER_CENT),
    "plots.profiles_overview": lambda snap, _: P.profiles_overview(snap, thresholds=PER_CENT),
    "plots.threshold_curve": lambda snap, _: P.threshold_curve(snap, thresholds=PER_CENT),
    "plots.window_heatmap": lambda snap, _: P.window_heatmap(snap, thresholds=PER_CENT),
}


@pytest.mark.parametrize("name", SHARES)
def test_95_for_095_is_refused(snap, trace, name):
    """A share in per cent raises UsageError, which names the option and the number."""
    with pytest.raises(acg.UsageError, match=r"'(stable_threshold|current|sample_rate)'.*95"):
        SHARES[name](snap, trace)


N_JOBS = [name for name, function in PUBLIC.items() if "n_jobs" in inspect.signature(function).parameters]


@pytest.mark.parametrize("n_jobs", [0, -2, True, "2"])
@pytest.mark.parametrize("name", N_JOBS)
def test_a_wrong_number_of_processes_is_refused(snap, name, n_jobs):
    """Every function that spreads its work takes a positive integer or -1, and says so in the same words."""
    source = snap if "snap" in TAKES[name][1] else SAMPLE
    with pytest.raises(acg.UsageError, match="'n_jobs' option must be a positive integer, or -1 for all cores; got"):
        PUBLIC[name](source, n_jobs=n_jobs)


@pytest.mark.parametrize(
    "name", [name for name, function in PUBLIC.items() if "thresholds" in inspect.signature(function).parameters]
)
def test_every_function_with_thresholds_is_in_the_table(name):
    """No public function with thresholds is forgotten."""
    assert name in SHARES or name in OF_THE_CORE


# 'from_requests' and the core name a new agent.
NAMES_AGENTS = [
    name
    for name, function in PUBLIC.items()
    if "agent_id" in inspect.signature(function).parameters and name not in OF_THE_CORE | {"from_requests"}
]


@pytest.mark.parametrize("name", NAMES_AGENTS)
def test_an_unknown_agent_is_refused_with_the_nearest(snap, trace, name, tmp_path, monkeypatch):
    """A misspelt agent raises UsageError, which lists the nearest; nothing is written."""
    monkeypatch.chdir(tmp_path)
    more, kinds = TAKES.get(name, ((), "snap"))
    value = {"snap": snap, "trace": trace, "path": SAMPLE}.get(kinds.split()[-1])
    value = acg.simulate(trace) if value is None else value
    options = {"at": "2026-11-16"} if name == "compare" else {}
    with pytest.raises(acg.UsageError, match=r"claims-triag'.*'claims-triage'"):
        PUBLIC[name](value, *more, agent_id="claims-triag", **options)
    assert list(tmp_path.iterdir()) == []


def test_selections_and_the_tuner_list_the_nearest_too(snap, trace):
    """So do methods that select an agent, and the tuner."""
    simulated = acg.simulate(trace)
    for select in (trace.select, simulated.select, lambda agent_id: acg.ThresholdTuner(snap, trace, agent_id=agent_id)):
        with pytest.raises(acg.UsageError, match=r"claims-triag'.*'claims-triage'"):
            select(agent_id="claims-triag")


def test_what_is_no_path_is_refused_before_anything_is_opened(snap, tmp_path):
    """An integer is the number of an open file, which must not be written to; permissions are numbers."""
    with (tmp_path / "mine").open("w+") as mine:
        mine.write("kept")
        mine.flush()
        number = mine.fileno()
        for write in (
            snap.to_parquet,
            lambda path: snap.to_parquet(path, append=True),
            lambda path: snap.to_parquet(tmp_path / "export", redact=True, salt=path),
            lambda path: acg.append_history(snap, path),
            acg.compact_history,
            lambda path: acg.survey(snap, out=path),
            lambda path: acg.report(snap, path),
            lambda path: P.save(P.window_heatmap(snap), path),
            lambda path: acg.export_config(path, acg.AcgSettings()),
        ):
            for path in (number, 3.5, ["export"]):
                with pytest.raises(acg.UsageError):
                    write(path)
        for mode in ("750", -1, True, 0o100000):
            with pytest.raises(acg.UsageError, match="'mode' option must be permissions such as 0o750"):
                snap.to_parquet(tmp_path / "export", mode=mode)
        mine.seek(0)
        assert mine.read() == "kept"
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}
