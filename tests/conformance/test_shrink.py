"""Shrinking and generating, without a runtime."""

from itertools import islice

import pytest
from conformance.generate import DEFAULTS, Case, Run, cases
from conformance.runtime import Call
from conformance.shrink import shrink_case, shrink_json, shrink_list


def test_lists_shrink_to_what_matters():
    """What is left of a list are the items that the failure needs, in order."""
    assert shrink_list(list(range(100)), lambda items: {3, 70} <= set(items)) == [3, 70]


def test_lists_shrink_to_nothing():
    """A failure that needs no item leaves none."""
    assert shrink_list([1, 2, 3], lambda _items: True) == []


def test_json_shrinks_inside():
    """Fields, items and characters that the failure does not need are taken away at every level."""
    value = {"a": [1, {"b": "xxyxx", "c": None}, 2], "d": {}}
    assert shrink_json(value, lambda value: "y" in str(value)) == {"a": [{"b": "y"}]}


def bad_requests(case):
    return [call for run in case.runs for call in run.calls if "bad" in str(call.request)]


@pytest.fixture
def case():
    run = Run(tuple(Call({"messages": [{"role": "user", "content": f"m{i}"}]}) for i in range(4)), "reversed")
    bad = Call(
        {"messages": [{"role": "user", "content": "good"}, {"role": "user", "content": "a bad one"}], "model": "m"}
    )
    return Case("a", 1, DEFAULTS, full_payloads=True, runs=(run, Run((*run.calls, bad)), run))


def test_cases_shrink_to_one_request(case):
    """Runs, calls, meddling, messages and texts go, until the failure would go as well."""
    smallest = shrink_case(case, bad_requests)
    assert [[call.request for call in run.calls] for run in smallest.runs] == [[{"messages": [{"content": "bad"}]}]]
    assert [run.meddle for run in smallest.runs] == [None]


def test_shared_messages_shrink_together():
    """What all requests must have alike goes from all of them, or becomes smaller in all of them."""
    shared = [{"role": "system", "content": "not needed"}, {"role": "user", "content": "sixty"}]
    calls = [Call({"messages": [*shared, {"role": "user", "content": str(i)}], "model": "m"}) for i in range(3)]
    case = Case("a", 1, DEFAULTS, full_payloads=True, runs=(Run(tuple(calls)),))

    def alike_and_two(case):
        bodies = [call.request for run in case.runs for call in run.calls]
        beginnings = [(body.get("model"), body.get("messages", [])[:-1]) for body in bodies]
        return len(bodies) >= 2 and beginnings[0] == beginnings[1] and "x" in str(beginnings[0])

    (run,) = shrink_case(case, alike_and_two).runs
    assert [call.request for call in run.calls] == [{"messages": [{"content": "x"}, {}]}] * 2


def test_shrinking_is_bounded(case):
    """After so many tries what has been reached is returned; it still fails."""
    n_tries = []
    smallest = shrink_case(case, lambda case: n_tries.append(1) or bad_requests(case), n_tries=5)
    assert len(n_tries) == 5
    assert bad_requests(smallest)


@pytest.mark.parametrize("modern", [False, True])
def test_generator_repeats_itself(modern):
    """The same seed gives the same requests, just as many as asked for; another seed gives others."""
    first, again, other = (list(cases(seed, 500, modern=modern)) for seed in (1, 1, 2))
    assert list(map(repr, first)) == list(map(repr, again))
    assert repr(first[0]) != repr(other[0])
    assert sum(case.n_requests for case in first) == 500


def test_requests_are_not_shared():
    """Each request is a value of its own: changing one leaves the others."""
    case = next(case for case in islice(cases(1, 10**6, modern=True), 50) if case.n_requests > 5)
    bodies = [call.request for run in case.runs for call in run.calls if call.codec not in {"none", "tool"}]
    assert len(set(map(id, bodies))) == len(bodies)
