"""Messages and bodies as applications write them, one dialect for each codec of the runtime.

A dialect knows how a conversation opens, what a turn adds, what stands around the messages, and how all of it makes a
body. ``modern`` dialects use what only runtimes from 0.6 on can read.
"""

from conformance.values import Values

MODELS = ("m", "n", "", "a::model=b", "x::seed=y", "\xe9\U0001f600")


class OpenAI:
    """Chat completions.

    Parameters
    ----------
    values : Values
        Where all that is left to chance comes from.
    modern : bool
        Whether messages may be such as 0.3 can't read.
    """

    codec = "openai"

    def __init__(self, values: Values, *, modern: bool) -> None:
        self.values = values
        self.modern = modern

    def opening(self):
        """Return the messages of a new conversation."""
        first = [self.system] if self.values.chance(0.5) else []
        first += self.values.rng.choice(([self.user], [self.user], [self.user], [self.assistant], [self.tool], []))
        return [make() for make in first]

    def turn(self):
        """Return the messages that a turn adds."""
        common = (
            (self.assistant, self.user),
            (self.user,),
            (self.assistant, self.tool),
            (self.assistant, self.tool, self.tool, self.assistant, self.user),
        )
        # System messages late in a prompt change the profile in most generations, so they are rarer.
        rare = ((self.other,), (self.system,))
        return [make() for make in self.values.rng.choice(common if self.values.chance(0.85) else rare)]

    def frame(self):
        """Return all of a body but its messages."""
        v = self.values
        frame = {"model": lambda: v.rng.choice(MODELS), "tools": self.tools}
        body = v.with_some({}, frame, 0.6)
        extras = {"temperature": lambda: v.rng.choice((0.0, 1.0, -0.0, 0.7)), "seed": lambda: 7, "user": v.text}
        extras |= {"tool_choice": lambda: v.rng.choice(("auto", "none"))}
        extras |= {"response_format": lambda: {"type": "json_object"}, "metadata": lambda: {"k": v.text()}}
        return v.with_some(body, extras, 0.1)

    def body(self, frame, messages):
        """Put a body together."""
        return {**frame, "messages": messages}

    def system(self):
        return self._named({"role": "system", "content": self.content()})

    def user(self):
        return self._named({"role": "user", "content": self.content()})

    def assistant(self):
        v = self.values
        content = {"content": lambda: None if v.chance(0.4) else self.content()}
        calls = {"tool_calls": lambda: v.several(self.tool_call, 3, 1)}
        return self._named(v.with_some({"role": "assistant"}, content | calls, 0.6))

    def tool(self):
        return {"role": "tool", "content": self.content(), "tool_call_id": self.values.id()}

    def other(self):
        """Return a message of a rarer role; where 0.3 must read it, a second system message."""
        if not self.modern:
            return self.system()
        v = self.values
        function = {"role": "function", "name": v.name(), "content": None if v.chance(0.3) else v.text()}
        developer = self._named({"role": "developer", "content": self.content()})
        return v.rng.choice((developer, function, *self.foreign()))

    def foreign(self):
        """Return messages of kinds that only this dialect has."""
        return [{"role": "narrator", "content": self.values.text()}]

    def foreign_tool(self):
        """Return a tool of a kind that only this dialect has."""
        return {"type": "custom", "custom": self.values.object()}

    def _named(self, message):
        return self.values.with_some(message, {"name": self.values.name}, 0.05)

    def content(self):
        """Return a text, or parts."""
        return self.values.text() if self.values.chance(0.7) else self.values.several(self.part, 4)

    def part(self):
        makers = [self.text_part, self.text_part, self.image_part]
        if self.modern:
            makers += [self.refusal_part, self.audio_part]
        return self.values.rng.choice(makers)()

    def text_part(self):
        more = {"cache_control": lambda: {"type": "ephemeral"}}
        return self.values.with_some({"type": "text", "text": self.values.text()}, more if self.modern else {}, 0.1)

    def image_part(self):
        detail = {"detail": lambda: self.values.rng.choice(("low", "high", "auto"))}
        return {"type": "image_url", "image_url": self.values.with_some({"url": self.values.text()}, detail)}

    def refusal_part(self):
        return {"type": "refusal", "refusal": self.values.text()}

    def audio_part(self):
        return {"type": "input_audio", "input_audio": {"data": self.values.text(), "format": "wav"}}

    def tool_call(self):
        v = self.values
        call = {"id": v.id(), "type": "function", "function": {"name": v.name(), "arguments": v.text()}}
        return v.with_some(call, {"index": lambda: v.rng.choice((0, 1.0))}, 0.05)

    def tools(self):
        """Return tool definitions: none, one several times, or some."""
        made = self.values.several(self.tool_definition, 3)
        return made + made[:1] if self.values.chance(0.2) else made

    def tool_definition(self):
        v = self.values
        more = {"description": v.text, "parameters": v.object, "strict": lambda: True}
        definition = {"type": "function", "function": v.with_some({"name": v.name()}, more, 0.4)}
        if self.modern and v.chance(0.15):
            return self.foreign_tool()
        return v.with_some(definition, {"zz": v.number}, 0.1 if self.modern else 0.0)


