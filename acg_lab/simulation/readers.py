"""Recorded calls read into columns: one pass over the runs, each distinct message cut into pieces once.

Every LLM call becomes a row, whether or not its request was recorded; then rows are brought into the order of start,
and prefixes are numbered.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.errors import UsageError
from acg_lab.core.records import JsonObject, RunRecord, continues_stored
from acg_lab.history.history import History
from acg_lab.providers.prompts import AUTOMATIC_BY_DEFAULT, PieceKind, RequestFlag
from acg_lab.simulation.bodies import Api, Parameters, api_of
from acg_lab.simulation.pieces import FRAMING, GAP, SYSTEM_ROLES, Contents, Piece, PieceReader, Unit
from acg_lab.simulation.requests import APIS, FACTS, RecordedRequests, SentOtherwise, gather, number_prefixes
from acg_lab.simulation.untimed import stand_in_times
from acg_lab.simulation.usage import disbelieve, is_uncached_rest, usage_of
from acg_lab.storage.observation_columns import offsets
from acg_lab.storage.pseudonyms import sent_size
from acg_lab.storage.recorded_runs import Call, Runs
from acg_lab.storage.times import read_time

__all__ = ["Scope", "read_requests"]

Ints = NDArray[np.int64]
Scope = Callable[[str, Mapping[str, Any]], str]
_SCOPES: Final[Mapping[str, Sequence[str]]] = {
    "agent": (),
    "workspace": ("workspace_id", "workspace", "project"),
    "account": ("account_id", "account", "organization", "organization_id", "api_key_id"),
}


class _Names(dict[Any, int]):
    """Codes of values in order of appearance."""

    def __missing__(self, value: Any) -> int:
        code = self[value] = len(self)
        return code


class _Columns:
    """Columns while they are filled, one call at a time."""

    def __init__(self) -> None:
        self.facts = tuple(array("q") for _ in FACTS)
        self.diagnoses: list[str] = []
        self.sendings: list[SentOtherwise | None] = []
        self.lengths, self.contents, self.messages, self.breakpoints = (array("i") for _ in range(4))
        self.kinds, self.allows_breakpoint = array("B"), array("B")
        self.pool, self.is_redacted = Contents(), False
        self.private_texts: frozenset[str] = frozenset()
        self.agents, self.runs, self.models, self.scopes, self.parameters = (_Names() for _ in range(5))

    def add_facts(self, facts: Iterable[int]) -> None:
        """Append what is known of one request, in the order of `FACTS`."""
        for column, fact in zip(self.facts, facts, strict=True):
            column.append(fact)

    def add(self, pieces: Iterable[Piece], message: int) -> None:
        """Append pieces of one message, -1 for none."""
        for content, kind, allows_breakpoint, ttl in pieces:
            self.contents.append(content)
            self.kinds.append(kind)
            self.allows_breakpoint.append(allows_breakpoint)
            self.breakpoints.append(ttl)
            self.messages.append(message)


def read_requests(
    histories: Iterable[History], *, scope: "str | Scope" = "agent", others: Runs | None = None
) -> RecordedRequests:
    """Read every LLM call of replayed histories, those without a recorded request too.

    Parameters
    ----------
    histories : iterable of History
        Those made of runs; one made of stored windows has no requests with usage, and is passed over.
    scope : {"agent", "workspace", "account"} or callable
        Who shares a cache. By default the requests of one agent, apart by workspace and account where the log names
        them; wider scopes share by that name alone. A callable gets agent id and metadata, and returns a name.
    others : Runs, optional
        Runs of the same source, of which those in no history are read too: their agents taught the learner nothing.

    Raises
    ------
    UsageError
        If the scope is unknown.
    """
    columns, scope_of = _Columns(), _scope_of(scope)
    first_row, known = 0, set()
    for history in histories:
        rows = _rows_by_call(history)
        known |= set(history.positions)
        reader = _CallReader(columns, history.runs, history.positions, scope_of)
        for number, position in enumerate(history.positions):
            reader.read(
                position,
                {at: row for at in reader.calls(position) if (row := rows.get((number, at))) is not None},
                first_row,
                history.requests.is_truncated,
            )
        first_row += len(history.requests.started)
    if others is not None:
        rest = [position for position in range(len(others)) if position not in known]
        reader = _CallReader(columns, others, rest, scope_of)
        for position in rest:
            reader.read(position, {}, 0, np.zeros(0, bool))
    return _finish(columns)


def _scope_of(scope: "str | Scope") -> Scope:
    if callable(scope):
        return scope
    if scope not in _SCOPES:
        msg = f"The 'scope' option must be one of {', '.join(map(repr, _SCOPES))}, or callable; got {scope!r}."
        raise UsageError(msg)
    if scope == "agent":
        names = [*_SCOPES["workspace"], *_SCOPES["account"]]
        return lambda agent_id, metadata: " ".join([agent_id, *(str(metadata[n]) for n in names if n in metadata)])
    wanted = _SCOPES[scope]
    return lambda agent_id, metadata: next((str(metadata[n]) for n in wanted if n in metadata), "")  # noqa: ARG005


def _rows_by_call(history: History) -> dict[tuple[int, int], int]:
    pairs = zip(history.requests.run.tolist(), history.requests.call.tolist(), strict=True)
    return {pair: row for row, pair in enumerate(pairs)}


def _sources_of_rest(runs: Runs, positions: Iterable[int]) -> frozenset[tuple[str, Api]]:
    """Return agents and APIs whose annotated `prompt_tokens` are the uncached rest."""
    found: set[tuple[str, Api]] = set()
    for position in positions:
        agent_id = runs.records[position].agent_id
        for call in runs.calls[position]:
            if call.record.kind == "llm" and is_uncached_rest(call.record, _response(runs, call)):
                found.add((agent_id, api_of(call.record, call.request)))
    return frozenset(found)


def _response(runs: Runs, call: Call) -> JsonObject | None:
    value = None if call.response < 0 else runs.values.value(call.response)
    return value if isinstance(value, Mapping) else None


class _CallReader:
    """Reads the calls of some runs into columns."""

    def __init__(self, columns: _Columns, runs: Runs, positions: Iterable[int], scope_of: Scope) -> None:
        self._columns, self._runs, self._scope_of = columns, runs, scope_of
        self._reader = PieceReader(runs, columns.pool)
        self._is_rest = _sources_of_rest(runs, positions)
        columns.is_redacted |= runs.is_redacted
        columns.private_texts |= runs.private_texts

    def calls(self, position: int) -> range:
        """Return the positions of a run's calls."""
        return range(len(self._runs.calls[position]))

    def read(self, position: int, rows: Mapping[int, int], first_row: int, cut: NDArray[np.bool_]) -> None:
        """Read the LLM calls of a run; ``rows`` are those of its calls in the history, numbered from ``first_row``."""
        run = self._runs.records[position]
        for at, call in enumerate(self._runs.calls[position]):
            if call.record.kind == "llm":
                row = rows.get(at)
                is_cut = row is not None and bool(cut[row])
                self._read_call(run, (position, at), call, -1 if row is None else first_row + row, is_cut=is_cut)

    def _read_call(self, run: RunRecord, where: tuple[int, int], call: Call, step: int, *, is_cut: bool) -> None:
        columns, record, exchange = self._columns, call.record, call.record.exchange
        api = api_of(record, call.request)
        billed = usage_of(record, _response(self._runs, call), is_rest=(run.agent_id, api) in self._is_rest)
        before = len(columns.contents)
        model, parameters, is_cut = self._read_prompt(api, call, is_cut=is_cut)
        columns.lengths.append(len(columns.contents) - before)
        metadata = exchange.metadata if exchange is not None else {}
        is_raw = call.body is not None
        failed = exchange is not None and exchange.error is not None and exchange.usage is None
        flags = (RequestFlag.PREWARM * parameters.is_prewarm) | (RequestFlag.FAILED * failed)
        flags |= RequestFlag.KEYED * bool(parameters.cache_key) | RequestFlag.BATCH * bool(metadata.get("batch_id"))
        automatic = AUTOMATIC_BY_DEFAULT if parameters.automatic_ttl is None else parameters.automatic_ttl
        columns.sendings.append(None if call.sending is None else SentOtherwise(call.sending, len(call.messages)))
        columns.diagnoses.append(_diagnosis(self._raw_response(call)))
        columns.add_facts(
            (
                columns.agents[run.agent_id],
                columns.runs[run.agent_id, run.id],
                *where,
                columns.models[model],
                columns.scopes[self._scope_of(run.agent_id, metadata)],
                APIS.index(api),
                columns.parameters[parameters],
                step,
                read_time(record.started_at),
                read_time(exchange.first_token_at if exchange is not None else None),
                read_time(record.ended_at),
                bool(record.started_at),
                *billed,
                call.request is not None or is_raw,
                is_raw,
                is_cut,
                failed,
                False,
                int(flags),
                automatic,
            )
        )

    def _raw_response(self, call: Call) -> JsonObject | None:
        if call.body is None or call.body.response < 0:
            return None
        value = self._runs.values.value(call.body.response)
        return value if isinstance(value, Mapping) else None

    def _read_prompt(self, api: Api, call: Call, *, is_cut: bool) -> tuple[str, Parameters, bool]:
        """Append the pieces of a call's request; return its model, parameters, and whether it was cut."""
        reader = self._reader
        model = (call.request and call.request.model) or call.record.model_name or ""
        if call.body is not None:
            tools, system, messages = reader.read_sent(api, call.body)
            head = self._runs.values.value(call.body.head)
            is_cut = continues_stored(head)
            _add_prompt(self._columns, api, tools, system, messages, cut=is_cut)
            has_images = any(unit.has_image for unit in messages)
            parameters = reader.sent_parameters(api, call.body, has_images=has_images)
            return str(head.get("model") or model), parameters, is_cut
        if call.request is None:
            return model, Parameters(), is_cut
        tools, system, messages = reader.read_annotated(api, call, call.request)
        _add_prompt(self._columns, api, tools, system, messages, cut=is_cut)
        has_images = any(unit.has_image for unit in messages)
        return model, reader.parameters(api, call, has_images=has_images), is_cut


