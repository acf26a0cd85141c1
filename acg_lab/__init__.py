"""Explore and tune the Adaptive Cache Governor's learner on your own history.

Names load on first use, so that ``import acg_lab`` is cheap; ``import acg_lab.core`` is the learner alone. The public
names and their homes are listed once, in the stub file beside this module.

>>> import acg_lab as acg
>>> acg.StabilityThresholds().stable_threshold
0.95
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
