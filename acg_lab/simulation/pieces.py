"""Requests cut into pieces in the order in which a provider renders them, each distinct content by code.

A content is the bytes of a piece as sent: the order of keys kept, a text and a list of one block kept apart, only cache
markers taken out. What a message is made of is found once for each distinct message.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from acg_lab.core.markers import NO_MARKER, UNSTATED, is_marker_block, split_marker
from acg_lab.core.records import AnnotatedLlmRequest, JsonObject
from acg_lab.providers.prompts import PieceKind
from acg_lab.simulation.bodies import Api, Parameters, parameters_of_annotated, parameters_of_body
from acg_lab.storage.recorded_runs import Body, Call, Runs

__all__ = ["FRAMING", "GAP", "SYSTEM_ROLES", "Contents", "Piece", "PieceReader", "Unit"]

_encode: Final = msgspec.json.Encoder().encode
SYSTEM_ROLES: Final = ("system", "developer")
_IMAGES: Final = ("image", "image_url", "input_image")
_KINDS: Final[Mapping[str, PieceKind]] = {
    "thinking": PieceKind.THINKING,
    "redacted_thinking": PieceKind.THINKING,
    "reasoning": PieceKind.THINKING,
    "tool_use": PieceKind.TOOL_USE,
    "function_call": PieceKind.TOOL_USE,
    "tool_call": PieceKind.TOOL_USE,
    "custom_tool_call": PieceKind.TOOL_USE,
    "tool_result": PieceKind.TOOL_RESULT,
    "function_call_output": PieceKind.TOOL_RESULT,
    "custom_tool_call_output": PieceKind.TOOL_RESULT,
    "web_search_tool_result": PieceKind.SERVER_TOOL_RESULT,
    "web_fetch_tool_result": PieceKind.SERVER_TOOL_RESULT,
    "code_execution_tool_result": PieceKind.SERVER_TOOL_RESULT,
}
_ROLES: Final[Mapping[str, PieceKind]] = {
    "system": PieceKind.DEVELOPER,
    "developer": PieceKind.DEVELOPER,
    "user": PieceKind.USER,
    "assistant": PieceKind.ASSISTANT,
    "tool": PieceKind.TOOL_RESULT,
    "function": PieceKind.TOOL_RESULT,
}


class Piece(NamedTuple):
    """One piece: the code of its content, what it is, whether it may take a breakpoint, and the one that it has."""

    content: int
    kind: int
    allows_breakpoint: bool
    marker: int = NO_MARKER


class Unit(NamedTuple):
    """What one message, tool or system text is made of."""

    pieces: tuple[Piece, ...]
    role: str
    has_image: bool = False


class Contents:
    """Distinct contents by code; code 0 is the framing of tools, code 1 what was not recorded."""

    def __init__(self) -> None:
        self._codes: dict[bytes, int] = {}
        self.texts: list[bytes] = []
        self.code(b"\x00framing")
        self.code(b"\x00gap")

    def __len__(self) -> int:
        return len(self.texts)

    def code(self, text: bytes) -> int:
        """Return the code of a content."""
        code = self._codes.get(text)
        if code is None:
            code = self._codes[text] = len(self.texts)
            self.texts.append(text)
        return code


FRAMING: Final = 0
GAP: Final = 1


class PieceReader:
    """Reads recorded requests; one for all that share contents.

    Parameters
    ----------
    runs : Runs
        Whose messages and tools annotated requests name by code.
    contents : Contents
        Where contents get their codes.
    """

    def __init__(self, runs: Runs, contents: Contents) -> None:
        self._runs, self._contents = runs, contents
        self._by_code: dict[int, Unit] = {}
        self._by_bytes: dict[bytes, Unit] = {}
        self._sent_by_code: dict[int, Unit] = {}
        self._sent_tools: dict[int, tuple[Unit, ...]] = {}
        self._tools: dict[Hashable, tuple[Unit, ...]] = {}
        self._systems: dict[bytes, tuple[Unit, ...]] = {}
        self._parameters: dict[Hashable, Parameters] = {}

    def read_annotated(
        self, api: Api, call: Call, request: AnnotatedLlmRequest
    ) -> tuple[tuple[Unit, ...], list[Unit], list[Unit]]:
        """Return tools, system and messages of an annotated request."""
        tools: tuple[Unit, ...] = ()
        if call.tools >= 0:
            tools = self._tools.get(call.tools) or self._tools.setdefault(
                call.tools, tuple(map(self._tool, self._runs.values.value(call.tools)))
            )
        messages = [self._by_code.get(code) or self._message_of_code(code) for code in call.messages.tolist()]
        system = list(self._system(request.unknown.get("instructions"))) if request.unknown else []
        return tools, *_lift_system(api, system, messages)

    def read_sent(self, api: Api, body: Body) -> tuple[tuple[Unit, ...], list[Unit], list[Unit]]:
        """Return tools, system and messages of a body as sent; each distinct message and list of tools is read once."""
        if body.name not in self._runs.values.value(body.head) or not body.items.size:
            return self.read_body(api, self._runs.body(body))
        tools = self._sent_tools.get(body.tools)
        if tools is None:
            given = _list(self._runs.values.value(body.tools)) if body.tools >= 0 else ()
            tools = self._sent_tools[body.tools] = tuple(
                self._tool(tool) for tool in given if isinstance(tool, Mapping)
            )
        head = self._runs.values.value(body.head)
        if api == "anthropic":
            system = self._runs.values.value(body.system) if body.system >= 0 else None
        else:
            system = head.get("instructions")
        sent = self._sent_by_code
        messages = [sent.get(code) or self._sent_message(code) for code in body.items.tolist()]
        return tools, list(self._system(system)), messages

    def _sent_message(self, code: int) -> Unit:
        unit = self._sent_by_code[code] = self._message(self._runs.messages.value(code))
        return unit

    def sent_parameters(self, api: Api, body: Body, *, has_images: bool) -> Parameters:
        """Return the parameters of a body as sent; equal ones are read once."""
        key = api, has_images, body.head, body.tools
        found = self._parameters.get(key)
        if found is None:
            tools = self._runs.values.value(body.tools) if body.tools >= 0 else None
            whole = {**self._runs.values.value(body.head), "tools": tools}
            found = self._parameters[key] = parameters_of_body(api, whole, has_images=has_images)
        return found

    def read_body(self, api: Api, body: JsonObject) -> tuple[tuple[Unit, ...], list[Unit], list[Unit]]:
        """Return tools, system and messages of a raw body."""
        tools = tuple(self._tool(tool) for tool in _list(body.get("tools")) if isinstance(tool, Mapping))
        system = list(self._system(body.get("system" if api == "anthropic" else "instructions")))
        given = body.get("input") if api == "openai-responses" else body.get("messages")
        given = [{"role": "user", "content": given}] if isinstance(given, str) else _list(given)
        return tools, system, [self._message(message) for message in given if isinstance(message, Mapping)]

    def parameters(self, api: Api, call: Call, *, has_images: bool) -> Parameters:
        """Return the parameters of an annotated request; equal ones are read once."""
        request = call.request or AnnotatedLlmRequest(messages=())
        given = {key: value for key, value in request.unknown.items() if key not in ("instructions", "messages")}
        key = api, has_images, call.tools, _encode((request.params, request.tool_choice, given))
        found = self._parameters.get(key)
        if found is None:
            whole = self._runs.request(call)
            found = self._parameters[key] = parameters_of_annotated(api, whole, has_images=has_images)
        return found

    def _message_of_code(self, code: int) -> Unit:
        value = self._runs.messages.value(code)
        if value.get("role") == "provider_native" and isinstance(value.get("value"), Mapping):
            value = value["value"]
        unit = self._by_code[code] = self._message(value)
        return unit

    def _tool(self, tool: JsonObject) -> Unit:
        bare, marker = split_marker(tool)
        function = bare.get("function")
        if isinstance(function, Mapping):  # some gateways read the marker from inside
            inner, own = split_marker(function)
            bare, marker = {**bare, "function": inner}, max(marker, own)
        return Unit((self._piece(b"t", bare, PieceKind.TOOL, marker),), "tools")

    def _system(self, value: Any) -> tuple[Unit, ...]:
        if not value:
            return ()
        raw = _encode(value)
        found = self._systems.get(raw)
        if found is None:
            if isinstance(value, str):
                found = (Unit((self._piece(b"s", value, PieceKind.SYSTEM, NO_MARKER),), "system"),)
            else:
                pieces = self._parts(b"S", _list(value), lambda _: PieceKind.SYSTEM)
                found = tuple(Unit((piece,), "system") for piece in pieces)
            self._systems[raw] = found
        return found

    def _message(self, message: JsonObject) -> Unit:
        raw = _encode(message)
        unit = self._by_bytes.get(raw)
        if unit is None:
            unit = self._by_bytes[raw] = self._split(message)
        return unit

    def _split(self, message: JsonObject) -> Unit:
        message, own = split_marker(message)
        role = str(message.get("role") or message.get("type") or "")
        content = message.get("content")
        kind = _ROLES.get(role) or _KINDS.get(str(message.get("type")), PieceKind.USER)
        calls = _list(message.get("tool_calls"))
        lead = _encode({key: value for key, value in message.items() if key not in ("content", "tool_calls")})
        pieces: list[Piece] = []
        if isinstance(content, list | tuple):
            pieces += self._parts(lead + b',"content":[', content, lambda part: _KINDS.get(str(part.get("type")), kind))
        elif content is not None or not calls:
            text = content if "content" in message else ""
            pieces.append(self._piece(lead + b',"content":', text, kind, NO_MARKER))
        pieces += [self._piece(lead if not pieces else b"", call, PieceKind.TOOL_USE, NO_MARKER) for call in calls]
        if own != NO_MARKER and pieces:
            pieces[-1] = pieces[-1]._replace(marker=max(own, pieces[-1].marker))
        has_image = any(isinstance(part, Mapping) and _is_image(part) for part in _list(content))
        return Unit(tuple(pieces), role, has_image)

    def _parts(self, lead: bytes, parts: Iterable[Any], kind_of: Any) -> list[Piece]:
        """Return the pieces of a list of blocks; what leads them belongs to the first."""
        pieces: list[Piece] = []
        for part in parts:
            if is_marker_block(part):
                if pieces:
                    pieces[-1] = pieces[-1]._replace(marker=UNSTATED)
                continue
            if not isinstance(part, Mapping):
                pieces.append(self._piece(b"" if pieces else lead, part, kind_of({}), NO_MARKER))
                continue
            bare, marker = split_marker(part)
            pieces.append(self._piece(b"" if pieces else lead, bare, kind_of(bare), marker))
        return pieces or [self._piece(lead, [], kind_of({}), NO_MARKER)]

    def _piece(self, lead: bytes, value: Any, kind: PieceKind, marker: int) -> Piece:
        is_empty = not value or (isinstance(value, Mapping) and value.get("type") == "text" and not value.get("text"))
        allows_breakpoint = kind != PieceKind.THINKING and not is_empty
        return Piece(self._contents.code(lead + _encode(value)), int(kind), allows_breakpoint, marker)


def _lift_system(api: Api, system: list[Unit], messages: list[Unit]) -> tuple[list[Unit], list[Unit]]:
    """Move the leading system messages of a Messages request to its system, which is where its body has them."""
    if api != "anthropic":
        return system, messages
    n = next((i for i, unit in enumerate(messages) if unit.role not in SYSTEM_ROLES), len(messages))
    lifted = [
        Unit(tuple(piece._replace(kind=int(PieceKind.SYSTEM)) for piece in unit.pieces), "system")
        for unit in messages[:n]
    ]
    return system + lifted, messages[n:]


def _is_image(part: Mapping[str, Any]) -> bool:
    if part.get("type") in _IMAGES:
        return True
    return any(isinstance(inner, Mapping) and inner.get("type") in _IMAGES for inner in _list(part.get("content")))


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