def _diagnosis(response: JsonObject | None) -> str:
    """Return the type of miss that the provider's own diagnosis names."""
    found = (response or {}).get("diagnostics") or (response or {}).get("prompt_cache_diagnostics")
    reason = found.get("cache_miss_reason", found) if isinstance(found, Mapping) else found
    kind = reason.get("type") if isinstance(reason, Mapping) else reason
    return kind if isinstance(kind, str) else ""


def _add_prompt(
    columns: _Columns, api: Api, tools: Sequence[Unit], system: Sequence[Unit], messages: Sequence[Unit], *, cut: bool
) -> None:
    """Append the pieces of one prompt; the framing of tools stands behind them, what was cut before the messages."""
    for unit in (*tools, *system) if api != "anthropic" or not tools else tools:
        columns.add(unit.pieces, -1)
    if api == "anthropic" and tools:
        columns.add((_FRAMING,), -1)
        for unit in system:
            columns.add(unit.pieces, -1)
    lead = next((i for i, unit in enumerate(messages) if unit.role not in SYSTEM_ROLES), 0) if cut else 0
    for number, unit in enumerate(messages):
        if cut and number == lead:
            columns.add((_GAP,), -1)
        columns.add(unit.pieces, number)


_FRAMING: Final = Piece(FRAMING, int(PieceKind.FRAMING), allows_breakpoint=False)
_GAP: Final = Piece(GAP, int(PieceKind.FRAMING), allows_breakpoint=False)
_TYPES: Final[Mapping[str, Any]] = {
    "timed": bool,
    "recorded": bool,
    "raw": bool,
    "cut": bool,
    "failed": bool,
    "disbelieved": bool,
    "flags": np.uint8,
}


