"""Which settings to run: what every distinct setting costs, and which one wins on requests that nobody has seen."""

from acg_lab.advice.sweep import Sweep, sweep

__all__ = ["Sweep", "sweep"]
