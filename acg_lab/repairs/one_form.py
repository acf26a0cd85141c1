"""Send what says the same in one form: the system prompt, tools, the response format and messages, as JSON.

Two values say the same if their JSON is equal but for the order of keys, the format of numbers, the white space of
texts, and whether a text is sent as such or as the only part. Cache marks count, so that none moves.

Invariant: a form is taken from a request that was sent, so nothing is written that no request holds.
"""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from acg_lab.core.canonical import canonical_json
from acg_lab.core.errors import RecordError
from acg_lab.core.prompt_ir import normalize_whitespace
from acg_lab.repairs.chosen_calls import ChosenCall
from acg_lab.repairs.content_repairs import UseOneForm
from acg_lab.repairs.request_blocks import BlockFinder
from acg_lab.repairs.request_context import Change, RequestContext
from acg_lab.repairs.request_form import CannotRepairError, RequestForms, RequestPools

__all__ = ["use_one_form"]

_encode: Final = msgspec.json.Encoder().encode
_TEXTS: Final = ("content", "system", "instructions")  # fields that hold a text or parts


def use_one_form(context: RequestContext, _repair: UseOneForm) -> Change:
    """Return what sends each value in the form that is commonest in the chosen requests of an agent."""
    reader = _FormReader(context.pools)
    sent: dict[tuple[str, str, str], dict[bytes, _Sent]] = {}
    for one in sorted(context.chosen, key=attrgetter("key")):
        finder = context.finders[context.rules[one.agent_id]]
        try:
            units = list(reader.units(RequestForms(finder.runs, one.call, context.pools)))
        except (CannotRepairError, RecordError):
            continue
        for unit in units:
            of_value = sent.setdefault((one.agent_id, unit.field, unit.meaning), {})
            known = of_value.get(unit.form, _Sent(unit, 0))
            of_value[unit.form] = known._replace(n_requests=known.n_requests + 1)
    commonest = {key: max(of_value.values(), key=attrgetter("n_requests")) for key, of_value in sent.items()}

    def change(_finder: BlockFinder, one: ChosenCall, forms: RequestForms) -> bool:
        n_changed = 0
        for unit in list(reader.units(forms)):
            best = commonest[one.agent_id, unit.field, unit.meaning].unit
            if best.form != unit.form:
                _set(forms, unit, best)
                n_changed += 1
        return n_changed > 0

    return change


class _Unit(NamedTuple):
    """One value of a request: what it is one of, where it stands, what it says, and its form as sent.

    ``values`` are those of each form of the request, the last one as sent: messages by code. Of a message that the
    annotated request was recorded without, there is only what was sent.
    """

    field: str
    place: int | str
    meaning: str
    form: bytes
    values: tuple[Any, ...]
    is_hidden: bool = False


class _Sent(NamedTuple):
    """A form as it was sent first, by learning key, and how many requests have it."""

    unit: _Unit
    n_requests: int


class _FormReader:
    """Reads the values of requests; what a message says is found once for each distinct one."""

    def __init__(self, pools: RequestPools) -> None:
        self._pools = pools
        self._messages: dict[int, str] = {}
        self._values: dict[bytes, str] = {}

    def units(self, forms: RequestForms) -> Iterator[_Unit]:
        """Yield the values of a request, as it was sent where that is recorded."""
        of = forms.forms
        sent = of[-1]
        for at, code in enumerate(sent.messages):
            yield self._of_message(at, code, tuple(one.messages[at] for one in of), len(of))
        for at, code in enumerate(forms.hidden):
            yield self._of_message(at, code, (code,), len(of))._replace(is_hidden=True)
        for at, tool in enumerate(sent.tools or ()):
            yield self._of_value(f"tool {len(of)}", at, "", tool, tuple((one.tools or [])[at] for one in of))
        for name, value in sent.head.items():
            if name == sent.instructions or isinstance(value, dict | list):
                yield self._of_value(f"head {len(of)} {name}", name, name, value, (value,))
        if forms.sent is not None:
            for name, value in forms.annotated.head.items():
                if isinstance(value, str | dict | list):
                    yield self._of_value(f"annotated {name}", name, name, value, (value,))

    def _of_message(self, at: int, code: int, codes: tuple[int, ...], n_forms: int) -> _Unit:
        if code not in self._messages:
            self._messages[code] = _meaning("", self._pools.messages.value(code))
        form = bytes(self._pools.messages.texts[code])
        return _Unit(f"message {n_forms}", at, self._messages[code], form, codes)

    def _of_value(self, field: str, place: int | str, name: str, value: Any, values: tuple[Any, ...]) -> _Unit:
        form = _encode([name, value])
        if form not in self._values:
            self._values[form] = _meaning(name, value)
        return _Unit(field, place, self._values[form], form, values)


def _set(forms: RequestForms, unit: _Unit, best: _Unit) -> None:
    field = unit.field.split()[0]
    if unit.is_hidden:
        forms.hidden[int(unit.place)] = int(best.values[-1])
    elif field == "message":
        codes = (forms.read_sent(best.values[-1]), best.values[-1]) if best.is_hidden else best.values
        for form, code in zip(forms.forms, codes, strict=True):
            form.messages[int(unit.place)] = code
    elif field == "tool":
        for form, tool in zip(forms.forms, best.values, strict=True):
            form.tools = [tool if i == unit.place else other for i, other in enumerate(form.tools or [])]
    else:
        form = forms.annotated if field == "annotated" or forms.sent is None else forms.sent
        form.head[str(unit.place)] = best.values[0]


def _meaning(name: str, value: Any) -> str:
    """Return what two values have in common just if they say the same."""
    return canonical_json(_simplify(name, value))


def _simplify(name: str, value: Any) -> Any:
    if isinstance(value, str):
        text = normalize_whitespace(value)
        return [{"type": "text", "text": text}] if name in _TEXTS else text
    if isinstance(value, Mapping):
        return {key: _simplify(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_simplify("", item) for item in value]
    return value
