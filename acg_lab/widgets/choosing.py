"""Which agent and which profile: a menu, worst first, that can be searched."""

from typing import Any, Final

import ipywidgets as w
import pandas as pd

from acg_lab._format import counted, cut_all, joined
from acg_lab.core.keys import parse_learning_key
from acg_lab.plots.profile_names import differing
from acg_lab.widgets.state import TunerState

__all__ = ["Chooser", "profile_names"]

_ALL: Final = "all agents"
_AGENT: Final = 36  # characters of an agent's name before those of its profile


def profile_names(state: TunerState, keys: tuple[str, ...]) -> dict[str, str]:
    """Return what to call profiles: agent, model, and what tells them apart."""
    owners = [state.snap.owners[key].agent_id for key in keys]
    if not keys:
        return {}
    names = differing(pd.DataFrame({"learning_key": list(keys), "agent_id": owners}))
    found, agents = {}, cut_all(owners, _AGENT)
    for key, agent_id, name in zip(keys, owners, names, strict=True):
        parsed = parse_learning_key(key, agent_id=agent_id)
        model = parsed.model if parsed and f"model={parsed.model}" not in name else ""
        rest = name.removeprefix(agent_id).strip()
        found[key] = joined(agents[agent_id], model, rest)
    return found


class Chooser:
    """Menus for agent and profile and a filter; ``widgets`` are to be shown in this order.

    Parameters
    ----------
    state : TunerState
        Whose ``agent_id`` and ``learning_key`` are chosen.
    """

    def __init__(self, state: TunerState) -> None:
        self._state = state
        self._names: dict[str, str] = {}
        self._listed: tuple[Any, ...] = ()
        self._is_offering = False
        agents = [(_ALL, ""), *((agent_id, agent_id) for agent_id in state.snap.agent_ids)]
        self.agent: Any = w.Dropdown(
            options=agents, description="agent", value=state.agent_id or "", tooltip="Whose profiles are looked at"
        )
        self.filter: Any = w.Text(
            placeholder="name",
            description="search",
            tooltip="Words of a profile's name or key",
            continuous_update=True,
        )
        self.profile: Any = w.Dropdown(description="profile", tooltip="Worst loss first")
        for name in ("agent", "filter", "profile"):
            getattr(self, name).add_class(f"acg-{name}")
            getattr(self, name).style.description_width = "auto"
        self.agent.layout.display = "" if len(state.snap.agent_ids) > 1 else "none"
        self.widgets = [self.agent, self.filter, self.profile]
        self._list()
        self.agent.observe(self._on_agent, "value")
        self.filter.observe(self._on_filter, "value")
        self.profile.observe(self._on_profile, "value")

    def _list(self) -> None:
        keys = self._state.keys
        self._listed = (self._state.agent_id, self._state.current)
        self._names = profile_names(self._state, keys)
        self._offer()

    def _offer(self) -> None:
        """Offer the profiles that have every word of the filter; the chosen one stays, whether it has or not."""
        words = self.filter.value.lower().split()
        chosen, counts = self._state.learning_key, self._state.snap.n_observations
        found = [key for key, name in self._names.items() if all(word in f"{name} {key}".lower() for word in words)]
        self.profile.description = f"profile ({len(found):,} found)" if words else "profile"
        listed = {*found, chosen}
        options = [
            (f"{name} — {counted(counts(key), 'request')}", key) for key, name in self._names.items() if key in listed
        ]
        if options != list(self.profile.options):
            self._is_offering = True  # new options choose the first of them
            self.profile.options = options
            self.profile.value = chosen or None
            self._is_offering = False

    def _on_agent(self, change: Any) -> None:
        self._state.agent_id = change["new"] or None

    def _on_filter(self, _change: Any) -> None:
        self._offer()

    def _on_profile(self, change: Any) -> None:
        if change["new"] and not self._is_offering:
            self._state.learning_key = change["new"]

    def show(self) -> None:
        """Show what is chosen."""
        self.agent.value = self._state.agent_id or ""
        if (self._state.agent_id, self._state.current) != self._listed:
            self._list()
        elif self.profile.value != (self._state.learning_key or None):
            self._offer()
            self.profile.value = self._state.learning_key or None
