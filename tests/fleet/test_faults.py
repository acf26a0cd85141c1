"""What goes wrong on many machines: every agent is surveyed or named, once, and what was done is kept."""

import json
import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from urllib.parse import unquote

import joblib
import msgspec
import pandas as pd
import psutil
import pytest
from fleet.deadly import die_on
from fleet.fleets import TABLES, assert_equals_single_calls, make_fleet, single_calls
from interrupting import assert_ends_at_ctrl_c
from joblib.parallel import ThreadingBackend

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.fleet import dask_tasks
from acg_lab.fleet.address import Address
from acg_lab.fleet.agent_survey import AgentProblem, Questions, survey_agents
from acg_lab.fleet.batches import Batches
from acg_lab.fleet.engine import Died, Workers, run_batches
from acg_lab.fleet.result import Survey
from acg_lab.fleet.survey import _Answers, _ask

ROOT = Path(__file__).parents[2]
AGENTS = [f"agent {number}" for number in range(9)]
PASSWORD = "s3cret-of-the-fleet"


# --- workers that die ---


def _outcomes(work, agent_ids, n_jobs):
    """Run agents; return those that came back, and those whose workers died, in the order of names."""
    returned, died = [], []
    for result in run_batches(work, Batches(dict.fromkeys(agent_ids, 0), 2), n_jobs):
        if isinstance(result, Died):
            died.append(result.agent_id)
        elif not isinstance(result, Workers):
            returned += result
    return sorted(returned), sorted(died)


@pytest.mark.slow
@pytest.mark.parametrize("on", ["cores", "cluster"])
@pytest.mark.parametrize("how", ["once", "always"])
def test_an_agent_that_ends_its_worker(tmp_path, request, on, how):
    """Once: it is done again. Always: it is named, and no other agent is lost or done twice."""
    work = partial(die_on, str(tmp_path), {"agent 4": how})
    if on == "cores":
        returned, died = _outcomes(work, AGENTS, 2)
    else:
        with joblib.parallel_config("dask", client=request.getfixturevalue("mortal_cluster")):
            returned, died = _outcomes(work, AGENTS, 1)
    assert died == (["agent 4"] if how == "always" else [])
    assert returned == [agent_id for agent_id in AGENTS if agent_id not in died]


class AllAtTheEnd(ThreadingBackend):
    """A backend as other packages bring them: it returns all results at the end, and fails with errors of its own."""

    supports_return_generator = False


class Failing(AllAtTheEnd):
    """A backend that loses its workers."""

    def submit(self, func, callback=None):
        del func, callback
        msg = "no more actors"
        raise LookupError(msg)


def test_backends_of_other_packages(tmp_path):
    """Those that return all results at the end work in rounds; what one raises becomes one sentence."""
    work = partial(die_on, str(tmp_path), {})
    joblib.register_parallel_backend("at the end", AllAtTheEnd)
    joblib.register_parallel_backend("failing", Failing)
    with joblib.parallel_config("at the end"):
        results = list(run_batches(work, Batches(dict.fromkeys(AGENTS, 0), 2), 2))
    assert sorted(results) == [[agent_id] for agent_id in AGENTS]
    with (
        joblib.parallel_config("failing"),
        pytest.raises(acg.SourceError, match=r"Failing can't go on \(LookupError\)"),
    ):
        _outcomes(work, AGENTS, 2)


