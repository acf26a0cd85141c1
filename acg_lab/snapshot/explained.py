"""What the recorded runs explain of each stored window."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256

from msgspec.structs import replace

from acg_lab.core.codec import encode
from acg_lab.core.errors import RecordError
from acg_lab.core.keys import learning_key
from acg_lab.core.prompt_ir import build_prompt_ir
from acg_lab.core.records import PromptIR
from acg_lab.snapshot.model import Snapshot
from acg_lab.snapshot.shown import counted
from acg_lab.snapshot.verdicts import Difference, Status, Verdict

__all__ = ["Explained"]


class Explained:
    """What the runs explain of each window: digests of their observations, by learning key, in order."""

    def __init__(self, snapshot: Snapshot, observation_window: int | None) -> None:
        self._snapshot = snapshot
        self._digests: dict[str, list[bytes]] = {}
        self._agents = {run.agent_id for run in snapshot.runs.records}
        rules = {agent_id: self._rules_of(agent_id) for agent_id in self._agents}
        for key, observation in observations_of_runs(snapshot, rules):
            self._digests.setdefault(key, []).append(_digest(observation))
        self._window = {agent_id: observation_window or self._find_window(agent_id) for agent_id in self._agents}

    def has_runs(self, agent_id: str) -> bool:
        """Whether the agent has runs to compare with."""
        return agent_id in self._agents

    def _rules_of(self, agent_id: str) -> Sequence[str]:
        return sorted({self._snapshot.rules[key].rules for key in self._keys_of(agent_id)})

    def _keys_of(self, agent_id: str) -> list[str]:
        return [key for key in self._snapshot.windows if self._snapshot.owners[key].agent_id == agent_id]

    def _find_window(self, agent_id: str) -> int | None:
        """Return the longest window that is shorter than what the runs give: it must have been full."""
        lengths = {key: self._snapshot.n_observations(key) for key in self._keys_of(agent_id)}
        return max((n for key, n in lengths.items() if n < len(self._digests.get(key, ()))), default=None)

    def compare(self, verdict: Verdict) -> Verdict:
        """Compare a profile's window with what the runs explain."""
        if not verdict.checked_runs:
            return verdict
        stored = [_digest(observation) for observation in self._snapshot.windows[verdict.key]]
        given = self._digests.get(verdict.key, [])
        full = self._window[verdict.agent_id]
        expected = given[-full:] if full else given
        if stored == expected:
            return verdict
        if len(stored) > len(given) and (not given or stored[-len(given) :] == given):
            n = len(stored) - len(given)
            return verdict._replace(status=Status.LONGER, detail=f"{counted(n, 'observation')} older than the runs")
        return self._mismatch(verdict, stored, given, expected, is_full=not full or len(stored) >= full)

    def _mismatch(
        self, verdict: Verdict, stored: list[bytes], given: list[bytes], expected: list[bytes], *, is_full: bool
    ) -> Verdict:
        foreign = Counter(stored) - Counter(given)
        if not foreign:
            # A window that is not full yet has dropped nothing: what it lacks at its beginning is missing, too.
            first = given.index(stored[0]) if stored and is_full else 0
            lost = max(sum((Counter(given[first:]) - Counter(stored)).values()), len(expected) - len(stored))
            detail = f"{counted(lost, 'update')} missing of the {len(given) - first:,} that the runs give"
            return verdict._replace(
                status=Status.LOST, detail=detail if lost else "the observations stand in another order"
            )
        position = next(i for i, digest in enumerate(stored) if digest in foreign)
        place = f"window, observation {position}"
        difference = Difference(place, "observation", "none such in the runs", f"sha256:{stored[position].hex()[:12]}")
        nearest = self._nearest(verdict, position, stored, given)
        return verdict._replace(
            status=Status.DIFFERENT, difference=nearest or difference, detail=str(nearest or difference)
        )

    def _nearest(self, verdict: Verdict, position: int, stored: list[bytes], given: list[bytes]) -> Difference | None:
        """Compare with the observation of the runs that stands in its place, if the neighbours agree."""
        shift = len(given) - len(stored)
        if not 0 <= position + shift < len(given):
            return None
        rules = {verdict.agent_id: [verdict.rules]}
        of_key = [o for key, o in observations_of_runs(self._snapshot, rules) if key == verdict.key]
        theirs = self._snapshot.windows[verdict.key][position]
        return _difference(f"window, observation {position}", of_key[position + shift], theirs)


def observations_of_runs(snapshot: Snapshot, rules: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, PromptIR]]:
    """Yield what the runs give, in the order in which production learned them."""
    runs = snapshot.runs
    for record, calls in zip(runs.records, runs.calls, strict=True):
        for name in rules.get(record.agent_id, ()):
            for call in calls:
                if call.record.kind != "llm" or call.request is None:
                    continue
                request = runs.request(call)
                try:
                    key = learning_key(record.agent_id, request, rules=name)
                    if key in snapshot.windows and snapshot.rules[key].rules == name:
                        yield key, build_prompt_ir(request, ir_id="", created_at="", rules=name)
                except RecordError:
                    continue  # production skips it too


def _digest(observation: PromptIR) -> bytes:
    """Return a digest of all but identity and time, with what production fills in filled in."""
    blocks = tuple(
        replace(block, sensitivity=block.sensitivity or "public", unknown={}) for block in observation.blocks
    )
    return sha256(encode(replace(observation, ir_id="", created_at="", blocks=blocks, unknown={}))).digest()


def _difference(place: str, ours: PromptIR, stored: PromptIR) -> Difference | None:
    for mine, theirs in zip(ours.blocks, stored.blocks, strict=False):
        for name in ("span_id", "sequence_index", "role", "content", "content_type", "provenance"):
            a, b = getattr(mine, name), getattr(theirs, name)
            if a != b:
                hashed = (
                    (f"sha256:{sha256(text.encode()).hexdigest()[:12]}" for text in (a, b))
                    if name == "content"
                    else (a, b)
                )
                return Difference(f"{place}, span {theirs.span_id!r}", name, *hashed)
    if len(ours.blocks) != len(stored.blocks):
        return Difference(place, "number of blocks", len(ours.blocks), len(stored.blocks))
    for name in ("source_request_hash", "structured_output_schema_id", "tool_schema_hashes"):
        if getattr(ours, name) != getattr(stored, name):
            return Difference(place, name, getattr(ours, name), getattr(stored, name))
    return None
