"""The gallery: every plot with the code that draws it from the sample, in both themes.

The plots are those of ``acg_lab.plots.__all__``, so that a new one can't be forgotten: without an example here or in
its docstring the build fails.
"""

import doctest
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import acg_lab as acg
from acg_lab import plots
from acg_lab.core.errors import UsageError

__all__ = ["EXAMPLES", "find_plots", "get_example", "write_gallery"]

# What is shown is what is run. Each leaves its axes in ``ax``; ``snap`` is the sample.
EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "prefix_stability": """
key = next(key for key in snap.windows if key.startswith("claims-triage::"))
ax = acg.plots.prefix_stability(snap, key)
""",
        "window_heatmap": """
key = next(key for key in snap.windows if key.startswith("claims-triage::"))
ax = acg.plots.window_heatmap(snap, key)
""",
        "profiles_overview": """
ax = acg.plots.profiles_overview(snap)
""",
        "threshold_curve": """
key = next(key for key in snap.windows if key.startswith("claims-triage::"))
ax = acg.plots.threshold_curve(snap, key, thresholds=acg.StabilityThresholds(stable_threshold=0.9))
""",
        "prefix_over_time": """
trace = acg.replay(snap, agent_id="claims-triage", window=100)
ax = acg.plots.prefix_over_time(trace, current=0.95, tuned=0.9)
""",
        "cost_breakdown": """
ax = acg.plots.cost_breakdown(acg.simulate(snap))
""",
        "cost_curve": """
best = acg.recommend(acg.load("data/sample", agent_id="claims-triage"))
ax = acg.plots.cost_curve(best)
""",
        "threshold_surface": """
best = acg.recommend(acg.load("data/sample", agent_id="claims-triage"))
ax = acg.plots.threshold_surface(best)
""",
        "misses": """
ax = acg.plots.misses(acg.simulate(snap))
""",
        "requests_over_time": """
trace = acg.replay(snap, agent_id="code-review")
ax = acg.plots.requests_over_time(acg.simulate(trace))
""",
    }
)


def find_plots() -> dict[str, Callable[..., Any]]:
    """Return the public functions that draw a figure, by name: those of `acg_lab.plots` that return axes."""
    known = [name for name in EXAMPLES if name in plots.__all__]  # the table's order is that of the page
    functions = {name: getattr(plots, name) for name in dict.fromkeys([*known, *plots.__all__])}
    return {name: function for name, function in functions.items() if _returns_axes(function)}


def get_example(name: str, function: Callable[..., Any]) -> str:
    """Return the code that draws a plot from the sample.

    Raises
    ------
    UsageError
        If there is neither an entry in `EXAMPLES` nor an example in the docstring.
    """
    if name in EXAMPLES:
        return EXAMPLES[name].strip()
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(function) or "")
    if not examples:
        msg = f"acg_lab.plots.{name} has no example; add one to its docstring or to acg_lab.docs.gallery.EXAMPLES."
        raise UsageError(msg)
    return "".join(example.source for example in examples).strip()


def write_gallery(folder: Path, sample: Path) -> None:
    """Draw every plot in both themes and write the page ``gallery.md`` with the pictures beside it."""
    (folder / "gallery").mkdir(parents=True)
    snap = acg.load(sample)
    sections = [_INTRODUCTION]
    for name, function in find_plots().items():
        code = get_example(name, function)
        texts = [_draw(code, name, theme, snap, folder / "gallery") for theme in ("light", "dark")]
        summary = (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ")
        sections.append(_SECTION.format(name=name, summary=summary, code=code, alt=_one_line(texts[0])))
    (folder / "gallery.md").write_text("\n".join(sections), encoding="utf-8")


_INTRODUCTION = """# Gallery

Each figure answers one question, and its title states the answer. All are drawn from `data/sample`, as here:

```python
import acg_lab as acg

snap = acg.load("data/sample")
```

`acg.plots.set_theme("dark")` draws them for a dark notebook. [How figures look](look.md) says what the colours mean.
"""

_SECTION = """
## {name}

{summary} See {{py:obj}}`acg_lab.plots.{name}`.

```python
{code}
```

```{{image}} gallery/{name}-light.png
:alt: {alt}
:class: only-light gallery-figure
```

```{{image}} gallery/{name}-dark.png
:alt: {alt}
:class: only-dark gallery-figure
```
"""


def _returns_axes(function: Callable[..., Any]) -> bool:
    return "Axes" in str(inspect.signature(function).return_annotation)


def _draw(code: str, name: str, theme: str, snap: "acg.Snapshot", folder: Path) -> str:
    """Draw one plot in one theme into ``folder`` and return its alternative text."""
    import matplotlib.pyplot as plt  # noqa: PLC0415 -- loads when a plot is drawn

    before = plots.theme()
    plots.set_theme(theme)
    values: dict[str, Any] = {"acg": acg, "snap": snap}
    try:
        exec(compile(code, f"<example of {name}>", "exec"), values)  # noqa: S102 -- our own code, as the page shows it
        if "ax" not in values:
            msg = f"The example of acg_lab.plots.{name} must leave its axes in 'ax'."
            raise UsageError(msg)
        plots.save(values["ax"], folder / f"{name}-{theme}.png")
        return plots.alt_text(values["ax"])
    finally:
        plots.set_theme(before)
        plt.close("all")


def _one_line(text: str) -> str:
    return ". ".join(line.rstrip(".") for line in text.splitlines())
