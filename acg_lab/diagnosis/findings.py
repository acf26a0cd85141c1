"""Findings as a sequence, and how they look in a terminal, in a notebook, and as a frame.

Invariant: everything that may come from a prompt is escaped; prompt text appears only if the evidence holds excerpts.
"""

from collections.abc import Iterable, Iterator
from html import escape
from math import ceil
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple, Self, SupportsIndex, overload

from acg_lab._format import counted, cut, html_table, html_text, printable
from acg_lab.diagnosis.finding import Finding
from acg_lab.diagnosis.finding_changes import FindingChanges, compare_findings
from acg_lab.diagnosis.phrases import tokens_per_request
from acg_lab.diagnosis.repair_words import describe_repairs
from acg_lab.repairs.effects import Effect, recovered_tokens
from acg_lab.repairs.text_diff import TextDifference

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Findings", "describe_effect"]

_CENT = 0.01
_WIDTH, _MAX_SHOWN, _MAX_REPAIRS, _MAX_EXCERPT = 100, 12, 2, 48  # columns, findings, repairs, characters


class Findings(tuple[Finding, ...]):  # noqa: SLOT001  # a tuple with an attribute has no slots
    """The findings of `acg_lab.explain`, costliest first.

    Attributes
    ----------
    healthy : tuple of str
        Learning keys of the profiles that have no finding, and whose costs agree.
    unknown : tuple of str
        Those without a finding whose requests have no known cost: all failed, or their model has no price.
    impossible : str
        Why the setting allows no findings, as a clause; empty if it does.
    notes : tuple of str
        What a reader of the findings must know, one sentence each.
    unread : tuple of str
        Recorded requests that could not be read, one sentence per reason.

    Examples
    --------
    >>> Findings(healthy=("k",))
    No findings; 1 healthy profile
    """

    healthy: tuple[str, ...]
    unknown: tuple[str, ...]
    impossible: str
    notes: tuple[str, ...]
    unread: tuple[str, ...]

    def __new__(
        cls,
        findings: Iterable[Finding] = (),
        *,
        healthy: Iterable[str] = (),
        unknown: Iterable[str] = (),
        impossible: str = "",
        notes: Iterable[str] = (),
        unread: Iterable[str] = (),
    ) -> Self:
        """Make a sequence of findings, in order."""
        made = super().__new__(cls, findings)
        made.healthy = tuple(healthy)
        made.unknown = tuple(unknown)
        made.impossible = impossible
        made.notes = tuple(notes)
        made.unread = tuple(unread)
        return made

    @overload
    def __getitem__(self, position: SupportsIndex) -> Finding: ...
    @overload
    def __getitem__(self, position: slice) -> "Findings": ...
    def __getitem__(self, position: Any) -> Any:
        found = super().__getitem__(position)
        if not isinstance(position, slice):
            return found
        return Findings(found, **vars(self))

    def to_frame(self) -> "DataFrame":
        """Return a DataFrame with one row per finding; see `acg_lab.frames.findings`."""
        from acg_lab.frames import findings  # noqa: PLC0415  a value's frame is the one import upwards

        return findings(self)

    def compare(self, other: "Findings") -> "FindingChanges":
        """Return only what differs in other findings, such as those of a repaired snapshot.

        Parameters
        ----------
        other : Findings
            Findings of the same agents under a change.

        Returns
        -------
        FindingChanges

        Examples
        --------
        >>> Findings().compare(Findings())
        No finding changed
        """
        return compare_findings(self, other)

    def to_text(self, *, width: int = _WIDTH, shown: int | None = None) -> str:
        """Return all findings, or the first ``shown``, as lines of at most ``width`` columns."""
        lines = _wrap("", self._title(), width)
        for number, finding in enumerate(self[:shown], 1):
            lines += _format_finding(number, finding, width)
        if shown is not None and len(self) > shown:
            lines.append(f"... and {counted(len(self) - shown, 'more finding')}; .to_frame() has all")
        lines += [line for text in (*self.notes, *self.unread) for line in _wrap("", printable(text), width)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.to_text(shown=_MAX_SHOWN)

    def _title(self) -> str:
        if self.impossible:
            return self.impossible
        found = f"{counted(len(self), 'finding')}, costliest first" if self else "No findings"
        total = _Total.of(self)
        if len(self) > 1 and total.cost:
            share = f"{total.lost / total.cost:.0%}"
            found += f"; at most {format_money(total.lost)} of {format_money(total.cost)} ({share}) in {total.period}"
        if self.healthy:
            found += f"; {counted(len(self.healthy), 'healthy profile')}"
        return f"{found}; costs of {counted(len(self.unknown), 'profile')} unknown" if self.unknown else found

    def _repr_html_(self) -> str:
        more = f"<p>... and {counted(len(self) - _MAX_SHOWN, 'more finding')}; <code>.to_frame()</code> has all</p>"
        table = html_table(_COLUMNS, _rows(self), numbers=_NUMBERS) if self else ""
        unread = "".join(f"<p>{html_text(text)}</p>" for text in (*self.notes, *self.unread))
        return f"<b>{self._title()}</b>{table}{more if len(self) > _MAX_SHOWN else ''}{unread}"


class _Total(NamedTuple):
    """What findings cost together, at most: faults of one agent may be about the same tokens."""

    lost: float
    cost: float
    period: str

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> "_Total":
        lost: dict[str, float] = {}
        costs: dict[str, float] = {}
        days = 0.0
        for finding in findings:
            if finding.money_lost is not None and finding.agent_cost:
                costs[finding.agent_id] = finding.agent_cost
                lost[finding.agent_id] = lost.get(finding.agent_id, 0.0) + finding.money_lost
                days = max(days, finding.days or 0.0)
        together = sum(min(amount, costs[agent_id]) for agent_id, amount in lost.items())
        return cls(together, sum(costs.values()), _format_period(days))


# --- plain ---


def _format_finding(number: int, finding: Finding, width: int) -> Iterator[str]:
    timing = f", {finding.timing.value}" if finding.timing else ""
    requests = counted(finding.requests, "request")
    agent_id = printable(finding.agent_id)
    if finding.money_lost is None:
        loss = f"{finding.tokens_lost:,.0f} tokens per request, {requests}"
        yield from _wrap(f"{number:>2}. ", f"{agent_id}: {finding.kind.value}{timing}; {loss}", width)
        yield from _wrap("    ", printable(finding.sentence), width)
    else:
        yield from _wrap(f"{number:>2}. ", f"{agent_id} {describe_loss(finding)}: {printable(finding.sentence)}", width)
    for line in _describe_repairs(finding):
        yield from _wrap("    -> ", line, width)
    for place in finding.evidence.places:
        if place.text is not None:
            yield from _wrap("    ", f"at {place.offset:,}: {_format_values(place)}", width)
    if (more := _count_more_places(finding)) and finding.evidence.places[0].text is not None:
        yield f"    and {counted(more, 'more place')}"


def _count_more_places(finding: Finding) -> int:
    """Return how many places there are beyond those that the evidence holds."""
    places = finding.evidence.places
    return max(finding.evidence.n_places - len(places), 0) if places else 0


def describe_loss(finding: Finding) -> str:
    """Describe what a fault costs: ``loses $2.92 of $4.82 in 14 days (61%)``, or ``loses at most``."""
    lost, cost = finding.money_lost or 0.0, finding.agent_cost or 0.0
    share = f" ({lost / cost:.0%})" if cost else ""
    period = _format_period(finding.days or 0.0)
    return f"loses {_at_most(finding)}{format_money(lost)} of {format_money(cost)} in {period}{share}"


def _format_period(days: float) -> str:
    whole = max(ceil(days), 1)
    return "a day" if whole == 1 else f"{whole:,} days"


def _at_most(finding: Finding) -> str:
    return "at most " if finding.lost_at_most else ""


def format_money(dollars: float) -> str:
    """Return an amount with cents, and small ones with two digits that say something."""
    return f"${dollars:,.2f}" if dollars >= _CENT or not dollars else f"${dollars:.2g}"


def _wrap(lead: str, text: str, width: int) -> list[str]:
    later = " " * len(lead)
    return wrap(text, width, initial_indent=lead, subsequent_indent=later, break_on_hyphens=False)


def _describe_repairs(finding: Finding) -> Iterator[str]:
    if finding.evidence.threshold is not None:
        saves = finding.evidence.threshold_saved
        if saves is None:
            limit = f"a stable_threshold of at most {finding.evidence.threshold:g}"
            yield f"{limit} includes the block in the prefix; acg.recommend finds one that holds on other requests"
        else:
            yield f"stable_threshold = {finding.evidence.threshold:g} saves {format_money(saves)}"
    safe = len(finding.repairs) - finding.bound_repairs
    for i, effect in enumerate(finding.repairs[:_MAX_REPAIRS]):
        yield printable(describe_effect(effect, finding)) + (
            "" if i < safe else "; but the rules of 0.8 bind it to whole requests"
        )


def describe_effect(effect: Effect, finding: Finding) -> str:
    """Describe what the repairs of a finding do, and how much they save.

    For merges, the old prefix lengths are ignored: each was long, but few requests read it.
    """
    before, after = effect.before, effect.after
    evidence = finding.evidence
    what = describe_repairs(
        effect.repairs, finding.kind, span_id=finding.span_id, beside=evidence.beside, slots=evidence.slots
    )
    if effect.money_saved is not None:
        share = f" ({effect.money_saved / finding.agent_cost:.0%})" if finding.agent_cost else ""
        return f"if {what}: saves {format_money(effect.money_saved)}{share}"
    if after.profiles < before.profiles:
        recovered = recovered_tokens(effect, finding.tokens_lost, finding.evidence.stable_tokens_after)
        shared = ", shared by every request" if after.profiles == 1 else ""
        is_fixed = after.profiles == finding.evidence.n_profiles_if_fixed
        saving = f"{shared}; {tokens_per_request(recovered)} are recovered" if is_fixed else ""
        return (
            f"if {what}: {before.profiles:,} profiles → {after.profiles:,}{saving}; "
            f"prefix {after.prefix_tokens:,.0f} tokens ({after.share:.0%})"
        )
    profiles = (
        "" if before.profiles == after.profiles else f"{counted(before.profiles, 'profile')} → {after.profiles:,}, "
    )
    blocks = f"{before.prefix_blocks:.0f} → {after.prefix_blocks:.0f} blocks"
    return (
        f"if {what}: {profiles}prefix {blocks}, "
        f"{before.prefix_tokens:,.0f} → {after.prefix_tokens:,.0f} tokens ({before.share:.0%} → {after.share:.0%})"
    )


def _format_values(place: TextDifference) -> str:
    """Return the commonest values of a slot, each with the number of requests that have it."""
    shown = [f"{printable(repr(cut(value.text, _MAX_EXCERPT)))} ({value.count:,})" for value in place.commonest]
    more = place.distinct - len(shown)
    return ", ".join(shown) + (f" and {counted(more, 'more value')}" if more else "")


# --- HTML ---

_COLUMNS = ("", "lost", "what happens, and what fixes it")
_NUMBERS = ("", "lost")
_PLAIN = "color:var(--jp-ui-font-color1,inherit)"
_LIST = "margin:.25em 0 0;padding-left:1.2em"
_MUTED = "color:var(--jp-ui-font-color2,inherit);font-size:.92em"


def _rows(findings: Findings) -> Iterator[tuple[str, ...]]:
    for number, finding in enumerate(findings[:_MAX_SHOWN], 1):
        yield str(number), _format_loss(finding), _format_what(finding)
    total = _Total.of(findings)
    if len(findings) > 1 and total.cost:
        amount = f"<b>{format_money(total.lost)}</b><br>{total.lost / total.cost:.0%}"
        yield "", amount, f"<b>at most, together</b>, of {format_money(total.cost)} in {total.period}"


def _format_what(finding: Finding) -> str:
    """Return who and where in a line of its own, then the sentence, then what fixes it."""
    kind = f"{finding.kind.value}, {finding.timing.value}" if finding.timing else finding.kind.value
    where = f" · <code>{html_text(finding.span_id)}</code>" if finding.span_id else ""
    agent = f'<b style="{_PLAIN}">{html_text(finding.agent_id)}</b>'
    about = f"{agent} · {escape(kind)}{where} · {counted(finding.requests, 'request')}"
    items = [html_text(line) for line in _describe_repairs(finding)]
    items += [_format_place(place) for place in finding.evidence.places if place.text is not None]
    if (more := _count_more_places(finding)) and finding.evidence.places[0].text is not None:
        items.append(f"and {counted(more, 'more place')}")
    listed = f'<ul style="{_LIST}">{"".join(f"<li>{item}</li>" for item in items)}</ul>' if items else ""
    return f'<div style="{_MUTED};overflow-wrap:anywhere">{about}</div>{html_text(finding.sentence)}{listed}'


def _format_loss(finding: Finding) -> str:
    if finding.money_lost is None:
        return f"{finding.tokens_lost:,.0f} tokens<br>per request"
    share = f"<br>{finding.money_lost / finding.agent_cost:.0%}" if finding.agent_cost else ""
    at_most = f'<span style="{_MUTED}">at most</span><br>' if finding.lost_at_most else ""
    return f"{at_most}<b>{format_money(finding.money_lost)}</b>{share}"


def _format_place(place: TextDifference) -> str:
    return f"at {place.offset:,}: <code>{escape(_format_values(place))}</code>"
