"""Results of all profiles: a dict that shows itself in a few lines.

Belongs here: how results look in a terminal and in a notebook. Learning keys and span ids may come from prompts, so
they are escaped; there is no prompt text in a result.
"""

from collections.abc import Iterator
from itertools import islice

from acg_lab.core.keys import parse_learning_key
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.snapshot.names import differing_parts
from acg_lab.snapshot.shown import counted, html_table, html_text, printable

__all__ = ["Results"]

_SHOWN, _WIDTH, _SPAN, _AGENT = 20, 100, 16, 6
_TITLES = ("profile", "requests", "prefix", "of blocks", "then", "class", "score")
_NUMBERS = ("requests", "prefix", "of blocks", "score")
_HTML = 78


class Results(dict[str, StabilityAnalysisResult]):
    """By learning key what `acg_lab.analyze` found of each profile: a dict in all but its looks."""

    def __repr__(self) -> str:
        names, rests = self._names(), []
        for n, prefix, blocks, span, class_, score in self._rows():
            ends = f"{_cut(span, _SPAN)} {class_} {score}".strip() or "nothing"
            rests.append(f" {n:>5} requests, {prefix}/{blocks} blocks, then {ends}")
        room = _WIDTH - 2 - max(map(len, rests), default=0)
        told = [_fitting(*name, room) for name in names]
        width = max(map(len, told), default=0)
        lines = [f"<{self._title()}>", *(f"  {n:<{width}}{rest}" for n, rest in zip(told, rests, strict=True))]
        return "\n".join([*lines, *([f"  ... and {self._more()}"] if len(self) > _SHOWN else [])])

    def _repr_html_(self) -> str:
        names = [_fitting(*name, _HTML) for name in self._names()]
        rows = ([html_text(cell) for cell in (name, *row)] for name, row in zip(names, self._rows(), strict=True))
        more = f"<p>... and {self._more()}</p>" if len(self) > _SHOWN else ""
        return f"<b>{self._title()}</b>{html_table(_TITLES, rows, numbers=_NUMBERS)}{more}"

    def _title(self) -> str:
        requests = counted(sum(result.total_observations for result in self.values()), "request")
        return f"Results: {counted(len(self), 'profile')}, {requests}"

    def _more(self) -> str:
        return f"{counted(len(self) - _SHOWN, 'more profile')}; acg_lab.frames.scores has all"

    def _names(self) -> list[tuple[str, str]]:
        """Return agent, and what its keys differ in, of each profile that is shown; a key that is none for itself."""
        of_agent: dict[str, list[str]] = {}
        for key in self:
            parsed = parse_learning_key(key)
            of_agent.setdefault(key if parsed is None else parsed.agent_id, []).append(key)
        parts = {
            key: (agent_id, part)
            for agent_id, keys in of_agent.items()
            for key, part in zip(keys, differing_parts(keys), strict=True)
        }
        return [parts[key] for key in islice(self, _SHOWN)]

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for result in islice(self.values(), _SHOWN):
            length = result.stable_prefix_length
            ends = [(score.span_id, score.classification, f"{score.score:.4g}") for score in result.scores[length:][:1]]
            counts = f"{result.total_observations:,}", f"{length:,}", f"{len(result.scores):,}"
            yield *counts, *(ends[0] if ends else ("", "", ""))


def _fitting(agent_id: str, parts: str, room: int) -> str:
    """Return a profile's name; where there is no room for all, the agent is cut first."""
    agent_id = _cut(agent_id, max(room - len(parts) - bool(parts), _AGENT))
    return _cut(f"{agent_id} {parts}".rstrip(), room)


def _cut(name: str, width: int) -> str:
    """Cut a name in the middle: its tail tells more than that."""
    name = printable(name)
    return name if len(name) <= width else f"{name[: width - width // 2 - 1]}…{name[-(width // 2) :]}"
