"""The panel that exports settings: which lines of ``plugins.toml`` would change, and a button to write them.

`acg_lab.config` does all the work on files.
"""

from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w
from msgspec.structs import replace

from acg_lab._format import counted, percent, setting
from acg_lab.config import inactive_reasons, load_config, propose_config
from acg_lab.core.errors import AcgLabError
from acg_lab.widgets.controls import RANGES, error_line, status_line
from acg_lab.widgets.state import TunerState

__all__ = ["ExportPanel", "changed_lines"]

_PLACE = "plugins.toml"


def changed_lines(state: TunerState) -> list[str]:
    """Return the settings that differ from the current ones, as lines of TOML with the old values as comments."""
    was, tried = state.current.values(), state.settings.values()
    told = {name: (setting(tried[name]), setting(was[name])) for name in RANGES if tried[name] != was[name]}
    if (provider := _changed_provider(state)) is not None:
        told["provider"] = (f'"{provider}"', state.current.provider or "not set")
    names = max(map(len, told), default=0)
    values = max((len(value) for value, _ in told.values()), default=0)
    return [f"{name:{names}} = {value:{values}}  # was {before}" for name, (value, before) in told.items()]


def _changed_provider(state: TunerState) -> str | None:
    """Return the governor's provider if settings with another one are tried, as a recommendation may have it."""
    provider = state.settings.provider
    return None if provider == state.current.provider else provider


class ExportPanel:
    """The panel at the foot of the tuner; ``box`` is the widget.

    Parameters
    ----------
    state : TunerState
        Whose settings are written; after an export, the file's settings become its ``current``.
    path : str, optional
        The file to offer.
    """

    def __init__(self, state: TunerState, path: str = "") -> None:
        self._state = state
        self._toml = w.HTML()
        self._toml.add_class("acg-toml")
        self._count = w.HTML()
        self.path: Any = w.Text(
            value=path,
            placeholder=f"path of {_PLACE}",
            description="file",
            tooltip="The file to write",
            continuous_update=True,
        )
        self.path.style.description_width = "auto"
        self.button: Any = w.Button(button_style="primary", disabled=True)
        self.outcome = w.HTML()
        write = w.VBox([self._count, self.path, self.button])
        write.add_class("acg-write")
        row = w.HBox([self._toml, write])
        row.add_class("acg-export")
        self.box = w.VBox([row, self.outcome])
        self.button.on_click(self._on_click)
        self.path.observe(self._on_path, "value")

    def _on_path(self, _change: Any) -> None:
        self.show()

    def show(self) -> None:
        """Show what would change; the button is off while nothing would, or no file is named."""
        lines = changed_lines(self._state)
        n = len(RANGES) + (_changed_provider(self._state) is not None)
        path = self.path.value.strip()
        same = f"# no change: the settings equal {path or 'the default ones'}"
        self._toml.value = f"<pre>{escape(chr(10).join(lines) or same)}</pre>"
        changes = f"{len(lines)} of {counted(n, 'setting')} {'changes' if len(lines) == 1 else 'change'}"
        to_do = "; name a file to export to" if lines and not path else ""
        self._count.value = f'<div class="acg-count">{changes}{to_do}</div>'
        self.button.description = f"Export to {Path(path).name or _PLACE}"
        self.button.disabled = not (lines and path)

    def _on_click(self, _button: Any) -> None:
        path = self.path.value.strip()
        # What is not tuned, the file keeps: its priority, and its provider unless another one is tried.
        settings = replace(self._state.settings, provider=_changed_provider(self._state), priority=None)
        if self._adopt_file(path):
            why = "has other settings than were shown as current. Look at the lines that change, and export again."
            self.outcome.value = error_line(f"{path} {why}")
            return
        self.button.disabled = True
        try:
            proposal = propose_config(path, settings, note=None if path.lower().endswith(".json") else self._note())
            proposal.write()
            self._state.current = self._state.settings = load_config(path)
        except AcgLabError as error:
            self.outcome.value = error_line(str(error))
            self.button.disabled = False
            return
        self.outcome.value = (
            f'<div class="acg-line" role="status"><b>{escape(path)}</b> is written. The processes that read it use it '
            "once they are restarted. Stored windows stay: each is analysed again at the next run of its profile.</div>"
        ) + "".join(
            status_line(f"Production learns nothing with this file: {reason}") for reason in inactive_reasons(path)
        )

    def _adopt_file(self, path: str) -> bool:
        """Compare with the file as it is now; return whether its settings differ from those shown as current."""
        try:
            found = load_config(path)
        except AcgLabError:
            return False  # there is no file yet, or the export will say what is wrong with it
        has, shown = found.values(), self._state.current.values()
        same_provider = _changed_provider(self._state) is None or found.provider == self._state.current.provider
        if same_provider and all(has[name] == shown[name] for name in RANGES):
            return False
        self._state.current = found
        return True

    def _note(self) -> str:
        """Return the comment above the changed keys: when and on what they were tuned, and what is expected of them."""
        state, day = self._state, datetime.now(UTC).date()
        lines = [f"tuned {day} on {state.snap.source}"]
        after, before = state.metrics(state.settings), state.metrics(state.current)
        if after is not None and before is not None:
            lines.append(
                f"expected: stable prefixes in {after.with_prefix:,} of {counted(after.profiles, 'profile')}, "
                f"{percent(after.share)} of the prompts' tokens, median {after.median_tokens:,.0f} "
                f"(before: {before.with_prefix:,}, {percent(before.share)}, {before.median_tokens:,.0f})"
            )
        return "\n".join(lines)
