"""Results of all profiles: a dict that shows itself in a few lines.

Belongs here: how results look in a terminal and in a notebook. Learning keys and span ids may come from prompts, so
they are escaped; there is no prompt text in a result.
"""

from collections.abc import Iterator

from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.snapshot.model import counted
from acg_lab.snapshot.shown import html_table, html_text, printable

__all__ = ["Results"]

_SHOWN, _KEY, _SPAN = 20, 26, 16
_TITLES = ("learning key", "requests", "prefix", "of blocks", "then", "class", "score")
_NUMBERS = ("requests", "prefix", "of blocks", "score")


class Results(dict[str, StabilityAnalysisResult]):
    """By learning key what `acg_lab.analyze` found of each profile: a dict in all but its looks."""

    def __repr__(self) -> str:
        lines = [f"<{self._title()}>"]
        for key, n, prefix, blocks, span, class_, score in self._rows():
            ends = f"{_cut(span, _SPAN)} {class_} {score}".strip() or "nothing"
            lines.append(f"  {_cut(key, _KEY):<{_KEY}} {n:>5} requests, {prefix}/{blocks} blocks, then {ends}")
        return "\n".join([*lines, *([f"  ... and {self._more()}"] if len(self) > _SHOWN else [])])

    def _repr_html_(self) -> str:
        rows = ([html_text(cell) for cell in (_cut(row[0], 3 * _KEY), *row[1:])] for row in self._rows())
        more = f"<p>... and {self._more()}</p>" if len(self) > _SHOWN else ""
        return f"<b>{self._title()}</b>{html_table(_TITLES, rows, numbers=_NUMBERS)}{more}"

    def _title(self) -> str:
        requests = counted(sum(result.total_observations for result in self.values()), "request")
        return f"Results: {counted(len(self), 'profile')}, {requests}"

    def _more(self) -> str:
        return f"{counted(len(self) - _SHOWN, 'more profile')}; acg_lab.frames.scores has all"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for key, result in list(self.items())[:_SHOWN]:
            length = result.stable_prefix_length
            ends = [(score.span_id, score.classification, f"{score.score:.4g}") for score in result.scores[length:][:1]]
            counts = f"{result.total_observations:,}", f"{length:,}", f"{len(result.scores):,}"
            yield key, *counts, *(ends[0] if ends else ("", "", ""))


def _cut(name: str, width: int) -> str:
    """Cut a name in the middle: its tail tells more than that."""
    name = printable(name)
    return name if len(name) <= width else f"{name[: width - width // 2 - 1]}…{name[-(width // 2) :]}"
