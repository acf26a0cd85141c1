"""What a change to prompts does to findings: those that are gone, those that are new, and those that cost another sum.

Invariant: a finding of both sides is recognised by agent, kind and block, and listed only if its cost changed.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from acg_lab._format import counted, html_table, html_text, printable
from acg_lab.diagnosis.finding import Finding

__all__ = ["FindingChanges", "compare_findings"]

_MIN_SHARE: Final = 0.01  # of what a finding cost before: less is no change
_NUMBERS: Final = ("before", "after")


class FindingChanges(NamedTuple):
    """The findings that differ between two explanations.

    Attributes
    ----------
    gone, new : tuple of Finding
        Those of the first, and of the second explanation only.
    changed : tuple of (Finding, Finding)
        Those of both whose cost changed.
    n_same : int
        How many others both have.
    """

    gone: tuple[Finding, ...] = ()
    new: tuple[Finding, ...] = ()
    changed: tuple[tuple[Finding, Finding], ...] = ()
    n_same: int = 0

    def __repr__(self) -> str:
        lines = [self._title()]
        lines += [f"{before:>12} → {after:<12} {printable(text)}" for before, after, text in self._rows()]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [(before, after, html_text(text)) for before, after, text in self._rows()]
        table = html_table(("before", "after", "finding"), rows, numbers=_NUMBERS) if rows else ""
        return f"<b>{self._title()}</b>{table}"

    def _title(self) -> str:
        counts = ((self.gone, "gone"), (self.new, "new"), (self.changed, "changed"))
        said = ", ".join(f"{len(found):,} {word}" for found, word in counts if found)
        same = f"{counted(self.n_same, 'finding')} as before" if self.n_same else ""
        return "; ".join(filter(None, (said, same))) if said else "No finding changed"

    def _rows(self) -> Iterator[tuple[str, str, str]]:
        for finding in self.gone:
            yield _format_cost(finding), "gone", _describe(finding)
        for before, after in self.changed:
            yield _format_cost(before), _format_cost(after), _describe(after)
        for finding in self.new:
            yield "new", _format_cost(finding), _describe(finding)


def compare_findings(before: Sequence[Finding], after: Sequence[Finding]) -> FindingChanges:
    """Return what differs between two explanations of the same agents."""
    were, are = _by_identity(before), _by_identity(after)
    both = [(were[one], are[one]) for one in were if one in are]
    changed = tuple(pair for pair in both if _cost(pair[0]) and abs(_cost(pair[1]) / _cost(pair[0]) - 1) >= _MIN_SHARE)
    return FindingChanges(
        gone=tuple(finding for one, finding in were.items() if one not in are),
        new=tuple(finding for one, finding in are.items() if one not in were),
        changed=changed,
        n_same=len(both) - len(changed),
    )


def _by_identity(findings: Iterable[Finding]) -> dict[tuple[str, str, str | None, int], Finding]:
    found: dict[tuple[str, str, str | None, int], Finding] = {}
    for finding in findings:
        one = finding.agent_id, finding.kind.value, finding.span_id
        number = sum(known[:3] == one for known in found)
        found[(*one, number)] = finding
    return found


def _cost(finding: Finding) -> float:
    return finding.total_lost if finding.money_lost is None else finding.money_lost


def _format_cost(finding: Finding) -> str:
    if finding.money_lost is None:
        return f"{finding.total_lost:,.0f} tokens"
    return f"${finding.money_lost:,.2f}" if finding.money_lost >= 0.01 else f"${finding.money_lost:.2g}"  # noqa: PLR2004


def _describe(finding: Finding) -> str:
    return f"{finding.agent_id}: {finding.sentence}"
