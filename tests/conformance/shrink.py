"""Find the smallest input that still fails, by taking away.

Lists lose ever smaller slices (delta debugging), objects their fields, texts their halves; what still fails is kept.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from conformance.generate import Case

T = TypeVar("T")
Json = Any


class Budget:
    """How often a failure may still be tried; when it is used up nothing fails any more.

    Parameters
    ----------
    n_tries : int
    """

    def __init__(self, n_tries: int) -> None:
        self.left = n_tries

    def guard(self, fails: Callable[[T], bool]) -> Callable[[T], bool]:
        """Return the same test, counted."""

        def guarded(value: T) -> bool:
            self.left -= 1
            return self.left >= 0 and fails(value)

        return guarded


def shrink_list(items: Sequence[T], fails: Callable[[list[T]], bool]) -> list[T]:
    """Return the fewest items, in order, that still fail; the whole list is known to."""
    kept, size = list(items), len(items)
    while size:
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + size :]
            if fails(fewer):
                kept = fewer
            else:
                start += size
        size //= 2
    return kept


def shrink_json(value: Json, fails: Callable[[Json], bool]) -> Json:
    """Return the smallest JSON value that still fails; the whole value is known to."""
    if isinstance(value, dict):
        kept = dict(shrink_list(list(value.items()), lambda items: fails(dict(items))))
        for name, inner in list(kept.items()):
            kept[name] = shrink_json(inner, lambda smaller, name=name: fails({**kept, name: smaller}))
        return kept
    if isinstance(value, list):
        kept = shrink_list(value, fails)
        for i, inner in enumerate(kept):
            kept[i] = shrink_json(inner, lambda smaller, i=i: fails([*kept[:i], smaller, *kept[i + 1 :]]))
        return kept
    if isinstance(value, str):
        return "".join(shrink_list(value, lambda characters: fails("".join(characters))))
    return value


def shrink_case(case: Case, fails: Callable[[Case], bool], *, n_tries: int = 2000) -> Case:
    """Return the smallest case that still fails.

    First fewer runs, then fewer calls, then bodies that are smaller all together, then each by itself.
    """
    fails = Budget(n_tries).guard(fails)
    runs = shrink_list(case.runs, lambda runs: fails(replace(case, runs=tuple(runs))))
    case = replace(case, runs=tuple(runs))
    for place in range(len(case.runs)):
        calm = _with_run(case, place, meddle=None)
        case = calm if calm != case and fails(calm) else case
    for place in range(len(case.runs)):
        case = _shrink_calls(case, place, fails)
    case = _shrink_shared(case, fails)
    for place, run in enumerate(case.runs):
        for number in range(len(run.calls)):
            case = _shrink_body(case, place, number, fails)
    return case


def _shrink_shared(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Take fields and messages from all bodies at once: taken from one alone, they would make another profile of it."""
    for name in dict.fromkeys(name for body in _bodies(case) for name in body):
        fewer = _with_bodies(case, lambda body, name=name: {key: body[key] for key in body if key != name})
        case = fewer if fails(fewer) else case
    for name in ("messages", "input"):
        for message in _distinct(message for body in _bodies(case) for message in _listed(body, name)):
            case = _shrink_message(case, name, message, fails)
    return case


def _shrink_message(case: Case, name: str, message: Json, fails: Callable[[Case], bool]) -> Case:
    def put(kept):
        return _with_bodies(case, lambda body: _replace(body, name, message, kept))

    # It is tried as a list of one, so that it can go as a whole.
    return put(shrink_json([message], lambda kept: fails(put(kept))))


def _bodies(case: Case) -> list[Json]:
    return [call.request for run in case.runs for call in run.calls]


def _listed(body: Json, name: str) -> list[Json]:
    return body[name] if isinstance(body.get(name), list) else []


def _distinct(values: Iterable[Json]) -> list[Json]:
    return list({json.dumps(value): value for value in values}.values())


def _replace(body: Json, name: str, message: Json, kept: list[Json]) -> Json:
    if message not in _listed(body, name):
        return body
    return body | {name: [new for old in body[name] for new in (kept if old == message else [old])]}


def _with_bodies(case: Case, change: Callable[[Json], Json]) -> Case:
    runs = [replace(run, calls=tuple(replace(c, request=change(c.request)) for c in run.calls)) for run in case.runs]
    return replace(case, runs=tuple(runs))


def _shrink_calls(case: Case, place: int, fails: Callable[[Case], bool]) -> Case:
    def put(calls):
        return _with_run(case, place, calls=tuple(calls))

    return put(shrink_list(case.runs[place].calls, lambda calls: fails(put(calls))))


def _shrink_body(case: Case, place: int, number: int, fails: Callable[[Case], bool]) -> Case:
    calls = case.runs[place].calls

    def put(body):
        call = replace(calls[number], request=body)
        return _with_run(case, place, calls=(*calls[:number], call, *calls[number + 1 :]))

    return put(shrink_json(calls[number].request, lambda body: fails(put(body))))


def _with_run(case: Case, place: int, **changes: Any) -> Case:
    run = replace(case.runs[place], **changes)
    return replace(case, runs=(*case.runs[:place], run, *case.runs[place + 1 :]))
