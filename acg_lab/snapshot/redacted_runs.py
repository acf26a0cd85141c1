"""Recorded runs with pseudonyms in place of texts: requests, responses and bodies as sent.

What production and providers make of a request is made of the redacted one by the same rules; only its learning keys
are kept with each call, since a key holds a few digits of a hash.
"""

from typing import Any, Final

import msgspec
import numpy as np
from msgspec.structs import replace

from acg_lab.core.errors import RecordError
from acg_lab.core.keys import parse_learning_key
from acg_lab.core.prompt_ir import normalize_whitespace
from acg_lab.core.records import AnnotatedLlmRequest, CallRecord, Exchange, RunRecord, Usage
from acg_lab.core.rules import RULES
from acg_lab.snapshot.request_reader import KEYS_KEPT, LearningKeys
from acg_lab.storage.lazy import JsonPool
from acg_lab.storage.observation_columns import Codes
from acg_lab.storage.pseudonyms import Pseudonyms
from acg_lab.storage.recorded_runs import Body, Call, Runs
from acg_lab.storage.redacted_json import JsonRedactor

__all__ = ["PrivatePseudonyms", "PrivateRedactor", "Redactor", "RunRedactor"]

_encode = msgspec.json.Encoder().encode
_PROVIDERS: Final = ("anthropic", "openai", "azure", "bedrock", "vertex", "litellm", "gemini")
_NAME_DIGITS, _KEY_DIGITS = 12, 16


class Redactor:
    """The pseudonyms of one export.

    Parameters
    ----------
    names : Pseudonyms
    redacts_names : bool
        Whether the ids of agents, runs, requests and accounts are replaced too.
    """

    def __init__(self, names: Pseudonyms, *, redacts_names: bool) -> None:
        self.names, self.redacts_names = names, redacts_names
        self.json = JsonRedactor(self.names, keeps_owners=not redacts_names)

    def name(self, kind: str, name: str) -> str:
        """Return the name of an agent or a run, replaced if names are."""
        return f"{kind}-{self.names.digest(name, kind)[:_NAME_DIGITS]}" if self.redacts_names else name

    def data(self, value: Any) -> Any:
        """Redact a value of any shape."""
        return self.json.redact("data", value)

    def data_text(self, text: str | None) -> str | None:
        """Redact a JSON text."""
        return None if text is None else _encode(self.data(msgspec.json.decode(text))).decode()

    def hash(self, text: str) -> str:
        """Return what stands for a hash of something that is not in the export."""
        return f"sha256:{self.names.digest(text)}"

    def key(self, key: str, agent_id: str) -> str:
        """Redact a learning key or, if it is none, an agent id."""
        parsed = parse_learning_key(key, agent_id=agent_id)
        if parsed is None:
            return self.name("agent", key)
        parts = parsed._asdict()
        kept = f"{self.name('agent', parts.pop('agent_id'))}::model={parts.pop('model')}"
        return "::".join([kept, *(f"{name}={self._part(part)}" for name, part in parts.items() if part is not None)])

    def _part(self, part: str) -> str:
        """Replace the hash in a part of a learning key; longer, since few digits of a hash may coincide."""
        kind, found, digits = part.rpartition("sha256:")
        return (
            f"{kind}{found}{self.names.digest(part, 'key')[: max(len(digits), _KEY_DIGITS)]}"
            if digits and found
            else part
        )


class PrivatePseudonyms(Pseudonyms):
    """Pseudonyms of some texts only; all others stay as they are.

    Parameters
    ----------
    salt : bytes
    private : frozenset of str
        The texts, white space normalised.
    """

    def __init__(self, salt: bytes, private: frozenset[str]) -> None:
        super().__init__(salt)
        self._private = private

    def content(self, text: str) -> str:
        """Return the pseudonym of a private content, or the text itself."""
        return super().content(text) if normalize_whitespace(text) in self._private else text

    def value(self, text: str) -> str:
        """Return the pseudonym of a private text, or the text itself."""
        return super().value(text) if normalize_whitespace(text) in self._private else text

    def number(self, value: float) -> float:
        """Return another number for a private one, or the number itself."""
        return super().number(value) if str(value) in self._private else value


class PrivateRedactor(Redactor):
    """The pseudonyms of an export that hides what is private; names, learning keys and other hashes stay."""

    def hash(self, text: str) -> str:
        """Return the hash itself."""
        return text

    def key(self, key: str, agent_id: str) -> str:  # noqa: ARG002
        """Return the key itself."""
        return key


