"""Draw the README's picture from the sample: ``python data/make_picture.py``."""

from pathlib import Path

import matplotlib as mpl

import acg_lab as acg

HERE = Path(__file__).parent
AGENT = "claims-triage"


def main() -> None:
    """Draw an agent whose prefix a lower threshold would lengthen."""
    mpl.use("agg")
    axes = acg.plots.prefix_stability(acg.load(HERE / "sample", agent_id=AGENT))
    acg.plots.save(axes, HERE / "prefix_stability.png", pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