def _finish(columns: _Columns) -> RecordedRequests:
    """Bring the rows into the order of start, and number the prefixes."""
    facts = {
        name: np.array(values, _TYPES.get(name, np.int64)) for name, values in zip(FACTS, columns.facts, strict=True)
    }
    order = np.lexsort((facts["calls"], facts["runs"], facts["agents"], facts["started"]))
    piece_offsets, pieces = gather(offsets(np.array(columns.lengths, np.int64)), order)
    per_piece = {
        name: np.array(values, kind)[pieces]
        for name, values, kind in (
            ("contents", columns.contents, np.int32),
            ("kinds", columns.kinds, np.uint8),
            ("messages", columns.messages, np.int32),
            ("allows_breakpoint", columns.allows_breakpoint, bool),
            ("own_breakpoints", columns.breakpoints, np.int32),
        )
    }
    facts = stand_in_times({name: values[order] for name, values in facts.items()})
    measure = sent_size if columns.is_redacted else len
    facts |= disbelieve(facts, per_piece["contents"], piece_offsets, columns.pool.texts, measure)
    parameters = tuple(columns.parameters)
    roots, salted = _salt(facts, parameters, per_piece, piece_offsets)
    return RecordedRequests(
        agent_ids=tuple(columns.agents),
        run_ids=tuple(run_id for _, run_id in columns.runs),
        model_names=tuple(columns.models),
        scope_names=tuple(columns.scopes),
        parameter_values=parameters,
        piece_offsets=piece_offsets,
        nodes=number_prefixes(roots, salted, piece_offsets),
        texts=columns.pool.texts,
        vendor_diagnoses=tuple(columns.diagnoses[row] for row in order.tolist()),
        sendings={i: found for i, row in enumerate(order.tolist()) if (found := columns.sendings[row]) is not None},
        is_redacted=columns.is_redacted,
        private_texts=columns.private_texts,
        **facts,
        **per_piece,
    )


