"""Run the notebooks on the sample and keep their outputs, so that a repository page shows them.

What is stored is the same on every machine and each time: no times, addresses, or state of widgets; plots are SVG.
"""

import difflib
import math
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from acg_lab.core.errors import MissingExtraError
from acg_lab.plots.short_svg import shorten_svg

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["find_differences", "is_same_picture", "run_notebook", "run_notebooks"]

_SVG, _WIDGET = "image/svg+xml", "application/vnd.jupyter.widget-view+json"
_TIMEOUT: Final = 300  # seconds a cell
_OPTIONS: Final = (
    "--IPKernelApp.log_level=ERROR",
    "--InlineBackend.figure_formats=svg",
    "--InlineBackend.print_figure_kwargs={'bbox_inches': None, 'metadata': {'Date': None, 'Creator': None}}",
)
_times: Final = re.compile(r"\b\d+(?:\.\d+)? ?(?:[mµn]?s|seconds?)\b|\b0x[0-9a-f]{6,}\b")
_number: Final = re.compile(r"-?\d+(?:\.\d+)?")
_MOVED: Final = 0.5  # points, by which another release of matplotlib may move what it draws
_SHOWN: Final = 8  # lines of a difference


def run_notebook(path: Path, folder: Path | None = None) -> "NotebookNode":
    """Run a notebook from top to bottom and return it with its outputs, as they are stored.

    Parameters
    ----------
    path : Path
        The notebook; it is read, not changed.
    folder : Path, optional
        Where it runs: what it loads is relative to it. Its own folder when left out.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        If a cell fails.
    MissingExtraError
        If nbclient is not installed.
    """
    try:
        import nbformat  # noqa: PLC0415 -- an extra
        from nbclient import NotebookClient  # noqa: PLC0415
    except ImportError:
        msg = "Notebooks are run by nbclient; install it with: pip install 'acg-lab[dev]'"
        raise MissingExtraError(msg) from None
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory(prefix="acg-lab-notebook-") as own:
        client = NotebookClient(
            notebook,
            timeout=_TIMEOUT,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=list(_OPTIONS),
            resources={"metadata": {"path": str(folder or path.parent)}},
        )
        # Plots go into the notebook, whatever this process does with them, and as set here, whatever its user prefers.
        backend = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
        client.execute(env=os.environ | backend | {"IPYTHONDIR": own, "JUPYTER_RUNTIME_DIR": own})
    return _clean(notebook)


def run_notebooks(folder: Path, *, check: bool = False) -> list[str]:
    """Run the notebooks of a folder and store their outputs; with ``check`` compare them with what is stored instead.

    Returns
    -------
    list of str
        What differs from the stored outputs, a description each. Without ``check`` it is empty.
    """
    import nbformat  # noqa: PLC0415 -- an extra

    found: list[str] = []
    for path in sorted(folder.glob("*.ipynb")):
        fresh = run_notebook(path)
        if check:
            found += find_differences(nbformat.read(path, as_version=4), fresh, path.name)
        else:
            path.write_text(nbformat.writes(fresh) + "\n", encoding="utf-8")
    return found


def find_differences(stored: "NotebookNode", fresh: "NotebookNode", name: str) -> list[str]:
    """Describe each output that is not as stored; times, addresses and half a point in a picture are no difference."""
    return [
        f"{name}, cell {number}: {difference}"
        for number, (one, other) in enumerate(zip(stored.cells, fresh.cells, strict=True))
        for difference in _compare(_shown(one), _shown(other))
    ]


def _clean(notebook: "NotebookNode") -> "NotebookNode":
    """Leave out of a notebook, in place, what differs from machine to machine."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [_without_widget(output) for output in cell.outputs if not _is_progress(output)]
    return notebook


def _is_progress(output: Any) -> bool:
    return output.output_type == "display_data" and _WIDGET in output.data


def _without_widget(output: Any) -> Any:
    """Leave to an output what can be seen without a kernel: a widget's text, and pictures."""
    data = output.get("data", {})
    data.pop(_WIDGET, None)
    if _SVG in data:
        data[_SVG] = shorten_svg(data[_SVG])
    return output


def _shown(cell: Any) -> list[tuple[str, str]]:
    """Return the format and the text of all that a cell shows."""
    shown: list[tuple[str, str]] = []
    for output in cell.get("outputs", ()):
        if "data" in output:
            shown += sorted(output.data.items())
        else:
            shown.append((output.output_type, output.get("text", "")))
    return shown


def _compare(stored: list[tuple[str, str]], fresh: list[tuple[str, str]]) -> Iterator[str]:
    """Describe how what a cell shows differs from what is stored."""
    if [kind for kind, _ in stored] != [kind for kind, _ in fresh]:
        kinds = [", ".join(kind for kind, _ in shown) or "nothing" for shown in (stored, fresh)]
        yield f"it stores {kinds[0]}, and shows {kinds[1]}"
        return
    for (kind, one), (_, other) in zip(stored, fresh, strict=True):
        if not (is_same_picture if kind == _SVG else _same_text)(one, other):
            lines = difflib.unified_diff(one.splitlines(), other.splitlines(), n=0, lineterm="")
            changed = [] if kind == _SVG else list(lines)[2 : 2 + _SHOWN]
            yield "\n".join([f"{kind} differs", *changed])


def _same_text(one: str, other: str) -> bool:
    return _times.sub("", one) == _times.sub("", other)


def is_same_picture(one: str, other: str) -> bool:
    """Say whether two SVG texts have the same elements, each within half a point of the same place."""
    if _number.sub("#", one) != _number.sub("#", other):
        return False
    pairs = zip(_number.findall(one), _number.findall(other), strict=True)
    return all(math.isclose(float(a), float(b), rel_tol=0, abs_tol=_MOVED) for a, b in pairs)
