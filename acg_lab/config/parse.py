"""Text to mapping: TOML and JSON.

Belongs here: parsing, no meaning.
"""

import json
import tomllib
from typing import Any, Final

from tomlkit import parse as parse_with_tomlkit
from tomlkit.exceptions import TOMLKitError

from acg_lab.core.errors import RecordError

__all__ = ["BOM", "parse_json", "parse_toml"]

BOM: Final = "\ufeff"


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML, a byte order mark at its beginning included.

    tomllib is seven times as fast as tomlkit, which alone reads what TOML 1.1 added, as production's 0.10 does.
    """
    text = text.removeprefix(BOM)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise RecordError("expected TOML, got tables nested too deep") from None  # noqa: EM101, TRY003
    except ValueError as error:  # TOMLDecodeError, or an integer of thousands of digits
        try:
            return dict(parse_with_tomlkit(text).unwrap())
        except (TOMLKitError, ValueError, RecursionError):
            msg = f"expected TOML: {error}"
            raise RecordError(msg) from None


def parse_json(text: str) -> dict[str, Any]:
    """Parse a plugin document that is kept as JSON."""
    try:
        document = json.loads(text.removeprefix(BOM))
    except (ValueError, RecursionError) as error:
        msg = f"expected JSON: {error}"
        raise RecordError(msg) from None
    if not isinstance(document, dict):
        msg = f"expected an object, got {type(document).__name__}"
        raise RecordError(msg)
    return document
