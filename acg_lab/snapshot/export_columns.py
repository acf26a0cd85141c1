"""What an export of a snapshot holds: its columns as they are, or with pseudonyms in place of texts.

Invariant: private texts that were not asked for are never written.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from acg_lab.core.errors import UsageError
from acg_lab.core.keys import Owner
from acg_lab.snapshot.private_texts import has_private_blocks
from acg_lab.snapshot.redaction import redact_columns, redact_private
from acg_lab.snapshot.rules_detection import DetectedRules
from acg_lab.storage.columns import Columns
from acg_lab.storage.salts import find_salt

if TYPE_CHECKING:
    import os

__all__ = ["choose_columns", "hides_private"]


def hides_private(columns: Columns, *, shows_private: bool) -> bool:
    """Return whether columns hold private texts that were not asked for."""
    is_done = bool(columns.origin.redacted)
    return not (shows_private or is_done) and has_private_blocks(columns.observations)


def choose_columns(
    columns: Columns,
    owners: Mapping[str, Owner],
    rules: Mapping[str, DetectedRules],
    path: "str | os.PathLike[str]",
    *,
    hides: bool,
    redact: bool = False,
    redact_names: bool = False,
    salt: "str | os.PathLike[str] | None" = None,
) -> Columns:
    """Return the columns that an export to a path has; see `acg_lab.Snapshot.to_parquet`.

    Parameters
    ----------
    columns, owners, rules
        As of the snapshot.
    path : str or path
        Beside it the salt is found.
    hides : bool
        Whether private texts are to be hidden, as of `hides_private`.
    redact, redact_names, salt
        As of `acg_lab.Snapshot.to_parquet`.

    Raises
    ------
    UsageError
        If options of a redacted export are given for another one.
    """
    if not redact and (redact_names or (salt is not None and not hides)):
        msg = "The options 'redact_names' and 'salt' are for a redacted export; add redact=True (--redact)."
        raise UsageError(msg)
    redacts = redact and not columns.origin.is_redacted
    if not (redacts or hides):
        return columns
    key = find_salt(path, salt)
    if redacts:
        return redact_columns(columns, owners, rules, key, redacts_names=redact_names)
    return redact_private(columns, owners, rules, key)
