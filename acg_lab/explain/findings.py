"""How findings look: in a terminal, in a notebook, and as a frame.

Belongs here: the answer of `acg_lab.explain` as a sequence, and its plain and HTML forms. Everything that may come from
a prompt is escaped; prompt text is shown only where the evidence holds it because it was asked for.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, overload

from msgspec.structs import replace

from acg_lab.explain.effects import Effect
from acg_lab.explain.finding import Finding, Place
from acg_lab.explain.repairs import MergeProfiles, MoveForward, Repair
from acg_lab.snapshot.model import counted

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Findings", "printable", "tell_effect"]

_WIDTH, _SHOWN, _REPAIRS, _EXCERPT = 100, 12, 2, 48


class Findings(tuple[Finding, ...]):  # noqa: SLOT001  # a tuple with an attribute has no slots
    """What `acg_lab.explain` found, costliest first.

    Attributes
    ----------
    healthy : tuple of str
        Learning keys of the profiles that were looked at and give no reason to complain.
    """

    healthy: tuple[str, ...]

    def __new__(cls, findings: Iterable[Finding] = (), *, healthy: Iterable[str] = ()) -> Self:
        """Make them of findings in order."""
        made = super().__new__(cls, findings)
        made.healthy = tuple(healthy)
        return made

    @overload
    def __getitem__(self, position: SupportsIndex) -> Finding: ...
    @overload
    def __getitem__(self, position: slice) -> "Findings": ...
    def __getitem__(self, position: Any) -> Any:
        found = super().__getitem__(position)
        return Findings(found, healthy=self.healthy) if isinstance(position, slice) else found

    def to_frame(self) -> "DataFrame":
        """Return a DataFrame of a row a finding; see `acg_lab.frames.breaks`."""
        from acg_lab.frames import breaks  # noqa: PLC0415  a value's frame is the one import upwards

        return breaks(self)

    def to_text(self, *, width: int = _WIDTH, shown: int | None = None) -> str:
        """Return all findings, or the first so many, as lines of a terminal of that width."""
        lines = [self._title()]
        for number, finding in enumerate(self[:shown], 1):
            lines += _lines(number, finding, width)
        if shown is not None and len(self) > shown:
            lines.append(f"... and {counted(len(self) - shown, 'more finding')}; .to_frame() has all")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.to_text(shown=_SHOWN)

    def _title(self) -> str:
        found = f"{counted(len(self), 'finding')}, costliest first" if self else "Nothing to complain of"
        return f"{found}; {counted(len(self.healthy), 'profile')} in good health" if self.healthy else found

    def _repr_html_(self) -> str:
        rows = "".join(_row(number, finding) for number, finding in enumerate(self[:_SHOWN], 1))
        more = f"<p>... and {counted(len(self) - _SHOWN, 'more finding')}; <code>.to_frame()</code> has all</p>"
        table = f"<table><thead>{_HEAD}</thead><tbody>{rows}</tbody></table>" if self else ""
        return (
            f'<div class="acg-findings">{_STYLE}<b>{self._title()}</b>{table}{more if len(self) > _SHOWN else ""}</div>'
        )


def printable(text: str) -> str:
    """Escape what does not print: names may come from prompts, and a terminal obeys control characters."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


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
        yield printable(tell_effect(effect)) + ("" if i < safe else "; but bound to whole requests by generation 0.8")


def tell_effect(effect: Effect) -> str:
    """Say what repairs do and win."""
    before, after = effect.before, effect.after
    profiles = (
        "" if before.profiles == after.profiles else f"{counted(before.profiles, 'profile')} → {after.profiles:,}, "
    )
    return (
        f"if {_deeds(effect.repairs)}: {profiles}prefix {before.prefix_blocks:.0f} → {after.prefix_blocks:.0f} blocks, "
        f"{before.prefix_tokens:,.0f} → {after.prefix_tokens:,.0f} tokens ({before.share:.0%} → {after.share:.0%})"
    )


def _deeds(repairs: Sequence[Repair]) -> str:
    """Describe repairs; for whom they are is told by the finding."""
    if len(repairs) > 1 and all(isinstance(repair, MoveForward) for repair in repairs):
        return f"the {len(repairs)} stable blocks from there on move into the system prompt"
    return ", ".join(
        "the profiles are merged" if isinstance(repair, MergeProfiles) else replace(repair, learning_keys=()).describe
        for repair in repairs
    )


def _excerpts(place: Place) -> str:
    return " / ".join(_excerpt(text or "") for text in (place.text, place.other_text))


def _excerpt(text: str) -> str:
    return printable(repr(text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1]}…"))


# --- HTML ---

_COLUMNS = ("", "agent and block", "kind and timing", "lost per request", "requests", "what happens, and what mends it")
_HEAD = "<tr>" + "".join(f"<th>{name}</th>" for name in _COLUMNS) + "</tr>"
_STYLE = """<style>
.acg-findings table { border-collapse: collapse; margin-top: .5em; font-size: inherit; width: 100%;
  color: var(--jp-ui-font-color1, inherit); }
.acg-findings th, .acg-findings td { text-align: left; vertical-align: top; padding: .35em .7em;
  border-bottom: 1px solid var(--jp-border-color2, #8886); background: transparent; }
.acg-findings th:last-child { width: 56%; }
.acg-findings td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.acg-findings ul { margin: .25em 0 0 1.2em; padding: 0; color: var(--jp-ui-font-color2, inherit); }
</style>"""


def _row(number: int, finding: Finding) -> str:
    timing = f"<br>{escape(finding.timing.value)}" if finding.timing else ""
    items = [escape(line) for line in _remedies(finding)]
    items += [_place(place) for place in finding.evidence.places if place.text is not None]
    listed = f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""
    block = f"<br><code>{escape(printable(finding.span_id))}</code>" if finding.span_id else ""
    return (
        f'<tr><td class="n">{number}</td><td>{escape(printable(finding.agent_id))}{block}</td>'
        f'<td>{escape(finding.kind.value)}{timing}</td><td class="n">{finding.tokens_lost:,.0f}</td>'
        f'<td class="n">{finding.requests:,}</td><td>{escape(printable(finding.sentence))}{listed}</td></tr>'
    )


def _place(place: Place) -> str:
    return f"at {place.offset:,}: <code>{escape(_excerpts(place))}</code>"
