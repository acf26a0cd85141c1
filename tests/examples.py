"""How many examples a property is tried on."""

from hypothesis import settings

__all__ = ["scaled"]


def scaled(n_examples):
    """Return a number of examples for ``pytest --all``, or a tenth of it for a quick run."""
    return max(1, n_examples * settings.default.max_examples // 100)
