"""The exceptions that acg_lab raises, by who is to blame.

Messages say what is wrong and where, what was expected, what came, and the next step. They never contain prompt text or
credentials.
"""

__all__ = ["AcgLabError", "MissingExtraError", "RecordError", "SourceError", "UsageError"]


class AcgLabError(Exception):
    """Base of every error that acg_lab raises on purpose.

    Examples
    --------
    >>> import acg_lab as acg
    >>> try:
    ...     acg.load("")
    ... except acg.AcgLabError as error:
    ...     print(type(error).__name__)
    UsageError
    """


class UsageError(AcgLabError, ValueError):
    """An argument or option, or a combination of them, is wrong.

    Examples
    --------
    >>> import acg_lab as acg
    >>> acg.StabilityThresholds(stable_threshold="high")
    Traceback (most recent call last):
        ...
    acg_lab.core.errors.UsageError: ...
    """


class RecordError(AcgLabError, ValueError):
    """Stored data is wrong.

    Parameters
    ----------
    reason : str
        What was expected and what came, without prompt text.
    source, key : str
        Where the document is stored; empty while not known.
    path : str
        JSON path inside the document, ``$`` for its root.

    Examples
    --------
    >>> str(RecordError("expected a UUID, got another text", key="acg:runs:chat", path="$.id"))
    "key 'acg:runs:chat', at $.id: expected a UUID, got another text"
    """

    def __init__(self, reason: str, *, source: str = "", key: str = "", path: str = "$") -> None:
        self.reason = reason
        self.source = source
        self.key = key
        self.path = path
        super().__init__(reason, source, key, path)

    def __reduce__(self) -> tuple[object, ...]:
        return _record_error, self.args

    def __str__(self) -> str:
        where = [self.source] if self.source else []
        if self.key:
            where.append(f"key {self.key!r}")
        where.append(f"at {self.path}")
        return f"{', '.join(where)}: {self.reason}"

    def at(self, *, source: str = "", key: str = "", path: str = "") -> "RecordError":
        """Return the same error with missing places filled in.

        ``path`` is the path of the document inside a larger one; it is put before the error's own path.
        """
        inner = self.path.removeprefix("$")
        return RecordError(
            self.reason,
            source=self.source or source,
            key=self.key or key,
            path=f"{path}{inner}" if path else self.path,
        )


class SourceError(AcgLabError, OSError):
    """A source cannot be reached, opened or read.

    Examples
    --------
    >>> import acg_lab as acg
    >>> try:
    ...     acg.load("no-such-folder")
    ... except acg.SourceError:
    ...     print("not there")
    not there
    """


class MissingExtraError(AcgLabError, ImportError):
    """An optional package is not installed; the message says how to install it.

    Examples
    --------
    >>> issubclass(MissingExtraError, ImportError)
    True
    """


def _record_error(reason: str, source: str, key: str, path: str) -> RecordError:
    return RecordError(reason, source=source, key=key, path=path)
