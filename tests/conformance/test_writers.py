"""Several processes of the real runtime that write to one profile: some updates are lost, and ``verify`` counts them.

The runtime loads a window, appends, and stores it back, without a lock: of two processes that do so at the same time
one wins (`acg_lab/docs/rules/learner.md`, 6). Window and result are stored one after the other, so a race can also
leave one writer's window beside another's result; a last run of one process alone leaves both of one writer.
"""

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from conformance.runtime import Runtime, RuntimeUnavailable

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.snapshot import Status

pytestmark = pytest.mark.slow

N_PROCESSES, N_RUNS = 4, 100
ALL = N_PROCESSES * N_RUNS + 1


def body(process, number):
    """Return a request like no other, of the profile that all share."""
    texts = ("hello", f"question {number} of process {process}")
    messages = [{"role": "system", "content": "s"}, *({"role": "user", "content": text} for text in texts)]
    return {"model": "m", "messages": messages}


@pytest.fixture
def written(version, redis_url):
    """Return a Redis after 100 runs of each of four processes, all at once, and a last run of one of them."""
    with contextlib.ExitStack() as stack:
        try:
            runtimes = [stack.enter_context(Runtime(version)) for _ in range(N_PROCESSES)]
        except RuntimeUnavailable as error:
            pytest.skip(f"no runtime {version} here: {error.reason}")
        for runtime in runtimes:
            runtime.configure(backend="redis", redis_url=redis_url, observation_window=2 * ALL, full_payloads=True)
        with ThreadPoolExecutor(N_PROCESSES) as pool:
            runs = [[[body(process, number)] for number in range(N_RUNS)] for process in range(N_PROCESSES)]
            list(pool.map(lambda runtime, of_process: runtime.drive(of_process), runtimes, runs))
        runtimes[0].drive([[body(N_PROCESSES, 0)]])
    return redis_url


def test_lost_updates(written, redis_client, tallies, version, capsys):
    """All runs are recorded, the window lacks some of them, and we say how many."""
    (key,) = (key for key in redis_client.keys("*acg_observations:*") if b"::model=" in key)
    n_kept = len(json.loads(redis_client.get(key)))
    assert redis_client.llen("nemo_relay:runs_index:agent") == ALL
    assert n_kept < ALL
    verification = acg.verify(acg.load(written, progress=False), observation_window=2 * ALL)
    (verdict,) = [v for v in verification.verdicts if "::" in v.key]
    assert verdict.status == Status.LOST
    assert verdict.detail == f"{ALL - n_kept} updates missing of the {ALL} in the runs"
    with pytest.raises(SystemExit) as ended:
        main(["verify", written, "--window", str(2 * ALL)])
    assert (ended.value.code, verdict.detail in capsys.readouterr().out) == (1, True)
    tallies.append(f"{version}: {N_PROCESSES} writers lost {ALL - n_kept} of {ALL} updates")