class Annotated(OpenAI):
    """The runtime's own form of a request, as a codec of the application's own may make it."""

    codec = "annotated"

    def frame(self):
        v = self.values
        more = {"response_format": self.response_format, "instructions": self.instructions, "zz": v.json}
        more |= {"params": lambda: {"temperature": 1.0, "max_tokens": v.rng.choice((1, 2**40))}}
        return v.with_some(super().frame(), more, 0.25)

    def response_format(self):
        return self.values.rng.choice((None, self.values.object(), self.values.json()))

    def instructions(self):
        return self.content() if self.modern else self.values.json()

    def foreign(self):
        return []

    def foreign_tool(self):
        v = self.values
        return {"type": "provider_native", "provider": "p", "kind": v.name(), "value": v.json()}

    def other(self):
        if not self.modern:
            return self.system()
        v = self.values
        makers = (
            super().other,
            lambda: {"role": "tool_call", "call_id": v.id(), "name": v.name(), "arguments": v.json()},
            lambda: {"role": "tool_result", "call_id": v.id(), "output": v.json()},
            lambda: {"role": "provider_native", "provider": "p", "kind": v.name(), "value": v.json()},
        )
        return v.rng.choice(makers)()

    def opening(self):
        return [self.other()] if self.modern and self.values.chance(0.25) else super().opening()

    def part(self):
        return super().part() if not self.modern or self.values.chance(0.4) else self.modern_part()

    def audio_part(self):
        return {"type": "audio", "audio": self.values.json()}

    def modern_part(self):
        """Return a part of a type that 0.3 does not know, sometimes with fields that no runtime knows."""
        v = self.values
        kinds = (
            lambda: {"type": "image", "image": v.json()},
            lambda: {"type": "file", "file": v.json()},
            lambda: {"type": "tool_use", "id": v.id(), "name": v.name(), "input": v.json()},
            lambda: v.with_some(
                {"type": "tool_result", "tool_use_id": v.id(), "content": v.json()}, {"is_error": lambda: True}
            ),
            lambda: {"type": "provider_native", "provider": "p", "kind": v.name(), "value": v.json()},
        )
        return v.with_some(v.rng.choice(kinds)(), {"\U0001f600": v.json, "\uffff": v.json}, 0.1)


