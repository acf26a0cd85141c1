"""How findings look: in a terminal, in a notebook, and as a frame.

Belongs here: the answer of `acg_lab.diagnosis` as a sequence, and its plain and HTML forms. Everything that may come
from a prompt is escaped; prompt text is shown only where the evidence holds it because it was asked for.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, overload

from msgspec.structs import replace

from acg_lab._format import counted, html_table, html_text, printable
from acg_lab.diagnosis.finding import Finding
from acg_lab.diagnosis.phrases import lost
from acg_lab.diagnosis.text_diff import TextDifference
from acg_lab.repairs.effects import Effect, regained
from acg_lab.repairs.repairs import MergeProfiles, MoveToSystemPrompt, Repair

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Findings", "tell_effect"]

_WIDTH, _SHOWN, _REPAIRS, _EXCERPT = 100, 12, 2, 48


class Findings(tuple[Finding, ...]):  # noqa: SLOT001  # a tuple with an attribute has no slots
    """What `acg_lab.diagnosis` found, costliest first.

    Attributes
    ----------
    healthy : tuple of str
        Learning keys of the profiles that were looked at and give no reason to complain.
    impossible : str
        Why nothing can be found under the setting, as a clause; empty where something can.
    unread : tuple of str
        Recorded requests that could not be looked at, a sentence for each reason.
    """

    healthy: tuple[str, ...]
    impossible: str
    unread: tuple[str, ...]

    def __new__(
        cls,
        findings: Iterable[Finding] = (),
        *,
        healthy: Iterable[str] = (),
        impossible: str = "",
        unread: Iterable[str] = (),
    ) -> Self:
        """Make them of findings in order."""
        made = super().__new__(cls, findings)
        made.healthy = tuple(healthy)
        made.impossible = impossible
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
        return Findings(found, healthy=self.healthy, impossible=self.impossible, unread=self.unread)

    def to_frame(self) -> "DataFrame":
        """Return a DataFrame of a row a finding; see `acg_lab.frames.findings`."""
        from acg_lab.frames import findings  # noqa: PLC0415  a value's frame is the one import upwards

        return findings(self)

    def to_text(self, *, width: int = _WIDTH, shown: int | None = None) -> str:
        """Return all findings, or the first so many, as lines of a terminal of that width."""
        lines = [self._title()]
        for number, finding in enumerate(self[:shown], 1):
            lines += _lines(number, finding, width)
        if shown is not None and len(self) > shown:
            lines.append(f"... and {counted(len(self) - shown, 'more finding')}; .to_frame() has all")
        lines += [line for text in self.unread for line in _wrapped("", printable(text), width)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.to_text(shown=_SHOWN)

    def _title(self) -> str:
        if self.impossible:
            return self.impossible
        found = f"{counted(len(self), 'finding')}, costliest first" if self else "Nothing to complain of"
        return f"{found}; {counted(len(self.healthy), 'profile')} in good health" if self.healthy else found

    def _repr_html_(self) -> str:
        more = f"<p>... and {counted(len(self) - _SHOWN, 'more finding')}; <code>.to_frame()</code> has all</p>"
        table = html_table(_COLUMNS, map(_row, range(1, _SHOWN + 1), self), numbers=_NUMBERS) if self else ""
        unread = "".join(f"<p>{html_text(text)}</p>" for text in self.unread)
        return f"<b>{self._title()}</b>{table}{more if len(self) > _SHOWN else ''}{unread}"


# --- plain ---


def _lines(number: int, finding: Finding, width: int) -> Iterator[str]:
    timing = f", {finding.timing.value}" if finding.timing else ""
    requests = counted(finding.requests, "request")
    loss = f"{finding.tokens_lost:,.0f} tokens per request, {requests}"
    yield from _wrapped(f"{number:>2}. ", f"{printable(finding.agent_id)}: {finding.kind.value}{timing}; {loss}", width)
    yield from _wrapped("    ", printable(finding.sentence), width)
    for line in _remedies(finding):
        yield from _wrapped("    -> ", line, width)
    for place in finding.evidence.places:
        if place.text is not None:
            yield from _wrapped("    ", f"at {place.offset:,}: {_excerpts(place)}", width)


def _wrapped(lead: str, text: str, width: int) -> list[str]:
    later = " " * len(lead)
    return wrap(text, width, initial_indent=lead, subsequent_indent=later, break_on_hyphens=False)


def _remedies(finding: Finding) -> Iterator[str]:
    if finding.evidence.threshold is not None:
        yield f"stable_threshold = {finding.evidence.threshold:g} takes the block into the prefix"
    safe = len(finding.repairs) - finding.bound_repairs
    for i, effect in enumerate(finding.repairs[:_REPAIRS]):
        yield printable(tell_effect(effect, finding)) + (
            "" if i < safe else "; but bound to whole requests by generation 0.8"
        )


def tell_effect(effect: Effect, finding: Finding) -> str:
    """Say what repairs of a finding do and win.

    Prefixes of profiles kept apart are no measure of what one profile wins: each was long, and read by few requests.
    """
    before, after = effect.before, effect.after
    if after.profiles < before.profiles:
        back = lost(regained(effect, finding.tokens_lost, finding.evidence.stable_tokens_after))
        every = ", which every request shares" if after.profiles == 1 else ""
        wins = f"{every}: {back} come back" if after.profiles == finding.evidence.n_profiles_if_fixed else ""
        return (
            f"if {_deeds(effect.repairs)}: {before.profiles:,} profiles → {after.profiles:,}{wins}; "
            f"prefix {after.prefix_tokens:,.0f} tokens ({after.share:.0%})"
        )
    profiles = (
        "" if before.profiles == after.profiles else f"{counted(before.profiles, 'profile')} → {after.profiles:,}, "
    )
    return (
        f"if {_deeds(effect.repairs)}: {profiles}prefix {before.prefix_blocks:.0f} → {after.prefix_blocks:.0f} blocks, "
        f"{before.prefix_tokens:,.0f} → {after.prefix_tokens:,.0f} tokens ({before.share:.0%} → {after.share:.0%})"
    )


def _deeds(repairs: Sequence[Repair]) -> str:
    """Describe repairs; for whom they are is told by the finding."""
    if len(repairs) > 1 and all(isinstance(repair, MoveToSystemPrompt) for repair in repairs):
        return f"the {len(repairs)} stable blocks from there on move into the system prompt"
    deeds = (
        "the profiles are merged" if isinstance(repair, MergeProfiles) else replace(repair, learning_keys=()).describe
        for repair in repairs
    )
    return ", ".join(dict.fromkeys(deeds))


def _excerpts(place: TextDifference) -> str:
    return " / ".join(_excerpt(text or "") for text in (place.text, place.other_text))


def _excerpt(text: str) -> str:
    return printable(repr(text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1]}…"))


# --- HTML ---

_COLUMNS = ("", "agent and block", "kind and timing", "lost per request", "requests", "what happens, and what mends it")
_NUMBERS = ("", "lost per request", "requests")


def _row(number: int, finding: Finding) -> tuple[str, ...]:
    timing = f"<br>{escape(finding.timing.value)}" if finding.timing else ""
    items = [html_text(line) for line in _remedies(finding)]
    items += [_place(place) for place in finding.evidence.places if place.text is not None]
    listed = f'<ul style="margin:.25em 0 0">{"".join(f"<li>{item}</li>" for item in items)}</ul>' if items else ""
    block = f"<br><code>{html_text(finding.span_id)}</code>" if finding.span_id else ""
    return (
        str(number),
        f"{html_text(finding.agent_id)}{block}",
        f"{escape(finding.kind.value)}{timing}",
        f"{finding.tokens_lost:,.0f}",
        f"{finding.requests:,}",
        f"{html_text(finding.sentence)}{listed}",
    )


def _place(place: TextDifference) -> str:
    return f"at {place.offset:,}: <code>{escape(_excerpts(place))}</code>"