class RunRedactor:
    """Redacts runs.

    Parameters
    ----------
    runs : Runs
    redactor : Redactor

    Attributes
    ----------
    redacted : Runs
    """

    def __init__(self, runs: Runs, redactor: Redactor) -> None:
        self._runs, self._redactor, self._redact = runs, redactor, redactor.json.redact
        self._pools = JsonPool(), JsonPool()
        self._codes: dict[tuple[str, int], int] = {}
        self._known: tuple[dict[bytes, int], dict[bytes, int]] = {}, {}
        self._requests: dict[int, AnnotatedLlmRequest] = {}
        calls = [[self._call(call) for call in of_run] for of_run in runs.calls]
        self.redacted = Runs(
            records=[self._record(record) for record in runs.records],
            calls=calls,
            messages=self._pools[0],
            values=self._pools[1],
            is_redacted=not isinstance(redactor, PrivateRedactor),
        )
        self._keep_keys(calls)

    def _record(self, record: RunRecord) -> RunRecord:
        name = self._redactor.name
        return replace(
            record,
            id=name("run", record.id),
            agent_id=name("agent", record.agent_id),
            unknown=self._redactor.data(record.unknown),
        )

    def _call(self, call: Call) -> Call:
        return call._replace(
            record=self._call_record(call.record),
            request=None if call.request is None else self._request(call.request),
            messages=self._messages(call.messages),
            tools=self._value("list tool", call.tools),
            response=self._value("response", call.response),
            body=None if call.body is None else self._body(call.body),
        )

    def _call_record(self, record: CallRecord) -> CallRecord:
        data = self._redactor.data
        name = record.name
        if record.kind == "tool":
            name = data(name)
        elif name not in _PROVIDERS:
            name = self._redactor.name("call", name)
        return replace(
            record,
            name=name,
            metadata_snapshot=data(record.metadata_snapshot),
            exchange=None if record.exchange is None else self._exchange(record.exchange),
            unknown=data(record.unknown),
        )

    def _exchange(self, exchange: Exchange) -> Exchange:
        data, request_id = self._redactor.data, exchange.request_id
        return replace(
            exchange,
            usage=None if exchange.usage is None else self._usage(exchange.usage),
            error=data(exchange.error),
            request_id=request_id and self._redactor.name("request", request_id),
            metadata=self._redact("owners", exchange.metadata),
            unknown=data(exchange.unknown),
        )

    def _usage(self, usage: Usage) -> Usage:
        return replace(usage, raw=self._redact("usage", usage.raw), unknown=self._redactor.data(usage.unknown))

    def _request(self, request: AnnotatedLlmRequest) -> AnnotatedLlmRequest:
        found = self._requests.get(id(request))
        if found is None:
            found = self._requests[id(request)] = replace(
                request,
                params=self._redact("body", request.params),
                tool_choice=self._redact("choice", request.tool_choice),
                unknown=self._redact("body", request.unknown),
            )
        return found

    def _body(self, body: Body) -> Body:
        return body._replace(
            head=self._value("body", body.head),
            items=self._messages(body.items),
            tools=self._value("list tool", body.tools),
            system=self._value("content", body.system),
            response=self._value("response", body.response),
        )

    def _messages(self, codes: Codes) -> Codes:
        return np.array([self._code("message", code, 0) for code in codes.tolist()], np.int32)

    def _value(self, kind: str, code: int) -> int:
        return code if code < 0 else self._code(kind, code, 1)

    def _code(self, kind: str, code: int, of_values: int) -> int:
        """Return the code of a redacted message or value."""
        found = self._codes.get((kind, code))
        if found is None:
            source = self._runs.values if of_values else self._runs.messages
            text = _encode(self._redact(kind, source.value(code)))
            known, pool = self._known[of_values], self._pools[of_values]
            if text not in known:
                known[text] = len(pool)
                pool.texts.append(text)
            found = self._codes[kind, code] = known[text]
        return found

    def _keep_keys(self, calls: list[list[Call]]) -> None:
        """Keep the learning keys of each call, under every rules version, by that of its pseudonyms."""
        before, after = LearningKeys(self._runs), LearningKeys(self.redacted)
        for record, old, new in zip(self._runs.records, self._runs.calls, calls, strict=True):
            for i, (was, call) in enumerate(zip(old, new, strict=True)):
                if call.request is None:
                    continue
                kept = {}
                for name in RULES:
                    try:
                        key = before.key(record.agent_id, was, name)
                        made = after.key(self._redactor.name("agent", record.agent_id), call, name)
                    except RecordError:
                        continue
                    if made != (redacted := self._redactor.key(key, record.agent_id)):
                        kept[made] = redacted
                if kept:
                    unknown = {**call.record.unknown, KEYS_KEPT: kept}
                    new[i] = call._replace(record=replace(call.record, unknown=unknown))
