"""The settings that the governor runs with: given, read from a file, or inferred from what is stored."""

import os
from pathlib import Path
from typing import Any

from acg_lab.config.export import load_config
from acg_lab.config.settings import AcgSettings, check_writable
from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds
from acg_lab.history.replay import replay
from acg_lab.history.trace import Trace
from acg_lab.simulation.breakpoints import governor_acts
from acg_lab.simulation.history import prepare_history
from acg_lab.snapshot.inferred_settings import bound_settings, intersect
from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["current_settings", "read_current", "settings_in_force", "trace_of"]


def trace_of(source: Any) -> Trace:
    """Return the trace of a source.

    Raises
    ------
    UsageError
        If it is neither a Snapshot nor a Trace, or one that a repair changed.
    """
    if isinstance(source, Trace):
        return source
    if isinstance(source, Snapshot):
        if source.recorded is not source:
            msg = "A repaired snapshot was not sent to any provider: pass the snapshot that was loaded."
            raise UsageError(msg)
        return replay(source, progress=False)
    msg = f"The 'source' must be a Snapshot or a Trace (see acg_lab.load, acg_lab.replay); got {type(source).__name__}."
    raise UsageError(msg)


def current_settings(source: Snapshot | Trace, trace: Trace, given: Any = None) -> AcgSettings:
    """Return the settings that the governor runs with; ``provider`` is always stated.

    Parameters
    ----------
    source : Snapshot or Trace
    trace : Trace
        Of that source.
    given : AcgSettings, StabilityThresholds, float, path or None
        None: those that explain the stored results, production's defaults where several do. A path is that of a
        ``plugins.toml``.

    Raises
    ------
    UsageError
        If it is of another type, or a threshold is not in [0, 1].
    """
    settings = settings_in_force(source) if given is None else read_current(given)
    if settings.provider is not None:
        return settings
    return settings.replace(provider="anthropic" if governor_acts(prepare_history(trace).requests) else "passthrough")


def read_current(given: Any) -> AcgSettings:
    """Return settings that a caller gave: settings, thresholds, a stable threshold, or the path of a ``plugins.toml``.

    Raises
    ------
    UsageError
        If it is of another type, or a threshold is not in [0, 1].
    """
    settings = _read(given)
    check_writable(settings)
    return settings


def _read(given: Any) -> AcgSettings:
    if isinstance(given, AcgSettings):
        return given
    if isinstance(given, StabilityThresholds):
        return AcgSettings(thresholds=given)
    if isinstance(given, str | os.PathLike):
        return load_config(Path(given))
    if isinstance(given, int | float) and not isinstance(given, bool):
        return AcgSettings(thresholds=StabilityThresholds(stable_threshold=given))
    msg = f"The 'current' option must be settings, a stable threshold, or the path of a plugins.toml; got {given!r}."
    raise UsageError(msg)


def settings_in_force(source: Snapshot | Trace) -> AcgSettings:
    """Return the settings that explain the stored results, production's defaults where several or none do."""
    if isinstance(source, Trace):
        return AcgSettings(observation_window=source.windows[0])
    bounds = intersect(bound_settings(result) for result in source.stability.values())
    return AcgSettings(thresholds=bounds.choose()) if bounds.is_possible else AcgSettings()
