"""Explore and tune the Adaptive Cache Governor's learner on your own history.

Names load on first use, so that ``import acg_lab`` is cheap; ``import acg_lab.core`` is the learner alone.
"""
