"""Build the documentation site with Sphinx.

Sphinx wants all sources in one folder, so they are collected in a temporary one: the pages of this package, the
notebooks, and two kinds of page that are generated, the gallery and the API reference. Nothing is written into the
repository but the site itself.
"""

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from acg_lab.core.errors import MissingExtraError, UsageError
from acg_lab.docs.gallery import write_gallery
from acg_lab.docs.reference import write_reference

__all__ = ["build_site", "collect_sources"]

_PAGES = Path(__file__).parent
_REPOSITORY = _PAGES.parents[1]
_NEEDED = ("sphinx", "pydata_sphinx_theme", "numpydoc", "myst_nb")

# The pages carry no directives, so that they read well on a repository page; the tables of contents are added here.
_CONTENTS: Final = {
    "index": ("", ["examples", "logs", "fleet", "rules/index", "api/index", "security", "glossary", "develop"]),
    "examples": ("Examples", ["gallery", "notebooks/*"]),
    "rules/index": ("Rules", ["learner", "planner", "config", "../providers"]),
    "develop": ("Develop", ["architecture", "contributing", "look"]),
}


def build_site(out: Path) -> int:
    """Build the site and return Sphinx's exit status; warnings count as errors.

    Parameters
    ----------
    out : Path
        Folder of the site. What an earlier build left there is replaced.

    Returns
    -------
    int
        0, or another number if something is wrong with a page; Sphinx prints what and where.

    Raises
    ------
    MissingExtraError
        If Sphinx or one of its extensions is not installed.
    UsageError
        If the package is installed apart from its repository, where the notebooks and the sample are.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        msg = f"The site needs {', '.join(missing)}; install them with: pip install 'acg-lab[dev]'"
        raise MissingExtraError(msg)
    if out.exists() and not (out.is_dir() and ((out / "objects.inv").exists() or not any(out.iterdir()))):
        msg = f"{out} exists and is not a site that was built before; name another folder with --out."
        raise UsageError(msg)
    from sphinx.cmd.build import build_main  # noqa: PLC0415 -- an extra

    with tempfile.TemporaryDirectory(prefix="acg-lab-docs-") as folder:
        sources, built = Path(folder, "sources"), Path(folder, "site")
        collect_sources(sources)
        options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(Path(folder, "doctrees")), "-c", str(_PAGES)]
        status = build_main([*options, str(sources), str(built)])
        if status == 0:
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(built, out)
    sys.stdout.flush()
    return status


def collect_sources(folder: Path) -> None:
    """Write every source of the site into a new folder.

    Raises
    ------
    UsageError
        If the notebooks or the sample are not beside the package, or a plot has no example.
    """
    sample, notebooks = _REPOSITORY / "data" / "sample", _REPOSITORY / "notebooks"
    if not (sample.is_dir() and notebooks.is_dir()):
        msg = f"The site is built in a clone of the repository; found no data/sample and notebooks in {_REPOSITORY}."
        raise UsageError(msg)
    shutil.copytree(_PAGES, folder, ignore=shutil.ignore_patterns("__pycache__", "*.py"))
    shutil.copytree(notebooks, folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    (folder / "data").mkdir()
    for picture in (*sample.parent.glob("*.svg"), *sample.parent.glob("*.webp")):
        shutil.copy(picture, folder / "data")
    index = folder / "index.md"
    index.write_text(index.read_text(encoding="utf-8").replace("](../../", "]("), encoding="utf-8")
    for page, (title, children) in _CONTENTS.items():
        _add_contents(folder / f"{page}.md", title, children)
    write_gallery(folder, sample)
    write_reference(folder / "api")


def _add_contents(path: Path, title: str, children: list[str]) -> None:
    """Append a table of contents to a page; a page with a title is new and shows it."""
    head, options = (f"# {title}\n\n", ":maxdepth: 1\n:glob:") if title else ("\n", ":hidden:")
    with path.open("a", encoding="utf-8") as page:
        page.write(f"{head}```{{toctree}}\n{options}\n\n{chr(10).join(children)}\n```\n")
