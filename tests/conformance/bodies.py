"""Raw request bodies of three APIs, made by a seeded generator: mostly as applications send them, some with a fault.

Every body is JSON as a file holds it. A fault replaces, removes, renames or adds one value anywhere in it, so that each
field is met with values of every kind.
"""

import copy
import random

APIS = ("anthropic", "openai-chat", "openai-responses")
TEXTS = ("", "Hello", "  two  spaces \n and lines\n", "größer 日本 😀", "a" * 70, '{"q": 1}', "null", "\u2028\x1f")
NAMES = ("search", "get_weather", "f", "")
KEYS = ("type", "text", "name", "content", "role", "id", "cache_control", "x", "detail", "function", "index", "status")
NUMBERS = (0, 1, -1, 0.0, -0.0, 0.5, 1e300, 2**53 + 1, 2**63, 2**64 - 1, -(2**63), 1e-7)
ARGUMENTS = (
    *('{"q": 1, "b": [1.0, 1e2]}', "", "not json", "12", '"text"', '{"a":1,"a":2}', "NaN", "1e999", "-0", "-0.0", "01"),
    *(
        '\t{"a": 1}\n',
        "\u00a01",
        '"\\ud800"',
        "123456789012345678901234567890",
        "9" * 400,
        "18446744073709551616",
        "{} x",
    ),
    *(f"{'[' * depth}{']' * depth}" for depth in (126, 127, 128)),
)
MARK = {"type": "ephemeral"}


def any_json(rng, depth=0):
    """Make any JSON value."""
    kind = rng.randrange(9 if depth < 2 else 6)
    if kind == 6:
        return [any_json(rng, depth + 1) for _ in range(rng.randrange(3))]
    if kind > 6:
        return {rng.choice(KEYS): any_json(rng, depth + 1) for _ in range(rng.randrange(4))}
    return [None, True, False, rng.choice(NUMBERS), rng.choice(TEXTS), rng.choice(("auto", "function", "tool", "any"))][
        kind
    ]


