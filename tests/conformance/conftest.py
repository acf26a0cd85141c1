"""Options of the conformance tests, the runtime by version, and what they did in the summary.

``pytest --all tests/conformance`` knows the options; a plain ``pytest`` sees this file too late to offer them, and
takes the defaults.
"""

import contextlib
import random

import pytest
from conformance.runtime import VERSIONS, Runtime, RuntimeUnavailable

collect_ignore = ["codec_driver.py"]  # runs in the environment of a runtime
DEFAULT_REQUESTS = 300
_seed = pytest.StashKey[int]()


def pytest_addoption(parser):
    group = parser.getgroup("conformance", "the real runtime against our learner")
    group.addoption("--requests", type=int, help=f"generated requests a version ({DEFAULT_REQUESTS})")
    group.addoption("--seed", type=int, help="of the generator (default: a fresh one, told in header and summary)")
    group.addoption("--versions", help=f"of nemo-relay, with commas between them ({','.join(VERSIONS)})")


def _option(config, name, default):
    given = config.getoption(name, default=None)
    return default if given is None else given


def _get_seed(config):
    if _seed not in config.stash:
        config.stash[_seed] = _option(config, "seed", None)
        if config.stash[_seed] is None:
            config.stash[_seed] = random.SystemRandom().randrange(10**9)
    return config.stash[_seed]


def pytest_report_header(config):
    if getattr(config.option, "numprocesses", None):
        return "conformance: each process has a seed of its own, which the summary names"
    return f"conformance: --requests {_option(config, 'requests', DEFAULT_REQUESTS)} --seed {_get_seed(config)}"


def pytest_generate_tests(metafunc):
    if "version" in metafunc.fixturenames:
        versions = _option(metafunc.config, "versions", ",".join(VERSIONS)).split(",")
        metafunc.parametrize("version", versions, scope="module")


@pytest.fixture(scope="session")
def n_requests(request):
    return _option(request.config, "requests", DEFAULT_REQUESTS)


@pytest.fixture(scope="session")
def seed(request):
    return _get_seed(request.config)


@pytest.fixture
def tallies(record_property):
    """Return a list of what is told in the summary, whichever process the test runs in."""
    told = []
    yield told
    for tally in told:
        record_property("conformance", str(tally))


@pytest.fixture(scope="module")
def runtime(version):
    """Return a process with that version of the runtime; skip where there is none to be had."""
    with contextlib.ExitStack() as stack:
        try:
            started = stack.enter_context(Runtime(version, debug=True))
        except RuntimeUnavailable as error:
            pytest.skip(f"no runtime {version} here: {error.reason}")
        yield started
