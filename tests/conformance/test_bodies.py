"""Raw bodies: the annotated request that we make is the one that the runtime's codec makes, or both refuse."""

import gzip
import json
import os
import subprocess
from pathlib import Path

import pytest
from conformance.bodies import APIS, Maker
from conformance.runtime import RuntimeUnavailable, interpreter

from acg_lab.core import RecordError
from acg_lab.core.prompt_ir import request_to_json
from acg_lab.core.strict_json import parse_strict
from acg_lab.logs.normalize import normalize

pytestmark = pytest.mark.slow  # needs the real runtime

DRIVER = Path(__file__).with_name("codec_driver.py")
SHARED = Path(os.environ.get("ACG_LAB_SHARED", Path(__file__).parents[2].parent / "shared"))
CODEC_VERSIONS = ("0.10.4", "0.11.0rc3")
SECONDS = 600


@pytest.fixture(scope="module", params=CODEC_VERSIONS)
def decode(request):
    """Return what hands a list of bodies to the codec of an API and gives its answers."""
    try:
        python = interpreter(request.param)
    except RuntimeUnavailable as error:
        pytest.skip(f"no runtime {request.param} here: {error.reason}")

    def ask(api, bodies):
        lines = "".join(json.dumps({"api": api, "body": body}) + "\n" for body in bodies)
        done = subprocess.run(
            [str(python), "-I", str(DRIVER)], input=lines, capture_output=True, text=True, check=True, timeout=SECONDS
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return ask


def ours(api, body):
    """Return our annotated request as the driver prints the runtime's, None if we refuse."""
    try:
        request = request_to_json(normalize(parse_strict(json.dumps(body).encode()), api))
    except RecordError:
        return None
    # The runtime's Python object does not show whether its truncation is null or absent.
    return {name: value for name, value in request.items() if value is not None or name != "truncation"}


def compare(api, bodies, answers):
    """Return the bodies in which we differ, and how many both refuse."""
    different, refused = [], 0
    for body, answer in zip(bodies, answers, strict=True):
        theirs = answer.get("request")
        # Told apart as JSON: in Python 1 equals 1.0 and true.
        if json.dumps(theirs, sort_keys=True) != json.dumps(plain(ours(api, body)), sort_keys=True):
            different.append({"body": body, "theirs": answer, "ours": ours(api, body)})
        refused += theirs is None
    return different, refused


def plain(request):
    """Return a request with lists for tuples."""
    return None if request is None else json.loads(json.dumps(request))


@pytest.mark.parametrize("api", APIS)
def test_generated_bodies_give_the_codecs_annotated_request(api, decode, n_requests, seed, tallies):
    """Our annotated request of a generated body equals the codec's, or both refuse the body."""
    make = Maker(f"{seed} {api}")
    bodies = [make.body(api) for _ in range(n_requests)]
    different, refused = compare(api, bodies, decode(api, bodies))
    tallies.append(f"bodies {api}: {len(bodies):,} compared, {refused:,} refused by both, {len(different):,} different")
    assert not different, f"seed {seed}: {len(different)} differ, the first: {json.dumps(different[0])}"
    assert refused < len(bodies) / 2


def test_recorded_bodies_give_the_codecs_annotated_request(decode):
    """Our annotated request of every recorded request equals the Chat codec's."""
    path = SHARED / "data/tau_airline/requests.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recorded requests at {path}")
    with gzip.open(path) as lines:
        bodies = [body for line in lines for body in json.loads(line)["calls"]]
    different, refused = compare("openai-chat", bodies, decode("openai-chat", bodies))
    assert len(bodies) > 2_000
    assert not different
    assert not refused
