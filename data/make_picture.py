"""Draw the pictures of README and docs from the sample: ``python data/make_picture.py``."""

from pathlib import Path

import matplotlib as mpl

import acg_lab as acg

HERE = Path(__file__).parent
AGENT = "claims-triage"  # a lower threshold would lengthen its prefix


def main() -> None:
    """Draw what is paid for in vain, and the blocks of one agent's prompts."""
    mpl.use("agg")
    snap = acg.load(HERE / "sample")
    figures = {
        "misses": acg.plots.misses(acg.simulate(snap)),
        "prefix_stability": acg.plots.prefix_stability(snap, agent_id=AGENT),
    }
    for name, axes in figures.items():
        acg.plots.save(axes, HERE / f"{name}.png", pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