class Anthropic:
    """Messages; 0.3 reads the plain ones, later runtimes blocks of all kinds.

    Parameters
    ----------
    values : Values
        Where all that is left to chance comes from.
    modern : bool
        Whether contents may be such as 0.3 can't read.
    """

    codec = "anthropic"

    def __init__(self, values: Values, *, modern: bool) -> None:
        self.values = values
        self.modern = modern

    def opening(self):
        return [self._message("user")]

    def turn(self):
        return [self._message("assistant"), self._message("user")]

    def body(self, frame, messages):
        return {**frame, "messages": messages}

    def frame(self):
        v = self.values
        more = {"system": self._system, "tools": lambda: v.several(self._tool, 3), "temperature": lambda: 1.0}
        more |= {"metadata": lambda: {"user_id": v.text()}}
        return v.with_some({"model": "claude", "max_tokens": 64}, more, 0.5)

    def _system(self):
        return self.values.text() if self.values.chance(0.6) else self.values.several(self._text, 3)

    def _text(self):
        cached = {"cache_control": lambda: {"type": "ephemeral"}}
        return self.values.with_some({"type": "text", "text": self.values.text()}, cached, 0.2)

    def _message(self, role):
        plain = not self.modern or self.values.chance(0.5)
        return {"role": role, "content": self.values.text() if plain else self.values.several(self._block, 3)}

    def _block(self):
        v = self.values
        kinds = (
            self._text,
            self._text,
            lambda: {"type": "image", "source": {"type": "url", "url": v.text()}},
            lambda: {"type": "document", "source": v.object()},
            lambda: {"type": "thinking", "thinking": v.text(), "signature": "s"},
            lambda: {"type": "tool_use", "id": v.id(), "name": v.name(), "input": v.object()},
            lambda: v.with_some(
                {"type": "tool_result", "tool_use_id": v.id(), "content": v.several(self._text, 2)},
                {"is_error": lambda: v.chance(0.5)},
            ),
        )
        return v.rng.choice(kinds)()

    def _tool(self):
        v = self.values
        if v.chance(0.2):
            return {"type": "web_search_20250305", "name": "web_search"}
        return v.with_some({"name": v.name(), "input_schema": v.object()}, {"description": v.text}, 0.4)


class Responses:
    """Responses; 0.3 reads plain input, later runtimes items of all kinds.

    Parameters
    ----------
    values : Values
        Where all that is left to chance comes from.
    modern : bool
        Whether the input may be a list of items.
    """

    codec = "responses"

    def __init__(self, values: Values, *, modern: bool) -> None:
        self.values = values
        self.modern = modern

    def opening(self):
        return [self.message("user")]

    def turn(self):
        v = self.values
        return v.rng.choice(
            (
                [self.message("assistant"), self.message("user")],
                [self._call(), {"type": "function_call_output", "call_id": v.id(), "output": v.text()}],
                [{"type": "reasoning", "id": v.id(), "summary": []}, self.message("user")],
                [self.message(v.rng.choice(("developer", "system") if v.chance(0.3) else ("user",)))],
            )
        )

    def body(self, frame, messages):
        plain = not self.modern and all(isinstance(item.get("content"), str) for item in messages)
        return {**frame, "input": messages[0]["content"] if plain and messages else messages}

    def frame(self):
        v = self.values
        more = {"instructions": v.text, "temperature": lambda: 1.0}
        if self.modern:
            more |= {"tools": lambda: v.several(self._tool, 3), "text": lambda: {"format": {"type": "text"}}}
        return v.with_some({"model": "gpt"}, more, 0.5)

    def message(self, role):
        kind = "output_text" if role == "assistant" else "input_text"
        parts = [{"type": kind, "text": self.values.text()}, {"type": "input_image", "image_url": self.values.text()}]
        plain = not self.modern or self.values.chance(0.5)
        return {"role": role, "content": self.values.text() if plain else self.values.rng.sample(parts, 1)}

    def _call(self):
        v = self.values
        arguments = v.rng.choice(('{"b": 1.0, "a": [1e21, -0.0]}', "{}", "no JSON", v.text()))
        return {"type": "function_call", "call_id": v.id(), "name": v.name(), "arguments": arguments}

    def _tool(self):
        v = self.values
        if v.chance(0.3):
            return {"type": v.rng.choice(("web_search", "file_search"))}
        return {"type": "function", "name": v.name(), "parameters": v.object()}