@pytest.mark.slow
def test_a_worker_that_is_killed(tmp_path):
    """A survey whose worker is killed in mid-task equals one that was left alone."""
    path, out = make_fleet(tmp_path / "export", 5, n_agents=40, n_runs=40), tmp_path / "out"
    killed = []

    def kill():
        while not list(out.glob("results/*")):
            time.sleep(0.01)
        workers = [one for one in psutil.Process().children(recursive=True) if "loky" in " ".join(one.cmdline())]
        killed.append(max(workers, key=lambda one: one.cpu_times().user))
        killed[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    found = acg.survey(path, n_jobs=2, out=out, progress=False)
    killer.join()
    assert not killed[0].is_running()
    alone = acg.survey(path, progress=False)
    assert found.unsurveyed == found.remarks == ()
    assert [getattr(found, name).equals(getattr(alone, name)) for name in TABLES] == [True] * len(TABLES)


@pytest.mark.slow
def test_a_scheduler_that_goes_away(tmp_path, mortal_scheduler):
    """The survey ends with one sentence, and goes on where it stopped, on another engine."""
    path = make_fleet(tmp_path / "export", 6, n_agents=12, n_runs=40)
    out = tmp_path / "out"
    scheduler, client = mortal_scheduler

    def leave():
        while not list(out.glob("results/*")):
            time.sleep(0.01)
        scheduler.kill()

    leaver = threading.Thread(target=leave)
    leaver.start()
    with joblib.parallel_config("dask", client=client), pytest.raises(acg.SourceError, match="went away"):
        acg.survey(path, out=out, progress=False)
    leaver.join()
    found = acg.survey(path, out=out, progress=False)
    assert "surveyed by an earlier call" in found.remarks[0]
    alone = acg.survey(path, progress=False)
    assert [getattr(found, name).equals(getattr(alone, name)) for name in TABLES] == [True] * len(TABLES)


@pytest.mark.slow
def test_a_cluster_without_workers(fleets, empty_cluster, monkeypatch, tmp_path):
    """It is said that there are none, and done when they come; if none comes for a while, one sentence says so."""
    path, expected = fleets(0)
    work, told, returned = partial(die_on, str(tmp_path), {}), [], []
    with joblib.parallel_config("dask", client=empty_cluster):
        monkeypatch.setattr(dask_tasks, "_PATIENCE", 3.0)
        begin = time.monotonic()
        with pytest.raises(acg.SourceError, match=r"There was no Dask worker for .*; with 'out' a survey goes on"):
            acg.survey(path, progress=False)
        assert 3 < time.monotonic() - begin < 30
        monkeypatch.setattr(dask_tasks, "_PATIENCE", 60.0)
        monkeypatch.setattr(dask_tasks, "_LOOK", 0.05)
        for result in run_batches(work, Batches(dict.fromkeys(AGENTS, 0), 1), 1):
            if not isinstance(result, Workers):
                returned += result
                continue
            told.append(result.n_workers)
            if not result.n_workers:
                empty_cluster.cluster.scale(1)
        assert (told, sorted(returned)) == ([0, 1], AGENTS)
        assert_equals_single_calls(acg.survey(path, progress=False), expected)


# --- sources ---


def test_an_agent_that_cannot_be_read(redis_url, redis_client, fleets):
    """One whose index of runs is no list is named with its key; all others have their answers."""
    acg.load(fleets(2)[0], progress=False).to_redis(redis_url)
    expected = single_calls(redis_url)
    index = f"nemo_relay:runs_index:{min(expected)}"
    assert redis_client.delete(index)
    redis_client.set(index, "no list")
    found = acg.survey(redis_url, progress=False)
    others = {agent_id: tables for agent_id, tables in expected.items() if agent_id != min(expected)}
    assert_equals_single_calls(
        Survey(source="", agents=tuple(one for one in found.agents if one.agent_id in others)), others
    )
    assert [problem.agent_ids for problem in found.problems] == [(min(expected),)]
    assert index in found.problems[0].sentence


def test_a_piece_that_cannot_be_read(fleets, tmp_path, capsys):
    """Of an export with a folder per agent the damaged one is named, and all others have their answers."""
    path, expected = fleets(2)
    acg.load(path, progress=False).to_parquet(tmp_path / "export", partition_by="agent")
    damaged = next((tmp_path / "export" / "calls").rglob("*.parquet"))
    lost = unquote(damaged.parent.name.removeprefix("agent_id="))
    damaged.write_bytes(b"PAR1 cut")
    found = acg.survey(tmp_path / "export", progress=False)
    assert_equals_single_calls(found, {agent_id: tables for agent_id, tables in expected.items() if agent_id != lost})
    assert (found.unsurveyed, [problem.agent_ids for problem in found.problems]) == ((lost,), [(lost,)])
    with pytest.raises(SystemExit) as ended:
        main(["cost", str(tmp_path / "export"), "--out", str(tmp_path / "out"), "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert ended.value.code == 1
    assert (printed["unsurveyed"], len(printed["agents"])) == ([lost], len(expected) - 1)


@pytest.mark.slow
def test_credentials_that_workers_lack(start_redis, cluster, fleets, monkeypatch):
    """All agents are named in one sentence that says what workers need; no password is in it, or in a task."""
    server = start_redis("--requirepass", PASSWORD)
    path, expected = fleets(3)
    acg.load(path, progress=False).to_redis(server.url(user=f":{PASSWORD}@"))
    monkeypatch.setenv("ACG_LAB_REDIS_PASSWORD", PASSWORD)  # the workers run already, without it
    with joblib.parallel_config("dask", client=cluster):
        found = acg.survey(server.url(), progress=False)
    assert [problem.agent_ids for problem in found.problems] == [tuple(sorted(expected))]
    assert "credentials" in found.problems[0].sentence
    assert found.unsurveyed == tuple(sorted(expected))
    address = Address.of(server.url(user=f":{PASSWORD}@"), {})
    shown = repr((address, partial(survey_agents, address, Questions()), found, found.problems))
    assert PASSWORD not in shown


def test_many_agents_with_one_problem():
    """Where nothing can be opened not every agent is tried; all are named in one sentence."""
    tried = []

    def refuse(agent_ids):
        tried.extend(agent_ids)
        return [AgentProblem(agent_id, "no password", "source") for agent_id in agent_ids]

    agent_ids = [str(number) for number in range(1000)]
    answers = _Answers(None, "report")
    _ask(refuse, answers, dict.fromkeys(agent_ids, 0), 1, shown=False)
    found = answers.result("", is_here=False, seconds=0.0)
    assert len(tried) < 50
    assert [len(problem.agent_ids) for problem in found.problems] == [1000]


def test_raising(fleets):
    """With ``on_error="raise"`` the first agent without answers raises, by name; here workers of another version."""
    answers = _Answers(None, "raise")
    with pytest.raises(acg.SourceError, match="'agent 0' was not surveyed: a worker has acg_lab"):
        answers.take(survey_agents(Address.of(fleets(0)[0], {}), Questions(version="0.0.1"), AGENTS[:1]))


# --- results that are kept ---


@pytest.mark.slow
def test_going_on(fleets, tmp_path):
    """A survey that lost results goes on with the others, and a finished one is read back; tables are Parquet."""
    path, expected = fleets(1)
    out = tmp_path / "out"
    assert_equals_single_calls(acg.survey(path, out=out, progress=False), expected)
    results = sorted(out.glob("results/*.msgpack"))
    results[0].unlink()
    results[1].write_bytes(b"cut")
    found = acg.survey(path, out=out, progress=False)
    assert_equals_single_calls(found, expected)
    assert found.remarks == (f"{len(results) - 2} agents surveyed by an earlier call, in {out}",)
    assert pd.read_parquet(out / "cost.parquet").shape == found.cost.shape
    assert len(pd.read_parquet(out / "requests")) == found.n_requests
    assert not list(out.rglob("*.part"))


@pytest.mark.parametrize("name", ["acg_lab", "source", "findings"])
def test_results_that_do_not_fit(fleets, tmp_path, name):
    """Results of another version, source or question are not mixed with new ones."""
    acg.survey(fleets(0)[0], out=tmp_path, findings=False, progress=False)
    about = tmp_path / "survey.json"
    facts = msgspec.json.decode(about.read_bytes())
    about.write_bytes(msgspec.json.encode(facts | {name: "another"}))
    with pytest.raises(acg.UsageError, match=f"{name} 'another'"):
        acg.survey(fleets(0)[0], out=tmp_path, findings=False, progress=False)


def test_a_folder_of_something_else(fleets, tmp_path):
    """A folder with other files is left alone."""
    (tmp_path / "precious.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(acg.UsageError, match="neither empty nor the folder of a survey"):
        acg.survey(fleets(0)[0], out=tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


FULL = """
import resource, signal, sys
import acg_lab as acg
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    acg.survey(sys.argv[1], out=sys.argv[2], progress=False)
except acg.SourceError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits are POSIX's")
@pytest.mark.parametrize("size", [100, 9000])
@pytest.mark.slow
def test_a_full_disk(fleets, tmp_path, size):
    """Where results can't be written the survey ends with one sentence; what is there is whole, and is gone on with."""
    path, expected = fleets(0)
    out = tmp_path / "out"
    command = [sys.executable, "-c", FULL, path, str(out), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert "the results can't be written: File too large." in done.stdout
    assert done.stderr == ""
    assert not list(out.rglob("*.part"))
    assert_equals_single_calls(acg.survey(path, out=out, progress=False), expected)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_interrupting(tmp_path):
    """Ctrl-C ends command and workers with one line, within two seconds; with ``--out`` it goes on where it stopped."""
    path = make_fleet(tmp_path / "export", 4, n_agents=240, n_runs=30)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "acg_lab", "cost", path, "--jobs", "2", "--out", str(out)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)
    while started.poll() is None and not list(out.glob("results/*")):
        time.sleep(0.01)
    assert_ends_at_ctrl_c(started)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "surveyed by an earlier call" in done.stdout
    assert len(pd.read_parquet(out / "cost.parquet")) == 240