class Maker:
    """Makes bodies out of one stream of random numbers."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def body(self, api):
        body = {"anthropic": self.anthropic, "openai-chat": self.chat, "openai-responses": self.responses}[api]()
        for _ in range(self.rng.choice((0, 0, 1, 1, 2))):
            body = self.with_fault(body)
        return body

    def some(self, make, most=3):
        return [make() for _ in range(self.rng.randrange(most + 1))]

    def pick(self, table):
        """Take some fields of a table, each with one of its values."""
        rng = self.rng
        share = rng.random() ** 2
        return {name: copy.deepcopy(rng.choice(values)) for name, values in table.items() if rng.random() < share}

    def text(self):
        return self.rng.choice(TEXTS)

    def with_fault(self, body):
        """Change one value somewhere."""
        rng = self.rng
        body = copy.deepcopy(body)
        places = [(None, None)]

        def walk(value):
            for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
                places.append((value, key))
                if isinstance(item, dict | list):
                    walk(item)

        walk(body)
        holder, key = rng.choice(places)
        fault = rng.randrange(4)
        if holder is None:
            body[rng.choice(KEYS)] = any_json(rng)
        elif fault == 0:
            holder[key] = any_json(rng)
        elif fault == 1:
            del holder[key]
        elif fault == 2 and isinstance(holder, dict):
            holder[rng.choice(KEYS)] = holder.pop(key)
        elif isinstance(holder[key], dict):
            holder[key][rng.choice(KEYS)] = any_json(rng)
        else:
            holder[key] = any_json(rng)
        return body

    # --- Anthropic Messages ---

    def anthropic(self):
        rng = self.rng
        return {
            "model": "claude-sonnet-4-5",
            "messages": self.some(self.anthropic_message, 5),
            **({"system": self.anthropic_content(["text"])} if rng.random() < 0.7 else {}),
            **({"tools": self.some(self.anthropic_tool)} if rng.random() < 0.5 else {}),
            **({"tool_choice": self.anthropic_choice()} if rng.random() < 0.3 else {}),
            **self.pick(
                {
                    "max_tokens": [10, 1024, None, 1.0],
                    "temperature": [0, 0.5, 1, None],
                    "top_p": [0.9, 1, None],
                    "top_k": [5, None],
                    "stop_sequences": [["a"], [], None],
                    "metadata": [{"user_id": "u"}, {}, None],
                    "service_tier": ["auto", None],
                    "stream": [True, False, None],
                    "cache_control": [MARK, None],
                    "container": ["c", None, {"id": "c"}],
                    "inference_geo": ["us", None],
                    "output_config": [{"effort": "low"}, None],
                    "thinking": [{"type": "enabled", "budget_tokens": 1024}, None],
                    "anthropic-user-profile-id": ["p", None],
                    "mcp_servers": [[], [{"name": "m"}], None],
                    "speed": ["fast"],
                }
            ),
        }

    def anthropic_message(self):
        role = self.rng.choice(("user", "user", "assistant", "assistant", "system", "developer", "tool"))
        kinds = ["text", "image", "document", "tool_use", "tool_result", "thinking", "server_tool_use", "search_result"]
        extra = {"id": "msg_1"} if self.rng.random() < 0.05 else {}
        return {"role": role, "content": self.anthropic_content(kinds), **extra}

    def anthropic_content(self, kinds):
        if self.rng.random() < 0.4:
            return self.text()
        return self.some(lambda: self.anthropic_part(self.rng.choice(kinds)))

    def anthropic_part(self, kind):
        rng = self.rng
        part = {
            "text": {"text": self.text()},
            "image": {"source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
            "document": {"source": {"type": "text", "data": self.text()}, "title": self.text()},
            "tool_use": {"id": "tu_1", "name": rng.choice(NAMES), "input": any_json(rng)},
            "tool_result": {"tool_use_id": "tu_1", "content": rng.choice((self.text(), [], any_json(rng)))},
            "thinking": {"thinking": self.text(), "signature": "s"},
            "server_tool_use": {"id": "st", "name": "web_search", "input": {}},
            "search_result": {"source": "s", "title": "t", "content": []},
        }[kind]
        if kind == "tool_result" and rng.random() < 0.4:
            part["is_error"] = rng.choice((True, False, None))
        if rng.random() < 0.2:
            part["cache_control"] = rng.choice((MARK, None))
        if rng.random() < 0.1:
            part["citations"] = rng.choice((None, [], {"enabled": True}))
        return {"type": kind, **part}

    def anthropic_tool(self):
        rng = self.rng
        if rng.random() < 0.2:
            return rng.choice(({"type": "web_search_20250305", "name": "web_search"}, {"name": "n"}, {"type": "bash"}))
        tool = {"name": rng.choice(NAMES), "input_schema": rng.choice(({"type": "object"}, {}, None))}
        return tool | self.pick(
            {
                "description": ["find", "", None],
                "strict": [True, None],
                "cache_control": [MARK],
                "type": ["custom", None],
                "input_examples": [[]],
            }
        )

    def anthropic_choice(self):
        choice = self.rng.choice(
            (
                {"type": "auto"},
                {"type": "any"},
                {"type": "none"},
                {"type": "tool", "name": "f"},
                {"type": "x"},
                "auto",
                None,
            )
        )
        extra = {"disable_parallel_tool_use": self.rng.choice((True, False, None))}
        return {**choice, **extra} if isinstance(choice, dict) and self.rng.random() < 0.4 else choice

    # --- OpenAI Chat Completions ---

    def chat(self):
        rng = self.rng
        return {
            "model": "gpt-5.1",
            "messages": self.some(self.chat_message, 5),
            **({"tools": self.some(self.chat_tool)} if rng.random() < 0.5 else {}),
            **({"tool_choice": self.openai_choice()} if rng.random() < 0.3 else {}),
            **self.pick(
                {
                    "temperature": [0, 0.1, 1, None],
                    "top_p": [1, 0.5, None],
                    "max_tokens": [10, None],
                    "max_completion_tokens": [20, None],
                    "stop": ["a", ["a", "b"], [], None],
                    "store": [True, None],
                    "user": ["u", None],
                    "metadata": [{}, None],
                    "service_tier": ["flex", None],
                    "parallel_tool_calls": [False, None],
                    "top_logprobs": [2, None],
                    "stream": [True, None],
                    "audio": [{"voice": "v"}, None],
                    "frequency_penalty": [0, 0.5, None],
                    "presence_penalty": [1, None],
                    "function_call": ["auto", {"name": "f"}, None],
                    "functions": [[], [{"name": "f"}], None],
                    "logit_bias": [{"50256": -100}, None],
                    "logprobs": [True, None],
                    "modalities": [["text"], [], None],
                    "moderation": [{}, None],
                    "n": [1, None],
                    "prediction": [{"type": "content", "content": "x"}, None],
                    "prompt_cache_key": ["k", None],
                    "prompt_cache_options": [{"mode": "explicit"}, None],
                    "prompt_cache_retention": ["24h", None],
                    "reasoning_effort": ["low", None],
                    "response_format": [{"type": "json_object"}, None],
                    "safety_identifier": ["s", None],
                    "seed": [7, -7, None],
                    "stream_options": [{"include_usage": True}, None],
                    "verbosity": ["low", None],
                    "web_search_options": [{}, None],
                    "extra_body": [{}, None],
                }
            ),
        }

    def chat_message(self):
        rng = self.rng
        role = rng.choice(
            ("system", "developer", "user", "user", "assistant", "assistant", "tool", "function", "critic")
        )
        message = {"role": role, "content": self.chat_content()}
        if role == "assistant":
            if rng.random() < 0.3:
                message["content"] = None
            if rng.random() < 0.5:
                message["tool_calls"] = rng.choice((None, self.some(self.chat_call), self.some(self.chat_call)))
            if rng.random() < 0.1:
                message |= {"refusal": None}
        if role == "tool":
            message["tool_call_id"] = "call_1"
        if role == "function":
            message |= {"name": "f", "content": rng.choice((self.text(), None))}
        if rng.random() < 0.15:
            message["name"] = rng.choice(("n", None))
        return message

    def chat_call(self):
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": self.rng.choice(NAMES), "arguments": '{"q": 1}'},
        }
        if self.rng.random() < 0.1:
            call["index"] = 0
        return call

    def chat_content(self):
        if self.rng.random() < 0.5:
            return self.text()
        return self.some(self.chat_part)

    def chat_part(self):
        rng = self.rng
        part = rng.choice(
            (
                {"type": "text", "text": self.text()},
                {"type": "text", "text": self.text(), "cache_control": MARK},
                {
                    "type": "image_url",
                    "image_url": {"url": "data:image/png;base64,aGk=", "detail": rng.choice(("low", None))},
                },
                {"type": "image_url", "image_url": {"url": "u", "extra": 1}},
                {
                    "type": "image_url",
                    "image_url": rng.choice((["u", "low"], ["u"], ["u", None], ["u", "low", 1], "u")),
                },
                {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
                {"type": "file", "file": {"file_id": "f"}},
                {"type": "refusal", "refusal": self.text()},
                {"type": "video_url", "video_url": {"url": "u"}},
            )
        )
        return part | ({"x": any_json(rng)} if rng.random() < 0.1 else {})

    def chat_tool(self):
        if self.rng.random() < 0.15:
            return self.rng.choice(({"type": "custom", "custom": {"name": "c"}}, {}, {"type": "web_search"}))
        return {
            "type": "function",
            "function": {"name": self.rng.choice(NAMES), **self.function_fields()},
            **self.pick({"cache_control": [MARK], "x": [1, None]}),
        }

    def function_fields(self):
        return self.pick(
            {
                "description": ["find", "", None],
                "parameters": [{"type": "object"}, {}, None],
                "strict": [True, False, None],
                "x": [1, None],
            }
        )

    def openai_choice(self):
        return self.rng.choice(
            (
                *("auto", "none", "required", "any", None),
                {"type": "function", "function": {"name": "f"}},
                {"type": "function", "name": "f"},
                {"type": "tool", "name": "f"},
                {"type": "allowed_tools", "tools": []},
                {"type": "any", "disable_parallel_tool_use": self.rng.choice((True, None))},
                {"type": "auto"},
            )
        )

    # --- OpenAI Responses ---

    def responses(self):
        rng = self.rng
        return {
            "model": "gpt-5.6",
            "input": self.text() if rng.random() < 0.15 else self.some(self.input_item, 5),
            **({"instructions": rng.choice((self.text(), self.text(), None))} if rng.random() < 0.6 else {}),
            **({"tools": self.some(self.responses_tool)} if rng.random() < 0.5 else {}),
            **({"tool_choice": self.openai_choice()} if rng.random() < 0.3 else {}),
            **self.pick(
                {
                    "max_output_tokens": [10, None],
                    "temperature": [0, 0.5, None],
                    "top_p": [1, None],
                    "store": [False, None],
                    "previous_response_id": ["resp_1", None],
                    "truncation": ["auto", "disabled"],
                    "reasoning": [{"effort": "low"}, None],
                    "include": [[], ["reasoning.encrypted_content"], None],
                    "user": ["u", None],
                    "metadata": [{}, None],
                    "service_tier": ["flex", None],
                    "parallel_tool_calls": [True, None],
                    "max_tool_calls": [3, None],
                    "top_logprobs": [0, None],
                    "stream": [True, None],
                    "background": [False, None],
                    "context_management": [[], [{"type": "compaction"}], None],
                    "conversation": ["conv_1", {"id": "conv_1"}, None],
                    "moderation": [{}, None],
                    "prompt": [{"id": "p"}, None],
                    "prompt_cache_key": ["k", None],
                    "prompt_cache_options": [{"mode": "implicit"}, None],
                    "prompt_cache_retention": ["24h", None],
                    "safety_identifier": ["s", None],
                    "stream_options": [{}, None],
                    "text": [{"format": {"type": "text"}}, None],
                    "extra_query": [{}, None],
                }
            ),
        }

    def input_item(self):
        rng = self.rng
        if rng.random() < 0.5:
            role = rng.choice(("user", "user", "assistant", "system", "developer", "critic"))
            item = {"role": role, "content": self.responses_content()}
            return (
                ({"type": "message"} if rng.random() < 0.6 else {})
                | item
                | self.pick({"id": ["m"], "status": ["completed"]})
            )
        arguments = rng.choice(ARGUMENTS)
        return rng.choice(
            (
                {"type": "function_call", "call_id": "c", "name": rng.choice(NAMES), "arguments": arguments},
                {
                    "type": "function_call",
                    "id": "fc",
                    "call_id": "c",
                    "name": "f",
                    "arguments": "{}",
                    "status": "completed",
                },
                {"type": "function_call_output", "call_id": "c", "output": any_json(rng)},
                {"type": "function_call_output", "id": rng.choice(("o", None)), "call_id": "c", "output": self.text()},
                {"type": "reasoning", "id": "r", "summary": []},
                {"type": "item_reference", "id": "i"},
                {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": self.text()},
            )
        )

    def responses_content(self):
        if self.rng.random() < 0.4:
            return self.text()
        return self.some(self.responses_part)

    def responses_part(self):
        rng = self.rng
        part = rng.choice(
            (
                {"type": "input_text", "text": self.text()},
                {"type": "output_text", "text": self.text(), "annotations": []},
                {"type": "input_text", "text": self.text(), "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "input_image", "image_url": "u", "detail": "auto", "file_id": None},
                {"type": "input_file", "file_id": "f", "filename": "n"},
                {"type": "refusal", "refusal": self.text()},
                {"type": "input_audio", "data": "d"},
                {"type": "text", "text": self.text()},
            )
        )
        return part | ({"x": any_json(rng)} if rng.random() < 0.1 else {})

    def responses_tool(self):
        rng = self.rng
        if rng.random() < 0.2:
            return rng.choice(
                ({"type": "web_search"}, {"type": "mcp", "server_label": "s"}, {}, {"type": "custom", "name": "c"})
            )
        if rng.random() < 0.2:
            inner = {
                "name": rng.choice(NAMES),
                **self.function_fields(),
                **self.pick({"type": ["function"], "function": [1]}),
            }
            return {"type": "function", "function": inner, **self.pick({"strict": [True], "x": [1]})}
        return {"type": "function", "name": rng.choice(NAMES), **self.function_fields()}
