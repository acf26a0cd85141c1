"""The body of a recorded call, by the fields that a provider's cache depends on.

The raw body counts where it is recorded; else the one that the annotated request stands for. Values are shared with
the record, never changed.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from acg_lab.core.records import AnnotatedLlmRequest, CallRecord, Exchange, JsonObject

__all__ = ["Api", "Parameters", "api_of", "parameters_of_annotated", "parameters_of_body"]

Api: TypeAlias = Literal["anthropic", "openai-chat", "openai-responses"]
_APIS: Final[Mapping[str, Api]] = {
    "anthropic_messages": "anthropic",
    "anthropic": "anthropic",
    "openai_chat": "openai-chat",
    "openai-chat": "openai-chat",
    "openai_responses": "openai-responses",
    "openai-responses": "openai-responses",
}
_SERVER_TOOLS: Final = ("web_search", "web_fetch")


class Parameters(NamedTuple):
    """What else of a request decides which prefixes are equal (acg_lab/docs/providers.md, 2.3 and 4.3).

    ``whole``, ``system`` and ``messages`` are the texts that stand before the tools, before the system prompt and
    before the messages in the chain of prefixes: where one differs, all behind it is another prefix.
    """

    whole: str = ""
    system: str = ""
    messages: str = ""
    cache_key: str = ""
    automatic_ttl: int | None = None
    is_prewarm: bool = False


def api_of(record: CallRecord, request: AnnotatedLlmRequest | None) -> Api:
    """Return the API of a call: as recorded, else by the model's name; Chat for models that nothing else says of."""
    exchange: Exchange | None = record.exchange
    if exchange is not None and exchange.api in _APIS:
        return _APIS[exchange.api]
    if request is not None:
        specific = request.unknown.get("api_specific")
        name = specific.get("api") if isinstance(specific, Mapping) else None
        if name in _APIS:
            return _APIS[str(name)]
    model = ((request and request.model) or record.model_name or "").lower()
    return "anthropic" if "claude" in model or (not model and record.name == "anthropic") else "openai-chat"


def parameters_of_body(api: Api, body: JsonObject, *, has_images: bool) -> Parameters:
    """Read the parameters of a raw body."""
    return (_of_anthropic if api == "anthropic" else _of_openai)(body, has_images=has_images)


def parameters_of_annotated(api: Api, request: AnnotatedLlmRequest, *, has_images: bool) -> Parameters:
    """Read the parameters of a normalised request."""
    specific = request.unknown.get("api_specific")
    body: dict[str, Any] = dict(specific) if isinstance(specific, Mapping) else {}
    body |= request.unknown
    if isinstance(request.params, Mapping):
        body |= request.params
    if request.tool_choice is not None:
        body["tool_choice"] = request.tool_choice
    body["tools"] = request.tools
    return parameters_of_body(api, body, has_images=has_images)


def _of_anthropic(body: JsonObject, *, has_images: bool) -> Parameters:
    choice = body.get("tool_choice")
    choice = choice if isinstance(choice, Mapping) else {"type": choice} if isinstance(choice, str) else {}
    kind = choice.get("type")
    forced = "" if kind in (None, "auto") else f"{kind}:{choice.get('name', '')}"
    thinking = body.get("thinking")
    thinks = isinstance(thinking, Mapping) and thinking.get("type") not in (None, "disabled")
    output = body.get("output_config")
    effort = output.get("effort") if isinstance(output, Mapping) else None
    messages = [
        forced and f"tool_choice={forced}",
        "disable_parallel_tool_use" if choice.get("disable_parallel_tool_use") else "",
        "images" if has_images else "",
        f"thinking={sorted(thinking.items())}" if thinks and isinstance(thinking, Mapping) else "",
        f"effort={effort}" if effort not in (None, "high") else "",
    ]
    served = sorted(name for name in _SERVER_TOOLS if _has_server_tool(body.get("tools"), name))
    speed = body.get("speed")
    system = [*served, f"speed={speed}" if speed not in (None, "standard") else ""]
    return Parameters(
        system=" ".join(filter(None, system)),
        messages=" ".join(filter(None, messages)),
        automatic_ttl=_automatic(body.get("cache_control")),
        is_prewarm=body.get("max_tokens") == 0,
    )


def _automatic(control: Any) -> int:
    """Return the TTL of automatic mode; 0 where the body does not ask for it."""
    if not isinstance(control, Mapping):
        return 0
    return 3600 if control.get("ttl") == "1h" else 300


def _has_server_tool(tools: Any, name: str) -> bool:
    return isinstance(tools, list | tuple) and any(
        isinstance(tool, Mapping) and str(tool.get("type", "")).startswith(name) for tool in tools
    )


def _of_openai(body: JsonObject, *, has_images: bool) -> Parameters:  # noqa: ARG001  images are contents here
    text, reasoning = body.get("text"), body.get("reasoning")
    named = {
        "format": body.get("response_format") or (text.get("format") if isinstance(text, Mapping) else None),
        "verbosity": body.get("verbosity") or (text.get("verbosity") if isinstance(text, Mapping) else None),
        "effort": body.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, Mapping) else None),
        "tier": body.get("service_tier") if body.get("service_tier") not in ("auto", "default") else None,
    }
    options = body.get("prompt_cache_options")
    options = options if isinstance(options, Mapping) else {}
    key = body.get("prompt_cache_key")
    return Parameters(
        whole=" ".join(f"{name}={value}" for name, value in named.items() if value is not None),
        cache_key=key if isinstance(key, str) else "",
        automatic_ttl=0 if options.get("mode") == "explicit" else None,
        is_prewarm=bool(options.get("prewarm") or body.get("prewarm")),
    )
