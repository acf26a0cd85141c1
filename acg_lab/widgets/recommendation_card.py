"""The card of the tuner that says which settings to run: asked for by a button, looked for in the background.

"Change nothing" is an answer too. Agents that would pay more are named, those of the same process as well.
"""

from html import escape
from typing import Any

import ipywidgets as w

from acg_lab._format import counted, cut
from acg_lab.advice import Recommendation
from acg_lab.widgets.controls import error_line, with_class
from acg_lab.widgets.cost_tiles import name_dearer
from acg_lab.widgets.state import TunerState

__all__ = ["RecommendationCard"]

_NAME = 40
_HOW = "Chosen on what was recorded first, judged on requests that came later. You can go on meanwhile."


class RecommendationCard:
    """The card; ``box`` is the widget.

    Parameters
    ----------
    state : TunerState
        Whose agent and current settings are advised on, and whose settings *Use recommended* changes.
    """

    def __init__(self, state: TunerState) -> None:
        self._state = state
        self.text: Any = w.HTML()
        self.use: Any = w.Button(description="Use recommended", button_style="primary")
        self.ask: Any = w.Button(description="Recommend settings")
        buttons = with_class(w.HBox([self.use, self.ask]), "acg-buttons")
        self.box: Any = with_class(w.VBox([self.text, buttons]), "acg-card")
        self.use.on_click(self._on_use)
        self.ask.on_click(self._on_ask)

    def _on_use(self, _button: Any) -> None:
        self._state.use_recommended()

    def _on_ask(self, _button: Any) -> None:
        if self._state.recommender.share is None:
            self._state.recommend()
        else:
            self._state.recommender.cancel()

    @property
    def _whom(self) -> str:
        """Whom the advice is for."""
        agents, agent_id = self._state.snap.agent_ids, self._state.agent_id
        if agent_id is not None and len(agents) > 1:
            return f"{cut(agent_id, _NAME)} alone"
        return counted(len(agents), "agent") if len(agents) > 1 else "this agent"

    def show(self) -> None:
        """Show what is known."""
        share, found = self._state.recommender.share, self._state.recommendation
        is_change = found is not None and found.is_change and share is None
        self.use.layout.display = "" if is_change else "none"
        self.use.disabled = self._state.is_recommended
        self.ask.layout.display = "none" if found is not None and share is None else ""
        self.ask.description = "Recommend settings" if share is None else "Cancel"
        if share is not None:
            self.text.value = _titled(f"Looking for better settings for {self._whom}: {share:.0%}", _note(_HOW))
        elif found is not None:
            self.text.value = self._advice(found)
        else:
            lines = [_note(_HOW), error_line(self._state.recommender.problem)]
            self.text.value = _titled(f"Which settings should run, for {self._whom}?", *lines)

    def _advice(self, found: Recommendation) -> str:
        headline, *lines = found.lines
        shown = [f'<div class="acg-advice" role="status">{escape(headline)}</div>']
        shown += [_warning(escape(line)) if _is_loss(found, line) else _note(line) for line in lines]
        if found.is_change and self._state.agent_id is not None and len(self._state.snap.agent_ids) > 1:
            dearer = name_dearer(self._state, found.settings)
            shown.append(_warning(f"In one process with the others it is {dearer}") if dearer else "")
        return _titled(f"Recommended for {self._whom}", *shown)


def _titled(title: str, *lines: str) -> str:
    return f'<div class="acg-label">{escape(title)}</div>{"".join(lines)}'


def _note(text: str) -> str:
    return f'<div class="acg-note">{escape(text)}</div>'


def _warning(html: str) -> str:
    return f'<div class="acg-note acg-loss">{html}</div>'


def _is_loss(found: Recommendation, line: str) -> bool:
    return bool(found.losers) and line == found.who_pays_more
