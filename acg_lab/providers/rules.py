"""A provider's cache rules as dated data: what each says, who says so, since when, and how sure that is.

A rule that a matching model computes with has a ``setting`` and a value. A rule that is inferred, unknown or in
conflict lists its alternatives, and is a switch: results under each alternative are the bounds of what can be known.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Final, Literal, TypeAlias

from acg_lab.core.errors import UsageError
from acg_lab.core.plain_numbers import plain_number

__all__ = [
    "CacheProvider",
    "Evidence",
    "Matching",
    "Minimum",
    "Multipliers",
    "Rate",
    "Rule",
    "SettingValue",
    "canonical_model",
    "nearest_ttl",
]

SettingValue: TypeAlias = bool | int | float | str | tuple[int, ...]
Matching: TypeAlias = Literal["breakpoint", "boundary", "unit", "block"]


_VERSION: Final = re.compile(r"-(\d{1,2})-(\d{1,2})(?!\d)")  # 4-5, but not the start of a date
_VERSION_GOES_ON: Final = tuple("0123456789.")


class Evidence(StrEnum):
    """How sure a rule is.

    Examples
    --------
    >>> Evidence("measured").name
    'MEASURED'
    """

    DOCUMENTED = "documented"
    SDK = "sdk"  # stands in the vendor's client library
    LISTED = "listed"  # from a data set that a third party keeps
    MEASURED = "measured"
    INFERRED = "inferred"
    CONFLICT = "in conflict"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of a provider's cache.

    ``says`` states it in one sentence; ``as_of`` is the date of the source's text. ``setting`` names what the matching
    model computes with, ``value`` is its value and ``alternatives`` are the values that may be true as well.

    Examples
    --------
    >>> Rule(
    ...     name="X-1",
    ...     says="An entry lives for ten minutes.",
    ...     source="our own measurement",
    ...     as_of="2026-11",
    ...     evidence=Evidence.MEASURED,
    ...     setting="ttl",
    ...     value=600,
    ... ).value
    600
    """

    name: str
    says: str
    source: str
    as_of: str
    evidence: Evidence
    setting: str = ""
    value: SettingValue | None = None
    alternatives: tuple[SettingValue, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Minimum:
    """The shortest prefix that a model caches, from a date on.

    ``model`` is the start of a model's name in the form of `canonical_model`, up to its whole version; empty for all
    models. The longest match counts, and among equal ones the newest whose ``since`` is not after the request.

    Examples
    --------
    >>> Minimum(model="claude-sonnet-5", tokens=1024, evidence=Evidence.DOCUMENTED, source="A1").tokens
    1024
    """

    model: str
    tokens: int
    evidence: Evidence
    source: str
    since: date = date.min
    alternatives: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What a cached token costs relative to an uncached one, for the models whose name starts with ``model``.

    Examples
    --------
    >>> Rate(model="claude", read=0.1, writes={300: 1.25}, evidence=Evidence.DOCUMENTED, source="A5").read
    0.1
    """

    model: str
    read: float
    writes: Mapping[int, float] = field(default_factory=dict)  # by TTL in seconds
    evidence: Evidence
    source: str


@dataclass(frozen=True)
class Multipliers:
    """Cost of one token relative to an uncached input token: read, and written by TTL in seconds.

    Examples
    --------
    >>> Multipliers(0.1, {300: 1.25}).write(300)
    1.25
    """

    read: float
    writes: Mapping[int, float]

    def write(self, ttl: int) -> float:
        """Return the multiplier of a write with a TTL; 1 where writing costs nothing extra.

        A TTL of one's own costs what the next shorter known one does.
        """
        return self.writes.get(nearest_ttl(ttl, self.writes), 1.0)


def nearest_ttl(ttl: int, known: Iterable[int]) -> int:
    """Return the longest known TTL that is not longer; without one, the TTL itself.

    Examples
    --------
    >>> nearest_ttl(600, (300, 3600)), nearest_ttl(60, (300, 3600))
    (300, 60)
    """
    return max((one for one in known if one <= ttl), default=ttl)


@dataclass(frozen=True, repr=False, kw_only=True)
class CacheProvider:
    """The rules of one cache, as a value.

    A cache of your own is a value of this type: copy the nearest with `with_settings`, or build one from rules.

    Parameters
    ----------
    name, title : str
        The registry's name, and the name for people.
    matching : {"breakpoint", "boundary", "unit", "block"}
        Which matching model reads the rules: entries at breakpoints found by stepping back; entries at boundaries that
        the request must hold; whole stored units; the longest common prefix in blocks.
    rules : tuple of Rule
    minimums : tuple of Minimum
        By model; a model in none has ``minimum_tokens`` of the settings.
    rates : tuple of Rate

    Examples
    --------
    >>> from datetime import date
    >>> from acg_lab.providers import find_provider
    >>> anthropic = find_provider("anthropic")
    >>> anthropic.settings["default_ttl"], anthropic.minimum_of("claude-sonnet-4-5", date(2026, 11, 6))
    (300, 1024)
    """

    name: str
    title: str
    matching: Matching
    rules: tuple[Rule, ...]
    minimums: tuple[Minimum, ...] = ()
    rates: tuple[Rate, ...] = ()

    @property
    def settings(self) -> dict[str, SettingValue]:
        """What the matching model computes with, by name."""
        return {rule.setting: rule.value for rule in self.rules if rule.setting and rule.value is not None}

    @property
    def switches(self) -> dict[str, tuple[SettingValue, ...]]:
        """The unsettled settings: the value in force, then its alternatives."""
        return {r.setting: (r.value, *r.alternatives) for r in self.rules if r.value is not None and r.alternatives}

    def with_settings(self, **settings: SettingValue) -> "CacheProvider":
        """Return the provider with other values of some settings.

        Raises
        ------
        UsageError
            If the provider has no such setting, or the value is of another type.

        Examples
        --------
        >>> from acg_lab.providers import find_provider
        >>> find_provider("anthropic").with_settings(renews="hit").settings["renews"]
        'hit'
        """
        known = self.settings
        for name, value in settings.items():
            if name not in known:
                msg = f"{self.name} has no setting {name!r}; it has {', '.join(sorted(known))}"
                raise UsageError(msg)
            if not _same_type(known[name], value):
                msg = f"{name} of {self.name} must be {type(known[name]).__name__} like {known[name]!r}; got {value!r}"
                raise UsageError(msg)
        return replace(self, rules=tuple(_settled(rule, settings) for rule in self.rules))

    def variants(self) -> Iterator[tuple[str, SettingValue, "CacheProvider"]]:
        """Yield the provider with each alternative in force, one at a time: its setting, value, and provider.

        Where sources disagree about minimums, ``"minimums"`` is a setting with the values ``"smallest"`` and
        ``"largest"``.
        """
        for choice, pick in (("smallest", min), ("largest", max)):
            minimums = tuple(replace(m, tokens=pick((m.tokens, *m.alternatives))) for m in self.minimums)
            if minimums != self.minimums:
                yield "minimums", choice, replace(self, minimums=minimums)
        for name, (_, *alternatives) in self.switches.items():
            for value in alternatives:
                yield name, value, self.with_settings(**{name: value})

    def minimum_of(self, model: str, when: date) -> int:
        """Return the shortest prefix that a model cached on a day, in tokens."""
        found = self._minimum(model, when)
        default = self.settings.get("minimum_tokens", 0)
        return int(default) if found is None and isinstance(default, int) else 0 if found is None else found.tokens

    def minimum_alternatives(self, model: str, when: date) -> tuple[int, ...]:
        """Return the minimums that other sources state for a model."""
        found = self._minimum(model, when)
        return () if found is None else found.alternatives

    def multipliers_of(self, model: str) -> Multipliers | None:
        """Return what a model's cached tokens cost relative to uncached ones; None for a model of no known rate."""
        name = canonical_model(model)
        found = max((r for r in self.rates if _is_of(name, r.model)), key=lambda r: len(r.model), default=None)
        return None if found is None else Multipliers(found.read, found.writes)

    def _minimum(self, model: str, when: date) -> Minimum | None:
        name = canonical_model(model)
        known = (m for m in self.minimums if _is_of(name, m.model) and m.since <= when)
        return max(known, key=lambda m: (len(m.model), m.since), default=None)

    def __repr__(self) -> str:
        lines = [f"<CacheProvider {self.name!r}: {self.title}, {self.matching} matching>"]
        for rule in self.rules:
            value = "" if not rule.setting else f" [{rule.setting}={rule.value!r}]"
            other = f" (or {', '.join(map(repr, rule.alternatives))})" if rule.alternatives else ""
            lines.append(f"  {rule.name:<6}{rule.says}{value}{other} {rule.evidence}, {rule.source}, {rule.as_of}")
        lines += [f"  at least {m.tokens:,} tokens: {m.model or 'all models'}, {m.evidence}" for m in self.minimums]
        return "\n".join(lines)


def canonical_model(model: str) -> str:
    """Return a model's name in one form: lower case, no vendor or region prefix, versions with dots.

    Examples
    --------
    >>> canonical_model("us.anthropic.claude-sonnet-4-5-20250929-v1:0"), canonical_model("openai/gpt-5.6")
    ('claude-sonnet-4.5-20250929-v1:0', 'gpt-5.6')
    """
    name = model.lower().rsplit("/", 1)[-1]
    if "claude" in name:
        name = _VERSION.sub(r"-\1.\2", name[name.index("claude") :].replace("@", "-"), count=1)
    return name


def _is_of(name: str, model: str) -> bool:
    """Whether a name belongs to a model, or to a dated version or variant of it; opus-4.5 does not belong to opus-4."""
    return name.startswith(model) and (not model or not name[len(model) :].startswith(_VERSION_GOES_ON))


def _settled(rule: Rule, settings: Mapping[str, SettingValue]) -> Rule:
    if rule.setting not in settings or rule.value is None or settings[rule.setting] == rule.value:
        return rule
    value = settings[rule.setting]
    others = tuple(other for other in (rule.value, *rule.alternatives) if other != value)
    return replace(rule, value=value, alternatives=others if rule.alternatives else ())


def _same_type(known: SettingValue, value: SettingValue) -> bool:
    if isinstance(known, bool) or isinstance(value, bool):
        return isinstance(known, bool) and isinstance(value, bool)
    if isinstance(known, int | float):
        return isinstance(plain_number(value), int | float)
    return isinstance(value, type(known))