def _salt(
    facts: Mapping[str, Ints], parameters: Sequence[Parameters], per_piece: Mapping[str, Any], piece_offsets: Ints
) -> tuple[Ints, Ints]:
    """Return what each chain of prefixes starts from, and each piece's code with the parameters that stand before it.

    Parameters stand before the first piece of their tier, so a change of them is a change of all that follows.
    """
    texts = _Names({"": 0})
    tiers = np.array([[texts[p.system], texts[p.messages], texts[f"{p.whole} {p.cache_key}"]] for p in parameters])
    system, messages, whole = tiers.reshape(-1, 3)[facts["parameters"]].T
    _, roots = np.unique(np.stack((facts["scopes"], facts["models"], whole)), axis=1, return_inverse=True)
    owner = np.repeat(np.arange(len(facts["parameters"])), np.diff(piece_offsets))
    in_messages = (per_piece["messages"] >= 0) | (per_piece["contents"] == GAP)
    is_tool = (per_piece["kinds"] == PieceKind.TOOL) | (per_piece["contents"] == FRAMING)
    tier = np.where(in_messages, 2, np.where(is_tool, 0, 1))
    first = np.ones(len(tier), bool)
    first[1:] = (tier[1:] != tier[:-1]) | (owner[1:] != owner[:-1])
    # A prompt without a system text has its parameters before the messages.
    before = np.where(tier == 1, system[owner], messages[owner] * len(texts) + system[owner])
    salts, salt = np.unique(np.where(first & (tier > 0), before, 0), return_inverse=True)
    _, salted = np.unique(per_piece["contents"] * np.int64(len(salts)) + salt.reshape(-1), return_inverse=True)
    is_gap = per_piece["contents"] == GAP
    salted = salted.reshape(-1)
    # What was cut is unknown, so no two gaps are the same.
    salted[is_gap] = salted.max(initial=0) + 1 + np.arange(np.count_nonzero(is_gap))
    return roots.reshape(-1), salted
