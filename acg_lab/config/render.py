"""Put settings into the text of a document, TOML or JSON, and prove that nothing else changed."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from acg_lab._format import printable
from acg_lab.config.document import (
    BOM,
    PATHS,
    find_component,
    merge,
    parse_json,
    parse_toml,
    read_settings,
    values_to_set,
)
from acg_lab.config.settings import AcgSettings, check_writable
from acg_lab.config.toml_edit import Document
from acg_lab.config.toml_scan import Key
from acg_lab.core.errors import RecordError, UsageError

__all__ = ["render_json", "render_toml"]

_MARK: Final = "# acg-lab:"
_HEAD: Final = "version = 1\n\n"
_TABLE: Final = '[[components]]\nkind = "adaptive"\n'
_INLINE: Final = '{ kind = "adaptive" }'


def render_toml(text: str, settings: AcgSettings, note: str | None) -> tuple[str, AcgSettings]:
    """Return a TOML text with the settings put in, and the settings that it then has."""
    check_writable(settings)
    before, edited = parse_toml(text), Document(text.removeprefix(BOM))
    index = find_component(before)
    present = before
    if index is None:
        index = len(before.get("components", ()))
        _add_component(edited, is_new=not before)
        present = parse_toml(str(edited))
    base: Key = ("components", index)
    values = {base + path: value for path, value in values_to_set(present, index, settings).items()}
    _put(edited, values, [base + path for path in PATHS], _note_lines(note))
    after = str(edited)
    if after == text.removeprefix(BOM):
        return text, read_settings(before)
    return (BOM if text.startswith(BOM) else "") + after, _check_edit(before, after, settings)


def _add_component(edited: Document, *, is_new: bool) -> None:
    if not edited.append_member(("components",), _INLINE):
        edited.append(_HEAD + _TABLE if is_new else _TABLE)


def _put(edited: Document, values: Mapping[Key, Any], managed: Sequence[Key], note: list[str]) -> None:
    """Set values, and put the note above the first of them; if none is set, in the place of the former note."""
    former = edited.notes(managed, _MARK)
    if not values and (not note or [lines for _, lines in former] == [note]):
        return
    edited.remove_notes(managed, _MARK)
    for path, value in values.items():
        edited.set(path, _as_toml(value))
    if note:
        edited.add_note([path for path in managed if path in values] or [path for path, _ in former] or managed, note)


def _as_toml(value: Any) -> str:
    # repr has all digits that are needed to read the same number; our strings and arrays look as in JSON.
    return float.__repr__(value) if isinstance(value, float) else json.dumps(value)


def _note_lines(note: str | None) -> list[str]:
    """Return a note as comment lines, with characters escaped that do not print, which includes what TOML forbids."""
    return [f"{_MARK} {printable(line)}".rstrip() for line in (note or "").strip().splitlines()]


def _check_edit(before: Mapping[str, Any], after: str, settings: AcgSettings) -> AcgSettings:
    """Return the settings of the edited text; raise if anything else changed, so that nothing is written."""
    found = parse_toml(after)
    # Compared as text, since nan differs from itself, and 1, 1.0 and true are equal.
    if _as_text(found) != _as_text(merge(before, settings)):
        msg = "expected TOML that can be changed key by key, got another form; change it by hand"
        raise RecordError(msg, path="$.components")
    return read_settings(found)


def _as_text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True, default=repr)


def render_json(text: str, settings: AcgSettings, note: str | None) -> tuple[str, AcgSettings]:
    """Return a JSON text with the settings put in, in its own indentation, and the settings that it then has."""
    check_writable(settings)
    if note:
        msg = "JSON has no comments, so it cannot take a note."
        raise UsageError(msg)
    before = parse_json(text) if text.strip() else {}
    after = merge(before, settings)
    found = read_settings(after)
    if _as_text(before) == _as_text(after):
        return text, found
    indent = re.match(r"\s*\{\s*?\n([ \t]+)", text)
    return json.dumps(after, indent=indent[1] if indent else 2, ensure_ascii=False) + "\n", found
