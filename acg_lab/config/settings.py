"""The learner's settings as one value.

`AcgSettings` holds whatever production accepts, so that any file can be shown. `check_writable` is narrower: it limits
what acg_lab writes.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from acg_lab.config.thresholds import check_scale
from acg_lab.core.errors import UsageError
from acg_lab.core.plain_numbers import plain_number
from acg_lab.core.stability import StabilityThresholds

__all__ = ["DEFAULT_PRIORITY", "DEFAULT_PROVIDER", "PROVIDERS", "AcgSettings", "check_writable"]

PROVIDERS: Final = ("passthrough", "anthropic", "openai")
DEFAULT_PROVIDER: Final = "passthrough"
DEFAULT_PRIORITY: Final = 50
_OPTIONAL: Final = ("provider", "priority")


class AcgSettings(Struct, frozen=True):
    """The learner's settings, for all agents of a process.

    Parameters
    ----------
    thresholds : StabilityThresholds
        Production's defaults if omitted.
    observation_window : int, default 100
        How many requests a profile's window keeps.
    provider : {"passthrough", "anthropic", "openai"}, optional
        What is done to live requests. None keeps the document's value, or production's default if it has none.
    priority : int, optional
        Priority of the learner among other plugins. None as for ``provider``.

    Raises
    ------
    UsageError
        If production would refuse a value (``acg_lab/docs/rules/config.md``, 3). Like production, this accepts
        thresholds outside 0 to 1 and a window of 0, which acg_lab does not write.

    Examples
    --------
    >>> AcgSettings().replace(stable_threshold=0.9, observation_window=30).observation_window
    30
    """

    thresholds: StabilityThresholds = msgspec.field(default_factory=StabilityThresholds)
    observation_window: int = 100
    provider: str | None = None
    priority: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.thresholds, StabilityThresholds):
            msg = f"The 'thresholds' setting must be a StabilityThresholds; got {type(self.thresholds).__name__}."
            raise UsageError(msg)
        for name in ("observation_window", "priority"):
            msgspec.structs.force_setattr(self, name, plain_number(getattr(self, name)))
        _check_integer("observation_window", self.observation_window, 0, 2**63 - 1)  # u64; TOML has half of it
        if self.priority is not None:
            _check_integer("priority", self.priority, -(2**31), 2**31 - 1)
        if self.provider is not None and self.provider not in PROVIDERS:
            msg = f"The 'provider' setting must be one of {', '.join(PROVIDERS)}; got {self.provider!r}."
            raise UsageError(msg)

    def values(self) -> dict[str, Any]:
        """Return the settings by production's names, without those that are None."""
        values = msgspec.structs.asdict(self.thresholds) | {"observation_window": self.observation_window}
        optional = {name: getattr(self, name) for name in _OPTIONAL}
        return values | {name: value for name, value in optional.items() if value is not None}

    def replace(self, **values: Any) -> "AcgSettings":
        """Return the settings with some values changed, by production's names.

        Raises
        ------
        UsageError
            If a name is unknown, or production would refuse a value.
        """
        own = set(self.__struct_fields__) - {"thresholds"}
        within = set(StabilityThresholds.__struct_fields__)
        if unknown := values.keys() - own - within:
            expected = ", ".join([*StabilityThresholds.__struct_fields__, *sorted(own)])
            msg = f"There is no setting {min(unknown)!r}; expected one of {expected}."
            raise UsageError(msg)
        changed = {name: value for name, value in values.items() if name in within}
        thresholds = msgspec.structs.replace(self.thresholds, **changed)
        rest = {name: value for name, value in values.items() if name in own}
        return msgspec.structs.replace(self, thresholds=thresholds, **rest)


def _check_integer(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        msg = f"The {name!r} setting must be an integer from {low} to {high}; got {value!r}."
        raise UsageError(msg)


def check_writable(settings: AcgSettings) -> None:
    """Raise for settings that production accepts but that make no sense.

    Raises
    ------
    UsageError
        Unless 0 <= ``semi_stable_threshold`` <= ``stable_threshold`` <= 1 and ``observation_window`` >= 1.

    Examples
    --------
    >>> check_writable(AcgSettings())
    """
    check_scale(settings.thresholds)
    if settings.observation_window < 1:
        msg = "The 'observation_window' setting must be at least 1 to be written; got 0, which learns nothing."
        raise UsageError(msg)
