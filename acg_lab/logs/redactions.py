"""What shows that a prompt was redacted, cut or hashed before it was logged: nothing can be learned of such a one."""

import re
from typing import Final

__all__ = ["find_redaction"]

_QUOTED: Final = rb'"(?:redacted-by-litellm|__REDACTED__|[\[<(]?\*{0,3}(?:REDACTED|redacted)\*{0,3}[\])>]?|\*{3,})"'
_MARKS: Final = (
    (re.compile(_QUOTED), "a text of the prompt was redacted before it was logged"),
    (re.compile(rb"\(litellm_truncated|litellm_truncated skipped"), "a text of the prompt was cut by LiteLLM"),
    (
        re.compile(rb'"(?:content|text)"\s*:\s*"(?:sha256:)?[0-9a-f]{64}"'),
        "a text of the prompt was replaced with its hash before it was logged",
    ),
    (re.compile(rb'"@@@(?:langfuse|mlflow)Media:'), "a file of the prompt was taken out before it was logged"),
)


def find_redaction(body: bytes) -> str | None:
    """Return what shows that the texts of a JSON body are not those that were sent; None where nothing does."""
    return next((f"{reason}; log it whole" for mark, reason in _MARKS if mark.search(body) is not None), None)
